//! The content of the file in addition to the rows of the lake: the settings of the snapshot, and the tables that SQL computes.

use arrow::array::RecordBatch;
use boxseat_schemas::RunNumber;
use boxseat_schemas::licence::MatchRule;
use boxseat_schemas::table::{CONTRACT_VERSION, Column, REPORT_SETTINGS, RUN_NUMBER, Table};
use chrono::NaiveTime;
use duckdb::params;

use super::connection::use_threads;
use super::ddl::{self, identifier};
use super::derived_rows::in_lake_schema;
use super::history::select_kept;
use super::load::Loader;
use super::scratch_tables::{ScratchTables, Source};
use crate::lake::Thinning;
use crate::{Error, Result};

impl Loader<'_> {
    pub(super) fn settings(&self) -> Result<()> {
        let (snapshot, settings) = (self.snapshot, self.build.settings);
        let sql = format!(
            "INSERT INTO {} VALUES (?, ?, ?, make_timestamptz(?), ?, ?, ?, 'UTC', ?, ?, ?)",
            identifier(REPORT_SETTINGS.name)
        );
        self.connection
            .execute(
                &sql,
                params![
                    snapshot.snapshot_date.to_string(),
                    snapshot.run_number.as_i64(),
                    self.build.enterprise_id,
                    snapshot.now_at.timestamp_micros(),
                    settings.idle_after_days,
                    settings.new_user_grace_days,
                    settings.login_window_days,
                    settings.monthly_calls,
                    settings.returned_grace_days,
                    CONTRACT_VERSION,
                ],
            )
            .map(drop)
            .map_err(Error::duckdb("fill report_settings"))
    }

    pub(super) fn compute(&self, table: &Table) -> Result<()> {
        let failed = || Error::duckdb(format!("compute {}", table.name));
        use_threads(self.connection, self.build.resources)?;
        // Scratch tables have the lists of the configuration, because only the computation needs them.
        let mut scratch = ScratchTables::new(self.connection, self.build.lake);
        scratch.empty("service_accounts", "id_or_login VARCHAR")?;
        let mut insert =
            self.connection.prepare("INSERT INTO service_accounts VALUES (?)").map_err(failed())?;
        for account in &self.build.settings.service_accounts {
            insert.execute(params![account]).map_err(failed())?;
        }
        drop(insert);
        self.licence_rules(&mut scratch)?;
        let lake = self.build.lake;
        let thinned = [Thinning::Daily, Thinning::LastOnly].map(|thinning| lake.logins_thinned_to(thinning));
        let thinned = thinned.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().max();
        let thinned_to_us = thinned.map_or_else(
            || "NULL".to_owned(),
            |day| day.and_time(NaiveTime::MIN).and_utc().timestamp_micros().to_string(),
        );
        scratch
            .table("thinned_logins", &format!("SELECT CAST({thinned_to_us} AS BIGINT) AS thinned_to_us"))?;
        self.run(&format!("INSERT INTO {} {};", identifier(table.name), ddl::select(table)?), table)?;
        scratch.clear()
    }

    /// The terms that are valid on the date of the snapshot, in the order in which they are tried.
    fn licence_rules(&self, scratch: &mut ScratchTables<'_>) -> Result<()> {
        let failed = || Error::duckdb("fill licence_rules");
        let columns = "rule_order INTEGER, rule_kind VARCHAR, rule_name VARCHAR, rule_value VARCHAR, plan_id VARCHAR, \
             cost_per_seat_monthly DECIMAL(18, 4), currency VARCHAR";
        scratch.empty("licence_rules", columns)?;
        // Money is passed as text: a number would be converted to a double.
        let insert = "INSERT INTO licence_rules VALUES (?, ?, ?, ?, ?, CAST(? AS DECIMAL(18, 4)), ?)";
        let mut insert = self.connection.prepare(insert).map_err(failed())?;
        let date = self.snapshot.snapshot_date;
        let terms = self.build.settings.licence.iter().filter(|terms| terms.holds_on(date));
        for (order, terms) in (0_i32..).zip(terms) {
            let (kind, name, value) = match &terms.match_rule {
                MatchRule::All => ("all", None, None),
                MatchRule::TrackingCode { name, value } => ("tracking_code", Some(name), Some(value)),
                MatchRule::Group(id) => ("group", None, Some(id)),
            };
            let cost = terms.cost_per_seat_monthly.map(|cost| cost.to_string());
            insert
                .execute(params![order, kind, name, value, terms.plan_id, cost, terms.currency])
                .map_err(failed())?;
        }
        Ok(())
    }

    /// Loads every row of current runs into a scratch table. SQL then selects the rows that count.
    pub(super) fn recounted(&mut self, table: &'static Table, current: &[RunNumber]) -> Result<()> {
        let mut scratch = ScratchTables::new(self.connection, self.build.lake);
        let mut columns: Vec<&'static Column> = table.kept().collect();
        columns.push(&RUN_NUMBER);
        scratch.provide(RECOUNTED, table, &columns, Source::Lake(current))?;
        let is_empty = format!("SELECT count(*) = 0 FROM {RECOUNTED}");
        let is_empty: bool = self
            .connection
            .query_row(&is_empty, [], |row| row.get(0))
            .map_err(Error::duckdb("read activity"))?;
        if !is_empty {
            self.run(&format!("INSERT INTO {} {};", identifier(table.name), ddl::select(table)?), table)?;
        }
        scratch.clear()
    }

    pub(super) fn latest_seat_usage(&self, table: &'static Table) -> Result<RecordBatch> {
        let failed = || Error::duckdb(format!("compute {}", table.name));
        let mut scratch = ScratchTables::new(self.connection, self.build.lake);
        scratch.table(LATEST_SEATS, ddl::select(table)?)?;
        let mut statement = self.connection.prepare(&select_kept(table, LATEST_SEATS)).map_err(failed())?;
        statement.execute([]).map_err(failed())?;
        let rows = statement.step().map_err(failed())?;
        let rows = rows.ok_or_else(|| Error::Bug("the snapshot has no row of seats".to_owned()))?;
        let row = in_lake_schema(table, &RecordBatch::from(rows), self.build.enterprise_id)?;
        drop(statement);
        scratch.clear()?;
        Ok(row)
    }

    fn run(&self, sql: &str, table: &Table) -> Result<()> {
        self.connection.execute_batch(sql).map_err(Error::duckdb(format!("make {}", table.name)))
    }
}

/// The relation that `activity_daily.sql` reads.
const RECOUNTED: &str = "activity_daily_rows";
/// The row of the shown snapshot while it is computed.
const LATEST_SEATS: &str = "latest_seats";
