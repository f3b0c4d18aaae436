//! Trouble on demand: one small rule type covers outages, throttling, odd bodies, delays and dropped connections.
//!
//! Rules are tried in order; the first that matches and still has calls left decides. A rule is counted against every call
//! that matches its path, whether or not it fires, so `after` and `share` are reproducible.

mod armed;
mod kinds;

use serde::{Deserialize, Serialize};

pub(crate) use armed::{Faults, Fired};

/// One fault. The default matches every call and changes nothing; name what should go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Prefix of the path, e.g. `/2.0/users`; `*` stands for one segment and `$` for the end, so that
    /// `/2.0/users/*/email_aliases` is the aliases of anybody and `/2.0/users$` the list alone. Empty matches everything,
    /// token requests included.
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
    /// A seed of the rule's own: whether a call is hit then follows from what is asked and how often it was asked before,
    /// whatever else goes on at the same time. `None`: from the stand-in's seed and the order in which calls come in.
    pub seed: Option<u64>,
    /// How often in a row the same question (method, path and query) is hit at most, so that a client that repeats itself
    /// gets through. `None`: no cap.
    pub max_consecutive: Option<u32>,
    /// Milliseconds to wait before answering.
    pub delay_ms: u64,
    /// What happens in place of the true answer.
    pub effect: Effect,
}

/// What a fired fault does to the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The call takes place, and a gateway that did not wait for it answers with its own page: a 504 while a transfer goes
    /// on, a 503 after a deletion.
    HtmlAnswer {
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
    /// The true answer, a little at a time.
    Trickle {
        /// Milliseconds from the first byte to the last.
        ms: u64,
    },
    /// The token of the call stops working, for this call and for every later one. A developer token never does.
    ExpiredToken,
    /// The true answer, dated wrongly.
    DateSkew {
        /// Seconds added to the system clock in the `Date` header.
        secs: i64,
    },
    /// Whom the path names (`/users/{id}/…`, `/groups/{id}/…`) is deleted before the call takes place, as by
    /// [`crate::Act::DeleteUser`] and [`crate::Act::DeleteGroup`].
    Vanish {
        /// Whether DELETE_USER or GROUP_DELETION follows.
        announced: bool,
    },
    /// `entries` as an object keyed by index, or as null where there are none.
    OddEntries,
    /// A `total_count` that is too large, of a list with rows.
    GhostTotal {
        /// By how much.
        rows: u64,
    },
    /// A list without a share of its rows, the same on every page and in every answer, as after a cut in the application's
    /// access. Whatever counts rows still counts them.
    PartialList {
        /// Share of rows left out (0.0 to 1.0), by their ids.
        share: f64,
    },
    /// A page without rows, and more to follow, where there are rows and a marker or a position leads on; a page at the same
    /// place comes empty once.
    EmptyPage,
    /// A page of `admin_logs` whose next position leads to the same events again, once.
    RepeatedPage,
    /// An empty page of `admin_logs` with the next position 0, which restarts the whole history for a client that adopts it.
    ZeroPosition,
    /// A page of users whose `next_marker` is the one that was sent. A first page is as it should be.
    SameMarker,
    /// A page of events as from a feed that says nothing and reports no error: no events, and no way on.
    Silence,
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
            seed: None,
            max_consecutive: None,
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

    /// The same, hitting a share of the matching calls by a seed of its own. Rules with the same seed draw alike: armed together
    /// they hit the same questions, one rule after the other.
    pub fn at(self, share: f64, seed: u64) -> Self {
        Fault { share, seed: Some(seed), ..self }
    }

    fn matches(&self, method: &str, path: &str, query: &str) -> bool {
        begins(path, &self.path)
            && (self.method.is_empty() || self.method.eq_ignore_ascii_case(method))
            && (self.query.is_empty() || query.contains(&self.query))
    }
}

impl Effect {
    /// What is wrong with the page, where the page itself must see to it.
    pub(crate) fn twist(&self) -> Option<Twist> {
        match self {
            Effect::EmptyPage => Some(Twist::Empty),
            Effect::RepeatedPage => Some(Twist::Repeated),
            Effect::ZeroPosition => Some(Twist::ZeroPosition),
            Effect::SameMarker => Some(Twist::SameMarker),
            Effect::Silence => Some(Twist::Silent),
            _ => None,
        }
    }
}

/// What is wrong with a page that a fault hit; a page it does not apply to is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    Empty,
    Repeated,
    ZeroPosition,
    SameMarker,
    Silent,
}

/// Whether a path begins as the pattern says: `*` stands for one segment, `$` for the end.
fn begins(path: &str, pattern: &str) -> bool {
    let mut rest = path;
    for (n, part) in pattern.split('*').enumerate() {
        if n > 0 {
            let segment = rest.find('/').unwrap_or(rest.len());
            if segment == 0 {
                return false;
            }
            rest = &rest[segment..];
        }
        let (part, is_end) = part.strip_suffix('$').map_or((part, false), |part| (part, true));
        match rest.strip_prefix(part) {
            Some(more) if more.is_empty() || !is_end => rest = more,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_as_the_pattern_says() {
        for (pattern, path, fits) in [
            ("", "/oauth2/token", true),
            ("/2.0/users", "/2.0/users/7/email_aliases", true),
            ("/2.0/users$", "/2.0/users", true),
            ("/2.0/users$", "/2.0/users/7", false),
            ("/2.0/users/*", "/2.0/users/7/email_aliases", true),
            ("/2.0/users/*", "/2.0/users/", false),
            ("/2.0/users/*$", "/2.0/users/7", true),
            ("/2.0/users/*$", "/2.0/users/7/email_aliases", false),
            ("/2.0/*/*/memberships", "/2.0/groups/7/memberships", true),
            ("/2.0/*/*/memberships", "/2.0/groups/7", false),
        ] {
            assert_eq!(begins(path, pattern), fits, "{pattern} {path}");
        }
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
