//! `/users/{id}/avatar`: the avatar of an account. No event announces a change, and `avatar_url` stays the same.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Response};
use serde_json::json;

use super::{Reply, no_content, require_admin};
use crate::auth::Caller;
use crate::deeds::Verb;
use crate::errors::{ApiError, json_response};
use crate::people::ACTIVE;
use crate::pictures::{Picture, first_file};
use crate::rights::{managed, target};
use crate::shared::Shared;
use crate::wire::users::avatar_url;
use crate::world::World;

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Reply {
    let world = shared.world();
    require_admin(&world, caller)?;
    let slot = managed(&world, caller, &id)?;
    let picture = world.pictures.get(&(slot as u32)).ok_or_else(ApiError::not_found)?;
    let mut response = Response::new(Body::from(picture.bytes.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(picture.format.as_str()));
    Ok(response)
}

/// 201 for the first avatar, 200 for a replacement.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let world = &mut shared.world_mut();
    let deed = world.deed(caller, Verb::Other, &id);
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let hung = hang(world, caller, &id, content_type, &body);
    let status = |(_, is_first): &(usize, bool)| if *is_first { 201 } else { 200 };
    world.note_deed(deed, hung.as_ref().map(status));
    let hung = hung?;
    let url = avatar_url(&world.people[hung.0]);
    let size = |size: &str| url.replace("/large/", &format!("/{size}/"));
    let urls = json!({"pic_urls": {"small": size("small"), "large": url, "preview": size("preview")}});
    Ok(json_response(status(&hung), urls.to_string().into_bytes()))
}

/// Stores the avatar. Returns the slot of the user and whether it is the first avatar.
fn hang(
    world: &mut World,
    caller: Caller,
    id: &str,
    content_type: &str,
    body: &Bytes,
) -> Result<(usize, bool), ApiError> {
    let slot = target(world, caller, id)?;
    if world.people[slot].status != ACTIVE {
        return Err(ApiError::forbidden());
    }
    let file = first_file(content_type, body).ok_or_else(|| refused("an image must be included"))?;
    let picture = Picture::of(&file).map_err(refused)?;
    Ok((slot, world.pictures.insert(slot as u32, picture).is_none()))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Reply {
    let world = &mut shared.world_mut();
    let deed = world.deed(caller, Verb::Other, &id);
    let removed = target(world, caller, &id)
        .and_then(|slot| world.pictures.remove(&(slot as u32)).ok_or_else(ApiError::not_found));
    world.note_deed(deed, removed.as_ref().map(|_| 204));
    removed.map(|_| no_content())
}

fn refused(reason: &str) -> ApiError {
    ApiError::bad_parameter("bad_request", "pic", reason)
}
