//! Rows of the lake, read back from a published file: what a table that was lost is made of again.

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

/// A published file and the night it shows.
#[derive(Clone, Copy)]
pub struct Salvage<'a> {
    /// The file, open since it was compared.
    pub file: &'a CheckedReader,
    /// The run of its night.
    pub run_number: RunNumber,
    /// The night's date.
    pub snapshot_date: NaiveDate,
    /// The store's enterprise.
    pub enterprise_id: &'a str,
}

impl Salvage<'_> {
    /// Makes a table of the lake from the file; gives how many rows it has. Rows whose run the file does not tell count as the
    /// night's.
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
            // In `run_calls` and `run_rows` the run has its id; a command that is no run counts with the night.
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
