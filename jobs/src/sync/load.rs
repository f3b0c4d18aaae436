//! From the spool into the lake: every table of a run, except those that the build of the published file computes.

use std::collections::BTreeSet;
use std::sync::Arc;

use boxseat_output::warehouse::{LoadedRows, TableRows};
use boxseat_pipeline::ErrorKind;
use boxseat_pipeline::ids::fingerprint;
use boxseat_pipeline::normalise::{
    Batches, EventDays, KnownEvents, Normaliser, Stage, Tally, holes, with_column,
};
use boxseat_schemas::event_types::LOGIN;
use boxseat_schemas::run::{Reservation, RunKind, RunStatus, SyncRun, current};
use boxseat_schemas::table::{
    EMAIL_ALIASES, EVENT_COVERAGE, EVENTS, GROUPS, MEMBERSHIPS, REJECTS, RUN_CALLS, SYNC_RUNS, Table, USERS,
};
use boxseat_schemas::{Departure, RunNumber};
use chrono::{DateTime, TimeDelta, Utc};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::base::LakeBase;
use super::evidence::commit_evidence;
use crate::calls::Uncommitted;
use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
use crate::imports::PendingImports;
use crate::ledger::ledger_ids;
use crate::stop::Stop;
use crate::store::Store;

/// The result of a load.
pub(super) struct Loaded {
    /// The run's row. Its end time is set later.
    pub(super) row: SyncRun,
    /// Rows per table.
    pub(super) tables: Vec<LoadedRows>,
    /// Users of the base snapshot who are gone, and why.
    pub(super) departures: Vec<Departure>,
    /// Calls of other commands that were committed as well.
    pub(super) commands: Uncommitted,
    /// Imported reports that were committed as well.
    pub(super) imports: PendingImports,
}

/// Commits the tables of `reservation` from the spool that was read as run `read_as`.
pub(super) fn load(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    read_as: RunNumber,
    runs: &[SyncRun],
    enterprise_id: &str,
    stop: &Stop,
) -> Result<Loaded, CommandError> {
    let number = reservation.run_number;
    let dir = store.spool(read_as);
    let base = LakeBase::of(store, reservation)?;
    let base = LakeBase::as_base(&base);
    let mut snapshot = Normaliser::open(&dir, read_as, reservation, enterprise_id, settings.privacy, base)?;
    store.compare_pages(read_as, snapshot.pages())?;
    let mut tables = Vec::new();
    let mut totals = Tally::default();
    let mut loaded = |table: &'static Table, (rows_in_lake, tally): (u64, Tally)| {
        totals.rejected += tally.rejected;
        totals.unknown_fields += tally.unknown_fields;
        tables.push(LoadedRows { counted: rows_of(table, tally), rows_in_lake });
    };
    let departures = {
        let mut users = snapshot.users()?;
        loaded(&USERS, load_table(store, stop, &USERS, number, &mut users)?);
        warn_of_missing(users.stage.ours, users.stage.unconfirmed);
        users.stage.departures
    };
    {
        let mut groups = snapshot.groups()?;
        loaded(&GROUPS, load_table(store, stop, &GROUPS, number, &mut groups)?);
        warn_of_missing_groups(groups.stage.carried);
    }
    loaded(&MEMBERSHIPS, load_table(store, stop, &MEMBERSHIPS, number, &mut snapshot.memberships()?)?);
    loaded(&EMAIL_ALIASES, load_table(store, stop, &EMAIL_ALIASES, number, &mut snapshot.email_aliases()?)?);
    let known = known_events(store, reservation, runs)?;
    let mut events = snapshot.events(&known)?;
    loaded(&EVENTS, load_table(store, stop, &EVENTS, number, &mut events)?);
    let events = events.stage;
    let activity = snapshot.activity()?;
    totals.rejected += activity.tally.rejected;
    let unread = [&events.unread[..], &activity.unread].concat();
    let (counts, unattributed) = (&events.day_counts, &events.unattributed);
    let coverage = snapshot.coverage(counts, &unread, unattributed, &known, &settings.quiet_dates);
    warn_of_unattributed(unattributed);
    let earlier_logins = &known.earlier_days.logins;
    warn_of_missing_logins(&holes(reservation, &counts.logins, earlier_logins, &settings.quiet_dates));
    commit(store, &EVENT_COVERAGE, number, std::iter::once(coverage))?;
    let imports = commit_evidence(store, settings, reservation, runs, &snapshot, &activity, enterprise_id)?;
    let (calls, commands) = calls(store, &snapshot, reservation, runs, enterprise_id)?;
    commit(store, &RUN_CALLS, number, calls.into_iter())?;
    if totals.rejected > 0 {
        load_table(store, stop, &REJECTS, number, &mut snapshot.rejects()?)?;
    } else {
        commit(store, &REJECTS, number, std::iter::empty())?;
    }
    let index = snapshot.index();
    totals.unknown_fields += index.damaged_characters();
    warn_of_damaged(index.damaged_characters());
    let made = match reservation.kind {
        RunKind::Sync => index.calls_total(),
        RunKind::Replay => Default::default(),
    };
    let big = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let row = SyncRun {
        planned_calls_count: index.planned_calls().filter(|_| made.calls > 0).map(big),
        calls_count: big(made.calls),
        retries_count: big(made.retries),
        waited_seconds: if made.calls == 0 { 0 } else { big(index.waited_seconds()) },
        late_events_count: big(events.late_events),
        unknown_fields_count: big(totals.unknown_fields),
        rejects_count: big(totals.rejected),
        ..SyncRun::ended(reservation, RunStatus::Complete, reservation.started_at)
    };
    Ok(Loaded { row, tables, departures, commands, imports })
}

/// Logs text of Box that is not valid UTF-8 or JSON.
fn warn_of_damaged(characters: u64) {
    if characters > 0 {
        tracing::warn!(
            "{characters} characters that Box sent are damaged (not UTF-8, or not JSON text); each was replaced by U+FFFD, and nothing else was lost"
        );
    }
}

/// Logs sign-ins without a user.
fn warn_of_unattributed(times: &BTreeSet<DateTime<Utc>>) {
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        let time = |at: &DateTime<Utc>| at.format("%F %H:%M UTC").to_string();
        tracing::warn!(
            "sign-ins at {} times ({} to {}), each of which names no user and may be by any user: no user is proved idle across them",
            times.len(),
            time(first),
            time(last)
        );
    }
}

/// Logs spans without a LOGIN that are not covered.
fn warn_of_missing_logins(spans: &[(DateTime<Utc>, DateTime<Utc>)]) {
    for (from, to) in spans {
        tracing::warn!(
            "the admin log has no sign-in from {} to {}, although the enterprise is in use, so no user is proved idle across that time; \
             for a holiday, add its days to [sync] quiet_dates",
            from.format("%F %H:%M UTC"),
            to.format("%F %H:%M UTC")
        );
    }
}

/// Logs users who are missing in the listing without proof that they are gone.
fn warn_of_missing(ours: u64, unconfirmed: u64) {
    if ours > 0 {
        tracing::warn!(
            "{ours} users were not listed, but Box still has them in the enterprise: the listing was incomplete, and their rows are carried forward"
        );
    }
    if unconfirmed > 0 {
        tracing::warn!(
            "{unconfirmed} users were not listed, and Box does not report their state: their rows are carried forward as missing_unconfirmed"
        );
    }
}

/// Logs groups that are missing in the listing without proof that they are gone.
fn warn_of_missing_groups(carried: u64) {
    if carried > 0 {
        tracing::warn!(
            "{carried} groups were not listed, but no event reports their deletion and Box does not confirm that they are gone: their rows are carried forward"
        );
    }
}

/// The `run_calls` rows of a run: its own calls and those of commands since the last run. A replay makes no calls. It takes over the
/// rows of the run that it replaces, because replaced runs no longer count.
fn calls(
    store: &Store,
    snapshot: &Normaliser<'_>,
    reservation: &Reservation,
    runs: &[SyncRun],
    enterprise_id: &str,
) -> Result<(Vec<RecordBatch>, Uncommitted), CommandError> {
    let number = reservation.run_number;
    if let Some(replaced) = reservation.replaces_run_number {
        return Ok((taken_over(store, &RUN_CALLS, replaced, number)?, Uncommitted::default()));
    }
    let known = ledger_ids(store, runs.iter().map(|run| run.run_number))?;
    let commands = Uncommitted::read(store.root(), &known)?;
    Ok((vec![snapshot.run_calls(), commands.rows(number.as_i64(), enterprise_id)], commands))
}

/// Rows of a replaced run that are not from its pages, as rows of its replay. Replaced runs no longer count.
pub(super) fn taken_over(
    store: &Store,
    table: &'static Table,
    replaced: RunNumber,
    number: RunNumber,
) -> Result<Vec<RecordBatch>, CommandError> {
    let rows = store.lake().scan(table, &[replaced], None)?;
    rows.map(|batch| {
        let batch = batch?;
        let numbers = Int64Array::from(vec![number.as_i64(); batch.num_rows()]);
        Ok(with_column(batch, "run_number", Arc::new(numbers)))
    })
    .collect()
}

/// Writes the row of a run that ends without a load, and the calls that it has made, because Box counted them.
pub(super) fn end(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    status: RunStatus,
    finished_at: DateTime<Utc>,
) -> Result<(), CommandError> {
    let number = reservation.run_number;
    let enterprise_id = store.enterprise_id().unwrap_or("unknown");
    let mut row = SyncRun::ended(reservation, status, finished_at);
    let dir = store.spool(number);
    if reservation.kind == RunKind::Sync && dir.pages().exists() {
        match Normaliser::open(&dir, number, reservation, enterprise_id, settings.privacy, None) {
            Ok(snapshot) => {
                commit(store, &RUN_CALLS, number, std::iter::once(snapshot.run_calls()))?;
                let calls = snapshot.index().calls_total();
                row.calls_count = i64::try_from(calls.calls).unwrap_or(i64::MAX);
                row.retries_count = i64::try_from(calls.retries).unwrap_or(i64::MAX);
            }
            Err(e) if e.kind() == ErrorKind::Disk => return Err(e.into()),
            Err(e) => tracing::warn!(run = number.0, "cannot count the calls of the run: {e}"),
        }
    }
    commit_row(store, &row, enterprise_id)
}

/// Appends a run's only row.
pub(crate) fn commit_row(store: &Store, row: &SyncRun, enterprise_id: &str) -> Result<(), CommandError> {
    let batch = SyncRun::to_batch(std::slice::from_ref(row), enterprise_id);
    commit(store, &SYNC_RUNS, row.run_number, std::iter::once(batch)).map(drop)
}

/// Commits one table. Rows that an earlier attempt committed are read again, because the tallies and the ids of users and groups
/// come from reading them.
fn load_table<S: Stage>(
    store: &Store,
    stop: &Stop,
    table: &'static Table,
    run: RunNumber,
    batches: &mut Batches<'_, S>,
) -> Result<(u64, Tally), CommandError> {
    reach(&format!("before {}", table.name));
    stop.check()?;
    let committed = store.lake().commit(table, run, batches)?;
    reach(&format!("after {}", table.name));
    Ok((committed.rows, batches.exhaust()?))
}

pub(super) fn commit(
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
        rows_carried: tally.carried,
        rows_duplicate: tally.duplicate,
        rows_rejected: tally.rejected,
        rows_dropped: tally.dropped,
    }
}

/// The events of current runs in the window, and the number of events per day in the weeks before it.
pub(crate) fn known_events(
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
    let mut earlier_days = EventDays::default();
    for batch in store.lake().events_since(window_from - MEDIAN_SPAN, &current)? {
        let batch = batch?;
        let (ids, times) =
            (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<TimestampMicrosecondType>());
        let (types, users) = (batch.column(2).as_string::<i32>(), batch.column(3).as_string::<i32>());
        for (row, (id, micros)) in ids.iter().zip(times.iter()).enumerate() {
            let (Some(id), Some(at)) = (id, micros.and_then(DateTime::<Utc>::from_timestamp_micros)) else {
                continue;
            };
            if at >= window_from {
                let id = fingerprint(id);
                known.ids.insert(id);
                if types.value(row) == LOGIN && users.is_null(row) {
                    known.unattributed.insert(id);
                }
            } else {
                earlier_days.add(at.date_naive(), types.value(row));
            }
        }
    }
    known.earlier_days = earlier_days;
    Ok(known)
}

/// The six weeks before the window that show the usual number of events per weekday before a silence, and one day.
const MEDIAN_SPAN: TimeDelta = TimeDelta::days(43);
