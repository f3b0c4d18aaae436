//! Tables and views that the publish step computes inside the DuckDB file.

use super::{Kind, Layout, Table, column};

/// The thresholds of the views, and the time that the views use as the current time.
pub static REPORT_SETTINGS: Table = Table {
    name: "report_settings",
    layout: Layout::Given,
    key: &[],
    comment: "One row: the time of the snapshot and the thresholds of the views. No view reads the clock.",
    columns: &[
        column("snapshot_date", Kind::Date, "Date of the published snapshot.").required(),
        column("run_number", Kind::BigInt, "The run of that snapshot.").required(),
        column("enterprise_id", Kind::Text, "The Box enterprise.").required(),
        column(
            "now_at",
            Kind::Timestamp,
            "When the snapshot's run started. Views use it as the current time and count days as whole 24 h back from it.",
        )
        .required(),
        column(
            "idle_after_days",
            Kind::Integer,
            "Days without evidence of use after which an account is idle.",
        )
        .required(),
        column("new_user_grace_days", Kind::Integer, "Days after creation in which an account is not evaluated (too_new).")
            .required(),
        column("login_window_days", Kind::Integer, "Days of logins that the first run read.").required(),
        column("time_zone", Kind::Text, "Time zone of the days in _date columns.").required(),
        column(
            "monthly_calls_count",
            Kind::BigInt,
            "API calls that the contract allows per month; NULL when it is not configured.",
        ),
        column(
            "returned_grace_days",
            Kind::Integer,
            "Days after a return or reactivation in which an account is not evaluated (too_new).",
        )
        .required(),
        column(
            "contract_version",
            Kind::Integer,
            "Version of the contract of these tables. Within one version, columns and tables are only added.",
        )
        .required(),
    ],
};

/// One row per account, with its evaluation.
pub static ACCOUNTS: Table = Table {
    name: "accounts",
    layout: Layout::Computed,
    key: &["user_id"],
    comment: "One row per user that any snapshot listed, including users who are gone (account_status deprovisioned), with status, seat and evidence of use. A user is idle only within proved login coverage. With a gap in coverage the state is unknown.",
    columns: &[
        column("user_id", Kind::Text, "Box user id.").required(),
        column("login", Kind::Text, "Primary email address."),
        column("name", Kind::Text, "Display name."),
        column("role", Kind::Text, "admin, coadmin or user."),
        column("account_status", Kind::Text, "active, suspended (Box: inactive), deprovisioned or unknown.")
            .required(),
        column("box_status", Kind::Text, "Box's own status, as sent; for a user who is gone, the last known one."),
        column("is_restricted", Kind::Bool, "Whether Box's status forbids deleting, editing or uploading.")
            .required(),
        column("deprovision_reason", Kind::Text, "Why the account is gone: deleted or left_enterprise; NULL when the reason is unknown, and for listed users."),
        column("seat_kind", Kind::Text, "managed_user, app_user, service_account, system, or likely_machine (a managed user that creates tokens and never signs in; only if [sync] activity_events reads such events).").required(),
        column(
            "consumes_seat",
            Kind::Bool,
            "Whether the account takes a licence. Every listed managed user does, also when suspended. A user who is gone does not.",
        )
        .required(),
        column(
            "seat_state",
            Kind::Text,
            "State of the seat: suspended, paused, used, too_new, idle, never_since_created, no_login_seen, unknown; NULL without a seat.",
        ),
        column("created_at", Kind::Timestamp, "When Box created the account."),
        column("first_seen_at", Kind::Timestamp, "Start of the first run that listed the user. For all users of the store's first snapshot it is the start of that run."),
        column("last_seen_at", Kind::Timestamp, "Start of the last run that listed the user; for a carried or missing row, when the row was last read."),
        column("status_since", Kind::Timestamp, "Since when the account has box_status or is gone: the time of the event, else of the first snapshot that showed it. If that is the store's first snapshot, the status may be older."),
        column("suspended_since", Kind::Timestamp, "status_since of a suspended account; NULL for all others."),
        column("deprovisioned_at", Kind::Timestamp, "status_since of an account that is gone; NULL for all others."),
        column("last_login_at", Kind::Timestamp, "Newest LOGIN in the store. NULL means that none was seen, not that the user never signed in."),
        column(
            "logins_30d",
            Kind::BigInt,
            "LOGIN events in the last 30 x 24 h; NULL when that span is not covered.",
        ),
        column(
            "logins_90d",
            Kind::BigInt,
            "LOGIN events in the last 90 x 24 h; NULL when that span is not covered.",
        ),
        column(
            "logins_183d",
            Kind::BigInt,
            "LOGIN events in the last 183 x 24 h; NULL when that span is not covered.",
        ),
        column("days_since_login", Kind::Integer, "Whole 24 h since last_login_at; NULL when that is NULL."),
        column(
            "last_activity_at",
            Kind::Timestamp,
            "Newest evidence of use from any source: LOGIN, activity_daily (end of the day, at most now_at), imported_evidence. NULL means that none was seen, not that the account was never used.",
        ),
        column(
            "last_activity_source",
            Kind::Text,
            "Source of last_activity_at: LOGIN, another event type, or the imported report (user_details, user_engagement).",
        ),
        column(
            "proven_idle_days",
            Kind::Integer,
            "Whole days without use that coverage proves. They count from the latest of: last evidence, start of coverage, creation, first appearance after the store's first snapshot, return, reactivation, end of leave. NULL when coverage proves nothing, and for a user who is gone. Use only this column for decisions about a seat.",
        ),
        column(
            "login_coverage_from",
            Kind::Timestamp,
            "Start of the newest unbroken span of LOGIN coverage.",
        ),
        column("login_coverage_to", Kind::Timestamp, "End of that span."),
        column(
            "inactivity_band",
            Kind::Text,
            "0-30, 31-60, 61-90, 91-180, over_180, too_new, never_since_created, no_login_seen or unknown.",
        )
        .required(),
        column("inactivity_band_order", Kind::Integer, "Sort order of the band.").required(),
        column("on_leave_until", Kind::Date, "Last day of the leave on the date of the snapshot; NULL when the user is not on leave, and when the end is unknown."),
        column("group_count", Kind::BigInt, "Groups the user is in.").required(),
        column("alias_count", Kind::BigInt, "Email aliases the user has.").required(),
        column("space_used_bytes", Kind::BigInt, "Storage used in bytes."),
        column("aliases_read_at", Kind::Timestamp, "When aliases were last read from Box (not carried forward); NULL = never."),
        column(
            "memberships_read_at",
            Kind::Timestamp,
            "When memberships were last read from Box (not carried forward); NULL = never.",
        ),
        column("licence_plan", Kind::Text, "Plan of the first licence terms in force that match the user; NULL without a seat or terms."),
        column("monthly_cost", Kind::Money, "Monthly cost of the seat by those terms; NULL without terms or price."),
        column("currency", Kind::Text, "Currency of monthly_cost."),
    ],
};

/// Seats by state.
pub static LICENCE_SUMMARY: Table = Table {
    name: "licence_summary",
    layout: Layout::View,
    key: &["seat_state"],
    comment: "How are our seats used? One row per seat state. The sum of seats_count is seats_assigned_count.",
    columns: &[
        column("snapshot_date", Kind::Date, "Date of the snapshot.").required(),
        column(
            "seat_state",
            Kind::Text,
            "suspended, paused, used, too_new, idle, never_since_created, no_login_seen or unknown.",
        )
        .required(),
        column("seat_state_order", Kind::Integer, "Sort order.").required(),
        column("seats_count", Kind::BigInt, "Seats in this state.").required(),
        column("seats_percent", Kind::Percent, "Share of all assigned seats, in percent."),
        column("seats_assigned_count", Kind::BigInt, "All assigned seats; the same on every row.").required(),
        column("meaning", Kind::Text, "The meaning of the state, as a sentence.").required(),
        column(
            "monthly_cost",
            Kind::Money,
            "Monthly cost of the seats in this state; NULL when none of them has licence terms.",
        ),
        column("currency", Kind::Text, "Currency of monthly_cost; NULL without terms."),
        column(
            "is_waste",
            Kind::Bool,
            "Whether the cost counts as waste: true for suspended, idle, never_since_created and no_login_seen.",
        )
        .required(),
    ],
};

/// Calls per month, compared with the allowance.
pub static API_USAGE_MONTHLY: Table = Table {
    name: "api_usage_monthly",
    layout: Layout::View,
    key: &["month_date"],
    comment: "How many API calls does a month use, and is the allowance sufficient? One row per UTC month with calls.",
    columns: &[
        column("month_date", Kind::Date, "First day of the UTC month.").required(),
        column("calls_count", Kind::BigInt, "Calls made, including retries and errors, as Box counts them.")
            .required(),
        column("retries_count", Kind::BigInt, "Of these, repeats of a failed call.").required(),
        column("throttled_count", Kind::BigInt, "Of these, calls with a 429 response.").required(),
        column("errors_count", Kind::BigInt, "Of these, calls that failed in another way.").required(),
        column("runs_count", Kind::BigInt, "Runs and commands that made calls.").required(),
        column("days_with_calls_count", Kind::BigInt, "UTC days with calls.").required(),
        column(
            "monthly_calls_count",
            Kind::BigInt,
            "The currently configured allowance; the same on every row; NULL when it is not configured.",
        ),
        column(
            "forecast_calls_count",
            Kind::BigInt,
            "Month of the snapshot: calls so far divided by days so far (including the day of the snapshot), times the days of the month. Other months: calls_count.",
        )
        .required(),
        column(
            "forecast_percent",
            Kind::Percent,
            "forecast_calls_count as a share of the allowance, in percent; NULL without an allowance.",
        ),
        column(
            "full_read_calls_count",
            Kind::BigInt,
            "Calls that a full read of the latest snapshot would use; the same on every row.",
        )
        .required(),
    ],
};
