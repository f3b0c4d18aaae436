//! The last step: the checked file takes the old one's place.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::Table;
use chrono::{DateTime, NaiveDate};
use duckdb::Connection;

use super::connection::{Resources, open_to_read};
use super::diff::Drift;
use super::handover::Handover;
use super::{Aside, FILE_NAME, Night, record};
use crate::durable::{self, Access};
use crate::error::FailedCheck;
use crate::lake::{Committed, FileDigest, Lake};
use crate::{Error, Result};

/// A file that passed the checks and is closed. Dropping it removes the file and publishes nothing.
#[derive(Debug)]
pub struct Checked {
    /// Holds what is for the lake; no longer the file.
    pub(super) connection: Connection,
    pub(super) aside: Aside,
    pub(super) night: Night,
    pub(super) handover: Option<Handover>,
    pub(super) warnings: Vec<FailedCheck>,
    pub(super) deciding: Option<(String, FileDigest)>,
}

impl Checked {
    /// Commits the pending run's rows of a table that only the build could work out: `users_history`, `user_changes`,
    /// `seat_usage_daily` or `run_rows`, whatever night the file shows. Rows that an earlier attempt committed stay, as with [`Lake::commit`].
    ///
    /// # Errors
    /// As [`Lake::commit`]; [`crate::ErrorKind::Bug`] when nothing was pending, or for another table.
    pub fn commit(&self, lake: &Lake, table: &'static Table) -> Result<Committed> {
        let handover = self.handover.as_ref();
        let handover = handover.ok_or_else(|| Error::Bug("no run was pending".to_owned()))?;
        handover.commit(&self.connection, lake, table)
    }

    /// What the pending run found without an event that announced it, for its `drift_count`; `None` without a base to compare
    /// with, or when nothing was pending.
    pub fn drift(&self) -> Option<&Drift> {
        self.handover.as_ref()?.drift.as_ref()
    }

    /// The pending run's rows for the lake's `run_rows`; `None` when nothing was pending.
    pub fn run_rows(&self) -> Option<&RecordBatch> {
        self.handover.as_ref().map(|handover| &handover.run_rows)
    }

    /// What is odd about the night and no reason to keep the old one: the warnings in its `data_checks`.
    pub fn warnings(&self) -> &[FailedCheck] {
        &self.warnings
    }

    /// The night it shows.
    pub fn night(&self) -> Night {
        self.night
    }

    /// The file aside, readable until this is dropped or published.
    pub fn path(&self) -> &Path {
        &self.aside.path
    }

    /// Renames the file over the store's `boxseat.duckdb`, readable for `access` and writable for nobody, and records its digest.
    ///
    /// Readers keep the night they opened; the next open sees this one. What a kill leaves after each step is said at
    /// [`crate::durable`]'s publish: the old night or the new one, never half, and never a foreign log beside it. The record
    /// knows both from before the rename until after it.
    ///
    /// # Errors
    /// `Io`; `Input` for an unknown group. The old file is still there then.
    pub fn publish(self, lake: &Lake, access: &Access) -> Result<PathBuf> {
        let ownership = access.resolve()?;
        let destination = self.aside.path.with_file_name(FILE_NAME);
        let store = destination.parent().unwrap_or(Path::new("."));
        let recorded = record::announce(store, &self.aside.path, self.night.run_number, access)?;
        // The lake notes it as well: who acts on accounts trusts neither the file nor its own record alone.
        let digest = recorded.digest();
        lake.note_beside(FILE_NAME, digest.clone())?;
        if let Some((name, deciding)) = &self.deciding {
            lake.note_rows(name, deciding.clone())?;
        }
        durable::publish(&self.aside.path, &destination, ownership)
            .map_err(Error::io("publish", &destination))?;
        lake.placed_beside(FILE_NAME, digest)?;
        if let Some((name, deciding)) = &self.deciding {
            lake.placed_rows(name, deciding.clone())?;
        }
        record::settle(store, recorded, access)?;
        Ok(destination)
    }
}

/// The night that `boxseat.duckdb` shows, or `None` when there is no such file.
///
/// # Errors
/// `Io` when the file cannot be opened, `Foreign` when it is no regular file, `Corrupt` when it is not one of ours.
pub fn published(store: &Path) -> Result<Option<Night>> {
    let file = store.join(FILE_NAME);
    // DuckDB would wait for the other end of a pipe.
    match record::open(&file) {
        Err(Error::NotPublished(_)) => return Ok(None),
        opened => drop(opened?),
    }
    let open = open_to_read(&file, &Resources::default());
    let connection = open.map_err(Error::duckdb(format!("open {}", file.display())))?;
    let corrupt = |reason: String| Error::Corrupt { what: file.display().to_string(), reason };
    let sql = "SELECT run_number, CAST(snapshot_date AS VARCHAR), epoch_us(now_at) FROM report_settings";
    let row = |row: &duckdb::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?));
    let (run_number, date, now) = connection.query_row(sql, [], row).map_err(|e| corrupt(e.to_string()))?;
    Ok(Some(Night {
        run_number: RunNumber(run_number),
        snapshot_date: date
            .parse::<NaiveDate>()
            .map_err(|e| corrupt(format!("snapshot_date {date:?}: {e}")))?,
        now_at: DateTime::from_timestamp_micros(now).ok_or_else(|| corrupt(format!("now_at {now} us")))?,
    }))
}
