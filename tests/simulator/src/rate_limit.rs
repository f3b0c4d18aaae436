//! The limit of calls per caller, as Box limits calls per user: a sliding 60-second window, or a token bucket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::config::RateLimitStyle;
use crate::shared::unpoisoned;

const WINDOW: Duration = Duration::from_secs(60);

/// The number of calls, and how they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// `None` is no limit.
    pub(crate) calls_per_minute: Option<u32>,
    #[serde(default)]
    pub(crate) style: RateLimitStyle,
}

/// The limit of a running simulator.
pub(crate) struct RateLimit {
    rate: RwLock<Rate>,
    callers: Mutex<HashMap<Caller, Calls>>,
}

/// The calls of one caller, counted by the current style.
#[derive(Default)]
struct Calls {
    window: VecDeque<Instant>,
    bucket: Option<Bucket>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    pub(crate) fn new(rate: Rate) -> Self {
        RateLimit { rate: RwLock::new(rate), callers: Mutex::default() }
    }

    /// Replaces the limit and resets the count of every caller.
    pub(crate) fn set(&self, rate: Rate) {
        *unpoisoned(self.rate.write()) = rate;
        unpoisoned(self.callers.lock()).clear();
    }

    /// Accepts a call, or returns the seconds to wait. Refused calls do not count.
    pub(crate) fn admit(&self, caller: Caller, now: Instant) -> Result<(), u64> {
        let Rate { calls_per_minute, style } = *unpoisoned(self.rate.read());
        let Some(limit) = calls_per_minute else { return Ok(()) };
        let mut callers = unpoisoned(self.callers.lock());
        let calls = callers.entry(caller).or_default();
        match style {
            RateLimitStyle::Sliding => slide(&mut calls.window, limit, now),
            RateLimitStyle::TokenBucket { burst } => {
                let full = f64::from(burst.max(1));
                let bucket = calls.bucket.get_or_insert(Bucket { tokens: full, at: now });
                bucket.take(full, limit, now)
            }
        }
    }
}

fn slide(window: &mut VecDeque<Instant>, limit: u32, now: Instant) -> Result<(), u64> {
    while window.front().is_some_and(|first| now.saturating_duration_since(*first) >= WINDOW) {
        window.pop_front();
    }
    if window.len() < limit as usize {
        window.push_back(now);
        return Ok(());
    }
    let left = window.front().map_or(WINDOW, |first| WINDOW - now.saturating_duration_since(*first));
    // Whole seconds, rounded up, so that this wait is long enough.
    Err(left.as_millis().div_ceil(1000) as u64)
}

impl Bucket {
    fn take(&mut self, full: f64, limit: u32, now: Instant) -> Result<(), u64> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * f64::from(limit) / WINDOW.as_secs_f64()).min(full);
        self.at = now;
        // The sum of fractions is a little less than one.
        if self.tokens < 1.0 - 1e-9 {
            return Err(1);
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::App;

    fn caller() -> Caller {
        Caller::App(App::Reading)
    }

    fn sliding(calls_per_minute: Option<u32>) -> RateLimit {
        RateLimit::new(Rate { calls_per_minute, style: RateLimitStyle::Sliding })
    }

    #[test]
    fn the_window_slides() {
        let limit = sliding(Some(3));
        let start = crate::clock::instant();
        let at = |secs: f64| start + Duration::from_secs_f64(secs);
        assert_eq!(limit.admit(caller(), at(0.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(20.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(20.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(30.5)), Err(30));
        // Only the first call has left the window after a minute, so only one more fits.
        assert_eq!(limit.admit(caller(), at(60.0)), Ok(()));
        assert_eq!(limit.admit(caller(), at(60.0)), Err(20));
        assert_eq!(limit.admit(caller(), at(80.0)), Ok(()));
    }

    #[test]
    fn callers_do_not_share_and_zero_refuses_all() {
        let limit = sliding(Some(1));
        let now = crate::clock::instant();
        assert_eq!(limit.admit(Caller::App(App::Reading), now), Ok(()));
        assert_eq!(limit.admit(Caller::Person(4), now), Ok(()));
        assert!(limit.admit(Caller::Person(4), now).is_err());
        assert_eq!(sliding(Some(0)).admit(caller(), now), Err(60));
        assert_eq!(sliding(None).admit(caller(), now), Ok(()));
    }

    #[test]
    fn a_bucket_fills_evenly() {
        let style = RateLimitStyle::TokenBucket { burst: 3 };
        let limit = RateLimit::new(Rate { calls_per_minute: Some(120), style });
        let start = crate::clock::instant();
        let admitted = |secs: f64, calls: u32| {
            let at = start + Duration::from_secs_f64(secs);
            (0..calls).filter(|_| limit.admit(caller(), at).is_ok()).count()
        };
        assert_eq!(admitted(0.0, 9), 3);
        assert_eq!(limit.admit(caller(), start), Err(1));
        assert_eq!([admitted(0.4, 2), admitted(0.5, 2), admitted(1.5, 9)], [0, 1, 2]);
        assert_eq!(admitted(600.0, 9), 3, "it holds no more than its burst");
        // Two calls a second, however many are sent.
        let tenths = (0..600).map(|n| admitted(700.0 + f64::from(n) / 10.0, 1)).sum::<usize>();
        assert_eq!(tenths, 3 + 119);
    }

    #[test]
    fn another_limit_starts_afresh() {
        let limit = sliding(Some(1));
        let now = crate::clock::instant();
        assert_eq!((limit.admit(caller(), now), limit.admit(caller(), now)), (Ok(()), Err(60)));
        limit.set(Rate { calls_per_minute: Some(1), style: RateLimitStyle::TokenBucket { burst: 0 } });
        assert_eq!((limit.admit(caller(), now), limit.admit(caller(), now)), (Ok(()), Err(1)));
        limit.set(Rate { calls_per_minute: None, style: RateLimitStyle::Sliding });
        assert_eq!(limit.admit(caller(), now), Ok(()));
    }
}
