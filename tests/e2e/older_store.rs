//! A store that an earlier boxseat wrote, opened by this one. `fixtures/README.md` has the version and how it was made.

use std::process::Command;

use boxseat_output::lake::Lake;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, Table, USERS};
use boxseat_simulator::{Act, Config};

use crate::support::World;
use crate::truth::assert_equal_to_truth;

/// The store, and the Box from which it was read on the day its last run died.
pub(crate) fn older() -> World {
    let world = World::new(Config { users: 12, groups: 3, logins: Some(60), seed: 5, ..Config::default() });
    world.simulator.step_days(3);
    // With twelve users any change exceeds a shrink guard.
    world.simulator.act(&Act::SetChangeScale { scale: 0.0 });
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/e2e/fixtures/older-store.tar.gz");
    let unpacked = Command::new("tar").args(["-xzf", archive, "-C"]).arg(world.directory()).status().unwrap();
    assert!(unpacked.success());
    world
}

fn rows(world: &World, table: &'static Table, run: u64) -> usize {
    let lake = Lake::open(&world.store().join("lake"), 0o640).unwrap();
    lake.scan(table, &[RunNumber(run)], None).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

/// The results of the earlier version for its three snapshots.
#[track_caller]
fn assert_old_nights_read(world: &World) {
    for (table, counts) in [
        (&USERS, [12, 13, 14]),
        (&GROUPS, [3, 3, 3]),
        (&MEMBERSHIPS, [18, 17, 18]),
        (&EMAIL_ALIASES, [9, 9, 8]),
    ] {
        assert_eq!([1, 2, 3].map(|run| rows(world, table, run)), counts, "{}", table.name);
    }
}

#[track_caller]
fn runs(world: &World) -> String {
    let runs = "SELECT string_agg(concat(run_number, ' ', status), ', ' ORDER BY run_number) FROM sync_runs";
    world.value(runs).as_str().unwrap().to_owned()
}

/// Why: a new version is installed, and the next run finds the state of the old one, an unfinished run included.
#[test]
fn a_run_that_an_earlier_program_began_is_finished_and_its_snapshots_are_read() {
    let world = older();
    assert_old_nights_read(&world);
    world.ok(&["publish"]);
    assert_eq!(runs(&world), "1 complete, 2 complete, 3 complete");
    let versions = "SELECT count(*) FROM users_history WHERE run_number <= 3";
    let before = (world.value(versions), world.value("SELECT count(*) FROM user_changes"));
    assert!(before.1.as_i64().unwrap() > 2, "{before:?}");

    world.ok(&["sync"]);
    // The survey was in the spool: only the calls of its plan are made.
    let calls = world.simulator.counts().by_endpoint;
    assert!(!calls.keys().any(|name| name == "GET /users" || name == "GET /groups"), "{calls:?}");
    assert_eq!(runs(&world), "1 complete, 2 complete, 3 complete, 4 complete");
    assert_eq!(world.value("SELECT base_run_number FROM sync_runs WHERE run_number = 4"), 3);
    crate::truth::assert_logins_equal_to_truth(&world);
    assert_old_nights_read(&world);

    world.simulator.step_days(1);
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);
    world.ok(&["verify"]);
    let after = world.value("SELECT count(*) FROM user_changes WHERE run_number <= 3");
    assert_eq!((world.value(versions), after), before, "the records of the old snapshots are unchanged");
    crate::soak::assert_histories_chain(&world);
}

/// Why: cron was off for a while, too, and raw pages exist longer than the version that wrote them.
#[test]
fn a_run_that_an_earlier_program_began_is_given_up_after_days_and_its_pages_replayed() {
    let world = older();
    world.simulator.step_days(5);
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);
    assert_eq!(runs(&world), "1 complete, 2 complete, 3 complete, 4 abandoned, 5 complete");
    let told = "SELECT md5(string_agg(concat_ws(' ', observed_at, event_id, user_id, change, attribute, object_id, old_value, new_value), ' ' \
        ORDER BY observed_at, user_id, change, attribute, object_id, new_value)) FROM user_changes";
    let before = world.value(told);
    world.ok(&["replay", "--from", "1"]);
    assert_equal_to_truth(&world);
    assert_eq!(world.value(told), before);
    assert_old_nights_read(&world);
}
