//! Rebuilds altered tables from the published file.

use boxseat_output::query::CheckedReader;
use boxseat_output::warehouse::Salvage;
use boxseat_schemas::RunNumber;
use boxseat_schemas::reclaim::plan::SnapshotId;
use boxseat_schemas::run::{RunStatus, SyncRun, current};
use boxseat_schemas::table::{
    EVENTS, IMPORTED_EVIDENCE, LEAVE_PERIODS, RUN_ROWS, SEAT_ACTIONS, SYNC_RUNS, Table,
};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use boxseat_pipeline::normalise::with_column;
use std::sync::Arc;

use super::Work;
use crate::error::CommandError;

impl Work<'_> {
    /// The file proves the state of its snapshot. Later complete runs no longer count, because an altered table may have had rows of
    /// them. The next `sync` uses the file's snapshot as its base and reads the events since then.
    pub(super) fn rebuild_from_file(
        &mut self,
        damaged: &[&'static Table],
        reservations: &[RunNumber],
        file: &CheckedReader,
        snapshot: &SnapshotId,
    ) -> Result<(), CommandError> {
        let lake = self.store.lake().clone();
        let enterprise_id = self.store.enterprise_id().unwrap_or("unknown").to_owned();
        let salvage = Salvage {
            file,
            run_number: snapshot.run_number,
            snapshot_date: snapshot.snapshot_date,
            enterprise_id: &enterprise_id,
        };
        for table in damaged {
            lake.set_aside(table, &self.aside.join("lake"))?;
            // `seat_actions` is filled again from the action journal.
            if table.name != SEAT_ACTIONS.name {
                self.done.rebuilt.push((table.name, salvage.rebuild(&lake, table)?));
            }
        }
        self.repair_reservations(reservations)?;
        self.give_up_open_runs()?;
        self.account_for_events(snapshot.run_number)?;
        let runs = lake.sync_runs()?;
        // A replay of these runs would remove rows that now belong to the snapshot's run.
        for run in &runs {
            self.set_spool_aside(run.run_number)?;
        }
        self.withdraw_after(snapshot.run_number, runs, &enterprise_id)
    }

    /// All events now belong to the run of the snapshot, so its `run_rows` count the events of other runs as carried.
    fn account_for_events(&mut self, snapshot: RunNumber) -> Result<(), CommandError> {
        let Some((_, events)) = self.done.rebuilt.iter().find(|(table, _)| *table == EVENTS.name) else {
            return Ok(());
        };
        let events = i64::try_from(*events).unwrap_or(i64::MAX);
        let runs: Vec<RunNumber> = self.store.lake().sync_runs()?.iter().map(|run| run.run_number).collect();
        let mut rows = Vec::new();
        for batch in self.store.lake().scan(&RUN_ROWS, &runs, None)? {
            let batch = batch?;
            let number = |name: &str| {
                batch
                    .column_by_name(name)
                    .expect("a column of the contract")
                    .as_primitive::<Int64Type>()
                    .clone()
            };
            let tables = batch
                .column_by_name("table_name")
                .expect("a column of the contract")
                .as_string::<i32>()
                .clone();
            let (of_run, carried, in_lake) =
                (number("run_number"), number("rows_carried"), number("rows_in_lake"));
            let is_changed =
                |row: usize| of_run.value(row) == snapshot.as_i64() && tables.value(row) == EVENTS.name;
            let change = |column: &Int64Array, value: &dyn Fn(usize) -> i64| {
                let values = (0..column.len()).map(|row| match is_changed(row) {
                    true => Some(value(row)),
                    false => column.is_valid(row).then(|| column.value(row)),
                });
                Arc::new(values.collect::<Int64Array>())
            };
            let carried_now = change(&carried, &|row| carried.value(row) + events - in_lake.value(row));
            let in_lake_now = change(&in_lake, &|_| events);
            let in_file_now = change(&number("rows_in_warehouse"), &|_| events);
            let batch = with_column(batch.clone(), "rows_carried", carried_now);
            let batch = with_column(batch, "rows_in_lake", in_lake_now);
            rows.push(with_column(batch, "rows_in_warehouse", in_file_now));
        }
        let newest = runs.into_iter().max().unwrap_or(snapshot);
        self.replace_rows(&RUN_ROWS, newest, rows)
    }

    fn withdraw_after(
        &mut self,
        last: RunNumber,
        mut runs: Vec<SyncRun>,
        enterprise_id: &str,
    ) -> Result<(), CommandError> {
        let is_later = |run: &&mut SyncRun| run.run_number > last && run.status == RunStatus::Complete;
        let numbers: Vec<RunNumber> = current(&runs).iter().map(|run| run.run_number).collect();
        for run in runs.iter_mut().filter(is_later) {
            run.status = RunStatus::Failed;
            self.done.withdrawn.push(run.run_number);
        }
        if self.done.withdrawn.is_empty() {
            return Ok(());
        }
        for table in [&IMPORTED_EVIDENCE, &LEAVE_PERIODS] {
            self.keep_rows(table, last, &numbers)?;
        }
        let newest = runs.iter().map(|run| run.run_number).max().unwrap_or(last);
        let rows = SyncRun::to_batch(&runs, enterprise_id);
        self.replace_rows(&SYNC_RUNS, newest, vec![rows])
    }

    /// Imported evidence of a withdrawn run is still valid: its rows are assigned to the last run that stays.
    fn keep_rows(
        &mut self,
        table: &'static Table,
        last: RunNumber,
        runs: &[RunNumber],
    ) -> Result<(), CommandError> {
        let mut rows = Vec::new();
        for batch in self.store.lake().scan(table, runs, None)? {
            let batch = batch?;
            let numbers =
                batch.column_by_name("run_number").expect("every table has it").as_primitive::<Int64Type>();
            let kept = Int64Array::from_iter_values(
                numbers.values().iter().map(|number| (*number).min(last.as_i64())),
            );
            rows.push(with_column(batch, "run_number", Arc::new(kept)));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let newest = runs.iter().copied().max().unwrap_or(last);
        self.replace_rows(table, newest, rows)
    }

    fn replace_rows(
        &mut self,
        table: &'static Table,
        newest: RunNumber,
        rows: Vec<RecordBatch>,
    ) -> Result<(), CommandError> {
        let lake = self.store.lake();
        lake.set_aside(table, &self.aside.join("lake-withdrawn"))?;
        let written = lake.rebuild(table, newest, &mut rows.into_iter().map(Ok))?;
        if !self.done.rebuilt.iter().any(|(name, _)| *name == table.name) {
            self.done.rebuilt.push((table.name, written));
        }
        Ok(())
    }
}
