//! Erases one user from the action journal and the files of closed plans.

use std::collections::BTreeMap;

use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::plans::PlanTexts;
use boxseat_reclaim::journal::{ErasureKey, JournalKey};
use boxseat_schemas::reclaim::{Entry, Plan, Record};
use boxseat_storage::digest::sha256_hex;

use super::eraser::Eraser;
use super::record::Pending;
use crate::error::CommandError;
use crate::store::Store;

/// Checks that every entry and plan can be read back without the user. Returns the texts after the erasure.
///
/// # Errors
/// Exit 3 for a plan that names the user and cannot be read, or was edited.
pub(super) fn check(
    store: &Store,
    journal: &Journal,
    eraser: &Eraser<'_>,
    mut look: impl FnMut(&str),
) -> Result<(), CommandError> {
    for entry in journal.entries() {
        let new = eraser.entry(entry);
        let text = serde_json::to_string(new.as_ref().unwrap_or(entry)).expect("an entry is plain data");
        if new.is_some_and(|new| serde_json::from_str::<Entry>(&text).ok() != Some(new)) {
            return Err(CommandError::refused(format!(
                "entry {} of the journal cannot be read without the user",
                entry.sequence
            ))
            .hint("nothing was changed; please report this"));
        }
        look(&text);
    }
    let plans = erased_plans(store, journal, eraser)?;
    plans.iter().for_each(|(_, text)| look(text));
    Ok(())
}

/// The plans, those that name the user without the user.
fn erased_plans(store: &Store, journal: &Journal, eraser: &Eraser<'_>) -> Result<PlanTexts, CommandError> {
    let mut plans = PlanTexts::read(store.root())?;
    for (plan_id, text) in plans.iter() {
        let e = match serde_json::from_str::<Plan>(text) {
            Err(e) if eraser.is_named_in_json(text) => e,
            _ => continue,
        };
        return Err(CommandError::refused(format!("plan {plan_id} names the user and cannot be read"))
            .because(e)
            .hint("restore the file from a backup, or remove it; then run the command again"));
    }
    plans.change(|text| {
        let plan = eraser.plan(&serde_json::from_str(text).ok()?)?;
        Some(serde_json::to_string_pretty(&plan).expect("a plan is plain data") + "\n")
    });
    plans.refuse_edited(journal.past())?;
    Ok(plans)
}

/// Returns the numbers of changed entries and plans.
///
/// Order: the journal, the entry with the new digests, the plans. *Killed* before the last plan is written: the journal does not have
/// the digest of the old file, so the plan cannot be used, and the same command writes the file again with the same new digest.
pub(super) fn erase(
    store: &Store,
    journal_key: &JournalKey,
    key: &ErasureKey,
    pending: &Pending,
    journal: Journal,
    eraser: &Eraser<'_>,
) -> Result<(u64, u64), CommandError> {
    let (mut journal, entries) = journal.erase(store.id(), journal_key, key, &|entry| eraser.entry(entry))?;
    let plans = erased_plans(store, &journal, eraser)?;
    let plan_digests: BTreeMap<String, String> =
        plans.changed().map(|(plan_id, text)| (plan_id.to_owned(), sha256_hex(text.as_bytes()))).collect();
    let is_recorded = journal.entries().iter().any(|entry| match &entry.record {
        Record::UserErased { pseudonym, .. } => {
            *pseudonym == pending.identity.pseudonym && entry.at == pending.begun_at
        }
        _ => false,
    });
    // Also if the journal does not name the user: the entry proves that the erasure has a record.
    if !is_recorded {
        let (pseudonym, by) = (pending.identity.pseudonym.clone(), pending.by.clone());
        journal.append(pending.begun_at, Record::UserErased { pseudonym, by, plan_digests })?;
    }
    journal.anchor()?;
    Ok((entries, plans.write()?))
}
