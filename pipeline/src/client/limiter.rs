//! One pace for all callers.
//!
//! Box allows 1,000 calls a minute per user (<https://developer.box.com/guides/api-calls/permissions-and-errors/rate-limits/>).
//! The quota allows a small burst and then one call per interval. A plain quota per minute would allow almost twice as many calls in its
//! first minute. A 429 pauses all tasks for its `Retry-After`, and reduces the pace: at a reduced pace, each call takes more cells of the
//! same quota.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::pace::Pace;

/// Calls that may be sent at once before the pace applies.
const BURST: NonZeroU32 = NonZeroU32::new(25).expect("25 is not zero");

/// Cells of the quota that a call takes at full pace. At a reduced pace a call takes more.
const CELLS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not zero");

/// The shared limiter.
pub struct Limiter {
    /// Held while waiting, so that calls are sent one by one and in order.
    turnstile: Mutex<()>,
    pace: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    clock: TokioClock,
    share: std::sync::Mutex<Pace>,
    paused_until: std::sync::Mutex<Option<Instant>>,
    waited_millis: AtomicU64,
    /// Whether another process on this machine calls Box as the same application, and uses the other half of the pace.
    halved: AtomicBool,
}

impl Limiter {
    /// A limiter with a number of calls per minute.
    pub fn new(calls_per_minute: NonZeroU32) -> Self {
        let clock = TokioClock { start: Instant::now() };
        Self {
            turnstile: Mutex::new(()),
            pace: RateLimiter::direct_with_clock(
                Quota::per_minute(calls_per_minute.saturating_mul(CELLS))
                    .allow_burst(BURST.saturating_mul(CELLS)),
                clock,
            ),
            clock,
            share: std::sync::Mutex::default(),
            paused_until: std::sync::Mutex::new(None),
            waited_millis: AtomicU64::new(0),
            halved: AtomicBool::new(false),
        }
    }

    /// Sets whether this process uses only half of the pace and leaves the other half to another process.
    pub fn halve(&self, halved: bool) {
        self.halved.store(halved, Ordering::Relaxed);
    }

    /// Waits until one more call may be sent.
    pub async fn admit(&self) {
        let _turn = self.turnstile.lock().await;
        loop {
            if let Some(until) = self.pause() {
                sleep_until(until).await;
                continue;
            }
            match self.pace.check_n(self.cells()).expect("a call is never more cells than the burst") {
                Ok(()) => return,
                Err(not_until) => sleep(not_until.wait_time_from(self.clock.now())).await,
            }
        }
    }

    /// Box refused a call with 429: stops all callers for `duration`, and reduces the pace. Returns the seconds that the pause adds.
    pub fn throttled(&self, duration: Duration) -> u64 {
        self.share.lock().expect("no holder panics").refused(Instant::now(), duration);
        self.pause_for(duration)
    }

    /// Stops all callers for `duration` from now. A longer pause that is already running stays. Returns the seconds that this call adds.
    pub fn pause_for(&self, duration: Duration) -> u64 {
        let now = Instant::now();
        let mut paused = self.paused_until.lock().expect("no holder panics");
        let running = paused.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let added = duration.saturating_sub(running);
        if !added.is_zero() {
            // A pause of centuries overflows and is ignored, because it would never end.
            *paused = now.checked_add(duration).or(*paused);
            self.waited_millis
                .fetch_add(u64::try_from(added.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        added.as_secs_f64().round() as u64
    }

    /// Seconds for which all tasks have waited so far.
    pub fn waited_seconds(&self) -> u64 {
        self.waited_millis.load(Ordering::Relaxed) / 1000
    }

    /// Cells of the quota that a call takes at the current pace.
    fn cells(&self) -> NonZeroU32 {
        let share = self.share.lock().expect("no holder panics").share(Instant::now());
        let share = if self.halved.load(Ordering::Relaxed) { share / 2.0 } else { share };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between CELLS and 50 times CELLS"
        )]
        let cells = (f64::from(CELLS.get()) / share).round() as u32;
        NonZeroU32::new(cells.min(BURST.get() * CELLS.get())).unwrap_or(CELLS)
    }

    fn pause(&self) -> Option<Instant> {
        let mut paused = self.paused_until.lock().expect("no holder panics");
        if paused.is_some_and(|until| until <= Instant::now()) {
            *paused = None;
        }
        *paused
    }
}

/// governor's clock based on tokio's, so that tests move the time and do not sleep.
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
    async fn every_minute_stays_below_the_limit_and_near_it() {
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

    /// R17: while `sync` and reclamation both run, each takes half.
    #[tokio::test(start_paused = true)]
    async fn r17_half_the_pace_is_half_the_calls() {
        let (limiter, start) = (limiter(950), Instant::now());
        limiter.halve(true);
        let mut admitted = 0;
        while start.elapsed() < Duration::from_secs(120) {
            limiter.admit().await;
            admitted += 1;
        }
        assert!((2 * 460..=2 * 475 + 25).contains(&admitted), "{admitted} calls in two minutes");
        limiter.halve(false);
        let (start, mut admitted) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(60) {
            limiter.admit().await;
            admitted += 1;
        }
        assert!(admitted >= 920, "{admitted}");
    }

    /// A token bucket, which may be how Box throttles: it refills evenly, and refuses with `Retry-After: 1`.
    #[tokio::test(start_paused = true)]
    async fn pace_settles_just_below_a_throttle_of_sixty_per_cent() {
        const ALLOWED: f64 = 950.0 * 0.6;
        const BUCKET: f64 = 20.0;
        let (limiter, start) = (limiter(950), Instant::now());
        let (mut tokens, mut filled) = (BUCKET, start);
        let mut answers: Vec<(Duration, bool)> = Vec::new();
        while start.elapsed() < Duration::from_secs(20 * 60) {
            limiter.admit().await;
            tokens = (tokens + filled.elapsed().as_secs_f64() * ALLOWED / 60.0).min(BUCKET);
            filled = Instant::now();
            let let_through = tokens >= 1.0;
            if let_through {
                tokens -= 1.0;
            } else {
                limiter.throttled(Duration::from_secs(1));
            }
            answers.push((start.elapsed(), let_through));
        }
        let settled: Vec<bool> = answers
            .iter()
            .filter(|(at, _)| at.as_secs() >= 120)
            .map(|(_, let_through)| *let_through)
            .collect();
        let minutes = 18.0;
        let (through, refused) = settled.iter().fold((0.0, 0.0), |(through, refused), let_through| {
            if *let_through { (through + 1.0, refused) } else { (through, refused + 1.0) }
        });
        assert!(through >= 0.92 * ALLOWED * minutes, "{through} of {} let through", ALLOWED * minutes);
        assert!(refused <= minutes, "{refused} refused in {minutes} minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn pause_holds_all_callers_and_the_longer_one_wins() {
        let (limiter, start) = (limiter(60_000), Instant::now());
        assert_eq!(limiter.pause_for(Duration::from_secs(30)), 30);
        assert_eq!(limiter.pause_for(Duration::from_secs(10)), 0);
        tokio::join!(limiter.admit(), limiter.admit());
        assert!(start.elapsed() >= Duration::from_secs(30));
        assert_eq!(limiter.waited_seconds(), 30);
    }
}
