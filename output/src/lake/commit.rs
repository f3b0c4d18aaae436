//! Commits one run's rows to one table, exactly once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::Table;
use delta_kernel::SnapshotRef;
use delta_kernel::transaction::CommitResult;

use super::files::{Author, DataFiles, Written};
use super::table::{ENGINE, committer};
use super::{Inner, Lake, version_of};
use crate::{Error, Result};

/// The result of a commit in the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Rows of the run in the table.
    pub rows: u64,
    /// Whether the rows were in the table already: an earlier attempt committed them, or the response to this commit was lost.
    pub already: bool,
}

impl Lake {
    /// Commits a run's rows to a table, or finds that they are committed already.
    ///
    /// The table's transaction version for the app id `boxseat` is the number of the last run that committed. The number in a fresh table
    /// snapshot decides:
    ///
    /// - **equal**: this run has committed. Nothing is read from `batches`, and the rows are counted instead.
    /// - **smaller or none**: the rows are written and committed. A run without rows is committed too, so that the version stays correct.
    /// - **greater**: a later run has already committed, so this is an error.
    ///
    /// Every batch has all columns of [`Table::lake_schema`] and this run's number in every row. Memory holds one row group per partition,
    /// so it does not depend on the number of rows.
    ///
    /// **Killed or failed** before the commit file exists: data files may exist that no log names. They are harmless. After the commit file
    /// exists: the numbers are equal, so the next attempt skips the commit.
    ///
    /// After a conflict, or if it is not known whether the commit file was created, the number is read again from a fresh table snapshot,
    /// and the written data files are used again.
    ///
    /// The kernel's `with_transaction_id` records the number and does not compare it. The comparison above is sufficient because every
    /// transaction is built from the table snapshot whose number was read. Any commit in between takes the transaction's version and causes
    /// a conflict.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Passed`]; [`crate::ErrorKind::Rows`] when `batches` fails; `Io`, `Corrupt`, `Newer` of the lake.
    pub fn commit<E>(
        &self,
        table: &'static Table,
        run: RunNumber,
        batches: &mut dyn Iterator<Item = Result<RecordBatch, E>>,
    ) -> Result<Committed>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Standing::Behind(asked) = self.inner.standing(table, run)? else {
            return self.already(table, run);
        };
        let written = self.inner.write(table, Author::Run(run), &asked, batches)?;
        let (mut asked, mut last) = (Some(asked), None);
        for _ in 0..ATTEMPTS {
            // The first attempt uses the table snapshot whose number was read above. Any commit since then causes a conflict.
            let snapshot = match asked.take() {
                Some(snapshot) => snapshot,
                None => match self.inner.standing(table, run)? {
                    Standing::Done => return self.already(table, run),
                    Standing::Behind(snapshot) => snapshot,
                },
            };
            match self.inner.try_commit(table, run, snapshot, &written) {
                Ok(CommitResult::Committed(committed)) => {
                    self.inner.checkpoint_now_and_then(table, committed.commit_version());
                    return Ok(Committed { rows: written.rows, already: false });
                }
                Ok(CommitResult::Conflicted(conflict)) => {
                    tracing::debug!(
                        table = table.name,
                        version = conflict.conflict_version(),
                        "another commit came first"
                    );
                }
                Ok(CommitResult::Retryable(failed)) => last = Some(failed.error),
                Err(error) => last = Some(error),
            }
        }
        // The response to the last attempt may have been lost, too.
        match self.inner.standing(table, run)? {
            Standing::Done => self.already(table, run),
            Standing::Behind(_) => {
                let crowded = || delta_kernel::Error::generic(format!("{ATTEMPTS} other commits came first"));
                Err(Error::table("commit to", table.name)(last.unwrap_or_else(crowded)))
            }
        }
    }

    /// The sequence number of the last entry of the action journal whose rows are in the table; 0 if there is none.
    ///
    /// # Errors
    /// The errors of the table.
    pub fn actions_sequence(&self, table: &'static Table) -> Result<u64> {
        let Some(snapshot) = self.inner.snapshot(table)? else { return Ok(0) };
        let version = snapshot
            .get_app_id_version(ACTIONS_APP_ID, self.inner.engine())
            .map_err(Error::table("read", table.name))?;
        Ok(version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
    }

    /// Commits the action journal up to entry `sequence`, each entry exactly once. These commits are independent of the runs and their
    /// order: the table's transaction version for the app id `boxseat-actions` is the last entry whose rows it has. `rows` receives the
    /// number of that entry (0 if there is none) and returns the rows of later entries. It is called again after a conflict. Returns the
    /// number of rows that were added.
    ///
    /// **Killed** before the commit file exists: data files may exist that no log names. After it exists: the version is `sequence`, and
    /// `rows` is not called again.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Passed`] when the table has entries that this journal does not have; `Io`, `Corrupt`, `Newer`.
    pub fn commit_actions(
        &self,
        table: &'static Table,
        sequence: u64,
        rows: impl Fn(u64) -> RecordBatch,
    ) -> Result<u64> {
        let version = i64::try_from(sequence).map_err(|e| Error::Bug(e.to_string()))?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let snapshot = self.inner.writable(table)?;
            let engine = self.inner.engine();
            let by = snapshot
                .get_app_id_version(ACTIONS_APP_ID, engine)
                .map_err(Error::table("read", table.name))?
                .unwrap_or(0);
            if by > version {
                let run = RunNumber(sequence);
                return Err(Error::Passed { table: table.name.to_owned(), run, by });
            }
            if by == version {
                self.inner.settle(table)?;
                return Ok(0);
            }
            let batch = rows(u64::try_from(by).unwrap_or(0));
            if batch.num_rows() == 0 {
                return Ok(0);
            }
            let mut batches = std::iter::once(Ok::<_, std::convert::Infallible>(batch));
            let written = self.inner.write(table, Author::Journal(sequence), &snapshot, &mut batches)?;
            match self.inner.try_commit_as(table, (ACTIONS_APP_ID, version), snapshot, &written) {
                Ok(CommitResult::Committed(committed)) => {
                    self.inner.checkpoint_now_and_then(table, committed.commit_version());
                    return Ok(written.rows);
                }
                Ok(CommitResult::Conflicted(_)) => {}
                Ok(CommitResult::Retryable(failed)) => last = Some(failed.error),
                Err(error) => last = Some(error),
            }
        }
        let crowded = || delta_kernel::Error::generic(format!("{ATTEMPTS} other commits came first"));
        Err(Error::table("commit to", table.name)(last.unwrap_or_else(crowded)))
    }

    fn already(&self, table: &'static Table, run: RunNumber) -> Result<Committed> {
        let mut rows = 0;
        for batch in self.scan(table, &[run], Some(&["run_number"]))? {
            rows += batch?.num_rows() as u64;
        }
        Ok(Committed { rows, already: true })
    }
}

/// Whether a run has committed to a table.
enum Standing {
    /// The run has not committed; a transaction must be built from this table snapshot.
    Behind(SnapshotRef),
    /// The run has committed.
    Done,
}

impl Inner {
    fn standing(&self, table: &'static Table, run: RunNumber) -> Result<Standing> {
        let snapshot = self.writable(table)?;
        let version =
            snapshot.get_app_id_version(APP_ID, self.engine()).map_err(Error::table("read", table.name))?;
        match version {
            Some(by) if by > version_of(run) => Err(Error::Passed { table: table.name.to_owned(), run, by }),
            Some(by) if by == version_of(run) => {
                self.settle(table)?;
                Ok(Standing::Done)
            }
            _ => Ok(Standing::Behind(snapshot)),
        }
    }

    /// The last run that committed to a table; `None` for a table that does not exist.
    pub(super) fn last_commit(&self, table: &'static Table) -> Result<Option<i64>> {
        let Some(snapshot) = self.snapshot(table)? else { return Ok(None) };
        snapshot.get_app_id_version(APP_ID, self.engine()).map_err(Error::table("read", table.name))
    }

    pub(super) fn write<E>(
        &self,
        table: &'static Table,
        author: Author,
        snapshot: &SnapshotRef,
        batches: &mut dyn Iterator<Item = Result<RecordBatch, E>>,
    ) -> Result<Written>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let transaction = Arc::clone(snapshot).transaction(committer(), self.engine());
        let state = transaction.and_then(|transaction| transaction.write_state());
        let mut files =
            DataFiles::new(self, table, author, state.map_err(Error::table("prepare", table.name))?);
        for batch in batches {
            let batch = batch
                .map_err(|source| Error::Rows { table: table.name.to_owned(), source: source.into() })?;
            files.write(&batch)?;
        }
        files.close()
    }

    pub(super) fn try_commit(
        &self,
        table: &'static Table,
        run: RunNumber,
        snapshot: SnapshotRef,
        written: &Written,
    ) -> Result<CommitResult, delta_kernel::Error> {
        self.try_commit_as(table, (APP_ID, version_of(run)), snapshot, written)
    }

    pub(super) fn try_commit_as(
        &self,
        table: &'static Table,
        (app_id, version): (&str, i64),
        snapshot: SnapshotRef,
        written: &Written,
    ) -> Result<CommitResult, delta_kernel::Error> {
        let mut transaction = snapshot
            .transaction(committer(), self.engine())?
            .with_operation("WRITE".to_owned())
            .with_engine_info(ENGINE)
            .with_transaction_id(app_id.to_owned(), version);
        for action in written.actions(table).map_err(delta_kernel::Error::generic_err)? {
            transaction.add_files(action);
        }
        transaction.commit(self.engine())
    }

    /// Writes a checkpoint of the log every [`COMMITS_PER_CHECKPOINT`] commits, because a reader of the log reads one file per commit. A
    /// failure is harmless: the commit is valid, readers read the log, and a later commit writes the next checkpoint.
    pub(super) fn checkpoint_now_and_then(&self, table: &'static Table, version: u64) {
        if !version.is_multiple_of(COMMITS_PER_CHECKPOINT) {
            return;
        }
        let written = self.snapshot(table).and_then(|snapshot| match snapshot {
            Some(snapshot) => snapshot
                .checkpoint(self.engine(), None)
                .map(drop)
                .map_err(Error::table("checkpoint", table.name)),
            None => Ok(()),
        });
        if let Err(error) = written {
            tracing::warn!(
                table = table.name,
                version,
                error = &error as &dyn std::error::Error,
                "no checkpoint this time"
            );
        }
    }

    /// Syncs the directory of the log. An earlier attempt may have created the commit file and been killed before it synced the directory.
    fn settle(&self, table: &Table) -> Result<()> {
        let log = self.directory.join(table.name).join("_delta_log/log");
        boxseat_storage::durable::sync_directory(&log).map_err(Error::io("make durable", log))
    }
}

/// The Delta app id for commits of runs.
pub(super) const APP_ID: &str = "boxseat";

/// The Delta app id for commits of the action journal.
const ACTIONS_APP_ID: &str = "boxseat-actions";

/// With one writer per store, only retention and other tools can cause conflicts. Five conflicts in a row are an error.
const ATTEMPTS: usize = 5;

const COMMITS_PER_CHECKPOINT: u64 = 10;
