//! `boxseat reclaim verify`: whether the journal is what was written, and the lake tells the same (R9).

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::Global;
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::Printer;
use crate::reclaim::{Journal, seat_actions};
use crate::store::Store;

pub(crate) fn run(global: &Global, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access)?;
    let journal = Journal::read(store.root(), store.id())?;
    let runs: BTreeSet<_> = journal.past().plans.values().map(|plan| plan.night.run_number).collect();
    let runs: Vec<_> = runs.into_iter().collect();
    let rows = seat_actions::agree(store.lake(), &journal, &runs)?;
    let last = journal.entries().last();
    printer.facts(
        "verify",
        &[
            ("entries", json!(journal.sequence())),
            ("last_entry_at", json!(last.map(|entry| entry.at))),
            ("head", json!(journal.head())),
            ("seat_actions_rows", json!(rows)),
            ("unknown_outcomes", json!(journal.past().unfinished().count())),
        ],
    )?;
    printer.note("The chain holds from the first entry to the last, and every row of seat_actions is in it. Compare the head with the one in an earlier summary line: it must be found in the journal.");
    Ok(0)
}
