//! Compares the files of a store, or of a copy of a store, with the record of the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use boxseat_output::lake::{NOT_ON_RECORD, RecordSnapshot};
use boxseat_output::warehouse::{Check, FILE_NAME, PublishedFile};
use boxseat_reclaim::journal::JournalKey;
use boxseat_schemas::run::SyncRun;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::Access;

use crate::error::CommandError;
use crate::store::{IMPORTS, Store};

/// A file that differs from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Below the store.
    pub(crate) path: String,
    pub(crate) reason: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.reason)
    }
}

/// The reason for a file with another digest.
pub(crate) const CHANGED: &str = "has another content than boxseat wrote";

/// Opens a copy as a store and compares its files with the record. Returns the store and its runs.
///
/// # Errors
/// Exit 3 for a file that is missing, is not on record or has another content; disk.
pub(crate) fn check_copy(
    root: &Path,
    access: &Access,
    journal_key: &JournalKey,
    files: &BTreeMap<String, FileDigest>,
) -> Result<(Store, Vec<SyncRun>), CommandError> {
    let store = Store::open(root, access, journal_key)?;
    store.lake().check_tables()?;
    let record = store.lake().record_snapshot()?;
    let names = files.keys().cloned().collect();
    let mut differences = names_that_differ(&store, &record, &names)?;
    for (path, file) in &record.files {
        let path = below_store(path);
        if files.get(&path).is_some_and(|digest| !file.digests.contains(digest)) {
            differences.push(Difference { path, reason: CHANGED });
        }
    }
    if let Some(difference) = differences.first() {
        return Err(CommandError::refused(difference.to_string()));
    }
    if files.contains_key(FILE_NAME) {
        PublishedFile::check(root, Check::Digest)?;
    }
    let runs = store.lake().sync_runs()?;
    Ok((store, runs))
}

/// Missing files and added files. `names` are all files of the store, as paths below it.
///
/// Data files that no table names may be missing or have no record: a killed run leaves such files.
///
/// # Errors
/// Disk; a lake that cannot be read.
pub(crate) fn names_that_differ(
    store: &Store,
    record: &RecordSnapshot,
    names: &BTreeSet<String>,
) -> Result<Vec<Difference>, CommandError> {
    let recorded: BTreeMap<String, bool> =
        record.files.iter().map(|(path, file)| (below_store(path), file.must_be_there)).collect();
    let missing = recorded.iter().filter(|(path, must_be_there)| **must_be_there && !names.contains(*path));
    let missing = missing.map(|(path, _)| Difference {
        path: path.clone(),
        reason: "is missing, and boxseat did not remove it",
    });
    let added = names.iter().filter(|path| is_always_recorded(path) && !recorded.contains_key(*path));
    let added = added.map(|path| Difference { path: path.clone(), reason: NOT_ON_RECORD });
    let mut differences: Vec<Difference> = missing.chain(added).collect();
    for path in store.lake().named_files()? {
        let path = format!("lake/{path}");
        if !names.contains(&path) {
            differences.push(Difference { path, reason: "is missing, and its table needs it" });
        }
    }
    Ok(differences)
}

/// Converts a path of the record, which is below the lake, to a path below the store.
pub(crate) fn below_store(recorded: &str) -> String {
    recorded.strip_prefix("../").map_or_else(|| format!("lake/{recorded}"), str::to_owned)
}

/// Whether a file of this name is always recorded before it is created.
fn is_always_recorded(path: &str) -> bool {
    let is_json_in = |directory: &str| Path::new(path).starts_with(directory) && path.ends_with(".json");
    (path.starts_with("lake/") && path.contains("/_delta_log/"))
        || is_json_in("lake/_runs")
        || is_json_in(IMPORTS)
}
