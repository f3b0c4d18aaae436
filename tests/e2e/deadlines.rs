//! No run exceeds its deadline: not because of a connection that hangs, a long wait, or a stage in progress.

use std::process::Stdio;
use std::time::{Duration, Instant};

use boxseat_simulator::{Config, Effect, Fault};

use crate::support::{Done, World, finish, terminate};
use crate::truth::assert_equal_to_truth;

/// The time that the grace for pages in flight and a busy machine may add to a deadline.
const SOON: Duration = Duration::from_secs(15);

fn small() -> Config {
    Config { users: 150, groups: 10, logins: Some(2_000), seed: 41, ..Config::default() }
}

/// Every way in which Box can fail to respond, at the API and at the token endpoint.
fn waits() -> Vec<(&'static str, Fault)> {
    let hour = 3_600_000;
    let on = |path: &str, effect| Fault { path: path.to_owned(), effect, ..Fault::default() };
    let status = |status, retry_after: &str| Effect::Status {
        status,
        retry_after: Some(retry_after.to_owned()).filter(|secs| !secs.is_empty()),
        code: None,
        body: None,
    };
    vec![
        ("mute aliases", Fault { delay_ms: hour, after: 20, ..on("/2.0/users/", Effect::None) }),
        ("a mute token endpoint", Fault { delay_ms: hour, ..on("/oauth2/token", Effect::None) }),
        ("a long Retry-After", on("/2.0/groups", status(429, "600"))),
        ("a head without a body", on("/2.0/events", Effect::Trickle { ms: 8 * hour })),
        ("a trickle", on("/2.0/events", Effect::Trickle { ms: 70_000 })),
        ("a backoff", on("/2.0/groups", status(500, ""))),
    ]
}

/// Why: a hung connection blocked a run for its timeout of minutes, beyond the deadline. The deadline loses no data.
#[test]
fn whatever_box_does_a_deadline_ends_the_reading() {
    std::thread::scope(|scope| {
        for (name, fault) in waits() {
            let night = move || {
                let world = World::new(small());
                world.simulator.add_fault(fault);
                let begun = Instant::now();
                let done = world.run(&["sync", "--deadline", "2s"]);
                assert_eq!(done.code, 75, "{}", done.stderr);
                assert!(done.stderr.contains("the deadline has passed"), "{}", done.stderr);
                assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
                assert_resumes(&world);
            };
            std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, night).unwrap();
        }
    });
}

/// Why: a machine that shuts down gives seconds, whatever hangs.
#[test]
fn whatever_box_does_sigterm_ends_the_run() {
    std::thread::scope(|scope| {
        // One of each kind: the test above covers the differences.
        for (name, fault) in waits().into_iter().take(3) {
            let night = move || {
                let world = World::new(small());
                world.simulator.add_fault(fault);
                let child = world.command(&["sync"]).stderr(Stdio::piped()).spawn().unwrap();
                let patience = Instant::now();
                // A request is made, and hangs or waits.
                while world.simulator.counts().most_at_once == 0 {
                    assert!(patience.elapsed() < SOON, "no request was ever made");
                    std::thread::sleep(Duration::from_millis(10));
                }
                std::thread::sleep(Duration::from_millis(500));
                let asked_at = Instant::now();
                terminate(&child);
                let done = finish(child.wait_with_output().unwrap());
                assert_eq!(done.code, 130, "{}", done.stderr);
                assert!(done.stderr.contains("the next start continues from here"), "{}", done.stderr);
                assert!(asked_at.elapsed() < SOON, "it took {:?}", asked_at.elapsed());
                assert_resumes(&world);
            };
            std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, night).unwrap();
        }
    });
}

/// The next start reads the missing pages and no page twice.
#[track_caller]
fn assert_resumes(world: &World) {
    let answered = |world: &World| world.simulator.counts().by_endpoint["GET /users/me"].ok;
    world.simulator.clear_faults();
    world.ok(&["sync"]);
    assert_equal_to_truth(world);
    assert_eq!(world.value("SELECT count(*) FROM sync_runs"), 1);
    assert_eq!(answered(world), 1, "GET /users/me was requested twice");
    // Interrupted calls are in our ledger and not in the stand-in's, which counts its responses.
    let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
    let seen = world.simulator.counts().calls;
    assert!((seen..=seen + 16).contains(&counted), "{counted} in the ledger, {seen} at Box");
}

/// Why: a run that has read everything needs no more calls. If it gave up at the deadline, the snapshot would be missing in the
/// morning.
#[test]
fn a_deadline_after_the_seal_lets_the_run_finish() {
    for step in ["sealed", "checked"] {
        let world = World::new(small());
        let mut child = world.hold(&["sync", "--deadline", "3s"], step);
        std::thread::sleep(Duration::from_millis(3_300));
        drop(child.stdin.take());
        let done = finish(child.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{step}: {}", done.stderr);
        assert_equal_to_truth(&world);
    }
}

/// Why: SIGTERM during the load was ignored. The run ends at the next step; a second SIGTERM ends it at once. In both cases no
/// request is repeated, and it does not count as a failed attempt: two of those would give the run up.
#[test]
fn a_signal_after_the_seal_ends_at_the_next_step_and_the_second_at_once() {
    for (step, signals) in [("after users", 1), ("loaded", 1), ("before user_changes", 1), ("after users", 2)]
    {
        let world = World::new(small());
        for _ in 0..3 {
            let mut child = world.hold(&["sync"], step);
            terminate(&child);
            std::thread::sleep(Duration::from_millis(300));
            let begun = Instant::now();
            match signals {
                1 => drop(child.stdin.take()),
                _ => terminate(&child),
            }
            let done = finish_held(child);
            assert_eq!(done.code, 130, "{step}: {}", done.stderr);
            assert!(begun.elapsed() < SOON, "{step}: {:?}", begun.elapsed());
        }
        assert!(!world.store().join("boxseat.duckdb").exists());
        let calls = world.simulator.counts().calls;
        world.ok(&["sync"]);
        assert_eq!(world.simulator.counts().calls, calls, "{step}: what was read is requested again");
        assert_equal_to_truth(&world);
    }
}

/// Waits without closing the input first, which would let a held process continue.
fn finish_held(mut child: std::process::Child) -> Done {
    let held = child.stdin.take();
    let done = finish(child.wait_with_output().unwrap());
    drop(held);
    done
}

/// Why: once the snapshot is visible, only a rename is missing until readers see it.
#[test]
fn a_signal_after_the_commit_still_publishes() {
    let world = World::new(small());
    let mut child = world.hold(&["sync"], "visible");
    terminate(&child);
    std::thread::sleep(Duration::from_millis(300));
    drop(child.stdin.take());
    let done = finish(child.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_equal_to_truth(&world);
}
