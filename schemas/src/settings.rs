//! Thresholds and terms that are written into the warehouse: [`crate::table::REPORT_SETTINGS`], [`crate::table::LICENCE_TERMS`] and the
//! seat kinds of `accounts`.

use crate::licence::LicenceTerms;

/// The input of the publish step that is not in the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSettings {
    /// Days without evidence of use after which an account is idle; default 90.
    pub idle_after_days: i32,
    /// Days after creation in which an account is not evaluated; default 45.
    pub new_user_grace_days: i32,
    /// Days after a return or reactivation in which an account is not evaluated; default 60.
    pub returned_grace_days: i32,
    /// Days of logins that the first run reads; default 183.
    pub login_window_days: i32,
    /// API calls per month that the contract allows; `None` when it is not configured.
    pub monthly_calls: Option<i64>,
    /// Ids or logins of service accounts.
    pub service_accounts: Vec<String>,
    /// Licence terms, in the order in which their match rules are tried.
    pub licence: Vec<LicenceTerms>,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            idle_after_days: 90,
            new_user_grace_days: 45,
            returned_grace_days: 60,
            login_window_days: 183,
            monthly_calls: None,
            service_accounts: Vec::new(),
            licence: Vec::new(),
        }
    }
}
