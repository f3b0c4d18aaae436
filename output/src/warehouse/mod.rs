//! The DuckDB file that analysts read. Each build creates a new file from the lake next to the old file, checks it, and renames it over the
//! old file.
//!
//! ```text
//! Build ──build()──▶ Built ──check()──▶ Checked ──publish()──▶ boxseat.duckdb
//! ```
//! Dropping `Built` or `Checked` removes the new file. Only `publish` changes what readers see.

mod candidates;
mod checks;
mod compute;
mod connection;
mod ddl;
mod deciding;
mod derived_rows;
mod diff;
mod history;
mod load;
mod publish;
mod record;
mod salvage;
mod scratch_tables;
mod snapshot_selection;
mod spill;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use boxseat_schemas::check::Severity;
use boxseat_schemas::run::{RunStatus, SnapshotId, SyncRun, current};
use boxseat_schemas::settings::ReportSettings;
use boxseat_schemas::{Departure, RunNumber};
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable;
use chrono::NaiveDate;
use duckdb::Connection;
use uuid::Uuid;

pub use candidates::{Candidate, Candidates, SnapshotRows};
pub use connection::Resources;
pub(crate) use ddl::literal;
pub use deciding::{Deciding, RowsDigest};
pub use diff::Drift;
pub use publish::{Checked, published};
pub(crate) use record::open_file;
pub use record::{Check, PublishedFile, Recorded, foreign_wal};
pub use salvage::Salvage;

use crate::lake::Lake;
use crate::{Error, Result};
use derived_rows::DerivedRows;
use load::Loader;

/// Everything a build needs.
#[derive(Debug, Clone)]
pub struct Build<'a> {
    /// The directory that holds `boxseat.duckdb`.
    pub store: &'a Path,
    /// The source of the rows.
    pub lake: &'a Lake,
    /// All rows of `sync_runs` that the file shows, including the pending run's own row.
    pub runs: &'a [SyncRun],
    /// The run whose `sync_runs` row is not in the lake yet; it is built as if it were complete. `None` publishes the state of the lake, as
    /// after a crash before the rename.
    pub pending: Option<&'a Pending>,
    /// The purpose of the file.
    pub purpose: Purpose,
    /// Shows the snapshot of this date instead, from rows of the runs up to that snapshot, with the settings of this build. Requires that
    /// no run is pending and that the file is not published.
    pub as_of: Option<NaiveDate>,
    /// The store's enterprise.
    pub enterprise_id: &'a str,
    /// Thresholds of the views.
    pub settings: &'a ReportSettings,
    /// The reclamation policy, if there is one.
    pub candidates: Option<&'a dyn Candidates>,
    /// Queries whose rows decide about accounts; `None`: no command changes accounts with this file.
    pub deciding: Option<&'a Deciding>,
    /// Resource limits of DuckDB.
    pub resources: &'a Resources,
}

/// The purpose of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The file is renamed over `boxseat.duckdb` and shows the latest snapshot.
    Publish,
    /// The file is not published: it checks a run, or shows another snapshot to read. If a run is pending, the file shows its snapshot.
    /// `rows_in_warehouse` stays NULL.
    Private,
}

/// The run that is being finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number; its row is in [`Build::runs`].
    pub run_number: RunNumber,
    /// The counts of its rows, table by table.
    pub tables: Vec<LoadedRows>,
    /// The known reasons for which users of the base are missing.
    pub departures: Vec<Departure>,
}

/// Rows of one table of a run: counted when they were read, and when they were committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRows {
    /// Counted while normalising.
    pub counted: TableRows,
    /// Counted by [`Lake::commit`].
    pub rows_in_lake: u64,
}

/// The counts of the records of one table during normalisation. The lake receives `from_box + carried - duplicate - rejected - dropped`
/// rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "fields are the columns of the `run_rows` table contract")]
pub struct TableRows {
    pub table_name: String,
    pub rows_from_box: u64,
    pub rows_carried: u64,
    pub rows_duplicate: u64,
    pub rows_rejected: u64,
    pub rows_dropped: u64,
}

/// A file that is filled and not checked yet.
#[derive(Debug)]
pub struct Built {
    // Dropped before `aside`, which removes the file that this connection has open.
    connection: Connection,
    aside: Aside,
    snapshot: SnapshotId,
    derived_rows: Option<DerivedRows>,
    /// Whether the file only checks a run. No program opens such a file, so its last checkpoint is skipped.
    is_for_nobody: bool,
    /// Digest of the rows that decide about accounts, with its name in the record.
    deciding: Option<(String, FileDigest)>,
}

/// Builds the file next to the published one and fills it.
///
/// Only one process at a time builds in a store (the store's lock). Files of a killed build are removed first.
///
/// # Errors
/// `Input` when no run is complete, or when there is no snapshot of [`Build::as_of`]; `Io`, `Corrupt`, `Newer` of lake and disk.
pub fn build(build: &Build<'_>) -> Result<Built> {
    sweep(build.store)?;
    let runs = with_pending_complete(build)?;
    let shown = snapshot_selection::snapshot(build, &runs)?;
    let Some(pending) = build.pending.filter(|pending| pending.run_number != shown.run_number) else {
        let runs = if shown.is_alone { snapshot_selection::up_to(&runs, shown.run_number) } else { runs };
        return assemble(build, &runs, shown.snapshot(), None);
    };
    // The latest snapshot is later than that of the pending run, because the run started late or a clock was set back. The pending run's
    // seat usage depends only on its own snapshot.
    let own = Build { purpose: Purpose::Private, ..build.clone() };
    let before = snapshot_selection::up_to(&runs, pending.run_number);
    let snapshot = snapshot_selection::snapshot(&own, &runs)?.snapshot();
    let seat_usage =
        assemble(&own, &before, snapshot, None)?.derived_rows.map(|derived_rows| derived_rows.seat_usage);
    assemble(build, &runs, shown.snapshot(), seat_usage)
}

fn assemble(
    build: &Build<'_>,
    runs: &[SyncRun],
    snapshot: SnapshotId,
    seat_usage: Option<RecordBatch>,
) -> Result<Built> {
    let aside = Aside::create(build.store, snapshot.run_number)?;
    let spill = aside.path.with_extension("spill");
    let connection = connection::create(&aside.file, &aside.path, &spill, build.resources)?;
    let derived_rows = Loader::new(&connection, build, runs, snapshot, seat_usage).fill(&current(runs))?;
    let is_for_nobody = build.purpose == Purpose::Private && build.pending.is_some();
    let deciding = build.deciding.filter(|_| build.purpose == Purpose::Publish);
    let deciding = deciding.map(|deciding| deciding.digest(&connection)).transpose()?;
    Ok(Built { connection, aside, snapshot, derived_rows, is_for_nobody, deciding })
}

impl Built {
    /// Runs the error checks, then detaches the file. The file is then complete, without a write-ahead log next to it. Rows for the lake
    /// stay in memory, or in the spill directory, until they are committed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::CheckFailed`] names check, table, count and an example. The file is removed then.
    pub fn check(self) -> Result<Checked> {
        let Self { connection, aside, snapshot, derived_rows, is_for_nobody, deciding } = self;
        // The warnings of a file without readers are not needed.
        let least = if is_for_nobody { Severity::Error } else { Severity::Warn };
        let pending = derived_rows.as_ref().map(|derived_rows| derived_rows.run_number);
        let warnings = checks::run(&connection, pending, least)?;
        if is_for_nobody {
            connection::abandon(&connection)?;
        } else {
            connection::let_go(&connection, &aside.path)?;
        }
        Ok(Checked { connection, aside, snapshot, derived_rows, warnings, deciding })
    }

    /// The snapshot that it shows.
    pub fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }
}

/// The new file next to the published one. Dropping it removes the file.
#[derive(Debug)]
struct Aside {
    path: PathBuf,
    /// The open file. It stays the same if another file takes its name.
    file: File,
}

impl Aside {
    /// Creates the file without objects. No other program can predict its name.
    fn create(store: &Path, run_number: RunNumber) -> Result<Self> {
        let path = store.join(format!("{ASIDE_PREFIX}{run_number}-{}.tmp", Uuid::new_v4().simple()));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let aside = Self { file: file.map_err(Error::io("create", &path))?, path };
        (&aside.file).write_all(connection::EMPTY).map_err(Error::io("write", &aside.path))?;
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        for path in connection::wals_of(&self.path).iter().chain([&self.path]) {
            // The next build removes a file that could not be removed here.
            let _ = durable::remove_if_there(path);
        }
    }
}

fn with_pending_complete(build: &Build<'_>) -> Result<Vec<SyncRun>> {
    let mut runs = build.runs.to_vec();
    if let Some(pending) = build.pending {
        let own = runs.iter_mut().find(|run| run.run_number == pending.run_number);
        own.ok_or_else(|| Error::Bug(format!("run {} is pending and has no row", pending.run_number)))?
            .status = RunStatus::Complete;
    }
    Ok(runs)
}

fn sweep(store: &Path) -> Result<()> {
    for entry in std::fs::read_dir(store).map_err(Error::io("list", store))? {
        let entry = entry.map_err(Error::io("list", store))?;
        if entry.file_name().to_string_lossy().starts_with(ASIDE_PREFIX) {
            durable::remove_if_there(&entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

/// The published file's name in the store.
pub const FILE_NAME: &str = "boxseat.duckdb";

/// The prefix of all files that a build creates next to the published file.
const ASIDE_PREFIX: &str = ".boxseat.duckdb.";
