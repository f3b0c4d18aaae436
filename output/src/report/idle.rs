//! `idle`: the users who have a seat and provably do not use it.

use super::ask::Scope;
use super::model::{Body, Report, Section, Table, Value, ValueKind};
use super::source::Source;
use super::{column, headline, row_keys, section};
use crate::Result;

pub(super) fn report(source: &Source, scope: &Scope) -> Result<Report> {
    let days = scope.days.unwrap_or(source.idle_after_days());
    let seats = format!("report_seats WHERE account_status <> 'suspended' AND proven_idle_days >= {days}");
    let columns = [column("seats", "", ValueKind::Count), column("monthly_cost", "", ValueKind::Money)];
    let sql = format!(
        "SELECT count(*) AS seats, CAST(sum(monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost, max(currency) AS currency FROM {seats}"
    );
    let mut row = source.row(&columns, &sql)?;
    let cost = row.pop().unwrap_or(Value::Unknown);
    let idle = row.pop().unwrap_or(Value::Unknown);
    let figures = vec![
        headline(
            "idle_seats",
            "Idle seats",
            idle,
            format!(
                "Seats with proven_idle_days of {days} or more, without suspended seats. There is no other condition."
            ),
        ),
        headline("monthly_idle", "Monthly cost", cost, "Their cost per month."),
    ];
    let younger = source
        .count(&format!(
            "SELECT count(*) FROM report_seats WHERE seat_state IN ('idle', 'never_since_created', 'no_login_seen') AND coalesce(proven_idle_days < {days}, TRUE)"
        ))?
        .unwrap_or(0);
    let note = match younger {
        0 => None,
        younger => Some(format!(
            "Idle seats in `licences` that are not included here, because they are proved idle for fewer than {days} days: {younger}. A smaller --days shows them."
        )),
    };
    Ok(Report {
        name: "idle",
        title: "Idle seats".to_owned(),
        question: "Which users have a seat and provably do not use it?".to_owned(),
        snapshot: source.snapshot().clone(),
        notices: Vec::new(),
        filters: Vec::new(),
        sections: vec![section("summary", "In short", note, Body::Figures(figures)), people(source, &seats)?],
    })
}

fn people(source: &Source, seats: &str) -> Result<Section> {
    let columns = vec![
        column("login", "Login", ValueKind::Text),
        column("name", "Name", ValueKind::Text),
        column("proven_idle_days", "Idle days", ValueKind::Days),
        column("monthly_cost", "Monthly cost", ValueKind::Money),
        column("seat_state", "State", ValueKind::Text),
        column("role", "Role", ValueKind::Text),
        column("last_activity_at", "Last use", ValueKind::Time),
        column("last_login_at", "Last sign-in", ValueKind::Time),
        column("created_at", "Created", ValueKind::Time),
        column("licence_plan", "Plan", ValueKind::Text),
        column("group_count", "Groups", ValueKind::Count),
        column("space_used_bytes", "Bytes used", ValueKind::Bytes),
        column("meaning", "Meaning", ValueKind::Text),
        column("user_id", "User id", ValueKind::Text),
        column("row_key", "Row key", ValueKind::Text),
    ];
    // Days are computed by epoch arithmetic. The sentence does not say "never", because nothing is known about the time before the record.
    let rows = source.rows(
        &columns,
        &format!(
            "SELECT
                seats.*,
                CASE
                    WHEN last_activity_date IS NOT NULL THEN
                        concat('Last seen in use on ', last_activity_date, '; nothing seen since ', idle_since_date, '.')
                    WHEN created_at >= login_coverage_from THEN
                        concat('Created on ', created_date, '; no use seen since ', idle_since_date, '.')
                    ELSE concat('No use seen since ', idle_since_date, '; of the time before nothing is known.')
                END AS meaning,
                CAST(NULL AS VARCHAR) AS row_key
            FROM (
                SELECT
                    report_seats.*,
                    DATE '1970-01-01' + CAST(epoch_us(last_activity_at) // 86400000000 AS INTEGER) AS last_activity_date,
                    DATE '1970-01-01' + CAST(epoch_us(created_at) // 86400000000 AS INTEGER) AS created_date,
                    (SELECT snapshot_date FROM report_settings) - proven_idle_days AS idle_since_date
                FROM {seats}
            ) AS seats
            ORDER BY proven_idle_days DESC, user_id"
        ),
    )?;
    let rows = row_keys(rows, &columns);
    let note = "Longest first. Idle days are whole days of 24 hours since the latest fact that explains missing use, such as the last use, the creation or the end of a leave.";
    let table = Table { columns, rows, chart: None, names_people: true };
    Ok(section("people", "Idle seats", Some(note.to_owned()), Body::Table(table)))
}
