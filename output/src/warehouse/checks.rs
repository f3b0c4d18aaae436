//! The error checks: a night that contradicts itself is not published.

use boxseat_schemas::RunNumber;
use boxseat_schemas::table::{Layout, Table, WAREHOUSE};
use duckdb::Connection;

use super::ddl::identifier;
use crate::error::FailedCheck;
use crate::{Error, Result};

/// Runs every check; the first that finds something is the error.
///
/// Rows must add up for the run that is being finished; what older runs recorded cannot be mended any more.
pub(super) fn run(connection: &Connection, pending: Option<RunNumber>) -> Result<()> {
    let checks = Checks { connection };
    checks.expect_users()?;
    for table in WAREHOUSE.iter().filter(|table| table.layout != Layout::View && !table.key.is_empty()) {
        checks.expect_unique_key(table)?;
    }
    for (table, column, parent) in REFERENCES {
        checks.expect_reference(table, column, parent)?;
    }
    if let Some(run) = pending {
        checks.expect_no_row_lost(run)?;
    }
    checks.expect_whole_histories()?;
    checks.expect_seats_to_add_up()
}

/// Columns whose value must be a row of another table. A user or group of an event may be long gone; these may not.
const REFERENCES: [(&str, &str, &str); 4] = [
    ("memberships", "user_id", "users"),
    ("memberships", "group_id", "groups"),
    ("email_aliases", "user_id", "users"),
    ("user_changes", "user_id", "accounts"),
];

struct Checks<'a> {
    connection: &'a Connection,
}

impl Checks<'_> {
    fn expect_users(&self) -> Result<()> {
        let users: u64 = self.one("SELECT count(*) FROM users")?;
        if users > 0 {
            return Ok(());
        }
        Err(failed("any_user", "users", 0, "the night lists nobody"))
    }

    fn expect_unique_key(&self, table: &Table) -> Result<()> {
        let name = identifier(table.name);
        let keys: Vec<String> = table.key.iter().map(|key| identifier(key)).collect();
        let keys = keys.join(", ");
        // 64-bit hashes fit in memory where millions of keys may not; equal counts prove that no key is there twice.
        let sure: bool = self.one(&format!("SELECT count(DISTINCT hash({keys})) = count(*) FROM {name}"))?;
        if sure {
            return Ok(());
        }
        let twice =
            format!("SELECT {keys}, count(*) AS times FROM {name} GROUP BY {keys} HAVING count(*) > 1");
        self.expect_none("unique_key", table.name, &twice, "row.times - 1")
    }

    fn expect_reference(&self, table: &str, column: &str, parent: &str) -> Result<()> {
        let orphans = format!(
            "SELECT * FROM {table} AS child ANTI JOIN {parent} AS parent ON child.{column} = parent.{column}"
        );
        self.expect_none(&format!("{column}_exists"), table, &orphans, "1")
    }

    fn expect_no_row_lost(&self, run: RunNumber) -> Result<()> {
        let lost = format!(
            "SELECT run_rows.* FROM run_rows JOIN sync_runs USING (run_id) WHERE run_number = {run} AND (\
             rows_from_box + rows_carried - rows_duplicate - rows_rejected - rows_dropped <> rows_in_lake \
             OR rows_in_lake <> rows_in_warehouse)"
        );
        self.expect_none("no_row_lost", "run_rows", &lost, "1")
    }

    /// Everybody of the night has one current version, nobody else has, and one version ends where the next begins. A night that
    /// was loaded before there was a history has none at all.
    fn expect_whole_histories(&self) -> Result<()> {
        let current = "SELECT user_id FROM users_history WHERE is_current AND NOT is_deleted";
        let unmatched = format!(
            "SELECT user_id FROM ((SELECT user_id FROM users EXCEPT ALL {current}) UNION ALL ({current} EXCEPT ALL SELECT user_id FROM users)) \
             WHERE EXISTS (SELECT 1 FROM users_history)"
        );
        self.expect_none("one_current_version", "users_history", &unmatched, "1")?;
        let ajar = "SELECT * FROM (SELECT user_id, version_no, valid_from, valid_to, is_current, \
                    lead(valid_from) OVER (PARTITION BY user_id ORDER BY version_no) AS next_from FROM users_history) \
                    WHERE valid_to IS DISTINCT FROM next_from OR valid_to < valid_from OR is_current <> (valid_to IS NULL)";
        self.expect_none("versions_adjoin", "users_history", ajar, "1")
    }

    fn expect_seats_to_add_up(&self) -> Result<()> {
        let split = "SELECT user_id, consumes_seat, seat_state FROM accounts WHERE consumes_seat <> (seat_state IS NOT NULL)";
        self.expect_none("seat_state_splits_seats", "accounts", split, "1")?;
        let sums = "SELECT seats.consumed, summary.counted FROM (SELECT count(*) AS consumed FROM accounts WHERE consumes_seat) AS seats, \
                    (SELECT sum(seats_count) AS counted FROM licence_summary) AS summary WHERE seats.consumed IS DISTINCT FROM summary.counted";
        self.expect_none("seats_add_up", "licence_summary", sums, "1")?;
        let listed = "SELECT user_id FROM accounts WHERE account_status <> 'deprovisioned'";
        let unmatched = format!(
            "SELECT * FROM ((SELECT user_id FROM users EXCEPT ALL {listed}) UNION ALL ({listed} EXCEPT ALL SELECT user_id FROM users))"
        );
        self.expect_none("every_user_judged", "accounts", &unmatched, "1")
    }

    /// `sql` selects the rows that must not be; `weight` is how many rows each stands for.
    fn expect_none(&self, check: &str, table: &str, sql: &str, weight: &str) -> Result<()> {
        let summary = format!(
            "SELECT CAST(coalesce(sum({weight}), 0) AS UBIGINT), coalesce(CAST(min(row) AS VARCHAR), '') FROM ({sql}) AS row"
        );
        let (count, example): (u64, String) = self
            .connection
            .query_row(&summary, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(Error::duckdb(format!("check {check} on {table}")))?;
        if count == 0 { Ok(()) } else { Err(failed(check, table, count, &example)) }
    }

    fn one<T: duckdb::types::FromSql>(&self, sql: &str) -> Result<T> {
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(Error::duckdb(format!("check with {sql}")))
    }
}

fn failed(check: &str, table: &str, failing_rows: u64, example: &str) -> Error {
    Error::CheckFailed(Box::new(FailedCheck {
        check: check.to_owned(),
        table: table.to_owned(),
        failing_rows,
        example: example.to_owned(),
    }))
}
