//! Use without a LOGIN event, leave periods that explain missing use, and accounts that create tokens without ever signing in.

use serde_json::{Value, json};

use super::*;

fn coverage(kind: &str, from: &str, to: &str) -> Value {
    json!({ "event_type": kind, "covered_from_at": from, "covered_to_at": to })
}

/// Users that exist since 2020, under LOGIN coverage from 31 August to the snapshot's settle time.
fn people(ids: &[&str]) -> Rows {
    let user = |id: &&str| json!({ "user_id": id, "status": "active", "created_at": "2020-01-01T00:00:00Z" });
    Rows {
        users: ids.iter().map(user).collect(),
        coverage: vec![coverage("LOGIN", "2025-08-31T00:00:00Z", "2026-03-02T01:45:00Z")],
        ..Rows::default()
    }
}

fn login(user: &str, at: &str) -> Value {
    json!({ "event_id": format!("{user}-{at}"), "event_type": "LOGIN", "user_id": user, "created_at": at })
}

fn activity(user: &str, date: &str, kind: &str, count: i64) -> Value {
    json!({ "user_id": user, "activity_date": date, "event_type": kind, "events_count": count })
}

fn imported(user: &str, at: &str) -> Value {
    json!({ "user_id": user, "source": "user_details", "evidence_at": at, "file_digest": "d1" })
}

fn published(snapshot: &Rows) -> Store {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, snapshot);
    store.finish(&pending);
    store
}

const TOKEN: &str = "USER_AUTHENTICATE_OAUTH2_ACCESS_TOKEN_CREATE";

#[test]
fn newest_evidence_of_any_source_counts_with_its_source() {
    let mut snapshot = people(&["drive", "today", "reported", "signed_in", "nothing"]);
    snapshot.events =
        vec![login("drive", "2025-10-01T00:00:00Z"), login("signed_in", "2026-02-01T02:00:00Z")];
    snapshot.activity = vec![
        activity("drive", "2026-02-20", "UPLOAD", 3),
        activity("drive", "2026-02-19", "DOWNLOAD", 3),
        activity("today", "2026-03-02", "UPLOAD", 1),
    ];
    snapshot.imported = vec![
        // 76 days and 26 hours ago.
        imported("reported", "2025-12-15T00:00:00Z"),
        imported("signed_in", "2025-12-15T00:00:00Z"),
    ];
    let store = published(&snapshot);
    assert_eq!(
        store.lines(
            "SELECT user_id, last_activity_at, last_activity_source, last_login_at, days_since_login, proven_idle_days, \
             inactivity_band, seat_state, seat_kind FROM accounts"
        ),
        [
            // The last moment of the day represents it.
            "drive|2026-02-20T23:59:59.999999Z|UPLOAD|2025-10-01T00:00:00Z|152|9|0-30|used|managed_user",
            "nothing|-|-|-|-|183|no_login_seen|no_login_seen|managed_user",
            "reported|2025-12-15T00:00:00Z|user_details|-|-|77|61-90|used|managed_user",
            "signed_in|2026-02-01T02:00:00Z|LOGIN|2026-02-01T02:00:00Z|29|29|0-30|used|managed_user",
            // A day that is not over ends at the snapshot's time.
            "today|2026-03-02T02:00:00Z|UPLOAD|-|-|0|0-30|used|managed_user",
        ]
    );
}

/// Why: an address was given to a new account, and a report from before named the account that had it at that time.
#[test]
fn imported_evidence_older_than_the_account_does_not_count() {
    let mut snapshot = people(&["unknown_age"]);
    let created =
        |user: &str| json!({ "user_id": user, "status": "active", "created_at": "2025-12-20T00:00:00Z" });
    snapshot.users.extend(["new", "used"].map(created));
    snapshot.imported = ["new", "unknown_age"].map(|user| imported(user, "2025-12-15T00:00:00Z")).to_vec();
    snapshot.imported.push(imported("used", "2025-12-20T00:00:00Z"));
    assert_eq!(
        published(&snapshot).lines("SELECT user_id, last_activity_at, last_activity_source FROM accounts"),
        [
            "new|-|-",
            "unknown_age|2025-12-15T00:00:00Z|user_details",
            "used|2025-12-20T00:00:00Z|user_details",
        ]
    );
}

#[test]
fn account_with_tokens_and_no_sign_in_is_a_likely_machine_with_a_seat() {
    let ids = ["machine", "signed_in", "reported", "touches_files"];
    let mut snapshot = people(&ids);
    snapshot.events = vec![login("signed_in", "2025-09-01T00:00:00Z")];
    snapshot.imported = vec![imported("reported", "2025-12-15T00:00:00Z")];
    snapshot.activity = ids[..3].iter().map(|id| activity(id, "2026-02-28", TOKEN, 1)).collect();
    snapshot.activity.push(activity("touches_files", "2026-02-28", "UPLOAD", 1));
    let kinds = "SELECT user_id, seat_kind, consumes_seat, seat_state FROM accounts";
    assert_eq!(
        published(&snapshot).lines(kinds),
        [
            "machine|likely_machine|true|used",
            "reported|managed_user|true|used",
            "signed_in|managed_user|true|used",
            "touches_files|managed_user|true|used",
        ]
    );
    // Sign-ins before the start of the record are not known.
    snapshot.coverage = vec![coverage("LOGIN", "2026-01-01T00:00:00Z", "2026-03-02T01:45:00Z")];
    assert_eq!(published(&snapshot).lines(kinds)[0], "machine|managed_user|true|used");
}

/// Why: every run that covers part of a day reads it from midnight on. A sum over these runs would count the day twice, or would keep rows
/// that a better count no longer has.
#[test]
fn each_day_comes_from_the_newest_run_that_covered_it() {
    let mut first = people(&["1", "2"]);
    first.coverage.push(coverage("UPLOAD", "2026-02-28T00:00:00Z", "2026-03-01T01:45:00Z"));
    first.activity = vec![
        activity("1", "2026-02-28", "UPLOAD", 5),
        activity("1", "2026-03-01", "UPLOAD", 1),
        activity("2", "2026-03-01", "UPLOAD", 1),
        // Configured in the middle of the day.
        activity("2", "2026-02-27", "UPLOAD", 2),
    ];
    let mut second = people(&["1", "2"]);
    second.coverage.push(coverage("UPLOAD", "2026-03-01T00:00:00Z", "2026-03-02T01:45:00Z"));
    second.activity =
        vec![activity("1", "2026-03-01", "UPLOAD", 4), activity("1", "2026-03-02", "UPLOAD", 7)];
    let mut store = Store::new();
    let pending = store.commit(1, "2026-03-01", &first);
    store.finish(&pending);
    let pending = store.commit_after(2, DATE, &second);
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT * FROM activity_daily"),
        ["2|2026-02-27|UPLOAD|2", "1|2026-02-28|UPLOAD|5", "1|2026-03-01|UPLOAD|4", "1|2026-03-02|UPLOAD|7"]
    );
    // As it was known in the previous snapshot.
    let before = store.as_of("2026-03-01").unwrap();
    assert_eq!(lines_of(&before, "SELECT sum(events_count)::BIGINT FROM activity_daily"), ["9"]);
}

fn leave(user: &str, from: &str, to: Value, read: &str) -> Value {
    json!({ "user_id": user, "from_date": from, "to_date": to, "imported_at": read, "file_digest": read })
}

#[test]
fn leave_pauses_idle_days_and_past_leave_stays_known() {
    let ids = [
        "cancelled",
        "ended",
        "future",
        "last_day",
        "no_end",
        "on_leave",
        "shortened",
        "suspended",
        "yesterday",
    ];
    let snapshot = || {
        let mut snapshot = people(&ids);
        snapshot.users[7]["status"] = json!("inactive");
        snapshot
    };
    let (old, new) = ("2026-01-01T02:00:00Z", "2026-02-20T02:00:00Z");
    let mut first = snapshot();
    first.leave = vec![
        leave("cancelled", "2026-03-01", json!("2026-04-01"), old),
        leave("ended", "2025-12-01", json!("2026-01-15"), old),
        leave("on_leave", "2026-02-01", json!("2026-03-31"), old),
        leave("shortened", "2025-12-01", json!("2026-06-30"), old),
    ];
    let mut second = snapshot();
    second.leave = vec![
        leave("future", "2026-03-03", json!("2026-04-01"), new),
        leave("last_day", "2026-01-01", json!("2026-03-02"), new),
        leave("no_end", "2026-01-01", Value::Null, new),
        leave("on_leave", "2026-02-01", json!("2026-03-20"), new),
        leave("suspended", "2026-01-01", json!("2026-06-30"), new),
        leave("yesterday", "2026-01-01", json!("2026-03-01"), new),
    ];
    let mut store = Store::new();
    for (number, date, snapshot) in [(1, "2026-01-01", &first), (2, DATE, &second)] {
        let pending = store.commit_after(number, date, snapshot);
        store.finish(&pending);
    }
    let said = "SELECT user_id, seat_state, on_leave_until, proven_idle_days FROM accounts";
    assert_eq!(
        store.lines(said),
        [
            // Removed from the list before the leave began.
            "cancelled|no_login_seen|-|183",
            // Back on 16 January: 45 days, which prove no idleness of 90.
            "ended|unknown|-|45",
            "future|no_login_seen|-|183",
            "last_day|paused|2026-03-02|0",
            "no_end|paused|-|0",
            "on_leave|paused|2026-03-20|0",
            // The list of 20 February no longer contained it.
            "shortened|unknown|-|10",
            "suspended|suspended|2026-06-30|0",
            "yesterday|unknown|-|0",
        ]
    );
    assert_eq!(
        store.lines("SELECT paused_count, unknown_count FROM seat_usage_daily ORDER BY 1"),
        ["2|0", "3|3"]
    );

    // An empty list: no user is on leave any more.
    let mut third = snapshot();
    third.coverage[0]["covered_to_at"] = json!("2026-03-03T01:45:00Z");
    third.leave = vec![json!({ "imported_at": "2026-03-03T02:00:00Z", "file_digest": "empty" })];
    let pending = store.commit_after(3, "2026-03-03", &third);
    store.finish(&pending);
    let ended = store.lines(&format!("{said} WHERE user_id IN ('no_end', 'on_leave', 'last_day')"));
    assert_eq!(ended, ["last_day|unknown|-|0", "no_end|unknown|-|0", "on_leave|unknown|-|0"]);
}
