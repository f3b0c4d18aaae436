//! `/2.0/events`: the two admin streams, and the servers for long polling.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use chrono::DateTime;

use super::{Answer, Json, Params, require_admin};
use crate::auth::Caller;
use crate::chance::{self, About};
use crate::config::PositionForm;
use crate::errors::ApiError;
use crate::events::{Kind, Kinds};
use crate::faults::Twist;
use crate::feed::{Ask, FeedPage, Position};
use crate::shared::Shared;
use crate::wire::Object;
use crate::wire::events::write;
use crate::world::World;

const MAX_EVENTS: usize = 500;

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    twist: Option<Extension<Twist>>,
    uri: Uri,
) -> Answer {
    let params = Params::of(&uri)?;
    let mut ask = Ask { twist: twist.map(|Extension(twist)| twist), ..ask(&shared, &params)? };
    let world = shared.world();
    if world.drift.shows_unasked_events {
        ask.kinds = ask.kinds.and(Kind::Unheard);
    }
    require_admin(&world, caller)?;
    let page = match params.stream_type.as_deref() {
        Some("admin_logs") => world.feed().history(&ask).map_err(|_| bad_position())?,
        Some("admin_logs_streaming") => world.feed().live(&ask),
        _ => {
            let reason = "the simulator serves admin_logs and admin_logs_streaming only";
            return Err(ApiError::bad_parameter("invalid_parameter", "stream_type", reason));
        }
    };
    Ok(answer(&world, &page))
}

/// Returns the long-polling servers of the caller's own stream. Admin streams have no long polling, and no server listens
/// there.
pub(super) async fn servers(Extension(caller): Extension<Caller>) -> Json {
    let channel = match caller {
        Caller::App(app) => app as u64,
        Caller::Person(slot) => u64::from(slot) + 10,
    };
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    object.int("chunk_size", 1);
    object.array("entries", [channel], |out, channel| {
        let mut server = Object::new(out);
        server.text("type", "realtime_server");
        let url = format!("http://realtime.box.test/subscribe?channel={channel:020x}&stream_type=all");
        server.text("url", &url);
        server.text("ttl", "10");
        server.text("max_retries", "10");
        server.int("retry_timeout", 610);
        server.end();
    });
    object.end();
    Json(out)
}

fn ask(shared: &Shared, params: &Params) -> Result<Ask, ApiError> {
    let position = match params.stream_position.as_deref() {
        None | Some("" | "0" | "null") => Position::Oldest,
        Some("now") => Position::Now,
        Some(text) => Position::At(text.parse().map_err(|_| bad_position())?),
    };
    let refused = &shared.config.refused_event_types;
    let kinds = match params.event_type.as_deref().filter(|list| !list.is_empty()) {
        None => Kinds::EVERY,
        Some(list) if list.split(',').any(|name| refused.iter().any(|refused| refused == name.trim())) => {
            return Err(ApiError::bad_parameter("invalid_parameter", "event_type", "unsupported event type"));
        }
        Some(list) => Kinds::parse(list),
    };
    Ok(Ask {
        kinds,
        limit: params.limit_up_to(MAX_EVENTS)?,
        after: time(params.created_after.as_deref(), "created_after")?,
        before: time(params.created_before.as_deref(), "created_before")?,
        position,
        twist: None,
    })
}

/// A time with its offset. A `+` that was decoded as a blank is refused like any other invalid time.
fn time(text: Option<&str>, name: &'static str) -> Result<Option<i64>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(text);
    let time = time.map_err(|_| ApiError::bad_parameter("bad_request", name, "not an RFC 3339 date-time"))?;
    Ok(Some(time.timestamp()))
}

fn bad_position() -> ApiError {
    ApiError::bad_request("Invalid stream position")
}

fn answer(world: &World, page: &FeedPage) -> Json {
    let mut out = Vec::with_capacity(128 + page.indexes.len() * 600);
    let mut object = Object::new(&mut out);
    object.int("chunk_size", page.indexes.len() as i64);
    let as_text = match world.config.positions {
        PositionForm::Text => true,
        PositionForm::Number => false,
        PositionForm::Varied => chance::below(world.config.seed, About::PositionForm, page.next, 2) == 0,
    };
    let next = page.next.to_string();
    if as_text {
        object.text("next_stream_position", &next)
    } else {
        object.raw("next_stream_position", &next)
    }
    object.array("entries", &page.indexes, |out, index| write(out, world, *index));
    object.end();
    Json(out)
}
