//! Selects the snapshot that a file shows, and the runs that it consists of.

use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{SnapshotId, SyncRun, chain, latest_snapshot, snapshots};
use boxseat_schemas::table::USERS;
use chrono::{DateTime, NaiveDate, Utc};

use super::{Build, Purpose};
use crate::lake::Lake;
use crate::{Error, Result};

/// The snapshot to show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen {
    pub(super) run_number: RunNumber,
    snapshot_date: NaiveDate,
    started_at: DateTime<Utc>,
    /// Whether later runs are ignored.
    pub(super) is_alone: bool,
}

impl Chosen {
    fn of(run: &SyncRun, is_alone: bool) -> Self {
        let SyncRun { run_number, snapshot_date, started_at, .. } = *run;
        Self { run_number, snapshot_date, started_at, is_alone }
    }

    pub(super) fn snapshot(self) -> SnapshotId {
        SnapshotId { run_number: self.run_number, snapshot_date: self.snapshot_date, now_at: self.started_at }
    }
}

/// Selects among the runs. The pending run counts as complete.
pub(super) fn snapshot(build: &Build<'_>, runs: &[SyncRun]) -> Result<Chosen> {
    match (build.as_of, build.pending, build.purpose) {
        (Some(date), None, Purpose::Private) => as_of(build.lake, runs, date),
        (Some(date), ..) => Err(Error::Bug(format!(
            "the snapshot of {date} was requested for publishing, or with a pending run"
        ))),
        (None, Some(pending), Purpose::Private) => {
            let own = runs.iter().find(|run| run.run_number == pending.run_number);
            own.map(|run| Chosen::of(run, true))
                .ok_or_else(|| Error::Bug(format!("run {} has no row", pending.run_number)))
        }
        (None, ..) => latest_snapshot(runs).map(|run| Chosen::of(run, false)).ok_or(Error::NoSnapshot),
    }
}

/// The snapshot of a date, if the lake still has its users. Retention keeps the row of a run when it removes its snapshot.
fn as_of(lake: &Lake, runs: &[SyncRun], date: NaiveDate) -> Result<Chosen> {
    let mut snapshots = snapshots(runs);
    snapshots.sort_by_key(|run| ((run.snapshot_date - date).abs(), run.snapshot_date));
    let mut is_removed = false;
    for run in snapshots {
        let is_asked_for = run.snapshot_date == date;
        if !has_people(lake, run.run_number)? {
            is_removed |= is_asked_for;
        } else if is_asked_for {
            return Ok(Chosen::of(run, true));
        } else {
            return Err(Error::NoSuchSnapshot { date, is_removed, nearest: Some(run.snapshot_date) });
        }
    }
    Err(Error::NoSuchSnapshot { date, is_removed, nearest: None })
}

fn has_people(lake: &Lake, run: RunNumber) -> Result<bool> {
    Ok(lake.scan(&USERS, &[run], Some(&["run_number"]))?.next().transpose()?.is_some())
}

/// The runs that had started when the run `last` started: the information that was available at that time. The runs on its chain of bases
/// stay in any case, because a clock may have been set back between them.
pub(super) fn up_to(runs: &[SyncRun], last: RunNumber) -> Vec<SyncRun> {
    let compared_with = chain(runs, last);
    let started_at = runs.iter().find(|run| run.run_number == last).map(|run| run.started_at);
    let is_known = |run: &&SyncRun| {
        started_at.is_some_and(|at| run.started_at <= at) || compared_with.contains(&run.run_number)
    };
    runs.iter().filter(is_known).cloned().collect()
}
