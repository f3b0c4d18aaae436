//! The record of the lake and its anchor: what was removed, cut, appended or put back by another program is refused by name.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::reclaim::intent::Intent;
use crate::reclaim::stage::{Stage, small};

/// Every command refuses the store, and names an object.
#[track_caller]
fn refused(stage: &Stage, named: &str) {
    for args in [&["publish"][..], &["sync"], &["verify"], &["reclaim", "plan"]] {
        let done = stage.run(args);
        let said = format!("{}{}", done.stdout, done.stderr);
        assert_eq!(done.code, 3, "{args:?}\n{said}");
        assert!(said.contains(named), "{args:?} {named}\n{said}");
    }
}

fn pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Why: the record was cut and its anchor was removed. A missing anchor was no error, and a user with an import was suspended.
#[test]
fn a_store_without_its_anchor_is_refused() {
    let stage = Stage::new(small(5), Intent::default());
    let store = stage.world.store();
    fs::remove_file(store.join("state/lake.json")).unwrap();
    refused(&stage, "state/lake.json is missing");
    // Nor if the note of the record is removed as well.
    let identity = store.join("state/store.json");
    let text = fs::read_to_string(&identity).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json.as_object_mut().unwrap().remove("has_record");
    fs::write(&identity, json.to_string()).unwrap();
    refused(&stage, "state/lake.json is missing");
}

/// Why: the lines of the record since the last `sync` were cut, and with them the actions. The anchor did not reach them.
#[test]
fn a_record_without_the_lines_of_the_last_actions_is_refused() {
    let stage = Stage::new(small(7), Intent::default());
    let store = stage.world.store();
    let record = store.join("lake/_runs/files.log");
    let before = fs::read(&record).unwrap();
    stage.go();
    assert!(fs::read(&record).unwrap().len() > before.len());
    fs::write(&record, before).unwrap();
    fs::remove_dir_all(store.join("lake/seat_actions")).unwrap();
    refused(&stage, "files.log ends at line");
}

/// Why: with a pipe in the place of the anchor, `sync` blocked forever and held the lock.
#[test]
fn a_pipe_or_a_directory_in_the_place_of_a_file_of_the_store_is_refused_at_once() {
    let stage = Stage::new(small(5), Intent::default());
    let store = stage.world.store();
    for path in ["state/lake.json", "state/store.json", "lake/_runs/files.log", "lake/_runs/1.json"] {
        let file = store.join(path);
        let bytes = fs::read(&file).unwrap();
        pipe(&file);
        refused(&stage, path);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        refused(&stage, path);
        fs::remove_dir(&file).unwrap();
        fs::write(&file, bytes).unwrap();
    }
    stage.expect(&[0], &["publish"]);
}
