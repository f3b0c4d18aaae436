//! Credentials, from the environment or from files that the environment names. Never from flags, because `ps` shows them.

use std::path::PathBuf;

use boxseat_pipeline::client::Credentials;
use secrecy::SecretString;

use super::{variable, variable_os};
use crate::error::CommandError;

/// Whether any of the reading credentials is set.
pub(crate) fn has_credentials() -> bool {
    ["TOKEN", "TOKEN_FILE", "CLIENT_ID", "CLIENT_SECRET", "CLIENT_SECRET_FILE", "ENTERPRISE_ID", "JWT_CONFIG"]
        .iter()
        .any(|name| variable(&format!("BOXSEAT_{name}")).is_some())
}

/// The reading credentials.
///
/// # Errors
/// Exit 2, naming the variable: no credentials, several kinds at once, an incomplete kind, or an invalid value.
pub(crate) fn credentials() -> Result<Credentials, CommandError> {
    let token = secret("BOXSEAT_TOKEN")?;
    let client = [value("BOXSEAT_CLIENT_ID")?, value("BOXSEAT_ENTERPRISE_ID")?];
    let client_secret = secret("BOXSEAT_CLIENT_SECRET")?;
    if variable("BOXSEAT_JWT_CONFIG").is_some() {
        return Err(CommandError::usage(
            "signing in with a JWT configuration (BOXSEAT_JWT_CONFIG) is not supported yet",
        )
        .hint("use client credentials: BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET, BOXSEAT_ENTERPRISE_ID"));
    }
    let any_client = client.iter().any(Option::is_some) || client_secret.is_some();
    match (token, any_client) {
        (Some(_), true) => Err(CommandError::usage("both a developer token and client credentials are set")
            .hint("unset BOXSEAT_TOKEN for the nightly job; a developer token is valid for one hour")),
        (Some(token), false) => Ok(Credentials::DeveloperToken(token)),
        (None, false) => Err(CommandError::usage("no credentials are set")
            .hint("set BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET and BOXSEAT_ENTERPRISE_ID, or BOXSEAT_TOKEN for a first try")
            .hint("to try boxseat without Box: boxseat demo")),
        (None, true) => {
            let [client_id, enterprise_id] = client;
            match (client_id, client_secret, enterprise_id) {
                (Some(client_id), Some(client_secret), Some(enterprise_id)) => {
                    Ok(Credentials::ClientCredentials { client_id, client_secret, enterprise_id })
                }
                (client_id, client_secret, enterprise_id) => {
                    let missing: Vec<&str> = [
                        ("BOXSEAT_CLIENT_ID", client_id.is_none()),
                        ("BOXSEAT_CLIENT_SECRET", client_secret.is_none()),
                        ("BOXSEAT_ENTERPRISE_ID", enterprise_id.is_none()),
                    ]
                    .into_iter()
                    .filter_map(|(name, missing)| missing.then_some(name))
                    .collect();
                    Err(CommandError::usage(format!("client credentials are incomplete: {} is not set", missing.join(" and "))))
                }
            }
        }
    }
}

/// The acting credentials: a separate application that may change users, or the reading credentials (R22).
///
/// # Errors
/// Exit 2 for incomplete credentials, naming what is missing.
pub(crate) fn actions_credentials(reading: &Credentials) -> Result<Credentials, CommandError> {
    let client_id = value("BOXSEAT_ACTIONS_CLIENT_ID")?;
    let client_secret = secret("BOXSEAT_ACTIONS_CLIENT_SECRET")?;
    let enterprise_id = match reading {
        Credentials::ClientCredentials { enterprise_id, .. } => Some(enterprise_id.clone()),
        Credentials::DeveloperToken(_) => value("BOXSEAT_ENTERPRISE_ID")?,
    };
    let missing = |name: &str| {
        Err(CommandError::usage(format!("the acting credentials are incomplete: {name} is not set")))
    };
    match (client_id, client_secret, enterprise_id) {
        (None, None, _) => Ok(reading.clone()),
        (None, Some(_), _) => missing("BOXSEAT_ACTIONS_CLIENT_ID"),
        (Some(_), None, _) => missing("BOXSEAT_ACTIONS_CLIENT_SECRET"),
        (Some(_), Some(_), None) => missing("BOXSEAT_ENTERPRISE_ID"),
        (Some(client_id), Some(client_secret), Some(enterprise_id)) => {
            Ok(Credentials::ClientCredentials { client_id, client_secret, enterprise_id })
        }
    }
}

/// Whether separate acting credentials are set.
pub(crate) fn has_actions_credentials() -> bool {
    variable("BOXSEAT_ACTIONS_CLIENT_ID").is_some()
}

/// `NAME`, or the content of the file that `NAME_FILE` names.
fn secret(name: &str) -> Result<Option<SecretString>, CommandError> {
    let file = format!("{name}_FILE");
    match (value(name)?, variable_os(&file).map(PathBuf::from)) {
        (Some(_), Some(_)) => {
            Err(CommandError::usage(format!("both {name} and {file} are set; one is enough")))
        }
        (Some(value), None) => Ok(Some(SecretString::from(value))),
        (None, Some(path)) => {
            let place = format!("{}, which {file} names", path.display());
            let bytes = std::fs::read(&path)
                .map_err(|e| CommandError::usage(format!("cannot read {place}")).because(e))?;
            clean(&format!("the content of {place},"), &bytes).map(|value| Some(SecretString::from(value)))
        }
        (None, None) => Ok(None),
    }
}

/// A credential from a variable.
fn value(name: &str) -> Result<Option<String>, CommandError> {
    variable_os(name).map(|value| clean(name, value.as_encoded_bytes())).transpose()
}

/// Trims the line end, the blanks and the byte order mark that editors and env files add to a credential. `place` is its source,
/// for messages; the value is never printed.
fn clean(place: &str, value: &[u8]) -> Result<String, CommandError> {
    let refused = |reason: &str, hint: &str| {
        Err(CommandError::usage(format!("{place} cannot be a credential: {reason}")).hint(hint))
    };
    let Ok(text) = std::str::from_utf8(value) else {
        return refused("it is not UTF-8 text", "save it as plain text; PowerShell's > writes UTF-16");
    };
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}');
    if text.is_empty() {
        return refused("it is empty", "set it to what the Box developer console shows, or unset it");
    }
    if text.starts_with(is_quote) || text.ends_with(is_quote) {
        return refused(
            "it is in quotes",
            "remove the quotes: docker and other readers of env files keep them",
        );
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refused(
            "it contains a blank, a control character or a character that is not ASCII",
            "copy it again from the Box developer console",
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_line_ends_around_a_credential_are_trimmed() {
        for value in ["sec", "sec\n", "sec\r\n", " \tsec ", "\u{feff}sec\r\n", "sec\r", "\u{a0}sec", "s'e\"c"]
        {
            let expected = if value.contains('e') && value.contains('\'') { value } else { "sec" };
            assert_eq!(clean("X", value.as_bytes()).unwrap(), expected, "{value:?}");
        }
    }

    /// Why: a line feed in a token was retried as a network fault for 14 minutes.
    #[test]
    fn invalid_credential_is_refused_and_not_printed() {
        let utf16: Vec<u8> = "\u{feff}s3cret\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let texts = [
            "",
            " \r\n",
            "\"s3cret\"",
            "'s3cret'",
            "“s3cret”",
            "s3cret\"",
            "s3\ncret",
            "s3\0cret",
            "s3cret ä",
            "s3 cret",
        ];
        for value in texts.iter().map(|text| text.as_bytes()).chain([utf16.as_slice(), b"s3cret\xff"]) {
            let error = clean("BOXSEAT_CLIENT_SECRET", value).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let messages = [error.lines(), error.hints().to_vec()].concat().join("\n");
            assert!(messages.contains("BOXSEAT_CLIENT_SECRET"), "{messages}");
            assert!(!messages.contains("s3"), "{messages}");
        }
    }
}
