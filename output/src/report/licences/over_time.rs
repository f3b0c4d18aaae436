//! Seats snapshot by snapshot, and joiners and leavers week by week.

use chrono::{Days, NaiveDate};

use crate::Result;
use crate::report::ask::Scope;
use crate::report::model::{Body, Chart, Section, Table, ValueKind};
use crate::report::source::Source;
use crate::report::{column, section};

/// The stored facts of a snapshot.
pub(super) struct KnownSnapshot {
    pub(super) date: NaiveDate,
    pub(super) assigned: i64,
    /// Users with a seat who joined or returned.
    pub(super) joined: i64,
    /// Users with a seat who left.
    pub(super) left: i64,
}

/// Every snapshot in the store, up to this one.
pub(super) fn known_snapshots(source: &Source) -> Result<Vec<KnownSnapshot>> {
    let columns = [
        column("snapshot_date", "", ValueKind::Date),
        column("seats_assigned", "", ValueKind::Count),
        column("joined", "", ValueKind::Count),
        column("left_count", "", ValueKind::Count),
    ];
    let rows = source.rows(
        &columns,
        &format!(
            "SELECT usage.snapshot_date, usage.seats_assigned, coalesce(moves.joined, 0) AS joined, coalesce(moves.left_count, 0) AS left_count
            FROM seat_usage_daily AS usage
            LEFT JOIN (
                SELECT
                    sync_runs.snapshot_date,
                    count(*) FILTER (WHERE user_changes.change <> 'left') AS joined,
                    count(*) FILTER (WHERE user_changes.change = 'left') AS left_count
                FROM {MOVES}
                GROUP BY sync_runs.snapshot_date
            ) AS moves ON moves.snapshot_date = usage.snapshot_date
            ORDER BY usage.snapshot_date"
        ),
    )?;
    let snapshot = |row: Vec<crate::report::Value>| {
        let mut row = row.into_iter();
        Some(KnownSnapshot {
            date: row.next()?.date()?,
            assigned: row.next()?.whole()?,
            joined: row.next()?.whole()?,
            left: row.next()?.whole()?,
        })
    };
    Ok(rows.into_iter().filter_map(snapshot).collect())
}

/// Assigned seats compared with bought seats, one row per snapshot.
pub(super) fn snapshots(source: &Source, scope: &Scope) -> Result<Section> {
    let columns = vec![
        column("snapshot_date", "Snapshot", ValueKind::Date),
        column("seats_purchased", "Bought", ValueKind::Count),
        column("seats_assigned", "Assigned", ValueKind::Count),
        column("seats_free", "Free", ValueKind::Count),
        column("used_count", "Used", ValueKind::Count),
        column("not_used_count", "Idle", ValueKind::Count),
        column("suspended_count", "Suspended", ValueKind::Count),
        column("monthly_waste", "Monthly waste", ValueKind::Money),
        column("monthly_cost", "Monthly cost", ValueKind::Money),
        column("active_30d", "Used in 30 days", ValueKind::Count),
    ];
    let rows = source.rows(
        &columns,
        &format!(
            "SELECT *, idle_count + never_since_created_count + no_login_seen_count AS not_used_count
            FROM seat_usage_daily WHERE {} ORDER BY snapshot_date",
            scope.dates("snapshot_date", a_year_before(source))
        ),
    )?;
    let note = "Each row shows the data, thresholds and terms of its time. A missed snapshot has no row.";
    let chart = Some(Chart::Lines { x: "snapshot_date", series: vec!["seats_purchased", "seats_assigned"] });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("nights", "Assigned against bought", Some(note.to_owned()), Body::Table(table)))
}

/// Joiners and leavers, one row per ISO week.
pub(super) fn weeks(source: &Source, scope: &Scope) -> Result<Section> {
    let columns = vec![
        column("week_date", "Week of", ValueKind::Date),
        column("joined_count", "Joined", ValueKind::Count),
        column("left_count", "Left", ValueKind::Count),
        column("net_count", "Net", ValueKind::Count),
    ];
    let dates = scope.dates("snapshot_date", a_year_before(source));
    let rows = source.rows(
        &columns,
        &format!(
            "WITH snapshots AS (
                SELECT CAST(date_trunc('week', snapshot_date) AS DATE) AS week_date FROM seat_usage_daily WHERE {dates}
            ),
            moves AS (
                SELECT
                    CAST(date_trunc('week', sync_runs.snapshot_date) AS DATE) AS week_date,
                    count(*) FILTER (WHERE user_changes.change <> 'left') AS joined_count,
                    count(*) FILTER (WHERE user_changes.change = 'left') AS left_count
                FROM {MOVES}
                WHERE {}
                GROUP BY 1
            )
            SELECT
                weeks.week_date,
                coalesce(moves.joined_count, 0) AS joined_count,
                coalesce(moves.left_count, 0) AS left_count,
                coalesce(moves.joined_count, 0) - coalesce(moves.left_count, 0) AS net_count
            FROM (
                SELECT CAST(unnest(generate_series(min(week_date), max(week_date), INTERVAL 7 DAY)) AS DATE) AS week_date FROM snapshots
            ) AS weeks
            LEFT JOIN moves ON moves.week_date = weeks.week_date
            ORDER BY weeks.week_date",
            scope.dates("sync_runs.snapshot_date", a_year_before(source))
        ),
    )?;
    let note = "Users with a seat who joined or returned, and users who left, by the week of the snapshot that showed it. Weeks begin on Monday. The store's first snapshot has no joiners.";
    let chart = Some(Chart::Bars { label: "week_date", series: vec!["joined_count", "left_count"] });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("weeks", "Joiners and leavers", Some(note.to_owned()), Body::Table(table)))
}

/// A longer period requires `--since`.
fn a_year_before(source: &Source) -> Option<NaiveDate> {
    source.date().checked_sub_days(Days::new(366))
}

/// Joiners and leavers among the selected users whose account takes or took a seat, with the run that saw the change.
const MOVES: &str = "user_changes
    JOIN sync_runs ON sync_runs.run_number = user_changes.run_number
    JOIN report_accounts ON report_accounts.user_id = user_changes.user_id
        AND report_accounts.seat_kind IN ('managed_user', 'likely_machine')
        AND user_changes.change IN ('joined', 'returned', 'left')";
