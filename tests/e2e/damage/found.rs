//! Errors that the random damage found, one test each.

use std::path::{Path, PathBuf};

use boxseat_simulator::Config;

use crate::support::World;

fn world() -> World {
    let world = World::new(Config { users: 20, groups: 3, logins: Some(60), seed: 5, ..Config::plain() });
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world
}

/// Cuts off the last bytes; returns the whole file.
fn truncate(path: &Path) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    std::fs::write(path, &whole[..whole.len() - 20]).unwrap();
    whole
}

#[track_caller]
fn refused(world: &World, args: &[&str], named: &str) {
    let done = world.run(args);
    assert_eq!(done.code, 3, "{args:?}\n{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains(named) && done.stderr.contains("hint: "), "{named}\n{}", done.stderr);
}

/// `verify` ended with exit 1 and "the base run cannot be read", without the table and without a hint.
#[test]
fn damaged_rows_to_carry_forward_are_named_by_table() {
    let world = world();
    world.ok(&["sync"]);
    truncate(&world.store().join("lake/email_aliases/_delta_log/00000000000000000001.json"));
    refused(&world, &["verify"], "the lake's table email_aliases is altered");
    refused(&world, &["sync"], "the lake's table email_aliases is altered");
}

/// Two starts on a damaged lake used up the attempts of a sealed run, which was then given up as failed.
#[test]
fn a_sealed_run_is_loaded_once_the_damaged_lake_is_restored() {
    let world = world();
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    let data = data_file(&world, "email_aliases");
    let whole = truncate(&data);
    for _ in 0..3 {
        refused(&world, &["sync"], "lake/email_aliases/");
    }
    std::fs::write(&data, whole).unwrap();
    world.ok(&["sync"]);
    let runs = "SELECT string_agg(concat(run_number, ' ', status), ', ' ORDER BY run_number) FROM sync_runs";
    assert_eq!(world.value(runs), "1 complete, 2 complete");
}

fn data_file(world: &World, table: &str) -> PathBuf {
    let files = super::life::files(&world.store());
    let of_table = |path: &&String| path.starts_with(&format!("lake/{table}/")) && path.ends_with(".parquet");
    world.store().join(files.iter().find(of_table).unwrap())
}

/// `sync` gave a new identity to a store whose identity was removed, and then named only the record of the lake.
#[test]
fn a_store_without_its_identity_gets_no_new_one() {
    let world = world();
    let identity = world.store().join("state/store.json");
    let before = std::fs::read(&identity).unwrap();
    std::fs::remove_file(&identity).unwrap();
    for args in [&["sync"][..], &["publish"], &["verify"]] {
        refused(&world, args, "state/store.json is missing");
        assert!(!identity.exists(), "{args:?}");
    }
    std::fs::write(&identity, before).unwrap();
    world.ok(&["sync"]);
}

/// The message named only the record of the lake, which was undamaged.
#[test]
fn a_changed_anchor_is_named() {
    let world = world();
    let anchor = world.store().join("state/lake.json");
    let older = std::fs::read(&anchor).unwrap();
    world.ok(&["sync"]);
    let newer = std::fs::read(&anchor).unwrap();
    // An older one proves less, and nothing wrong.
    std::fs::write(&anchor, &older).unwrap();
    world.ok(&["publish"]);
    let text = String::from_utf8(newer).unwrap();
    let sequence = serde_json::from_str::<serde_json::Value>(&text).unwrap()["record"]["sequence"].clone();
    std::fs::write(&anchor, text.replace(&sequence.to_string(), "9999")).unwrap();
    refused(&world, &["publish"], "state/lake.json has no valid seal");
}

/// Both were named without a hint.
#[test]
fn a_missing_published_file_and_a_damaged_record_of_it_have_a_remedy() {
    let world = world();
    let report = &["report", "idle"];
    truncate(&world.store().join("lake/_published.json"));
    refused(&world, report, "lake/_published.json is not used");
    world.ok(&["publish"]);
    world.ok(report);
    std::fs::remove_file(world.store().join("boxseat.duckdb")).unwrap();
    let missing = world.run(report).stderr;
    assert!(missing.contains("boxseat.duckdb does not exist") && missing.contains("hint: "), "{missing}");
    world.ok(&["publish"]);
    world.ok(report);
}
