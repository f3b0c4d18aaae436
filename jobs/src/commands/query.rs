//! `boxseat query`: SQL against the published snapshot.

use std::io::Read;

use boxseat_output::query;
use serde_json::{Number, Value};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::cli::{Global, QueryArgs};
use crate::config::Settings;
use crate::error::CommandError;
use crate::output_target::check_output;
use crate::printer::{Grid, Printer};
use crate::published::check_to_read;

pub(crate) fn run(global: &Global, args: &QueryArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load_to_read(global)?;
    let mut sql = args.sql.clone();
    if sql == "-" {
        sql.clear();
        std::io::stdin()
            .read_to_string(&mut sql)
            .map_err(|e| CommandError::failed("cannot read SQL from stdin", e))?;
    }
    check_to_read(&settings.store)?;
    if let Some(file) = &args.save {
        if file.extension().is_none_or(|ending| ending != "parquet") {
            return Err(CommandError::usage(format!(
                "--save writes Parquet, but {} does not end in .parquet",
                file.display()
            ))
            .hint("name a file that ends in .parquet; for CSV or JSON: --format csv > FILE"));
        }
        check_output(file, &settings)?;
        let rows = query::save(&settings.store, &sql, &settings.resources, file, &settings.access)?;
        printer.note(format!("{rows} rows in {}", file.display()));
        return Ok(0);
    }
    let result = query::query_to_show(&settings.store, &sql, &settings.resources)?;
    printer.grid("rows", &grid(result)?)?;
    Ok(0)
}

/// Converts Arrow values to JSON values.
pub(crate) fn grid(result: query::QueryResult) -> Result<Grid, CommandError> {
    let columns = result.column_names().map(str::to_owned).collect();
    let mut rows = Vec::with_capacity(result.num_rows());
    for batch in &result.batches {
        rows.extend(rows_of(batch)?);
    }
    Ok(Grid { columns, rows })
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<Value>>, CommandError> {
    let options =
        FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z")).with_null("");
    let cannot_show =
        |e| CommandError::failed("the result has a value that cannot be shown; cast it to VARCHAR", e);
    let formatters: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()
        .map_err(cannot_show)?;
    let row = |index: usize| {
        let cells = batch.columns().iter().zip(&formatters);
        cells
            .map(|(column, formatter)| value(column.as_ref(), index, formatter))
            .collect::<Result<Vec<_>, _>>()
            .map_err(cannot_show)
    };
    (0..batch.num_rows()).map(row).collect()
}

fn value(column: &dyn Array, row: usize, formatter: &ArrayFormatter<'_>) -> Result<Value, ArrowError> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).into(),
        // Converted through its text: 0.1 must not become 0.10000000149011612.
        DataType::Float32 => {
            let value = column.as_primitive::<Float32Type>().value(row);
            float(value.to_string().parse().expect("a float is written as one"))
        }
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        // DuckDB returns HUGEINT, the type of a sum of BIGINT, as a decimal without fraction. It may not fit into 64 bits.
        DataType::Decimal128(_, 0) => {
            let value = column.as_primitive::<Decimal128Type>().value(row);
            i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from)
        }
        // Text keeps all digits of an amount of money.
        _ => Value::String(formatter.value(row).try_to_string()?),
    })
}

/// A number, or text for values that JSON has no number for.
fn float(value: f64) -> Value {
    let text = || {
        let text = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        Value::String(text.to_owned())
    };
    Number::from_f64(value).map_or_else(text, Value::Number)
}
