//! `/2.0/users`: the list with both pagings, one user, the caller, and the memberships and aliases of a user.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Uri;

use super::{Answer, Json, Params, offset_answer, require_admin, write_entries};
use crate::auth::Caller;
use crate::config::EndMarker;
use crate::errors::ApiError;
use crate::faults::Twist;
use crate::groups::ALL_USERS_INDEX;
use crate::groups::GroupKind;
use crate::page::{marker_page, offset_page, read_marker, write_marker};
use crate::people::{Alias, Person, Standing};
use crate::rights::found;
use crate::shared::Shared;
use crate::wire::groups::{write_alias, write_all_users_membership, write_membership};
use crate::wire::users::{fields, write};
use crate::wire::{Fields, Object};
use crate::world::World;

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    twist: Option<Extension<Twist>>,
    uri: Uri,
) -> Answer {
    let params = Params::of(&uri)?;
    let twist = twist.map(|Extension(twist)| twist);
    let limit = params.limit()?;
    let world = shared.world();
    require_admin(&world, caller)?;
    let wanted = Wanted::of(&params)?;
    let fields = fields(&world.config, params.fields.as_deref())?;
    if let Some(external) = wanted.external(&world) {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.int("total_count", 1);
        object.array("entries", [external], |out, person| {
            write(out, &world.config, &world.drift, person, fields)
        });
        object.int("limit", limit as i64);
        object.int("offset", 0);
        object.end();
        return Ok(Json(out));
    }
    if !Params::flag("usemarker", params.usemarker.as_deref())? {
        if params.marker.is_some() {
            return Err(ApiError::bad_parameter("bad_request", "marker", "marker requires usemarker=true"));
        }
        let offset = params.offset()?;
        // Deleted users are the rows that Box filters out after paging.
        let matching = world.people.iter().enumerate().filter(|(_, person)| wanted.matches(person));
        let candidates = matching.map(|(slot, person)| (slot, world.lists(caller, person)));
        let page = offset_page(&world.config, candidates, offset, limit);
        return Ok(offset_answer(&world, &page, offset, limit, |out, slot| {
            write(out, &world.config, &world.drift, &world.people[slot], fields);
        }));
    }
    if params.offset.is_some() {
        return Err(ApiError::bad_parameter(
            "bad_request",
            "offset",
            "only one pagination method can be used at a time",
        ));
    }
    let sent = params.marker.as_deref().unwrap_or_default();
    let mark = read_marker(&world.config, sent, shared.age_secs())
        .map_err(|_| ApiError::bad_parameter("bad_request", "marker", "invalid or expired marker"))?;
    let keep = |slot: usize| {
        let person = &world.people[slot];
        wanted.matches(person) && world.lists(caller, person)
    };
    let page = marker_page(&world.config, world.people.len(), keep, mark, limit).twisted(twist, mark);
    let same = Some(sent).filter(|sent| twist == Some(Twist::SameMarker) && !sent.is_empty());
    let next = same.map(str::to_owned).or_else(|| {
        let next = page.next?;
        Some(write_marker(&world.config, next, shared.age_secs()))
    });
    Ok(marker_answer(&shared, &world, &page.rows, mark.start, next, limit, fields))
}

fn marker_answer(
    shared: &Shared,
    world: &World,
    rows: &[usize],
    start: usize,
    next: Option<String>,
    limit: usize,
    fields: Fields,
) -> Json {
    let mut out = Vec::with_capacity(64 + rows.len() * 1000);
    let mut object = Object::new(&mut out);
    write_entries(&mut object, world, start, rows, |out, slot| {
        write(out, &world.config, &world.drift, &world.people[slot], fields);
    });
    object.int("limit", limit as i64);
    match next {
        Some(marker) => object.text("next_marker", &marker),
        None => match shared.end_marker() {
            EndMarker::Empty => object.text("next_marker", ""),
            EndMarker::Absent => {}
            EndMarker::Null | EndMarker::Varied => object.null("next_marker"),
        },
    }
    object.end();
    Json(out)
}

/// The filter of a listing.
struct Wanted<'a> {
    kind: UserType,
    term: Option<&'a str>,
    lower_term: String,
    app_user_id: Option<&'a str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UserType {
    Managed,
    External,
    All,
}

impl<'a> Wanted<'a> {
    fn of(params: &'a Params) -> Result<Self, ApiError> {
        let kind = match params.user_type.as_deref() {
            None | Some("managed") => UserType::Managed,
            Some("external") => UserType::External,
            Some("all") => UserType::All,
            Some(_) => {
                return Err(ApiError::bad_parameter("invalid_parameter", "user_type", "unknown user type"));
            }
        };
        let term = params.filter_term.as_deref().filter(|term| !term.is_empty());
        let lower_term = term.unwrap_or_default().to_lowercase();
        Ok(Wanted { kind, term, lower_term, app_user_id: params.external_app_user_id.as_deref() })
    }

    /// External users are found only by their complete login. They are never listed.
    fn external<'w>(&self, world: &'w World) -> Option<&'w Person> {
        let term = self.term.filter(|_| self.kind != UserType::Managed)?;
        world.externals.iter().find(|person| person.login.eq_ignore_ascii_case(term))
    }

    fn matches(&self, person: &Person) -> bool {
        let fits = |text: &str| text.to_lowercase().starts_with(&self.lower_term);
        self.kind != UserType::External
            && (self.term.is_none() || fits(&person.login) || fits(&person.name))
            && self.app_user_id.is_none_or(|id| person.external_app_user_id.as_deref() == Some(id))
    }
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
    let person = found(&world, caller, &id)?;
    if matches!(person.standing, Standing::Deleted { .. }) {
        return Err(ApiError::not_found());
    }
    single(&world, person, &params)
}

pub(super) async fn me(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answer {
    let params = Params::of(&uri)?;
    let world = shared.world();
    single(&world, world.person(caller), &params)
}

pub(super) fn single(world: &World, person: &Person, params: &Params) -> Answer {
    let mut out = Vec::with_capacity(1000);
    let fields = fields(&world.config, params.fields.as_deref())?;
    write(&mut out, &world.config, &world.drift, person, fields);
    Ok(Json(out))
}

/// The managed user that a sub-resource belongs to.
fn owner<'w>(world: &'w World, caller: Caller, id: &str) -> Result<&'w Person, ApiError> {
    let person = found(world, caller, id)?;
    match person.standing {
        Standing::Managed => Ok(person),
        Standing::Deleted { .. } => Err(ApiError::not_found()),
        Standing::RolledOut | Standing::External => Err(ApiError::forbidden()),
    }
}

pub(super) async fn memberships(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answer {
    /// Index of the membership in the all-users group, which is not stored.
    const ALL_USERS: usize = usize::MAX;
    let params = Params::of(&uri)?;
    let (limit, offset) = (params.limit()?, params.offset()?);
    let world = shared.world();
    require_admin(&world, caller)?;
    let person = owner(&world, caller, &id)?;
    let everybody = world.groups.get(ALL_USERS_INDEX).filter(|group| group.kind == GroupKind::AllUsers);
    let everybody = everybody.filter(|_| world.config.all_users_group_on_user_side);
    let stored = person.memberships.iter().map(|index| *index as usize);
    let candidates = stored.map(|index| (index, !world.memberships[index].is_removed));
    let candidates = everybody.map(|_| (ALL_USERS, true)).into_iter().chain(candidates);
    let page = offset_page(&world.config, candidates, offset, limit);
    Ok(offset_answer(&world, &page, offset, limit, |out, index| match everybody {
        Some(group) if index == ALL_USERS => write_all_users_membership(out, person, group),
        _ => write_membership(out, &world, index),
    }))
}

pub(super) async fn email_aliases(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    let world = shared.world();
    require_admin(&world, caller)?;
    let person = owner(&world, caller, &id)?;
    let shows = |alias: &&Alias| world.lists_alias(alias);
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    object.int("total_count", person.aliases.iter().filter(shows).count() as i64);
    object
        .array("entries", person.aliases.iter().filter(shows), |out, alias| write_alias(out, &world, alias));
    object.end();
    Ok(Json(out))
}
