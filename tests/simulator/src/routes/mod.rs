//! The endpoints: reading in `events`, `folders`, `groups` and `users`; writing in the others, through the methods of
//! [`crate::world::World`], which record the matching events.

mod accounts;
mod aliases;
mod avatar;
mod control;
mod events;
mod folders;
mod groups;
mod sessions;
mod token;
mod transfer;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::http::{Response, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::Caller;
use crate::chance::{self, About};
use crate::deeds::Deed;
use crate::errors::{ApiError, json_response};
use crate::gate::gate;
use crate::page::{DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET};
use crate::shared::Shared;
use crate::wire::Object;
use crate::world::World;

/// The endpoints with a separate count.
pub(crate) const ENDPOINTS: &[(&str, &str)] = &[
    ("POST", "/oauth2/token"),
    ("POST", "/oauth2/revoke"),
    ("GET", "/2.0/users"),
    ("POST", "/2.0/users"),
    ("GET", "/2.0/users/me"),
    ("POST", "/2.0/users/terminate_sessions"),
    ("GET", "/2.0/users/{user_id}"),
    ("PUT", "/2.0/users/{user_id}"),
    ("DELETE", "/2.0/users/{user_id}"),
    ("GET", "/2.0/users/{user_id}/avatar"),
    ("POST", "/2.0/users/{user_id}/avatar"),
    ("DELETE", "/2.0/users/{user_id}/avatar"),
    ("PUT", "/2.0/users/{user_id}/folders/0"),
    ("GET", "/2.0/users/{user_id}/memberships"),
    ("GET", "/2.0/users/{user_id}/email_aliases"),
    ("POST", "/2.0/users/{user_id}/email_aliases"),
    ("DELETE", "/2.0/users/{user_id}/email_aliases/{email_alias_id}"),
    ("GET", "/2.0/folders/{folder_id}"),
    ("GET", "/2.0/folders/{folder_id}/items"),
    ("GET", "/2.0/groups"),
    ("GET", "/2.0/groups/{group_id}"),
    ("GET", "/2.0/groups/{group_id}/memberships"),
    ("GET", "/2.0/events"),
    ("OPTIONS", "/2.0/events"),
];

/// Paths under this prefix do not exist at Box: no token, no limit, no faults, not counted.
pub(crate) const CONTROL: &str = "/_simulator";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/oauth2/token", post(token::issue))
        .route("/oauth2/revoke", post(token::revoke))
        .route("/2.0/users", get(users::list).post(accounts::create))
        .route("/2.0/users/me", get(users::me))
        .route("/2.0/users/terminate_sessions", post(sessions::terminate))
        .route("/2.0/users/{user_id}", get(users::one).put(accounts::update).delete(accounts::delete))
        .route("/2.0/users/{user_id}/avatar", get(avatar::get).post(avatar::put).delete(avatar::delete))
        // Only the content of a whole account can be transferred: Box has no such route for other folders.
        .route("/2.0/users/{user_id}/folders/0", put(transfer::transfer))
        .route("/2.0/users/{user_id}/memberships", get(users::memberships))
        .route("/2.0/users/{user_id}/email_aliases", get(users::email_aliases).post(aliases::add))
        .route("/2.0/users/{user_id}/email_aliases/{email_alias_id}", delete(aliases::remove))
        .route("/2.0/folders/{folder_id}", get(folders::one))
        .route("/2.0/folders/{folder_id}/items", get(folders::items))
        .route("/2.0/groups", get(groups::list))
        .route("/2.0/groups/{group_id}", get(groups::one))
        .route("/2.0/groups/{group_id}/memberships", get(groups::memberships))
        .route("/2.0/events", get(events::list).options(events::servers))
        .nest(CONTROL, control::router())
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || ApiError::new(405, "method_not_allowed", "Method Not Allowed"))
        .layer(from_fn_with_state(shared.clone(), gate))
        .with_state(shared)
}

/// A body of hand-written JSON.
struct Json(Vec<u8>);

impl IntoResponse for Json {
    fn into_response(self) -> Response<Body> {
        json_response(200, self.0)
    }
}

type Answer = Result<Json, ApiError>;

/// A response with another status than 200, or another body than JSON.
type Reply = Result<Response<Body>, ApiError>;

fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Adds the parameters and the body of the call to a deed.
fn sent(deed: Deed, params: &Params, body: &[u8]) -> Deed {
    let flag = |text: Option<&str>| text.map(|text| text.eq_ignore_ascii_case("true"));
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let notify = flag(params.notify.as_deref()).or_else(|| body.get("notify")?.as_bool());
    Deed { force: flag(params.force.as_deref()), notify, body, ..deed }
}

/// The JSON object of a request.
fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let refusal = "Entity body should be a correctly nested resource attribute name/value pair";
    serde_json::from_slice(body).map_err(|_| ApiError::bad_request(refusal))
}

/// The query parameters of all lists, as sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    fields: Option<String>,
    filter_term: Option<String>,
    user_type: Option<String>,
    external_app_user_id: Option<String>,
    offset: Option<String>,
    limit: Option<String>,
    usemarker: Option<String>,
    marker: Option<String>,
    stream_type: Option<String>,
    stream_position: Option<String>,
    event_type: Option<String>,
    created_after: Option<String>,
    created_before: Option<String>,
    force: Option<String>,
    notify: Option<String>,
    sort: Option<String>,
    direction: Option<String>,
}

impl Params {
    fn of(uri: &Uri) -> Result<Params, ApiError> {
        Query::try_from_uri(uri)
            .map(|Query(params)| params)
            .map_err(|error| ApiError::bad_request(&error.to_string()))
    }

    /// `limit`, reduced to the maximum of Box.
    fn limit(&self) -> Result<usize, ApiError> {
        self.limit_up_to(MAX_LIMIT)
    }

    fn limit_up_to(&self, max: usize) -> Result<usize, ApiError> {
        match self.limit.as_deref().map(str::parse::<usize>) {
            None => Ok(DEFAULT_LIMIT),
            Some(Ok(limit)) if limit > 0 => Ok(limit.min(max)),
            _ => Err(ApiError::bad_parameter(
                "invalid_limit",
                "limit",
                "limit must be a positive whole number",
            )),
        }
    }

    /// A `true` or `false` of the query in any case: Box's Python SDK sends `True`.
    fn flag(name: &'static str, text: Option<&str>) -> Result<bool, ApiError> {
        match text {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(ApiError::bad_parameter("invalid_parameter", name, "must be true or false")),
        }
    }

    fn offset(&self) -> Result<usize, ApiError> {
        match self.offset.as_deref().map(str::parse::<usize>) {
            None => Ok(0),
            Some(Ok(offset)) if offset <= MAX_OFFSET => Ok(offset),
            Some(Ok(_)) => {
                Err(ApiError::bad_parameter("invalid_offset", "offset", "offset must not exceed 10000"))
            }
            Some(Err(_)) => {
                Err(ApiError::bad_parameter("invalid_offset", "offset", "offset must be a whole number"))
            }
        }
    }
}

/// 403 unless the caller may read the whole enterprise.
fn require_admin(world: &World, caller: Caller) -> Result<(), ApiError> {
    if caller.may_administrate(world) { Ok(()) } else { Err(ApiError::forbidden()) }
}

/// The rows of a page under `entries`. With odd envelopes it is an object keyed by index, null, or missing.
fn write_entries(
    object: &mut Object<'_>,
    world: &World,
    start: usize,
    rows: &[usize],
    mut write: impl FnMut(&mut Vec<u8>, usize),
) {
    const KEY: &str = "entries";
    let config = &world.config;
    let (n, share) = (start as u64, config.odd_envelopes);
    if !chance::happens(config.seed, About::OddEnvelope, n, share) {
        return object.array(KEY, rows, |out, row| write(out, *row));
    }
    if rows.is_empty() {
        if chance::below(config.seed, About::OddEnvelope, n ^ 1, 2) == 0 {
            object.null(KEY);
        }
        return;
    }
    let mut inner = object.object(KEY);
    for (place, row) in rows.iter().enumerate() {
        write(inner.value(&place.to_string()), *row);
    }
    inner.end();
}

/// The response for an offset page.
fn offset_answer(
    world: &World,
    page: &crate::page::OffsetPage,
    offset: usize,
    limit: usize,
    write: impl FnMut(&mut Vec<u8>, usize),
) -> Json {
    let mut out = Vec::with_capacity(64 + page.rows.len() * 300);
    let mut object = Object::new(&mut out);
    object.int("total_count", page.total_count as i64);
    write_entries(&mut object, world, offset, &page.rows, write);
    object.int("limit", limit as i64);
    object.int("offset", offset as i64);
    object.end();
    Json(out)
}
