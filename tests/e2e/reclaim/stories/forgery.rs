//! A journal that shows forgery (R9): each scenario is a way to write into it, and no command acts on what was written.

use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::{Entry, Record};
use boxseat_schemas::spool::{FILE_HEADER_LEN, Fixed};
use chrono::DateTime;
use sha2::{Digest, Sha256};

use super::*;

/// The journal's entries, each with its text as it is on disk.
fn texts(stage: &Stage) -> Vec<Vec<u8>> {
    stage.journal().iter().map(|entry| serde_json::to_vec(entry).unwrap()).collect()
}

fn frame(text: &[u8]) -> Vec<u8> {
    [&Fixed::of(text, &[], 0).encode()[..], text].concat()
}

fn journal_of(stage: &Stage) -> PathBuf {
    stage.state().join("journal")
}

fn anchor_of(stage: &Stage) -> PathBuf {
    stage.world.store().join("lake/_journal/anchor.json")
}

/// Appends an approval to the journal, its hash and checksum right, as a script without the key can.
fn forge_approval(stage: &Stage, plan: &str) {
    let texts = texts(stage);
    let last = stage.journal().pop().unwrap();
    let digest = stage.journal().into_iter().find_map(|entry| match entry.record {
        Record::PlanCreated { plan_id, digest, by, .. } if plan_id == plan => Some((digest, by)),
        _ => None,
    });
    let (digest, by) = digest.unwrap();
    let record = Record::Approved { plan_id: plan.to_owned(), digest, by, signed_by: None, signature: None };
    let prev_hash = hex(&Sha256::digest(texts.last().unwrap()));
    let entry = Entry::new(last.sequence + 1, last.at, prev_hash, record);
    let mut bytes = std::fs::read(journal_of(stage)).unwrap();
    bytes.extend(frame(&serde_json::to_vec(&entry).unwrap()));
    std::fs::write(journal_of(stage), bytes).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes every seal from the journal, so that it looks like one of an older version.
fn strip_seals(stage: &Stage) {
    let bytes = std::fs::read(journal_of(stage)).unwrap();
    let frames: Vec<u8> = texts(stage).iter().flat_map(|text| frame(text)).collect();
    std::fs::write(journal_of(stage), [&bytes[..FILE_HEADER_LEN], &frames].concat()).unwrap();
}

/// Makes the store one of an older version: no seals, no key, no record of the lake.
fn make_older(stage: &Stage) {
    strip_seals(stage);
    let store = stage.world.store();
    for path in
        ["lake/_journal/anchor.json", "state/reclaim/journal_key", "lake/_runs/files.log", "state/lake.json"]
    {
        std::fs::remove_file(store.join(path)).unwrap();
    }
    for (path, key) in [("state/store.json", "has_record"), ("lake/_runs/1.json", "record")] {
        let path = store.join(path);
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        json.as_object_mut().unwrap().remove(key);
        std::fs::write(&path, json.to_string()).unwrap();
    }
}

/// Adds a line to `[reclaim]` of the configuration.
fn configure(stage: &Stage, line: &str) {
    let text = format!("[reclaim]\npolicy = \"policy.toml\"\n{line}\n");
    std::fs::write(stage.world.directory().join("boxseat.toml"), text).unwrap();
}

fn verified(stage: &Stage) -> serde_json::Value {
    let done = stage.expect(&[0], &["reclaim", "verify", "--format", "json"]);
    serde_json::from_str::<serde_json::Value>(&done.stdout).unwrap()["verify"].clone()
}

/// Every command that relies on the journal refuses it, and says what is wrong and what to do.
#[track_caller]
fn refused(stage: &Stage, plan: &str, told: &str, remedy: &str) {
    for args in [
        &["reclaim", "verify"][..],
        &["reclaim", "status"],
        &["reclaim", "show", plan],
        &["reclaim", "plan"],
        &["reclaim", "approve", plan],
        &["reclaim", "apply", plan, "--yes"],
        &["reclaim", "undo", plan, "--yes"],
        &["reclaim", "nightly"],
    ] {
        let done = stage.expect(&[3], args);
        assert!(
            done.stderr.contains(told) && done.stderr.contains(remedy),
            "{args:?} {told}\n{}",
            done.stderr
        );
    }
}

/// The hash chain has no key: a script appended an approval, `verify` reported a valid chain, and `apply` acted on it.
#[test]
fn r9_an_approval_that_a_script_appended_is_refused() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let entries = stage.journal().len();
    forge_approval(&stage, &plan);
    refused(&stage, &plan, &format!("entry {} has no seal", entries + 1), "back from the backup");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}

/// The same by a script that removes the seals, so that the journal looks like one of an older version.
#[test]
fn r9_a_journal_whose_seals_were_taken_off_is_refused() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let key = verified(&stage)["journal_key"].as_str().unwrap().to_owned();
    configure(&stage, &format!("journal_key = {key:?}"));
    stage.expect(&[0], &["reclaim", "verify"]);
    forge_approval(&stage, &plan);
    strip_seals(&stage);
    refused(&stage, &plan, "entry 1 has no seal", "back from the backup");
    std::fs::remove_file(anchor_of(&stage)).unwrap();
    refused(&stage, &plan, "anchor.json", "back from the newest backup");
    std::fs::remove_file(stage.state().join("journal_key")).unwrap();
    refused(&stage, &plan, "[reclaim] journal_key requires one", "back from the backup");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}

/// A journal, anchor and key made by the script: the configuration names the valid key.
#[test]
fn r9_a_journal_sealed_with_another_key_is_refused() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let key = verified(&stage)["journal_key"].as_str().unwrap().to_owned();
    configure(&stage, &format!("journal_key = {key:?}"));
    // The script lets boxseat itself seal the forged prefix again, under another configuration.
    forge_approval(&stage, &plan);
    make_older(&stage);
    let config = stage.world.directory().join("other.toml");
    std::fs::write(&config, "[reclaim]\npolicy = \"policy.toml\"\n").unwrap();
    stage.expect(&[0], &["--config", config.to_str().unwrap(), "publish"]);
    stage.expect(&[0], &["--config", config.to_str().unwrap(), "reclaim", "approve", &plan]);
    refused(&stage, &plan, "files.log has no valid seal", "boxseat restore");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}

/// A past action is hidden by putting an older journal back. The lake has the head; a witness has it even if the lake is put back,
/// too.
#[test]
fn r9_an_older_journal_put_back_is_refused() {
    let (stage, idle) = staged(Intent::default());
    configure(&stage, "witness = \"heads.log\"");
    let plan = plan_of(&stage, "suspend");
    let (journal, anchor) =
        (std::fs::read(journal_of(&stage)).unwrap(), std::fs::read(anchor_of(&stage)).unwrap());
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let later = std::fs::read(journal_of(&stage)).unwrap();
    std::fs::write(journal_of(&stage), &journal).unwrap();
    refused(&stage, &plan, "anchor.json has entry 3", "put the newest one back");
    std::fs::write(anchor_of(&stage), anchor).unwrap();
    for args in [&["reclaim", "verify"][..], &["reclaim", "apply", &plan, "--yes"], &["reclaim", "plan"]] {
        let done = stage.expect(&[3], args);
        assert!(done.stderr.contains("line 2 of the witness"), "{}", done.stderr);
    }
    std::fs::write(journal_of(&stage), later).unwrap();
    stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    let facts = verified(&stage);
    // The plan, its approval, the beginning of the apply, and its end.
    assert_eq!(facts["witnessed_heads"], 4);
    let heads = std::fs::read_to_string(stage.world.directory().join("heads.log")).unwrap();
    assert!(heads.lines().any(|line| line.contains(facts["head"].as_str().unwrap())), "{heads}");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.judge();
}

/// A past action was hidden by emptying the store, or by giving it another id: the next `sync` began a new one, and the witness named
/// none of its entries.
#[test]
fn r9_another_store_under_the_witness_of_this_one_is_refused() {
    let (mut stage, _) = staged(Intent::default());
    configure(&stage, "witness = \"heads.log\"");
    stage.go();
    let heads = stage.world.directory().join("heads.log");
    let text = std::fs::read_to_string(&heads).unwrap();
    std::fs::write(&heads, "").unwrap();
    let done = stage.expect(&[4], &["reclaim", "verify"]);
    assert!(done.stderr.contains("[reclaim] witness has none of them"), "{}", done.stderr);
    std::fs::write(&heads, text).unwrap();
    std::fs::remove_dir_all(stage.world.store()).unwrap();
    configure(&stage, "");
    stage.night();
    configure(&stage, "witness = \"heads.log\"");
    for args in [&["reclaim", "verify"][..], &["reclaim", "plan"], &["reclaim", "nightly"]] {
        let done = stage.expect(&[3], args);
        assert!(done.stderr.contains("line 1 of the witness"), "{args:?}\n{}", done.stderr);
        assert!(done.stderr.contains("is of the store"), "{args:?}\n{}", done.stderr);
    }
}

/// No action is done that cannot be witnessed.
#[test]
fn r9_without_its_witness_nothing_is_written() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    configure(&stage, "witness = \"missing/heads.log\"");
    let done = stage.expect(&[2], &["reclaim", "apply", &plan, "--yes"]);
    assert!(done.stderr.contains("missing/heads.log cannot be opened"), "{}", done.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}

/// A store whose journal an older version wrote stays in use: its entries stay without seals, and every later one has one.
#[test]
fn r9_the_journal_of_an_older_version_is_taken_up() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    make_older(&stage);
    stage.expect(&[0], &["reclaim", "status"]);
    stage.expect(&[0], &["publish"]);
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    assert_eq!(verified(&stage)["entries_without_seal"], 2);
    let begun = &stage.journal()[2];
    assert!(matches!(begun.record, Record::SealBegun { unsealed_entries: 2, .. }), "{begun:?}");
    assert!(begun.at > DateTime::UNIX_EPOCH);
    stage.expect(&[0], &["reclaim", "undo", &plan, "--yes"]);
    stage.judge();
}

/// The private key may be kept outside of the store: by a file that the environment names, or as a systemd credential.
#[test]
fn r9_the_private_key_may_be_kept_outside_of_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let own = stage.state().join("journal_key");
    let credentials = stage.world.directory().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let outside = credentials.join("boxseat-journal-key");
    std::fs::copy(&own, &outside).unwrap();
    std::fs::remove_file(&own).unwrap();
    let done = stage.expect(&[2], &["reclaim", "approve", &plan]);
    assert!(done.stderr.contains("journal_key, is missing"), "{}", done.stderr);
    let run = |name: &str, value: &Path, args: &[&str]| {
        let mut command = command(&stage, 0, args);
        finish(command.env(name, value).output().unwrap())
    };
    let done = run("CREDENTIALS_DIRECTORY", &credentials, &["reclaim", "approve", &plan]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o644)).unwrap();
    let apply = ["reclaim", "apply", &plan, "--yes"];
    let done = run("BOXSEAT_JOURNAL_KEY_FILE", &outside, &apply);
    assert!(done.code == 3 && done.stderr.contains("can be read by others"), "{}", done.stderr);
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o600)).unwrap();
    let done = run("BOXSEAT_JOURNAL_KEY_FILE", &outside, &apply);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!own.exists() && idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.expect(&[0], &["reclaim", "verify"]);
}
