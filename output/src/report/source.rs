//! The file from which figures are computed, and its rows as [`Value`]s.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use boxseat_schemas::{Money, RunNumber};
use chrono::{DateTime, NaiveDate};
use duckdb::Connection;

use super::model::{Column, ReportSnapshot, Value, ValueKind};
use crate::warehouse::{Checked, FILE_NAME, PublishedFile, Resources, open_file};
use crate::{Error, Result};

/// An open warehouse file for reports.
///
/// Figures read it through two views of this connection: `report_accounts` has all selected users, and `report_seats` has those of them who
/// take a seat. A relation that several sections read may be a temporary table of this connection.
#[derive(Debug)]
pub struct Source {
    connection: Connection,
    snapshot: ReportSnapshot,
    idle_after_days: i64,
}

impl Source {
    /// The store's published file.
    ///
    /// # Errors
    /// `Input` when nothing is published; `Foreign` when the file is not the one that was published; `Io` when it cannot be opened,
    /// `Corrupt` when it has no snapshot.
    pub fn published(store: &Path, resources: &Resources) -> Result<Self> {
        Self::of(PublishedFile::open(store, resources)?, &store.join(FILE_NAME), false)
    }

    /// A snapshot that was built separately ([`crate::warehouse::Build::as_of`]). `checked` must outlive this value.
    ///
    /// # Errors
    /// As [`Source::published`].
    pub fn as_of(checked: &Checked, resources: &Resources) -> Result<Self> {
        let file = checked.path();
        Self::of(open_file(file, resources)?, file, true)
    }

    /// A connection whose default catalog has the tables of a snapshot. `file` is its name in messages.
    pub(crate) fn of(connection: Connection, file: &Path, is_as_of: bool) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { what: file.display().to_string(), reason };
        let (enterprise_id, run_number, date, now_us, idle_after_days) = connection
            .query_row(
                "SELECT enterprise_id, run_number, CAST(snapshot_date AS VARCHAR), epoch_us(now_at), \
                 CAST(idle_after_days AS BIGINT) FROM report_settings",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?)),
            )
            .map_err(|e| corrupt(e.to_string()))?;
        let snapshot = ReportSnapshot {
            enterprise_id,
            snapshot_date: date.parse().map_err(|e| corrupt(format!("snapshot_date {date:?}: {e}")))?,
            run_number: RunNumber(run_number),
            now_at: DateTime::from_timestamp_micros(now_us)
                .ok_or_else(|| corrupt(format!("now_at {now_us} us")))?,
            is_as_of,
        };
        Ok(Self { connection, snapshot, idle_after_days })
    }

    /// The snapshot of the file.
    pub fn snapshot(&self) -> &ReportSnapshot {
        &self.snapshot
    }

    /// The snapshot's UTC date.
    pub(super) fn date(&self) -> NaiveDate {
        self.snapshot.snapshot_date
    }

    /// The configured threshold for idle accounts, in days.
    pub(super) fn idle_after_days(&self) -> i64 {
        self.idle_after_days
    }

    /// Runs statements that return no rows.
    pub(super) fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(Error::duckdb("prepare a report"))
    }

    /// Rows under `columns`. Each column is found in the result by its id, in any order of the SQL. Money gets the currency of the result's
    /// column `currency`.
    pub(super) fn rows(&self, columns: &[Column], sql: &str) -> Result<Vec<Vec<Value>>> {
        let failed = || Error::duckdb("compute a report");
        // Only the columns that are shown, so that DuckDB reads no others. The order of the rows is kept.
        let has_money = columns.iter().any(|column| column.kind == ValueKind::Money);
        let shown = columns.iter().map(|column| column.id).chain(has_money.then_some("currency"));
        let shown: Vec<String> = shown.map(|name| format!("\"{name}\"")).collect();
        let sql = format!("SELECT {} FROM ({sql}) AS answer", shown.join(", "));
        let mut statement = self.connection.prepare(&sql).map_err(failed())?;
        statement.execute([]).map_err(failed())?;
        let mut rows = Vec::new();
        while let Some(batch) = statement.step().map_err(failed())?.map(RecordBatch::from) {
            let cells = columns.iter().map(|column| cells(&batch, column)).collect::<Result<Vec<_>>>()?;
            let mut cells: Vec<_> = cells.into_iter().map(Vec::into_iter).collect();
            rows.extend((0..batch.num_rows()).map(|_| {
                cells.iter_mut().map(|column| column.next().unwrap_or(Value::Unknown)).collect::<Vec<_>>()
            }));
        }
        Ok(rows)
    }

    /// The only row of a result.
    pub(super) fn row(&self, columns: &[Column], sql: &str) -> Result<Vec<Value>> {
        let mut rows = self.rows(columns, sql)?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(Error::Bug(format!("not one row: {sql}"))),
        }
    }

    /// A single count; NULL is unknown.
    pub(super) fn count(&self, sql: &str) -> Result<Option<i64>> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(Error::duckdb("compute a report"))
    }

    /// A column of text.
    pub(super) fn words(&self, sql: &str) -> Result<Vec<String>> {
        let failed = || Error::duckdb("compute a report");
        let mut statement = self.connection.prepare(sql).map_err(failed())?;
        let words = statement.query_map([], |row| row.get(0)).map_err(failed())?;
        words.collect::<std::result::Result<_, _>>().map_err(failed())
    }
}

fn cells(batch: &RecordBatch, column: &Column) -> Result<Vec<Value>> {
    let array = batch
        .column_by_name(column.id)
        .ok_or_else(|| Error::Bug(format!("a report's SQL gives no {}", column.id)))?;
    let currency = match column.kind {
        ValueKind::Money => batch.column_by_name("currency").map(|array| array.as_string::<i32>()),
        _ => None,
    };
    let is_null = |row: usize| array.is_null(row);
    let of = |value: &dyn Fn(usize) -> Option<Value>| -> Vec<Value> {
        let shown = |row| if is_null(row) { None } else { value(row) };
        (0..array.len()).map(|row| shown(row).unwrap_or(Value::Unknown)).collect()
    };
    let whole = |row: usize| match array.data_type() {
        DataType::Int32 => Some(i64::from(array.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row)),
        _ => None,
    };
    let cells = match (column.kind, array.data_type()) {
        (ValueKind::Text, DataType::Utf8) => {
            let texts = array.as_string::<i32>();
            of(&|row| Some(Value::Text(texts.value(row).to_owned())))
        }
        (ValueKind::Count, DataType::Int32 | DataType::Int64) => of(&|row| whole(row).map(Value::Count)),
        (ValueKind::Days, DataType::Int32 | DataType::Int64) => of(&|row| whole(row).map(Value::Days)),
        (ValueKind::Bytes, DataType::Int64) => of(&|row| whole(row).map(Value::Bytes)),
        (ValueKind::Percent, DataType::Float64) => {
            let shares = array.as_primitive::<Float64Type>();
            of(&|row| Some(Value::Percent(shares.value(row))))
        }
        (ValueKind::Money, DataType::Decimal128(_, 4)) => {
            let amounts = array.as_primitive::<Decimal128Type>();
            let currency =
                currency.ok_or_else(|| Error::Bug(format!("{} is money and has no currency", column.id)))?;
            of(&|row| {
                let amount = i64::try_from(amounts.value(row)).ok()?;
                let currency = currency.is_valid(row).then(|| currency.value(row).to_owned())?;
                Some(Value::Money(Money::from_ten_thousandths(amount), currency))
            })
        }
        (ValueKind::Date, DataType::Date32) => {
            let days = array.as_primitive::<Date32Type>();
            of(&|row| Date32Type::to_naive_date_opt(days.value(row)).map(Value::Date))
        }
        (ValueKind::Time, DataType::Timestamp(TimeUnit::Microsecond, Some(_))) => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            of(&|row| DateTime::from_timestamp_micros(times.value(row)).map(Value::Time))
        }
        (ValueKind::Flag, DataType::Boolean) => {
            let flags = array.as_boolean();
            of(&|row| Some(Value::Flag(flags.value(row))))
        }
        // A column that contains only NULLs.
        (_, DataType::Null) => of(&|_| None),
        (kind, other) => {
            return Err(Error::Bug(format!("a report's {} is {other} and not {kind:?}", column.id)));
        }
    };
    Ok(cells)
}
