//! The program's one clock.

use std::sync::Arc;
use std::time::Instant;

use boxseat_pipeline::Clock;
use chrono::{DateTime, TimeDelta, Utc};

/// The data clock: the system clock, or for a rehearsal a clock that starts at `--now`.
pub(crate) fn data_clock(rehearsed: Option<DateTime<Utc>>) -> Clock {
    match rehearsed {
        None => Arc::new(system_now),
        Some(start) => {
            let begun = Instant::now();
            Arc::new(move || start + TimeDelta::from_std(begun.elapsed()).unwrap_or(TimeDelta::MAX))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the program's one clock")]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}
