//! The calls of reclamation: the reads directly before and after an action on a user, and the four actions.
//!
//! This is the only type with writing methods (R22). It signs in with its own credentials, waits in the same queue as the reader, and
//! writes every call into the ledger. `retry` decides which writes may be repeated: only setting a status and ending sessions. A transfer
//! or a deletion is never repeated once Box may have received it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::json;
use url::Url;

use boxseat_schemas::box_api::{
    ApiError, Membership, NotAPage, Page, USER_FIELDS, User, lenient, read as read_record,
};
use boxseat_schemas::spool::CallOutcome;

use super::api_client::{ApiClient, CallOptions, Judged};
use super::auth::Credentials;
use super::reader::{failure, is_of_box};
use super::refusal::Refusal;
use super::retry::{Repeat, RetryBudget};
use super::transport::{Exchange, Reply, Timeouts, Transport};
use super::{BoxReader, CallNote, PAGE_LIMIT};
use crate::Error;
use crate::paginate::{MarkerWalk, Next, OffsetNext, Summary, next_offset};

/// Acts on users' accounts. Cheap to clone.
#[derive(Clone)]
pub struct BoxActor {
    api_client: Arc<ApiClient>,
    /// For transfers only: a response can take up to ten minutes.
    slow: Transport,
}

/// The result of reading one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// The user or the data of the user.
    Is(T),
    /// 404: the user does not exist, or is not in the enterprise.
    Gone,
    /// 403, or Box no longer accepts the token: the user cannot be read.
    Closed(Refusal),
}

impl<T> Found<T> {
    /// The data, if it was found.
    pub fn is(self) -> Option<T> {
        match self {
            Self::Is(found) => Some(found),
            Self::Gone | Self::Closed(_) => None,
        }
    }
}

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrote<T> {
    /// Box made the change.
    Done(T),
    /// Box refused, and changed nothing.
    Refused(Refusal),
    /// The result is unknown.
    Unknown {
        /// Status of the response of Box or a gateway, if there was one.
        status: Option<u16>,
        /// How the call failed, as a sentence.
        reason: String,
    },
}

/// One item of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Box's id.
    pub id: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Name.
    pub name: String,
    /// The owner; `None`: Box did not send it.
    pub owner_id: Option<String>,
    /// Whether other users are collaborators; `None`: Box did not send it.
    pub has_collaborations: Option<bool>,
    /// When it was created.
    pub created_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Timeout of a transfer. Box responds within ten minutes (R14).
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(11 * 60);
/// Maximum time for all attempts of a call about one user. It is short, because the plan has other users and a later `apply` tries again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Maximum number of users whose sessions are ended by one call. Box does not document a limit (API facts 7.3).
pub const TERMINATE_AT_ONCE: usize = 100;

impl BoxActor {
    /// An actor with the address, pace, ledger, clock and cancellation token of a reader. It signs in separately.
    ///
    /// # Errors
    /// [`Error::Address`] when TLS cannot be set up.
    pub fn sharing_pace(reader: &BoxReader, credentials: Credentials) -> Result<Self, Error> {
        let shared = &reader.api_client;
        let mut api_client = ApiClient::new(
            &shared.settings,
            credentials,
            Arc::clone(&shared.limiter),
            Arc::clone(&shared.journal),
            Arc::clone(&shared.clock),
            shared.stop.clone(),
            shared.transport.secrets().clone(),
        )?;
        api_client.user_fields = Arc::clone(&shared.user_fields);
        let timeouts =
            Timeouts { silence: TRANSFER_TIMEOUT, total: TRANSFER_TIMEOUT, ..api_client.settings.timeouts };
        let slow = Transport::new(
            &api_client.settings,
            timeouts,
            api_client.stop.clone(),
            api_client.transport.secrets().clone(),
        )?;
        Ok(Self { api_client: Arc::new(api_client), slow })
    }

    /// Seconds by which Box's clock is ahead of this machine's clock; `None` before the first response with a date.
    pub fn skew_secs(&self) -> Option<i64> {
        self.api_client.skew_secs()
    }

    /// Number of calls, without token requests.
    pub fn calls(&self) -> u64 {
        self.api_client.calls()
    }

    /// The account that acts.
    ///
    /// # Errors
    /// By [`Error::kind`]. The caller can always read its own account, so [`Found::Closed`] is an error here.
    pub async fn me(&self) -> Result<User, Error> {
        let endpoint = "GET /users/me";
        match self.read_user(endpoint, "me", None).await? {
            Found::Is(user) => Ok(user),
            Found::Gone => Err(Error::closed(endpoint)),
            Found::Closed(refusal) => Err(Error::Denied {
                endpoint,
                status: refusal.status,
                code: refusal.code,
                request_id: refusal.request_id.unwrap_or_else(|| "none".to_owned()),
            }),
        }
    }

    /// A user, with all fields.
    ///
    /// # Errors
    /// By [`Error::kind`].
    pub async fn user(&self, user_id: &str) -> Result<Found<User>, Error> {
        self.read_user("GET /users/{id}", user_id, Some(user_id)).await
    }

    /// The ids of all groups of a user, except the group of all users. Reads all pages.
    ///
    /// # Errors
    /// By [`Error::kind`]; an incomplete walk if the user has more groups than Box lists.
    pub async fn group_ids(&self, user_id: &str) -> Result<Found<Vec<String>>, Error> {
        let endpoint = "GET /users/{id}/memberships";
        let mut groups = Vec::new();
        let mut offset = 0;
        loop {
            let mut url = self.api_client.url(&["users", user_id, "memberships"]);
            url.query_pairs_mut()
                .append_pair("limit", &PAGE_LIMIT.to_string())
                .append_pair("offset", &offset.to_string());
            let page = match self.read(endpoint, url, None, |body| GroupPage::parse(body, offset)).await? {
                Found::Is(page) => page,
                Found::Gone => return Ok(Found::Gone),
                Found::Closed(refusal) => return Ok(Found::Closed(refusal)),
            };
            groups.extend(page.group_ids);
            match next_offset(offset, PAGE_LIMIT, &page.summary) {
                OffsetNext::Page(next) => offset = next,
                OffsetNext::End => break,
                OffsetNext::Capped => {
                    let walk = format!("memberships of user {user_id}");
                    let reason = "there are more than Box lists".to_owned();
                    return Err(Error::IncompleteWalk { walk, reason });
                }
            }
        }
        groups.sort_unstable();
        groups.dedup();
        Ok(Found::Is(groups))
    }

    /// The ids of the managed users whose login equals `login`; case does not matter. Box's filter also returns users whose name or login
    /// only starts with it.
    ///
    /// # Errors
    /// By [`Error::kind`].
    pub async fn ids_of_login(&self, login: &str) -> Result<Found<Vec<String>>, Error> {
        let mut url = self.api_client.url(&["users"]);
        url.query_pairs_mut()
            .append_pair("filter_term", login)
            .append_pair("fields", "id,login")
            .append_pair("limit", &PAGE_LIMIT.to_string());
        self.read("GET /users", url, None, |body| ids_of_login(body, login)).await
    }

    /// The email aliases of a user.
    ///
    /// # Errors
    /// By [`Error::kind`].
    pub async fn aliases(&self, user_id: &str) -> Result<Found<Vec<String>>, Error> {
        let url = self.api_client.url(&["users", user_id, "email_aliases"]);
        self.read("GET /users/{id}/email_aliases", url, None, aliases).await
    }

    /// The content of a folder as a user sees it (`As-User`). Reads all pages. `0` is the root folder of the user.
    ///
    /// # Errors
    /// By [`Error::kind`]; an incomplete walk if the listing does not end.
    pub async fn items(&self, as_user: &str, folder_id: &str) -> Result<Found<Vec<Item>>, Error> {
        let endpoint = "GET /folders/{id}/items";
        let (mut items, mut seen) = (Vec::new(), HashSet::new());
        let mut walk = MarkerWalk::default();
        let mut marker: Option<String> = None;
        loop {
            let mut url = self.api_client.url(&["folders", folder_id, "items"]);
            url.query_pairs_mut()
                .append_pair("usemarker", "true")
                .append_pair("limit", &PAGE_LIMIT.to_string())
                .append_pair("fields", "id,type,name,owned_by,has_collaborations,created_at");
            if let Some(marker) = &marker {
                url.query_pairs_mut().append_pair("marker", marker);
            }
            let page = match self.read(endpoint, url, Some(as_user), ItemPage::parse).await? {
                Found::Is(page) => page,
                Found::Gone => return Ok(Found::Gone),
                Found::Closed(refusal) => return Ok(Found::Closed(refusal)),
            };
            items
                .extend(page.items.into_iter().filter(|item| seen.insert((item.is_folder, item.id.clone()))));
            match walk.next(&page.summary) {
                Next::Page(next) => marker = Some(next),
                Next::End => return Ok(Found::Is(items)),
                Next::Incomplete(reason) => {
                    return Err(Error::IncompleteWalk {
                        walk: format!("folder {folder_id} of user {as_user}"),
                        reason,
                    });
                }
            }
        }
    }

    /// Sets the status of a user, and returns the user as Box shows it afterwards. Setting it twice has the same effect as once.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::SignIn`], the error of the ledger. Every response from Box is returned as a [`Wrote`].
    pub async fn set_status(&self, user_id: &str, status: &str, notify: bool) -> Result<Wrote<User>, Error> {
        let url = self.user_url(user_id, USER_FIELDS);
        let body = json!({ "status": status, "notify": notify }).to_string();
        let build = move |http: &reqwest::Client| {
            http.put(url.clone()).header("content-type", "application/json").body(body.clone())
        };
        let read = |body: &[u8]| user(body, Some(user_id));
        self.write("PUT /users/{id}", &self.api_client.transport, Repeat::Freely, &build, read).await
    }

    /// Ends all sessions of up to [`TERMINATE_AT_ONCE`] users, by id and login: Box requires both.
    ///
    /// # Errors
    /// As [`BoxActor::set_status`].
    pub async fn terminate_sessions(&self, ids: &[&str], logins: &[&str]) -> Result<Wrote<()>, Error> {
        let url = self.api_client.url(&["users", "terminate_sessions"]);
        let body = json!({ "user_ids": ids, "user_logins": logins }).to_string();
        let build = move |http: &reqwest::Client| {
            http.post(url.clone()).header("content-type", "application/json").body(body.clone())
        };
        let (endpoint, transport) = ("POST /users/terminate_sessions", &self.api_client.transport);
        self.write(endpoint, transport, Repeat::Freely, &build, acknowledged).await
    }

    /// Moves all content of a user to another user, and returns the id of the destination folder. Never sent twice. After about ten minutes
    /// Box responds with success in any case, so `Done` does not prove that the transfer is complete.
    ///
    /// # Errors
    /// As [`BoxActor::set_status`].
    pub async fn transfer(&self, from: &str, to: &str, notify: bool) -> Result<Wrote<String>, Error> {
        let mut url = self.api_client.url(&["users", from, "folders", "0"]);
        url.query_pairs_mut().append_pair("notify", if notify { "true" } else { "false" });
        let body = json!({ "owned_by": { "id": to } }).to_string();
        let build = move |http: &reqwest::Client| {
            http.put(url.clone()).header("content-type", "application/json").body(body.clone())
        };
        let folder = |body: &[u8]| Ok(serde_json::from_slice::<Named>(body)?.id);
        self.write("PUT /users/{id}/folders/0", &self.slow, Repeat::Never, &build, folder).await
    }

    /// Deletes an account that owns nothing. Never uses `force`, and is never sent twice.
    ///
    /// # Errors
    /// As [`BoxActor::set_status`].
    pub async fn delete(&self, user_id: &str, notify: bool) -> Result<Wrote<()>, Error> {
        let mut url = self.api_client.url(&["users", user_id]);
        url.query_pairs_mut()
            .append_pair("force", "false")
            .append_pair("notify", if notify { "true" } else { "false" });
        let build = move |http: &reqwest::Client| http.delete(url.clone());
        self.write("DELETE /users/{id}", &self.api_client.transport, Repeat::Never, &build, acknowledged)
            .await
    }

    fn user_url(&self, user_id: &str, fields: &str) -> Url {
        let mut url = self.api_client.url(&["users", user_id]);
        url.query_pairs_mut().append_pair("fields", fields);
        url
    }

    /// Reads `/users/{segment}`. With a `user_id`, a response about another user is refused.
    async fn read_user(
        &self,
        endpoint: &'static str,
        segment: &str,
        user_id: Option<&str>,
    ) -> Result<Found<User>, Error> {
        let url = |fields: &str| self.user_url(segment, fields);
        let judge = |reply: &Reply| judge(reply, |body| user(body, user_id));
        let build = |http: &reqwest::Client, url: Url| http.get(url);
        let called = self.api_client.call_for_users(self.reading(endpoint), &url, &build, &judge).await?;
        self.found(endpoint, called)
    }

    async fn read<T>(
        &self,
        endpoint: &'static str,
        url: Url,
        as_user: Option<&str>,
        read: impl Fn(&[u8]) -> Result<T, NotAPage> + Sync,
    ) -> Result<Found<T>, Error> {
        let build = |http: &reqwest::Client| {
            let request = http.get(url.clone());
            match as_user {
                Some(user_id) => request.header("As-User", user_id),
                None => request,
            }
        };
        let judge = |reply: &Reply| judge(reply, &read);
        let called =
            self.api_client.call(self.reading(endpoint), &self.api_client.transport, &build, &judge).await?;
        self.found(endpoint, called)
    }

    fn reading(&self, endpoint: &'static str) -> CallOptions {
        let overall = self.api_client.settings.patience;
        let patience = RetryBudget { own: overall.min(PATIENCE), overall, ..RetryBudget::ONE_CALL };
        CallOptions { endpoint, patience, repeat: Repeat::Freely }
    }

    fn found<T>(
        &self,
        endpoint: &'static str,
        called: Result<Found<T>, Exchange>,
    ) -> Result<Found<T>, Error> {
        match called {
            Ok(found) => {
                self.note(endpoint)?;
                Ok(found)
            }
            // Box no longer accepts the token for any call: the application has lost its rights.
            Err(Exchange::Reply(reply)) if reply.status == 401 => Ok(Found::Closed(Refusal::of(&reply))),
            Err(exchange) => Err(failure(endpoint, &exchange)),
        }
    }

    async fn write<T>(
        &self,
        endpoint: &'static str,
        transport: &Transport,
        repeat: Repeat,
        build: &(dyn Fn(&reqwest::Client) -> reqwest::RequestBuilder + Sync),
        read: impl Fn(&[u8]) -> Result<T, NotAPage> + Sync,
    ) -> Result<Wrote<T>, Error> {
        let overall = self.api_client.settings.patience;
        let patience = RetryBudget { own: overall.min(PATIENCE), overall, ..RetryBudget::ONE_CALL };
        let judge = |reply: &Reply| match reply.status {
            200..300 => Judged::Good(match read(&reply.body) {
                Ok(answer) => Wrote::Done(answer),
                Err(e) => Wrote::Unknown {
                    status: Some(reply.status),
                    reason: format!("Box's response ({}) cannot be read: {e}", reply.content_type),
                },
            }),
            _ => Judged::Failed,
        };
        let options = CallOptions { endpoint, patience, repeat };
        match self.api_client.call(options, transport, build, &judge).await {
            Ok(Ok(wrote)) => {
                self.note(endpoint)?;
                Ok(wrote)
            }
            Ok(Err(Exchange::Reply(reply)))
                if matches!(reply.status, 400..=499 | 507)
                    && reply.status != 408
                    && (reply.status == 401 || is_of_box(&reply)) =>
            {
                Ok(Wrote::Refused(Refusal::of(&reply)))
            }
            Ok(Err(exchange)) => {
                let status = match &exchange {
                    Exchange::Reply(reply) => Some(reply.status),
                    _ => None,
                };
                Ok(Wrote::Unknown {
                    status,
                    reason: format!("no response that shows whether the change was made: {exchange}"),
                })
            }
            // One of the attempts may have taken effect.
            Err(e @ (Error::GaveUp { .. } | Error::Throttled { .. })) => {
                Ok(Wrote::Unknown { status: None, reason: e.to_string() })
            }
            Err(e) => Err(e),
        }
    }

    /// The spool does not count these calls, so they are recorded here.
    fn note(&self, endpoint: &'static str) -> Result<(), Error> {
        self.api_client.journal.record(CallNote { endpoint, outcome: CallOutcome::Done, waited_seconds: 0 })
    }
}

/// Classifies the response to a read.
fn judge<T>(reply: &Reply, read: impl Fn(&[u8]) -> Result<T, NotAPage>) -> Judged<Found<T>> {
    match reply.status {
        200..300 => match read(&reply.body) {
            Ok(found) => Judged::Good(Found::Is(found)),
            Err(why) => Judged::unusable(reply, &why),
        },
        403 | 404 if !is_of_box(reply) => Judged::not_of_box(reply),
        404 => Judged::Good(Found::Gone),
        403 => Judged::Good(Found::Closed(Refusal::of(reply))),
        _ => Judged::Failed,
    }
}

/// Parses a user. With a `user_id`, a response about another user is refused.
fn user(body: &[u8], user_id: Option<&str>) -> Result<User, NotAPage> {
    let user: User = read_record(text(body)?)?.record;
    match user_id {
        Some(user_id) if user.id != user_id => {
            Err(NotAPage::OtherObject(format!("it is about user {}, not {user_id}", user.id)))
        }
        _ => Ok(user),
    }
}

/// Accepts the response to a write that returns no data: no body, or an object that is not an error. Refuses the page of a gateway with a
/// success status, because it does not prove that Box made the change.
fn acknowledged(body: &[u8]) -> Result<(), NotAPage> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let fields: HashMap<String, IgnoredAny> = serde_json::from_slice(body)?;
    if ApiError::of(body).is_some() || fields.contains_key("error") {
        return Err(NotAPage::OtherObject("it is an error object".to_owned()));
    }
    Ok(())
}

fn text(body: &[u8]) -> Result<&str, serde_json::Error> {
    std::str::from_utf8(body).map_err(serde::de::Error::custom)
}

#[derive(Deserialize)]
struct Named {
    #[serde(deserialize_with = "lenient::id")]
    id: String,
}

struct GroupPage {
    group_ids: Vec<String>,
    summary: Summary,
}

impl GroupPage {
    fn parse(body: &[u8], offset: u64) -> Result<Self, NotAPage> {
        let page = Page::parse_counted(body, offset)?;
        let summary = Summary::of_page(&page);
        if offset == 0 {
            summary.check_first_page()?;
        }
        let mut group_ids = Vec::new();
        for entry in &page.entries {
            // A membership that cannot be read is a reason to stop: it may be the membership of a protected group.
            let membership: Membership = read_record(entry.get())?.record;
            let group = membership.group.ok_or_else(|| serde_json::Error::missing_field("group"))?;
            let id = group.id.ok_or_else(|| serde_json::Error::missing_field("id"))?;
            if group.group_type.as_deref() != Some(boxseat_schemas::box_api::ALL_USERS_GROUP) {
                group_ids.push(id);
            }
        }
        Ok(Self { group_ids, summary })
    }
}

fn ids_of_login(body: &[u8], login: &str) -> Result<Vec<String>, NotAPage> {
    #[derive(Deserialize)]
    struct Account {
        #[serde(deserialize_with = "lenient::id")]
        id: String,
        #[serde(default, deserialize_with = "lenient::text")]
        login: Option<String>,
    }
    let page = Page::parse_counted(body, 0)?;
    let mut ids = Vec::new();
    for entry in &page.entries {
        let account: Account = serde_json::from_str(entry.get())?;
        if account.login.is_some_and(|known| known.to_lowercase() == login.to_lowercase()) {
            ids.push(account.id);
        }
    }
    Ok(ids)
}

fn aliases(body: &[u8]) -> Result<Vec<String>, NotAPage> {
    #[derive(Deserialize)]
    struct Alias {
        #[serde(deserialize_with = "lenient::id")]
        email: String,
    }
    let page = Page::parse_counted(body, 0)?;
    Summary::of_page(&page).check_first_page()?;
    let mut aliases = Vec::new();
    for entry in &page.entries {
        aliases.push(serde_json::from_str::<Alias>(entry.get())?.email.to_lowercase());
    }
    aliases.sort_unstable();
    aliases.dedup();
    Ok(aliases)
}

struct ItemPage {
    items: Vec<Item>,
    summary: Summary,
}

impl ItemPage {
    fn parse(body: &[u8]) -> Result<Self, NotAPage> {
        #[derive(Deserialize)]
        struct Entry {
            #[serde(deserialize_with = "lenient::id")]
            id: String,
            #[serde(rename = "type", default, deserialize_with = "lenient::text")]
            kind: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            name: Option<String>,
            #[serde(default, deserialize_with = "lenient::object_or_nothing")]
            owned_by: Option<Named>,
            #[serde(default, deserialize_with = "lenient::flag")]
            has_collaborations: Option<bool>,
            #[serde(default, deserialize_with = "lenient::time")]
            created_at: Option<chrono::DateTime<chrono::Utc>>,
        }
        let page = Page::parse(body)?;
        // Null is a list without entries (box/box-python-sdk#76). A response without the key is not a list.
        #[derive(Deserialize)]
        struct List {
            #[serde(rename = "entries")]
            _entries: serde::de::IgnoredAny,
        }
        serde_json::from_slice::<List>(body)?;
        let mut items = Vec::new();
        for entry in &page.entries {
            let entry: Entry = serde_json::from_str(entry.get())?;
            items.push(Item {
                id: entry.id,
                is_folder: entry.kind.as_deref() == Some("folder"),
                name: entry.name.unwrap_or_default(),
                owner_id: entry.owned_by.map(|owner| owner.id),
                has_collaborations: entry.has_collaborations,
                created_at: entry.created_at,
            });
        }
        Ok(Self { items, summary: Summary::of_page(&page) })
    }
}

#[cfg(test)]
mod tests;
