//! One user taken out of the action journal and out of the files of closed plans.

use std::collections::BTreeMap;

use boxseat_schemas::reclaim::Record;
use ssh_key::PublicKey;

use super::eraser::Eraser;
use super::key::ErasureKey;
use super::record::Pending;
use crate::error::CommandError;
use crate::evidence::digest;
use crate::reclaim::Journal;
use crate::reclaim::plans::PlanTexts;
use crate::store::Store;

/// Gives how many entries and plans were changed.
///
/// The journal comes first, then the record with the new digests, then the plans. *Killed* before the last plan is written: the
/// journal does not know the file as it is, so nothing is done by it, and the same command writes it again with the same digest.
pub(super) fn erase(
    store: &Store,
    pinned: Option<&PublicKey>,
    key: &ErasureKey,
    pending: &Pending,
    journal: Journal,
    eraser: &Eraser<'_>,
) -> Result<(u64, u64), CommandError> {
    if journal.sequence() == 0 {
        return Ok((0, 0));
    }
    let (mut journal, entries) = journal.erase(store.id(), pinned, key, &|text| eraser.json(text))?;
    let mut plans = PlanTexts::read(store.root())?;
    plans.change(|text| eraser.document(text));
    plans.refuse_edited(journal.past())?;
    let plan_digests: BTreeMap<String, String> =
        plans.changed().map(|(plan_id, text)| (plan_id.to_owned(), digest(text.as_bytes()))).collect();
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
