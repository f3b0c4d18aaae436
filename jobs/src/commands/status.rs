//! `boxseat status`: the published snapshot, open runs and the holder of the store. Makes no API call and takes no lock.

use boxseat_output::ErrorKind;
use boxseat_output::query::query;
use boxseat_output::warehouse::{self, Check, PublishedFile};
use boxseat_schemas::run::latest_night;
use serde_json::{Value, json};

use super::reclaim::Attention;
use crate::cli::{Global, StatusArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::ledger::Month;
use crate::printer::{Grid, Printer};
use crate::store::Store;
use crate::sync::open_runs;

pub(crate) fn run(global: &Global, _args: &StatusArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access, settings.journal_key.as_ref())?;
    let runs = store.lake().sync_runs()?;
    let published = warehouse::published(store.root()).unwrap_or_else(|e| {
        printer.note(format!("the published file cannot be read ({e}); `boxseat publish` replaces it"));
        None
    });
    let now = data_clock(settings.rehearsed_now)();
    let mut facts: Vec<(&str, Value)> = vec![
        ("store", json!(store.root())),
        ("store_id", json!(store.id())),
        ("enterprise_id", json!(store.enterprise_id())),
        ("published_night", json!(published.map(|shown| shown.snapshot_date))),
        ("published_run", json!(published.map(|shown| shown.run_number))),
        ("published_age_hours", json!(published.map(|shown| (now - shown.now_at).num_hours().max(0)))),
        (
            "complete_runs",
            json!(runs.iter().filter(|run| run.status == boxseat_schemas::run::RunStatus::Complete).count()),
        ),
    ];
    if let Some(last) = runs.iter().max_by_key(|run| run.run_number) {
        facts.push(("last_run", json!(last.run_number)));
        facts.push(("last_run_status", json!(last.status)));
        facts.push(("last_run_calls", json!(last.calls_count)));
        facts.push(("last_run_planned_calls", json!(last.planned_calls_count)));
        facts.push(("last_run_rejects", json!(last.rejects_count)));
    }
    let file = match PublishedFile::check(store.root(), Check::Stamp) {
        Ok(file) if file.recorded().is_some() => json!("as published"),
        Ok(_) => json!("not recorded"),
        Err(e) if e.kind() == ErrorKind::Foreign => {
            printer.note(format!("{e}; `boxseat publish` builds the file again from the lake"));
            json!("changed")
        }
        // Nothing is published, or the file cannot be read: noted above.
        Err(_) => Value::Null,
    };
    let freshness = published.filter(|_| file != "changed").and_then(|_| freshness(&store, &settings));
    facts.push(("published_file", file));
    if let Some(grid) = &freshness {
        let values = grid.rows.iter().flatten().cloned();
        facts.extend(grid.columns.iter().map(String::as_str).zip(values));
    }
    let month = Month::of(&store, &runs, now)?;
    facts.push(("calls_this_month", json!(month.calls)));
    facts.push(("calls_forecast", json!(month.forecast())));
    facts.push(("monthly_calls", json!(settings.monthly_calls)));
    let open: Vec<String> = open_runs(&store, &runs)?
        .iter()
        .map(|run| {
            format!(
                "{} ({}, begun {})",
                run.reservation.run_number,
                run.state.word(),
                run.reservation.started_at.format("%F %H:%M UTC")
            )
        })
        .collect();
    facts.push(("open_runs", if open.is_empty() { Value::Null } else { json!(open.join("; ")) }));
    facts.push(("held_by", json!(Store::holder(store.root()))));
    let log = warehouse::foreign_wal(store.root());
    facts.push(("foreign_wal", json!(log)));
    let attention = Attention::of(global, printer);
    facts.push(("stuck_users", json!(attention.stuck_users)));
    printer.facts("status", &facts)?;
    for note in attention.notes {
        printer.note(note);
    }
    if let Some(latest) = latest_night(&runs)
        .filter(|latest| published.is_none_or(|shown| shown.run_number != latest.run_number))
    {
        printer
            .note(format!("run {} is complete but not published: run `boxseat publish`", latest.run_number));
    }
    if let Some(allowed) = settings.monthly_calls.filter(|allowed| month.forecast() > *allowed) {
        printer.note(format!(
            "at this pace the month ends at {} of {allowed} calls; later runs use only the calls that are left, and report what they do not read",
            month.forecast()
        ));
    }
    if let Some(log) = log {
        printer.note(format!(
            "{} was left by a program that opened the file for writing; open it with `duckdb -readonly`. The next publish removes it",
            log.display()
        ));
    }
    Ok(0)
}

/// The age of the published memberships and aliases, the changes without an event, the calls of a full read and the warnings of
/// the checks: one row, whose columns are the facts.
fn freshness(store: &Store, settings: &Settings) -> Option<Grid> {
    let sql = format!(
        "SELECT (SELECT CAST(min(aliases_read_at) AS VARCHAR) FROM users) AS aliases_oldest_read_at,
            (SELECT count(*) FROM users WHERE aliases_read_at IS NULL) AS aliases_never_read,
            (SELECT count(*) FROM users, report_settings WHERE aliases_read_at < now_at - INTERVAL {aliases} DAY) AS aliases_overdue,
            (SELECT CAST(min(memberships_read_at) AS VARCHAR) FROM groups) AS memberships_oldest_read_at,
            (SELECT count(*) FROM groups WHERE memberships_read_at IS NULL AND group_type IS DISTINCT FROM 'all_users_group') AS groups_never_read,
            (SELECT count(*) FROM groups, report_settings WHERE memberships_read_at < now_at - INTERVAL {members} DAY) AS groups_overdue,
            (SELECT drift_count FROM sync_runs JOIN report_settings USING (run_number)) AS drift,
            (SELECT string_agg(change || ' ' || changes, ', ' ORDER BY change) FROM (
                SELECT change, count(*) AS changes FROM user_changes JOIN report_settings USING (run_number)
                WHERE event_at IS NULL GROUP BY change)) AS unannounced_changes,
            (SELECT max(full_read_calls_count) FROM api_usage_monthly) AS full_read_calls,
            (SELECT string_agg(concat(check_name, ' on ', table_name, ': ', failing_rows_count), '; ' ORDER BY check_name, table_name)
                FROM data_checks WHERE failing_rows_count > 0) AS data_warnings",
        aliases = settings.plan.alias_sweep.num_days(),
        members = settings.plan.membership_resync.num_days(),
    );
    let result = query(store.root(), &sql, &settings.resources).map_err(CommandError::from);
    match result.and_then(super::query::grid) {
        Ok(grid) => Some(grid),
        // A file of an older version has fewer tables until the next publish.
        Err(e) => {
            tracing::warn!(
                "cannot read the age of the rows from the published file ({})",
                e.lines().join(": ")
            );
            None
        }
    }
}
