//! From the seal to the published file: the commit protocol. A kill is possible after every step. The next start runs the same steps
//! again, and each step checks whether it is already done.

use std::path::{Path, PathBuf};

use boxseat_output::warehouse::{self, Build, Candidates, Drift, LoadedRows, Pending, Purpose};
use boxseat_pipeline::Clock;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{Reservation, SyncRun};
use boxseat_schemas::table::{RUN_ROWS, SEAT_USAGE_DAILY, USER_CHANGES, USERS_HISTORY};

use chrono::NaiveDate;

use super::load::{Loaded, commit_row, load};
use super::retain::retain;
use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
use crate::imports::imported;
use crate::ledger::ledger_ids;
use crate::reclaim_context::publish_candidates::PublishCandidates;
use crate::reclaim_context::seat_actions;
use crate::reclaim_context::snapshot_rows::deciding;
use crate::stop::Stop;
use crate::store::Store;

/// How a start of `sync`, `replay` or `publish` ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The run's row; that of the latest snapshot if nothing was read.
    pub(crate) run: SyncRun,
    /// Rows per table; empty if nothing was loaded.
    pub(crate) tables: Vec<LoadedRows>,
    /// The published file; `None` if the snapshot is only in the lake.
    pub(crate) published: Option<PathBuf>,
}

/// Loads a sealed run, makes it visible and publishes it.
pub(super) fn finish(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    clock: &Clock,
    purpose: Purpose,
    stop: &Stop,
) -> Result<Outcome, CommandError> {
    reach("sealed");
    // Before the load: a damaged seal must not count as a failed attempt, because the run is given up after a few of them.
    let spool = store.spool(reservation.run_number);
    if spool.seal_record()?.is_none() {
        spool.check_is_gone()?;
    }
    let visible = make_visible(store, settings, reservation, reservation.run_number, clock, purpose, stop);
    let (mut outcome, checked) = visible.inspect_err(|e| {
        // A signal or a full disk does not mean that the spool is wrong. The run stays sealed, and the next start loads it.
        if !e.is_external_failure() {
            note_attempt(store, reservation);
        }
    })?;
    match purpose {
        Purpose::Publish => {
            log_check_warnings(&checked);
            outcome.published = Some(checked.publish(store.lake(), &settings.access)?);
            reach("published");
        }
        Purpose::Private => drop(checked),
    }
    store.anchor_record(settings)?;
    retain(store, settings, reservation.run_number, purpose, clock());
    store.anchor_record(settings)?;
    Ok(outcome)
}

/// Runs all steps up to the commit of the `sync_runs` row, which makes the snapshot visible. The caller renames or drops the file.
pub(super) fn make_visible(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    read_as: RunNumber,
    clock: &Clock,
    purpose: Purpose,
    stop: &Stop,
) -> Result<(Outcome, warehouse::Checked), CommandError> {
    let enterprise_id = store.enterprise_id().ok_or_else(|| {
        CommandError::refused("the store is not bound to an enterprise, yet a run is sealed")
    })?;
    store.check_spool(read_as)?;
    store.refuse_missing_imports()?;
    seat_actions::catch_up(store, &settings.journal_key, enterprise_id);
    let mut runs = store.lake().sync_runs()?;
    let Loaded { row, tables, departures, commands, imports } =
        load(store, settings, reservation, read_as, &runs, enterprise_id, stop)?;
    let mut run = SyncRun { finished_at: clock().max(reservation.started_at), ..row };
    runs.push(run.clone());
    let pending = Pending { run_number: run.run_number, tables, departures };
    reach("loaded");
    stop.check()?;
    let candidates = PublishCandidates::of(settings);
    let build = build_of(store, settings, &runs, enterprise_id, candidates.as_ref());
    let build = Build { pending: Some(&pending), purpose, ..build };
    let checked = warehouse::build(&build)?.check()?;
    reach("checked");
    for table in [&USERS_HISTORY, &USER_CHANGES, &SEAT_USAGE_DAILY, &RUN_ROWS] {
        reach(&format!("before {}", table.name));
        stop.check()?;
        checked.commit(store.lake(), table)?;
        reach(&format!("after {}", table.name));
    }
    run.drift_count = checked.drift().map(Drift::count);
    reach("accounted");
    commit_row(store, &run, enterprise_id)?;
    // The snapshot is visible. After a kill, only the publish must be repeated.
    reach("visible");
    commands.remove(&ledger_ids(store, [run.run_number].into_iter())?)?;
    imports.remove(&imported(store, &[run.run_number])?, store.lake())?;
    Ok((Outcome { run, tables: pending.tables, published: None }, checked))
}

/// Builds and publishes the latest snapshot from the lake.
pub(crate) fn publish_latest(store: &Store, settings: &Settings) -> Result<Outcome, CommandError> {
    let runs = store.lake().sync_runs()?;
    let enterprise_id = store.enterprise_id().unwrap_or("unknown");
    let candidates = PublishCandidates::of(settings);
    let build = build_of(store, settings, &runs, enterprise_id, candidates.as_ref());
    let checked = warehouse::build(&build)?.check()?;
    let shown = checked.snapshot();
    log_check_warnings(&checked);
    let published = Some(checked.publish(store.lake(), &settings.access)?);
    let run = runs
        .into_iter()
        .find(|run| run.run_number == shown.run_number)
        .expect("the build showed one of these runs");
    Ok(Outcome { run, tables: Vec::new(), published })
}

/// Builds the snapshot of a date from the lake, in a separate directory. It is never published.
pub(crate) fn build_as_of(
    store: &Store,
    settings: &Settings,
    date: NaiveDate,
    directory: &Path,
) -> Result<warehouse::Checked, CommandError> {
    store.lake().check_tables()?;
    let runs = store.lake().sync_runs()?;
    let enterprise_id = store.enterprise_id().unwrap_or("unknown");
    let candidates = PublishCandidates::of(settings);
    let build = build_of(store, settings, &runs, enterprise_id, candidates.as_ref());
    let build = Build { store: directory, purpose: Purpose::Private, as_of: Some(date), ..build };
    Ok(warehouse::build(&build)?.check()?)
}

/// Logs the warnings of the checks, one line each. `data_checks` has them too, and `status` shows them.
fn log_check_warnings(checked: &warehouse::Checked) {
    for odd in checked.warnings() {
        tracing::warn!(
            "check {} on {}: {} row(s), for example {}",
            odd.check,
            odd.table,
            odd.failing_rows,
            odd.example
        );
    }
}

fn build_of<'a>(
    store: &'a Store,
    settings: &'a Settings,
    runs: &'a [SyncRun],
    enterprise_id: &'a str,
    candidates: Option<&'a PublishCandidates<'a>>,
) -> Build<'a> {
    Build {
        store: store.root(),
        lake: store.lake(),
        runs,
        pending: None,
        purpose: Purpose::Publish,
        as_of: None,
        enterprise_id,
        settings: &settings.report,
        candidates: candidates.map(|policy| policy as &dyn Candidates),
        deciding: Some(deciding()),
        resources: &settings.resources,
    }
}

/// The number of failed loads of a sealed run.
pub(super) fn attempts(store: &Store, reservation: &Reservation) -> u32 {
    let path = store.spool(reservation.run_number).path().join("ATTEMPTS");
    std::fs::metadata(path).map_or(0, |file| u32::try_from(file.len()).unwrap_or(u32::MAX))
}

/// Appends one byte per attempt: this needs no read, and a kill cannot leave a partial count.
fn note_attempt(store: &Store, reservation: &Reservation) {
    use std::io::Write;
    let path = store.spool(reservation.run_number).path().join("ATTEMPTS");
    let append = || std::fs::OpenOptions::new().append(true).create(true).open(&path)?.write_all(b".");
    if let Err(e) = append() {
        tracing::warn!("cannot write {}: {e}", path.display());
    }
}
