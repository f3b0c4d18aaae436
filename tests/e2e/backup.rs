//! `backup`, `restore` and `verify --deep`: a copy of a store that is written to, and which copies are accepted.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::Config;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::reclaim::stage::{Stage, small};
use crate::support::{Done, World, finish};
use crate::truth::assert_equal_to_truth;

/// Everything is read each time, because the tests compare with the truth.
fn world(seed: u64) -> World {
    let config =
        Config { users: 80, groups: 8, logins: Some(900), seed, late_events: 0.0, ..Config::default() };
    let world = World::new(config);
    configure(&world, "");
    world.ok(&["sync"]);
    world
}

fn configure(world: &World, more: &str) {
    let settings = format!("[sync]\nalias_sweep_days = 1\nmembership_resync_days = 1\n{more}");
    std::fs::write(world.directory().join("boxseat.toml"), settings).unwrap();
}

fn backup_of(world: &World) -> PathBuf {
    world.directory().join("backup")
}

fn backup(world: &World) -> PathBuf {
    let directory = backup_of(world);
    world.ok(&["backup", directory.to_str().unwrap()]);
    directory
}

fn restore_to(world: &World, backup: &Path, store: &Path) -> Done {
    let mut command = world.command(&["restore", backup.to_str().unwrap()]);
    finish(command.env("BOXSEAT_STORE", store).output().unwrap())
}

/// Replaces the store by the backup; the store moves to `live`.
#[track_caller]
fn replace_store(world: &World, backup: &Path) {
    std::fs::rename(world.store(), world.directory().join("live")).unwrap();
    world.ok(&["restore", backup.to_str().unwrap()]);
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}

fn remove(path: &Path) {
    std::fs::remove_dir_all(path).unwrap();
}

/// Digests of the tables that follow from what was read.
fn picture(world: &World) -> Vec<Value> {
    let tables = [
        "users",
        "groups",
        "memberships",
        "email_aliases",
        "login_events",
        "admin_events",
        "accounts",
        "users_history",
        "(SELECT * EXCLUDE (change_id) FROM user_changes)",
        "imported_evidence",
        "(SELECT run_number, status, rows_in_lake FROM run_rows JOIN sync_runs USING (run_id))",
    ];
    let digest = |table: &str| {
        world.value(&format!(
            "SELECT count(*) || md5(string_agg(md5(t::VARCHAR), '' ORDER BY md5(t::VARCHAR))) FROM {table} t"
        ))
    };
    tables.map(digest).to_vec()
}

/// Every file below a directory, by its path below it.
fn files(directory: &Path) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn first_file(directory: &Path, starts_with: &str, ends_with: &str) -> String {
    let found = files(directory).into_iter().find(|p| p.starts_with(starts_with) && p.ends_with(ends_with));
    found.unwrap_or_else(|| panic!("{starts_with}…{ends_with}"))
}

fn flip_a_bit(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    overwrite(file, &bytes);
}

/// Also works on read-only files.
fn overwrite(file: &Path, bytes: &[u8]) {
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, bytes).unwrap();
}

fn edit_manifest(backup: &Path, edit: impl FnOnce(&mut Value)) {
    let path = backup.join("BACKUP.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    overwrite(&path, &serde_json::to_vec(&manifest).unwrap());
}

/// Corrects the manifest, as an attacker who knows the format does.
fn mend_manifest(backup: &Path) {
    edit_manifest(backup, |manifest| {
        let there: Vec<Value> = files(backup)
            .into_iter()
            .filter(|path| path != "BACKUP.json")
            .map(|path| {
                let bytes = std::fs::read(backup.join(&path)).unwrap();
                let sha256: String =
                    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                json!({ "path": path, "size_bytes": bytes.len(), "sha256": sha256, "mode": "0600" })
            })
            .collect();
        manifest["files"] = json!(there);
    });
}

/// Why: a copy made while a run writes must be the store of one point in time, and continue like the store.
#[test]
fn a_backup_during_a_run_is_restored_and_ends_with_the_same_tables() {
    for step in ["planned", "sealed", "after run_rows", "visible"] {
        let world = world(31);
        world.simulator.step_days(1);
        let mut held = world.hold(&["sync"], step);
        let directory = backup(&world);
        drop(held.stdin.take());
        assert!(held.wait().unwrap().success(), "{step}");
        assert_equal_to_truth(&world);
        let live = picture(&world);

        replace_store(&world, &directory);
        world.ok(&["sync"]);
        assert_equal_to_truth(&world);
        // Data read after the restore is read at another time.
        if step != "planned" {
            assert_eq!(picture(&world), live, "{step}");
        }
        assert_eq!(world.value("SELECT count(*) FROM sync_runs"), 2, "{step}");
        world.ok(&["verify", "--deep"]);
        world.simulator.step_days(1);
        world.ok(&["sync"]);
        assert_equal_to_truth(&world);
    }
}

/// Why: the backup may be days old when the store is lost.
#[test]
fn a_run_that_was_interrupted_by_the_backup_is_given_up_after_days() {
    let world = world(32);
    world.simulator.step_days(1);
    let mut held = world.hold(&["sync"], "planned");
    let directory = backup(&world);
    held.kill().unwrap();
    held.wait().unwrap();
    replace_store(&world, &directory);
    world.simulator.step_days(4);
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
    let runs = "SELECT string_agg(run_number || ' ' || status, ', ' ORDER BY run_number) FROM sync_runs";
    assert_eq!(world.value(runs), "1 complete, 2 abandoned, 3 complete");
    world.ok(&["verify", "--deep"]);
}

/// Why: a run that ends during the copy commits calls and imports, replaces files and removes raw pages.
#[test]
fn a_run_that_ends_during_the_backup_does_not_make_it_inconsistent() {
    let world = world(33);
    configure(&world, "raw_retention_runs = 1\n");
    let user = world.value("SELECT user_id FROM users WHERE status = 'active' ORDER BY user_id LIMIT 1");
    let report =
        format!("User ID,Last Activity\n{},{}\n", user.as_str().unwrap(), world.simulator.now().date_naive());
    let file = world.directory().join("report.csv");
    std::fs::write(&file, report).unwrap();
    world.ok(&["import", file.to_str().unwrap(), "--time-zone", "UTC"]);
    world.ok(&["check"]);
    let directory = backup_of(&world);
    let mut held = world.hold(&["backup", directory.to_str().unwrap()], "backup: recorded");
    for _ in 0..2 {
        world.simulator.step_days(1);
        world.ok(&["sync"]);
    }
    assert!(!world.store().join("spool/1").exists(), "the raw pages were removed meanwhile");
    drop(held.stdin.take());
    assert!(held.wait().unwrap().success());
    let (live, calls) = (picture(&world), "SELECT sum(calls_count)::BIGINT FROM run_calls");
    let counted = world.value(calls);
    replace_store(&world, &directory);
    world.ok(&["verify", "--deep"]);
    assert_eq!(picture(&world), live);
    assert_eq!(
        (world.value(calls), counted),
        (json!(world.simulator.counts().calls), json!(world.simulator.counts().calls))
    );
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}

#[test]
fn a_restored_store_has_the_files_and_modes_of_the_old_one() {
    let world = world(34);
    let done = world.ok(&["backup", "--format", "json", backup_of(&world).to_str().unwrap()]);
    let facts: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(facts["backup"]["snapshot_date"], "2026-03-02");
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(backup_of(&world).join("BACKUP.json")).unwrap()).unwrap();
    for (key, value) in
        [("format", json!(1)), ("run_number", json!(1)), ("snapshot_date", json!("2026-03-02"))]
    {
        assert_eq!(manifest[key], value, "{key}");
    }
    assert_eq!(manifest["enterprise_id"], world.simulator.config().enterprise_id.as_str());
    let other = world.directory().join("other");
    let done = restore_to(&world, &backup_of(&world), &other);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout.contains("2026-03-02") && done.stderr.contains("boxseat reclaim adopt"),
        "{}",
        done.stderr
    );
    let modes = |store: &Path| -> BTreeMap<String, u32> {
        let is_kept = |path: &String| !path.ends_with("/lock") && path != "state/lake.json";
        let mode = |path: &String| std::fs::metadata(store.join(path)).unwrap().mode() & 0o777;
        files(store).into_iter().filter(is_kept).map(|path| (path.clone(), mode(&path))).collect()
    };
    assert_eq!(modes(&other), modes(&world.store()));
    for directory in ["state", "spool", "spool/1"] {
        assert_eq!(std::fs::metadata(other.join(directory)).unwrap().mode() & 0o777, 0o700, "{directory}");
    }
    assert_eq!(std::fs::metadata(backup_of(&world)).unwrap().mode() & 0o777, 0o700);
    let left = |path: &str| world.directory().join(path).exists();
    assert!(!left("backup.partial") && !left("other.partial") && !left("other/.boxseat.lock"));
}

/// Why: others may be able to write to a copy. Every change of it is refused by name, and the target stays unchanged.
#[test]
fn a_backup_that_was_changed_is_refused_and_the_file_is_named() {
    let world = world(35);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let good = backup(&world);
    let bad = world.directory().join("bad");
    let data = first_file(&good, "lake/users/", ".parquet");
    let other_data = first_file(&good, "lake/memberships/", ".parquet");
    let pages = "spool/1/pages.spool".to_owned();
    type Attack<'a> = Box<dyn Fn(&Path) + 'a>;
    let attacks: Vec<(String, Attack<'_>)> = vec![
        (data.clone(), Box::new(|bad| flip_a_bit(&bad.join(&data)))),
        (pages.clone(), Box::new(|bad| flip_a_bit(&bad.join(&pages)))),
        ("boxseat.duckdb".to_owned(), Box::new(|bad| flip_a_bit(&bad.join("boxseat.duckdb")))),
        (
            data.clone(),
            Box::new(|bad| {
                let file = bad.join(&data);
                let bytes = std::fs::read(&file).unwrap();
                overwrite(&file, &bytes[..bytes.len() - 1]);
            }),
        ),
        (data.clone(), Box::new(|bad| std::fs::remove_file(bad.join(&data)).unwrap())),
        (
            "state/imports/added.json".to_owned(),
            Box::new(|bad| {
                std::fs::create_dir_all(bad.join("state/imports")).unwrap();
                std::fs::write(bad.join("state/imports/added.json"), "{}").unwrap();
            }),
        ),
        (
            "boxseat.duckdb.wal".to_owned(),
            Box::new(|bad| std::fs::write(bad.join("boxseat.duckdb.wal"), "x").unwrap()),
        ),
        (
            "lake/".to_owned(),
            Box::new(|bad| {
                let (one, two) = (bad.join(&data), bad.join(&other_data));
                let (first, second) = (std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
                overwrite(&one, &second);
                overwrite(&two, &first);
            }),
        ),
        (
            "boxseat.duckdb is a symbolic link".to_owned(),
            Box::new(|bad| {
                std::fs::remove_file(bad.join("boxseat.duckdb")).unwrap();
                std::os::unix::fs::symlink(good.join("boxseat.duckdb"), bad.join("boxseat.duckdb")).unwrap();
            }),
        ),
        (
            "lake is a symbolic link".to_owned(),
            Box::new(|bad| {
                remove(&bad.join("lake"));
                std::os::unix::fs::symlink(good.join("lake"), bad.join("lake")).unwrap();
            }),
        ),
        ("BACKUP.json".to_owned(), Box::new(|bad| std::fs::remove_file(bad.join("BACKUP.json")).unwrap())),
        ("BACKUP.json".to_owned(), Box::new(|bad| overwrite(&bad.join("BACKUP.json"), b"{"))),
        (
            "lake/../../outside".to_owned(),
            Box::new(|bad| {
                edit_manifest(bad, |manifest| manifest["files"][0]["path"] = json!("lake/../../outside"))
            }),
        ),
        (
            "/etc/hostname".to_owned(),
            Box::new(|bad| {
                edit_manifest(bad, |manifest| manifest["files"][0]["path"] = json!("/etc/hostname"))
            }),
        ),
        (
            "BACKUP.json describes another store".to_owned(),
            Box::new(|bad| edit_manifest(bad, |manifest| manifest["store_id"] = json!(uuid::Uuid::nil()))),
        ),
        (
            "BACKUP.json describes another store".to_owned(),
            Box::new(|bad| edit_manifest(bad, |manifest| manifest["snapshot_date"] = json!("2031-01-01"))),
        ),
        // The manifest matches, and the record does not.
        (
            data.clone(),
            Box::new(|bad| {
                flip_a_bit(&bad.join(&data));
                mend_manifest(bad);
            }),
        ),
        (
            data.clone(),
            Box::new(|bad| {
                std::fs::remove_file(bad.join(&data)).unwrap();
                mend_manifest(bad);
            }),
        ),
        (
            "the lake's table users".to_owned(),
            Box::new(|bad| {
                let log = "lake/users/_delta_log/";
                let newest =
                    files(bad).into_iter().rfind(|path| path.starts_with(log) && path.ends_with(".json"));
                std::fs::remove_file(bad.join(newest.unwrap())).unwrap();
                mend_manifest(bad);
            }),
        ),
        (
            pages.clone(),
            Box::new(|bad| {
                flip_a_bit(&bad.join(&pages));
                mend_manifest(bad);
            }),
        ),
        (
            "files.log".to_owned(),
            Box::new(|bad| {
                let record = bad.join("lake/_runs/files.log");
                let text = std::fs::read_to_string(&record).unwrap();
                let end = text.trim_end().rfind('\n').unwrap() + 1;
                overwrite(&record, &text.as_bytes()[..end]);
                mend_manifest(bad);
            }),
        ),
    ];
    let target = world.directory().join("target");
    for (number, (named, attack)) in attacks.iter().enumerate() {
        copy(&good, &bad);
        attack(&bad);
        let done = restore_to(&world, &bad, &target);
        assert_eq!(done.code, 3, "{number} {named}: {}", done.stderr);
        assert!(done.stderr.contains(named.as_str()), "{number} {named}: {}", done.stderr);
        assert!(
            done.stderr.contains("restore another backup") || named.contains("link"),
            "{number}: {}",
            done.stderr
        );
        assert!(!target.exists() && !world.directory().join("target.partial").exists(), "{number} {named}");
        remove(&bad);
    }
    edit_manifest(&good, |manifest| manifest["format"] = json!(9));
    assert_eq!(restore_to(&world, &good, &target).code, 2, "a manifest of a newer version");
}

#[test]
fn a_store_or_a_directory_that_is_not_empty_is_never_written_over() {
    let world = world(36);
    let directory = backup(&world);
    let before = files(&world.store());
    let refused = world.run(&["restore", directory.to_str().unwrap()]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("is not empty") && refused.stderr.contains("move it away"),
        "{}",
        refused.stderr
    );
    assert_eq!(files(&world.store()), before);
    let before = files(&directory);
    let inside = world.store().join("state/backup");
    let taken = world.directory().join("mine");
    std::fs::create_dir(world.directory().join("mine.partial")).unwrap();
    std::fs::write(world.directory().join("mine.partial/notes"), "mine").unwrap();
    for refused in [&directory, &inside, &taken, &directory.join("BACKUP.json")] {
        let done = world.run(&["backup", refused.to_str().unwrap()]);
        assert_eq!(done.code, 2, "{}: {}", refused.display(), done.stderr);
    }
    assert_eq!(files(&directory), before);
    assert!(world.directory().join("mine.partial/notes").exists());
    for empty in ["", "nothing"] {
        assert_eq!(
            restore_to(&world, &world.directory().join(empty), &taken).code,
            if empty.is_empty() { 3 } else { 2 }
        );
    }
    // Both accept an empty directory.
    let (other, store) = (world.directory().join("other"), world.directory().join("store2"));
    std::fs::create_dir(&other).unwrap();
    std::fs::create_dir(&store).unwrap();
    world.ok(&["backup", other.to_str().unwrap()]);
    assert_eq!(restore_to(&world, &other, &store).code, 0);
}

/// Why: the machine is switched off during a backup; the remains must never become a store.
#[test]
fn a_killed_backup_is_not_restored_and_a_killed_restore_is_begun_again() {
    let world = world(37);
    let (directory, target) = (backup_of(&world), world.directory().join("target"));
    let partial = world.directory().join("backup.partial");
    for step in ["backup: recorded", "backup: copied", "backup: complete"] {
        let mut command = world.command(&["backup", directory.to_str().unwrap()]);
        assert!(command.env("BOXSEAT_FAILPOINT", step).output().unwrap().status.code().is_none(), "{step}");
        assert!(!directory.exists() && partial.exists(), "{step}");
        let done = restore_to(&world, &partial, &target);
        assert_eq!((done.code, target.exists()), (3, false), "{step}: {}", done.stderr);
    }
    world.ok(&["backup", directory.to_str().unwrap()]);
    assert!(!partial.exists());
    let mut command = world.command(&["restore", directory.to_str().unwrap()]);
    command.env("BOXSEAT_STORE", &target).env("BOXSEAT_FAILPOINT", "restore: copied");
    assert!(command.output().unwrap().status.code().is_none() && !target.exists());
    assert_eq!(restore_to(&world, &directory, &target).code, 0);
    assert!(target.join("boxseat.duckdb").exists() && !world.directory().join("target.partial").exists());
    // Two at the same time.
    let second = world.directory().join("second");
    let mut held = world.hold(&["backup", second.to_str().unwrap()], "backup: recorded");
    let done = world.run(&["backup", second.to_str().unwrap()]);
    assert_eq!(done.code, 75, "{}", done.stderr);
    drop(held.stdin.take());
    assert!(held.wait().unwrap().success());
}

/// Why: a backup of an already altered store would replace the last good one. While a run holds the store, an altered file cannot
/// be distinguished from one that is being replaced.
#[test]
fn a_store_that_differs_from_its_record_is_not_backed_up() {
    let world = world(38);
    world.simulator.step_days(1);
    let mut held = world.hold(&["sync"], "visible");
    let data = first_file(&world.store(), "lake/users/", ".parquet");
    flip_a_bit(&world.store().join(&data));
    let later = world.run(&["backup", backup_of(&world).to_str().unwrap()]);
    assert_eq!(later.code, 75, "{}", later.stderr);
    assert!(later.stderr.contains("another boxseat process is using this store"), "{}", later.stderr);
    held.kill().unwrap();
    held.wait().unwrap();
    let done = world.run(&["backup", backup_of(&world).to_str().unwrap()]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains(&data) && done.stderr.contains("boxseat restore"), "{}", done.stderr);
    assert!(!backup_of(&world).exists() && !world.directory().join("backup.partial").exists());
}

/// Why: plans, approvals and the journal prevent a second action on an account.
#[test]
fn plans_and_the_journal_are_restored_as_they_were() {
    let stage = Stage::new(small(7), Intent::default());
    stage.go();
    let planned = stage.run(&["reclaim", "status"]).stdout;
    let (head, directory) = (stage.journal().len(), backup_of(&stage.world));
    let done = stage.world.ok(&["backup", directory.to_str().unwrap()]);
    assert!(done.stderr.contains("state/reclaim/journal_key holds a secret key"), "{}", done.stderr);
    replace_store(&stage.world, &directory);
    assert_eq!(stage.journal().len(), head);
    assert_eq!(stage.run(&["reclaim", "status"]).stdout, planned);
    // R9: the store that was backed up may still act.
    let refused = stage.expect(&[3], &["reclaim", "plan"]);
    assert!(refused.stderr.contains("boxseat reclaim adopt"), "{}", refused.stderr);
    stage.expect(&[0], &["reclaim", "adopt", "--yes"]);
    stage.expect(&[0], &["reclaim", "verify"]);
    assert_eq!(stage.run(&["reclaim", "status"]).stdout, planned);
    let key = stage.world.store().join("state/reclaim/journal_key");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    for directory in ["state/reclaim", "state/reclaim/plans"] {
        let mode = std::fs::metadata(stage.world.store().join(directory)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{directory}");
    }
}

#[test]
fn a_store_of_an_older_version_gets_its_record_and_is_copied() {
    let world = crate::older_store::older();
    let directory = backup(&world);
    replace_store(&world, &directory);
    world.ok(&["publish"]);
    let runs = "SELECT string_agg(run_number || ' ' || status, ', ' ORDER BY run_number) FROM sync_runs";
    assert_eq!(world.value(runs), "1 complete, 2 complete, 3 complete");
    world.ok(&["sync"]);
    assert_eq!(world.value(runs), "1 complete, 2 complete, 3 complete, 4 complete");
    world.ok(&["verify", "--deep"]);
}

/// Why: `report --as-of` and a replay read an old snapshot weeks after it was changed.
#[test]
fn verify_deep_finds_what_plain_verify_does_not_read() {
    let world = world(39);
    let old = first_file(&world.store(), "lake/users/", ".parquet");
    let old_pages = "spool/1/pages.spool".to_owned();
    for _ in 0..3 {
        world.simulator.step_days(1);
        world.ok(&["sync"]);
    }
    let plain = world.ok(&["verify"]);
    assert!(plain.stdout.contains("record") && plain.stdout.contains("files in"), "{}", plain.stdout);
    world.ok(&["verify", "--deep"]);
    let user = world.value("SELECT user_id FROM users WHERE status = 'active' ORDER BY user_id LIMIT 1");
    let report =
        format!("User ID,Last Activity\n{},{}\n", user.as_str().unwrap(), world.simulator.now().date_naive());
    std::fs::write(world.directory().join("report.csv"), report).unwrap();
    world.ok(&["import", "report.csv", "--time-zone", "UTC"]);
    world.ok(&["verify", "--deep"]);
    let import = first_file(&world.store(), "state/imports/", ".json");
    let whole = world.directory().join("whole");
    copy(&world.store(), &whole);
    type Damage<'a> = Box<dyn Fn() + 'a>;
    let store = world.store();
    let damages: Vec<(&str, bool, Damage<'_>)> = vec![
        (&old, true, Box::new(|| flip_a_bit(&store.join(&old)))),
        (&old, true, Box::new(|| std::fs::remove_file(store.join(&old)).unwrap())),
        (&old_pages, true, Box::new(|| flip_a_bit(&store.join(&old_pages)))),
        (&old_pages, true, Box::new(|| remove(&store.join("spool/1")))),
        (&import, true, Box::new(|| flip_a_bit(&store.join(&import)))),
        (&import, true, Box::new(|| std::fs::remove_file(store.join(&import)).unwrap())),
        (
            "state/imports/added.json",
            true,
            Box::new(|| std::fs::write(store.join("state/imports/added.json"), "{}").unwrap()),
        ),
        (
            "_runs/9.json",
            false,
            Box::new(|| {
                drop(std::fs::copy(store.join("lake/_runs/1.json"), store.join("lake/_runs/9.json")))
            }),
        ),
    ];
    for (named, is_missed, damage) in &damages {
        damage();
        if *is_missed {
            world.ok(&["verify"]);
        }
        let found = world.run(&["verify", "--deep", "--format", "json"]);
        assert_eq!(found.code, 3, "{named}: {}\n{}", found.stdout, found.stderr);
        let body: Value = serde_json::from_str(&found.stdout).unwrap();
        let failed: Vec<&Value> = body["verify"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["result"] == "FAILED")
            .collect();
        assert!(
            failed.iter().any(|finding| finding["detail"].as_str().unwrap().contains(named)),
            "{named}: {failed:?}"
        );
        assert!(
            failed.iter().all(|finding| finding["remedy"].as_str().unwrap().contains("restore")),
            "{failed:?}"
        );
        remove(&store);
        copy(&whole, &store);
    }
    world.ok(&["verify", "--deep"]);
}
