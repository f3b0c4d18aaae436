//! `POST /users/terminate_sessions`: a job without a route for its status. Its event is not known, so there is none.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Response;
use serde_json::{Map, Value, json};

use super::{Reply, require_admin};
use crate::auth::Caller;
use crate::deeds::{Deed, Verb};
use crate::errors::{ApiError, json_response};
use crate::rights::target;
use crate::shared::Shared;
use crate::world::World;

pub(super) async fn terminate(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Reply {
    let world = &mut shared.world_mut();
    let deed = |world: &World, id: &str| {
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Deed { body, ..world.deed(caller, Verb::EndSessions, id) }
    };
    let slots = match named(world, caller, &body) {
        Ok(slots) => slots,
        Err(refusal) => {
            // A refused body names no single user, so the deed has no user id; its body has all ids.
            let deed = deed(world, "");
            world.note_deed(deed, Err(&refusal));
            return Err(refusal);
        }
    };
    let callers: Vec<Caller> = slots.iter().map(|slot| Caller::Person(*slot as u32)).collect();
    shared.tokens.revoke_of(&callers);
    for slot in slots {
        let deed = deed(world, &world.people[slot].id.to_string());
        world.note_deed(deed, Ok(202));
    }
    Ok(accepted())
}

/// All users in the two arrays, without duplicates.
fn named(world: &World, caller: Caller, body: &[u8]) -> Result<BTreeSet<usize>, ApiError> {
    require_admin(world, caller)?;
    let body: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|_| ApiError::bad_request("Supported payload format is JSON"))?;
    let (ids, logins) = (names(&body, "user_ids")?, names(&body, "user_logins")?);
    let mut slots = BTreeSet::new();
    for id in ids {
        slots.insert(target(world, caller, id)?);
    }
    for login in logins {
        let id = id_of(world, login).ok_or_else(ApiError::not_found)?;
        slots.insert(target(world, caller, &id)?);
    }
    Ok(slots)
}

fn accepted() -> Response<Body> {
    let message = "Request is successful, please check the admin events for the status of the job";
    json_response(202, json!({ "message": message }).to_string().into_bytes())
}

/// One of the two arrays. Both are required. It is not documented whether one may be empty; here it may not.
fn names<'a>(body: &'a Map<String, Value>, key: &str) -> Result<Vec<&'a str>, ApiError> {
    let names = body.get(key).and_then(Value::as_array).filter(|names| !names.is_empty());
    let names = names.ok_or_else(|| ApiError::bad_request("Users can not be NULL or EMPTY"))?;
    let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
    names.ok_or_else(|| ApiError::bad_request("User id format is string"))
}

fn id_of(world: &World, login: &str) -> Option<String> {
    let found = world.managed().find(|(_, person)| person.login.eq_ignore_ascii_case(login));
    found.map(|(_, person)| person.id.to_string())
}
