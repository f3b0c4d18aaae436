//! Seats over time: their state, their cost, and the actions to reclaim them.

use super::{Kind, Layout, Table, column};

/// Seats, snapshot by snapshot.
///
/// The states are those of `accounts.seat_state`, one column each. A test compares the two.
pub static SEAT_USAGE_DAILY: Table = Table {
    name: "seat_usage_daily",
    layout: Layout::PerNight,
    key: &["snapshot_date"],
    comment: "One row per night, as it was known that night: with the thresholds and licence terms of then, never restated. A missing night has no row, and nothing is filled in between. Grows by one row a night.",
    columns: &[
        column("snapshot_date", Kind::Date, "The night.").required(),
        column("run_number", Kind::BigInt, "The run of that night.").required(),
        column("seats_purchased", Kind::BigInt, "Seats bought by the terms in force, all plans together; NULL when there are none, or one does not say."),
        column("seats_assigned", Kind::BigInt, "Seats taken: managed users that Box lists, suspended ones too.").required(),
        column("seats_free", Kind::BigInt, "Purchased less assigned; negative when more are taken than were bought."),
        column("active_30d", Kind::BigInt, "Assigned seats with evidence of use in the last 30 x 24 h; NULL when that span is not covered."),
        column("active_60d", Kind::BigInt, "Likewise in the last 60 x 24 h."),
        column("active_90d", Kind::BigInt, "Likewise in the last 90 x 24 h."),
        column("suspended_count", Kind::BigInt, "Seats of suspended accounts: they cost until the account is deleted.").required(),
        column("paused_count", Kind::BigInt, "Seats of people on leave.").required(),
        column("used_count", Kind::BigInt, "Seats with evidence of use within report_settings.idle_after_days of then.").required(),
        column("too_new_count", Kind::BigInt, "Seats of people too new, or too newly back, to be judged.").required(),
        column("idle_count", Kind::BigInt, "Seats used before, and provably not since.").required(),
        column("never_since_created_count", Kind::BigInt, "Seats created inside coverage and never used.").required(),
        column("no_login_seen_count", Kind::BigInt, "Seats without any evidence, as far back as coverage reaches.").required(),
        column("unknown_count", Kind::BigInt, "Seats of which nothing is claimed: coverage is too short, or has a gap.").required(),
        column("reclaimable_count", Kind::BigInt, "Seats the reclamation policy would take back, or go on taking back: candidates that nothing leaves out; NULL without a policy, and when it could not be used (data check policy_usable)."),
        column("joined_count", Kind::BigInt, "People who joined or returned since the night before it in the store; with those who left it explains the difference of listed people.").required(),
        column("left_count", Kind::BigInt, "People gone since that night.").required(),
        column("monthly_cost", Kind::Money, "What the assigned seats cost a month, by the terms of that night; NULL when no seat has terms."),
        column("monthly_waste", Kind::Money, "Of it, what suspended, idle, never_since_created and no_login_seen seats cost."),
        column("currency", Kind::Text, "Currency of both; NULL without terms."),
        column("policy_digest", Kind::Text, "Digest of the reclamation policy; NULL without one."),
    ],
};

/// Every action that was attempted on an account.
pub static SEAT_ACTIONS: Table = Table {
    name: "seat_actions",
    layout: Layout::Journal,
    key: &["action_id"],
    comment: "One row per action that boxseat tried on an account, by a reviewed plan or offboard; empty until there is one. Its run_number in the lake is that of the night the plan was made from.",
    columns: &[
        column("action_id", Kind::Text, "Id of the action.").required(),
        column("plan_id", Kind::Text, "The plan it belongs to."),
        column("plan_digest", Kind::Text, "Digest of that plan."),
        column("policy_digest", Kind::Text, "Digest of the policy the plan followed."),
        column("snapshot_date", Kind::Date, "The night the plan was made from."),
        column("user_id", Kind::Text, "Whose account.").required(),
        column("login", Kind::Text, "Its login at that time."),
        column("action", Kind::Text, "What was tried: suspend, terminate_sessions, transfer, delete, restore; reactivate and suspend_again around a transfer.").required(),
        column("stage", Kind::Text, "The plan's stage."),
        column("planned_by", Kind::Text, "Who made the plan."),
        column("approved_by", Kind::Text, "Who approved it."),
        column("approved_at", Kind::Timestamp, "When it was approved."),
        column("applied_by", Kind::Text, "Who applied it."),
        column("actor_user_id", Kind::Text, "The Box account that acted."),
        column("requested_at", Kind::Timestamp, "When Box was asked.").required(),
        column("finished_at", Kind::Timestamp, "When the outcome was known; NULL when it never was."),
        column("outcome", Kind::Text, "What came of it: done, refused, not_done, not_attempted; reverted_by_other and re_provisioned are rows of their own, about an action that was done.").required(),
        column("http_status", Kind::Integer, "Box's answer; NULL without one."),
        column("request_id", Kind::Text, "Box's id of the request, for its support."),
        column("status_before", Kind::Text, "Box's status of the account before."),
        column("status_after", Kind::Text, "And after, as read back."),
        column("receiver_user_id", Kind::Text, "Who received the content; NULL for other actions."),
        column("destination_folder_id", Kind::Text, "The folder it came into."),
        column("reason", Kind::Text, "Why, in a sentence."),
        column("evidence", Kind::Text, "What the decision was made on, as JSON."),
        column("ticket", Kind::Text, "The ticket the plan named."),
        column(
            "prev_hash",
            Kind::Text,
            "Hash of the journal's entry before: the chain shows what was taken out.",
        )
        .required(),
    ],
};

/// What was bought, and its cost.
pub static LICENCE_TERMS: Table = Table {
    name: "licence_terms",
    layout: Layout::Given,
    key: &[],
    comment: "One row per [[licence]] of the configuration: a plan and the days on which its terms hold. A day's cost uses that day's terms; two rows of one plan never hold on one day.",
    columns: &[
        column("plan_id", Kind::Text, "The plan's name in the configuration.").required(),
        column("valid_from_date", Kind::Date, "First day the terms hold; NULL = since ever."),
        column("valid_to_date", Kind::Date, "Last day the terms hold; NULL = until further notice."),
        column("seats_purchased", Kind::BigInt, "Seats bought; NULL when it is not said."),
        column("cost_per_seat_monthly", Kind::Money, "Price of a seat a month; NULL when it is not said."),
        column("currency", Kind::Text, "Its currency, such as EUR."),
        column("term_start_date", Kind::Date, "First day of the contract's term."),
        column("renewal_date", Kind::Date, "Day on which it renews."),
        column("notice_by_date", Kind::Date, "Last day to give notice."),
        column("box_plan", Kind::Text, "What Box calls the plan."),
        column("external_seats", Kind::BigInt, "Seats for collaborators of other enterprises, which no managed user takes."),
        column("console_seats_used", Kind::BigInt, "Seats in use as Box's admin console showed them."),
        column("console_seen_at", Kind::Timestamp, "When somebody looked at the console; of a bare date, its start in UTC."),
        column("match_rule", Kind::Text, "Whose seats these are: all, tracking_code:NAME=VALUE or group:ID; the first rule in the file that matches wins.").required(),
    ],
};

/// Users that the reclamation policy evaluated.
pub static RECLAIM_CANDIDATES: Table = Table {
    name: "reclaim_candidates",
    layout: Layout::Given,
    key: &["user_id"],
    comment: "One row per person whose seat the reclamation policy considered; empty until there is a policy.",
    columns: &[
        column("user_id", Kind::Text, "The person.").required(),
        column("stage", Kind::Text, "The stage a plan of tonight would have for the person.").required(),
        column(
            "left_out_reason",
            Kind::Text,
            "Why a plan would leave the person out; NULL when it would not.",
        ),
    ],
};
