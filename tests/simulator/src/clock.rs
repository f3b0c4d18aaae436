//! The one door to the system clock.
//!
//! Data never asks it: people, events and days live by the simulated `now` of the configuration. Only token expiry, the
//! rate window, marker age and a skewed `Date` header run on real time, because their clients wait in real time.

use std::time::{Instant, SystemTime};

pub(crate) fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place here that may read the wall clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
