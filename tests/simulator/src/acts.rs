//! Single changes to the enterprise, for tests that need one specific state: half the list missing, an event feed without
//! events, a user who signs in at this moment.
//!
//! Acts happen at the simulated now and use the same methods as the stepped days.

mod stage;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use stage::Stage;

use crate::apps::{App, Scopes};
use crate::chance::{self, About};
use crate::drift::Drift;
use crate::holds::Hold;
use crate::world::World;

/// One act. [`crate::Running::act`] and `POST /_simulator/act` return the ids that it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// From now on, user lists omit this share of users (0.0 to 1.0), as a faulty listing would. Requests by id still find
    /// them, and the truth still contains them. 0.0 lists all users again.
    HideUsers {
        /// Share of users that are omitted.
        share: f64,
    },
    /// Both admin streams respond without events and without an error until this act is played with `silent: false`.
    SilenceFeed {
        /// `false` makes the streams return events again; no event is lost.
        silent: bool,
    },
    /// Changes the rate of changes per stepped day from now on; see [`crate::Config::change_scale`].
    SetChangeScale {
        /// 1.0 is the usual rate, 0.0 stops the changes.
        scale: f64,
    },
    /// From now on, Box sends undocumented data. Returns the ids of the users whose status changed.
    SetDrift {
        /// Which data; the default ends the drift.
        drift: Drift,
    },
    /// Deletes users.
    DeleteUsers {
        /// How many.
        count: u32,
        /// Whether DELETE_USER events follow.
        announced: bool,
    },
    /// Deletes one user. The primary admin, app users and pseudo users cannot be deleted.
    DeleteUser {
        /// Id of the user.
        user_id: String,
        /// Whether a DELETE_USER event follows.
        announced: bool,
    },
    /// Turns users into free accounts outside the enterprise. No event announces it.
    RollOutUsers {
        /// How many.
        count: u32,
    },
    /// Makes deleted or rolled-out accounts managed users again, with their old ids and aliases, but without groups. An account
    /// whose address has been taken meanwhile does not return.
    ReturnUsers {
        /// Ids of the users.
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
        /// Id of the group.
        group_id: String,
        /// Whether a GROUP_DELETION event follows.
        announced: bool,
    },
    /// Gives a share of users an EDIT_USER and a new `modified_at`, as an identity provider does.
    PushDirectory {
        /// Share of users that are changed (0.0 to 1.0).
        share: f64,
    },
    /// A user signs in. A suspended user fails: FAILED_LOGIN, and the act returns no id.
    Login {
        /// Id of the user.
        user_id: String,
    },
    /// An admin sets the status of a user.
    SetStatus {
        /// Id of the user.
        user_id: String,
        /// Any text; Box has four values.
        status: String,
        /// Whether an EDIT_USER event follows.
        announced: bool,
    },
    /// An account is edited. A body that Box would refuse has no effect.
    EditUser {
        /// Id of the user.
        user_id: String,
        /// A body of `PUT /users/{id}`, e.g. `{"name":"New Name","job_title":"Cook"}`.
        body: Value,
        /// Whether EDIT_USER follows, and CHANGE_ADMIN_ROLE and EMAIL_ALIAS_PRIMARY where they apply. `modified_at` changes in
        /// any case.
        announced: bool,
    },
    /// A user joins a group as an ordinary member. A user who is already a member stays unchanged.
    AddMember {
        /// Id of the user.
        user_id: String,
        /// Id of the group. The all-users group is not accepted.
        group_id: String,
        /// Whether GROUP_ADD_USER follows.
        announced: bool,
    },
    /// A user leaves a group.
    RemoveMember {
        /// Id of the user.
        user_id: String,
        /// Id of the group.
        group_id: String,
        /// Whether GROUP_REMOVE_USER follows.
        announced: bool,
    },
    /// A member becomes a group admin, or stops being one.
    SetGroupAdmin {
        /// Id of the user.
        user_id: String,
        /// Id of the group.
        group_id: String,
        /// The new role in the group. A member who already has it stays unchanged.
        is_admin: bool,
        /// Whether GROUP_ADMIN_CREATED or GROUP_ADMIN_DELETED follows.
        announced: bool,
    },
    /// A user gets another alias. No event announces it.
    AddAlias {
        /// Id of the user.
        user_id: String,
        /// The address.
        email: String,
        /// Whether the alias is confirmed.
        is_confirmed: bool,
    },
    /// An alias becomes confirmed.
    ConfirmAlias {
        /// Id of the user.
        user_id: String,
        /// Id of the alias.
        alias_id: String,
        /// `true`: the user confirms it, with EMAIL_ALIAS_CONFIRM. `false`: an admin confirms it, without an event.
        announced: bool,
    },
    /// An alias is removed.
    RemoveAlias {
        /// Id of the user.
        user_id: String,
        /// Id of the alias.
        alias_id: String,
        /// Whether EMAIL_ALIAS_REMOVE follows.
        announced: bool,
    },
    /// A user signs in now. Both streams show the event only later.
    LateLogin {
        /// Id of the user; a suspended user cannot sign in.
        user_id: String,
        /// Simulated hours until the event appears.
        arrives_in_hours: u32,
    },
    /// Plays another act with a different actor than an administrator. It makes a difference only where the act is announced.
    As {
        /// The actor.
        hand: Hand,
        /// The act.
        act: Box<Act>,
    },
    /// Creates a deleted or rolled-out account again, with the same login and a new id: by an identity provider whose
    /// assignment was not removed, or for a re-hired user. Returns the new id. Has no effect while the login is in use.
    Recreate {
        /// The old id.
        user_id: String,
        /// Whether a NEW_USER event follows.
        announced: bool,
    },
    /// Gives the login of one user, managed or gone, to another user. Returns the id of the other user.
    ReassignLogin {
        /// Id of the user who had the login.
        user_id: String,
        /// Id of the user who gets the login.
        to_user_id: String,
        /// Whether EDIT_USER events follow.
        announced: bool,
    },
    /// Adds content to the root folder of a user.
    AddContent {
        /// Id of the user.
        user_id: String,
        /// Number of items, up to 512.
        items: u32,
        /// Size of all items together, in bytes.
        bytes: i64,
        /// How many of the items are folders shared with other users.
        shared: u32,
    },
    /// Replaces the content of a user by exactly this. Content that transfers brought stays. All zero is an empty account.
    SetContent {
        /// Id of the user.
        user_id: String,
        /// Number of items, up to 512.
        items: u32,
        /// Size of all items together, in bytes.
        bytes: i64,
        /// How many of the items are folders shared with other users.
        shared: u32,
    },
    /// Sets the bytes in the trash of an account. `space_used` counts them, no folder shows them, a transfer leaves them, and
    /// Box still deletes the account. 0 empties the trash.
    SetTrash {
        /// Id of the user.
        user_id: String,
        /// Bytes.
        bytes: i64,
    },
    /// Refuses transfers from and to a user with "User is locked", for a number of simulated days and then for a number of
    /// calls. Zero for both ends the lock.
    LockUser {
        /// Id of the user.
        user_id: String,
        /// Simulated days.
        days: u32,
        /// Number of calls.
        calls: u32,
    },
    /// A policy prevents the deletion of a user by force, or any deletion; see [`crate::Config::holds_refuse_unforced`].
    HoldContent {
        /// Id of the user.
        user_id: String,
        /// The policy, or [`Hold::None`].
        hold: Hold,
    },
    /// A user has no permission to receive transferred content, or has it again.
    RefuseContent {
        /// Id of the user.
        user_id: String,
        /// `false` ends it.
        refuses: bool,
    },
    /// Puts a user behind an information barrier, or removes the barrier; see [`crate::Config::barred_user_ids`].
    BarUser {
        /// Id of the user.
        user_id: String,
        /// `false` ends it.
        barred: bool,
    },
    /// Sets how transfers that begin from now on run; see [`crate::Config::transfer_days`] and
    /// [`crate::Config::transfer_share`].
    SetTransfers {
        /// Simulated days that each transfer takes.
        days: u32,
        /// Share of the items that arrive.
        share: f64,
    },
    /// The primary admin authorises an application with different scopes.
    SetScopes {
        /// The application.
        app: App,
        /// The new scopes.
        scopes: Scopes,
    },
    /// A confirmed alias becomes the login. The login becomes an alias with a new id.
    MakeAliasPrimary {
        /// Id of the user.
        user_id: String,
        /// Id of the alias.
        alias_id: String,
        /// Whether EMAIL_ALIAS_PRIMARY and EDIT_USER follow.
        announced: bool,
    },
}

/// The actor of an announced change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// One of the applications, including the identity provider.
    App(App),
    /// The user with this id.
    Person(String),
    /// Box support.
    Support,
}

impl Act {
    /// The user that the act names; `None` for acts on several users, on groups or on settings.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Act::As { act, .. } => act.subject(),
            Act::DeleteUser { user_id, .. }
            | Act::Login { user_id }
            | Act::LateLogin { user_id, .. }
            | Act::SetStatus { user_id, .. }
            | Act::EditUser { user_id, .. }
            | Act::Recreate { user_id, .. }
            | Act::ReassignLogin { user_id, .. }
            | Act::AddContent { user_id, .. }
            | Act::SetContent { user_id, .. }
            | Act::SetTrash { user_id, .. }
            | Act::LockUser { user_id, .. }
            | Act::HoldContent { user_id, .. }
            | Act::RefuseContent { user_id, .. }
            | Act::BarUser { user_id, .. }
            | Act::AddMember { user_id, .. }
            | Act::RemoveMember { user_id, .. }
            | Act::SetGroupAdmin { user_id, .. }
            | Act::AddAlias { user_id, .. }
            | Act::ConfirmAlias { user_id, .. }
            | Act::RemoveAlias { user_id, .. }
            | Act::MakeAliasPrimary { user_id, .. } => Some(user_id),
            Act::HideUsers { .. }
            | Act::SilenceFeed { .. }
            | Act::SetChangeScale { .. }
            | Act::SetDrift { .. }
            | Act::DeleteUsers { .. }
            | Act::RollOutUsers { .. }
            | Act::ReturnUsers { .. }
            | Act::DeleteGroups { .. }
            | Act::DeleteGroup { .. }
            | Act::PushDirectory { .. }
            | Act::SetTransfers { .. }
            | Act::SetScopes { .. } => None,
        }
    }
}

/// Plays the act and returns the ids of the users or groups that it changed.
pub(crate) fn act(world: &mut World, act: &Act) -> Vec<String> {
    world.acts += 1;
    let rng = ChaCha8Rng::seed_from_u64(chance::mix(world.config.seed, About::Act, world.acts));
    let deed = world.staged_deed(act);
    let mut stage = Stage { rng, world, hand: None };
    let touched = stage.play(act);
    world.publish();
    if let Some(deed) = deed.filter(|_| !touched.is_empty()) {
        world.note_deed(deed, Ok(0));
    }
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
