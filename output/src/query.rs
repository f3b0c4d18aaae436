//! One SQL text against the published file: read-only, offline, configuration locked.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::warehouse::{FILE_NAME, Resources, open_to_read};
use crate::{Error, Result};

/// What a query answered.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// Names and types of the columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl QueryResult {
    /// Names of the columns, in order; SQL may give two the same name.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Runs `sql` against the store's `boxseat.duckdb`. Times are shown in UTC.
///
/// # Errors
/// [`crate::ErrorKind::Input`] when nothing is published, or when DuckDB refuses the query: `source()` says why.
pub fn query(store: &Path, sql: &str, resources: &Resources) -> Result<QueryResult> {
    let file = store.join(FILE_NAME);
    if !file.exists() {
        return Err(Error::NotPublished(file));
    }
    query_file(&file, sql, resources)
}

/// Runs `sql` against a file of ours somewhere else, such as [`crate::warehouse::Checked::path`].
///
/// # Errors
/// As [`query`]; `Io` when the file cannot be opened.
pub fn query_file(file: &Path, sql: &str, resources: &Resources) -> Result<QueryResult> {
    let connection =
        open_to_read(file, resources).map_err(Error::duckdb(format!("open {}", file.display())))?;
    let mut statement = connection.prepare(sql).map_err(Error::Query)?;
    statement.execute([]).map_err(Error::Query)?;
    let schema = statement.schema();
    let mut batches = Vec::new();
    // Step by step, because the iterator `query_arrow` gives panics where a step fails.
    while let Some(rows) = statement.step().map_err(Error::Query)? {
        batches.push(RecordBatch::from(rows));
    }
    Ok(QueryResult { schema, batches })
}
