//! Commits the evidence of use that is not a LOGIN event: activity by day, imported reports, the leave list.
//!
//! A table gets a commit only if there are rows for it: most enterprises use none of this, and a missing table is read as empty. Rows
//! that a killed attempt did not commit are committed by the next attempt, together with newer ones.

use boxseat_pipeline::normalise::{Activity, Normaliser};
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{Reservation, SyncRun, current};
use boxseat_schemas::table::{ACTIVITY_DAILY, IMPORTED_EVIDENCE, LEAVE_PERIODS, Table};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::load::{commit, taken_over};
use crate::config::Settings;
use crate::error::CommandError;
use crate::evidence::LeaveList;
use crate::imports::{PendingImports, imported};
use crate::store::Store;

/// Commits the evidence of a run. Returns the committed imports.
pub(super) fn commit_evidence(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    runs: &[SyncRun],
    snapshot: &Normaliser<'_>,
    activity: &Activity,
    enterprise_id: &str,
) -> Result<PendingImports, CommandError> {
    let number = reservation.run_number;
    commit_rows(store, &ACTIVITY_DAILY, number, vec![activity.rows(snapshot)])?;
    if let Some(replaced) = reservation.replaces_run_number {
        for table in [&IMPORTED_EVIDENCE, &LEAVE_PERIODS] {
            commit_rows(store, table, number, taken_over(store, table, replaced, number)?)?;
        }
        return Ok(PendingImports::default());
    }
    let before: Vec<RunNumber> =
        current(runs).into_iter().map(|run| run.run_number).filter(|run| *run != number).collect();
    let imports = PendingImports::read(store, imported(store, &before)?)?;
    commit_rows(store, &IMPORTED_EVIDENCE, number, vec![imports.rows(number.as_i64(), enterprise_id)])?;
    let in_force = list_in_force(store, &before)?;
    let list = match (&settings.leave_list, &in_force) {
        (Some(list), _) => Some(list.clone()),
        (None, Some(_)) => Some(LeaveList::empty()),
        (None, None) => None,
    };
    if let Some(list) = list.filter(|list| in_force.as_ref() != Some(&list.file_digest)) {
        if settings.leave_list.is_none() {
            tracing::warn!("the leave list is no longer configured: no user is on leave from this run on");
        }
        let rows = list.rows(reservation.started_at, number.as_i64(), enterprise_id);
        commit_rows(store, &LEAVE_PERIODS, number, vec![rows])?;
    }
    Ok(imports)
}

/// The digest of the newest leave list that was read.
fn list_in_force(store: &Store, runs: &[RunNumber]) -> Result<Option<String>, CommandError> {
    let mut newest: Option<(i64, String)> = None;
    for batch in store.lake().scan(&LEAVE_PERIODS, runs, Some(&["imported_at", "file_digest"]))? {
        let batch = batch?;
        let (times, digests) =
            (batch.column(0).as_primitive::<TimestampMicrosecondType>(), batch.column(1).as_string::<i32>());
        for (at, digest) in times.values().iter().zip(digests.iter().flatten()) {
            if newest.as_ref().is_none_or(|(newest_at, _)| at > newest_at) {
                newest = Some((*at, digest.to_owned()));
            }
        }
    }
    Ok(newest.map(|(_, digest)| digest))
}

fn commit_rows(
    store: &Store,
    table: &'static Table,
    number: RunNumber,
    rows: Vec<RecordBatch>,
) -> Result<(), CommandError> {
    let rows: Vec<RecordBatch> = rows.into_iter().filter(|batch| batch.num_rows() > 0).collect();
    if rows.is_empty() { Ok(()) } else { commit(store, table, number, rows.into_iter()).map(drop) }
}
