//! Commands read only the file that was published: a file that another program changed is refused.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::Config;

use crate::reclaim::stage::{Stage, small};
use crate::support::{Done, World};

fn published(world: &World) -> PathBuf {
    world.store().join("boxseat.duckdb")
}

fn record(world: &World) -> PathBuf {
    world.store().join("lake/_published.json")
}

/// A store with a policy and a user who may be offboarded.
struct Prepared {
    stage: Stage,
    leaver: String,
    receiver: String,
}

impl Prepared {
    fn new() -> Self {
        let stage = Stage::new(small(7), Intent::default());
        let idle = stage.idle(91);
        let truth = stage.simulator().truth_without_events();
        let login = |user_id: &str| {
            truth.users.iter().find(|user| user.user_id == user_id).unwrap().login.clone().unwrap()
        };
        let receiver = login(stage.intent.receiver.as_ref().unwrap());
        let (leaver, receiver) = (login(&idle[0]), receiver);
        Self { stage, leaver, receiver }
    }

    fn world(&self) -> &World {
        &self.stage.world
    }

    /// Commands that show what is in the file.
    fn readers(&self) -> Vec<Vec<&str>> {
        vec![
            vec!["query", "SELECT count(*) FROM users"],
            vec!["report", "idle"],
            vec!["report", "all", "-o", "reports"],
            vec!["import", "report.csv"],
        ]
    }

    /// Commands that change accounts based on the file.
    fn actors(&self) -> Vec<Vec<&str>> {
        vec![
            vec!["reclaim", "plan"],
            vec!["reclaim", "nightly"],
            vec!["offboard", &self.leaver, "--transfer-to", &self.receiver],
            vec![
                "offboard",
                &self.leaver,
                "--transfer-to",
                &self.receiver,
                "--yes",
                "--confirm",
                &self.leaver,
            ],
        ]
    }

    fn write_report(&self) {
        let report = format!("Email,Last Login\n{},2026-02-20 10:00:00 UTC\n", self.leaver);
        fs::write(self.world().directory().join("report.csv"), report).unwrap();
    }
}

#[track_caller]
fn assert_refused(done: &Done, args: &[&str], named: &str) {
    assert_eq!(done.code, 3, "{args:?}\n{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("boxseat.duckdb"), "{args:?}\n{}", done.stderr);
    assert!(done.stderr.contains(named), "{args:?}\n{}", done.stderr);
    assert!(done.stderr.contains("boxseat publish"), "{args:?}\n{}", done.stderr);
    assert_eq!(done.stdout, "", "{args:?}");
}

/// Overwrites bytes of a published file, which is read-only.
fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::set_permissions(file, Permissions::from_mode(0o640)).unwrap();
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o440)).unwrap();
}

fn middle_byte(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

/// Why: DuckDB applies a `.wal` next to the file for every reader. With a planted one, an account used 5 days ago became idle for
/// 9,999 days; it was planned, approved and suspended.
#[test]
fn no_command_uses_a_file_that_another_program_changed_and_publish_mends_it() {
    let prepared = Prepared::new();
    prepared.write_report();
    let world = prepared.world();
    let file = published(world);
    let plant = |ending: &str| fs::write(format!("{}{ending}", file.display()), b"planted").unwrap();
    let damages: [(&str, &dyn Fn()); 7] = [
        (".wal is next to it", &|| plant(".wal")),
        (".wal.checkpoint is next to it", &|| plant(".wal.checkpoint")),
        (".wal.recovery is next to it", &|| plant(".wal.recovery")),
        ("digest", &|| change(&file, |bytes| middle_byte(bytes))),
        ("digest", &|| change(&file, |bytes| bytes.push(0))),
        ("digest", &|| change(&file, Vec::clear)),
        ("regular file", &|| {
            fs::remove_file(&file).unwrap();
            fs::create_dir(&file).unwrap();
        }),
    ];
    for (named, damage) in damages {
        damage();
        for args in prepared.readers().iter().chain(&prepared.actors()) {
            assert_refused(&prepared.stage.run(args), args, named);
        }
        let status = world.run(&["status"]);
        assert_eq!(status.code, 1, "{}", status.stdout);
        assert!(status.stdout.contains("changed") && status.stderr.contains(named), "{}", status.stderr);
        let verify = world.run(&["verify"]);
        assert_eq!(verify.code, 1, "{}", verify.stdout);
        assert!(verify.stdout.contains("file: digest"), "{}", verify.stdout);
        if file.is_dir() {
            fs::remove_dir(&file).unwrap();
        }
        world.ok(&["publish"]);
        assert_eq!(world.value("SELECT count(*) FROM users"), 24);
        world.ok(&["verify"]);
    }
    assert!(prepared.stage.plans().is_empty() && prepared.stage.journal().is_empty());
    for args in prepared.readers() {
        world.ok(&args);
    }
}

/// Why: size and modification time can be set back, and an older file of this store is a genuine file, too.
#[test]
fn a_file_of_the_same_size_and_time_and_one_published_before_are_refused() {
    let world = World::new(Config { users: 12, groups: 2, ..Config::default() });
    world.ok(&["sync"]);
    let file = published(&world);
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    let older = fs::read(&file).unwrap();
    change(&file, |bytes| middle_byte(bytes));
    let times = FileTimes::new().set_modified(modified).set_accessed(modified);
    File::open(&file).unwrap().set_times(times).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), modified);
    assert_refused(&world.run(&["query", "SELECT 1"]), &["query"], "digest");

    world.simulator.step_days(1);
    world.ok(&["sync"]);
    fs::remove_file(&file).unwrap();
    fs::write(&file, &older).unwrap();
    assert_refused(&world.run(&["query", "SELECT 1"]), &["query"], "digest");
    assert_refused(&world.run(&["report", "licences"]), &["report"], "digest");
    world.ok(&["publish"]);
    assert_eq!(world.value("SELECT run_number FROM report_settings"), 2);
}

/// A copy has other inodes and ctimes, and is the same file.
#[test]
fn a_copied_store_and_a_file_whose_rights_were_changed_are_used() {
    let prepared = Prepared::new();
    let world = prepared.world();
    let copy = world.directory().join("copy");
    let copied = std::process::Command::new("cp").arg("-r").args([&world.store(), &copy]).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(published(world), Permissions::from_mode(0o400)).unwrap();
    for store in [&world.store(), &copy] {
        let store = store.to_str().unwrap();
        for args in [&["query", "SELECT 1"][..], &["report", "licences"]] {
            let args: Vec<&str> = ["--store", store].iter().chain(args).copied().collect();
            let done = prepared.stage.run(&args);
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        }
        prepared.stage.expect(&[0, 4], &["--store", store, "reclaim", "plan"]);
    }
}

/// Why: stores published by an earlier version have no record; a removed record must not allow an action.
#[test]
fn without_a_record_readers_are_warned_and_actions_are_refused() {
    let prepared = Prepared::new();
    prepared.write_report();
    let world = prepared.world();
    for mend in [&["publish"][..], &["sync"]] {
        fs::remove_file(record(world)).unwrap();
        for args in prepared.readers() {
            let done = prepared.stage.run(&args);
            assert_eq!(done.code, 0, "{args:?}\n{}", done.stderr);
            assert!(done.stderr.contains("has no recorded digest"), "{args:?}\n{}", done.stderr);
            assert!(done.stderr.contains("boxseat publish"), "{args:?}\n{}", done.stderr);
        }
        for args in prepared.actors() {
            assert_refused(&prepared.stage.run(&args), &args, "has no recorded digest");
        }
        assert!(prepared.stage.plans().is_empty());
        world.simulator.step_days(1);
        world.ok(mend);
        let done = world.ok(&["query", "SELECT 1"]);
        assert_eq!(done.stderr, "", "{mend:?}");
    }
    assert!(!prepared.stage.plan().is_empty());
}

#[test]
fn a_damaged_record_is_an_error_and_the_next_publish_writes_it_again() {
    let world = World::new(Config { users: 12, groups: 2, ..Config::default() });
    world.ok(&["sync"]);
    for (text, code) in [("", 3), ("{}", 3), ("[1]", 3), (r#"{"format":99}"#, 2)] {
        fs::write(record(&world), text).unwrap();
        let done = world.run(&["query", "SELECT 1"]);
        assert_eq!(done.code, code, "{text:?}\n{}", done.stderr);
        assert!(done.stderr.contains("_published.json"), "{text:?}\n{}", done.stderr);
        let published = world.ok(&["publish"]);
        assert!(published.stderr.contains("_published.json"), "{text:?}\n{}", published.stderr);
        world.ok(&["query", "SELECT 1"]);
    }
}
