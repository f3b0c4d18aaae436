//! The data files that a table's log names, and the log's data about each of them.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use arrow::array::{Array as _, AsArray as _, RecordBatch, StructArray, new_null_array};
use arrow::datatypes::{Date32Type, Int64Type};
use boxseat_schemas::table::Table;
use chrono::NaiveDate;
use delta_kernel::engine::arrow_data::{ArrowEngineData, EngineDataArrowExt as _};
use delta_kernel::{EngineData, FilteredEngineData, SnapshotRef};
use url::Url;

use super::Inner;
use crate::{Error, Result};

/// A data file that the log names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActiveFile {
    /// The path relative to the table's root, as it is in the log.
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) modified_ms: i64,
    pub(super) rows: u64,
    /// The first and the last run with rows in the file. A merged file may have no rows of some runs in between.
    pub(super) runs: RangeInclusive<i64>,
    /// The date of its partition, in days since 1970; `None` in a table without partitions.
    pub(super) day: Option<i32>,
}

/// All files of a table, with the kernel's rows about them. A removal passes these rows back to the kernel, without their statistics.
pub(super) struct ActiveFiles {
    lists: Vec<List>,
}

struct List {
    data: Box<dyn EngineData>,
    /// One entry per row of `data`; `None` if the log has removed the file.
    files: Vec<Option<ActiveFile>>,
}

impl ActiveFile {
    /// The URL of the file.
    pub(super) fn location(&self, root: &Url) -> Result<Url> {
        root.join(&self.path).map_err(|e| Error::Bug(format!("{:?} is not a path: {e}", self.path)))
    }
}

impl ActiveFiles {
    pub(super) fn of(lake: &Inner, table: &'static Table, snapshot: &SnapshotRef) -> Result<Self> {
        let failed = || Error::table("list the files of", table.name);
        let scan = snapshot.clone().scan_builder().build().map_err(failed())?;
        let mut lists = Vec::new();
        for metadata in scan.scan_metadata(lake.engine()).map_err(failed())? {
            let (data, selected) = metadata.map_err(failed())?.scan_files.into_parts();
            let batch = data.try_into_record_batch().map_err(failed())?;
            let is_selected = |row: usize| selected.get(row).copied().unwrap_or(true);
            let files = (0..batch.num_rows())
                .map(|row| is_selected(row).then(|| file(table, &batch, row)).transpose())
                .collect::<Result<Vec<_>, String>>()
                .map_err(|reason| Error::Corrupt {
                    what: format!("the log of the lake's table {}", table.name),
                    reason,
                })?;
            lists.push(List { data: Box::new(ArrowEngineData::new(without_statistics(batch))), files });
        }
        Ok(Self { lists })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ActiveFile> {
        self.lists.iter().flat_map(|list| list.files.iter().flatten())
    }

    /// The input of a transaction that removes the files for which `is_removed` is true, and the number of these files.
    pub(super) fn removal(
        self,
        is_removed: impl Fn(&ActiveFile) -> bool,
    ) -> Result<(Vec<FilteredEngineData>, u64)> {
        let mut removed = 0;
        let mut lists = Vec::new();
        for List { data, files } in self.lists {
            let selected: Vec<bool> =
                files.iter().map(|file| file.as_ref().is_some_and(&is_removed)).collect();
            let count = selected.iter().filter(|is| **is).count();
            if count > 0 {
                removed += count as u64;
                let list = FilteredEngineData::try_new(data, selected);
                lists.push(list.map_err(|e| Error::Bug(format!("a selection does not fit its files: {e}")))?);
            }
        }
        Ok((lists, removed))
    }
}

/// Removes the statistics from the rows that are passed back to remove a file. Statistics contain the smallest and largest key of the file,
/// and the log keeps removals for a week. After an erasure the log would still name users.
fn without_statistics(batch: RecordBatch) -> RecordBatch {
    let Ok(index) = batch.schema().index_of("stats") else { return batch };
    let mut columns = batch.columns().to_vec();
    columns[index] = new_null_array(columns[index].data_type(), batch.num_rows());
    RecordBatch::try_new(batch.schema(), columns).unwrap_or(batch)
}

/// Reads one row of the log. An error names the missing value.
fn file(table: &Table, batch: &RecordBatch, row: usize) -> Result<ActiveFile, String> {
    let text = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
    };
    let number = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
    };
    let path = text("path").ok_or("a file has no path")?.to_owned();
    let lacks = |what: &str| format!("{path} has no {what}");
    let statistics: Statistics = text("stats")
        .and_then(|stats| serde_json::from_str(stats).ok())
        .ok_or_else(|| lacks("statistics"))?;
    let day = match table.partition() {
        None => None,
        Some(name) => {
            let value = partition_value(batch, row, name).ok_or_else(|| lacks(name))?;
            let date: NaiveDate = value.parse().map_err(|_| format!("{path} has {name} {value:?}"))?;
            Some(Date32Type::from_naive_date(date))
        }
    };
    Ok(ActiveFile {
        size_bytes: number("size").and_then(|size| u64::try_from(size).ok()).ok_or_else(|| lacks("size"))?,
        modified_ms: number("modificationTime").unwrap_or_default(),
        rows: statistics.num_records,
        runs: statistics.min_values.run_number..=statistics.max_values.run_number,
        day,
        path,
    })
}

fn partition_value(batch: &RecordBatch, row: usize, name: &str) -> Option<String> {
    let constants: &StructArray = batch.column_by_name("fileConstantValues")?.as_struct_opt()?;
    let values = constants.column_by_name("partitionValues")?.as_map_opt()?;
    let entries = values.is_valid(row).then(|| values.value(row))?;
    let (keys, values) =
        (entries.column(0).as_string_opt::<i32>()?, entries.column(1).as_string_opt::<i32>()?);
    let pairs: HashMap<&str, &str> =
        keys.iter().zip(values.iter()).filter_map(|(key, value)| Some((key?, value?))).collect();
    pairs.get(name).map(|value| (*value).to_owned())
}

/// The statistics that [`super::table`] requests from writers. Other programs that compact the table also write them.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    num_records: u64,
    min_values: Bound,
    max_values: Bound,
}

#[derive(serde::Deserialize)]
struct Bound {
    run_number: i64,
}
