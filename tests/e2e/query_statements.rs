//! `boxseat query` accepts one statement that reads the published file, and no other statement of DuckDB.

use std::path::Path;

use boxseat_simulator::Config;

use crate::support::World;

fn world() -> World {
    let world = World::new(Config { users: 12, groups: 2, ..Config::default() });
    world.ok(&["sync"]);
    world
}

/// Every file below a directory, with its content.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Why: `COPY … TO '…/boxseat.duckdb.wal' (FORMAT blob)` planted a log that made an active user idle: the engine allows the
/// database file and its log to be written, also on a read-only handle.
#[test]
fn a_query_cannot_write_the_published_file_its_log_or_any_other_file() {
    let world = world();
    let file = world.store().join("boxseat.duckdb");
    let before = files(world.directory());
    for name in [".wal", ".wal.checkpoint", ".wal.recovery", ""] {
        let target = format!("{}{name}", file.display());
        for sql in [
            format!("COPY (SELECT 'x'::BLOB) TO '{target}' (FORMAT blob)"),
            format!("COPY users TO '{target}' (FORMAT csv)"),
            format!("/* SELECT 1 */ COPY (SELECT 'x'::BLOB) TO '{target}' (FORMAT blob)"),
            format!("SELECT 1; COPY (SELECT 'x'::BLOB) TO '{target}' (FORMAT blob)"),
            format!("COPY (SELECT 'x'::BLOB) TO '{target}' (FORMAT blob); SELECT 1"),
            format!("EXPLAIN ANALYZE COPY (SELECT 'x'::BLOB) TO '{target}' (FORMAT blob)"),
            format!("PREPARE p AS COPY (SELECT 'x'::BLOB) TO '{target}' (FORMAT blob); EXECUTE p"),
            format!("FROM query('COPY (SELECT ''x''::BLOB) TO ''{target}'' (FORMAT blob)')"),
            format!("FROM enable_logging(storage = 'file', storage_path = '{target}')"),
            format!("CALL enable_logging(storage = 'file', storage_path = '{target}')"),
            format!("FROM enable_profiling(save_location = '{target}')"),
            format!("EXPORT DATABASE '{target}'"),
        ] {
            let refused = world.run(&["query", &sql]);
            assert_eq!(refused.code, 2, "{sql}\n{}", refused.stderr);
            let saved = world.directory().join("out.parquet");
            let refused = world.run(&["query", "--save", saved.to_str().unwrap(), &sql]);
            assert_eq!((refused.code, saved.exists()), (2, false), "{sql}\n{}", refused.stderr);
        }
    }
    assert!(files(world.directory()) == before, "no file was written or removed");
}

/// Every kind of statement of the engine except SELECT, and what the message names.
#[test]
fn a_statement_of_another_kind_is_refused_by_its_name() {
    let world = world();
    let other = world.directory().join("other.duckdb");
    let other = other.display();
    for (sql, named) in [
        ("INSERT INTO users (user_id) VALUES ('1')".to_owned(), "INSERT"),
        ("INSERT INTO users FROM users".to_owned(), "INSERT"),
        ("UPDATE users SET login = NULL".to_owned(), "UPDATE"),
        ("DELETE FROM users".to_owned(), "DELETE"),
        ("TRUNCATE users".to_owned(), "TRUNCATE"),
        ("MERGE INTO users USING users AS s ON true WHEN MATCHED THEN DELETE".to_owned(), "MERGE"),
        ("CREATE TABLE mine (x INTEGER)".to_owned(), "CREATE"),
        ("CREATE TEMP TABLE mine AS SELECT 1".to_owned(), "CREATE"),
        ("CREATE MACRO mine() AS TABLE FROM read_text('/etc/hostname')".to_owned(), "CREATE"),
        ("CREATE SECRET mine (TYPE s3)".to_owned(), "CREATE"),
        ("ALTER TABLE users ADD COLUMN x INTEGER".to_owned(), "ALTER"),
        ("COMMENT ON TABLE users IS 'x'".to_owned(), "COMMENT"),
        ("DROP TABLE users".to_owned(), "DROP"),
        ("COPY users TO '/dev/null'".to_owned(), "COPY"),
        ("COPY users FROM '/etc/hostname'".to_owned(), "COPY"),
        ("COPY FROM DATABASE boxseat TO memory".to_owned(), "COPY"),
        (format!("EXPORT DATABASE '{other}'"), "EXPORT"),
        (format!("IMPORT DATABASE '{other}'"), "IMPORT"),
        (format!("ATTACH '{other}'"), "ATTACH"),
        ("DETACH boxseat".to_owned(), "DETACH"),
        ("USE boxseat".to_owned(), "USE"),
        ("INSTALL httpfs".to_owned(), "INSTALL"),
        ("LOAD httpfs".to_owned(), "LOAD"),
        ("UPDATE EXTENSIONS".to_owned(), "UPDATE"),
        ("SET TimeZone = 'Asia/Tokyo'".to_owned(), "SET"),
        ("SET VARIABLE x = 1".to_owned(), "SET"),
        ("RESET threads".to_owned(), "RESET"),
        ("PRAGMA version".to_owned(), "PRAGMA"),
        ("PRAGMA enable_profiling".to_owned(), "PRAGMA"),
        ("CALL range(1)".to_owned(), "CALL"),
        ("CHECKPOINT".to_owned(), "CHECKPOINT"),
        ("FORCE CHECKPOINT".to_owned(), "FORCE"),
        ("VACUUM".to_owned(), "VACUUM"),
        ("ANALYZE".to_owned(), "ANALYZE"),
        ("BEGIN".to_owned(), "BEGIN"),
        ("COMMIT".to_owned(), "COMMIT"),
        ("ROLLBACK".to_owned(), "ROLLBACK"),
        ("PREPARE p AS SELECT 1".to_owned(), "PREPARE"),
        ("EXECUTE p".to_owned(), "EXECUTE"),
        ("DEALLOCATE p".to_owned(), "DEALLOCATE"),
        ("EXPLAIN ANALYZE SELECT 1".to_owned(), "EXPLAIN"),
        ("EXPLAIN COPY users TO '/dev/null'".to_owned(), "EXPLAIN"),
        ("WITH a AS (SELECT 1) INSERT INTO users FROM a".to_owned(), "WITH"),
        ("WITH a AS (DELETE FROM users RETURNING *) FROM a".to_owned(), "CTE needs a SELECT"),
        ("PIVOT users ON status USING count(*)".to_owned(), "PIVOT"),
        ("SELECT 1; SELECT 2".to_owned(), "2 statements"),
        ("SELECT 1; DROP TABLE users".to_owned(), "a statement that is not a SELECT"),
        ("-- SELECT 1\n/* FROM users; */ DROP TABLE users".to_owned(), "DROP"),
        ("SELECT 1 INTO users".to_owned(), "SELECT INTO"),
        ("-- SELECT 1".to_owned(), "no statement"),
        (";".to_owned(), "no statement"),
    ] {
        let refused = world.run(&["query", &sql]);
        assert_eq!(refused.code, 2, "{sql}\n{}", refused.stderr);
        assert!(refused.stderr.contains(named), "{sql}\n{}", refused.stderr);
        assert_eq!(refused.stdout, "", "{sql}");
    }
}

/// Every function that names a file, reads the environment, or runs SQL that this check did not see.
#[test]
fn a_query_reads_no_other_file() {
    let world = world();
    let directory = world.directory();
    let csv = directory.join("secret.csv");
    std::fs::write(&csv, "a\nsecret-value\n").unwrap();
    std::fs::write(directory.join("secret.json"), r#"{"a":"secret-value"}"#).unwrap();
    let saved = directory.join("secret.parquet");
    world.ok(&["query", "--save", saved.to_str().unwrap(), "SELECT 'secret-value' AS a"]);
    let path = |name: &str| directory.join(name).display().to_string();
    let (csv, json, parquet) = (path("secret.csv"), path("secret.json"), path("secret.parquet"));
    let file = world.store().join("boxseat.duckdb").display().to_string();
    let mut attempts = vec![
        format!("FROM '{csv}'"),
        format!("FROM \"{csv}\""),
        format!("FROM '{json}'"),
        format!("FROM '{parquet}'"),
        format!("DESCRIBE FROM '{csv}'"),
        format!("SUMMARIZE FROM '{parquet}'"),
        format!("FROM query('FROM read_text(''{csv}'')')"),
        format!("FROM query_table('{csv}')"),
        format!("FROM query_table(['{parquet}'])"),
        format!("FROM histogram('{parquet}', a)"),
        format!("FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{csv}'')'))"),
        format!("FROM read_duckdb('{file}', table_name = 'users')"),
        format!("FROM glob('{}/*')", directory.display()),
        "FROM duckdb_secrets()".to_owned(),
        "FROM which_secret('s3://a/b', 's3')".to_owned(),
        "FROM duckdb_temporary_files()".to_owned(),
        "FROM duckdb_extensions()".to_owned(),
        "FROM 'https://127.0.0.1:1/x.parquet'".to_owned(),
        "SELECT getenv('BOXSEAT_CLIENT_SECRET')".to_owned(),
        "FROM checkpoint()".to_owned(),
        "FROM force_checkpoint()".to_owned(),
        "FROM pragma_show('users'), enable_logging()".to_owned(),
    ];
    for function in ["read_csv", "read_csv_auto", "sniff_csv", "read_text", "read_blob"] {
        attempts.push(format!("FROM {function}('{csv}')"));
        attempts.push(format!("SELECT (SELECT count(*) FROM {function}('{csv}'))"));
        attempts.push(format!("WITH a AS (FROM {function}(['{csv}'])) FROM a"));
    }
    for function in [
        "read_json",
        "read_json_auto",
        "read_ndjson",
        "read_ndjson_auto",
        "read_json_objects",
        "read_json_objects_auto",
        "read_ndjson_objects",
    ] {
        attempts.push(format!("FROM {function}('{json}')"));
    }
    for function in [
        "read_parquet",
        "parquet_scan",
        "parquet_metadata",
        "parquet_schema",
        "parquet_file_metadata",
        "parquet_kv_metadata",
        "parquet_full_metadata",
    ] {
        attempts.push(format!("FROM {function}('{parquet}')"));
    }
    attempts.push(format!("FROM parquet_bloom_probe('{parquet}', 'a', 'secret-value')"));
    for sql in attempts {
        let refused = world.run(&["query", "--format", "csv", &sql]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{sql}\n{}", refused.stderr);
        assert!(!refused.stderr.contains("secret-value\n"), "{sql}\n{}", refused.stderr);
    }
}

#[test]
fn statements_that_only_read_are_accepted_and_saved() {
    let world = world();
    for sql in [
        "FROM users",
        "TABLE users",
        "VALUES (1), (2)",
        "DESCRIBE users",
        "SUMMARIZE users",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "EXPLAIN SELECT count(*) FROM users",
        "PIVOT users ON status IN ('active', 'inactive') USING count(*)",
        "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT sum(x) FROM n",
        "(SELECT 1) UNION ALL (SELECT 2) EXCEPT SELECT 3 ORDER BY 1",
        "SELECT name, code.value FROM (SELECT unnest(tracking_codes) AS code, name FROM users), range(2)",
        "SELECT table_name FROM duckdb_tables() JOIN information_schema.tables USING (table_name)",
        "FROM pragma_table_info('users')",
        "SELECT count(*) FROM users -- the end; DROP TABLE users",
    ] {
        world.ok(&["query", sql]);
    }
    let saved = world.directory().join("users.parquet");
    let sql = "WITH everyone AS (FROM users) SELECT user_id, login FROM everyone ORDER BY 1;";
    let done = world.ok(&["query", "--save", saved.to_str().unwrap(), sql]);
    assert!(done.stderr.contains("12 rows in "), "{}", done.stderr);
}
