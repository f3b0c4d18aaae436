//! A store knows what it must contain: what was removed, rolled back, replaced or added is refused by name, and `repair` keeps what
//! is proved.

use std::fs;
use std::path::{Path, PathBuf};

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::Config;

use crate::reclaim::stage::{Stage, small};
use crate::support::{World, finish};

const CLAIMS: &str =
    "SELECT user_id, proven_idle_days, last_activity_at, login_coverage_from FROM accounts ORDER BY user_id";

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

fn newest(directory: &Path, ending: &str) -> PathBuf {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    files.sort();
    files.pop().unwrap()
}

fn data_file(table: &Path) -> PathBuf {
    let mut waiting = vec![table.to_owned()];
    let mut files = Vec::new();
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("_delta_log") {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "parquet") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.pop().unwrap()
}

/// A store after two snapshots, with a policy; and the state that is restored before each damage.
struct Kept {
    stage: Stage,
    intact: PathBuf,
}

impl Kept {
    fn new() -> Self {
        let mut stage = Stage::new(small(5), Intent::default());
        stage.later(1);
        let intact = stage.world.directory().join("intact");
        copy(&stage.world.store(), &intact);
        Self { stage, intact }
    }

    fn store(&self) -> PathBuf {
        self.stage.world.store()
    }

    fn put_back(&self) {
        fs::remove_dir_all(self.store()).unwrap();
        copy(&self.intact, &self.store());
    }

    fn claims(&self) -> Vec<serde_json::Map<String, serde_json::Value>> {
        self.stage.world.rows(CLAIMS)
    }
}

type Damage = (&'static str, &'static str, fn(&Path));

/// Each with what the message names.
const DAMAGES: &[Damage] = &[
    ("a table removed", "table events is missing", |store| {
        fs::remove_dir_all(store.join("lake/events")).unwrap();
    }),
    ("a table without its newest commit", "table events is at version", |store| {
        fs::remove_file(newest(&store.join("lake/events/_delta_log"), ".json")).unwrap();
    }),
    (
        "a commit in the middle removed",
        "lacks event_coverage/_delta_log/00000000000000000001.json",
        |store| {
            fs::remove_file(store.join("lake/event_coverage/_delta_log/00000000000000000001.json")).unwrap();
        },
    ),
    ("a commit that is not ours", "00000000000000000099.json", |store| {
        let log = store.join("lake/users/_delta_log");
        fs::copy(newest(&log, ".json"), log.join("00000000000000000099.json")).unwrap();
    }),
    ("a data file emptied", "lake/events/event_month", |store| {
        fs::write(data_file(&store.join("lake/events")), b"").unwrap();
    }),
    ("a data file of another table", "lake/users/snapshot_date", |store| {
        fs::copy(data_file(&store.join("lake/groups")), data_file(&store.join("lake/users"))).unwrap();
    }),
    ("the runs removed", "table sync_runs is missing", |store| {
        fs::remove_dir_all(store.join("lake/sync_runs")).unwrap();
    }),
    ("a run record removed", "_runs/2.json is missing", |store| {
        fs::remove_file(store.join("lake/_runs/2.json")).unwrap();
    }),
    ("the record removed", "files.log", |store| {
        fs::remove_file(store.join("lake/_runs/files.log")).unwrap();
    }),
    ("the record cut", "files.log", |store| {
        let record = store.join("lake/_runs/files.log");
        let text = fs::read_to_string(&record).unwrap();
        let half: Vec<&str> = text.split_inclusive('\n').take(text.lines().count() / 2).collect();
        fs::write(&record, half.concat()).unwrap();
    }),
    ("a line of the record changed", "files.log", |store| {
        let record = store.join("lake/_runs/files.log");
        let text = fs::read_to_string(&record).unwrap();
        fs::write(&record, text.replacen("\"size_bytes\":", "\"size_bytes\":1", 1)).unwrap();
    }),
];

/// Why: a table that was removed or rolled back was silently created again. `sync`, `publish` and `verify` ended with 0, and 95
/// users who had signed in were planned as idle.
#[test]
fn what_was_removed_rolled_back_or_replaced_is_refused_by_name() {
    let kept = Kept::new();
    for (what, named, damage) in DAMAGES {
        kept.put_back();
        damage(&kept.store());
        kept.stage.simulator().step_days(1);
        for args in [&["publish"][..], &["sync"], &["verify", "--deep"]] {
            let done = kept.stage.run(args);
            assert_eq!(done.code, 3, "{what}: {args:?}\n{}\n{}", done.stdout, done.stderr);
            let said = format!("{}{}", done.stdout, done.stderr);
            assert!(said.contains(named), "{what}: {args:?}\n{said}");
            assert!(said.contains("boxseat repair"), "{what}: {args:?}\n{said}");
        }
        // A plan needs undamaged tables; it does not read their data files.
        let done = kept.stage.run(&["reclaim", "plan"]);
        assert!(done.code == 3 || what.contains("data file"), "{what}\n{}\n{}", done.stdout, done.stderr);
    }
}

#[test]
fn a_repair_from_the_published_file_changes_no_claim_and_the_next_run_goes_on() {
    let kept = Kept::new();
    let claims = kept.claims();
    let has_record = |what: &str| !what.contains("the record");
    for (what, _, damage) in DAMAGES.iter().filter(|(what, ..)| has_record(what)) {
        kept.put_back();
        damage(&kept.store());
        let done = kept.stage.expect(&[0], &["repair", "--format", "json"]);
        assert!(!done.stdout.contains(r#""found": []"#), "{what}\n{}", done.stdout);
        assert!(done.stdout.contains(r#""lake_begun_anew": false"#), "{what}\n{}", done.stdout);
        assert_eq!(kept.claims(), claims, "{what}");
        kept.stage.expect(&[0], &["verify", "--deep"]);
        kept.stage.expect(&[0, 4], &["sync"]);
        kept.stage.expect(&[0], &["verify"]);
        kept.stage.expect(&[0, 4], &["reclaim", "plan"]);
    }
}

/// Why: with the record gone, a forged published file and its own record were accepted as proof. An active user became idle and was
/// suspended.
#[test]
fn without_a_whole_record_a_repair_uncovers_everything_whatever_the_file_says() {
    let kept = Kept::new();
    for (what, _, damage) in DAMAGES.iter().filter(|(what, ..)| what.contains("the record")) {
        kept.put_back();
        damage(&kept.store());
        let done = kept.stage.expect(&[0], &["repair", "--format", "json"]);
        assert!(done.stdout.contains(r#""lake_begun_anew": true"#), "{what}\n{}", done.stdout);
        assert!(!kept.store().join("boxseat.duckdb").exists(), "{what}");
        kept.stage.expect(&[0, 4], &["sync"]);
        assert_eq!(
            kept.stage.world.value("SELECT count(*) FROM accounts WHERE proven_idle_days > 1"),
            0,
            "{what}"
        );
        kept.stage.expect(&[0], &["verify", "--deep"]);
    }
}

/// Why: `BOXSEAT_NOW` months ago dated a repair into the past, so that days without proof stayed covered.
#[test]
fn a_repair_with_an_earlier_clock_is_dated_by_the_newest_run() {
    let kept = Kept::new();
    let run_at = kept.stage.simulator().now();
    for (what, _, damage) in DAMAGES.iter().filter(|(what, ..)| what.contains("the record")) {
        kept.put_back();
        damage(&kept.store());
        let mut repair = kept.stage.world.command(&["repair"]);
        repair.env("BOXSEAT_NOW", (run_at - chrono::TimeDelta::days(100)).to_rfc3339());
        let done = finish(repair.output().unwrap());
        assert_eq!(done.code, 0, "{what}\n{}", done.stderr);
        let covered_from = run_at.date_naive() + chrono::Days::new(1);
        let note = format!("Nothing before {covered_from} is covered");
        assert!(done.stderr.contains(&note), "{what}\n{}", done.stderr);
    }
}

/// Why: with another store id, witness and journal of the old one no longer counted, and past actions were hidden.
#[test]
fn a_store_with_another_identity_than_its_runs_is_refused() {
    let kept = Kept::new();
    let path = kept.store().join("state/store.json");
    let text = fs::read_to_string(&path).unwrap();
    let id = text.split('"').find(|part| part.len() == 36).unwrap();
    fs::write(&path, text.replace(id, "11111111-1111-4111-8111-111111111111")).unwrap();
    fs::remove_file(kept.store().join("state/lake.json")).unwrap();
    fs::remove_file(kept.store().join("lake/_runs/files.log")).unwrap();
    for args in [&["repair"][..], &["sync"], &["publish"], &["reclaim", "plan"], &["reclaim", "verify"]] {
        let done = kept.stage.run(args);
        assert_eq!(done.code, 3, "{args:?}\n{}", done.stderr);
        let is_named = ["state/store.json names the store", "state/lake.json is missing"]
            .iter()
            .any(|named| done.stderr.contains(named));
        assert!(is_named, "{args:?}\n{}", done.stderr);
    }
}

/// Why: days without proof must be uncovered after a repair, never idle.
#[test]
fn a_repair_without_proof_begins_the_lake_anew() {
    let kept = Kept::new();
    let claims = kept.claims();
    fs::remove_dir_all(kept.store().join("lake/events")).unwrap();
    let file = kept.store().join("boxseat.duckdb");
    fs::remove_file(&file).unwrap();
    fs::write(&file, b"another program's").unwrap();
    let done = kept.stage.expect(&[0], &["repair", "--format", "json"]);
    assert!(done.stdout.contains(r#""lake_begun_anew": true"#), "{}", done.stdout);
    assert_eq!(kept.stage.run(&["reclaim", "plan"]).code, 2, "nothing is published");
    kept.stage.expect(&[0, 4], &["sync"]);
    kept.stage.expect(&[0], &["verify"]);
    // Box returns the same sign-ins again, so the same is proved.
    let idle = |claims: &[serde_json::Map<String, serde_json::Value>]| -> Vec<(String, i64)> {
        let days = |row: &serde_json::Map<String, serde_json::Value>| {
            Some((row["user_id"].as_str()?.to_owned(), row["proven_idle_days"].as_i64()?))
        };
        claims.iter().filter_map(days).collect()
    };
    let (before, after) = (idle(&claims), idle(&kept.claims()));
    for (user_id, days) in &after {
        let earlier = before.iter().find(|(id, _)| id == user_id).map(|(_, days)| *days);
        assert!(earlier.is_some_and(|earlier| *days <= earlier), "{user_id}: {days}, before {earlier:?}");
    }
    let aside = fs::read_dir(kept.store().join("damaged")).unwrap().next().unwrap().unwrap().path();
    assert!(aside.join("lake/users/_delta_log").is_dir(), "nothing is deleted by a repair");
}

/// Why: Box does not return the evidence of an imported report a second time.
#[test]
fn when_imported_evidence_is_lost_nothing_before_the_repair_is_covered() {
    let mut stage = Stage::new(small(5), Intent::default());
    let world = &stage.world;
    let truth = stage.simulator().truth_without_events();
    let login = truth.users[3].login.clone().unwrap();
    fs::write(
        world.directory().join("report.csv"),
        format!("Email,Last Login\n{login},2026-02-20 10:00:00 UTC\n"),
    )
    .unwrap();
    world.ok(&["import", "report.csv"]);
    stage.later(1);
    let store = stage.world.store();
    fs::remove_dir_all(store.join("lake/imported_evidence")).unwrap();
    fs::remove_file(store.join("boxseat.duckdb")).unwrap();
    let done = stage.expect(&[0], &["repair"]);
    assert!(done.stderr.contains("no account counts as idle before"), "{}", done.stderr);
    stage.later(1);
    let rows = stage.world.rows("SELECT count(*) AS proved FROM accounts WHERE proven_idle_days > 3");
    assert_eq!(rows[0]["proved"], 0);
}

/// Why: an import that waits is evidence as well.
#[test]
fn an_import_that_waits_cannot_be_removed_or_changed() {
    let mut stage = Stage::new(small(5), Intent::default());
    let truth = stage.simulator().truth_without_events();
    let login = truth.users[3].login.clone().unwrap();
    let report = format!("Email,Last Login\n{login},2026-02-20 10:00:00 UTC\n");
    fs::write(stage.world.directory().join("report.csv"), report).unwrap();
    let record = stage.world.store().join("lake/_runs/files.log");
    let before = fs::read(&record).unwrap();
    stage.world.ok(&["import", "report.csv"]);
    let after = fs::read(&record).unwrap();
    let waiting = newest(&stage.world.store().join("state/imports"), ".json");
    let bytes = fs::read(&waiting).unwrap();
    // Together with its lines of the record.
    fs::remove_file(&waiting).unwrap();
    fs::write(&record, before).unwrap();
    assert_eq!(stage.run(&["sync"]).code, 3);
    fs::write(&record, after).unwrap();
    fs::write(&waiting, &bytes).unwrap();
    stage.simulator().step_days(1);
    fs::remove_file(&waiting).unwrap();
    let done = stage.run(&["sync"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("state/imports"), "{}", done.stderr);
    fs::write(&waiting, String::from_utf8(bytes.clone()).unwrap().replace("2026-02-20", "2026-01-01"))
        .unwrap();
    assert_eq!(stage.run(&["sync"]).code, 3);
    fs::write(&waiting, bytes).unwrap();
    stage.expect(&[0, 4], &["sync"]);
    stage.night();
}

/// Why: a repair told the operator to import the report again, and its evidence still became 183 idle days.
#[test]
fn after_a_repair_that_lost_a_waiting_import_nothing_before_it_is_covered() {
    let stage = Stage::new(small(5), Intent::default());
    let truth = stage.simulator().truth_without_events();
    let login = truth.users[3].login.clone().unwrap();
    let report = format!("Email,Last Login\n{login},2026-02-20 10:00:00 UTC\n");
    fs::write(stage.world.directory().join("report.csv"), report).unwrap();
    stage.world.ok(&["import", "report.csv"]);
    fs::remove_dir_all(stage.world.store().join("state/imports")).unwrap();
    let done = stage.expect(&[0], &["repair"]);
    assert!(done.stderr.contains("no account counts as idle before"), "{}", done.stderr);
    stage.simulator().step_days(2);
    stage.expect(&[0, 4], &["sync"]);
    assert_eq!(stage.world.value("SELECT count(*) FROM accounts WHERE proven_idle_days > 2"), 0);
    stage.expect(&[0], &["verify", "--deep"]);
}

/// Why: raw pages of another store were loaded as this store's, when a run had been killed after its seal.
#[test]
fn raw_pages_of_another_store_are_not_loaded() {
    let other = World::new(Config { seed: 77, users: 20, ..Config::plain() });
    other.ok(&["sync"]);
    let world = World::new(Config { seed: 3, users: 20, ..Config::plain() });
    let mut held = world.hold(&["sync"], "sealed");
    held.kill().unwrap();
    held.wait().unwrap();
    fs::remove_dir_all(world.store().join("spool/1")).unwrap();
    copy(&other.store().join("spool/1"), &world.store().join("spool/1"));
    let done = world.run(&["sync"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("spool/1/pages.spool"), "{}", done.stderr);
}

/// Why: the record of the published file is next to the lake's tables and can be put back together with an older file.
#[test]
fn an_older_published_file_put_back_with_its_own_record_is_no_evidence() {
    let mut stage = Stage::new(small(5), Intent::default());
    let (store, older) = (stage.world.store(), stage.world.directory().join("older"));
    fs::create_dir(&older).unwrap();
    let files = ["boxseat.duckdb", "lake/_published.json"];
    for file in files {
        copy(&store.join(file), &older);
    }
    stage.later(1);
    for file in files {
        fs::remove_file(store.join(file)).unwrap();
        copy(&older.join(Path::new(file).file_name().unwrap()), &store.join(file));
    }
    let done = stage.run(&["reclaim", "plan"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(
        done.stderr.contains("boxseat.duckdb is not the file that the lake's record names"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("boxseat publish"), "{}", done.stderr);
    stage.expect(&[0], &["publish"]);
    stage.expect(&[0, 4], &["reclaim", "plan"]);
}

/// Why: with the record removed, a store looked like one of an older version. A forged table was accepted, and a user who had
/// signed in was suspended.
#[test]
fn a_store_that_had_a_record_is_never_taken_for_one_of_an_older_version() {
    let kept = Kept::new();
    for file in ["lake/_runs/files.log", "state/lake.json"] {
        fs::remove_file(kept.store().join(file)).unwrap();
    }
    for number in [1, 2] {
        let path = kept.store().join(format!("lake/_runs/{number}.json"));
        let mut run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        run.as_object_mut().unwrap().remove("record");
        fs::write(&path, run.to_string()).unwrap();
    }
    for args in [&["sync"][..], &["publish"], &["reclaim", "plan"]] {
        let done = kept.stage.run(args);
        assert_eq!(done.code, 3, "{args:?}\n{}", done.stderr);
    }
    let done = kept.stage.expect(&[0], &["repair", "--format", "json"]);
    assert!(done.stdout.contains(r#""lake_begun_anew": true"#), "{}", done.stdout);
}

/// Why: after a repair, a store that had acted looked like one that never did.
#[test]
fn a_repair_without_the_journal_of_taken_actions_is_refused() {
    let stage = Stage::new(small(5), Intent::default());
    let plan = stage.plan().remove(0);
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    stage.expect(&[0, 4], &["reclaim", "apply", &plan, "--yes"]);
    let store = stage.world.store();
    fs::remove_dir_all(store.join("state/reclaim")).unwrap();
    for more in ["lake/_runs/files.log", "lake/_journal"] {
        let done = stage.run(&["repair"]);
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert!(done.stderr.contains("journal"), "{}", done.stderr);
        let path = store.join(more);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    let done = stage.run(&["repair"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("state/reclaim/journal is missing"), "{}", done.stderr);
}

/// Why: a lake put back to an older snapshot, with the present journal, lost evidence that only it had.
#[test]
fn a_lake_that_is_older_than_a_plan_of_the_journal_is_refused() {
    let mut stage = Stage::new(small(5), Intent::default());
    let (store, older) = (stage.world.store(), stage.world.directory().join("older"));
    copy(&store, &older);
    stage.later(1);
    stage.plan();
    let anchor = stage.world.directory().join("anchor");
    copy(&store.join("lake/_journal"), &anchor);
    for part in ["lake", "spool", "boxseat.duckdb", "state/lake.json"] {
        let path = store.join(part);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        copy(&older.join(part), &path);
    }
    copy(&anchor, &store.join("lake/_journal"));
    for args in [&["sync"][..], &["publish"], &["reclaim", "plan"], &["reclaim", "verify"]] {
        let done = stage.run(args);
        assert_eq!(done.code, 3, "{args:?}\n{}", done.stderr);
        assert!(done.stderr.contains("the newest run of the lake is 1"), "{args:?}\n{}", done.stderr);
    }
}
