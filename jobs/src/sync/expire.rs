//! Removes rows by `[retention]`: old rejects, old changes, and the history of departed users.
//!
//! Limits are rounded down to the first day of a month, so that a file is rewritten once a month and not in every run.

use std::collections::{HashMap, HashSet};

use boxseat_output::lake::Lake;
use boxseat_schemas::run::SyncRun;
use boxseat_schemas::table::{REJECTS, USER_CHANGES, USERS_HISTORY};
use chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Utc};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::config::Retention;
use crate::error::CommandError;

/// Returns the number of replaced files.
pub(super) fn remove_old_rows(
    lake: &Lake,
    retention: &Retention,
    runs: &[SyncRun],
    latest: &SyncRun,
) -> Result<u64, CommandError> {
    let mut removed = 0;
    if let Some(limit) = retention.rejects.map(|kept| limit(latest, kept)) {
        let old: HashSet<i64> =
            runs.iter().filter(|run| run.started_at < limit).map(|run| run.run_number.as_i64()).collect();
        if !old.is_empty() {
            removed += lake.remove_rows(&REJECTS, &|rows| {
                let numbers = rows.column_by_name("run_number")?.as_primitive_opt::<Int64Type>()?;
                kept(rows, numbers.values().iter().map(|number| !old.contains(number)))
            })?;
        }
    }
    if let Some(limit) = retention.user_changes.map(|kept| limit(latest, kept).timestamp_micros()) {
        removed += lake.remove_rows(&USER_CHANGES, &|rows| {
            let times = rows.column_by_name("observed_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
            kept(rows, times.values().iter().map(|at| *at >= limit))
        })?;
    }
    if let Some(limit) = retention.users_history.map(|kept| limit(latest, kept).timestamp_micros()) {
        let gone = users_gone_before(lake, limit)?;
        for table in [&USERS_HISTORY, &USER_CHANGES].into_iter().filter(|_| !gone.is_empty()) {
            removed += lake.remove_rows(table, &|rows| {
                let ids = rows.column_by_name("user_id")?.as_string_opt::<i32>()?;
                kept(rows, ids.iter().map(|id| id.is_none_or(|id| !gone.contains(id))))
            })?;
        }
    }
    Ok(removed)
}

/// Users whose newest version is a deletion before `limit`.
///
/// The time of the first version in the store separates joiners from users who may be older than the store, which limits the proven
/// idle time. So no user is removed if that would remove all versions of that time.
fn users_gone_before(lake: &Lake, limit: i64) -> Result<HashSet<String>, CommandError> {
    let mut newest: HashMap<String, (i64, i64, bool)> = HashMap::new();
    let mut first: Option<(i64, HashSet<String>)> = None;
    for rows in lake.scan_all(&USERS_HISTORY)? {
        let rows = rows?;
        let column = |name| rows.column_by_name(name).expect("a column of the contract");
        let ids = column("user_id").as_string::<i32>();
        let times = column("valid_from").as_primitive::<TimestampMicrosecondType>();
        let (runs, deleted) =
            (column("run_number").as_primitive::<Int64Type>(), column("is_deleted").as_boolean());
        for row in (0..rows.num_rows()).filter(|row| ids.is_valid(*row)) {
            let (id, at) = (ids.value(row), times.value(row));
            let version = (at, runs.value(row), deleted.value(row));
            let known = newest.entry(id.to_owned()).or_insert(version);
            *known = version.max(*known);
            match &mut first {
                Some((earliest, ids)) if *earliest == at => _ = ids.insert(id.to_owned()),
                Some((earliest, _)) if *earliest < at => {}
                _ => first = Some((at, HashSet::from([id.to_owned()]))),
            }
        }
    }
    let mut gone: HashSet<String> = newest
        .into_iter()
        .filter(|(_, (at, _, is_deleted))| *is_deleted && *at < limit)
        .map(|(id, _)| id)
        .collect();
    if first.is_some_and(|(_, ids)| ids.iter().all(|id| gone.contains(id))) {
        tracing::debug!("every user of the first snapshot is gone; their history stays");
        gone.clear();
    }
    Ok(gone)
}

/// The first instant that is kept.
fn limit(latest: &SyncRun, kept: TimeDelta) -> DateTime<Utc> {
    let day = (latest.started_at - kept).date_naive();
    day.with_day(1).expect("every month has a first day").and_time(NaiveTime::MIN).and_utc()
}

/// The rows that stay; `None` if all do.
pub(super) fn kept(rows: &RecordBatch, stays: impl Iterator<Item = bool>) -> Option<RecordBatch> {
    let stays: BooleanArray = stays.map(Some).collect();
    (stays.true_count() < rows.num_rows())
        .then(|| filter_record_batch(rows, &stays).expect("one flag for each row"))
}
