//! Evidence of use in addition to LOGIN: activity, reports of the admin console, and leave lists.

use std::collections::BTreeMap;

use boxseat_simulator::{Config, Fault, Truth};
use chrono::{DateTime, Utc};

use crate::support::World;
use crate::truth::{assert_equal_to_truth, assert_logins_equal_to_truth, assert_users_equal_to_truth};

fn small() -> Config {
    Config { users: 120, groups: 8, logins: Some(2_500), seed: 23, late_events: 0.0, ..Config::default() }
}

const TYPES: &[&str] = &["DOWNLOAD", "UPLOAD", "USER_AUTHENTICATE_OAUTH2_ACCESS_TOKEN_CREATE"];

fn with_activity(world: &World) {
    let toml = format!("[sync]\nactivity_events = {TYPES:?}\n");
    std::fs::write(world.directory().join("boxseat.toml"), toml).unwrap();
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// The activity of listed users from a midnight to the end of the last window, counted in a slow and simple way.
fn done_by_day(truth: &Truth, from: DateTime<Utc>, to: DateTime<Utc>) -> BTreeMap<String, u64> {
    let mut days = BTreeMap::new();
    for event in &truth.other_events {
        let (created, actor) = (at(&event.created_at), event.actor_id.as_deref().unwrap_or_default());
        let is_listed = truth.users.iter().any(|user| user.user_id == actor);
        if TYPES.contains(&event.event_type.as_str()) && created >= from && created < to && is_listed {
            *days.entry(format!("{} {actor} {}", created.date_naive(), event.event_type)).or_default() += 1;
        }
    }
    days
}

fn counted(world: &World) -> BTreeMap<String, u64> {
    let rows = world.rows("SELECT activity_date::VARCHAR || ' ' || user_id || ' ' || event_type AS what, events_count FROM activity_daily");
    rows.iter()
        .map(|row| (row["what"].as_str().unwrap().to_owned(), row["events_count"].as_u64().unwrap()))
        .collect()
}

/// Why: a user of an application that stays signed in produces no LOGIN, and would look idle.
#[test]
fn activity_is_counted_by_day_however_often_a_day_is_read() {
    let world = World::new(small());
    with_activity(&world);
    for _ in 0..3 {
        world.ok(&["sync"]);
        world.simulator.step_days(1);
    }
    // A run is missed, and the next one reads its events.
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_users_equal_to_truth(&world);
    assert_logins_equal_to_truth(&world);
    // A user with activity and without a sign-in is in use.
    let told = "SELECT count(*) FROM accounts WHERE last_login_at IS NULL AND last_activity_at IS NOT NULL";
    let in_use = format!(
        "{told} AND inactivity_band = '0-30' AND seat_state = 'used' AND last_activity_source <> 'LOGIN'"
    );
    assert!(world.value(told).as_u64() > Some(0), "no user worked without a sign-in");
    assert_eq!(
        world.value(&format!("{told} AND consumes_seat AND account_status = 'active'")),
        world.value(&format!("{in_use} AND consumes_seat AND account_status = 'active'"))
    );
    let window = world.rows("SELECT (SELECT min(covered_from_at) FROM event_coverage WHERE event_type = 'DOWNLOAD') AS first, \
        (SELECT max(window_to_at) FROM sync_runs) AS last").remove(0);
    let moment = |name: &str| at(&window[name].as_str().unwrap().replace(' ', "T"));
    let wanted = done_by_day(&world.simulator.truth(), moment("first"), moment("last"));
    assert!(wanted.len() > 5, "too little happened: {wanted:?}");
    assert_eq!(counted(&world), wanted);
    assert_eq!(world.value("SELECT count(*) FROM event_coverage WHERE event_type = 'DOWNLOAD' AND epoch_us(covered_from_at) % 86400000000 <> 0"), 0);

    // A replay counts the same from the raw pages.
    world.ok(&["replay", "--from", "1"]);
    assert_eq!(counted(&world), wanted);
}

/// Why: an event type that Box does not know must not cost the sign-ins read with it.
#[test]
fn a_refused_type_is_uncovered_and_costs_nothing_else() {
    let world = World::new(Config { refused_event_types: vec!["DOWNLOAD".into()], ..small() });
    with_activity(&world);
    let done = world.ok(&["sync"]);
    assert!(done.stderr.contains("Box refused the list of event types"), "{}", done.stderr);
    assert_equal_to_truth(&world);
    assert_eq!(world.value("SELECT count(*) FROM activity_daily"), 0);
    let covered = "SELECT count(*) FROM event_coverage WHERE event_type IN ('DOWNLOAD', 'UPLOAD')";
    assert_eq!(world.value(covered), 0);
    assert!(
        world.value("SELECT count(*) FROM event_coverage WHERE event_type = 'NEW_USER'").as_u64() > Some(0)
    );
}

#[test]
fn event_types_about_another_user_are_no_activity() {
    let world = World::new(small());
    for name in ["ADMIN_LOGIN", "LOGIN", "EDIT_USER", "downloads"] {
        std::fs::write(
            world.directory().join("boxseat.toml"),
            format!("[sync]\nactivity_events = [{name:?}]\n"),
        )
        .unwrap();
        let done = world.run(&["sync"]);
        assert_eq!(done.code, 2, "{name}: {}", done.stderr);
        assert!(done.stderr.contains(name), "{}", done.stderr);
    }
}

/// Why: only this report shows sign-ins from before the admin log begins. If it is read twice, or has an unknown user, it must not
/// prove more.
#[test]
fn an_imported_report_counts_once_from_the_next_snapshot_on() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let truth = world.simulator.truth();
    let (first, second) = (&truth.users[0], &truth.users[1]);
    let report = format!(
        "\u{feff}User ID,(User) Name,(User) Email,Last Login,User Type\r\n\
         {},\"=cmd|' /C calc'!A0\",{},2026-02-20 10:00:00,Managed\r\n,<script>,{},2026-02-21 10:00:00,Managed\r\n\
         ,Out,out@else.test,2026-02-21 10:00:00,External\r\n,Gone,nobody@acme.test,2026-02-21 10:00:00,Managed\r\n",
        first.user_id,
        first.login.as_deref().unwrap(),
        second.login.as_deref().unwrap().to_uppercase(),
    );
    let file = world.directory().join("user_details_run_on_2026-03-01.csv");
    std::fs::write(&file, report).unwrap();
    let import = ["import", file.to_str().unwrap(), "--time-zone", "America/New_York"];
    let done = world.run(&import);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(done.stderr.contains("line 5: nobody@acme.test is not a user in the store"), "{}", done.stderr);
    assert!(world.ok(&import).stderr.contains("was imported before"));
    assert_eq!(world.value("SELECT count(*) FROM imported_evidence"), 0);

    world.simulator.step_days(1);
    // A kill after the commit and before the snapshot is visible: the import must neither be lost nor doubled.
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "loaded").output().unwrap();
    assert!(died.status.code().is_none());
    world.ok(&["sync"]);
    let imported = "SELECT user_id || ' ' || source || ' ' || (evidence_at AT TIME ZONE 'UTC')::VARCHAR AS line FROM imported_evidence ORDER BY evidence_at";
    let lines = |world: &World| {
        world.rows(imported).iter().map(|row| row["line"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let wanted = [
        format!("{} user_details 2026-02-20 15:00:00", first.user_id),
        format!("{} user_details 2026-02-21 15:00:00", second.user_id),
    ];
    assert_eq!(lines(&world), wanted);
    let newest = format!(
        "SELECT last_activity_source FROM accounts WHERE user_id = '{}' AND last_activity_at >= '2026-02-20T15:00:00Z'",
        first.user_id
    );
    assert_eq!(world.rows(&newest).len(), 1, "a report only ever moves a user towards used");
    assert!(world.ok(&import).stderr.contains("was imported before"));
    let waiting = std::fs::read_dir(world.store().join("state/imports")).unwrap().count();
    assert_eq!(waiting, 0, "what is in the lake need not wait");
    world.ok(&["replay", "--from", "2"]);
    assert_eq!(lines(&world), wanted);

    let wrong = world.directory().join("seats.csv");
    std::fs::write(&wrong, "seat,cost\n1,2\n").unwrap();
    let done = world.run(&["import", wrong.to_str().unwrap()]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    let shown = done.stderr.replace('\n', " ");
    assert!(
        shown.contains("Last Login or Last Activity") && !shown.contains("seat, cost"),
        "{}",
        done.stderr
    );
}

/// Why: a leave list decides about seats. An unreadable list must stop the run, and every list ever read is stored, because lists
/// drop leaves that have ended.
#[test]
fn leave_lists_are_kept_and_a_broken_one_stops_the_run() {
    let world = World::new(small());
    let user = world.simulator.truth().users[2].user_id.clone();
    let list = world.directory().join("leave.csv");
    let toml = world.directory().join("boxseat.toml");
    std::fs::write(&toml, "[idle]\nleave_file = \"leave.csv\"\n").unwrap();
    std::fs::write(&list, "user_id,from,to\n12,tomorrow,\n").unwrap();
    let done = world.run(&["sync"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("line 2: \"tomorrow\" is not a date"), "{}", done.stderr);
    assert_eq!(world.simulator.counts().calls, 0, "no request is made before the list is valid");

    let night = |world: &World| {
        world.ok(&["sync"]);
        world.simulator.step_days(1);
    };
    std::fs::write(&list, format!("user_id,from,to\n{user},2026-02-01,\n")).unwrap();
    night(&world);
    night(&world);
    assert_eq!(world.value("SELECT count(*) FROM leave_periods"), 1, "an unchanged list is kept once");
    let state = format!("SELECT seat_state FROM accounts WHERE user_id = '{user}'");
    assert_eq!(world.value(&state), "paused");
    std::fs::write(&list, "user_id,from,to\n").unwrap();
    night(&world);
    assert_ne!(world.value(&state), "paused");
    std::fs::write(&list, format!("user_id,from,to\n{user},2026-02-01,\n")).unwrap();
    night(&world);
    std::fs::write(&toml, "").unwrap();
    world.simulator.add_fault(Fault::once("/2.0/users", 1, boxseat_simulator::Effect::MalformedJson));
    let done = world.ok(&["sync"]);
    assert!(done.stderr.contains("the leave list is no longer configured"), "{}", done.stderr);
    let history = "SELECT string_agg(coalesce(user_id, 'none'), ',' ORDER BY imported_at) FROM leave_periods";
    assert_eq!(world.value(history), format!("{user},none,{user},none"));
}
