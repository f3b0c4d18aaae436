//! Counts of calls, which are always kept, and the newest requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::shared::unpoisoned;

/// One request as the simulator received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Milliseconds from the start of the simulator (system clock) to the arrival of the call.
    pub at_ms: u64,
    /// HTTP method.
    pub method: String,
    /// Path, e.g. `/2.0/users`.
    pub path: String,
    /// Query without the question mark, still percent-encoded.
    pub query: String,
    /// Status of the response; 0 if the connection was dropped instead.
    pub status: u16,
    /// Whether the call had a valid token.
    pub authenticated: bool,
    /// Whether a fault hit the call.
    pub faulted: bool,
}

/// Calls as Box would count them: all calls, including token requests, errors and retries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All calls.
    pub calls: u64,
    /// Calls with a 2xx response.
    pub ok: u64,
    /// Calls with a 429 response.
    pub throttled: u64,
    /// Calls with any other response or none.
    pub errors: u64,
    /// Calls that a fault hit, whatever the response was.
    pub faulted: u64,
    /// The maximum number of calls in progress at the same time.
    pub most_at_once: u64,
    /// The same for each method and endpoint, e.g. `GET /users/{user_id}/email_aliases`. Only endpoints with calls.
    pub by_endpoint: BTreeMap<String, EndpointCounts>,
}

/// Calls of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointCounts {
    /// All calls.
    pub calls: u64,
    /// Calls with a 2xx response.
    pub ok: u64,
    /// Calls with a 429 response.
    pub throttled: u64,
    /// Calls with any other response or none.
    pub errors: u64,
}

/// Keeps the counts and the newest requests.
pub(crate) struct Recorder {
    endpoints: Vec<Endpoint>,
    in_work: AtomicU64,
    most_at_once: AtomicU64,
    faulted: AtomicU64,
    newest: Mutex<VecDeque<Recorded>>,
    capacity: usize,
}

struct Endpoint {
    method: &'static str,
    path: &'static str,
    name: String,
    ok: AtomicU64,
    throttled: AtomicU64,
    errors: AtomicU64,
}

/// Method and path of calls to unknown endpoints.
const ELSEWHERE: (&str, &str) = ("", "");

impl Recorder {
    /// `endpoints` are methods and path patterns. All other calls are counted together as `elsewhere`.
    pub(crate) fn new(endpoints: &[(&'static str, &'static str)], capacity: usize) -> Self {
        let named = endpoints.iter().chain([&ELSEWHERE]).map(|(method, path)| Endpoint {
            method,
            path,
            name: match *method {
                "" => "elsewhere".to_owned(),
                method => format!("{method} {}", path.strip_prefix("/2.0").unwrap_or(path)),
            },
            ok: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        });
        let endpoints = named.collect();
        let zero = || AtomicU64::new(0);
        let (in_work, most_at_once, faulted) = (zero(), zero(), zero());
        Recorder { endpoints, in_work, most_at_once, faulted, newest: Mutex::default(), capacity }
    }

    /// Counts a call as in progress until the guard is dropped. This also happens when the client closes the connection.
    pub(crate) fn in_work(&self) -> InWork<'_> {
        let now = self.in_work.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        InWork(&self.in_work)
    }

    pub(crate) fn count(&self, method: &str, pattern: Option<&str>, status: u16, is_faulted: bool) {
        self.faulted.fetch_add(is_faulted.into(), Ordering::Relaxed);
        let is_it = |endpoint: &&Endpoint| endpoint.method == method && Some(endpoint.path) == pattern;
        let Some(endpoint) = self.endpoints.iter().find(is_it).or(self.endpoints.last()) else { return };
        let counter = match status {
            200..300 => &endpoint.ok,
            429 => &endpoint.throttled,
            _ => &endpoint.errors,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Stores a request and drops the oldest one when full. The closure runs only if requests are stored at all.
    pub(crate) fn remember(&self, request: impl FnOnce() -> Recorded) {
        if self.capacity == 0 {
            return;
        }
        let request = request();
        let mut newest = unpoisoned(self.newest.lock());
        if newest.len() == self.capacity {
            newest.pop_front();
        }
        newest.push_back(request);
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        unpoisoned(self.newest.lock()).iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        let most_at_once = self.most_at_once.load(Ordering::Relaxed);
        let faulted = self.faulted.load(Ordering::Relaxed);
        let mut counts = Counts { most_at_once, faulted, ..Counts::default() };
        for endpoint in &self.endpoints {
            let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let (ok, throttled, errors) =
                (load(&endpoint.ok), load(&endpoint.throttled), load(&endpoint.errors));
            let calls = ok + throttled + errors;
            if calls > 0 {
                counts.calls += calls;
                counts.ok += ok;
                counts.throttled += throttled;
                counts.errors += errors;
                counts
                    .by_endpoint
                    .insert(endpoint.name.clone(), EndpointCounts { calls, ok, throttled, errors });
            }
        }
        counts
    }

    /// Deletes requests and counts.
    pub(crate) fn reset(&self) {
        unpoisoned(self.newest.lock()).clear();
        self.most_at_once.store(0, Ordering::Relaxed);
        self.faulted.store(0, Ordering::Relaxed);
        for endpoint in &self.endpoints {
            for counter in [&endpoint.ok, &endpoint.throttled, &endpoint.errors] {
                counter.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// A call in progress.
pub(crate) struct InWork<'a>(&'a AtomicU64);

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_endpoint_and_forgets_the_oldest() {
        let recorder = Recorder::new(&[("GET", "/2.0/users")], 2);
        let (one, two) = (recorder.in_work(), recorder.in_work());
        drop((one, two));
        assert_eq!(recorder.counts().most_at_once, 2);
        recorder.count("GET", Some("/2.0/users"), 200, true);
        recorder.count("GET", Some("/2.0/users"), 429, true);
        recorder.count("GET", None, 404, false);
        let counts = recorder.counts();
        assert_eq!((counts.calls, counts.ok, counts.throttled, counts.errors), (3, 1, 1, 1));
        assert_eq!((counts.by_endpoint["GET /users"].calls, counts.faulted), (2, 2));
        assert_eq!(counts.by_endpoint["elsewhere"].errors, 1);
        for n in 0..3u16 {
            let path = n.to_string();
            recorder.remember(|| Recorded {
                at_ms: 0,
                method: "GET".into(),
                path,
                query: String::new(),
                status: 200,
                authenticated: true,
                faulted: false,
            });
        }
        assert_eq!(recorder.requests()[0].path, "1");
        recorder.reset();
        assert_eq!(recorder.counts(), Counts::default());
    }
}
