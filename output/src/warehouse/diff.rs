//! The differences of the pending run from its base: the rows that it adds to `users_history` and `user_changes`.
//!
//! They are computed in scratch tables. A replay of an older snapshot is compared with the base of that snapshot, while the file shows
//! another snapshot. The SQL is in `schemas/warehouse/diff/`. This module provides the relations that it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use boxseat_schemas::Departure;
use boxseat_schemas::run::{SyncRun, chain};
use boxseat_schemas::table::{
    Column, EMAIL_ALIASES, GROUPS, Kind, MEMBERSHIPS, Table, USERS, USERS_HISTORY, tracked,
};
use boxseat_schemas::warehouse::diff::{CHANGES, DIFFERENCES, VERSIONS};
use duckdb::{Connection, params};

use super::Pending;
use super::ddl::identifier;
use super::scratch_tables::{ScratchTables, Source};
use crate::lake::Lake;
use crate::{Error, Result};

/// Differences that no event announced, although their time was covered. A feed of changes alone would have missed them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drift {
    /// The number of each kind, by the value of `user_changes.change`. A kind without differences is missing.
    pub by_change: BTreeMap<String, u64>,
}

impl Drift {
    /// The total number: `sync_runs.drift_count`.
    pub fn count(&self) -> i64 {
        i64::try_from(self.by_change.values().sum::<u64>()).unwrap_or(i64::MAX)
    }
}

pub(super) struct Diff<'a> {
    pub(super) connection: &'a Connection,
    pub(super) lake: &'a Lake,
    pub(super) runs: &'a [SyncRun],
    pub(super) pending: &'a Pending,
    /// Whether the file shows the pending run's snapshot. Its tables are then not read a second time.
    pub(super) is_shown: bool,
}

impl Diff<'_> {
    /// Creates the scratch tables [`RUN_VERSIONS`] and [`RUN_CHANGES`], and returns the drift; `None` without a base.
    ///
    /// [`OLDER_VERSIONS`] must exist if `is_shown`.
    pub(super) fn compute(&self) -> Result<Option<Drift>> {
        let of = |number| self.runs.iter().find(|run| Some(run.run_number) == number);
        let run = of(Some(self.pending.run_number))
            .ok_or_else(|| Error::Bug(format!("run {} has no row", self.pending.run_number)))?;
        let base = of(run.base_run_number);
        if let (Some(number), None) = (run.base_run_number, base) {
            return Err(self.no_base(run, &format!("run {number} has no row in sync_runs")));
        }
        let mut scratch = ScratchTables::new(self.connection, self.lake);
        self.provide_run(&mut scratch, run, base)?;
        self.provide_snapshot(&mut scratch, run)?;
        self.provide_base(&mut scratch, run, base)?;
        for (tracked_view, users) in [("tracked", "night_users"), ("base_tracked", "base_users")] {
            scratch.view(tracked_view, &format!("SELECT {} FROM {users}", tracked_columns()))?;
        }
        // Few users differ. Only their values are converted to text.
        scratch.table("moved", MOVED)?;
        for (texts_view, users) in [("texts", "night_users"), ("base_texts", "base_users")] {
            let texts = tracked_texts();
            scratch
                .view(texts_view, &format!("SELECT {texts} FROM {users} SEMI JOIN moved USING (user_id)"))?;
        }
        scratch.empty("departures", "user_id VARCHAR, reason VARCHAR")?;
        scratch.append("departures", std::iter::once(departures(&self.pending.departures)))?;

        scratch.table(RUN_VERSIONS, VERSIONS)?;
        scratch.empty("differences", DIFFERENCE_COLUMNS)?;
        // The first snapshot of a store has no joiners.
        for select in DIFFERENCES.iter().filter(|_| base.is_some()) {
            self.connection
                .execute_batch(&format!("INSERT INTO differences {select}"))
                .map_err(Error::duckdb("compare the snapshot with its base"))?;
        }
        scratch.table(RUN_CHANGES, CHANGES)?;
        scratch.keep(RUN_VERSIONS);
        scratch.keep(RUN_CHANGES);
        scratch.clear()?;
        base.map(|_| self.drift()).transpose()
    }

    fn provide_run(
        &self,
        scratch: &mut ScratchTables<'_>,
        run: &SyncRun,
        base: Option<&SyncRun>,
    ) -> Result<()> {
        let columns = "run_number BIGINT, started_at TIMESTAMPTZ, window_to_at TIMESTAMPTZ, base_window_to_at TIMESTAMPTZ";
        scratch.empty("this_run", columns)?;
        self.connection
            .execute(
                "INSERT INTO this_run VALUES (?, make_timestamptz(?), make_timestamptz(?), make_timestamptz(?))",
                params![
                    run.run_number.as_i64(),
                    run.started_at.timestamp_micros(),
                    run.window_to_at.timestamp_micros(),
                    base.map(|base| base.window_to_at.timestamp_micros()),
                ],
            )
            .map(drop)
            .map_err(Error::duckdb("fill this_run"))
    }

    fn provide_snapshot(&self, scratch: &mut ScratchTables<'_>, run: &SyncRun) -> Result<()> {
        let own = [run.run_number];
        let source = |relation| if self.is_shown { Source::In(relation) } else { Source::Lake(&own) };
        scratch.provide("night_users", &USERS, &user_columns(&["modified_at", "extra"])?, source("users"))?;
        let columns = named(&MEMBERSHIPS, &["user_id", "group_id", "role", "created_at"])?;
        scratch.provide("night_memberships", &MEMBERSHIPS, &columns, source("memberships"))?;
        let columns = named(&EMAIL_ALIASES, &["alias_id", "user_id", "email"])?;
        scratch.provide("night_email_aliases", &EMAIL_ALIASES, &columns, source("email_aliases"))
    }

    /// Without a base, the relations of the base are empty.
    fn provide_base(
        &self,
        scratch: &mut ScratchTables<'_>,
        run: &SyncRun,
        base: Option<&SyncRun>,
    ) -> Result<()> {
        let number: Vec<_> = base.map(|base| base.run_number).into_iter().collect();
        let source = Source::Lake(&number);
        scratch.provide(
            "base_users",
            &USERS,
            &user_columns(&["read_at", "aliases_read_at", "extra"])?,
            source,
        )?;
        if base.is_some() && self.is_empty("base_users")? {
            // A comparison with an empty base would report every user as a joiner.
            return Err(self.no_base(run, "the lake has none of its users"));
        }
        let columns = named(&MEMBERSHIPS, &["user_id", "group_id", "role"])?;
        scratch.provide("base_memberships", &MEMBERSHIPS, &columns, source)?;
        let columns = named(&GROUPS, &["group_id", "memberships_read_at"])?;
        scratch.provide("base_groups", &GROUPS, &columns, source)?;
        let columns = named(&EMAIL_ALIASES, &["alias_id", "user_id", "email"])?;
        scratch.provide("base_email_aliases", &EMAIL_ALIASES, &columns, source)?;
        let seen = base.map(|base| chain(self.runs, base.run_number)).unwrap_or_default();
        let source = if self.is_shown { Source::In(OLDER_VERSIONS) } else { Source::Lake(&seen) };
        let columns = named(&USERS_HISTORY, &["user_id", "run_number", "is_deleted"])?;
        scratch.provide("seen_versions", &USERS_HISTORY, &columns, source)
    }

    fn drift(&self) -> Result<Drift> {
        let failed = || Error::duckdb("count the drift");
        let sql = format!("SELECT change, count(*) FROM {RUN_CHANGES} WHERE is_drift GROUP BY change");
        let mut statement = self.connection.prepare(&sql).map_err(failed())?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed())?;
        let by_change = rows.collect::<Result<_, _>>().map_err(failed())?;
        Ok(Drift { by_change })
    }

    fn is_empty(&self, name: &str) -> Result<bool> {
        let sql = format!("SELECT count(*) = 0 FROM {name}");
        self.connection.query_row(&sql, [], |row| row.get(0)).map_err(Error::duckdb(format!("read {name}")))
    }

    fn no_base(&self, run: &SyncRun, reason: &str) -> Error {
        Error::Corrupt {
            what: format!("the base that run {} is compared with", run.run_number),
            reason: reason.to_owned(),
        }
    }
}

/// `user_id`, the tracked columns, and the columns `more`.
fn user_columns(more: &[&str]) -> Result<Vec<&'static Column>> {
    let mut all = named(&USERS, &["user_id"])?;
    all.extend(tracked());
    all.extend(named(&USERS, more)?);
    Ok(all)
}

fn named(table: &'static Table, names: &[&str]) -> Result<Vec<&'static Column>> {
    let column = |name: &&str| table.columns.iter().find(|column| column.name == *name);
    let missing = |name: &&str| Error::Bug(format!("{} has no column {name}", table.name));
    names.iter().map(|name| column(name).ok_or_else(|| missing(name))).collect()
}

pub(super) fn tracked_columns() -> String {
    let names = tracked().iter().map(|column| identifier(column.name));
    std::iter::once("user_id".to_owned()).chain(names).collect::<Vec<_>>().join(", ")
}

/// Lists are shown as JSON, because DuckDB's own text for a list cannot be distinguished from text with brackets.
pub(super) fn tracked_texts() -> String {
    let text = |column: &Column| {
        let name = identifier(column.name);
        match column.kind {
            Kind::NameValues => format!("CAST(to_json({name}) AS VARCHAR) AS {name}"),
            _ => format!("CAST({name} AS VARCHAR) AS {name}"),
        }
    };
    let texts = tracked().iter().filter(|column| column.name != "listing").map(text);
    std::iter::once("user_id".to_owned()).chain(texts).collect::<Vec<_>>().join(", ")
}

/// One row per user, even if a user was looked up several times.
fn departures(departures: &[Departure]) -> Result<RecordBatch> {
    let reasons: BTreeMap<&str, &str> =
        departures.iter().map(|departure| (departure.user_id.as_str(), departure.reason.as_str())).collect();
    let field = |name: &str| Field::new(name, DataType::Utf8, false);
    let ids = StringArray::from_iter_values(reasons.keys());
    let reasons = StringArray::from_iter_values(reasons.values());
    let schema = Schema::new(vec![field("user_id"), field("reason")]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(reasons)])
        .map_err(|e| Error::Bug(e.to_string()))
}

/// Users of both snapshots whose tracked columns differ, `listing` included.
pub(super) const MOVED: &str = "SELECT user_id FROM tracked JOIN base_tracked USING (user_id) WHERE tracked IS DISTINCT FROM base_tracked";

/// The columns of every SELECT of [`DIFFERENCES`].
pub(super) const DIFFERENCE_COLUMNS: &str = "user_id VARCHAR, change VARCHAR, attribute VARCHAR, object_id VARCHAR, old_value VARCHAR, \
     new_value VARCHAR, since_at TIMESTAMPTZ, happened_at TIMESTAMPTZ";

/// Rows of `users_history` of the snapshot's chain without the pending run, as they are in the lake.
pub(super) const OLDER_VERSIONS: &str = "older_versions";
/// The pending run's rows of `users_history`, without the derived columns.
pub(super) const RUN_VERSIONS: &str = "run_versions";
/// The pending run's rows of `user_changes`, and `is_drift`.
pub(super) const RUN_CHANGES: &str = "run_changes";
