//! Permissions of callers.
//!
//! Co-admins and the application's own account can change only ordinary managed users. The primary admin can change every
//! account of the enterprise. The error for a refused rank is not documented; 403 is the best guess.

use crate::apps::Scopes;
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::events::Actor;
use crate::people::{INACTIVE, Person, Role, Standing};
use crate::world::{News, World};

impl Caller {
    /// The actor of a change by this caller.
    pub(crate) fn news(self) -> News {
        News::By(match self {
            Caller::App(app) => Actor::App(app),
            Caller::Person(slot) => Actor::Person(slot),
        })
    }

    /// Whether this caller is the primary admin.
    pub(crate) fn is_primary_admin(self, world: &World) -> bool {
        world.person(self).role == Role::Admin
    }

    /// The scopes of an application. Users are limited only by their role.
    pub(crate) fn scopes(self, world: &World) -> Scopes {
        match self {
            Caller::App(app) => world.apps.get(app).scopes,
            Caller::Person(_) => Scopes::default(),
        }
    }

    /// Whether an account is within the application's access.
    pub(crate) fn reaches(self, world: &World, person: &Person) -> bool {
        self.scopes(world).whole_enterprise || person.is_platform_access_only
    }

    /// The caller that `As-User` selects: an ordinary managed user, not an administrator or the caller itself.
    pub(crate) fn as_user(self, world: &World, id: &str) -> Result<Caller, ApiError> {
        if !self.may_administrate(world) {
            return Err(ApiError::forbidden());
        }
        if !self.scopes(world).as_user {
            return Err(ApiError::forbidden());
        }
        let slot = id.parse().ok().and_then(|id| world.slot_by_id(id)).ok_or_else(ApiError::forbidden)?;
        let person = &world.people[slot];
        let is_closed = person.status == INACTIVE && !world.config.as_user_when_inactive;
        if !person.is_managed() || person.role != Role::User || is_closed || !self.reaches(world, person) {
            return Err(ApiError::forbidden());
        }
        Ok(Caller::Person(slot as u32))
    }
}

/// The slot of a user that the caller may change.
pub(crate) fn target(world: &World, caller: Caller, id: &str) -> Result<usize, ApiError> {
    if !caller.may_administrate(world) {
        return Err(ApiError::forbidden());
    }
    let slot = managed(world, caller, id)?;
    let is_outranked = caller.is_primary_admin(world) || world.people[slot].role == Role::User;
    if is_outranked { Ok(slot) } else { Err(ApiError::forbidden()) }
}

/// An account within the caller's access.
pub(crate) fn found<'w>(world: &'w World, caller: Caller, id: &str) -> Result<&'w Person, ApiError> {
    let person = world.person_by_id(id).ok_or_else(ApiError::not_found)?;
    if !caller.reaches(world, person) && !matches!(person.standing, Standing::Deleted { .. }) {
        let status = world.config.out_of_reach_status;
        return Err(if status == 403 { ApiError::forbidden() } else { ApiError::staged(status, None, None) });
    }
    Ok(person)
}

/// The slot of a managed user. External users and the application's account cannot be changed.
pub(crate) fn managed(world: &World, caller: Caller, id: &str) -> Result<usize, ApiError> {
    let person = found(world, caller, id)?;
    match (person.standing, world.slot_by_id(person.id)) {
        (Standing::Managed, Some(slot)) => Ok(slot),
        (Standing::Deleted { .. }, _) => Err(ApiError::not_found()),
        _ => Err(ApiError::forbidden()),
    }
}

/// Whether an information barrier applies to the user.
pub(crate) fn is_barred(world: &World, slot: usize) -> bool {
    let id = world.people[slot].id.to_string();
    world.config.barred_user_ids.contains(&id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::App;
    use crate::config::Config;

    const APP: Caller = Caller::App(App::Acting);

    fn world() -> World {
        // Slot 0 is the primary admin, slot 3 a co-admin.
        let mut world = World::new(Config { users: 30, ..Config::plain() });
        world.people[9].status = INACTIVE.into();
        world
    }

    fn id(world: &World, slot: usize) -> String {
        world.people[slot].id.to_string()
    }

    #[test]
    fn nobody_changes_an_equal() {
        let world = world();
        for (caller, slot, may) in [
            (APP, 5, true),
            (APP, 3, false),
            (APP, 0, false),
            (Caller::Person(3), 5, true),
            (Caller::Person(3), 3, false),
            (Caller::Person(0), 3, true),
            (Caller::Person(5), 6, false),
        ] {
            assert_eq!(target(&world, caller, &id(&world, slot)).is_ok(), may, "{caller:?} to {slot}");
        }
        assert_eq!(target(&world, APP, "12345"), Err(ApiError::not_found()));
        let own = world.person(APP).id.to_string();
        assert_eq!(target(&world, Caller::Person(0), &own), Err(ApiError::forbidden()));
        let outsider = world.externals[0].id.to_string();
        assert_eq!(target(&world, Caller::Person(0), &outsider), Err(ApiError::forbidden()));
    }

    #[test]
    fn only_ordinary_people_are_impersonated() {
        let mut world = world();
        assert_eq!(APP.as_user(&world, &id(&world, 5)), Ok(Caller::Person(5)));
        world.config.as_user_when_inactive = true;
        assert!(APP.as_user(&world, &id(&world, 9)).is_ok());
        world.config.as_user_when_inactive = false;
        for slot in [0, 3, 9] {
            assert!(APP.as_user(&world, &id(&world, slot)).is_err(), "{slot}");
        }
        assert!(APP.as_user(&world, &world.person(APP).id.to_string()).is_err());
        assert!(Caller::Person(5).as_user(&world, &id(&world, 6)).is_err());
    }
}
