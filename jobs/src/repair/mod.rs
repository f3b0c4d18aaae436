//! A store that was found altered, made whole as far as something else proves it.
//!
//! ```text
//! record of the lake whole, and it names the published file ─▶ altered tables made anew from the file
//! anything else                                            ─▶ the lake is begun anew; what was before is uncovered
//! ```
//!
//! Nothing is deleted: what is replaced is moved to `<store>/damaged/<time>/`. **Killed** anywhere: run it again. What was moved is
//! missing then, and is made anew as everything else that is missing.

mod anew;
mod from_file;

use std::collections::BTreeSet;
use std::path::PathBuf;

use boxseat_output::lake::{Altered, move_aside};
use boxseat_output::query::{CheckedReader, query_file};
use boxseat_output::warehouse;
use boxseat_schemas::RunNumber;
use boxseat_schemas::event_types;
use boxseat_schemas::reclaim::plan::PlanNight;
use boxseat_schemas::run::{RESERVATION_FORMAT, Reservation, RunKind, RunStatus, SyncRun};
use boxseat_schemas::table::{EVENT_COVERAGE, EVENTS, LAKE, Layout, SEAT_ACTIONS, Table};
use chrono::{DateTime, Days, Utc};
use uuid::Uuid;

use crate::config::Settings;
use crate::error::{CommandError, REFUSED, USAGE};
use crate::reclaim::journal::{ReclaimLock, Seals};
use crate::reclaim::{Ground, Journal};
use crate::store::{Store, host};
use crate::sync::{commit_row, open_runs, publish_latest};

/// What a repair found and did.
#[derive(Debug, Default)]
pub(crate) struct Repair {
    /// What was altered.
    pub(crate) found: Vec<Altered>,
    /// Tables made anew, with their rows.
    pub(crate) rebuilt: Vec<(&'static str, u64)>,
    /// Complete runs that count no longer.
    pub(crate) withdrawn: Vec<RunNumber>,
    /// Whether the lake was begun anew.
    pub(crate) is_begun_anew: bool,
    /// Where the old files are.
    pub(crate) aside: Option<PathBuf>,
    /// What an operator must know or do.
    pub(crate) notes: Vec<String>,
    /// The file that shows the result.
    pub(crate) published: Option<PathBuf>,
}

/// A repair on its way.
struct Work<'a> {
    store: &'a mut Store,
    settings: &'a Settings,
    now: DateTime<Utc>,
    aside: PathBuf,
    done: Repair,
}

/// Finds what is altered and makes it whole. The caller holds the store's lock and that of reclamation.
///
/// # Errors
/// Disk; exit 3 for what cannot be repaired.
pub(crate) fn repair(
    store: &mut Store,
    settings: &Settings,
    held: &ReclaimLock,
    now: DateTime<Utc>,
) -> Result<Repair, CommandError> {
    let aside = store.root().join(format!("damaged/{}", now.format("%Y%m%dT%H%M%SZ")));
    refuse_without_journal(store, settings)?;
    let is_of_older_version = store.record_damage().is_none() && !store.lake().is_recorded();
    if !is_of_older_version || settings.journal_key.is_some() {
        store.seals().take_up(Some(held))?;
    }
    let mut work = Work { store, settings, now, aside, done: Repair::default() };
    if let Some(altered) = work.store.record_damage().cloned() {
        // Nothing proves any file of the lake.
        work.done.found.push(altered);
        work.begin_anew()?;
    } else if !work.store.lake().is_recorded() && settings.journal_key.is_some() {
        let what = "the record of the lake, lake/_runs/files.log,";
        work.done
            .found
            .push(Altered::new(what, "is missing, and [reclaim] journal_key is set: it was removed"));
        work.begin_anew()?;
    } else if !work.store.lake().is_recorded() {
        work.done.notes.push(
            "This store has no record of its files yet: an older version wrote it. `boxseat sync` checks its tables and begins the record.".to_owned(),
        );
        return Ok(work.done);
    } else {
        work.mend()?;
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

/// Where actions were taken, only the journal says which: a repair must not make a store that never acted.
fn refuse_without_journal(store: &Store, settings: &Settings) -> Result<(), CommandError> {
    let journal = Journal::read(store.root(), store.id(), settings.journal_key.as_ref(), Seals::Last)?;
    let has_acted = || {
        store.lake().was_written(&SEAT_ACTIONS)
            || store.root().join("lake").join(SEAT_ACTIONS.name).exists()
            || file_has_actions(store, settings)
    };
    if journal.sequence() > 0 || !has_acted() {
        return Ok(());
    }
    Err(CommandError::refused("state/reclaim/journal is missing, and the lake has actions that it must explain")
        .hint("restore the store from a backup (`boxseat restore`): nothing else says which accounts boxseat changed"))
}

/// Whether the published file tells of an action. It need not be proved: this only ever refuses.
fn file_has_actions(store: &Store, settings: &Settings) -> bool {
    let file = store.root().join(warehouse::FILE_NAME);
    query_file(&file, "SELECT action_id FROM seat_actions LIMIT 1", &settings.resources)
        .is_ok_and(|rows| rows.num_rows() > 0)
}

impl Work<'_> {
    /// Of a lake whose record is whole: file by file.
    fn mend(&mut self) -> Result<(), CommandError> {
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
        let damaged = closed(&damaged);
        if !damaged.is_empty() {
            match self.proved_file()? {
                Some((file, night)) => self.rebuild_from_file(&damaged, &reservations, &file, &night)?,
                None => return self.begin_anew(),
            }
        } else {
            self.mend_reservations(&reservations)?;
        }
        self.mend_imports()?;
        self.mend_spools()
    }

    /// The night of the published file, when the file is the one that was published, with the rows that boxseat built.
    fn proved_file(&self) -> Result<Option<(CheckedReader, PlanNight)>, CommandError> {
        let proved = self.store.published_to_act().and_then(|file| {
            let reader = CheckedReader::open(&file, &self.settings.resources)?;
            let ground = Ground::read(&reader, self.store)?;
            Ok((reader, ground.night))
        });
        match proved {
            Ok(proved) => Ok(Some(proved)),
            Err(e) if [REFUSED, USAGE].contains(&e.exit_code()) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A number must stay taken, whatever happened to its file.
    fn mend_reservations(&mut self, numbers: &[RunNumber]) -> Result<(), CommandError> {
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

    /// A reservation with what is known of a run; its raw pages cannot be replayed by it.
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

    /// Ends a run that cannot go on. Its raw pages are moved away.
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

    fn mend_imports(&mut self) -> Result<(), CommandError> {
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
            self.cover_nothing_before_now("an imported report that no run had taken in")?;
        }
        Ok(())
    }

    /// Evidence that Box does not give again may be lost: from now on alone it is complete.
    fn cover_nothing_before_now(&mut self, lost: &str) -> Result<(), CommandError> {
        let tomorrow = self.now.date_naive() + Days::new(1);
        self.store.lake().cover_nothing_before(tomorrow)?;
        self.done.notes.push(format!(
            "Evidence of use may be lost ({lost}). Nothing before {tomorrow} is covered: no account counts as idle before that date plus the days that the policy asks for."
        ));
        Ok(())
    }

    /// Raw pages that are not the ones that were sealed prove nothing: an open run is read anew, an ended one cannot be replayed.
    fn mend_spools(&mut self) -> Result<(), CommandError> {
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

/// Tables that are only right together: older nights must not lose some of their rows, and coverage must not outlive the events.
fn closed(damaged: &BTreeSet<&'static str>) -> Vec<&'static Table> {
    let is_night = |table: &&&Table| table.layout == Layout::Night;
    let nights = LAKE.iter().filter(is_night).any(|table| damaged.contains(table.name));
    let events = damaged.contains(EVENTS.name);
    LAKE.iter()
        .copied()
        .filter(|table| {
            damaged.contains(table.name)
                || (nights && table.layout == Layout::Night)
                || (events && table.name == EVENT_COVERAGE.name)
        })
        .collect()
}
