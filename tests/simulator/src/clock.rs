//! The one door to the system clock.
//!
//! Data never asks it: people, events and days live by the simulated `now` of the configuration. Only token expiry, the
//! rate window, marker age, a skewed `Date` header and the second time of a deed run on real time, because their clients wait in real time.

use std::time::{Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

pub(crate) fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place here that may read the wall clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall clock to the millisecond, for records of what happened when.
pub(crate) fn wall_text() -> String {
    DateTime::<Utc>::from(wall()).to_rfc3339_opts(SecondsFormat::Millis, true)
}
