//! Retention removes rows from the lake without an effect on the remaining rows.

use boxseat_schemas::table::{EVENTS, USER_CHANGES};

use super::*;
use crate::lake::files::Author;
use crate::testing::{day, once};

fn changes(number: u64, ids: &[&str]) -> RecordBatch {
    let objects: Vec<_> = ids.iter().map(|id| json!({ "change_id": id, "change": "joined" })).collect();
    rows(&USER_CHANGES, &run(number, DATE, RunStatus::Complete), &objects)
}

fn events(number: u64, events: &[(&str, &str)]) -> RecordBatch {
    let objects: Vec<_> = events
        .iter()
        .map(|(id, at)| json!({ "event_id": id, "event_type": "LOGIN", "created_at": format!("{at}T08:00:00Z") }))
        .collect();
    rows(&EVENTS, &run(number, DATE, RunStatus::Complete), &objects)
}

fn kinds(unneeded: &[Unneeded]) -> Vec<UnneededKind> {
    unneeded.iter().map(|file| file.kind).collect()
}

#[test]
fn removed_snapshot_is_hidden_from_new_readers_and_stays_on_disk_for_old_ones() {
    let (directory, lake) = lake();
    for number in 1..=3 {
        lake.commit(&EMAIL_ALIASES, RunNumber(number), &mut once(aliases(number, &[&format!("a{number}")])))
            .unwrap();
    }
    assert_eq!(lake.snapshots(&EMAIL_ALIASES).unwrap().len(), 3);
    let removed = lake.remove_snapshots(&EMAIL_ALIASES, |run| run.0 != 2).unwrap();
    assert_eq!(removed, 1);
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1, 2, 3]), ["a1", "a3"]);
    assert_eq!(lake.snapshots(&EMAIL_ALIASES).unwrap(), [1, 3].map(RunNumber).into());
    assert_eq!(
        lake.remove_snapshots(&EMAIL_ALIASES, |run| run.0 != 2).unwrap(),
        0,
        "there is nothing left to remove"
    );

    let unneeded = lake.unneeded().unwrap();
    assert_eq!(kinds(&unneeded), [UnneededKind::Data]);
    assert_eq!(files(directory.path(), ".parquet").len(), 3);
    lake.delete(&unneeded[0]).unwrap();
    lake.delete(&unneeded[0]).unwrap();
    assert_eq!(files(directory.path(), ".parquet").len(), 2);
    assert_eq!(lake.unneeded().unwrap(), []);
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1, 2, 3]), ["a1", "a3"]);
    // The order of runs is kept after their rows are removed.
    assert!(lake.commit(&EMAIL_ALIASES, RunNumber(3), &mut once(aliases(3, &["again"]))).unwrap().already);
}

/// Why: rows are moved, while runs, readers and the commit rule rely on the run that wrote them.
#[test]
fn merged_files_have_the_same_rows_of_the_same_runs() {
    let (directory, lake) = lake();
    let snapshots = FILES_PER_MERGE as u64;
    for number in 1..snapshots {
        lake.commit(
            &USER_CHANGES,
            RunNumber(number),
            &mut once(changes(number, &[&format!("c{number:02}")])),
        )
        .unwrap();
    }
    assert_eq!(lake.compact(&USER_CHANGES).unwrap(), 0, "too few to be worth it");
    lake.commit(&USER_CHANGES, RunNumber(snapshots), &mut once(changes(snapshots, &["x", "y"]))).unwrap();
    let all: Vec<u64> = (1..=snapshots).collect();
    let before = ids(&lake, &USER_CHANGES, &all);

    assert_eq!(lake.compact(&USER_CHANGES).unwrap(), snapshots);
    assert_eq!(lake.compact(&USER_CHANGES).unwrap(), 0);
    assert_eq!(ids(&lake, &USER_CHANGES, &all), before);
    assert_eq!(ids(&lake, &USER_CHANGES, &[7]), ["c07"]);
    assert_eq!(ids(&lake, &USER_CHANGES, &[snapshots]), ["x", "y"]);
    assert_eq!(
        files(directory.path(), ".parquet")
            .iter()
            .filter(|f| f.to_string_lossy().contains("merged-"))
            .count(),
        1
    );
    let unneeded = kinds(&lake.unneeded().unwrap());
    assert_eq!(unneeded.iter().filter(|kind| **kind == UnneededKind::Data).count() as u64, snapshots);

    // A repeated run finds its rows in their new file. The next run continues normally.
    assert_eq!(
        lake.commit(&USER_CHANGES, RunNumber(snapshots), &mut once(changes(snapshots, &["z"]))).unwrap(),
        Committed { rows: 2, already: true }
    );
    lake.commit(&USER_CHANGES, RunNumber(snapshots + 1), &mut once(changes(snapshots + 1, &["z"]))).unwrap();
    for file in lake.unneeded().unwrap() {
        lake.delete(&file).unwrap();
    }
    let lake = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    assert_eq!(ids(&lake, &USER_CHANGES, &all), before);
    assert_eq!(ids(&lake, &USER_CHANGES, &[snapshots + 1]), ["z"]);
}

/// Why: removed events must not be counted as "no login", so readers must get the first day that is kept.
#[test]
fn events_are_removed_by_month_and_the_first_kept_day_is_recorded() {
    let (_directory, lake) = lake();
    let march = [("m", "2026-03-31"), ("n", "2026-03-01")];
    lake.commit(&EVENTS, RunNumber(1), &mut once(events(1, &[("f", "2026-02-28"), march[0]]))).unwrap();
    lake.commit(&EVENTS, RunNumber(2), &mut once(events(2, &[march[1], ("a", "2026-04-01")]))).unwrap();
    assert_eq!(lake.events_kept_from().unwrap(), None);
    assert_eq!(lake.remove_events_before(day("2026-02-01")).unwrap(), 0);
    assert_eq!(lake.events_kept_from().unwrap(), None, "no event was removed, so none is missing");
    assert_eq!(lake.remove_events_before(day("2026-03-01")).unwrap(), 1);
    assert_eq!(ids(&lake, &EVENTS, &[1, 2]), ["a", "m", "n"]);
    assert_eq!(lake.events_kept_from().unwrap(), Some(day("2026-03-01")));
    // Merging keeps each month in its own partition.
    for number in 3..20 {
        let id = format!("e{number}");
        lake.commit(&EVENTS, RunNumber(number), &mut once(events(number, &[(&id, "2026-04-02")]))).unwrap();
    }
    assert_eq!(lake.compact(&EVENTS).unwrap(), 18);
    assert_eq!(ids(&lake, &EVENTS, &[1, 2]), ["a", "m", "n"]);
    assert_eq!(lake.remove_events_before(day("2026-04-01")).unwrap(), 2);
    assert_eq!(ids(&lake, &EVENTS, &[1, 2]), ["a"]);
    assert_eq!(lake.events_kept_from().unwrap(), Some(day("2026-04-01")));
}

#[test]
fn files_of_killed_writers_and_checkpointed_logs_are_unneeded() {
    let (directory, lake) = lake();
    let there = lake.inner.writable(&EMAIL_ALIASES).unwrap();
    lake.inner
        .write(&EMAIL_ALIASES, Author::Run(RunNumber(1)), &there, &mut once(aliases(1, &["lost"])))
        .unwrap();
    let staged = directory.path().join("lake/email_aliases/_delta_log/00000000000000000009.json#123");
    std::fs::write(&staged, "half").unwrap();
    assert_eq!(kinds(&lake.unneeded().unwrap()), [UnneededKind::Staged, UnneededKind::Data]);

    // A log with four checkpoints: the part before the newest one can be removed.
    for number in 1..=45 {
        lake.commit(
            &EMAIL_ALIASES,
            RunNumber(number),
            &mut once(aliases(number, &[&format!("a{number:02}")])),
        )
        .unwrap();
    }
    let runs: Vec<u64> = (1..=45).collect();
    let before = ids(&lake, &EMAIL_ALIASES, &runs);
    assert_eq!(before.len(), 45);
    let unneeded = lake.unneeded().unwrap();
    // Versions 0 to 39, and the checkpoints of versions 10, 20 and 30.
    assert_eq!(unneeded.iter().filter(|file| file.kind == UnneededKind::Log).count(), 43, "{unneeded:#?}");
    for file in &unneeded {
        lake.delete(file).unwrap();
    }
    assert!(!staged.exists());
    let lake = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &runs), before);
    assert_eq!(lake.unneeded().unwrap(), []);
    lake.commit(&EMAIL_ALIASES, RunNumber(46), &mut once(aliases(46, &["next"]))).unwrap();
    assert_eq!(
        lake.commit(&EMAIL_ALIASES, RunNumber(44), &mut once(aliases(44, &["late"]))).unwrap_err().kind(),
        crate::ErrorKind::Passed
    );
}
