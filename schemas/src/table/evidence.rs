//! Evidence of use other than LOGIN, and leave, during which no use is expected. Both are stored separately from events. Each row has its
//! source.

use super::{Kind, Layout, Table, column};

/// Activity of users, by day.
pub static ACTIVITY_DAILY: Table = Table {
    name: "activity_daily",
    layout: Layout::Recounted,
    key: &["user_id", "activity_date", "event_type"],
    comment: "One row per user, UTC day and event type of [sync] activity_events with actions of the user itself; empty while no type is configured. If a later run reads the rest of a day, it counts the whole day again. Grows by users x days with activity.",
    columns: &[
        column("user_id", Kind::Text, "The user who acted. The activity counts for this account.").required(),
        column("activity_date", Kind::Date, "The UTC day of the activity.").required(),
        column("event_type", Kind::Text, "Box's event type, open text.").required(),
        column("events_count", Kind::BigInt, "Events of that type on that day, each event_id once.")
            .required(),
    ],
};

/// Evidence of use from the console's reports.
pub static IMPORTED_EVIDENCE: Table = Table {
    name: "imported_evidence",
    layout: Layout::Append,
    key: &["user_id", "source", "file_digest"],
    comment: "One row per user and imported report: the newest use in that report. Importing the same file again adds no rows. Older reports stay. Evidence can only move a user towards used. Evidence older than the account's creation does not count.",
    columns: &[
        column("user_id", Kind::Text, "The user that matches the row of the report.").required(),
        column("source", Kind::Text, "Which report: user_details or user_engagement.").required(),
        column(
            "evidence_at",
            Kind::Timestamp,
            "Newest use in the report; if the report states days, the end of the day in UTC.",
        )
        .required(),
        column("imported_at", Kind::Timestamp, "When the file was imported.").required(),
        column("file_digest", Kind::Text, "SHA-256 of the file, in hexadecimal.").required(),
    ],
};

/// Users on leave, as stated in each leave list that was read.
pub static LEAVE_PERIODS: Table = Table {
    name: "leave_periods",
    layout: Layout::Append,
    key: &[],
    comment: "One row per leave of every leave list that was read. Older lists stay, because a new list does not have past leaves. The rows with the newest imported_at are the current list. An empty list has one row without a user. If a later list no longer has a leave, the leave ended at the latest when that list was read.",
    columns: &[
        column("user_id", Kind::Text, "The user on leave; NULL in the only row of an empty list."),
        column(
            "from_date",
            Kind::Date,
            "First day of the leave (UTC); NULL in the only row of an empty list.",
        ),
        column("to_date", Kind::Date, "Last day of the leave (UTC); NULL = the end is unknown."),
        column("imported_at", Kind::Timestamp, "When the list was read; the same in all its rows.")
            .required(),
        column("file_digest", Kind::Text, "SHA-256 of the list, in hexadecimal.").required(),
    ],
};
