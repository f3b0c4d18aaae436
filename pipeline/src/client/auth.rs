//! Sign-in: the kinds of credentials, and one cached token for all tasks.
//!
//! Server tokens are valid for about an hour and have no refresh token (<https://developer.box.com/guides/authentication/tokens/>).
//! The lifetime is `expires_in`, not a constant. The token is renewed a fraction of its lifetime before the end.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
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

use super::jwt::{JwtApplication, JwtRefusal};
use super::limiter::Limiter;
use super::redact::Secrets;
use super::retry::{Step, Tries};
use super::transport::{Exchange, Reply, Transport, system_seconds};
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
    /// An application with a key pair. <https://developer.box.com/guides/authentication/jwt/>
    Jwt(JwtApplication),
}

/// The part of the sign-in that Box refused. It tells the operator which step to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInFault {
    /// Box does not state the part: a developer token, or client credentials.
    Unspecified,
    /// An assertion of an application that signs in with JWT.
    Jwt(JwtRefusal),
}

/// Returns the current token, and renews it once for all callers.
pub(super) struct Authenticator {
    credentials: Credentials,
    token_url: Url,
    patience: Duration,
    current: Mutex<Option<Token>>,
    /// One more than the generation of the newest token that Box accepted; 0 if Box has accepted none.
    taken: AtomicU64,
    /// Box's time minus ours in seconds, for assertions. It stays 0 until Box refuses the time of an assertion.
    clock_offset_secs: AtomicI64,
}

/// A token and its generation number.
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
    /// Raw JSON, because the number may not fit into any integer type.
    expires_in: Option<Box<RawValue>>,
}

impl Credentials {
    /// Identifies these credentials without revealing them. A resumed run compares it with the one in the spool.
    pub fn fingerprint(&self) -> String {
        let text = match self {
            Self::DeveloperToken(token) => format!("token {}", token.expose_secret()),
            Self::ClientCredentials { client_id, enterprise_id, .. } => {
                format!("client {client_id} {enterprise_id}")
            }
            Self::Jwt(application) => format!("jwt {} {}", application.client_id(), application.subject()),
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
            Self::Jwt(application) => secrets.hold(application.client_secret()),
        }
    }

    /// The form of a token request at `now`, Box's time in Unix seconds. With a key pair, a form can be sent only once.
    ///
    /// # Errors
    /// [`Error::SignIn`]: a developer token cannot be renewed, or the assertion cannot be signed.
    fn form(&self, now: i64) -> Result<Form<'_>, Error> {
        let failed =
            |reason: &str| Error::SignIn { reason: reason.to_owned(), fault: SignInFault::Unspecified };
        match self {
            Self::DeveloperToken(_) => Err(failed(
                "the developer token is expired or revoked; create a new one in the Box developer console (it is valid for one hour)",
            )),
            Self::ClientCredentials { client_id, client_secret, enterprise_id } => Ok(Form {
                fields: vec![
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.expose_secret()),
                    ("box_subject_type", "enterprise"),
                    ("box_subject_id", enterprise_id),
                ],
                assertion: None,
            }),
            Self::Jwt(application) => Ok(Form {
                fields: vec![
                    ("grant_type", JWT_GRANT),
                    ("client_id", application.client_id()),
                    ("client_secret", application.client_secret().expose_secret()),
                ],
                assertion: Some(application.assertion(now).map_err(failed)?),
            }),
        }
    }

    /// The error of a refused sign-in: Box's own text and the refused part.
    fn refusal(&self, exchange: &Exchange) -> Error {
        let Exchange::Reply(reply) = exchange else {
            return Error::SignIn { reason: exchange.to_string(), fault: SignInFault::Unspecified };
        };
        let body: OAuthError = serde_json::from_slice(&reply.body).unwrap_or_default();
        let fault = match self {
            Self::Jwt(_) => SignInFault::Jwt(jwt_refusal(reply)),
            Self::DeveloperToken(_) | Self::ClientCredentials { .. } => SignInFault::Unspecified,
        };
        let reason = match (body.error, body.error_description) {
            (Some(error), Some(description)) => format!("{error}: {description}"),
            (Some(error), None) => error,
            _ if reply.status == 401 => "status 401: the client id or secret is unknown to Box".to_owned(),
            _ => format!("status {}, {}", reply.status, reply.content_type),
        };
        Error::SignIn { reason, fault }
    }
}

/// The fields of a token request.
struct Form<'a> {
    fields: Vec<(&'static str, &'a str)>,
    assertion: Option<SecretString>,
}

impl Form<'_> {
    fn pairs(&self) -> Vec<(&str, &str)> {
        let assertion = self.assertion.as_ref().map(|assertion| ("assertion", assertion.expose_secret()));
        self.fields.iter().copied().chain(assertion).collect()
    }
}

/// <https://www.rfc-editor.org/rfc/rfc7523#section-2.1>
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl Authenticator {
    pub(super) fn new(credentials: Credentials, token_url: Url, patience: Duration) -> Self {
        Self {
            credentials,
            token_url,
            patience,
            current: Mutex::new(None),
            taken: AtomicU64::new(0),
            clock_offset_secs: AtomicI64::new(0),
        }
    }

    /// Records that Box accepted this token for a call.
    pub(super) fn was_taken(&self, token: &Token) {
        self.taken.fetch_max(token.generation + 1, Ordering::Relaxed);
    }

    /// Whether Box ever accepted this token. If so, a 401 means that the token has expired; otherwise the token was never valid.
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
            Credentials::DeveloperToken(secret) if generation == 0 => {
                Token { secret: secret.clone(), generation, renew_at: None, uses: 1 }
            }
            _ => self.request(generation, transport, limiter, journal, stop).await?,
        };
        *current = Some(token.clone());
        Ok(token)
    }

    async fn request(
        &self,
        generation: u64,
        transport: &Transport,
        limiter: &Limiter,
        journal: &dyn CallJournal,
        stop: &CancellationToken,
    ) -> Result<Token, Error> {
        let mut tries =
            Tries::new(TOKEN_ENDPOINT, limiter, journal, stop, self.patience).redacting(transport.secrets());
        let mut is_signed_again = false;
        loop {
            tries.admit().await?;
            // The assertion is signed after the wait for the pace: it must not expire in the queue.
            let form = self.credentials.form(self.box_seconds())?;
            if let Some(assertion) = &form.assertion {
                transport.secrets().hold(assertion);
            }
            let asked_at = Instant::now();
            let sent = transport.post_form(self.token_url.clone(), &form.pairs()).await;
            let exchange = match read_token(sent) {
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
            if !is_signed_again && self.corrects_clock(&exchange) {
                is_signed_again = true;
                journal.record(CallNote {
                    endpoint: TOKEN_ENDPOINT,
                    outcome: CallOutcome::Retried,
                    waited_seconds: 0,
                })?;
                continue;
            }
            match tries.failed(exchange, asked_at).await? {
                Step::Again => {}
                Step::Fail(exchange) => return Err(self.credentials.refusal(&exchange)),
                // There is no token to renew here: a 401 means that Box does not know the client.
                Step::Renew => {
                    let reply = Reply { status: 401, ..Reply::default() };
                    return Err(self.credentials.refusal(&Exchange::Reply(reply)));
                }
            }
        }
    }

    /// Box's time in Unix seconds. The difference to the system clock is 0 until Box has refused the time of an assertion.
    fn box_seconds(&self) -> i64 {
        system_seconds().saturating_add(self.clock_offset_secs.load(Ordering::Relaxed))
    }

    /// Returns whether Box refused the time or the `jti` of an assertion and stated its own time. If so, stores the difference: the next
    /// assertion uses Box's time, as in Box's SDKs.
    fn corrects_clock(&self, exchange: &Exchange) -> bool {
        let (Credentials::Jwt(_), Exchange::Reply(reply @ Reply { status: 400, date: Some(date), .. })) =
            (&self.credentials, exchange)
        else {
            return false;
        };
        let refusal = jwt_refusal(reply);
        if !refusal.is_repaired_by_a_new_assertion() {
            return false;
        }
        let offset_secs = date.saturating_sub(system_seconds());
        tracing::debug!(?refusal, offset_secs, "signing again with the time of Box");
        self.clock_offset_secs.store(offset_secs, Ordering::Relaxed);
        true
    }
}

fn jwt_refusal(reply: &Reply) -> JwtRefusal {
    let body: OAuthError = serde_json::from_slice(&reply.body).unwrap_or_default();
    let (error, description) = (body.error.unwrap_or_default(), body.error_description.unwrap_or_default());
    JwtRefusal::of(reply.status, &error, &description)
}

/// Minimum number of calls with a token before it is renewed early. A 401 costs less than a token request for every call.
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
            // The token is sent as a header of every call.
            let is_usable =
                HeaderValue::from_str(answer.access_token.expose_secret()).is_ok_and(|v| !v.is_empty());
            is_usable.then_some(answer).ok_or_else(|| {
                Exchange::Garbled("the token in the response is empty or contains control characters".into())
            })
        }
        other => Err(other),
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
