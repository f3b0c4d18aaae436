//! What a start of `sync` is for, from what lies on disk.

use std::path::{Path, PathBuf};

use arrow::array::Array;
use boxseat_output::warehouse::{self, Purpose};
use boxseat_pipeline::Clock;
use boxseat_pipeline::guard::Refusal;
use boxseat_schemas::RunNumber;
use boxseat_schemas::event_types;
use boxseat_schemas::run::{
    ActivityWindow, RESERVATION_FORMAT, Reservation, RunKind, RunStatus, SyncRun, latest_night,
};
use boxseat_schemas::table::RUN_ROWS;
use boxseat_storage::durable;
use chrono::{DateTime, NaiveTime, SubsecRound, TimeDelta, Utc};
use uuid::{Timestamp, Uuid};

use super::failpoint::reach;
use super::finish::attempts;
use crate::config::Settings;
use crate::error::CommandError;
use crate::store::{Store, host};

/// What to do next.
#[derive(Debug)]
pub(super) enum Start {
    /// A sealed run waits: load it, without a call.
    Finish(Reservation),
    /// A run that a shrink guard refused is accepted after all.
    AcceptShrink(Reservation, f64),
    /// A complete run was not renamed into place.
    Publish(SyncRun),
    /// Read: a new run, or one that was interrupted.
    Read(Reservation),
    /// An earlier run cannot be continued: write its row, then look again.
    GiveUp(Reservation, RunStatus),
}

/// A run that has a number and no row yet.
#[derive(Debug)]
pub(crate) struct OpenRun {
    pub(crate) reservation: Reservation,
    pub(crate) state: OpenState,
}

/// How far an open run is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OpenState {
    /// Read to its end, guards passed.
    Sealed,
    /// A guard refused it.
    Refused(Option<Refusal>),
    /// Still being read, or interrupted.
    Unsealed,
    /// Another host reserved it; its spool is there.
    Elsewhere,
}

impl OpenState {
    /// A word for people.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Sealed => "sealed, not yet loaded",
            Self::Refused(_) => "refused by a guard",
            Self::Unsealed => "unfinished",
            Self::Elsewhere => "on another host",
        }
    }
}

/// Runs that have a number and no row, oldest first.
pub(crate) fn open_runs(store: &Store, runs: &[SyncRun]) -> Result<Vec<OpenRun>, CommandError> {
    let ended = |number: RunNumber| runs.iter().any(|run| run.run_number == number);
    let open = store.lake().reservations()?.into_iter().filter(|reservation| !ended(reservation.run_number));
    open.map(|reservation| Ok(OpenRun { state: state(store, &reservation)?, reservation })).collect()
}

/// A file that cannot be looked at is not an absent one: a sealed run would be read and paid for again.
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
    // A kill between reserving and the first page leaves no spool; on our own host that run is ours to begin.
    Ok(if is_there(spool.pages())? || reservation.host == host() {
        OpenState::Unsealed
    } else {
        OpenState::Elsewhere
    })
}

/// A file of a spool that the system does not let us read.
pub(super) fn unreadable(path: &Path, error: std::io::Error) -> CommandError {
    CommandError::failed(format!("cannot read {}", path.display()), error).hint(
        "what was read is kept: start again when the disk and the permissions of the store are in order",
    )
}

/// Decides. Reserves the next number when a new run is to begin.
///
/// A run that was finished or published by this start counts as tonight's when it is younger than `resume_hours`; an older one
/// is dealt with first, and the next look begins tonight's.
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
            // A replay has no spool of its own and costs no call: it is given up and may be made anew.
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
                    "run {} was begun on host {} and is not finished",
                    reservation.run_number, reservation.host
                ))
                .hint(format!("it is given up {} hours after its start", settings.resume.num_hours())));
            }
            OpenState::Refused(_) | OpenState::Unsealed | OpenState::Elsewhere => {
                Start::GiveUp(reservation, RunStatus::Abandoned)
            }
        });
    }
    if accept_shrink.is_some() {
        return Err(CommandError::usage("there is no refused run to accept")
            .hint("leave --accept-shrink out; `boxseat status` shows open runs"));
    }
    if let Some(latest) = latest_night(&runs) {
        // A file that cannot be read is no night: it is built anew.
        let published = warehouse::published(store.root()).unwrap_or_else(|e| {
            tracing::warn!("the published file cannot be read ({e}); it will be replaced");
            None
        });
        if published.is_none_or(|night| night.run_number != latest.run_number)
            && now - latest.started_at < settings.resume
            && purpose == Purpose::Publish
            && is_meant_to_be_published(store, latest.run_number)?
        {
            return Ok(Start::Publish(latest.clone()));
        }
    }
    reserve(store, settings, &runs, now).map(Start::Read)
}

/// Whether a complete run was on its way to the file: `run_rows` of one that was not say nothing about the warehouse.
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
    let base = latest_night(runs);
    let run_number = next_number(store)?;
    // Box is asked in whole seconds.
    let window_to_at = (now - settings.settle).trunc_subsecs(0);
    let oldest = window_to_at - settings.login_window;
    let window_from_at = base
        .map_or(oldest, |base| (base.window_to_at - settings.overlap).max(window_to_at - MAX_HISTORY))
        .min(window_to_at);
    let seconds =
        u64::try_from(now.timestamp()).map_err(|_| CommandError::usage("--now lies before 1970"))?;
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

/// What else is read as evidence of use: from the midnight before what the last night may have missed. A first night does not
/// read back: half a year of downloads costs more calls than everything else together, and evidence of use only ever saves a
/// seat.
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

/// One walk for a nightly window; a long first one is split, so that its pages are asked for side by side.
fn slices(window: TimeDelta) -> u32 {
    let days = window.num_days();
    if days <= 7 { 1 } else { u32::try_from((days / 7).min(MAX_SLICES)).unwrap_or(1) }
}

/// A sealed run whose data failed to load so often is given up; its spool is kept. Failures of the machine do not count.
const MAX_ATTEMPTS: u32 = 2;
/// Walks of the event window side by side.
const MAX_SLICES: i64 = 12;
/// Box keeps 365 days of events.
const MAX_HISTORY: TimeDelta = TimeDelta::days(365);
