//! Retention of the lake: removes expired snapshots and old months of events, and merges small files.
//!
//! Each step is a separate Delta commit, built from a fresh table snapshot and without a run's transaction id. **Killed** before the commit
//! file exists: the table is unchanged, and data files may exist that no log names. After it exists: the step is complete. After a conflict
//! the table is unchanged, and the next run tries again. Files that a commit removes stay on disk for readers that have opened them.
//! [`super::unneeded`] determines when they are deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Date32Type;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{EVENTS, Table};
use chrono::NaiveDate;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::transaction::CommitResult;
use delta_kernel::{Engine as _, FileMeta, SnapshotRef};

use super::active::{ActiveFile, ActiveFiles};
use super::files::{Author, DataFiles, Written};
use super::scan::in_contract;
use super::table::{ENGINE, committer};
use super::{Inner, Lake};
use crate::{Error, Result};

impl Lake {
    /// Removes the files of a snapshot table whose runs `is_kept` does not accept. Returns the number of removed files.
    ///
    /// # Errors
    /// `Bug` for a table that has no snapshots; `Io`, `Corrupt`, `Newer` of the lake.
    pub fn remove_snapshots(
        &self,
        table: &'static Table,
        is_kept: impl Fn(RunNumber) -> bool,
    ) -> Result<u64> {
        let is_kept = |number: i64| u64::try_from(number).is_ok_and(|number| is_kept(RunNumber(number)));
        // Files of snapshots are never merged: each file holds one run.
        self.inner.remove(table, |file| !file.runs.clone().any(is_kept), None)
    }

    /// Removes the events of months before `month`, and records the removal in the same commit, because a user without a login in the
    /// remaining events may have signed in before. Returns the number of removed files.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn remove_events_before(&self, month: NaiveDate) -> Result<u64> {
        let first = Date32Type::from_naive_date(month);
        // A later day may be recorded already.
        let kept_from = self.events_kept_from()?.map_or(month, |noted| noted.max(month));
        let kept_from = Date32Type::from_naive_date(kept_from);
        self.inner.remove(&EVENTS, |file| file.day.is_some_and(|day| day < first), Some(kept_from))
    }

    /// Records that evidence before a day is incomplete. Coverage then starts with that day, even if runs read earlier days.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn cover_nothing_before(&self, day: NaiveDate) -> Result<()> {
        let first = Date32Type::from_naive_date(day);
        let failed = || Error::table("change", EVENTS.name);
        let snapshot = self.inner.writable(&EVENTS)?;
        let transaction = snapshot
            .transaction(committer(), self.inner.engine())
            .map_err(failed())?
            .with_operation("WRITE".to_owned())
            .with_engine_info(ENGINE)
            .with_transaction_id(KEPT_FROM.to_owned(), i64::from(first));
        match transaction.commit(self.inner.engine()).map_err(failed())? {
            CommitResult::Committed(_) => Ok(()),
            other => Err(Error::Bug(format!("{} was written by another writer: {other:?}", EVENTS.name))),
        }
    }

    /// The first day whose events are all kept; `None` when no event was ever removed.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn events_kept_from(&self) -> Result<Option<NaiveDate>> {
        self.inner.day_marked(KEPT_FROM)
    }

    /// The runs whose rows a snapshot table still has.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn snapshots(&self, table: &'static Table) -> Result<BTreeSet<RunNumber>> {
        let Some(snapshot) = self.inner.snapshot(table)? else { return Ok(BTreeSet::new()) };
        let active = ActiveFiles::of(&self.inner, table, &snapshot)?;
        let numbers = active.iter().flat_map(|file| file.runs.clone());
        Ok(numbers.filter_map(|number| u64::try_from(number).ok()).map(RunNumber).collect())
    }

    /// Merges small files of an append-only table, in each partition with at least [`FILES_PER_MERGE`] of them. Every run adds a file, even
    /// with few rows, and every publish opens all files. The rows do not change. Returns the number of merged files.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn compact(&self, table: &'static Table) -> Result<u64> {
        let mut merged = 0;
        while let Some(files) = self.inner.merge_one(table)? {
            merged += files;
        }
        Ok(merged)
    }
}

impl Inner {
    /// The day that commits of `events` recorded under an app id.
    pub(super) fn day_marked(&self, app_id: &str) -> Result<Option<NaiveDate>> {
        let Some(snapshot) = self.snapshot(&EVENTS)? else { return Ok(None) };
        let day =
            snapshot.get_app_id_version(app_id, self.engine()).map_err(Error::table("read", EVENTS.name))?;
        Ok(day.and_then(|day| i32::try_from(day).ok()).and_then(Date32Type::to_naive_date_opt))
    }

    fn remove(
        &self,
        table: &'static Table,
        is_removed: impl Fn(&ActiveFile) -> bool,
        kept_from: Option<i32>,
    ) -> Result<u64> {
        let Some(snapshot) = self.snapshot(table)? else { return Ok(0) };
        let active = ActiveFiles::of(self, table, &snapshot)?;
        if !active.iter().any(&is_removed) {
            return Ok(0);
        }
        let mark = kept_from.map(|day| (KEPT_FROM, i64::from(day)));
        let change = Change { operation: "DELETE", is_data_change: true, mark, written: None };
        self.reorganise(table, snapshot, active, is_removed, change)
    }

    /// Merges the small files of one partition; `None` when there is nothing left to merge, or another commit came first.
    fn merge_one(&self, table: &'static Table) -> Result<Option<u64>> {
        let Some(snapshot) = self.snapshot(table)? else { return Ok(None) };
        // A file that was written before the table got more columns does not have these columns. Its rows get NULL there, as for every
        // reader.
        let snapshot = self.widen(table, snapshot)?;
        let active = ActiveFiles::of(self, table, &snapshot)?;
        let mut small: BTreeMap<Option<i32>, Vec<ActiveFile>> = BTreeMap::new();
        for file in active.iter().filter(|file| file.size_bytes < SMALL_FILE_BYTES) {
            small.entry(file.day).or_default().push(file.clone());
        }
        let Some((day, mut files)) = small.into_iter().find(|(_, files)| files.len() >= FILES_PER_MERGE)
        else {
            return Ok(None);
        };
        files.sort_by(|a, b| (a.runs.start(), &a.path).cmp(&(b.runs.start(), &b.path)));
        let written = self.merge(table, &snapshot, day, &files)?;
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        if written.rows != rows {
            let reason = format!("its log counts {rows} rows in files that have {}", written.rows);
            return Err(Error::Corrupt { what: format!("the lake's table {}", table.name), reason });
        }
        let merged: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let change =
            Change { operation: "OPTIMIZE", is_data_change: false, mark: None, written: Some(written) };
        let removed =
            self.reorganise(table, snapshot, active, |file| merged.contains(file.path.as_str()), change)?;
        Ok((removed > 0).then_some(removed))
    }

    fn merge(
        &self,
        table: &'static Table,
        snapshot: &SnapshotRef,
        day: Option<i32>,
        files: &[ActiveFile],
    ) -> Result<Written> {
        let mut merged = self.writer(table, snapshot, Author::Merger)?;
        for rows in self.rows_of(table, snapshot, files)? {
            merged.write_part(day, rows?)?;
        }
        merged.close()
    }

    /// A writer of files for a commit that is built from this table snapshot.
    pub(super) fn writer(
        &self,
        table: &'static Table,
        snapshot: &SnapshotRef,
        author: Author,
    ) -> Result<DataFiles<'_>> {
        let failed = || Error::table("prepare", table.name);
        let transaction = snapshot.clone().transaction(committer(), self.engine()).map_err(failed())?;
        Ok(DataFiles::new(self, table, author, transaction.write_state().map_err(failed())?))
    }

    /// The rows of files, without the partition column.
    pub(super) fn rows_of(
        &self,
        table: &'static Table,
        snapshot: &SnapshotRef,
        files: &[ActiveFile],
    ) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let failed = || Error::table("read files of", table.name);
        let root = self.table_root(table)?;
        let metas = files
            .iter()
            .map(|file| Ok(FileMeta::new(file.location(&root)?, file.modified_ms, file.size_bytes)));
        let metas = metas.collect::<Result<Vec<_>>>()?;
        let mut schema = table.lake_schema().as_ref().clone();
        if let Some(partition) = table.partition() {
            let fields: Vec<_> =
                schema.fields().iter().filter(|field| field.name() != partition).cloned().collect();
            schema = arrow::datatypes::Schema::new(fields);
        }
        let schema = Arc::new(schema);
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let physical = snapshot.schema().project(&names).map_err(failed())?;
        let parquet = self.engine.parquet_handler();
        let read = parquet.read_parquet_files(&metas, physical, None).map_err(failed())?;
        Ok(read.map(move |data| {
            let data = data.and_then(ArrowEngineData::try_from_engine_data).map_err(failed())?;
            in_contract(data.record_batch(), &schema)
                .map_err(|reason| Error::Corrupt { what: format!("the lake's table {}", table.name), reason })
        }))
    }

    /// Commits removed files and their replacements; 0 when another commit came first.
    pub(super) fn reorganise(
        &self,
        table: &'static Table,
        snapshot: SnapshotRef,
        active: ActiveFiles,
        is_removed: impl Fn(&ActiveFile) -> bool,
        change: Change,
    ) -> Result<u64> {
        let failed = || Error::table("tidy", table.name);
        let (lists, removed) = active.removal(is_removed)?;
        let mut transaction = snapshot
            .transaction(committer(), self.engine())
            .map_err(failed())?
            .with_operation(change.operation.to_owned())
            .with_engine_info(ENGINE)
            .with_data_change(change.is_data_change);
        if let Some((app_id, version)) = change.mark {
            transaction = transaction.with_transaction_id(app_id.to_owned(), version);
        }
        for action in
            change.written.iter().map(|written| written.actions(table)).collect::<Result<Vec<_>>>()?
        {
            action.into_iter().for_each(|action| transaction.add_files(action));
        }
        lists.into_iter().for_each(|list| transaction.remove_files(list));
        match transaction.commit(self.engine()).map_err(failed())? {
            CommitResult::Committed(committed) => {
                self.checkpoint_now_and_then(table, committed.commit_version());
                Ok(removed)
            }
            CommitResult::Conflicted(_) => Ok(0),
            CommitResult::Retryable(attempt) => Err(failed()(attempt.error)),
        }
    }
}

/// The description of a commit of retention.
pub(super) struct Change {
    pub(super) operation: &'static str,
    /// Whether rows are removed. Otherwise they are only moved to other files.
    pub(super) is_data_change: bool,
    /// An app id, and the day to record under it in the same commit.
    pub(super) mark: Option<(&'static str, i64)>,
    pub(super) written: Option<Written>,
}

/// Delta's app id for the first day of which every event is kept.
const KEPT_FROM: &str = "boxseat-events-kept-from";

/// From this number of small files on, reading them separately costs more than a merge. A table gets one file per run.
pub const FILES_PER_MERGE: usize = 16;

/// Larger files are not merged. They are read at the speed of the disk, and no row is rewritten more than a few hundred times.
const SMALL_FILE_BYTES: u64 = 4 << 20;
