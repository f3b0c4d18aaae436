//! `boxseat repair`: repairs an altered store from the data that can be proved.

use boxseat_reclaim::journal::ReclaimLock;
use serde_json::{Value, json};

use crate::cli::{Format, Global, RepairArgs};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::Printer;
use crate::repair::repair;
use crate::store::Store;

pub(crate) fn run(global: &Global, _args: &RepairArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let root = settings.store.clone();
    let mut store = Store::open_to_repair(&settings)?;
    let _lock = Store::lock(&root)?;
    let reclaim = ReclaimLock::take(&root)?;
    store.refuse_foreign_lake()?;
    let done = repair(&mut store, &settings, &reclaim, data_clock(settings.rehearsed_now)())?;
    for altered in &done.found {
        printer.note(format!("Found: {altered}."));
    }
    for (table, rows) in &done.rebuilt {
        printer.note(format!("The table {table} was rebuilt with {rows} rows."));
    }
    for run in &done.withdrawn {
        printer.note(format!("Run {run} no longer counts: the next run reads its data again."));
    }
    done.notes.iter().for_each(|note| printer.note(note));
    if let Some(aside) = &done.aside {
        printer.note(format!("The old files are in {}.", aside.display()));
    }
    if printer.format() == Format::Json {
        let rebuilt: Vec<Value> =
            done.rebuilt.iter().map(|(table, rows)| json!({ "table": table, "rows": rows })).collect();
        printer.facts(
            "repair",
            &[
                ("found", json!(done.found.iter().map(ToString::to_string).collect::<Vec<_>>())),
                ("rebuilt_tables", json!(rebuilt)),
                ("withdrawn_runs", json!(done.withdrawn)),
                ("lake_begun_anew", json!(done.is_new_lake)),
                ("old_files", json!(done.aside)),
                ("published", json!(done.published)),
            ],
        )?;
    }
    printer.note(if done.found.is_empty() {
        "Nothing is altered."
    } else {
        "Run `boxseat sync` now, and `boxseat verify` after it."
    });
    Ok(0)
}
