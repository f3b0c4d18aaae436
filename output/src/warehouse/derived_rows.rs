//! The rows that a build computed for the pending run, and their commit to the lake.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::DataType;
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{RUN_ROWS, SEAT_USAGE_DAILY, Table, USER_CHANGES, USERS_HISTORY};
use duckdb::Connection;

use super::diff::{Drift, RUN_CHANGES, RUN_VERSIONS};
use super::history::select_kept;
use crate::lake::{Committed, Lake};
use crate::{Error, Result};

/// Rows of the pending run that are in no table of the lake yet.
#[derive(Debug)]
pub(super) struct DerivedRows {
    pub(super) run_number: RunNumber,
    pub(super) enterprise_id: String,
    pub(super) run_rows: RecordBatch,
    pub(super) seat_usage: RecordBatch,
    pub(super) drift: Option<Drift>,
}

impl DerivedRows {
    /// Commits the run's rows of one table. Rows of scratch tables are read batch by batch.
    pub(super) fn commit(
        &self,
        connection: &Connection,
        lake: &Lake,
        table: &'static Table,
    ) -> Result<Committed> {
        let relation = match table.name {
            name if name == RUN_ROWS.name => return self.commit_batch(lake, table, &self.run_rows),
            name if name == SEAT_USAGE_DAILY.name => return self.commit_batch(lake, table, &self.seat_usage),
            name if name == USERS_HISTORY.name => RUN_VERSIONS,
            name if name == USER_CHANGES.name => RUN_CHANGES,
            name => return Err(Error::Bug(format!("a build computes no rows of {name}"))),
        };
        let failed = || Error::duckdb(format!("read {relation}"));
        let mut statement = connection.prepare(&select_kept(table, relation)).map_err(failed())?;
        // This call starts streaming. The rows are then taken step by step, because its iterator panics when a step fails.
        drop(statement.stream_arrow([]).map_err(failed())?);
        let step = || statement.step().map_err(failed()).transpose();
        let mut batches = std::iter::from_fn(step)
            .map(|rows| in_lake_schema(table, &RecordBatch::from(rows?), &self.enterprise_id));
        lake.commit(table, self.run_number, &mut batches)
    }

    fn commit_batch(&self, lake: &Lake, table: &'static Table, batch: &RecordBatch) -> Result<Committed> {
        lake.commit(table, self.run_number, &mut std::iter::once(Ok::<_, Error>(batch.clone())))
    }
}

/// Converts rows with the column names of the file to rows of the lake.
pub(super) fn in_lake_schema(table: &Table, rows: &RecordBatch, enterprise_id: &str) -> Result<RecordBatch> {
    let schema = table.lake_schema();
    let column = |name: &str| match table.kept().find(|column| column.lake_name == name) {
        Some(column) => rows.column_by_name(column.name).map(Arc::clone),
        None if name == "enterprise_id" => {
            Some(Arc::new(StringArray::from(vec![enterprise_id; rows.num_rows()])) as ArrayRef)
        }
        None => None,
    };
    let columns = schema.fields().iter().map(|field| {
        let array = column(field.name())
            .ok_or_else(|| Error::Bug(format!("{} was computed without {}", table.name, field.name())))?;
        as_type(&array, field.data_type())
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(schema, columns).map_err(|e| Error::Bug(e.to_string()))
}

/// DuckDB's names for children of lists and structs differ from those of the lake, and a cast does not change names. All other differences
/// are handled by the cast.
fn as_type(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let bug = |e: arrow::error::ArrowError| Error::Bug(e.to_string());
    match (array.data_type(), wanted) {
        (had, wanted) if had == wanted => Ok(Arc::clone(array)),
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = as_type(list.values(), element.data_type())?;
            let nulls = list.nulls().cloned();
            let list = ListArray::try_new(Arc::clone(element), list.offsets().clone(), values, nulls);
            Ok(Arc::new(list.map_err(bug)?))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let parts = array.as_struct();
            let columns =
                parts.columns().iter().zip(fields).map(|(part, field)| as_type(part, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let parts = StructArray::try_new(fields.clone(), columns, parts.nulls().cloned());
            Ok(Arc::new(parts.map_err(bug)?))
        }
        (_, wanted) => arrow::compute::cast(array, wanted).map_err(bug),
    }
}
