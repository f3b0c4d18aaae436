//! Reads rows of the lake back from a published file, to rebuild a table that was lost.

use arrow::array::RecordBatch;
use arrow::compute::cast;
use boxseat_schemas::RunNumber;
use boxseat_schemas::event_types::LOGIN;
use boxseat_schemas::table::{ADMIN_EVENTS, EVENTS, LOGIN_EVENTS, RUN_NUMBER, Table};
use chrono::NaiveDate;

use super::ddl::{identifier, literal};
use crate::lake::Lake;
use crate::query::CheckedReader;
use crate::{Error, Result};

/// A published file and the snapshot that it shows.
#[derive(Clone, Copy)]
pub struct Salvage<'a> {
    /// The file, open since it was compared.
    pub file: &'a CheckedReader,
    /// The run of its snapshot.
    pub run_number: RunNumber,
    /// The date of the snapshot.
    pub snapshot_date: NaiveDate,
    /// The store's enterprise.
    pub enterprise_id: &'a str,
}

impl Salvage<'_> {
    /// Rebuilds a table of the lake from the file and returns its number of rows. Rows whose run the file does not contain are assigned to
    /// the snapshot's run.
    ///
    /// # Errors
    /// As [`Lake::rebuild`]; `Io` and `Input` of the file.
    pub fn rebuild(&self, lake: &Lake, table: &'static Table) -> Result<u64> {
        let schema = table.lake_schema();
        self.file.stream(&self.sql(table), |_, batches| {
            let mut rows = batches.map(|batch| {
                let batch = batch?;
                let columns = batch.columns().iter().zip(schema.fields());
                let columns = columns.map(|(column, field)| cast(column, field.data_type()));
                columns
                    .collect::<std::result::Result<Vec<_>, _>>()
                    .and_then(|columns| RecordBatch::try_new(schema.clone(), columns))
                    .map_err(|e| Error::Bug(format!("rows of {} in the published file: {e}", table.name)))
            });
            lake.rebuild(table, self.run_number, &mut rows)
        })
    }

    /// The columns of the lake, in its order.
    fn sql(&self, table: &'static Table) -> String {
        let from = |source: &Table| {
            let columns: Vec<String> = table
                .lake_schema()
                .fields()
                .iter()
                .map(|field| self.column(table, source, field.name()))
                .collect();
            format!("SELECT {} FROM {} AS t", columns.join(", "), identifier(source.name))
        };
        if table.name == EVENTS.name {
            format!("{} UNION ALL {}", from(&LOGIN_EVENTS), from(&ADMIN_EVENTS))
        } else {
            from(table)
        }
    }

    fn column(&self, table: &Table, source: &Table, name: &str) -> String {
        let there = source.kept().find(|column| column.lake_name == name);
        let is_login = source.name == LOGIN_EVENTS.name;
        let value = match (name, there) {
            // `run_calls` and `run_rows` contain the id of the run. A command that is not a run is assigned to the snapshot's run.
            (run, None) if run == RUN_NUMBER.name && source.kept().any(|column| column.name == "run_id") => {
                format!(
                    "coalesce((SELECT r.run_number FROM sync_runs AS r WHERE r.run_id = t.run_id), {})",
                    self.run_number
                )
            }
            (_, Some(column)) => format!("t.{}", identifier(column.name)),
            (run, None) if run == RUN_NUMBER.name => self.run_number.to_string(),
            ("enterprise_id", None) => literal(self.enterprise_id),
            ("event_month", None) => {
                "CAST(date_trunc('month', make_timestamp(epoch_us(t.created_at))) AS DATE)".to_owned()
            }
            ("event_type", None) if is_login => literal(LOGIN),
            ("source_type", None) if is_login => "CASE WHEN t.user_id IS NOT NULL THEN 'user' END".to_owned(),
            ("source_id", None) if is_login => "t.user_id".to_owned(),
            (partition, None) if Some(partition) == table.partition() => {
                format!("DATE {}", literal(&self.snapshot_date.to_string()))
            }
            (_, None) => "NULL".to_owned(),
        };
        format!("{value} AS {}", identifier(name))
    }
}
