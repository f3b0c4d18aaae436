//! Each run is committed once, whatever happens during the commit.

use std::sync::atomic::{AtomicBool, AtomicU32};

use boxseat_schemas::table::EMAIL_ALIASES;

use super::flaky::{Fault, Flaky};
use super::*;
use crate::ErrorKind;
use crate::lake::files::Author;
use crate::testing::once;

#[test]
fn a_run_commits_once_in_order_and_never_after_a_later_one() {
    let (_directory, lake) = lake();
    let commit = |number, ids: &[&str]| {
        lake.commit(&EMAIL_ALIASES, RunNumber(number), &mut once(aliases(number, ids)))
    };
    assert_eq!(commit(1, &["a", "b"]).unwrap(), Committed { rows: 2, already: false });
    assert_eq!(commit(3, &["c"]).unwrap(), Committed { rows: 1, already: false });

    // The same run again: the input rows are not read.
    let mut poisoned =
        std::iter::from_fn(|| -> Option<Result<RecordBatch, &str>> { panic!("no rows may be requested") });
    assert_eq!(
        lake.commit(&EMAIL_ALIASES, RunNumber(3), &mut poisoned).unwrap(),
        Committed { rows: 1, already: true }
    );

    let passed = commit(2, &["d"]).unwrap_err();
    assert_eq!(passed.kind(), ErrorKind::Passed);
    assert_eq!(passed.to_string(), "run 2 cannot write email_aliases: the later run 3 has written it");
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1, 2, 3]), ["a", "b", "c"]);
}

#[test]
fn a_commit_without_rows_still_counts() {
    let (_directory, lake) = lake();
    let mut none = std::iter::empty::<Result<RecordBatch, String>>();
    assert_eq!(
        lake.commit(&EMAIL_ALIASES, RunNumber(2), &mut none).unwrap(),
        Committed { rows: 0, already: false }
    );
    assert_eq!(
        lake.commit(&EMAIL_ALIASES, RunNumber(2), &mut none).unwrap(),
        Committed { rows: 0, already: true }
    );
    assert_eq!(lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut none).unwrap_err().kind(), ErrorKind::Passed);
}

#[test]
fn failed_rows_commit_nothing() {
    let (directory, lake) = lake();
    let mut failing = [Ok(aliases(1, &["a"])), Err("page 7 is damaged")].into_iter();
    let error = lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut failing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rows);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "page 7 is damaged");
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), [""; 0]);
    assert_eq!(files(directory.path(), "#"), Vec::<PathBuf>::new(), "nothing staged is left");

    assert!(!lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a"]))).unwrap().already);
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a"]);
}

#[test]
fn kill_between_data_file_and_commit_leaves_an_unreferenced_file() {
    let (directory, lake) = lake();
    let there = lake.inner.writable(&EMAIL_ALIASES).unwrap();
    lake.inner
        .write(&EMAIL_ALIASES, Author::Run(RunNumber(1)), &there, &mut once(aliases(1, &["a"])))
        .unwrap();
    assert_eq!(files(directory.path(), ".parquet").len(), 1);
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), [""; 0]);
    lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a"]))).unwrap();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a"]);
    assert_eq!(files(directory.path(), ".parquet").len(), 2);
}

#[test]
fn a_commit_from_a_stale_snapshot_is_a_conflict() {
    let (_directory, lake) = lake();
    lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a"]))).unwrap();
    let stale = lake.inner.snapshot(&EMAIL_ALIASES).unwrap().unwrap();
    let there = lake.inner.writable(&EMAIL_ALIASES).unwrap();
    let written = lake
        .inner
        .write(&EMAIL_ALIASES, Author::Run(RunNumber(2)), &there, &mut once(aliases(2, &["b"])))
        .unwrap();
    lake.commit(&EMAIL_ALIASES, RunNumber(3), &mut once(aliases(3, &["c"]))).unwrap();
    let result = lake.inner.try_commit(&EMAIL_ALIASES, RunNumber(2), stale, &written).unwrap();
    assert!(!result.is_committed());
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1, 2, 3]), ["a", "c"]);
}

#[test]
fn another_writer_with_the_same_run_is_found_after_writing() {
    let (directory, lake) = lake();
    let other = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    // While the rows of this commit are still being produced, the other process commits the run.
    let mut slow = std::iter::once_with(|| {
        other.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a", "b"]))).unwrap();
        Ok::<_, String>(aliases(1, &["a", "b"]))
    });
    assert_eq!(
        lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut slow).unwrap(),
        Committed { rows: 2, already: true }
    );
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a", "b"]);

    let mut slow = std::iter::once_with(|| {
        other.commit(&EMAIL_ALIASES, RunNumber(3), &mut once(aliases(3, &["c"]))).unwrap();
        Ok::<_, String>(aliases(2, &["d"]))
    });
    assert_eq!(lake.commit(&EMAIL_ALIASES, RunNumber(2), &mut slow).unwrap_err().kind(), ErrorKind::Passed);
}

#[test]
fn two_writers_at_once_leave_each_run_once() {
    let (directory, lake) = lake();
    let path = directory.path().join("lake");
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    Lake::open(&path, 0o640).unwrap().commit(
                        &EMAIL_ALIASES,
                        RunNumber(1),
                        &mut once(aliases(1, &["a"])),
                    )
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.already).count(), 1, "{outcomes:?}");
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a"]);
}

#[test]
fn lost_response_does_not_cause_a_second_commit() {
    let directory = tempfile::tempdir().unwrap();
    let (lake, store) =
        flaky_lake(directory.path(), Fault::LosesAnswerOf("_delta_log/00000000000000000001.json"));
    let committed = lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a"]))).unwrap();
    assert!(store.happened(), "the response of the commit was lost");
    assert_eq!(committed, Committed { rows: 1, already: true });
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a"]);
}

/// A process dies at any put, before or after it. The next process finds each run once.

#[test]
fn kill_at_any_put_loses_and_duplicates_no_row() {
    for commits_before in [0, 19] {
        for put in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().canonicalize().unwrap();
            let healthy = || Lake::open(&root, 0o640).unwrap();
            for number in 1..=commits_before {
                healthy()
                    .commit(&EMAIL_ALIASES, RunNumber(number), &mut once(aliases(number, &["old"])))
                    .unwrap();
            }
            let run = commits_before + 1;
            let rows = || aliases(run, &["a", "b"]);
            // With an even number the fault occurs before a put, with an odd number after it.
            let fault = if put % 2 == 0 { Fault::DiesBefore(put / 2) } else { Fault::DiesAfter(put / 2) };
            let (lake, store) = flaky_lake(&root, fault);
            let outcome = lake.commit(&EMAIL_ALIASES, RunNumber(run), &mut once(rows()));
            if !store.happened() {
                assert!(put >= 4, "data file and commit were both struck");
                break;
            }
            // A kill while the checkpoint is written does not make the commit fail.
            let shown = ids(&healthy(), &EMAIL_ALIASES, &[run]);
            assert!(shown.is_empty() || shown == ["a", "b"], "put {put}: half a commit: {shown:?}");
            assert!(outcome.is_err() || !shown.is_empty(), "put {put}: reported as committed and is not");
            let again = healthy().commit(&EMAIL_ALIASES, RunNumber(run), &mut once(rows())).unwrap();
            assert_eq!(again, Committed { rows: 2, already: !shown.is_empty() }, "put {put}");
            assert_eq!(ids(&healthy(), &EMAIL_ALIASES, &[run]), ["a", "b"], "put {put}");
            healthy()
                .commit(&EMAIL_ALIASES, RunNumber(run + 1), &mut once(aliases(run + 1, &["c"])))
                .unwrap();
            assert_eq!(ids(&healthy(), &EMAIL_ALIASES, &[run, run + 1]), ["a", "b", "c"], "put {put}");
        }
    }
}

fn flaky_lake(directory: &Path, fault: Fault) -> (Lake, Arc<Flaky>) {
    let ownership = Access::from(0o640).resolve().unwrap();
    let record = Arc::new(Record::open(directory, ownership, None).unwrap());
    let store = Arc::new(Flaky {
        disk: DurableStore::below(directory, ownership, Arc::clone(&record)).unwrap(),
        fault,
        puts: AtomicU32::new(0),
        struck: AtomicBool::new(false),
    });
    let lake =
        Lake::on(store.clone(), directory.to_owned(), ownership, record, Runtime::start().unwrap()).unwrap();
    (lake, store)
}

#[test]
fn rows_of_another_run_are_refused() {
    let (_directory, lake) = lake();
    let error = lake.commit(&EMAIL_ALIASES, RunNumber(2), &mut once(aliases(1, &["a"]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);
}

#[test]
fn all_rows_remain_after_forty_commits_and_four_checkpoints() {
    let (directory, lake) = lake();
    for number in 1..=41 {
        let id = format!("{number:02}");
        lake.commit(&EMAIL_ALIASES, RunNumber(number), &mut once(aliases(number, &[&id]))).unwrap();
    }
    let log = directory.path().join("lake/email_aliases/_delta_log");
    assert_eq!(files(&log, ".checkpoint.parquet").len(), 4);
    // The log before a checkpoint is not needed any more: neither for rows, nor for the commit rule, which a new process evaluates.
    for version in 0..40 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let lake = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &(1..=41).collect::<Vec<_>>()).len(), 41);
    assert!(lake.commit(&EMAIL_ALIASES, RunNumber(41), &mut once(aliases(41, &["x"]))).unwrap().already);
    assert_eq!(
        lake.commit(&EMAIL_ALIASES, RunNumber(40), &mut once(aliases(40, &["x"]))).unwrap_err().kind(),
        ErrorKind::Passed
    );
}

/// Why: reclamation commits independently of the runs, may be killed after any commit, and must write each action exactly once.
#[test]
fn actions_are_committed_once_by_the_journal_s_sequence() {
    let (_directory, lake) = lake();
    let asked = std::cell::RefCell::new(Vec::new());
    let commit = |sequence, ids: &[&str]| {
        lake.commit_actions(&EMAIL_ALIASES, sequence, |after| {
            asked.borrow_mut().push(after);
            aliases(1, ids)
        })
    };
    assert_eq!(commit(3, &["a"]).unwrap(), 1);
    assert_eq!(commit(3, &["a"]).unwrap(), 0, "no rows are requested again");
    assert_eq!(commit(5, &[]).unwrap(), 0, "there are no new final rows");
    assert_eq!(commit(9, &["b", "c"]).unwrap(), 2);
    assert_eq!(*asked.borrow(), [0, 3, 3]);
    assert_eq!(commit(4, &["d"]).unwrap_err().kind(), ErrorKind::Passed);
    // Runs are counted separately.
    assert_eq!(lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["e"]))).unwrap().rows, 1);
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a", "b", "c", "e"]);
}
