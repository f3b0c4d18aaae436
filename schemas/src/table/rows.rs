//! Conversion of rows to Arrow: one builder per column, filled in the contract's order.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, ListBuilder, RecordBatch, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::{Kind, name_value_fields};
use crate::Money;

/// Collects rows for one schema and converts them to a [`RecordBatch`].
///
/// A row is written value by value in the schema's order. The typed writers panic when the order does not match the schema. That is an
/// error in boxseat's own code, and every test of the table finds it.
pub struct Rows {
    schema: SchemaRef,
    columns: Vec<Builder>,
    next: usize,
    len: usize,
}

enum Builder {
    Text(StringBuilder),
    Bool(BooleanBuilder),
    Integer(Int32Builder),
    BigInt(Int64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Money(Decimal128Builder),
    Percent(Float64Builder),
    NameValues(ListBuilder<StructBuilder>),
}

macro_rules! writer {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $value:ty, $convert:expr) => {
        $(#[$doc])*
        pub fn $name(&mut self, value: Option<$value>) -> &mut Self {
            let convert = $convert;
            match self.take() {
                Builder::$variant(builder) => builder.append_option(value.map(convert)),
                _ => panic!("{} is not written as {}", self.last(), stringify!($name)),
            }
            self
        }
    };
}

impl Rows {
    /// A collector without rows.
    pub fn new(schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|f| builder(f)).collect();
        Self { schema, columns, next: 0, len: 0 }
    }

    writer!(
        /// Writes text.
        text, Text, &str, |v| v);
    writer!(/// Writes true or false.
        flag, Bool, bool, |v| v);
    writer!(/// Writes a 32-bit whole number.
        integer, Integer, i32, |v| v);
    writer!(/// Writes a 64-bit whole number.
        big, BigInt, i64, |v| v);
    writer!(/// Writes a time.
        time, Timestamp, DateTime<Utc>, |v: DateTime<Utc>| v.timestamp_micros());
    writer!(/// Writes a UTC day.
        date, Date, NaiveDate, |v: NaiveDate| v.num_days_from_ce() - UNIX_EPOCH_DAYS_FROM_CE);
    writer!(/// Writes an amount of money.
        money, Money, Money, |v: Money| i128::from(v.ten_thousandths()));

    /// Writes names with values; `None` is NULL, which differs from an empty list.
    pub fn name_values<'a>(
        &mut self,
        pairs: Option<impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>>,
    ) -> &mut Self {
        let Builder::NameValues(list) = self.take() else {
            panic!("{} is not written as name_values", self.last())
        };
        let is_some = pairs.is_some();
        for (name, value) in pairs.into_iter().flatten() {
            let entry = list.values();
            for (index, text) in [name, value].into_iter().enumerate() {
                entry
                    .field_builder::<StringBuilder>(index)
                    .expect("both fields are text")
                    .append_option(text);
            }
            entry.append(true);
        }
        list.append(is_some);
        self
    }

    /// Ends the row.
    pub fn end(&mut self) {
        assert_eq!(
            self.next,
            self.columns.len(),
            "the row ends before column {}",
            self.schema.field(self.next.min(self.columns.len() - 1)).name()
        );
        self.next = 0;
        self.len += 1;
    }

    /// Number of complete rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no complete row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the rows as a batch. The collector is empty afterwards.
    pub fn take_batch(&mut self) -> RecordBatch {
        self.len = 0;
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .expect("builders come from the schema; required values are checked by callers")
    }

    fn take(&mut self) -> &mut Builder {
        self.next += 1;
        &mut self.columns[self.next - 1]
    }

    fn last(&self) -> &str {
        self.schema.field(self.next - 1).name()
    }
}

impl Builder {
    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Builder::Text(b) => b,
            Builder::Bool(b) => b,
            Builder::Integer(b) => b,
            Builder::BigInt(b) => b,
            Builder::Timestamp(b) => b,
            Builder::Date(b) => b,
            Builder::Money(b) => b,
            Builder::Percent(b) => b,
            Builder::NameValues(b) => b,
        };
        builder.finish()
    }
}

fn builder(field: &Field) -> Builder {
    match field.data_type() {
        DataType::Utf8 => Builder::Text(StringBuilder::new()),
        DataType::Boolean => Builder::Bool(BooleanBuilder::new()),
        DataType::Int32 => Builder::Integer(Int32Builder::new()),
        DataType::Int64 => Builder::BigInt(Int64Builder::new()),
        DataType::Timestamp(..) => {
            Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
        }
        DataType::Date32 => Builder::Date(Date32Builder::new()),
        DataType::Decimal128(..) => {
            Builder::Money(Decimal128Builder::new().with_data_type(Kind::Money.arrow()))
        }
        DataType::Float64 => Builder::Percent(Float64Builder::new()),
        DataType::List(element) => Builder::NameValues(
            ListBuilder::new(StructBuilder::from_fields(name_value_fields(), 0))
                .with_field(Arc::clone(element)),
        ),
        other => panic!("no contract uses {other}"),
    }
}

/// Days from 0001-01-01 (day 1) to 1970-01-01, Arrow's day zero.
const UNIX_EPOCH_DAYS_FROM_CE: i32 = 719_163;

#[cfg(test)]
mod tests {
    use super::super::{LAKE, USERS};
    use super::*;

    #[test]
    fn every_lake_schema_has_builders() {
        for table in LAKE {
            assert_eq!(Rows::new(table.lake_schema()).take_batch().num_rows(), 0);
        }
    }

    #[test]
    fn name_values_distinguish_null_from_empty() {
        let field = USERS.lake_schema().field_with_name("tracking_codes").unwrap().clone();
        let mut rows = Rows::new(Arc::new(arrow::datatypes::Schema::new(vec![field])));
        type Pairs<'a> = Option<std::vec::IntoIter<(Option<&'a str>, Option<&'a str>)>>;
        let cases: [Pairs<'_>; 3] =
            [None, Some(vec![].into_iter()), Some(vec![(Some("cost"), Some("7"))].into_iter())];
        for pairs in cases {
            rows.name_values(pairs).end();
        }
        let batch = rows.take_batch();
        let list = batch.column(0).as_any().downcast_ref::<arrow::array::ListArray>().unwrap();
        use arrow::array::Array;
        assert!(list.is_null(0) && !list.is_null(1));
        assert_eq!((list.value_length(1), list.value_length(2)), (0, 1));
    }
}
