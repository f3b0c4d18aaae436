//! The plans that DuckDB makes for our statements, at 10,000 users.

use std::path::Path;

use boxseat_schemas::check;
use boxseat_schemas::table::{Layout, USERS_HISTORY, WAREHOUSE};
use boxseat_schemas::warehouse::diff::{CHANGES, DIFFERENCES, VERSIONS};
use boxseat_schemas::warehouse::query;
use duckdb::Connection;
use serde_json::Value;

use super::super::ddl::{self, identifier};
use super::super::diff::{DIFFERENCE_COLUMNS, MOVED, tracked_columns, tracked_texts};
use crate::report::{self, Ask, Source};

/// Joins that compare every row of one input with every row of the other, or with a range of them.
const PAIRWISE: [&str; 6] = [
    "BLOCKWISE_NL_JOIN",
    "CROSS_PRODUCT",
    "IE_JOIN",
    "NESTED_LOOP_JOIN",
    "PIECEWISE_MERGE_JOIN",
    "POSITIONAL_JOIN",
];

/// An input with more rows than this is large. Rules, settings and seat states have fewer.
const LARGE: u64 = 500;

/// More rows than any operator needs. The largest table has 60,000.
const TOO_MANY: u64 = 500_000;

/// Why: the licence terms were joined with conditions on other tables in ON. DuckDB 1.5 then compared each user with each matching user,
/// and a publish of 100,000 users took 23 s longer with any `[[licence]]`.
#[test]
fn no_statement_of_the_warehouse_compares_every_pair() {
    let connection = enterprise();
    let mut plans = Plans { connection: &connection, count: 0, pairwise: Vec::new() };
    for table in WAREHOUSE.iter().filter(|table| table.layout != Layout::View) {
        if let Some(select) = query(table.name) {
            plans.add(table.name, &format!("INSERT INTO {} {select}", identifier(table.name)));
        }
    }
    for table in WAREHOUSE.iter().filter(|table| table.layout == Layout::View) {
        plans.add(table.name, &format!("FROM {}", identifier(table.name)));
    }
    plans.add_differences();
    for check in check::all() {
        plans.add(&check.name, &check.sql.replace("$run", "200"));
        check.shortcut.iter().for_each(|shortcut| plans.add(&check.name, shortcut));
    }
    // Four tables, nine views, five differences, fifty checks.
    assert!(plans.count > 60, "{} statements", plans.count);
    assert!(plans.pairwise.is_empty(), "{:#?}", plans.pairwise);
}

/// Why: as above, for the statements of reports. DuckDB's log has all of them, with the views that they read.
#[test]
fn no_statement_of_a_report_compares_every_pair() {
    let connection = enterprise();
    for table in WAREHOUSE.iter().filter(|table| table.layout != Layout::View) {
        if let Some(select) = query(table.name) {
            run(&connection, &format!("INSERT INTO {} {select}", identifier(table.name)));
        }
    }
    let source = Source::of(connection.try_clone().unwrap(), Path::new("enterprise"), false).unwrap();
    run(&connection, "CALL enable_logging('QueryLog')");
    let now = crate::testing::at("2026-03-02T04:00:00Z");
    let code = ("Department".to_owned(), "D3".to_owned());
    for ask in [
        Ask { by: Some("group".to_owned()), ..Ask::default() },
        Ask { group: Some("505".to_owned()), by: Some("role".to_owned()), ..Ask::default() },
        Ask { tracking_code: Some(code), by: Some("Department".to_owned()), ..Ask::default() },
    ] {
        report::all(&source, &Ask { now, ..ask }).unwrap();
    }
    run(&connection, "CALL disable_logging()");
    let mut log = connection.prepare("SELECT message FROM duckdb_logs WHERE type = 'QueryLog'").unwrap();
    let log: Vec<String> = log.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();

    let mut plans = Plans { connection: &connection, count: 0, pairwise: Vec::new() };
    for statement in log.iter().map(|statement| statement.trim()) {
        match statement.split_whitespace().next() {
            Some("SELECT" | "WITH") => plans.add("report", statement),
            // The views and tables of the filters, which the following statements read.
            Some("CREATE") => run(&connection, statement),
            _ => {}
        }
    }
    // Three times seven reports.
    assert!(plans.count > 100, "{} statements: {log:#?}", plans.count);
    assert!(plans.pairwise.is_empty(), "{:#?}", plans.pairwise);
}

/// Why: a renamed operator of a later DuckDB would let both tests pass.
#[test]
fn a_pairwise_join_is_found() {
    let connection = Connection::open_in_memory().unwrap();
    run(&connection, "CREATE TABLE pairs AS SELECT number, 1 AS same FROM range(2000) AS numbers (number)");
    let mut plans = Plans { connection: &connection, count: 0, pairwise: Vec::new() };
    for (condition, operator) in [
        ("ones.number = others.number OR ones.same <> others.same", "BLOCKWISE_NL_JOIN"),
        ("ones.number <> others.number", "NESTED_LOOP_JOIN"),
        // All rows have the same key.
        ("ones.same = others.same", "HASH_JOIN"),
        ("TRUE", "CROSS_PRODUCT"),
    ] {
        plans.pairwise.clear();
        plans
            .add("pairs", &format!("SELECT count(*) FROM pairs AS ones JOIN pairs AS others ON {condition}"));
        let is_found = plans.pairwise.iter().any(|found| found.contains(operator));
        assert!(is_found, "{condition}: {:?}", plans.pairwise);
    }
    plans.pairwise.clear();
    plans.add(
        "keys",
        "SELECT count(*) FROM pairs AS ones JOIN pairs AS others ON ones.number = others.number",
    );
    assert!(plans.pairwise.is_empty(), "{:?}", plans.pairwise);
}

/// The statements that were run, with their plans.
struct Plans<'a> {
    connection: &'a Connection,
    count: usize,
    /// Statements with a pairwise join of two large inputs.
    pairwise: Vec<String>,
}

impl Plans<'_> {
    /// Runs a statement. Plans are compared with the rows that each operator really had, because estimates are often wrong.
    fn add(&mut self, name: &str, statement: &str) {
        let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) {statement}");
        let plan = self.connection.query_row(&explain, [], |row| row.get::<_, String>(1));
        let plan = plan.unwrap_or_else(|e| panic!("{name}: {e}: {statement}"));
        self.count += 1;
        let mut found = Vec::new();
        pairwise(&serde_json::from_str(&plan).unwrap(), &mut found);
        self.pairwise.extend(found.iter().map(|found| format!("{name}: {found}: {statement}")));
    }

    /// The comparison of the snapshot with a base from which each hundredth user differs. One user joined 1,880 groups since.
    ///
    /// Why: all changes of a user were compared with all events of the user.
    fn add_differences(&mut self) {
        run(self.connection, BASE);
        for (tracked, texts, users) in
            [("tracked", "texts", "night_users"), ("base_tracked", "base_texts", "base_users")]
        {
            let (columns, as_text) = (tracked_columns(), tracked_texts());
            run(self.connection, &format!("CREATE TEMP VIEW {tracked} AS SELECT {columns} FROM {users}"));
            let of_moved = format!("SELECT {as_text} FROM {users} SEMI JOIN moved USING (user_id)");
            run(self.connection, &format!("CREATE TEMP VIEW {texts} AS {of_moved}"));
        }
        self.add("moved", &format!("INSERT INTO moved {MOVED}"));
        self.add("versions", VERSIONS);
        run(self.connection, &format!("CREATE TEMP TABLE differences ({DIFFERENCE_COLUMNS})"));
        for select in DIFFERENCES {
            self.add("differences", &format!("INSERT INTO differences {select}"));
        }
        let count = "SELECT count(*) FROM differences";
        let differences: i64 = self.connection.query_row(count, [], |row| row.get(0)).unwrap();
        assert!(differences > 500, "{differences}");
        self.add("changes", CHANGES);
    }
}

fn pairwise(operator: &Value, found: &mut Vec<String>) {
    let inputs = operator["children"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = |operator: &Value| operator["operator_cardinality"].as_u64().unwrap_or(0);
    let name = operator["operator_type"].as_str().unwrap_or_default();
    let large = inputs.iter().filter(|input| rows(input) > LARGE).count();
    if (PAIRWISE.contains(&name) && large > 1) || rows(operator) > TOO_MANY {
        let inputs: Vec<u64> = inputs.iter().map(rows).collect();
        found.push(format!("{name} of {inputs:?} rows with {} rows", rows(operator)));
    }
    inputs.iter().for_each(|input| pairwise(input, found));
}

/// The tables of the file, those that a build loads filled, and the scratch tables.
fn enterprise() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    run(&connection, "SET threads = 1; SET TimeZone = 'UTC';");
    for table in WAREHOUSE {
        run(&connection, &ddl::create(table).unwrap());
    }
    let columns: Vec<String> = USERS_HISTORY
        .kept()
        .map(|column| format!("{} {}", identifier(column.name), column.kind.sql()))
        .collect();
    run(&connection, &format!("CREATE TEMP TABLE versions ({})", columns.join(", ")));
    run(&connection, include_str!("rows.sql"));
    connection
}

#[track_caller]
fn run(connection: &Connection, sql: &str) {
    connection.execute_batch(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
}

/// The relations of `schemas/warehouse/diff/` in addition to those that follow from them.
const BASE: &str = "
    CREATE TEMP TABLE this_run AS
    SELECT run_number, now_at AS started_at, now_at AS window_to_at, now_at - INTERVAL 1 DAY AS base_window_to_at FROM report_settings;
    CREATE TEMP TABLE moved (user_id VARCHAR);
    CREATE TEMP TABLE night_users AS FROM users;
    CREATE TEMP TABLE base_users AS
    SELECT * REPLACE (CASE WHEN hash(user_id) % 100 = 0 THEN 'Former name' ELSE name END AS name) FROM users WHERE hash(user_id) % 100 <> 1
    UNION ALL
    SELECT * REPLACE (concat('gone', user_id) AS user_id) FROM users WHERE hash(user_id) % 100 = 2;
    CREATE TEMP TABLE night_memberships AS FROM memberships;
    CREATE TEMP TABLE base_memberships AS FROM memberships
    WHERE hash(membership_id) % 100 > 0 AND NOT starts_with(membership_id, 'joined');
    CREATE TEMP TABLE base_groups AS FROM groups;
    CREATE TEMP TABLE night_email_aliases AS FROM email_aliases;
    CREATE TEMP TABLE base_email_aliases AS FROM email_aliases WHERE hash(alias_id) % 100 > 0;
    CREATE TEMP TABLE seen_versions AS FROM users_history;
    CREATE TEMP TABLE departures AS SELECT user_id, 'deleted' AS reason FROM base_users WHERE starts_with(user_id, 'gone');";
