//! The reading calls of `sync`, one method each.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use url::Url;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use boxseat_schemas::box_api::{ApiError, GROUP_FIELDS, USER_FIELDS};
use boxseat_schemas::spool::Request;

use super::CallJournal;
use super::auth::{Authenticator, Credentials};
use super::limiter::Limiter;
use super::retry::{Patience, Step, Tries};
use super::transport::{ClientSettings, Exchange, Reply, Transport};
use crate::{Clock, Error};

use crate::paginate::Summary;

/// Page size of users, groups and memberships: the maximum of the spec.
pub const PAGE_LIMIT: u64 = 1000;
/// Page size of events: the maximum of the spec; leaving it out costs five times the calls.
const EVENT_LIMIT: u64 = 500;
/// How long one person who vanished from the listing may keep a night waiting: without an answer he stays unconfirmed.
const PATIENCE_FOR_ONE: Duration = Duration::from_secs(30);

/// Reads a Box enterprise. Cheap to clone; all clones share token, pace and ledger.
#[derive(Clone)]
pub struct BoxReader {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    limiter: Limiter,
    auth: Authenticator,
    api_url: Url,
    patience: Duration,
    journal: Arc<dyn CallJournal>,
    clock: Clock,
    calls: AtomicU64,
    stop: CancellationToken,
    /// Box's `Date` minus ours in seconds, [`i64::MIN`] before the first answer.
    skew_secs: AtomicI64,
}

/// Which part of the admin log to read.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Oldest moment asked for.
    pub created_after: DateTime<Utc>,
    /// Newest moment asked for.
    pub created_before: DateTime<Utc>,
    /// Event types asked for.
    pub event_types: Vec<String>,
}

/// An answer worth keeping.
#[derive(Debug)]
pub struct Answer {
    /// The body as Box sent it, decompressed.
    pub body: Bytes,
    /// 200; where one user or group is asked about, also 404 (vanished since it was listed) and 403 (not ours to read).
    pub status: u16,
    /// When the answer was complete, by the data clock.
    pub received_at: DateTime<Utc>,
    /// What paging needs to know of the body.
    pub summary: Summary,
}

impl BoxReader {
    /// A reader; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Address`] when TLS cannot be set up.
    pub fn new(
        settings: &ClientSettings,
        credentials: Credentials,
        journal: Arc<dyn CallJournal>,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        // Its own token, so that a run that fails can end what is in flight without being asked to stop.
        let stop = stop.child_token();
        Ok(Self {
            shared: Arc::new(Shared {
                transport: Transport::new(settings.timeouts, stop.clone())?,
                limiter: Limiter::new(settings.calls_per_minute),
                auth: Authenticator::new(credentials, settings.token_url.clone(), settings.patience),
                api_url: settings.api_url.clone(),
                patience: settings.patience,
                journal,
                clock,
                calls: AtomicU64::new(0),
                stop,
                skew_secs: AtomicI64::new(i64::MIN),
            }),
        })
    }

    /// Nothing more is wanted: waits end at once, exchanges in flight within their grace, and nothing new is asked.
    pub fn wind_down(&self) {
        self.shared.stop.cancel();
    }

    /// Asks one question, retries included. `events` belongs to [`Request::Events`] and is ignored elsewhere.
    ///
    /// A 404 is an answer where the user or group may have vanished since it was listed, a 403 where it alone may be closed to us.
    ///
    /// # Errors
    /// By [`Error::kind`]: `Configure` for credentials and scopes, `TryLater` when the retry budget is spent, `Protocol` for
    /// an answer nothing can be done about, `Disk` when the journal cannot be written.
    pub async fn ask(&self, request: &Request, events: Option<&EventQuery>) -> Result<Answer, Error> {
        let url = self.url(request, events);
        let about_one = matches!(
            request,
            Request::User { .. }
                | Request::GroupMemberships { .. }
                | Request::UserMemberships { .. }
                | Request::EmailAliases { .. }
        );
        self.get(request, url, about_one).await
    }

    /// Calls made by this process, token requests left out.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Seconds all tasks stood still because Box asked for it.
    pub fn waited_seconds(&self) -> u64 {
        self.shared.limiter.waited_seconds()
    }

    /// Seconds Box's clock is ahead of this machine's; `None` before the first answer with a date.
    pub fn skew_secs(&self) -> Option<i64> {
        Some(self.shared.skew_secs.load(Ordering::Relaxed)).filter(|skew| *skew != i64::MIN)
    }

    fn url(&self, request: &Request, events: Option<&EventQuery>) -> Url {
        let mut url = self.shared.api_url.clone();
        let segments: &[&str] = match request {
            Request::Me => &["users", "me"],
            Request::User { user_id } => &["users", user_id],
            Request::Users { .. } => &["users"],
            Request::Groups { .. } => &["groups"],
            Request::GroupMemberships { group_id, .. } => &["groups", group_id, "memberships"],
            Request::UserMemberships { user_id, .. } => &["users", user_id, "memberships"],
            Request::EmailAliases { user_id } => &["users", user_id, "email_aliases"],
            Request::Events { .. } => &["events"],
        };
        url.path_segments_mut().expect("the settings hold an http address").pop_if_empty().extend(segments);
        let limit = PAGE_LIMIT.to_string();
        let mut query = url.query_pairs_mut();
        match request {
            Request::Me | Request::User { .. } => {
                query.append_pair("fields", USER_FIELDS);
            }
            Request::Users { marker } => {
                query
                    .append_pair("usemarker", "true")
                    .append_pair("limit", &limit)
                    .append_pair("user_type", "managed")
                    .append_pair("fields", USER_FIELDS);
                if let Some(marker) = marker {
                    query.append_pair("marker", marker);
                }
            }
            Request::Groups { offset } => {
                query
                    .append_pair("limit", &limit)
                    .append_pair("offset", &offset.to_string())
                    .append_pair("fields", GROUP_FIELDS);
            }
            Request::GroupMemberships { offset, .. } | Request::UserMemberships { offset, .. } => {
                query.append_pair("limit", &limit).append_pair("offset", &offset.to_string());
            }
            Request::EmailAliases { .. } => {}
            Request::Events { position, .. } => {
                let asked = events.expect("an event question comes with its query");
                query
                    .append_pair("stream_type", "admin_logs")
                    .append_pair("event_type", &asked.event_types.join(","))
                    .append_pair("created_after", &whole_seconds(asked.created_after))
                    .append_pair("created_before", &whole_seconds(asked.created_before))
                    .append_pair("limit", &EVENT_LIMIT.to_string());
                if let Some(position) = position {
                    query.append_pair("stream_position", position.as_str());
                }
            }
        }
        drop(query);
        if url.query() == Some("") {
            url.set_query(None);
        }
        url
    }

    async fn get(&self, request: &Request, url: Url, about_one: bool) -> Result<Answer, Error> {
        let shared = &*self.shared;
        let endpoint = request.endpoint();
        let patience = match request {
            Request::User { .. } => {
                Patience { own: shared.patience.min(PATIENCE_FOR_ONE), overall: shared.patience }
            }
            _ => shared.patience.into(),
        };
        let mut tries = Tries::new(endpoint, &shared.limiter, &*shared.journal, &shared.stop, patience);
        let mut stale = None;
        loop {
            // First the pace, then the token: a short-lived one must not expire in the queue.
            tries.admit().await?;
            let token = shared
                .auth
                .token(stale, &shared.transport, &shared.limiter, &*shared.journal, &shared.stop)
                .await?;
            let asked_at = Instant::now();
            let exchange = shared.transport.get(url.clone(), &token.secret).await;
            shared.calls.fetch_add(1, Ordering::Relaxed);
            if let Exchange::Reply(Reply { date: Some(date), .. }) = &exchange {
                shared.skew_secs.store(date - system_seconds(), Ordering::Relaxed);
            }
            match &exchange {
                // Many calls may meet the same expiry, and the next one before they have repeated themselves.
                Exchange::Reply(reply) if reply.status == 401 && shared.auth.was_good(&token) => {
                    tries.token_was_good();
                }
                Exchange::Reply(reply) if reply.status != 401 => shared.auth.was_taken(&token),
                _ => {}
            }
            let answered =
                |body, status, summary| Answer { body, status, received_at: (shared.clock)(), summary };
            let exchange = match exchange {
                Exchange::Reply(reply) if (200..300).contains(&reply.status) => {
                    match Summary::of(request, &reply.body) {
                        Ok(summary) => return Ok(answered(reply.body, 200, summary)),
                        Err(e) => Exchange::Garbled(format!(
                            "the body ({}) cannot be read: {e}",
                            reply.content_type
                        )),
                    }
                }
                Exchange::Reply(reply) if about_one && matches!(reply.status, 403 | 404) => {
                    return Ok(answered(reply.body, reply.status, Summary::default()));
                }
                other => other,
            };
            match tries.failed(exchange, asked_at).await? {
                Step::Again => {}
                Step::Renew => stale = Some(token.generation),
                Step::Fail(exchange) => return Err(failure(endpoint, &exchange)),
            }
        }
    }
}

/// What to tell about a call that repeating cannot save.
fn failure(endpoint: &'static str, exchange: &Exchange) -> Error {
    let Exchange::Reply(reply) = exchange else {
        unreachable!(
            "only an answer can fail for good; everything else is repeated until the budget is spent"
        )
    };
    let body: ApiError = serde_json::from_slice(&reply.body).unwrap_or_default();
    let code = body.code.unwrap_or_else(|| format!("without a code ({})", reply.content_type));
    let request_id = body.request_id.unwrap_or_else(|| "none".into());
    match reply.status {
        status @ (401 | 403) => Error::Denied { endpoint, status, code, request_id },
        status => {
            Error::Rejected { endpoint, status, code, message: body.message.unwrap_or_default(), request_id }
        }
    }
}

/// Events are asked for in whole seconds with a numeric offset, as the vendor's own clients do.
fn whole_seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// This machine's own time, compared with Box's `Date`; the data clock may be a rehearsal's.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks how far the system clock is from Box's"
)]
fn system_seconds() -> i64 {
    Utc::now().timestamp()
}
