//! R9: a journal from a backup replaces the journal. The lake knows later entries, so every command but `adopt` refuses it; `adopt`
//! takes in the actions that the lake knows.
//!
//! The lake is never older than the journal here: with both put back, only `[reclaim] witness` finds it, and that is a file. The
//! binding of a journal to its directory needs files, too. A copy is only put back when every outcome is known: a call whose
//! outcome is neither in the copy nor in the lake is lost.

use boxseat_schemas::reclaim::{Adoption, Entry, Place, Record};
use rand::Rng;

use crate::story::{BY, World, operator};

/// The maximum number of entries that a backup lacks.
const LOST: u64 = 60;

impl World {
    /// Puts back a copy, and adopts it. Plans that are open again are approved and applied again.
    pub(super) async fn put_back(&mut self) -> Result<(), String> {
        let (past, last) = (self.journal.past(), self.journal.sequence());
        let is_settled = past.unfinished().next().is_none() && past.open_windows().next().is_none();
        if last < 2 || !is_settled || !self.areas.has_copies || !self.areas.rng.random_bool(0.25) {
            return Ok(());
        }
        self.commit();
        let kept = last - self.areas.rng.random_range(1..=LOST.min(last - 1));
        let copy = self.journal.copy_until(kept);
        if self.lake.agree(&copy).is_ok() {
            return Err(self.describe(&[format!("R9: entry {last} is in the lake, and {kept} is enough")]));
        }
        self.before = self.history();
        self.kept = usize::try_from(kept).expect("few entries");
        self.journal = copy;
        let lost = match self.lake.lost(&self.journal) {
            Ok(lost) => lost,
            Err(e) => return Err(self.describe(&[format!("R9: no adoption: {}", e.lines().join(": "))])),
        };
        let adoption =
            Adoption { kept_entries: kept, lake_entries: self.lake.taken_in(), actions: lost.len() as u64 };
        let place = Place { host: None, inode: 1, created_at: None };
        let bound = Record::Bound { place, by: operator(BY), adoption: Some(adoption) };
        self.told.adoptions += 1;
        self.told.taken_in += lost.len();
        for record in std::iter::once(bound).chain(lost.into_iter().map(|one| one.record())) {
            self.journal.append(self.now(), record).expect("a journal in memory accepts entries");
        }
        self.commit();
        if let Err(e) = self.lake.agree(&self.journal) {
            return Err(self.describe(&[format!("R9: after adopt: {}", e.lines().join(": "))]));
        }
        self.simulator.advance_secs(1);
        for index in self.open_plans() {
            // Approvals before the adoption do not count.
            self.apply(index).await;
            if self.rng.random_bool(0.9) {
                self.approve(index);
                self.apply(index).await;
            }
        }
        Ok(())
    }

    /// Final outcomes are in the lake. Only a journal from a backup is compared with it.
    pub(super) fn commit(&mut self) {
        if self.areas.has_copies {
            self.lake.commit(&self.journal, &self.simulator.config().enterprise_id);
        }
    }

    /// Every entry that was ever written, in order.
    pub(super) fn history(&self) -> Vec<Entry> {
        self.before.iter().chain(&self.journal.entries()[self.kept..]).cloned().collect()
    }
}
