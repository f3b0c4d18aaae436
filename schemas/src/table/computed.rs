//! Tables and views the publish step computes inside the DuckDB file.

use super::{Kind, Layout, Table, column};

/// The thresholds and the time from which every view counts.
pub static REPORT_SETTINGS: Table = Table {
    name: "report_settings",
    layout: Layout::Given,
    key: &[],
    comment: "One row: the night's now and the thresholds the views use; no view asks the clock.",
    columns: &[
        column("snapshot_date", Kind::Date, "The night published.").required(),
        column("run_number", Kind::BigInt, "The run of that night.").required(),
        column("enterprise_id", Kind::Text, "The Box enterprise.").required(),
        column(
            "now_at",
            Kind::Timestamp,
            "The night's now: when its run started. Days count whole 24 h back from here.",
        )
        .required(),
        column(
            "idle_after_days",
            Kind::Integer,
            "Days without evidence of use after which an account is idle.",
        )
        .required(),
        column("new_user_grace_days", Kind::Integer, "Days after creation in which nobody is judged.")
            .required(),
        column("login_window_days", Kind::Integer, "Days of logins the first run read back.").required(),
        column("time_zone", Kind::Text, "Zone in which _date columns are days.").required(),
        column(
            "monthly_calls_count",
            Kind::BigInt,
            "API calls a month that the contract allows; NULL when it is not configured.",
        ),
        column(
            "returned_grace_days",
            Kind::Integer,
            "Days after a return or reactivation in which nobody is judged.",
        )
        .required(),
        column(
            "contract_version",
            Kind::Integer,
            "Version of the contract of these tables: within one, columns and tables are only ever added.",
        )
        .required(),
    ],
};

/// One row per account, with its evaluation.
pub static ACCOUNTS: Table = Table {
    name: "accounts",
    layout: Layout::Computed,
    key: &["user_id"],
    comment: "One row per user ever seen, listed or gone (account_status deprovisioned), with status, seat and evidence of use. An idle person is claimed only inside proved login coverage; a gap says unknown.",
    columns: &[
        column("user_id", Kind::Text, "Box user id.").required(),
        column("login", Kind::Text, "Primary email address."),
        column("name", Kind::Text, "Display name."),
        column("role", Kind::Text, "admin, coadmin or user."),
        column("account_status", Kind::Text, "active, suspended (Box: inactive), deprovisioned or unknown.")
            .required(),
        column("box_status", Kind::Text, "Box's own status, as sent; of who is gone, the last known."),
        column("is_restricted", Kind::Bool, "Whether Box's status forbids deleting, editing or uploading.")
            .required(),
        column("deprovision_reason", Kind::Text, "Why an account is gone: deleted or left_enterprise; NULL when not known, and for listed users."),
        column("seat_kind", Kind::Text, "managed_user, app_user, service_account, system, or likely_machine (a managed user that makes tokens and never signs in; only where [sync] activity_events reads such events).").required(),
        column(
            "consumes_seat",
            Kind::Bool,
            "Whether a licence is taken: by every listed managed user, suspended ones too; by nobody who is gone.",
        )
        .required(),
        column(
            "seat_state",
            Kind::Text,
            "What the seat does: suspended, paused, used, too_new, idle, never_since_created, no_login_seen, unknown; NULL without a seat.",
        ),
        column("created_at", Kind::Timestamp, "When Box created the account."),
        column("first_seen_at", Kind::Timestamp, "First night it was listed; in the store's first night, everybody."),
        column("last_seen_at", Kind::Timestamp, "Last night it was listed; of a row carried or missing, when it was last read."),
        column("status_since", Kind::Timestamp, "Since when it has box_status, or is gone: as an event told, else since the first night that showed it. The store's first night means at least since."),
        column("suspended_since", Kind::Timestamp, "status_since of a suspended account; NULL for others."),
        column("deprovisioned_at", Kind::Timestamp, "status_since of an account that is gone; NULL for others."),
        column("last_login_at", Kind::Timestamp, "Newest LOGIN kept; NULL is none seen, which is not never."),
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
        column("days_since_login", Kind::Integer, "Whole 24 h since last_login_at; NULL without one."),
        column(
            "last_activity_at",
            Kind::Timestamp,
            "Newest evidence of any source: LOGIN, activity_daily (the end of the day, or now), imported_evidence; NULL is none seen, which is not never.",
        ),
        column(
            "last_activity_source",
            Kind::Text,
            "Which source that was: LOGIN or another event type, or the imported report (user_details, user_engagement).",
        ),
        column(
            "proven_idle_days",
            Kind::Integer,
            "Whole days without evidence that coverage proves, from the latest of last evidence, start of coverage, creation, first sight after the store's first night, return, reactivation and end of leave; NULL when it proves nothing, and for who is gone. The only column to judge by.",
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
        column("on_leave_until", Kind::Date, "Last day of the leave that holds on the night; NULL for who is not on leave, and when no end is known."),
        column("group_count", Kind::BigInt, "Groups the user is in.").required(),
        column("alias_count", Kind::BigInt, "Email aliases the user has.").required(),
        column("space_used_bytes", Kind::BigInt, "Storage used in bytes."),
        column("aliases_read_at", Kind::Timestamp, "When aliases were last truly read; NULL = never."),
        column(
            "memberships_read_at",
            Kind::Timestamp,
            "When memberships were last truly read; NULL = never.",
        ),
        column("licence_plan", Kind::Text, "Plan of the first licence terms in force that match; NULL without a seat or terms."),
        column("monthly_cost", Kind::Money, "What the seat costs a month by those terms; NULL without."),
        column("currency", Kind::Text, "Currency of monthly_cost."),
    ],
};

/// Seats by state.
pub static LICENCE_SUMMARY: Table = Table {
    name: "licence_summary",
    layout: Layout::View,
    key: &["seat_state"],
    comment: "How are our seats used? One row per seat state; seats_count adds up to seats_assigned_count.",
    columns: &[
        column("snapshot_date", Kind::Date, "The night.").required(),
        column(
            "seat_state",
            Kind::Text,
            "suspended, paused, used, too_new, idle, never_since_created, no_login_seen or unknown.",
        )
        .required(),
        column("seat_state_order", Kind::Integer, "Sort order.").required(),
        column("seats_count", Kind::BigInt, "Seats in this state.").required(),
        column("seats_percent", Kind::Percent, "Share of all assigned seats, in percent."),
        column("seats_assigned_count", Kind::BigInt, "All assigned seats, repeated on every row.").required(),
        column("meaning", Kind::Text, "The state in a sentence.").required(),
        column(
            "monthly_cost",
            Kind::Money,
            "What the seats in this state cost a month; NULL when none of them has licence terms.",
        ),
        column("currency", Kind::Text, "Currency of monthly_cost; NULL without terms."),
        column(
            "is_waste",
            Kind::Bool,
            "Whether that cost counts as waste: suspended, idle, never_since_created and no_login_seen.",
        )
        .required(),
    ],
};

/// Calls per month, compared with the allowance.
pub static API_USAGE_MONTHLY: Table = Table {
    name: "api_usage_monthly",
    layout: Layout::View,
    key: &["month_date"],
    comment: "How many API calls does a month cost, and will the allowance last? One row per UTC month with calls.",
    columns: &[
        column("month_date", Kind::Date, "First day of the UTC month.").required(),
        column("calls_count", Kind::BigInt, "Calls made, retries and errors included: what Box counts.")
            .required(),
        column("retries_count", Kind::BigInt, "Of these, repeats of a failed call.").required(),
        column("throttled_count", Kind::BigInt, "Of these, answered with 429.").required(),
        column("errors_count", Kind::BigInt, "Of these, failed otherwise.").required(),
        column("runs_count", Kind::BigInt, "Runs and commands that called.").required(),
        column("days_with_calls_count", Kind::BigInt, "UTC days with calls.").required(),
        column(
            "monthly_calls_count",
            Kind::BigInt,
            "The allowance as configured today, on every row; NULL when it is not.",
        ),
        column(
            "forecast_calls_count",
            Kind::BigInt,
            "Night's month: the calls so far by the days so far (the night's own counted) times the days of the month. Other months: their calls.",
        )
        .required(),
        column(
            "forecast_percent",
            Kind::Percent,
            "Share of the allowance that is, in percent; NULL without an allowance.",
        ),
        column(
            "full_read_calls_count",
            Kind::BigInt,
            "Calls that reading everything anew would cost tonight, on every row.",
        )
        .required(),
    ],
};
