//! `boxseat schema`: the data dictionary, from the contract that the tables are created from.

use std::fmt::Write;

use boxseat_schemas::table::{CONTRACT_VERSION, Column, LAKE, Layout, Table, WAREHOUSE};
use serde_json::{Value, json};

use crate::cli::{Format, SchemaArgs};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};

pub(crate) fn run(args: &SchemaArgs, printer: &Printer) -> Result<u8, CommandError> {
    let tables = tables(args)?;
    let place = if args.lake { Place::Lake } else { Place::Warehouse };
    if args.markdown {
        printer.out(&markdown(&tables, place))?;
    } else if printer.format() == Format::Json {
        let tables: Vec<Value> = tables.iter().map(|table| object(table, place)).collect();
        printer.json(json!({ "contract_version": CONTRACT_VERSION, "tables": tables }))?;
    } else {
        printer.grid("columns", &grid(&tables, place))?;
    }
    Ok(0)
}

/// Where the tables are: some columns have another name in the lake, and derived columns are not in the lake.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Lake,
    Warehouse,
}

impl Place {
    fn columns(self, table: &'static Table) -> impl Iterator<Item = (&'static str, &'static Column)> {
        let is_here = move |column: &&Column| self == Place::Warehouse || !column.derived;
        let name = move |column: &'static Column| match self {
            Place::Lake => column.lake_name,
            Place::Warehouse => column.name,
        };
        table.columns.iter().filter(is_here).map(move |column| (name(column), column))
    }
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

fn grid(tables: &[&'static Table], place: Place) -> Grid {
    let columns = ["table", "column", "type", "null", "meaning"];
    let row = |table: &Table, name: &str, column: &Column| -> Vec<Value> {
        [table.name, name, column.kind.sql(), null(column), column.comment]
            .map(|text| Value::String(text.to_owned()))
            .to_vec()
    };
    Grid {
        columns: columns.map(str::to_owned).to_vec(),
        rows: tables
            .iter()
            .flat_map(|table| place.columns(table).map(|(name, column)| row(table, name, column)))
            .collect(),
    }
}

fn object(table: &'static Table, place: Place) -> Value {
    let column = |(name, column): (&str, &Column)| json!({ "name": name, "type": column.kind.sql(), "nullable": column.nullable, "meaning": column.comment });
    json!({
        "name": table.name,
        "kind": kind(table),
        "key": table.key,
        "meaning": table.comment,
        "columns": place.columns(table).map(column).collect::<Vec<_>>(),
    })
}

fn markdown(tables: &[&'static Table], place: Place) -> String {
    let mut text = String::from(
        "# Data dictionary\n\nWritten by `boxseat schema --markdown`; every text is also a COMMENT in the file.\n",
    );
    // No text of a table has a pipe (a test checks it), so nothing is escaped.
    for table in tables {
        let _ = write!(text, "\n## `{}` ({})\n\n{}\n\n", table.name, kind(table), table.comment);
        if !table.key.is_empty() {
            let _ = write!(text, "Key: `{}`.\n\n", table.key.join("`, `"));
        }
        text.push_str("| column | type | null | meaning |\n| --- | --- | --- | --- |\n");
        for (name, column) in place.columns(table) {
            let _ = writeln!(
                text,
                "| `{name}` | {} | {} | {} |",
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

    /// Why: most readers open the dictionary in the repository and build nothing.
    #[test]
    fn dictionary_in_docs_is_what_this_version_prints() {
        assert!(
            include_str!("../../../docs/dictionary.md") == markdown(WAREHOUSE, Place::Warehouse),
            "docs/dictionary.md is not what `boxseat schema --markdown` prints: `make doc` writes it"
        );
    }

    #[test]
    fn lake_columns_have_their_lake_names() {
        let text = markdown(LAKE, Place::Lake);
        assert!(text.contains("| `user_enterprise_id` |") && !text.contains("| `version_no` |"), "{text}");
    }

    #[test]
    fn markdown_has_every_column_and_needs_no_escapes() {
        let text = markdown(WAREHOUSE, Place::Warehouse);
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
