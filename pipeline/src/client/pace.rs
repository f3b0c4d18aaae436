//! How much of the configured pace Box lets through: drops after a 429, climbs back slowly.
//!
//! Box may throttle below its published limit at its own discretion
//! (<https://developer.box.com/guides/api-calls/permissions-and-errors/rate-limits/>). Then the pace settles just under what is
//! let through: each 429 takes seven per cent off, each second without one gives a tenth of a per cent back, so that a settled
//! pace meets a 429 about once in 70 seconds and loses three or four per cent on average.

use std::time::Duration;

use tokio::time::Instant;

/// The share of the configured pace in use.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The share after the last drop, and when it may begin to climb. `None`: nothing was refused yet.
    dropped: Option<(f64, Instant)>,
}

impl Pace {
    /// The share at `now`, above 0 and at most 1.
    pub(super) fn share(&self, now: Instant) -> f64 {
        let Some((share, since)) = self.dropped else { return 1.0 };
        let climbed = share * CLIMB_A_SECOND.powf(now.saturating_duration_since(since).as_secs_f64());
        climbed.min(1.0)
    }

    /// A call was refused, and all callers stop for `pause`. Calls that had been sent before tell nothing new.
    pub(super) fn refused(&mut self, now: Instant, pause: Duration) {
        if self.dropped.is_some_and(|(_, until)| now < until) {
            return;
        }
        let share = (self.share(now) * DROP).max(LEAST);
        self.dropped = Some((share, now.checked_add(pause).unwrap_or(now)));
    }
}

/// What a refusal leaves of the share.
const DROP: f64 = 0.93;
/// What a second without one makes of it: 0.93 becomes 1 again in 73 seconds.
const CLIMB_A_SECOND: f64 = 1.001;
/// However often Box refuses, one call in twenty-five is tried: a call then takes the quota's whole burst.
const LEAST: f64 = 0.04;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_costs_seven_per_cent_for_a_minute() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.share(start), 1.0);
        pace.refused(start, Duration::from_secs(1));
        // Those that were in flight say the same.
        pace.refused(start + Duration::from_millis(400), Duration::from_secs(1));
        assert!((pace.share(start) - 0.93).abs() < 1e-9);
        assert!(pace.share(start + Duration::from_secs(60)) < 1.0);
        assert_eq!(pace.share(start + Duration::from_secs(80)), 1.0);
        for second in 0..10_000 {
            pace.refused(start + Duration::from_secs(100 + second), Duration::from_millis(1));
        }
        assert!(pace.share(start + Duration::from_secs(10_100)) >= LEAST);
    }
}
