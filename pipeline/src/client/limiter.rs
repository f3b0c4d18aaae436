//! One pace for everybody.
//!
//! Box allows 1,000 calls a minute per user (<https://developer.box.com/guides/api-calls/permissions-and-errors/rate-limits/>).
//! The quota lets a small burst through and then one call per interval: a plain per-minute quota would let almost twice the
//! allowance through in its first minute. A 429 pauses all tasks for its `Retry-After`.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

/// Calls that may go out at once before the pace applies.
const BURST: NonZeroU32 = NonZeroU32::new(25).expect("25 is not zero");

/// The shared limiter.
pub struct Limiter {
    /// Held while waiting, so that calls go out one by one and in order.
    turnstile: Mutex<()>,
    pace: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    clock: TokioClock,
    paused_until: std::sync::Mutex<Option<Instant>>,
    waited_millis: AtomicU64,
}

impl Limiter {
    /// A limiter of so many calls a minute.
    pub fn new(calls_per_minute: NonZeroU32) -> Self {
        let clock = TokioClock { start: Instant::now() };
        Self {
            turnstile: Mutex::new(()),
            pace: RateLimiter::direct_with_clock(
                Quota::per_minute(calls_per_minute).allow_burst(BURST),
                clock,
            ),
            clock,
            paused_until: std::sync::Mutex::new(None),
            waited_millis: AtomicU64::new(0),
        }
    }

    /// Waits until one more call may go out.
    pub async fn admit(&self) {
        let _turn = self.turnstile.lock().await;
        loop {
            if let Some(until) = self.pause() {
                sleep_until(until).await;
                continue;
            }
            match self.pace.check() {
                Ok(()) => return,
                Err(not_until) => sleep(not_until.wait_time_from(self.clock.now())).await,
            }
        }
    }

    /// Stops everybody for `duration` from now; a longer pause already running stays. Gives the seconds this adds.
    pub fn pause_for(&self, duration: Duration) -> u64 {
        let now = Instant::now();
        let mut paused = self.paused_until.lock().expect("no holder panics");
        let running = paused.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let added = duration.saturating_sub(running);
        if !added.is_zero() {
            // A wait of centuries is as good as none that ends.
            *paused = now.checked_add(duration).or(*paused);
            self.waited_millis
                .fetch_add(u64::try_from(added.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        added.as_secs_f64().round() as u64
    }

    /// Seconds all tasks have stood still so far.
    pub fn waited_seconds(&self) -> u64 {
        self.waited_millis.load(Ordering::Relaxed) / 1000
    }

    fn pause(&self) -> Option<Instant> {
        let mut paused = self.paused_until.lock().expect("no holder panics");
        if paused.is_some_and(|until| until <= Instant::now()) {
            *paused = None;
        }
        *paused
    }
}

/// governor's clock over tokio's, so that tests move time instead of sleeping.
#[derive(Clone, Copy)]
struct TokioClock {
    start: Instant,
}

impl governor::clock::Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(calls_per_minute: u32) -> Limiter {
        Limiter::new(NonZeroU32::new(calls_per_minute).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_than_box_allows_and_few_less() {
        let (limiter, start) = (limiter(950), Instant::now());
        let mut admitted = Vec::new();
        while start.elapsed() < Duration::from_secs(180) {
            limiter.admit().await;
            admitted.push(start.elapsed());
        }
        let busiest = (0..admitted.len())
            .map(|first| {
                admitted[first..]
                    .iter()
                    .take_while(|at| **at < admitted[first] + Duration::from_secs(60))
                    .count()
            })
            .max()
            .unwrap();
        assert!(busiest <= 1000, "{busiest} calls in one minute");
        assert!(admitted.len() >= 3 * 950 * 97 / 100, "only {} calls in three minutes", admitted.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everybody_and_the_longer_one_wins() {
        let (limiter, start) = (limiter(60_000), Instant::now());
        assert_eq!(limiter.pause_for(Duration::from_secs(30)), 30);
        assert_eq!(limiter.pause_for(Duration::from_secs(10)), 0);
        tokio::join!(limiter.admit(), limiter.admit());
        assert!(start.elapsed() >= Duration::from_secs(30));
        assert_eq!(limiter.waited_seconds(), 30);
    }
}
