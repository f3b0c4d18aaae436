//! Faults on demand: one small rule type for outages, throttling, malformed bodies, delays and dropped connections.
//!
//! Rules are tried in order. The first rule that matches and has calls left applies. A rule counts every call that matches its
//! path, whether or not the fault fires, so `after` and `share` are reproducible.

mod armed;
mod kinds;

use serde::{Deserialize, Serialize};

pub(crate) use armed::{Faults, Fired};

/// One fault. The default matches every call and changes nothing. Set the fields of the fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Prefix of the path, e.g. `/2.0/users`. `*` is one segment and `$` is the end. So `/2.0/users/*/email_aliases` matches
    /// the aliases of every user, and `/2.0/users$` matches only the list. An empty prefix matches everything, including token
    /// requests.
    pub path: String,
    /// HTTP method, e.g. `GET`. Empty matches every method.
    pub method: String,
    /// Text the query must contain, e.g. `stream_position=`. Empty matches every query.
    pub query: String,
    /// Number of matching calls to let through first.
    pub after: u32,
    /// How many times the fault fires; `None`: without limit.
    pub times: Option<u32>,
    /// Share of matching calls that are hit, by seeded chance (1.0: every call).
    pub share: f64,
    /// A separate seed for this rule. Whether a call is hit then depends only on the request and on the number of earlier
    /// identical requests, not on other calls. `None`: it depends on the seed of the simulator and the order of calls.
    pub seed: Option<u64>,
    /// How often in a row the same request (method, path and query) is hit at most, so that a client that repeats it succeeds.
    /// `None`: no limit.
    pub max_consecutive: Option<u32>,
    /// Milliseconds to wait before the response.
    pub delay_ms: u64,
    /// What the fault does.
    pub effect: Effect,
}

/// What a fault does to the response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// No effect (useful with `delay_ms`).
    #[default]
    None,
    /// Another status with Box's error body, or with exactly `body`. The call is not executed.
    Status {
        /// The HTTP status.
        status: u16,
        /// `Retry-After` as text (seconds, or an invalid value).
        #[serde(default)]
        retry_after: Option<String>,
        /// `code` of the error body. The default follows from the status.
        #[serde(default)]
        code: Option<String>,
        /// A body in place of Box's error body.
        #[serde(default)]
        body: Option<String>,
    },
    /// A gateway's HTML page with this status.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// The call is executed, but a gateway that did not wait responds with its own page: a 504 while a transfer is still
    /// running, a 503 after a deletion.
    HtmlAnswer {
        /// The HTTP status.
        status: u16,
    },
    /// The correct response, cut in the middle: a complete HTTP message with half a JSON document.
    MalformedJson,
    /// The correct response, but the connection closes in the middle of the body.
    TruncatedBody,
    /// The call is executed, and the connection closes before the first byte of the response.
    DroppedAnswer,
    /// The connection closes before the call is executed.
    DroppedConnection,
    /// The correct response, sent slowly.
    Trickle {
        /// Milliseconds from the first byte to the last.
        ms: u64,
    },
    /// The token of the call becomes invalid, for this call and all later ones. A developer token stays valid.
    ExpiredToken,
    /// The correct response with a wrong date.
    DateSkew {
        /// Seconds added to the system clock in the `Date` header.
        secs: i64,
    },
    /// The user or group in the path (`/users/{id}/…`, `/groups/{id}/…`) is deleted before the call is executed, as by
    /// [`crate::Act::DeleteUser`] and [`crate::Act::DeleteGroup`].
    Vanish {
        /// Whether DELETE_USER or GROUP_DELETION follows.
        announced: bool,
    },
    /// `entries` as an object keyed by index, or as null if there are no rows.
    OddEntries,
    /// A list with rows gets a `total_count` that is too large.
    GhostTotal {
        /// Difference to the correct total.
        rows: u64,
    },
    /// A list without a share of its rows. The same rows are missing on every page and in every response, as after a reduction
    /// of the application's access. Totals still count these rows.
    PartialList {
        /// Share of missing rows (0.0 to 1.0), by their ids.
        share: f64,
    },
    /// A page without rows although more follow, for pages that have rows and a next marker or position. The same position is
    /// empty only once.
    EmptyPage,
    /// A page of `admin_logs` whose next position leads to the same events again, once.
    RepeatedPage,
    /// An empty page of `admin_logs` with the next position 0. A client that adopts it reads the whole history again.
    ZeroPosition,
    /// A page of users whose `next_marker` is the one that was sent. A first page is unchanged.
    SameMarker,
    /// A page of events as from a feed that returns nothing and reports no error: no events and no next position.
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
    /// The next `times` calls under `path` get `status`.
    pub fn status(path: &str, times: u32, status: u16) -> Self {
        Fault::once(path, times, Effect::Status { status, retry_after: None, code: None, body: None })
    }

    /// The next `times` calls under `path` are throttled for `retry_after_secs`.
    pub fn throttle(path: &str, times: u32, retry_after_secs: u32) -> Self {
        let retry_after = Some(retry_after_secs.to_string());
        Fault::once(path, times, Effect::Status { status: 429, retry_after, code: None, body: None })
    }

    /// The next `times` calls under `path` get `effect`.
    pub fn once(path: &str, times: u32, effect: Effect) -> Self {
        Fault { path: path.to_owned(), times: Some(times), effect, ..Fault::default() }
    }

    /// The same fault for a share of the matching calls, with its own seed. Rules with the same seed draw the same numbers: if
    /// they are active together, they hit the same requests, one rule after the other.
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
    /// The change to the page, for effects that the page itself must apply.
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

/// What a fault changes in a page. A page that the change does not apply to stays unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    Empty,
    Repeated,
    ZeroPosition,
    SameMarker,
    Silent,
}

/// Whether a path matches the prefix pattern: `*` is one segment, `$` is the end.
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
