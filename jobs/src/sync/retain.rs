//! Retention, after a run is complete: removes old snapshots, old events and unneeded files.
//!
//! ```text
//! old snapshots, old months ──Delta removes──▶ ┐
//! small files ──merged──▶ ─────────────────── ▶ unneeded files ──days later, if still unneeded──▶ deleted
//! left by killed runs ────────────────────────▶ ┘
//! ```
//!
//! The run that makes a file unneeded does not delete it. `state/unneeded.json` has the time since which each file is unneeded, and a
//! file is deleted when no earlier reader can still need it. **Killed** anywhere: commits stay, the next run does what is missing,
//! and a file that is not in `state/unneeded.json` yet waits from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use boxseat_output::lake::{FILES_PER_MERGE, Lake, UnneededKind};
use boxseat_output::warehouse::Purpose;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::root;
use boxseat_schemas::run::{RunStatus, SyncRun, current, latest_snapshot};
use boxseat_schemas::table::{LAKE, Layout};
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::expire::remove_old_rows;
use super::start::open_runs;
use super::thin::thin_logins;
use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
use crate::store::Store;

/// Removes old data. The run is complete, so a failure is only logged, and the next run tries again.
pub(super) fn retain(
    store: &Store,
    settings: &Settings,
    run: RunNumber,
    purpose: Purpose,
    now: DateTime<Utc>,
) {
    // Reading the lake's logs takes as long as a small run, so only one of several unpublished runs does it.
    let is_due = purpose == Purpose::Publish || run.0.is_multiple_of(FILES_PER_MERGE as u64);
    let tidied = store.lake().sync_runs().map_err(CommandError::from).and_then(|runs| {
        sweep_spools(store, settings, &runs)?;
        if is_due { tidy_lake(store, settings, &runs, now) } else { Ok(()) }
    });
    if let Err(e) = tidied {
        tracing::warn!("the run is complete, but old files could not be removed: {}", e.lines().join(": "));
    }
}

fn tidy_lake(
    store: &Store,
    settings: &Settings,
    runs: &[SyncRun],
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    // No log names the files of an unfinished run yet, so they would count as unneeded.
    if !open_runs(store, runs)?.is_empty() {
        return Ok(());
    }
    let lake = store.lake();
    let Some(latest) = latest_snapshot(runs) else { return Ok(()) };
    let monthly = settings.retention.nights_monthly;
    let kept = kept_snapshots(runs, latest, settings.nights_daily, monthly, settings.raw_retention_runs);
    let ended: BTreeSet<RunNumber> = runs.iter().map(|run| run.run_number).collect();
    let mut removed = 0;
    for table in LAKE.iter().filter(|table| table.layout == Layout::Snapshot) {
        removed += lake.remove_snapshots(table, |run| kept.contains(&run) || !ended.contains(&run))?;
    }
    let oldest = (latest.started_at - settings.events_kept).date_naive();
    removed += lake.remove_events_before(oldest.with_day(1).expect("every month has a first day"))?;
    removed += remove_old_rows(lake, &settings.retention, runs, latest)?;
    removed += thin_logins(lake, settings.privacy.login_events, runs, latest)?;
    reach("removed");
    let mut merged = 0;
    for table in LAKE.iter().filter(|table| table.layout != Layout::Snapshot) {
        merged += lake.compact(table)?;
    }
    reach("merged");
    let deleted = delete_unneeded(store, lake, now)?;
    lake.sum_up_record()?;
    tracing::debug!(removed, merged, deleted, "removed old data");
    Ok(())
}

/// Removes the raw pages of ended runs, except those of the newest runs. A replay uses the spool of the run that it replaces. Pages
/// that failed to load stay as evidence.
fn sweep_spools(store: &Store, settings: &Settings, runs: &[SyncRun]) -> Result<(), CommandError> {
    let newest = runs.iter().map(|run| run.started_at).max();
    let is_evidence = |run: &SyncRun| {
        let age = newest.map(|newest| newest - run.started_at);
        let is_old = settings.retention.failed_spools.zip(age).is_some_and(|(kept, age)| age > kept);
        run.status == RunStatus::Failed && !is_old
    };
    let mut ended: Vec<u64> =
        runs.iter().filter(|run| !is_evidence(run)).map(|run| run.run_number.0).collect();
    ended.sort_unstable();
    let mut kept: Vec<u64> = current(runs).iter().map(|run| root(runs, run).0).collect();
    kept.sort_unstable();
    let kept = &kept[kept.len().saturating_sub(settings.raw_retention_runs)..];
    for number in ended.into_iter().filter(|number| !kept.contains(number)) {
        let dir = store.spool(RunNumber(number));
        if dir.path().exists() {
            // Recorded first: missing pages that are on record count as removed by another program.
            store.note_spool_removed(RunNumber(number))?;
            std::fs::remove_dir_all(dir.path()).map_err(|e| {
                CommandError::failed(format!("cannot remove the old spool {}", dir.path().display()), e)
            })?;
        }
    }
    Ok(())
}

/// The runs whose snapshots stay: all of the last `daily` days, the last of every month, and the base runs for a replay of the kept
/// spools.
fn kept_snapshots(
    runs: &[SyncRun],
    latest: &SyncRun,
    daily: TimeDelta,
    monthly: Option<TimeDelta>,
    raw_retention_runs: usize,
) -> BTreeSet<RunNumber> {
    let mut current = current(runs);
    current.sort_by_key(|run| run.run_number);
    let mut kept: BTreeSet<RunNumber> =
        current.iter().rev().take(raw_retention_runs + 1).map(|run| run.run_number).collect();
    let mut last_of_month = BTreeMap::new();
    for run in &current {
        if latest.snapshot_date - run.snapshot_date < daily {
            kept.insert(run.run_number);
        }
        if monthly.is_some_and(|monthly| latest.snapshot_date - run.snapshot_date >= monthly) {
            continue;
        }
        let snapshot = (run.snapshot_date, run.run_number);
        let month = (run.snapshot_date.year(), run.snapshot_date.month());
        last_of_month.entry(month).and_modify(|last| *last = snapshot.max(*last)).or_insert(snapshot);
    }
    kept.extend(last_of_month.into_values().map(|(_, number)| number));
    kept
}

/// `state/unneeded.json`: since when each file of the lake is unneeded.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    /// By path below the lake.
    since: BTreeMap<String, DateTime<Utc>>,
}

fn delete_unneeded(store: &Store, lake: &Lake, now: DateTime<Utc>) -> Result<u64, CommandError> {
    let path = waiting_file(store);
    let before = read_waiting(&path)?;
    let mut waiting = Waiting::default();
    let mut due = Vec::new();
    for file in lake.unneeded()? {
        let since = before.since.get(&file.path).copied().unwrap_or(now);
        if now - since >= wait_before_delete(file.kind) {
            due.push(file.clone());
        }
        waiting.since.insert(file.path, since);
    }
    // Written before the deletion. A deleted file leaves the list in the next run.
    let text = serde_json::to_vec_pretty(&waiting).expect("plain data");
    durable::write_file(&path, &text, &Access::from(0o600))?;
    reach("unneeded");
    for file in &due {
        lake.delete(file)?;
    }
    Ok(due.len() as u64)
}

fn waiting_file(store: &Store) -> PathBuf {
    store.root().join("state/unneeded.json")
}

fn read_waiting(path: &std::path::Path) -> Result<Waiting, CommandError> {
    match durable::read_regular_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Waiting::default()),
        Err(e) => Err(CommandError::failed(format!("cannot read {}", path.display()), e)),
        Ok(text) => Ok(json::parse(&text).unwrap_or_else(|e| {
            tracing::warn!("{} is damaged ({e}); the wait of every file in it starts again", path.display());
            Waiting::default()
        })),
    }
}

/// How long an unneeded file stays. A week for data, as in Delta's default, so that a reader that has opened a table can finish. A
/// month for logs, so that readers can open earlier versions of a table.
fn wait_before_delete(kind: UnneededKind) -> TimeDelta {
    match kind {
        UnneededKind::Data | UnneededKind::Staged => TimeDelta::days(7),
        UnneededKind::Log => TimeDelta::days(30),
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::run::{RunKind, RunStatus};
    use chrono::NaiveDate;
    use uuid::Uuid;

    use super::*;

    fn run(number: u64, date: NaiveDate) -> SyncRun {
        let at = date.and_hms_opt(2, 0, 0).expect("a time").and_utc();
        SyncRun {
            run_number: RunNumber(number),
            run_id: Uuid::from_u128(number.into()),
            kind: RunKind::Sync,
            status: RunStatus::Complete,
            snapshot_date: date,
            base_run_number: number.checked_sub(1).map(RunNumber),
            replaces_run_number: None,
            started_at: at,
            finished_at: at,
            window_from_at: at,
            window_to_at: at,
            planned_calls_count: None,
            calls_count: 0,
            retries_count: 0,
            waited_seconds: 0,
            late_events_count: 0,
            drift_count: None,
            unknown_fields_count: 0,
            rejects_count: 0,
            store_id: Uuid::nil(),
            version: String::new(),
        }
    }

    fn kept(runs: &[SyncRun], daily_days: i64) -> Vec<String> {
        let latest = latest_snapshot(runs).expect("a complete run");
        let kept = kept_snapshots(runs, latest, TimeDelta::days(daily_days), None, 1);
        let date = |run: &&SyncRun| format!("{} {}", run.run_number, run.snapshot_date);
        runs.iter().filter(|run| kept.contains(&run.run_number)).map(|run| date(&run)).collect()
    }

    #[test]
    fn recent_snapshots_and_the_last_of_each_month_are_kept() {
        let start = NaiveDate::from_ymd_opt(2026, 1, 20).expect("a date");
        let mut runs: Vec<SyncRun> =
            (0..60u64).map(|n| run(n + 1, start + TimeDelta::days(n.try_into().expect("few")))).collect();
        // A second run on the last day of January, and no run on the last day of February.
        runs.retain(|run| run.snapshot_date.to_string() != "2026-02-28");
        runs.push(run(100, NaiveDate::from_ymd_opt(2026, 1, 31).expect("a date")));
        assert_eq!(
            kept(&runs, 3),
            ["39 2026-02-27", "58 2026-03-18", "59 2026-03-19", "60 2026-03-20", "100 2026-01-31"]
        );
        // With one day, the last snapshot is kept, and the one before it as the base for a replay.
        runs.pop();
        assert_eq!(kept(&runs, 1), ["12 2026-01-31", "39 2026-02-27", "59 2026-03-19", "60 2026-03-20"]);
    }

    #[test]
    fn replaced_snapshot_is_not_kept() {
        let date = NaiveDate::from_ymd_opt(2026, 1, 20).expect("a date");
        let mut replay = run(3, date);
        replay.replaces_run_number = Some(RunNumber(1));
        let runs = [run(1, date), run(2, date + TimeDelta::days(1)), replay];
        assert_eq!(kept(&runs, 90), ["2 2026-01-21", "3 2026-01-20"]);
    }
}
