//! `users_history` and `user_changes`: rows of the runs on the chain of the shown snapshot, and the rows of the pending run.
//!
//! The rows of the pending run are always those that this build computed, although an earlier attempt may have committed some. Only the
//! rows of the other runs are read from the lake.

use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{SnapshotId, SyncRun, chain};
use boxseat_schemas::table::{Column, Table, USER_CHANGES, USERS_HISTORY};
use duckdb::Connection;

use super::Build;
use super::ddl::{self, identifier};
use super::diff::{Diff, Drift, OLDER_VERSIONS, RUN_CHANGES, RUN_VERSIONS};
use super::load::Target;
use super::scratch_tables::{ScratchTables, Source};
use crate::{Error, Result};

pub(super) struct History<'a> {
    pub(super) connection: &'a Connection,
    pub(super) build: &'a Build<'a>,
    pub(super) runs: &'a [SyncRun],
    pub(super) snapshot: SnapshotId,
}

impl History<'_> {
    /// Fills both tables of the file. The rows of a pending run stay in scratch tables, from which they are committed to the lake. Returns
    /// the pending run's drift; `None` without a base.
    pub(super) fn fill(&self) -> Result<Option<Drift>> {
        let Build { lake, pending, .. } = *self.build;
        let number = pending.map(|pending| pending.run_number);
        // The pending run is the base of no run, so it is on the chain only as the shown snapshot.
        let is_shown = number == Some(self.snapshot.run_number);
        let mut older = chain(self.runs, self.snapshot.run_number);
        older.retain(|run| Some(*run) != number);

        let mut scratch = ScratchTables::new(self.connection, lake);
        let kept: Vec<&'static Column> = USERS_HISTORY.kept().collect();
        scratch.provide(OLDER_VERSIONS, &USERS_HISTORY, &kept, Source::Lake(&older))?;
        let drift = match pending {
            Some(pending) => {
                let connection = self.connection;
                Diff { connection, lake, runs: self.runs, pending, is_shown }.compute()?
            }
            None => None,
        };
        let own = if is_shown { format!(" UNION ALL FROM {RUN_VERSIONS}") } else { String::new() };
        scratch.view("versions", &format!("FROM {OLDER_VERSIONS}{own}"))?;
        self.insert(&USERS_HISTORY, ddl::select(&USERS_HISTORY)?)?;
        scratch.clear()?;

        self.load_changes(&older)?;
        if is_shown {
            self.insert(&USER_CHANGES, &select_kept(&USER_CHANGES, RUN_CHANGES))?;
        }
        Ok(drift)
    }

    fn load_changes(&self, runs: &[RunNumber]) -> Result<()> {
        let mut target = Target::open(self.connection, &USER_CHANGES)?;
        for batch in self.build.lake.scan(&USER_CHANGES, runs, None)? {
            target.append(&batch?)?;
        }
        target.finish()
    }

    fn insert(&self, table: &Table, select: &str) -> Result<()> {
        self.connection
            .execute_batch(&format!("INSERT INTO {} {select}", identifier(table.name)))
            .map_err(Error::duckdb(format!("fill {}", table.name)))
    }
}

/// Selects the columns of `table` that the lake has, from a scratch table.
pub(super) fn select_kept(table: &Table, relation: &str) -> String {
    let names: Vec<String> = table.kept().map(|column| identifier(column.name)).collect();
    format!("SELECT {} FROM {relation}", names.join(", "))
}
