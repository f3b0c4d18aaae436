//! From the seal to the published file: the commit protocol. Every step may be the last one before a kill; the next start comes
//! here again, and each step finds out by itself whether it is done.

use boxseat_output::warehouse::{self, Build, LoadedRows, Pending, Purpose, TableRows};
use boxseat_pipeline::Clock;
use boxseat_pipeline::ids::fingerprint;
use boxseat_pipeline::normalise::{Batches, DayCounts, KnownEvents, Normaliser, Stage, Tally};
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{Reservation, RunStatus, SyncRun, current};
use boxseat_schemas::table::{
    EMAIL_ALIASES, EVENT_COVERAGE, EVENTS, GROUPS, MEMBERSHIPS, REJECTS, RUN_CALLS, RUN_ROWS, SYNC_RUNS,
    Table, USERS,
};
use chrono::{DateTime, TimeDelta, Utc};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::failpoint::reach;
use crate::config::Settings;
use crate::error::CommandError;
use crate::store::Store;

/// How a start of `sync` or `publish` ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The run's row; the latest night's when nothing was read.
    pub(crate) run: SyncRun,
    /// Rows per table, empty when nothing was loaded.
    pub(crate) tables: Vec<LoadedRows>,
}

/// Loads a sealed run, makes it visible, publishes it.
pub(super) fn finish(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    clock: &Clock,
) -> Result<Outcome, CommandError> {
    note_attempt(store, reservation)?;
    reach("sealed");
    let enterprise_id = store.enterprise_id().ok_or_else(|| {
        CommandError::refused("the store is not bound to an enterprise, yet a run is sealed")
    })?;
    let mut runs = store.lake().sync_runs()?;
    let loaded = load(store, settings, reservation, &runs, enterprise_id)?;
    let run = SyncRun { finished_at: clock().max(reservation.started_at), ..loaded.row };
    runs.push(run.clone());
    let pending = Pending { run_number: run.run_number, tables: loaded.tables };
    let build = Build {
        store: store.root(),
        lake: store.lake(),
        runs: &runs,
        pending: Some(&pending),
        purpose: Purpose::Publish,
        enterprise_id,
        settings: &settings.report,
        resources: &settings.resources,
    };
    reach("loaded");
    let checked = warehouse::build(&build)?.check()?;
    reach("checked");
    let run_rows = checked.run_rows().cloned();
    commit(store, &RUN_ROWS, run.run_number, run_rows.into_iter())?;
    reach("accounted");
    commit_row(store, &run, enterprise_id)?;
    // The visible moment has passed; from here a kill costs a publish, not a night.
    reach("visible");
    checked.publish(&settings.access)?;
    reach("published");
    sweep_spools(store, settings, &runs)?;
    Ok(Outcome { run, tables: pending.tables })
}

/// Builds and publishes the latest night from the lake alone.
pub(crate) fn publish_latest(store: &Store, settings: &Settings) -> Result<Outcome, CommandError> {
    let runs = store.lake().sync_runs()?;
    let enterprise_id = store.enterprise_id().unwrap_or("unknown");
    let build = Build {
        store: store.root(),
        lake: store.lake(),
        runs: &runs,
        pending: None,
        purpose: Purpose::Publish,
        enterprise_id,
        settings: &settings.report,
        resources: &settings.resources,
    };
    let checked = warehouse::build(&build)?.check()?;
    let night = checked.night();
    checked.publish(&settings.access)?;
    let run = runs
        .into_iter()
        .find(|run| run.run_number == night.run_number)
        .expect("the build showed one of these runs");
    Ok(Outcome { run, tables: Vec::new() })
}

/// Appends a run's only row.
pub(super) fn commit_row(store: &Store, row: &SyncRun, enterprise_id: &str) -> Result<(), CommandError> {
    let batch = SyncRun::to_batch(std::slice::from_ref(row), enterprise_id);
    commit(store, &SYNC_RUNS, row.run_number, std::iter::once(batch)).map(drop)
}

/// How often loading a sealed run was begun.
pub(super) fn attempts(store: &Store, reservation: &Reservation) -> u32 {
    let path = store.spool(reservation.run_number).path().join("ATTEMPTS");
    std::fs::metadata(path).map_or(0, |file| u32::try_from(file.len()).unwrap_or(u32::MAX))
}

/// One byte per attempt: appending needs no reading and survives a kill on any line.
fn note_attempt(store: &Store, reservation: &Reservation) -> Result<(), CommandError> {
    use std::io::Write;
    let path = store.spool(reservation.run_number).path().join("ATTEMPTS");
    let append = || std::fs::OpenOptions::new().append(true).create(true).open(&path)?.write_all(b".");
    append().map_err(|e| CommandError::failed(format!("cannot write {}", path.display()), e))
}

struct Loaded {
    row: SyncRun,
    tables: Vec<LoadedRows>,
}

/// Commits every table of the run but the two that need the others.
fn load(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    runs: &[SyncRun],
    enterprise_id: &str,
) -> Result<Loaded, CommandError> {
    let number = reservation.run_number;
    let dir = store.spool(number);
    let mut night = Normaliser::open(&dir, reservation, enterprise_id, settings.privacy)?;
    let mut tables = Vec::new();
    let mut totals = Tally::default();
    let mut loaded = |table: &'static Table, (rows_in_lake, tally): (u64, Tally)| {
        totals.rejected += tally.rejected;
        totals.unknown_fields += tally.unknown_fields;
        tables.push(LoadedRows { counted: rows_of(table, tally), rows_in_lake });
    };
    loaded(&USERS, load_table(store, &USERS, number, &mut night.users()?)?);
    loaded(&GROUPS, load_table(store, &GROUPS, number, &mut night.groups()?)?);
    loaded(&MEMBERSHIPS, load_table(store, &MEMBERSHIPS, number, &mut night.memberships()?)?);
    loaded(&EMAIL_ALIASES, load_table(store, &EMAIL_ALIASES, number, &mut night.email_aliases()?)?);
    let known = known_events(store, reservation, runs)?;
    let (late_events, day_counts) = {
        let mut events = night.events(&known)?;
        loaded(&EVENTS, load_table(store, &EVENTS, number, &mut events)?);
        (events.stage.late_events, std::mem::take(&mut events.stage.day_counts))
    };
    let coverage = night.coverage(&day_counts, &known, &settings.quiet_dates);
    commit(store, &EVENT_COVERAGE, number, std::iter::once(coverage))?;
    commit(store, &RUN_CALLS, number, std::iter::once(night.run_calls()))?;
    if totals.rejected > 0 {
        load_table(store, &REJECTS, number, &mut night.rejects()?)?;
    } else {
        commit(store, &REJECTS, number, std::iter::empty())?;
    }
    let calls = night.index().calls_total();
    let big = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let row = SyncRun {
        calls_count: big(calls.calls),
        retries_count: big(calls.retries),
        waited_seconds: big(night.index().waited_seconds()),
        late_events_count: big(late_events),
        unknown_fields_count: big(totals.unknown_fields),
        rejects_count: big(totals.rejected),
        ..SyncRun::ended(reservation, RunStatus::Complete, reservation.started_at)
    };
    Ok(Loaded { row, tables })
}

/// Commits one table. Rows that an earlier attempt committed are still counted here, because the tallies and what the night
/// lists come from walking them.
fn load_table<S: Stage>(
    store: &Store,
    table: &'static Table,
    run: RunNumber,
    batches: &mut Batches<'_, S>,
) -> Result<(u64, Tally), CommandError> {
    reach(&format!("before {}", table.name));
    let committed = store.lake().commit(table, run, batches)?;
    reach(&format!("after {}", table.name));
    for rest in &mut *batches {
        rest?;
    }
    Ok((committed.rows, batches.tally()))
}

fn commit(
    store: &Store,
    table: &'static Table,
    run: RunNumber,
    batches: impl Iterator<Item = RecordBatch>,
) -> Result<u64, CommandError> {
    let mut batches = batches.map(Ok::<_, std::convert::Infallible>);
    reach(&format!("before {}", table.name));
    Ok(store.lake().commit(table, run, &mut batches)?.rows)
}

fn rows_of(table: &Table, tally: Tally) -> TableRows {
    TableRows {
        table_name: table.name.to_owned(),
        rows_from_box: tally.from_box,
        rows_carried: 0,
        rows_duplicate: tally.duplicate,
        rows_rejected: tally.rejected,
        rows_dropped: tally.dropped,
    }
}

/// What current runs hold of the window, and how busy the weeks before it were.
fn known_events(
    store: &Store,
    reservation: &Reservation,
    runs: &[SyncRun],
) -> Result<KnownEvents, CommandError> {
    let current: Vec<RunNumber> = current(runs)
        .into_iter()
        .map(|run| run.run_number)
        .filter(|run| *run != reservation.run_number && Some(*run) != reservation.replaces_run_number)
        .collect();
    let previous_window_to = runs
        .iter()
        .find(|run| Some(run.run_number) == reservation.base_run_number)
        .map(|run| run.window_to_at);
    let mut known = KnownEvents { previous_window_to, ..KnownEvents::default() };
    if current.is_empty() {
        return Ok(known);
    }
    let window_from = reservation.window_from_at;
    let mut earlier_days = DayCounts::new();
    for batch in store.lake().events_since(window_from - MEDIAN_SPAN, &current)? {
        let batch = batch?;
        let (ids, times) =
            (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<TimestampMicrosecondType>());
        for (id, micros) in ids.iter().zip(times.iter()) {
            let (Some(id), Some(at)) = (id, micros.and_then(DateTime::<Utc>::from_timestamp_micros)) else {
                continue;
            };
            if at >= window_from {
                known.ids.insert(fingerprint(id));
            } else {
                *earlier_days.entry(at.date_naive()).or_default() += 1;
            }
        }
    }
    known.earlier_days = earlier_days;
    Ok(known)
}

/// The weeks before the window whose weekdays say what is usual, and a day to spare.
const MEDIAN_SPAN: TimeDelta = TimeDelta::days(29);

/// Removes the raw pages of runs that ended, except those of the newest few.
fn sweep_spools(store: &Store, settings: &Settings, runs: &[SyncRun]) -> Result<(), CommandError> {
    let mut ended: Vec<u64> =
        runs.iter().filter(|run| run.status != RunStatus::Failed).map(|run| run.run_number.0).collect();
    ended.sort_unstable();
    let kept = ended.len().saturating_sub(settings.raw_retention_runs);
    for number in &ended[..kept] {
        let dir = store.spool(RunNumber(*number));
        if dir.path().exists() {
            std::fs::remove_dir_all(dir.path()).map_err(|e| {
                CommandError::failed(format!("cannot remove the old spool {}", dir.path().display()), e)
            })?;
        }
    }
    Ok(())
}
