//! The content of `api_usage_monthly`, compared with numbers that were calculated by hand.

use serde_json::{Value, json};

use super::{Rows, Store};

fn calls(run: &str, date: &str, counts: [i64; 4]) -> Value {
    json!({
        "run_id": run, "call_date": date, "endpoint": format!("GET /{run}"),
        "calls_count": counts[0], "retries_count": counts[1], "throttled_count": counts[2], "errors_count": counts[3],
    })
}

const USAGE: &str = "SELECT * FROM api_usage_monthly";

/// A snapshot on the 10th of a month of 31 days.
fn snapshot() -> Rows {
    let mut snapshot = Rows::users(&["1", "2", "3"]);
    snapshot.groups = vec![
        json!({ "group_id": "g", "group_type": "managed_group" }),
        json!({ "group_id": "empty", "group_type": "managed_group" }),
        json!({ "group_id": "all", "group_type": "all_users_group" }),
    ];
    snapshot.memberships = vec![json!({ "membership_id": "m", "user_id": "1", "group_id": "g" })];
    snapshot.events = (0..501)
        .map(|n| {
            // Two thirds of the events are LOGINs. One event is 72 h old and does not count.
            let created_at = if n == 500 { "2026-03-07T02:00:00Z" } else { "2026-03-07T02:00:01Z" };
            let event_type = if n % 3 == 0 { "EDIT_USER" } else { "LOGIN" };
            json!({ "event_id": n.to_string(), "event_type": event_type, "user_id": "1", "created_at": created_at })
        })
        .collect();
    snapshot.calls = vec![
        calls("jan", "2026-01-31", [1_000, 10, 2, 3]),
        calls("feb", "2026-02-28", [500, 0, 0, 0]),
        calls("mar", "2026-03-09", [100, 1, 0, 1]),
        calls("mar", "2026-03-10", [20, 0, 0, 0]),
        calls("check", "2026-03-10", [4, 0, 0, 4]),
    ];
    snapshot
}

#[test]
fn months_add_up_and_the_snapshots_month_is_forecast() {
    let mut store = Store::new();
    store.settings.monthly_calls = Some(50_000);
    let pending = store.commit(1, "2026-03-10", &snapshot());
    store.finish(&pending);
    // A full read: 1 page of users, 1 of groups, 1 for each of the two groups whose members are read, 3 users' aliases, 500 events on 1
    // page, and the empty page that ends the feed.
    let full = 1 + 1 + 2 + 3 + 1 + 1;
    assert_eq!(
        store.lines(USAGE),
        [
            format!("2026-01-01|1000|10|2|3|1|1|50000|1000|2.0|{full}"),
            format!("2026-02-01|500|0|0|0|1|1|50000|500|1.0|{full}"),
            // 124 calls in 10 days of 31: 384.4, rounded up to whole calls.
            format!("2026-03-01|124|1|0|5|2|2|50000|385|0.77|{full}"),
        ]
    );
}

#[test]
fn forecast_percent_is_null_without_an_allowance() {
    let mut store = Store::new();
    // The first of a month: one day of it has started.
    let mut first = Rows::users(&["1"]);
    first.calls = vec![calls("run", "2026-02-01", [7, 0, 0, 0])];
    let pending = store.commit(1, "2026-02-01", &first);
    store.finish(&pending);
    assert_eq!(store.lines(USAGE), ["2026-02-01|7|0|0|0|1|1|-|196|-|4"]);
    assert_eq!(store.lines("SELECT monthly_calls_count FROM report_settings"), ["-"]);
}
