//! The call ledger of commands that are no runs: damage never reduces a count silently.

use std::path::PathBuf;

use boxseat_simulator::Config;

use crate::support::World;

fn small() -> Config {
    Config { users: 40, groups: 4, logins: Some(200), seed: 31, late_events: 0.0, ..Config::default() }
}

/// A store with one run, and the ledger of a `check` that no run has committed.
fn world_with_a_ledger() -> (World, PathBuf) {
    let world = World::new(small());
    world.ok(&["sync"]);
    world.ok(&["check"]);
    let mut files = std::fs::read_dir(world.store().join("state/calls")).unwrap();
    let ledger = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    world.simulator.step_days(1);
    (world, ledger)
}

fn counted(world: &World) -> u64 {
    world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap()
}

/// Why: 1,383 of 1,999 mutations of a ledger made the count smaller, without a message.
#[test]
fn a_damaged_call_ledger_is_refused_by_name_before_any_call() {
    let (world, ledger) = world_with_a_ledger();
    let whole = std::fs::read(&ledger).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&ledger, &damaged).unwrap();
    let calls = world.simulator.counts().calls;
    for command in [&["sync"][..], &["status"]] {
        let refused = world.run(command);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        let name = ledger.file_name().unwrap().to_str().unwrap();
        assert!(refused.stderr.contains(name) && refused.stderr.contains("backup"), "{}", refused.stderr);
    }
    assert_eq!(world.simulator.counts().calls, calls);
    std::fs::write(&ledger, whole).unwrap();
    world.ok(&["sync"]);
    assert_eq!(counted(&world), world.simulator.counts().calls);
}

#[test]
fn a_call_ledger_that_was_cut_is_counted_and_reported() {
    let (world, ledger) = world_with_a_ledger();
    let whole = std::fs::read(&ledger).unwrap();
    std::fs::write(&ledger, &whole[..whole.len() - 5]).unwrap();
    let done = world.ok(&["sync"]);
    assert!(done.stderr.contains("is torn at byte"), "{}", done.stderr);
    assert_eq!(counted(&world), world.simulator.counts().calls, "only the end was cut off");
}

#[test]
fn a_call_ledger_under_the_name_of_another_command_is_refused() {
    let (world, ledger) = world_with_a_ledger();
    let other = ledger.with_file_name("0197aaaa-0000-7000-8000-000000000001.calls");
    std::fs::rename(&ledger, other).unwrap();
    let refused = world.run(&["sync"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("another run, command or store"), "{}", refused.stderr);
}

#[test]
fn a_call_ledger_of_an_older_version_is_counted() {
    let (world, ledger) = world_with_a_ledger();
    let before = counted(&world);
    std::fs::remove_file(&ledger).unwrap();
    let line = r#"{"endpoint":"GET /users/me","at":"2026-03-02T03:00:00Z","outcome":"done"}"#;
    let older = ledger.with_file_name("0197aaaa-0000-7000-8000-000000000002.jsonl");
    std::fs::write(&older, format!("{line}\n{line}\n")).unwrap();
    let calls = world.simulator.counts().calls;
    world.ok(&["sync"]);
    assert_eq!(counted(&world), before + 2 + world.simulator.counts().calls - calls);
    assert!(!older.exists());
}
