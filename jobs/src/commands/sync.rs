//! `boxseat sync`: the cron job.

use std::sync::Arc;

use boxseat_output::warehouse::Purpose;
use boxseat_pipeline::client::Credentials;
use boxseat_pipeline::extract::Meter;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::{Format, Global, SyncArgs};
use crate::clock::data_clock;
use crate::config::{RecordedConfiguration, Settings, credentials, store_of};
use crate::error::{CommandError, REJECTS};
use crate::last_sync;
use crate::printer::Printer;
use crate::stop::Stop;
use crate::store::Store;
use crate::sync::{Ended, Outcome, SyncJob};
use crate::terminal::Progress;

pub(crate) async fn run(global: &Global, args: &SyncArgs, printer: &Printer) -> Result<u8, CommandError> {
    let (root, clock) = (store_of(global), data_clock(global.now));
    let (ended, record) = match Settings::load_to_read(global) {
        Err(e) => (Err(e), None),
        Ok(settings) => {
            // A refused time is not noted, because the note would have it.
            let settings = settings.refuse_rehearsal()?;
            let record = RecordedConfiguration::of(&settings);
            (start(global, settings, args, printer).await, Some(record))
        }
    };
    // A start that only plans completes nothing.
    if !args.plan || ended.is_err() {
        last_sync::note(&root, clock(), &ended);
    }
    if let (Ok(_), Some(record), false) = (&ended, record, args.plan) {
        record.write(&root);
    }
    ended
}

async fn start(
    global: &Global,
    settings: Settings,
    args: &SyncArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let settings = settings.with_leave_list()?;
    match run_once(global, &settings, credentials()?, args).await? {
        Ended::Complete(outcome) => {
            report(printer, &outcome)?;
            if args.plan {
                printer.note(
                    "A run was waiting to be finished and counts as the current one: there is nothing to plan.",
                );
            }
            Ok(if outcome.run.rejects_count > 0 { REJECTS } else { 0 })
        }
        Ended::Planned(reservation, plan) => {
            super::plan::print(printer, &settings, &reservation, &plan)?;
            Ok(0)
        }
    }
}

/// Locks the store and does one run.
pub(crate) async fn run_once(
    global: &Global,
    settings: &Settings,
    credentials: Credentials,
    args: &SyncArgs,
) -> Result<Ended, CommandError> {
    let stop = Stop::on_signals()?;
    if let Some(deadline) = args.deadline {
        stop.end_reading_after(deadline);
    }
    let lock = Store::create_and_lock(&settings.store, &settings.access)?;
    let mut store = Store::open_or_create(
        &settings.store,
        &settings.access,
        &settings.journal_key,
        Uuid::new_v4(),
        &lock,
    )?;
    let meter = Arc::new(Meter::default());
    let _progress = Progress::of(Arc::clone(&meter), global);
    let clock = data_clock(settings.rehearsed_now);
    let job = SyncJob {
        settings,
        credentials,
        clock,
        accept_shrink_percent: args.accept_shrink,
        plan_only: args.plan,
        full: args.full,
        purpose: if args.no_publish { Purpose::Private } else { Purpose::Publish },
        meter,
        stop: stop.clone(),
    };
    job.run(&mut store).await.map_err(|e| stop.explain(e))
}

/// Prints the result of a run: one line, or one object for JSON and CSV.
pub(crate) fn report(printer: &Printer, outcome: &Outcome) -> Result<(), CommandError> {
    let run = &outcome.run;
    let rows =
        |name: &str| outcome.tables.iter().find(|t| t.counted.table_name == name).map(|t| t.rows_in_lake);
    let mut facts: Vec<(&str, Value)> = vec![
        ("run_number", json!(run.run_number)),
        ("night", json!(run.snapshot_date)),
        ("published", json!(outcome.published.as_ref())),
    ];
    for table in ["users", "groups", "memberships", "email_aliases", "events"] {
        if let Some(rows) = rows(table) {
            facts.push((table, json!(rows)));
        }
    }
    facts.extend([
        ("planned_calls", json!(run.planned_calls_count)),
        ("api_calls", json!(run.calls_count)),
        ("retries", json!(run.retries_count)),
        ("waited_seconds", json!(run.waited_seconds)),
        ("unknown_fields", json!(run.unknown_fields_count)),
        ("rejects", json!(run.rejects_count)),
    ]);
    match printer.format() {
        Format::Table => {
            let parts: Vec<String> = facts
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| format!("{}: {}", key.replace('_', " "), plain(value)))
                .collect();
            printer.note(parts.join(", "));
        }
        _ => printer.facts("sync", &facts)?,
    }
    if run.rejects_count > 0 {
        printer.note(format!("{} records could not be understood; see table rejects", run.rejects_count));
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
