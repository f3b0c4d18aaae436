//! Values and errors of the TOML files that an operator writes: the configuration and the policy.

use chrono::NaiveDate;
use serde::Deserialize;
use toml::Value;

/// A TOML date, or the same as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Date(pub NaiveDate);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(d)? {
            Value::String(text) => text,
            Value::Datetime(date) => date.to_string(),
            _ => return Err(serde::de::Error::custom(NOT_A_DATE)),
        };
        text.parse().map(Date).map_err(|_| serde::de::Error::custom(NOT_A_DATE))
    }
}

// The value is not quoted: see [`explain`].
const NOT_A_DATE: &str = "it is not a date such as 2026-03-31";

/// Why a TOML file or the environment is not valid.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct InvalidToml {
    /// `FILE is not valid`.
    pub what: String,
    /// Line, column and reason.
    pub cause: String,
    /// The key that is most similar to an unknown one.
    pub hint: Option<String>,
}

/// The error of a file: its line, column and reason, and the key that is most similar to an unknown one.
///
/// No text of the file is quoted, except a name that looks like a key: a person who may only name a file must not see the content of
/// files that only boxseat may read, such as private keys.
#[must_use]
pub fn explain(name: &str, text: &str, error: &toml::de::Error) -> InvalidToml {
    let Reason { sentence, hint } = Reason::of(error.message());
    let place = error.span().map(|span| place(text, span.start));
    let cause = place.map_or_else(|| sentence.clone(), |place| format!("{place}: {sentence}"));
    InvalidToml { what: format!("{name} is not valid"), cause, hint }
}

/// The same for values of the environment, which may be quoted.
#[must_use]
pub fn explain_environment(error: toml::de::Error) -> InvalidToml {
    let Reason { hint, .. } = Reason::of(error.message());
    let what = "BOXSEAT_* in the environment is not valid".to_owned();
    InvalidToml { what, cause: error.to_string(), hint }
}

/// The message of the parser without text of the file.
struct Reason {
    sentence: String,
    hint: Option<String>,
}

impl Reason {
    fn of(message: &str) -> Self {
        for what in ["unknown field", "unknown variant"] {
            if let Some(rest) = message.strip_prefix(what).and_then(|rest| rest.strip_prefix(" `")) {
                return Self::unknown(what, rest);
            }
        }
        for what in ["invalid type: ", "invalid value: "] {
            if let Some((found, expected)) =
                message.strip_prefix(what).and_then(|rest| rest.rsplit_once(", expected "))
            {
                // `string "…"`, `integer `…``: the kind is before the value.
                let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
                return Self { sentence: format!("{what}{kind}, expected {expected}"), hint: None };
            }
        }
        // The parser's own messages have no text of the file, and neither have those of our types.
        Self { sentence: message.to_owned(), hint: None }
    }

    /// `rest` is the name in the file and the known names: ``x`, expected one of `y`, `z``.
    fn unknown(what: &str, rest: &str) -> Self {
        // The last one: the name in the file may have any text.
        let (name, expected) = rest
            .rsplit_once("`, expected ")
            .map_or((rest.trim_end_matches('`'), None), |(name, expected)| (name, Some(expected)));
        let expected_text = expected.map(|expected| format!(", expected {expected}")).unwrap_or_default();
        if !looks_like_a_key(name) {
            return Self { sentence: format!("{what}{expected_text}"), hint: None };
        }
        let known = expected.unwrap_or_default().split('`').skip(1).step_by(2);
        let nearest =
            known.max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
        let hint = nearest
            .filter(|_| what == "unknown field")
            .map(|nearest| format!("there is no key `{name}`; the nearest one is `{nearest}`"));
        Self { sentence: format!("{what} `{name}`{expected_text}"), hint }
    }
}

fn looks_like_a_key(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `line 2, column 1` of an offset in bytes.
fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the error matters")]
    struct File {
        days: Option<u32>,
        on: Option<Date>,
        kind: Option<Kind>,
        names: Option<Vec<String>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Signed,
    }

    fn messages(text: &str) -> String {
        let error = toml::from_str::<File>(text).expect_err(text);
        let InvalidToml { what, cause, hint } = explain("policy.toml", text, &error);
        [Some(what), Some(cause), hint].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    /// Why: `--policy` and `--config` printed the first line of any file that boxseat could read, such as the client secret.
    #[test]
    fn error_of_a_toml_file_quotes_no_text_of_it() {
        for text in [
            "Zx9SecretZx9\n",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nZx9\n",
            "{\"boxAppSettings\": {\"clientSecret\": \"Zx9\"}}\n",
            "[Zx9\n",
            "days = Zx9\n",
            "days = \"Zx9\"\n",
            "days = \"Zx9`, expected `Zx9\"\n",
            "on = \"Zx9\"\n",
            "on = [\"Zx9\"]\n",
            "kind = \"Zx9 `, expected `Zx9\"\n",
            "kind = \"Zx9/+==\"\n",
            "kind = { \"Zx9+\" = 1 }\n",
            "names = \"Zx9\"\n",
            "names = [\"Zx9\", { Zx9 = 1 }]\n",
            "\"Zx9 `, expected `days`\" = 1\n",
            "\"Zx9+Zx9=\" = 1\n",
            "\"Zx9Zx9Zx9Zx9Zx9Zx9Zx9Zx9Zx9Zx9Zx9Zx9Zx9Zx9\" = 1\n",
            "days = 1\ndays = \"Zx9\"\n",
            "days.x = 1\ndays = \"Zx9\"\n",
            "days = \"Zx9\n",
            "days = \"\\Zx9\"\n",
        ] {
            let messages = messages(text);
            assert!(!messages.contains("Zx9"), "{text}\n{messages}");
            assert!(messages.contains("policy.toml is not valid\nline "), "{text}\n{messages}");
        }
    }

    #[test]
    fn error_names_line_column_reason_and_the_most_similar_key() {
        assert_eq!(
            messages("\ndyas = 1\n"),
            "policy.toml is not valid\nline 2, column 1: unknown field `dyas`, expected one of `days`, `on`, `kind`, `names`\n\
             there is no key `dyas`; the nearest one is `days`"
        );
        assert!(messages("days = \"ü\"\n").contains("line 1, column 8: invalid type: string, expected u32"));
        assert!(messages("kind = \"singed\"\n").contains("unknown variant `singed`, expected `signed`"));
        assert!(messages("on = \"Christmas\"\n").contains("it is not a date such as 2026-03-31"));
    }
}
