//! Why a user no longer has an account.

/// A user of the base run who is missing in this run, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the type says it")]
pub struct Departure {
    pub user_id: String,
    pub reason: DepartureReason,
}

/// `users_history.deprovision_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepartureReason {
    /// The user no longer exists at Box.
    Deleted,
    /// The user is in another enterprise, or in none.
    LeftEnterprise,
}

impl DepartureReason {
    /// The text in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::LeftEnterprise => "left_enterprise",
        }
    }
}
