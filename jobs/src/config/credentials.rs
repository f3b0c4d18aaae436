//! How to sign in: from the environment, or from files the environment names; never from flags, which `ps` shows.

use boxseat_pipeline::client::Credentials;
use secrecy::SecretString;

use super::variable;
use crate::error::CommandError;

/// The reading credentials.
///
/// # Errors
/// None, several kinds at once, or a kind that is incomplete: exit 2, naming what is missing.
pub(crate) fn credentials() -> Result<Credentials, CommandError> {
    let token = secret("BOXSEAT_TOKEN")?;
    let client = [variable("BOXSEAT_CLIENT_ID"), variable("BOXSEAT_ENTERPRISE_ID")];
    let client_secret = secret("BOXSEAT_CLIENT_SECRET")?;
    if variable("BOXSEAT_JWT_CONFIG").is_some() {
        return Err(CommandError::usage("signing in with a JWT configuration (BOXSEAT_JWT_CONFIG) comes later")
            .hint("until then use client credentials: BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET, BOXSEAT_ENTERPRISE_ID"));
    }
    let any_client = client.iter().any(Option::is_some) || client_secret.is_some();
    match (token, any_client) {
        (Some(_), true) => Err(CommandError::usage("both a developer token and client credentials are set")
            .hint("unset BOXSEAT_TOKEN for the nightly job; a developer token lives one hour")),
        (Some(token), false) => Ok(Credentials::DeveloperToken(token)),
        (None, false) => Err(CommandError::usage("no credentials are set")
            .hint("set BOXSEAT_CLIENT_ID, BOXSEAT_CLIENT_SECRET and BOXSEAT_ENTERPRISE_ID, or BOXSEAT_TOKEN for a first try")
            .hint("to try it without Box: boxseat demo")),
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

/// The acting credentials: an application of its own with the right to change people, or the reading ones (R22).
///
/// # Errors
/// Incomplete ones: exit 2, naming what is missing.
pub(crate) fn actions_credentials(reading: &Credentials) -> Result<Credentials, CommandError> {
    let client_id = variable("BOXSEAT_ACTIONS_CLIENT_ID");
    let client_secret = secret("BOXSEAT_ACTIONS_CLIENT_SECRET")?;
    let enterprise_id = match reading {
        Credentials::ClientCredentials { enterprise_id, .. } => Some(enterprise_id.clone()),
        Credentials::DeveloperToken(_) => variable("BOXSEAT_ENTERPRISE_ID"),
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

/// Whether acting has credentials of its own.
pub(crate) fn has_actions_credentials() -> bool {
    variable("BOXSEAT_ACTIONS_CLIENT_ID").is_some()
}

/// `NAME`, or the content of the file that `NAME_FILE` names.
fn secret(name: &str) -> Result<Option<SecretString>, CommandError> {
    let file = format!("{name}_FILE");
    match (variable(name), variable(&file)) {
        (Some(_), Some(_)) => {
            Err(CommandError::usage(format!("both {name} and {file} are set; one is enough")))
        }
        (Some(value), None) => Ok(Some(SecretString::from(value))),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path).map_err(|e| {
                CommandError::usage(format!("cannot read {path}, which {file} names")).because(e)
            })?;
            Ok(Some(SecretString::from(text.trim_end())))
        }
        (None, None) => Ok(None),
    }
}
