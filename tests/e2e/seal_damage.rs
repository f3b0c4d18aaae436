//! The mark `SEALED`: a damaged, empty or missing one is damage, not a spool that is no longer kept.

use boxseat_simulator::Config;

use crate::support::World;

fn small() -> Config {
    Config { users: 40, groups: 4, logins: Some(200), seed: 32, late_events: 0.0, ..Config::default() }
}

/// Why: 295 of 297 mutations of a seal passed `verify` as "no longer kept".
#[test]
fn a_damaged_empty_or_missing_seal_of_a_complete_run_is_named() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let sealed = world.store().join("spool/1/SEALED");
    let whole = std::fs::read(&sealed).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for damage in [Some(changed), Some(Vec::new()), Some(whole[..20].to_vec()), None] {
        match &damage {
            Some(bytes) => std::fs::write(&sealed, bytes).unwrap(),
            None => std::fs::remove_file(&sealed).unwrap(),
        }
        let found = world.run(&["verify"]);
        assert_eq!(found.code, 1, "{}", found.stdout);
        assert!(
            found.stdout.contains("spool/1/SEALED") && !found.stdout.contains("no longer kept"),
            "{}",
            found.stdout
        );
        let refused = world.run(&["replay", "--from", "1"]);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("spool/1/SEALED") && refused.stderr.contains("backup"),
            "{}",
            refused.stderr
        );
    }
    std::fs::write(&sealed, whole).unwrap();
    world.ok(&["verify"]);
    // A spool that was removed completely is no longer kept.
    std::fs::remove_dir_all(world.store().join("spool/1")).unwrap();
    assert!(world.ok(&["verify"]).stdout.contains("no longer kept"));
}

#[test]
fn a_damaged_seal_of_a_waiting_run_is_refused_until_it_is_mended_and_costs_no_call() {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    let sealed = world.store().join("spool/1/SEALED");
    let whole = std::fs::read(&sealed).unwrap();
    let calls = world.simulator.counts().calls;
    std::fs::write(&sealed, b"").unwrap();
    for _ in 0..6 {
        let refused = world.run(&["sync"]);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("spool/1/SEALED") && refused.stderr.contains("backup"),
            "{}",
            refused.stderr
        );
    }
    std::fs::write(&sealed, whole).unwrap();
    world.ok(&["sync"]);
    assert_eq!(world.simulator.counts().calls, calls, "the run was kept, and nothing was read again");
}
