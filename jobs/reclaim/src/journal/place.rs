//! R9: the place of a journal. A journal is bound to a host and to its directory.
//!
//! A copied or restored store has a whole journal that verifies. If both stores act, transfers are made twice, and neither journal
//! knows of the other's. So the first entry that a command writes names the place, and at another place every command that writes
//! is refused until an operator runs `reclaim adopt`.
//!
//! | change | the same place? |
//! | --- | --- |
//! | the store directory is renamed or moved within its file system, or mounted elsewhere | yes |
//! | the host gets another name | yes: the id in /etc/machine-id stays |
//! | a container is created again on the same volume | yes, if the image has no machine id; else with `[reclaim] host` |
//! | the store is copied, restored from a backup, or moved to another file system | no: the directory is created again |
//! | the file system is rolled back in place, or cloned on one host, as by a snapshot of a volume | not found here: `[reclaim] witness` finds it |

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use boxseat_schemas::reclaim::Place;
use boxseat_storage::digest::sha256_hex;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::log::directory;
use super::state::JournalState;
use crate::error::Error;

/// The place at which this command runs. `host` is `[reclaim] host`.
///
/// # Errors
/// `Failed` for a directory that cannot be read.
pub fn here(root: &Path, store_id: Uuid, host: Option<&str>) -> Result<Place, Error> {
    let path = directory(root);
    let metadata =
        std::fs::metadata(&path).map_err(|e| Error::failed(format!("cannot read {}", path.display()), e))?;
    let created_at = metadata.created().ok().map(DateTime::from);
    let host = host.map(|name| format!("name:{name}")).or_else(|| machine(store_id));
    Ok(Place { host, inode: metadata.ino(), created_at })
}

/// A hash of the machine's id; machine-id(5) asks not to expose the id itself.
fn machine(store_id: Uuid) -> Option<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = is_id.then(|| sha256_hex(format!("boxseat {store_id} {id}").as_bytes()))?;
    Some(format!("machine:{}", &hash[..16]))
}

/// How this place differs from the one that the journal is bound to; `None`: it does not, or the journal is not bound yet.
pub fn difference(past: &JournalState, here: &Place) -> Option<String> {
    let bound = past.bound.as_ref()?;
    let is_same_host = bound.place.host == here.host;
    let what = match (is_same_host, bound.place.is_same_directory(here)) {
        (true, true) => return None,
        (false, true) => "the host has another id",
        (true, false) => "the directory is another one: the store was copied, restored or moved",
        (false, false) => "the host and the directory are others: the store was copied, restored or moved",
    };
    Some(format!("the journal was kept on {} until {}; {what}", bound.by.host, last_seen(past, bound.at)))
}

fn last_seen(past: &JournalState, bound_at: DateTime<Utc>) -> String {
    let last = past.people.values().flat_map(|person| &person.attempts).map(|attempt| attempt.asked_at).max();
    last.map_or(bound_at, |last| last.max(bound_at)).format("%F %H:%M UTC").to_string()
}

/// Whether the journal may be written at this place.
///
/// # Errors
/// `Refused` with the remedy.
pub fn check(past: &JournalState, here: &Place) -> Result<(), Error> {
    if past.actions_to_take_in > 0 {
        return Err(Error::refused(format!(
            "`boxseat reclaim adopt` was interrupted: {} actions are missing in the journal",
            past.actions_to_take_in
        ))
        .hint("run `boxseat reclaim adopt --yes` again"));
    }
    match difference(past, here) {
        None => Ok(()),
        Some(what) => Err(Error::refused(format!(
            "this store is not where its journal was written: {what}"
        ))
        .hint("if the other store is still used, remove this copy: two stores must not act")
        .hint("if this store takes its place, `boxseat reclaim adopt` shows what is known and continues here")
        .hint(
            "a container or a machine without a lasting id: set [reclaim] host to a name, then adopt once",
        )),
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::Record;

    use super::*;
    use crate::error::ErrorKind;
    use crate::testing::{day, operator, past};

    fn at(host: Option<&str>, inode: u64, created: Option<i64>) -> Place {
        Place { host: host.map(str::to_owned), inode, created_at: created.map(day) }
    }

    #[test]
    fn r9_a_journal_acts_where_it_is_bound() {
        let bound = |place: Place| past(&[(0, Record::Bound { place, by: operator("jo"), adoption: None })]);
        let home = || at(Some("name:a"), 7, Some(0));
        let differs = |bound_at: Place, here: Place| difference(&bound(bound_at), &here).is_some();
        assert_eq!(difference(&past(&[]), &home()), None, "a journal of an older version");
        assert!(!differs(home(), home()));
        assert!(differs(home(), at(Some("name:b"), 7, Some(0))), "another host");
        assert!(differs(home(), at(None, 7, Some(0))), "a host without an id");
        assert!(differs(home(), at(Some("name:a"), 7, Some(1))), "a copy that got the same inode");
        assert!(!differs(home(), at(Some("name:a"), 8, Some(0))), "a file system without lasting inodes");
        assert!(!differs(at(None, 7, None), at(None, 7, Some(3))), "the time is not known at both");
        assert!(differs(at(None, 7, None), at(None, 8, Some(3))));
        let e = check(&bound(home()), &at(Some("name:b"), 9, Some(2))).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused);
        assert!(e.hints().iter().any(|hint| hint.contains("boxseat reclaim adopt")));
    }
}
