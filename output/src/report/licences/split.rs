//! Seats split by common attributes of users.

use crate::Result;
use crate::report::ask::By;
use crate::report::model::{Body, Chart, Column, Section, Table, ValueKind};
use crate::report::source::Source;
use crate::report::{column, section};
use crate::warehouse::literal;

/// Groups with fewer members are combined: a line about three users would identify them.
const SMALL_GROUP: i64 = 5;
/// The number of groups with their own line.
const TOP_GROUPS: i64 = 20;

/// `--by`: a line per value, and one for seats without a value.
pub(super) fn by(source: &Source, by: &By) -> Result<Section> {
    let (heading, parts) = match by {
        By::Role => ("Role".to_owned(), "SELECT user_id, role AS part, role AS part_id FROM report_seats".to_owned()),
        By::Group => (
            "Group".to_owned(),
            "SELECT report_seats.user_id, coalesce(groups.name, groups.group_id) AS part, groups.group_id AS part_id
            FROM report_seats
            LEFT JOIN (SELECT DISTINCT user_id, group_id FROM memberships) AS members ON members.user_id = report_seats.user_id
            LEFT JOIN groups ON groups.group_id = members.group_id"
                .to_owned(),
        ),
        By::TrackingCode(name) => (
            name.clone(),
            format!(
                "SELECT report_seats.user_id, codes.\"value\" AS part, codes.\"value\" AS part_id
                FROM report_seats
                LEFT JOIN (SELECT DISTINCT user_id, \"value\" FROM account_tracking_codes WHERE name = {}) AS codes
                    ON codes.user_id = report_seats.user_id",
                literal(name)
            ),
        ),
    };
    let mut columns = vec![column("part", &heading, ValueKind::Text)];
    columns.extend(counted());
    if *by == By::Group {
        columns.push(column("group_id", "Group id", ValueKind::Text));
    }
    let rows = source.rows(
        &columns,
        &format!(
            "SELECT coalesce(parts.part, '(none)') AS part, parts.part_id AS group_id, {COUNTS}
            FROM ({parts}) AS parts JOIN report_seats AS seats ON seats.user_id = parts.user_id
            GROUP BY parts.part, parts.part_id
            ORDER BY parts.part IS NULL, seats_count DESC, parts.part, parts.part_id"
        ),
    )?;
    let assigned = source.count("SELECT count(*) FROM report_seats")?.unwrap_or(0);
    let together: i64 = rows.iter().filter_map(|row| row[1].whole()).sum();
    let note = if together == assigned {
        format!("The rows add up to the {assigned} assigned seats.")
    } else {
        format!(
            "A user with several values counts in each row. The total is {together}, so the rows do not add up to the {assigned} assigned seats."
        )
    };
    let chart = Some(Chart::Ranking { label: "part", series: "idle_count" });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("by", &format!("By {}", heading.to_lowercase()), Some(note), Body::Table(table)))
}

/// The groups with the most idle seats.
pub(super) fn idle_groups(source: &Source) -> Result<Section> {
    let columns = vec![
        column("group_name", "Group", ValueKind::Text),
        column("idle_count", "Idle", ValueKind::Count),
        column("seats_count", "Seats", ValueKind::Count),
        column("idle_percent", "Share idle", ValueKind::Percent),
        column("monthly_idle", "Monthly idle cost", ValueKind::Money),
        column("group_id", "Group id", ValueKind::Text),
    ];
    let sql = format!(
        "WITH members AS (
            SELECT DISTINCT memberships.group_id, memberships.user_id FROM memberships
            SEMI JOIN report_seats ON report_seats.user_id = memberships.user_id
        ),
        sized AS (SELECT group_id, count(*) < {SMALL_GROUP} AS is_small FROM members GROUP BY group_id),
        placed AS (
            SELECT DISTINCT CASE WHEN NOT is_small THEN sized.group_id END AS group_id, members.user_id
            FROM members JOIN sized ON sized.group_id = members.group_id
        ),
        counted AS (
            SELECT placed.group_id, {COUNTS}
            FROM placed JOIN report_seats AS seats ON seats.user_id = placed.user_id
            GROUP BY placed.group_id
        )
        SELECT
            coalesce(groups.name, groups.group_id, '(groups under {SMALL_GROUP} members)') AS group_name,
            idle_count,
            seats_count,
            CAST(round(100.0 * idle_count / seats_count, 2) AS DOUBLE) AS idle_percent,
            monthly_idle,
            currency,
            counted.group_id
        FROM counted LEFT JOIN groups ON groups.group_id = counted.group_id
        WHERE idle_count > 0
        QUALIFY row_number() OVER (PARTITION BY counted.group_id IS NULL ORDER BY idle_count DESC, group_name, counted.group_id) <= {TOP_GROUPS}
        ORDER BY counted.group_id IS NULL, idle_count DESC, group_name, counted.group_id"
    );
    let rows = source.rows(&columns, &sql)?;
    let note = format!(
        "The {TOP_GROUPS} groups with the most seats that are idle, never_since_created or no_login_seen. A user in several groups counts in each. Groups under {SMALL_GROUP} members are one row, in which each user counts once."
    );
    let chart = Some(Chart::Ranking { label: "group_name", series: "idle_count" });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("idle_groups", "Groups with the most idle seats", Some(note), Body::Table(table)))
}

fn counted() -> [Column; 8] {
    [
        column("seats_count", "Seats", ValueKind::Count),
        column("used_count", "Used", ValueKind::Count),
        column("idle_count", "Idle", ValueKind::Count),
        column("suspended_count", "Suspended", ValueKind::Count),
        column("not_judged_count", "Not evaluated", ValueKind::Count),
        column("monthly_waste", "Monthly waste", ValueKind::Money),
        column("monthly_cost", "Monthly cost", ValueKind::Money),
        column("idle_percent", "Share idle", ValueKind::Percent),
    ]
}

/// The counts of the relation `seats`. Idle seats are provably not used. Suspended seats cost the same and are counted separately.
const COUNTS: &str = "count(*) AS seats_count,
    count(*) FILTER (WHERE seats.seat_state = 'used') AS used_count,
    count(*) FILTER (WHERE seats.seat_state IN ('idle', 'never_since_created', 'no_login_seen')) AS idle_count,
    count(*) FILTER (WHERE seats.seat_state = 'suspended') AS suspended_count,
    count(*) FILTER (WHERE seats.seat_state IN ('too_new', 'paused', 'unknown')) AS not_judged_count,
    CAST(round(100.0 * count(*) FILTER (WHERE seats.seat_state IN ('idle', 'never_since_created', 'no_login_seen')) / count(*), 2) AS DOUBLE) AS idle_percent,
    CAST(sum(CASE WHEN seats.seat_state IN ('idle', 'never_since_created', 'no_login_seen', 'suspended') THEN seats.monthly_cost WHEN seats.monthly_cost IS NOT NULL THEN 0 END) AS DECIMAL(18, 4)) AS monthly_waste,
    CAST(sum(CASE WHEN seats.seat_state IN ('idle', 'never_since_created', 'no_login_seen') THEN seats.monthly_cost WHEN seats.monthly_cost IS NOT NULL THEN 0 END) AS DECIMAL(18, 4)) AS monthly_idle,
    CAST(sum(seats.monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost,
    max(seats.currency) AS currency";
