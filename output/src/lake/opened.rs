//! Keeps the last snapshot of each table that this process opened, so that an unchanged log is not read again. One run opens each table
//! about eight times.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boxseat_schemas::run::SyncRun;
use delta_kernel::SnapshotRef;

#[derive(Debug, Default)]
pub(super) struct Opened {
    tables: Mutex<HashMap<&'static str, Known>>,
    /// The rows of `sync_runs`, and the snapshot that has them.
    runs: Mutex<Option<(SnapshotRef, Vec<SyncRun>)>>,
}

#[derive(Debug)]
struct Known {
    snapshot: SnapshotRef,
    log_end: LogEnd,
}

/// Identifies the last file of a snapshot's log. The kernel continues a snapshot by commit numbers alone, so it would not notice that
/// another table is now in the same place.
#[derive(Debug, PartialEq, Eq)]
struct LogEnd {
    device: u64,
    inode: u64,
    bytes: u64,
    changed_at: (i64, i64),
}

impl LogEnd {
    /// `None` if the file cannot be read. The snapshot is then not used again.
    fn of(table: &Path, snapshot: &SnapshotRef) -> Option<Self> {
        let commit = table.join(format!("_delta_log/{:020}.json", snapshot.version()));
        let of = |file: Metadata| Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            changed_at: (file.ctime(), file.ctime_nsec()),
        };
        std::fs::symlink_metadata(commit).ok().map(of)
    }
}

impl Opened {
    /// The last snapshot of a table, if the last commit of the snapshot is still unchanged in the log.
    pub(super) fn last(&self, name: &'static str, table: &Path) -> Option<SnapshotRef> {
        let tables = lock(&self.tables);
        let known = tables.get(name)?;
        (LogEnd::of(table, &known.snapshot).as_ref() == Some(&known.log_end))
            .then(|| Arc::clone(&known.snapshot))
    }

    pub(super) fn keep(&self, name: &'static str, table: &Path, snapshot: &SnapshotRef) {
        let mut tables = lock(&self.tables);
        match LogEnd::of(table, snapshot) {
            Some(log_end) => tables.insert(name, Known { snapshot: Arc::clone(snapshot), log_end }),
            None => tables.remove(name),
        };
    }

    /// The runs of this snapshot of `sync_runs`, if they were read before.
    pub(super) fn runs(&self, snapshot: &SnapshotRef) -> Option<Vec<SyncRun>> {
        let runs = lock(&self.runs);
        runs.as_ref().filter(|(of, _)| Arc::ptr_eq(of, snapshot)).map(|(_, runs)| runs.clone())
    }

    pub(super) fn keep_runs(&self, snapshot: SnapshotRef, runs: &[SyncRun]) {
        *lock(&self.runs) = Some((snapshot, runs.to_vec()));
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
