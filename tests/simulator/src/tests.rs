//! The whole simulator over real HTTP. The data that a careful client reads must equal the truth.

mod acts;
mod changes;
mod deeds;
mod drift;
mod faults;
mod obstacles;
mod writing;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{Act, Config, Effect, Fault, RateLimitStyle, Running, TrueUser, Truth, start};

/// Every field of a user except `my_tags`.
const USER_FIELDS: &str = "type,id,name,login,created_at,modified_at,language,timezone,space_amount,space_used,\
    max_upload_size,status,job_title,phone,address,avatar_url,notification_email,role,tracking_codes,\
    can_see_managed_users,is_sync_enabled,is_external_collab_restricted,is_exempt_from_device_limits,\
    is_exempt_from_login_verification,enterprise,hostname,is_platform_access_only,external_app_user_id,\
    is_collaborated_content_available_when_owner_inactive";
const GROUP_FIELDS: &str = "name,group_type,created_at,modified_at,provenance,external_sync_identifier,description,\
    invitability_level,member_viewability_level";

/// A small, tolerant client.
struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    async fn of(running: &Running) -> Client {
        let http = reqwest::Client::new();
        let token =
            token(&http, running, "simulated-secret").await["access_token"].as_str().unwrap().to_owned();
        Client { http, base: running.api_url(), token }
    }

    async fn answer(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token).send().await
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.answer(path).await.unwrap();
        let status = response.status();
        let body = response.bytes().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    async fn refusal(&self, path: &str) -> (u16, Value) {
        let response = self.answer(path).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    async fn users(&self) -> BTreeMap<String, Value> {
        let (mut users, mut marker) = (BTreeMap::new(), String::new());
        loop {
            let page = self
                .get(&format!("/users?usemarker=true&limit=100&marker={marker}&fields={USER_FIELDS}"))
                .await;
            users.extend(entries(&page).into_iter().map(|user| (text(&user["id"]).unwrap(), user)));
            match text(&page["next_marker"]) {
                Some(next) => marker = next,
                None => return users,
            }
        }
    }

    async fn offset_pages(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut rows = BTreeMap::new();
        let mut offset = 0;
        loop {
            let page = self
                .get(&format!(
                    "{path}{}limit={limit}&offset={offset}",
                    if path.contains('?') { '&' } else { '?' }
                ))
                .await;
            rows.extend(entries(&page).into_iter().map(|row| (row["id"].to_string(), row)));
            offset += page["limit"].as_u64().unwrap();
            if offset >= page["total_count"].as_u64().unwrap() {
                return rows.into_values().collect();
            }
        }
    }

    async fn events(&self, filter: &str) -> Vec<Value> {
        let (mut events, mut sent) = (Vec::new(), String::new());
        loop {
            let page = self
                .get(&format!("/events?stream_type=admin_logs&limit=500&stream_position={sent}{filter}"))
                .await;
            let (rows, next) = (entries(&page), text(&page["next_stream_position"]).unwrap());
            let is_over = next == sent || (rows.is_empty() && next == "0");
            events.extend(rows);
            if is_over {
                return events;
            }
            sent = next;
        }
    }
}

async fn token(http: &reqwest::Client, running: &Running, secret: &str) -> Value {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "simulated-client"),
        ("client_secret", secret),
        ("box_subject_type", "enterprise"),
        ("box_subject_id", "900000001"),
    ];
    let response = http.post(running.token_url()).form(&form).send().await.unwrap();
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The rows of a list in any of its envelopes.
fn entries(page: &Value) -> Vec<Value> {
    match &page["entries"] {
        Value::Array(rows) => rows.clone(),
        Value::Object(rows) => rows.values().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Text, numbers as text, and `None` for null and empty.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn utc(value: &Value) -> String {
    let time = DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    time.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Secs, true)
}

const CONTENT_AVAILABLE: &str = "is_collaborated_content_available_when_owner_inactive";

fn normalised(user: &Value) -> TrueUser {
    let flag = |name: &str| user[name].as_bool().unwrap();
    let bytes = |name: &str| user[name].as_f64().unwrap();
    let known: BTreeSet<&str> = USER_FIELDS.split(',').collect();
    let amount =
        Some(bytes("space_amount")).filter(|bytes| (0.0..1e15).contains(bytes)).map(|bytes| bytes as i64);
    TrueUser {
        user_id: text(&user["id"]).unwrap(),
        login: text(&user["login"]),
        name: text(&user["name"]),
        status: text(&user["status"]).unwrap(),
        role: text(&user["role"]).unwrap(),
        language: text(&user["language"]),
        timezone: text(&user["timezone"]),
        job_title: text(&user["job_title"]),
        phone: text(&user["phone"]),
        address: text(&user["address"]),
        avatar_url: text(&user["avatar_url"]),
        space_amount_bytes: amount,
        has_unlimited_space: amount.is_none(),
        space_used_bytes: bytes("space_used") as i64,
        max_upload_size_bytes: bytes("max_upload_size") as i64,
        notification_email: text(&user["notification_email"]["email"]),
        notification_email_confirmed: user["notification_email"]["is_confirmed"].as_bool(),
        tracking_codes: user["tracking_codes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|code| {
                (code["name"].as_str().unwrap().to_owned(), code["value"].as_str().unwrap().to_owned())
            })
            .collect(),
        can_see_managed_users: flag("can_see_managed_users"),
        is_sync_enabled: flag("is_sync_enabled"),
        is_external_collab_restricted: flag("is_external_collab_restricted"),
        is_exempt_from_device_limits: flag("is_exempt_from_device_limits"),
        is_exempt_from_login_verification: flag("is_exempt_from_login_verification"),
        is_collaborated_content_available_when_owner_inactive: user[CONTENT_AVAILABLE].as_bool(),
        is_platform_access_only: flag("is_platform_access_only"),
        external_app_user_id: text(&user["external_app_user_id"]),
        hostname: text(&user["hostname"]),
        enterprise_id: text(&user["enterprise"]["id"]).unwrap(),
        enterprise_name: text(&user["enterprise"]["name"]).unwrap(),
        created_at: utc(&user["created_at"]),
        modified_at: utc(&user["modified_at"]),
        extra: user
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| !known.contains(name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

/// Compares all data of the API with the truth.
async fn assert_true(client: &Client, truth: &Truth) {
    let users = client.users().await;
    let mut truths: Vec<TrueUser> = truth.users.clone();
    truths.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    assert_eq!(users.len(), truths.len());
    for (user, truth) in users.values().zip(&truths) {
        assert_eq!(normalised(user), *truth);
    }
    assert_memberships(client, truth).await;
    let mut aliases = BTreeSet::new();
    for user in &truth.users {
        let page = client.get(&format!("/users/{}/email_aliases", user.user_id)).await;
        for alias in entries(&page) {
            let confirmed = alias["is_confirmed"].as_bool().unwrap();
            aliases.insert((text(&alias["id"]), user.user_id.clone(), text(&alias["email"]), confirmed));
        }
    }
    let true_aliases = truth.email_aliases.iter().cloned();
    let true_aliases: BTreeSet<_> = true_aliases
        .map(|alias| (Some(alias.alias_id), alias.user_id, Some(alias.email), alias.is_confirmed))
        .collect();
    assert_eq!(aliases, true_aliases);
    assert_events(client, truth).await;
}

async fn assert_memberships(client: &Client, truth: &Truth) {
    let groups = client.offset_pages(&format!("/groups?fields={GROUP_FIELDS}"), 20).await;
    assert_eq!(groups.len(), truth.groups.len());
    let mut seen = BTreeSet::new();
    let row = |membership: &Value| {
        let time = |name: &str| membership.get(name).map(utc);
        let id = |name: &str| text(&membership[name]["id"]).unwrap();
        let role = text(&membership["role"]).unwrap();
        (
            text(&membership["id"]).unwrap(),
            id("user"),
            id("group"),
            role,
            time("created_at"),
            time("modified_at"),
        )
    };
    for group in &groups {
        let found =
            truth.groups.iter().find(|known| text(&group["id"]) == Some(known.group_id.clone())).unwrap();
        assert_eq!(text(&group["name"]), found.name);
        assert_eq!(text(&group["description"]), found.description);
        assert_eq!(text(&group["external_sync_identifier"]), found.external_sync_identifier);
        assert_eq!(utc(&group["modified_at"]), found.modified_at);
        assert_eq!(group.get("sync_policy"), found.extra.get("sync_policy"));
        if group["group_type"] == "managed_group" {
            let rows = client.offset_pages(&format!("/groups/{}/memberships", found.group_id), 100).await;
            seen.extend(rows.iter().map(row));
        }
    }
    let true_rows = truth.memberships.iter().cloned();
    let true_rows: BTreeSet<_> = true_rows
        .map(|m| (m.membership_id, m.user_id, m.group_id, m.role, m.created_at, m.modified_at))
        .collect();
    assert_eq!(seen, true_rows);
    let mut from_users = BTreeSet::new();
    for user in &truth.users {
        let rows = client.offset_pages(&format!("/users/{}/memberships", user.user_id), 3).await;
        from_users.extend(rows.iter().map(row));
    }
    assert_eq!(from_users, true_rows, "both sides show the same memberships");
}

async fn assert_events(client: &Client, truth: &Truth) {
    let events = client.events("").await;
    let year = DateTime::parse_from_rfc3339(&truth.now).unwrap() - chrono::TimeDelta::days(365);
    let recent = |at: &str| DateTime::parse_from_rfc3339(at).unwrap() >= year;
    let mut logins = BTreeSet::new();
    let mut others = BTreeSet::new();
    for event in &events {
        let (id, at) = (text(&event["event_id"]).unwrap(), utc(&event["created_at"]));
        let source = &event["source"];
        let login_owner = |login: &str| {
            let by_login = truth.users.iter().find(|user| user.login.as_deref() == Some(login));
            let alias = truth.email_aliases.iter().find(|alias| alias.email == login);
            by_login.map(|user| user.user_id.clone()).or(alias.map(|alias| alias.user_id.clone()))
        };
        let user = text(&source["id"]).or_else(|| login_owner(source["login"].as_str()?));
        if event["event_type"] == "LOGIN" {
            let user = user.or_else(|| text(&event["created_by"]["id"])).unwrap();
            logins.insert((id, user, at));
        } else {
            let group = text(&source["group_id"]).or_else(|| text(&event["additional_details"]["group_id"]));
            let actor = text(&event["created_by"]["id"]).filter(|actor| actor != "2");
            others.insert((id, text(&event["event_type"]), user, actor, group, at));
        }
    }
    let true_logins = truth.logins.iter().filter(|login| recent(&login.created_at)).cloned();
    let true_logins: BTreeSet<_> =
        true_logins.map(|login| (login.event_id, login.user_id, login.created_at)).collect();
    assert_eq!(logins, true_logins);
    let true_others = truth.other_events.iter().filter(|event| recent(&event.created_at)).cloned();
    let true_others: BTreeSet<_> = true_others
        .map(|e| (e.event_id, Some(e.event_type), e.user_id, e.actor_id, e.group_id, e.created_at))
        .collect();
    assert_eq!(others, true_others);
    assert_eq!(events.len(), logins.len() + others.len(), "no event comes twice");
}

fn quick() -> Config {
    Config { users: 350, groups: 40, logins: Some(2_000), calls_per_minute: None, ..Config::default() }
}

#[tokio::test]
async fn a_careful_walk_finds_the_truth() {
    let awkward = Config { odd_envelopes: 0.3, short_pages: 0.4, ..quick() };
    let running = start(awkward).await.unwrap();
    let client = Client::of(&running).await;
    assert_true(&client, &running.truth()).await;
    running.shutdown().await;
}

#[tokio::test]
async fn it_stays_true_as_days_pass() {
    let running = start(Config { seed: 5, directory_push_every_days: Some(7), ..quick() }).await.unwrap();
    let client = Client::of(&running).await;
    let done = running.step_days(40);
    assert!(done.joined > 0 && done.left > 0 && done.other_events > 100, "{done:?}");
    let truth = running.truth();
    assert_eq!(truth.now, "2026-04-11T06:00:00Z");
    assert_true(&client, &truth).await;
}

#[tokio::test]
async fn plain_data_is_true_as_well() {
    let plain =
        Config { users: 120, groups: 12, logins: Some(500), calls_per_minute: None, ..Config::plain() };
    let running = start(plain).await.unwrap();
    let client = Client::of(&running).await;
    assert_true(&client, &running.truth()).await;
    let page = client.get("/users?usemarker=true&limit=1000").await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 120);
    assert!(page["next_marker"].is_null());
}

#[tokio::test]
async fn awkward_rows_are_there() {
    let running = start(quick()).await.unwrap();
    let client = Client::of(&running).await;
    let users: Vec<Value> = client.users().await.into_values().collect();
    let has = |test: &dyn Fn(&Value) -> bool| users.iter().any(test);
    assert!(has(&|user| user["id"].is_number()));
    assert!(has(&|user| user["phone"].is_number()) && has(&|user| user["phone"] == ""));
    assert!(
        has(&|user| user["notification_email"].is_array())
            && has(&|user| user["notification_email"].is_null())
    );
    assert!(has(&|user| user["notification_email"].as_object().is_some_and(serde_json::Map::is_empty)));
    assert!(
        has(&|user| user["space_amount"] == -1)
            && has(&|user| user["space_amount"].as_f64() == Some(1.23e31))
    );
    for status in ["inactive", "cannot_delete_edit", "cannot_delete_edit_upload", "pending_activation"] {
        assert!(has(&|user| user["status"] == status), "{status}");
    }
    assert_eq!(users.iter().filter(|user| user["role"] == "admin").count(), 1);
    assert!(has(&|user| user["role"] == "coadmin") && has(&|user| user["name"] == "Box Admin Reports"));
    assert!(has(&|user| user["is_platform_access_only"] == true));
    let offsets: BTreeSet<&str> =
        users.iter().map(|user| &user["created_at"].as_str().unwrap()[19..]).collect();
    assert!(offsets.contains("-08:00") && offsets.contains("-07:00") && offsets.len() > 2, "{offsets:?}");
    let page = client.get("/users?limit=1000").await;
    assert!(page["total_count"].as_u64().unwrap() > 350, "deleted rows count in total_count");
    assert_eq!(entries(&page).len(), 350);
}

#[tokio::test]
async fn every_inactivity_band_occurs() {
    let running = start(Config { calls_per_minute: None, ..Config::default() }).await.unwrap();
    let truth = running.truth_without_events();
    assert!(truth.logins.is_empty());
    let now = running.now();
    let mut bands = BTreeMap::<&str, u32>::new();
    for user in truth.users.iter().filter(|user| !user.is_platform_access_only) {
        let days = truth
            .last_login_at
            .get(&user.user_id)
            .map(|at| (now - at.parse::<DateTime<Utc>>().unwrap()).num_days());
        let band = match days {
            None => "never",
            Some(..=30) => "0-30",
            Some(31..=60) => "31-60",
            Some(61..=90) => "61-90",
            Some(91..=180) => "91-180",
            Some(_) => "over_180",
        };
        *bands.entry(band).or_default() += 1;
    }
    assert_eq!(bands.len(), 6, "{bands:?}");
    assert!(bands.values().all(|count| *count >= 5), "{bands:?}");
}

#[tokio::test]
async fn refusals_look_like_boxs() {
    let running = start(quick()).await.unwrap();
    let client = Client::of(&running).await;
    let refused = token(&client.http, &running, "wrong").await;
    assert_eq!(refused["error"], "invalid_grant");
    assert_eq!(refused["error_description"], "Grant credentials are invalid");

    let bare = client.http.get(format!("{}/users", running.api_url())).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(bare.headers()["www-authenticate"], "Bearer realm=\"Service\"");
    assert!(bare.headers().contains_key("date"));
    let header_id = bare.headers()["box-request-id"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_slice(&bare.bytes().await.unwrap()).unwrap();
    assert_eq!((body["type"].as_str(), body["status"].as_u64()), (Some("error"), Some(401)));
    assert_ne!(body["request_id"], header_id.as_str());

    for (path, status, code) in [
        ("/nothing", 404, "not_found"),
        ("/users/12345", 404, "not_found"),
        ("/users?offset=10001", 400, "invalid_offset"),
        ("/users?limit=0", 400, "invalid_limit"),
        ("/users?usemarker=true&marker=forged", 400, "bad_request"),
        ("/groups?offset=10001", 400, "invalid_offset"),
        ("/events", 400, "invalid_parameter"),
        ("/events?stream_type=admin_logs&stream_position=now", 400, "bad_request"),
        ("/events?stream_type=admin_logs&stream_position=12345", 400, "bad_request"),
        ("/events?stream_type=admin_logs&created_after=2026-01-01T00:00:00+00:00", 400, "bad_request"),
    ] {
        let (got, body) = client.refusal(path).await;
        assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{path}");
        assert_eq!(body["status"], status);
    }
    let method = client
        .http
        .delete(format!("{}/groups", running.api_url()))
        .bearer_auth(&client.token)
        .send()
        .await
        .unwrap();
    assert_eq!(method.status(), StatusCode::METHOD_NOT_ALLOWED);

    running.revoke_tokens();
    let stale = client.answer("/users").await.unwrap();
    assert!(stale.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
}

#[tokio::test]
async fn callers_and_strangers() {
    let running = start(quick()).await.unwrap();
    let mut client = Client::of(&running).await;
    let me = client.get("/users/me?fields=enterprise").await;
    assert_eq!(me["enterprise"]["id"], "900000001");
    assert!(me["login"].as_str().unwrap().starts_with("AutomationUser_"));
    assert!(!client.users().await.contains_key(me["id"].as_str().unwrap()));
    assert_eq!(entries(&client.get("/users?user_type=external").await).len(), 0);
    let found = client.get("/users?user_type=all&filter_term=partner2@partners.example").await;
    let id = found["entries"][0]["id"].as_str().unwrap();
    let outsider = client.get(&format!("/users/{id}?fields=status,enterprise")).await;
    assert!(outsider["status"].is_null() && outsider["enterprise"].is_null());

    client.token = "simulated-developer-token".to_owned();
    assert_eq!(client.get("/users/me?fields=role").await["role"], "admin");
}

#[tokio::test]
async fn throttled_counted_and_recorded() {
    let running = start(Config { calls_per_minute: Some(3), record_requests: 4, ..quick() }).await.unwrap();
    let client = Client::of(&running).await;
    for _ in 0..3 {
        client.get("/users/me").await;
    }
    let limited = client.answer("/groups?limit=5").await.unwrap();
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = limited.headers()["Retry-After"].to_str().unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    let counts = running.counts();
    assert_eq!((counts.calls, counts.ok, counts.throttled), (5, 4, 1));
    assert_eq!(counts.by_endpoint["POST /oauth2/token"].calls, 1);
    let requests = running.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!((requests[3].path.as_str(), requests[3].query.as_str()), ("/2.0/groups", "limit=5"));
    assert!(requests[3].authenticated && requests[3].status == 429);
}

#[tokio::test]
async fn another_rate_limit_while_it_runs() {
    let running = start(quick()).await.unwrap();
    let client = Client::of(&running).await;
    let throttled = async |calls: u32| {
        let mut waits = Vec::new();
        for _ in 0..calls {
            let answer = client.answer("/users/me").await.unwrap();
            waits.extend(answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned()));
        }
        waits
    };
    assert!(throttled(30).await.is_empty());
    running.set_rate_limit(Some(6), RateLimitStyle::TokenBucket { burst: 10 });
    assert_eq!(throttled(12).await, ["1", "1"]);
    let body = r#"{"calls_per_minute":4}"#;
    let url = format!("{}/rate_limit", running.control_url());
    let sent =
        client.http.post(url).header("content-type", "application/json").body(body).send().await.unwrap();
    assert!(sent.status().is_success());
    assert_eq!(throttled(5).await.len(), 1);
    running.set_rate_limit(None, RateLimitStyle::Sliding);
    assert!(throttled(20).await.is_empty());
}

#[tokio::test]
async fn faults_strike_and_pass() {
    let running = start(quick()).await.unwrap();
    let client = Client::of(&running).await;
    let path = "/users?limit=50";

    running.add_fault(Fault::once("/2.0/users", 1, Effect::DroppedConnection));
    assert!(client.answer(path).await.is_err());
    running.add_fault(Fault::once("/2.0/users", 1, Effect::DroppedAnswer));
    assert!(client.answer(path).await.is_err());
    running.add_fault(Fault::once("/2.0/users", 1, Effect::TruncatedBody));
    assert!(client.answer(path).await.unwrap().bytes().await.is_err());
    running.add_fault(Fault::once("/2.0/users", 1, Effect::MalformedJson));
    let half = client.answer(path).await.unwrap().bytes().await.unwrap();
    assert!(serde_json::from_slice::<Value>(&half).is_err());
    running.add_fault(Fault::once("/2.0/users", 1, Effect::Html { status: 504 }));
    let html = client.answer(path).await.unwrap();
    assert_eq!(
        (html.status().as_u16(), html.headers()["content-type"].to_str().unwrap()),
        (504, "text/html")
    );
    running.add_fault(Fault::throttle("/2.0/users", 1, 7));
    let throttled = client.answer(path).await.unwrap();
    assert_eq!(throttled.headers()["retry-after"], "7");
    let statuses: Vec<u16> = running.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 0, 0, 200, 200, 504, 429]);
    assert_eq!(entries(&client.get(path).await).len(), 50);
}

#[tokio::test]
async fn live_stream_from_now() {
    let running = start(Config { short_pages: 0.0, ..quick() }).await.unwrap();
    let client = Client::of(&running).await;
    let page = client.get("/events?stream_type=admin_logs_streaming&stream_position=now").await;
    assert_eq!(page["chunk_size"], 0);
    let position = text(&page["next_stream_position"]).unwrap();
    running.step_days(1);
    let page = client
        .get(&format!("/events?stream_type=admin_logs_streaming&stream_position={position}&limit=500"))
        .await;
    assert!(!entries(&page).is_empty());
    running.step_days(20);
    let page =
        client.get(&format!("/events?stream_type=admin_logs_streaming&stream_position={position}")).await;
    assert_eq!(page["chunk_size"], 0, "an expired position is silent");
}

#[tokio::test]
async fn the_control_routes_work_over_http() {
    let running = start(Config { users: 30, groups: 5, ..quick() }).await.unwrap();
    let http = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", running.control_url());
    let get = async |path: &str| http.get(url(path)).send().await.unwrap().bytes().await.unwrap();
    http.post(url("/step?days=2")).send().await.unwrap().error_for_status().unwrap();
    let truth: Truth = serde_json::from_slice(&get("/truth").await).unwrap();
    assert_eq!(truth, running.truth());
    let fault = r#"{"path":"/2.0/groups","times":1,"effect":{"status":{"status":503,"retry_after":"1"}}}"#;
    let sent = http
        .post(url("/faults"))
        .header("content-type", "application/json")
        .body(fault)
        .send()
        .await
        .unwrap();
    sent.error_for_status().unwrap();
    let client = Client::of(&running).await;
    assert_eq!(client.refusal("/groups").await.0, 503);
    let counts: Value = serde_json::from_slice(&get("/counts").await).unwrap();
    assert_eq!(counts["calls"], 2);
    let summary: Value = serde_json::from_slice(&get("").await).unwrap();
    assert_eq!(summary["now"], "2026-03-04T06:00:00Z");
}

#[test]
fn a_thread_of_its_own() {
    let running = crate::spawn_in_thread(Config { users: 5, ..quick() }).unwrap();
    let address = running.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let users = runtime.block_on(async { Client::of(&running).await.users().await });
    assert_eq!(users.len(), 5);
    drop(runtime);
    running.shutdown_blocking();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn compressed_when_asked_and_worth_it() {
    let running = start(quick()).await.unwrap();
    let token = Client::of(&running).await.token;
    // A client without its own decompression.
    let http = reqwest::Client::builder().no_gzip().build().unwrap();
    let get = async |path: &str, accept: &str| {
        let request = http.get(format!("{}{path}", running.api_url())).bearer_auth(&token);
        request.header("accept-encoding", accept).send().await.unwrap()
    };
    let packed = get("/users?limit=100", "deflate, gzip;q=0.9").await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    let plain = get("/users?limit=100", "identity").await;
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain = plain.bytes().await.unwrap();
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    assert!(packed.len() * 3 < plain.len(), "{} of {}", packed.len(), plain.len());
    assert!(!get("/users/me", "gzip").await.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn http2_without_tls() {
    let running = start(quick()).await.unwrap();
    let mut client = Client::of(&running).await;
    client.http = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let answer = client.answer("/users/me").await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    running.add_fault(Fault::once("/2.0/users", 1, Effect::DroppedConnection));
    assert!(client.answer("/users/me").await.is_err());
    assert_eq!(client.users().await.len(), 350);
}

#[tokio::test]
async fn acts_show_at_once() {
    let running = start(quick()).await.unwrap();
    let client = Client::of(&running).await;
    running.act(&Act::HideUsers { share: 0.5 });
    let listed = client.users().await;
    assert!((100..250).contains(&listed.len()), "{}", listed.len());
    let truth = running.truth_without_events();
    let hidden = truth.users.iter().find(|user| !listed.contains_key(&user.user_id)).unwrap();
    let found = client.get(&format!("/users/{}?fields=enterprise", hidden.user_id)).await;
    assert_eq!(found["enterprise"]["id"], "900000001");
    running.act(&Act::HideUsers { share: 0.0 });
    assert_eq!(client.users().await.len(), 350);

    running.act(&Act::SilenceFeed { silent: true });
    assert!(client.events("").await.is_empty());
    running.act(&Act::SilenceFeed { silent: false });
    let gone = running.act(&Act::RollOutUsers { count: 1 });
    let outsider = client.get(&format!("/users/{}?fields=enterprise", gone[0])).await;
    assert!(outsider["enterprise"].is_null());
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn an_app_without_enterprise_access_sees_its_own_only() {
    let running = start(Config { app_access_only: true, ..quick() }).await.unwrap();
    let client = Client::of(&running).await;
    let listed = client.users().await;
    assert!(!listed.is_empty() && listed.len() < 30, "{}", listed.len());
    assert!(entries(&client.get("/groups").await).is_empty());
}

#[test]
fn a_configuration_reads_back() {
    let config = Config { logins: Some(7), faults: vec![Fault::throttle("/2.0", 2, 1)], ..Config::default() };
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    assert_eq!(
        serde_json::from_str::<Config>(r#"{"users":9}"#).unwrap(),
        Config { users: 9, ..Config::default() }
    );
    assert!(serde_json::from_str::<Config>(r#"{"user":9}"#).is_err());
}
