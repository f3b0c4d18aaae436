//! Writes the data files of one commit: one Parquet file per partition. Rows are streamed. Each file is on disk before a commit names it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, StructArray};
use arrow::compute::{filter_record_batch, kernels::cmp};
use arrow::datatypes::{Date32Type, Int64Type, SchemaRef};
use boxseat_schemas::RunNumber;
use boxseat_schemas::table::Table;
use delta_kernel::expressions::Scalar;
use delta_kernel::transaction::{BoundWriteContext, WriteState};
use delta_kernel::{EngineData, FileMeta};
use delta_kernel_default_engine::build_add_file_metadata;
use delta_kernel_default_engine::parquet::DataFileMetadata;
use delta_kernel_default_engine::stats::FileStatsAccumulator;
use object_store::ObjectStoreExt as _;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::ParquetObjectWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use url::Url;
use uuid::Uuid;

use super::{Inner, store_path, version_of};
use crate::{Error, Result};

/// The open files of a commit in progress.
pub(super) struct DataFiles<'a> {
    lake: &'a Inner,
    table: &'static Table,
    author: Author,
    /// The table's requirements for a writer.
    state: Arc<WriteState>,
    schema: SchemaRef,
    /// By partition date, in days since 1970. An unpartitioned table has one file, with the key `None`.
    open: BTreeMap<Option<i32>, OpenFile>,
    rows: u64,
}

/// The operation that writes the files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Author {
    /// A run, with its own rows.
    Run(RunNumber),
    /// The action journal up to an entry, with rows of the snapshots from which its plans were made.
    Journal(u64),
    /// Retention or a rebuild, with rows of many runs.
    Merger,
    /// A rewrite, with rows of the file that it replaces.
    Eraser,
}

/// Files that are on disk and not named by a commit yet.
pub(super) struct Written {
    pub(super) rows: u64,
    files: Vec<DataFile>,
}

struct DataFile {
    meta: FileMeta,
    statistics: StructArray,
    context: BoundWriteContext,
}

impl<'a> DataFiles<'a> {
    pub(super) fn new(
        lake: &'a Inner,
        table: &'static Table,
        author: Author,
        state: Arc<WriteState>,
    ) -> Self {
        Self { lake, table, author, state, schema: table.lake_schema(), open: BTreeMap::new(), rows: 0 }
    }

    /// Adds rows to the files of their partitions.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.schema().fields() != self.schema.fields() {
            return Err(Error::Bug(format!(
                "rows for {} have another schema than the table: {:?}",
                self.table.name,
                batch.schema()
            )));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if let Author::Run(run) = self.author {
            self.refuse_rows_of_other_runs(run, batch)?;
        }
        let Some(partition) = self.table.partition() else { return self.write_part(None, batch.clone()) };
        let index = batch.schema().index_of(partition).map_err(|e| Error::Bug(e.to_string()))?;
        let days = batch.column(index).as_primitive::<Date32Type>().clone();
        let mut data = batch.clone();
        data.remove_column(index);
        let mut values = days.values().to_vec();
        values.sort_unstable();
        values.dedup();
        match values[..] {
            [only] => self.write_part(Some(only), data),
            _ => values.into_iter().try_for_each(|day| {
                let mask = cmp::eq(&days, &arrow::array::Date32Array::new_scalar(day))
                    .map_err(|e| Error::Bug(e.to_string()))?;
                self.write_part(Some(day), filtered(&data, &mask)?)
            }),
        }
    }

    /// Finishes every file. No commit names the files yet.
    pub(super) fn close(self) -> Result<Written> {
        let Self { lake, table, open, rows, .. } = self;
        let mut files: Vec<DataFile> = Vec::new();
        for file in open.into_values() {
            match file.close(lake, table) {
                Ok(file) => files.push(file),
                Err(error) => {
                    // No commit names these files. Without the removal, every retry of the run on a full disk would leave more of them.
                    files.iter().for_each(|file| file.remove(lake));
                    return Err(error);
                }
            }
        }
        Ok(Written { rows, files })
    }

    /// Adds rows to the file of a partition. The rows do not have the partition column.
    pub(super) fn write_part(&mut self, day: Option<i32>, data: RecordBatch) -> Result<()> {
        self.rows += data.num_rows() as u64;
        if !self.open.contains_key(&day) {
            let file = self.create(day, data.schema())?;
            self.open.insert(day, file);
        }
        let file = self.open.get_mut(&day).expect("just inserted");
        file.write(self.lake, self.table, data)
    }

    fn create(&self, day: Option<i32>, schema: SchemaRef) -> Result<OpenFile> {
        let failed = || Error::table("prepare a file of", self.table.name);
        let mut builder = self.state.write_context_builder();
        if let (Some(name), Some(day)) = (self.table.partition(), day) {
            builder = builder.with_partition_values(HashMap::from([(name.to_owned(), Scalar::Date(day))]));
        }
        let context = builder.build().map_err(failed())?;
        // The name shows which operation wrote the file, even if no commit names it.
        let name = match self.author {
            Author::Run(run) => format!("run-{:06}-{}.parquet", version_of(run), Uuid::new_v4()),
            Author::Journal(sequence) => format!("actions-{sequence:06}-{}.parquet", Uuid::new_v4()),
            Author::Merger => format!("merged-{}.parquet", Uuid::new_v4()),
            Author::Eraser => format!("rewritten-{}.parquet", Uuid::new_v4()),
        };
        let location = context.write_dir().join(&name).map_err(|e| Error::Bug(e.to_string()))?;
        let sink = ParquetObjectWriter::new(Arc::clone(&self.lake.store), store_path(&location)?);
        let writer =
            AsyncArrowWriter::try_new(sink, schema, Some(properties())).map_err(|e| failed()(e.into()))?;
        let statistics = FileStatsAccumulator::new(context.stats_columns(), context.physical_data_schema());
        Ok(OpenFile { location, writer: Some(writer), statistics, context })
    }

    /// Idempotence requires that a commit holds the rows of one run.
    fn refuse_rows_of_other_runs(&self, run: RunNumber, batch: &RecordBatch) -> Result<()> {
        let numbers = batch.column_by_name("run_number").map(|column| column.as_primitive::<Int64Type>());
        if numbers.is_some_and(|numbers| {
            numbers.null_count() == 0 && numbers.values().iter().all(|n| *n == version_of(run))
        }) {
            return Ok(());
        }
        Err(Error::Bug(format!("rows for {} of run {} carry another run_number", self.table.name, run)))
    }
}

impl Written {
    /// Combines the files of several writers for one commit.
    pub(super) fn together(all: Vec<Self>) -> Self {
        let rows = all.iter().map(|written| written.rows).sum();
        Self { rows, files: all.into_iter().flat_map(|written| written.files).collect() }
    }

    /// The `add` actions of a transaction.
    pub(super) fn actions(&self, table: &Table) -> Result<Vec<Box<dyn EngineData>>> {
        let action = |file: &DataFile| {
            let metadata = DataFileMetadata::new(file.meta.clone(), file.statistics.clone());
            build_add_file_metadata(metadata, &file.context)
                .map_err(Error::table("name a file of", table.name))
        };
        self.files.iter().map(action).collect()
    }
}

impl DataFile {
    /// Removes a file that no commit names. If this fails, retention removes the file later.
    fn remove(&self, lake: &Inner) {
        let Ok(path) = store_path(&self.meta.location) else { return };
        let store = Arc::clone(&lake.store);
        if let Err(e) = lake.wait(async move { store.delete(&path).await }) {
            tracing::debug!(file = %self.meta.location, "an unused file stays: {e}");
        }
    }
}

struct OpenFile {
    location: Url,
    /// `None` after a failed write.
    writer: Option<AsyncArrowWriter<ParquetObjectWriter>>,
    statistics: FileStatsAccumulator,
    context: BoundWriteContext,
}

impl OpenFile {
    fn write(&mut self, lake: &Inner, table: &Table, data: RecordBatch) -> Result<()> {
        self.statistics.merge(&data).map_err(Error::table("count rows of", table.name))?;
        let mut writer = self
            .writer
            .take()
            .ok_or_else(|| Error::Bug(format!("{} is written after an error", self.location)))?;
        let (writer, outcome) = lake.wait(async move {
            let outcome = writer.write(&data).await;
            (writer, outcome)
        });
        outcome.map_err(|e| Error::table("write a file of", table.name)(e.into()))?;
        self.writer = Some(writer);
        Ok(())
    }

    fn close(self, lake: &Inner, table: &Table) -> Result<DataFile> {
        let Self { location, writer, statistics, context } = self;
        let writer = writer.ok_or_else(|| Error::Bug(format!("{location} is closed after an error")))?;
        let (store, path) = (Arc::clone(&lake.store), store_path(&location)?);
        let there = lake.wait(async move {
            writer.close().await?;
            Ok(store.head(&path).await?)
        });
        let there = there.map_err(Error::table("write a file of", table.name))?;
        let statistics = statistics.finish().map_err(Error::table("count rows of", table.name))?;
        let statistics = statistics.ok_or_else(|| Error::Bug(format!("{location} has no rows")))?;
        let meta = FileMeta::new(location, there.last_modified.timestamp_millis(), there.size);
        Ok(DataFile { meta, statistics, context })
    }
}

pub(super) fn filtered(batch: &RecordBatch, mask: &BooleanArray) -> Result<RecordBatch> {
    filter_record_batch(batch, mask).map_err(|e| Error::Bug(format!("a filter does not fit its batch: {e}")))
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("3 is a level of zstd")))
        .set_max_row_group_row_count(Some(ROWS_PER_ROW_GROUP))
        .set_created_by(super::table::ENGINE.to_owned())
        .build()
}

/// A writer holds one row group per open file in memory. DuckDB's own row groups have 122,880 rows.
const ROWS_PER_ROW_GROUP: usize = 131_072;
