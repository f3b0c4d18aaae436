//! What a start of `sync` does: decided from the reservations, `sync_runs` and the spools.

use std::path::{Path, PathBuf};

use arrow::array::Array;
use boxseat_output::warehouse::{self, Purpose};
use boxseat_pipeline::Clock;
use boxseat_pipeline::guard::Refusal;
use boxseat_schemas::RunNumber;
use boxseat_schemas::event_types;
use boxseat_schemas::run::{
    ActivityWindow, RESERVATION_FORMAT, Reservation, RunKind, RunStatus, SyncRun, latest_snapshot,
};
use boxseat_schemas::table::RUN_ROWS;
use boxseat_storage::durable;
use boxseat_storage::host;
use chrono::{DateTime, NaiveTime, SubsecRound, TimeDelta, Utc};
use uuid::{Timestamp, Uuid};

use super::finish::attempts;
use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
use crate::store::Store;

/// What to do next.
#[derive(Debug)]
pub(super) enum Start {
    /// Load a sealed run. Needs no API calls.
    Finish(Reservation),
    /// Accept a run that a shrink guard refused.
    AcceptShrink(Reservation, f64),
    /// Publish a complete run whose file was not renamed into place.
    Publish(SyncRun),
    /// Read a new run, or continue an interrupted one.
    Read(Reservation),
    /// Write the row of a run that cannot be continued, then decide again.
    GiveUp(Reservation, RunStatus),
}

/// A run that has a reservation and no row in `sync_runs` yet.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) reservation: Reservation,
    pub(crate) state: OpenState,
}

/// How far an open run is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OpenState {
    /// Completely read, and the guards passed.
    Sealed,
    /// A guard refused it.
    Refused(Option<Refusal>),
    /// Still being read, or interrupted.
    Unsealed,
    /// Another host reserved it and has its spool.
    Elsewhere,
}

impl OpenState {
    /// The state as text for messages.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Sealed => "sealed, not yet loaded",
            Self::Refused(_) => "refused by a guard",
            Self::Unsealed => "unfinished",
            Self::Elsewhere => "on another host",
        }
    }
}

/// The open runs, oldest first.
pub(crate) fn open_runs(store: &Store, runs: &[SyncRun]) -> Result<Vec<OpenRun>, CommandError> {
    let ended = |number: RunNumber| runs.iter().any(|run| run.run_number == number);
    let open = store.lake().reservations()?.into_iter().filter(|reservation| !ended(reservation.run_number));
    open.map(|reservation| Ok(OpenRun { state: state(store, &reservation)?, reservation })).collect()
}

/// A file that cannot be read does not count as absent: otherwise a sealed run would be read again, at the cost of its API calls.
fn state(store: &Store, reservation: &Reservation) -> Result<OpenState, CommandError> {
    let spool = store.spool(reservation.run_number);
    let is_there = |path: PathBuf| path.try_exists().map_err(|e| unreadable(&path, e));
    if is_there(spool.sealed())? {
        return Ok(OpenState::Sealed);
    }
    match durable::read_regular_file(&spool.refused()) {
        Ok(text) => return Ok(OpenState::Refused(serde_json::from_slice(&text).ok())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(unreadable(&spool.refused(), e)),
    }
    // A kill between the reservation and the first page leaves no spool. This host then reads the run if it has reserved it.
    Ok(if is_there(spool.pages())? || reservation.host == host() {
        OpenState::Unsealed
    } else {
        OpenState::Elsewhere
    })
}

/// The error for a file of a spool that cannot be read.
pub(super) fn unreadable(path: &Path, error: std::io::Error) -> CommandError {
    CommandError::failed(format!("cannot read {}", path.display()), error)
        .hint("what was read is kept: check the disk and the permissions of the store, then start again")
}

/// Decides what to do next. Reserves the next number for a new run.
///
/// A run that this start finishes or publishes counts as the current run if it is younger than `resume_hours`. An older run is
/// finished first, and the next decision begins a new run.
pub(super) fn decide(
    store: &Store,
    settings: &Settings,
    clock: &Clock,
    accept_shrink: Option<f64>,
    purpose: Purpose,
) -> Result<Start, CommandError> {
    let now = clock();
    let runs = store.lake().sync_runs()?;
    let is_young = |reservation: &Reservation| now - reservation.started_at < settings.resume;
    if let Some(OpenRun { reservation, state }) = open_runs(store, &runs)?.into_iter().next() {
        return Ok(match state {
            // A replay has no spool and costs no API calls, so it is given up. The operator can repeat it.
            _ if reservation.kind == RunKind::Replay => Start::GiveUp(reservation, RunStatus::Abandoned),
            OpenState::Sealed if attempts(store, &reservation) >= MAX_ATTEMPTS => {
                Start::GiveUp(reservation, RunStatus::Failed)
            }
            OpenState::Sealed => Start::Finish(reservation),
            OpenState::Refused(Some(refusal)) if refusal.is_shrink() && accept_shrink.is_some() => {
                Start::AcceptShrink(reservation, accept_shrink.unwrap_or_default())
            }
            OpenState::Unsealed if is_young(&reservation) => Start::Read(reservation),
            OpenState::Elsewhere if is_young(&reservation) => {
                return Err(CommandError::try_later(format!(
                    "run {} was started on host {} and is not finished",
                    reservation.run_number, reservation.host
                ))
                .hint(format!("the run is given up {} hours after its start", settings.resume.num_hours())));
            }
            OpenState::Refused(_) | OpenState::Unsealed | OpenState::Elsewhere => {
                Start::GiveUp(reservation, RunStatus::Abandoned)
            }
        });
    }
    if accept_shrink.is_some() {
        return Err(CommandError::usage("there is no refused run to accept")
            .hint("remove --accept-shrink; `boxseat status` shows open runs"));
    }
    if let Some(latest) = latest_snapshot(&runs) {
        // A file that cannot be read is replaced.
        let published = warehouse::published(store.root()).unwrap_or_else(|e| {
            tracing::warn!("the published file cannot be read ({e}); it will be replaced");
            None
        });
        if published.is_none_or(|shown| shown.run_number != latest.run_number)
            && now - latest.started_at < settings.resume
            && purpose == Purpose::Publish
            && is_meant_to_be_published(store, latest.run_number)?
        {
            return Ok(Start::Publish(latest.clone()));
        }
    }
    reserve(store, settings, &runs, now).map(Start::Read)
}

/// Whether a complete run was to be published: only then its `run_rows` have `rows_in_warehouse`.
fn is_meant_to_be_published(store: &Store, run: RunNumber) -> Result<bool, CommandError> {
    for batch in store.lake().scan(&RUN_ROWS, &[run], Some(&["rows_in_warehouse"]))? {
        let batch = batch?;
        if batch.column(0).null_count() < batch.num_rows() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn reserve(
    store: &Store,
    settings: &Settings,
    runs: &[SyncRun],
    now: DateTime<Utc>,
) -> Result<Reservation, CommandError> {
    let base = latest_snapshot(runs);
    let run_number = next_number(store)?;
    // Box takes times in whole seconds.
    let window_to_at = (now - settings.settle).trunc_subsecs(0);
    let oldest = window_to_at - settings.login_window;
    let window_from_at = base
        .map_or(oldest, |base| (base.window_to_at - settings.overlap).max(window_to_at - MAX_HISTORY))
        .min(window_to_at);
    let seconds = u64::try_from(now.timestamp()).map_err(|_| CommandError::usage("--now is before 1970"))?;
    let reservation = Reservation {
        format: RESERVATION_FORMAT,
        run_number,
        run_id: Uuid::new_v7(Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos())),
        kind: RunKind::Sync,
        started_at: now.trunc_subsecs(6),
        snapshot_date: now.date_naive(),
        window_from_at,
        window_to_at,
        event_types: event_types::all(),
        event_slices: slices(window_to_at - window_from_at),
        activity: activity(settings, base.map(|_| window_from_at), window_to_at),
        base_run_number: base.map(|base| base.run_number),
        replaces_run_number: None,
        store_id: store.id(),
        record: Some(store.lake().record_head()),
        host: host(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    reach("before reserving");
    store.lake().reserve(&reservation)?;
    store.anchor_record(settings)?;
    reach("reserved");
    Ok(reservation)
}

/// The window of the configured activity events. It begins at midnight before the part that the base run may have missed. A first
/// run does not read earlier activity: half a year of downloads costs more API calls than the rest of the run, and this evidence is
/// optional, because it can only protect seats.
fn activity(
    settings: &Settings,
    missed_from: Option<DateTime<Utc>>,
    window_to_at: DateTime<Utc>,
) -> Option<ActivityWindow> {
    let from = missed_from.unwrap_or(window_to_at - settings.overlap);
    let from_at = from.date_naive().and_time(NaiveTime::MIN).and_utc();
    let event_types = settings.activity_events.clone();
    (!event_types.is_empty()).then_some(ActivityWindow { event_types, from_at })
}

/// The number after every number ever reserved.
pub(super) fn next_number(store: &Store) -> Result<RunNumber, CommandError> {
    Ok(store.lake().reservations()?.last().map_or(RunNumber(0), |last| last.run_number).next())
}

/// The number of slices of an event window. A long first window is split, so that its pages are requested in parallel.
fn slices(window: TimeDelta) -> u32 {
    let days = window.num_days();
    if days <= 7 { 1 } else { u32::try_from((days / 7).min(MAX_SLICES)).unwrap_or(1) }
}

/// A sealed run is given up after this many failed loads; its spool is kept. Failures of the machine do not count.
const MAX_ATTEMPTS: u32 = 2;
/// Maximum number of slices of the event window.
const MAX_SLICES: i64 = 12;
/// Box keeps 365 days of events.
const MAX_HISTORY: TimeDelta = TimeDelta::days(365);
