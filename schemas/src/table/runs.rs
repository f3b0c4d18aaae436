//! The record of runs for operators and auditors.

use super::{Kind, Layout, Table, column};

/// Runs.
pub static SYNC_RUNS: Table = Table {
    name: "sync_runs",
    layout: Layout::Append,
    key: &["run_number"],
    comment: "One row per run that ended. A run becomes visible when its row is written.",
    columns: &[
        column("run_number", Kind::BigInt, "Number of the run in this store.").required(),
        column("run_id", Kind::Text, "UUIDv7 of the run.").required(),
        column("kind", Kind::Text, "sync or replay.").required(),
        column("status", Kind::Text, "complete, abandoned or failed.").required(),
        column("snapshot_date", Kind::Date, "Date of the snapshot: the UTC date of the run's start.")
            .required(),
        column(
            "base_run_number",
            Kind::BigInt,
            "The base run: rows are carried forward from it, and the snapshot is compared with it. NULL for the first run.",
        ),
        column(
            "replaces_run_number",
            Kind::BigInt,
            "The run that this run replaces; NULL unless it is a replay.",
        ),
        column("started_at", Kind::Timestamp, "When the run started.").required(),
        column("finished_at", Kind::Timestamp, "When the run ended.").required(),
        column("window_from_at", Kind::Timestamp, "Start of the event window that the run read.").required(),
        column("window_to_at", Kind::Timestamp, "End of the event window that the run read.").required(),
        column(
            "planned_calls_count",
            Kind::BigInt,
            "API calls that the plan predicted; NULL without a plan.",
        ),
        column(
            "calls_count",
            Kind::BigInt,
            "API calls made, including token requests, retries and errors, as Box counts them.",
        )
        .required(),
        column("retries_count", Kind::BigInt, "Calls that repeated a failed call.").required(),
        column(
            "waited_seconds",
            Kind::BigInt,
            "Seconds for which all tasks waited because Box required it (Retry-After).",
        )
        .required(),
        column(
            "late_events_count",
            Kind::BigInt,
            "New events that are older than the end of the previous window.",
        )
        .required(),
        column(
            "drift_count",
            Kind::BigInt,
            "Differences from the base that no event announced, without those that happened after the window; NULL without a base, and for a run that loaded nothing.",
        ),
        column(
            "unknown_fields_count",
            Kind::BigInt,
            "Fields that Box sent and that have no column, over all records.",
        )
        .required(),
        column("rejects_count", Kind::BigInt, "Records that could not be parsed.").required(),
        column("store_id", Kind::Text, "UUID of the store.").required(),
        column("version", Kind::Text, "Version of boxseat that made the run.").required(),
    ],
};

/// The call ledger.
pub static RUN_CALLS: Table = Table {
    name: "run_calls",
    layout: Layout::Append,
    key: &["run_id", "call_date", "endpoint"],
    comment: "API calls per run, UTC day and endpoint, as Box counts them against the monthly allowance.",
    columns: &[
        column("run_id", Kind::Text, "The run or command that made the calls.").required(),
        column("call_date", Kind::Date, "UTC day of the calls.").required(),
        column("endpoint", Kind::Text, "Method and path without ids.").required(),
        column("calls_count", Kind::BigInt, "Calls made, including retries and errors.").required(),
        column("retries_count", Kind::BigInt, "Of these, repeats of a failed call.").required(),
        column("throttled_count", Kind::BigInt, "Of these, calls with a 429 response.").required(),
        column(
            "errors_count",
            Kind::BigInt,
            "Of these, calls that failed in another way: 4xx, 5xx, or no response.",
        )
        .required(),
    ],
};

/// Row counts of a run.
pub static RUN_ROWS: Table = Table {
    name: "run_rows",
    layout: Layout::Append,
    key: &["run_id", "table_name"],
    comment: "Rows per run and table: from_box + carried - duplicate - rejected - dropped = in_lake = in_warehouse.",
    columns: &[
        column("run_id", Kind::Text, "Id of the run.").required(),
        column("table_name", Kind::Text, "Table of the lake.").required(),
        column("rows_from_box", Kind::BigInt, "Records that Box sent.").required(),
        column("rows_carried", Kind::BigInt, "Rows carried forward from the base run.").required(),
        column(
            "rows_duplicate",
            Kind::BigInt,
            "Records that were sent more than once, or that an earlier run already has.",
        )
        .required(),
        column("rows_rejected", Kind::BigInt, "Records that could not be parsed; see rejects.").required(),
        column("rows_dropped", Kind::BigInt, "Records whose user or group is not in this snapshot.")
            .required(),
        column("rows_in_lake", Kind::BigInt, "Rows that the run committed.").required(),
        column(
            "rows_in_warehouse",
            Kind::BigInt,
            "Rows of the run in the DuckDB file; NULL when the run was not published.",
        ),
    ],
};

/// Records that could not be read.
pub static REJECTS: Table = Table {
    name: "rejects",
    layout: Layout::Append,
    key: &[],
    comment: "One row per record that could not be parsed, so that every record that Box sends is accounted for.",
    columns: &[
        column("run_number", Kind::BigInt, "The run that read the record.").required(),
        column("stream", Kind::Text, "users, groups, memberships, email_aliases or events.").required(),
        column("reason", Kind::Text, "Why the record was rejected.").required(),
        column(
            "raw",
            Kind::Text,
            "The record as Box sent it. IP addresses and session ids are removed if [privacy] drops them.",
        )
        .required(),
    ],
};

/// Results of the checks of this publish.
pub static DATA_CHECKS: Table = Table {
    name: "data_checks",
    layout: Layout::Given,
    key: &["check_name", "table_name"],
    comment: "One row per check that ran before this file was published. With a failed error check the previous file stays in place, so only warnings have failing rows here.",
    columns: &[
        column("check_name", Kind::Text, "Name of the check.").required(),
        column("table_name", Kind::Text, "The table or view that was checked.").required(),
        column(
            "severity",
            Kind::Text,
            "error (the snapshot is not published) or warn (the snapshot is published with a warning).",
        )
        .required(),
        column("failing_rows_count", Kind::BigInt, "Rows that violate the check; 0 = passed.").required(),
        column("example", Kind::Text, "One of these rows; NULL when the check passed."),
    ],
};
