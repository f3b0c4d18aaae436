//! One query against the published file: read-only, offline, configuration locked.

mod cast;
mod statement;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Schema, SchemaRef};
use boxseat_storage::durable::{self, Access};
use duckdb::Connection;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::warehouse::{PublishedFile, Resources, open_file};
use crate::{Error, Result};

/// The result of a query.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// Names and types of the columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl QueryResult {
    /// Names of the columns, in order. SQL may give two columns the same name; [`query_to_show`] makes them distinct.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// Runs `sql`, one statement that only reads, against the store's `boxseat.duckdb`. Times are shown in UTC.
///
/// # Errors
/// [`crate::ErrorKind::Input`] when nothing is published, when the statement is of another kind, or when DuckDB refuses the query:
/// `source()` gives the reason. [`crate::ErrorKind::Foreign`] when the file is not the one that was published.
pub fn query(store: &Path, sql: &str, resources: &Resources) -> Result<QueryResult> {
    answer(&PublishedFile::open(store, resources)?, sql, None, collect)
}

/// A connection to the checked file for several queries, even if another file now has its name.
pub struct CheckedReader {
    connection: Connection,
}

impl CheckedReader {
    /// Opens the file.
    ///
    /// # Errors
    /// `Io` when DuckDB cannot open it; [`crate::ErrorKind::Foreign`] when another file has its name now.
    pub fn open(file: &PublishedFile, resources: &Resources) -> Result<Self> {
        Ok(Self { connection: file.connect(resources)? })
    }

    /// Runs `sql` as [`query`] does.
    ///
    /// # Errors
    /// As [`query`].
    pub fn query(&self, sql: &str) -> Result<QueryResult> {
        answer(&self.connection, sql, None, collect)
    }

    /// Runs `sql`, and passes the rows to `take` as they arrive.
    ///
    /// # Errors
    /// As [`query`]; the error of `take`.
    pub(crate) fn stream<T>(
        &self,
        sql: &str,
        take: impl FnOnce(SchemaRef, &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<T>,
    ) -> Result<T> {
        answer(&self.connection, sql, None, take)
    }
}

/// Runs `sql` against a boxseat file at another path, such as [`crate::warehouse::Checked::path`].
///
/// # Errors
/// As [`query`]; `Io` when the file cannot be opened.
pub fn query_file(file: &Path, sql: &str, resources: &Resources) -> Result<QueryResult> {
    answer(&open_file(file, resources)?, sql, None, collect)
}

/// As [`query`], for users. Numbers, truth values and text are unchanged. Every other value is the text that DuckDB writes for it
/// (`infinity`, `1 month 2 days`, `\xAA`). A time is `2026-03-31T12:00:00`, with a zone `2026-03-31 12:00:00+00:00`. Columns with the same
/// name become `name`, `name_2`.
///
/// # Errors
/// As [`query`].
pub fn query_to_show(store: &Path, sql: &str, resources: &Resources) -> Result<QueryResult> {
    answer(&PublishedFile::open(store, resources)?, sql, Some(cast::to_show), collect)
}

fn collect(schema: SchemaRef, batches: &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<QueryResult> {
    Ok(QueryResult { schema, batches: batches.collect::<Result<_>>()? })
}

/// Runs `sql` as [`query`] does, writes the rows to a Parquet file as they arrive, and returns their number. An existing file is replaced
/// when the new one is complete. Columns with the same name become `name`, `name_2`. Types that Parquet does not have are text.
///
/// # Errors
/// As [`query`], and for a number with more digits than Parquet supports; `Io` when the file cannot be written.
pub fn save(store: &Path, sql: &str, resources: &Resources, file: &Path, access: &Access) -> Result<u64> {
    answer(&PublishedFile::open(store, resources)?, sql, Some(cast::to_parquet), |schema, batches| {
        durable::write_file_by(file, access, |out| {
            let failed = |source| Error::Parquet { path: file.to_owned(), source };
            let mut writer = ArrowWriter::try_new(out, schema, Some(properties())).map_err(failed)?;
            let mut rows = 0;
            for batch in batches {
                let batch = batch?;
                check_digits(&batch)?;
                rows += batch.num_rows() as u64;
                writer.write(&batch).map_err(failed)?;
            }
            writer.close().map_err(failed)?;
            Ok(rows)
        })
    })
}

/// Refuses numbers of more than 38 digits. DuckDB returns a HUGEINT as a decimal of 38 digits even if the number has 39.
fn check_digits(batch: &RecordBatch) -> Result<()> {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let Some(decimals) = column.as_primitive_opt::<Decimal128Type>() else { continue };
        if decimals.validate_decimal_precision(decimals.precision()).is_err() {
            return Err(Error::Ask {
                what: format!(
                    "the column {:?} has a number of more than 38 digits, which Parquet does not support",
                    field.name()
                ),
                hint: Some("cast it to VARCHAR".to_owned()),
            });
        }
    }
    Ok(())
}

fn answer<T>(
    connection: &Connection,
    sql: &str,
    cast: Option<cast::Cast>,
    take: impl FnOnce(SchemaRef, &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<T>,
) -> Result<T> {
    // `prepare` runs all statements of a text except the last, so the check comes first.
    statement::check(connection, sql)?;
    let mut statement = connection.prepare(sql).map_err(Error::Query)?;
    let rewritten = cast.and_then(|cast| cast::rewritten(connection, sql, cast));
    if let Some(rewritten) = &rewritten {
        statement = connection.prepare(&rewritten.sql).map_err(Error::Query)?;
    }
    statement.execute([]).map_err(Error::Query)?;
    let mut schema = statement.schema();
    if cast.is_some() {
        let names = rewritten.map_or_else(|| statement.column_names(), |rewritten| rewritten.names);
        schema = renamed(&schema, &cast::distinct(&names));
    }
    // The steps are taken one by one, because the iterator of `query_arrow` panics when a step fails.
    let mut batches = std::iter::from_fn(|| {
        let step = statement.step().map_err(Error::Query).transpose()?;
        Some(step.and_then(|rows| {
            let columns = RecordBatch::from(rows).columns().to_vec();
            RecordBatch::try_new(schema.clone(), columns)
                .map_err(|e| Error::Bug(format!("a result of the query: {e}")))
        }))
    });
    take(schema.clone(), &mut batches)
}

fn renamed(schema: &SchemaRef, names: &[String]) -> SchemaRef {
    let fields =
        schema.fields().iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}
