//! `PUT /users/{id}/folders/0`: everything somebody owns moves to somebody else.
//!
//! The work goes on whether or not the caller waits: hanging up changes nothing, and after
//! [`crate::Config::transfer_answer_ms`] the answer is 200 with the work undone. Nothing tells when it is done.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde_json::Value;

use super::{Answer, Json, Params, object, require_admin};
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::people::Role;
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
    let number = begin(&mut shared.world_mut(), caller, &id, &body)?;
    let work = shared.clone();
    let done = tokio::spawn(async move {
        wait(work.config.transfer_ms).await;
        work.world_mut().finish_transfer(number);
    });
    _ = tokio::time::timeout(Duration::from_millis(shared.config.transfer_answer_ms), done).await;
    let world = shared.world();
    let folder = world.destination(number);
    let mut out = Vec::new();
    // The owner of the folder, not the caller, decides what is in it.
    write_folder(&mut out, &world, folder.owner, &folder, folder_fields(params.fields.as_deref()));
    Ok(Json(out))
}

fn begin(world: &mut World, caller: Caller, id: &str, body: &[u8]) -> Result<usize, ApiError> {
    require_admin(world, caller)?;
    let from = managed(world, id)?;
    let body = object(body)?;
    let receiver = body.get("owned_by").and_then(|owner| owner.get("id")).and_then(Value::as_str);
    let receiver = receiver.ok_or_else(|| {
        ApiError::bad_parameter("bad_request", "owned_by", "owned_by needs the id of a user")
    })?;
    let to = match caller {
        Caller::Service if receiver == world.service.id.to_string() => Caller::Service,
        _ => Caller::Person(managed(world, receiver)? as u32),
    };
    let from = Caller::Person(from as u32);
    if from == to {
        return Err(ApiError::bad_parameter("bad_request", "owned_by", "source and receiver are the same"));
    }
    // An admin moves between anyone; a co-admin between managed users, or to the own account.
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
    Ok(world.begin_transfer(from, to))
}

async fn wait(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
