//! The SQL that computes tables and views of the DuckDB file, one `.sql` file each under `schemas/warehouse/`. The header of each file
//! states question, grain and columns.

/// The SELECT that computes a table or view of the DuckDB file: a [`crate::table::Layout::Computed`] table, a
/// [`crate::table::Layout::View`], [`crate::table::USERS_HISTORY`], [`crate::table::ACTIVITY_DAILY`], or the snapshot's row of
/// [`crate::table::SEAT_USAGE_DAILY`]. `None` for any other table.
pub fn query(name: &str) -> Option<&'static str> {
    match name {
        "access_review" => Some(include_str!("../warehouse/access_review.sql")),
        "account_tracking_codes" => Some(include_str!("../warehouse/account_tracking_codes.sql")),
        "accounts" => Some(include_str!("../warehouse/accounts.sql")),
        "activity_daily" => Some(include_str!("../warehouse/activity_daily.sql")),
        "api_usage_monthly" => Some(include_str!("../warehouse/api_usage_monthly.sql")),
        "dormant_admins" => Some(include_str!("../warehouse/dormant_admins.sql")),
        "group_health" => Some(include_str!("../warehouse/group_health.sql")),
        "idle_accounts" => Some(include_str!("../warehouse/idle_accounts.sql")),
        "licence_summary" => Some(include_str!("../warehouse/licence_summary.sql")),
        "reclaimable_seats" => Some(include_str!("../warehouse/reclaimable_seats.sql")),
        "seat_usage_daily" => Some(include_str!("../warehouse/seat_usage_daily.sql")),
        "suspended_seats" => Some(include_str!("../warehouse/suspended_seats.sql")),
        "users_history" => Some(include_str!("../warehouse/users_history.sql")),
        _ => None,
    }
}

/// The differences of a run's snapshot from its base: SELECTs over relations that the build creates. The header of each SELECT names its
/// relations.
pub mod diff {
    /// The run's rows of `users_history`.
    pub const VERSIONS: &str = include_str!("../warehouse/diff/versions.sql");
    /// Single differences of users, of memberships and of aliases. All three SELECTs have the columns of the first.
    pub const DIFFERENCES: [&str; 3] = [
        include_str!("../warehouse/diff/people.sql"),
        include_str!("../warehouse/diff/memberships.sql"),
        include_str!("../warehouse/diff/aliases.sql"),
    ];
    /// The run's rows of `user_changes`, with the events that announced them.
    pub const CHANGES: &str = include_str!("../warehouse/diff/changes.sql");
}
