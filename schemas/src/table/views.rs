//! Views for users. Each one answers one question, which its `.sql` file states.

use super::{Column, Kind, Layout, Table, column};

const SNAPSHOT_DATE: Column = column("snapshot_date", Kind::Date, "The night.").required();
const USER_ID: Column = column("user_id", Kind::Text, "Box user id.").required();
const LOGIN: Column = column("login", Kind::Text, "Primary email address.");
const NAME: Column = column("name", Kind::Text, "Display name.");
const ROLE: Column = column("role", Kind::Text, "admin, coadmin or user.");
const SEAT_STATE: Column = column("seat_state", Kind::Text, "What the seat does; see accounts.");
const PROVEN_IDLE_DAYS: Column =
    column("proven_idle_days", Kind::Integer, "Whole days without evidence that coverage proves.");
const LAST_LOGIN_AT: Column =
    column("last_login_at", Kind::Timestamp, "Newest LOGIN kept; NULL is none seen, which is not never.");
const LAST_ACTIVITY_AT: Column =
    column("last_activity_at", Kind::Timestamp, "Newest evidence of any source; NULL is none seen.");
const CREATED_AT: Column = column("created_at", Kind::Timestamp, "When Box created the account.");
const SPACE_USED_BYTES: Column = column("space_used_bytes", Kind::BigInt, "Storage used in bytes.");
const GROUP_COUNT: Column = column("group_count", Kind::BigInt, "Groups the user is in.").required();
const LICENCE_PLAN: Column =
    column("licence_plan", Kind::Text, "Licence plan of the seat; NULL without terms.");
const MONTHLY_COST: Column =
    column("monthly_cost", Kind::Money, "What the seat costs a month; NULL without terms.");
const CURRENCY: Column = column("currency", Kind::Text, "Currency of monthly_cost.");

/// Seats that are provably not used.
pub static IDLE_ACCOUNTS: Table = Table {
    name: "idle_accounts",
    layout: Layout::View,
    key: &["user_id"],
    comment: "Who has a seat and provably does not use it? One row per seat in state idle, never_since_created or no_login_seen, longest first. Nobody suspended, on leave, too new or unknown is here.",
    columns: &[
        SNAPSHOT_DATE,
        USER_ID,
        LOGIN,
        NAME,
        ROLE,
        SEAT_STATE,
        PROVEN_IDLE_DAYS,
        column("inactivity_band", Kind::Text, "Band of the last evidence; see accounts.").required(),
        LAST_LOGIN_AT,
        LAST_ACTIVITY_AT,
        column("last_activity_source", Kind::Text, "Which source that evidence came from."),
        CREATED_AT,
        column(
            "idle_since_date",
            Kind::Date,
            "UTC day since which nothing was seen that coverage would have shown.",
        ),
        GROUP_COUNT,
        SPACE_USED_BYTES,
        LICENCE_PLAN,
        MONTHLY_COST,
        CURRENCY,
        column("meaning", Kind::Text, "What is known, in a sentence that claims no more.").required(),
    ],
};

/// Seats that only deletion frees.
pub static SUSPENDED_SEATS: Table = Table {
    name: "suspended_seats",
    layout: Layout::View,
    key: &["user_id"],
    comment: "Who is suspended and still takes a seat? One row per suspended account with a seat, longest first.",
    columns: &[
        SNAPSHOT_DATE,
        USER_ID,
        LOGIN,
        NAME,
        ROLE,
        column(
            "suspended_since",
            Kind::Timestamp,
            "Since when, as an event told, else since the first night that showed it.",
        ),
        column("suspended_days", Kind::Integer, "Whole 24 h since then."),
        column(
            "is_at_least",
            Kind::Bool,
            "Whether it was so in the store's first night already: the suspension is older than it says.",
        )
        .required(),
        LAST_LOGIN_AT,
        LAST_ACTIVITY_AT,
        GROUP_COUNT,
        SPACE_USED_BYTES,
        LICENCE_PLAN,
        MONTHLY_COST,
        CURRENCY,
    ],
};

/// Seats that the policy would reclaim.
pub static RECLAIMABLE_SEATS: Table = Table {
    name: "reclaimable_seats",
    layout: Layout::View,
    key: &["user_id"],
    comment: "Whose seat would the reclamation policy take back tonight, and what does it save? One row per candidate that nothing leaves out; empty without a policy. Why others are left out is in reclaim_candidates.",
    columns: &[
        SNAPSHOT_DATE,
        USER_ID,
        LOGIN,
        NAME,
        ROLE,
        column("stage", Kind::Text, "The stage a plan would have for the person.").required(),
        SEAT_STATE,
        PROVEN_IDLE_DAYS,
        LAST_ACTIVITY_AT,
        SPACE_USED_BYTES,
        LICENCE_PLAN,
        MONTHLY_COST,
        CURRENCY,
    ],
};

/// The access of users through groups.
pub static ACCESS_REVIEW: Table = Table {
    name: "access_review",
    layout: Layout::View,
    key: &["membership_id"],
    comment: "Who has access through which group, and do they still use their account? One row per membership, to be confirmed or withdrawn by whoever answers for the group.",
    columns: &[
        SNAPSHOT_DATE,
        column("membership_id", Kind::Text, "Box membership id.").required(),
        column("group_id", Kind::Text, "The group.").required(),
        column("group_name", Kind::Text, "Its name."),
        column("role_in_group", Kind::Text, "member or admin (of the group)."),
        USER_ID,
        LOGIN,
        NAME,
        ROLE,
        column("account_status", Kind::Text, "active, suspended or unknown.").required(),
        column("seat_kind", Kind::Text, "What kind of account it is; see accounts.").required(),
        SEAT_STATE,
        PROVEN_IDLE_DAYS,
        LAST_LOGIN_AT,
        LAST_ACTIVITY_AT,
        column(
            "member_since_at",
            Kind::Timestamp,
            "When Box created the membership; its lists often leave it out.",
        ),
        column(
            "is_external_collab_restricted",
            Kind::Bool,
            "Whether collaboration outside the enterprise is forbidden.",
        ),
        column("read_at", Kind::Timestamp, "When the membership was last truly read from Box.").required(),
    ],
};

/// Administrator rights that are not used.
pub static DORMANT_ADMINS: Table = Table {
    name: "dormant_admins",
    layout: Layout::View,
    key: &["user_id"],
    comment: "Who has an administrator's rights and provably does not use the account? One row per admin or coadmin with a seat that is suspended, idle, never_since_created or no_login_seen. Programs are not here: they never sign in.",
    columns: &[
        SNAPSHOT_DATE,
        USER_ID,
        LOGIN,
        NAME,
        ROLE,
        column("account_status", Kind::Text, "active, suspended or unknown.").required(),
        SEAT_STATE,
        PROVEN_IDLE_DAYS,
        LAST_LOGIN_AT,
        LAST_ACTIVITY_AT,
        CREATED_AT,
        column("status_since", Kind::Timestamp, "Since when it has its status; see accounts."),
        column("groups_administered_count", Kind::BigInt, "Groups it is an admin of besides.").required(),
    ],
};

/// Groups and their users.
pub static GROUP_HEALTH: Table = Table {
    name: "group_health",
    layout: Layout::View,
    key: &["group_id"],
    comment: "Which groups are empty, without an admin, or full of people who no longer work? One row per group. Counts are NULL where nobody was read: the group of everybody, and a group whose members were never read.",
    columns: &[
        SNAPSHOT_DATE,
        column("group_id", Kind::Text, "Box group id.").required(),
        column("name", Kind::Text, "Group name."),
        column("group_type", Kind::Text, "managed_group or all_users_group."),
        column("members_count", Kind::BigInt, "People in it."),
        column("admins_count", Kind::BigInt, "Of these, admins of the group."),
        column("suspended_count", Kind::BigInt, "Of these, suspended."),
        column("used_count", Kind::BigInt, "Of these, with a seat that is used."),
        column(
            "not_used_count",
            Kind::BigInt,
            "Of these, with a seat that is idle, never_since_created or no_login_seen.",
        ),
        column(
            "other_count",
            Kind::BigInt,
            "All others: too new, on leave, unknown, and accounts without a seat.",
        ),
        column(
            "not_used_percent",
            Kind::Percent,
            "Share of suspended and not used among the members, in percent; NULL without members.",
        ),
        column(
            "last_activity_at",
            Kind::Timestamp,
            "Newest evidence of use of any member; NULL is none seen.",
        ),
        column(
            "memberships_read_at",
            Kind::Timestamp,
            "When its members were last truly read from the group side; NULL = never.",
        ),
        column("memberships_age_days", Kind::Integer, "Whole 24 h since then."),
        column(
            "concern",
            Kind::Text,
            "The first that holds: not_read, empty, nobody_active (all suspended), nobody_uses_it (all suspended or not used), no_admin (no group admin); NULL when none does.",
        ),
    ],
};

/// Tracking codes as rows.
pub static ACCOUNT_TRACKING_CODES: Table = Table {
    name: "account_tracking_codes",
    layout: Layout::View,
    key: &[],
    comment: "Which tracking codes does each listed user have? One row per user and code, in Box's order; a user without codes has no row.",
    columns: &[
        USER_ID,
        column("name", Kind::Text, "Name of the code."),
        column("value", Kind::Text, "Its value; NULL when it is empty."),
    ],
};
