//! `POST /users`, `PUT /users/{id}`, `DELETE /users/{id}`: creating, changing and deleting accounts.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::Uri;

use super::users::single;
use super::{Answer, Params, Reply, no_content, object, require_admin, sent};
use crate::auth::Caller;
use crate::changes::{self, Change};
use crate::deeds::Verb;
use crate::errors::{ApiError, json_response};
use crate::people::Role;
use crate::rights::{is_barred, target};
use crate::shared::Shared;
use crate::world::World;

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    body: Bytes,
) -> Reply {
    let params = Params::of(&uri)?;
    let world = &mut shared.world_mut();
    let mut deed = sent(world.deed(caller, Verb::Create, ""), &params, &body);
    let made = make(world, caller, &body);
    if let Ok(slot) = &made {
        deed.user_id = world.people[*slot].id.to_string();
    }
    world.note_deed(deed, made.as_ref().map(|_| 201));
    Ok(json_response(201, single(world, &world.people[made?], &params)?.0))
}

pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    let params = Params::of(&uri)?;
    let world = &mut shared.world_mut();
    let deed = sent(world.deed(caller, Verb::Edit, &id), &params, &body);
    let edited = edit(world, caller, &id, &body);
    world.note_deed(deed, edited.as_ref().map(|_| 200));
    single(world, &world.people[edited?], &params)
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Reply {
    let params = Params::of(&uri)?;
    let by_force = Params::flag("force", params.force.as_deref())?;
    // The simulator sends no mail. A malformed `notify` is still refused.
    Params::flag("notify", params.notify.as_deref())?;
    let world = &mut shared.world_mut();
    let deed = sent(world.deed(caller, Verb::Delete, &id), &params, &[]);
    let deleted = end(world, caller, &id, by_force);
    world.note_deed(deed, deleted.as_ref().map(|()| 204));
    deleted.map(|()| no_content())
}

fn make(world: &mut World, caller: Caller, body: &[u8]) -> Result<usize, ApiError> {
    require_admin(world, caller)?;
    let change = changes::read_new(&object(body)?)?;
    may_give(world, caller, change.role)?;
    let slot = world.create(change, caller.news())?;
    world.publish();
    Ok(slot)
}

fn edit(world: &mut World, caller: Caller, id: &str, body: &[u8]) -> Result<usize, ApiError> {
    let slot = target(world, caller, id)?;
    let change = changes::read(&object(body)?)?;
    may_give(world, caller, change.role)?;
    may_become(world, slot, &change)?;
    world.update(slot, change, caller.news())?;
    world.publish();
    Ok(slot)
}

/// Deletes an account. An owner of content is deleted only by force, and not at all while a policy holds the content.
fn end(world: &mut World, caller: Caller, id: &str, by_force: bool) -> Result<(), ApiError> {
    let slot = target(world, caller, id)?;
    if world.people[slot].role == Role::Admin {
        return Err(ApiError::forbidden());
    }
    let owner = Caller::Person(slot as u32);
    // The trash does not count as content.
    let owned_bytes = world.person(owner).space_used - world.trash_bytes(owner);
    let owns_content = owned_bytes > 0 || world.owned_items(owner) > 0;
    world.check_hold(slot, by_force, owns_content)?;
    if owns_content && !by_force {
        let status = world.config.owned_content_status;
        let text = "User still owns content; transfer it, or delete with force=true";
        return Err(ApiError::staged(status, None, None).saying(text));
    }
    let now = world.now;
    world.delete(slot, now, caller.news());
    world.pictures.remove(&(slot as u32));
    world.publish();
    Ok(())
}

/// Only the primary admin appoints co-admins.
fn may_give(world: &World, caller: Caller, role: Option<Role>) -> Result<(), ApiError> {
    let is_fine = role != Some(Role::Coadmin) || caller.is_primary_admin(world);
    if is_fine { Ok(()) } else { Err(ApiError::forbidden()) }
}

/// Refuses changes that no caller may make to this user.
fn may_become(world: &World, slot: usize, change: &Change) -> Result<(), ApiError> {
    let person = &world.people[slot];
    if is_barred(world, slot) {
        let text = "Access denied by an information barrier policy";
        return Err(ApiError::new(403, "denied_by_policy", text));
    }
    // The primary admin must stay active, stay the primary admin, and stay in the enterprise.
    if person.role == Role::Admin && (change.role.is_some() || change.restricts() || change.rolls_out) {
        return Err(ApiError::forbidden());
    }
    if change.external_app_user_id.is_some() && !person.is_platform_access_only {
        let text = "only app users have one";
        return Err(ApiError::bad_parameter("invalid_parameter", "external_app_user_id", text));
    }
    Ok(())
}
