//! A sliding 60-second window per caller, as Box limits calls per user.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::auth::Caller;
use crate::shared::unpoisoned;

const WINDOW: Duration = Duration::from_secs(60);

/// The limit of a running stand-in.
pub(crate) struct RateLimit {
    calls_per_minute: Option<u32>,
    windows: Mutex<HashMap<Caller, VecDeque<Instant>>>,
}

impl RateLimit {
    pub(crate) fn new(calls_per_minute: Option<u32>) -> Self {
        RateLimit { calls_per_minute, windows: Mutex::default() }
    }

    /// Lets a call through, or says how many seconds to wait. Refused calls do not fill the window.
    pub(crate) fn admit(&self, caller: Caller, now: Instant) -> Result<(), u64> {
        let Some(limit) = self.calls_per_minute else { return Ok(()) };
        let mut windows = unpoisoned(self.windows.lock());
        let window = windows.entry(caller).or_default();
        while window.front().is_some_and(|first| now.saturating_duration_since(*first) >= WINDOW) {
            window.pop_front();
        }
        if window.len() < limit as usize {
            window.push_back(now);
            return Ok(());
        }
        let left = window.front().map_or(WINDOW, |first| WINDOW - now.saturating_duration_since(*first));
        // Whole seconds, rounded up: waiting exactly this long is enough.
        Err(left.as_millis().div_ceil(1000) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller::Service
    }

    #[test]
    fn the_window_slides() {
        let limit = RateLimit::new(Some(3));
        let start = crate::clock::instant();
        let at = |secs: f64| start + Duration::from_secs_f64(secs);
        assert_eq!(limit.admit(caller(), at(0.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(20.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(20.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(30.5)), Err(30));
        // Only the first call has left after a minute, so only one more fits.
        assert_eq!(limit.admit(caller(), at(60.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(60.0)), Err(20));
        assert_eq!(limit.admit(caller(), at(80.0)), Ok(()));
    }

    #[test]
    fn callers_do_not_share_and_zero_refuses_all() {
        let limit = RateLimit::new(Some(1));
        let now = crate::clock::instant();
        assert_eq!(limit.admit(Caller::Service, now), Ok(()));
        assert_eq!(limit.admit(Caller::Person(4), now), Ok(()));
        assert!(limit.admit(Caller::Person(4), now).is_err());
        assert_eq!(RateLimit::new(Some(0)).admit(caller(), now), Err(60));
        assert_eq!(RateLimit::new(None).admit(caller(), now), Ok(()));
    }
}
