use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use boxseat_schemas::run::RunStatus;
use boxseat_schemas::table::{EMAIL_ALIASES, EVENTS, GROUPS, MEMBERSHIPS, USERS};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::ErrorKind;
use crate::testing::{at, once, reservation, rows, run};
use flaky::{Fault, Flaky};

const DATE: &str = "2026-03-02";

fn lake() -> (TempDir, Lake) {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    (directory, lake)
}

fn aliases(number: u64, ids: &[&str]) -> RecordBatch {
    let objects: Vec<_> = ids.iter().map(|id| json!({ "alias_id": id, "user_id": "1" })).collect();
    rows(&EMAIL_ALIASES, &run(number, DATE, RunStatus::Complete), &objects)
}

fn ids(lake: &Lake, table: &'static Table, runs: &[u64]) -> Vec<String> {
    let runs: Vec<RunNumber> = runs.iter().copied().map(RunNumber).collect();
    let mut ids = Vec::new();
    for batch in lake.scan(table, &runs, Some(&[table.key[0]])).unwrap() {
        ids.extend(batch.unwrap().column(0).as_string::<i32>().iter().map(|id| id.unwrap().to_owned()));
    }
    ids.sort();
    ids
}

fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_commits_once_in_order_and_never_after_a_later_one() {
    let (_directory, lake) = lake();
    let commit = |number, ids: &[&str]| {
        lake.commit(&EMAIL_ALIASES, RunNumber(number), &mut once(aliases(number, ids)))
    };
    assert_eq!(commit(1, &["a", "b"]).unwrap(), Committed { rows: 2, already: false });
    assert_eq!(commit(3, &["c"]).unwrap(), Committed { rows: 1, already: false });

    // The same run again: the rows handed in are not even looked at.
    let mut poisoned =
        std::iter::from_fn(|| -> Option<Result<RecordBatch, &str>> { panic!("nobody may ask for rows") });
    assert_eq!(
        lake.commit(&EMAIL_ALIASES, RunNumber(3), &mut poisoned).unwrap(),
        Committed { rows: 1, already: true }
    );

    let passed = commit(2, &["d"]).unwrap_err();
    assert_eq!(passed.kind(), ErrorKind::Passed);
    assert_eq!(passed.to_string(), "run 2 cannot write email_aliases: run 3 has written it since");
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
fn rows_that_fail_half_way_show_nothing() {
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
fn a_kill_between_data_file_and_commit_leaves_a_file_nobody_reads() {
    let (directory, lake) = lake();
    lake.inner.write(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a"]))).unwrap();
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
    let written = lake.inner.write(&EMAIL_ALIASES, RunNumber(2), &mut once(aliases(2, &["b"]))).unwrap();
    lake.commit(&EMAIL_ALIASES, RunNumber(3), &mut once(aliases(3, &["c"]))).unwrap();
    let result = lake.inner.try_commit(&EMAIL_ALIASES, RunNumber(2), stale, &written).unwrap();
    assert!(!result.is_committed());
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1, 2, 3]), ["a", "c"]);
}

#[test]
fn another_writer_with_the_same_run_is_found_after_writing() {
    let (directory, lake) = lake();
    let other = Lake::open(&directory.path().join("lake"), 0o640).unwrap();
    // While our rows are still coming, the other process commits the run.
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
fn a_lost_answer_is_not_a_second_commit() {
    let directory = tempfile::tempdir().unwrap();
    let (lake, store) =
        flaky_lake(directory.path(), Fault::LosesAnswerOf("_delta_log/00000000000000000001.json"));
    let committed = lake.commit(&EMAIL_ALIASES, RunNumber(1), &mut once(aliases(1, &["a"]))).unwrap();
    assert!(store.happened(), "the commit's answer was lost");
    assert_eq!(committed, Committed { rows: 1, already: true });
    assert_eq!(ids(&lake, &EMAIL_ALIASES, &[1]), ["a"]);
}

/// A process that dies at any put, before or after it, is followed by one that finds each run once.
#[test]
fn a_death_at_any_put_loses_and_doubles_nothing() {
    for commits_before in [0, 19] {
        let mut deaths = 0;
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
            // Even faults strike before a put, odd ones after it.
            let fault = if put % 2 == 0 { Fault::DiesBefore(put / 2) } else { Fault::DiesAfter(put / 2) };
            let (lake, store) = flaky_lake(&root, fault);
            let outcome = lake.commit(&EMAIL_ALIASES, RunNumber(run), &mut once(rows()));
            if !store.happened() {
                assert!(deaths >= 4, "data file and commit were both struck");
                break;
            }
            deaths += 1;
            // Dying while the log is summed up is no failure of the commit.
            let shown = ids(&healthy(), &EMAIL_ALIASES, &[run]);
            assert!(shown.is_empty() || shown == ["a", "b"], "put {put}: half a commit: {shown:?}");
            assert!(outcome.is_err() || !shown.is_empty(), "put {put}: said to be committed and is not");
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
    let store = Arc::new(Flaky {
        disk: DurableStore::new(ownership),
        fault,
        puts: AtomicU32::new(0),
        struck: AtomicBool::new(false),
    });
    let root = Url::from_directory_path(directory).unwrap();
    (Lake::on(store.clone(), root, ownership, Runtime::start().unwrap()), store)
}

#[test]
fn nights_lie_side_by_side() {
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
    let nights = directory.path().join("lake/users");
    for date in ["2026-03-01", "2026-03-02"] {
        assert_eq!(files(&nights.join(format!("snapshot_date={date}")), ".parquet").len(), 1);
    }

    let whole: Vec<RecordBatch> =
        lake.scan(&USERS, &[RunNumber(1)], None).unwrap().map(Result::unwrap).collect();
    assert_eq!(whole[0].schema(), USERS.lake_schema());
    let written = rows(
        &USERS,
        &run(1, "2026-03-01", RunStatus::Complete),
        &["ann", "bob"].map(|name| json!({ "user_id": name, "tracking_codes": { "cost": "7" } })),
    );
    assert_eq!(whole[0], written, "what is read is what was written, lists and times too");
    assert_eq!(lake.scan(&USERS, &[RunNumber(1)], Some(&["nonsense"])).unwrap_err().kind(), ErrorKind::Bug);
}

#[test]
fn events_lie_by_month_and_old_months_are_not_opened() {
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

    // January is damaged, and February's questions never notice.
    let january = files(&directory.path().join("lake/events/event_month=2026-01-01"), ".parquet").remove(0);
    std::fs::write(&january, b"not Parquet").unwrap();
    assert_eq!(since("2026-02-01T00:00:00Z", &[1]), ["b", "c"]);
    let damaged = lake.scan(&EVENTS, &[RunNumber(1)], None).unwrap().find_map(Result::err).unwrap();
    assert_eq!(damaged.to_string(), "could not read the lake's table events");
}

#[test]
fn forty_commits_and_two_checkpoints_later_everything_is_there() {
    let (directory, lake) = lake();
    for number in 1..=41 {
        let id = format!("{number:02}");
        lake.commit(&EMAIL_ALIASES, RunNumber(number), &mut once(aliases(number, &[&id]))).unwrap();
    }
    let log = directory.path().join("lake/email_aliases/_delta_log");
    assert_eq!(files(&log, ".checkpoint.parquet").len(), 2);
    // The log before a checkpoint is not needed any more: neither for rows, nor for the rule, which a new process asks.
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
        error
            .to_string()
            .ends_with("_runs/2.json has format 2, this version reads 1: use the boxseat that wrote it"),
        "{error}"
    );
    std::fs::write(&file, "{").unwrap();
    assert_eq!(lake.reservations().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn runs_come_back_as_they_were_written() {
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

    // `read_at` is NOT NULL in the contract, so this growth is one a developer must not make.
    let error =
        lake.commit(&GROUPS, RunNumber(2), &mut once(rows(&GROUPS, &of(2), &[group("2")]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);

    let nullable: Vec<_> = GROUPS
        .columns
        .iter()
        .map(|column| boxseat_schemas::table::Column { nullable: column.name != "group_id", ..*column })
        .collect();
    let new: &'static Table = Box::leak(Box::new(Table { columns: Vec::leak(nullable), ..GROUPS_HEAD }));
    // Readable before anybody has written with the new contract, and after.
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
    layout: boxseat_schemas::table::Layout::Night,
    key: &["group_id"],
    comment: "",
    columns: &[],
};

#[test]
fn rows_of_another_run_are_refused() {
    let (_directory, lake) = lake();
    let error = lake.commit(&EMAIL_ALIASES, RunNumber(2), &mut once(aliases(1, &["a"]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);
}

#[test]
fn files_are_readable_for_whom_they_should_and_paths_may_be_odd() {
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

    let nobody = Access { mode: 0o640, group: Some("no such group".into()) };
    assert_eq!(
        Lake::open(&odd, nobody).unwrap_err().to_string(),
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

mod flaky {
    use std::ops::Range;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::StreamExt as _;
    use futures::stream::BoxStream;
    use object_store::path::Path;
    use object_store::*;

    use super::DurableStore;

    /// A disk with one fault.
    #[derive(Debug)]
    pub(super) struct Flaky {
        pub(super) disk: DurableStore,
        pub(super) fault: Fault,
        pub(super) puts: AtomicU32,
        pub(super) struck: AtomicBool,
    }

    #[derive(Debug, Clone, Copy)]
    pub(super) enum Fault {
        /// Writes the file that ends so, and says once that it failed: a network that breaks in the wrong moment.
        LosesAnswerOf(&'static str),
        /// The process dies before its nth put: from there on nothing works.
        DiesBefore(u32),
        /// The process dies after its nth put.
        DiesAfter(u32),
    }

    impl Flaky {
        pub(super) fn happened(&self) -> bool {
            self.struck.load(Ordering::SeqCst)
        }

        fn alive(&self) -> Result<()> {
            let dead = self.happened() && !matches!(self.fault, Fault::LosesAnswerOf(_));
            if dead { Err(error()) } else { Ok(()) }
        }
    }

    fn error() -> Error {
        Error::Generic { store: "flaky", source: "connection reset".into() }
    }

    impl std::fmt::Display for Flaky {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a flaky disk")
        }
    }

    #[async_trait]
    impl ObjectStore for Flaky {
        async fn put_opts(
            &self,
            location: &Path,
            payload: PutPayload,
            opts: PutOptions,
        ) -> Result<PutResult> {
            self.alive()?;
            let number = self.puts.fetch_add(1, Ordering::SeqCst);
            if matches!(self.fault, Fault::DiesBefore(n) if n == number) {
                self.struck.store(true, Ordering::SeqCst);
                return Err(error());
            }
            let answer = self.disk.put_opts(location, payload, opts).await?;
            let strikes = match self.fault {
                Fault::LosesAnswerOf(ending) => location.as_ref().ends_with(ending) && !self.happened(),
                Fault::DiesAfter(n) => n == number,
                Fault::DiesBefore(_) => false,
            };
            if strikes {
                self.struck.store(true, Ordering::SeqCst);
                return Err(error());
            }
            Ok(answer)
        }

        async fn put_multipart_opts(
            &self,
            at: &Path,
            opts: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.alive()?;
            self.disk.put_multipart_opts(at, opts).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            self.alive()?;
            self.disk.get_opts(location, options).await
        }

        async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
            self.alive()?;
            self.disk.get_ranges(location, ranges).await
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, Result<Path>>,
        ) -> BoxStream<'static, Result<Path>> {
            self.disk.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            match self.alive() {
                Ok(()) => self.disk.list(prefix),
                Err(error) => futures::stream::once(async { Err(error) }).boxed(),
            }
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.alive()?;
            self.disk.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.disk.copy_opts(from, to, options).await
        }
    }
}
