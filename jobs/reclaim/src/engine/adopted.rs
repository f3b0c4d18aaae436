//! R14: after `reclaim adopt` another store may have moved content, and this journal does not know of it.

use boxseat_schemas::reclaim::ReasonCode;
use boxseat_schemas::reclaim::plan::PlannedPerson;

use super::{Run, Skip};
use crate::journal::state::Reading;
use crate::rules::figures::size;

impl Run<'_> {
    /// Whether an account, counted just now, holds less than before the adoption. Then a transfer may have been made that the journal
    /// does not know.
    pub(super) fn may_be_transferred(&self, planned: &PlannedPerson) -> Option<Skip> {
        let (adopted_at, before, now) = self.with_past(|past| {
            let adopted_at = past.adoptions.last()?.at;
            let readings = &past.people.get(&planned.user_id)?.readings;
            let before = readings.iter().rev().find(|reading| reading.at <= adopted_at)?;
            Some((adopted_at, before.clone(), readings.last()?.clone()))
        })?;
        let has_fewer_bytes = now.space_used_bytes.unwrap_or(0) < before.space_used_bytes?;
        // Items of 0 bytes move without a change of the bytes in use.
        let has_fewer_items = before.owned_items.zip(now.owned_items).is_some_and(|(was, is)| is < was);
        (has_fewer_bytes || has_fewer_items).then(|| {
            let detail = format!(
                "the account held {} before the journal was adopted on {}, and holds {}: another store may have moved its content. Check in Box where it is; boxseat transfers nothing from this account",
                held(&before),
                adopted_at.format("%F"),
                held(&now)
            );
            Skip::finally(ReasonCode::MaybeTransferred, detail)
        })
    }
}

/// `1.5 GB in 3 items`.
fn held(reading: &Reading) -> String {
    let bytes = reading.space_used_bytes.map_or_else(|| "an unknown size".to_owned(), size);
    reading.owned_items.map_or_else(|| bytes.clone(), |items| format!("{bytes} in {items} items"))
}
