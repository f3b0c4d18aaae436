//! The SQL that computes tables and views of the DuckDB file, one `.sql` file each under `schemas/warehouse/`; its header says
//! question, grain and columns.

/// The SELECT behind a [`crate::table::Layout::Computed`] table, a [`crate::table::Layout::View`], or
/// [`crate::table::USERS_HISTORY`], whose versions are derived.
pub fn query(name: &str) -> Option<&'static str> {
    match name {
        "accounts" => Some(include_str!("../warehouse/accounts.sql")),
        "api_usage_monthly" => Some(include_str!("../warehouse/api_usage_monthly.sql")),
        "licence_summary" => Some(include_str!("../warehouse/licence_summary.sql")),
        "users_history" => Some(include_str!("../warehouse/users_history.sql")),
        _ => None,
    }
}

/// How a run's night differs from its base: SELECTs over relations that the build makes for the purpose, named in their headers.
pub mod diff {
    /// The run's rows of `users_history`.
    pub const VERSIONS: &str = include_str!("../warehouse/diff/versions.sql");
    /// Single differences of people, of groups and of aliases, all with the columns of the first.
    pub const DIFFERENCES: [&str; 3] = [
        include_str!("../warehouse/diff/people.sql"),
        include_str!("../warehouse/diff/memberships.sql"),
        include_str!("../warehouse/diff/aliases.sql"),
    ];
    /// The run's rows of `user_changes`, with the events that announced them.
    pub const CHANGES: &str = include_str!("../warehouse/diff/changes.sql");
}
