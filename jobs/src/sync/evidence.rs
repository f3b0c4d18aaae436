//! Commits the evidence of use that is not a LOGIN event: activity by day, imported reports, the leave list.
//!
//! A table gets a commit only if there are rows for it: most enterprises use none of this, and a missing table is read as empty. Rows
//! that a killed attempt did not commit are committed by the next attempt, together with newer ones.

use std::path::PathBuf;

use boxseat_pipeline::normalise::{Activity, Normaliser};
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{Reservation, SyncRun, current};
use boxseat_schemas::table::{ACTIVITY_DAILY, IMPORTED_EVIDENCE, LEAVE_PERIODS, Table};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::load::{commit, taken_over};
use crate::config::Settings;
use crate::error::CommandError;
use crate::evidence::{Known, LeaveList, PendingImports};
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

/// Refuses a published snapshot that lacks imported evidence of use, for commands that change accounts. `shown` is its run.
///
/// # Errors
/// Exit 3 naming the report or the run; disk.
pub(crate) fn refuse_evidence_that_waits(store: &Store, shown: RunNumber) -> Result<(), CommandError> {
    store.refuse_missing_imports()?;
    let runs = store.lake().sync_runs()?;
    let (taken_in, later): (Vec<RunNumber>, Vec<RunNumber>) =
        current(&runs).into_iter().map(|run| run.run_number).partition(|run| *run <= shown);
    if !later.is_empty() && !imported(store, &later)?.is_empty() {
        return Err(CommandError::refused(format!(
            "the published file shows run {shown}, but a later run loaded imported reports"
        ))
        .hint("run `boxseat publish`: it builds the file again from the lake"));
    }
    match waiting(store, &taken_in)?.as_slice() {
        [] => Ok(()),
        [first, others @ ..] => {
            let and_others = match others.len() {
                0 => String::new(),
                count => format!(", and {count} more"),
            };
            Err(CommandError::refused(format!(
                "an imported report waits for its run: {}{and_others}",
                first.display()
            ))
            .hint("run `boxseat sync`, which loads it"))
        }
    }
}

/// Files of imported reports with evidence that these runs did not load.
fn waiting(store: &Store, taken_in: &[RunNumber]) -> Result<Vec<PathBuf>, CommandError> {
    if store.imports_waiting()?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(PendingImports::read(store, imported(store, taken_in)?)?.with_evidence())
}

/// The reports and users whose evidence these runs committed.
pub(crate) fn imported(store: &Store, runs: &[RunNumber]) -> Result<Known, CommandError> {
    let mut known = Known::new();
    for batch in store.lake().scan(&IMPORTED_EVIDENCE, runs, Some(&["file_digest", "user_id"]))? {
        let batch = batch?;
        let column = |name| batch.column_by_name(name).expect("the scan selects it").as_string::<i32>();
        let pairs = column("file_digest").iter().flatten().zip(column("user_id").iter().flatten());
        known.extend(pairs.map(|(digest, user_id)| (digest.to_owned(), user_id.to_owned())));
    }
    Ok(known)
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
