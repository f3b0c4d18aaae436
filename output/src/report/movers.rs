//! `movers`: joiners, leavers and changed users between two snapshots.

use chrono::{Days, NaiveDate};

use super::ask::Scope;
use super::model::{Body, Report, Section, Table, ValueKind};
use super::source::Source;
use super::{column, count, headline, note, row_keys, section};
use crate::Result;

/// The default period of the report, in days.
const DAYS: u64 = 30;

pub(super) fn report(source: &Source, scope: &Scope) -> Result<Report> {
    let until = scope.until.unwrap_or(source.date());
    let since = match scope.since {
        Some(since) => since,
        None => until.checked_sub_days(Days::new(DAYS)).unwrap_or(until),
    };
    // Snapshots after the first, up to and including the last.
    let period = format!("snapshot_date > DATE '{since}' AND snapshot_date <= DATE '{until}'");
    let mut figures = Vec::new();
    for (change, id, label, meaning) in CHANGES {
        let sql = format!("SELECT count(*) FROM {SEEN} WHERE {period} AND change = '{change}'");
        figures.push(headline(id, label, count(source.count(&sql)?), meaning));
    }
    let unannounced = source.count(&format!(
        "SELECT count(*) FROM {SEEN} WHERE {period} AND event_at IS NULL AND change IN ({})",
        words()
    ))?;
    figures.push(super::figure(
        "unannounced",
        "Without an event",
        count(unannounced),
        "Of all these, changes that no event of the admin log announced.",
    ));
    let mut notices = vec![compared(source, since, until)?];
    if scope.misses_leavers() {
        notices.push(note("The filters use current values. A user who left has no current group, tracking code or status and is excluded."));
    }
    Ok(Report {
        name: "movers",
        title: "Movers".to_owned(),
        question: "Which users joined, left or changed, and when?".to_owned(),
        snapshot: source.snapshot().clone(),
        notices,
        filters: Vec::new(),
        sections: vec![
            section("summary", "In short", None, Body::Figures(figures)),
            changes(source, &period)?,
        ],
    })
}

/// The snapshots that are used for the two dates.
fn compared(source: &Source, since: NaiveDate, until: NaiveDate) -> Result<super::Notice> {
    let snapshot = |sql: String| source.words(&sql).map(|found| found.into_iter().next());
    let base = snapshot(format!(
        "SELECT CAST(snapshot_date AS VARCHAR) FROM seat_usage_daily WHERE snapshot_date <= DATE '{since}' ORDER BY snapshot_date DESC LIMIT 1"
    ))?;
    let first = snapshot(
        "SELECT CAST(min(snapshot_date) AS VARCHAR) FROM seat_usage_daily HAVING count(*) > 0".to_owned(),
    )?;
    let last = snapshot(format!(
        "SELECT CAST(snapshot_date AS VARCHAR) FROM seat_usage_daily WHERE snapshot_date <= DATE '{until}' ORDER BY snapshot_date DESC LIMIT 1"
    ))?;
    let text = match (base, first, last) {
        (Some(base), _, Some(last)) => {
            format!("Changes in the snapshots after {base}, up to and including {last}.")
        }
        (None, Some(first), Some(last)) => format!(
            "Changes up to and including the snapshot of {last}. The store's first snapshot is {first}, so the state on {since} is unknown."
        ),
        (_, Some(first), None) => {
            format!("There is no snapshot up to {until}: the store's first snapshot is {first}.")
        }
        (_, None, _) => "There is no snapshot.".to_owned(),
    };
    Ok(note(text))
}

fn changes(source: &Source, period: &str) -> Result<Section> {
    let columns = vec![
        column("snapshot_date", "Snapshot", ValueKind::Date),
        column("change", "Change", ValueKind::Text),
        column("login", "Login", ValueKind::Text),
        column("group_name", "Group", ValueKind::Text),
        column("old_value", "Before", ValueKind::Text),
        column("new_value", "After", ValueKind::Text),
        column("name", "Name", ValueKind::Text),
        column("event_at", "Happened", ValueKind::Time),
        column("observed_at", "Seen", ValueKind::Time),
        column("role", "Role now", ValueKind::Text),
        column("account_status", "Status now", ValueKind::Text),
        column("seat_kind", "Kind", ValueKind::Text),
        column("group_id", "Group id", ValueKind::Text),
        column("change_id", "Change id", ValueKind::Text),
        column("user_id", "User id", ValueKind::Text),
        column("row_key", "Row key", ValueKind::Text),
    ];
    let rows = source.rows(
        &columns,
        &format!(
            "SELECT
                seen.*,
                CASE WHEN seen.change LIKE '%group%' THEN seen.object_id END AS group_id,
                CASE WHEN seen.change LIKE '%group%' THEN coalesce(groups.name, seen.object_id) END AS group_name,
                CAST(NULL AS VARCHAR) AS row_key
            FROM (SELECT * FROM {SEEN} WHERE {period} AND change IN ({})) AS seen
            LEFT JOIN groups ON groups.group_id = seen.object_id
            ORDER BY seen.snapshot_date DESC, seen.change, seen.login, seen.change_id",
            words()
        ),
    )?;
    let rows = row_keys(rows, &columns);
    let note = "Newest snapshot first. Before and After are a role or a status. For a user who left, After is why the account is gone. A row stays if its change is reversed later.";
    let table = Table { columns, rows, chart: None, names_people: true };
    Ok(section("changes", "Changes", Some(note.to_owned()), Body::Table(table)))
}

/// Changes of the selected users, with the snapshot in which each was seen.
const SEEN: &str = "(SELECT user_changes.*, sync_runs.snapshot_date, people.login, people.name, people.role, people.account_status, people.seat_kind
    FROM user_changes
    JOIN sync_runs ON sync_runs.run_number = user_changes.run_number
    JOIN report_accounts AS people ON people.user_id = user_changes.user_id) AS seen";

fn words() -> String {
    CHANGES.map(|(change, ..)| format!("'{change}'")).join(", ")
}

const CHANGES: [(&str, &str, &str, &str); 9] = [
    ("joined", "joined", "Joined", "Users that Box had never listed before."),
    ("returned", "returned", "Returned", "Users who were gone before."),
    (
        "left",
        "left_count",
        "Left",
        "Users that Box no longer lists: deleted, or moved to another enterprise.",
    ),
    ("suspended", "suspended", "Suspended", "Accounts made inactive in Box."),
    ("reactivated", "reactivated", "Reactivated", "Suspended accounts made active again."),
    ("role_changed", "role_changed", "Role changes", "Changes of the role in the enterprise."),
    ("group_added", "group_added", "Added to a group", "New memberships."),
    ("group_removed", "group_removed", "Removed from a group", "Removed memberships."),
    (
        "role_in_group_changed",
        "role_in_group_changed",
        "Role in a group",
        "Members who became or stopped being an admin of a group.",
    ),
];
