//! Table contracts: one description per table. The lake's Arrow schema, the warehouse's DDL, every comment and the data dictionary are
//! derived from it.
//!
//! Column rules: `_at` TIMESTAMPTZ in UTC, `_date` DATE, `_days` INTEGER, `_count` and `_bytes` BIGINT, money DECIMAL(18,4) next to a
//! `currency`, ids and JSON VARCHAR, keys NOT NULL.

mod computed;
mod events;
mod evidence;
mod history;
mod rows;
mod runs;
mod seats;
mod snapshot;
mod views;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

pub use computed::{ACCOUNTS, API_USAGE_MONTHLY, LICENCE_SUMMARY, REPORT_SETTINGS};
pub use events::{ADMIN_EVENTS, EVENT_COVERAGE, EVENTS, LOGIN_EVENTS};
pub use evidence::{ACTIVITY_DAILY, IMPORTED_EVIDENCE, LEAVE_PERIODS};
pub use history::{USER_CHANGES, USERS_HISTORY, tracked};
pub use rows::Rows;
pub use runs::{DATA_CHECKS, REJECTS, RUN_CALLS, RUN_ROWS, SYNC_RUNS};
pub use seats::{LICENCE_TERMS, RECLAIM_CANDIDATES, SEAT_ACTIONS, SEAT_USAGE_DAILY};
pub use snapshot::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, USERS};
pub use views::{
    ACCESS_REVIEW, ACCOUNT_TRACKING_CODES, DORMANT_ADMINS, GROUP_HEALTH, IDLE_ACCOUNTS, RECLAIMABLE_SEATS,
    SUSPENDED_SEATS,
};

/// Tables of the lake, in the order in which a run commits them. The tables from [`USERS_HISTORY`] to [`RUN_ROWS`] need a build of the
/// tables before them. No run commits [`SEAT_ACTIONS`]. A table does not exist until a run has rows for it. Until then it is read as empty.
pub const LAKE: &[&Table] = &[
    &USERS,
    &GROUPS,
    &MEMBERSHIPS,
    &EMAIL_ALIASES,
    &EVENTS,
    &EVENT_COVERAGE,
    &ACTIVITY_DAILY,
    &IMPORTED_EVIDENCE,
    &LEAVE_PERIODS,
    &RUN_CALLS,
    &REJECTS,
    &USERS_HISTORY,
    &USER_CHANGES,
    &SEAT_USAGE_DAILY,
    &RUN_ROWS,
    &SYNC_RUNS,
    &SEAT_ACTIONS,
];

/// Tables and views of the DuckDB file, in the order in which they are built. The order matters: a run's row in [`SYNC_RUNS`] counts rows
/// of [`USER_CHANGES`], and [`SEAT_USAGE_DAILY`] counts rows of [`ACCOUNTS`].
pub const WAREHOUSE: &[&Table] = &[
    &REPORT_SETTINGS,
    &LICENCE_TERMS,
    &RECLAIM_CANDIDATES,
    &USERS,
    &GROUPS,
    &MEMBERSHIPS,
    &EMAIL_ALIASES,
    &LOGIN_EVENTS,
    &ADMIN_EVENTS,
    &EVENT_COVERAGE,
    &ACTIVITY_DAILY,
    &IMPORTED_EVIDENCE,
    &LEAVE_PERIODS,
    &RUN_CALLS,
    &REJECTS,
    &USERS_HISTORY,
    &USER_CHANGES,
    &RUN_ROWS,
    &SYNC_RUNS,
    &SEAT_ACTIONS,
    &ACCOUNTS,
    &SEAT_USAGE_DAILY,
    &LICENCE_SUMMARY,
    &IDLE_ACCOUNTS,
    &SUSPENDED_SEATS,
    &RECLAIMABLE_SEATS,
    &ACCESS_REVIEW,
    &DORMANT_ADMINS,
    &GROUP_HEALTH,
    &ACCOUNT_TRACKING_CODES,
    &API_USAGE_MONTHLY,
    &DATA_CHECKS,
];

/// Version of the contract: `report_settings.contract_version`, and in `boxseat schema`. Within one version, tables and columns are only
/// ever added. `schemas/contract/` contains the promises of each version, and a test enforces them.
pub const CONTRACT_VERSION: i32 = 1;

/// A table or view: the meaning of a row and of each column.
#[derive(Debug)]
pub struct Table {
    /// Name, in the lake and in the warehouse.
    pub name: &'static str,
    /// How it is stored.
    pub layout: Layout,
    /// Columns that identify a row. A data check proves that they are unique; there is no index.
    pub key: &'static [&'static str],
    /// The meaning of a row, how the table grows, and its pitfalls.
    pub comment: &'static str,
    /// The columns, in order.
    pub columns: &'static [Column],
}

/// How a table is stored in the lake and filled in the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Lake: one whole copy per snapshot, partitioned by `snapshot_date`. Warehouse: the latest snapshot.
    Snapshot,
    /// Lake: rows of a run are appended and never changed. Warehouse: rows of current runs.
    Append,
    /// Lake: as [`Layout::Append`], but the rows are the differences of a run from its base. Warehouse: rows of the runs of the snapshot's
    /// [chain](crate::run::chain).
    Chain,
    /// Lake: as [`Layout::Append`], but a later run may count again what an earlier run counted. Warehouse: the rows of current runs that
    /// `schemas/warehouse/<name>.sql` selects.
    Recounted,
    /// Lake: as [`Layout::Append`], one row per run. Warehouse: for each date, the row of its [snapshot](crate::run::snapshots).
    PerNight,
    /// Lake: appended by commands between the runs. Warehouse: all rows, whatever the status of the run that they name.
    Journal,
    /// Lake: appended, partitioned by `event_month`.
    Events,
    /// Warehouse only: loaded from the lake's `events`, either LOGIN alone or all other events.
    EventSlice {
        /// Whether LOGIN events are kept or excluded.
        logins: bool,
    },
    /// Warehouse only: rows that come from the configuration, or that the build itself provides.
    Given,
    /// Warehouse only: a table computed by `schemas/warehouse/<name>.sql`.
    Computed,
    /// Warehouse only: a view defined by `schemas/warehouse/<name>.sql`.
    View,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in the warehouse.
    pub name: &'static str,
    /// Name in the lake. It differs from `name` if one of the store's own columns has that name.
    pub lake_name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Whether NULL can occur.
    pub nullable: bool,
    /// Whether the column exists only in the warehouse. Each publish computes its values from other rows.
    pub derived: bool,
    /// Whether the column describes the user of `user_id` in more detail than counts of accounts require. An erasure removes its values.
    pub personal: bool,
    /// Unit, null rule and meaning. The type is in `kind`.
    pub comment: &'static str,
}

/// A column type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text, including ids and JSON.
    Text,
    /// True or false.
    Bool,
    /// 32-bit whole number: days, orders, versions.
    Integer,
    /// 64-bit whole number: counts, bytes, run numbers.
    BigInt,
    /// Microseconds since 1970 in UTC.
    Timestamp,
    /// A UTC day.
    Date,
    /// DECIMAL(18,4), next to a `currency` column.
    Money,
    /// A share in percent, DOUBLE.
    Percent,
    /// `LIST<STRUCT(name, value)>`.
    NameValues,
}

impl Table {
    /// Schema of the table's rows in the lake: the columns that are not derived, then the store's own (`enterprise_id`, `run_number`) and
    /// the partition column of its layout.
    pub fn lake_schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> = self.kept().map(Column::lake_field).collect();
        for column in self.store_columns() {
            if !fields.iter().any(|f| f.name() == column.name) {
                fields.push(column.lake_field());
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// The columns that lake and warehouse both have.
    pub fn kept(&self) -> impl Iterator<Item = &'static Column> + use<> {
        self.columns.iter().filter(|column| !column.derived)
    }

    /// Schema of the table in the warehouse.
    pub fn warehouse_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::warehouse_field).collect::<Vec<_>>()))
    }

    /// The lake's partition column, if it has one.
    pub fn partition(&self) -> Option<&'static str> {
        match self.layout {
            Layout::Snapshot => Some(SNAPSHOT_DATE.name),
            Layout::Events => Some(EVENT_MONTH.name),
            _ => None,
        }
    }

    fn store_columns(&self) -> Vec<Column> {
        let partition = match self.layout {
            Layout::Snapshot => Some(SNAPSHOT_DATE),
            Layout::Events => Some(EVENT_MONTH),
            _ => None,
        };
        [ENTERPRISE_ID, RUN_NUMBER_COLUMN].into_iter().chain(partition).collect()
    }
}

impl Column {
    fn lake_field(&self) -> Field {
        Field::new(self.lake_name, self.kind.arrow(), self.nullable)
    }

    fn warehouse_field(&self) -> Field {
        Field::new(self.name, self.kind.arrow(), self.nullable)
    }

    const fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    const fn in_lake(mut self, name: &'static str) -> Self {
        self.lake_name = name;
        self
    }

    const fn personal(mut self) -> Self {
        self.personal = true;
        self
    }

    const fn derived(mut self) -> Self {
        self.derived = true;
        self
    }
}

impl Kind {
    /// The Arrow type. List children are named `element` and the zone is exactly `UTC`, as Delta requires.
    pub fn arrow(self) -> DataType {
        match self {
            Kind::Text => DataType::Utf8,
            Kind::Bool => DataType::Boolean,
            Kind::Integer => DataType::Int32,
            Kind::BigInt => DataType::Int64,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Date => DataType::Date32,
            Kind::Money => DataType::Decimal128(18, 4),
            Kind::Percent => DataType::Float64,
            Kind::NameValues => {
                DataType::List(Arc::new(Field::new("element", DataType::Struct(name_value_fields()), true)))
            }
        }
    }

    /// The DuckDB type.
    pub fn sql(self) -> &'static str {
        match self {
            Kind::Text => "VARCHAR",
            Kind::Bool => "BOOLEAN",
            Kind::Integer => "INTEGER",
            Kind::BigInt => "BIGINT",
            Kind::Timestamp => "TIMESTAMPTZ",
            Kind::Date => "DATE",
            Kind::Money => "DECIMAL(18,4)",
            Kind::Percent => "DOUBLE",
            Kind::NameValues => "STRUCT(name VARCHAR, \"value\" VARCHAR)[]",
        }
    }
}

/// The fields of a [`Kind::NameValues`] entry.
pub fn name_value_fields() -> Fields {
    Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("value", DataType::Utf8, true)])
}

const fn column(name: &'static str, kind: Kind, comment: &'static str) -> Column {
    Column { name, lake_name: name, kind, nullable: true, derived: false, personal: false, comment }
}

const ENTERPRISE_ID: Column =
    column("enterprise_id", Kind::Text, "The Box enterprise this store is bound to.").required();
/// The column `run_number`, which every table of the lake has.
pub static RUN_NUMBER: Column = RUN_NUMBER_COLUMN;
const RUN_NUMBER_COLUMN: Column =
    column("run_number", Kind::BigInt, "The run that wrote the row; readers keep rows of current runs only.")
        .required();
const SNAPSHOT_DATE: Column =
    column("snapshot_date", Kind::Date, "UTC date on which the run that wrote the row started.").required();
const EVENT_MONTH: Column =
    column("event_month", Kind::Date, "First day of the UTC month of created_at.").required();

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn column_name_suffix_matches_the_type() {
        for table in LAKE.iter().chain(WAREHOUSE) {
            let mut seen = HashSet::new();
            for column in table.columns {
                let wanted = match column.name.rsplit('_').next() {
                    Some("at") => Some(Kind::Timestamp),
                    Some("date") => Some(Kind::Date),
                    Some("days") => Some(Kind::Integer),
                    Some("count" | "bytes") => Some(Kind::BigInt),
                    Some("id") => Some(Kind::Text),
                    _ => None,
                };
                assert!(wanted.is_none_or(|kind| kind == column.kind), "{}.{}", table.name, column.name);
                assert!(column.comment.len() > 8, "{}.{} has no meaning", table.name, column.name);
                assert!(seen.insert(column.name), "{}.{} twice", table.name, column.name);
            }
            for key in table.key {
                let column = table.columns.iter().find(|c| c.name == *key);
                assert!(
                    column.is_some_and(|c| !c.nullable),
                    "{}.{key} is a key and must be NOT NULL",
                    table.name
                );
            }
        }
    }

    #[test]
    fn every_lake_row_has_enterprise_and_run() {
        for table in LAKE {
            let schema = table.lake_schema();
            for name in ["enterprise_id", "run_number"].into_iter().chain(table.partition()) {
                assert!(!schema.field_with_name(name).unwrap().is_nullable(), "{}.{name}", table.name);
            }
        }
    }
}
