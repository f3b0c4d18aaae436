//! `boxseat status`: what is published, what is open, who is at it. No call, no lock.

use boxseat_output::warehouse;
use boxseat_schemas::run::latest_night;
use serde_json::{Value, json};

use crate::cli::{Global, StatusArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::Printer;
use crate::store::Store;
use crate::sync::open_runs;

pub(crate) fn run(global: &Global, _args: &StatusArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access)?;
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
        ("published_night", json!(published.map(|night| night.snapshot_date))),
        ("published_run", json!(published.map(|night| night.run_number))),
        ("published_age_hours", json!(published.map(|night| (now - night.now_at).num_hours()))),
        (
            "complete_runs",
            json!(runs.iter().filter(|run| run.status == boxseat_schemas::run::RunStatus::Complete).count()),
        ),
    ];
    if let Some(last) = runs.iter().max_by_key(|run| run.run_number) {
        facts.push(("last_run", json!(last.run_number)));
        facts.push(("last_run_status", json!(last.status)));
        facts.push(("last_run_calls", json!(last.calls_count)));
        facts.push(("last_run_rejects", json!(last.rejects_count)));
    }
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
    printer.facts("status", &facts)?;
    if let Some(latest) = latest_night(&runs)
        .filter(|latest| published.is_none_or(|night| night.run_number != latest.run_number))
    {
        printer
            .note(format!("run {} is complete but not published: run `boxseat publish`", latest.run_number));
    }
    if let Some(log) = log {
        printer.note(format!(
            "{} was left by somebody who opened the file to write; open it with `duckdb -readonly`. The next publish removes it",
            log.display()
        ));
    }
    Ok(0)
}
