//! The reading calls of `sync`, one method each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use url::Url;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use boxseat_schemas::box_api::{ApiError, GROUP_FIELDS};
use boxseat_schemas::spool::{CallOutcome, Request};

use super::api_client::{ApiClient, CallOptions, Judged};
use super::auth::Credentials;
use super::limiter::Limiter;
use super::redact::Secrets;
use super::retry::{Repeat, RetryBudget};
use super::transport::{ClientSettings, Exchange, Reply};
use super::{CallJournal, CallNote};
use crate::{Clock, Error};

use crate::paginate::Summary;

/// Page size of users, groups and memberships: the maximum of the spec.
pub const PAGE_LIMIT: u64 = 1000;
/// Page size of events: the maximum of the spec. Box's default needs five times as many calls.
const EVENT_LIMIT: u64 = 500;
/// Maximum time for the record of one user or group, over all its attempts. Without a response the record keeps the state of the base
/// run.
const PATIENCE_FOR_ONE: Duration = Duration::from_secs(25);
/// Maximum time for one attempt to read such a record. Box responds within a second.
const TIMEOUT_FOR_ONE: Duration = Duration::from_secs(12);
/// Box is up if it has responded within this time.
const RECENTLY: Duration = Duration::from_secs(5);
/// The longest wait between two attempts to read the record of one user or group.
const WAIT_FOR_ONE: Duration = Duration::from_secs(4);
/// Maximum number of unreadable responses for the record of one user or group.
const GARBLED_FOR_ONE: u32 = 3;

/// Reads a Box enterprise. Cheap to clone: all clones share token, pace and ledger.
#[derive(Clone)]
pub struct BoxReader {
    pub(super) api_client: Arc<ApiClient>,
}

/// The part of the admin log to read.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Oldest requested time.
    pub created_after: DateTime<Utc>,
    /// Newest requested time.
    pub created_before: DateTime<Utc>,
    /// Requested event types.
    pub event_types: Vec<String>,
}

/// A response to store.
#[derive(Debug)]
pub struct Answer {
    /// The body as Box sent it, decompressed.
    pub body: Bytes,
    /// 200; for one user or group also 404 (removed since it was listed) and 403 (the caller may not read it).
    pub status: u16,
    /// When the response was complete, by the data clock.
    pub received_at: DateTime<Utc>,
    /// Number of damaged characters in the body that were replaced.
    pub damaged_characters: u64,
    /// The data of the body that paging needs.
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
        // The reader has its own cancellation token, so a failing run can end the exchanges in flight without stopping the process.
        let stop = stop.child_token();
        let limiter = Arc::new(Limiter::new(settings.calls_per_minute));
        Ok(Self {
            api_client: Arc::new(ApiClient::new(
                settings,
                credentials,
                limiter,
                journal,
                clock,
                stop,
                Secrets::default(),
            )?),
        })
    }

    /// Ends all reading: waits end at once, exchanges in flight end within their grace period, and no new request is made.
    pub fn wind_down(&self) {
        self.api_client.stop.cancel();
    }

    /// Sends one request, including retries. `events` belongs to [`Request::Events`] and is ignored for other requests.
    ///
    /// A 404 is a valid response if the user or group may have been removed since it was listed. A 403 is valid if the caller may lack
    /// access to only that user or group.
    ///
    /// # Errors
    /// By [`Error::kind`]: `Configure` for credentials and scopes, `TryLater` if the retry budget is spent, `Protocol` for a response
    /// that violates the protocol, `Disk` if the journal cannot be written.
    pub async fn ask(&self, request: &Request, events: Option<&EventQuery>) -> Result<Answer, Error> {
        let url = |user_fields: &str| self.url(request, events, user_fields);
        self.get(request, &url).await
    }

    /// As [`BoxReader::ask`], but distinguishes a single record that Box cannot return from an outage. If the record of one user or group
    /// fails, another call must succeed. If that call is slow, Box was down, and the record is requested once more.
    ///
    /// # Errors
    /// As [`BoxReader::ask`]. The failure of one record is reported as a failure of that record.
    pub async fn ask_patiently(
        &self,
        request: &Request,
        events: Option<&EventQuery>,
    ) -> Result<Answer, Error> {
        let answer = self.ask(request, events).await;
        let is_own_fault = |since: Option<Duration>| since.is_some_and(|since| since < RECENTLY);
        if !request.is_about_one()
            || !matches!(answer, Err(Error::GaveUp { .. }))
            || is_own_fault(self.api_client.since_last_answer())
        {
            return answer;
        }
        let probed_at = Instant::now();
        self.ask_and_note(&Request::Me, None).await?;
        if is_own_fault(Some(probed_at.elapsed())) { answer } else { self.ask(request, events).await }
    }

    /// Number of calls of this process, without token requests.
    pub fn calls(&self) -> u64 {
        self.api_client.calls()
    }

    /// Sets whether this process uses only half of the pace and leaves the other half to another process of the same application (R17).
    pub fn halve_pace(&self, halved: bool) {
        self.api_client.limiter.halve(halved);
    }

    /// Seconds for which all tasks waited because Box required it.
    pub fn waited_seconds(&self) -> u64 {
        self.api_client.limiter.waited_seconds()
    }

    /// Seconds by which Box's clock is ahead of this machine's clock; `None` before the first response with a date.
    pub fn skew_secs(&self) -> Option<i64> {
        self.api_client.skew_secs()
    }

    fn url(&self, request: &Request, events: Option<&EventQuery>, user_fields: &str) -> Url {
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
        let mut url = self.api_client.url(segments);
        let limit = PAGE_LIMIT.to_string();
        let mut query = url.query_pairs_mut();
        match request {
            Request::Me | Request::User { .. } => {
                query.append_pair("fields", user_fields);
            }
            Request::Users { marker } => {
                query
                    .append_pair("usemarker", "true")
                    .append_pair("limit", &limit)
                    .append_pair("user_type", "managed")
                    .append_pair("fields", user_fields);
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
                let asked = events.expect("a request for events has its query");
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

    async fn get(&self, request: &Request, url: &(dyn Fn(&str) -> Url + Sync)) -> Result<Answer, Error> {
        let api_client = &*self.api_client;
        let whole = api_client.settings.patience;
        let about_one = request.is_about_one();
        let patience = if about_one {
            RetryBudget {
                own: whole.min(PATIENCE_FOR_ONE),
                overall: whole,
                garbled: GARBLED_FOR_ONE,
                longest_wait: WAIT_FOR_ONE,
            }
        } else {
            whole.into()
        };
        let timeout = api_client.settings.timeouts.total.min(TIMEOUT_FOR_ONE);
        let options = CallOptions { endpoint: request.endpoint(), patience, repeat: Repeat::Freely };
        let judge = |reply: &Reply| judge(request, reply, (api_client.clock)());
        let build = |http: &reqwest::Client, url: Url| match about_one {
            true => http.get(url).timeout(timeout),
            false => http.get(url),
        };
        let called = match request {
            Request::Me | Request::User { .. } | Request::Users { .. } => {
                api_client.call_for_users(options, url, &build, &judge).await?
            }
            _ => {
                let url = url("");
                api_client
                    .call(options, &api_client.transport, &|http| build(http, url.clone()), &judge)
                    .await?
            }
        };
        called.map_err(|exchange| failure(request.endpoint(), &exchange))
    }

    /// As [`BoxReader::ask`], for a request whose page is not stored in a spool: the call is recorded in the ledger.
    ///
    /// # Errors
    /// As [`BoxReader::ask`].
    pub async fn ask_and_note(
        &self,
        request: &Request,
        events: Option<&EventQuery>,
    ) -> Result<Answer, Error> {
        let answer = self.ask(request, events).await?;
        let note = CallNote { endpoint: request.endpoint(), outcome: CallOutcome::Done, waited_seconds: 0 };
        self.api_client.journal.record(note)?;
        Ok(answer)
    }

    /// One page of the live stream of the admin log from `from`, such as the position of the previous page, or `now`.
    ///
    /// It has no time window: the events start at the position.
    ///
    /// # Errors
    /// As [`BoxReader::ask`].
    pub async fn stream(&self, from: &str, event_types: &[String]) -> Result<Bytes, Error> {
        let api_client = &*self.api_client;
        let mut url = api_client.url(&["events"]);
        url.query_pairs_mut()
            .append_pair("stream_type", "admin_logs_streaming")
            .append_pair("stream_position", from)
            .append_pair("limit", &EVENT_LIMIT.to_string());
        if !event_types.is_empty() {
            url.query_pairs_mut().append_pair("event_type", &event_types.join(","));
        }
        let own = api_client.settings.patience.min(PATIENCE_FOR_ONE);
        let patience = RetryBudget { own, overall: api_client.settings.patience, ..RetryBudget::ONE_CALL };
        let endpoint = Request::Events { slice: 0, login_only: false, position: None }.endpoint();
        let judge = |reply: &Reply| match reply.status {
            200..300 => match boxseat_schemas::box_api::Page::parse_events(&reply.body) {
                Ok(_) => Judged::Good(reply.body.clone()),
                Err(why) => Judged::unusable(reply, &why),
            },
            _ => Judged::Failed,
        };
        let options = CallOptions { endpoint, patience, repeat: Repeat::Freely };
        let body =
            api_client.call(options, &api_client.transport, &|http| http.get(url.clone()), &judge).await?;
        let body = body.map_err(|exchange| failure(endpoint, &exchange))?;
        // This page is not in a spool, so it is recorded here.
        api_client.journal.record(CallNote { endpoint, outcome: CallOutcome::Done, waited_seconds: 0 })?;
        Ok(body)
    }
}

/// Classifies a response to the request.
fn judge(request: &Request, reply: &Reply, received_at: DateTime<Utc>) -> Judged<Answer> {
    let about_one = request.is_about_one();
    let answer = |status, summary| {
        Judged::Good(Answer {
            body: reply.body.clone(),
            status,
            received_at,
            damaged_characters: reply.damaged_characters,
            summary,
        })
    };
    match reply.status {
        200..300 => match Summary::of(request, &reply.body) {
            Ok(summary) => answer(200, summary),
            Err(why) => Judged::unusable(reply, &why),
        },
        400..=499 if about_one && !is_sign_in_or_pace(reply.status) && !is_of_box(reply) => {
            Judged::not_of_box(reply)
        }
        403 | 404 if about_one => answer(reply.status, Summary::default()),
        _ => Judged::Failed,
    }
}

/// The result of one response; `None`: the request is sent again.
#[cfg(test)]
pub(crate) fn outcome_of(
    request: &Request,
    status: u16,
    body: &[u8],
    received_at: DateTime<Utc>,
) -> Option<Result<Answer, Error>> {
    let (text, damaged_characters) = boxseat_schemas::box_api::json::repaired(body);
    let body = Bytes::from(text.into_owned());
    let content_type = "application/json".to_owned();
    let reply = Reply { status, body, damaged_characters, content_type, ..Reply::default() };
    match judge(request, &reply, received_at) {
        Judged::Good(answer) => Some(Ok(answer)),
        Judged::Garbled(_) | Judged::NoAnswer(_) => None,
        Judged::Failed if matches!(status, 401 | 408 | 425 | 429 | 500..) => None,
        Judged::Failed => Some(Err(failure(request.endpoint(), &Exchange::Reply(reply)))),
    }
}

/// Whether a refusal is from Box.
pub(super) fn is_of_box(reply: &Reply) -> bool {
    ApiError::of(&reply.body).is_some_and(|error| error.agrees_with(reply.status))
}

/// Statuses that are about the token or the pace, and so about every user.
pub(super) fn is_sign_in_or_pace(status: u16) -> bool {
    matches!(status, 401 | 407 | 408 | 425 | 429)
}

/// The error of a call that a repetition cannot repair.
pub(super) fn failure(endpoint: &'static str, exchange: &Exchange) -> Error {
    let Exchange::Reply(reply) = exchange else {
        // A read is repeated until its budget is spent, so this is a call that may not be repeated.
        let last = exchange.to_string();
        return Error::GaveUp { endpoint, attempts: 1, waited: Duration::ZERO, last, garbled: false };
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

/// Events are requested in whole seconds with a numeric offset, as Box's own clients do.
fn whole_seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
