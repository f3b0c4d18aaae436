//! Publishing hand-made nights.

mod accounts;
mod publishing;
mod usage;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use boxseat_schemas::run::RunStatus;
use boxseat_schemas::table::{LAKE, RUN_ROWS, SYNC_RUNS, Table};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::durable::Access;
use crate::query::{QueryResult, query};
use crate::testing::{ENTERPRISE, once, rows, run};

pub(super) const DATE: &str = "2026-03-02";

/// A store with a lake and one night of hand-made rows.
pub(super) struct Store {
    pub(super) directory: TempDir,
    pub(super) lake: Lake,
    pub(super) runs: Vec<SyncRun>,
    pub(super) settings: ReportSettings,
}

/// Rows of one night, as JSON objects with the columns that matter.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) users: Vec<Value>,
    pub(super) groups: Vec<Value>,
    pub(super) memberships: Vec<Value>,
    pub(super) aliases: Vec<Value>,
    pub(super) events: Vec<Value>,
    pub(super) coverage: Vec<Value>,
    pub(super) calls: Vec<Value>,
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
            _ => &[],
        }
    }
}

impl Store {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lake = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
        Self { directory, lake, runs: Vec::new(), settings: ReportSettings::default() }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Steps 3 of a run: everything but `run_rows` and `sync_runs` goes into the lake.
    pub(super) fn commit(&mut self, number: u64, date: &str, night: &Rows) -> Pending {
        let run = run(number, date, RunStatus::Complete);
        let mut tables = Vec::new();
        for table in LAKE.iter().filter(|table| ![RUN_ROWS.name, SYNC_RUNS.name].contains(&table.name)) {
            let objects = night.of(table);
            let committed =
                self.lake.commit(table, run.run_number, &mut once(rows(table, &run, objects))).unwrap();
            let counted = TableRows {
                table_name: table.name.to_owned(),
                rows_from_box: objects.len() as u64,
                ..TableRows::default()
            };
            tables.push(LoadedRows { counted, rows_in_lake: committed.rows });
        }
        self.runs.push(run);
        Pending { run_number: RunNumber(number), tables }
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
            enterprise_id: ENTERPRISE,
            settings: &self.settings,
            resources: &Resources::default(),
        })
    }

    /// Steps 4 to 6.
    pub(super) fn finish(&self, pending: &Pending) {
        let checked = self.check(Some(pending)).unwrap();
        let run_rows = checked.run_rows().unwrap().clone();
        self.lake.commit(&RUN_ROWS, pending.run_number, &mut once(run_rows)).unwrap();
        let own = self.runs.iter().find(|run| run.run_number == pending.run_number).unwrap();
        let row = SyncRun::to_batch(std::slice::from_ref(own), ENTERPRISE);
        self.lake.commit(&SYNC_RUNS, pending.run_number, &mut once(row)).unwrap();
        checked.publish(&Access::from(0o640)).unwrap();
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

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}
