//! `boxseat query`: SQL against the published night.

use std::io::Read;

use boxseat_output::query;
use serde_json::{Number, Value};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::cli::{Global, QueryArgs};
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::{Grid, Printer};

pub(crate) fn run(global: &Global, args: &QueryArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let mut sql = args.sql.clone();
    if sql == "-" {
        sql.clear();
        std::io::stdin()
            .read_to_string(&mut sql)
            .map_err(|e| CommandError::failed("cannot read SQL from stdin", e))?;
    }
    if let Some(file) = &args.save {
        if file.extension().is_none_or(|ending| ending != "parquet") {
            return Err(CommandError::usage(format!(
                "--save writes Parquet, and {} is called otherwise",
                file.display()
            ))
            .hint("name it with .parquet at its end; for CSV or JSON: --format csv > FILE"));
        }
        let rows = query::save(&settings.store, &sql, &settings.resources, file, &settings.access)?;
        printer.note(format!("{rows} rows in {}", file.display()));
        return Ok(0);
    }
    let result = query::query(&settings.store, &sql, &settings.resources)?;
    printer.grid("rows", &grid(result)?)?;
    Ok(0)
}

/// Arrow values as what JSON and a terminal can show.
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
        FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%:z")).with_null("");
    let formatters: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()
        .map_err(|e| {
            CommandError::failed("the result has a type that cannot be shown; cast it to VARCHAR", e)
        })?;
    let row = |index: usize| {
        batch
            .columns()
            .iter()
            .zip(&formatters)
            .map(|(column, formatter)| value(column.as_ref(), index, formatter))
            .collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

fn value(column: &dyn Array, row: usize, formatter: &ArrayFormatter<'_>) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float64 => Number::from_f64(column.as_primitive::<Float64Type>().value(row))
            .map_or(Value::Null, Value::Number),
        // Sums of BIGINT come as a decimal without fraction; money keeps its digits as text in JSON.
        DataType::Decimal128(_, 0) => formatter
            .value(row)
            .to_string()
            .parse::<i64>()
            .map_or_else(|_| formatter.value(row).to_string().into(), Value::from),
        _ => Value::String(formatter.value(row).to_string()),
    }
}
