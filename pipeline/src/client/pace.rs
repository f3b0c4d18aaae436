//! The part of the configured pace that Box accepts: it drops after a 429 and recovers slowly.
//!
//! Box may throttle below its published limit at its own discretion
//! (<https://developer.box.com/guides/api-calls/permissions-and-errors/rate-limits/>). Then the pace settles just below the accepted
//! rate: each 429 reduces it by seven per cent, and each second without one adds a tenth of a per cent. So a settled pace meets a
//! 429 about once in 70 seconds, and loses three or four per cent on average.

use std::time::Duration;

use tokio::time::Instant;

/// The share of the configured pace in use.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The share after the last drop, and when it may start to rise. `None`: no call was refused yet.
    dropped: Option<(f64, Instant)>,
}

impl Pace {
    /// The share at `now`, above 0 and at most 1.
    pub(super) fn share(&self, now: Instant) -> f64 {
        let Some((share, since)) = self.dropped else { return 1.0 };
        let climbed = share * CLIMB_A_SECOND.powf(now.saturating_duration_since(since).as_secs_f64());
        climbed.min(1.0)
    }

    /// A call was refused, and all callers stop for `pause`. Refusals during an earlier pause change nothing: their calls were sent before
    /// it.
    pub(super) fn refused(&mut self, now: Instant, pause: Duration) {
        if self.dropped.is_some_and(|(_, until)| now < until) {
            return;
        }
        let share = (self.share(now) * DROP).max(LEAST);
        self.dropped = Some((share, now.checked_add(pause).unwrap_or(now)));
    }
}

/// A refusal multiplies the share by this factor.
const DROP: f64 = 0.93;
/// The share grows by this factor per second without a refusal: from 0.93 to 1 in 73 seconds.
const CLIMB_A_SECOND: f64 = 1.001;
/// The minimum share: even if Box refuses every call, the pace stays at one twenty-fifth. A call then takes the whole burst of the quota.
const LEAST: f64 = 0.04;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusal_reduces_the_pace_by_seven_per_cent_for_a_minute() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.share(start), 1.0);
        pace.refused(start, Duration::from_secs(1));
        // Calls that were in flight get the same refusal.
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
