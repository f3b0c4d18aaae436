//! `boxseat status`: whether the nightly job is healthy, the published snapshot, open runs and the holder of the store. Makes no API
//! call and takes no lock. The exit code is the verdict, so that a monitor can use it.

use std::time::Duration;

use boxseat_output::ErrorKind;
use boxseat_output::query::query;
use boxseat_output::warehouse::{self, Check, PublishedFile};
use boxseat_schemas::run::latest_snapshot;
use chrono::{NaiveDate, TimeDelta};
use serde_json::{Value, json};

use super::reclaim::Attention;
use crate::cli::{Global, StatusArgs};
use crate::clock::data_clock;
use crate::config::{RecordedConfiguration, Settings};
use crate::error::{CommandError, FAILED, REFUSED};
use crate::last_sync::LastSync;
use crate::ledger::Month;
use crate::printer::{Grid, Printer};
use crate::store::Store;
use crate::sync::open_runs;

pub(crate) fn run(global: &Global, args: &StatusArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load_to_read(global)?;
    let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
    let runs = store.lake().sync_runs()?;
    let published = warehouse::published(store.root()).unwrap_or_else(|e| {
        printer.note(format!("the published file cannot be read ({e}); `boxseat publish` replaces it"));
        None
    });
    let now = data_clock(settings.rehearsed_now)();
    let is_recorded = PublishedFile::check(store.root(), Check::Stamp).map(|file| file.recorded().is_some());
    let is_changed = is_recorded.as_ref().is_err_and(|e| e.kind() == ErrorKind::Foreign);
    let last_sync = LastSync::read(store.root());
    let shown = published.map(|shown| (shown.snapshot_date, now - shown.now_at));
    let verdict = Verdict::of(shown, is_changed, last_sync.as_ref(), args.max_age);
    let mut facts: Vec<(&str, Value)> = vec![
        ("verdict", json!(verdict.word)),
        ("because", json!(verdict.because)),
        ("next_step", json!(verdict.next_step)),
        ("last_sync_ended_at", json!(last_sync.as_ref().map(|last| last.ended_at))),
        ("last_sync_result", json!(last_sync.as_ref().map(LastSync::result))),
        ("failures_in_a_row", json!(last_sync.as_ref().map(|last| last.failures))),
        ("config_file", json!(settings.config_file.as_ref().map(|file| file.to_string_lossy()))),
        ("last_sync_config_file", json!(RecordedConfiguration::file_of_last_run(store.root()))),
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
    let file = match is_recorded {
        Ok(true) => json!("as published"),
        Ok(false) => json!("not recorded"),
        Err(e) if is_changed => {
            printer.note(format!("{e}; `boxseat publish` builds the file again from the lake"));
            json!("changed")
        }
        // Nothing is published, or the file cannot be read: noted above.
        Err(_) => Value::Null,
    };
    let freshness = published.filter(|_| !is_changed).and_then(|_| freshness(&store, &settings));
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
    if let Some(latest) = latest_snapshot(&runs)
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
    Ok(verdict.exit_code)
}

/// Whether the nightly job needs an operator.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// `healthy`, `stale`, `failing`, `refused` by a guard, or `changed` by another program.
    word: &'static str,
    /// The reason as a sentence.
    because: String,
    /// What to do, if something must be done.
    next_step: Option<String>,
    exit_code: u8,
}

impl Verdict {
    /// By the published snapshot (its date and age, and whether another program changed the file) and by how the last `sync` ended.
    fn of(
        shown: Option<(NaiveDate, TimeDelta)>,
        is_changed: bool,
        last: Option<&LastSync>,
        max_age: Duration,
    ) -> Self {
        let snapshot = shown.map_or_else(
            || "no snapshot is published yet".to_owned(),
            |(date, age)| format!("the snapshot of {date} is {} hours old", age.num_hours().max(0)),
        );
        if let Some(last) = last.filter(|last| last.failures > 0) {
            let since = last.failing_since.unwrap_or(last.ended_at).format("%F %H:%M UTC");
            let count = match last.failures {
                1 => format!("the last `sync` failed ({since})"),
                more => format!("the last {more} starts of `sync` failed, since {since}"),
            };
            let (word, exit_code) =
                if last.is_refused() { ("refused", REFUSED) } else { ("failing", FAILED) };
            return Self {
                word,
                because: format!("{count}: {}; {snapshot}", last.result()),
                next_step: Some(last.hints.join("; ")).filter(|hints| !hints.is_empty()),
                exit_code,
            };
        }
        if is_changed {
            return Self {
                word: "changed",
                because: "another program changed the published file, so boxseat does not use it".to_owned(),
                next_step: Some("`boxseat publish` builds the file again from the lake".to_owned()),
                exit_code: FAILED,
            };
        }
        let is_fresh = shown.is_some_and(|(_, age)| age.to_std().map_or(true, |age| age <= max_age));
        if is_fresh {
            return Self { word: "healthy", because: snapshot, next_step: None, exit_code: 0 };
        }
        let next_step = "check that the scheduled job runs: `boxseat sync` makes a newer snapshot";
        Self { word: "stale", because: snapshot, next_step: Some(next_step.to_owned()), exit_code: FAILED }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn last(exit_code: u8, failures: u32) -> LastSync {
        LastSync {
            ended_at: "2026-03-02T06:00:00Z".parse().unwrap(),
            exit_code,
            lines: if failures > 0 { vec!["Box refused the sign-in".to_owned()] } else { Vec::new() },
            hints: vec!["check the secret".to_owned()],
            failures,
            failing_since: None,
        }
    }

    /// Why: `status` ended with 0 whatever was wrong, so no monitor could use it.
    #[test]
    fn the_exit_code_is_the_verdict() {
        let shown = |hours| Some(("2026-03-01".parse().unwrap(), TimeDelta::hours(hours)));
        let of = |shown, is_changed, last: Option<LastSync>| {
            let verdict = Verdict::of(shown, is_changed, last.as_ref(), Duration::from_secs(36 * 3_600));
            (verdict.word, verdict.exit_code)
        };
        assert_eq!(of(shown(36), false, Some(last(0, 0))), ("healthy", 0));
        assert_eq!(of(shown(-1), false, None), ("healthy", 0), "an older version wrote no note");
        assert_eq!(of(shown(37), false, Some(last(4, 0))), ("stale", 1));
        assert_eq!(of(None, false, None), ("stale", 1));
        assert_eq!(of(shown(5), false, Some(last(75, 1))), ("failing", 1));
        assert_eq!(of(shown(5), false, Some(last(3, 2))), ("refused", 3));
        assert_eq!(of(shown(5), true, Some(last(0, 0))), ("changed", 1));
        let failing = Verdict::of(shown(5), false, Some(&last(2, 3)), Duration::MAX);
        assert!(failing.because.contains("the last 3 starts") && failing.because.contains("sign-in"));
        assert_eq!(failing.next_step.as_deref(), Some("check the secret"));
    }
}
