//! Named kinds of faults, for a test that tries them one after the other.
//!
//! They are grouped by the correct reaction of a client, because such a test checks the reaction. Each kind hits every matching
//! call; [`Fault::at`] limits it to a share of them.

use super::{Effect, Fault};

impl Fault {
    /// Faults that a client repairs by repeating, by renewing the token or by continuing: the extraction ends with the complete
    /// truth.
    pub fn healable() -> Vec<(&'static str, Fault)> {
        let repeatable = |effect| Fault { max_consecutive: Some(2), effect, ..Fault::default() };
        let events = |effect| Fault { path: "/2.0/events$".to_owned(), ..repeatable(effect) };
        let users = |effect| Fault { path: "/2.0/users$".to_owned(), ..repeatable(effect) };
        let lists =
            |effect| Fault { path: "/2.0/".to_owned(), method: "GET".to_owned(), effect, ..Fault::default() };
        vec![
            ("throttled", repeatable(status(429, Some("1")))),
            ("throttled_without_a_hint", repeatable(status(429, None))),
            ("internal_error", repeatable(status(500, None))),
            ("bad_gateway", repeatable(Effect::Html { status: 502 })),
            ("unavailable", repeatable(status(503, None))),
            ("unavailable_for_a_second", repeatable(status(503, Some("1")))),
            ("gateway_timeout", repeatable(status(504, None))),
            ("dropped_connection", repeatable(Effect::DroppedConnection)),
            ("dropped_answer", repeatable(Effect::DroppedAnswer)),
            ("truncated_body", repeatable(Effect::TruncatedBody)),
            ("malformed_json", repeatable(Effect::MalformedJson)),
            ("trickle", repeatable(Effect::Trickle { ms: 500 })),
            ("expired_token", Fault { max_consecutive: Some(2), ..lists(Effect::ExpiredToken) }),
            (
                "token_clock_skew",
                Fault { path: "/oauth2/token".to_owned(), ..repeatable(Effect::DateSkew { secs: -240 }) },
            ),
            // Two times only: each refusal restarts the listing, and a listing that is always refused never ends.
            (
                "refused_marker",
                Fault { query: "&marker=".to_owned(), times: Some(2), ..users(status(400, None)) },
            ),
            ("empty_user_pages", users(Effect::EmptyPage)),
            ("empty_event_pages", events(Effect::EmptyPage)),
            ("repeated_event_pages", events(Effect::RepeatedPage)),
            ("zero_position", events(Effect::ZeroPosition)),
            ("odd_entries", lists(Effect::OddEntries)),
            ("ghosts_in_totals", lists(Effect::GhostTotal { rows: 1300 })),
        ]
    }

    /// Faults that an extraction must notice. It must not publish anything while they last. They are meant for a share of 1.0:
    /// a feed that is silent for one page looks like its end. Missing rows are found by comparison with an earlier run. A
    /// repeated marker only shows in a listing of several pages. A clock error does not show if the client is given its time.
    pub fn unhealable() -> Vec<(&'static str, Fault)> {
        let on = |path: &str, effect| Fault { path: path.to_owned(), effect, ..Fault::default() };
        let refusal = r#"{"error":"invalid_grant","error_description":"Grant credentials are invalid"}"#;
        let refused =
            Effect::Status { status: 400, retry_after: None, code: None, body: Some(refusal.to_owned()) };
        vec![
            ("refused_credentials", on("/oauth2/token", refused)),
            ("tokens_never_good", on("/2.0/", status(401, None))),
            ("closed_users", on("/2.0/users$", status(403, None))),
            ("closed_groups", on("/2.0/groups$", status(403, None))),
            ("unavailable_for_good", on("/2.0/users$", status(503, None))),
            ("malformed_for_good", on("/2.0/users$", Effect::MalformedJson)),
            ("same_marker", on("/2.0/users$", Effect::SameMarker)),
            ("no_users", on("/2.0/users$", Effect::PartialList { share: 1.0 })),
            ("partial_users", on("/2.0/users$", Effect::PartialList { share: 0.3 })),
            ("partial_groups", on("/2.0/groups$", Effect::PartialList { share: 0.5 })),
            ("silent_feed", on("/2.0/events$", Effect::Silence)),
            ("clock_skew", on("", Effect::DateSkew { secs: 3600 })),
        ]
    }

    /// Objects that disappear between the list and the request for them. The run can be published and has the data it received.
    /// The next run without a fault has the truth.
    pub fn passing() -> Vec<(&'static str, Fault)> {
        let on = |path: &str, effect| Fault {
            path: path.to_owned(),
            method: "GET".to_owned(),
            effect,
            ..Fault::default()
        };
        let (aliases, members) = ("/2.0/users/*/email_aliases$", "/2.0/groups/*/memberships$");
        vec![
            ("vanishing_users", on(aliases, Effect::Vanish { announced: true })),
            ("users_vanishing_silently", on(aliases, Effect::Vanish { announced: false })),
            ("vanishing_groups", on(members, Effect::Vanish { announced: true })),
            ("missing_users", on(aliases, status(404, None))),
            ("missing_groups", on(members, status(404, None))),
        ]
    }
}

fn status(status: u16, retry_after: Option<&str>) -> Effect {
    Effect::Status { status, retry_after: retry_after.map(str::to_owned), code: None, body: None }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_kept_apart_and_faults_read_back() {
        let all = [Fault::healable(), Fault::unhealable(), Fault::passing()].concat();
        let names: HashSet<&str> = all.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), all.len());
        for (name, fault) in all {
            let text = serde_json::to_string(&fault).expect("JSON");
            assert_eq!(serde_json::from_str::<Fault>(&text).expect(name), fault);
            let rare = fault.clone().at(0.05, 7);
            assert_eq!((rare.share, rare.seed, rare.effect), (0.05, Some(7), fault.effect));
        }
    }
}
