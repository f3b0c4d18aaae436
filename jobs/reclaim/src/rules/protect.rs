//! R4: protected users. Entries are resolved to ids before any user is evaluated, so a protected user stays protected under a new
//! login, and an entry that matches no user is found in time.

use std::collections::HashMap;

use super::policy::{Code, Protect};
use super::snapshot::{Person, Snapshot};

/// All protected users, by id, with the matching entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Protected {
    by_id: HashMap<String, String>,
    /// Each entry with the ids it matches.
    pub(crate) entries: Vec<Entry>,
}

/// One entry of `[protect]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As it is written, with its key.
    pub(crate) text: String,
    /// The users that it matches, sorted.
    pub(crate) user_ids: Vec<String>,
}

impl Protected {
    /// Resolves every entry against all users the store has ever seen.
    pub(crate) fn resolve(protect: &Protect, snapshot: &Snapshot, addresses: &Addresses<'_>) -> Self {
        let mut protected = Self::default();
        for id in &protect.ids {
            let found = snapshot.people.get(id).map(|person| person.user_id.clone());
            protected.add(format!("id {id}"), found.into_iter().collect());
        }
        for login in &protect.logins {
            protected.add(format!("login {login}"), addresses.who(login));
        }
        for group in &protect.groups {
            let ids = groups_named(snapshot, group);
            let is_in = |person: &&Person| person.group_ids.iter().any(|id| ids.contains(&id.as_str()));
            protected.add(format!("group {group}"), ids_of(snapshot.people.values().filter(is_in)));
        }
        for code in &protect.tracking_codes {
            let has = |person: &&Person| has_code(person, code);
            let text = format!("tracking code {}={}", code.name, code.value);
            protected.add(text, ids_of(snapshot.people.values().filter(has)));
        }
        protected
    }

    /// The entry that protects a user.
    pub(crate) fn entry_for(&self, user_id: &str) -> Option<&str> {
        self.by_id.get(user_id).map(String::as_str)
    }

    /// Entries that match no user.
    pub(crate) fn idle_entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| entry.user_ids.is_empty()).map(|entry| entry.text.as_str())
    }

    fn add(&mut self, text: String, user_ids: Vec<String>) {
        for id in &user_ids {
            self.by_id.entry(id.clone()).or_insert_with(|| text.clone());
        }
        self.entries.push(Entry { text, user_ids });
    }
}

/// The users that have, or had, an address.
#[derive(Default)]
pub(crate) struct Addresses<'a> {
    ever: HashMap<String, Vec<&'a str>>,
    now: HashMap<String, Vec<&'a str>>,
}

impl<'a> Addresses<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        let mut addresses = Self::default();
        for person in snapshot.people.values() {
            let id = person.user_id.as_str();
            let login = person.login.iter().map(|login| login.to_lowercase());
            let today: Vec<String> = login.chain(person.aliases.iter().cloned()).collect();
            for address in today.iter().chain(&person.former_addresses) {
                let ids = addresses.ever.entry(address.clone()).or_default();
                if ids.last() != Some(&id) {
                    ids.push(id);
                }
            }
            if person.account_status != "deprovisioned" {
                for address in today {
                    addresses.now.entry(address).or_default().push(id);
                }
            }
        }
        addresses
    }

    /// All users that ever had it: a user is protected under every address.
    pub(crate) fn who(&self, address: &str) -> Vec<String> {
        let ids = self.ever.get(&address.to_lowercase());
        ids.into_iter().flatten().map(|id| (*id).to_owned()).collect()
    }

    /// The user whose id, login or alias it is in the latest snapshot.
    ///
    /// # Errors
    /// Why no single user is meant, to follow "which": a receiver must be beyond doubt.
    pub(crate) fn the_one(&self, id_or_address: &str, snapshot: &'a Snapshot) -> Result<&'a Person, String> {
        if let Some(person) = snapshot.people.get(id_or_address) {
            return Ok(person);
        }
        let none = || {
            let earlier = match self.who(id_or_address).as_slice() {
                [] => String::new(),
                ids => format!("; in an earlier snapshot it was of {}", ids.join(", ")),
            };
            let date = snapshot.night.snapshot_date;
            format!("is the id, login or alias of no user in the snapshot of {date}{earlier}")
        };
        match self.now.get(&id_or_address.to_lowercase()).map(Vec::as_slice) {
            Some([id]) => snapshot.people.get(*id).ok_or_else(none),
            Some(ids @ [_, _, ..]) => {
                Err(format!("is an address of {} users: {}", ids.len(), ids.join(", ")))
            }
            _ => Err(none()),
        }
    }
}

/// Ids of the groups that an entry matches: by id, or by name as it is written.
pub(crate) fn groups_named<'a>(snapshot: &'a Snapshot, entry: &str) -> Vec<&'a str> {
    let is_meant = |(id, name): &(&'a String, &'a String)| *id == entry || *name == entry;
    snapshot.groups.iter().filter(is_meant).map(|(id, _)| id.as_str()).collect()
}

pub(crate) fn has_code(person: &Person, code: &Code) -> bool {
    person.tracking_codes.iter().any(|(name, value)| *name == code.name && *value == code.value)
}

fn ids_of<'a>(people: impl Iterator<Item = &'a Person>) -> Vec<String> {
    people.map(|person| person.user_id.clone()).collect()
}
