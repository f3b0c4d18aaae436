//! `boxseat schema`: the data dictionary, from the one contract that also makes the tables.

use std::fmt::Write;

use boxseat_schemas::table::{Column, LAKE, Layout, Table, WAREHOUSE};
use serde_json::{Value, json};

use crate::cli::{Format, SchemaArgs};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};

pub(crate) fn run(args: &SchemaArgs, printer: &Printer) -> Result<u8, CommandError> {
    let tables = tables(args)?;
    if args.markdown {
        printer.out(&markdown(&tables))?;
    } else if printer.format() == Format::Json {
        printer.json(json!({ "tables": tables.iter().map(|table| object(table)).collect::<Vec<_>>() }))?;
    } else {
        printer.grid("columns", &grid(&tables))?;
    }
    Ok(0)
}

fn tables(args: &SchemaArgs) -> Result<Vec<&'static Table>, CommandError> {
    let all = if args.lake { LAKE } else { WAREHOUSE };
    let Some(name) = &args.table else { return Ok(all.to_vec()) };
    match all.iter().find(|table| table.name == name) {
        Some(table) => Ok(vec![table]),
        None => {
            let names: Vec<&str> = all.iter().map(|table| table.name).collect();
            Err(CommandError::usage(format!("there is no table {name}"))
                .hint(format!("there are {}", names.join(", "))))
        }
    }
}

fn kind(table: &Table) -> &'static str {
    match table.layout {
        Layout::View => "view",
        _ => "table",
    }
}

fn null(column: &Column) -> &'static str {
    if column.nullable { "NULL" } else { "NOT NULL" }
}

fn grid(tables: &[&Table]) -> Grid {
    let columns = ["table", "column", "type", "null", "meaning"];
    let row = |table: &Table, column: &Column| -> Vec<Value> {
        [table.name, column.name, column.kind.sql(), null(column), column.comment]
            .map(|text| Value::String(text.to_owned()))
            .to_vec()
    };
    Grid {
        columns: columns.map(str::to_owned).to_vec(),
        rows: tables.iter().flat_map(|table| table.columns.iter().map(|column| row(table, column))).collect(),
    }
}

fn object(table: &Table) -> Value {
    let column = |column: &Column| json!({ "name": column.name, "type": column.kind.sql(), "nullable": column.nullable, "meaning": column.comment });
    json!({
        "name": table.name,
        "kind": kind(table),
        "key": table.key,
        "meaning": table.comment,
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
    })
}

fn markdown(tables: &[&Table]) -> String {
    let mut text = String::from(
        "# Data dictionary\n\nWritten by `boxseat schema --markdown`; every text is also a COMMENT in the file.\n",
    );
    // A table's words hold no pipe, and a test says so: nothing needs escaping.
    for table in tables {
        let _ = write!(text, "\n## `{}` ({})\n\n{}\n\n", table.name, kind(table), table.comment);
        if !table.key.is_empty() {
            let _ = write!(text, "Key: `{}`.\n\n", table.key.join("`, `"));
        }
        text.push_str("| column | type | null | meaning |\n| --- | --- | --- | --- |\n");
        for column in table.columns {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                column.name,
                column.kind.sql(),
                null(column),
                column.comment
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_in_the_markdown_and_breaks_no_table() {
        let text = markdown(WAREHOUSE);
        for table in WAREHOUSE {
            for column in table.columns {
                assert!(
                    !column.comment.contains('|') && text.contains(&format!("| `{}` |", column.name)),
                    "{}",
                    column.name
                );
            }
        }
    }
}
