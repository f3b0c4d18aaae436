//! The column `is_collaborated_content_available_when_owner_inactive`: on a Box that knows the field, on an older one, and in a
//! store that an earlier version wrote.

use boxseat_simulator::{Act, Config};
use serde_json::json;

use crate::older_store::older;
use crate::support::World;
use crate::truth::assert_equal_to_truth;

const COUNTS: &str =
    "SELECT concat_ws(' ', count(*) FILTER (is_collaborated_content_available_when_owner_inactive),
    count(is_collaborated_content_available_when_owner_inactive)) FROM users";
const CHANGES: &str = "SELECT count(*) FROM user_changes WHERE attribute = 'is_collaborated_content_available_when_owner_inactive'";

/// Requests that Box answered with 400.
fn refused(world: &World) -> usize {
    world.simulator.requests().iter().filter(|request| request.status == 400).count()
}

#[test]
fn the_field_is_stored_as_box_sends_it() {
    let world = World::new(Config { users: 60, change_scale: 0.0, ..Config::plain() });
    world.ok(&["sync"]);
    assert_eq!(world.value(COUNTS), "0 60");
    let user_id = world.value("SELECT max(user_id) FROM users WHERE role = 'user'");
    let body = json!({ "is_collaborated_content_available_when_owner_inactive": true });
    let user_id = user_id.as_str().unwrap().to_owned();
    world.simulator.act(&Act::EditUser { user_id, body, announced: true });
    world.ok(&["sync"]);
    assert_eq!((world.value(COUNTS), refused(&world)), ("1 60".into(), 0));
    assert_equal_to_truth(&world);
    world.ok(&["verify"]);
}

/// Why: Box may answer 400 to an unknown name in `fields`, which must not end a run.
#[test]
fn an_older_box_costs_each_run_one_call_and_the_column_is_null() {
    let world = World::new(Config { users: 60, refuses_content_available: true, ..Config::default() });
    for (runs, flags) in [(1, &["sync", "--full"][..]), (2, &["sync"])] {
        world.simulator.step_days(1);
        world.ok(flags);
        assert_eq!((world.value(COUNTS), refused(&world)), ("0 0".into(), runs), "{flags:?}");
        assert_equal_to_truth(&world);
    }
    let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls");
    assert_eq!(counted, world.simulator.counts().calls, "the refused calls are in the ledger");
    world.ok(&["check"]);
    assert_eq!(refused(&world), 3);
}

/// Why: a resumed walk begins with a marker and not with `/users/me`.
#[test]
fn a_killed_run_is_resumed_on_an_older_box() {
    let world = World::new(Config {
        users: 5_000,
        groups: 3,
        logins: Some(100),
        latency_ms: 4,
        refuses_content_available: true,
        ..Config::default()
    });
    let mut child = world.start(&["sync"]);
    // The token, /users/me twice and two pages of users.
    while world.simulator.counts().calls < 5 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.simulator.reset_counts();
    world.ok(&["sync"]);
    assert!(refused(&world) <= 1, "{}", refused(&world));
    assert_eq!(world.value("SELECT count(*) FROM sync_runs"), 1);
    assert_equal_to_truth(&world);
}

/// Why: on the day of the update, every user would show a change from NULL.
#[test]
fn a_store_of_an_earlier_version_gets_the_column_and_reports_no_changes_by_it() {
    let world = older();
    world.ok(&["publish"]);
    assert_eq!(world.value(COUNTS), "0 0");
    // `reclaim` reads the column in this way: a file published by an earlier version has none.
    let named = "SELECT COLUMNS(name -> name IN ('user_id', 'column_of_a_later_version')) FROM users LIMIT 1";
    assert_eq!(world.rows(named)[0].keys().collect::<Vec<_>>(), ["user_id"]);
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);
    let users = world.value("SELECT count(*) FROM users").to_string();
    let counts = world.value(COUNTS);
    assert_eq!(counts.as_str().unwrap().split(' ').nth(1), Some(users.as_str()));
    assert_eq!(world.value(CHANGES), 0);
    world.ok(&["verify"]);
}
