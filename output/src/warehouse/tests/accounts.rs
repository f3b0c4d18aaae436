//! The content of `accounts` and `licence_summary`, case by case.

use boxseat_schemas::RunNumber;
use boxseat_schemas::run::RunStatus;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{DATE, Departure, DepartureReason, Rows, Store};
use crate::testing::{at, run};

/// The time of the snapshot in every case.
const NOW: &str = "2026-03-02T02:00:00Z";

/// One user, the known facts, and the expected result: band, seat state, days since login, proven idle days.
struct Case {
    name: &'static str,
    user: Value,
    logins: &'static [&'static str],
    said: [&'static str; 4],
}

fn case(name: &'static str, user: Value, logins: &'static [&'static str], said: [&'static str; 4]) -> Case {
    Case { name, user, logins, said }
}

/// Checks all cases in one snapshot under the same coverage.
fn check(coverage: &[(&str, &str)], cases: &[Case]) -> Store {
    check_with(coverage, cases, |_| {})
}

fn check_with(coverage: &[(&str, &str)], cases: &[Case], settings: impl Fn(&mut Store)) -> Store {
    let mut snapshot = Rows::default();
    for case in cases {
        let login = format!("{}@example.com", case.name);
        let created_at = "2020-01-01T00:00:00Z";
        let mut user =
            json!({ "user_id": case.name, "login": login, "status": "active", "created_at": created_at });
        user.as_object_mut().unwrap().extend(case.user.as_object().unwrap().clone());
        snapshot.users.push(user);
        for (index, time) in case.logins.iter().enumerate() {
            snapshot.events.push(json!({
                "event_id": format!("{}-{index}", case.name), "event_type": "LOGIN", "user_id": case.name, "created_at": time,
            }));
        }
    }
    for (from, to) in coverage {
        snapshot
            .coverage
            .push(json!({ "event_type": "LOGIN", "covered_from_at": from, "covered_to_at": to }));
    }
    // Coverage of other types proves nothing about logins.
    snapshot.coverage.push(
        json!({ "event_type": "NEW_USER", "covered_from_at": "2020-01-01T00:00:00Z", "covered_to_at": NOW }),
    );
    // A login of no user.
    snapshot
        .events
        .push(json!({ "event_id": "no_user", "event_type": "LOGIN", "created_at": "2026-03-01T00:00:00Z" }));

    let mut store = Store::new();
    settings(&mut store);
    let pending = store.commit(1, DATE, &snapshot);
    store.finish(&pending);
    let sql = "SELECT user_id, inactivity_band, seat_state, days_since_login, proven_idle_days FROM accounts";
    let said = store.lines(sql);
    for case in cases {
        let expected = [[case.name].as_slice(), &case.said].concat().join("|");
        assert!(said.contains(&expected), "expected {expected}\namong {said:#?}");
    }
    store
}

const FULL: (&str, &str) = ("2025-08-31T00:00:00Z", "2026-03-02T01:45:00Z");

#[test]
fn every_band_inside_full_coverage() {
    let old = || json!({ "created_at": "2020-01-01T00:00:00Z" });
    let store = check(
        &[FULL],
        &[
            case(
                "today",
                old(),
                &["2025-12-01T00:00:00Z", "2026-03-02T01:00:00Z"],
                ["0-30", "used", "0", "0"],
            ),
            // A day is 24 h before the snapshot's time, not a date: 30 whole days, and one second before the 31st.
            case("day30", old(), &["2026-01-30T02:00:01Z"], ["0-30", "used", "30", "30"]),
            case("day31", old(), &["2026-01-30T02:00:00Z"], ["31-60", "used", "31", "31"]),
            case("day89", old(), &["2025-12-02T02:00:01Z"], ["61-90", "used", "89", "89"]),
            // 90 days without evidence are enough, though the band's name ends at 90.
            case("day90", old(), &["2025-12-02T02:00:00Z"], ["61-90", "idle", "90", "90"]),
            case("day91", old(), &["2025-12-01T02:00:00Z"], ["91-180", "idle", "91", "91"]),
            case("day181", old(), &["2025-09-02T02:00:00Z"], ["over_180", "idle", "181", "181"]),
            // The last login kept is older than the coverage, and both are in one band.
            case("long_ago", old(), &["2024-01-01T00:00:00Z"], ["over_180", "idle", "791", "183"]),
            case("clock_skew", old(), &["2026-03-02T02:10:00Z"], ["0-30", "used", "0", "0"]),
            case("no_login", old(), &[], ["no_login_seen", "no_login_seen", "-", "183"]),
            // An account that was created yesterday must not look idle if its creation time could not be read.
            case("no_date", json!({ "created_at": null }), &[], ["unknown", "unknown", "-", "-"]),
            case(
                "never",
                json!({ "created_at": "2025-12-01T00:00:00Z" }),
                &[],
                ["never_since_created", "never_since_created", "-", "91"],
            ),
            case(
                "day45",
                json!({ "created_at": "2026-01-16T02:00:00Z" }),
                &[],
                ["never_since_created", "never_since_created", "-", "45"],
            ),
            case(
                "day44",
                json!({ "created_at": "2026-01-16T02:00:01Z" }),
                &[],
                ["too_new", "too_new", "-", "44"],
            ),
            case(
                "new_and_used",
                json!({ "created_at": "2026-02-25T00:00:00Z" }),
                &["2026-02-26T02:00:00Z"],
                ["0-30", "used", "4", "4"],
            ),
            case(
                "suspended",
                json!({ "status": "inactive", "created_at": "2020-01-01T00:00:00Z" }),
                &["2026-03-01T02:00:00Z"],
                ["0-30", "suspended", "1", "1"],
            ),
            case(
                "restricted",
                json!({ "status": "cannot_delete_edit_upload" }),
                &["2026-03-01T02:00:00Z"],
                ["0-30", "used", "1", "1"],
            ),
            case(
                "odd_status",
                json!({ "status": "frozen" }),
                &["2026-03-01T02:00:00Z"],
                ["0-30", "used", "1", "1"],
            ),
        ],
    );
    assert_eq!(
        store.lines("SELECT user_id, account_status, box_status, is_restricted FROM accounts WHERE user_id IN ('suspended', 'restricted', 'odd_status') ORDER BY 1"),
        ["odd_status|unknown|frozen|false", "restricted|active|cannot_delete_edit_upload|true", "suspended|suspended|inactive|false"]
    );
    assert_eq!(
        store.lines(
            "SELECT seat_state, seats_count, seats_percent, seats_assigned_count FROM licence_summary"
        ),
        [
            "used|8|44.44|18",
            "too_new|1|5.56|18",
            "idle|4|22.22|18",
            "never_since_created|2|11.11|18",
            "no_login_seen|1|5.56|18",
            "suspended|1|5.56|18",
            "paused|0|0.0|18",
            "unknown|1|5.56|18",
        ]
    );
    assert_eq!(
        store.lines("SELECT login_coverage_from, login_coverage_to, logins_30d, logins_90d, logins_183d FROM accounts WHERE user_id = 'today'"),
        ["2025-08-31T00:00:00Z|2026-03-02T01:45:00Z|1|1|2"]
    );
    assert_eq!(
        store.lines("SELECT logins_183d FROM accounts WHERE user_id = 'no_login'"),
        ["0"],
        "covered: none is none"
    );
}

#[test]
fn a_gap_in_coverage_is_not_idleness() {
    let old = || json!({ "created_at": "2020-01-01T00:00:00Z" });
    // A gap of an hour on 10 January: 51 days before the snapshot.
    let gap =
        [("2025-08-31T00:00:00Z", "2026-01-10T00:00:00Z"), ("2026-01-10T01:00:00Z", "2026-03-02T01:45:00Z")];
    let store = check(
        &gap,
        &[
            case("recent", old(), &["2026-02-01T00:00:00Z"], ["0-30", "used", "29", "29"]),
            case("same_band", old(), &["2026-01-05T00:00:00Z"], ["31-60", "used", "56", "51"]),
            // It is not known whether there was a login in the gap.
            case("before_gap", old(), &["2025-10-01T00:00:00Z"], ["unknown", "unknown", "152", "51"]),
            case("no_login", old(), &[], ["unknown", "unknown", "-", "51"]),
            case(
                "born_before",
                json!({ "created_at": "2026-01-09T00:00:00Z" }),
                &[],
                ["unknown", "unknown", "-", "51"],
            ),
            case(
                "born_in_it",
                json!({ "created_at": "2026-01-10T00:30:00Z" }),
                &[],
                ["unknown", "unknown", "-", "51"],
            ),
            case(
                "born_after",
                json!({ "created_at": "2026-01-10T02:00:00Z" }),
                &[],
                ["never_since_created", "never_since_created", "-", "51"],
            ),
        ],
    );
    assert_eq!(
        store.lines("SELECT DISTINCT login_coverage_from, logins_30d IS NULL, logins_90d IS NULL, logins_183d IS NULL FROM accounts"),
        ["2026-01-10T01:00:00Z|false|true|true"]
    );
}

#[test]
fn intervals_that_touch_or_overlap_are_one() {
    let parts = [
        ("2025-12-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-01-15T00:00:00Z", "2026-01-20T00:00:00Z"),
        ("2025-08-31T00:00:00Z", "2025-12-01T00:00:00Z"),
        ("2026-02-01T00:00:00Z", "2026-03-02T01:45:00Z"),
        // Earlier, and not adjoining.
        ("2024-01-01T00:00:00Z", "2024-06-01T00:00:00Z"),
        // Empty.
        ("2026-03-05T00:00:00Z", "2026-03-05T00:00:00Z"),
    ];
    let store = check(
        &parts,
        &[case(
            "one",
            json!({ "created_at": "2020-01-01T00:00:00Z" }),
            &[],
            ["no_login_seen", "no_login_seen", "-", "183"],
        )],
    );
    assert_eq!(
        store.lines("SELECT login_coverage_from, login_coverage_to FROM accounts"),
        ["2025-08-31T00:00:00Z|2026-03-02T01:45:00Z"]
    );
}

#[test]
fn stale_or_missing_coverage_gives_unknown() {
    let cases = || {
        [
            case("used", json!({}), &["2026-02-20T00:00:00Z"], ["unknown", "used", "10", "-"]),
            case("older", json!({}), &["2025-10-01T00:00:00Z"], ["unknown", "unknown", "152", "-"]),
            case(
                "never",
                json!({ "created_at": "2025-12-01T00:00:00Z" }),
                &[],
                ["unknown", "unknown", "-", "-"],
            ),
            case(
                "new",
                json!({ "created_at": "2026-02-25T00:00:00Z" }),
                &[],
                ["unknown", "too_new", "-", "-"],
            ),
        ]
    };
    // 48 h and a second before the snapshot.
    let stale = check(&[("2025-08-31T00:00:00Z", "2026-02-28T01:59:59Z")], &cases());
    assert_eq!(
        stale.lines("SELECT DISTINCT login_coverage_to, logins_30d FROM accounts"),
        ["2026-02-28T01:59:59Z|-"]
    );
    let none = check(&[], &cases());
    assert_eq!(none.lines("SELECT DISTINCT login_coverage_from, login_coverage_to FROM accounts"), ["-|-"]);

    let just = [case("older", json!({}), &["2025-10-01T00:00:00Z"], ["91-180", "idle", "152", "152"])];
    check(&[("2025-08-31T00:00:00Z", "2026-02-28T02:00:00Z")], &just);
}

#[test]
fn thresholds_come_from_the_settings() {
    let cases = [
        case("idle", json!({}), &["2026-01-01T02:00:00Z"], ["31-60", "idle", "60", "60"]),
        // An account in its days of grace is not evaluated, whatever is known.
        case(
            "grace",
            json!({ "created_at": "2025-12-20T02:00:00Z" }),
            &["2025-12-25T02:00:00Z"],
            ["61-90", "too_new", "67", "67"],
        ),
    ];
    check_with(&[FULL], &cases, |store| {
        store.settings.idle_after_days = 60;
        store.settings.new_user_grace_days = 100;
    });
}

#[test]
fn machines_and_app_users_take_no_seat() {
    let cases = [
        case(
            "flagged",
            json!({ "is_platform_access_only": true }),
            &["2026-03-01T02:00:00Z"],
            ["0-30", "-", "1", "1"],
        ),
        case(
            "app",
            json!({ "login": "AppUser_17_abc@boxdevedition.com" }),
            &[],
            ["no_login_seen", "-", "-", "183"],
        ),
        case(
            "robot",
            json!({ "login": "automationuser_17_abc@BoxDevEdition.com" }),
            &[],
            ["no_login_seen", "-", "-", "183"],
        ),
        case("by_id", json!({}), &[], ["no_login_seen", "-", "-", "183"]),
        case("by_login", json!({}), &[], ["no_login_seen", "-", "-", "183"]),
        case("reports", json!({ "name": "Box Admin Reports" }), &[], ["no_login_seen", "-", "-", "183"]),
        case(
            "person",
            json!({ "login": null, "name": null, "status": null }),
            &[],
            ["no_login_seen", "no_login_seen", "-", "183"],
        ),
    ];
    let store = check_with(&[FULL], &cases, |store| {
        store.settings.service_accounts = vec!["by_id".into(), "By_Login@Example.com".into()];
    });
    assert_eq!(
        store.lines("SELECT user_id, seat_kind, consumes_seat FROM accounts ORDER BY user_id"),
        [
            "app|app_user|false",
            "by_id|service_account|false",
            "by_login|service_account|false",
            "flagged|app_user|false",
            "person|managed_user|true",
            "reports|system|false",
            "robot|service_account|false",
        ]
    );
    assert_eq!(store.lines("SELECT DISTINCT seats_assigned_count FROM licence_summary"), ["1"]);
}

#[test]
fn counts_of_groups_and_aliases() {
    let mut snapshot = Rows::users(&["1", "2"]);
    snapshot.groups = vec![json!({ "group_id": "g" }), json!({ "group_id": "h" })];
    snapshot.memberships = [("a", "g"), ("b", "h")]
        .map(|(id, group)| json!({ "membership_id": id, "user_id": "1", "group_id": group }))
        .to_vec();
    snapshot.aliases = vec![json!({ "alias_id": "a", "user_id": "2" })];
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &snapshot);
    store.finish(&pending);
    assert_eq!(store.lines("SELECT user_id, group_count, alias_count FROM accounts"), ["1|2|0", "2|0|1"]);
}

/// A user as listed in one of the three snapshots below.
fn listed(id: &str, more: Value) -> Value {
    let mut user = json!({
        "user_id": id, "login": format!("{id}@example.com"), "status": "active", "listing": "listed",
        "created_at": "2020-01-01T00:00:00Z",
    });
    user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user
}

/// New Year, February, and the snapshot of every case.
fn three_nights() -> Store {
    let event = |id: &str, kind: &str, user: &str, at: &str| json!({ "event_id": id, "event_type": kind, "user_id": user, "created_at": at });
    let inactive = || json!({ "status": "inactive" });
    let february = "2026-02-01T02:05:00Z";
    let snapshots = [
        vec![
            listed("carried", json!({})),
            listed("gone", json!({ "role": "coadmin" })),
            listed("gone_silently", inactive()),
            listed("missing", json!({})),
            listed("reactivated", inactive()),
            listed("returned", json!({})),
            listed("stays", json!({})),
            listed("suspended", json!({})),
            listed("suspended_at_first", inactive()),
            listed("suspended_silently", json!({})),
        ],
        vec![
            listed("carried", json!({})),
            listed("gone", json!({ "role": "coadmin", "name": "Ada" })),
            listed("joins", json!({ "created_at": "2026-01-31T00:00:00Z" })),
            listed("missing", json!({})),
            listed("reactivated", json!({})),
            listed("stays", json!({})),
            listed("suspended", inactive()),
            listed("suspended_at_first", inactive()),
            listed("suspended_silently", inactive()),
        ],
        vec![
            listed("carried", json!({ "listing": "carried", "read_at": february })),
            listed("joins", json!({ "created_at": "2026-01-31T00:00:00Z" })),
            listed("missing", json!({ "listing": "missing_unconfirmed", "read_at": february })),
            listed("reactivated", json!({})),
            listed("returned", json!({})),
            listed("stays", json!({})),
            listed("suspended", inactive()),
            // A new version of a user with the same status.
            listed("suspended_at_first", json!({ "status": "inactive", "name": "Grace" })),
            listed("suspended_silently", inactive()),
        ],
    ];
    let events = [
        vec![event("login", "LOGIN", "reactivated", "2025-10-01T00:00:00Z")],
        vec![event("edit", "EDIT_USER", "suspended", "2026-01-20T10:00:00Z")],
        vec![
            event("delete", "DELETE_USER", "gone", "2026-02-15T00:00:00Z"),
            event("new", "NEW_USER", "returned", "2026-02-20T02:00:00Z"),
        ],
    ];
    let mut store = Store::new();
    for (index, (users, events)) in snapshots.into_iter().zip(events).enumerate() {
        let coverage = json!({ "event_type": "LOGIN", "covered_from_at": FULL.0, "covered_to_at": FULL.1 });
        let snapshot = Rows { users, events, coverage: vec![coverage], ..Rows::default() };
        let date = ["2026-01-01", "2026-02-01", DATE][index];
        let mut pending = store.commit_after(index as u64 + 1, date, &snapshot);
        pending.departures =
            vec![Departure { user_id: "gone".to_owned(), reason: DepartureReason::LeftEnterprise }];
        store.finish(&pending);
    }
    store
}

#[test]
fn every_user_ever_listed_has_an_account() {
    let store = three_nights();
    assert_eq!(
        store.lines("SELECT user_id, account_status, box_status, first_seen_at, last_seen_at, status_since, suspended_since, deprovisioned_at FROM accounts"),
        [
            "carried|active|active|2026-01-01T02:00:00Z|2026-02-01T02:05:00Z|2026-01-01T02:00:00Z|-|-",
            // As the event reported. The last snapshot that had these users was February's.
            "gone|deprovisioned|active|2026-01-01T02:00:00Z|2026-02-01T02:00:00Z|2026-02-15T00:00:00Z|-|2026-02-15T00:00:00Z",
            "gone_silently|deprovisioned|inactive|2026-01-01T02:00:00Z|2026-01-01T02:00:00Z|2026-02-01T02:00:00Z|-|2026-02-01T02:00:00Z",
            "joins|active|active|2026-02-01T02:00:00Z|2026-03-02T02:00:00Z|2026-02-01T02:00:00Z|-|-",
            "missing|active|active|2026-01-01T02:00:00Z|2026-02-01T02:05:00Z|2026-01-01T02:00:00Z|-|-",
            "reactivated|active|active|2026-01-01T02:00:00Z|2026-03-02T02:00:00Z|2026-02-01T02:00:00Z|-|-",
            "returned|active|active|2026-01-01T02:00:00Z|2026-03-02T02:00:00Z|2026-03-02T02:00:00Z|-|-",
            "stays|active|active|2026-01-01T02:00:00Z|2026-03-02T02:00:00Z|2026-01-01T02:00:00Z|-|-",
            "suspended|suspended|inactive|2026-01-01T02:00:00Z|2026-03-02T02:00:00Z|2026-01-20T10:00:00Z|2026-01-20T10:00:00Z|-",
            // At least since that time.
            "suspended_at_first|suspended|inactive|2026-01-01T02:00:00Z|2026-03-02T02:00:00Z|2026-01-01T02:00:00Z|2026-01-01T02:00:00Z|-",
            "suspended_silently|suspended|inactive|2026-01-01T02:00:00Z|2026-03-02T02:00:00Z|2026-02-01T02:00:00Z|2026-02-01T02:00:00Z|-",
        ]
    );
    assert_eq!(
        store.lines("SELECT user_id, login, name, role, deprovision_reason, seat_kind, consumes_seat, seat_state, proven_idle_days, group_count, alias_count FROM accounts WHERE account_status = 'deprovisioned'"),
        [
            "gone|gone@example.com|Ada|coadmin|left_enterprise|managed_user|false|-|-|0|0",
            "gone_silently|gone_silently@example.com|-|-|-|managed_user|false|-|-|0|0",
        ]
    );
    assert_eq!(store.lines("SELECT DISTINCT seats_assigned_count FROM licence_summary"), ["9"]);
}

#[test]
fn idle_days_start_at_first_appearance_or_return() {
    let store = three_nights();
    assert_eq!(
        store.lines("SELECT user_id, proven_idle_days, seat_state FROM accounts WHERE consumes_seat AND account_status = 'active'"),
        [
            "carried|183|no_login_seen",
            // First seen on 1 February at 2:00, a day later than created: 29 days.
            "joins|29|too_new",
            "missing|183|no_login_seen",
            // The last login is 152 days ago; closed until 1 February at the latest.
            "reactivated|29|too_new",
            // NEW_USER on 20 February at 2:00: 10 days.
            "returned|10|too_new",
            // Present since before the first snapshot, since an unknown time.
            "stays|183|no_login_seen",
        ]
    );
}

/// Why: retention must not cost a seat. A user whose logins were removed has unknown use, which is not "never".
#[test]
fn removed_events_shorten_the_coverage() {
    let person = json!({ "created_at": "2025-10-01T00:00:00Z" });
    let logins = &["2025-10-05T00:00:00Z"];
    let store = check(&[FULL], &[case("early", person, logins, ["91-180", "idle", "148", "148"])]);
    assert_eq!(store.lake.remove_events_before("2025-11-01".parse().unwrap()).unwrap(), 1);
    store.check(None).unwrap().publish(&store.lake, &boxseat_storage::durable::Access::from(0o640)).unwrap();
    let sql = "SELECT inactivity_band, seat_state, days_since_login, proven_idle_days, CAST(login_coverage_from AT TIME ZONE 'UTC' AS VARCHAR) FROM accounts";
    // 121 whole days from the first of November.
    assert_eq!(store.lines(sql), ["no_login_seen|no_login_seen|-|121|2025-11-01 00:00:00"]);
}

/// An event that arrived late and could not be read left the span proved, because the earlier run had read it without that event.
#[test]
fn newer_reading_decides_about_time_that_two_runs_read() {
    let user = json!({ "user_id": "ann", "status": "active", "created_at": "2020-01-01T00:00:00Z" });
    let covered =
        |from: &str, to: &str| json!({ "event_type": "LOGIN", "covered_from_at": from, "covered_to_at": to });
    let mut store = Store::new();
    for (number, date, coverage) in [
        (1, "2026-03-01", covered("2025-09-01T00:00:00Z", "2026-03-01T01:45:00Z")),
        // The second run reads the last two days of that span again, and proves only a part of them.
        (2, "2026-03-02", covered("2026-02-28T12:00:00Z", "2026-03-02T01:45:00Z")),
    ] {
        let snapshot = Rows { users: vec![user.clone()], coverage: vec![coverage], ..Rows::default() };
        let mut run = run(number, date, RunStatus::Complete);
        run.window_to_at = at(&format!("{date}T01:45:00Z"));
        run.window_from_at = run.window_to_at - TimeDelta::days(2);
        run.base_run_number = (number > 1).then_some(RunNumber(number - 1));
        let pending = store.commit_run(run, &snapshot);
        store.finish(&pending);
    }
    assert_eq!(
        store.lines("SELECT epoch_us(login_coverage_from) = epoch_us(TIMESTAMPTZ '2026-02-28 12:00:00+00'), seat_state FROM accounts"),
        ["true|unknown"]
    );
}

/// A creation time that moved into the past made an account of five days look idle for months.
#[test]
fn creation_time_that_moves_into_the_past_is_ignored() {
    let mut store = Store::new();
    for (number, date, created_at) in
        [(1, "2026-03-01", json!("2026-02-25T00:00:00Z")), (2, "2026-03-02", json!("1970-01-01T00:00:00Z"))]
    {
        let user = |id: &str, at: &Value| json!({ "user_id": id, "status": "active", "created_at": at });
        let users = vec![user("moved", &created_at), user("epoch", &json!("1970-01-01T00:00:00Z"))];
        let coverage =
            vec![json!({ "event_type": "LOGIN", "covered_from_at": FULL.0, "covered_to_at": FULL.1 })];
        let snapshot = Rows { users, coverage, ..Rows::default() };
        let pending = if number == 1 {
            store.commit(number, date, &snapshot)
        } else {
            store.commit_after(number, date, &snapshot)
        };
        store.finish(&pending);
    }
    let sql = "SELECT user_id, seat_state, proven_idle_days FROM accounts ORDER BY user_id";
    assert_eq!(store.lines(sql), ["epoch|unknown|-", "moved|too_new|5"]);
}
