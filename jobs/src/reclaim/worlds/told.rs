//! How much happened, so that worlds in which nothing happens do not pass for a proof.

use std::collections::BTreeMap;

/// How much happened, over worlds.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) nights: usize,
    pub(super) plans: usize,
    pub(super) applies: usize,
    pub(super) crashes: usize,
    pub(super) stopped: usize,
    pub(super) suspended: usize,
    pub(super) transferred: usize,
    pub(super) deleted: usize,
    pub(super) restored: usize,
    pub(super) reactivated: usize,
    pub(super) refused_calls: usize,
    pub(super) offboarded: usize,
    /// Seats that became free, by the Box of a calm world.
    pub(super) freed_on: BTreeMap<&'static str, usize>,
}

impl Told {
    pub(super) fn add(&mut self, other: &Told) {
        self.nights += other.nights;
        self.plans += other.plans;
        self.applies += other.applies;
        self.crashes += other.crashes;
        self.stopped += other.stopped;
        self.suspended += other.suspended;
        self.transferred += other.transferred;
        self.deleted += other.deleted;
        self.restored += other.restored;
        self.reactivated += other.reactivated;
        self.refused_calls += other.refused_calls;
        self.offboarded += other.offboarded;
        for (of_box, seats) in &other.freed_on {
            *self.freed_on.entry(of_box).or_default() += seats;
        }
    }

    /// Enough of everything, or the worlds are too tame to prove anything.
    pub(super) fn assert_rich(&self, worlds: u64) {
        let least = |count: usize, per_hundred: u64| count as u64 * 100 >= worlds * per_hundred;
        assert!(least(self.suspended, 100), "too few suspensions");
        assert!(least(self.transferred, 20), "too few transfers");
        assert!(least(self.deleted, 5), "too few deletions");
        assert!(least(self.restored, 5), "too few restorations");
        assert!(least(self.reactivated, 5), "too few accounts that were active for a transfer");
        assert!(least(self.crashes, 50), "too few crashes");
        assert!(least(self.offboarded, 20), "too few leavers");
    }
}
