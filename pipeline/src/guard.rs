//! Guards: the conditions that a run must meet before it may replace the old snapshot.
//!
//! Box's own sample report lists all users as inactive if the feed is empty, and its delete script uses that list. If boxseat refuses a
//! run, the old snapshot stays published, and the message states what to do.

use serde::{Deserialize, Serialize};

/// Why a run was refused. Display is the message for the operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "guard", rename_all = "snake_case")]
pub enum Refusal {
    /// No user at all.
    #[error("Box listed no user at all")]
    EmptyList,
    /// Only the caller.
    #[error("Box listed only the caller itself ({login}): the app can see only its own users")]
    SelfOnly {
        /// Login of the caller.
        login: String,
    },
    /// Another enterprise than that of the store.
    #[error("these credentials belong to enterprise {found}, this store to enterprise {bound}")]
    OtherEnterprise {
        /// The enterprise of the credentials.
        found: String,
        /// The enterprise of the store.
        bound: String,
    },
    /// The caller belongs to no enterprise.
    #[error("these credentials belong to no enterprise: they act as a free account")]
    NoEnterprise,
    /// A table shrank by more than is plausible.
    #[error(
        "{table} shrank from {before} to {now} rows: {percent:.1} % are gone without an event (limit {limit_percent} %)"
    )]
    Shrunk {
        /// The table.
        table: String,
        /// Rows in the base run.
        before: u64,
        /// Rows now.
        now: u64,
        /// The loss that no event announces, in percent.
        percent: f64,
        /// The limit.
        limit_percent: f64,
    },
    /// More users are gone than the admin log announces.
    #[error("{gone} users are gone without a DELETE_USER event (limit {limit})")]
    Gone {
        /// Users that the base run listed, that are not listed now, and that no DELETE_USER event names.
        gone: u64,
        /// The limit.
        limit: u64,
    },
    /// The admin log has no event where it must have some.
    #[error("the admin log is silent: no event between {from} and {to}, {reason}")]
    SilentFeed {
        /// Start of the window.
        from: String,
        /// End of the window.
        to: String,
        /// Why this is not plausible.
        reason: String,
    },
    /// This machine's clock is wrong.
    #[error("this machine's clock is {} seconds {} Box's", skew_secs.unsigned_abs(), if *skew_secs > 0 { "behind" } else { "ahead of" })]
    Clock {
        /// Box's clock minus our clock.
        skew_secs: i64,
    },
    /// More groups than offset paging can list.
    #[error("there are more than 10,000 groups, and Box lists only 10,000")]
    TooManyGroups,
}

impl Refusal {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Refusal::EmptyList | Refusal::SelfOnly { .. } => {
                "in the Box developer console set the app's access to \"App + Enterprise Access\" and tick \"Manage users\"; then ask an admin to authorise the app again"
            }
            Refusal::OtherEnterprise { .. } => {
                "use the store of that enterprise (--store), or the credentials of this one; if neither is wrong, state/store.json was changed: restore it from a backup"
            }
            Refusal::NoEnterprise => {
                "sign in with client credentials of the enterprise, or with an admin's developer token"
            }
            Refusal::Shrunk { .. } => {
                "check in the admin console whether so many are really gone; if they are, start again with --accept-shrink PERCENT, which uses the pages that were read"
            }
            Refusal::Gone { .. } => {
                "check in the admin console whether they are really gone: rolled out, merged, or deleted by a directory; if they are, start again with --accept-shrink PERCENT, which uses the pages that were read"
            }
            Refusal::SilentFeed { .. } => {
                "without events the state of all users is unknown; check that the app may read admin events (\"Manage enterprise properties\"), look at status.box.com, then start again; for a holiday, add the date to [sync] quiet_dates"
            }
            Refusal::Clock { .. } => "set the clock (NTP), then start again",
            Refusal::TooManyGroups => {
                "boxseat does not truncate the list: please report this, because reading groups by name prefix is not implemented yet"
            }
        }
    }

    /// Whether the data of the run is unusable. Otherwise the cause is the credentials or the clock, and the run can be resumed after a
    /// fix.
    pub fn is_about_the_run(&self) -> bool {
        !matches!(self, Refusal::OtherEnterprise { .. } | Refusal::NoEnterprise | Refusal::Clock { .. })
    }

    /// Whether `--accept-shrink` can override it.
    pub fn is_shrink(&self) -> bool {
        matches!(self, Refusal::Shrunk { .. } | Refusal::Gone { .. })
    }
}

/// Numbers of rows of a run or of its base run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Listed users.
    pub users: u64,
    /// Listed groups.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
}

/// Refuses a run whose users, groups or memberships shrank by more than `limit_percent` compared with its base. Losses that events
/// announce do not count.
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
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
        let percent = if before == 0 { 0.0 } else { lost as f64 * 100.0 / before as f64 };
        if percent > limit_percent {
            return Err(Refusal::Shrunk { table: table.into(), before, now, percent, limit_percent });
        }
    }
    Ok(())
}

/// Refuses a run if more than max(5, 0.5 %) of the `listed` users are `gone` without a DELETE_USER event. `accepted` is a limit in
/// percent that an operator has accepted instead.
///
/// # Errors
/// [`Refusal::Gone`].
pub fn gone(gone: u64, listed: u64, accepted: Option<f64>) -> Result<(), Refusal> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "users of one enterprise, a share of 0 to 100 %"
    )]
    let limit = match accepted {
        Some(percent) => (listed as f64 * percent / 100.0).floor() as u64,
        None => (listed / 200).max(5),
    };
    if gone > limit { Err(Refusal::Gone { gone, limit }) } else { Ok(()) }
}

/// Refuses a run if this machine's clock differs from Box's by more than five minutes.
///
/// # Errors
/// [`Refusal::Clock`].
pub fn clock(skew_secs: Option<i64>) -> Result<(), Refusal> {
    match skew_secs {
        Some(skew_secs) if skew_secs.abs() > MAX_SKEW_SECS => Err(Refusal::Clock { skew_secs }),
        _ => Ok(()),
    }
}

/// With a larger difference, windows and ages would be wrong by more than the settle time tolerates.
const MAX_SKEW_SECS: i64 = 5 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_of_ten_percent_passes_and_one_row_more_is_refused() {
        let before = Sizes { users: 1000, groups: 10, memberships: 0 };
        let shrink = |now, announced| shrink(before, now, announced, 10.0);
        let nothing = Sizes::default();
        assert_eq!(shrink(Sizes { users: 900, groups: 9, memberships: 0 }, nothing), Ok(()));
        assert_eq!(shrink(Sizes { users: 2000, groups: 10, memberships: 5 }, nothing), Ok(()));
        let refusal = shrink(Sizes { users: 899, groups: 10, memberships: 0 }, nothing).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "users shrank from 1000 to 899 rows: 10.1 % are gone without an event (limit 10 %)"
        );
        assert!(refusal.is_shrink());
        assert!(shrink(Sizes { users: 1000, groups: 8, memberships: 0 }, nothing).is_err());
    }

    /// Why: a run was refused because one large group was deleted, although the admin log had the event.
    #[test]
    fn announced_loss_does_not_count_as_shrinking() {
        let before = Sizes { users: 100, groups: 10, memberships: 72 };
        let now = Sizes { users: 100, groups: 9, memberships: 50 };
        let shrink = |announced| shrink(before, now, announced, 10.0);
        assert!(shrink(Sizes { groups: 1, memberships: 22, users: 0 }).is_ok());
        assert!(shrink(Sizes { groups: 1, memberships: 12, users: 0 }).is_err());
    }

    #[test]
    fn few_unannounced_leavers_are_accepted() {
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
