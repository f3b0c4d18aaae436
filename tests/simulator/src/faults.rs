//! Trouble on demand: one small rule type covers outages, throttling, odd bodies, delays and dropped connections.
//!
//! Rules are tried in order; the first that matches and still has calls left decides. A rule is counted against every call
//! that matches its path, whether or not it fires, so `after` and `share` are reproducible.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::chance::{self, About};
use crate::shared::unpoisoned;

/// One fault. The default matches every call and changes nothing; name what should go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Prefix of the path, e.g. `/2.0/users`. Empty matches everything, token requests included.
    pub path: String,
    /// HTTP method, e.g. `GET`. Empty matches every method.
    pub method: String,
    /// Text the query must contain, e.g. `stream_position=`. Empty matches every query.
    pub query: String,
    /// Matching calls to let through first.
    pub after: u32,
    /// How many times to fire; `None` for as long as the rule stands.
    pub times: Option<u32>,
    /// Share of matching calls that are hit, by seeded chance (1.0 = each).
    pub share: f64,
    /// Milliseconds to wait before answering.
    pub delay_ms: u64,
    /// What happens in place of the true answer.
    pub effect: Effect,
}

/// What a fired fault does to the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Nothing (useful with `delay_ms`).
    #[default]
    None,
    /// Another status with Box's error body, or with `body` word for word; the call does not take place.
    Status {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, as written (seconds, or anything odd).
        #[serde(default)]
        retry_after: Option<String>,
        /// `code` of the error body; derived from the status when absent.
        #[serde(default)]
        code: Option<String>,
        /// A body instead of Box's error body.
        #[serde(default)]
        body: Option<String>,
    },
    /// A gateway's HTML page with this status.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// The true answer, cut in the middle: a complete HTTP message around half a JSON document.
    MalformedJson,
    /// The true answer, but the connection dies in the middle of the body.
    TruncatedBody,
    /// The call takes place, and the connection dies before a single byte of the answer.
    DroppedAnswer,
    /// The connection dies before the call takes place.
    DroppedConnection,
}

impl Default for Fault {
    fn default() -> Self {
        Fault {
            path: String::new(),
            method: String::new(),
            query: String::new(),
            after: 0,
            times: None,
            share: 1.0,
            delay_ms: 0,
            effect: Effect::None,
        }
    }
}

impl Fault {
    /// The next `times` calls under `path` answer with `status`.
    pub fn status(path: &str, times: u32, status: u16) -> Self {
        Fault::once(path, times, Effect::Status { status, retry_after: None, code: None, body: None })
    }

    /// The next `times` calls under `path` are throttled for `retry_after_secs`.
    pub fn throttle(path: &str, times: u32, retry_after_secs: u32) -> Self {
        let retry_after = Some(retry_after_secs.to_string());
        Fault::once(path, times, Effect::Status { status: 429, retry_after, code: None, body: None })
    }

    /// The next `times` calls under `path` suffer `effect`.
    pub fn once(path: &str, times: u32, effect: Effect) -> Self {
        Fault { path: path.to_owned(), times: Some(times), effect, ..Fault::default() }
    }

    fn matches(&self, method: &str, path: &str, query: &str) -> bool {
        path.starts_with(&self.path)
            && (self.method.is_empty() || self.method.eq_ignore_ascii_case(method))
            && (self.query.is_empty() || query.contains(&self.query))
    }
}

/// The armed faults of a running stand-in.
pub(crate) struct Faults {
    seed: u64,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    armed: Vec<Armed>,
    ever_armed: u64,
}

struct Armed {
    fault: Fault,
    number: u64,
    seen: u32,
    fired: u32,
}

/// What the gate must do for this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fired {
    pub(crate) delay_ms: u64,
    pub(crate) effect: Effect,
}

impl Faults {
    pub(crate) fn new(seed: u64, faults: &[Fault]) -> Self {
        let new = Faults { seed, rules: Mutex::default() };
        for fault in faults {
            new.add(fault.clone());
        }
        new
    }

    pub(crate) fn add(&self, fault: Fault) {
        let mut rules = unpoisoned(self.rules.lock());
        rules.ever_armed += 1;
        let number = rules.ever_armed;
        rules.armed.push(Armed { fault, number, seen: 0, fired: 0 });
    }

    pub(crate) fn clear(&self) {
        unpoisoned(self.rules.lock()).armed.clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        unpoisoned(self.rules.lock()).armed.iter().map(|armed| armed.fault.clone()).collect()
    }

    /// The fault that hits this call, if any.
    pub(crate) fn strike(&self, method: &str, path: &str, query: &str) -> Option<Fired> {
        let mut rules = unpoisoned(self.rules.lock());
        for armed in &mut rules.armed {
            if !armed.fault.matches(method, path, query) {
                continue;
            }
            let turn = armed.seen;
            armed.seen = armed.seen.saturating_add(1);
            let spent = armed.fault.times.is_some_and(|times| armed.fired >= times);
            let number = (armed.number << 32) | u64::from(turn);
            if turn < armed.fault.after
                || spent
                || !chance::happens(self.seed, About::Fault, number, armed.fault.share)
            {
                continue;
            }
            armed.fired += 1;
            return Some(Fired { delay_ms: armed.fault.delay_ms, effect: armed.fault.effect.clone() });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_after_and_times() {
        let fault = Fault { after: 1, ..Fault::status("/2.0/users", 2, 503) };
        let faults = Faults::new(1, &[fault]);
        let hits: Vec<bool> = (0..5).map(|_| faults.strike("GET", "/2.0/users", "").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(faults.strike("GET", "/2.0/groups", "").is_none());
    }

    #[test]
    fn a_share_is_repeatable() {
        let run = || {
            let faults =
                Faults::new(9, &[Fault { share: 0.3, effect: Effect::MalformedJson, ..Fault::default() }]);
            (0..200).map(|_| faults.strike("GET", "/x", "").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let hits = run().iter().filter(|hit| **hit).count();
        assert!((40..80).contains(&hits), "{hits}");
    }

    #[test]
    fn reads_from_json() {
        let text = r#"{"path":"/2.0/events","times":1,"effect":{"status":{"status":503,"retry_after":"2"}}}"#;
        let fault: Fault = serde_json::from_str(text).expect("a fault");
        assert!(matches!(fault.effect, Effect::Status { status: 503, .. }));
        let fault: Fault = serde_json::from_str(r#"{"effect":"dropped_connection"}"#).expect("a fault");
        assert_eq!(fault.effect, Effect::DroppedConnection);
    }
}
