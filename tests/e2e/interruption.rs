//! A run that is stopped goes on where it was.

use std::time::{Duration, Instant};

use boxseat_simulator::Config;

use crate::support::{World, finish};
use crate::truth::assert_equal_to_truth;

const CONCURRENCY: u64 = 16;

fn enterprise() -> Config {
    // Slow enough to be hit in the middle of it, and without 404s or faults, so that every call is a page.
    Config { users: 1_500, groups: 80, logins: Some(30_000), seed: 3, latency_ms: 4, ..Config::default() }
}

fn api_calls(world: &World) -> u64 {
    let counts = world.simulator.counts();
    let tokens = counts
        .by_endpoint
        .iter()
        .filter(|(name, _)| name.contains("oauth2"))
        .map(|(_, c)| c.calls)
        .sum::<u64>();
    counts.calls - tokens
}

fn wait_for_calls(world: &World, calls: u64) {
    let patience = Instant::now();
    while api_calls(world) < calls {
        assert!(patience.elapsed() < Duration::from_secs(60), "the run never made {calls} calls");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Why: the spool's promise. A page that was counted is never asked for again.
#[test]
fn a_killed_run_asks_again_only_what_was_in_flight() {
    let untouched = World::new(enterprise());
    untouched.ok(&["sync"]);
    let whole = api_calls(&untouched);

    for share in [10, 50, 90] {
        let world = World::new(enterprise());
        let mut child = world.start(&["sync"]);
        wait_for_calls(&world, whole * share / 100);
        child.kill().unwrap();
        child.wait().unwrap();
        world.ok(&["sync"]);
        let made = api_calls(&world);
        assert!(
            made >= whole && made <= whole + CONCURRENCY,
            "killed at {share} %: {made} calls instead of {whole}"
        );
        assert_eq!(world.value("SELECT count(*) FROM sync_runs"), 1);
        assert_equal_to_truth(&world);
    }
}

/// Why: cron's machine shuts down at night; SIGTERM must not cost a page.
#[test]
fn a_terminated_run_exits_130_and_goes_on_without_asking_anything_twice() {
    let untouched = World::new(enterprise());
    untouched.ok(&["sync"]);

    let world = World::new(enterprise());
    let child = world.command(&["sync"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for_calls(&world, 400);
    let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let done = finish(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert!(done.stderr.contains("the next start continues from here"), "{}", done.stderr);
    assert!(!world.store().join("boxseat.duckdb").exists());
    world.ok(&["sync"]);
    assert_eq!(api_calls(&world), api_calls(&untouched));
    assert_equal_to_truth(&world);
}

/// Why: two cron lines, or a person beside cron.
#[test]
fn a_second_sync_meanwhile_tries_later() {
    let world = World::new(enterprise());
    let mut first = world.start(&["sync"]);
    wait_for_calls(&world, 50);
    let second = world.run(&["sync"]);
    assert_eq!(second.code, 75, "{}", second.stderr);
    assert!(second.stderr.contains("another boxseat works on this store: pid"), "{}", second.stderr);
    assert!(first.wait().unwrap().success());
}

/// Steps of a run, in order; the process dies at each of them once.
const STEPS: &[&str] = &[
    "before reserving",
    "reserved",
    "read",
    "sealed",
    "before users",
    "after users",
    "before groups",
    "after groups",
    "before memberships",
    "after memberships",
    "before email_aliases",
    "after email_aliases",
    "before events",
    "after events",
    "before event_coverage",
    "before run_calls",
    "before rejects",
    "loaded",
    "checked",
    "before run_rows",
    "accounted",
    "before sync_runs",
    "visible",
    "published",
];

/// Why: the commit protocol. Whatever line a night dies on, readers see the old night or the new one, and the next start makes it
/// whole without asking Box again for what was read.
#[test]
fn a_night_that_dies_at_any_step_is_made_whole_by_the_next_start() {
    let config = || Config {
        users: 120,
        groups: 10,
        logins: Some(2_000),
        seed: 11,
        late_events: 0.0,
        ..Config::default()
    };
    for step in STEPS {
        let world = World::new(config());
        world.ok(&["sync"]);
        let first_night = world.value("SELECT run_number FROM report_settings");
        world.simulator.step_days(1);
        world.simulator.reset_counts();
        let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", step).output().unwrap();
        assert!(died.status.code().is_none(), "{step}: {}", String::from_utf8_lossy(&died.stderr));
        let calls = world.simulator.counts().calls;
        let shown = world.value("SELECT run_number FROM report_settings");
        assert_eq!(shown == first_night, *step != "published", "{step}: readers see night {shown}");
        world.ok(&["sync"]);
        let again = world.simulator.counts().calls - calls;
        // Dead after the last step there is nothing left to do, so the start after it is the next night.
        let expected_runs = if *step == "published" { 3 } else { 2 };
        match *step {
            "before reserving" | "reserved" => {
                assert!(calls == 0 && again > 100, "{step}: {calls} then {again}")
            }
            "published" => assert!(again > 100, "{step}"),
            // A start that still has to seal asks for a token at most.
            "read" => assert!(again <= 1, "{step}: {again} calls"),
            _ => assert_eq!(again, 0, "{step}: what was read is asked again"),
        }
        assert_eq!(
            world.value("SELECT count(*) FROM sync_runs WHERE status = 'complete'"),
            expected_runs,
            "{step}"
        );
        assert_eq!(world.value("SELECT count(*) - count(DISTINCT event_id) FROM login_events"), 0, "{step}");
        let unbalanced = "SELECT count(*) FROM run_rows WHERE rows_from_box + rows_carried - rows_duplicate - rows_rejected - rows_dropped <> rows_in_lake";
        assert_eq!(world.value(unbalanced), 0, "{step}");
        let listed = i64::try_from(world.simulator.truth().users.len()).unwrap();
        assert_eq!(world.value("SELECT count(*) FROM users"), listed, "{step}");
    }
}

/// Why: real kills do not keep to steps.
#[test]
fn twenty_kills_at_any_moment_lose_nothing_and_show_no_half_night() {
    let config = || Config { users: 400, groups: 20, logins: Some(6_000), seed: 13, ..Config::default() };
    let untouched = World::new(config());
    let begun = Instant::now();
    untouched.ok(&["sync"]);
    let whole = begun.elapsed();
    let world = World::new(config());
    for kill in 1..=20u32 {
        let mut child = world.start(&["sync"]);
        std::thread::sleep(whole * kill / 20);
        let _ = child.kill();
        let finished = child.wait().unwrap().success();
        if world.store().join("boxseat.duckdb").exists() {
            assert_equal_to_truth(&world);
        }
        if finished {
            break;
        }
    }
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}
