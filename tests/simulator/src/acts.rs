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

use crate::apps::{App, Scopes};
use crate::chance::{self, About};
use crate::drift::Drift;
use crate::holds::Hold;
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
    /// Somebody signs in. A suspended person tries to: FAILED_LOGIN, and nobody is touched.
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
    /// Somebody signs in now, and both streams tell of it only later.
    LateLogin {
        /// Who; a suspended person cannot.
        user_id: String,
        /// Simulated hours until then.
        arrives_in_hours: u32,
    },
    /// Plays another act as somebody else than one of the administrators; matters where it is announced.
    As {
        /// Whose act it is.
        hand: Hand,
        /// The act.
        act: Box<Act>,
    },
    /// An account that is gone is made anew, with the same login and another id: by an identity provider whose assignment
    /// nobody removed, or for somebody who was hired again. Answers with the new id; nothing happens while the login is in
    /// use.
    Recreate {
        /// The old id.
        user_id: String,
        /// Whether a NEW_USER event follows.
        announced: bool,
    },
    /// The login of one person, here or gone, becomes another's. Answers with the other's id.
    ReassignLogin {
        /// Whose login it was.
        user_id: String,
        /// Whose it becomes.
        to_user_id: String,
        /// Whether EDIT_USER events follow.
        announced: bool,
    },
    /// Somebody gets more to own, in the root folder.
    AddContent {
        /// Who.
        user_id: String,
        /// How many items, up to 512.
        items: u32,
        /// Bytes of all of them.
        bytes: i64,
        /// How many of the items are folders that others work in.
        shared: u32,
    },
    /// Somebody owns exactly this, and what transfers brought; all zero is an empty account.
    SetContent {
        /// Who.
        user_id: String,
        /// How many items, up to 512.
        items: u32,
        /// Bytes of all of them.
        bytes: i64,
        /// How many of the items are folders that others work in.
        shared: u32,
    },
    /// So many bytes are in the trash of an account: `space_used` counts them, no folder shows them, a transfer leaves them, and
    /// Box deletes the account all the same. 0 empties it.
    SetTrash {
        /// Whose.
        user_id: String,
        /// Bytes.
        bytes: i64,
    },
    /// Transfers from or to somebody are refused with "User is locked", for so many simulated days, and for so many calls
    /// after that. Zero of both ends it.
    LockUser {
        /// Who.
        user_id: String,
        /// Days.
        days: u32,
        /// Calls.
        calls: u32,
    },
    /// A policy keeps somebody from being deleted by force, or at all; see [`crate::Config::holds_refuse_unforced`].
    HoldContent {
        /// Whose content.
        user_id: String,
        /// Which policy, or none any more.
        hold: Hold,
    },
    /// Somebody has no right to receive what is transferred, or has it again.
    RefuseContent {
        /// Who.
        user_id: String,
        /// `false` ends it.
        refuses: bool,
    },
    /// Puts somebody behind an information barrier, or takes it away; see [`crate::Config::barred_user_ids`].
    BarUser {
        /// Who.
        user_id: String,
        /// `false` ends it.
        barred: bool,
    },
    /// How transfers go that begin from now on; see [`crate::Config::transfer_days`] and [`crate::Config::transfer_share`].
    SetTransfers {
        /// Simulated days that each takes.
        days: u32,
        /// Share of the items that arrive.
        share: f64,
    },
    /// The primary admin authorises an application for other things than before.
    SetScopes {
        /// Which.
        app: App,
        /// For what.
        scopes: Scopes,
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

/// Whose act an announced change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// One of the applications, the identity provider among them.
    App(App),
    /// The person with this id.
    Person(String),
    /// Box's support.
    Support,
}

impl Act {
    /// The one person it is done to.
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

/// Does it, and answers with the ids of the users or groups touched.
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
