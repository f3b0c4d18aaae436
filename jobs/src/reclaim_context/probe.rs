//! Whether this Box shows the folders of inactive accounts As-User, tried by two reads.

use boxseat_pipeline::client::{BoxActor, Found};
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::journal::place;
use boxseat_reclaim::journal::{Journal, ReclaimLock};
use boxseat_schemas::reclaim::{Ability, Record};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::config::Settings;
use crate::error::CommandError;
use crate::store::Store;

/// An inactive and an active ordinary user.
pub(crate) struct Pair {
    pub(crate) inactive: String,
    pub(crate) active: String,
}

impl Pair {
    /// The first of each on a page of users, as Box sent it.
    pub(crate) fn on_page(body: &[u8]) -> Option<Self> {
        let page: Value = serde_json::from_slice(body).ok()?;
        let entries = match &page["entries"] {
            Value::Array(entries) => entries.iter().collect::<Vec<_>>(),
            Value::Object(entries) => entries.values().collect(),
            _ => return None,
        };
        let first = |status: &str| {
            let is_it = |user: &&&Value| {
                user["status"] == status && user["role"] == "user" && user["is_platform_access_only"] != true
            };
            Some(entries.iter().find(is_it)?["id"].as_str()?.to_owned())
        };
        Some(Self { inactive: first("inactive")?, active: first("active")? })
    }
}

/// What the two reads showed.
pub(crate) enum Probed {
    /// Inactive accounts are open or closed to As-User.
    Learned(Box<Record>),
    /// Not even an active account can be read.
    NoAsUser(String),
    /// Unknown.
    Unclear(String),
}

/// Reads the root folder of the active account, then that of the inactive one.
///
/// # Errors
/// What ends the command.
pub(crate) async fn probe(actor: &BoxActor, pair: &Pair) -> Result<Probed, CommandError> {
    match actor.items(&pair.active, "0").await? {
        Found::Is(_) => {}
        Found::Closed(refusal) => return Ok(Probed::NoAsUser(refusal.to_string())),
        Found::Gone => return Ok(Probed::Unclear(format!("Box shows no account {}", pair.active))),
    }
    let (is_allowed, detail) = match actor.items(&pair.inactive, "0").await? {
        Found::Is(_) => (true, None),
        Found::Closed(refusal) if refusal.status == 403 => (false, Some(refusal.to_string())),
        Found::Closed(refusal) => return Ok(Probed::Unclear(refusal.to_string())),
        Found::Gone => return Ok(Probed::Unclear(format!("Box shows no account {}", pair.inactive))),
    };
    let user_id = pair.inactive.clone();
    let learned = Record::BoxAllows { ability: Ability::ReadInactive, is_allowed, user_id, detail };
    Ok(Probed::Learned(Box::new(learned)))
}

/// Writes what was learned to the journal, unless it is known.
///
/// # Errors
/// Exit 75 while another command reclaims; exit 3 for a corrupt journal; disk.
pub(crate) fn learn(
    store: &Store,
    settings: &Settings,
    record: Record,
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    let Record::BoxAllows { ability, is_allowed, .. } = &record else { return Ok(()) };
    let lock = ReclaimLock::take(store.root())?;
    let mut journal = Journal::open(store.root(), store.id(), &settings.journal_key, lock)?;
    let here = place::here(store.root(), store.id(), settings.reclaim_host.as_deref())?;
    place::check(journal.past(), &here)?;
    if journal.past().allows(*ability, now) != Some(*is_allowed) {
        if journal.past().bound.is_none() {
            journal.bind(here, operator());
        }
        journal.append(now, record)?;
        journal.anchor()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ordinary_users_are_probed() {
        let page = |status: &str, role: &str| {
            format!(
                r#"{{"entries":[{{"id":"1","status":"active","role":"admin"}},{{"id":"2","status":"{status}","role":"{role}"}},{{"id":"3","status":"active","role":"user"}}]}}"#
            )
        };
        let pair = Pair::on_page(page("inactive", "user").as_bytes()).unwrap();
        assert_eq!((pair.inactive.as_str(), pair.active.as_str()), ("2", "3"));
        assert!(Pair::on_page(page("inactive", "coadmin").as_bytes()).is_none());
        assert!(Pair::on_page(page("active", "user").as_bytes()).is_none());
        assert!(Pair::on_page(b"<html>").is_none());
    }
}
