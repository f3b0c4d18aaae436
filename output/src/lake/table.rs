//! A table contract as a Delta table. The table is created when it is missing, and gets new columns when the contract has more.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use boxseat_schemas::table::Table;
use boxseat_storage::durable;
use delta_kernel::SnapshotRef;
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_conversion::{TryFromArrow as _, TryIntoArrow as _};
use delta_kernel::schema::{StructField, StructType};
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;

use super::Inner;
use crate::{Error, Result};

impl Inner {
    /// The table as it is now. It is created when it is missing, and has every column of the contract.
    ///
    /// Creating or widening is a separate commit without a transaction id. If a run is killed after this commit, it has written no rows.
    /// Its next attempt finds an empty table or the new columns.
    pub(super) fn writable(&self, table: &'static Table) -> Result<SnapshotRef> {
        let snapshot = match self.snapshot(table)? {
            Some(snapshot) => snapshot,
            None => self.create(table)?,
        };
        self.widen(table, snapshot)
    }

    fn create(&self, table: &Table) -> Result<SnapshotRef> {
        let root = self.table_root(table)?;
        // The directory gets the mode and group of the lake. A directory that the first put creates would not have them.
        let directory = self.directory.join(table.name);
        durable::create_directories(&directory, self.ownership).map_err(Error::io("create", &directory))?;
        let schema =
            StructType::try_from_arrow(&commented_schema(table)).map_err(|e| Error::Bug(e.to_string()))?;
        let mut builder = create_table(root.as_str(), Arc::new(schema), ENGINE).with_table_properties([(
            "delta.dataSkippingStatsColumns",
            columns_with_statistics(table).join(","),
        )]);
        if let Some(partition) = table.partition() {
            builder = builder.with_data_layout(DataLayout::partitioned([partition]));
        }
        let outcome =
            builder.build(self.engine(), committer()).and_then(|creation| creation.commit(self.engine()));
        // The log shows whether the table exists, not `outcome`: another process may have created the table at the same time.
        match (self.snapshot(table)?, outcome) {
            (Some(snapshot), _) => Ok(snapshot),
            (None, Err(error)) => Err(Error::table("create", table.name)(error)),
            (None, Ok(result)) => {
                Err(Error::Bug(format!("{} was created and is not there: {result:?}", table.name)))
            }
        }
    }

    pub(super) fn widen(&self, table: &'static Table, snapshot: SnapshotRef) -> Result<SnapshotRef> {
        let there: Schema =
            snapshot.schema().as_ref().try_into_arrow().map_err(|e| Error::Bug(e.to_string()))?;
        let mut missing = Vec::new();
        for field in commented_schema(table).fields() {
            match there.field_with_name(field.name()) {
                Ok(known) if same_type(known.data_type(), field.data_type()) => {}
                Ok(known) => {
                    let reason = format!(
                        "column {} is {}, not {}",
                        field.name(),
                        known.data_type(),
                        field.data_type()
                    );
                    return Err(Error::Corrupt { what: format!("the lake's table {}", table.name), reason });
                }
                Err(_) if field.is_nullable() => missing.push(field.as_ref().clone()),
                Err(_) => {
                    return Err(Error::Bug(format!("{}.{} was added NOT NULL", table.name, field.name())));
                }
            }
        }
        let fields = missing.iter().map(StructField::try_from_arrow).collect::<Result<Vec<_>, _>>();
        let mut fields = fields.map_err(|e| Error::Bug(e.to_string()))?.into_iter();
        let Some(first) = fields.next() else { return Ok(snapshot) };
        let alteration =
            fields.fold(snapshot.alter_table().add_column(first), |builder, field| builder.add_column(field));
        let altered =
            alteration.build(self.engine(), committer()).and_then(|change| change.commit(self.engine()));
        let fresh = self.snapshot(table)?.ok_or_else(|| Error::Bug(format!("{} vanished", table.name)))?;
        match altered {
            // Another process may have added the columns at the same time.
            _ if missing.iter().all(|field| fresh.schema().contains(field.name())) => Ok(fresh),
            Err(error) => Err(Error::table("widen", table.name)(error)),
            Ok(result) => Err(Error::Bug(format!("{} was widened and is not: {result:?}", table.name))),
        }
    }
}

/// Commits to a file system by creating `<version>.json` only if absent.
pub(super) fn committer() -> Box<FileSystemCommitter> {
    Box::new(FileSystemCommitter::new())
}

/// The writer's name in the commits of Delta's log.
pub(super) const ENGINE: &str = concat!("boxseat/", env!("CARGO_PKG_VERSION"));

/// The lake's schema. Each field has its comment in the metadata key `comment`, as Delta defines it.
fn commented_schema(table: &Table) -> Schema {
    let comments: HashMap<&str, &str> =
        table.columns.iter().map(|column| (column.lake_name, column.comment)).collect();
    let schema = table.lake_schema();
    let fields = schema.fields().iter().map(|field| {
        let comment =
            comments.get(field.name().as_str()).map(|text| ("comment".to_owned(), (*text).to_owned()));
        field.as_ref().clone().with_metadata(comment.into_iter().collect())
    });
    Schema::new(fields.collect::<Vec<Field>>())
}

/// Statistics only help for columns by which readers skip files: the run, the key and points in time.
///
/// Delta's default, the first 32 columns, would exclude `users.run_number`, and would copy names and addresses into the log.
fn columns_with_statistics(table: &Table) -> Vec<String> {
    let wanted = |field: &&Arc<Field>| {
        let name = field.name().as_str();
        Some(name) != table.partition()
            && (name == "run_number"
                || table.key.contains(&name)
                || matches!(field.data_type(), DataType::Timestamp(..) | DataType::Date32))
    };
    table.lake_schema().fields().iter().filter(wanted).map(|field| field.name().clone()).collect()
}

/// Whether two types are equal, except for names, nullability and metadata of list and struct children, which Delta writes in its own form.
fn same_type(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::List(a), DataType::List(b)) => same_type(a.data_type(), b.data_type()),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.name() == b.name() && same_type(a.data_type(), b.data_type()))
        }
        _ => left == right,
    }
}
