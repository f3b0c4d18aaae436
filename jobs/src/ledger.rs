//! The API calls of this month: the rows of the lake, and the calls of commands that no run has committed yet.

use std::collections::HashSet;

use boxseat_pipeline::plan::Budget;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{SyncRun, ledger};
use boxseat_schemas::table::RUN_CALLS;
use chrono::{DateTime, Datelike, Utc};

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, Int64Type};

use crate::calls::Uncommitted;
use crate::error::CommandError;
use crate::store::Store;

/// The calls of one UTC month, as Box counts them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Month {
    /// Calls so far.
    pub(crate) calls: u64,
    day: u32,
    days: u32,
}

impl Month {
    /// The month of `now`.
    pub(crate) fn of(store: &Store, runs: &[SyncRun], now: DateTime<Utc>) -> Result<Self, CommandError> {
        let counted = ledger(runs);
        let is_this_month = |day: chrono::NaiveDate| (day.year(), day.month()) == (now.year(), now.month());
        let mut calls = 0;
        for batch in store.lake().scan(&RUN_CALLS, &counted, Some(&["call_date", "calls_count"]))? {
            let batch = batch?;
            let (days, counts) =
                (batch.column(0).as_primitive::<Date32Type>(), batch.column(1).as_primitive::<Int64Type>());
            for (day, count) in days.iter().zip(counts.iter()) {
                if day.and_then(Date32Type::to_naive_date_opt).is_some_and(is_this_month) {
                    calls += u64::try_from(count.unwrap_or(0)).unwrap_or(0);
                }
            }
        }
        let known = ledger_ids(store, runs.iter().map(|run| run.run_number))?;
        calls += Uncommitted::read(store.root(), &known)?.calls(is_this_month);
        Ok(Self { calls, day: now.day(), days: u32::from(now.date_naive().num_days_in_month()) })
    }

    /// Calls by the end of the month at this pace.
    pub(crate) fn forecast(&self) -> u64 {
        self.calls * u64::from(self.days) / u64::from(self.day)
    }

    /// The calls that are left, for the days that are left.
    pub(crate) fn budget(&self, allowed: u64) -> Budget {
        Budget { left: allowed.saturating_sub(self.calls), nights: self.days - self.day + 1 }
    }
}

/// The `run_id`s in the `run_calls` rows of these runs. Empty, without reading the rows, if no file of a command could be among them.
pub(crate) fn ledger_ids(
    store: &Store,
    runs: impl Iterator<Item = RunNumber>,
) -> Result<HashSet<String>, CommandError> {
    let mut ids = HashSet::new();
    if !Uncommitted::has_files(store.root())? {
        return Ok(ids);
    }
    let runs: Vec<RunNumber> = runs.collect();
    for batch in store.lake().scan(&RUN_CALLS, &runs, Some(&["run_id"]))? {
        ids.extend(batch?.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(ids)
}
