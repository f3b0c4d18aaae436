//! Publishes snapshots with rows that are written by hand.

mod accounts;
mod candidates;
mod chains;
mod evidence;
mod history;
mod odd;
mod plans;
mod publishing;
mod seats;
mod usage;
mod views;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use boxseat_schemas::run::{RunStatus, latest_snapshot};
use boxseat_schemas::table::{
    LAKE, RUN_ROWS, SEAT_ACTIONS, SEAT_USAGE_DAILY, SYNC_RUNS, Table, USER_CHANGES, USERS_HISTORY,
};
use boxseat_storage::durable::Access;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::query::{QueryResult, query};
use crate::testing::{ENTERPRISE, once, rows, run};
use boxseat_schemas::DepartureReason;

pub(super) const DATE: &str = "2026-03-02";

/// The tables that only a build can compute.
pub(super) const WORKED_OUT: [&Table; 4] = [&USERS_HISTORY, &USER_CHANGES, &SEAT_USAGE_DAILY, &RUN_ROWS];

/// A store with a lake and one snapshot of rows that are written by hand.
pub(super) struct Store {
    pub(super) directory: TempDir,
    pub(super) lake: Lake,
    pub(super) runs: Vec<SyncRun>,
    pub(super) settings: ReportSettings,
    pub(super) candidates: Option<Box<dyn Candidates>>,
}

/// Rows of one snapshot, as JSON objects with the relevant columns.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) users: Vec<Value>,
    pub(super) groups: Vec<Value>,
    pub(super) memberships: Vec<Value>,
    pub(super) aliases: Vec<Value>,
    pub(super) events: Vec<Value>,
    pub(super) coverage: Vec<Value>,
    pub(super) calls: Vec<Value>,
    pub(super) activity: Vec<Value>,
    pub(super) imported: Vec<Value>,
    pub(super) leave: Vec<Value>,
}

impl Rows {
    pub(super) fn users(ids: &[&str]) -> Self {
        Self {
            users: ids.iter().map(|id| json!({ "user_id": id, "status": "active" })).collect(),
            ..Self::default()
        }
    }

    fn of(&self, table: &Table) -> &[Value] {
        match table.name {
            "users" => &self.users,
            "groups" => &self.groups,
            "memberships" => &self.memberships,
            "email_aliases" => &self.aliases,
            "events" => &self.events,
            "event_coverage" => &self.coverage,
            "run_calls" => &self.calls,
            "activity_daily" => &self.activity,
            "imported_evidence" => &self.imported,
            "leave_periods" => &self.leave,
            _ => &[],
        }
    }
}

impl Store {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lake = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
        Self { directory, lake, runs: Vec::new(), settings: ReportSettings::default(), candidates: None }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Step 3 of a run without a base: all tables are committed to the lake, except those that the build computes and `sync_runs`.
    pub(super) fn commit(&mut self, number: u64, date: &str, snapshot: &Rows) -> Pending {
        self.commit_run(run(number, date, RunStatus::Complete), snapshot)
    }

    /// Step 3 of a run that is compared with the latest snapshot.
    pub(super) fn commit_after(&mut self, number: u64, date: &str, snapshot: &Rows) -> Pending {
        let base_run_number = latest_snapshot(&self.runs).map(|base| base.run_number);
        self.commit_run(SyncRun { base_run_number, ..run(number, date, RunStatus::Complete) }, snapshot)
    }

    pub(super) fn commit_run(&mut self, run: SyncRun, snapshot: &Rows) -> Pending {
        let mut tables = Vec::new();
        for table in LAKE.iter().filter(|table| is_loaded(table)) {
            let objects = snapshot.of(table);
            // A table that is committed only when it has rows does not exist in most stores.
            if objects.is_empty() && INPUTS.contains(&table.name) {
                continue;
            }
            let committed =
                self.lake.commit(table, run.run_number, &mut once(rows(table, &run, objects))).unwrap();
            let counted = TableRows {
                table_name: table.name.to_owned(),
                rows_from_box: objects.len() as u64,
                ..TableRows::default()
            };
            tables.push(LoadedRows { counted, rows_in_lake: committed.rows });
        }
        let run_number = run.run_number;
        self.runs.push(run);
        Pending { run_number, tables, departures: Vec::new() }
    }

    /// Step 4, ready to publish.
    pub(super) fn check(&self, pending: Option<&Pending>) -> Result<Checked> {
        self.build(pending, Purpose::Publish)?.check()
    }

    pub(super) fn build(&self, pending: Option<&Pending>, purpose: Purpose) -> Result<Built> {
        build(&Build {
            store: self.path(),
            lake: &self.lake,
            runs: &self.runs,
            pending,
            purpose,
            as_of: None,
            enterprise_id: ENTERPRISE,
            settings: &self.settings,
            candidates: self.candidates.as_deref(),
            deciding: None,
            resources: &Resources::default(),
        })
    }

    /// The snapshot of a date, in a file that is not published.
    pub(super) fn as_of(&self, date: &str) -> Result<Checked> {
        build(&Build {
            store: self.path(),
            lake: &self.lake,
            runs: &self.runs,
            pending: None,
            purpose: Purpose::Private,
            as_of: Some(crate::testing::day(date)),
            enterprise_id: ENTERPRISE,
            settings: &self.settings,
            candidates: self.candidates.as_deref(),
            deciding: None,
            resources: &Resources::default(),
        })?
        .check()
    }

    /// Steps 4 to 6.
    pub(super) fn finish(&mut self, pending: &Pending) {
        let checked = self.keep(pending);
        checked.publish(&self.lake, &Access::from(0o640)).unwrap();
    }

    /// Steps 4 and 5: the snapshot is in the lake, and the file is not renamed.
    pub(super) fn keep(&mut self, pending: &Pending) -> Checked {
        let checked = self.check(Some(pending)).unwrap();
        for table in WORKED_OUT {
            checked.commit(&self.lake, table).unwrap();
        }
        let own = self.runs.iter_mut().find(|run| run.run_number == pending.run_number).unwrap();
        own.drift_count = checked.drift().map(Drift::count);
        let row = SyncRun::to_batch(std::slice::from_ref(own), ENTERPRISE);
        self.lake.commit(&SYNC_RUNS, pending.run_number, &mut once(row)).unwrap();
        checked
    }

    pub(super) fn ask(&self, sql: &str) -> QueryResult {
        query(self.path(), sql, &Resources::default())
            .unwrap_or_else(|e| panic!("{sql}: {e}: {:?}", std::error::Error::source(&e)))
    }

    /// A query's rows, cells joined by `|`.
    pub(super) fn lines(&self, sql: &str) -> Vec<String> {
        self.ask(sql).batches.iter().flat_map(lines).collect()
    }

    pub(super) fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "lake")
            .collect();
        names.sort();
        names
    }
}

fn is_loaded(table: &Table) -> bool {
    !WORKED_OUT.iter().chain(&[&SYNC_RUNS, &SEAT_ACTIONS]).any(|other| other.name == table.name)
}

const INPUTS: [&str; 3] = ["activity_daily", "imported_evidence", "leave_periods"];

/// Rows of a file that is not published.
pub(super) fn lines_of(checked: &Checked, sql: &str) -> Vec<String> {
    let answer = crate::query::query_file(checked.path(), sql, &Resources::default()).unwrap();
    answer.batches.iter().flat_map(lines).collect()
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}
