//! The record of the lake and its anchor: what was removed, cut, appended or put back by another program is refused by name.

use std::fs;
use std::path::Path;
use std::process::Command;

use boxseat_reclaim_checker::Intent;

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

/// Why: the files that `repair` moves away, and the records of calls, were written wherever such a link led.
#[test]
fn a_link_in_the_place_of_a_directory_that_is_written_to_is_refused() {
    let stage = Stage::new(small(5), Intent::default());
    let outside = stage.world.directory().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["damaged", "state/calls", "state/imports", "state/positions", "state/reclaim/plans", "state"]
    {
        let path = stage.world.store().join(name);
        let kept = stage.world.directory().join("kept");
        if path.exists() {
            fs::rename(&path, &kept).unwrap();
        }
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        for args in [&["sync"][..], &["publish"], &["repair"], &["reclaim", "plan"]] {
            let done = stage.expect(&[3], args);
            assert!(done.stderr.contains("is a symbolic link"), "{name}: {args:?}\n{}", done.stderr);
            assert!(done.stderr.contains(name), "{name}: {args:?}\n{}", done.stderr);
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
        fs::remove_file(&path).unwrap();
        if kept.exists() {
            fs::rename(&kept, &path).unwrap();
        }
    }
    stage.expect(&[0], &["publish"]);
}

/// Why: a witness in the store is put back together with the store, and no command said so.
#[test]
fn every_command_refuses_a_witness_inside_the_store() {
    let stage = Stage::new(small(5), Intent::default());
    let file = stage.world.directory().join("boxseat.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}witness = \"store/state/heads.log\"\n")).unwrap();
    for args in [&["publish"][..], &["check"], &["sync"], &["verify"], &["reclaim", "plan"]] {
        let done = stage.expect(&[2], args);
        assert!(done.stderr.contains("it is inside the store"), "{args:?}\n{}", done.stderr);
    }
    assert!(!stage.world.store().join("state/heads.log").exists());
    fs::write(&file, format!("{text}witness = \"heads.log\"\n")).unwrap();
    stage.expect(&[0], &["publish"]);
}
