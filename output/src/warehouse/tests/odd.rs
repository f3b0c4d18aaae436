//! Snapshots that are published although some of their values are odd.

use serde_json::{Value, json};

use super::*;

fn odd_night() -> Rows {
    let mut snapshot = Rows::users(&["1", "2", "3"]);
    snapshot.users[0]["status"] = json!("frozen");
    snapshot.users[0]["role"] = json!("user");
    snapshot.users[1]["role"] = json!("owner");
    snapshot.users[1]["created_at"] = json!("2004-12-31T23:59:59Z");
    snapshot.users[2]["role"] = json!("admin");
    // A day and a second after the snapshot's time.
    snapshot.users[2]["modified_at"] = json!("2026-03-03T02:00:01Z");
    let login = |id: &str, user: Value| json!({ "event_id": id, "event_type": "LOGIN", "user_id": user, "created_at": "2026-03-01T00:00:00Z" });
    snapshot.events = vec![
        login("a", json!("gone")),
        login("b", json!("gone")),
        login("c", json!("1")),
        login("d", Value::Null),
    ];
    snapshot.leave = vec![json!({ "user_id": "unlisted", "from_date": "2026-03-01" })];
    snapshot
}

#[test]
fn implausible_data_is_published_with_warnings() {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &odd_night());
    let checked = store.check(Some(&pending)).unwrap();
    let said: Vec<String> = checked
        .warnings()
        .iter()
        .map(|odd| format!("{} {} {} {}", odd.check, odd.table, odd.failing_rows, odd.example))
        .collect();
    assert_eq!(
        said,
        [
            "created_at_plausible users 1 {'user_id': 2, 'created_at': '2004-12-31 23:59:59+00'}",
            "modified_at_plausible users 1 {'user_id': 3, 'modified_at': '2026-03-03 02:00:01+00'}",
            "status_known users 1 {'user_id': 1, 'status': frozen}",
            "role_known users 1 {'user_id': 2, 'role': owner}",
            "user_ever_seen login_events 1 {'user_id': gone, 'times': 2}",
            "user_ever_seen leave_periods 1 {'user_id': unlisted, 'times': 1}",
        ]
    );
    drop(checked);
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT check_name, table_name, severity FROM data_checks WHERE failing_rows_count > 0"),
        said.iter()
            .map(|line| line.split(' ').take(2).chain(["warn"]).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
    );
    // Passed checks are in the table too, so that readers know what was checked.
    assert_eq!(
        store.lines("SELECT failing_rows_count, example FROM data_checks WHERE check_name = 'unique_key' AND table_name = 'users'"),
        ["0|-"]
    );
    assert_eq!(
        store.lines(
            "SELECT count(DISTINCT (check_name, table_name)) = count(*), count(*) > 30 FROM data_checks"
        ),
        ["true|true"]
    );
}

#[test]
fn seats_without_matching_terms_give_a_warning() {
    let mut snapshot = Rows::users(&["1", "2"]);
    snapshot.users[0]["tracking_codes"] = json!({ "Department": "Sales" });
    let mut store = Store::new();
    store.settings.licence = vec![boxseat_schemas::licence::LicenceTerms {
        plan_id: "suite".to_owned(),
        valid_from: None,
        valid_to: None,
        seats_purchased: None,
        cost_per_seat_monthly: None,
        currency: None,
        term_start: None,
        renewal_date: None,
        notice_by: None,
        box_plan: None,
        external_seats: None,
        console_seats_used: None,
        console_seen_at: None,
        match_rule: "tracking_code:Department=Sales".parse().unwrap(),
    }];
    let pending = store.commit(1, DATE, &snapshot);
    store.finish(&pending);
    assert_eq!(
        store
            .lines("SELECT failing_rows_count, example FROM data_checks WHERE check_name = 'seat_has_terms'"),
        ["1|{'user_id': 2}"]
    );
}

/// Why: a snapshot that is only kept has no readers, and its warnings could not be looked up.
#[test]
fn unpublished_snapshot_is_checked_for_errors_only() {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &odd_night());
    let checked = store.build(Some(&pending), Purpose::Private).unwrap().check().unwrap();
    assert!(checked.warnings().is_empty());
}
