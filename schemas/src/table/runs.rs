//! The record of runs for operators and auditors.

use super::{Kind, Layout, Table, column};

/// Runs.
pub static SYNC_RUNS: Table = Table {
    name: "sync_runs",
    layout: Layout::Append,
    key: &["run_number"],
    comment: "One row per run that ended; its row is the moment a run becomes visible.",
    columns: &[
        column("run_number", Kind::BigInt, "Number of the run in this store.").required(),
        column("run_id", Kind::Text, "UUIDv7 of the run.").required(),
        column("kind", Kind::Text, "sync or replay.").required(),
        column("status", Kind::Text, "complete, abandoned or failed.").required(),
        column("snapshot_date", Kind::Date, "UTC date of its start: the night it is.").required(),
        column(
            "base_run_number",
            Kind::BigInt,
            "The run it carries forward from and is compared with; NULL for the first.",
        ),
        column(
            "replaces_run_number",
            Kind::BigInt,
            "The run it takes the place of; NULL unless it is a replay.",
        ),
        column("started_at", Kind::Timestamp, "When it started: the night's now.").required(),
        column("finished_at", Kind::Timestamp, "When it ended.").required(),
        column("window_from_at", Kind::Timestamp, "Start of the event window it read.").required(),
        column("window_to_at", Kind::Timestamp, "End of the event window it read.").required(),
        column(
            "planned_calls_count",
            Kind::BigInt,
            "API calls the plan foresaw; NULL when there was no plan.",
        ),
        column(
            "calls_count",
            Kind::BigInt,
            "API calls made: token requests, retries and errors included, as Box counts them.",
        )
        .required(),
        column("retries_count", Kind::BigInt, "Calls that repeated a failed one.").required(),
        column("waited_seconds", Kind::BigInt, "Seconds all tasks stood still because Box asked for it.")
            .required(),
        column("late_events_count", Kind::BigInt, "New events older than the previous window's end.")
            .required(),
        column(
            "drift_count",
            Kind::BigInt,
            "Differences from the base that no event announced, but for what happened after the window; NULL without a base, and for a run that loaded nothing.",
        ),
        column(
            "unknown_fields_count",
            Kind::BigInt,
            "Fields Box sent that have no column, over all records.",
        )
        .required(),
        column("rejects_count", Kind::BigInt, "Records that could not be understood.").required(),
        column("store_id", Kind::Text, "UUID of the store.").required(),
        column("version", Kind::Text, "boxseat version that ran.").required(),
    ],
};

/// The call ledger.
pub static RUN_CALLS: Table = Table {
    name: "run_calls",
    layout: Layout::Append,
    key: &["run_id", "call_date", "endpoint"],
    comment: "API calls per run, UTC day and endpoint: what Box will count against the monthly allowance.",
    columns: &[
        column("run_id", Kind::Text, "The run or command that called.").required(),
        column("call_date", Kind::Date, "UTC day of the calls.").required(),
        column("endpoint", Kind::Text, "Method and path with ids taken out.").required(),
        column("calls_count", Kind::BigInt, "Calls made, retries and errors included.").required(),
        column("retries_count", Kind::BigInt, "Of these, repeats of a failed call.").required(),
        column("throttled_count", Kind::BigInt, "Of these, answered with 429.").required(),
        column("errors_count", Kind::BigInt, "Of these, failed otherwise: 4xx, 5xx, or no answer.")
            .required(),
    ],
};

/// The counts of the rows of a run.
pub static RUN_ROWS: Table = Table {
    name: "run_rows",
    layout: Layout::Append,
    key: &["run_id", "table_name"],
    comment: "Rows per run and table: from_box + carried - duplicate - rejected - dropped = in_lake = in_warehouse.",
    columns: &[
        column("run_id", Kind::Text, "Id of the run.").required(),
        column("table_name", Kind::Text, "Table of the lake.").required(),
        column("rows_from_box", Kind::BigInt, "Records Box sent.").required(),
        column("rows_carried", Kind::BigInt, "Rows carried forward from the base run.").required(),
        column("rows_duplicate", Kind::BigInt, "Records sent more than once, or known from an earlier run.")
            .required(),
        column("rows_rejected", Kind::BigInt, "Records that could not be understood; see rejects.")
            .required(),
        column("rows_dropped", Kind::BigInt, "Records that belong to nothing this night lists.").required(),
        column("rows_in_lake", Kind::BigInt, "Rows this run committed.").required(),
        column(
            "rows_in_warehouse",
            Kind::BigInt,
            "Of this run's rows, those in the DuckDB file; NULL when it was not published.",
        ),
    ],
};

/// Records that could not be read.
pub static REJECTS: Table = Table {
    name: "rejects",
    layout: Layout::Append,
    key: &[],
    comment: "One row per record that could not be understood: nothing Box sends disappears without a trace.",
    columns: &[
        column("run_number", Kind::BigInt, "The run that read it.").required(),
        column("stream", Kind::Text, "users, groups, memberships, email_aliases or events.").required(),
        column("reason", Kind::Text, "Why it was refused.").required(),
        column(
            "raw",
            Kind::Text,
            "The record as Box sent it, addresses and sessions removed where [privacy] drops them.",
        )
        .required(),
    ],
};

/// The findings of the checks of this publish.
pub static DATA_CHECKS: Table = Table {
    name: "data_checks",
    layout: Layout::Given,
    key: &["check_name", "table_name"],
    comment: "One row per check made before this file was published. An error with failing rows would have kept the old night, so only warnings have any.",
    columns: &[
        column("check_name", Kind::Text, "What was checked.").required(),
        column("table_name", Kind::Text, "Of which table or view.").required(),
        column("severity", Kind::Text, "error (such a night is not published) or warn (it is, and says so).")
            .required(),
        column("failing_rows_count", Kind::BigInt, "Rows that should not be so; 0 = passed.").required(),
        column("example", Kind::Text, "One of them; NULL when it passed."),
    ],
};
