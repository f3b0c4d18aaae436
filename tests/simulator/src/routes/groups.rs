//! `/2.0/groups`: the list, one group, and the memberships of a group. Only offsets; Box has no markers here.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Uri;

use super::{Answer, Json, Params, offset_answer, require_admin};
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::groups::GroupKind;
use crate::page::offset_page;
use crate::shared::Shared;
use crate::wire::groups::{fields, write_all_users_membership, write_group, write_membership};

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answer {
    let params = Params::of(&uri)?;
    let (limit, offset) = (params.limit()?, params.offset()?);
    let world = shared.world();
    require_admin(&world, caller)?;
    let fields = fields(&world, params.fields.as_deref(), true);
    let term = params.filter_term.as_deref().unwrap_or_default().to_lowercase();
    let matching =
        world.groups.iter().enumerate().filter(|(_, group)| group.name.to_lowercase().starts_with(&term));
    let candidates = matching.map(|(index, group)| (index, world.lists_group(caller, group)));
    let page = offset_page(&world.config, candidates, offset, limit);
    Ok(offset_answer(&world, &page, offset, limit, |out, index| {
        write_group(out, &world, &world.groups[index], fields)
    }))
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answer {
    let params = Params::of(&uri)?;
    let world = shared.world();
    require_admin(&world, caller)?;
    let index = world.group_by_id(&id).filter(|index| world.lists_group(caller, &world.groups[*index]));
    let index = index.ok_or_else(ApiError::not_found)?;
    let mut out = Vec::new();
    write_group(&mut out, &world, &world.groups[index], fields(&world, params.fields.as_deref(), false));
    Ok(Json(out))
}

pub(super) async fn memberships(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answer {
    let params = Params::of(&uri)?;
    let (limit, offset) = (params.limit()?, params.offset()?);
    let world = shared.world();
    require_admin(&world, caller)?;
    let index = world.group_by_id(&id).filter(|index| world.lists_group(caller, &world.groups[*index]));
    let index = index.ok_or_else(ApiError::not_found)?;
    let group = &world.groups[index];
    if group.kind == GroupKind::AllUsers {
        let candidates = world.people.iter().enumerate().map(|(slot, person)| (slot, person.is_managed()));
        let page = offset_page(&world.config, candidates, offset, limit);
        return Ok(offset_answer(&world, &page, offset, limit, |out, slot| {
            write_all_users_membership(out, &world.people[slot], group);
        }));
    }
    let stored = group.memberships.iter().map(|index| *index as usize);
    let candidates = stored.map(|index| (index, !world.memberships[index].is_removed));
    let page = offset_page(&world.config, candidates, offset, limit);
    Ok(offset_answer(&world, &page, offset, limit, |out, index| write_membership(out, &world, index)))
}
