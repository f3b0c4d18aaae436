//! The admin event log: compact records in the order of their time.
//!
//! An event has about twenty bytes. Everything else about it (ids, addresses, names at the time) is computed when it is read,
//! so millions of logins fit into memory. The index in the log identifies the event permanently.

use std::collections::{BTreeMap, HashSet};

use crate::apps::App;
use crate::chance::{self, About};
use crate::drift::UNHEARD_EVENT_TYPE;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Unix seconds.
    pub(crate) at: u32,
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    /// Slot of the user that the event is about; [`NO_SUBJECT`] for group-level events.
    pub(crate) subject: u32,
    pub(crate) actor: Actor,
    /// Index of the group, or [`NO_GROUP`].
    pub(crate) group: u32,
}

pub(crate) const NO_SUBJECT: u32 = u32::MAX;
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// The account that caused the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The user in this slot.
    Person(u32),
    /// The account of an application.
    App(App),
    /// Id `2`, which Box uses for an unknown caller.
    Unknown,
    /// Id `box_support`.
    Support,
}

/// How an event names its subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Type, id, name and login.
    #[default]
    Full,
    /// Type and id.
    IdOnly,
    /// A login and no id.
    LoginOnly,
    /// `source` is null; only the actor is named.
    NoSource,
}

macro_rules! kinds {
    ($($variant:ident $name:expr,)*) => {
        /// The event types that the simulator produces.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Kind { $($variant,)* }

        impl Kind {
            pub(crate) const ALL: &[Kind] = &[$(Kind::$variant,)*];

            /// The name in the API.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    Login "LOGIN",
    FailedLogin "FAILED_LOGIN",
    AdminLogin "ADMIN_LOGIN",
    AddLoginDevice "ADD_LOGIN_ACTIVITY_DEVICE",
    TokenCreate "USER_AUTHENTICATE_OAUTH2_ACCESS_TOKEN_CREATE",
    Download "DOWNLOAD",
    Upload "UPLOAD",
    MfaEnable "MULTI_FACTOR_AUTH_ENABLE",
    NewUser "NEW_USER",
    EditUser "EDIT_USER",
    DeleteUser "DELETE_USER",
    ChangeAdminRole "CHANGE_ADMIN_ROLE",
    AliasConfirm "EMAIL_ALIAS_CONFIRM",
    AliasPrimary "EMAIL_ALIAS_PRIMARY",
    AliasRemove "EMAIL_ALIAS_REMOVE",
    GroupCreation "GROUP_CREATION",
    GroupEdited "GROUP_EDITED",
    GroupDeletion "GROUP_DELETION",
    GroupAddUser "GROUP_ADD_USER",
    GroupRemoveUser "GROUP_REMOVE_USER",
    GroupAdminCreated "GROUP_ADMIN_CREATED",
    GroupAdminDeleted "GROUP_ADMIN_DELETED",
    Unheard UNHEARD_EVENT_TYPE,
}

/// A set of event types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u64);

impl Kinds {
    pub(crate) const EVERY: Kinds = Kinds(u64::MAX);

    /// The types named in a comma-separated list. Types that the simulator does not produce match no event.
    pub(crate) fn parse(list: &str) -> Kinds {
        let named = |kind: &&Kind| list.split(',').any(|name| name.trim() == kind.as_str());
        Kinds(Kind::ALL.iter().filter(named).fold(0, |bits, kind| bits | 1 << *kind as u64))
    }

    /// The same set with one more type.
    pub(crate) fn and(self, kind: Kind) -> Kinds {
        Kinds(self.0 | 1 << kind as u64)
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        self.0 >> (kind as u64) & 1 == 1
    }
}

/// The log: ascending in time, append-only.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: Vec<Event>,
    /// Time of the newest LOGIN by slot; zero if there is none.
    last_logins: Vec<u32>,
    /// Index of events that both streams show later, and the time from which they show them.
    held_back: BTreeMap<u32, i64>,
    /// Events that the live stream delivers at once, because the simulated time does not move while they happen.
    prompt: HashSet<u32>,
}

impl Log {
    /// Appends events in the order of their time.
    ///
    /// An event that is older than the newest one in the log gets the time of the newest one, because stream positions depend
    /// on the order of the log.
    pub(crate) fn append(&mut self, mut batch: Vec<Event>) {
        let newest = self.events.last().map_or(0, |event| event.at);
        for event in &mut batch {
            event.at = event.at.max(newest);
        }
        batch.sort_by_key(|event| event.at);
        for event in batch.iter().filter(|event| event.kind == Kind::Login && event.subject != NO_SUBJECT) {
            let slot = event.subject as usize;
            self.last_logins.resize(self.last_logins.len().max(slot + 1), 0);
            self.last_logins[slot] = self.last_logins[slot].max(event.at);
        }
        if self.events.is_empty() {
            self.events = batch;
        } else {
            self.events.extend(batch);
        }
    }

    /// The index that [`Log::append`] would give each event of the batch.
    pub(crate) fn places(&self, batch: &[Event]) -> Vec<u32> {
        let newest = self.events.last().map_or(0, |event| event.at);
        let mut order: Vec<u32> = (0..batch.len() as u32).collect();
        order.sort_by_key(|number| batch[*number as usize].at.max(newest));
        let mut places = vec![0; batch.len()];
        for (rank, number) in order.into_iter().enumerate() {
            places[number as usize] = (self.events.len() + rank) as u32;
        }
        places
    }

    /// The newest LOGIN of the user in a slot.
    pub(crate) fn last_login(&self, slot: u32) -> Option<u32> {
        self.last_logins.get(slot as usize).copied().filter(|at| *at > 0)
    }

    /// Both streams show this event from `until` on.
    pub(crate) fn hold_back(&mut self, index: u32, until: i64) {
        self.held_back.insert(index, until);
    }

    /// The live stream shows this event as soon as it has happened.
    pub(crate) fn hurry(&mut self, index: u32) {
        self.prompt.insert(index);
    }

    /// The time from which the streams show an event that is held back.
    pub(crate) fn held_back(&self, index: usize) -> Option<i64> {
        self.held_back.get(&(index as u32)).copied()
    }

    /// All events that are held back, and their times.
    pub(crate) fn all_held_back(&self) -> impl Iterator<Item = (usize, i64)> {
        self.held_back.iter().map(|(index, until)| (*index as usize, *until))
    }

    pub(crate) fn is_prompt(&self, index: usize) -> bool {
        self.prompt.contains(&(index as u32))
    }

    pub(crate) fn all(&self) -> &[Event] {
        &self.events
    }

    /// Index of the first event at or after `at`.
    pub(crate) fn first_from(&self, at: i64) -> usize {
        self.events.partition_point(|event| i64::from(event.at) < at)
    }
}

/// The `event_id` of the event at `index`.
pub(crate) fn event_id(seed: u64, index: usize) -> String {
    let low = chance::mix(seed, About::EventId, index as u64 * 2);
    let high = chance::mix(seed, About::EventId, index as u64 * 2 + 1);
    format!("{low:016x}{high:016x}")
}

/// Seconds until `admin_logs` shows the event at `index`; zero for almost all events.
pub(crate) fn lag_secs(seed: u64, late_share: f64, index: usize) -> i64 {
    if !chance::happens(seed, About::LateEvent, index as u64, late_share) {
        return 0;
    }
    // From 20 minutes, more than a settling time of 15, to 10 hours, much less than an overlap of 48.
    1_200 + chance::below(seed, About::LateEvent, index as u64 ^ 1, 34_800) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: u32) -> Event {
        Event {
            at,
            kind: Kind::Login,
            form: Form::Full,
            subject: 0,
            actor: Actor::Person(0),
            group: NO_GROUP,
        }
    }

    #[test]
    fn the_log_never_goes_back() {
        let mut log = Log::default();
        log.append(vec![at(30), at(10)]);
        log.append(vec![at(20), at(40)]);
        let times: Vec<u32> = log.all().iter().map(|event| event.at).collect();
        assert_eq!(times, [10, 30, 30, 40]);
        assert_eq!(log.first_from(30), 1);
        let batch = vec![at(70), at(30), at(60), at(40)];
        assert_eq!(log.places(&batch), [7, 4, 6, 5]);
        log.append(batch);
        assert_eq!(log.all()[7].at, 70);
    }

    #[test]
    fn kinds_by_name() {
        let kinds = Kinds::parse("LOGIN, NO_SUCH_TYPE,GROUP_EDITED");
        assert!(kinds.has(Kind::Login) && kinds.has(Kind::GroupEdited) && !kinds.has(Kind::NewUser));
        assert!(!Kinds::parse("NO_SUCH_TYPE").has(Kind::Login));
        assert!(Kind::ALL.len() < 64);
    }
}
