//! The state that all requests share: the enterprise and the parts around it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::auth::Tokens;
use crate::chance::{self, About};
use crate::clock;
use crate::config::{Config, EndMarker};
use crate::faults::Faults;
use crate::jwt::Assertions;
use crate::rate_limit::{Rate, RateLimit};
use crate::recorder::Recorder;
use crate::routes;
use crate::world::World;

/// The running state, shared by all connections.
pub(crate) struct Shared {
    pub(crate) config: Config,
    world: RwLock<World>,
    pub(crate) tokens: Tokens,
    pub(crate) assertions: Assertions,
    pub(crate) rate_limit: RateLimit,
    pub(crate) faults: Faults,
    pub(crate) recorder: Recorder,
    started: Instant,
    listings_ended: AtomicU64,
    requests: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        Shared {
            tokens: Tokens::default(),
            assertions: Assertions::default(),
            rate_limit: RateLimit::new(Rate {
                calls_per_minute: config.calls_per_minute,
                style: config.rate_limit_style,
            }),
            faults: Faults::new(config.seed, &config.faults),
            recorder: Recorder::new(routes::ENDPOINTS, config.record_requests),
            started: clock::instant(),
            listings_ended: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            world: RwLock::new(World::new(config.clone())),
            config,
        }
    }

    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        unpoisoned(self.world.read())
    }

    pub(crate) fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        unpoisoned(self.world.write())
    }

    /// Time since the simulator started.
    pub(crate) fn age(&self) -> Duration {
        clock::instant().saturating_duration_since(self.started)
    }

    /// The same in whole seconds, which markers contain.
    pub(crate) fn age_secs(&self) -> u32 {
        self.age().as_secs() as u32
    }

    /// The form of the end of this listing.
    pub(crate) fn end_marker(&self) -> EndMarker {
        match self.config.end_marker {
            EndMarker::Varied => match self.listings_ended.fetch_add(1, Ordering::Relaxed) % 3 {
                0 => EndMarker::Empty,
                1 => EndMarker::Absent,
                _ => EndMarker::Null,
            },
            fixed => fixed,
        }
    }

    /// The two ids of the next response: the id in an error body, and the id in the `box-request-id` header.
    pub(crate) fn request_ids(&self) -> (String, String) {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        let word = |k: u64| chance::mix(self.config.seed, About::RequestId, n * 2 + k);
        (format!("{:016x}", word(0)), format!("0{:016x}", word(1)))
    }
}

/// The value behind a lock, even if a thread panicked while holding it. Every change here is complete or harmless.
pub(crate) fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}
