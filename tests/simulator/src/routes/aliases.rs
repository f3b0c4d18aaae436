//! `POST` and `DELETE` under `/users/{id}/email_aliases`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::Value;

use super::{Reply, no_content, object};
use crate::accounts::login_used;
use crate::auth::Caller;
use crate::changes::is_email;
use crate::deeds::{Deed, Verb};
use crate::errors::{ApiError, json_response};
use crate::rights::target;
use crate::shared::Shared;
use crate::wire::groups::write_alias;
use crate::world::World;

/// Adds an alias. No event announces it; EMAIL_ALIAS_CONFIRM follows only when the user confirms it.
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Reply {
    let world = &mut shared.world_mut();
    let deed = Deed {
        body: serde_json::from_slice(&body).unwrap_or_default(),
        ..world.deed(caller, Verb::Other, &id)
    };
    let added = put(world, caller, &id, &body);
    world.note_deed(deed, added.as_ref().map(|_| 201));
    let slot = added?;
    let mut out = Vec::new();
    let added = world.people[slot].aliases.last().expect("the alias just added");
    write_alias(&mut out, world, added);
    Ok(json_response(201, out))
}

fn put(world: &mut World, caller: Caller, id: &str, body: &[u8]) -> Result<usize, ApiError> {
    let slot = target(world, caller, id)?;
    let body = object(body)?;
    let refused = |reason: &str| Err(ApiError::bad_parameter("invalid_parameter", "email", reason));
    let Some(email) = body.get("email").and_then(Value::as_str) else { return refused("email is required") };
    if !is_email(email) {
        return refused("not an email address");
    }
    if !world.is_own_domain(email) {
        return refused("the domain is not verified for the enterprise");
    }
    if world.is_taken(email) {
        return Err(login_used());
    }
    // Not documented: an admin can add an alias as confirmed.
    let is_confirmed = body.get("is_confirmed") == Some(&Value::Bool(true));
    let now = world.now;
    world.add_alias(slot, email, is_confirmed, now);
    world.publish();
    Ok(slot)
}

pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((id, alias_id)): Path<(String, String)>,
) -> Reply {
    let world = &mut shared.world_mut();
    let deed = world.deed(caller, Verb::Other, &id);
    let removed = take(world, caller, &id, &alias_id);
    world.note_deed(deed, removed.as_ref().map(|()| 204));
    removed.map(|()| no_content())
}

fn take(world: &mut World, caller: Caller, id: &str, alias_id: &str) -> Result<(), ApiError> {
    let slot = target(world, caller, id)?;
    let which = world.people[slot].aliases.iter().position(|alias| alias.id.to_string() == alias_id);
    let (which, now) = (which.ok_or_else(ApiError::not_found)?, world.now);
    world.remove_alias(slot, which, now, caller.news());
    world.publish();
    Ok(())
}
