//! Restrictions on single users: locks, retention, legal hold, no permission to receive content.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::errors::ApiError;
use crate::people::DAY_SECS;
use crate::world::World;

/// A policy on the content of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// No policy.
    #[default]
    None,
    /// A retention policy.
    Retention,
    /// A legal hold.
    Legal,
}

/// By slot. Users without restrictions have no entry.
#[derive(Debug, Default)]
pub(crate) struct Holds(HashMap<u32, Obstacles>);

#[derive(Clone, Copy, Debug, Default)]
struct Obstacles {
    hold: Hold,
    locked_until: i64,
    locked_calls: u32,
    refuses_content: bool,
}

impl World {
    /// Locks an account against transfers for a number of days, and then for a number of calls.
    pub(crate) fn lock_user(&mut self, slot: usize, days: u32, calls: u32) {
        let until = self.now + i64::from(days) * DAY_SECS;
        let obstacles = self.holds.of(slot);
        (obstacles.locked_until, obstacles.locked_calls) = (until, calls);
    }

    pub(crate) fn hold_content(&mut self, slot: usize, hold: Hold) {
        self.holds.of(slot).hold = hold;
    }

    pub(crate) fn refuse_content(&mut self, slot: usize, refuses: bool) {
        self.holds.of(slot).refuses_content = refuses;
    }

    /// "User is locked" has been reported for transfers, but not its status and code.
    pub(crate) fn check_lock(&mut self, slot: usize) -> Result<(), ApiError> {
        let now = self.now;
        let Some(obstacles) = self.holds.0.get_mut(&(slot as u32)) else { return Ok(()) };
        let is_locked = obstacles.locked_until > now || obstacles.locked_calls > 0;
        if obstacles.locked_until <= now {
            obstacles.locked_calls = obstacles.locked_calls.saturating_sub(1);
        }
        let status = self.config.locked_status;
        if is_locked { Err(ApiError::staged(status, None, None).saying("User is locked")) } else { Ok(()) }
    }

    /// Checks that the receiver has the permission and the room for the moved content. Neither error is documented.
    pub(crate) fn check_receiver(&self, slot: usize, bytes: i64) -> Result<(), ApiError> {
        if self.holds.0.get(&(slot as u32)).is_some_and(|obstacles| obstacles.refuses_content) {
            return Err(ApiError::forbidden());
        }
        let person = &self.people[slot];
        let is_full = person.space_amount.is_some_and(|room| person.space_used + bytes > room);
        if is_full && self.config.keeps_to_quota {
            let (status, code) = (self.config.full_receiver_status, "storage_limit_exceeded");
            return Err(ApiError::new(status, code, "Account storage limit reached"));
        }
        Ok(())
    }

    /// Checks whether a policy prevents the deletion of a user. Box documents it for deletions by force.
    pub(crate) fn check_hold(&self, slot: usize, by_force: bool, owns_content: bool) -> Result<(), ApiError> {
        let own = self.holds.0.get(&(slot as u32)).map_or(Hold::None, |obstacles| obstacles.hold);
        let hold = match own {
            Hold::None if owns_content && self.config.has_retention_policies => Hold::Retention,
            hold => hold,
        };
        let refuses_anything = self.config.holds_refuse_unforced && own != Hold::None;
        let policies = match hold {
            Hold::None => return Ok(()),
            _ if !by_force && !refuses_anything => return Ok(()),
            Hold::Retention => "retention policies",
            Hold::Legal => "legal hold policies",
        };
        let text = format!("User cannot be deleted due to {policies} on the content they own");
        Err(ApiError::new(403, "forbidden", &text))
    }
}

impl Holds {
    fn of(&mut self, slot: usize) -> &mut Obstacles {
        self.0.entry(slot as u32).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_lock_lasts_for_its_days_and_then_its_calls() {
        let mut world = World::new(Config { users: 10, ..Config::plain() });
        world.lock_user(5, 1, 2);
        assert!(world.check_lock(5).is_err() && world.check_lock(6).is_ok());
        world.now += DAY_SECS;
        let answers: Vec<bool> = (0..4).map(|_| world.check_lock(5).is_ok()).collect();
        assert_eq!(answers, [false, false, true, true]);
    }

    #[test]
    fn holds_refuse_force_and_on_request_everything() {
        let mut world = World::new(Config { users: 10, ..Config::plain() });
        world.hold_content(5, Hold::Legal);
        assert!(world.check_hold(5, false, false).is_ok());
        assert!(world.check_hold(5, true, false).is_err());
        world.config.holds_refuse_unforced = true;
        assert!(world.check_hold(5, false, false).is_err());
        assert!(world.check_hold(6, true, true).is_ok());
        world.config.has_retention_policies = true;
        assert!(world.check_hold(6, true, true).is_err());
        assert!(world.check_hold(6, false, true).is_ok(), "the enterprise's own policies ask for force");
    }
}
