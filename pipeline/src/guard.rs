//! Guards: what a run must look like before it may replace the old night.
//!
//! The vendor's own sample report lists all users as inactive when the feed is empty, and that file feeds its delete script.
//! A refused run leaves the old night published and says what to do.

use serde::{Deserialize, Serialize};

/// Why a run was refused. Display is the sentence the operator needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "guard", rename_all = "snake_case")]
pub enum Refusal {
    /// No user at all.
    #[error("Box listed no user at all")]
    EmptyList,
    /// Only the caller itself.
    #[error("Box listed only the caller itself ({login}): the app sees its own users alone")]
    SelfOnly {
        /// The caller.
        login: String,
    },
    /// Another enterprise than the store's.
    #[error("these credentials belong to enterprise {found}, this store to enterprise {bound}")]
    OtherEnterprise {
        /// What Box says.
        found: String,
        /// What the store is bound to.
        bound: String,
    },
    /// The caller belongs to no enterprise.
    #[error("these credentials belong to no enterprise: they act as a free account")]
    NoEnterprise,
    /// A table shrank by more than is plausible.
    #[error(
        "{table} shrank from {before} to {now} rows: {percent:.1} % are gone and no event says so (limit {limit_percent} %)"
    )]
    Shrunk {
        /// Which table.
        table: String,
        /// Rows in the base run.
        before: u64,
        /// Rows now.
        now: u64,
        /// The loss that no event announces, in percent.
        percent: f64,
        /// What is allowed.
        limit_percent: f64,
    },
    /// More people gone than the admin log tells of.
    #[error("{gone} people are gone without a DELETE_USER event (limit {limit})")]
    Gone {
        /// Listed by the base run, not listed now, named by no DELETE_USER.
        gone: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The admin log says nothing where it must.
    #[error("the admin log is silent: no event between {from} and {to}, {reason}")]
    SilentFeed {
        /// Start of the window.
        from: String,
        /// End of the window.
        to: String,
        /// Why that cannot be.
        reason: String,
    },
    /// This machine's clock is off.
    #[error("this machine's clock is {} seconds {} Box's", skew_secs.unsigned_abs(), if *skew_secs > 0 { "behind" } else { "ahead of" })]
    Clock {
        /// Box's clock minus ours.
        skew_secs: i64,
    },
    /// More groups than offset paging can list.
    #[error("there are more than 10,000 groups, and Box lists no further")]
    TooManyGroups,
}

impl Refusal {
    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self {
            Refusal::EmptyList | Refusal::SelfOnly { .. } => {
                "in the Box developer console set the app's access to \"App + Enterprise Access\" and tick \"Manage users\"; then have an admin authorise the app again"
            }
            Refusal::OtherEnterprise { .. } => {
                "use the store of that enterprise (--store), or the credentials of this one; a store is never rebound"
            }
            Refusal::NoEnterprise => {
                "sign in with client credentials of the enterprise, or with an admin's developer token"
            }
            Refusal::Shrunk { .. } => {
                "check in the admin console whether so many are really gone; if they are, start again with --accept-shrink PERCENT, which reads nothing again"
            }
            Refusal::Gone { .. } => {
                "check in the admin console whether they are really gone: rolled out, merged, or deleted by a directory; if they are, start again with --accept-shrink PERCENT, which reads nothing again"
            }
            Refusal::SilentFeed { .. } => {
                "nothing is claimed about anybody on such a night; check that the app may read admin events (\"Manage enterprise properties\"), look at status.box.com, then start again; a holiday belongs into [sync] quiet_dates"
            }
            Refusal::Clock { .. } => "set the clock (NTP), then start again",
            Refusal::TooManyGroups => {
                "nothing is truncated silently: please report it, reading groups by name prefix is not built yet"
            }
        }
    }

    /// Whether the run itself is no good; else it is the credentials or the clock, and the run can be resumed with better ones.
    pub fn is_about_the_run(&self) -> bool {
        !matches!(self, Refusal::OtherEnterprise { .. } | Refusal::NoEnterprise | Refusal::Clock { .. })
    }

    /// Whether `--accept-shrink` can overrule it.
    pub fn is_shrink(&self) -> bool {
        matches!(self, Refusal::Shrunk { .. } | Refusal::Gone { .. })
    }
}

/// Rows a run found, or its base run had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Users listed.
    pub users: u64,
    /// Groups listed.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
}

/// Refuses a run whose users, groups or memberships shrank by more than `limit_percent` against its base. What events announce as
/// gone does not count.
///
/// # Errors
/// [`Refusal::Shrunk`].
pub fn shrink(before: Sizes, now: Sizes, announced: Sizes, limit_percent: f64) -> Result<(), Refusal> {
    for (table, before, now, announced) in [
        ("users", before.users, now.users, announced.users),
        ("groups", before.groups, now.groups, announced.groups),
        ("memberships", before.memberships, now.memberships, announced.memberships),
    ] {
        let lost = before.saturating_sub(now).saturating_sub(announced);
        #[expect(clippy::cast_precision_loss, reason = "row counts lie far below 2^52")]
        let percent = if before == 0 { 0.0 } else { lost as f64 * 100.0 / before as f64 };
        if percent > limit_percent {
            return Err(Refusal::Shrunk { table: table.into(), before, now, percent, limit_percent });
        }
    }
    Ok(())
}

/// Refuses a run from which over max(5, 0.5 %) of the `listed` people are `gone` without a DELETE_USER event; `accepted` is what
/// a person accepted instead, in percent.
///
/// # Errors
/// [`Refusal::Gone`].
pub fn gone(gone: u64, listed: u64, accepted: Option<f64>) -> Result<(), Refusal> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "people of one enterprise, a share of 0 to 100 %"
    )]
    let limit = match accepted {
        Some(percent) => (listed as f64 * percent / 100.0).floor() as u64,
        None => (listed / 200).max(5),
    };
    if gone > limit { Err(Refusal::Gone { gone, limit }) } else { Ok(()) }
}

/// Refuses a machine whose clock is more than five minutes from Box's.
///
/// # Errors
/// [`Refusal::Clock`].
pub fn clock(skew_secs: Option<i64>) -> Result<(), Refusal> {
    match skew_secs {
        Some(skew_secs) if skew_secs.abs() > MAX_SKEW_SECS => Err(Refusal::Clock { skew_secs }),
        _ => Ok(()),
    }
}

/// Beyond this, windows and ages would be wrong by more than the settle time forgives.
const MAX_SKEW_SECS: i64 = 5 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_percent_may_go_and_not_one_row_more() {
        let before = Sizes { users: 1000, groups: 10, memberships: 0 };
        let shrink = |now, announced| shrink(before, now, announced, 10.0);
        let nothing = Sizes::default();
        assert_eq!(shrink(Sizes { users: 900, groups: 9, memberships: 0 }, nothing), Ok(()));
        assert_eq!(shrink(Sizes { users: 2000, groups: 10, memberships: 5 }, nothing), Ok(()));
        let refusal = shrink(Sizes { users: 899, groups: 10, memberships: 0 }, nothing).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "users shrank from 1000 to 899 rows: 10.1 % are gone and no event says so (limit 10 %)"
        );
        assert!(refusal.is_shrink());
        assert!(shrink(Sizes { users: 1000, groups: 8, memberships: 0 }, nothing).is_err());
    }

    /// The deletion of one large group refused the run, although the admin log had its event.
    #[test]
    fn an_announced_loss_is_no_shrinking() {
        let before = Sizes { users: 100, groups: 10, memberships: 72 };
        let now = Sizes { users: 100, groups: 9, memberships: 50 };
        let shrink = |announced| shrink(before, now, announced, 10.0);
        assert!(shrink(Sizes { groups: 1, memberships: 22, users: 0 }).is_ok());
        assert!(shrink(Sizes { groups: 1, memberships: 12, users: 0 }).is_err());
    }

    #[test]
    fn a_handful_may_leave_unannounced() {
        assert!(gone(5, 100, None).is_ok() && gone(6, 100, None).is_err());
        assert!(gone(50, 10_000, None).is_ok() && gone(51, 10_000, None).is_err());
        assert!(gone(900, 10_000, Some(9.0)).is_ok() && gone(901, 10_000, Some(9.0)).is_err());
        assert!(gone(6, 100, None).unwrap_err().is_shrink());
    }

    #[test]
    fn a_clock_off_by_an_hour_is_refused_in_both_directions() {
        assert_eq!(
            clock(Some(3600)).unwrap_err().to_string(),
            "this machine's clock is 3600 seconds behind Box's"
        );
        assert_eq!(
            clock(Some(-3600)).unwrap_err().to_string(),
            "this machine's clock is 3600 seconds ahead of Box's"
        );
        assert!(clock(Some(299)).is_ok() && clock(None).is_ok());
    }
}
