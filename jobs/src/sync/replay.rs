//! `replay`: normalises stored spools again, as new runs that replace the old ones. Makes no API calls.
//!
//! *Killed* between two replays: complete replays are visible, the next start gives up the unfinished one, and the published file
//! shows the old snapshot until the next publish. A second `replay` replays the replays.

use std::collections::HashMap;

use boxseat_output::warehouse::Purpose;
use boxseat_pipeline::Clock;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::root;
use boxseat_schemas::run::{RESERVATION_FORMAT, Reservation, RunKind, SyncRun, current};
use boxseat_storage::host;
use uuid::{NoContext, Timestamp, Uuid};

use super::finish::{Outcome, make_visible, publish_latest};
use super::start::{next_number, open_runs};
use crate::config::Settings;
use crate::error::CommandError;
use crate::stop::Stop;
use crate::store::Store;

/// Replays every current run from `from` to the newest, then publishes once.
pub(crate) fn replay(
    store: &Store,
    settings: &Settings,
    clock: &Clock,
    from: RunNumber,
) -> Result<Outcome, CommandError> {
    store.begin_record(settings)?;
    let runs = store.lake().sync_runs()?;
    if let Some(open) = open_runs(store, &runs)?.first() {
        return Err(CommandError::try_later(format!(
            "run {} is {}",
            open.reservation.run_number,
            open.state.word()
        ))
        .hint("finish it first: boxseat sync"));
    }
    let replaced = replaced(store, &runs, from)?;
    let reservations = store.lake().reservations()?;
    let mut replays: HashMap<RunNumber, RunNumber> = HashMap::new();
    let mut last = None;
    for (read_as, run) in replaced {
        let original =
            reservations.iter().find(|reservation| reservation.run_number == read_as).ok_or_else(|| {
                CommandError::refused(format!("the reservation of run {read_as} is missing from lake/_runs"))
            })?;
        let base = run.base_run_number.map(|base| replayed(&runs, &replays, base));
        let reservation = reserve(store, run, original, base, clock)?;
        let (outcome, checked) =
            make_visible(store, settings, &reservation, read_as, clock, Purpose::Private, &Stop::never())?;
        drop(checked);
        replays.insert(read_as, reservation.run_number);
        last = Some(outcome);
    }
    let published = publish_latest(store, settings)?.published;
    store.anchor_record(settings)?;
    last.map(|outcome| Outcome { published, ..outcome })
        .ok_or_else(|| CommandError::usage(format!("no complete run has the number {from} or a higher one")))
}

/// The runs to replay with the numbers of their spools, oldest first.
///
/// # Errors
/// Exit 3 if the spool of a run is missing.
fn replaced<'a>(
    store: &Store,
    runs: &'a [SyncRun],
    from: RunNumber,
) -> Result<Vec<(RunNumber, &'a SyncRun)>, CommandError> {
    let mut replaced: Vec<(RunNumber, &SyncRun)> = current(runs)
        .into_iter()
        .map(|run| (root(runs, run), run))
        .filter(|(read_as, _)| *read_as >= from)
        .collect();
    replaced.sort_by_key(|(read_as, _)| *read_as);
    let mut gone = Vec::new();
    for (read_as, _) in &replaced {
        let spool = store.spool(*read_as);
        if spool.seal_record()?.is_none() {
            spool.check_is_gone()?;
            gone.push(read_as.to_string());
        }
    }
    if !gone.is_empty() {
        return Err(CommandError::refused(format!("the raw pages of run {} were removed", gone.join(", ")))
            .hint("replay from a later run; [sync] raw_retention_runs sets the number of runs whose pages are kept"));
    }
    Ok(replaced)
}

/// The newest replay of a base: of this `replay`, or of an earlier one that was killed.
fn replayed(runs: &[SyncRun], replays: &HashMap<RunNumber, RunNumber>, base: RunNumber) -> RunNumber {
    let original =
        |number| runs.iter().find(|run| run.run_number == number).map_or(number, |run| root(runs, run));
    let wanted = original(base);
    let earlier =
        || current(runs).into_iter().find(|run| root(runs, run) == wanted).map(|run| run.run_number);
    replays.get(&wanted).copied().or_else(earlier).unwrap_or(base)
}

fn reserve(
    store: &Store,
    run: &SyncRun,
    original: &Reservation,
    base_run_number: Option<RunNumber>,
    clock: &Clock,
) -> Result<Reservation, CommandError> {
    let now = clock();
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let reservation = Reservation {
        format: RESERVATION_FORMAT,
        run_number: next_number(store)?,
        run_id: Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos())),
        kind: RunKind::Replay,
        base_run_number,
        replaces_run_number: Some(run.run_number),
        record: Some(store.lake().record_head()),
        host: host(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..original.clone()
    };
    store.lake().reserve(&reservation)?;
    Ok(reservation)
}
