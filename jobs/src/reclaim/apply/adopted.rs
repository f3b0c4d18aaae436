//! R14: after `reclaim adopt` another store may have moved content, and this journal does not know of it.

use boxseat_schemas::reclaim::plan::PlannedPerson;

use super::{Run, Skip};

/// The reason code of a user whose content may have been moved before the journal was adopted.
pub(crate) const MAYBE_TRANSFERRED: &str = "maybe_transferred";

impl Run<'_> {
    /// Whether an account holds less than before the adoption. Then a transfer may have been made that the journal does not know.
    pub(super) fn may_be_transferred(&self, planned: &PlannedPerson, bytes: Option<i64>) -> Option<Skip> {
        let (adopted_at, before) = self.with_past(|past| {
            let adopted_at = past.adoptions.last()?.at;
            let person = past.people.get(&planned.user_id)?;
            let reading = person.readings.iter().rev().find(|reading| reading.at <= adopted_at)?;
            Some((adopted_at, reading.space_used_bytes?))
        })?;
        let now = bytes.unwrap_or(0);
        (now < before).then(|| {
            let day = adopted_at.format("%F");
            let detail = format!(
                "the account held {before} bytes before the journal was adopted on {day}, and holds {now}: another store may have moved its content. Check in Box where it is; boxseat transfers nothing from this account"
            );
            Skip::finally(MAYBE_TRANSFERRED, detail)
        })
    }
}
