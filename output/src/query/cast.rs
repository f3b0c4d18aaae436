//! DuckDB casts columns whose values Arrow cannot represent. The user's query becomes a subquery of a query with the casts.
//!
//! Arrow has no infinite dates, no times with an offset, no BIT, BIGNUM or UHUGEINT: such values were wrong without an error. DuckDB's own
//! text is correct for every type, at any depth of nesting.

use duckdb::Connection;

/// The cast for a column of a type; `{}` stands for the column. `None`: no cast.
pub(super) type Cast = fn(&str) -> Option<&'static str>;

/// The query with the casts.
pub(super) struct Rewritten {
    pub(super) sql: String,
    /// Names of the columns in the user's query.
    pub(super) names: Vec<String>,
}

const AS_TEXT: &str = "CAST({} AS VARCHAR)";

/// For users: all types except numbers, truth values and text.
pub(super) fn to_show(kind: &str) -> Option<&'static str> {
    match kind {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "UTINYINT" | "USMALLINT" | "UINTEGER"
        | "UBIGINT" | "HUGEINT" | "FLOAT" | "DOUBLE" | "VARCHAR" => None,
        kind if kind.starts_with("DECIMAL(") && kind.ends_with(')') => None,
        "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS" => {
            Some(r"regexp_replace(CAST({} AS VARCHAR), '^(\d+-\d\d-\d\d) (\d)', '\1T\2')")
        }
        "TIMESTAMP WITH TIME ZONE" => Some(r"regexp_replace(CAST({} AS VARCHAR), '\+00$', '+00:00')"),
        _ => Some(AS_TEXT),
    }
}

/// For Parquet: types that it does not have, or that would have another value there.
pub(super) fn to_parquet(kind: &str) -> Option<&'static str> {
    const FOREIGN: &[&str] =
        &["UHUGEINT", "BIGNUM", "BIT", "INTERVAL", "UNION", "VARIANT", "GEOMETRY", "TIME WITH TIME ZONE"];
    if kind == "TIMESTAMP_S" {
        return Some("CAST({} AS TIMESTAMP)");
    }
    let bare = without_quoted(kind);
    let words = bare.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let words = format!(" {} ", words.collect::<Vec<_>>().join(" "));
    FOREIGN.iter().any(|foreign| words.contains(&format!(" {foreign} "))).then_some(AS_TEXT)
}

/// A type without the names of fields and the values of enums.
fn without_quoted(kind: &str) -> String {
    kind.split('\'').step_by(2).flat_map(|part| part.split('"').step_by(2)).collect()
}

/// The query with its columns cast; `None` when no column needs a cast, and for statements that cannot be part of another.
pub(super) fn rewritten(connection: &Connection, sql: &str, cast: Cast) -> Option<Rewritten> {
    let columns = described(connection, sql)?;
    let casts: Vec<_> = columns.iter().map(|(_, kind)| cast(kind)).collect();
    if casts.iter().all(Option::is_none) {
        return None;
    }
    // boxseat's own names, because the query may give two columns the same name.
    let own = |place: usize| format!("c{place}");
    let cells: Vec<String> = casts
        .iter()
        .enumerate()
        .map(|(place, cast)| cast.unwrap_or("{}").replace("{}", &own(place)))
        .collect();
    let list = (0..columns.len()).map(own).collect::<Vec<_>>().join(", ");
    let around = |body: &str| format!("SELECT {} FROM (\n{body}\n) AS result({list})", cells.join(", "));
    let sql = bodies(sql).map(around).find(|sql| connection.prepare(sql).is_ok())?;
    Some(Rewritten { sql, names: columns.into_iter().map(|(name, _)| name).collect() })
}

/// Names and types of the columns; `None` if the text is not a single query.
fn described(connection: &Connection, sql: &str) -> Option<Vec<(String, String)>> {
    let mut statement = connection.prepare(&format!("DESCRIBE {sql}")).ok()?;
    let mut rows = statement.query([]).ok()?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next().ok()? {
        columns.push((row.get("column_name").ok()?, row.get("column_type").ok()?));
    }
    Some(columns)
}

/// Candidates for the query without its final semicolon and comments, longest first. The caller tries each one, because `--` may also be in
/// a string.
fn bodies(sql: &str) -> impl Iterator<Item = &str> {
    let end = |text: &'_ str| text.trim_end_matches(|c: char| c.is_whitespace() || c == ';').len();
    std::iter::successors(Some(&sql[..end(sql)]), move |body| {
        let body = &body[..body.rfind("--")?];
        Some(&body[..end(body)])
    })
}

/// The names, each unique: `name`, `name_2`. A new name never equals the name of another column.
pub(super) fn distinct(names: &[String]) -> Vec<String> {
    let mut given: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let is_free = |candidate: &String| !given.contains(candidate);
        let others = (2_usize..).map(|n| format!("{name}_{n}")).filter(|other| !names.contains(other));
        let chosen = std::iter::once(name.clone()).chain(others).find(is_free);
        given.push(chosen.expect("there are more numbers than columns"));
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_with_equal_names_get_distinct_names() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (found, given) in [
            ("a b", "a b"),
            ("a a a", "a a_2 a_3"),
            ("a a a_2", "a a_3 a_2"),
            ("a_2 a a a_2", "a_2 a a_3 a_2_2"),
        ] {
            assert_eq!(distinct(&names(found)), names(given), "{found}");
        }
    }

    #[test]
    fn bodies_omit_a_trailing_semicolon_and_comment() {
        let first = |sql: &'static str| bodies(sql).collect::<Vec<_>>();
        assert_eq!(first("SELECT 1 ;\n "), ["SELECT 1"]);
        assert_eq!(first("SELECT '--' ; -- why"), ["SELECT '--' ; -- why", "SELECT '--'", "SELECT '"]);
    }

    #[test]
    fn types_that_parquet_lacks_become_text() {
        for (kind, is_text) in [
            ("INTEGER", false),
            ("HUGEINT", false),
            ("UHUGEINT", true),
            ("STRUCT(a BIT, b VARCHAR)[]", true),
            ("ENUM('BIT', 'UNION')", false),
            ("STRUCT(\"BIT\" INTEGER, bitmap INTEGER, INTERVALS INTEGER)", false),
            ("MAP(VARCHAR, TIME WITH TIME ZONE)", true),
            ("TIMESTAMP WITH TIME ZONE", false),
        ] {
            assert_eq!(to_parquet(kind) == Some(AS_TEXT), is_text, "{kind}");
        }
    }
}
