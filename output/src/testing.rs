//! Rows and runs that are written by hand.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{RESERVATION_FORMAT, Reservation, RunKind, RunStatus, SyncRun};
use boxseat_schemas::table::{Layout, Rows, Table};
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

pub(crate) const ENTERPRISE: &str = "900";

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A run that started at 02:00 UTC of a day.
pub(crate) fn reservation(number: u64, date: &str) -> Reservation {
    let started_at = at(&format!("{date}T02:00:00Z"));
    Reservation {
        format: RESERVATION_FORMAT,
        run_number: RunNumber(number),
        run_id: Uuid::from_u128(u128::from(number)),
        kind: RunKind::Sync,
        started_at,
        snapshot_date: day(date),
        window_from_at: started_at - chrono::TimeDelta::days(183),
        window_to_at: started_at - chrono::TimeDelta::minutes(15),
        event_types: boxseat_schemas::event_types::all(),
        event_slices: 1,
        activity: None,
        base_run_number: None,
        replaces_run_number: None,
        store_id: Uuid::from_u128(7),
        record: None,
        host: "host".into(),
        version: "0.1.0".into(),
    }
}

pub(crate) fn run(number: u64, date: &str, status: RunStatus) -> SyncRun {
    SyncRun::ended(&reservation(number, date), status, at(&format!("{date}T03:00:00Z")))
}

/// Rows of a lake table from JSON objects. A missing value is NULL, or a harmless value if NULL is not allowed.
pub(crate) fn rows(table: &Table, run: &SyncRun, objects: &[Value]) -> RecordBatch {
    let schema = table.lake_schema();
    let mut rows = Rows::new(schema.clone());
    for object in objects {
        for field in schema.fields() {
            let value = object
                .get(field.name())
                .cloned()
                .unwrap_or_else(|| default(table, run, field.name(), object));
            let missing = value.is_null() && !field.is_nullable();
            match field.data_type() {
                DataType::Utf8 => rows.text(value.as_str().or(missing.then_some("x"))),
                DataType::Boolean => rows.flag(value.as_bool().or(missing.then_some(false))),
                DataType::Int32 => rows.integer(value.as_i64().map(|n| n as i32).or(missing.then_some(0))),
                DataType::Int64 => rows.big(value.as_i64().or(missing.then_some(0))),
                DataType::Timestamp(..) => {
                    rows.time(value.as_str().map(at).or(missing.then_some(run.started_at)))
                }
                DataType::Date32 => {
                    rows.date(value.as_str().map(day).or(missing.then_some(run.snapshot_date)))
                }
                DataType::List(_) => {
                    let pairs = value
                        .as_object()
                        .map(|map| map.iter().map(|(name, v)| (Some(name.as_str()), v.as_str())));
                    rows.name_values(pairs)
                }
                other => panic!("no test writes {other}"),
            };
        }
        rows.end();
    }
    rows.take_batch()
}

fn default(table: &Table, run: &SyncRun, name: &str, object: &Value) -> Value {
    match name {
        "enterprise_id" => ENTERPRISE.into(),
        "run_number" => run.run_number.as_i64().into(),
        "snapshot_date" => run.snapshot_date.to_string().into(),
        "event_month" if table.layout == Layout::Events => {
            let created = at(object["created_at"].as_str().unwrap());
            created.date_naive().with_day(1).unwrap().to_string().into()
        }
        _ => Value::Null,
    }
}

/// The input of [`crate::lake::Lake::commit`].
pub(crate) fn once(batch: RecordBatch) -> std::iter::Once<Result<RecordBatch, std::convert::Infallible>> {
    std::iter::once(Ok(batch))
}
