//! Versions and changes, case by case. `chains.rs` has the invariants for random histories.

use boxseat_schemas::run::RunKind;
use serde_json::{Value, json};

use super::*;
use crate::testing::at;

const YESTERDAY: &str = "2026-03-01";

fn person(id: &str, more: Value) -> Value {
    let mut user = json!({
        "user_id": id, "listing": "listed", "status": "active", "role": "user", "login": format!("{id}@example.com"),
        "aliases_read_at": "2026-03-01T02:05:00Z",
    });
    user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user
}

fn people(people: &[(&str, Value)]) -> Rows {
    Rows { users: people.iter().map(|(id, more)| person(id, more.clone())).collect(), ..Rows::default() }
}

fn event(id: &str, kind: &str, at: &str, user: Value, group: Value) -> Value {
    json!({ "event_id": id, "event_type": kind, "created_at": at, "user_id": user, "group_id": group })
}

/// A first snapshot and a second one. The file shows the second.
fn two_nights(first: &Rows, second: &Rows, departures: Vec<Departure>) -> Store {
    let mut store = Store::new();
    let pending = store.commit(1, YESTERDAY, first);
    store.finish(&pending);
    let pending = Pending { departures, ..store.commit_after(2, DATE, second) };
    store.finish(&pending);
    store
}

const CHANGES: &str = "SELECT user_id, change, attribute, object_id, old_value, new_value, event_id FROM user_changes ORDER BY \
     length(change_id), change_id";

#[test]
fn first_snapshot_has_versions_and_no_joiners() {
    let mut store = Store::new();
    let snapshot = people(&[("1", json!({ "name": "Ada" })), ("2", json!({}))]);
    let pending = store.commit(1, DATE, &snapshot);
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT user_id, version_no, valid_from, valid_to, is_current, is_deleted, run_number, name FROM users_history ORDER BY 1"),
        ["1|1|2026-03-02T02:00:00Z|-|true|false|1|Ada", "2|1|2026-03-02T02:00:00Z|-|true|false|1|-"]
    );
    assert_eq!(store.lines(CHANGES), [""; 0]);
    assert_eq!(store.lines("SELECT drift_count FROM sync_runs"), ["-"], "no base to compare with");
}

#[test]
fn every_kind_of_user_change_is_reported() {
    let first = people(&[
        (
            "attribute",
            json!({ "name": "Ada", "tracking_codes": { "cost": "7" }, "has_unlimited_space": true }),
        ),
        ("deleted", json!({})),
        ("elsewhere", json!({ "status": "inactive" })),
        ("moved_on", json!({})),
        ("nothing", json!({ "space_used_bytes": 1, "extra": "{}" })),
        ("ours", json!({})),
        ("promoted", json!({})),
        ("reactivated", json!({ "status": "inactive" })),
        ("restricted", json!({})),
        ("suspended", json!({})),
    ]);
    let mut second = people(&[
        ("attribute", json!({ "tracking_codes": { "cost": "8" }, "has_unlimited_space": null })),
        ("joined", json!({ "created_at": "2026-03-01T12:00:00Z" })),
        ("nothing", json!({ "space_used_bytes": 2, "extra": "[]", "modified_at": "2026-03-01T12:00:00Z" })),
        // boxseat's own column about how a row was read leads to a new version, but it is not a change of the user.
        ("ours", json!({ "listing": "missing_unconfirmed" })),
        ("promoted", json!({ "role": "coadmin", "login": "boss@example.com" })),
        ("reactivated", json!({ "status": "cannot_delete_edit" })),
        ("restricted", json!({ "status": "cannot_delete_edit" })),
        ("suspended", json!({ "status": "inactive" })),
    ]);
    let user = |id: &str| json!(id);
    second.events = vec![
        event("before", "NEW_USER", "2026-03-01T01:44:59Z", user("joined"), Value::Null),
        event("older", "EDIT_USER", "2026-03-01T02:00:00Z", user("suspended"), Value::Null),
        event("edit", "EDIT_USER", "2026-03-01T12:00:00Z", user("suspended"), Value::Null),
        event("other", "DELETE_USER", "2026-03-01T12:00:01Z", user("suspended"), Value::Null),
        event("gone", "DELETE_USER", "2026-03-01T13:00:00Z", user("deleted"), Value::Null),
        event("role", "CHANGE_ADMIN_ROLE", "2026-03-01T14:00:00Z", user("promoted"), Value::Null),
        event("primary", "EMAIL_ALIAS_PRIMARY", "2026-03-01T14:00:00Z", user("promoted"), Value::Null),
        // Box also lists events that are newer than the window. Another run reads those.
        event("later", "EDIT_USER", "2026-03-02T01:45:00Z", user("attribute"), Value::Null),
    ];
    let departures = vec![
        Departure { user_id: "deleted".into(), reason: DepartureReason::Deleted },
        // Looked up twice, reported as missing once.
        Departure { user_id: "deleted".into(), reason: DepartureReason::Deleted },
        Departure { user_id: "elsewhere".into(), reason: DepartureReason::LeftEnterprise },
        Departure { user_id: "ours".into(), reason: DepartureReason::Deleted },
    ];
    let store = two_nights(&first, &second, departures);
    assert_eq!(
        store.lines(CHANGES),
        [
            "attribute|attribute_changed|has_unlimited_space|-|true|-|-",
            "attribute|attribute_changed|name|-|Ada|-|-",
            r#"attribute|attribute_changed|tracking_codes|-|[{"name":"cost","value":"7"}]|[{"name":"cost","value":"8"}]|-"#,
            "deleted|left|-|-|active|deleted|gone",
            "elsewhere|left|-|-|inactive|left_enterprise|-",
            "joined|joined|-|-|-|active|-",
            "moved_on|left|-|-|active|-|-",
            "promoted|attribute_changed|login|-|promoted@example.com|boss@example.com|primary",
            "promoted|role_changed|role|-|user|coadmin|role",
            "reactivated|reactivated|status|-|inactive|cannot_delete_edit|-",
            "restricted|attribute_changed|status|-|active|cannot_delete_edit|-",
            "suspended|suspended|status|-|active|inactive|edit",
        ]
    );
    assert_eq!(
        store.lines(
            "SELECT change_id, observed_at, event_at, run_number FROM user_changes WHERE event_id = 'edit'"
        ),
        ["2-12|2026-03-02T02:00:00Z|2026-03-01T12:00:00Z|2"]
    );
    // Twelve differences, of which four are announced.
    assert_eq!(store.lines("SELECT drift_count FROM sync_runs ORDER BY run_number"), ["-", "8"]);
    assert_eq!(
        store.lines("SELECT user_id, version_no, valid_from, valid_to, is_deleted, deprovision_reason, listing, status, login FROM users_history WHERE version_no = 2 OR user_id = 'joined' ORDER BY 1"),
        [
            "attribute|2|2026-03-02T02:00:00Z|-|false|-|listed|active|attribute@example.com",
            "deleted|2|2026-03-02T02:00:00Z|-|true|deleted|listed|-|deleted@example.com",
            "elsewhere|2|2026-03-02T02:00:00Z|-|true|left_enterprise|listed|-|elsewhere@example.com",
            "joined|1|2026-03-02T02:00:00Z|-|false|-|listed|active|joined@example.com",
            "moved_on|2|2026-03-02T02:00:00Z|-|true|-|listed|-|moved_on@example.com",
            "ours|2|2026-03-02T02:00:00Z|-|false|-|missing_unconfirmed|active|ours@example.com",
            "promoted|2|2026-03-02T02:00:00Z|-|false|-|listed|active|boss@example.com",
            "reactivated|2|2026-03-02T02:00:00Z|-|false|-|listed|cannot_delete_edit|reactivated@example.com",
            "restricted|2|2026-03-02T02:00:00Z|-|false|-|listed|cannot_delete_edit|restricted@example.com",
            "suspended|2|2026-03-02T02:00:00Z|-|false|-|listed|inactive|suspended@example.com",
        ]
    );
    assert_eq!(
        store.lines("SELECT valid_to, is_current, status FROM users_history WHERE user_id = 'suspended' AND version_no = 1"),
        ["2026-03-02T02:00:00Z|false|active"]
    );
}

#[test]
fn change_after_the_window_is_not_drift() {
    let first = people(&[("1", json!({})), ("2", json!({})), ("3", json!({}))]);
    let late = "2026-03-02T01:45:00Z";
    let second = people(&[
        ("1", json!({ "name": "new", "modified_at": late })),
        ("2", json!({ "name": "new", "modified_at": "2026-03-02T01:44:59Z" })),
        ("3", json!({ "name": "new" })),
        ("4", json!({ "created_at": late })),
    ]);
    let mut store = Store::new();
    let pending = store.commit(1, YESTERDAY, &first);
    store.finish(&pending);
    let pending = store.commit_after(2, DATE, &second);
    let checked = store.check(Some(&pending)).unwrap();
    let drift = checked.drift().unwrap();
    assert_eq!(drift.by_change, [("attribute_changed".to_owned(), 2)].into());
    assert_eq!(drift.count(), 2);
    drop(checked);
    store.finish(&pending);
    assert_eq!(store.lines("SELECT drift_count FROM sync_runs WHERE run_number = 2"), ["2"]);
    assert_eq!(store.lake.sync_runs().unwrap()[1].drift_count, Some(2), "the lake has the same row");
}

fn member(user: &str, group: &str, role: &str) -> Value {
    json!({ "membership_id": format!("{user}-{group}"), "user_id": user, "group_id": group, "role": role })
}

#[test]
fn groups_are_compared_member_by_member() {
    let read = json!("2026-02-25T02:10:00Z");
    let group = |id: &str, read: &Value| json!({ "group_id": id, "memberships_read_at": read });
    let mut first = people(&[("1", json!({})), ("2", json!({})), ("3", json!({}))]);
    first.groups = vec![
        group("read", &read),
        group("deleted", &read),
        group("unread", &Value::Null),
        group("kept", &read),
    ];
    first.memberships = vec![
        member("1", "read", "member"),
        member("2", "read", "member"),
        member("3", "read", "member"),
        member("1", "deleted", "admin"),
        member("2", "unread", "member"),
        member("2", "kept", "member"),
    ];
    let mut second = people(&[("1", json!({})), ("2", json!({})), ("4", json!({}))]);
    second.groups =
        vec![group("read", &read), group("unread", &read), group("new", &read), group("kept", &read)];
    second.memberships = vec![
        member("1", "read", "admin"),
        member("4", "read", "member"),
        // Never read before, so the start of the memberships is not known. Member 4 is new.
        member("1", "unread", "member"),
        member("4", "unread", "member"),
        member("1", "new", "member"),
        member("2", "kept", "member"),
    ];
    second.memberships[4]["created_at"] = json!("2026-03-02T01:50:00Z");
    // A second membership of the same user in one group is not a second change.
    second
        .memberships
        .push(json!({ "membership_id": "again", "user_id": "2", "group_id": "kept", "role": "member" }));
    second.events = vec![
        // The group was last read before the window of yesterday ended. The event is older than the window's end and later than that read.
        event("out", "GROUP_REMOVE_USER", "2026-02-26T00:00:00Z", json!("2"), json!("read")),
        event("elsewhere", "GROUP_REMOVE_USER", "2026-03-01T12:00:00Z", json!("2"), json!("kept")),
        event("end", "GROUP_DELETION", "2026-03-01T12:00:00Z", Value::Null, json!("deleted")),
        event("in", "GROUP_ADD_USER", "2026-03-01T12:00:00Z", json!("4"), json!("read")),
        event("new", "NEW_USER", "2026-03-01T12:00:00Z", json!("4"), Value::Null),
    ];
    let store = two_nights(&first, &second, Vec::new());
    assert_eq!(
        store.lines(CHANGES),
        [
            "1|group_added|-|new|-|member|-",
            "1|group_removed|-|deleted|admin|-|end",
            "1|role_in_group_changed|-|read|member|admin|-",
            "2|group_removed|-|read|member|-|out",
            "2|group_removed|-|unread|member|-|-",
            "3|left|-|-|active|-|-",
            "4|group_added|-|read|-|member|in",
            "4|group_added|-|unread|-|member|-",
            "4|joined|-|-|-|active|new",
        ]
    );
    // User 1 joined `new` after the window. All other differences without an event are drift.
    assert_eq!(store.lines("SELECT drift_count FROM sync_runs WHERE run_number = 2"), ["4"]);
}

#[test]
fn aliases_are_compared_only_if_they_were_read() {
    let alias = |id: &str, user: &str| json!({ "alias_id": id, "user_id": user, "email": format!("{id}@example.com") });
    let unread = || json!({ "aliases_read_at": null });
    let mut first = people(&[("1", json!({})), ("2", json!({})), ("3", unread())]);
    first.aliases = vec![alias("a", "1"), alias("b", "1"), alias("c", "2")];
    let mut second = people(&[("1", json!({})), ("3", json!({})), ("4", unread())]);
    second.aliases = vec![alias("b", "1"), alias("n", "1"), alias("known", "3"), alias("new", "4")];
    second.events = vec![
        event("off", "EMAIL_ALIAS_REMOVE", "2026-03-01T12:00:00Z", json!("1"), Value::Null),
        event("on", "EMAIL_ALIAS_CONFIRM", "2026-03-01T11:00:00Z", json!("1"), Value::Null),
    ];
    let store = two_nights(&first, &second, Vec::new());
    assert_eq!(
        store.lines(CHANGES),
        [
            "1|alias_added|-|n|-|n@example.com|on",
            "1|alias_removed|-|a|a@example.com|-|off",
            "2|left|-|-|active|-|-",
            "4|alias_added|-|new|-|new@example.com|-",
            "4|joined|-|-|-|active|-",
        ]
    );
}

#[test]
fn relisted_user_is_reported_as_returned() {
    let mut store = two_nights(
        &people(&[("1", json!({})), ("2", json!({ "name": "Ada" }))]),
        &people(&[("1", json!({}))]),
        Vec::new(),
    );
    let pending =
        store.commit_after(3, "2026-03-03", &people(&[("1", json!({})), ("2", json!({ "name": "Ada" }))]));
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT version_no, valid_from, valid_to, is_deleted, name FROM users_history WHERE user_id = '2' ORDER BY 1"),
        [
            "1|2026-03-01T02:00:00Z|2026-03-02T02:00:00Z|false|Ada",
            "2|2026-03-02T02:00:00Z|2026-03-03T02:00:00Z|true|Ada",
            "3|2026-03-03T02:00:00Z|-|false|Ada",
        ]
    );
    assert_eq!(store.lines("SELECT change FROM user_changes ORDER BY run_number"), ["left", "returned"]);
}

/// Why: after a kill between the commit of the history and the run's row, the next attempt computes the rows again.
#[test]
fn second_attempt_does_not_duplicate_committed_rows() {
    let mut store = Store::new();
    let pending = store.commit(1, YESTERDAY, &people(&[("1", json!({})), ("2", json!({}))]));
    store.finish(&pending);
    let second = people(&[("1", json!({ "name": "Ada", "tracking_codes": { "cost": "7" } }))]);
    let pending = store.commit_after(2, DATE, &second);
    let checked = store.check(Some(&pending)).unwrap();
    assert!(!checked.commit(&store.lake, &USERS_HISTORY).unwrap().already);
    drop(checked);
    store.finish(&pending);
    let picture = |store: &Store| {
        [
            store.lines("SELECT * FROM users_history ORDER BY user_id, version_no"),
            store.lines("SELECT * FROM user_changes ORDER BY change_id"),
            store.lines("SELECT * FROM accounts ORDER BY user_id"),
        ]
    };
    let before = picture(&store);
    assert_eq!([before[0].len(), before[1].len(), before[2].len()], [4, 3, 2]);
    std::fs::remove_file(store.path().join(FILE_NAME)).unwrap();
    store.check(None).unwrap().publish(&store.lake, &Access::from(0o640)).unwrap();
    assert_eq!(picture(&store), before, "a build from the lake alone gives the same result");
}

/// Why: a replay of an older snapshot is compared with the base of that snapshot. The file shows the newest snapshot, which has another
/// base.
#[test]
fn interrupted_replay_leaves_the_history_unchanged() {
    let mut store =
        two_nights(&people(&[("1", json!({}))]), &people(&[("1", json!({ "name": "b" }))]), Vec::new());
    let pending = store.commit_after(3, "2026-03-03", &people(&[("1", json!({ "name": "c" }))]));
    store.finish(&pending);
    let names =
        "SELECT string_agg(coalesce(name, '-') || run_number, ' ' ORDER BY version_no) FROM users_history";
    assert_eq!(store.lines(names), ["-1 b2 c3"]);

    let replay = |number: u64, date: &str, base: u64, replaces: u64| SyncRun {
        kind: RunKind::Replay,
        base_run_number: Some(RunNumber(base)),
        replaces_run_number: Some(RunNumber(replaces)),
        ..run(number, date, RunStatus::Complete)
    };
    let pending = store.commit_run(replay(4, DATE, 1, 2), &people(&[("1", json!({ "name": "B" }))]));
    store.finish(&pending);
    assert_eq!(store.lines(names), ["-1 b2 c3"], "3 was compared with 2");
    assert_eq!(
        store.lines("SELECT old_value, new_value FROM user_changes ORDER BY change_id"),
        ["-|b", "b|c"]
    );
    assert_eq!(store.lines("SELECT drift_count FROM sync_runs ORDER BY run_number"), ["-", "1", "1", "1"]);

    let pending = store.commit_run(replay(5, "2026-03-03", 4, 3), &people(&[("1", json!({ "name": "C" }))]));
    store.finish(&pending);
    assert_eq!(store.lines(names), ["-1 B4 C5"]);
    assert_eq!(
        store.lines("SELECT old_value, new_value FROM user_changes ORDER BY change_id"),
        ["-|B", "B|C"]
    );
}

/// Why: a clock that was set back must neither make two versions valid at one moment nor prevent a snapshot from being published.
#[test]
fn versions_never_overlap_when_the_clock_is_set_back() {
    let mut store = Store::new();
    for (number, hour, name) in [(1, 9, "a"), (2, 4, "b"), (3, 12, "c")] {
        let started_at = at(&format!("2026-03-02T{hour:02}:00:00Z"));
        let base_run_number = latest_snapshot(&store.runs).map(|base| base.run_number);
        let run = SyncRun { started_at, base_run_number, ..run(number, DATE, RunStatus::Complete) };
        let pending = store.commit_run(run, &people(&[("1", json!({ "name": name }))]));
        store.finish(&pending);
    }
    assert_eq!(
        store.lines("SELECT version_no, name, valid_from, valid_to FROM users_history ORDER BY 1"),
        [
            "1|a|2026-03-02T09:00:00Z|2026-03-02T09:00:00Z",
            "2|b|2026-03-02T09:00:00Z|2026-03-02T12:00:00Z",
            "3|c|2026-03-02T12:00:00Z|-",
        ]
    );
}

/// Why: snapshots that were written before the history existed must stay readable.
#[test]
fn older_store_without_a_history_gets_one() {
    let mut store = Store::new();
    let old = people(&[("1", json!({})), ("2", json!({})), ("3", json!({}))]);
    let pending = store.commit(1, YESTERDAY, &old);
    let checked = store.check(Some(&pending)).unwrap();
    checked.commit(&store.lake, &RUN_ROWS).unwrap();
    let row = SyncRun::to_batch(&store.runs, ENTERPRISE);
    store.lake.commit(&SYNC_RUNS, RunNumber(1), &mut once(row)).unwrap();
    drop(checked);
    store.check(None).unwrap().publish(&store.lake, &Access::from(0o640)).unwrap();
    assert_eq!(store.lines("SELECT user_id, first_seen_at FROM accounts"), ["1|-", "2|-", "3|-"]);

    let pending = store.commit_after(2, DATE, &people(&[("1", json!({})), ("2", json!({ "name": "Ada" }))]));
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT user_id, version_no, is_deleted FROM users_history ORDER BY 1"),
        ["1|1|false", "2|1|false", "3|1|true"]
    );
    assert_eq!(
        store.lines("SELECT user_id, change FROM user_changes ORDER BY 1"),
        ["2|attribute_changed", "3|left"]
    );
}

/// Why: a comparison with an empty base would report every user as a joiner.
#[test]
fn base_without_users_in_the_lake_is_refused() {
    let mut store = Store::new();
    let run = SyncRun { base_run_number: Some(RunNumber(1)), ..run(2, DATE, RunStatus::Complete) };
    store.runs.push(super::run(1, YESTERDAY, RunStatus::Complete));
    let pending = store.commit_run(run, &people(&[("1", json!({}))]));
    let error = store.build(Some(&pending), Purpose::Publish).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the base that run 2 is compared with is damaged: the lake has none of its users"
    );
    assert_eq!(store.files(), [""; 0]);
}

#[test]
fn history_that_contradicts_the_snapshot_is_not_published() {
    let ghost = json!({ "user_id": "9", "listing": "listed", "valid_from": "2026-03-01T02:00:00Z" });
    let rumour = json!({ "change_id": "1-1", "user_id": "8", "change": "joined" });
    for (table, row, check) in
        [(&USERS_HISTORY, ghost, "one_current_version"), (&USER_CHANGES, rumour, "user_id_exists")]
    {
        let mut store = Store::new();
        store.commit(1, YESTERDAY, &people(&[("1", json!({}))]));
        let batch = rows(table, &store.runs[0], &[row]);
        store.lake.commit(table, RunNumber(1), &mut once(batch)).unwrap();
        let pending = store.commit_after(2, DATE, &people(&[("1", json!({}))]));
        match store.check(Some(&pending)).unwrap_err() {
            Error::CheckFailed(failed) => {
                assert_eq!((failed.check.as_str(), failed.table.as_str()), (check, table.name));
            }
            other => panic!("{other}"),
        }
    }
}

/// A field that could not be read was reported as changed, and as changed back on the next day.
#[test]
fn unreadable_field_is_not_a_change() {
    let good = json!({ "user_id": "ann", "login": "ann@acme.test", "name": "Ann", "status": "active", "role": "user", "job_title": "Buyer", "space_amount_bytes": 7 });
    let damaged = json!({
        "user_id": "ann", "login": null, "name": "An\u{fffd}", "status": null, "role": null, "job_title": null,
        "extra": r#"{"job_title_unreadable":[],"space_amount_unreadable":"lots"}"#,
    });
    let retitled = json!({ "user_id": "ann", "login": "ann@acme.test", "name": "Ann", "status": "active", "role": "user", "job_title": "Seller", "space_amount_bytes": 7 });
    let mut store = Store::new();
    for (number, date, user) in [
        (1, "2026-03-01", good.clone()),
        (2, "2026-03-02", damaged),
        (3, "2026-03-03", good),
        (4, "2026-03-04", retitled),
    ] {
        let snapshot = Rows { users: vec![user], ..Rows::default() };
        let pending = if number == 1 {
            store.commit(number, date, &snapshot)
        } else {
            store.commit_after(number, date, &snapshot)
        };
        store.finish(&pending);
    }
    assert_eq!(
        store.lines("SELECT run_number, change, attribute, old_value, new_value FROM user_changes"),
        ["4|attribute_changed|job_title|Buyer|Seller"]
    );
}
