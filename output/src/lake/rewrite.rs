//! Changes or removes rows in place, for erasures and retention, and removes every older version of a table from the disk.
//!
//! [`Lake::rewrite`] replaces files in one Delta commit, as retention does. [`Lake::purge`] then removes the files that no reader of the
//! newest version needs: data files that no log names, and every log entry except the newest. A log entry contains the smallest and largest
//! key of its files, so the entry that removes a file still names users.
//!
//! **Killed** in `rewrite` before the commit file exists: the table is unchanged, and data files may exist that no log names. After it
//! exists: the change is complete, and a second `rewrite` finds nothing to change. Killed in `purge`: some old files are left, and the next
//! `purge` removes them. After `purge`, a reader that opened an older version fails and must open the table again.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::datatypes::Date32Type;
use boxseat_schemas::table::{EVENTS, Table};
use chrono::NaiveDate;
use delta_kernel::transaction::CommitResult;

use super::active::{ActiveFile, ActiveFiles};
use super::files::{Author, Written};
use super::retention::Change;
use super::table::{ENGINE, committer};
use super::{Inner, Lake};
use crate::{Error, Result};

impl Lake {
    /// Applies `change` to all rows of a table, and replaces the files with changed rows in one commit. `change` receives rows without the
    /// partition column, and returns `None` if it changes nothing. It keeps the number and order of the rows. Returns the number of
    /// replaced files.
    ///
    /// # Errors
    /// `Bug` when `change` changes the number of rows; `Io`, `Corrupt`, `Newer` of the lake.
    pub fn rewrite(
        &self,
        table: &'static Table,
        change: &dyn Fn(&RecordBatch) -> Option<RecordBatch>,
    ) -> Result<u64> {
        self.inner.rewrite_with(table, &Rewrite { change, keeps_rows: true, mark: None })
    }

    /// Removes rows in one commit, as [`Lake::rewrite`] does. `kept` returns the remaining rows, or `None` if all rows remain. Returns the
    /// number of replaced files.
    ///
    /// # Errors
    /// As [`Lake::rewrite`].
    pub fn remove_rows(
        &self,
        table: &'static Table,
        kept: &dyn Fn(&RecordBatch) -> Option<RecordBatch>,
    ) -> Result<u64> {
        self.inner.rewrite_with(table, &Rewrite { change: kept, keeps_rows: false, mark: None })
    }

    /// Removes sign-ins before the day `before` that `kept` does not return, and records the day in the same commit. The number of sign-ins
    /// before that day is then unknown.
    ///
    /// # Errors
    /// As [`Lake::rewrite`].
    pub fn thin_logins(
        &self,
        thinning: Thinning,
        before: NaiveDate,
        kept: &dyn Fn(&RecordBatch) -> Option<RecordBatch>,
    ) -> Result<u64> {
        let mark = Some((thinning.app_id(), i64::from(Date32Type::from_naive_date(before))));
        self.inner.rewrite_with(&EVENTS, &Rewrite { change: kept, keeps_rows: false, mark })
    }

    /// The first day whose sign-ins this thinning all kept; `None` when it never removed a sign-in.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn logins_thinned_to(&self, thinning: Thinning) -> Result<Option<NaiveDate>> {
        self.inner.day_marked(thinning.app_id())
    }

    /// Immediately removes every file of a table that its newest version does not need. Returns the number of files.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn purge(&self, table: &'static Table) -> Result<u64> {
        let Some(snapshot) = self.inner.snapshot(table)? else { return Ok(0) };
        let failed = || Error::table("purge", table.name);
        // An empty commit, so that the newest log entry names no removed file.
        let version = i64::try_from(snapshot.version() + 1).map_err(|e| Error::Bug(e.to_string()))?;
        let transaction = snapshot
            .transaction(committer(), self.inner.engine())
            .map_err(failed())?
            .with_operation("PURGE".to_owned())
            .with_engine_info(ENGINE)
            .with_transaction_id(PURGED.to_owned(), version);
        match transaction.commit(self.inner.engine()).map_err(failed())? {
            CommitResult::Committed(_) => {}
            CommitResult::Conflicted(_) => {
                return Err(failed()(delta_kernel::Error::generic("another commit came first")));
            }
            CommitResult::Retryable(attempt) => return Err(failed()(attempt.error)),
        }
        let newest =
            self.inner.snapshot(table)?.ok_or_else(|| Error::Bug(format!("{} vanished", table.name)))?;
        newest.checkpoint(self.inner.engine(), None).map_err(failed())?;
        let mut unneeded = Vec::new();
        self.inner.unneeded_of(table, &mut unneeded)?;
        unneeded.iter().try_for_each(|file| self.delete(file))?;
        Ok(unneeded.len() as u64)
    }
}

/// The sign-ins of a user that are kept beyond the newest weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinning {
    /// The newest sign-in of each UTC day.
    Daily,
    /// Only the newest sign-in.
    LastOnly,
}

impl Thinning {
    fn app_id(self) -> &'static str {
        match self {
            Self::Daily => "boxseat-logins-daily-to",
            Self::LastOnly => "boxseat-logins-last-only-to",
        }
    }
}

/// A change of rows.
struct Rewrite<'a> {
    change: &'a dyn Fn(&RecordBatch) -> Option<RecordBatch>,
    keeps_rows: bool,
    /// An app id, and the day to record under it in the same commit.
    mark: Option<(&'static str, i64)>,
}

enum Rewritten {
    Files(u64),
    Conflict,
}

impl Inner {
    fn rewrite_with(&self, table: &'static Table, rewrite: &Rewrite<'_>) -> Result<u64> {
        for _ in 0..ATTEMPTS {
            match self.rewrite_once(table, rewrite)? {
                Rewritten::Files(files) => return Ok(files),
                Rewritten::Conflict => {}
            }
        }
        let crowded = delta_kernel::Error::generic(format!("{ATTEMPTS} other commits came first"));
        Err(Error::table("rewrite", table.name)(crowded))
    }

    fn rewrite_once(&self, table: &'static Table, rewrite: &Rewrite<'_>) -> Result<Rewritten> {
        let Rewrite { change, keeps_rows, mark } = *rewrite;
        let Some(snapshot) = self.snapshot(table)? else { return Ok(Rewritten::Files(0)) };
        let snapshot = self.widen(table, snapshot)?;
        let active = ActiveFiles::of(self, table, &snapshot)?;
        let (mut replaced, mut written) = (BTreeSet::new(), Vec::new());
        for file in active.iter() {
            let one = std::slice::from_ref(file);
            let mut is_changed = false;
            for rows in self.rows_of(table, &snapshot, one)? {
                is_changed = is_changed || change(&rows?).is_some();
            }
            if !is_changed {
                continue;
            }
            let mut writer = self.writer(table, &snapshot, Author::Eraser)?;
            for rows in self.rows_of(table, &snapshot, one)? {
                let rows = rows?;
                writer.write_part(file.day, change(&rows).unwrap_or(rows))?;
            }
            let new = writer.close()?;
            if keeps_rows {
                same_rows(table, file, &new)?;
            }
            replaced.insert(file.path.clone());
            written.push(new);
        }
        if replaced.is_empty() {
            return Ok(Rewritten::Files(0));
        }
        let written = Some(Written::together(written));
        let change = Change { operation: "UPDATE", is_data_change: true, mark, written };
        let removed =
            self.reorganise(table, snapshot, active, |file| replaced.contains(&file.path), change)?;
        Ok(if removed == 0 { Rewritten::Conflict } else { Rewritten::Files(removed) })
    }
}

fn same_rows(table: &Table, file: &ActiveFile, new: &Written) -> Result<()> {
    if new.rows == file.rows {
        return Ok(());
    }
    let reason = format!("its log counts {} rows in {}, which has {}", file.rows, file.path, new.rows);
    Err(Error::Corrupt { what: format!("the lake's table {}", table.name), reason })
}

/// Delta's app id of [`Lake::purge`].
const PURGED: &str = "boxseat-purged";

/// With one writer per store, only another tool can cause a conflict.
const ATTEMPTS: usize = 5;
