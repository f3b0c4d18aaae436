//! Fills the file with rows of the lake, by Arrow. [`super::compute`] has the tables that SQL computes from them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, Scalar, StringArray};
use arrow::compute::{kernels::cmp, not};
use arrow::datatypes::Int64Type;
use boxseat_schemas::RunNumber;
use boxseat_schemas::check;
use boxseat_schemas::event_types::LOGIN;
use boxseat_schemas::licence::LicenceTerms;
use boxseat_schemas::run::{SnapshotId, SyncRun, ledger, snapshots};
use boxseat_schemas::table::{
    ACCOUNTS, EVENT_COVERAGE, EVENTS, LICENCE_TERMS, Layout, REJECTS, REPORT_SETTINGS, RUN_CALLS, RUN_ROWS,
    Rows, SYNC_RUNS, Table, USERS_HISTORY, WAREHOUSE,
};
use chrono::NaiveTime;
use duckdb::{Appender, Connection};

use super::connection::use_threads;
use super::ddl::{self, identifier};
use super::derived_rows::DerivedRows;
use super::diff::Drift;
use super::history::History;
use super::{Build, LoadedRows, Purpose};
use crate::lake::{Batches, Thinning};
use crate::{Error, Result};

pub(super) struct Loader<'a> {
    pub(super) connection: &'a Connection,
    pub(super) build: &'a Build<'a>,
    runs: &'a [SyncRun],
    pub(super) snapshot: SnapshotId,
    /// Rows of the pending run that were loaded into the file, by table of the lake. A table that shows another run has no entry.
    of_pending: HashMap<&'static str, u64>,
    /// The pending run's row of `seat_usage_daily`, when the file shows another snapshot.
    seat_usage: Option<RecordBatch>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        build: &'a Build<'a>,
        runs: &'a [SyncRun],
        snapshot: SnapshotId,
        seat_usage: Option<RecordBatch>,
    ) -> Self {
        Self { connection, build, runs, snapshot, of_pending: HashMap::new(), seat_usage }
    }

    /// Creates all tables and views of [`WAREHOUSE`], and fills them in that order. Returns the rows of the pending run for the lake.
    pub(super) fn fill(mut self, current: &[&SyncRun]) -> Result<Option<DerivedRows>> {
        let current: Vec<RunNumber> = current.iter().map(|run| run.run_number).collect();
        self.create()?;
        let (mut run_rows, mut drift, mut seat_usage) = (None, None, None);
        for table in WAREHOUSE {
            match table.layout {
                Layout::Snapshot => self.load(table, &[self.snapshot.run_number])?,
                Layout::Append if table.name == RUN_ROWS.name => {
                    run_rows = self.load_run_rows(&self.worth_loading(&current))?;
                }
                Layout::Append if table.name == SYNC_RUNS.name => {
                    self.append(table, self.sync_runs(drift.as_ref()))?;
                }
                // Box also counted the calls of unsuccessful runs. A replay includes the calls of the run that it replaces.
                Layout::Append if table.name == RUN_CALLS.name => {
                    self.load(table, &self.worth_loading(&ledger(self.runs)))?;
                }
                Layout::Append if table.name == REJECTS.name => {
                    self.load(table, &self.worth_loading(&current))?;
                }
                Layout::Append if table.name == EVENT_COVERAGE.name => {
                    self.load(table, &current)?;
                    self.forget_coverage_of_removed_events()?;
                }
                Layout::Append => self.load(table, &current)?,
                Layout::Recounted => self.recounted(table, &current)?,
                Layout::PerNight => seat_usage = self.seat_usage(table)?,
                Layout::Journal => self.load(table, &self.worth_loading(&self.all_runs()))?,
                Layout::Chain if table.name == USERS_HISTORY.name => drift = self.history()?,
                // Filled together with the history that it comes from.
                Layout::Chain => {}
                // One pass over the events fills every slice of them.
                Layout::EventSlice { logins: true } => self.load_events(&current)?,
                Layout::EventSlice { logins: false } | Layout::View => {}
                Layout::Given if table.name == REPORT_SETTINGS.name => self.settings()?,
                Layout::Given if table.name == LICENCE_TERMS.name => {
                    self.append(table, LicenceTerms::to_batch(&self.build.settings.licence))?;
                }
                // The candidates depend on `accounts`. The checks run when all other tables are filled.
                Layout::Given => {}
                Layout::Computed if table.name == ACCOUNTS.name => {
                    self.compute(table)?;
                    self.candidates()?;
                }
                Layout::Computed => self.compute(table)?,
                Layout::Events => {
                    return Err(Error::Bug(format!("{} is a table of the lake alone", table.name)));
                }
            }
        }
        let worked_out = run_rows.zip(seat_usage);
        Ok(self.build.pending.zip(worked_out).map(|(pending, (run_rows, seat_usage))| DerivedRows {
            run_number: pending.run_number,
            enterprise_id: self.build.enterprise_id.to_owned(),
            run_rows,
            seat_usage,
            drift,
        }))
    }

    /// Creates every table, view and comment in one transaction. There are hundreds of statements, and separate transactions would each
    /// wait for the disk. None of them has anything to optimise, and DuckDB's optimiser took a quarter of their CPU time (measured: 0.1 s).
    fn create(&self) -> Result<()> {
        let mut sql = String::from("PRAGMA disable_optimizer;\nBEGIN;\n");
        let is_for_nobody = self.build.purpose == Purpose::Private && self.build.pending.is_some();
        let checked: HashSet<&str> = check::all().iter().map(|check| check.table).collect();
        for table in WAREHOUSE {
            // Only the checks read the views of such a file.
            if is_for_nobody && table.layout == Layout::View && !checked.contains(table.name) {
                continue;
            }
            sql.push_str(&ddl::create(table)?);
            // A file that is only checked has no readers, and a comment per column takes as long as all its rows.
            if self.build.purpose == Purpose::Publish {
                sql.push_str(&ddl::comments(table));
            }
        }
        sql.push_str("COMMIT;\nPRAGMA enable_optimizer;");
        self.connection.execute_batch(&sql).map_err(Error::duckdb("make the tables"))
    }

    /// The runs to load for tables that no computation reads. A file without readers needs only the records of the pending run.
    fn worth_loading(&self, runs: &[RunNumber]) -> Vec<RunNumber> {
        let pending = self.build.pending.filter(|_| self.build.purpose == Purpose::Private);
        let is_worth = |run: &RunNumber| pending.is_none_or(|pending| pending.run_number == *run);
        runs.iter().copied().filter(is_worth).collect()
    }

    fn load(&mut self, table: &'static Table, runs: &[RunNumber]) -> Result<()> {
        let mut target = Target::open(self.connection, table)?;
        for batch in self.scan(table, runs)? {
            let batch = batch?;
            self.count_pending(table, &batch);
            target.append(&batch)?;
        }
        target.finish()
    }

    fn all_runs(&self) -> Vec<RunNumber> {
        self.runs.iter().map(|run| run.run_number).collect()
    }

    /// The row of every snapshot, as it was known at that time. The pending run's own row is computed here, or was computed when its
    /// snapshot was built before. An earlier attempt may have committed a row, so only the rows of the other runs are read from the lake.
    fn seat_usage(&mut self, table: &'static Table) -> Result<Option<RecordBatch>> {
        let pending = self.build.pending.map(|pending| pending.run_number);
        let numbers: Vec<RunNumber> = snapshots(self.runs).iter().map(|run| run.run_number).collect();
        let others: Vec<RunNumber> = numbers.iter().copied().filter(|run| Some(*run) != pending).collect();
        let others = self.worth_loading(&others);
        // Opening a table of the lake without reading rows takes as long as the rest of this function.
        if !others.is_empty() {
            self.load(table, &others)?;
        }
        let Some(pending) = pending else { return Ok(None) };
        let row = match &self.seat_usage {
            Some(row) => row.clone(),
            None => self.latest_seat_usage(table)?,
        };
        if numbers.contains(&pending) {
            self.append(table, row.clone())?;
        }
        Ok(Some(row))
    }

    fn load_events(&mut self, runs: &[RunNumber]) -> Result<()> {
        let slices = WAREHOUSE.iter().filter_map(|table| match table.layout {
            Layout::EventSlice { logins } => Some((*table, logins)),
            _ => None,
        });
        let mut targets = slices
            .map(|(table, logins)| Ok((Target::open(self.connection, table)?, logins)))
            .collect::<Result<Vec<_>>>()?;
        for batch in self.scan(&EVENTS, runs)? {
            let batch = batch?;
            self.count_pending(&EVENTS, &batch);
            let mask = batch
                .column_by_name("event_type")
                .ok_or_else(|| Error::Bug("events were read without event_type".to_owned()))
                .and_then(|types| {
                    cmp::eq(types, &Scalar::new(StringArray::from(vec![LOGIN]))).map_err(arrow_bug)
                })?;
            for (target, logins) in &mut targets {
                let mask = if *logins { mask.clone() } else { not(&mask).map_err(arrow_bug)? };
                if mask.true_count() > 0 {
                    target.append(&arrow::compute::filter_record_batch(&batch, &mask).map_err(arrow_bug)?)?;
                }
            }
        }
        targets.into_iter().try_for_each(|(target, _)| target.finish())
    }

    /// Removes the coverage of the time whose events retention has removed. Otherwise a user whose logins were removed would look like a
    /// user without logins.
    fn forget_coverage_of_removed_events(&self) -> Result<()> {
        let lake = self.build.lake;
        // For a date in the past, retention may have removed the newest sign-in before that date, because it keeps only the newest of all.
        let shown = self.build.as_of;
        let last_only = lake.logins_thinned_to(Thinning::LastOnly)?.filter(|_| shown.is_some());
        let daily = lake.logins_thinned_to(Thinning::Daily)?;
        let daily = daily.filter(|to| shown.is_some_and(|shown| shown < *to));
        let Some(month) = [lake.events_kept_from()?, last_only, daily].into_iter().flatten().max() else {
            return Ok(());
        };
        let from = month.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        let sql = format!(
            "DELETE FROM event_coverage WHERE epoch_us(covered_to_at) <= {from};
             UPDATE event_coverage SET covered_from_at = make_timestamptz({from}) WHERE epoch_us(covered_from_at) < {from};"
        );
        self.connection.execute_batch(&sql).map_err(Error::duckdb("trim event_coverage"))
    }

    fn history(&self) -> Result<Option<Drift>> {
        let Self { connection, build, runs, snapshot, .. } = *self;
        use_threads(connection, build.resources)?;
        History { connection, build, runs, snapshot }.fill()
    }

    /// The row of every run. The pending run's drift is known only now.
    fn sync_runs(&self, drift: Option<&Drift>) -> RecordBatch {
        let mut runs = self.runs.to_vec();
        let pending = self.build.pending.map(|pending| pending.run_number);
        if let Some(run) = runs.iter_mut().find(|run| Some(run.run_number) == pending) {
            run.drift_count = drift.map(Drift::count);
        }
        SyncRun::to_batch(&runs, self.build.enterprise_id)
    }

    /// The pending run's rows are computed here. An earlier attempt may have committed these rows, so only the rows of the other runs are
    /// read from the lake.
    fn load_run_rows(&mut self, current: &[RunNumber]) -> Result<Option<RecordBatch>> {
        let pending = self.build.pending.map(|pending| pending.run_number);
        let others: Vec<RunNumber> = current.iter().copied().filter(|run| Some(*run) != pending).collect();
        self.load(&RUN_ROWS, &others)?;
        let Some(pending) = self.build.pending else { return Ok(None) };
        let run = self.runs.iter().find(|run| run.run_number == pending.run_number);
        let run = run.ok_or_else(|| Error::Bug(format!("run {} has no row", pending.run_number)))?;
        let mut rows = Rows::new(RUN_ROWS.lake_schema());
        for loaded in &pending.tables {
            self.write_run_rows(&mut rows, run, loaded)?;
        }
        let batch = rows.take_batch();
        self.append(&RUN_ROWS, batch.clone())?;
        Ok(Some(batch))
    }

    fn write_run_rows(&self, rows: &mut Rows, run: &SyncRun, loaded: &LoadedRows) -> Result<()> {
        let LoadedRows { counted, rows_in_lake } = loaded;
        let big = |count: u64| i64::try_from(count).map_err(|_| Error::Bug(format!("{count} rows")));
        let in_warehouse = match self.build.purpose {
            Purpose::Publish => {
                self.of_pending.get(counted.table_name.as_str()).copied().map(big).transpose()?
            }
            Purpose::Private => None,
        };
        rows.text(Some(&run.run_id.to_string()))
            .text(Some(&counted.table_name))
            .big(Some(big(counted.rows_from_box)?))
            .big(Some(big(counted.rows_carried)?))
            .big(Some(big(counted.rows_duplicate)?))
            .big(Some(big(counted.rows_rejected)?))
            .big(Some(big(counted.rows_dropped)?))
            .big(Some(big(*rows_in_lake)?))
            .big(in_warehouse)
            .text(Some(self.build.enterprise_id))
            .big(Some(run.run_number.as_i64()))
            .end();
        Ok(())
    }

    pub(super) fn append(&self, table: &'static Table, batch: RecordBatch) -> Result<()> {
        let mut target = Target::open(self.connection, table)?;
        target.append(&batch)?;
        target.finish()
    }

    fn scan(&mut self, table: &'static Table, runs: &[RunNumber]) -> Result<Batches> {
        if self.build.pending.is_some_and(|pending| runs.contains(&pending.run_number)) {
            self.of_pending.insert(table.name, 0);
        }
        let schema = table.lake_schema();
        let partition = table.partition();
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .filter(|name| Some(*name) != partition)
            .collect();
        self.build.lake.scan(table, runs, Some(&names))
    }

    fn count_pending(&mut self, table: &'static Table, batch: &RecordBatch) {
        let Some(pending) = self.build.pending.map(|pending| pending.run_number.as_i64()) else { return };
        let numbers =
            batch.column_by_name("run_number").map(|column| column.as_primitive::<Int64Type>().values());
        let own = numbers.map_or(0, |numbers| numbers.iter().filter(|number| **number == pending).count());
        if let Some(count) = self.of_pending.get_mut(table.name) {
            *count += own as u64;
        }
    }
}

/// A table of the file being filled.
pub(super) struct Target<'a> {
    connection: &'a Connection,
    table: &'static Table,
    appender: Appender<'a>,
    /// The expected number of rows in the table.
    rows: u64,
}

impl<'a> Target<'a> {
    pub(super) fn open(connection: &'a Connection, table: &'static Table) -> Result<Self> {
        // Some tables are filled twice: from the lake, and with the pending run's own.
        let rows = rows_in(connection, table)?;
        let appender =
            connection.appender(table.name).map_err(Error::duckdb(format!("fill {}", table.name)))?;
        Ok(Self { connection, table, appender, rows })
    }

    /// Selects the warehouse's columns from a batch of the lake, by their names in the lake.
    pub(super) fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |name: &str| -> Result<ArrayRef> {
            batch
                .column_by_name(name)
                .map(Arc::clone)
                .ok_or_else(|| Error::Bug(format!("{} was read without {name}", self.table.name)))
        };
        let columns = self.table.columns.iter().map(|c| column(c.lake_name)).collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(self.table.warehouse_schema(), columns).map_err(arrow_bug)?;
        self.rows += batch.num_rows() as u64;
        self.appender.append_record_batch(batch).map_err(Error::duckdb(format!("fill {}", self.table.name)))
    }

    /// Flushes, and verifies that DuckDB received every row.
    pub(super) fn finish(mut self) -> Result<()> {
        self.appender.flush().map_err(Error::duckdb(format!("fill {}", self.table.name)))?;
        let there = rows_in(self.connection, self.table)?;
        if there != self.rows {
            return Err(Error::Bug(format!("{} got {} rows and has {there}", self.table.name, self.rows)));
        }
        Ok(())
    }
}

fn rows_in(connection: &Connection, table: &Table) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", identifier(table.name));
    connection.query_row(&sql, [], |row| row.get(0)).map_err(Error::duckdb(format!("read {}", table.name)))
}

fn arrow_bug(error: arrow::error::ArrowError) -> Error {
    Error::Bug(error.to_string())
}
