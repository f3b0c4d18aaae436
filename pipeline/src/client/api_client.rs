//! The parts that the reader and the actor share: pace, token, exchange, retries, the ledger, and the difference between Box's clock and
//! ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use boxseat_schemas::box_api::NotAPage;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::CallJournal;
use super::auth::{Authenticator, Credentials};
use super::limiter::Limiter;
use super::redact::Secrets;
use super::retry::{Repeat, RetryBudget, Step, Tries};
use super::transport::{ClientSettings, Exchange, Reply, Transport, system_seconds};
use super::user_fields::UserFields;
use crate::{Clock, Error};

/// The connection of one account to Box.
pub(super) struct ApiClient {
    pub(super) transport: Transport,
    pub(super) limiter: Arc<Limiter>,
    pub(super) settings: ClientSettings,
    pub(super) journal: Arc<dyn CallJournal>,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    /// Shared by the reader and the actor of a process.
    pub(super) user_fields: Arc<UserFields>,
    auth: Authenticator,
    calls: AtomicU64,
    opened_at: Instant,
    /// When Box last returned the requested data, in milliseconds after `opened_at`; [`NEVER`] before the first response.
    answered_at: AtomicU64,
    /// Box's `Date` minus our time in seconds, [`i64::MIN`] before the first response.
    skew_secs: AtomicI64,
}

#[derive(Clone, Copy)]
pub(super) struct CallOptions {
    /// Name of the endpoint in the ledger.
    pub(super) endpoint: &'static str,
    /// Time limit over all attempts.
    pub(super) patience: RetryBudget,
    /// What happens if it is unknown whether the call took effect.
    pub(super) repeat: Repeat,
}

/// The meaning of a response for the caller.
pub(super) enum Judged<T> {
    /// The requested data.
    Good(T),
    /// A success status with a body that cannot be read. The text has the reason.
    Garbled(String),
    /// A response that is not from Box, or an error with a success status. It is a fault of the connection and counts as no response.
    /// The text has the reason.
    NoAnswer(String),
    /// A failure. [`Tries`] decides how to continue.
    Failed,
}

impl<T> Judged<T> {
    /// A body with a success status that is not the requested data.
    pub(super) fn unusable(reply: &Reply, why: &NotAPage) -> Self {
        let content_type = &reply.content_type;
        match why {
            NotAPage::Unreadable(e) => {
                Self::Garbled(format!("the body ({content_type}) cannot be read: {e}"))
            }
            NotAPage::OtherObject(what) => Self::NoAnswer(format!(
                "status {}, but the body is not what was requested: {what}",
                reply.status
            )),
        }
    }

    /// A refusal that a gateway wrote. A gateway knows nothing about users and groups.
    pub(super) fn not_of_box(reply: &Reply) -> Self {
        let Reply { status, content_type, .. } = reply;
        Self::NoAnswer(format!("status {status}, but the body ({content_type}) is not an error of Box"))
    }
}

impl ApiClient {
    /// A connection; nothing is sent yet.
    pub(super) fn new(
        settings: &ClientSettings,
        credentials: Credentials,
        limiter: Arc<Limiter>,
        journal: Arc<dyn CallJournal>,
        clock: Clock,
        stop: CancellationToken,
        secrets: Secrets,
    ) -> Result<Self, Error> {
        credentials.hold(&secrets);
        Ok(Self {
            transport: Transport::new(settings, settings.timeouts, stop.clone(), secrets)?,
            limiter,
            auth: Authenticator::new(credentials, settings.token_url.clone(), settings.patience),
            settings: settings.clone(),
            journal,
            clock,
            calls: AtomicU64::new(0),
            opened_at: Instant::now(),
            answered_at: AtomicU64::new(NEVER),
            stop,
            user_fields: Arc::default(),
            skew_secs: AtomicI64::new(i64::MIN),
        })
    }

    /// The URL of a path below the API's base URL.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.settings.api_url.clone();
        url.path_segments_mut().expect("the settings have an http address").pop_if_empty().extend(segments);
        url
    }

    /// Makes a call, with as many attempts as its options allow. An inner `Err` is a failure that no further attempt can repair.
    ///
    /// # Errors
    /// As [`Tries::failed`], and the errors of signing in.
    pub(super) async fn call<T>(
        &self,
        options: CallOptions,
        transport: &Transport,
        build: &(dyn Fn(&reqwest::Client) -> reqwest::RequestBuilder + Sync),
        judge: &(dyn Fn(&Reply) -> Judged<T> + Sync),
    ) -> Result<Result<T, Exchange>, Error> {
        let CallOptions { endpoint, patience, repeat } = options;
        let mut tries =
            Tries::new(endpoint, &self.limiter, &*self.journal, &self.stop, patience).repeating(repeat);
        tries = tries.redacting(self.transport.secrets());
        let mut stale = None;
        loop {
            // The token is requested after the wait for the pace: a short-lived token must not expire in the queue.
            tries.admit().await?;
            let token =
                self.auth.token(stale, &self.transport, &self.limiter, &*self.journal, &self.stop).await?;
            let asked_at = Instant::now();
            let exchange = transport.authorised(build, &token.secret).await;
            self.calls.fetch_add(1, Ordering::Relaxed);
            if let Exchange::Reply(Reply { date: Some(date), .. }) = &exchange {
                self.skew_secs.store(date.saturating_sub(system_seconds()), Ordering::Relaxed);
            }
            match &exchange {
                // Many calls may see the same expired token, and more calls may start before they have repeated theirs.
                Exchange::Reply(reply) if reply.status == 401 && self.auth.was_good(&token) => {
                    tries.token_was_good();
                }
                Exchange::Reply(reply) if reply.status != 401 => self.auth.was_taken(&token),
                _ => {}
            }
            let exchange = match exchange {
                Exchange::Reply(reply) => match judge(&reply) {
                    Judged::Good(good) => {
                        self.answered_at.store(milliseconds(self.opened_at.elapsed()), Ordering::Relaxed);
                        return Ok(Ok(good));
                    }
                    Judged::Garbled(reason) => Exchange::Garbled(reason),
                    Judged::NoAnswer(reason) => Exchange::NoAnswer(reason),
                    Judged::Failed => Exchange::Reply(reply),
                },
                other => other,
            };
            match tries.failed(exchange, asked_at).await? {
                Step::Again => {}
                Step::Renew => stale = Some(token.generation),
                Step::Fail(exchange) => return Ok(Err(exchange)),
            }
        }
    }

    /// Number of calls, without token requests.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Time since Box last returned the requested data; `None` if it never did.
    pub(super) fn since_last_answer(&self) -> Option<Duration> {
        let at = Some(self.answered_at.load(Ordering::Relaxed)).filter(|at| *at != NEVER)?;
        Some(self.opened_at.elapsed().saturating_sub(Duration::from_millis(at)))
    }

    /// Seconds by which Box's clock is ahead of this machine's clock; `None` before the first response with a date.
    pub(super) fn skew_secs(&self) -> Option<i64> {
        Some(self.skew_secs.load(Ordering::Relaxed)).filter(|skew| *skew != i64::MIN)
    }
}

const NEVER: u64 = u64::MAX;

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER - 1)
}
