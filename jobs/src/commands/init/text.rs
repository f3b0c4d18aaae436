//! The files that `init` writes.

use std::fmt::Write as _;
use std::path::Path;

use toml::Value;

use super::answers::{Answers, SignIn, Terms};

/// The configuration. `addresses` are keys of `[box]`, if Box is not at its usual address.
pub(super) fn configuration(answers: &Answers, addresses: &[(&str, String)]) -> String {
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    let mut text = HEAD.to_owned();
    let Terms { seats_purchased, cost_per_seat_monthly, currency, renewal_date, notice_by } = &answers.terms;
    let keys = [
        ("seats_purchased", seats_purchased.map(|seats| seats.to_string())),
        ("cost_per_seat_monthly", cost_per_seat_monthly.as_deref().map(quoted)),
        ("currency", currency.as_deref().map(quoted)),
        ("renewal_date", renewal_date.map(|date| date.to_string())),
        ("notice_by", notice_by.map(|date| date.to_string())),
    ];
    if keys.iter().all(|(_, value)| value.is_none()) {
        text.push_str(NO_TERMS);
    } else {
        text.push_str("\n[[licence]]\nplan_id = \"enterprise\"\n");
        for (key, value) in keys.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    if !addresses.is_empty() {
        text.push_str("\n[box]\n");
        for (key, address) in addresses {
            let _ = writeln!(text, "{key} = {}", quoted(address));
        }
    }
    text
}

const HEAD: &str = "\
# boxseat.toml, written by `boxseat init`. boxseat.example.toml has every key with its unit, default and reason.
# Credentials are never in this file. `boxseat check` tests it.
";

const NO_TERMS: &str = "
# Without licence terms no report knows costs or free seats.
#[[licence]]
#plan_id = \"enterprise\"
#seats_purchased = 500
#cost_per_seat_monthly = \"35.00\"
#currency = \"EUR\"
#renewal_date = 2027-04-01
#notice_by = 2027-01-31
";

/// The environment file: a shell and systemd read it alike.
pub(super) fn environment(answers: &Answers) -> String {
    let mut text = ENVIRONMENT_HEAD.to_owned();
    for (name, value) in variables(answers) {
        let _ = match value {
            Some(value) => writeln!(text, "{name}={}", shell_word(&value)),
            None => writeln!(text, "#{name}="),
        };
    }
    if answers.sign_in == SignIn::Unnamed {
        text.push_str(NO_CREDENTIALS);
    }
    text
}

const ENVIRONMENT_HEAD: &str = "\
# Environment of the daily job of boxseat, written by `boxseat init`. Only its owner may read it (chmod 600), and only its owner
# may read the files with secrets that it names.
";

const NO_CREDENTIALS: &str = "\
# Credentials: an application with a key pair,
#BOXSEAT_JWT_CONFIG=/etc/boxseat/1234567_abcdefgh_config.json
# or client credentials, with BOXSEAT_ENTERPRISE_ID.
#BOXSEAT_CLIENT_ID=
#BOXSEAT_CLIENT_SECRET_FILE=/etc/boxseat/client-secret
";

/// The variables of the job; `None` where the operator must add a value.
pub(super) fn variables(answers: &Answers) -> Vec<(&'static str, Option<String>)> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables = vec![
        ("BOXSEAT_STORE", Some(path(&answers.store))),
        ("BOXSEAT_CONFIG", Some(path(&answers.config_file))),
    ];
    variables.extend(answers.enterprise_id.clone().map(|id| ("BOXSEAT_ENTERPRISE_ID", Some(id))));
    variables.extend(credential_variables(&answers.sign_in));
    variables
}

/// The variables of the sign-in alone.
pub(super) fn credential_variables(sign_in: &SignIn) -> Vec<(&'static str, Option<String>)> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    match sign_in {
        SignIn::Jwt(file) => vec![("BOXSEAT_JWT_CONFIG", Some(path(file)))],
        SignIn::Client { id, secret_file } => vec![
            ("BOXSEAT_CLIENT_ID", id.clone()),
            ("BOXSEAT_CLIENT_SECRET_FILE", secret_file.as_deref().map(path)),
        ],
        SignIn::Unnamed => Vec::new(),
    }
}

/// A word of a shell or of an environment file of systemd: both take double quotes and a backslash alike.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.:@+=,-%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let escaped = text.chars().flat_map(|c| {
        let backslash = matches!(c, '"' | '\\' | '$' | '`').then_some('\\');
        backslash.into_iter().chain([c])
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
pub(super) fn example() -> Answers {
    Answers {
        config_file: "/etc/boxseat/boxseat.toml".into(),
        store: "/srv/box data/100%/s\"tore".into(),
        enterprise_id: Some("900000001".to_owned()),
        sign_in: SignIn::Client { id: Some("abc".to_owned()), secret_file: None },
        terms: Terms { seats_purchased: Some(80), notice_by: "2027-01-31".parse().ok(), ..Terms::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_has_the_named_terms_and_nothing_else() {
        let text = configuration(&example(), &[("api_url", "http://127.0.0.1:8808/2.0".to_owned())]);
        assert_eq!(
            text.strip_prefix(HEAD).unwrap(),
            "\n[[licence]]\nplan_id = \"enterprise\"\nseats_purchased = 80\nnotice_by = 2027-01-31\n\n[box]\napi_url = \"http://127.0.0.1:8808/2.0\"\n"
        );
        let bare = configuration(&Answers { terms: Terms::default(), ..example() }, &[]);
        assert!(bare.parse::<toml::Table>().unwrap().is_empty(), "{bare}");
    }

    #[test]
    fn environment_file_is_read_by_a_shell() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("env");
        std::fs::write(&file, environment(&example())).unwrap();
        let script = "set -a && . \"$1\" && printf '%s\\n' \"$BOXSEAT_STORE\" \"$BOXSEAT_CLIENT_ID\" \"${BOXSEAT_CLIENT_SECRET_FILE-unset}\"";
        let mut shell = std::process::Command::new("sh");
        let done = shell.args(["-c", script, "sh"]).arg(&file).env_clear().output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), "/srv/box data/100%/s\"tore\nabc\nunset\n");
    }
}
