//! Sign-in: the kinds of credentials, and one cached token for all tasks.
//!
//! Server tokens are valid for about an hour and have no refresh token (<https://developer.box.com/guides/authentication/tokens/>).
//! The lifetime is `expires_in`, not a constant. The token is renewed a fraction of its lifetime before the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use boxseat_schemas::box_api::OAuthError;
use boxseat_schemas::spool::{CallOutcome, TOKEN_ENDPOINT};

use super::limiter::Limiter;
use super::redact::Secrets;
use super::retry::{Step, Tries};
use super::transport::{Exchange, Transport};
use super::{CallJournal, CallNote};
use crate::Error;
use crate::ids::fingerprint;

/// How to sign in. Debug output masks the secrets.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A token from the developer console: valid for one hour, cannot be renewed.
    DeveloperToken(SecretString),
    /// Client credentials grant, acting as the app's service account.
    /// <https://developer.box.com/guides/authentication/client-credentials/>
    ClientCredentials {
        /// Client id of the app.
        client_id: String,
        /// Client secret of the app.
        client_secret: SecretString,
        /// The enterprise to sign in to.
        enterprise_id: String,
    },
}

/// Returns the current token, and renews it once for all callers.
pub(super) struct Authenticator {
    credentials: Credentials,
    token_url: Url,
    patience: Duration,
    current: Mutex<Option<Token>>,
    /// The generation after the newest token that Box has accepted; 0: none yet.
    taken: AtomicU64,
}

/// A token, and the number that distinguishes it from its successor.
#[derive(Clone)]
pub(super) struct Token {
    pub secret: SecretString,
    pub generation: u64,
    /// `None`: the token is used until Box responds with 401.
    renew_at: Option<Instant>,
    /// How often the token was used.
    uses: u32,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    /// As received: the number may be larger than any type.
    expires_in: Option<Box<RawValue>>,
}

impl Credentials {
    /// Identifies these credentials without revealing them, to know which credentials read the spool so far.
    pub fn fingerprint(&self) -> String {
        let text = match self {
            Self::DeveloperToken(token) => format!("token {}", token.expose_secret()),
            Self::ClientCredentials { client_id, enterprise_id, .. } => {
                format!("client {client_id} {enterprise_id}")
            }
        };
        format!("{:032x}", fingerprint(&text))
    }
}

impl Credentials {
    /// Registers the secret of the credentials, so that no message shows it.
    pub(super) fn hold(&self, secrets: &Secrets) {
        match self {
            Self::DeveloperToken(secret) | Self::ClientCredentials { client_secret: secret, .. } => {
                secrets.hold(secret);
            }
        }
    }
}

impl Authenticator {
    pub(super) fn new(credentials: Credentials, token_url: Url, patience: Duration) -> Self {
        Self { credentials, token_url, patience, current: Mutex::new(None), taken: AtomicU64::new(0) }
    }

    /// Records that Box accepted this token for a call.
    pub(super) fn was_taken(&self, token: &Token) {
        self.taken.fetch_max(token.generation + 1, Ordering::Relaxed);
    }

    /// Whether Box ever accepted this token. Then a 401 means that it has expired; otherwise it was never valid.
    pub(super) fn was_good(&self, token: &Token) -> bool {
        self.taken.load(Ordering::Relaxed) > token.generation
    }

    /// Returns the token to use. `stale` is a generation that Box has refused with 401.
    ///
    /// # Errors
    /// [`Error::SignIn`] if Box refuses the credentials, [`Error::GaveUp`] if it does not respond.
    pub(super) async fn token(
        &self,
        stale: Option<u64>,
        transport: &Transport,
        limiter: &Limiter,
        journal: &dyn CallJournal,
        stop: &CancellationToken,
    ) -> Result<Token, Error> {
        let mut current = self.current.lock().await;
        if let Some(token) = &mut *current {
            let is_due = token.renew_at.is_some_and(|at| at <= Instant::now()) && token.uses >= LEAST_USES;
            if !is_due && stale != Some(token.generation) {
                token.uses = token.uses.saturating_add(1);
                return Ok(token.clone());
            }
        }
        let generation = current.as_ref().map_or(0, |token| token.generation + 1);
        let token = match &self.credentials {
            Credentials::DeveloperToken(_) if generation > 0 => {
                return Err(Error::SignIn {
                    reason: "the developer token is expired or revoked; create a new one in the Box developer console (it is valid for one hour)".into(),
                });
            }
            Credentials::DeveloperToken(secret) => {
                Token { secret: secret.clone(), generation, renew_at: None, uses: 1 }
            }
            Credentials::ClientCredentials { client_id, client_secret, enterprise_id } => {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.as_str()),
                    ("client_secret", client_secret.expose_secret()),
                    ("box_subject_type", "enterprise"),
                    ("box_subject_id", enterprise_id.as_str()),
                ];
                self.request(&form, generation, transport, limiter, journal, stop).await?
            }
        };
        *current = Some(token.clone());
        Ok(token)
    }

    async fn request(
        &self,
        form: &[(&str, &str)],
        generation: u64,
        transport: &Transport,
        limiter: &Limiter,
        journal: &dyn CallJournal,
        stop: &CancellationToken,
    ) -> Result<Token, Error> {
        let mut tries =
            Tries::new(TOKEN_ENDPOINT, limiter, journal, stop, self.patience).redacting(transport.secrets());
        loop {
            tries.admit().await?;
            let asked_at = Instant::now();
            let exchange = match read_token(transport.post_form(self.token_url.clone(), form).await) {
                Ok(answer) => {
                    transport.secrets().hold(&answer.access_token);
                    journal.record(CallNote {
                        endpoint: TOKEN_ENDPOINT,
                        outcome: CallOutcome::Done,
                        waited_seconds: 0,
                    })?;
                    let renew_at = lifetime_secs(answer.expires_in.as_deref())
                        .and_then(|secs| asked_at.checked_add(lifetime(secs)));
                    return Ok(Token { secret: answer.access_token, generation, renew_at, uses: 1 });
                }
                Err(exchange) => exchange,
            };
            match tries.failed(exchange, asked_at).await? {
                Step::Again => {}
                Step::Fail(exchange) => return Err(Error::SignIn { reason: refusal(&exchange) }),
                // There is no token to renew here: a 401 means that Box does not know the client.
                Step::Renew => {
                    return Err(Error::SignIn {
                        reason: "status 401: the client id or secret is unknown to Box".into(),
                    });
                }
            }
        }
    }
}

/// Number of calls for which a token is used before it is renewed early. A 401 costs less than a token request for every call.
const LEAST_USES: u32 = 10;

/// `expires_in` as whole seconds. For anything that is not a positive whole number, the lifetime is unknown.
fn lifetime_secs(expires_in: Option<&RawValue>) -> Option<u64> {
    expires_in?.get().trim_matches('"').trim().parse().ok().filter(|secs| *secs > 0)
}

/// How long a token with a lifetime of `secs` seconds is used. It is renewed a tenth of the lifetime early, at most a minute. So a token
/// of five seconds works as well as one of an hour.
fn lifetime(secs: u64) -> Duration {
    let life = Duration::from_secs(secs);
    life - (life / 10).min(Duration::from_secs(60))
}

fn read_token(exchange: Exchange) -> Result<TokenAnswer, Exchange> {
    match exchange {
        Exchange::Reply(reply) if (200..300).contains(&reply.status) => {
            let answer: TokenAnswer = serde_json::from_slice(&reply.body)
                .map_err(|e| Exchange::Garbled(format!("no token in the response: {e}")))?;
            // The token becomes a header of every call.
            let is_usable =
                HeaderValue::from_str(answer.access_token.expose_secret()).is_ok_and(|v| !v.is_empty());
            is_usable.then_some(answer).ok_or_else(|| {
                Exchange::Garbled("the token in the response is empty or contains control characters".into())
            })
        }
        other => Err(other),
    }
}

/// Box's own text for a refusal. Box sends `invalid_grant` for every wrong setting, so the likely causes are appended.
fn refusal(exchange: &Exchange) -> String {
    let Exchange::Reply(reply) = exchange else { return exchange.to_string() };
    let body: OAuthError = serde_json::from_slice(&reply.body).unwrap_or_default();
    match (body.error, body.error_description) {
        (Some(error), Some(description)) => format!("{error}: {description}"),
        (Some(error), None) => error,
        _ => format!("status {}, {}", reply.status, reply.content_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::transport::Reply;

    /// Why: a lifetime beyond i64 caused a panic, and a lifetime of 0 caused a token request per call.
    #[test]
    fn implausible_lifetimes_are_unknown() {
        for (expires_in, secs) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("1", Some(1)),
            ("18446744073709551615", Some(u64::MAX)),
            ("10000000000000000000000", None),
            ("1e30", None),
            ("1e999", None),
            ("3599.5", None),
            ("0", None),
            ("0.001", None),
            ("-1", None),
            ("\"one hour\"", None),
            ("\"3599.5\"", None),
            ("null", None),
            ("[]", None),
            ("{}", None),
            ("true", None),
        ] {
            let body = format!("{{\"access_token\":\"t\",\"expires_in\":{expires_in}}}");
            let reply = Reply { status: 200, body: body.into(), ..Reply::default() };
            let answer = read_token(Exchange::Reply(reply)).unwrap_or_else(|e| panic!("{expires_in}: {e}"));
            assert_eq!(lifetime_secs(answer.expires_in.as_deref()), secs, "{expires_in}");
        }
        assert!(
            Instant::now().checked_add(lifetime(u64::MAX)).is_none(),
            "the lifetime is unknown and causes no panic"
        );
    }

    #[test]
    fn token_that_cannot_be_a_header_is_rejected() {
        for token in ["", "a\\nb"] {
            let body = format!("{{\"access_token\":\"{token}\"}}");
            let reply = Reply { status: 200, body: body.into(), ..Reply::default() };
            assert!(matches!(read_token(Exchange::Reply(reply)), Err(Exchange::Garbled(_))), "{token:?}");
        }
    }
}
