//! Who may do what to whom.
//!
//! Co-admins, and the application's own account with them, act on ordinary managed users only; the primary admin acts on
//! everybody of the enterprise. Which error stands for a refused rank is not documented; 403 is the best guess.

use crate::auth::Caller;
use crate::errors::ApiError;
use crate::events::Actor;
use crate::people::{INACTIVE, Role, Standing};
use crate::world::{News, World};

impl Caller {
    /// Whose act a change by this caller is.
    pub(crate) fn news(self) -> News {
        News::By(match self {
            Caller::Service => Actor::Service,
            Caller::Person(slot) => Actor::Person(slot),
        })
    }

    /// Whether this caller outranks everybody.
    pub(crate) fn is_primary_admin(self, world: &World) -> bool {
        world.person(self).role == Role::Admin
    }

    /// Whom `As-User` turns this caller into: an ordinary managed user, never an administrator or the caller itself.
    pub(crate) fn as_user(self, world: &World, id: &str) -> Result<Caller, ApiError> {
        if !self.may_administrate(world) {
            return Err(ApiError::forbidden());
        }
        let slot = id.parse().ok().and_then(|id| world.slot_by_id(id)).ok_or_else(ApiError::forbidden)?;
        let person = &world.people[slot];
        let is_closed = person.status == INACTIVE && !world.config.as_user_when_inactive;
        if !person.is_managed() || person.role != Role::User || is_closed {
            return Err(ApiError::forbidden());
        }
        Ok(Caller::Person(slot as u32))
    }
}

/// The slot of somebody whom the caller may change.
pub(crate) fn target(world: &World, caller: Caller, id: &str) -> Result<usize, ApiError> {
    if !caller.may_administrate(world) {
        return Err(ApiError::forbidden());
    }
    let slot = managed(world, id)?;
    let is_outranked = caller.is_primary_admin(world) || world.people[slot].role == Role::User;
    if is_outranked { Ok(slot) } else { Err(ApiError::forbidden()) }
}

/// The slot of a managed user; outsiders and the application's account are nobody's to change.
pub(crate) fn managed(world: &World, id: &str) -> Result<usize, ApiError> {
    let person = world.person_by_id(id).ok_or_else(ApiError::not_found)?;
    match (person.standing, world.slot_by_id(person.id)) {
        (Standing::Managed, Some(slot)) => Ok(slot),
        (Standing::Deleted { .. }, _) => Err(ApiError::not_found()),
        _ => Err(ApiError::forbidden()),
    }
}

/// Whether an information barrier stands around the person.
pub(crate) fn is_barred(world: &World, slot: usize) -> bool {
    let id = world.people[slot].id.to_string();
    world.config.barred_user_ids.contains(&id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

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
            (Caller::Service, 5, true),
            (Caller::Service, 3, false),
            (Caller::Service, 0, false),
            (Caller::Person(3), 5, true),
            (Caller::Person(3), 3, false),
            (Caller::Person(0), 3, true),
            (Caller::Person(5), 6, false),
        ] {
            assert_eq!(target(&world, caller, &id(&world, slot)).is_ok(), may, "{caller:?} to {slot}");
        }
        assert_eq!(target(&world, Caller::Service, "12345"), Err(ApiError::not_found()));
        let own = world.service.id.to_string();
        assert_eq!(target(&world, Caller::Person(0), &own), Err(ApiError::forbidden()));
        let outsider = world.externals[0].id.to_string();
        assert_eq!(target(&world, Caller::Person(0), &outsider), Err(ApiError::forbidden()));
    }

    #[test]
    fn only_ordinary_people_are_impersonated() {
        let mut world = world();
        assert_eq!(Caller::Service.as_user(&world, &id(&world, 5)), Ok(Caller::Person(5)));
        assert!(Caller::Service.as_user(&world, &id(&world, 9)).is_ok());
        world.config.as_user_when_inactive = false;
        for slot in [0, 3, 9] {
            assert!(Caller::Service.as_user(&world, &id(&world, slot)).is_err(), "{slot}");
        }
        assert!(Caller::Service.as_user(&world, &world.service.id.to_string()).is_err());
        assert!(Caller::Person(5).as_user(&world, &id(&world, 6)).is_err());
    }
}
