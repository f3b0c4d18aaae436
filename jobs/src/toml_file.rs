//! Values and errors of the TOML files that an operator writes: the configuration and the policy.

use chrono::NaiveDate;
use serde::Deserialize;
use toml::Value;

use crate::error::CommandError;

/// A TOML date, or the same as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Date(pub(crate) NaiveDate);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(d)? {
            Value::String(text) => text,
            Value::Datetime(date) => date.to_string(),
            other => {
                return Err(serde::de::Error::custom(format!("{other} is not a date such as 2026-03-31")));
            }
        };
        text.parse()
            .map(Date)
            .map_err(|_| serde::de::Error::custom(format!("{text:?} is not a date such as 2026-03-31")))
    }
}

/// Adds the most similar key to the error of an unknown key.
pub(crate) fn explain(name: &str, error: toml::de::Error) -> CommandError {
    let message = error.message().to_owned();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let command = CommandError::usage(format!("{name} is not valid")).because(error);
    let Some((unknown, known)) = quoted.split_first().filter(|_| message.starts_with("unknown field")) else {
        return command;
    };
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)));
    match nearest {
        Some(nearest) => command.hint(format!("there is no key `{unknown}`; the nearest one is `{nearest}`")),
        None => command,
    }
}
