//! The records of erasures: `state/erasure/records.jsonl`, one line per erased user, without the user's data.
//!
//! Each line has a keyed hash of itself and of the line before it, so a changed, added or removed line is detected. During an erasure,
//! `state/erasure/pending.json` has the identity of the user; it is removed last.

use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::plan::Operator;
use boxseat_storage::durable::{self, Access};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::error::CommandError;
use crate::reclaim::journal::{ErasureKey, erasure_directory};

/// An erasure that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pending {
    pub(crate) identity: Identity,
    pub(crate) begun_at: DateTime<Utc>,
    pub(crate) by: Operator,
}

/// `pending.json`. It has a keyed hash, because its content decides which rows are rewritten.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingFile {
    pending: Pending,
    mac: String,
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
    pub(crate) fn read(root: &Path, key: &ErasureKey) -> Result<Option<Self>, CommandError> {
        let path = pending_file(root);
        let text = match durable::read_regular_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| CommandError::failed(format!("cannot read {}", path.display()), e))?,
        };
        let hint = "an erasure is unfinished: remove this file and run `boxseat forget` again with the user's Box id";
        let damaged =
            |e| CommandError::refused(format!("{} is damaged", path.display())).because(e).hint(hint);
        let file: PendingFile = serde_json::from_slice(&text).map_err(damaged)?;
        if file.mac != file.pending.mac(key) {
            let what = format!("{} was not written with this store's key", path.display());
            return Err(CommandError::refused(what).hint(hint));
        }
        Ok(Some(file.pending))
    }

    fn mac(&self, key: &ErasureKey) -> String {
        key.mac("pending", &serde_json::to_vec(self).expect("plain data"))
    }

    pub(crate) fn write(&self, root: &Path, key: &ErasureKey) -> Result<(), CommandError> {
        durable::create_directory(&erasure_directory(root), &Access::from(0o600))?;
        let file = PendingFile { pending: self.clone(), mac: self.mac(key) };
        let text = serde_json::to_vec_pretty(&file).expect("plain data");
        Ok(durable::write_file(&pending_file(root), &text, &Access::from(0o600))?)
    }
}

/// Every erasure of the store.
///
/// # Errors
/// Exit 3 for a line that was not written with the store's key.
pub(crate) fn records(root: &Path, key: &ErasureKey) -> Result<Vec<ErasureRecord>, CommandError> {
    Ok(lines(root, key)?.into_iter().map(|line| line.record).collect())
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
    use super::*;

    /// Why: a file that another program wrote made the next erasure rewrite another user.
    #[test]
    fn unfinished_erasure_counts_only_with_the_key_of_the_store() {
        let temp = tempfile::tempdir().unwrap();
        let key = ErasureKey::open_or_create(temp.path()).unwrap();
        let identity: Identity = serde_json::from_value(serde_json::json!({
            "user_id": "7", "pseudonym": "900", "addresses": ["a@x"], "reused": [], "names": ["A"],
        }))
        .unwrap();
        let by = Operator { os_user: "o".into(), host: "h".into() };
        let pending = Pending { identity, begun_at: DateTime::UNIX_EPOCH, by };
        pending.write(temp.path(), &key).unwrap();
        assert_eq!(Pending::read(temp.path(), &key).unwrap(), Some(pending));
        let path = pending_file(temp.path());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("a@x", "b@x")).unwrap();
        assert!(Pending::read(temp.path(), &key).is_err_and(|e| e.exit_code() == 3));
    }
}
