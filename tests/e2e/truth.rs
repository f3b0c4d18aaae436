//! The warehouse equals the simulator's truth, row by row and column by column.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_output::lake::Lake;
use boxseat_simulator::{Config, Truth, UNHEARD_EVENT_TYPE};
use chrono::{DateTime, NaiveTime, Utc};
use serde_json::{Map, Value, json};

use crate::support::World;

type Rows = BTreeMap<String, Map<String, Value>>;

/// Why: these sizes are a requirement; every later change of the pipeline is measured by it.
#[test]
fn five_thousand_users_equal_the_truth_in_every_column() {
    let world = World::new(Config {
        users: 5_000,
        groups: 300,
        logins: Some(150_000),
        login_days: 183,
        seed: 7,
        ..Config::default()
    });
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
    let biggest = world.value("SELECT max(n) FROM (SELECT count(*) AS n FROM memberships GROUP BY group_id)");
    assert!(biggest.as_i64().unwrap() >= 1_990, "no group of 40 %: {biggest}");
    let unknown = world.value("SELECT unknown_fields_count FROM sync_runs").as_i64().unwrap();
    let kept = world.value("SELECT count(*) FROM users WHERE extra IS NOT NULL").as_i64().unwrap();
    assert!(unknown >= kept && kept > 0, "{unknown} unknown fields counted, {kept} users with some kept");
    let unknown_status =
        "SELECT count(*) FROM accounts WHERE account_status = 'unknown' AND box_status IS NOT NULL";
    assert!(world.value(unknown_status).as_i64().unwrap() > 0, "no unknown status was kept");
    let bands: Vec<Value> = world
        .rows("SELECT DISTINCT inactivity_band FROM accounts")
        .into_iter()
        .map(|r| r["inactivity_band"].clone())
        .collect();
    for band in ["0-30", "31-60", "61-90", "91-180", "too_new", "no_login_seen"] {
        assert!(bands.contains(&json!(band)), "no account in band {band}: {bands:?}");
    }
}

/// Compares every table of the published file with the simulator's truth.
#[track_caller]
pub(crate) fn assert_equal_to_truth(world: &World) {
    let truth = world.simulator.truth();
    assert_whole_readings(world, &truth);
    same("memberships", "membership_id", world, MEMBERSHIPS, keyed("membership_id", &truth.memberships));
    same("email_aliases", "alias_id", world, ALIASES, keyed("alias_id", &truth.email_aliases));
    same("accounts", "user_id", world, ACCOUNTS, true_accounts(world, &truth));
}

/// Compares what every run reads completely, and the account columns that follow from it: all but memberships, aliases and their
/// counts, where a silent change may wait for its turn.
#[track_caller]
pub(crate) fn assert_equal_but_for_what_waits_its_turn(world: &World) {
    let truth = world.simulator.truth();
    assert_whole_readings(world, &truth);
    let mut accounts = true_accounts(world, &truth);
    for account in accounts.values_mut() {
        account.retain(|name, _| name != "group_count" && name != "alias_count");
    }
    let own = ACCOUNTS.replace(", group_count, alias_count", "");
    same("accounts", "user_id", world, &own, accounts);
}

#[track_caller]
fn assert_whole_readings(world: &World, truth: &Truth) {
    same("users", "user_id", world, USERS, users(truth));
    same("groups", "group_id", world, GROUPS, keyed("group_id", &truth.groups));
    assert_logins(world, truth);
}

fn true_accounts(world: &World, truth: &Truth) -> Rows {
    let (window, now) = (window(world), truth.now.parse().unwrap());
    let mut logins = keyed("event_id", &truth.logins);
    logins.retain(|_, row| is_within(row, window));
    accounts(truth, &last_logins(&logins), window.0, now)
}

/// Compares the users, which every run reads completely.
#[track_caller]
pub(crate) fn assert_users_equal_to_truth(world: &World) {
    same("users", "user_id", world, USERS, users(&world.simulator.truth()));
}

/// Compares the events, whose window every run reads completely.
#[track_caller]
pub(crate) fn assert_logins_equal_to_truth(world: &World) {
    assert_logins(world, &world.simulator.truth());
}

#[track_caller]
fn assert_logins(world: &World, truth: &Truth) {
    let window = window(world);
    let mut logins = keyed("event_id", &truth.logins);
    logins.retain(|_, row| is_within(row, window));
    same("login_events", "event_id", world, LOGINS, logins);
    // An event type that was not requested is stored when Box returns it, and never invented.
    let unasked = format!("SELECT event_id FROM admin_events WHERE event_type = '{UNHEARD_EVENT_TYPE}'");
    let unasked: BTreeSet<String> =
        world.rows(&unasked).iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect();
    let asked = event_types();
    let mut events = keyed("event_id", &truth.other_events);
    events.retain(|id, row| {
        is_within(row, window)
            && (asked.contains(&row["event_type"].as_str().unwrap()) || unasked.contains(id))
    });
    same("admin_events", "event_id", world, EVENTS, events);
}

/// From the start of the first run's window, or of what retention has left, to the end of the last one's.
fn window(world: &World) -> (DateTime<Utc>, DateTime<Utc>) {
    let ends = world.rows(
        "SELECT epoch_us(min(window_from_at)) AS first, epoch_us(max(window_to_at)) AS last FROM sync_runs WHERE status = 'complete'",
    );
    let time = |name: &str| DateTime::from_timestamp_micros(ends[0][name].as_i64().unwrap()).unwrap();
    let lake = Lake::open(&world.store().join("lake"), 0o640).unwrap();
    let kept = lake.events_kept_from().unwrap().map(|month| month.and_time(NaiveTime::MIN).and_utc());
    (kept.map_or(time("first"), |kept| kept.max(time("first"))), time("last"))
}

fn is_within(row: &Map<String, Value>, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> bool {
    let at = row["created_at"].as_i64().unwrap();
    at >= from.timestamp_micros() && at < to.timestamp_micros()
}

const USERS: &str = "SELECT user_id, login, name, status, role, language, timezone, job_title, phone, address, avatar_url,
    space_amount_bytes, has_unlimited_space, space_used_bytes, max_upload_size_bytes, notification_email,
    notification_email_confirmed, to_json(tracking_codes)::VARCHAR AS tracking_codes, can_see_managed_users, is_sync_enabled,
    is_external_collab_restricted, is_exempt_from_device_limits, is_exempt_from_login_verification,
    is_collaborated_content_available_when_owner_inactive, is_platform_access_only,
    external_app_user_id, hostname, enterprise_id, enterprise_name, epoch_us(created_at) AS created_at,
    epoch_us(modified_at) AS modified_at, extra FROM users";
const GROUPS: &str = "SELECT group_id, name, group_type, description, provenance, external_sync_identifier, invitability_level,
    member_viewability_level, epoch_us(created_at) AS created_at, epoch_us(modified_at) AS modified_at, extra FROM groups";
const MEMBERSHIPS: &str = "SELECT membership_id, user_id, group_id, role, epoch_us(created_at) AS created_at,
    epoch_us(modified_at) AS modified_at FROM memberships";
const ALIASES: &str = "SELECT alias_id, user_id, email, is_confirmed FROM email_aliases";
const LOGINS: &str =
    "SELECT event_id, user_id, user_login, epoch_us(created_at) AS created_at FROM login_events";
const EVENTS: &str = "SELECT event_id, event_type, user_id, actor_id, group_id, epoch_us(created_at) AS created_at FROM admin_events";
const ACCOUNTS: &str = "SELECT user_id, epoch_us(last_login_at) AS last_login_at, days_since_login, inactivity_band, group_count, alias_count FROM accounts
    WHERE account_status <> 'deprovisioned'";

/// The event types that the program requests, written a second time on purpose.
pub(crate) fn event_types() -> [&'static str; 12] {
    [
        "NEW_USER",
        "EDIT_USER",
        "DELETE_USER",
        "CHANGE_ADMIN_ROLE",
        "EMAIL_ALIAS_CONFIRM",
        "EMAIL_ALIAS_PRIMARY",
        "EMAIL_ALIAS_REMOVE",
        "GROUP_CREATION",
        "GROUP_EDITED",
        "GROUP_DELETION",
        "GROUP_ADD_USER",
        "GROUP_REMOVE_USER",
    ]
}

#[track_caller]
fn same(table: &str, key: &str, world: &World, sql: &str, mut wanted: Rows) {
    let mut extra = Vec::new();
    for mut row in world.rows(sql) {
        // Stored in the order that Box sent it; the truth is sorted.
        if let Some(extra) = row.get_mut("extra").filter(|extra| extra.is_string()) {
            let fields: Value = serde_json::from_str(extra.as_str().unwrap()).unwrap();
            *extra = fields.to_string().into();
        }
        let id = row[key].as_str().unwrap().to_owned();
        match wanted.remove(&id) {
            None => extra.push(id),
            Some(truth) => assert_eq!(sorted(&row), sorted(&truth), "{table} {id}"),
        }
    }
    let missing: Vec<&String> = wanted.keys().take(5).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{table}: missing {missing:?} of {}, too many {extra:?}",
        wanted.len()
    );
}

fn sorted(row: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    row.iter().collect()
}

/// Truth as rows: times as microseconds, `extra` as JSON text or null.
fn keyed<T: serde::Serialize>(key: &str, truth: &[T]) -> Rows {
    truth
        .iter()
        .map(|row| {
            let Value::Object(mut row) = serde_json::to_value(row).unwrap() else {
                panic!("a row is an object")
            };
            for (name, value) in &mut row {
                if let (true, Some(at)) = (name.ends_with("_at"), value.as_str()) {
                    *value = json!(at.parse::<DateTime<Utc>>().unwrap().timestamp_micros());
                }
                if name == "extra" {
                    let is_empty = value.as_object().is_none_or(Map::is_empty);
                    *value = if is_empty { Value::Null } else { Value::String(value.to_string()) };
                }
            }
            (row[key].as_str().unwrap().to_owned(), row)
        })
        .collect()
}

/// Empty text is NULL everywhere, in tracking codes too.
fn users(truth: &Truth) -> Rows {
    let mut rows = keyed("user_id", &truth.users);
    for (row, user) in rows.values_mut().zip(by_id(truth)) {
        let codes: Vec<Value> = user
            .tracking_codes
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": Some(value).filter(|v| !v.is_empty()) }))
            .collect();
        row.insert("tracking_codes".into(), Value::String(Value::Array(codes).to_string()));
    }
    rows
}

fn by_id(truth: &Truth) -> Vec<&boxseat_simulator::TrueUser> {
    let mut users: Vec<_> = truth.users.iter().collect();
    users.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    users
}

fn last_logins(logins: &Rows) -> BTreeMap<String, i64> {
    let mut last = BTreeMap::new();
    for row in logins.values() {
        let at = row["created_at"].as_i64().unwrap();
        let newest = last.entry(row["user_id"].as_str().unwrap().to_owned()).or_insert(at);
        *newest = at.max(*newest);
    }
    last
}

/// A second, simple computation of `accounts`: the bands of the design; the coverage is the whole window.
fn accounts(
    truth: &Truth,
    last_logins: &BTreeMap<String, i64>,
    covered_from: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Rows {
    const DAY: i64 = 86_400_000_000;
    let days = |micros: i64| (now.timestamp_micros() - micros).div_euclid(DAY).max(0);
    let band = |days: i64| match days {
        0..=30 => "0-30",
        31..=60 => "31-60",
        61..=90 => "61-90",
        91..=180 => "91-180",
        _ => "over_180",
    };
    let count = |ids: Vec<&String>| {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for id in ids {
            *counts.entry(id.clone()).or_default() += 1;
        }
        counts
    };
    let groups = count(truth.memberships.iter().map(|m| &m.user_id).collect());
    let aliases = count(truth.email_aliases.iter().map(|a| &a.user_id).collect());
    let row = |user: &boxseat_simulator::TrueUser| {
        let created = user.created_at.parse::<DateTime<Utc>>().unwrap().timestamp_micros();
        let last = last_logins.get(&user.user_id).copied();
        let covered = covered_from.timestamp_micros();
        let shown = match last {
            Some(e) if band(days(e)) == band(days(e.max(covered))) => band(days(e)),
            Some(_) => "unknown",
            None if days(created) < 45 => "too_new",
            None if created >= covered => "never_since_created",
            None if days(covered) >= 90 => "no_login_seen",
            None => "unknown",
        };
        json!({
            "user_id": user.user_id,
            "last_login_at": last,
            "days_since_login": last.map(days),
            "inactivity_band": shown,
            "group_count": groups.get(&user.user_id).copied().unwrap_or(0),
            "alias_count": aliases.get(&user.user_id).copied().unwrap_or(0),
        })
    };
    truth.users.iter().map(|user| (user.user_id.clone(), row(user).as_object().unwrap().clone())).collect()
}
