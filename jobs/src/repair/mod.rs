//! Repairs an altered store from the data that can be proved.
//!
//! ```text
//! record of the lake valid, and it names the published file ─▶ altered tables are rebuilt from the file
//! anything else                                             ─▶ a new lake; earlier evidence may be lost, then that time is not covered
//! ```
//!
//! Nothing is deleted: replaced files are moved to `<store>/damaged/<time>/`. **Killed** anywhere: run the command again. Moved files
//! then count as missing and are rebuilt like other missing files.

mod from_file;
mod new_lake;

use std::collections::BTreeSet;
use std::path::PathBuf;

use boxseat_output::lake::{Altered, move_aside};
use boxseat_output::query::{CheckedReader, query_file};
use boxseat_output::warehouse;
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::{ReclaimLock, Seals};
use boxseat_schemas::RunNumber;
use boxseat_schemas::event_types;
use boxseat_schemas::reclaim::plan::SnapshotId;
use boxseat_schemas::run::{RESERVATION_FORMAT, Reservation, RunKind, RunStatus, SyncRun};
use boxseat_schemas::table::{EVENT_COVERAGE, EVENTS, LAKE, Layout, SEAT_ACTIONS, Table};
use boxseat_storage::{durable, host};
use chrono::{DateTime, Days, Utc};
use uuid::Uuid;

use crate::config::Settings;
use crate::error::{CommandError, REFUSED, USAGE};
use crate::reclaim_context::snapshot_rows;
use crate::store::{Store, names_in};
use crate::sync::{commit_row, open_runs, publish_latest};

/// The result of a repair.
#[derive(Debug, Default)]
pub(crate) struct Repair {
    /// The altered files and tables.
    pub(crate) found: Vec<Altered>,
    /// Rebuilt tables, with their numbers of rows.
    pub(crate) rebuilt: Vec<(&'static str, u64)>,
    /// Complete runs that no longer count.
    pub(crate) withdrawn: Vec<RunNumber>,
    /// Whether a new lake was started.
    pub(crate) is_new_lake: bool,
    /// The directory of the old files.
    pub(crate) aside: Option<PathBuf>,
    /// What an operator must know or do.
    pub(crate) notes: Vec<String>,
    /// The published file.
    pub(crate) published: Option<PathBuf>,
}

/// The state of a repair.
struct Work<'a> {
    store: &'a mut Store,
    settings: &'a Settings,
    now: DateTime<Utc>,
    aside: PathBuf,
    done: Repair,
}

/// Finds altered files and repairs the store. The caller holds the locks of the store and of reclamation.
///
/// # Errors
/// Disk; exit 3 for what cannot be repaired.
pub(crate) fn repair(
    store: &mut Store,
    settings: &Settings,
    held: &ReclaimLock,
    now: DateTime<Utc>,
) -> Result<Repair, CommandError> {
    let now = not_before(newest_start(store), now);
    let aside = store.root().join(format!("damaged/{}", now.format("%Y%m%dT%H%M%SZ")));
    refuse_without_journal(store, settings)?;
    let is_of_older_version = store.record_damage().is_none() && !store.lake().is_recorded();
    if !is_of_older_version || settings.journal_key.public.is_some() {
        store.seals().take_up(Some(held))?;
    }
    let mut work = Work { store, settings, now, aside, done: Repair::default() };
    if let Some(altered) = work.store.record_damage().cloned() {
        // No file of the lake can be proved.
        work.done.found.push(altered);
        work.begin_new_lake()?;
    } else if !work.store.lake().is_recorded() && settings.journal_key.public.is_some() {
        let what = "the record of the lake, lake/_runs/files.log,";
        work.done
            .found
            .push(Altered::new(what, "is missing, and [reclaim] journal_key is set: it was removed"));
        work.begin_new_lake()?;
    } else if !work.store.lake().is_recorded() {
        work.done.notes.push(
            "This store has no record of its files yet: an older version wrote it. `boxseat sync` checks its tables and begins the record.".to_owned(),
        );
        return Ok(work.done);
    } else {
        work.repair_by_record()?;
    }
    if work.store.lake().sync_runs()?.iter().any(|run| run.status == RunStatus::Complete)
        && !(work.done.found.is_empty() && work.done.notes.is_empty())
    {
        work.done.published = publish_latest(work.store, settings)?.published;
    }
    work.store.anchor_record(settings)?;
    if !work.done.found.is_empty() {
        work.done.aside = Some(work.aside.clone()).filter(|aside| aside.exists());
    }
    Ok(work.done)
}

/// The time of a repair: `now`, but not before the newest run. What a repair cannot prove is uncovered up to its time, so an earlier time
/// would leave covered what was read since.
fn not_before(newest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
    let Some(newest) = newest.filter(|newest| *newest > now) else { return now };
    tracing::warn!("the clock is at {now}, before the newest run: the repair counts as of {newest}");
    newest
}

/// When the newest run started, by the reservations that can be read. A damaged record proves none of them, so each one counts then: a
/// date that is too late only uncovers more.
fn newest_start(store: &Store) -> Option<DateTime<Utc>> {
    let directory = store.root().join("lake/_runs");
    let damaged = match store.record_damage() {
        None => store.lake().damaged_reservations().unwrap_or_default(),
        Some(_) => Vec::new(),
    };
    let is_damaged = |name: &str| damaged.iter().any(|number| name == format!("{number}.json"));
    let started_at = |name: &String| {
        let bytes = durable::read_regular_file(&directory.join(name)).ok()?;
        Some(serde_json::from_slice::<Reservation>(&bytes).ok()?.started_at)
    };
    let names = names_in(&directory).unwrap_or_default();
    let is_reservation = |name: &&String| name.ends_with(".json") && !is_damaged(name);
    names.iter().filter(is_reservation).filter_map(started_at).max()
}

/// Refuses a repair without the journal if actions were taken. Only the journal has these actions, and a repaired store without it
/// would look as if it had never acted.
fn refuse_without_journal(store: &Store, settings: &Settings) -> Result<(), CommandError> {
    let journal = Journal::read(store.root(), store.id(), &settings.journal_key, Seals::Last)?;
    let has_acted = || {
        store.lake().was_written(&SEAT_ACTIONS)
            || store.root().join("lake").join(SEAT_ACTIONS.name).exists()
            || file_has_actions(store, settings)
    };
    if journal.sequence() > 0 || !has_acted() {
        return Ok(());
    }
    Err(CommandError::refused("state/reclaim/journal is missing, but the lake has actions that the journal must have")
        .hint("restore the store from a backup (`boxseat restore`): only the journal has the accounts that boxseat changed"))
}

/// Whether the published file has an action. The file is not checked, because this can only refuse a repair.
fn file_has_actions(store: &Store, settings: &Settings) -> bool {
    let file = store.root().join(warehouse::FILE_NAME);
    query_file(&file, "SELECT action_id FROM seat_actions LIMIT 1", &settings.resources)
        .is_ok_and(|rows| rows.num_rows() > 0)
}

impl Work<'_> {
    /// Repairs a lake with a valid record, file by file.
    fn repair_by_record(&mut self) -> Result<(), CommandError> {
        let lake = self.store.lake().clone();
        let mut damaged = BTreeSet::new();
        for table in LAKE {
            if let Some(altered) = lake.damage_of(table)? {
                self.done.found.push(altered);
                damaged.insert(table.name);
            }
        }
        let reservations = lake.damaged_reservations()?;
        for number in &reservations {
            let what = format!("the run record lake/_runs/{number}.json");
            self.done.found.push(Altered::new(what, "is missing or altered"));
        }
        let damaged = with_dependent_tables(&damaged);
        if !damaged.is_empty() {
            match self.proved_file()? {
                Some((file, snapshot)) => {
                    self.rebuild_from_file(&damaged, &reservations, &file, &snapshot)?;
                }
                None => return self.begin_new_lake(),
            }
        } else {
            self.repair_reservations(&reservations)?;
        }
        self.repair_imports()?;
        self.repair_spools()
    }

    /// The published file and its snapshot, if the file and its rows are those that boxseat published.
    fn proved_file(&self) -> Result<Option<(CheckedReader, SnapshotId)>, CommandError> {
        let proved = self.store.published_to_act().and_then(|file| {
            let reader = CheckedReader::open(&file, &self.settings.resources)?;
            let snapshot = snapshot_rows::read(&reader, self.store)?.night;
            Ok((reader, snapshot))
        });
        match proved {
            Ok(proved) => Ok(Some(proved)),
            Err(e) if [REFUSED, USAGE].contains(&e.exit_code()) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces damaged reservations, so that their numbers are not used again.
    fn repair_reservations(&mut self, numbers: &[RunNumber]) -> Result<(), CommandError> {
        let runs = self.store.lake().sync_runs()?;
        for number in numbers {
            let row = runs.iter().find(|run| run.run_number == *number);
            let reservation = self.reservation_of(*number, row);
            self.store.lake().replace_reservation(&reservation)?;
            if row.is_none() {
                self.give_up(&reservation)?;
            }
        }
        Ok(())
    }

    /// A reservation with the known data of a run. It is not sufficient for a replay of the raw pages.
    fn reservation_of(&self, run_number: RunNumber, row: Option<&SyncRun>) -> Reservation {
        Reservation {
            format: RESERVATION_FORMAT,
            run_number,
            run_id: row.map_or_else(Uuid::new_v4, |run| run.run_id),
            kind: row.map_or(RunKind::Sync, |run| run.kind),
            started_at: row.map_or(self.now, |run| run.started_at),
            snapshot_date: row.map_or(self.now.date_naive(), |run| run.snapshot_date),
            window_from_at: row.map_or(self.now, |run| run.window_from_at),
            window_to_at: row.map_or(self.now, |run| run.window_to_at),
            event_types: event_types::all(),
            event_slices: 1,
            activity: None,
            base_run_number: row.and_then(|run| run.base_run_number),
            replaces_run_number: row.and_then(|run| run.replaces_run_number),
            store_id: self.store.id(),
            record: Some(self.store.lake().record_head()),
            host: host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Ends a run that cannot continue. Its raw pages are moved away.
    fn give_up(&mut self, reservation: &Reservation) -> Result<(), CommandError> {
        self.set_spool_aside(reservation.run_number)?;
        let row = SyncRun::ended(reservation, RunStatus::Abandoned, self.now);
        commit_row(self.store, &row, self.store.enterprise_id().unwrap_or("unknown"))?;
        self.done.notes.push(format!("Run {} was unfinished and is given up.", reservation.run_number));
        Ok(())
    }

    fn give_up_open_runs(&mut self) -> Result<(), CommandError> {
        let runs = self.store.lake().sync_runs()?;
        for open in open_runs(self.store, &runs)? {
            self.give_up(&open.reservation)?;
        }
        Ok(())
    }

    fn set_spool_aside(&mut self, run: RunNumber) -> Result<(), CommandError> {
        let from = self.store.spool(run).path().to_owned();
        self.store.note_spool_removed(run)?;
        Ok(move_aside(&from, &self.aside.join(format!("spool/{run}")))?)
    }

    fn repair_imports(&mut self) -> Result<(), CommandError> {
        let missing = self.store.missing_imports()?;
        let altered = self.store.altered_imports()?;
        for path in &missing {
            self.done.found.push(Altered::new(format!("the file {path}"), "is missing: it was removed"));
        }
        for path in &altered {
            self.done
                .found
                .push(Altered::new(format!("the file {path}"), "is not what `boxseat import` wrote"));
            move_aside(&self.store.root().join(path), &self.aside.join(path))?;
        }
        let lost = [missing, altered].concat();
        if !lost.is_empty() {
            self.store.lake().removed_beside(&lost)?;
            self.cover_nothing_before_now("an imported report that no run had loaded")?;
        }
        Ok(())
    }

    /// Marks the time before now as not covered, because evidence that cannot be read from Box again may be lost.
    fn cover_nothing_before_now(&mut self, lost: &str) -> Result<(), CommandError> {
        let tomorrow = self.now.date_naive() + Days::new(1);
        self.store.lake().cover_nothing_before(tomorrow)?;
        self.done.notes.push(format!(
            "Evidence of use may be lost ({lost}). Nothing before {tomorrow} is covered: no account counts as idle before that date plus the days that the policy requires."
        ));
        Ok(())
    }

    /// Moves away raw pages that differ from the sealed ones: an open run is read again, an ended run cannot be replayed.
    fn repair_spools(&mut self) -> Result<(), CommandError> {
        let reservations = self.store.lake().reservations()?;
        for number in reservations.iter().map(|reservation| reservation.run_number) {
            if let Some(altered) = self.store.altered_spool(number)? {
                self.done.found.push(altered);
                self.set_spool_aside(number)?;
                self.done.notes.push(format!("The raw pages of run {number} are no longer evidence."));
            }
        }
        Ok(())
    }
}

/// Adds the tables that must be rebuilt together with damaged ones: all snapshot tables, so that old snapshots do not lose rows in
/// some of them, and the coverage of lost events.
fn with_dependent_tables(damaged: &BTreeSet<&'static str>) -> Vec<&'static Table> {
    let is_snapshot = |table: &&&Table| table.layout == Layout::Snapshot;
    let snapshots = LAKE.iter().filter(is_snapshot).any(|table| damaged.contains(table.name));
    let events = damaged.contains(EVENTS.name);
    LAKE.iter()
        .copied()
        .filter(|table| {
            damaged.contains(table.name)
                || (snapshots && table.layout == Layout::Snapshot)
                || (events && table.name == EVENT_COVERAGE.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// Why: a repair with an earlier clock left covered what it could not prove.
    #[test]
    fn a_repair_is_never_dated_before_the_newest_run() {
        let (run, day) = (DateTime::UNIX_EPOCH + TimeDelta::days(100), TimeDelta::days(1));
        assert_eq!(not_before(Some(run), run - day), run);
        assert_eq!(not_before(Some(run), run + day), run + day);
        assert_eq!(not_before(None, run - day), run - day);
    }
}
