//! Kills during an apply, and two commands at once.

use boxseat_schemas::spool::{FILE_HEADER_LEN, FRAME_FIXED_LEN, Fixed};

use super::*;

/// R13: killed at any step, the same command continues: no user is missed, and nothing is repeated without need.
#[test]
fn r13_a_kill_at_any_step_is_reconciled_by_the_next_start() {
    for step in [
        "intended suspend",
        "answered",
        "concluded",
        "before terminate_sessions",
        "intended terminate_sessions",
    ] {
        let (stage, idle) = staged(Intent::default());
        let plan = plan_of(&stage, "suspend");
        stage.expect(&[0], &["reclaim", "approve", &plan]);
        killed_at(&stage, &["reclaim", "apply", &plan, "--yes"], step);
        let done = run_later(&stage, 10, &["reclaim", "apply", &plan, "--yes"]);
        assert_eq!(done.code, 0, "{step}: {}\n{}", done.stdout, done.stderr);
        for user_id in &idle {
            assert_eq!(status(&stage, user_id), "inactive", "{step}");
        }
        stage.expect(&[0], &["reclaim", "verify"]);
        stage.judge();
    }
}

/// R17: a second operator waits for the first.
#[test]
fn r17_a_second_operator_is_told_to_try_later() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let mut first = stage.world.hold(&["reclaim", "apply", &plan, "--yes"], "intended suspend");
    let second = stage.expect(&[75], &["reclaim", "apply", &plan, "--yes"]);
    assert!(second.stderr.contains("another boxseat process reclaims from this store"), "{}", second.stderr);
    drop(first.stdin.take());
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.judge();
}

/// The end of the first `entries` entries of a journal.
fn behind(journal: &[u8], entries: usize) -> usize {
    (0..entries).fold(FILE_HEADER_LEN, |at, _| {
        let fixed = journal[at..].first_chunk().unwrap();
        let fixed = Fixed::decode(fixed).unwrap();
        at + FRAME_FIXED_LEN + (fixed.header_len + fixed.stored_len) as usize
    })
}

/// R9: the lake shows what was cut off the journal's end.
#[test]
fn r9_a_journal_that_was_cut_is_found_by_the_lake() {
    let (stage, _) = staged(Intent::default());
    stage.go();
    let journal = stage.state().join("journal");
    let bytes = std::fs::read(&journal).unwrap();
    // Back to the two entries of the plan and its approval: a valid chain whose end is missing.
    let entries = stage.journal();
    assert!(entries.len() > 4);
    std::fs::write(&journal, &bytes[..behind(&bytes, 2)]).unwrap();
    let refused = stage.expect(&[3], &["reclaim", "verify"]);
    assert!(refused.stderr.contains("anchor.json has entry"), "{}", refused.stderr);
    let refused = stage.expect(&[3], &["reclaim", "nightly"]);
    assert!(refused.stderr.contains("anchor.json has entry"), "{}", refused.stderr);
    let found = stage.expect(&[3], &["verify", "--deep", "--format", "json"]);
    assert!(found.stdout.contains("anchor.json has entry"), "{}", found.stdout);
}

/// R9, R14: a changed length looks like a torn end, and calls were made for the entries after it: nothing is cut off.
#[test]
fn r9_a_wrong_length_in_the_journal_is_no_torn_tail() {
    let (stage, _) = staged(Intent::default());
    stage.go();
    let journal = stage.state().join("journal");
    let whole = std::fs::read(&journal).unwrap();
    let last: usize = stage.journal().len() - 1;
    for entry in [2, last] {
        let at = behind(&whole, entry);
        let mut bytes = whole.clone();
        // The length is four bytes, the most significant one last.
        bytes[at + 2] ^= 1;
        std::fs::write(&journal, &bytes).unwrap();
        let refused = stage.expect(&[3], &["reclaim", "nightly"]);
        assert!(refused.stderr.contains("is damaged"), "{}", refused.stderr);
        assert_eq!(std::fs::read(&journal).unwrap(), bytes, "it was changed");
    }
    std::fs::write(&journal, &whole).unwrap();
    stage.expect(&[0], &["reclaim", "verify"]);
}
