//! `runs`: the results of the runs, and whether the monthly calls will be sufficient.

use chrono::Days;

use super::ask::Scope;
use super::model::{Body, Chart, Figure, Report, Section, Table, Value, ValueKind};
use super::source::Source;
use super::{column, count, figure, headline, section};
use crate::Result;

/// The default period of the report, in days.
const DAYS: u64 = 30;

pub(super) fn report(source: &Source, scope: &Scope) -> Result<Report> {
    let until = scope.until.unwrap_or(source.date());
    let since = scope.since.or_else(|| until.checked_sub_days(Days::new(DAYS))).unwrap_or(until);
    let period = format!("snapshot_date >= DATE '{since}' AND snapshot_date <= DATE '{until}'");
    let of = |what: &str| source.count(&format!("SELECT {what} FROM sync_runs WHERE {period}")).map(count);
    let mut figures = vec![
        headline(
            "runs_complete",
            "Complete runs",
            of("count(*) FILTER (WHERE status = 'complete')")?,
            format!("Runs from {since} to {until} that completed, including replays."),
        ),
        headline(
            "runs_not_complete",
            "Other runs",
            of("count(*) FILTER (WHERE status <> 'complete')")?,
            "Runs that were abandoned or failed.",
        ),
        headline(
            "nights_missed",
            "Missed days",
            nights_missed(source, &period)?,
            "Days without a complete run, between the first and the last snapshot of this period.",
        ),
        figure(
            "calls_count",
            "Calls",
            of("CAST(coalesce(sum(calls_count), 0) AS BIGINT)")?,
            "API calls of these runs, including token requests, retries and errors, as Box counts them.",
        ),
        figure(
            "retries_count",
            "Retries",
            of("CAST(coalesce(sum(retries_count), 0) AS BIGINT)")?,
            "Of these, repeats of a failed call.",
        ),
        figure(
            "drift_count",
            "Drift",
            of("CAST(coalesce(sum(drift_count), 0) AS BIGINT)")?,
            "Differences that no event announced.",
        ),
        figure(
            "rejects_count",
            "Rejects",
            of("CAST(coalesce(sum(rejects_count), 0) AS BIGINT)")?,
            "Records that could not be parsed.",
        ),
    ];
    figures.extend(month(source)?);
    figures.extend(coverage(source)?);
    Ok(Report {
        name: "runs",
        title: "Runs".to_owned(),
        question: "How did the runs end, and are the API calls of the month sufficient?".to_owned(),
        snapshot: source.snapshot().clone(),
        notices: Vec::new(),
        filters: Vec::new(),
        sections: vec![
            section("summary", "In short", None, Body::Figures(figures)),
            runs(source, &period)?,
            months(source)?,
        ],
    })
}

fn nights_missed(source: &Source, period: &str) -> Result<Value> {
    let sql = format!(
        "SELECT date_diff('day', min(snapshot_date), max(snapshot_date)) + 1 - count(DISTINCT snapshot_date)
        FROM sync_runs WHERE status = 'complete' AND {period}"
    );
    source.count(&sql).map(count)
}

/// The calls in the month of the snapshot, compared with the allowance.
fn month(source: &Source) -> Result<Vec<Figure>> {
    let columns = [
        column("calls_count", "", ValueKind::Count),
        column("monthly_calls_count", "", ValueKind::Count),
        column("forecast_calls_count", "", ValueKind::Count),
        column("forecast_percent", "", ValueKind::Percent),
        column("full_read_calls_count", "", ValueKind::Count),
    ];
    let sql = "SELECT usage.* FROM api_usage_monthly AS usage JOIN report_settings
        ON usage.month_date = CAST(date_trunc('month', report_settings.snapshot_date) AS DATE)";
    let mut rows = source.rows(&columns, sql)?;
    let mut row = rows.pop().unwrap_or_default().into_iter();
    let mut next = || row.next().unwrap_or(Value::Unknown);
    Ok(vec![
        headline(
            "month_calls",
            "Calls this month",
            next(),
            "API calls in the snapshot's UTC month, up to the snapshot. Calls of other commands count after a run has recorded them.",
        ),
        figure(
            "month_allowance",
            "Allowance",
            next(),
            "API calls that the contract allows per month: [rate] monthly_calls.",
        ),
        headline(
            "month_forecast",
            "Forecast",
            next(),
            "Calls by the end of the month: calls so far / days so far x days of the month, rounded up.",
        ),
        figure("month_forecast_percent", "Of the allowance", next(), "Forecast / allowance."),
        figure("full_read_calls", "Full read", next(), "API calls of a run that reads everything."),
    ])
}

/// The newest period in which sign-ins are known without a gap.
fn coverage(source: &Source) -> Result<Vec<Figure>> {
    let columns = [column("from_at", "", ValueKind::Time), column("to_at", "", ValueKind::Time)];
    let sql = "SELECT max(login_coverage_from) AS from_at, max(login_coverage_to) AS to_at FROM accounts";
    let mut row = source.row(&columns, sql)?.into_iter();
    let mut next = || row.next().unwrap_or(Value::Unknown);
    Ok(vec![
        figure(
            "login_coverage_from",
            "Sign-ins known from",
            next(),
            "Start of the newest period without a gap in the record of sign-ins. A user can be idle only within this period.",
        ),
        figure("login_coverage_to", "Sign-ins known to", next(), "End of this period."),
    ])
}

fn runs(source: &Source, period: &str) -> Result<Section> {
    let columns = vec![
        column("run_number", "Run", ValueKind::Count),
        column("snapshot_date", "Snapshot", ValueKind::Date),
        column("status", "Status", ValueKind::Text),
        column("duration_seconds", "Seconds", ValueKind::Count),
        column("calls_count", "Calls", ValueKind::Count),
        column("planned_calls_count", "Planned", ValueKind::Count),
        column("retries_count", "Retries", ValueKind::Count),
        column("drift_count", "Drift", ValueKind::Count),
        column("rejects_count", "Rejects", ValueKind::Count),
        column("covered_percent", "Covered", ValueKind::Percent),
        column("waited_seconds", "Waited", ValueKind::Count),
        column("late_events_count", "Late events", ValueKind::Count),
        column("unknown_fields_count", "Unknown fields", ValueKind::Count),
        column("kind", "Kind", ValueKind::Text),
        column("replaces_run_number", "Replaces", ValueKind::Count),
        column("started_at", "Started", ValueKind::Time),
        column("finished_at", "Ended", ValueKind::Time),
        column("version", "Version", ValueKind::Text),
    ];
    let rows = source.rows(
        &columns,
        &format!(
            "SELECT
                runs.*,
                (epoch_us(runs.finished_at) - epoch_us(runs.started_at)) // 1000000 AS duration_seconds,
                CASE WHEN runs.status = 'complete' AND runs.window_to_at > runs.window_from_at THEN
                    CAST(round(100.0 * coalesce(covered.covered_us, 0) / (epoch_us(runs.window_to_at) - epoch_us(runs.window_from_at)), 2) AS DOUBLE)
                END AS covered_percent
            FROM sync_runs AS runs
            LEFT JOIN (
                SELECT run_number, CAST(sum(epoch_us(covered_to_at) - epoch_us(covered_from_at)) AS BIGINT) AS covered_us
                FROM event_coverage WHERE event_type = 'LOGIN' GROUP BY run_number
            ) AS covered ON covered.run_number = runs.run_number
            WHERE {period}
            ORDER BY runs.run_number DESC"
        ),
    )?;
    let note = "Newest first. Covered is the share of the run's event window in which sign-ins are proved to have no gap. It is below 100 if a day had no events although it must have some, or if retention removed coverage later. A replaced run has no coverage.";
    let chart = Some(Chart::Lines { x: "snapshot_date", series: vec!["calls_count", "planned_calls_count"] });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("runs", "Runs", Some(note.to_owned()), Body::Table(table)))
}

fn months(source: &Source) -> Result<Section> {
    let columns = vec![
        column("month_date", "Month", ValueKind::Date),
        column("calls_count", "Calls", ValueKind::Count),
        column("forecast_calls_count", "Forecast", ValueKind::Count),
        column("monthly_calls_count", "Allowance", ValueKind::Count),
        column("forecast_percent", "Share", ValueKind::Percent),
        column("retries_count", "Retries", ValueKind::Count),
        column("throttled_count", "Throttled", ValueKind::Count),
        column("errors_count", "Errors", ValueKind::Count),
        column("runs_count", "Runs", ValueKind::Count),
    ];
    let rows = source.rows(&columns, "SELECT * FROM api_usage_monthly ORDER BY month_date DESC")?;
    let chart =
        Some(Chart::Bars { label: "month_date", series: vec!["calls_count", "forecast_calls_count"] });
    let table = Table { columns, rows, chart, names_people: false };
    Ok(section("months", "Calls month by month", None, Body::Table(table)))
}
