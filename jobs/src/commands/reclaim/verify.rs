//! `boxseat reclaim verify`: checks that the journal is unchanged and that its anchors agree (R9).

use boxseat_reclaim::journal::{ANCHOR_FILE, Seals};
use boxseat_reclaim::journal::{Journal, place};
use serde_json::json;

use crate::cli::Global;
use crate::error::{CommandError, REJECTS};
use crate::forget::compare_records;
use crate::printer::Printer;
use crate::reclaim_context::context::ReclaimContext;
use crate::reclaim_context::seat_actions;

pub(crate) fn run(global: &Global, printer: &Printer) -> Result<u8, CommandError> {
    let context = ReclaimContext::open(global)?;
    let (store, settings) = (&context.store, &context.settings);
    let journal = Journal::read(store.root(), store.id(), &settings.journal_key, Seals::Each)?;
    // The first `sync` makes the anchor with the key.
    if settings.journal_key.public.is_some() && journal.public_key().is_none() {
        return Err(CommandError::refused(format!(
            "{} is missing: it was removed with the journal",
            store.root().join(ANCHOR_FILE).display()
        ))
        .hint("restore the store from a backup: the file names the key of the journal and its last entry"));
    }
    let heads = context.witness().map(|witness| witness.check(&journal)).transpose()?;
    let rows = seat_actions::agree(store.lake(), &journal)?;
    if journal.past().bound.is_some() {
        place::check(journal.past(), &context.place()?)?;
    }
    compare_records(store.root(), store.seals(), &journal)?;
    let last = journal.entries().last();
    printer.facts(
        "verify",
        &[
            ("entries", json!(journal.sequence())),
            ("entries_without_seal", json!(journal.unsealed())),
            ("last_entry_at", json!(last.map(|entry| entry.at))),
            ("head", json!(journal.head())),
            ("journal_key", json!(journal.public_key())),
            ("journal_key_configured", json!(settings.journal_key.public.is_some())),
            ("witnessed_heads", json!(heads)),
            ("seat_actions_rows", json!(rows)),
            ("adoptions", json!(journal.past().adoptions.len())),
            ("unknown_outcomes", json!(journal.past().unfinished().count())),
        ],
    )?;
    printer.note("The chain and the seals hold from the first entry to the last, and every row of seat_actions is in the journal. The head in an earlier summary line must be found in it, too.");
    for adoption in &journal.past().adoptions {
        printer.note(format!(
            "The store was adopted here {}: the journal had {} entries, and the lake had {}. Actions of the store that \
                neither had are not in the journal.",
            adoption.at.format("%F %H:%M UTC"),
            adoption.adoption.kept_entries,
            adoption.adoption.lake_entries
        ));
    }
    if journal.unsealed() > 0 {
        printer.note(format!(
            "Entries 1 to {} were written by a version without seals. Only the chain proves them.",
            journal.unsealed()
        ));
    }
    if let Some(key) = journal.public_key().filter(|_| settings.journal_key.public.is_none()) {
        printer.note(format!(
            "[reclaim] journal_key is not set. With it a journal of another key is refused even if the lake's copy of the key was replaced: journal_key = {key:?}"
        ));
    }
    if heads == Some(0) && journal.sequence() > 0 {
        printer.note("The journal has entries, and [reclaim] witness has none of them: the file was replaced or emptied, or the setting is new. The next reclaim command writes the head to it.");
        return Ok(REJECTS);
    }
    Ok(0)
}
