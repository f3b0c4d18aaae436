//! Attacks on the record of the lake by a program that may write to the store and cannot read its key, which is outside. The
//! configuration names the public key. Each attack made an active user look idle, or hid actions.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::Truth;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::reclaim::stage::{Stage, small};
use crate::support::{Done, finish};

/// A store whose key is outside of it.
struct Guarded {
    stage: Stage,
    key: PathBuf,
    /// A user who looks idle until a report says otherwise.
    user_id: String,
}

impl Guarded {
    /// After the first snapshot. `more` is added to `[reclaim]`.
    fn new(more: &str) -> Self {
        let stage = Stage::new(small(7), Intent::default());
        let user_id = stage.idle(91).remove(0);
        let directory = stage.world.directory();
        let key = directory.join("key");
        fs::rename(stage.state().join("journal_key"), &key).unwrap();
        let anchor: Value =
            serde_json::from_slice(&fs::read(stage.world.store().join("lake/_journal/anchor.json")).unwrap())
                .unwrap();
        let public = anchor["public_key"].as_str().unwrap();
        let config = format!("[reclaim]\npolicy = \"policy.toml\"\njournal_key = {public:?}\n{more}\n");
        fs::write(directory.join("boxseat.toml"), config).unwrap();
        Self { stage, key, user_id }
    }

    fn store(&self) -> PathBuf {
        self.stage.world.store()
    }

    fn run(&self, args: &[&str]) -> Done {
        let config = self.stage.simulator().config();
        let mut command = self.stage.world.command(args);
        command
            .env("BOXSEAT_JOURNAL_KEY_FILE", &self.key)
            .env("BOXSEAT_ACTIONS_CLIENT_ID", &config.actions_client_id)
            .env("BOXSEAT_ACTIONS_CLIENT_SECRET", &config.actions_client_secret);
        finish(command.output().unwrap())
    }

    #[track_caller]
    fn expect(&self, codes: &[i32], args: &[&str]) -> Done {
        let done = self.run(args);
        assert!(codes.contains(&done.code), "{args:?}: {}\n{}\n{}", done.code, done.stdout, done.stderr);
        done
    }

    /// Every command that reads or writes the lake refuses it, and names the object and the remedy.
    #[track_caller]
    fn refused(&self, named: &str) {
        for args in [
            &["sync"][..],
            &["publish"],
            &["verify"],
            &["verify", "--deep"],
            &["reclaim", "plan"],
            &["reclaim", "verify"],
            &["reclaim", "nightly"],
        ] {
            let done = self.run(args);
            let said = format!("{}{}", done.stdout, done.stderr);
            assert_eq!(done.code, 3, "{args:?}\n{said}");
            assert!(said.contains(named), "{args:?} {named}\n{said}");
            assert!(said.contains("boxseat restore") || said.contains("from a backup"), "{args:?}\n{said}");
        }
    }

    /// A report of use is imported, and a run loads it.
    fn takes_in_a_report(&self) {
        let truth: Truth = self.stage.simulator().truth_without_events();
        let user = truth.users.iter().find(|user| user.user_id == self.user_id).unwrap();
        let at = self.stage.simulator().now() - chrono::TimeDelta::days(3);
        let login = user.login.clone().unwrap();
        let report = format!("Email,Last Login\n{login},{}\n", at.format("%F %H:%M:%S UTC"));
        fs::write(self.stage.world.directory().join("report.csv"), report).unwrap();
        self.expect(&[0], &["import", "report.csv"]);
        self.stage.simulator().step_days(1);
        self.expect(&[0, 4], &["sync"]);
    }

    fn record(&self) -> PathBuf {
        self.store().join("lake/_runs/files.log")
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.record()).unwrap().lines().map(str::to_owned).collect()
    }

    /// Cuts the record after this many lines, and removes every file that it no longer names, and the published file.
    fn cut(&self, count: usize) {
        let lines = self.lines();
        let paths = |lines: &[String]| -> BTreeSet<String> {
            let events = lines.iter().map(|line| parts(line).2);
            events.filter_map(|event| event["path"].as_str().map(str::to_owned)).collect()
        };
        let (kept, all) = (paths(&lines[..count]), paths(&lines));
        for path in all.difference(&kept).filter(|path| !path.starts_with("../spool")) {
            _ = fs::remove_file(self.store().join("lake").join(path));
        }
        _ = fs::remove_file(self.store().join("boxseat.duckdb"));
        _ = fs::remove_file(self.store().join("lake/_published.json"));
        fs::write(self.record(), lines[..count].iter().map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
    }

    /// Writes an anchor that names the last line of the record, with a seal.
    fn forge_anchor(&self, seal: &str) {
        let last = self.lines().pop().unwrap();
        let (hash, _, event) = parts(&last);
        let record = json!({ "sequence": event["sequence"], "hash": hash });
        let anchor = json!({ "format": 2, "record": record, "seal": seal });
        fs::write(self.store().join("state/lake.json"), anchor.to_string()).unwrap();
    }
}

/// Hash, seal and event of a line.
fn parts(line: &str) -> (String, String, Value) {
    let (hash, rest) = line.split_once(' ').unwrap();
    let (seal, event) = rest.split_once(' ').unwrap();
    (hash.to_owned(), seal.to_owned(), serde_json::from_str(event).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// Why: two lines that name a changed published file were appended to the record. `verify --deep` reported that it can be trusted,
/// and an active user was suspended.
#[test]
fn a_line_that_was_appended_to_the_record_without_the_key_is_refused() {
    let guarded = Guarded::new("");
    let file = guarded.store().join("boxseat.duckdb");
    fs::remove_file(guarded.store().join("lake/_published.json")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(0);
    fs::remove_file(&file).unwrap();
    fs::write(&file, &bytes).unwrap();
    let whole = fs::read_to_string(guarded.record()).unwrap();
    let last = guarded.lines().pop().unwrap();
    let (hash, seal, event) = parts(&last);
    let forged = json!({
        "sequence": event["sequence"].as_u64().unwrap() + 1,
        "event": "done",
        "path": "../boxseat.duckdb",
        "size_bytes": bytes.len(),
        "sha256": hex(&Sha256::digest(&bytes)),
    })
    .to_string();
    let chained = hex(&Sha256::digest(format!("{hash}\n{forged}")));
    for (line, named) in [
        (format!("{chained} {forged}\n"), "has no seal"),
        (format!("{chained} {seal} {forged}\n"), "has no valid seal"),
    ] {
        fs::write(guarded.record(), format!("{whole}{line}")).unwrap();
        guarded.refused(&format!("lake/_runs/files.log {named}"));
    }
}

/// Why: the record was cut before an import, and its anchor was removed or forged. Nothing had the import any more, and the user
/// was suspended.
#[test]
fn a_record_that_was_cut_together_with_its_anchor_is_refused() {
    let guarded = Guarded::new("");
    let before = guarded.lines().len();
    guarded.expect(&[0], &["reclaim", "plan"]);
    guarded.takes_in_a_report();
    let anchor = fs::read_to_string(guarded.store().join("state/lake.json")).unwrap();
    let anchor: Value = serde_json::from_str(&anchor).unwrap();
    guarded.cut(before);
    guarded.refused("files.log ends at line");
    fs::remove_file(guarded.store().join("state/lake.json")).unwrap();
    guarded.refused("state/lake.json is missing");
    // The seal of the line that is the last one now, and that of the true anchor.
    let of_line = parts(&guarded.lines().pop().unwrap()).1;
    guarded.forge_anchor(&of_line);
    guarded.refused("state/lake.json has no valid seal");
    guarded.forge_anchor(anchor["seal"].as_str().unwrap());
    guarded.refused("state/lake.json has no valid seal");
    guarded.forge_anchor("");
    guarded.refused("state/lake.json has no seal");
}

/// Why: the record was cut to its first lines and the tables were removed, so that the next `sync` loaded the changed pages of a
/// sealed run again. Three active users lost their sign-ins.
#[test]
fn a_lake_that_is_to_be_loaded_again_from_its_pages_is_refused() {
    let guarded = Guarded::new("");
    for table in ["users", "events", "sync_runs", "event_coverage"] {
        fs::remove_dir_all(guarded.store().join("lake").join(table)).unwrap();
    }
    guarded.cut(3);
    let seal = parts(&guarded.lines().pop().unwrap()).1;
    guarded.forge_anchor(&seal);
    guarded.refused("state/lake.json has no valid seal");
    // With the attacker's own record from the first line on.
    let lines = guarded.lines();
    let (mut hash, mut text) = (String::new(), String::new());
    for line in &lines {
        let (_, seal, event) = parts(line);
        let event = event.to_string();
        hash = hex(&Sha256::digest(format!("{hash}\n{event}")));
        text.push_str(&format!("{hash} {seal} {event}\n"));
    }
    fs::write(guarded.record(), text).unwrap();
    guarded.refused("files.log has no valid seal");
}

/// Why: if a whole older state of the store is put back, actions are hidden and imports are lost. Only a witness finds it.
#[test]
fn a_store_that_was_put_back_whole_is_refused_by_the_witness() {
    let guarded = Guarded::new("witness = \"heads.log\"");
    guarded.expect(&[0, 4], &["publish"]);
    let older = guarded.stage.world.directory().join("older");
    copy(&guarded.store(), &older);
    let heads = || fs::read_to_string(guarded.stage.world.directory().join("heads.log")).unwrap();
    assert!(heads().lines().all(|line| line.split(' ').nth(2) == Some("lake")), "{}", heads());
    guarded.takes_in_a_report();
    fs::remove_dir_all(guarded.store()).unwrap();
    copy(&older, &guarded.store());
    guarded.refused("of the witness");
    let done = guarded.run(&["import", "report.csv"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    // Nothing proves the content of the lost time: a repair uncovers it.
    guarded.expect(&[0], &["repair"]);
    assert!(heads().lines().any(|line| line.split(' ').nth(2) == Some("lake-begun")), "{}", heads());
    guarded.stage.simulator().step_days(2);
    guarded.expect(&[0, 4], &["sync"]);
    assert_eq!(guarded.stage.world.value("SELECT count(*) FROM accounts WHERE proven_idle_days > 2"), 0);
    guarded.expect(&[0], &["verify", "--deep"]);
}

/// Why: an older backup must be usable with a witness, and `restore` is the operator's statement of it.
#[test]
fn an_older_backup_that_is_restored_is_told_to_the_witness() {
    let guarded = Guarded::new("witness = \"heads.log\"");
    guarded.expect(&[0], &["backup", "copy"]);
    guarded.takes_in_a_report();
    fs::remove_dir_all(guarded.store()).unwrap();
    guarded.expect(&[0], &["restore", "copy"]);
    guarded.expect(&[0, 4], &["sync"]);
    guarded.expect(&[0], &["verify", "--deep"]);
}

/// A command that writes names the missing key before its work; a command that reads needs none.
#[test]
fn without_the_private_key_nothing_is_written() {
    let guarded = Guarded::new("");
    fs::write(guarded.stage.world.directory().join("report.csv"), "Email,Last Login\n").unwrap();
    for args in [&["sync"][..], &["publish"], &["import", "report.csv"], &["reclaim", "plan"], &["repair"]] {
        let done = guarded.stage.run(args);
        assert_eq!(done.code, 2, "{args:?}\n{}", done.stderr);
        assert!(done.stderr.contains("journal_key, is missing"), "{args:?}\n{}", done.stderr);
        assert!(done.stderr.contains("BOXSEAT_JOURNAL_KEY_FILE"), "{args:?}\n{}", done.stderr);
    }
    for args in [&["verify"][..], &["verify", "--deep"], &["reclaim", "verify"]] {
        guarded.stage.expect(&[0], args);
    }
    let status = guarded.stage.expect(&[1], &["status"]);
    assert!(status.stdout.contains("journal_key, is missing"), "{}", status.stdout);
    guarded.expect(&[0], &["publish"]);
}
