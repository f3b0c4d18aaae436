//! Scratch tables next to the file: relations that a computation reads and that readers never see. They exist as long as the connection,
//! and can spill to disk.

use arrow::array::RecordBatch;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{Column, Table};
use duckdb::Connection;

use super::ddl::identifier;
use crate::lake::Lake;
use crate::{Error, Result};

/// Creates relations next to the file, and drops them.
pub(super) struct ScratchTables<'a> {
    connection: &'a Connection,
    lake: &'a Lake,
    made: Vec<(&'static str, &'static str)>,
}

/// Where the rows of a relation are.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// In an existing relation.
    In(&'static str),
    /// In the lake, written by these runs.
    Lake(&'a [RunNumber]),
}

impl<'a> ScratchTables<'a> {
    pub(super) fn new(connection: &'a Connection, lake: &'a Lake) -> Self {
        Self { connection, lake, made: Vec::new() }
    }

    /// Creates the relation `name` with some columns of a table. The columns have their names in the file.
    pub(super) fn provide(
        &mut self,
        name: &'static str,
        table: &'static Table,
        columns: &[&'static Column],
        source: Source<'_>,
    ) -> Result<()> {
        match source {
            Source::In(relation) => {
                let list: Vec<String> = columns.iter().map(|column| identifier(column.name)).collect();
                self.view(name, &format!("SELECT {} FROM {relation}", list.join(", ")))
            }
            Source::Lake(runs) => {
                let types: Vec<String> = columns
                    .iter()
                    .map(|column| format!("{} {}", identifier(column.name), column.kind.sql()))
                    .collect();
                self.empty(name, &types.join(", "))?;
                let names: Vec<&str> = columns.iter().map(|column| column.lake_name).collect();
                self.append(name, self.lake.scan(table, runs, Some(&names))?)
            }
        }
    }

    pub(super) fn view(&mut self, name: &'static str, sql: &str) -> Result<()> {
        self.make(name, "VIEW", &format!("CREATE OR REPLACE TEMP VIEW {name} AS {sql}"))
    }

    /// Creates a table with the rows that a SELECT returns.
    pub(super) fn table(&mut self, name: &'static str, sql: &str) -> Result<()> {
        self.make(name, "TABLE", &format!("CREATE OR REPLACE TEMP TABLE {name} AS {sql}"))
    }

    /// Creates a table without rows.
    pub(super) fn empty(&mut self, name: &'static str, columns: &str) -> Result<()> {
        self.make(name, "TABLE", &format!("CREATE OR REPLACE TEMP TABLE {name} ({columns})"))
    }

    pub(super) fn append(
        &self,
        name: &str,
        batches: impl Iterator<Item = Result<RecordBatch>>,
    ) -> Result<()> {
        let failed = || Error::duckdb(format!("fill {name}"));
        let mut appender =
            self.connection.appender_to_catalog_and_db(name, "temp", "main").map_err(failed())?;
        for batch in batches {
            appender.append_record_batch(batch?).map_err(failed())?;
        }
        appender.flush().map_err(failed())
    }

    /// Keeps a relation after [`ScratchTables::clear`].
    pub(super) fn keep(&mut self, name: &str) {
        self.made.retain(|(made, _)| *made != name);
    }

    /// Drops the relations that were created and not kept, newest first, because views depend on tables.
    pub(super) fn clear(mut self) -> Result<()> {
        while let Some((name, what)) = self.made.pop() {
            let sql = format!("DROP {what} IF EXISTS temp.{name}");
            self.connection.execute_batch(&sql).map_err(Error::duckdb(format!("drop {name}")))?;
        }
        Ok(())
    }

    fn make(&mut self, name: &'static str, what: &'static str, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(Error::duckdb(format!("make {name}")))?;
        self.made.push((name, what));
        Ok(())
    }
}
