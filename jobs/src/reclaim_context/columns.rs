//! Columns of a query result as the few types that [`boxseat_reclaim::rules::snapshot`] needs: text, whole numbers, booleans, and values stored as one
//! of them (times as microseconds, days and money as text).

use std::fmt;
use std::ops::Range;

use boxseat_schemas::Money;
use chrono::{DateTime, NaiveDate, Utc};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

/// One batch of a query result.
pub(crate) struct Columns<'a> {
    batch: &'a RecordBatch,
}

/// The result does not have the expected columns: the file is of another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot cannot be read: {0}")]
pub(crate) struct Unreadable(pub(crate) String);

type Read<T> = Result<T, Unreadable>;

impl<'a> Columns<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        Self { batch }
    }

    pub(crate) fn rows(&self) -> Range<usize> {
        0..self.batch.num_rows()
    }

    pub(crate) fn count_columns(&self) -> usize {
        self.batch.num_columns()
    }

    pub(crate) fn optional_text(&self, column: usize, row: usize) -> Read<Option<String>> {
        let array = self.column(column)?;
        if array.is_null(row) {
            return Ok(None);
        }
        let text = array.as_string_opt::<i32>().map(|texts| texts.value(row).to_owned());
        text.map(Some).ok_or_else(|| self.wrong(column, "text"))
    }

    pub(crate) fn text(&self, column: usize, row: usize) -> Read<String> {
        self.optional_text(column, row)?.ok_or_else(|| self.wrong(column, "text that is there"))
    }

    pub(crate) fn number(&self, column: usize, row: usize) -> Read<Option<i64>> {
        let array = self.column(column)?;
        if array.is_null(row) {
            return Ok(None);
        }
        let number = array.as_primitive_opt::<Int64Type>().map(|numbers| numbers.value(row));
        number.map(Some).ok_or_else(|| self.wrong(column, "a whole number"))
    }

    pub(crate) fn count(&self, column: usize, row: usize) -> Read<u64> {
        let count = self.number(column, row)?.and_then(|number| u64::try_from(number).ok());
        count.ok_or_else(|| self.wrong(column, "a count"))
    }

    pub(crate) fn flag(&self, column: usize, row: usize) -> Read<Option<bool>> {
        let array = self.column(column)?;
        if array.is_null(row) {
            return Ok(None);
        }
        let flag = array.as_boolean_opt().map(|flags| flags.value(row));
        flag.map(Some).ok_or_else(|| self.wrong(column, "true or false"))
    }

    pub(crate) fn time(&self, column: usize, row: usize) -> Read<Option<DateTime<Utc>>> {
        let Some(micros) = self.number(column, row)? else { return Ok(None) };
        let time = DateTime::from_timestamp_micros(micros);
        time.map(Some).ok_or_else(|| self.wrong(column, "a moment"))
    }

    pub(crate) fn date(&self, column: usize, row: usize) -> Read<Option<NaiveDate>> {
        self.parsed(column, row, "a day")
    }

    pub(crate) fn money(&self, column: usize, row: usize) -> Read<Option<Money>> {
        self.parsed(column, row, "an amount")
    }

    fn parsed<T: std::str::FromStr>(&self, column: usize, row: usize, wanted: &str) -> Read<Option<T>> {
        let Some(text) = self.optional_text(column, row)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.wrong(column, wanted))
    }

    fn column(&self, column: usize) -> Read<&'a dyn Array> {
        let there = self.batch.columns().get(column);
        there.map(AsRef::as_ref).ok_or_else(|| Unreadable(format!("column {column} is missing")))
    }

    fn wrong(&self, column: usize, wanted: impl fmt::Display) -> Unreadable {
        let schema = self.batch.schema();
        let name = schema.fields().get(column).map_or("?", |field| field.name().as_str()).to_owned();
        Unreadable(format!("{name} is not {wanted}"))
    }
}
