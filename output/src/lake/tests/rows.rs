//! Rows are read as they were written, from the expected files.

use std::os::unix::fs::PermissionsExt as _;

use arrow::datatypes::Int64Type;
use boxseat_schemas::table::{EVENTS, GROUPS, MEMBERSHIPS, USERS};

use super::*;
use crate::ErrorKind;
use crate::testing::{at, once, reservation};

#[test]
fn snapshots_are_stored_in_separate_partitions() {
    let (directory, lake) = lake();
    for (number, date, names) in [(1, "2026-03-01", ["ann", "bob"]), (2, "2026-03-02", ["ann", "cy"])] {
        let objects = names.map(|name| json!({ "user_id": name, "tracking_codes": { "cost": "7" } }));
        let batch = rows(&USERS, &run(number, date, RunStatus::Complete), &objects);
        lake.commit(&USERS, RunNumber(number), &mut once(batch)).unwrap();
    }
    assert_eq!(ids(&lake, &USERS, &[2]), ["ann", "cy"]);
    assert_eq!(ids(&lake, &USERS, &[1, 2]), ["ann", "ann", "bob", "cy"]);
    assert_eq!(ids(&lake, &USERS, &[]), [""; 0]);
    assert_eq!(ids(&lake, &USERS, &[9]), [""; 0]);
    assert_eq!(ids(&lake, &MEMBERSHIPS, &[1]), [""; 0], "nothing was ever committed");
    let snapshots = directory.path().join("lake/users");
    for date in ["2026-03-01", "2026-03-02"] {
        assert_eq!(files(&snapshots.join(format!("snapshot_date={date}")), ".parquet").len(), 1);
    }

    let whole: Vec<RecordBatch> =
        lake.scan(&USERS, &[RunNumber(1)], None).unwrap().map(Result::unwrap).collect();
    assert_eq!(whole[0].schema(), USERS.lake_schema());
    let written = rows(
        &USERS,
        &run(1, "2026-03-01", RunStatus::Complete),
        &["ann", "bob"].map(|name| json!({ "user_id": name, "tracking_codes": { "cost": "7" } })),
    );
    assert_eq!(whole[0], written, "rows are read as written, including lists and times");
    assert_eq!(lake.scan(&USERS, &[RunNumber(1)], Some(&["nonsense"])).unwrap_err().kind(), ErrorKind::Bug);
}

#[test]
fn events_are_partitioned_by_month_and_old_months_are_not_opened() {
    let (directory, lake) = lake();
    let event = |id: &str, time: &str| json!({ "event_id": id, "event_type": "LOGIN", "created_at": time });
    let first = [
        event("a", "2026-01-31T23:59:59.999999Z"),
        event("b", "2026-02-01T00:00:00Z"),
        event("c", "2026-02-27T10:00:00.123456Z"),
    ];
    let second = [event("d", "2026-02-28T00:00:00Z"), event("e", "2026-03-01T00:00:00Z")];
    for (number, objects) in [(1, &first[..]), (2, &second[..])] {
        let batch = rows(&EVENTS, &run(number, DATE, RunStatus::Complete), objects);
        lake.commit(&EVENTS, RunNumber(number), &mut once(batch)).unwrap();
    }
    assert_eq!(files(&directory.path().join("lake/events"), ".parquet").len(), 4);

    let since = |time: &str, runs: &[u64]| -> Vec<String> {
        let runs: Vec<_> = runs.iter().copied().map(RunNumber).collect();
        let batches = lake.events_since(at(time), &runs).unwrap();
        let mut ids: Vec<_> = batches
            .flat_map(|batch| {
                batch
                    .unwrap()
                    .column(0)
                    .as_string::<i32>()
                    .iter()
                    .map(|id| id.unwrap().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(since("2026-02-27T10:00:00.123456Z", &[1, 2]), ["c", "d", "e"]);
    assert_eq!(since("2026-02-27T10:00:00.123457Z", &[1, 2]), ["d", "e"]);
    assert_eq!(since("2026-02-01T00:00:00Z", &[1]), ["b", "c"]);

    // The file of January is damaged, and queries of February are not affected.
    let january = files(&directory.path().join("lake/events/event_month=2026-01-01"), ".parquet").remove(0);
    std::fs::write(&january, b"not Parquet").unwrap();
    assert_eq!(since("2026-02-01T00:00:00Z", &[1]), ["b", "c"]);
    let damaged = lake.scan(&EVENTS, &[RunNumber(1)], None).unwrap().find_map(Result::err).unwrap();
    assert_eq!(damaged.to_string(), "could not read the lake's table events");
}

#[test]
fn a_number_is_reserved_once() {
    let (directory, lake) = lake();
    assert_eq!(lake.reservations().unwrap(), []);
    for number in [10, 2] {
        lake.reserve(&reservation(number, DATE)).unwrap();
    }
    let taken = lake.reserve(&reservation(2, "2026-03-03")).unwrap_err();
    assert_eq!((taken.kind(), taken.to_string().as_str()), (ErrorKind::Taken, "run 2 is already reserved"));
    assert_eq!(lake.reservations().unwrap(), [reservation(2, DATE), reservation(10, DATE)]);

    let file = directory.path().join("lake/_runs/2.json");
    let newer =
        std::fs::read_to_string(&file).unwrap().replace("\"format\": 1", "\"format\": 2, \"moon\": true");
    std::fs::write(&file, newer).unwrap();
    let error = lake.reservations().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Newer);
    assert!(
        error.to_string().ends_with(
            "_runs/2.json has format 2, this version reads 1: use the version of boxseat that wrote it"
        ),
        "{error}"
    );
    std::fs::write(&file, "{").unwrap();
    assert_eq!(lake.reservations().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn runs_are_read_as_written() {
    let (_directory, lake) = lake();
    assert_eq!(lake.sync_runs().unwrap(), []);
    let runs = [run(1, "2026-03-01", RunStatus::Abandoned), run(2, DATE, RunStatus::Complete)];
    for run in &runs {
        let batch = SyncRun::to_batch(std::slice::from_ref(run), "900");
        lake.commit(&SYNC_RUNS, run.run_number, &mut once(batch)).unwrap();
    }
    assert_eq!(lake.sync_runs().unwrap(), runs);
}

#[test]
fn a_column_added_later_is_null_in_older_rows() {
    let (_directory, lake) = lake();
    let old: &'static Table = Box::leak(Box::new(Table { columns: &GROUPS.columns[..6], ..GROUPS_HEAD }));
    let of = |number| run(number, DATE, RunStatus::Complete);
    let group = |id: &str| json!({ "group_id": id, "read_at": "2026-03-02T02:00:00Z" });
    let mut early = rows(old, &of(1), &[group("1")]);
    lake.commit(old, RunNumber(1), &mut once(early.clone())).unwrap();

    // `read_at` is NOT NULL in the contract, so a developer must not add it this way.
    let error =
        lake.commit(&GROUPS, RunNumber(2), &mut once(rows(&GROUPS, &of(2), &[group("2")]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);

    let nullable: Vec<_> = GROUPS
        .columns
        .iter()
        .map(|column| boxseat_schemas::table::Column { nullable: column.name != "group_id", ..*column })
        .collect();
    let new: &'static Table = Box::leak(Box::new(Table { columns: Vec::leak(nullable), ..GROUPS_HEAD }));
    // Readable before and after the first write with the new contract.
    assert_eq!(
        lake.scan(new, &[RunNumber(1)], Some(&["extra"]))
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum::<usize>(),
        1
    );
    lake.commit(new, RunNumber(2), &mut once(rows(new, &of(2), &[group("2")]))).unwrap();
    assert_eq!(ids(&lake, new, &[1, 2]), ["1", "2"]);
    early.remove_column(0);
    assert_eq!(lake.commit(new, RunNumber(3), &mut once(early)).unwrap_err().kind(), ErrorKind::Bug);
}

const GROUPS_HEAD: Table = Table {
    name: "groups",
    layout: boxseat_schemas::table::Layout::Snapshot,
    key: &["group_id"],
    comment: "",
    columns: &[],
};

#[test]
fn files_get_the_configured_access_and_unusual_paths_work() {
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join("Büro 100% #1/lake");
    let lake = Lake::open(&odd, 0o640).unwrap();
    lake.reserve(&reservation(1, DATE)).unwrap();
    lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a"]))).unwrap();
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a"]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for file in files(&odd, "") {
        assert_eq!(mode(&file), 0o640, "{}", file.display());
    }
    assert_eq!(mode(&odd.join("email_aliases/_delta_log")), 0o750);

    let unknown_group = Access { mode: 0o640, group: Some("no such group".into()) };
    assert_eq!(
        Lake::open(&odd, unknown_group).unwrap_err().to_string(),
        "the system has no group named \"no such group\""
    );
}

#[test]
fn a_file_of_many_row_groups_keeps_every_row() {
    let (directory, lake) = lake();
    let batches = (0..20).map(|part: u32| {
        let objects: Vec<_> = (0..10_000)
            .map(|i| json!({ "event_id": format!("{part}-{i}"), "event_type": "LOGIN", "created_at": "2026-02-01T00:00:00Z" }))
            .collect();
        Ok::<_, String>(rows(&EVENTS, &run(1, DATE, RunStatus::Complete), &objects))
    });
    let committed = lake.commit(&EVENTS, RunNumber(1), &mut { batches }).unwrap();
    assert_eq!(committed.rows, 200_000);
    let file = files(&directory.path().join("lake/events"), ".parquet").remove(0);
    let reader =
        parquet::file::reader::SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    assert_eq!(parquet::file::reader::FileReader::num_row_groups(&reader), 2);
    let numbers = lake.scan(&EVENTS, &[RunNumber(1)], Some(&["run_number"])).unwrap();
    let sum: i64 = numbers
        .map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>())
        .sum();
    assert_eq!(sum, 200_000);
}
