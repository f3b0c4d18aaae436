//! `reclaimable`: the users whose seats the reclamation policy would reclaim in this snapshot.

use super::ask::Scope;
use super::model::{Body, Report, Table, Value, ValueKind};
use super::source::Source;
use super::{column, headline, note, row_keys, section};
use crate::Result;

/// Whether a policy evaluated the snapshot. With a policy the number of reclaimable seats is known, even if it is zero.
pub(super) fn has_policy(source: &Source) -> Result<bool> {
    let judged = source.count(
        "SELECT (SELECT count(*) FROM reclaim_candidates)
            + (SELECT count(reclaimable_count) FROM seat_usage_daily JOIN report_settings USING (snapshot_date))",
    )?;
    Ok(judged.unwrap_or(0) > 0)
}

/// Why the policy of this snapshot could not be evaluated; `None` if it could be evaluated, or if there is no policy.
pub(super) fn policy_refusal(source: &Source) -> Result<Option<String>> {
    let example = [column("example", "", ValueKind::Text)];
    let sql = "SELECT example FROM data_checks WHERE check_name = 'policy_usable' AND failing_rows_count > 0";
    let first = source.rows(&example, sql)?.into_iter().flatten().next();
    Ok(first.and_then(|value| match value {
        Value::Text(text) => Some(text),
        _ => None,
    }))
}

pub(super) fn report(source: &Source, scope: &Scope) -> Result<Report> {
    let has_policy = has_policy(source)?;
    let columns = vec![
        column("login", "Login", ValueKind::Text),
        column("name", "Name", ValueKind::Text),
        column("stage", "Stage", ValueKind::Text),
        column("proven_idle_days", "Idle days", ValueKind::Days),
        column("monthly_cost", "Monthly cost", ValueKind::Money),
        column("seat_state", "State", ValueKind::Text),
        column("role", "Role", ValueKind::Text),
        column("last_activity_at", "Last use", ValueKind::Time),
        column("licence_plan", "Plan", ValueKind::Text),
        column("space_used_bytes", "Bytes used", ValueKind::Bytes),
        column("user_id", "User id", ValueKind::Text),
        column("row_key", "Row key", ValueKind::Text),
    ];
    let days =
        scope.days.map_or_else(|| "TRUE".to_owned(), |days| format!("seats.proven_idle_days >= {days}"));
    let chosen = format!(
        "FROM reclaimable_seats AS seats SEMI JOIN report_seats ON report_seats.user_id = seats.user_id WHERE {days}"
    );
    let order =
        "ORDER BY seats.monthly_cost DESC NULLS LAST, seats.proven_idle_days DESC NULLS LAST, seats.user_id";
    let rows = source
        .rows(&columns, &format!("SELECT seats.*, CAST(NULL AS VARCHAR) AS row_key {chosen} {order}"))?;
    let rows = row_keys(rows, &columns);
    let money = [column("monthly_cost", "", ValueKind::Money)];
    let cost = source.row(
        &money,
        &format!("SELECT CAST(sum(seats.monthly_cost) AS DECIMAL(18, 4)) AS monthly_cost, max(seats.currency) AS currency {chosen}"),
    )?;
    let seats = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let (seats, cost) = match has_policy {
        true => (Value::Count(seats), cost.into_iter().next().unwrap_or(Value::Unknown)),
        false => (Value::Unknown, Value::Unknown),
    };
    let figures = vec![
        headline(
            "seats_reclaimable",
            "Reclaimable seats",
            seats,
            "Seats that the policy would reclaim, by this snapshot. `boxseat reclaim status` has later actions.",
        ),
        headline(
            "monthly_reclaimable",
            "Monthly cost",
            cost,
            "Their cost per month. It is saved only if fewer seats are bought at the renewal.",
        ),
    ];
    let notices = match (policy_refusal(source)?, has_policy) {
        (Some(why), _) => vec![note(format!(
            "The policy could not be evaluated when the snapshot of {} was published, so no seat is shown as reclaimable: {why}. Fix the cause, then run `boxseat publish`.",
            source.snapshot().snapshot_date
        ))],
        (None, true) => Vec::new(),
        (None, false) => vec![note(
            "No policy configured: [reclaim] policy in boxseat.toml names the file with the rules. Without a policy no seat is reclaimable. `boxseat report idle` lists idle seats.",
        )],
    };
    let table = Table { columns, rows, chart: None, names_people: true };
    Ok(Report {
        name: "reclaimable",
        title: "Reclaimable seats".to_owned(),
        question: "Which seats would the reclamation policy reclaim, and what does it save?".to_owned(),
        snapshot: source.snapshot().clone(),
        notices,
        filters: Vec::new(),
        sections: vec![
            section("summary", "In short", None, Body::Figures(figures)),
            section("people", "Reclaimable seats", None, Body::Table(table)),
        ],
    })
}
