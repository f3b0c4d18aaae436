//! R9: a journal acts at one place. A copied or restored store continues only after `reclaim adopt`.

use std::fs;
use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::Record;

use super::*;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A copy of the store next to it.
fn copied(stage: &Stage) -> PathBuf {
    let to = stage.world.directory().join("copy");
    copy(&stage.world.store(), &to);
    to
}

/// The binary on another store of the same enterprise.
#[track_caller]
fn at(stage: &Stage, store: &Path, codes: &[i32], args: &[&str]) -> Done {
    let mut command = command(stage, 0, args);
    command.env("BOXSEAT_STORE", store);
    let done = finish(command.output().unwrap());
    assert!(codes.contains(&done.code), "{args:?}: {}\n{}\n{}", done.code, done.stdout, done.stderr);
    done
}

fn add_to_configuration(stage: &Stage, line: &str) {
    let file = stage.world.directory().join("boxseat.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text.replace("[reclaim]\n", &format!("[reclaim]\n{line}\n"))).unwrap();
}

/// Why: a copy of a store repeated the transfers of the original, and both journals verified.
#[test]
fn r9_a_copied_store_does_not_act_before_it_is_adopted() {
    let (stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let other = copied(&stage);
    stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    for args in [
        &["reclaim", "apply", &plan, "--yes"][..],
        &["reclaim", "nightly"],
        &["reclaim", "plan"],
        &["reclaim", "undo", &plan, "--yes"],
        &["reclaim", "verify"],
    ] {
        let refused = at(&stage, &other, &[3], args);
        assert!(refused.stderr.contains("is not where its journal was written"), "{}", refused.stderr);
        assert!(refused.stderr.contains("boxseat reclaim adopt"), "{}", refused.stderr);
    }
    at(&stage, &other, &[0], &["reclaim", "adopt"]);
    at(&stage, &other, &[3], &["reclaim", "verify"]);
    at(&stage, &other, &[0], &["reclaim", "adopt", "--yes"]);
    at(&stage, &other, &[0], &["reclaim", "verify"]);
    // R9: the approval was given for the original.
    let refused = at(&stage, &other, &[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(refused.stderr.contains("is not approved"), "{}", refused.stderr);
    at(&stage, &other, &[0], &["reclaim", "approve", &plan]);
    // The original has moved the content meanwhile, and the copy sees that the account holds less.
    let done = at(&stage, &other, &[4], &["reclaim", "apply", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| outcome(&done, user_id) == "maybe_transferred"), "{}", done.stdout);
    stage.expect(&[0], &["reclaim", "verify"]);
    stage.judge();
}

/// Why: with a witness that both stores share, the original finds the copy's heads.
#[test]
fn r9_the_original_of_an_adopted_copy_is_refused_by_the_witness() {
    let (stage, _) = staged(Intent::default());
    add_to_configuration(&stage, "witness = \"heads.log\"");
    let first = stage.go().remove(0);
    let other = copied(&stage);
    stage.expect(&[0], &["reclaim", "undo", &first, "--yes"]);
    let refused = at(&stage, &other, &[3], &["reclaim", "nightly"]);
    assert!(refused.stderr.contains("adopt"), "{}", refused.stderr);
    let shown = at(&stage, &other, &[0], &["reclaim", "adopt"]);
    assert!(shown.stdout.contains("witness"), "{}", shown.stdout);
    at(&stage, &other, &[0], &["reclaim", "adopt", "--yes"]);
    at(&stage, &other, &[0], &["reclaim", "verify"]);
    let refused = stage.expect(&[3], &["reclaim", "nightly"]);
    assert!(refused.stderr.contains("the witness"), "{}", refused.stderr);
}

/// Why: an older journal that was put back lacked transfers. The lake knows them.
#[test]
fn r9_an_older_journal_takes_in_what_the_lake_knows() {
    let (mut stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    let file = stage.state().join("journal");
    let older = fs::read(&file).unwrap();
    apply(&stage, &plan, &[0]);
    fs::write(&file, &older).unwrap();
    for args in [&["reclaim", "nightly"][..], &["reclaim", "plan"], &["reclaim", "verify"]] {
        let refused = stage.expect(&[3], args);
        assert!(refused.stderr.contains("boxseat reclaim adopt"), "{}", refused.stderr);
    }
    let shown = stage.expect(&[0], &["reclaim", "adopt"]);
    assert!(idle.iter().all(|user_id| shown.stdout.contains(user_id.as_str())), "{}", shown.stdout);
    killed_at(&stage, &["reclaim", "adopt", "--yes"], "adopt: bound");
    let refused = stage.expect(&[3], &["reclaim", "plan"]);
    assert!(refused.stderr.contains("interrupted"), "{}", refused.stderr);
    stage.expect(&[0], &["reclaim", "adopt", "--yes"]);
    let taken = |record: &Record| matches!(record, Record::ActionTakenIn { .. });
    assert_eq!(stage.journal().iter().filter(|entry| taken(&entry.record)).count(), idle.len());
    stage.expect(&[0], &["reclaim", "verify"]);
    stage.expect(&[0], &["reclaim", "adopt"]);
    // The plan is known, its transfers are done, and none is planned again.
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    let again = stage.plans().into_iter().filter(|id| id.contains("transfer") && *id != plan).count();
    assert_eq!(again, 0);
    stage.later(1);
    let rows = "SELECT count(*) FROM seat_actions WHERE action = 'transfer' AND outcome = 'done'";
    assert_eq!(stage.world.value(rows).as_u64(), Some(idle.len() as u64));
    stage.expect(&[0], &["reclaim", "verify"]);
}

/// R9: another host is another place; for containers a name for the installation makes it the same place.
#[test]
fn r9_another_host_is_another_place() {
    let (stage, _) = staged(Intent::default());
    add_to_configuration(&stage, "host = \"production\"");
    stage.go();
    stage.expect(&[0], &["reclaim", "verify"]);
    let file = stage.world.directory().join("boxseat.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("production", "test")).unwrap();
    let refused = stage.expect(&[3], &["reclaim", "verify"]);
    assert!(refused.stderr.contains("the host has another id"), "{}", refused.stderr);
    stage.expect(&[0], &["reclaim", "adopt", "--yes"]);
    stage.expect(&[0], &["reclaim", "verify"]);
    // A directory that is renamed is the same directory.
    let moved = stage.world.directory().join("moved");
    fs::rename(stage.world.store(), &moved).unwrap();
    at(&stage, &moved, &[0], &["reclaim", "verify"]);
}
