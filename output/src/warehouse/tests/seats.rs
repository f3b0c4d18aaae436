//! The cost of seats, their use snapshot by snapshot, and older snapshots that are built again.

use boxseat_schemas::licence::LicenceTerms;
use boxseat_schemas::run::RunKind;
use serde_json::{Value, json};

use super::*;
use crate::ErrorKind;
use crate::testing::day;

fn terms(plan: &str, rule: &str, cost: &str, seats: Option<i64>, to: Option<&str>) -> LicenceTerms {
    LicenceTerms {
        plan_id: plan.to_owned(),
        valid_from: None,
        valid_to: to.map(day),
        seats_purchased: seats,
        cost_per_seat_monthly: Some(cost.parse().unwrap()),
        currency: Some("EUR".to_owned()),
        term_start: None,
        renewal_date: None,
        notice_by: None,
        box_plan: Some("Enterprise".to_owned()),
        external_seats: None,
        console_seats_used: None,
        console_seen_at: None,
        match_rule: rule.parse().unwrap(),
    }
}

/// A user with a status and the time of the only login, or without a login.
type Person = (&'static str, &'static str, &'static str);

/// Users under full coverage up to the snapshot.
fn snapshot(date: &str, people: &[Person]) -> Rows {
    let mut snapshot = Rows::default();
    for (id, status, login) in people {
        snapshot.users.push(json!({ "user_id": id, "status": status, "created_at": "2020-01-01T00:00:00Z" }));
        if !login.is_empty() {
            snapshot.events.push(
                json!({ "event_id": format!("{id}-{date}"), "event_type": "LOGIN", "user_id": id, "created_at": login }),
            );
        }
    }
    snapshot.coverage = vec![json!({
        "event_type": "LOGIN", "covered_from_at": "2025-08-31T00:00:00Z", "covered_to_at": format!("{date}T01:45:00Z"),
    })];
    snapshot
}

const USAGE: &str = "SELECT snapshot_date, run_number, seats_assigned, used_count, idle_count, suspended_count, \
     joined_count, left_count FROM seat_usage_daily ORDER BY 1";

#[test]
fn seat_cost_is_from_the_first_matching_terms_in_force() {
    let recent = "2026-02-20T00:00:00Z";
    let people = [
        ("both", "active", recent),
        ("group", "active", recent),
        ("program", "active", recent),
        ("rest", "active", "2025-09-10T00:00:00Z"),
        ("sales", "active", recent),
        ("suspended", "inactive", recent),
    ];
    let mut rows = snapshot(DATE, &people);
    rows.groups = vec![json!({ "group_id": "g" })];
    rows.memberships =
        ["both", "group"].map(|id| json!({ "membership_id": id, "user_id": id, "group_id": "g" })).to_vec();
    for index in [0, 4] {
        rows.users[index]["tracking_codes"] = json!({ "Other": "Sales", "Department": "Sales" });
    }
    rows.users[3]["tracking_codes"] = json!({ "Department": "sales" });
    rows.users[2]["is_platform_access_only"] = json!(true);
    let mut store = Store::new();
    store.settings.licence = vec![
        terms("gone", "all", "1", Some(1_000), Some("2026-03-01")),
        terms("suite", "tracking_code:Department=Sales", "47.50", Some(2), Some(DATE)),
        terms("design", "group:g", "20", Some(1), None),
        terms("enterprise", "all", "35.0001", Some(3), None),
    ];
    let pending = store.commit(1, DATE, &rows);
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT user_id, licence_plan, monthly_cost, currency FROM accounts"),
        [
            "both|suite|47.5000|EUR",
            "group|design|20.0000|EUR",
            "program|-|-|-",
            "rest|enterprise|35.0001|EUR",
            "sales|suite|47.5000|EUR",
            "suspended|enterprise|35.0001|EUR",
        ]
    );
    // 2 x 47.50 + 20 + 2 x 35.0001. The idle seat and the suspended seat are wasted.
    let usage = "SELECT seats_purchased, seats_assigned, seats_free, active_30d, active_60d, active_90d, monthly_cost, \
                 monthly_waste, currency, reclaimable_count, policy_digest FROM seat_usage_daily";
    assert_eq!(store.lines(usage), ["6|5|1|4|4|4|185.0002|70.0002|EUR|-|-"]);
    assert_eq!(
        store.lines("SELECT seat_state, seats_count, monthly_cost, currency, is_waste FROM licence_summary WHERE seats_count > 0"),
        ["used|3|115.0000|EUR|false", "idle|1|35.0001|EUR|true", "suspended|1|35.0001|EUR|true"]
    );
    assert_eq!(
        store.lines("SELECT plan_id, valid_to_date, seats_purchased, match_rule FROM licence_terms"),
        [
            "gone|2026-03-01|1000|all",
            "suite|2026-03-02|2|tracking_code:Department=Sales",
            "design|-|1|group:g",
            "enterprise|-|3|all"
        ]
    );

    // The next snapshot has the terms of another day. A plan without a number of purchased seats makes the sum unknown.
    store.settings.licence[2].seats_purchased = None;
    let mut next = rows;
    next.events.clear();
    next.coverage[0]["covered_to_at"] = json!("2026-03-03T01:45:00Z");
    let pending = store.commit_after(2, "2026-03-03", &next);
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT user_id, licence_plan FROM accounts WHERE user_id IN ('both', 'sales')"),
        ["both|design", "sales|enterprise"]
    );
    assert_eq!(
        store.lines(
            "SELECT seats_purchased, seats_free, monthly_cost FROM seat_usage_daily ORDER BY snapshot_date"
        ),
        ["6|1|185.0002", "-|-|145.0003"]
    );
}

#[test]
fn cost_is_null_without_terms_and_use_is_null_without_coverage() {
    let mut rows = snapshot(DATE, &[("1", "active", "2026-02-20T00:00:00Z"), ("2", "inactive", "")]);
    rows.coverage[0]["covered_from_at"] = json!("2026-01-15T00:00:00Z");
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &rows);
    store.finish(&pending);
    // 46 days are covered.
    assert_eq!(
        store.lines("SELECT seats_purchased, seats_assigned, seats_free, active_30d, active_60d, active_90d, monthly_cost, monthly_waste, currency FROM seat_usage_daily"),
        ["-|2|-|1|-|-|-|-|-"]
    );
}

/// Snapshots of six days. The third day has no run, and the last date has two runs.
fn snapshots() -> Store {
    let (old, fresh) = ("2025-11-10T00:00:00Z", "2026-02-20T00:00:00Z");
    let snapshots: [(&str, &[Person]); 5] = [
        ("2026-02-01", &[("1", "active", old), ("2", "active", "")]),
        ("2026-02-02", &[("1", "active", ""), ("2", "active", ""), ("3", "active", "")]),
        ("2026-02-28", &[("1", "active", fresh), ("3", "inactive", "")]),
        (DATE, &[("1", "active", ""), ("2", "active", "")]),
        (DATE, &[("1", "active", ""), ("2", "active", ""), ("3", "active", "")]),
    ];
    let mut store = Store::new();
    for (index, (date, people)) in snapshots.into_iter().enumerate() {
        let mut rows = snapshot(date, people);
        for event in &mut rows.events {
            event["event_id"] = json!(index.to_string());
        }
        let pending = store.commit_after(index as u64 + 1, date, &rows);
        store.finish(&pending);
    }
    store
}

#[test]
fn each_snapshot_keeps_the_row_of_its_time() {
    let mut store = snapshots();
    let rows = [
        // 83 days since the last login of 1.
        "2026-02-01|1|2|1|0|0|0|0",
        "2026-02-02|2|3|1|0|0|1|0",
        "2026-02-28|3|2|1|0|1|0|1",
        // User 2 returned and user 3 left, then user 3 returned. The snapshot of the date is its last run.
        "2026-03-02|5|3|1|0|0|1|0",
    ];
    assert_eq!(store.lines(USAGE), rows);
    assert_eq!(store.lines("SELECT reclaimable_count, policy_digest FROM seat_usage_daily LIMIT 1"), ["-|-"]);

    // Other thresholds and terms in the next run change no existing row.
    store.settings.idle_after_days = 5;
    store.settings.licence = vec![terms("enterprise", "all", "35", None, None)];
    store.check(None).unwrap().publish(&store.lake, &Access::from(0o640)).unwrap();
    assert_eq!(store.lines(USAGE), rows);
    assert_eq!(store.lines("SELECT count(monthly_cost) FROM seat_usage_daily"), ["0"]);
}

/// Why: a replay of an older snapshot is computed while a later one is shown, and must count its own users.
#[test]
fn replay_replaces_the_row_of_its_run() {
    let mut store = snapshots();
    let replay = SyncRun {
        kind: RunKind::Replay,
        base_run_number: Some(RunNumber(1)),
        replaces_run_number: Some(RunNumber(2)),
        ..run(6, "2026-02-02", RunStatus::Complete)
    };
    let people = [("1", "active", ""), ("2", "active", ""), ("3", "active", ""), ("4", "inactive", "")];
    let pending = store.commit_run(replay, &snapshot("2026-02-02", &people));
    let checked = store.keep(&pending);
    assert_eq!(checked.snapshot().run_number, RunNumber(5), "the latest snapshot is shown");
    checked.publish(&store.lake, &Access::from(0o640)).unwrap();
    let rows = store.lines(USAGE);
    assert_eq!(rows[1], "2026-02-02|6|4|1|0|1|2|0");
    assert_eq!((rows.len(), rows[3].as_str()), (4, "2026-03-02|5|3|1|0|0|1|0"));
    std::fs::remove_file(store.path().join(FILE_NAME)).unwrap();
    store.check(None).unwrap().publish(&store.lake, &Access::from(0o640)).unwrap();
    assert_eq!(store.lines(USAGE), rows, "a build from the lake alone gives the same result");
    assert_eq!(store.files(), ["boxseat.duckdb"], "no file of the unpublished build remains");
}

/// Why: a snapshot that is only kept has its row like any other, and a second attempt adds it only once.
#[test]
fn unpublished_snapshot_has_its_row() {
    let mut store = snapshots();
    let pending = store.commit_after(6, "2026-03-03", &snapshot("2026-03-03", &[("1", "active", "")]));
    for _ in 0..2 {
        let checked = store.build(Some(&pending), Purpose::Private).unwrap().check().unwrap();
        let committed = checked.commit(&store.lake, &SEAT_USAGE_DAILY).unwrap();
        assert_eq!(committed.rows, 1);
    }
    store.finish(&pending);
    assert_eq!(store.lines(USAGE).last().unwrap(), "2026-03-03|6|1|1|0|0|0|2");
}

#[test]
fn older_snapshot_is_built_from_the_data_of_its_time() {
    let mut store = snapshots();
    store.settings.idle_after_days = 7;
    let file = std::fs::read(store.path().join(FILE_NAME)).unwrap();
    let checked = store.as_of("2026-02-28").unwrap();
    assert_eq!(
        (checked.snapshot().run_number, checked.snapshot().snapshot_date),
        (RunNumber(3), day("2026-02-28"))
    );
    // The current threshold, and no user of later snapshots. User 2 was missing.
    assert_eq!(
        lines_of(&checked, "SELECT user_id, account_status, seat_state, days_since_login FROM accounts"),
        ["1|active|idle|8", "2|deprovisioned|-|-", "3|suspended|suspended|-"]
    );
    assert_eq!(lines_of(&checked, "SELECT max(run_number) FROM sync_runs"), ["3"]);
    assert_eq!(
        lines_of(&checked, "SELECT count(*), max(valid_from) FROM users_history"),
        ["5|2026-02-28T02:00:00Z"]
    );
    assert_eq!(lines_of(&checked, "SELECT count(*) FROM seat_usage_daily"), ["3"]);
    drop(checked);
    assert_eq!(store.files(), ["boxseat.duckdb"]);
    assert!(std::fs::read(store.path().join(FILE_NAME)).unwrap() == file, "the published file is unchanged");
    assert_eq!(store.as_of(DATE).unwrap().snapshot().run_number, RunNumber(5));
}

#[test]
fn missing_snapshot_error_names_the_nearest() {
    let mut store = snapshots();
    let refused = |store: &Store, date: &str| {
        let error = store.as_of(date).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    assert_eq!(
        refused(&store, "2026-02-10"),
        "there is no snapshot of 2026-02-10; the nearest one is 2026-02-02"
    );
    assert_eq!(
        refused(&store, "2030-01-01"),
        "there is no snapshot of 2030-01-01; the nearest one is 2026-03-02"
    );
    // After retention, the lake has the row of a run and no users.
    store.runs.push(run(7, "2026-02-15", RunStatus::Complete));
    assert_eq!(
        refused(&store, "2026-02-15"),
        "there is no snapshot of 2026-02-15 any more: retention removed it; the nearest one is 2026-02-02"
    );
    store.runs.clear();
    assert_eq!(refused(&store, DATE), "there is no snapshot of 2026-03-02");
}

/// Why: every state has a column. Otherwise the sum of the columns would differ from the number of seats.
#[test]
fn seat_states_equal_the_columns_of_seat_usage_daily() {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &snapshot(DATE, &[("1", "active", "")]));
    store.finish(&pending);
    let states = store.lines("SELECT seat_state FROM licence_summary ORDER BY 1");
    let columns: Vec<Value> = SEAT_USAGE_DAILY.columns.iter().map(|column| json!(column.name)).collect();
    for state in &states {
        assert!(columns.contains(&json!(format!("{state}_count"))), "{state}");
    }
    assert_eq!(states.len(), 8);
}
