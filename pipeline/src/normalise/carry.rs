//! Rows of the base run that were not read again. They are carried into this snapshot with the time of their last read.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Date32Type;
use boxseat_schemas::run::Reservation;

use crate::Error;
use crate::plan::BaseRun;

/// Rows of one of the base run's tables, with all columns of the lake schema.
pub type BaseRows<'a> = Box<dyn Iterator<Item = Result<RecordBatch, BaseError>> + 'a>;
/// The error of a base run that cannot be read.
pub type BaseError = Box<dyn std::error::Error + Send + Sync>;

/// The base run: its rows are carried forward.
pub trait Base {
    /// When its data was last read.
    fn night(&self) -> &BaseRun;
    /// The rows of a snapshot table.
    fn rows(&self, table: &'static boxseat_schemas::table::Table) -> Result<BaseRows<'_>, BaseError>;
}

pub(super) fn base_error(source: BaseError) -> Error {
    Error::Base { source }
}

/// The rows of a batch for which `keep` holds, as rows of this run; `None` when there are none.
pub(super) fn carried(
    batch: &RecordBatch,
    reservation: &Reservation,
    keep: impl FnMut(usize) -> bool,
) -> Option<RecordBatch> {
    let mask: BooleanArray = (0..batch.num_rows()).map(keep).map(Some).collect();
    if mask.true_count() == 0 {
        return None;
    }
    let kept = filter_record_batch(batch, &mask).expect("the mask is as long as the batch");
    let rows = kept.num_rows();
    let run_number: ArrayRef = Arc::new(Int64Array::from(vec![reservation.run_number.as_i64(); rows]));
    let date = Date32Type::from_naive_date(reservation.snapshot_date);
    let snapshot_date: ArrayRef = Arc::new(Date32Array::from(vec![date; rows]));
    Some(with_column(with_column(kept, "run_number", run_number), "snapshot_date", snapshot_date))
}

/// Replaces a column of rows that have all columns of the table's lake schema.
///
/// # Panics
/// The table has no such column, or one of another type or length. That is a bug in boxseat.
pub fn with_column(batch: RecordBatch, name: &str, values: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let index = schema.index_of(name).expect("a column of the contract");
    let mut columns = batch.columns().to_vec();
    columns[index] = values;
    RecordBatch::try_new(schema, columns).expect("same type, same length")
}
