//! `check`, `verify` and `replay`: whether a run could start now, whether the last snapshot can be trusted, and a rebuild from the
//! raw pages.

use boxseat_simulator::{Act, Config, Effect, Fault};

use crate::support::World;
use crate::truth::assert_equal_to_truth;

fn small() -> Config {
    Config { users: 250, groups: 15, logins: Some(4_000), seed: 23, late_events: 0.0, ..Config::default() }
}

#[test]
fn a_good_snapshot_can_be_trusted_and_a_changed_one_is_found() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let good = world.ok(&["verify", "--live", "5"]);
    assert!(good.stdout.contains("The snapshot of 2026-03-02 (run 1) can be trusted."), "{}", good.stdout);
    assert!(good.stdout.contains("5 of 5 users equal"), "{}", good.stdout);

    // One bit of the raw pages.
    let spool = world.store().join("spool/1/pages.spool");
    let whole = std::fs::read(&spool).unwrap();
    let mut bent = whole.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    std::fs::write(&spool, bent).unwrap();
    let found = world.run(&["verify"]);
    assert_eq!(found.code, 1, "{}", found.stdout);
    assert!(found.stdout.contains("cannot be trusted"), "{}", found.stdout);
    std::fs::write(&spool, whole).unwrap();

    // A file that boxseat did not publish.
    let file = world.store().join("boxseat.duckdb");
    std::fs::remove_file(&file).unwrap();
    assert!(world.run(&["verify"]).stdout.contains("nothing is published"));
    world.ok(&["publish"]);
    world.ok(&["verify"]);
}

/// Why: the ledger must equal what Box counts, whichever command called.
#[test]
fn calls_of_other_commands_are_committed_by_the_next_run_once() {
    let world = World::new(small());
    world.ok(&["sync"]);
    world.ok(&["check"]);
    world.ok(&["verify", "--live", "3"]);
    world.simulator.step_days(1);
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "visible").output().unwrap();
    assert!(died.status.code().is_none());
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
    assert_eq!(counted, world.simulator.counts().calls);
}

#[test]
fn check_names_what_to_tick() {
    let world = World::new(small());
    let ready = world.ok(&["check"]);
    assert!(ready.stdout.contains("boxseat can run here."), "{}", ready.stdout);
    world.simulator.add_fault(Fault { path: "/2.0/events".into(), ..Fault::status("/2.0/events", 9, 403) });
    let refused = world.run(&["check"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(
        refused.stdout.contains("Manage enterprise") && refused.stdout.contains("1 problem must be fixed"),
        "{}",
        refused.stdout
    );
    world.simulator.clear_faults();
    world.simulator.add_fault(Fault { path: "/2.0/groups/".into(), ..Fault::status("/2.0/groups/", 9, 403) });
    let closed = world.run(&["check"]);
    assert_eq!(closed.code, 2, "{}", closed.stdout);
    let wrong = crate::support::finish(
        world.command(&["check"]).env("BOXSEAT_CLIENT_SECRET", "wrong").output().unwrap(),
    );
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stdout.contains("Box refused to sign in") && !wrong.stdout.contains("wrong\""),
        "{}",
        wrong.stdout
    );
}

/// Why: an error in the normaliser is corrected without a call, and the history stays the same.
#[test]
fn a_replay_makes_every_snapshot_again_without_a_call() {
    let world = World::new(small());
    for _ in 0..3 {
        world.ok(&["sync"]);
        world.simulator.step_days(1);
    }
    let picture = |world: &World| {
        let tables = [
            "users",
            "groups",
            "memberships",
            "email_aliases",
            "login_events",
            "admin_events",
            "accounts",
            "(SELECT * EXCLUDE (run_number) FROM users_history)",
            "(SELECT * EXCLUDE (change_id, run_number) FROM user_changes)",
        ];
        tables.map(|table| {
            world.value(&format!(
                "SELECT md5(string_agg(md5(t::VARCHAR), '' ORDER BY md5(t::VARCHAR))) FROM {table} t"
            ))
        })
    };
    let before = picture(&world);
    let calls = world.simulator.counts().calls;
    let ledger = "SELECT sum(calls_count)::BIGINT FROM run_calls";
    let counted = world.value(ledger);
    world.ok(&["replay", "--from", "2"]);
    assert_eq!(world.simulator.counts().calls, calls);
    assert_eq!(picture(&world), before);
    assert_eq!(world.value(ledger), counted, "the ledger keeps the calls of replaced runs");
    assert_eq!(world.value("SELECT string_agg(run_number || '>' || replaces_run_number, ',' ORDER BY run_number) FROM sync_runs WHERE kind = 'replay'"), "4>2,5>3");
    world.ok(&["verify"]);
    // The next run continues from the replayed snapshot.
    world.ok(&["sync"]);
    assert_eq!(world.value("SELECT base_run_number FROM sync_runs ORDER BY run_number DESC LIMIT 1"), 5);
    assert_eq!(world.value("SELECT count(*) - count(DISTINCT event_id) FROM login_events"), 0);
    // A replay of the replays, and one that lacks its raw pages.
    world.ok(&["replay", "--from", "2"]);
    std::fs::remove_dir_all(world.store().join("spool/2")).unwrap();
    let refused = world.run(&["replay", "--from", "1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("the raw pages of run 2 were removed"), "{}", refused.stderr);
}

/// Why: users are deleted while a run reads; no row may refer to a user that does not exist.
#[test]
fn users_that_vanish_during_a_run_leave_no_dangling_rows() {
    let world = World::new(Config { latency_ms: 2, ..small() });
    let child = world.start(&["sync"]);
    while world.simulator.counts().calls < 60 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    world.simulator.act(&Act::DeleteUsers { count: 40, announced: true });
    let mut child = child;
    assert!(child.wait().unwrap().success());
    assert_eq!(world.value("SELECT count(*) FROM memberships ANTI JOIN users USING (user_id)"), 0);
    world.ok(&["verify"]);
    world.simulator.step_days(1);
    world.simulator.add_fault(Fault::once("/2.0/users", 1, Effect::DroppedAnswer));
    // Forty of 250 are more than the shrink guard accepts, but the admin log announces them.
    world.ok(&["sync"]);
    assert_equal_to_truth_of_people(&world);
}

fn assert_equal_to_truth_of_people(world: &World) {
    let listed = i64::try_from(world.simulator.truth().users.len()).unwrap();
    assert_eq!(world.value("SELECT count(*) FROM users"), listed);
}

#[test]
fn the_dictionary_describes_every_column_of_the_file() {
    let world = World::new(small());
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
    let schema: serde_json::Value =
        serde_json::from_str(&world.ok(&["schema", "--format", "json"]).stdout).unwrap();
    let mut described = Vec::new();
    for table in schema["tables"].as_array().unwrap() {
        for column in table["columns"].as_array().unwrap() {
            described.push(format!(
                "{}.{}",
                table["name"].as_str().unwrap(),
                column["name"].as_str().unwrap()
            ));
        }
    }
    described.sort();
    let in_file: Vec<String> = world
        .rows("SELECT table_name || '.' || column_name AS name FROM duckdb_columns() WHERE NOT internal AND comment IS NOT NULL")
        .into_iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    let mut in_file = in_file;
    in_file.sort();
    assert_eq!(described, in_file);
}

/// Why: a replay that dies half-way must leave a store that can publish the next snapshot.
#[test]
fn a_replay_that_dies_is_given_up_and_the_next_run_continues() {
    for step in ["after users", "before run_calls", "loaded", "accounted"] {
        let world = World::new(small());
        world.ok(&["sync"]);
        let died = world.command(&["replay", "--from", "1"]).env("BOXSEAT_FAILPOINT", step).output().unwrap();
        assert!(died.status.code().is_none(), "{step}");
        world.simulator.step_days(1);
        world.ok(&["sync"]);
        world.ok(&["verify"]);
        let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
        assert_eq!(counted, world.simulator.counts().calls, "{step}");
        let statuses = "SELECT string_agg(kind || ' ' || status, ',' ORDER BY run_number) FROM sync_runs";
        assert_eq!(world.value(statuses), "sync complete,replay abandoned,sync complete", "{step}");
    }
}
