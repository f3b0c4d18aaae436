//! The last step: the checked file replaces the old one.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::SnapshotId;
use boxseat_schemas::table::Table;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{self, Access};
use chrono::{DateTime, NaiveDate};
use duckdb::Connection;

use super::connection::{Resources, wals_of};
use super::derived_rows::DerivedRows;
use super::diff::Drift;
use super::{Aside, FILE_NAME, record};
use crate::error::FailedCheck;
use crate::lake::{Committed, Lake};
use crate::{Error, Result};

/// A file that passed the checks and is closed. Dropping it removes the file without publishing it.
#[derive(Debug)]
pub struct Checked {
    /// Holds the rows for the lake. It no longer has the file open.
    pub(super) connection: Connection,
    pub(super) aside: Aside,
    pub(super) snapshot: SnapshotId,
    pub(super) derived_rows: Option<DerivedRows>,
    pub(super) warnings: Vec<FailedCheck>,
    pub(super) deciding: Option<(String, FileDigest)>,
}

impl Checked {
    /// Commits the pending run's rows of a table that only the build can compute: `users_history`, `user_changes`, `seat_usage_daily` or
    /// `run_rows`, whichever snapshot the file shows. Rows that an earlier attempt committed stay, as with [`Lake::commit`].
    ///
    /// # Errors
    /// As [`Lake::commit`]; [`crate::ErrorKind::Bug`] when no run was pending, or for another table.
    pub fn commit(&self, lake: &Lake, table: &'static Table) -> Result<Committed> {
        let derived_rows = self.derived_rows.as_ref();
        let derived_rows = derived_rows.ok_or_else(|| Error::Bug("no run was pending".to_owned()))?;
        derived_rows.commit(&self.connection, lake, table)
    }

    /// The differences of the pending run that no event announced, for its `drift_count`. `None` without a base for the comparison, or when
    /// no run was pending.
    pub fn drift(&self) -> Option<&Drift> {
        self.derived_rows.as_ref()?.drift.as_ref()
    }

    /// The pending run's rows for the lake's `run_rows`; `None` when no run was pending.
    pub fn run_rows(&self) -> Option<&RecordBatch> {
        self.derived_rows.as_ref().map(|derived_rows| &derived_rows.run_rows)
    }

    /// Findings that do not prevent the publish: the warnings in `data_checks`.
    pub fn warnings(&self) -> &[FailedCheck] {
        &self.warnings
    }

    /// The snapshot that it shows.
    pub fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }

    /// The path of the new file, which can be read until this value is dropped or published. A file that only checks a run is not complete.
    pub fn path(&self) -> &Path {
        &self.aside.path
    }

    /// Renames the file over the store's `boxseat.duckdb`, with the read permissions of `access` and without write permission for any user,
    /// and records its digest.
    ///
    /// Readers keep the snapshot that they opened. The next open sees this one. [`boxseat_storage::durable`]'s publish describes the state
    /// after a kill at each step: the old snapshot or the new one, never a part of it, and never a foreign log next to it. The record lists
    /// both files from before the rename until after it.
    ///
    /// # Errors
    /// `Io`; `Input` for an unknown group. The old file is still in place then.
    pub fn publish(self, lake: &Lake, access: &Access) -> Result<PathBuf> {
        let ownership = access.resolve()?;
        let destination = self.aside.path.with_file_name(FILE_NAME);
        let store = destination.parent().unwrap_or(Path::new("."));
        let recorded = record::announce(store, &self.aside.file, self.snapshot.run_number, access)?;
        // The lake records the digest as well. Commands that change accounts trust neither the file nor the file's own record alone.
        let digest = recorded.digest();
        lake.note_beside(FILE_NAME, digest.clone())?;
        if let Some((name, deciding)) = &self.deciding {
            lake.note_rows(name, deciding.clone())?;
        }
        durable::publish(&self.aside.path, &destination, ownership, &wals_of(&destination))
            .map_err(Error::io("publish", &destination))?;
        lake.placed_beside(FILE_NAME, digest)?;
        if let Some((name, deciding)) = &self.deciding {
            lake.placed_rows(name, deciding.clone())?;
        }
        record::settle(store, recorded, access)?;
        Ok(destination)
    }
}

/// The snapshot that `boxseat.duckdb` shows, or `None` when there is no such file.
///
/// # Errors
/// `Io` when the file cannot be opened, `Foreign` when it is not a regular file, `Corrupt` when it is not a boxseat file.
pub fn published(store: &Path) -> Result<Option<SnapshotId>> {
    let file = store.join(FILE_NAME);
    let connection = match record::open_file(&file, &Resources::default()) {
        Err(Error::NotPublished(_)) => return Ok(None),
        opened => opened?,
    };
    let corrupt = |reason: String| Error::Corrupt { what: file.display().to_string(), reason };
    let sql = "SELECT run_number, CAST(snapshot_date AS VARCHAR), epoch_us(now_at) FROM report_settings";
    let row = |row: &duckdb::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?));
    let (run_number, date, now) = connection.query_row(sql, [], row).map_err(|e| corrupt(e.to_string()))?;
    Ok(Some(SnapshotId {
        run_number: RunNumber(run_number),
        snapshot_date: date
            .parse::<NaiveDate>()
            .map_err(|e| corrupt(format!("snapshot_date {date:?}: {e}")))?,
        now_at: DateTime::from_timestamp_micros(now).ok_or_else(|| corrupt(format!("now_at {now} us")))?,
    }))
}
