//! The identity of a user in this store: every login, address and name of any run.

use std::collections::BTreeSet;

use boxseat_output::lake::Lake;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{
    EMAIL_ALIASES, EVENTS, SEAT_ACTIONS, Table, USER_CHANGES, USERS, USERS_HISTORY,
};
use serde::{Deserialize, Serialize};

use arrow::array::{Array as _, AsArray, RecordBatch};

use crate::error::CommandError;

/// The data that identifies a user, and its replacement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// Box's id.
    pub(crate) user_id: String,
    /// A number of 24 digits that begins with 900: the keyed hash of the id. Box's ids are shorter.
    pub(crate) pseudonym: String,
    /// Logins, aliases and other addresses that no other user has, in lower case.
    pub(crate) addresses: BTreeSet<String>,
    /// Addresses that another user has now. They are erased only in this user's own rows.
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
}

/// The ids of users whose id or login, now or at any time, is `user`.
pub(crate) fn ids_of(lake: &Lake, user: &str) -> Result<BTreeSet<String>, CommandError> {
    let wanted = user.to_lowercase();
    let mut ids = BTreeSet::new();
    let mut take = |id: Option<&str>, address: Option<&str>| {
        let is_wanted = id == Some(user) || address.is_some_and(|address| address.to_lowercase() == wanted);
        ids.extend(id.filter(|_| is_wanted).map(str::to_owned));
    };
    for (table, address) in
        [(&USERS, "login"), (&USERS_HISTORY, "login"), (&EMAIL_ALIASES, "email"), (&EVENTS, "user_login")]
    {
        each(lake, table, |batch| {
            let (ids, addresses) = (texts(batch, "user_id"), texts(batch, address));
            (0..batch.num_rows()).for_each(|row| take(at(ids, row), at(addresses, row)));
        })?;
    }
    Ok(ids)
}

/// Collects the identity of the user with this id. `latest` is the run of the latest snapshot.
pub(crate) fn identity_of(
    lake: &Lake,
    user_id: &str,
    pseudonym: String,
    latest: RunNumber,
) -> Result<Identity, CommandError> {
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    let sources: [(&'static Table, &[&str]); 6] = [
        (&USERS, &["login", "notification_email"]),
        (&USERS_HISTORY, &["login", "notification_email"]),
        (&EMAIL_ALIASES, &["email"]),
        (&EVENTS, &["user_login"]),
        (&SEAT_ACTIONS, &["login"]),
        (&USER_CHANGES, &["old_value", "new_value"]),
    ];
    for (table, columns) in sources {
        each(lake, table, |batch| {
            let ids = texts(batch, "user_id");
            for row in (0..batch.num_rows()).filter(|row| at(ids, *row) == Some(user_id)) {
                for text in columns.iter().filter_map(|column| at(texts(batch, column), row)) {
                    if is_address(text) {
                        addresses.insert(text.to_lowercase());
                    }
                }
                let name = match table.name {
                    name if name == USERS.name || name == USERS_HISTORY.name => at(texts(batch, "name"), row),
                    _ => None,
                };
                names.extend(name.filter(|name| !name.trim().is_empty()).map(str::to_owned));
            }
        })?;
    }
    let mut held = BTreeSet::new();
    for (table, columns) in
        [(&USERS, &["login", "notification_email"] as &[&str]), (&EMAIL_ALIASES, &["email"])]
    {
        for batch in lake.scan(table, &[latest], None)? {
            let batch = batch?;
            let ids = texts(&batch, "user_id");
            for row in (0..batch.num_rows()).filter(|row| at(ids, *row) != Some(user_id)) {
                let texts = columns.iter().filter_map(|column| at(texts(&batch, column), row));
                held.extend(texts.map(str::to_lowercase).filter(|address| addresses.contains(address)));
            }
        }
    }
    addresses.retain(|address| !held.contains(address));
    Ok(Identity { user_id: user_id.to_owned(), pseudonym, addresses, reused: held, names })
}

/// Refuses an identity with data of another user: an unfinished erasure is read from a file, which may be altered.
///
/// # Errors
/// Exit 3.
pub(crate) fn refuse_others(
    lake: &Lake,
    identity: &Identity,
    pseudonym: &str,
    latest: RunNumber,
) -> Result<(), CommandError> {
    let other = |what: &str| {
        CommandError::refused(format!("state/erasure/pending.json names {what}, which is not user {}", identity.user_id))
            .hint("another program wrote that file: remove it, and run `boxseat forget` again with the user's Box id")
    };
    if identity.pseudonym != pseudonym {
        return Err(other(&identity.pseudonym));
    }
    if let Some(address) = identity.addresses.iter().find(|address| !is_address(address)) {
        return Err(other(address));
    }
    for (table, columns) in
        [(&USERS, &["login", "notification_email"] as &[&str]), (&EMAIL_ALIASES, &["email"])]
    {
        for batch in lake.scan(table, &[latest], None)? {
            let batch = batch?;
            let ids = texts(&batch, "user_id");
            for row in (0..batch.num_rows()).filter(|row| at(ids, *row) != Some(identity.user_id.as_str())) {
                let mut texts = columns.iter().filter_map(|column| at(texts(&batch, column), row));
                if let Some(address) = texts.find(|text| identity.addresses.contains(&text.to_lowercase())) {
                    return Err(other(address));
                }
            }
        }
    }
    Ok(())
}

fn is_address(text: &str) -> bool {
    text.contains('@') && !text.contains(char::is_whitespace)
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
