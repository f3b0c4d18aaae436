//! The monthly allowance, divided among the runs that are left.

/// The calls that are left in the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Calls that were left before the first call of this run.
    pub left: u64,
    /// Runs that are left in the month, including this one.
    pub nights: u32,
}

impl Budget {
    /// Calls that this run may use: its share minus a reserve for retries.
    pub fn of_this_run(self) -> u64 {
        let share = self.left / u64::from(self.nights.max(1));
        share - share / RETRIES
    }
}

/// The reserve is one call in fifty.
const RETRIES: u64 = 50;

/// The rest of this run's share.
#[derive(Debug)]
pub(super) struct CallBudget {
    left: Option<u64>,
}

impl CallBudget {
    /// The share of this run, minus `made` calls.
    pub(super) fn new(budget: Option<Budget>, made: u64) -> Self {
        Self { left: budget.map(|budget| budget.of_this_run().saturating_sub(made)) }
    }

    /// Subtracts the calls that are always made.
    pub(super) fn spend(&mut self, calls: u64) {
        self.left = self.left.map(|left| left.saturating_sub(calls));
    }

    /// Whether this number of further calls is affordable.
    pub(super) fn affords(&self, calls: u64) -> bool {
        self.left.is_none_or(|left| calls <= left)
    }
}
