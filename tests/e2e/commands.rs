//! What operators and analysts see of the commands.

use std::path::Path;

use boxseat_simulator::Config;

use crate::support::{World, bare, finish};

#[test]
fn the_demo_ends_with_a_licence_summary_and_says_where_things_are() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let done = finish(
            bare(&["demo", "--users", "200", "--now", "2026-03-02T06:00:00Z"], directory.path())
                .output()
                .unwrap(),
        );
        assert_eq!(done.code, 0, "{}", done.stderr);
        for expected in ["seat_state", "suspended", "used", "demo/boxseat.duckdb", "duckdb -readonly"] {
            assert!(done.stdout.contains(expected), "no {expected} in\n{}", done.stdout);
        }
    }
    every_question_has_an_answer(directory.path());
    std::fs::create_dir(directory.path().join("mine")).unwrap();
    std::fs::write(directory.path().join("mine/thesis.txt"), "irreplaceable").unwrap();
    let done = finish(bare(&["--store", "mine", "demo"], directory.path()).output().unwrap());
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(directory.path().join("mine/thesis.txt").exists());
}

/// Why: analysts paste these queries first; a query that fails, or returns no rows in a demonstration store, is useless.
fn every_question_has_an_answer(directory: &Path) {
    let questions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/questions");
    let mut files: Vec<_> = std::fs::read_dir(questions).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "sql"));
    files.sort();
    assert_eq!(files.len(), 10);
    for file in files {
        let sql = std::fs::read_to_string(&file).unwrap();
        assert!(sql.starts_with("-- Question: ") && sql.contains("\n-- Answer:   "), "{}", file.display());
        let mut asked = bare(&["--store", "demo", "--format", "json", "query", &sql], directory);
        let done = finish(asked.output().unwrap());
        assert_eq!(done.code, 0, "{}: {}", file.display(), done.stderr);
        let answer: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert!(!answer["rows"].as_array().unwrap().is_empty(), "{} returns no row", file.display());
    }
}

#[test]
fn query_is_read_only_and_offline() {
    let world = World::new(Config { users: 50, groups: 5, ..Config::default() });
    world.ok(&["sync"]);
    for sql in [
        "DELETE FROM users",
        "CREATE TABLE mine (a INTEGER)",
        "COPY users TO 'users.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH 'other.duckdb'",
        "SET enable_external_access = true",
    ] {
        let done = world.run(&["query", sql]);
        assert_eq!(done.code, 2, "{sql}\n{}", done.stdout);
    }
    let csv = world.ok(&["query", "--format", "csv", "SELECT '=cmd|'' /C calc''!A0' AS name, 7 AS n"]);
    assert_eq!(csv.stdout, "name,n\r\n'=cmd|' /C calc'!A0,7\r\n");
}

/// Why: an analyst needs the result in a file of its own, because the published file accepts no other access.
#[test]
fn a_result_can_be_saved_as_parquet() {
    let world = World::new(Config { users: 50, groups: 5, ..Config::default() });
    world.ok(&["sync"]);
    let file = world.directory().join("idle.parquet");
    let path = file.to_str().unwrap();
    let sql =
        "SELECT user_id, tracking_codes, created_at, 1.5::DECIMAL(18,4) AS money FROM users ORDER BY user_id";
    for _ in 0..2 {
        let done = world.ok(&["query", "--save", path, sql]);
        assert_eq!((done.stdout.as_str(), done.stderr.contains("rows in")), ("", true), "{}", done.stderr);
    }
    let saved = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        std::fs::File::open(&file).unwrap(),
    );
    let saved: Vec<_> = saved.unwrap().build().unwrap().map(Result::unwrap).collect();
    let rows: usize = saved.iter().map(arrow::array::RecordBatch::num_rows).sum();
    assert_eq!(world.value("SELECT count(*) FROM users"), rows);
    assert_eq!(saved[0].schema().field(3).data_type(), &arrow::datatypes::DataType::Decimal128(18, 4));
    // A failed command leaves the file unchanged.
    let before = std::fs::read(&file).unwrap();
    assert_eq!(world.run(&["query", "--save", path, "SELECT error('no') FROM users"]).code, 2);
    assert_eq!(world.run(&["query", "--save", "idle.csv", sql]).code, 2);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn status_and_publish_work_without_credentials() {
    let world = World::new(Config { users: 50, groups: 5, ..Config::default() });
    world.ok(&["sync"]);
    let store = world.store();
    let store = store.to_str().unwrap();
    std::fs::remove_file(world.store().join("boxseat.duckdb")).unwrap();
    let published = finish(bare(&["--store", store, "publish"], world.directory()).output().unwrap());
    assert_eq!(published.code, 0, "{}", published.stderr);
    let status =
        finish(bare(&["--store", store, "--format", "json", "status"], world.directory()).output().unwrap());
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((&status["schema_version"], &status["status"]["published_run"]), (&1.into(), &1.into()));
    assert_eq!(status["status"]["published_night"], "2026-03-02");
}

#[test]
fn mistakes_are_named_with_their_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let toml = directory.path().join("boxseat.toml");
    std::fs::write(&toml, "[rate]\ncalls_per_minuet = 5\n").unwrap();
    let run = |args: &[&str], env: &[(&str, &str)]| {
        finish(bare(args, directory.path()).envs(env.iter().copied()).output().unwrap())
    };
    let misspelt = run(&["status"], &[]);
    assert_eq!(misspelt.code, 2);
    assert!(misspelt.stderr.contains("the nearest one is `calls_per_minute`"), "{}", misspelt.stderr);
    std::fs::remove_file(toml).unwrap();
    for (args, env, expected) in [
        (vec!["sync"], vec![], "no credentials are set"),
        (
            vec!["sync"],
            vec![("BOXSEAT_CLIENT_ID", "a")],
            "BOXSEAT_CLIENT_SECRET and BOXSEAT_ENTERPRISE_ID is not set",
        ),
        (vec!["sync"], vec![("BOXSEAT_JWT_CONFIG", "a.json")], "cannot read the JWT configuration a.json"),
        (vec!["sync"], vec![("BOXSEAT_API_URL", "http://192.0.2.7/2.0")], "plain http would send the token"),
        (vec!["sync"], vec![("BOXSEAT_API_URL", "https://box.evil.test/2.0")], "is not Box"),
        (
            vec!["sync", "--now", "2026-03-02T06:00:00Z"],
            vec![("BOXSEAT_TOKEN", "t")],
            "only if the API is on this machine",
        ),
        (vec!["status"], vec![], "is not a boxseat store"),
        (vec!["query", "SELECT 1"], vec![], "run `boxseat sync` or `boxseat demo` first"),
    ] {
        let done = run(&args, &env);
        assert_eq!(done.code, 2, "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(expected), "{args:?}: {}", done.stderr);
    }
}
