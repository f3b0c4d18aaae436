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
    let tokens = counts.by_endpoint.iter().filter(|(name, _)| name.contains("oauth2")).map(|(_, c)| c.calls).sum::<u64>();
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
        assert!(made >= whole && made <= whole + CONCURRENCY, "killed at {share} %: {made} calls instead of {whole}");
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
