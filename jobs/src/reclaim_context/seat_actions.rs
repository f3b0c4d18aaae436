//! Writes the actions of the journal into the lake's `seat_actions`, and compares both.

use std::path::Path;

use boxseat_output::lake::Lake;
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::seat_actions::{
    self, LostAction, compare_rows, refuse_lost, refuse_older_journal, rows_after,
};
use boxseat_reclaim::journal::{JournalKey, Seals};
use boxseat_schemas::table::SEAT_ACTIONS;

use crate::error::CommandError;
use crate::store::Store;

/// Commits all outcomes that became final since the last commit; returns the number of rows.
///
/// # Errors
/// The lake's. The journal has everything in any case, and the next command or `sync` commits it.
pub(crate) fn commit(
    root: &Path,
    lake: &Lake,
    journal: &Journal,
    enterprise_id: &str,
) -> Result<u64, CommandError> {
    if journal.sequence() == 0 {
        return Ok(0);
    }
    let rows = |after: u64| rows_after(after, root, journal, enterprise_id);
    Ok(lake.commit_actions(&SEAT_ACTIONS, journal.past().lake_number(journal.sequence()), rows)?)
}

/// The next run commits what an acting command could not commit. A failure does not stop the run: an unreadable journal is refused
/// by the next `reclaim` command.
pub(crate) fn catch_up(store: &Store, journal_key: &JournalKey, enterprise_id: &str) {
    let done = Journal::read(store.root(), store.id(), journal_key, Seals::Last)
        .map_err(CommandError::from)
        .and_then(|journal| commit(store.root(), store.lake(), &journal, enterprise_id));
    if let Err(e) = done {
        tracing::warn!("the action journal could not be taken into the lake: {}", e.lines().join(": "));
    }
}

/// R9: whether the journal reaches the entry number up to which the lake has taken it in.
///
/// # Errors
/// Exit 3 if the lake knows of later entries: the journal was cut, put back from a backup, or is gone.
pub(crate) fn reaches(lake: &Lake, journal: &Journal) -> Result<(), CommandError> {
    refuse_older_journal(lake.actions_sequence(&SEAT_ACTIONS)?, journal)?;
    refuse_older_lake(lake, journal)
}

/// R9: whether the lake reaches the runs that plans were made on.
///
/// # Errors
/// Exit 3 for a lake that was put back to an older state.
pub(crate) fn refuse_older_lake(lake: &Lake, journal: &Journal) -> Result<(), CommandError> {
    let newest = lake.reservations()?.last().map(|newest| newest.run_number);
    Ok(seat_actions::refuse_older_lake(newest, journal)?)
}

/// R9: whether the lake's rows match the journal: entries that were cut off or rewritten are found here.
///
/// # Errors
/// Exit 3 naming the first action the journal does not know.
pub(crate) fn agree(lake: &Lake, journal: &Journal) -> Result<u64, CommandError> {
    reaches(lake, journal)?;
    let (rows, lost) = compare(lake, journal)?;
    refuse_lost(&lost)?;
    Ok(rows)
}

/// How many rows the lake has, and those that the journal does not know, oldest first.
///
/// # Errors
/// Exit 3 if the lake and the journal differ about an action.
pub(crate) fn compare(lake: &Lake, journal: &Journal) -> Result<(u64, Vec<LostAction>), CommandError> {
    let batches = lake.scan_all(&SEAT_ACTIONS)?.map(|batch| batch.map_err(|e| CommandError::from(e).into()));
    Ok(compare_rows(batches, journal)?)
}
