//! R15: what operators confirm about content where no reading can prove that it has moved.
//!
//! A confirmation is about one transfer. It replaces the comparison with the destination and the readings that are not possible. It
//! does not replace the reading of the source: 20 hours later the account must not hold more than at the confirmation, and Box must
//! accept a deletion without force.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::emptiness::{APART, Emptiness, emptiness};
use crate::error::Error;
use crate::journal::operator::identity;
use crate::journal::state::{ActionState, Confirmation, JournalState, Reading, UserState};

impl UserState {
    /// The last confirmation of a transfer, once enough different operators have confirmed it.
    pub fn confirmation(&self, action_id: &str) -> Option<&Confirmation> {
        let of_transfer = || self.confirmations.iter().filter(move |one| one.action_id == action_id);
        let needed = of_transfer().map(|one| one.operators_needed).max()?;
        let operators = operators(of_transfer());
        (operators.len() >= needed as usize).then(|| of_transfer().next_back()).flatten()
    }
}

/// The names of the different operators of some confirmations. Of names with the same [`identity`] the first counts.
pub fn operators<'a>(confirmations: impl Iterator<Item = &'a Confirmation>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let names = confirmations.map(|one| one.by.os_user.as_str());
    names.filter(|name| seen.insert(identity(name))).collect()
}

/// The transfer of a user that readings do not prove.
///
/// # Errors
/// `Refused` with the reason. `user` is how the operator named the account.
pub fn to_confirm(
    past: &JournalState,
    user_id: &str,
    user: &str,
    now: DateTime<Utc>,
) -> Result<ActionState, Error> {
    let refused = |what: &str| Error::refused(format!("{user}: {what}, so there is nothing to confirm"));
    let known = &past.people[user_id];
    if known.deletion().is_some() {
        return Err(refused("boxseat has deleted the account"));
    }
    let Some(transfer) = known.transfer() else {
        return Err(refused("boxseat has transferred nothing from the account"));
    };
    if transfer.is_unfinished() {
        return Err(refused("the outcome of the transfer is not known yet")
            .hint("`boxseat reclaim nightly` settles it within 48 hours"));
    }
    let action_id = &transfer.attempt.action_id;
    let is_waiting_for_others = known.confirmation(action_id).is_none()
        && known.confirmations.iter().any(|one| one.action_id == *action_id);
    match emptiness(known, transfer, now) {
        _ if is_waiting_for_others => Ok(transfer.clone()),
        Emptiness::StillMoving(_) | Emptiness::NotEmpty(_) | Emptiness::Unverifiable(_) => {
            Ok(transfer.clone())
        }
        Emptiness::Empty(_) => Err(refused("the account is proved empty")),
        Emptiness::NotYet(at) => Err(refused("readings can still prove that the account is empty")
            .hint(format!("`boxseat reclaim nightly` reads again from {} on", at.format("%F %H:%M UTC")))),
    }
}

/// What a confirmation and the readings after it prove; `None`: there is none, or the account holds more since.
pub(crate) fn confirmed(person: &UserState, transfer: &ActionState) -> Option<Emptiness> {
    let confirmation = person.confirmation(&transfer.attempt.action_id)?;
    let since = || person.readings.iter().filter(|reading| reading.at > confirmation.at);
    if since().next_back().is_some_and(|last| holds_more(last, confirmation)) {
        return None;
    }
    match since().find(|reading| reading.at - confirmation.at >= APART) {
        Some(reading) => Some(Emptiness::Empty(reading.at)),
        None => Some(Emptiness::NotYet(due_at(confirmation))),
    }
}

/// From this time on a reading can complete the proof.
fn due_at(confirmation: &Confirmation) -> DateTime<Utc> {
    confirmation.at + APART
}

fn holds_more(reading: &Reading, confirmation: &Confirmation) -> bool {
    let items = reading.owned_items.is_some_and(|items| items > confirmation.owned_items.unwrap_or(0));
    items || reading.space_used_bytes.is_none_or(|bytes| bytes > confirmation.space_used_bytes)
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::{Action, Entry, Outcome, Record};
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::{day, intent, operator, outcome, read};

    fn confirm(by: &str, operators_needed: u32, bytes: i64) -> Record {
        Record::ContentConfirmed {
            user_id: "1".into(),
            action_id: "p/1/1".into(),
            statement: "all folders are in the archive".into(),
            by: operator(by),
            operators_needed,
            owned_items: Some(0),
            space_used_bytes: bytes,
        }
    }

    /// Bytes stay without items, so readings alone prove nothing.
    fn of(after: &[(i64, Record)]) -> Emptiness {
        let begin = [
            (0, read(Some(3), 30)),
            (1, intent("p", "1", Action::Transfer, 1)),
            (1, outcome("p", "1", 1, Outcome::Done)),
            (2, read(Some(0), 7)),
        ];
        let entries: Vec<_> = begin
            .iter()
            .chain(after)
            .map(|(hours, record)| {
                let at = day(0) + TimeDelta::hours(*hours);
                Entry::new(0, at, String::new(), record.clone())
            })
            .collect();
        let past = JournalState::of(&entries);
        let person = &past.people["1"];
        emptiness(person, person.transfer().unwrap(), day(9))
    }

    #[test]
    fn r15_a_confirmation_counts_20_hours_later_if_the_account_holds_no_more() {
        let confirmed = (30, confirm("jo", 1, 7));
        assert!(matches!(of(&[]), Emptiness::NotEmpty(_)));
        assert_eq!(of(std::slice::from_ref(&confirmed)), Emptiness::NotYet(day(0) + TimeDelta::hours(50)));
        let later = |hours, items, bytes| of(&[confirmed.clone(), (hours, read(items, bytes))]);
        assert!(matches!(later(49, Some(0), 7), Emptiness::NotYet(_)));
        assert_eq!(later(50, Some(0), 7), Emptiness::Empty(day(0) + TimeDelta::hours(50)));
        assert_eq!(
            later(51, None, 0),
            Emptiness::Empty(day(0) + TimeDelta::hours(51)),
            "Box hides the items"
        );
        assert!(matches!(later(50, Some(0), 8), Emptiness::NotEmpty(_)), "more bytes");
        assert!(matches!(later(50, Some(1), 7), Emptiness::NotEmpty(_)), "an item");
    }

    #[test]
    fn r15_as_many_different_operators_confirm_as_the_policy_requires() {
        let read = || (60, read(Some(0), 7));
        let twice = of(&[(30, confirm("jo", 2, 7)), (31, confirm("jo", 2, 7)), read()]);
        assert!(matches!(twice, Emptiness::NotEmpty(_)), "{twice:?}");
        let both = of(&[(30, confirm("jo", 2, 7)), (31, confirm("kim", 2, 7)), read()]);
        assert!(matches!(both, Emptiness::Empty(_)), "{both:?}");
    }
}
