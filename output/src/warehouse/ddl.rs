//! DDL and comments from the table contracts.

use std::fmt::Write as _;

use boxseat_schemas::table::{Layout, Table};
use boxseat_schemas::warehouse;

use crate::{Error, Result};

/// `CREATE TABLE` or `CREATE VIEW`. It has no PRIMARY KEY, UNIQUE or index, because they make the file unreadable for DuckDB 1.0 and 1.1
/// (measured). Data checks verify the keys.
pub(super) fn create(table: &Table) -> Result<String> {
    let name = identifier(table.name);
    if table.layout == Layout::View {
        return Ok(format!("CREATE VIEW {name} AS {};\n", select(table)?));
    }
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let null = if column.nullable { "" } else { " NOT NULL" };
            format!("{} {}{null}", identifier(column.name), column.kind.sql())
        })
        .collect();
    Ok(format!("CREATE TABLE {name} ({});\n", columns.join(", ")))
}

/// The SELECT behind a computed table or a view.
pub(super) fn select(table: &Table) -> Result<&'static str> {
    warehouse::query(table.name).ok_or_else(|| Error::Bug(format!("there is no SQL for {}", table.name)))
}

/// `COMMENT ON` the table or view and each of its columns.
pub(super) fn comments(table: &Table) -> String {
    let name = identifier(table.name);
    let what = if table.layout == Layout::View { "VIEW" } else { "TABLE" };
    let mut sql = format!("COMMENT ON {what} {name} IS {};\n", literal(table.comment));
    for column in table.columns {
        let _ = writeln!(
            sql,
            "COMMENT ON COLUMN {name}.{} IS {};",
            identifier(column.name),
            literal(column.comment)
        );
    }
    sql
}

pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
