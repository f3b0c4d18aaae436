//! Each effect of a fault, tested with the running simulator, and each named kind, tested with a small reader.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::Value;

use super::{Client, entries, quick, text};
use crate::{Config, Effect, Fault, Running, start};

async fn stage() -> (Running, Client) {
    let running =
        start(Config { short_pages: 0.0, repeated_rows: 0.0, late_events: 0.0, ..quick() }).await.unwrap();
    let client = Client::of(&running).await;
    (running, client)
}

async fn with(effect: Effect, path: &str) -> (Running, Client) {
    let (running, client) = stage().await;
    running.add_fault(Fault::once(path, 1, effect));
    (running, client)
}

/// Seconds by which the date of a response is ahead.
fn ahead_secs(answer: &reqwest::Response) -> i64 {
    let date = DateTime::parse_from_rfc2822(answer.headers()["date"].to_str().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "dates of answers are real")]
    let now = Utc::now();
    (date.with_timezone(&Utc) - now).num_seconds()
}

#[tokio::test]
async fn a_body_may_trickle() {
    let (_running, client) = with(Effect::Trickle { ms: 300 }, "/2.0/users").await;
    let began = crate::clock::instant();
    let answer = client.answer("/users?limit=100").await.unwrap();
    let body = answer.bytes().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(290));
    assert_eq!(entries(&serde_json::from_slice(&body).unwrap()).len(), 100);
    let (_running, client) = with(Effect::Trickle { ms: 0 }, "/2.0/users/me").await;
    client.get("/users/me").await;
}

#[tokio::test]
async fn a_token_expires_on_the_way() {
    let (running, client) = with(Effect::ExpiredToken, "/2.0/groups").await;
    client.get("/users/me").await;
    let answer = client.answer("/groups").await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    assert_eq!(client.refusal("/users/me").await.0, 401, "for every later call");
    Client::of(&running).await.get("/groups").await;
}

#[tokio::test]
async fn an_answer_is_dated_wrongly() {
    let (running, client) = with(Effect::DateSkew { secs: -900 }, "/2.0/users").await;
    assert!((-905..-895).contains(&ahead_secs(&client.answer("/users/me").await.unwrap())));
    assert!(ahead_secs(&client.answer("/users/me").await.unwrap()).abs() < 5);
    running.add_fault(Fault::once("/oauth2/token", 1, Effect::DateSkew { secs: 600 }));
    let answer = client.http.post(running.token_url()).send().await.unwrap();
    assert!((595..605).contains(&ahead_secs(&answer)));
}

#[tokio::test]
async fn people_and_groups_vanish_after_they_were_listed() {
    let (running, client) = stage().await;
    let truth = running.truth_without_events();
    let victim = &truth
        .users
        .iter()
        .find(|user| user.role == "user" && !user.is_platform_access_only)
        .unwrap()
        .user_id;
    let admin = &truth.users.iter().find(|user| user.role == "admin").unwrap().user_id;
    let group = &truth.groups[2].group_id;
    running.add_fault(Fault {
        effect: Effect::Vanish { announced: false },
        path: "/2.0/users/*/email_aliases$".into(),
        ..Fault::default()
    });
    running.add_fault(Fault::once("/2.0/groups/*/memberships", 1, Effect::Vanish { announced: true }));
    client.get(&format!("/users/{victim}")).await;
    assert_eq!(client.refusal(&format!("/users/{victim}/email_aliases")).await.0, 404);
    client.get(&format!("/users/{admin}/email_aliases")).await;
    assert_eq!(client.refusal(&format!("/groups/{group}/memberships")).await.0, 404);
    let after = running.truth();
    assert!(!after.users.iter().any(|user| user.user_id == *victim));
    assert_eq!(after.other_events.last().unwrap().event_type, "GROUP_DELETION");
    let changes = running.changes();
    assert!(changes.iter().any(|change| change.change == "left" && change.event_id.is_none()));
    assert!(
        changes
            .iter()
            .filter(|change| change.object_id.as_ref() == Some(group) && change.user_id != *victim)
            .all(|change| change.event_id.is_some())
    );
}

#[tokio::test]
async fn lists_come_in_other_envelopes() {
    let (running, client) = with(Effect::OddEntries, "/2.0/groups").await;
    let page = client.get("/groups?limit=7").await;
    assert!(page["entries"].is_object());
    assert_eq!(entries(&page), entries(&client.get("/groups?limit=7").await));
    running.add_fault(Fault::once("/2.0/groups", 1, Effect::OddEntries));
    let page = client.get("/groups?offset=5000").await;
    assert_eq!(page.get("entries"), Some(&Value::Null));

    running.add_fault(Fault::once("/2.0/groups", 1, Effect::GhostTotal { rows: 11 }));
    let total = async || client.get("/groups").await["total_count"].as_u64().unwrap();
    assert_eq!(total().await, total().await + 11);
}

#[tokio::test]
async fn a_share_of_a_list_is_missing_wherever_one_looks() {
    let (running, client) = stage().await;
    let all = client.users().await.len();
    running.add_fault(Fault {
        path: "/2.0/users$".into(),
        effect: Effect::PartialList { share: 0.3 },
        ..Fault::default()
    });
    running.add_fault(Fault {
        path: "/2.0/groups$".into(),
        effect: Effect::PartialList { share: 1.0 },
        ..Fault::default()
    });
    let by_marker: BTreeSet<String> = client.users().await.into_keys().collect();
    assert!((all / 2..all * 9 / 10).contains(&by_marker.len()), "{}", by_marker.len());
    let by_offset = client.offset_pages("/users", 60).await;
    let by_offset: BTreeSet<String> = by_offset.iter().map(|user| text(&user["id"]).unwrap()).collect();
    assert_eq!(by_marker, by_offset);
    let groups = client.get("/groups").await;
    assert!(entries(&groups).is_empty() && groups["total_count"].as_u64().unwrap() >= 40);
    let hidden =
        running.truth_without_events().users.into_iter().find(|user| !by_marker.contains(&user.user_id));
    client.get(&format!("/users/{}", hidden.unwrap().user_id)).await;
}

#[tokio::test]
async fn pages_of_users_come_empty_or_lead_back() {
    let (running, client) = with(Effect::EmptyPage, "/2.0/users$").await;
    let first = "/users?usemarker=true&limit=200";
    let empty = client.get(first).await;
    assert!(entries(&empty).is_empty());
    let next = |page: &Value| format!("{first}&marker={}", text(&page["next_marker"]).unwrap());
    let page = client.get(&next(&empty)).await;
    assert_eq!(entries(&page).len(), 200);

    running.add_fault(Fault { path: "/2.0/users$".into(), effect: Effect::SameMarker, ..Fault::default() });
    let page = client.get(first).await;
    let (sent, page) = (text(&page["next_marker"]), client.get(&next(&page)).await);
    assert_eq!((text(&page["next_marker"]), entries(&page).len()), (sent, 150));
    running.clear_faults();
    running.add_fault(Fault { path: "/2.0/users$".into(), effect: Effect::EmptyPage, ..Fault::default() });
    assert_eq!(client.users().await.len(), 350, "each place comes empty once");
}

#[tokio::test]
async fn pages_of_events_repeat_come_empty_and_end_oddly() {
    let (running, client) = stage().await;
    let all: Vec<Value> = client.events("").await;
    let events = |effect, times| {
        running.clear_faults();
        running.add_fault(Fault { times, ..Fault::once("/2.0/events$", 1, effect) });
    };
    let page = async |sent: &str| {
        client.get(&format!("/events?stream_type=admin_logs&limit=500&stream_position={sent}")).await
    };
    let next = |page: &Value| text(&page["next_stream_position"]).unwrap();
    events(Effect::RepeatedPage, Some(1));
    let once = page("").await;
    let twice = page(&next(&once)).await;
    assert_eq!(
        (once["entries"].as_array(), next(&once) == next(&twice)),
        (twice["entries"].as_array(), false)
    );
    events(Effect::RepeatedPage, None);
    assert_eq!(client.events("").await.len(), 2 * all.len());
    events(Effect::EmptyPage, None);
    assert!(entries(&page("").await).is_empty());
    assert_eq!(client.events("").await, all);

    events(Effect::ZeroPosition, None);
    let mut sent = String::new();
    let last = loop {
        let answer = page(&sent).await;
        if entries(&answer).is_empty() {
            break answer;
        }
        sent = next(&answer);
    };
    assert_eq!(next(&last), "0");
    events(Effect::Silence, None);
    assert!(client.events("").await.is_empty());
    let live = client.get("/events?stream_type=admin_logs_streaming").await;
    assert_eq!(live["chunk_size"], 0);
}

/// Reads users, groups and events. Repeats requests and signs in again as long as necessary.
async fn persistent_walk(running: &Running) -> (BTreeSet<String>, usize, BTreeSet<String>) {
    let http = reqwest::Client::new();
    let mut token = String::new();
    let mut calls = 0;
    let mut get = async |path: String| loop {
        calls += 1;
        assert!(calls < 20_000, "this does not end: {path}");
        let answer = http.get(format!("{}{path}", running.api_url())).bearer_auth(&token).send().await;
        let Ok(answer) = answer else { continue };
        match answer.status().as_u16() {
            200 => {}
            400 => return None,
            401 => {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", "simulated-client"),
                    ("client_secret", "simulated-secret"),
                    ("box_subject_type", "enterprise"),
                    ("box_subject_id", "900000001"),
                ];
                let Ok(answer) = http.post(running.token_url()).form(&form).send().await else { continue };
                let body: Option<Value> =
                    answer.bytes().await.ok().and_then(|body| serde_json::from_slice(&body).ok());
                token = body.and_then(|body| text(&body["access_token"])).unwrap_or_default();
                continue;
            }
            _ => continue,
        }
        let Ok(body) = answer.bytes().await else { continue };
        if let Ok(page) = serde_json::from_slice::<Value>(&body) {
            return Some(page);
        }
    };
    let mut users = BTreeSet::new();
    let mut marker = String::new();
    loop {
        let Some(page) = get(format!("/users?usemarker=true&limit=20&marker={marker}")).await else {
            marker.clear();
            continue;
        };
        users.extend(entries(&page).iter().filter_map(|user| text(&user["id"])));
        match text(&page["next_marker"]) {
            Some(next) => marker = next,
            None => break,
        }
    }
    let (mut groups, mut offset, mut total) = (BTreeSet::new(), 0, 1);
    while offset < total {
        let page = get(format!("/groups?limit=10&offset={offset}")).await.unwrap();
        groups.extend(entries(&page).iter().filter_map(|group| text(&group["id"])));
        total = page["total_count"].as_u64().unwrap();
        offset += 10;
    }
    let (mut events, mut sent) = (BTreeSet::new(), String::new());
    loop {
        let page =
            get(format!("/events?stream_type=admin_logs&limit=300&stream_position={sent}")).await.unwrap();
        let rows = entries(&page);
        let next = text(&page["next_stream_position"]).unwrap_or_default();
        events.extend(rows.iter().filter_map(|event| text(&event["event_id"])));
        if next == sent || (rows.is_empty() && next == "0") {
            return (users, groups.len(), events);
        }
        sent = next;
    }
}

#[tokio::test]
async fn healable_kinds_heal() {
    let (running, _) = stage().await;
    let truth = running.truth();
    let event_ids = truth
        .logins
        .iter()
        .map(|login| &login.event_id)
        .chain(truth.other_events.iter().map(|event| &event.event_id));
    let event_ids: BTreeSet<String> = event_ids.cloned().collect();
    for (name, fault) in Fault::healable() {
        running.clear_faults();
        running.reset_counts();
        let always = ["token_clock_skew", "expired_token", "zero_position", "refused_marker"].contains(&name);
        running.add_fault(fault.at(if always { 1.0 } else { 0.15 }, 3));
        let (users, groups, events) = persistent_walk(&running).await;
        assert!(running.counts().faulted > 0, "{name} never struck");
        assert_eq!((users.len(), groups), (truth.users.len(), truth.groups.len()), "{name}");
        assert!(events == event_ids, "{name}");
    }
}

#[tokio::test]
async fn unhealable_kinds_do_not() {
    for (name, fault) in Fault::unhealable() {
        let (running, client) = stage().await;
        running.add_fault(fault);
        let status = async |path: &str| client.answer(path).await.unwrap().status().as_u16();
        let count = async |path: &str| entries(&client.get(path).await).len();
        match name {
            "refused_credentials" => {
                let refused = super::token(&client.http, &running, "simulated-secret").await;
                assert_eq!(refused["error"], "invalid_grant");
            }
            "tokens_never_good" => assert_eq!(status("/users/me").await, 401),
            "closed_users" => assert_eq!((status("/users").await, status("/users/me").await), (403, 200)),
            "closed_groups" => assert_eq!(status("/groups?limit=5").await, 403),
            "unavailable_for_good" => assert_eq!(status("/users").await, 503),
            "malformed_for_good" => {
                let half = client.answer("/users").await.unwrap().bytes().await.unwrap();
                assert!(serde_json::from_slice::<Value>(&half).is_err());
            }
            "no_users" => assert_eq!(count("/users?usemarker=true").await, 0),
            "partial_users" => assert!((150..320).contains(&count("/users?limit=1000").await)),
            "partial_groups" => assert!((8..35).contains(&count("/groups").await)),
            "silent_feed" => assert!(client.events("").await.is_empty()),
            "clock_skew" => assert!(ahead_secs(&client.answer("/users/me").await.unwrap()) > 3000),
            // Covered by the test of repeated markers.
            "same_marker" => {}
            other => panic!("{other} is shown nowhere"),
        }
    }
}
