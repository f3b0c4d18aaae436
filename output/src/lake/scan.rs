//! Reads rows of runs, batch by batch.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{and, kernels::cmp};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{EVENTS, Table};
use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::expressions::{Scalar, column_expr};
use delta_kernel::{DeltaResult, Engine, EngineData, Predicate, SnapshotRef};

use super::files::filtered;
use super::{Inner, Lake, version_of};
use crate::{Error, Result};

/// Rows of a scan, a few MB at a time; every batch has [`Batches::schema`].
pub struct Batches {
    table: &'static str,
    schema: SchemaRef,
    /// Columns that are read. `run_number` and `created_at` are added if the filter needs them.
    wanted: SchemaRef,
    keep: Keep,
    /// `None` when nothing was ever committed to the table.
    source: Option<Source>,
    /// Keeps the threads alive on which the source reads.
    _lake: Arc<Inner>,
}

/// The batches of the kernel, file by file.
type Source = Box<dyn Iterator<Item = DeltaResult<Box<dyn EngineData>>> + Send>;

/// The filter of rows. The kernel skips files by statistics and partitions; this filter then checks every row.
struct Keep {
    /// `None` keeps all.
    runs: Option<HashSet<i64>>,
    since: Option<DateTime<Utc>>,
}

impl Lake {
    /// Rows of these runs, with `columns` or with all columns of [`Table::lake_schema`]. For a snapshot table, callers request one run.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Bug`] for a column that the contract does not have; `Io`, `Corrupt`, `Newer` of the lake.
    pub fn scan(
        &self,
        table: &'static Table,
        runs: &[RunNumber],
        columns: Option<&[&str]>,
    ) -> Result<Batches> {
        let numbers: HashSet<i64> = runs.iter().map(|run| version_of(*run)).collect();
        let (Some(first), Some(last)) = (numbers.iter().min(), numbers.iter().max()) else {
            return self.read(table, columns, Keep { runs: Some(numbers), since: None }, None);
        };
        // The statistics of a file give the range of its runs. The rows are then filtered one by one.
        let range = Predicate::and(
            Predicate::ge(column_expr!("run_number"), Scalar::Long(*first)),
            Predicate::le(column_expr!("run_number"), Scalar::Long(*last)),
        );
        self.read(table, columns, Keep { runs: Some(numbers), since: None }, Some(range))
    }

    /// The id, time, type and user of the events of these runs that happened at `since` or later. A new window may contain these events a
    /// second time. Months before `since` are not opened.
    ///
    /// # Errors
    /// As [`Lake::scan`].
    pub fn events_since(&self, since: DateTime<Utc>, runs: &[RunNumber]) -> Result<Batches> {
        let month = since.date_naive().with_day(1).expect("every month has a first day");
        let days = arrow::datatypes::Date32Type::from_naive_date(month);
        // Statistics have a precision of milliseconds. With a tolerance of one second, no required file is skipped.
        let slack = (since - TimeDelta::seconds(1)).timestamp_micros();
        let recent = Predicate::and(
            Predicate::ge(column_expr!("event_month"), Scalar::Date(days)),
            Predicate::ge(column_expr!("created_at"), Scalar::Timestamp(slack)),
        );
        let runs = runs.iter().map(|run| version_of(*run)).collect();
        self.read(
            &EVENTS,
            Some(&["event_id", "created_at", "event_type", "user_id"]),
            Keep { runs: Some(runs), since: Some(since) },
            Some(recent),
        )
    }

    /// Rows of every run, current or not.
    ///
    /// # Errors
    /// As [`Lake::scan`].
    pub fn scan_all(&self, table: &'static Table) -> Result<Batches> {
        self.read(table, None, Keep { runs: None, since: None }, None)
    }

    /// The rows of every run in this snapshot of a table.
    pub(super) fn scan_snapshot(&self, table: &'static Table, snapshot: &SnapshotRef) -> Result<Batches> {
        let keep = Keep { runs: None, since: None };
        self.read_snapshot(table, Some(Arc::clone(snapshot)), None, keep, None)
    }

    fn read(
        &self,
        table: &'static Table,
        columns: Option<&[&str]>,
        keep: Keep,
        skip: Option<Predicate>,
    ) -> Result<Batches> {
        self.read_snapshot(table, self.inner.snapshot(table)?, columns, keep, skip)
    }

    /// `snapshot` is `None` for a table that does not exist.
    fn read_snapshot(
        &self,
        table: &'static Table,
        snapshot: Option<SnapshotRef>,
        columns: Option<&[&str]>,
        keep: Keep,
        skip: Option<Predicate>,
    ) -> Result<Batches> {
        let whole = table.lake_schema();
        let schema = match columns {
            None => Arc::clone(&whole),
            Some(names) => projected(table, &whole, names.iter().copied())?,
        };
        let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        for (name, needed) in [("run_number", keep.runs.is_some()), ("created_at", keep.since.is_some())] {
            if needed && !names.contains(&name) {
                names.push(name);
            }
        }
        let wanted = projected(table, &whole, names.into_iter())?;
        let source = match snapshot {
            Some(snapshot) if keep.runs.as_ref().is_none_or(|runs| !runs.is_empty()) => {
                let engine: Arc<dyn Engine> = Arc::clone(&self.inner.engine) as Arc<dyn Engine>;
                Some(source(snapshot, &wanted, skip, engine).map_err(Error::table("read", table.name))?)
            }
            _ => None,
        };
        Ok(Batches { table: table.name, schema, wanted, keep, source, _lake: Arc::clone(&self.inner) })
    }
}

impl Batches {
    /// Schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn shape(&self, data: Box<dyn EngineData>) -> Result<RecordBatch> {
        let raw = ArrowEngineData::try_from_engine_data(data).map_err(Error::table("read", self.table))?;
        let batch = in_contract(raw.record_batch(), &self.wanted).map_err(|reason| self.corrupt(reason))?;
        let batch = match self.keep.mask(&batch)? {
            Some(mask) if mask.true_count() < batch.num_rows() => filtered(&batch, &mask)?,
            _ => batch,
        };
        in_contract(&batch, &self.schema).map_err(|reason| self.corrupt(reason))
    }

    fn corrupt(&self, reason: String) -> Error {
        Error::Corrupt { what: format!("the lake's table {}", self.table), reason }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.source.as_mut()?.next();
            let shaped = match next {
                None => {
                    self.source = None;
                    return None;
                }
                Some(Ok(data)) => self.shape(data),
                Some(Err(error)) => Err(Error::table("read", self.table)(error)),
            };
            match shaped {
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => return Some(Ok(batch)),
                Err(error) => {
                    self.source = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("table", &self.table)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Keep {
    /// The mask of the rows that pass; `None` when all rows pass.
    fn mask(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let column =
            |name: &str| batch.column_by_name(name).ok_or_else(|| Error::Bug(format!("{name} was not read")));
        let of_runs = match &self.runs {
            None => None,
            Some(runs) => {
                let numbers = column("run_number")?.as_primitive::<Int64Type>();
                Some(BooleanArray::from_iter(
                    numbers.values().iter().map(|number| Some(runs.contains(number))),
                ))
            }
        };
        let recent = match self.since {
            None => None,
            Some(since) => {
                let since =
                    TimestampMicrosecondArray::from_value(since.timestamp_micros(), 1).with_timezone("UTC");
                Some(
                    cmp::gt_eq(column("created_at")?, &arrow::array::Scalar::new(since))
                        .map_err(|e| Error::Bug(e.to_string()))?,
                )
            }
        };
        Ok(match (of_runs, recent) {
            (Some(left), Some(right)) => Some(and(&left, &right).map_err(|e| Error::Bug(e.to_string()))?),
            (left, right) => left.or(right),
        })
    }
}

fn source(
    snapshot: SnapshotRef,
    wanted: &Schema,
    skip: Option<Predicate>,
    engine: Arc<dyn Engine>,
) -> DeltaResult<Source> {
    let schema = snapshot.schema();
    let names: Vec<&str> =
        wanted.fields().iter().map(|f| f.name().as_str()).filter(|name| schema.contains(name)).collect();
    let scan = snapshot
        .scan_builder()
        .with_schema(schema.project(&names)?)
        .with_predicate(skip.map(Arc::new))
        .build()?;
    Ok(Box::new(scan.execute(engine)?))
}

fn projected<'a>(table: &Table, whole: &Schema, names: impl Iterator<Item = &'a str>) -> Result<SchemaRef> {
    let fields = names.map(|name| {
        whole
            .field_with_name(name)
            .cloned()
            .map_err(|_| Error::Bug(format!("{} has no column {name}", table.name)))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
}

/// The columns of `schema` in its order. A column that the table does not have yet is NULL.
pub(super) fn in_contract(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let column = |name: &str, kind| -> ArrayRef {
        batch.column_by_name(name).map_or_else(|| new_null_array(kind, batch.num_rows()), Arc::clone)
    };
    let columns = schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| e.to_string())
}
