//! Seats over time: their state, their cost, and the actions to reclaim them.

use super::{Kind, Layout, Table, column};

/// Seat counts of each snapshot.
///
/// The states are those of `accounts.seat_state`, one column each. A test compares the two.
pub static SEAT_USAGE_DAILY: Table = Table {
    name: "seat_usage_daily",
    layout: Layout::PerNight,
    key: &["snapshot_date"],
    comment: "One row per snapshot, as known at that time: with the thresholds and licence terms of that time, never recalculated. A date without a snapshot has no row, and no values are interpolated. Grows by one row per snapshot.",
    columns: &[
        column("snapshot_date", Kind::Date, "Date of the snapshot.").required(),
        column("run_number", Kind::BigInt, "The run of that snapshot.").required(),
        column("seats_purchased", Kind::BigInt, "Seats purchased by the terms in force, over all plans; NULL without terms, or when one of them does not state it."),
        column("seats_assigned", Kind::BigInt, "Assigned seats: managed users that Box lists, including suspended users.").required(),
        column("seats_free", Kind::BigInt, "seats_purchased - seats_assigned; negative when more seats are assigned than were purchased."),
        column("active_30d", Kind::BigInt, "Assigned seats with evidence of use in the last 30 x 24 h; NULL when that span is not covered."),
        column("active_60d", Kind::BigInt, "As active_30d, for the last 60 x 24 h."),
        column("active_90d", Kind::BigInt, "As active_30d, for the last 90 x 24 h."),
        column("suspended_count", Kind::BigInt, "Seats of suspended accounts. They cost until the account is deleted.").required(),
        column("paused_count", Kind::BigInt, "Seats of users on leave.").required(),
        column("used_count", Kind::BigInt, "Seats with evidence of use within report_settings.idle_after_days, with the setting of that time.").required(),
        column("too_new_count", Kind::BigInt, "Seats of users who were created or who returned too recently to be evaluated.").required(),
        column("idle_count", Kind::BigInt, "Seats that were used before and are provably idle now.").required(),
        column("never_since_created_count", Kind::BigInt, "Seats of accounts that were created within coverage and never used.").required(),
        column("no_login_seen_count", Kind::BigInt, "Seats without any evidence of use in the whole coverage.").required(),
        column("unknown_count", Kind::BigInt, "Seats without a known state: coverage is too short or has a gap.").required(),
        column("reclaimable_count", Kind::BigInt, "Seats that the reclamation policy would reclaim or continue to reclaim: candidates without a left_out_reason; NULL without a policy, and when the policy could not be used (data check policy_usable)."),
        column("joined_count", Kind::BigInt, "Users who joined or returned since the base run. joined_count - left_count is the difference in listed users.").required(),
        column("left_count", Kind::BigInt, "Users who are gone since the base run.").required(),
        column("monthly_cost", Kind::Money, "Monthly cost of the assigned seats by the terms of that snapshot; NULL when no seat has terms."),
        column("monthly_waste", Kind::Money, "Part of monthly_cost for suspended, idle, never_since_created and no_login_seen seats."),
        column("currency", Kind::Text, "Currency of both amounts; NULL without terms."),
        column("policy_digest", Kind::Text, "Digest of the reclamation policy; NULL without one."),
    ],
};

/// Every action that was attempted on an account.
pub static SEAT_ACTIONS: Table = Table {
    name: "seat_actions",
    layout: Layout::Journal,
    key: &["action_id"],
    comment: "One row per action that boxseat attempted on an account, by an approved plan or by offboard; empty until there is one. In the lake, run_number is the run of the snapshot that the plan was made from.",
    columns: &[
        column("action_id", Kind::Text, "Id of the action.").required(),
        column("plan_id", Kind::Text, "The plan that the action belongs to."),
        column("plan_digest", Kind::Text, "Digest of that plan."),
        column("policy_digest", Kind::Text, "Digest of the policy of the plan."),
        column("snapshot_date", Kind::Date, "Date of the snapshot that the plan was made from."),
        column("user_id", Kind::Text, "The user of the account.").required(),
        column("login", Kind::Text, "The login of the account at that time."),
        column("action", Kind::Text, "The attempted action: suspend, terminate_sessions, transfer, delete, restore; reactivate and suspend_again before and after a transfer.").required(),
        column("stage", Kind::Text, "The plan's stage."),
        column("planned_by", Kind::Text, "The user who made the plan."),
        column("approved_by", Kind::Text, "The user who approved the plan."),
        column("approved_at", Kind::Timestamp, "When the plan was approved."),
        column("applied_by", Kind::Text, "The user who applied the plan."),
        column("actor_user_id", Kind::Text, "The Box account that acted."),
        column("requested_at", Kind::Timestamp, "When the request was sent to Box.").required(),
        column("finished_at", Kind::Timestamp, "When the outcome became known; NULL when it is unknown."),
        column("outcome", Kind::Text, "Outcome: done, refused, not_done, not_attempted. reverted_by_other and re_provisioned are separate rows about an action that was done.").required(),
        column("http_status", Kind::Integer, "Status of Box's response; NULL without a response."),
        column("request_id", Kind::Text, "Box's id of the request, for Box support."),
        column("status_before", Kind::Text, "Box's status of the account before the action."),
        column("status_after", Kind::Text, "Box's status of the account after the action, as read from Box."),
        column("receiver_user_id", Kind::Text, "The user who received the content; NULL for other actions."),
        column("destination_folder_id", Kind::Text, "The folder that received the content."),
        column("reason", Kind::Text, "The reason, as a sentence."),
        column("evidence", Kind::Text, "The evidence for the decision, as JSON."),
        column("ticket", Kind::Text, "The ticket that the plan names."),
        column(
            "prev_hash",
            Kind::Text,
            "Hash of the previous entry of the journal. The chain shows if an entry was removed.",
        )
        .required(),
    ],
};

/// Licence terms: the purchased seats and their cost.
pub static LICENCE_TERMS: Table = Table {
    name: "licence_terms",
    layout: Layout::Given,
    key: &[],
    comment: "One row per [[licence]] of the configuration: a plan and the days on which its terms are in force. The cost of a day uses the terms of that day. Two rows of one plan are never in force on the same day.",
    columns: &[
        column("plan_id", Kind::Text, "The plan's name in the configuration.").required(),
        column("valid_from_date", Kind::Date, "First day on which the terms are in force; NULL = no start."),
        column("valid_to_date", Kind::Date, "Last day on which the terms are in force; NULL = no end."),
        column("seats_purchased", Kind::BigInt, "Seats purchased; NULL when it is not stated."),
        column("cost_per_seat_monthly", Kind::Money, "Price of a seat per month; NULL when it is not stated."),
        column("currency", Kind::Text, "Currency of the price, such as EUR."),
        column("term_start_date", Kind::Date, "First day of the contract's term."),
        column("renewal_date", Kind::Date, "Day on which the contract renews."),
        column("notice_by_date", Kind::Date, "Last day to give notice."),
        column("box_plan", Kind::Text, "Box's name of the plan."),
        column("external_seats", Kind::BigInt, "Seats for collaborators of other enterprises. No managed user takes one of them."),
        column("console_seats_used", Kind::BigInt, "Seats in use according to Box's admin console."),
        column("console_seen_at", Kind::Timestamp, "When the console was read; for a date without a time, the start of that day in UTC."),
        column("match_rule", Kind::Text, "Users of these seats: all, tracking_code:NAME=VALUE or group:ID. The first matching rule in the file applies.").required(),
    ],
};

/// Users that the reclamation policy evaluated.
pub static RECLAIM_CANDIDATES: Table = Table {
    name: "reclaim_candidates",
    layout: Layout::Given,
    key: &["user_id"],
    comment: "One row per user that the reclamation policy considered; empty until there is a policy.",
    columns: &[
        column("user_id", Kind::Text, "The considered user.").required(),
        column("stage", Kind::Text, "The stage that a plan from this snapshot would have for the user.")
            .required(),
        column(
            "left_out_reason",
            Kind::Text,
            "Why a plan would exclude the user; NULL when it would include the user.",
        ),
    ],
};
