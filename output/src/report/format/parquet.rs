//! Parquet for data frames: the report's one table, typed.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Field, Schema};
use boxseat_storage::durable::{self, Access};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::rows::{is_long, main_table, plain};
use crate::report::model::{Report, Table, Value, ValueKind};
use crate::{Error, Result};

/// Writes the report's one table to a file, which is replaced as a whole. The table is the first one. For `licences` it is one long table
/// of all figures and cells.
///
/// Counts, days and bytes are BIGINT, money DECIMAL(18,4) with a column `currency` at the end, dates DATE, times TIMESTAMP in UTC. In the
/// long table, `value` is text. The column `number` next to it has numeric values as DECIMAL(18,4).
///
/// # Errors
/// `Io` when the file cannot be written; `Input` for an unknown group.
pub fn write_parquet(report: &Report, file: &Path, access: &Access) -> Result<()> {
    let batch = batch(report)?;
    durable::write_file_by(file, access, |out| {
        let failed = |source| Error::Parquet { path: file.to_owned(), source };
        let zstd =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let mut writer = ArrowWriter::try_new(out, batch.schema(), Some(zstd)).map_err(failed)?;
        writer.write(&batch).map_err(failed)?;
        writer.close().map_err(failed)?;
        Ok(())
    })
}

fn batch(report: &Report) -> Result<RecordBatch> {
    let bug = |e: arrow::error::ArrowError| Error::Bug(format!("report {}: {e}", report.name));
    let table = main_table(report);
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    for (place, column) in table.columns.iter().enumerate() {
        columns.push((column.id, array(&table, place, column.kind).map_err(bug)?));
    }
    if is_long(report)
        && let Some(place) = table.columns.iter().position(|column| column.id == "value")
    {
        let numbers = table.rows.iter().map(|row| ten_thousandths(&row[place]));
        columns.insert(place + 1, ("number", money(numbers).map_err(bug)?));
    }
    let currencies = table.rows.iter().map(|row| row.iter().find_map(currency));
    columns.push(("currency", Arc::new(currencies.collect::<StringArray>())));
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(bug)
}

fn array(
    table: &Table,
    place: usize,
    kind: ValueKind,
) -> std::result::Result<ArrayRef, arrow::error::ArrowError> {
    let cells = table.rows.iter().map(|row| &row[place]);
    Ok(match kind {
        ValueKind::Text => {
            let text = |value: &Value| (*value != Value::Unknown).then(|| plain(value));
            Arc::new(cells.map(text).collect::<StringArray>())
        }
        ValueKind::Count | ValueKind::Days | ValueKind::Bytes => {
            Arc::new(cells.map(Value::whole).collect::<Int64Array>())
        }
        ValueKind::Percent => Arc::new(
            cells
                .map(|value| if let Value::Percent(share) = value { Some(*share) } else { None })
                .collect::<Float64Array>(),
        ),
        ValueKind::Money => money(cells.map(|value| {
            if let Value::Money(amount, _) = value {
                Some(i128::from(amount.ten_thousandths()))
            } else {
                None
            }
        }))?,
        ValueKind::Date => Arc::new(
            cells
                .map(|value| {
                    if let Value::Date(date) = value {
                        Some(Date32Type::from_naive_date(*date))
                    } else {
                        None
                    }
                })
                .collect::<Date32Array>(),
        ),
        ValueKind::Time => Arc::new(
            cells
                .map(|value| if let Value::Time(time) = value { Some(time.timestamp_micros()) } else { None })
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        ValueKind::Flag => Arc::new(
            cells
                .map(|value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
                .collect::<BooleanArray>(),
        ),
    })
}

fn money(
    amounts: impl Iterator<Item = Option<i128>>,
) -> std::result::Result<ArrayRef, arrow::error::ArrowError> {
    Ok(Arc::new(amounts.collect::<Decimal128Array>().with_precision_and_scale(18, 4)?))
}

fn ten_thousandths(value: &Value) -> Option<i128> {
    match value {
        Value::Count(number) | Value::Days(number) | Value::Bytes(number) => {
            Some(i128::from(*number) * 10_000)
        }
        Value::Money(amount, _) => Some(i128::from(amount.ten_thousandths())),
        #[expect(clippy::cast_possible_truncation, reason = "a share has two decimals and is far below 2^52")]
        Value::Percent(share) => Some((share * 10_000.0).round() as i128),
        _ => None,
    }
}

fn currency(value: &Value) -> Option<&str> {
    if let Value::Money(_, currency) = value { Some(currency) } else { None }
}
