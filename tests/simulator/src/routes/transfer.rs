//! `PUT /users/{id}/folders/0`: transfers all content of one user to another.
//!
//! The transfer continues whether or not the caller waits: closing the connection stops nothing. After
//! [`crate::Config::transfer_answer_ms`] the response is 200 although the transfer still runs. No request or event reports its
//! end.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde_json::{Map, Value};

use super::{Answer, Json, Params, object, require_admin, sent};
use crate::auth::Caller;
use crate::deeds::Verb;
use crate::errors::ApiError;
use crate::people::{INACTIVE, Role};
use crate::rights::{is_barred, managed};
use crate::shared::Shared;
use crate::wire::folders::{folder_fields, write_folder};
use crate::world::World;

pub(super) async fn transfer(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Answer {
    let params = Params::of(&uri)?;
    Params::flag("notify", params.notify.as_deref())?;
    let number = {
        let world = &mut shared.world_mut();
        let mut deed = sent(world.deed(caller, Verb::BeginTransfer, &id), &params, &body);
        deed.receiver_user_id = object(&body).ok().and_then(|body| receiver(&body).map(str::to_owned));
        deed.receiver_before = deed.receiver_user_id.as_deref().and_then(|id| world.account(id));
        let begun = begin(world, caller, &id, &body);
        if let Ok(number) = &begun {
            deed.destination_folder_id = Some(world.destination(*number).id.to_string());
        }
        world.note_deed(deed, begun.as_ref().map(|_| 200));
        begun?
    };
    // A transfer that takes days responds as after ten minutes: with 200 and no report of the end.
    if !shared.world().takes_days(number) {
        let work = shared.clone();
        let done = tokio::spawn(async move {
            wait(work.config.transfer_ms).await;
            work.world_mut().end_transfer(number);
        });
        _ = tokio::time::timeout(Duration::from_millis(shared.config.transfer_answer_ms), done).await;
    }
    let world = shared.world();
    let folder = world.destination(number);
    let mut out = Vec::new();
    // The folder is shown as its owner sees it, not as the caller does.
    write_folder(&mut out, &world, folder.owner, &folder, folder_fields(params.fields.as_deref()));
    Ok(Json(out))
}

fn begin(world: &mut World, caller: Caller, id: &str, body: &[u8]) -> Result<usize, ApiError> {
    require_admin(world, caller)?;
    let source = managed(world, caller, id)?;
    let body = object(body)?;
    let receiver = receiver(&body).ok_or_else(|| {
        ApiError::bad_parameter("bad_request", "owned_by", "owned_by needs the id of a user")
    })?;
    let to = match caller {
        Caller::App(_) if receiver == world.person(caller).id.to_string() => caller,
        _ => Caller::Person(managed(world, caller, receiver)? as u32),
    };
    let from = Caller::Person(source as u32);
    if from == to {
        return Err(ApiError::bad_parameter("bad_request", "owned_by", "source and receiver are the same"));
    }
    // The primary admin moves content between all users; a co-admin between managed users or to the own account.
    let is_fine = |party: Caller| party == caller || world.person(party).role == Role::User;
    let is_among_managed = world.person(from).role == Role::User && is_fine(to);
    if !is_among_managed && !caller.is_primary_admin(world) {
        return Err(ApiError::new(
            403,
            "forbidden",
            "Cannot transfer files from/to higher privileged accounts",
        ));
    }
    let is_barred = |party: Caller| matches!(party, Caller::Person(slot) if is_barred(world, slot as usize));
    if is_barred(from) || is_barred(to) {
        let text = "Ownership transfer is forbidden by an information barrier policy";
        return Err(ApiError::new(403, "forbidden_by_policy", text));
    }
    if world.is_moving(from) {
        let text = "The content of the user is locked by another operation";
        return Err(ApiError::new(409, "operation_blocked_temporary", text));
    }
    world.check_lock(source)?;
    if let Some(status) =
        world.config.inactive_transfer_status.filter(|_| world.people[source].status == INACTIVE)
    {
        return Err(ApiError::staged(status, Some("access_denied_insufficient_permissions"), None));
    }
    if let Caller::Person(slot) = to {
        world.check_lock(slot as usize)?;
        world.check_receiver(slot as usize, world.person(from).space_used)?;
    }
    Ok(world.begin_transfer(from, to))
}

fn receiver(body: &Map<String, Value>) -> Option<&str> {
    body.get("owned_by")?.get("id")?.as_str()
}

async fn wait(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
