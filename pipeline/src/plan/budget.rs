//! The monthly allowance, spread over the nights left.

/// What is left of the month's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Calls left before this night made its first.
    pub left: u64,
    /// Nights left in the month, this one included.
    pub nights: u32,
}

impl Budget {
    /// Calls that this run may spend: its share, less a reserve for retries.
    pub fn of_this_run(self) -> u64 {
        let share = self.left / u64::from(self.nights.max(1));
        share - share / RETRIES
    }
}

/// One call in fifty.
const RETRIES: u64 = 50;

/// What is left of this run's share.
#[derive(Debug)]
pub(super) struct Purse {
    left: Option<u64>,
}

impl Purse {
    /// `made` calls are made already.
    pub(super) fn new(budget: Option<Budget>, made: u64) -> Self {
        Self { left: budget.map(|budget| budget.of_this_run().saturating_sub(made)) }
    }

    /// Spends what is never cut.
    pub(super) fn spend(&mut self, calls: u64) {
        self.left = self.left.map(|left| left.saturating_sub(calls));
    }

    /// Whether so many calls more can be afforded.
    pub(super) fn affords(&self, calls: u64) -> bool {
        self.left.is_none_or(|left| calls <= left)
    }
}
