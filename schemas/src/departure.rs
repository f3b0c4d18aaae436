//! Why somebody who had an account has none any more.

/// Somebody of the base night whom this one no longer has, and what was found out about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the type says it")]
pub struct Departure {
    pub user_id: String,
    pub reason: DepartureReason,
}

/// `users_history.deprovision_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepartureReason {
    /// Box knows no such user any more.
    Deleted,
    /// Box has the user in another enterprise, or in none.
    LeftEnterprise,
}

impl DepartureReason {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::LeftEnterprise => "left_enterprise",
        }
    }
}
