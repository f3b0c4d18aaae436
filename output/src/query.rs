//! One SQL text against the published file: read-only, offline, configuration locked.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::durable::{self, Access};
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
    query_file(&published(store)?, sql, resources)
}

/// Runs `sql` against a file of ours somewhere else, such as [`crate::warehouse::Checked::path`].
///
/// # Errors
/// As [`query`]; `Io` when the file cannot be opened.
pub fn query_file(file: &Path, sql: &str, resources: &Resources) -> Result<QueryResult> {
    answer(file, sql, resources, |schema, batches| {
        Ok(QueryResult { schema, batches: batches.collect::<Result<_>>()? })
    })
}

/// Runs `sql` as [`query`] does, writes what it answers to a Parquet file as it comes, and gives back how many rows that are. A
/// file that has the name is replaced once the new one is whole.
///
/// # Errors
/// As [`query`], also when Parquet has no such type; `Io` when the file cannot be written.
pub fn save(store: &Path, sql: &str, resources: &Resources, file: &Path, access: &Access) -> Result<u64> {
    answer(&published(store)?, sql, resources, |schema, batches| {
        durable::write_file_by(file, access, |out| {
            let failed = |source| Error::Parquet { path: file.to_owned(), source };
            let mut writer = ArrowWriter::try_new(out, schema, Some(properties())).map_err(failed)?;
            let mut rows = 0;
            for batch in batches {
                let batch = batch?;
                rows += batch.num_rows() as u64;
                writer.write(&batch).map_err(failed)?;
            }
            writer.close().map_err(failed)?;
            Ok(rows)
        })
    })
}

pub(crate) fn published(store: &Path) -> Result<PathBuf> {
    let file = store.join(FILE_NAME);
    if file.exists() { Ok(file) } else { Err(Error::NotPublished(file)) }
}

fn answer<T>(
    file: &Path,
    sql: &str,
    resources: &Resources,
    take: impl FnOnce(SchemaRef, &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<T>,
) -> Result<T> {
    let connection =
        open_to_read(file, resources).map_err(Error::duckdb(format!("open {}", file.display())))?;
    let mut statement = connection.prepare(sql).map_err(Error::Query)?;
    statement.execute([]).map_err(Error::Query)?;
    let schema = statement.schema();
    // Step by step, because the iterator `query_arrow` gives panics where a step fails.
    let mut batches = std::iter::from_fn(|| {
        statement.step().map_err(Error::Query).map(|rows| rows.map(RecordBatch::from)).transpose()
    });
    take(schema, &mut batches)
}

fn properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}
