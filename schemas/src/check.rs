//! The checks of a build before it is published, as data. Each check is a SELECT of the rows that violate it.

use std::fmt;

use crate::table::{DATA_CHECKS, Layout, Table, WAREHOUSE};

/// One check, a row of `data_checks`.
#[derive(Debug, Clone)]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// The table or view that is checked.
    pub table: &'static str,
    /// The consequence of a failure.
    pub severity: Severity,
    /// Whether the check covers only the run that is being finished. `$run` in the SQL stands for its number. Rows of older runs can no
    /// longer be corrected.
    pub is_of_pending: bool,
    /// A SELECT of one BOOLEAN. TRUE proves that no row violates the check.
    pub shortcut: Option<String>,
    /// A SELECT of the rows that violate the check.
    pub sql: String,
    /// Number of violations that a selected row stands for: an expression over `row`.
    pub weight: &'static str,
    /// The example of a violation: an aggregate over `row`.
    pub example: &'static str,
}

/// The consequence of a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The snapshot contradicts itself. The previous snapshot stays published.
    Error,
    /// The snapshot is published, with a warning.
    Warn,
}

impl Severity {
    /// The text in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All checks, in the order in which they run. A check runs before the checks that depend on it, so the first failure names the cause.
pub fn all() -> Vec<Check> {
    let keyed = WAREHOUSE.iter().filter(|table| table.layout != Layout::View && !table.key.is_empty());
    let mut checks = vec![error("any_user", "users", ANY_USER)];
    checks.extend(keyed.filter(|table| table.name != DATA_CHECKS.name).map(|table| unique_key(table)));
    checks.extend(REFERENCES.map(|(table, column, parent)| Check {
        name: format!("{column}_exists"),
        ..error("", table, &orphans(table, column, parent))
    }));
    checks.push(Check { is_of_pending: true, ..error("no_row_lost", "run_rows", NO_ROW_LOST) });
    checks.extend(ERRORS.map(|(name, table, sql)| error(name, table, sql)));
    checks.extend(MOMENTS.map(|(table, column)| plausible(table, column)));
    checks.extend(
        WARNINGS.map(|(name, table, sql)| Check { severity: Severity::Warn, ..error(name, table, sql) }),
    );
    checks.push(Check {
        severity: Severity::Warn,
        example: "min(row.refusal)",
        ..error("policy_usable", "reclaim_candidates", POLICY_USABLE)
    });
    checks.extend(EVER_SEEN.map(|table| Check {
        severity: Severity::Warn,
        ..error("user_ever_seen", table, &strangers(table))
    }));
    checks
}

fn error(name: &str, table: &'static str, sql: &str) -> Check {
    Check {
        name: name.to_owned(),
        table,
        severity: Severity::Error,
        is_of_pending: false,
        shortcut: None,
        sql: sql.to_owned(),
        weight: "1",
        example: "min(row)",
    }
}

fn unique_key(table: &Table) -> Check {
    let keys: Vec<String> = table.key.iter().map(|key| format!("\"{key}\"")).collect();
    let (name, keys) = (table.name, keys.join(", "));
    let twice = format!("SELECT {keys}, count(*) AS times FROM {name} GROUP BY {keys} HAVING count(*) > 1");
    Check {
        // 64-bit hashes fit in memory where millions of keys may not. Equal counts prove that no key occurs twice.
        shortcut: Some(format!("SELECT count(DISTINCT hash({keys})) = count(*) FROM {name}")),
        weight: "row.times - 1",
        ..error("unique_key", name, &twice)
    }
}

fn orphans(table: &str, column: &str, parent: &str) -> String {
    format!(
        "SELECT child.* FROM {table} AS child ANTI JOIN {parent} AS parent ON child.{column} = parent.{column}"
    )
}

/// Finds times before Box existed (2005), and times more than a day after the snapshot: clocks differ by less than a day.
fn plausible(table: &'static str, column: &str) -> Check {
    let odd = format!(
        "epoch_us({column}) > (SELECT epoch_us(now_at) + 86400000000 FROM report_settings) OR {column} < TIMESTAMPTZ '2005-01-01 00:00:00+00'"
    );
    let key = match table {
        "groups" => "group_id",
        "users" => "user_id",
        _ => "event_id",
    };
    Check {
        name: format!("{column}_plausible"),
        severity: Severity::Warn,
        shortcut: Some(format!("SELECT NOT coalesce(bool_or({odd}), FALSE) FROM {table}")),
        ..error("", table, &format!("SELECT {key}, {column} FROM {table} WHERE {odd}"))
    }
}

/// Users that no snapshot ever listed. Users who left before the store's first snapshot are expected here.
fn strangers(table: &str) -> String {
    format!(
        "SELECT child.user_id, count(*) AS times FROM {table} AS child ANTI JOIN accounts ON accounts.user_id = child.user_id \
         WHERE child.user_id IS NOT NULL GROUP BY child.user_id"
    )
}

const ANY_USER: &str =
    "SELECT 'the snapshot lists no user' AS problem WHERE NOT EXISTS (SELECT 1 FROM users)";

/// Columns whose value must exist in another table. Event tables are not listed, because a user or group of an event may have been deleted.
const REFERENCES: [(&str, &str, &str); 4] = [
    ("memberships", "user_id", "users"),
    ("memberships", "group_id", "groups"),
    ("email_aliases", "user_id", "users"),
    ("user_changes", "user_id", "accounts"),
];

const NO_ROW_LOST: &str = "SELECT run_rows.* FROM run_rows JOIN sync_runs USING (run_id) WHERE run_number = $run AND (\
    rows_from_box + rows_carried - rows_duplicate - rows_rejected - rows_dropped <> rows_in_lake \
    OR rows_in_lake <> rows_in_warehouse)";

const ERRORS: [(&str, &str, &str); 8] = [
    // Every user of the snapshot has one current version, and no other user has one. A snapshot that was loaded before the history existed
    // has no version at all.
    (
        "one_current_version",
        "users_history",
        "SELECT user_id FROM (\
            (SELECT user_id FROM users EXCEPT ALL SELECT user_id FROM users_history WHERE is_current AND NOT is_deleted) UNION ALL \
            (SELECT user_id FROM users_history WHERE is_current AND NOT is_deleted EXCEPT ALL SELECT user_id FROM users)) \
         WHERE EXISTS (SELECT 1 FROM users_history)",
    ),
    // The end of one version is the beginning of the next.
    (
        "versions_adjoin",
        "users_history",
        "SELECT * FROM (SELECT user_id, version_no, valid_from, valid_to, is_current, \
            lead(valid_from) OVER (PARTITION BY user_id ORDER BY version_no) AS next_from, \
            row_number() OVER (PARTITION BY user_id ORDER BY version_no) AS place FROM users_history) \
         WHERE valid_to IS DISTINCT FROM next_from OR valid_to < valid_from OR is_current <> (valid_to IS NULL) \
            OR version_no <> place",
    ),
    (
        "every_user_judged",
        "accounts",
        "SELECT * FROM (\
            (SELECT user_id FROM users EXCEPT ALL SELECT user_id FROM accounts WHERE account_status <> 'deprovisioned') UNION ALL \
            (SELECT user_id FROM accounts WHERE account_status <> 'deprovisioned' EXCEPT ALL SELECT user_id FROM users))",
    ),
    (
        "seat_state_splits_seats",
        "accounts",
        "SELECT user_id, consumes_seat, seat_state FROM accounts WHERE consumes_seat <> (seat_state IS NOT NULL)",
    ),
    (
        "one_currency",
        "accounts",
        "SELECT min(currency) AS one, max(currency) AS other FROM accounts HAVING min(currency) <> max(currency)",
    ),
    (
        "seats_add_up",
        "licence_summary",
        "SELECT seats.consumed, summary.counted FROM (SELECT count(*) AS consumed FROM accounts WHERE consumes_seat) AS seats, \
            (SELECT sum(seats_count) AS counted FROM licence_summary) AS summary WHERE seats.consumed IS DISTINCT FROM summary.counted",
    ),
    (
        "seats_add_up",
        "seat_usage_daily",
        "SELECT * FROM seat_usage_daily WHERE seats_assigned <> suspended_count + paused_count + used_count + too_new_count \
            + idle_count + never_since_created_count + no_login_seen_count + unknown_count",
    ),
    (
        "waste_within_cost",
        "seat_usage_daily",
        "SELECT * FROM seat_usage_daily WHERE monthly_waste > monthly_cost OR (monthly_cost IS NULL) <> (monthly_waste IS NULL)",
    ),
];

const MOMENTS: [(&str, &str); 6] = [
    ("users", "created_at"),
    ("users", "modified_at"),
    ("groups", "created_at"),
    ("groups", "modified_at"),
    ("login_events", "created_at"),
    ("admin_events", "created_at"),
];

const WARNINGS: [(&str, &str, &str); 4] = [
    // R21: actions of boxseat's Box account that the action journal does not contain. Clocks differ by minutes. An action by another
    // program with the same credentials has the same account as its actor. Events before the account's first action are excluded: they
    // belong to other users.
    (
        "unexplained_action",
        "admin_events",
        "SELECT event.event_id, event.event_type, event.user_id, event.created_at FROM admin_events AS event \
         JOIN (SELECT actor_user_id, min(requested_at) AS since FROM seat_actions WHERE actor_user_id IS NOT NULL GROUP BY actor_user_id) AS ours \
            ON event.actor_id = ours.actor_user_id AND event.created_at >= ours.since - INTERVAL 5 MINUTE \
         WHERE NOT EXISTS (SELECT 1 FROM seat_actions AS done WHERE done.user_id = event.user_id \
            AND ((event.event_type = 'EDIT_USER' AND done.action IN ('suspend', 'restore', 'reactivate', 'suspend_again')) \
                OR (event.event_type = 'DELETE_USER' AND done.action = 'delete')) \
            AND event.created_at BETWEEN done.requested_at - INTERVAL 5 MINUTE \
                AND coalesce(done.finished_at, done.requested_at) + INTERVAL 15 MINUTE)",
    ),
    (
        "status_known",
        "users",
        "SELECT user_id, status FROM users WHERE status IS NULL \
         OR status NOT IN ('active', 'inactive', 'cannot_delete_edit', 'cannot_delete_edit_upload')",
    ),
    (
        "role_known",
        "users",
        "SELECT user_id, role FROM users WHERE role IS NULL OR role NOT IN ('admin', 'coadmin', 'user')",
    ),
    (
        "seat_has_terms",
        "accounts",
        "SELECT user_id FROM accounts WHERE consumes_seat AND licence_plan IS NULL \
         AND EXISTS (SELECT 1 FROM accounts WHERE licence_plan IS NOT NULL)",
    ),
];

/// An unusable policy does not stop the snapshot. The warning shows that an empty list of candidates does not mean "no candidates".
const POLICY_USABLE: &str = "SELECT refusal FROM reclaim_policy WHERE refusal IS NOT NULL";

/// Tables whose users may be missing in the latest snapshot.
const EVER_SEEN: [&str; 4] = ["login_events", "activity_daily", "imported_evidence", "leave_periods"];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_check_has_a_table_and_a_unique_name() {
        let tables: HashSet<&str> = WAREHOUSE.iter().map(|table| table.name).collect();
        let mut seen = HashSet::new();
        for check in all() {
            assert!(tables.contains(check.table), "{}", check.table);
            assert!(
                seen.insert((check.name.clone(), check.table)),
                "{} on {} twice",
                check.name,
                check.table
            );
            assert_eq!(check.is_of_pending, check.sql.contains("$run"), "{}", check.name);
        }
        for table in WAREHOUSE.iter().filter(|table| table.layout != Layout::View && !table.key.is_empty()) {
            let is_checked = seen.contains(&("unique_key".to_owned(), table.name));
            assert!(is_checked || table.name == DATA_CHECKS.name, "nothing proves the key of {}", table.name);
        }
    }
}
