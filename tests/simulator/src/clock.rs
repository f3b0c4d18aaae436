//! The only access to the system clock.
//!
//! Data does not use it: users, events and days follow the simulated `now` of the configuration. Only token expiry, the rate
//! window, marker age, a skewed `Date` header and the second time of a deed use real time, because their clients wait in real
//! time.

use std::time::{Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

pub(crate) fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one place here that may read the wall clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall clock in milliseconds, for records of when something happened.
pub(crate) fn wall_text() -> String {
    DateTime::<Utc>::from(wall()).to_rfc3339_opts(SecondsFormat::Millis, true)
}
