//! The data for a copy of the lake: the record at one moment, and the files that the tables name.
//!
//! A file that a commit names is recorded before the commit. The files of one record therefore make a complete lake: its newest state at
//! that moment, and files of writes in progress.

use boxseat_schemas::table::LAKE;

use super::active::ActiveFiles;
use super::{Lake, RecordSnapshot};
use crate::{Error, Result};

impl Lake {
    /// The record as it is on disk now. It may grow while the caller reads the files that it lists.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn record_snapshot(&self) -> Result<RecordSnapshot> {
        self.inner.record.snapshot().map_err(|e| Error::record(&self.inner.directory, e))
    }

    /// The data files of the newest table snapshots, as paths relative to the lake.
    ///
    /// # Errors
    /// `Altered`, `Io`, `Corrupt`, `Newer` of the lake.
    pub fn named_files(&self) -> Result<Vec<String>> {
        let mut named = Vec::new();
        for table in LAKE {
            let Some(snapshot) = self.inner.snapshot(table)? else { continue };
            let root = self.inner.table_root(table)?;
            for file in ActiveFiles::of(&self.inner, table, &snapshot)?.iter() {
                named.push(super::store_path(&file.location(&root)?)?.to_string());
            }
        }
        Ok(named)
    }
}
