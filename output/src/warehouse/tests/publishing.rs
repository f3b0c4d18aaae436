//! Building, checking and renaming.

use std::os::unix::fs::PermissionsExt as _;

use boxseat_schemas::table::{Kind, Layout, RUN_ROWS, USERS, WAREHOUSE};
use duckdb::Connection;
use serde_json::json;

use super::*;
use crate::ErrorKind;
use crate::error::FailedCheck;
use crate::query::CheckedReader;
use crate::testing::{at, day};

fn snapshot() -> Rows {
    let mut snapshot = Rows::users(&["1", "2"]);
    snapshot.users[0]["tracking_codes"] = json!({ "cost centre": "7" });
    snapshot.users[0]["user_enterprise_id"] = json!("901");
    snapshot.groups = vec![json!({ "group_id": "g", "name": "it's \"ours\"" })];
    snapshot.memberships = vec![json!({ "membership_id": "m", "user_id": "1", "group_id": "g" })];
    snapshot.events = vec![
        json!({ "event_id": "e1", "event_type": "LOGIN", "user_id": "1", "created_at": "2026-02-28T12:00:00Z" }),
        json!({ "event_id": "e2", "event_type": "NEW_USER", "user_id": "2", "created_at": "2026-03-01T12:00:00Z" }),
    ];
    snapshot.coverage = vec![
        json!({ "event_type": "LOGIN", "covered_from_at": "2025-08-31T00:00:00Z", "covered_to_at": "2026-03-02T01:45:00Z" }),
    ];
    snapshot
}

fn refused(store: &Store, pending: &Pending) -> FailedCheck {
    match store.check(Some(pending)).unwrap_err() {
        Error::CheckFailed(failed) => *failed,
        other => panic!("{other}"),
    }
}

#[test]
fn snapshot_is_published_completely() {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &snapshot());
    store.finish(&pending);
    assert_eq!(store.files(), ["boxseat.duckdb"]);
    let mode = std::fs::metadata(store.path().join(FILE_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o440, "a published file is read-only");
    let shown =
        SnapshotId { run_number: RunNumber(1), snapshot_date: day(DATE), now_at: at("2026-03-02T02:00:00Z") };
    assert_eq!(published(store.path()).unwrap(), Some(shown));

    assert_eq!(
        store.lines("SELECT user_id, enterprise_id, tracking_codes[1].name FROM users"),
        ["1|901|cost centre", "2|-|-"]
    );
    assert_eq!(store.lines("SELECT event_id FROM login_events"), ["e1"]);
    assert_eq!(store.lines("SELECT event_id, event_type FROM admin_events"), ["e2|NEW_USER"]);
    assert_eq!(store.lines("SELECT run_number, status FROM sync_runs"), ["1|complete"]);
    assert_eq!(
        store.lines(
            "SELECT table_name, rows_from_box, rows_in_lake, rows_in_warehouse FROM run_rows ORDER BY 1"
        ),
        [
            "email_aliases|0|0|0",
            "event_coverage|1|1|1",
            "events|2|2|2",
            "groups|1|1|1",
            "memberships|1|1|1",
            "rejects|0|0|0",
            "run_calls|0|0|0",
            "users|2|2|2"
        ]
    );
}

#[test]
fn file_matches_the_table_contracts() {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &snapshot());
    store.finish(&pending);
    for table in WAREHOUSE {
        let described =
            store.lines(&format!("SELECT column_name, column_type FROM (DESCRIBE {})", table.name));
        let contract: Vec<_> = table
            .columns
            .iter()
            .map(|column| match column.kind {
                Kind::Timestamp => format!("{}|TIMESTAMP WITH TIME ZONE", column.name),
                // This DuckDB version quotes more names than necessary.
                Kind::NameValues => {
                    format!("{}|{}", column.name, Kind::NameValues.sql().replace("(name ", "(\"name\" "))
                }
                kind => format!("{}|{}", column.name, kind.sql()),
            })
            .collect();
        assert_eq!(described, contract, "{}", table.name);
        let (names, comment) = if table.layout == Layout::View {
            ("duckdb_views()", "view_name")
        } else {
            ("duckdb_tables()", "table_name")
        };
        assert_eq!(
            store.lines(&format!("SELECT comment FROM {names} WHERE {comment} = '{}'", table.name)),
            [table.comment]
        );
    }
    let silent = store
        .lines("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL");
    assert_eq!(silent, [""; 0], "columns without a comment");
    // They make the file unreadable for DuckDB 1.0 and 1.1.
    assert_eq!(
        store.lines("SELECT constraint_type FROM duckdb_constraints() WHERE constraint_type <> 'NOT NULL'"),
        [""; 0]
    );
    assert_eq!(store.lines("SELECT index_name FROM duckdb_indexes()"), [""; 0]);
    // Readers attach the file under their own names.
    assert_eq!(store.lines("SELECT view_name FROM duckdb_views() WHERE sql LIKE '%snapshot.%'"), [""; 0]);
}

#[test]
fn results_do_not_depend_on_the_session_time_zone() {
    let mut store = Store::new();
    let mut rows = snapshot();
    rows.users[0]["created_at"] = json!("2025-12-31T23:30:00Z");
    let pending = store.commit(1, DATE, &rows);
    store.finish(&pending);
    let answer = |zone: &str| {
        let connection = Connection::open_with_flags(
            store.path().join(FILE_NAME),
            duckdb::Config::default().access_mode(duckdb::AccessMode::ReadOnly).unwrap(),
        )
        .unwrap();
        connection.execute_batch(&format!("SET TimeZone = '{zone}'")).unwrap();
        let contents = |table: &&Table| {
            // An instant is the same in every zone, but its text differs.
            let values: Vec<String> = table
                .columns
                .iter()
                .map(|column| match column.kind {
                    Kind::Timestamp => format!("epoch_us({})", column.name),
                    _ => column.name.to_owned(),
                })
                .collect();
            let sql = format!(
                "SELECT coalesce(string_agg(CAST(row({}) AS VARCHAR), ';'), '') FROM {}",
                values.join(", "),
                table.name
            );
            connection.query_row::<String, _, _>(&sql, [], |row| row.get(0)).unwrap()
        };
        WAREHOUSE.iter().map(contents).collect::<Vec<_>>()
    };
    assert_eq!(answer("UTC"), answer("Pacific/Kiritimati"));
    assert_eq!(answer("UTC"), answer("America/Los_Angeles"));
}

#[test]
fn latest_snapshot_replaces_the_old_one_and_events_accumulate() {
    let mut store = Store::new();
    let pending = store.commit(1, "2026-03-01", &snapshot());
    store.finish(&pending);
    let reader = Connection::open_with_flags(
        store.path().join(FILE_NAME),
        duckdb::Config::default().access_mode(duckdb::AccessMode::ReadOnly).unwrap(),
    )
    .unwrap();

    let mut second = Rows::users(&["2", "3"]);
    second.events = vec![
        json!({ "event_id": "e3", "event_type": "LOGIN", "user_id": "3", "created_at": "2026-03-02T01:00:00Z" }),
    ];
    let pending = store.commit(2, DATE, &second);
    store.finish(&pending);
    assert_eq!(store.lines("SELECT user_id FROM users ORDER BY 1"), ["2", "3"]);
    assert_eq!(store.lines("SELECT event_id FROM login_events ORDER BY 1"), ["e1", "e3"]);
    assert_eq!(store.lines("SELECT rows_in_warehouse FROM run_rows JOIN sync_runs USING (run_id) WHERE table_name = 'events' ORDER BY run_number"), ["2", "1"]);
    assert_eq!(published(store.path()).unwrap().unwrap().run_number, RunNumber(2));
    let kept: u64 =
        reader.query_row("SELECT count(*) FROM users WHERE user_id = '1'", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1, "an open connection keeps its snapshot");
}

#[test]
fn rows_of_runs_that_are_not_current_are_excluded() {
    let mut store = Store::new();
    let first = store.commit(1, "2026-03-01", &snapshot());
    store.finish(&first);
    let mut second = snapshot();
    second.events.truncate(1);
    let pending = store.commit(2, "2026-03-01", &second);
    store.runs[1].replaces_run_number = Some(RunNumber(1));
    store.finish(&pending);
    assert_eq!(
        store.lines("SELECT event_id FROM login_events UNION ALL SELECT event_id FROM admin_events"),
        ["e1"]
    );
    assert_eq!(store.lines("SELECT count(*) FROM users"), ["2"]);
    assert_eq!(
        store.lines("SELECT run_number FROM sync_runs ORDER BY 1"),
        ["1", "2"],
        "the record keeps every run"
    );

    // An abandoned run has no influence, whatever it committed.
    store.commit(3, DATE, &Rows::users(&["9"]));
    store.runs[2].status = RunStatus::Failed;
    store.check(None).unwrap().publish(&store.lake, &Access::from(0o600)).unwrap();
    assert_eq!(store.lines("SELECT user_id FROM users"), ["1", "2"]);
    assert_eq!(published(store.path()).unwrap().unwrap().run_number, RunNumber(2));
}

#[test]
fn failed_check_leaves_the_published_file_unchanged() {
    let mut store = Store::new();
    let pending = store.commit(1, "2026-03-01", &snapshot());
    store.finish(&pending);
    let before = std::fs::read(store.path().join(FILE_NAME)).unwrap();

    let mut twice = snapshot();
    twice.users.push(twice.users[1].clone());
    twice.events.clear();
    let pending = store.commit(2, DATE, &twice);
    let failed = refused(&store, &pending);
    assert_eq!(
        (failed.check.as_str(), failed.table.as_str(), failed.failing_rows),
        ("unique_key", "users", 1)
    );
    assert_eq!(failed.example, "{'user_id': 2, 'times': 2}");
    assert_eq!(store.check(Some(&pending)).unwrap_err().kind(), ErrorKind::CheckFailed);
    assert_eq!(std::fs::read(store.path().join(FILE_NAME)).unwrap(), before);
    assert_eq!(store.files(), ["boxseat.duckdb"], "no scratch file remains");
}

#[test]
fn every_check_finds_its_error() {
    type Spoil = fn(&mut Rows);
    let cases: [(&str, Spoil, (&str, &str)); 6] = [
        ("no_user", |snapshot| snapshot.users.clear(), ("any_user", "users")),
        (
            "no such user",
            |snapshot| snapshot.memberships[0]["user_id"] = json!("9"),
            ("user_id_exists", "memberships"),
        ),
        ("no such group", |snapshot| snapshot.groups.clear(), ("group_id_exists", "memberships")),
        (
            "no such owner",
            |snapshot| snapshot.aliases = vec![json!({ "alias_id": "a", "user_id": "9" })],
            ("user_id_exists", "email_aliases"),
        ),
        (
            "event twice",
            |snapshot| snapshot.events.push(snapshot.events[0].clone()),
            ("unique_key", "login_events"),
        ),
        (
            "coverage twice",
            |snapshot| snapshot.coverage.push(snapshot.coverage[0].clone()),
            ("unique_key", "event_coverage"),
        ),
    ];
    for (name, spoil, (check, table)) in cases {
        let mut store = Store::new();
        let mut rows = snapshot();
        spoil(&mut rows);
        let pending = store.commit(1, DATE, &rows);
        let failed = refused(&store, &pending);
        assert_eq!((failed.check.as_str(), failed.table.as_str()), (check, table), "{name}");
        assert_eq!(store.files(), [""; 0], "{name}");
    }
}

#[test]
fn a_lost_row_is_found() {
    let mut store = Store::new();
    let mut pending = store.commit(1, DATE, &snapshot());
    let users = pending.tables.iter_mut().find(|table| table.counted.table_name == "users").unwrap();
    // Box sent three records, and the third one is not accounted for.
    users.counted.rows_from_box = 3;
    let failed = refused(&store, &pending);
    assert_eq!(
        (failed.check.as_str(), failed.table.as_str(), failed.failing_rows),
        ("no_row_lost", "run_rows", 1)
    );
    assert!(failed.example.contains("'table_name': users"), "{}", failed.example);

    let users = pending.tables.iter_mut().find(|table| table.counted.table_name == "users").unwrap();
    users.counted.rows_rejected = 1;
    store.check(Some(&pending)).unwrap();
    let users = pending.tables.iter_mut().find(|table| table.counted.table_name == "users").unwrap();
    users.rows_in_lake = 1;
    users.counted.rows_dropped = 1;
    assert_eq!(
        refused(&store, &pending).check,
        "no_row_lost",
        "the lake has another number of rows than counted"
    );
}

#[test]
fn an_attempt_after_run_rows_were_committed_counts_them_once() {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &snapshot());
    let checked = store.check(Some(&pending)).unwrap();
    store.lake.commit(&RUN_ROWS, RunNumber(1), &mut once(checked.run_rows().unwrap().clone())).unwrap();
    drop(checked);
    // Killed here. The next attempt builds again, and skips the commits that exist already.
    store.finish(&pending);
    assert_eq!(store.lines("SELECT count(*) FROM run_rows"), ["8"]);
    // Killed again before the rename: the state of the lake is published.
    std::fs::remove_file(store.path().join(FILE_NAME)).unwrap();
    let runs = store.lake.sync_runs().unwrap();
    assert_eq!(runs, store.runs);
    store.check(None).unwrap().publish(&store.lake, &Access::from(0o640)).unwrap();
    assert_eq!(store.lines("SELECT count(*) FROM run_rows"), ["8"]);
}

#[test]
fn private_build_is_read_and_removed() {
    let mut store = Store::new();
    let pending = store.commit(1, DATE, &snapshot());
    let checked = store.build(Some(&pending), Purpose::Private).unwrap().check().unwrap();
    let sql = "SELECT count(*) FROM run_rows WHERE rows_in_warehouse IS NULL";
    let rows: i64 = checked.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 8);
    let run_rows = checked.run_rows().unwrap();
    assert_eq!(run_rows.column_by_name("rows_in_warehouse").unwrap().null_count(), 8);
    drop(checked);
    assert_eq!(store.files(), [""; 0]);
    assert_eq!(published(store.path()).unwrap(), None);
}

#[test]
fn leftovers_and_a_foreign_log_are_removed() {
    let mut store = Store::new();
    let first = store.commit(1, "2026-03-01", &snapshot());
    store.finish(&first);
    // Files of a killed build: its log and its spill directory. Also the log of a session that wrote into the published file.
    for name in [".boxseat.duckdb.2.tmp", ".boxseat.duckdb.2.tmp.wal", "boxseat.duckdb.wal"] {
        std::fs::write(store.path().join(name), b"left over").unwrap();
    }
    std::fs::create_dir(store.path().join(".boxseat.duckdb.2.spill")).unwrap();
    assert_eq!(foreign_wal(store.path()), Some(store.path().join("boxseat.duckdb.wal")));

    let mut second = snapshot();
    second.events.clear();
    second.coverage.clear();
    let pending = store.commit(2, DATE, &second);
    store.finish(&pending);
    assert_eq!(store.files(), ["boxseat.duckdb"]);
    assert_eq!(foreign_wal(store.path()), None);
    assert_eq!(published(store.path()).unwrap().unwrap().run_number, RunNumber(2));
}

#[test]
fn log_of_a_killed_session_is_not_applied_to_the_new_file() {
    let mut store = Store::new();
    let first = store.commit(1, "2026-03-01", &snapshot());
    store.finish(&first);
    let file = store.path().join(FILE_NAME);
    // An analyst with too many rights opens the file to write. The process is killed before any checkpoint.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let session = Connection::open(&file).unwrap();
    session
        .execute_batch(
            "PRAGMA disable_checkpoint_on_shutdown; DELETE FROM users; CREATE TABLE mine (x INTEGER)",
        )
        .unwrap();
    let log = std::fs::read(store.path().join("boxseat.duckdb.wal")).unwrap();
    drop(session);
    std::fs::write(store.path().join("boxseat.duckdb.wal"), log).unwrap();

    let mut second = snapshot();
    second.events.clear();
    second.coverage.clear();
    let pending = store.commit(2, DATE, &second);
    store.finish(&pending);
    assert_eq!(store.lines("SELECT count(*) FROM users"), ["2"]);
    assert_eq!(store.lines("SELECT table_name FROM duckdb_tables() WHERE table_name = 'mine'"), [""; 0]);
}

#[test]
fn queries_stay_inside_the_file() {
    let mut store = Store::new();
    let nothing = query(store.path(), "SELECT 1", &Resources::default()).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::Input);
    assert!(
        nothing
            .to_string()
            .ends_with("boxseat.duckdb does not exist; run `boxseat sync` or `boxseat demo` first"),
        "{nothing}"
    );
    assert_eq!(
        store.build(None, Purpose::Publish).unwrap_err().to_string(),
        "no run is complete yet; run `boxseat sync` first"
    );

    let pending = store.commit(1, DATE, &snapshot());
    store.finish(&pending);
    let answer = store.ask("SELECT 1 AS one, 'x' AS one, NULL");
    assert_eq!(answer.column_names().collect::<Vec<_>>(), ["one", "one", "NULL"]);
    assert_eq!(answer.num_rows(), 1);
    assert_eq!(
        store.ask("SELECT * FROM users WHERE false").column_names().count(),
        USERS.columns.len(),
        "names without rows"
    );
    let outside = store.path().join("out.csv");
    for refused in [
        "SELECT * FROM read_csv('/etc/passwd')",
        &format!("COPY users TO '{}'", outside.display()),
        "ATTACH '/tmp/other.duckdb'",
        "SET enable_external_access = true",
        "SET TimeZone = 'Asia/Tokyo'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "DELETE FROM users",
        "SELECT nonsense",
        "not SQL",
    ] {
        let error = query(store.path(), refused, &Resources::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{refused}: {error}");
    }
    assert!(!outside.exists());
    assert_eq!(store.files(), ["boxseat.duckdb"]);
}

/// Why: a program changed the new file after it was built and before its digest was recorded. All records then matched the changed file,
/// and an active user was suspended because of it.
#[test]
fn a_file_that_was_changed_while_it_was_built_has_other_deciding_rows() {
    let deciding = Deciding::new(vec!["SELECT user_id, proven_idle_days FROM accounts"]);
    let found = |store: &Store| {
        let file = PublishedFile::check(store.path(), Check::Digest).unwrap();
        let reader = CheckedReader::open(&file, &Resources::default()).unwrap();
        let mut digest = RowsDigest::default();
        deciding.queries.iter().for_each(|sql| digest.take(&reader.query(sql).unwrap().batches).unwrap());
        digest.finish()
    };
    for is_changed in [false, true] {
        let mut store = Store::new();
        store.lake.begin_record(uuid::Uuid::from_u128(7)).unwrap();
        let pending = store.commit(1, DATE, &snapshot());
        let build_of = Build {
            store: store.path(),
            lake: &store.lake,
            runs: &store.runs,
            pending: Some(&pending),
            purpose: Purpose::Publish,
            as_of: None,
            enterprise_id: ENTERPRISE,
            settings: &store.settings,
            candidates: None,
            deciding: Some(&deciding),
            resources: &Resources::default(),
        };
        let checked = build(&build_of).unwrap().check().unwrap();
        if is_changed {
            let changed = duckdb::Connection::open(checked.path()).unwrap();
            changed.execute_batch("UPDATE accounts SET proven_idle_days = 211; CHECKPOINT;").unwrap();
        }
        checked.publish(&store.lake, &Access::from(0o640)).unwrap();
        assert_eq!(store.lake.noted_rows(&deciding.name).contains(&found(&store)), !is_changed);
    }
}
