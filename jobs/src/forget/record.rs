//! The records of erasures: `state/erasure/records.jsonl`, one line per erased user, without the user's data.
//!
//! Each line has a keyed hash of itself and of the line before it, so a changed or added line is detected. The sealed journal has an entry
//! of every erasure, so a removed line is detected, too. During an erasure, `state/erasure/pending.json` has the identity of the user. It
//! is sealed with the store's key, because its content decides which rows are rewritten. It is removed last.

use std::path::{Path, PathBuf};

use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::{ErasureKey, erasure_directory};
use boxseat_schemas::reclaim::Record;
use boxseat_schemas::reclaim::plan::Operator;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::error::CommandError;
use crate::record_seals::{RecordSeals, Sealed};

/// An erasure that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pending {
    pub(crate) identity: Identity,
    pub(crate) begun_at: DateTime<Utc>,
    pub(crate) by: Operator,
}

/// `pending.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingFile {
    pending: Pending,
    /// By the store's key. Empty in files of earlier versions.
    #[serde(default)]
    seal: String,
    /// A keyed hash in files of earlier versions.
    #[serde(default, rename = "mac", skip_serializing)]
    _mac: Option<String>,
}

/// A complete erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureRecord {
    /// Replaces the user's id.
    pub(crate) pseudonym: String,
    pub(crate) begun_at: DateTime<Utc>,
    pub(crate) finished_at: DateTime<Utc>,
    pub(crate) by: Operator,
    /// The evidence that the account was gone.
    pub(crate) ground: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    record: ErasureRecord,
    mac: String,
}

impl Pending {
    /// Reads the erasure that was interrupted.
    ///
    /// # Errors
    /// Exit 3 for a file without a seal of the store's key.
    pub(crate) fn read(root: &Path, seals: &RecordSeals) -> Result<Option<Self>, CommandError> {
        let path = pending_file(root);
        let text = match durable::read_regular_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| CommandError::failed(format!("cannot read {}", path.display()), e))?,
        };
        let refused = |why: &str| {
            CommandError::refused(format!("{} {why}", path.display())).hint(
                "an earlier version or another program wrote this file: remove it, and run `boxseat forget` again with the \
                    user's Box id, which finds what is left of the user",
            )
        };
        let file: PendingFile = json::parse(&text).map_err(|e| refused("is damaged").because(e))?;
        seals.verify_as(Sealed::Erasure, &file.pending.text(), &file.seal).map_err(|why| refused(&why))?;
        Ok(Some(file.pending))
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }

    /// Stores the erasure, so that the same command can continue it.
    ///
    /// # Errors
    /// The key cannot sign; the disk's.
    pub(crate) fn write(&self, root: &Path, seals: &RecordSeals) -> Result<(), CommandError> {
        durable::create_directory(&erasure_directory(root), &Access::from(0o600))?;
        let path = pending_file(root);
        let seal = seals.seal_as(Sealed::Erasure, &self.text()).map_err(|e| {
            CommandError::failed(format!("{} cannot be sealed", path.display()), std::io::Error::other(e))
        })?;
        let file = PendingFile { pending: self.clone(), seal, _mac: None };
        let text = serde_json::to_vec_pretty(&file).expect("plain data");
        Ok(durable::write_file(&path, &text, &Access::from(0o600))?)
    }
}

/// Every erasure of the store.
///
/// # Errors
/// Exit 3 for a line that was not written with the store's key.
pub(crate) fn records(root: &Path, key: &ErasureKey) -> Result<Vec<ErasureRecord>, CommandError> {
    Ok(lines(root, key)?.into_iter().map(|line| line.record).collect())
}

/// Compares the records with the erasures that the sealed journal has.
///
/// # Errors
/// Exit 3 naming the file, if it has no record of an erasure, or another one.
pub(crate) fn compare_records(
    root: &Path,
    seals: &RecordSeals,
    journal: &Journal,
) -> Result<(), CommandError> {
    let erasures: Vec<_> = journal
        .entries()
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::UserErased { pseudonym, by, .. } => Some((pseudonym, entry.at, by)),
            _ => None,
        })
        .collect();
    let file = records_file(root);
    if erasures.is_empty() && !file.exists() {
        return Ok(());
    }
    let key = ErasureKey::open(root)?.ok_or_else(|| {
        CommandError::refused(format!("{} is missing", erasure_directory(root).join("key").display()))
            .hint("restore the file from a backup: without it, the records of erasures cannot be checked")
    })?;
    let records = records(root, &key)?;
    let pending = Pending::read(root, seals)?;
    for (pseudonym, at, by) in erasures {
        // A later erasure of the same user finished an earlier one that was given up.
        let is_finished = |record: &ErasureRecord| {
            record.pseudonym == *pseudonym
                && (record.begun_at > at || (record.begun_at == at && record.by == *by))
        };
        let is_pending =
            |pending: &Pending| pending.identity.pseudonym == *pseudonym && pending.begun_at >= at;
        if !records.iter().any(is_finished) && !pending.as_ref().is_some_and(is_pending) {
            return Err(CommandError::refused(format!(
                "{} has no record of the erasure of user {pseudonym} that began {}, which the journal has",
                file.display(),
                at.format("%F %H:%M UTC")
            ))
            .hint("restore the file from a backup: it proves which users were erased and when")
            .hint("if the erasure was interrupted and state/erasure/pending.json was removed: run `boxseat forget` again with the user's Box id"));
        }
    }
    Ok(())
}

/// Adds the record of a finished erasure and removes `pending.json`. *Killed* between the two: the same command removes the file, and
/// does not write the record again.
pub(crate) fn finish(root: &Path, key: &ErasureKey, record: ErasureRecord) -> Result<(), CommandError> {
    let mut lines = lines(root, key)?;
    let is_there =
        |line: &Line| (&line.record.pseudonym, line.record.begun_at) == (&record.pseudonym, record.begun_at);
    if !lines.iter().any(is_there) {
        let mac = mac(key, lines.last(), &record);
        lines.push(Line { record, mac });
        let text: String =
            lines.iter().map(|line| serde_json::to_string(line).expect("plain data") + "\n").collect();
        durable::write_file(&records_file(root), text.as_bytes(), &Access::from(0o600))?;
    }
    let pending = pending_file(root);
    std::fs::remove_file(&pending)
        .map_err(|e| CommandError::failed(format!("cannot remove {}", pending.display()), e))
}

fn lines(root: &Path, key: &ErasureKey) -> Result<Vec<Line>, CommandError> {
    let path = records_file(root);
    let text = match durable::read_regular_text(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|e| CommandError::failed(format!("cannot read {}", path.display()), e))?,
    };
    let mut lines: Vec<Line> = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line: Option<Line> = serde_json::from_str(text).ok();
        let line = line.filter(|line| line.mac == mac(key, lines.last(), &line.record)).ok_or_else(|| {
            CommandError::refused(format!("line {} of {} was changed", index + 1, path.display()))
                .hint("restore the file from a backup; it proves which users were erased and when")
        })?;
        lines.push(line);
    }
    Ok(lines)
}

fn mac(key: &ErasureKey, before: Option<&Line>, record: &ErasureRecord) -> String {
    let record = serde_json::to_string(record).expect("plain data");
    key.mac("record", format!("{}{record}", before.map_or("", |line| &line.mac)).as_bytes())
}

fn records_file(root: &Path) -> PathBuf {
    erasure_directory(root).join("records.jsonl")
}

pub(super) fn pending_file(root: &Path) -> PathBuf {
    erasure_directory(root).join("pending.json")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use boxseat_reclaim::journal::JournalKey;
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    fn pending() -> Pending {
        let identity: Identity = serde_json::from_value(serde_json::json!({
            "user_id": "7", "pseudonym": "900", "addresses": ["a@x"], "reused": [], "names": ["A"],
        }))
        .unwrap();
        let by = Operator { os_user: "o".into(), host: "h".into() };
        Pending { identity, begun_at: DateTime::UNIX_EPOCH, by }
    }

    /// Why: the erasure key is in the store. A file that was made with it let the next erasure rewrite another user.
    #[test]
    fn unfinished_erasure_counts_only_with_the_seal_of_the_store() {
        let temp = tempfile::tempdir().unwrap();
        let seals = RecordSeals::of(temp.path(), Uuid::from_u128(7), &JournalKey::default());
        let pending = pending();
        pending.write(temp.path(), &seals).unwrap();
        assert_eq!(Pending::read(temp.path(), &seals).unwrap(), Some(pending.clone()));
        let path = pending_file(temp.path());
        let text = std::fs::read_to_string(&path).unwrap();
        let lake_seal = seals.seal_as(Sealed::Lake, &pending.text()).unwrap();
        let with = |seal: &str| {
            let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
            file["seal"] = seal.into();
            file.to_string()
        };
        let mac = serde_json::json!({ "pending": pending, "mac": "0" }).to_string();
        for other in [text.replace("a@x", "b@x"), with(""), with(&lake_seal), mac] {
            std::fs::write(&path, other).unwrap();
            let e = Pending::read(temp.path(), &seals).unwrap_err();
            assert!(e.exit_code() == 3 && e.lines()[0].contains("pending.json"), "{:?}", e.lines());
            assert!(e.hints()[0].contains("remove it"), "{:?}", e.hints());
        }
    }

    /// Why: the file of the records could be emptied or cut, and no command noticed.
    #[test]
    fn a_record_that_was_removed_is_found_by_the_journal() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let seals = RecordSeals::of(root, Uuid::from_u128(7), &JournalKey::default());
        let mut journal = Journal::in_memory();
        assert!(compare_records(root, &seals, &journal).is_ok(), "nothing was erased");
        let key = ErasureKey::open_or_create(root).unwrap();
        let Pending { by, .. } = pending();
        for (day, pseudonym) in [(0, "900"), (1, "901")] {
            let (begun_at, pseudonym) = (DateTime::UNIX_EPOCH + TimeDelta::days(day), pseudonym.to_owned());
            let (by, plan_digests) = (by.clone(), BTreeMap::new());
            let erased = Record::UserErased { pseudonym: pseudonym.clone(), by: by.clone(), plan_digests };
            journal.append(begun_at, erased).unwrap();
            let mut pending = pending();
            pending.identity.pseudonym.clone_from(&pseudonym);
            pending.begun_at = begun_at;
            assert!(compare_records(root, &seals, &journal).is_err_and(|e| e.exit_code() == 3));
            pending.write(root, &seals).unwrap();
            assert!(compare_records(root, &seals, &journal).is_ok(), "it is unfinished");
            let ground = "gone".to_owned();
            finish(root, &key, ErasureRecord { pseudonym, begun_at, finished_at: begun_at, by, ground })
                .unwrap();
            assert!(compare_records(root, &seals, &journal).is_ok());
        }
        let text = std::fs::read_to_string(records_file(root)).unwrap();
        let first = text.split_inclusive('\n').next().unwrap();
        for other in ["", first, &text.replace("gone", "here"), &text[first.len()..]] {
            std::fs::write(records_file(root), other).unwrap();
            let e = compare_records(root, &seals, &journal).unwrap_err();
            assert!(e.exit_code() == 3 && e.lines()[0].contains("records.jsonl"), "{:?}", e.lines());
        }
        std::fs::remove_file(records_file(root)).unwrap();
        assert!(compare_records(root, &seals, &journal).is_err());
    }
}
