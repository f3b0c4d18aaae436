//! Signing in: which credentials there are, and one cached token for all tasks.
//!
//! Server tokens live about an hour and have no refresh token (<https://developer.box.com/guides/authentication/tokens/>);
//! `expires_in` is trusted, not a constant, and the token is renewed a fraction of its life early.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use boxseat_schemas::box_api::{OAuthError, lenient};
use boxseat_schemas::spool::{CallOutcome, TOKEN_ENDPOINT};

use super::limiter::Limiter;
use super::retry::{Step, Tries};
use super::transport::{Exchange, Transport};
use super::{CallJournal, CallNote};
use crate::Error;
use crate::ids::fingerprint;

/// How to sign in. Secrets are masked in every print.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A token from the developer console: one hour, cannot be renewed.
    DeveloperToken(SecretString),
    /// Client credentials grant, acting as the app's service account.
    /// <https://developer.box.com/guides/authentication/client-credentials/>
    ClientCredentials {
        /// The app's client id.
        client_id: String,
        /// The app's client secret.
        client_secret: SecretString,
        /// The enterprise to sign in to.
        enterprise_id: String,
    },
}

/// Hands out the current token and renews it once for everybody.
pub(super) struct Authenticator {
    credentials: Credentials,
    token_url: Url,
    patience: Duration,
    current: Mutex<Option<Token>>,
    /// The generation after the newest that Box is known to have taken; 0: none yet.
    taken: AtomicU64,
}

/// A token, and the number that tells a stale one from its successor.
#[derive(Clone)]
pub(super) struct Token {
    pub secret: SecretString,
    pub generation: u64,
    renew_at: Option<Instant>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    #[serde(default, deserialize_with = "lenient::whole")]
    expires_in: Option<i64>,
}

impl Credentials {
    /// Tells these credentials from others without saying them: who signed in read the spool so far.
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

impl Authenticator {
    pub(super) fn new(credentials: Credentials, token_url: Url, patience: Duration) -> Self {
        Self { credentials, token_url, patience, current: Mutex::new(None), taken: AtomicU64::new(0) }
    }

    /// Box took this token for some call.
    pub(super) fn was_taken(&self, token: &Token) {
        self.taken.fetch_max(token.generation + 1, Ordering::Relaxed);
    }

    /// Whether Box ever took this token: then a 401 says that it has expired, and else that it was never any good.
    pub(super) fn was_good(&self, token: &Token) -> bool {
        self.taken.load(Ordering::Relaxed) > token.generation
    }

    /// The token to use; `stale` names a generation Box just refused with 401.
    ///
    /// # Errors
    /// [`Error::SignIn`] when Box refuses the credentials, [`Error::GaveUp`] when it does not answer.
    pub(super) async fn token(
        &self,
        stale: Option<u64>,
        transport: &Transport,
        limiter: &Limiter,
        journal: &dyn CallJournal,
        stop: &CancellationToken,
    ) -> Result<Token, Error> {
        let mut current = self.current.lock().await;
        if let Some(token) = &*current {
            let expired = token.renew_at.is_some_and(|at| at <= Instant::now());
            if !expired && stale != Some(token.generation) {
                return Ok(token.clone());
            }
        }
        let generation = current.as_ref().map_or(0, |token| token.generation + 1);
        let token = match &self.credentials {
            Credentials::DeveloperToken(_) if generation > 0 => {
                return Err(Error::SignIn {
                    reason: "the developer token is expired or revoked; a new one is in the Box developer console, and lives one hour".into(),
                });
            }
            Credentials::DeveloperToken(secret) => {
                Token { secret: secret.clone(), generation, renew_at: None }
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
        let mut tries = Tries::new(TOKEN_ENDPOINT, limiter, journal, stop, self.patience);
        loop {
            tries.admit().await?;
            let asked_at = Instant::now();
            let exchange = match read_token(transport.post_form(self.token_url.clone(), form).await) {
                Ok(answer) => {
                    journal.record(CallNote {
                        endpoint: TOKEN_ENDPOINT,
                        outcome: CallOutcome::Done,
                        waited_seconds: 0,
                    })?;
                    let renew_at = answer
                        .expires_in
                        .and_then(|secs| u64::try_from(secs).ok())
                        .map(|secs| asked_at + lifetime(secs));
                    return Ok(Token { secret: answer.access_token, generation, renew_at });
                }
                Err(exchange) => exchange,
            };
            match tries.failed(exchange, asked_at).await? {
                Step::Again => {}
                Step::Fail(exchange) => return Err(Error::SignIn { reason: refusal(&exchange) }),
                // There is no token to renew here: a 401 says that the client itself is unknown.
                Step::Renew => {
                    return Err(Error::SignIn {
                        reason: "status 401: the client id or secret is unknown to Box".into(),
                    });
                }
            }
        }
    }
}

/// The use made of a life of `secs` seconds: all but a tenth, and never more than a minute early, so that a token of five
/// seconds works as well as one of an hour.
fn lifetime(secs: u64) -> Duration {
    let life = Duration::from_secs(secs);
    life - (life / 10).min(Duration::from_secs(60))
}

fn read_token(exchange: Exchange) -> Result<TokenAnswer, Exchange> {
    match exchange {
        Exchange::Reply(reply) if (200..300).contains(&reply.status) => serde_json::from_slice(&reply.body)
            .map_err(|e| Exchange::Garbled(format!("no token in the answer: {e}"))),
        other => Err(other),
    }
}

/// Box's own words for a refusal; every wrong setting collapses into `invalid_grant`, so the likely causes follow.
fn refusal(exchange: &Exchange) -> String {
    let Exchange::Reply(reply) = exchange else { return exchange.to_string() };
    let body: OAuthError = serde_json::from_slice(&reply.body).unwrap_or_default();
    match (body.error, body.error_description) {
        (Some(error), Some(description)) => format!("{error}: {description}"),
        (Some(error), None) => error,
        _ => format!("status {}, {}", reply.status, reply.content_type),
    }
}
