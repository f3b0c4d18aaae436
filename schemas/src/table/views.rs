//! Views for users. Each one answers one question, which its `.sql` file states.

use super::{Column, Kind, Layout, Table, column};

const SNAPSHOT_DATE: Column = column("snapshot_date", Kind::Date, "Date of the snapshot.").required();
const USER_ID: Column = column("user_id", Kind::Text, "Box user id.").required();
const LOGIN: Column = column("login", Kind::Text, "Primary email address.");
const NAME: Column = column("name", Kind::Text, "Display name.");
const ROLE: Column = column("role", Kind::Text, "admin, coadmin or user.");
const SEAT_STATE: Column = column("seat_state", Kind::Text, "State of the seat; see accounts.");
const PROVEN_IDLE_DAYS: Column =
    column("proven_idle_days", Kind::Integer, "Whole days without use that coverage proves.");
const LAST_LOGIN_AT: Column = column(
    "last_login_at",
    Kind::Timestamp,
    "Newest LOGIN in the store. NULL means that none was seen, not that the user never signed in.",
);
const LAST_ACTIVITY_AT: Column = column(
    "last_activity_at",
    Kind::Timestamp,
    "Newest evidence of use from any source; NULL means that none was seen.",
);
const CREATED_AT: Column = column("created_at", Kind::Timestamp, "When Box created the account.");
const SPACE_USED_BYTES: Column = column("space_used_bytes", Kind::BigInt, "Storage used in bytes.");
const GROUP_COUNT: Column = column("group_count", Kind::BigInt, "Groups the user is in.").required();
const LICENCE_PLAN: Column =
    column("licence_plan", Kind::Text, "Licence plan of the seat; NULL without terms.");
const MONTHLY_COST: Column =
    column("monthly_cost", Kind::Money, "Monthly cost of the seat; NULL without terms.");
const CURRENCY: Column = column("currency", Kind::Text, "Currency of monthly_cost.");

/// Seats that are provably not used.
pub static IDLE_ACCOUNTS: Table = Table {
    name: "idle_accounts",
    layout: Layout::View,
    key: &["user_id"],
    comment: "Which users have a seat and provably do not use it? One row per seat in state idle, never_since_created or no_login_seen, longest first. Seats in state suspended, paused, too_new or unknown are excluded.",
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
        column("last_activity_source", Kind::Text, "Source of that evidence."),
        CREATED_AT,
        column(
            "idle_since_date",
            Kind::Date,
            "UTC day since which no use was seen, although coverage would show it.",
        ),
        GROUP_COUNT,
        SPACE_USED_BYTES,
        LICENCE_PLAN,
        MONTHLY_COST,
        CURRENCY,
        column("meaning", Kind::Text, "The known facts, as a sentence.").required(),
    ],
};

/// Seats that only deletion frees.
pub static SUSPENDED_SEATS: Table = Table {
    name: "suspended_seats",
    layout: Layout::View,
    key: &["user_id"],
    comment: "Which suspended users still take a seat? One row per suspended account with a seat, longest first.",
    columns: &[
        SNAPSHOT_DATE,
        USER_ID,
        LOGIN,
        NAME,
        ROLE,
        column(
            "suspended_since",
            Kind::Timestamp,
            "Start of the suspension: the time of the event, else of the first snapshot that showed it.",
        ),
        column("suspended_days", Kind::Integer, "Whole 24 h since that time."),
        column(
            "is_at_least",
            Kind::Bool,
            "Whether the store's first snapshot already showed the suspension. Then suspended_days is a minimum.",
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
    comment: "Which seats would the reclamation policy reclaim, and what does it save? One row per candidate without a left_out_reason; empty without a policy. The reasons for excluded users are in reclaim_candidates.",
    columns: &[
        SNAPSHOT_DATE,
        USER_ID,
        LOGIN,
        NAME,
        ROLE,
        column("stage", Kind::Text, "The stage that a plan would have for the user.").required(),
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
    comment: "Which users have access through which group, and do they still use their account? One row per membership. The owner of the group confirms or withdraws it.",
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
        column("seat_kind", Kind::Text, "Kind of the account; see accounts.").required(),
        SEAT_STATE,
        PROVEN_IDLE_DAYS,
        LAST_LOGIN_AT,
        LAST_ACTIVITY_AT,
        column(
            "member_since_at",
            Kind::Timestamp,
            "When Box created the membership; often NULL, because Box's lists do not always have it.",
        ),
        column(
            "is_external_collab_restricted",
            Kind::Bool,
            "Whether collaboration outside the enterprise is forbidden.",
        ),
        column(
            "read_at",
            Kind::Timestamp,
            "When the membership was last read from Box (not carried forward).",
        )
        .required(),
    ],
};

/// Administrator rights that are not used.
pub static DORMANT_ADMINS: Table = Table {
    name: "dormant_admins",
    layout: Layout::View,
    key: &["user_id"],
    comment: "Which administrators provably do not use their account? One row per admin or coadmin with a seat that is suspended, idle, never_since_created or no_login_seen. Service accounts are excluded, because they never sign in.",
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
        column("status_since", Kind::Timestamp, "Since when the account has its status; see accounts."),
        column("groups_administered_count", Kind::BigInt, "Groups that the user is also an admin of.")
            .required(),
    ],
};

/// Groups and their users.
pub static GROUP_HEALTH: Table = Table {
    name: "group_health",
    layout: Layout::View,
    key: &["group_id"],
    comment: "Which groups are empty, have no admin, or have only inactive members? One row per group. Counts are NULL when members were not read: for all_users_group, and for a group whose members were never read.",
    columns: &[
        SNAPSHOT_DATE,
        column("group_id", Kind::Text, "Box group id.").required(),
        column("name", Kind::Text, "Group name."),
        column("group_type", Kind::Text, "managed_group or all_users_group."),
        column("members_count", Kind::BigInt, "Members of the group."),
        column("admins_count", Kind::BigInt, "Of these, admins of the group."),
        column("suspended_count", Kind::BigInt, "Of these, suspended users."),
        column("used_count", Kind::BigInt, "Of these, users with a seat that is used."),
        column(
            "not_used_count",
            Kind::BigInt,
            "Of these, users with a seat that is idle, never_since_created or no_login_seen.",
        ),
        column(
            "other_count",
            Kind::BigInt,
            "All other members: too new, on leave, unknown, and accounts without a seat.",
        ),
        column(
            "not_used_percent",
            Kind::Percent,
            "(suspended_count + not_used_count) / members_count, in percent; NULL without members.",
        ),
        column(
            "last_activity_at",
            Kind::Timestamp,
            "Newest evidence of use of any member; NULL means that none was seen.",
        ),
        column(
            "memberships_read_at",
            Kind::Timestamp,
            "When its members were last read from the group side (not carried forward); NULL = never.",
        ),
        column("memberships_age_days", Kind::Integer, "Whole 24 h since that time."),
        column(
            "concern",
            Kind::Text,
            "The first that applies: not_read, empty, nobody_active (all suspended), nobody_uses_it (all suspended or not used), no_admin (no group admin); NULL when none applies.",
        ),
    ],
};

/// Tracking codes as rows.
pub static ACCOUNT_TRACKING_CODES: Table = Table {
    name: "account_tracking_codes",
    layout: Layout::View,
    key: &[],
    comment: "Which tracking codes does each listed user have? One row per user and code, in Box's order. A user without codes has no row.",
    columns: &[
        USER_ID,
        column("name", Kind::Text, "Name of the code."),
        column("value", Kind::Text, "Value of the code; NULL when it is empty."),
    ],
};
