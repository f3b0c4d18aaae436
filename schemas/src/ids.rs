//! Identifiers that must not be confused, each with its own type. Box ids stay text, because boxseat only compares them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a run in its store: 1, 2, 3, … Each number is reserved once and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(pub u64);

impl RunNumber {
    /// The number as the lake's BIGINT columns and Delta's app versions store it.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).expect("a store never sees 2^63 runs")
    }

    /// The next number.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
