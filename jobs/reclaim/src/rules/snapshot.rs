//! A snapshot as plain values: everything that the rules read, so that nothing is loaded later.
//!
//! The program loads it by SQL (`reclaim_context`). A test builds one by hand.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_pipeline::normalise::EventDays;
use boxseat_schemas::Money;
use boxseat_schemas::reclaim::Standing;
use boxseat_schemas::reclaim::plan::SnapshotId;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use crate::journal::state::JournalState;

/// A snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The store of the snapshot.
    pub store_id: Uuid,
    /// The enterprise of the snapshot.
    pub enterprise_id: String,
    /// Date, run number and time of the snapshot.
    pub night: SnapshotId,
    /// Time of the store's first snapshot: users that were listed then may have existed for years.
    pub first_snapshot_time: Option<DateTime<Utc>>,
    /// Start of the newest unbroken span of LOGIN coverage, and its end.
    pub login_coverage: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The same for each configured type of activity that was ever covered.
    pub activity_coverage: BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)>,
    /// What counted as evidence of use: LOGIN, types of activity, imported reports.
    pub evidence_sources: Vec<String>,
    /// Days after creation, or first sight, in which no user is evaluated (R5).
    pub new_user_grace_days: i64,
    /// Days after a return or reactivation in which no user is evaluated (R5).
    pub returned_grace_days: i64,
    /// Seats in use.
    pub seats_assigned: u64,
    /// Seats bought by the terms in force; `None` if the terms do not say.
    pub seats_purchased: Option<i64>,
    /// The next renewal day of a contract; a freed seat saves nothing before it (R20).
    pub renewal_date: Option<NaiveDate>,
    /// Events on each UTC day of the four weeks before the snapshot; a missing day had none (R11).
    pub events_by_day: EventDays,
    /// Names of the groups, by id.
    pub groups: BTreeMap<String, String>,
    /// Groups whose members were never read completely: a user who is not among the known members may be a member.
    pub unread_groups: BTreeSet<String>,
    /// All users ever seen, by id.
    pub people: BTreeMap<String, Person>,
}

/// One user of the snapshot.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Person {
    /// Box's id.
    pub user_id: String,
    /// The login.
    pub login: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// Box's role: `user`, `coadmin` or `admin`.
    pub role: Option<String>,
    /// Box's status, as sent.
    pub box_status: Option<String>,
    /// `active`, `suspended`, `deprovisioned` or `unknown`.
    pub account_status: String,
    /// How the row got into the snapshot: `listed`, `carried`, `missing_unconfirmed`; `None` for a user that is gone.
    pub listing: Option<String>,
    /// `managed_user`, `app_user` or another kind of `accounts`.
    pub seat_kind: String,
    /// Whether the account takes a seat.
    pub consumes_seat: bool,
    /// The state of the seat, as in `accounts`.
    pub seat_state: Option<String>,
    /// The enterprise that owns the account.
    pub enterprise_id: Option<String>,
    /// Whether shared folders stay open to collaborators while the account is inactive; `None`: unknown.
    pub is_content_available_when_inactive: Option<bool>,
    /// Whether it is an account of an application.
    pub is_platform_access_only: Option<bool>,
    /// An application's own id of the user.
    pub external_app_user_id: Option<String>,
    /// When Box created the account.
    pub created_at: Option<DateTime<Utc>>,
    /// The first snapshot that lists it.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// The last return or reactivation.
    pub returned_at: Option<DateTime<Utc>>,
    /// Since when it is suspended.
    pub suspended_since: Option<DateTime<Utc>>,
    /// The latest evidence of use.
    pub last_activity_at: Option<DateTime<Utc>>,
    /// What that evidence is, such as `LOGIN`.
    pub last_activity_source: Option<String>,
    /// Whole days without evidence of use that coverage proves; the only figure that counts (R2).
    pub proven_idle_days: Option<i64>,
    /// The leave on the date of the snapshot.
    pub leave: Option<OnLeave>,
    /// For a suspended user: who edited the account, and when last.
    pub edits: Vec<Edit>,
    /// Ids of the groups, sorted.
    pub group_ids: Vec<String>,
    /// Whether memberships were ever read; otherwise the groups above prove nothing.
    pub are_groups_known: bool,
    /// Addresses of the aliases, in lower case, sorted.
    pub aliases: Vec<String>,
    /// Whether aliases were ever read.
    pub are_aliases_known: bool,
    /// Logins and aliases of earlier snapshots, in lower case, sorted.
    pub former_addresses: Vec<String>,
    /// Tracking codes, as name and value.
    pub tracking_codes: Vec<(String, String)>,
    /// Bytes of its content.
    pub space_used_bytes: Option<i64>,
    /// The quota; `None` is unlimited or unknown, which [`Person::has_unlimited_space`] distinguishes.
    pub space_amount_bytes: Option<i64>,
    /// Whether it has no quota.
    pub has_unlimited_space: Option<bool>,
    /// What the seat costs a month.
    pub monthly_cost: Option<Money>,
    /// The currency of the cost.
    pub currency: Option<String>,
}

/// A leave on the date of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnLeave {
    /// Its last day; `None`: no known end.
    pub until: Option<NaiveDate>,
}

/// An EDIT_USER of the admin log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edit {
    /// The actor; `None`: Box does not say.
    pub actor_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Snapshot {
    /// The name of a group, or its id if the snapshot does not have it.
    pub(crate) fn group_name(&self, id: &str) -> String {
        self.groups.get(id).map_or_else(|| id.to_owned(), Clone::clone)
    }

    /// The name of a group that a user was in; a group that was deleted has only its id.
    pub(crate) fn group_left(&self, id: &str) -> String {
        self.groups
            .get(id)
            .map_or_else(|| format!("{id}, which the latest snapshot does not have"), Clone::clone)
    }

    /// A user by id.
    pub fn person(&self, user_id: &str) -> Option<&Person> {
        self.people.get(user_id)
    }

    /// The age of the snapshot.
    pub(crate) fn age(&self, now: DateTime<Utc>) -> TimeDelta {
        now - self.night.now_at
    }

    /// Since when every configured type of activity is watched without a gap up to the snapshot; `None` if one is not, or if none
    /// is configured.
    pub(crate) fn activity_watched_from(&self, configured: &[String]) -> Option<DateTime<Utc>> {
        let fresh_from = self.night.now_at - STALE_AFTER;
        let from = |event_type: &String| {
            let (from, to) = self.activity_coverage.get(event_type)?;
            (*to >= fresh_from).then_some(*from)
        };
        configured.iter().map(from).try_fold(None, |latest: Option<DateTime<Utc>>, from| {
            from.map(|from| Some(latest.map_or(from, |latest| latest.max(from))))
        })?
    }

    /// R3: whether every edit of an account since then is known, without a gap up to the snapshot.
    pub(crate) fn knows_edits_since(&self, at: DateTime<Utc>) -> bool {
        self.activity_watched_from(&["EDIT_USER".to_owned()]).is_some_and(|from| from <= at)
    }
}

impl Person {
    /// The latest known use: of the snapshot, or from the admin log read while a plan was applied.
    pub(crate) fn last_use(&self, past: &JournalState) -> Option<DateTime<Utc>> {
        self.last_activity_at.max(past.heard_use(&self.user_id))
    }

    /// The latest use if it is after the suspension of boxseat that is in force, and when that suspension was.
    pub(crate) fn use_after_suspension(&self, past: &JournalState) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let suspended_at = past.people.get(&self.user_id)?.suspension()?.asked_at;
        let used_at = self.last_use(past)?;
        (used_at > suspended_at).then_some((used_at, suspended_at))
    }

    /// The state that the user must still have when an action is done (R12). It has those tracking codes that the policy names.
    pub fn standing(&self, code_names: &[&str]) -> Standing {
        let mut tracking_codes: Vec<String> = self
            .tracking_codes
            .iter()
            .filter(|(name, _)| code_names.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        tracking_codes.sort();
        Standing {
            user_id: self.user_id.clone(),
            login: self.login.clone(),
            status: self.box_status.clone(),
            role: self.role.clone(),
            enterprise_id: self.enterprise_id.clone(),
            is_platform_access_only: self.is_platform_access_only,
            external_app_user_id: self.external_app_user_id.clone(),
            tracking_codes,
            group_ids: self.group_ids.clone(),
            aliases: self.aliases.clone(),
        }
    }

    /// R6: whether suspending the account closes no folder for others. An unknown value counts as no.
    pub(crate) fn keeps_folders_open(&self) -> bool {
        self.is_content_available_when_inactive == Some(true)
    }

    /// The user's name in a sentence: the login, else the id.
    pub fn called(&self) -> &str {
        self.login.as_deref().unwrap_or(&self.user_id)
    }
}

/// As in `accounts.sql`: the settle time, and one missed snapshot.
const STALE_AFTER: TimeDelta = TimeDelta::hours(48);
