//! The SQL that computes tables and views of the DuckDB file, one `.sql` file each under `schemas/warehouse/`; its header says
//! question, grain and columns.

/// The SELECT behind a [`crate::table::Layout::Computed`] table or a [`crate::table::Layout::View`].
pub fn query(name: &str) -> Option<&'static str> {
    match name {
        "accounts" => Some(include_str!("../warehouse/accounts.sql")),
        "api_usage_monthly" => Some(include_str!("../warehouse/api_usage_monthly.sql")),
        "licence_summary" => Some(include_str!("../warehouse/licence_summary.sql")),
        _ => None,
    }
}
