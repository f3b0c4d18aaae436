//! Single acts on the enterprise, for tests that need one thing to be so: half the list missing, a silent feed, somebody
//! who signs in at this very moment.
//!
//! They happen at the simulated now, through the same verbs as the stepped days.

mod stage;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use stage::Stage;

use crate::chance::{self, About};
use crate::drift::Drift;
use crate::world::World;

/// One act. [`crate::Running::act`] and `POST /_simulator/act` answer with the ids it touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// User lists leave out this share of people (0.0 to 1.0) from now on, as a listing gone wrong; their ids still answer.
    /// The truth still holds them. 0.0 brings them back.
    HideUsers {
        /// Share of users left out.
        share: f64,
    },
    /// Both admin streams answer without events and without error, until spoken to again.
    SilenceFeed {
        /// `false` lets the feed speak again; nothing is lost.
        silent: bool,
    },
    /// From now on this much changes on a stepped day; see [`crate::Config::change_scale`].
    SetChangeScale {
        /// 1.0 is usual, 0.0 lets the enterprise come to rest.
        scale: f64,
    },
    /// Box sends what nobody has documented, from now on; answers with those whose status it changed.
    SetDrift {
        /// What; the default ends it.
        drift: Drift,
    },
    /// Deletes people.
    DeleteUsers {
        /// How many.
        count: u32,
        /// Whether DELETE_USER events follow.
        announced: bool,
    },
    /// Deletes one person. The primary admin, programs and pseudo users stay.
    DeleteUser {
        /// Who.
        user_id: String,
        /// Whether a DELETE_USER event follows.
        announced: bool,
    },
    /// Turns people into free accounts outside the enterprise, of which no event tells.
    RollOutUsers {
        /// How many.
        count: u32,
    },
    /// Accounts that were deleted or rolled out are managed users again, under their old ids and with their old aliases,
    /// but in no group. Whose address somebody else has meanwhile stays away.
    ReturnUsers {
        /// Who.
        user_ids: Vec<String>,
        /// Whether NEW_USER events follow.
        announced: bool,
    },
    /// Deletes groups with all their memberships.
    DeleteGroups {
        /// How many.
        count: u32,
        /// Whether GROUP_DELETION events follow.
        announced: bool,
    },
    /// Deletes one group with all its memberships. The all-users group stays.
    DeleteGroup {
        /// Which.
        group_id: String,
        /// Whether a GROUP_DELETION event follows.
        announced: bool,
    },
    /// Gives a share of people an EDIT_USER and a new `modified_at`, as an identity provider does.
    PushDirectory {
        /// Share of users touched (0.0 to 1.0).
        share: f64,
    },
    /// Somebody signs in.
    Login {
        /// Who.
        user_id: String,
    },
    /// An admin sets somebody's status.
    SetStatus {
        /// Whose.
        user_id: String,
        /// Any text; Box knows four.
        status: String,
        /// Whether an EDIT_USER event follows.
        announced: bool,
    },
    /// Somebody's account is edited; a body that Box would refuse does nothing.
    EditUser {
        /// Whose.
        user_id: String,
        /// What `PUT /users/{id}` takes, e.g. `{"name":"New Name","job_title":"Cook"}`.
        body: Value,
        /// Whether EDIT_USER (and CHANGE_ADMIN_ROLE, EMAIL_ALIAS_PRIMARY where they belong) follows. `modified_at` moves
        /// anyway.
        announced: bool,
    },
    /// Somebody joins a group, as an ordinary member; whoever is in it already is left alone.
    AddMember {
        /// Who.
        user_id: String,
        /// Which group; nobody is put into the all-users group.
        group_id: String,
        /// Whether GROUP_ADD_USER follows.
        announced: bool,
    },
    /// Somebody leaves a group.
    RemoveMember {
        /// Who.
        user_id: String,
        /// Which group.
        group_id: String,
        /// Whether GROUP_REMOVE_USER follows.
        announced: bool,
    },
    /// A member becomes a group admin, or is one no longer.
    SetGroupAdmin {
        /// Who.
        user_id: String,
        /// Of which group.
        group_id: String,
        /// The new rank; somebody who has it already is left alone.
        is_admin: bool,
        /// Whether GROUP_ADMIN_CREATED or GROUP_ADMIN_DELETED follows.
        announced: bool,
    },
    /// Somebody gets another alias, of which no event tells.
    AddAlias {
        /// Who.
        user_id: String,
        /// The address.
        email: String,
        /// Whether it works already.
        is_confirmed: bool,
    },
    /// An alias starts to work.
    ConfirmAlias {
        /// Whose.
        user_id: String,
        /// Which.
        alias_id: String,
        /// Whether its owner does it, with EMAIL_ALIAS_CONFIRM, or an admin, of which no event tells.
        announced: bool,
    },
    /// An alias is removed.
    RemoveAlias {
        /// Whose.
        user_id: String,
        /// Which.
        alias_id: String,
        /// Whether EMAIL_ALIAS_REMOVE follows.
        announced: bool,
    },
    /// A confirmed alias becomes the login, and the login an alias under a new id.
    MakeAliasPrimary {
        /// Whose.
        user_id: String,
        /// Which.
        alias_id: String,
        /// Whether EMAIL_ALIAS_PRIMARY and EDIT_USER follow.
        announced: bool,
    },
}

/// Does it, and answers with the ids of the users or groups touched.
pub(crate) fn act(world: &mut World, act: &Act) -> Vec<String> {
    world.acts += 1;
    let rng = ChaCha8Rng::seed_from_u64(chance::mix(world.config.seed, About::Act, world.acts));
    let mut stage = Stage { rng, world };
    let touched = stage.play(act);
    world.publish();
    touched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::truth::{Extent, truth};

    fn world() -> World {
        World::new(Config { users: 200, ..Config::default() })
    }

    #[test]
    fn people_leave_with_and_without_news() {
        let mut world = world();
        let before = world.log.all().len();
        assert_eq!(act(&mut world, &Act::DeleteUsers { count: 7, announced: false }).len(), 7);
        assert_eq!(act(&mut world, &Act::RollOutUsers { count: 3 }).len(), 3);
        assert_eq!(world.log.all().len(), before);
        act(&mut world, &Act::DeleteUsers { count: 4, announced: true });
        assert_eq!(world.log.all().len(), before + 4);
        assert_eq!(truth(&world, Extent::WithoutEvents).users.len(), 186);
    }

    #[test]
    fn somebody_signs_in_now() {
        let mut world = world();
        let user_id = world.people[20].id.to_string();
        assert_eq!(act(&mut world, &Act::Login { user_id: user_id.clone() }).len(), 1);
        let truth = truth(&world, Extent::WithoutEvents);
        assert_eq!(truth.last_login_at[&user_id], truth.now);
        assert!(act(&mut world, &Act::Login { user_id: "1".to_owned() }).is_empty());
    }

    #[test]
    fn acts_read_from_json() {
        let text = r#"{"delete_users":{"count":3,"announced":true}}"#;
        assert_eq!(
            serde_json::from_str::<Act>(text).unwrap(),
            Act::DeleteUsers { count: 3, announced: true }
        );
    }
}
