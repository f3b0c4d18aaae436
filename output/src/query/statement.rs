//! The statements that `query` accepts: one statement that only reads the published file.
//!
//! DuckDB parses the text and returns its syntax tree as JSON. It does this only for SELECT statements. FROM, VALUES, TABLE, DESCRIBE,
//! SHOW, SUMMARIZE and a PIVOT with named values are also SELECT statements. EXPLAIN of one of them is accepted as well.
//!
//! A SELECT can call table functions that read files, or that change how the engine logs and profiles. With DuckDB 1.5.6, `enable_logging`
//! and `enable_profiling` accept file names even when the configuration is locked (measured). Therefore only the functions below are
//! accepted. A function that a new version of DuckDB adds is refused until it is listed here.

use duckdb::{Connection, ffi};

use crate::{Error, Result};

/// Refuses every text except one statement that reads the published file.
///
/// # Errors
/// [`crate::ErrorKind::Input`] names the kind of statement or the function.
pub(super) fn check(connection: &Connection, sql: &str) -> Result<()> {
    let mut tree = Tree::of(connection, sql)?;
    if tree.error_kind.is_some() && keyword(sql).0 == "EXPLAIN" {
        let explained = Tree::of(connection, keyword(sql).1)?;
        if explained.error_kind.is_none() {
            tree = explained;
        }
    }
    if tree.error_kind.as_deref() == Some("parser") {
        let reason = tree.error.unwrap_or_default();
        return Err(Error::Query(duckdb::Error::DuckDBFailure(
            ffi::Error::new(ffi::DuckDBError),
            Some(format!("Parser Error: {reason}")),
        )));
    }
    if tree.error_kind.is_some() {
        return Err(refused(sql));
    }
    match tree.statements {
        1 => {}
        0 => return Err(ask("there is no statement", ONE)),
        several => return Err(ask(format!("there are {several} statements; one is accepted"), ONE)),
    }
    if let Some(node) = tree.nodes.iter().find(|node| !QUERY_NODES.contains(&node.as_str())) {
        return Err(ask(format!("a query with a part of the kind {node} is not accepted"), ONE));
    }
    match tree.table_functions.iter().find(|name| !TABLE_FUNCTIONS.contains(&name.as_str())) {
        Some(name) => Err(ask(
            format!("the table function {name} is not accepted: a query can only read the published file"),
            "the tables are listed by `boxseat schema`; `duckdb -readonly` opens the file with every function",
        )),
        None => Ok(()),
    }
}

/// The parser's result for a text.
struct Tree {
    error_kind: Option<String>,
    error: Option<String>,
    statements: i64,
    /// Names of the table functions, in lower case.
    table_functions: Vec<String>,
    /// Kinds of the queries in the statement, its subqueries and common table expressions.
    nodes: Vec<String>,
}

impl Tree {
    fn of(connection: &Connection, sql: &str) -> Result<Self> {
        let words = |text: Option<String>| -> Vec<String> {
            text.map(|text| text.split(' ').map(str::to_owned).collect()).unwrap_or_default()
        };
        let row = |row: &duckdb::Row<'_>| {
            Ok(Self {
                error_kind: row.get(0)?,
                error: row.get(1)?,
                statements: row.get::<_, Option<i64>>(2)?.unwrap_or(0),
                table_functions: words(row.get(3)?),
                nodes: words(row.get(4)?),
            })
        };
        connection.query_row(TREE, [sql], row).map_err(Error::Query)
    }
}

/// The functions of a FROM clause are objects under the key `function`; no other part of a tree has that key.
const TREE: &str = r"
    WITH parsed AS MATERIALIZED (SELECT json_serialize_sql($1::VARCHAR) AS tree),
    names AS MATERIALIZED (
        SELECT key, atom ->> '$' AS name, path FROM parsed, json_tree(tree) WHERE key IN ('type', 'function_name')
    )
    SELECT
        tree ->> '$.error_type',
        tree ->> '$.error_message',
        CAST(json_array_length(tree, '$.statements') AS BIGINT),
        (SELECT string_agg(DISTINCT lower(name), ' ') FROM names WHERE key = 'function_name' AND path LIKE '%.function'),
        (SELECT string_agg(DISTINCT name, ' ') FROM names WHERE key = 'type' AND name LIKE '%\_NODE' ESCAPE '\')
    FROM parsed";

fn refused(sql: &str) -> Error {
    let what = match keyword(sql).0.as_str() {
        "PIVOT" => {
            return ask(
                "PIVOT without named values is not accepted, because it becomes several statements",
                "name the values: PIVOT t ON column IN ('a', 'b') USING count(*)",
            );
        }
        "WITH" => "WITH is not accepted unless it ends in a SELECT".to_owned(),
        "" | "SELECT" | "FROM" | "VALUES" | "TABLE" | "DESCRIBE" | "SHOW" | "SUMMARIZE" => {
            "the text has a statement that is not a SELECT".to_owned()
        }
        keyword => format!("{keyword} is not accepted: a query is one SELECT"),
    };
    ask(what, ONE)
}

fn ask(what: impl Into<String>, hint: &str) -> Error {
    Error::Ask { what: what.into(), hint: Some(hint.to_owned()) }
}

/// The first word in upper case, and the text after it. Comments before the word are skipped.
fn keyword(sql: &str) -> (String, &str) {
    let mut rest = sql.trim_start_matches(|c: char| c.is_whitespace() || c == ';' || c == '(');
    loop {
        let comment = if rest.starts_with("--") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 1)
        } else {
            break;
        };
        rest = comment.map_or("", |end| &rest[end + 1..]).trim_start();
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    (rest[..end].to_ascii_uppercase(), &rest[end..])
}

const ONE: &str = "give one SELECT, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN SELECT statement";

/// The kinds of queries. The parser of a later version also accepts INSERT, UPDATE and DELETE in common table expressions.
const QUERY_NODES: &[&str] = &["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"];

/// Functions of a FROM clause that only read their arguments and the catalog, and change nothing.
const TABLE_FUNCTIONS: &[&str] = &[
    "duckdb_columns",
    "duckdb_constraints",
    "duckdb_databases",
    "duckdb_dependencies",
    "duckdb_functions",
    "duckdb_indexes",
    "duckdb_keywords",
    "duckdb_memory",
    "duckdb_optimizers",
    "duckdb_schemas",
    "duckdb_sequences",
    "duckdb_settings",
    "duckdb_table_sample",
    "duckdb_tables",
    "duckdb_types",
    "duckdb_variables",
    "duckdb_views",
    "generate_series",
    "icu_calendar_names",
    "json_each",
    "json_tree",
    "pg_timezone_names",
    "pragma_collations",
    "pragma_database_size",
    "pragma_metadata_info",
    "pragma_platform",
    "pragma_show",
    "pragma_storage_info",
    "pragma_table_info",
    "pragma_user_agent",
    "pragma_version",
    "range",
    "repeat",
    "repeat_row",
    "test_all_types",
    "unnest",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(connection: &Connection, sql: &str) -> Option<String> {
        let error = check(connection, sql).err()?;
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let hint = if let Error::Ask { hint, .. } = &error { hint.clone() } else { None };
        Some(format!("{error} {source} {}", hint.unwrap_or_default()))
    }

    #[test]
    fn queries_are_accepted() {
        let connection = Connection::open_in_memory().unwrap();
        let deep = format!("SELECT {}", ["'x'"; 500].join(" || "));
        for sql in [
            "SELECT 1;",
            "-- why\nSELECT ';' /* ; */;; -- because",
            "FROM range(3)",
            "(SELECT 1)",
            "VALUES (1)",
            "TABLE users",
            "DESCRIBE users",
            "DESCRIBE SELECT 1",
            "SUMMARIZE users",
            "SHOW TABLES",
            "WITH a AS (SELECT 1) FROM a",
            "WITH RECURSIVE a AS (SELECT 1 UNION ALL FROM a) FROM a EXCEPT SELECT 2",
            "PIVOT users ON status IN ('active') USING count(*)",
            "UNPIVOT users ON a, b",
            "explain SELECT 1",
            "/* plan */ EXPLAIN FROM users",
            "EXPLAIN -- a plan\n SELECT 1",
            "SELECT unnest([1]), (FROM main.generate_series(1, 2))",
            "SELECT 'COPY', '{\"function\":{\"function_name\":\"glob\"}}'",
            &deep,
        ] {
            assert_eq!(refusal(&connection, sql), None, "{sql}");
        }
    }

    #[test]
    fn other_statements_are_refused_by_their_kind() {
        let connection = Connection::open_in_memory().unwrap();
        for (sql, named) in [
            ("", "no statement"),
            ("-- SELECT 1", "no statement"),
            ("SELECT 1; SELECT 2", "2 statements"),
            ("SELECT 1; COPY users TO 'x'", "a statement that is not a SELECT"),
            ("/* SELECT */ copy users TO 'x'", "COPY is not accepted"),
            ("--\n--\n\tDROP TABLE users", "DROP is not accepted"),
            ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN is not accepted"),
            ("EXPLAIN ANALYZE COPY users TO 'x'", "EXPLAIN is not accepted"),
            ("EXPLAIN COPY users TO 'x'", "EXPLAIN is not accepted"),
            ("EXPLAIN SELECT 1; COPY users TO 'x'", "EXPLAIN is not accepted"),
            ("WITH a AS (SELECT 1) INSERT INTO users FROM a", "WITH is not accepted"),
            ("WITH a AS (DELETE FROM users RETURNING *) FROM a", "A CTE needs a SELECT"),
            ("PIVOT users ON status USING count(*)", "name the values"),
            ("SELECT 1 INTO x", "SELECT INTO"),
            ("SELEC 1", "Parser Error: syntax error at or near \"SELEC\""),
        ] {
            let refusal = refusal(&connection, sql).unwrap_or_else(|| panic!("{sql} was accepted"));
            assert!(refusal.contains(named), "{sql}: {refusal}");
        }
    }

    /// Why: `enable_logging` in a SELECT accepts a file name even when the configuration is locked.
    #[test]
    fn every_table_function_of_the_engine_that_is_not_listed_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection
            .prepare("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')")
            .unwrap();
        let names: Vec<String> =
            statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(names.len() > 100, "{names:?}");
        for name in names.iter().filter(|name| !TABLE_FUNCTIONS.contains(&name.as_str())) {
            for sql in [
                format!("FROM \"{name}\"('x')"),
                format!("SELECT (SELECT count(*) FROM \"{}\"())", name.to_uppercase()),
                format!("FROM users, LATERAL (FROM system.main.\"{name}\"(1))"),
                format!("WITH a AS MATERIALIZED (FROM \"{name}\"('x')) SELECT 1"),
                format!("SELECT 1 UNION ALL (VALUES ((SELECT 1 FROM \"{name}\"())) ORDER BY 1)"),
                format!("SUMMARIZE FROM \"{name}\"('x')"),
                format!("EXPLAIN FROM \"{name}\"('x')"),
                format!("SELECT 1 WHERE EXISTS (FROM users JOIN \"{name}\"('x') ON true) LIMIT 1"),
            ] {
                let refusal = refusal(&connection, &sql).unwrap_or_else(|| panic!("{sql} was accepted"));
                assert!(refusal.contains(&format!("the table function {name} ")), "{sql}: {refusal}");
            }
        }
    }
}
