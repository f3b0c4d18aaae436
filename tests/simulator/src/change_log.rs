//! The log of true changes: what happened to users, memberships and aliases since the simulator started, announced or not.
//!
//! The log applied to an earlier [`crate::Truth`] gives a later one, except for fields without history (`modified_at`,
//! storage). It does not contain the year before the first day. The methods of [`World`] write it. It is rendered only on
//! request.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::events::event_id;
use crate::groups::group_id_of;
use crate::people::{INACTIVE, Person, Words};
use crate::truth::utc;
use crate::world::World;

/// One change as it really happened, in the terms of the table `user_changes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrueChange {
    /// Time of the change, RFC 3339 in UTC.
    pub at: String,
    /// `joined`, `left`, `returned`, `suspended` (the status became `inactive`), `reactivated` (it was `inactive`),
    /// `role_changed`, `attribute_changed`, `group_added`, `group_removed`, `role_in_group_changed`, `alias_added`,
    /// `alias_removed`. A user who leaves loses memberships and aliases; a user who returns regains the aliases. Each of these
    /// is a separate change.
    pub change: String,
    /// Id of the user.
    pub user_id: String,
    /// The column of `users` of an `attribute_changed`. `is_confirmed` is a column of `email_aliases`; its object is the alias.
    pub attribute: Option<String>,
    /// Id of the group or of the alias.
    pub object_id: Option<String>,
    /// The old value: a column as text (tracking codes as JSON), a role, or the address of an alias. Empty text is null.
    pub old_value: Option<String>,
    /// The new value, in the same form.
    pub new_value: Option<String>,
    /// The `admin_logs` event that announced the change; `None` if there was none.
    pub event_id: Option<String>,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Joined,
    Left,
    Returned,
    /// A column of `users`.
    Column(&'static str),
    GroupAdded,
    GroupRemoved,
    RoleInGroup,
    AliasAdded,
    AliasRemoved,
    AliasConfirmed,
}

/// The event that announces a change. Until the next publication, the number counts the events recorded since the last
/// publication. After it, the number is the index in the whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told(Option<u32>);

impl Told {
    pub(crate) const NOTHING: Told = Told(None);

    /// The `number`-th of the events that wait for publication.
    pub(crate) fn pending(number: usize) -> Told {
        Told(Some(number as u32))
    }

    /// This event, or the other one if there is none.
    pub(crate) fn or(self, other: Told) -> Told {
        Told(self.0.or(other.0))
    }
}

/// A recorded change.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    what: What,
    slot: u32,
    at: u32,
    told: Told,
    /// Index of the group or id of the alias; zero if there is neither.
    object: u64,
    old: Option<Words>,
    new: Option<Words>,
}

impl Noted {
    pub(crate) fn new(what: What, slot: usize, at: i64, told: Told) -> Noted {
        Noted { what, slot: slot as u32, at: at as u32, told, object: 0, old: None, new: None }
    }

    /// The same change about a group (by index) or an alias (by id), from `old` to `new`.
    pub(crate) fn about(self, object: u64, old: Option<Words>, new: Option<Words>) -> Noted {
        Noted { object, old, new, ..self }
    }
}

/// The changes so far, in the order in which they took effect. Times within a stepped day are drawn at random, so `at` can go
/// back within a day. A chain of old and new values never goes back.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    noted: Vec<Noted>,
    /// Changes before this index have their event's index in the log.
    published: usize,
}

impl ChangeLog {
    pub(crate) fn note(&mut self, noted: Noted) {
        self.noted.push(noted);
    }

    /// Records the columns of a user that changed since `before`. `told` returns the event that announces a column.
    pub(crate) fn note_columns(
        &mut self,
        before: Columns,
        slot: usize,
        person: &Person,
        at: i64,
        told: impl Fn(&str) -> Told,
    ) {
        for ((column, old), (_, new)) in before.0.into_iter().zip(Columns::of(person).0) {
            if old != new {
                let noted = Noted::new(What::Column(column), slot, at, told(column));
                self.note(Noted { old, new, ..noted });
            }
        }
    }

    pub(crate) fn is_unpublished(&self) -> bool {
        self.published < self.noted.len()
    }

    /// Replaces the numbers of pending events by their place in the log: the n-th event is now at `places[n]`.
    pub(crate) fn publish(&mut self, places: &[u32]) {
        for noted in &mut self.noted[self.published..] {
            noted.told = Told(noted.told.0.map(|number| places[number as usize]));
        }
        self.published = self.noted.len();
    }
}

/// The columns of a user as text, to find out later which of them changed.
pub(crate) struct Columns([(&'static str, Option<Words>); 21]);

impl Columns {
    /// Every column that the history of users tracks; see [`crate::TrueUser`].
    pub(crate) fn of(person: &Person) -> Columns {
        let text = |text: &str| (!text.is_empty()).then(|| Words::from(text.to_owned()));
        let flag = |flag: bool| Some(Words::from(if flag { "true" } else { "false" }));
        let notification = person.notification.as_deref();
        Columns([
            (LOGIN, text(&person.login)),
            ("name", text(&person.name)),
            (STATUS, text(&person.status)),
            (ROLE, Some(person.role.as_str().into())),
            ("language", text(&person.language)),
            ("timezone", text(&person.timezone)),
            ("job_title", text(&person.job_title)),
            ("phone", text(&person.phone)),
            ("address", text(&person.address)),
            ("space_amount_bytes", person.space_amount.map(|bytes| bytes.to_string().into())),
            ("has_unlimited_space", flag(person.space_amount.is_none())),
            ("notification_email", notification.and_then(|address| text(&address.email))),
            ("notification_email_confirmed", notification.and_then(|address| flag(address.is_confirmed))),
            ("tracking_codes", tracking_codes(person)),
            ("can_see_managed_users", flag(person.can_see_managed_users)),
            ("is_sync_enabled", flag(person.is_sync_enabled)),
            ("is_external_collab_restricted", flag(person.is_external_collab_restricted)),
            ("is_exempt_from_device_limits", flag(person.is_exempt_from_device_limits)),
            ("is_exempt_from_login_verification", flag(person.is_exempt_from_login_verification)),
            ("is_platform_access_only", flag(person.is_platform_access_only)),
            ("external_app_user_id", person.external_app_user_id.as_deref().and_then(text)),
        ])
    }
}

// Columns whose changes have their own event or their own name.
pub(crate) const LOGIN: &str = "login";
pub(crate) const ROLE: &str = "role";
const STATUS: &str = "status";

fn tracking_codes(person: &Person) -> Option<Words> {
    let code = |(name, value): &(Words, Box<str>)| json!({"name": name, "value": value});
    let codes: Vec<_> = person.tracking_codes.iter().map(code).collect();
    Some(json!(codes).to_string().into())
}

/// Every change so far, rendered.
pub(crate) fn true_changes(world: &World) -> Vec<TrueChange> {
    world.changes.noted.iter().map(|noted| true_change(world, noted)).collect()
}

fn true_change(world: &World, noted: &Noted) -> TrueChange {
    let event = noted.told.0.map(|index| index as usize);
    // An event can get a later time when it is published. The change has the time of its event.
    let at = event.map_or(noted.at, |index| world.log.all()[index].at);
    let is_inactive = |value: &Option<Words>| value.as_deref() == Some(INACTIVE);
    let (change, attribute) = match noted.what {
        What::Joined => ("joined", None),
        What::Left => ("left", None),
        What::Returned => ("returned", None),
        What::Column(STATUS) if is_inactive(&noted.new) => ("suspended", None),
        What::Column(STATUS) if is_inactive(&noted.old) => ("reactivated", None),
        What::Column(ROLE) => ("role_changed", None),
        What::Column(column) => ("attribute_changed", Some(column)),
        What::GroupAdded => ("group_added", None),
        What::GroupRemoved => ("group_removed", None),
        What::RoleInGroup => ("role_in_group_changed", None),
        What::AliasAdded => ("alias_added", None),
        What::AliasRemoved => ("alias_removed", None),
        What::AliasConfirmed => ("attribute_changed", Some("is_confirmed")),
    };
    let object_id = match noted.what {
        What::GroupAdded | What::GroupRemoved | What::RoleInGroup => Some(group_id_of(noted.object as usize)),
        What::AliasAdded | What::AliasRemoved | What::AliasConfirmed => Some(noted.object),
        _ => None,
    };
    TrueChange {
        at: utc(at.into()),
        change: change.to_owned(),
        user_id: world.people[noted.slot as usize].id.to_string(),
        attribute: attribute.map(str::to_owned),
        object_id: object_id.map(|id| id.to_string()),
        old_value: noted.old.as_deref().map(str::to_owned),
        new_value: noted.new.as_deref().map(str::to_owned),
        event_id: event.map(|index| event_id(world.config.seed, index)),
    }
}
