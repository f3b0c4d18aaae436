//! Erases one user from the action journal and the files of closed plans.

use std::collections::BTreeMap;

use boxseat_schemas::reclaim::Record;
use boxseat_storage::digest::sha256_hex;

use super::eraser::Eraser;
use super::record::Pending;
use crate::error::CommandError;
use crate::reclaim::Journal;
use crate::reclaim::journal::{ErasureKey, JournalKey};
use crate::reclaim::plans::PlanTexts;
use crate::store::Store;

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
    if journal.sequence() == 0 {
        return Ok((0, 0));
    }
    let (mut journal, entries) = journal.erase(store.id(), journal_key, key, &|text| eraser.json(text))?;
    let mut plans = PlanTexts::read(store.root())?;
    plans.change(|text| eraser.document(text));
    plans.refuse_edited(journal.past())?;
    let plan_digests: BTreeMap<String, String> =
        plans.changed().map(|(plan_id, text)| (plan_id.to_owned(), sha256_hex(text.as_bytes()))).collect();
    let is_recorded = journal.entries().iter().any(|entry| match &entry.record {
        Record::UserErased { pseudonym, .. } => {
            *pseudonym == pending.identity.pseudonym && entry.at == pending.begun_at
        }
        _ => false,
    });
    if !is_recorded && (entries > 0 || !plan_digests.is_empty()) {
        let (pseudonym, by) = (pending.identity.pseudonym.clone(), pending.by.clone());
        journal.append(pending.begun_at, Record::UserErased { pseudonym, by, plan_digests })?;
    }
    journal.anchor()?;
    Ok((entries, plans.write()?))
}
