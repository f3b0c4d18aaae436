//! The identity of a user in this store: every login, address and name of any run.
//!
//! It is collected from the lake, the journal, the plans and the raw pages. So an erasure that was given up half-way can begin again: what
//! is left of the user is found by the id.

use std::collections::BTreeSet;

use boxseat_output::lake::Lake;
use boxseat_pipeline::spool::SpoolReader;
use boxseat_schemas::RunNumber;
use boxseat_schemas::spool::{Frame, Request};
use boxseat_schemas::table::{
    EMAIL_ALIASES, EVENTS, SEAT_ACTIONS, Table, USER_CHANGES, USERS, USERS_HISTORY,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use arrow::array::{Array as _, AsArray, RecordBatch};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::plans::PlanTexts;

use crate::error::CommandError;
use crate::store::{Store, names_in};

/// The data that identifies a user, and its replacement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// Box's id.
    pub(crate) user_id: String,
    /// A number of 24 digits that begins with 900: the keyed hash of the id. Box's ids are shorter.
    pub(crate) pseudonym: String,
    /// Logins, aliases and other addresses that no other user ever had in this store, in lower case.
    pub(crate) addresses: BTreeSet<String>,
    /// Addresses that another user has or had. They are erased only in this user's own rows.
    pub(crate) reused: BTreeSet<String>,
    /// Names, as written.
    pub(crate) names: BTreeSet<String>,
}

impl Identity {
    /// Whether a text names the user by id or address.
    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        super::eraser::Eraser { identity: self }.is_named_in_json(text)
    }

    /// Replaces logins and addresses.
    pub(crate) fn address(&self) -> String {
        format!("{}@erased.invalid", self.pseudonym)
    }

    fn take_address(&mut self, text: &str) {
        if text.contains('@') && !text.contains(char::is_whitespace) {
            self.addresses.insert(text.to_lowercase());
        }
    }

    /// Takes every object about the user in a document.
    fn take_document(&mut self, document: &Value) {
        people(document, &mut |id, object| {
            if id == self.user_id {
                self.take_object(object);
            }
        });
    }

    fn take_name(&mut self, name: &str) {
        if !name.trim().is_empty() {
            self.names.insert(name.to_owned());
        }
    }

    /// Takes an object about the user: a user of Box, or a part of a plan or of the journal.
    fn take_object(&mut self, object: &Map<String, Value>) {
        for (key, value) in object {
            match (key.as_str(), value) {
                ("login" | "email", Value::String(text)) => self.take_address(text),
                ("name", Value::String(name)) => self.take_name(name),
                ("notification_email", Value::Object(email)) => {
                    email
                        .get("email")
                        .and_then(Value::as_str)
                        .into_iter()
                        .for_each(|text| self.take_address(text));
                }
                ("aliases", Value::Array(aliases)) => {
                    aliases.iter().filter_map(Value::as_str).for_each(|text| self.take_address(text));
                }
                _ => {}
            }
        }
    }
}

/// The ids of users whose id or login, now or at any time, is `user`.
pub(crate) fn ids_of(store: &Store, journal: &Journal, user: &str) -> Result<BTreeSet<String>, CommandError> {
    let wanted = user.to_lowercase();
    let mut ids = BTreeSet::new();
    let mut take = |id: Option<&str>, address: Option<&str>| {
        let is_wanted = id == Some(user) || address.is_some_and(|address| address.to_lowercase() == wanted);
        ids.extend(id.filter(|_| is_wanted).map(str::to_owned));
    };
    for (table, address) in
        [(&USERS, "login"), (&USERS_HISTORY, "login"), (&EMAIL_ALIASES, "email"), (&EVENTS, "user_login")]
    {
        each(store.lake(), table, |batch| {
            let (ids, addresses) = (texts(batch, "user_id"), texts(batch, address));
            (0..batch.num_rows()).for_each(|row| take(at(ids, row), at(addresses, row)));
        })?;
    }
    if ids.is_empty() {
        let mut is_there = false;
        let mut look = |document: &Value| people(document, &mut |id, _| is_there = is_there || id == user);
        records(store, journal)?.iter().for_each(&mut look);
        each_page(store, user, &mut |_, document| look(document))?;
        ids.extend(is_there.then(|| user.to_owned()));
    }
    Ok(ids)
}

/// Collects the identity of the user with this id. `known` is that of the erasure that was interrupted.
pub(crate) fn identity_of(
    store: &Store,
    journal: &Journal,
    user_id: &str,
    pseudonym: String,
    known: Option<&Identity>,
) -> Result<Identity, CommandError> {
    let (addresses, names) =
        known.map(|known| (&known.addresses | &known.reused, known.names.clone())).unwrap_or_default();
    let mut identity =
        Identity { user_id: user_id.to_owned(), pseudonym, addresses, reused: BTreeSet::new(), names };
    let sources: [(&'static Table, &[&str]); 6] = [
        (&USERS, &["login", "notification_email"]),
        (&USERS_HISTORY, &["login", "notification_email"]),
        (&EMAIL_ALIASES, &["email"]),
        (&EVENTS, &["user_login"]),
        (&SEAT_ACTIONS, &["login"]),
        (&USER_CHANGES, &["old_value", "new_value"]),
    ];
    for (table, columns) in sources {
        let has_names = [USERS.name, USERS_HISTORY.name].contains(&table.name);
        each(store.lake(), table, |batch| {
            let ids = texts(batch, "user_id");
            let names = texts(batch, "name").filter(|_| has_names);
            for row in (0..batch.num_rows()).filter(|row| at(ids, *row) == Some(user_id)) {
                let addresses = columns.iter().filter_map(|column| at(texts(batch, column), row));
                addresses.for_each(|text| identity.take_address(text));
                at(names, row).into_iter().for_each(|name| identity.take_name(name));
            }
        })?;
    }
    let records = records(store, journal)?;
    records.iter().for_each(|document| identity.take_document(document));
    each_page(store, user_id, &mut |request, document| {
        identity.take_document(document);
        if matches!(request, Request::EmailAliases { user_id: of } if of == user_id) {
            let aliases = document.get("entries").and_then(Value::as_array).into_iter().flatten();
            aliases.filter_map(Value::as_object).for_each(|alias| identity.take_object(alias));
        }
    })?;
    set_apart_reused(store.lake(), &records, &mut identity)?;
    Ok(identity)
}

/// Moves the addresses that another user has or had, also one who is gone, to [`Identity::reused`].
fn set_apart_reused(lake: &Lake, records: &[Value], identity: &mut Identity) -> Result<(), CommandError> {
    let Identity { user_id, pseudonym, addresses, reused, .. } = identity;
    let mut take = |id: Option<&str>, address: &str| {
        let is_other = id.is_some_and(|id| id != user_id && id != pseudonym);
        reused.extend(is_other.then(|| addresses.take(&address.to_lowercase())).flatten());
    };
    let sources: [(&'static Table, &[&str]); 4] = [
        (&USERS, &["login", "notification_email"]),
        (&USERS_HISTORY, &["login", "notification_email"]),
        (&EMAIL_ALIASES, &["email"]),
        (&SEAT_ACTIONS, &["login"]),
    ];
    for (table, columns) in sources {
        each(lake, table, |batch| {
            let ids = texts(batch, "user_id");
            for column in columns.iter().map(|column| texts(batch, column)) {
                for row in 0..batch.num_rows() {
                    at(column, row).into_iter().for_each(|address| take(at(ids, row), address));
                }
            }
        })?;
    }
    for document in records {
        people(document, &mut |id, object| {
            let login = object.get("login").and_then(Value::as_str);
            let aliases = object.get("aliases").and_then(Value::as_array).into_iter().flatten();
            login
                .into_iter()
                .chain(aliases.filter_map(Value::as_str))
                .for_each(|address| take(Some(id), address));
        });
    }
    Ok(())
}

/// The records of the journal, and the plans, as JSON. A plan that cannot be read is left out: the erasure refuses it if it names the user.
fn records(store: &Store, journal: &Journal) -> Result<Vec<Value>, CommandError> {
    let entries = journal.entries().iter();
    let entries = entries.map(|entry| serde_json::to_value(&entry.record).expect("plain data"));
    let plans = PlanTexts::read(store.root())?;
    Ok(entries.chain(plans.iter().filter_map(|(_, text)| serde_json::from_str(text).ok())).collect())
}

/// Visits the raw pages that have the id. The pages of every run are compared with the record of the lake first.
fn each_page(
    store: &Store,
    user_id: &str,
    visit: &mut dyn FnMut(&Request, &Value),
) -> Result<(), CommandError> {
    let names = names_in(&store.spools())?;
    for run in names.iter().filter_map(|name| name.parse().ok()).map(RunNumber) {
        let dir = store.spool(run);
        if !dir.pages().exists() {
            continue;
        }
        store.check_spool(run)?;
        let pages = SpoolReader::open(&dir, run.0)?;
        store.compare_pages(run, pages.file())?;
        pages.replay(|frame, body| {
            let Frame::Page { request, .. } = frame else { return Ok(()) };
            let text = String::from_utf8_lossy(body);
            if text.contains(user_id) || request.subject_id() == Some(user_id) {
                serde_json::from_str(&text).into_iter().for_each(|document| visit(request, &document));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Visits every object that has the id of a user.
fn people(value: &Value, visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            let is_user = |kind: Option<&Value>| {
                kind.and_then(Value::as_str).is_none_or(|kind| kind.eq_ignore_ascii_case("user"))
            };
            let id =
                object.get("user_id").or_else(|| object.get("id").filter(|_| is_user(object.get("type"))));
            id.and_then(Value::as_str).into_iter().for_each(|id| visit(id, object));
            object.values().for_each(|value| people(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| people(value, visit)),
        _ => {}
    }
}

fn each(lake: &Lake, table: &'static Table, mut take: impl FnMut(&RecordBatch)) -> Result<(), CommandError> {
    for batch in lake.scan_all(table)? {
        take(&batch?);
    }
    Ok(())
}

fn texts<'b>(batch: &'b RecordBatch, column: &str) -> Option<&'b arrow::array::StringArray> {
    batch.column_by_name(column).and_then(|column| column.as_string_opt::<i32>())
}

fn at(texts: Option<&arrow::array::StringArray>, row: usize) -> Option<&str> {
    texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_objects_with_the_user_s_id_give_names_and_addresses() {
        let mut identity = Identity {
            user_id: "7".into(),
            pseudonym: "900".into(),
            addresses: BTreeSet::new(),
            reused: BTreeSet::new(),
            names: BTreeSet::new(),
        };
        identity.take_document(&json!({ "entries": [
            { "type": "user", "id": "7", "name": "Ann", "login": "A@x.test", "notification_email": { "email": "n@x.test" } },
            { "type": "group", "id": "7", "name": "Group" },
            { "id": "8", "name": "Bo", "login": "b@x.test" },
            { "user_id": "7", "before": { "user_id": "7", "login": "old@x.test", "aliases": ["al@x.test"] } },
        ] }));
        let list = |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(list(&identity.addresses), "a@x.test al@x.test n@x.test old@x.test");
        assert_eq!(list(&identity.names), "Ann");
        let records = [
            json!({ "user_id": "9", "login": "old@x.test" }),
            json!({ "user_id": "900", "login": "al@x.test" }),
        ];
        let temp = tempfile::tempdir().unwrap();
        let lake = Lake::open(&temp.path().join("lake"), 0o640).unwrap();
        set_apart_reused(&lake, &records, &mut identity).unwrap();
        assert_eq!(list(&identity.reused), "old@x.test", "another user had it");
        assert_eq!(list(&identity.addresses), "a@x.test al@x.test n@x.test");
    }
}
