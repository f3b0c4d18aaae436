//! The middleware of every request and response: faults, token, rate limit; then ids, compression and the record.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName,
    HeaderValue,
};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, stream};

use crate::acts::{self, Act};
use crate::auth::{Caller, Session, bearer};
use crate::clock;
use crate::deeds::{Deed, Doer};
use crate::errors::{ApiError, status_code};
use crate::faults::{Effect, Fired};
use crate::recorder::Recorded;
use crate::routes::CONTROL;
use crate::shared::Shared;
use crate::tamper::tampered;

/// Marks a response that must not be sent: the server closes the connection instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped;

const REQUEST_ID: HeaderName = HeaderName::from_static("box-request-id");
/// Compression does not help smaller bodies.
const GZIP_FROM_BYTES: usize = 1024;

pub(crate) async fn gate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response<Body> {
    if request.uri().path().starts_with(CONTROL) {
        return next.run(request).await;
    }
    let _in_work = shared.recorder.in_work();
    let at_ms = shared.age().as_millis() as u64;
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let pattern = request.extensions().get::<MatchedPath>().cloned();
    let accepts_gzip = shared.config.gzip && accepts_gzip(request.headers());

    let fired = shared.faults.strike(method.as_str(), path, query);
    let is_faulted = fired.is_some();
    let Fired { delay_ms, effect } = fired.unwrap_or_default();
    wait(delay_ms).await;
    let (mut response, is_authenticated) = match stand_in(&effect) {
        Some(response) => (response, false),
        None => {
            forestall(&shared, &effect, request.headers(), path);
            call(&shared, &effect, request, next).await
        }
    };
    if let Effect::HtmlAnswer { status } = effect {
        response = html(status);
    }
    let response = finish(&shared, response, &effect, accepts_gzip).await;

    let is_dropped = response.extensions().get::<Dropped>().is_some();
    let status = if is_dropped { 0 } else { response.status().as_u16() };
    shared.recorder.count(method.as_str(), pattern.as_ref().map(MatchedPath::as_str), status, is_faulted);
    shared.recorder.remember(|| Recorded {
        at_ms,
        method: method.to_string(),
        path: path.to_owned(),
        query: query.to_owned(),
        status,
        authenticated: is_authenticated,
        faulted: is_faulted,
    });
    response
}

/// The act that deletes the user or group of a path.
fn deletion(path: &str, announced: bool) -> Option<Act> {
    let (kind, id) = path.strip_prefix("/2.0/")?.split_once('/')?;
    let id = id.split('/').next()?.to_owned();
    match kind {
        "users" => Some(Act::DeleteUser { user_id: id, announced }),
        "groups" => Some(Act::DeleteGroup { group_id: id, announced }),
        _ => None,
    }
}

/// Executes the call. Returns whether its token was valid. The token endpoint needs no token and has no limit.
async fn call(shared: &Shared, effect: &Effect, mut request: Request, next: Next) -> (Response<Body>, bool) {
    if !request.uri().path().starts_with("/2.0") {
        return (next.run(request).await, false);
    }
    let session = match authenticate(shared, request.headers()) {
        Ok(session) => session,
        Err(refusal) => return (turned_away(shared, None, &request, refusal), false),
    };
    let caller = match admitted(shared, session, &request) {
        Ok(caller) => caller,
        Err(refusal) => return (turned_away(shared, Some(session.caller), &request, refusal), true),
    };
    wait(shared.config.latency_ms).await;
    request.extensions_mut().insert(caller);
    if let Some(twist) = effect.twist() {
        request.extensions_mut().insert(twist);
    }
    (next.run(request).await, true)
}

fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<Session, ApiError> {
    let token = token(headers).ok_or_else(|| ApiError::unauthorized(false))?;
    let session = shared.tokens.session(&shared.world(), token, clock::instant());
    session.ok_or_else(|| ApiError::unauthorized(true))
}

/// The caller, if the rate limit and the application's scopes allow the call.
fn admitted(shared: &Shared, session: Session, request: &Request) -> Result<Caller, ApiError> {
    // It is not documented whether such calls also count against the impersonated user. Here they do not.
    shared.rate_limit.admit(session.caller, clock::instant()).map_err(ApiError::rate_limited)?;
    let scopes = session.app.map(|app| shared.world().apps.get(app).scopes);
    if scopes.is_some_and(|scopes| !scopes.allow(request.method().as_str(), request.uri().path())) {
        return Err(ApiError::insufficient_scope());
    }
    impersonated(shared, session.caller, request.headers())
}

/// Refuses a call before its route, and records it if it is a writing call.
fn turned_away(
    shared: &Shared,
    caller: Option<Caller>,
    request: &Request,
    refusal: ApiError,
) -> Response<Body> {
    if let Some(deed) = Deed::of_path(request.method().as_str(), request.uri().path()) {
        let world = &mut shared.world_mut();
        let deed = match caller {
            Some(caller) => world.deed(caller, deed.verb, &deed.user_id),
            None => Deed { by: Doer::Unauthenticated, before: world.account(&deed.user_id), ..deed },
        };
        world.note_deed(deed, Err(&refusal));
    }
    refusal.into_response()
}

fn token(headers: &HeaderMap) -> Option<&str> {
    bearer(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

/// The user named by `As-User`, or the owner of the token.
fn impersonated(shared: &Shared, caller: Caller, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let Some(id) = headers.get("as-user") else { return Ok(caller) };
    caller.as_user(&shared.world(), id.to_str().unwrap_or_default())
}

/// The response of a fault that prevents the call.
fn stand_in(effect: &Effect) -> Option<Response<Body>> {
    match effect {
        Effect::Status { status, retry_after, code, body } => {
            let error = ApiError::staged(*status, code.as_deref(), retry_after.clone());
            let Some(text) = body else { return Some(error.into_response()) };
            let mut response = error.answer("");
            *response.body_mut() = Body::from(text.clone());
            Some(response)
        }
        Effect::Html { status } => Some(html(*status)),
        Effect::DroppedConnection => Some(Response::new(Body::empty())),
        _ => None,
    }
}

/// The error page of a gateway.
fn html(status: u16) -> Response<Body> {
    let html = "<html>\r\n<head><title>Gateway trouble</title></head>\r\n<body><h1>Gateway trouble</h1></body>\r\n</html>\r\n";
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status_code(status);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// Applies the faults that change the enterprise or its tokens just before the call.
fn forestall(shared: &Shared, effect: &Effect, headers: &HeaderMap, path: &str) {
    match effect {
        Effect::ExpiredToken => {
            if let Some(token) = token(headers) {
                shared.tokens.revoke(token);
            }
        }
        Effect::Vanish { announced } => {
            if let Some(deletion) = deletion(path, *announced) {
                acts::act(&mut shared.world_mut(), &deletion);
            }
        }
        _ => {}
    }
}

/// Writes error bodies, applies faults to bodies, compresses, and adds the headers that Box always sends.
async fn finish(
    shared: &Shared,
    mut response: Response<Body>,
    effect: &Effect,
    accepts_gzip: bool,
) -> Response<Body> {
    let (body_id, header_id) = shared.request_ids();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = error.answer(&body_id);
    }
    let (mut head, body) = response.into_parts();
    // Every response here is already in memory. This only takes its bytes.
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if head.status == StatusCode::OK
        && let Some(other) = tampered(effect, shared.config.seed, &bytes)
    {
        bytes = other.into();
    }
    if *effect == Effect::MalformedJson {
        bytes.truncate(bytes.len() / 2);
    }
    if accepts_gzip && bytes.len() >= GZIP_FROM_BYTES {
        bytes = gzip(&bytes);
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    insert(&mut head.headers, REQUEST_ID, &header_id);
    let skew_secs = match effect {
        Effect::DateSkew { secs } => *secs,
        _ => shared.config.date_skew_secs,
    };
    if skew_secs != 0 {
        let now = DateTime::<Utc>::from(clock::wall()) + chrono::TimeDelta::seconds(skew_secs);
        insert(&mut head.headers, DATE, &now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }
    if matches!(effect, Effect::TruncatedBody | Effect::Trickle { .. }) {
        insert(&mut head.headers, CONTENT_LENGTH, &bytes.len().to_string());
    }
    let body = match effect {
        Effect::TruncatedBody => cut_off(bytes.slice(..bytes.len() / 2)),
        Effect::Trickle { ms } => trickle(bytes, *ms),
        _ => Body::from(bytes),
    };
    let mut response = Response::from_parts(head, body);
    if matches!(effect, Effect::DroppedAnswer | Effect::DroppedConnection) {
        response.extensions_mut().insert(Dropped);
    }
    response
}

/// A body whose connection closes after `half`.
fn cut_off(half: Bytes) -> Body {
    let death = async {
        // The pause lets the half be sent. Without it, no byte would be sent.
        wait(20).await;
        Err(io::Error::other("cut off on purpose"))
    };
    Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(death)))
}

/// A body that is sent in pieces over `ms` milliseconds.
fn trickle(bytes: Bytes, ms: u64) -> Body {
    const PIECES: usize = 8;
    let size = bytes.len().div_ceil(PIECES).max(1);
    let piece = move |n: usize| {
        let piece = bytes.slice((n * size).min(bytes.len())..((n + 1) * size).min(bytes.len()));
        async move {
            wait(if n == 0 { 0 } else { ms / (PIECES as u64 - 1) }).await;
            io::Result::Ok(piece)
        }
    };
    Body::from_stream(stream::iter(0..PIECES).then(piece))
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.split(',').any(|coding| coding.trim().starts_with("gzip")))
}

fn gzip(bytes: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("compressing into memory cannot fail").into()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

async fn wait(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
