//! Compares the lake with its [record](super::record): before a table is read or written, and on request file by file.

use std::fs::File;
use std::path::Path;

use boxseat_schemas::table::{LAKE, Table};
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable;
use futures::TryStreamExt as _;
use uuid::Uuid;

use super::commit_note::commit_version;
use super::record::{Altered, RECORD, ROWS, RecordError, RecordHead};
use super::{Inner, Lake, RUNS};
use crate::{Error, Result};

impl Lake {
    /// The newest line of the record; sequence number 0 if there is no line.
    pub fn record_head(&self) -> RecordHead {
        self.inner.record.head()
    }

    /// Reads the lines of other processes, syncs the record to disk, and returns its newest line.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn durable_record_head(&self) -> Result<RecordHead> {
        self.inner.record.refresh().map_err(|e| self.record_error(e))?;
        let head = self.inner.record.head();
        self.inner.record.sync().map_err(|e| self.record_error(e))?;
        Ok(head)
    }

    /// Whether every write to this lake is recorded. A lake of an older version has no record before its next run.
    pub fn is_recorded(&self) -> bool {
        self.inner.record.store_id().is_some()
    }

    /// Checks that the record contains a head that was stored elsewhere. Fails if the lake was rolled back or has another record.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn reaches(&self, head: &RecordHead) -> Result<()> {
        self.inner.record.reaches(head).map_err(|e| self.record_error(e))
    }

    /// Starts the record of a new lake, or of a lake that an older version wrote. Records every existing file. Does nothing if there is a
    /// record of this store.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`] for the record of another store; `Io`.
    pub fn begin_record(&self, store_id: Uuid) -> Result<()> {
        match self.inner.record.store_id() {
            Some(id) if id == store_id => return Ok(()),
            Some(id) => {
                let reason =
                    format!("belongs to the store {id}, and state/store.json names the store {store_id}");
                return Err(Error::Altered(Altered::new(self.record_name(), reason)));
            }
            None => {}
        }
        let mut files = Vec::new();
        for path in self.files()? {
            let on_disk = self.inner.directory.join(&path);
            let digest = FileDigest::of_file(&on_disk).map_err(Error::io("read", on_disk))?;
            files.push((path, digest));
        }
        self.inner.record.begin(store_id, files).map_err(|e| self.record_error(e))
    }

    /// Rewrites the record when most of its lines are about removed files. Returns whether it was rewritten. A rewrite changes the head.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn sum_up_record(&self) -> Result<bool> {
        self.inner.record.sum_up().map_err(|e| self.record_error(e))
    }

    /// Compares every recorded file that exists in the lake. Returns the number of equal files, and the differences. Missing files are
    /// skipped: a data file may be missing if no table names it, and [`Lake::check_tables`] finds missing log files.
    ///
    /// # Errors
    /// `Io`.
    pub fn compare_all(&self) -> Result<(u64, Vec<Altered>)> {
        let (mut compared, mut altered) = (0, Vec::new());
        for (path, _) in self.inner.record.all() {
            if path.starts_with("../") || !self.inner.directory.join(&path).exists() {
                continue;
            }
            match self.inner.record.compare(&path) {
                Ok(()) => compared += 1,
                Err(RecordError::Altered(found)) => altered.push(found),
                Err(error) => return Err(self.record_error(error)),
            }
        }
        Ok((compared, altered))
    }

    /// The recorded digests of a file next to the lake: one; two while the file is being replaced; none if the file was not recorded.
    pub fn noted_beside(&self, below_store: &str) -> Vec<FileDigest> {
        self.inner.record.digests(&format!("../{below_store}"))
    }

    /// Compares an open file next to the lake with its recorded digest. `at` is the file's path. A file that was never recorded is not
    /// compared.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn compare_beside(&self, below_store: &str, at: &Path, file: &File) -> Result<()> {
        if self.noted_beside(below_store).is_empty() {
            return Ok(());
        }
        let path = format!("../{below_store}");
        self.inner.record.compare_handle(&path, at, file).map_err(|e| self.record_error(e))
    }

    /// Fails if a compared file was changed or replaced after its comparison.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`] naming the file; `Io`.
    pub fn refuse_changes(&self) -> Result<()> {
        self.inner.record.refuse_changes().map_err(|e| self.record_error(e))
    }

    /// Records a file next to the lake before it is put in place. `below_store` is its path relative to the store.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn note_beside(&self, below_store: &str, digest: FileDigest) -> Result<()> {
        let path = format!("../{below_store}");
        self.inner.record.announce(&path, digest, None).map_err(|e| self.record_error(e))
    }

    /// Records that a file next to the lake is in place.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn placed_beside(&self, below_store: &str, digest: FileDigest) -> Result<()> {
        let path = format!("../{below_store}");
        self.inner.record.done(&path, digest).map_err(|e| self.record_error(e))
    }

    /// Records the digest of rows of the new published file, before that file is in place.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn note_rows(&self, name: &str, digest: FileDigest) -> Result<()> {
        let path = format!("{ROWS}{name}");
        self.inner.record.announce(&path, digest, None).map_err(|e| self.record_error(e))
    }

    /// Records that the file with these rows is in place.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn placed_rows(&self, name: &str, digest: FileDigest) -> Result<()> {
        self.inner.record.done(&format!("{ROWS}{name}"), digest).map_err(|e| self.record_error(e))
    }

    /// The recorded digests of rows: two while the published file is being replaced.
    pub fn noted_rows(&self, name: &str) -> Vec<FileDigest> {
        self.inner.record.digests(&format!("{ROWS}{name}"))
    }

    /// Records that boxseat removed files next to the lake.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn removed_beside(&self, below_store: &[String]) -> Result<()> {
        let paths: Vec<String> = below_store.iter().map(|path| format!("../{path}")).collect();
        self.inner.record.deleted(&paths).map_err(|e| self.record_error(e))
    }

    /// The files that must exist in a directory of the store next to the lake.
    pub fn must_be_beside(&self, directory: &str) -> Vec<String> {
        self.inner.record.must_be_there(&format!("../{directory}/"))
    }

    /// Checks that every table exists with all its commits. Only versions are compared, and no rows are read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`] naming the table; `Io`.
    pub fn check_tables(&self) -> Result<()> {
        self.reservations()?;
        LAKE.iter().try_for_each(|table| self.inner.is_table_there(table).map(drop))
    }

    /// Whether the record names log files of a table that must exist.
    pub fn was_written(&self, table: &Table) -> bool {
        !self.inner.record.must_be_there(&format!("{}/_delta_log/", table.name)).is_empty()
    }

    /// The number of the last run that committed to each table; `None` for a table that does not exist.
    ///
    /// # Errors
    /// `Altered`, `Io`, `Corrupt`, `Newer` of the lake.
    pub fn last_commits(&self) -> Result<Vec<(&'static Table, Option<i64>)>> {
        LAKE.iter().map(|table| Ok((*table, self.inner.last_commit(table)?))).collect()
    }

    fn files(&self) -> Result<Vec<String>> {
        let directory = &self.inner.directory;
        let mut found = Vec::new();
        let mut waiting = vec![directory.clone()];
        while let Some(next) = waiting.pop() {
            for entry in std::fs::read_dir(&next).map_err(Error::io("list", &next))? {
                let entry = entry.map_err(Error::io("list", &next))?;
                let kind = entry.file_type().map_err(Error::io("list", &next))?;
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if !durable::is_staged(&entry.file_name().to_string_lossy()) {
                    found.extend(below(directory, &entry.path()));
                }
            }
        }
        // The directory also has the records of the published file and of the action journal, which do not belong to the lake.
        let is_ours = |path: &String| {
            let directory = path.split('/').next().unwrap_or_default();
            directory == RUNS || LAKE.iter().any(|table| table.name == directory)
        };
        found.retain(|path| path != RECORD && is_ours(path));
        found.sort();
        Ok(found)
    }

    fn record_name(&self) -> String {
        self.inner.directory.join(RECORD).display().to_string()
    }

    fn record_error(&self, error: RecordError) -> Error {
        Error::record(&self.inner.directory, error)
    }
}

impl Inner {
    /// Whether a table exists, with exactly the commits that the record contains.
    pub(super) fn is_table_there(&self, table: &Table) -> Result<bool> {
        // Retention of another process may have removed an old part of the log during the listing, so a failed comparison is repeated once.
        self.compare_log(table).or_else(|_| self.compare_log(table))
    }

    fn compare_log(&self, table: &Table) -> Result<bool> {
        self.record.refresh().map_err(|e| Error::record(&self.directory, e))?;
        let log = format!("{}/_delta_log/", table.name);
        // The record is read before the log is listed, so the listing must have every commit that is done in the record.
        let done = self.record.must_be_there(&log);
        let path = self.path(&log)?;
        let store = std::sync::Arc::clone(&self.store);
        let listed = self.wait({
            let path = path.clone();
            async move { store.list(Some(&path)).map_ok(|meta| meta.location).try_collect::<Vec<_>>().await }
        });
        let listed = listed.map_err(Error::store("list", path))?;
        let last = |paths: &mut dyn Iterator<Item = &str>| paths.filter_map(commit_version).max();
        let on_disk = last(&mut listed.iter().map(AsRef::as_ref));
        let done: Vec<String> = done.iter().map(|name| format!("{log}{name}")).collect();
        let missing = done.iter().find(|path| !listed.iter().any(|there| there.as_ref() == path.as_str()));
        let recorded = last(&mut done.iter().map(String::as_str));
        let what = || format!("the lake's table {}", table.name);
        if recorded > on_disk {
            let reason = match on_disk {
                None => format!("is missing, and lake/{RECORD} names it: it was removed"),
                Some(version) => format!(
                    "is at version {version}, and lake/{RECORD} names version {}: it was rolled back",
                    recorded.unwrap_or_default()
                ),
            };
            return Err(Error::Altered(Altered::new(what(), reason)));
        }
        if let Some(path) = missing {
            return Err(Error::Altered(Altered::new(
                what(),
                format!("lacks {path}, and lake/{RECORD} names it: it was removed"),
            )));
        }
        // Compares the whole log, once per process. The data files that it names are compared when they are read.
        for path in &listed {
            self.record.compare(path.as_ref()).map_err(|error| match error {
                RecordError::Altered(altered) => {
                    Error::Altered(Altered::new(what(), format!("is altered: {altered}")))
                }
                other => Error::record(&self.directory, other),
            })?;
        }
        Ok(!listed.is_empty())
    }

    /// Fails if a recorded reservation is missing.
    pub(super) fn refuse_missing_reservations(&self, listed: &[&str]) -> Result<()> {
        let expected = self.record.must_be_there(&format!("{RUNS}/"));
        match expected.iter().find(|name| !listed.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let what = format!("the run record {}", self.directory.join(RUNS).join(name).display());
                Err(Error::Altered(Altered::new(
                    what,
                    format!("is missing, and lake/{RECORD} names it: it was removed"),
                )))
            }
        }
    }
}

fn below(directory: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(directory).ok().map(|path| path.to_string_lossy().into_owned())
}
