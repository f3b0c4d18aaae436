//! What `boxseat query` prints and saves for every type of DuckDB.

use boxseat_simulator::Config;
use serde_json::{Value, json};

use crate::support::World;

fn world() -> World {
    let world = World::new(Config { users: 20, groups: 2, ..Config::default() });
    world.ok(&["sync"]);
    world
}

/// Why: Arrow does not support all of these; the result was `ERROR: Cast error`, a lost last digit, or another value.
#[test]
fn every_type_is_shown_as_duckdb_writes_it() {
    let world = world();
    for (sql, shown) in [
        ("TRUE", json!(true)),
        ("(-128)::TINYINT", json!(-128)),
        ("9007199254740993::BIGINT", json!(9_007_199_254_740_993_i64)),
        ("18446744073709551615::UBIGINT", json!(18_446_744_073_709_551_615_u64)),
        (
            "170141183460469231731687303715884105727::HUGEINT",
            json!("170141183460469231731687303715884105727"),
        ),
        (
            "[(-170141183460469231731687303715884105727)::HUGEINT]",
            json!("[-170141183460469231731687303715884105727]"),
        ),
        (
            "340282366920938463463374607431768211455::UHUGEINT",
            json!("340282366920938463463374607431768211455"),
        ),
        (
            "'123456789012345678901234567890123456789012345'::BIGNUM",
            json!("123456789012345678901234567890123456789012345"),
        ),
        (
            "99999999999999999999999999999999999999::DECIMAL(38,0)",
            json!("99999999999999999999999999999999999999"),
        ),
        ("(-0.10)::DECIMAL(4,2)", json!("-0.10")),
        ("sum(7::BIGINT)", json!(7)),
        ("0.1::FLOAT", json!(0.1)),
        ("1e300::DOUBLE", json!(1e300)),
        ("'NaN'::DOUBLE", json!("NaN")),
        ("'-Infinity'::FLOAT", json!("-Infinity")),
        ("'infinity'::DATE", json!("infinity")),
        ("'-infinity'::TIMESTAMP", json!("-infinity")),
        ("'infinity'::TIMESTAMPTZ", json!("infinity")),
        ("{'until': 'infinity'::DATE}", json!("{'until': infinity}")),
        ("'5874897-12-31'::DATE", json!("5874897-12-31")),
        ("DATE '2026-01-01'", json!("2026-01-01")),
        ("TIMESTAMP '2026-01-01 00:00:00.123456'", json!("2026-01-01T00:00:00.123456")),
        ("TIMESTAMP_NS '2026-01-01 00:00:00.123456789'", json!("2026-01-01T00:00:00.123456789")),
        ("TIMESTAMP_S '2026-01-01'", json!("2026-01-01T00:00:00")),
        ("TIMESTAMP_MS '2026-01-01 00:00:00.1'", json!("2026-01-01T00:00:00.1")),
        ("TIMESTAMPTZ '2026-01-01 00:00:00+02'", json!("2025-12-31 22:00:00+00:00")),
        ("TIMESTAMPTZ '2026-01-01 00:00:00.5+00'", json!("2026-01-01 00:00:00.5+00:00")),
        ("TIME '12:34:56.789'", json!("12:34:56.789")),
        ("TIMETZ '12:34:56+02'", json!("12:34:56+02")),
        ("INTERVAL '1 month 2 days 03:04:05.678'", json!("1 month 2 days 03:04:05.678")),
        ("'\\xAA\\x00'::BLOB", json!("\\xAA\\x00")),
        ("'10101'::BIT", json!("10101")),
        ("'5b3c2f6e-0000-4000-8000-000000000001'::UUID", json!("5b3c2f6e-0000-4000-8000-000000000001")),
        ("'b'::ENUM('a', 'b')", json!("b")),
        ("[1, NULL, 3]", json!("[1, NULL, 3]")),
        ("{'x': 1, 'y': ['z']}", json!("{'x': 1, 'y': [z]}")),
        ("MAP {'k': 1}", json!("{k=1}")),
        ("union_value(num := 2)", json!("2")),
        ("[1, 2]::INTEGER[2]", json!("[1, 2]")),
        ("{'a': 42}::VARIANT", json!("{'a': 42}")),
        ("NULL", Value::Null),
        ("NULL::INTERVAL", Value::Null),
    ] {
        assert_eq!(world.value(&format!("-- why\nSELECT {sql} AS v; -- because")), shown, "{sql}");
    }
}

/// Why: in JSON the second column of a name replaced the first.
#[test]
fn columns_of_one_name_are_all_kept() {
    let world = world();
    let rows = world.rows("SELECT 1 AS a, 2 AS a, 3 AS a_2, DATE '2026-01-01' AS a");
    assert_eq!(Value::Object(rows[0].clone()), json!({ "a": 1, "a_3": 2, "a_2": 3, "a_4": "2026-01-01" }));
    let csv = world.ok(&["query", "--format", "csv", "SELECT 1 AS a, 2 AS a"]);
    assert_eq!(csv.stdout, "a,a_2\r\n1,2\r\n");
    let all = "SELECT count(*) FROM (SELECT * FROM users ORDER BY user_id DESC)";
    assert_eq!(world.value(all), 20);
}

#[test]
fn rows_stay_in_order_and_statements_that_are_no_query_still_work() {
    let world = world();
    let days =
        world.rows("SELECT DATE '2026-01-01' + n::INTEGER AS day FROM range(3000) AS t(n) ORDER BY n DESC");
    assert_eq!(
        (days.len(), &days[0]["day"], &days[2999]["day"]),
        (3000, &json!("2034-03-19"), &json!("2026-01-01"))
    );
    for sql in [
        "DESCRIBE users",
        "SUMMARIZE users",
        "EXPLAIN SELECT DATE '2026-01-01'",
        "FROM users",
        "VALUES (DATE '2026-01-01')",
    ] {
        assert_eq!(world.run(&["query", sql]).code, 0, "{sql}");
    }
    for sql in ["users", "SELECT", "-- nothing", "SELECT error('no') FROM (SELECT DATE '2026-01-01')"] {
        assert_eq!(world.run(&["query", sql]).code, 2, "{sql}");
    }
}

/// Why: spreadsheets evaluate text that begins with a sign, also after invisible characters, and drop text that is too long.
#[test]
fn csv_is_text_for_spreadsheets_and_numbers_stay_numbers() {
    let world = world();
    let sql = "SELECT '\u{feff}=1+1' AS a, chr(160) || '+1' AS b, '＝1' AS c, -5 AS d, -5.50 AS e, '700101' AS f, \
         '-infinity'::DATE AS g, 'a;b' AS h";
    let csv = world.ok(&["query", "--format", "csv", sql]);
    assert_eq!(
        csv.stdout,
        "a,b,c,d,e,f,g,h\r\n\"'\u{feff}=1+1\",\"'\u{a0}+1\",'＝1,-5,-5.50,700101,'-infinity,\"a;b\"\r\n"
    );
    let long = world.ok(&["query", "--format", "csv", "SELECT repeat('x', 40000) AS a"]);
    assert!(long.stderr.contains("1 cells of the CSV are cut"), "{}", long.stderr);
    assert!(long.stdout.ends_with("x …[cut: 40000 characters]\r\n"));
    let whole = world.value("SELECT repeat('x', 40000) AS a");
    assert_eq!(whole.as_str().map(str::len), Some(40_000), "JSON has all of it");
}

/// Why: a UNION panicked, a UHUGEINT became -1 and a TIMETZ lost its offset.
#[test]
fn parquet_has_every_value_or_says_why_not() {
    let world = world();
    let file = world.directory().join("types.parquet");
    let path = file.to_str().unwrap();
    let sql = "SELECT 1 AS a, 2 AS a, union_value(num := 2) AS u, 340282366920938463463374607431768211455::UHUGEINT AS n, \
         TIMETZ '12:00:00+02' AS t, INTERVAL 1 DAY AS i, DATE '2026-01-01' AS d, [1.5::DECIMAL(4,2)] AS l";
    world.ok(&["query", "--save", path, sql]);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        std::fs::File::open(&file).unwrap(),
    );
    let batch = reader.unwrap().build().unwrap().next().unwrap().unwrap();
    let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["a", "a_2", "u", "n", "t", "i", "d", "l"]);
    let text =
        |column: usize| arrow::array::AsArray::as_string::<i32>(batch.column(column)).value(0).to_owned();
    assert_eq!(
        [text(2), text(3), text(4), text(5)],
        ["2", "340282366920938463463374607431768211455", "12:00:00+02", "1 day"]
    );
    assert_eq!(batch.column(6).data_type(), &arrow::datatypes::DataType::Date32);
    let large = "SELECT 170141183460469231731687303715884105727::HUGEINT AS big";
    let refused = world.run(&["query", "--save", path, large]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("\"big\"") && refused.stderr.contains("cast it to VARCHAR"),
        "{}",
        refused.stderr
    );
}
