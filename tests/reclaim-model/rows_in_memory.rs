//! The lake's `seat_actions` without a lake.

use std::path::Path;

use arrow::array::RecordBatch;
use boxseat_reclaim::Error;
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::seat_actions::{
    LostAction, compare_rows, refuse_lost, refuse_older_journal, rows_after,
};

/// The rows that were committed.
#[derive(Default)]
pub(super) struct RowsInMemory {
    batches: Vec<RecordBatch>,
    taken_in: u64,
}

impl RowsInMemory {
    /// Takes in the outcomes that became final since the last commit.
    pub(super) fn commit(&mut self, journal: &Journal, enterprise_id: &str) {
        self.batches.push(rows_after(self.taken_in, Path::new("/nowhere"), journal, enterprise_id));
        self.taken_in = journal.past().lake_number(journal.sequence());
    }

    /// Whether the rows match the journal.
    pub(super) fn agree(&self, journal: &Journal) -> Result<(), Error> {
        refuse_older_journal(self.taken_in, journal)?;
        refuse_lost(&self.lost(journal)?)
    }

    /// The actions that the journal does not know, as [`compare_rows`] finds them.
    pub(super) fn lost(&self, journal: &Journal) -> Result<Vec<LostAction>, Error> {
        let batches = self.batches.iter().cloned().map(Ok);
        Ok(compare_rows(batches, journal)?.1)
    }

    /// Up to which entry the table has taken in the journal.
    pub(super) fn taken_in(&self) -> u64 {
        self.taken_in
    }
}

#[cfg(test)]
mod tests {
    use boxseat_reclaim::ErrorKind;
    use boxseat_reclaim::testing::{created, day, intent, outcome};
    use boxseat_schemas::reclaim::{Action, Outcome, Stage};

    use super::*;

    /// Why: a backup from the time between an unknown outcome and its reading could not be adopted. The error was that the lake and
    /// the journal differ about the action.
    #[test]
    fn r9_a_copy_with_an_unknown_outcome_takes_in_the_known_one() {
        let mut journal = Journal::in_memory();
        for record in [
            created("p", Stage::Transfer, &["1"], &["77"]),
            intent("p", "1", Action::Transfer, 1),
            outcome("p", "1", 1, Outcome::Unknown),
            outcome("p", "1", 1, Outcome::Done),
        ] {
            journal.append(day(0), record).unwrap();
        }
        let mut lake = RowsInMemory::default();
        lake.commit(&journal, "42");
        assert!(lake.agree(&journal).is_ok());
        let mut copy = journal.copy_until(3);
        assert_eq!(lake.agree(&copy).unwrap_err().kind(), ErrorKind::Refused, "it ends before the lake");
        let lost = lake.lost(&copy).unwrap();
        assert_eq!(lost.len(), 1);
        for one in lost {
            copy.append(day(1), one.record()).unwrap();
        }
        assert!(copy.past().people["1"].transfer().is_some_and(|transfer| transfer.was_done));
    }
}
