//! The admin log. Each event is stored once, across all runs.

use super::{Column, Kind, Layout, Table, column};

const EVENT_ID: Column =
    column("event_id", Kind::Text, "Box event id, the same in history and live stream.").required();
const USER_ID: Column = column(
    "user_id",
    Kind::Text,
    "The user that the event is about, which is not always the actor; NULL when the event names no user.",
);
const USER_LOGIN: Column = column("user_login", Kind::Text, "That user's login as the event has it.");
const CREATED_AT: Column = column("created_at", Kind::Timestamp, "When it happened.").required();
const RECORDED_AT: Column = column(
    "recorded_at",
    Kind::Timestamp,
    "When Box stored the event; usually NULL, because Box does not send it.",
);
const IP_ADDRESS: Column =
    column("ip_address", Kind::Text, "IP address of the request; NULL unless [privacy] ip keeps it.")
        .personal();
const SESSION_ID: Column =
    column("session_id", Kind::Text, "Session id; NULL unless [privacy] session_id keeps it.").personal();
const ACTOR_ID: Column = column(
    "actor_id",
    Kind::Text,
    "The user who caused the event (Box's created_by); NULL for Box's unknown user.",
);
const EVENT_TYPE: Column = column("event_type", Kind::Text, "Box's event type, open text.").required();
const SOURCE_TYPE: Column =
    column("source_type", Kind::Text, "Type of the object of the event; NULL for group-level events.");
const SOURCE_ID: Column =
    column("source_id", Kind::Text, "Id of the object of the event; NULL for group-level events.");
const GROUP_ID: Column =
    column("group_id", Kind::Text, "The group that the event is about; NULL if there is none.");
const DETAILS: Column =
    column("details", Kind::Text, "Box's additional_details as JSON; NULL when Box sent none.");
const EXTRA: Column = column(
    "extra",
    Kind::Text,
    "JSON object of the fields that Box sent and that have no column; NULL when there were none.",
);

/// Every admin-log event that was read, in the lake.
pub static EVENTS: Table = Table {
    name: "events",
    layout: Layout::Events,
    key: &["event_id"],
    comment: "One row per admin-log event, kept for [retention] events_days. Grows with the activity in the enterprise.",
    columns: &[
        EVENT_ID,
        EVENT_TYPE,
        USER_ID,
        USER_LOGIN,
        CREATED_AT,
        RECORDED_AT,
        IP_ADDRESS,
        SESSION_ID,
        ACTOR_ID,
        SOURCE_TYPE,
        SOURCE_ID,
        GROUP_ID,
        DETAILS,
        EXTRA,
    ],
};

/// Sign-ins.
pub static LOGIN_EVENTS: Table = Table {
    name: "login_events",
    layout: Layout::EventSlice { logins: true },
    key: &["event_id"],
    comment: "One row per LOGIN event. Installed apps renew tokens without a LOGIN event, so a missing row does not prove that an account is unused.",
    columns: &[
        EVENT_ID,
        USER_ID,
        USER_LOGIN,
        CREATED_AT,
        RECORDED_AT,
        IP_ADDRESS,
        SESSION_ID,
        ACTOR_ID,
        EXTRA,
    ],
};

/// All other events of the feed.
pub static ADMIN_EVENTS: Table = Table {
    name: "admin_events",
    layout: Layout::EventSlice { logins: false },
    key: &["event_id"],
    comment: "One row per event that is not a LOGIN: changes of users, groups and aliases.",
    columns: &[
        EVENT_ID,
        USER_ID,
        USER_LOGIN,
        CREATED_AT,
        RECORDED_AT,
        IP_ADDRESS,
        SESSION_ID,
        ACTOR_ID,
        EXTRA,
        EVENT_TYPE,
        SOURCE_TYPE,
        SOURCE_ID,
        GROUP_ID,
        DETAILS,
    ],
};

/// The spans of the feed that are proved to have no gap.
pub static EVENT_COVERAGE: Table = Table {
    name: "event_coverage",
    layout: Layout::Append,
    key: &["event_type", "covered_from_at", "run_number"],
    comment: "One row per event type and interval that a run read completely. A user can be idle only within these intervals.",
    columns: &[
        column("event_type", Kind::Text, "The event type.").required(),
        column("covered_from_at", Kind::Timestamp, "Start of the interval, inclusive.").required(),
        column("covered_to_at", Kind::Timestamp, "End of the interval, exclusive.").required(),
        column("run_number", Kind::BigInt, "The run that read the interval.").required(),
    ],
};
