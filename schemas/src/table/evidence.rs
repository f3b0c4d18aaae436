//! Evidence of use other than LOGIN, and leave that excuses from use. It is stored separately from events, each row with its source.

use super::{Kind, Layout, Table, column};

/// Activity of users, by day.
pub static ACTIVITY_DAILY: Table = Table {
    name: "activity_daily",
    layout: Layout::Recounted,
    key: &["user_id", "activity_date", "event_type"],
    comment: "One row per user, UTC day and event type of [sync] activity_events with something the user did itself; empty while none is configured. A day whose end was read later is counted anew, whole; grows by users x days with activity.",
    columns: &[
        column("user_id", Kind::Text, "Who did it, and to whose account it counts.").required(),
        column("activity_date", Kind::Date, "The UTC day it was done on.").required(),
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
    comment: "One row per user and imported report: the newest use that the report tells of. A file is taken in once, however often it is imported; older reports stay. It only ever moves a user towards used; evidence older than the account's creation does not count.",
    columns: &[
        column("user_id", Kind::Text, "The user the report's row was matched with.").required(),
        column("source", Kind::Text, "Which report: user_details or user_engagement.").required(),
        column(
            "evidence_at",
            Kind::Timestamp,
            "Newest use the report tells of; of a report that tells days, the day's end in UTC.",
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
    comment: "One row per leave of every leave list ever read, because a list forgets leaves that have ended. The rows with the newest imported_at are the list in force; a list without any leave left one row that names nobody. A leave that a later list no longer has ended when that list was read, if not before.",
    columns: &[
        column("user_id", Kind::Text, "Who is on leave; NULL in the only row of an empty list."),
        column(
            "from_date",
            Kind::Date,
            "First day of the leave (UTC); NULL in the only row of an empty list.",
        ),
        column("to_date", Kind::Date, "Last day of the leave (UTC); NULL = no end is known."),
        column("imported_at", Kind::Timestamp, "When the list was read; the same in all its rows.")
            .required(),
        column("file_digest", Kind::Text, "SHA-256 of the list, in hexadecimal.").required(),
    ],
};
