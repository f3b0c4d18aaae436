//! R15: when an account counts as empty, from the journal's readings alone.
//!
//! Box has no completion check for a transfer: 200 after ten minutes means "still working". So an account is empty when the same
//! method that saw content before the transfer twice sees none, at least 20 hours apart, and the destination holds what left.
//! A method that saw nothing where bytes were is blind, and proves nothing by seeing nothing again.

use chrono::{DateTime, TimeDelta, Utc};

use super::past::{PastAttempt, PastPerson, Reading};

/// What the readings prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Emptiness {
    /// Two empty readings far enough apart, and the destination holds it all: the later of the two.
    Empty(DateTime<Utc>),
    /// Not enough yet; from this moment a reading can complete the proof.
    NotYet(DateTime<Utc>),
    /// The last reading still saw content, or the destination holds too little.
    NotEmpty(String),
    /// No reading can prove it.
    Unverifiable(String),
}

/// How far apart the two readings must be.
pub(crate) const APART: TimeDelta = TimeDelta::hours(20);

/// What is proved about a person whose content was transferred by `transfer`.
pub(crate) fn emptiness(person: &PastPerson, transfer: &PastAttempt, now: DateTime<Utc>) -> Emptiness {
    let before = person.readings.iter().rev().find(|reading| reading.at <= transfer.asked_at);
    let Some(before) = before else {
        return Emptiness::Unverifiable("what was owned before the transfer was never read".to_owned());
    };
    let (Some(items_before), Some(bytes_before)) = (before.owned_items, before.space_used_bytes) else {
        return Emptiness::Unverifiable("what was owned before the transfer could not be read".to_owned());
    };
    if items_before == 0 && bytes_before > 0 {
        return Emptiness::Unverifiable(format!(
            "the root folder showed nothing while {bytes_before} bytes were in use, so that it shows nothing now proves nothing"
        ));
    }
    let after = || person.readings.iter().filter(|reading| reading.at > transfer.asked_at);
    let Some(last) = after().next_back() else { return Emptiness::NotYet(now) };
    match (last.owned_items, last.space_used_bytes) {
        (Some(0), Some(0)) => {}
        (Some(items), Some(bytes)) => {
            return Emptiness::NotEmpty(format!("{items} items and {bytes} bytes are still there"));
        }
        _ => return Emptiness::Unverifiable("what is owned now cannot be read".to_owned()),
    }
    if items_before > 0 {
        let destination = person.destinations.iter().rev().find(|reading| reading.at > transfer.asked_at);
        match destination.and_then(|reading| reading.items) {
            Some(items) if items >= items_before => {}
            Some(items) => {
                return Emptiness::NotEmpty(format!(
                    "the destination folder holds {items} items, {items_before} were owned before"
                ));
            }
            None => {
                return Emptiness::Unverifiable(
                    "the folder the content went to is not known or cannot be read".to_owned(),
                );
            }
        }
    }
    // The unbroken run of empty readings at the end.
    let first = after().rev().take_while(|reading| is_empty(reading)).last().map_or(last.at, |r| r.at);
    if last.at - first >= APART { Emptiness::Empty(last.at) } else { Emptiness::NotYet(first + APART) }
}

fn is_empty(reading: &Reading) -> bool {
    (reading.owned_items, reading.space_used_bytes) == (Some(0), Some(0))
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::{Action, Outcome, Record};

    use super::*;
    use crate::reclaim::past::Past;
    use crate::reclaim::past::tests::{day, intent, outcome};

    /// Hours since the first day.
    fn of(records: &[(i64, Record)]) -> Emptiness {
        let entries: Vec<_> = records
            .iter()
            .map(|(hours, record)| {
                let at = day(0) + TimeDelta::hours(*hours);
                boxseat_schemas::reclaim::Entry::new(0, at, String::new(), record.clone())
            })
            .collect();
        let past = Past::of(&entries);
        let person = &past.people["1"];
        emptiness(person, person.transfer().unwrap(), day(9))
    }

    fn read(items: Option<u64>, bytes: i64) -> Record {
        Record::ContentRead {
            plan_id: "p".into(),
            user_id: "1".into(),
            owned_items: items,
            shared_items: Some(0),
            space_used_bytes: Some(bytes),
        }
    }

    fn destination(items: Option<u64>) -> Record {
        Record::DestinationRead {
            plan_id: "p".into(),
            user_id: "1".into(),
            receiver_user_id: "77".into(),
            folder_id: "f".into(),
            items,
        }
    }

    fn moved(before: Record, rest: &[(i64, Record)]) -> Emptiness {
        let mut records = vec![
            (0, before),
            (1, intent("p", "1", Action::Transfer, 1)),
            (1, outcome("p", "1", 1, Outcome::Done)),
        ];
        records.extend(rest.iter().cloned());
        of(&records)
    }

    /// R15: two empty readings at least 20 hours apart, and a destination that holds what left.
    #[test]
    fn r15_empty_takes_two_readings_twenty_hours_apart() {
        let full = || read(Some(3), 900);
        let nothing = || read(Some(0), 0);
        let there = || (2, destination(Some(3)));
        assert!(matches!(moved(full(), &[]), Emptiness::NotYet(_)));
        let hour = |h: i64| day(0) + TimeDelta::hours(h);
        assert_eq!(moved(full(), &[there(), (2, nothing())]), Emptiness::NotYet(hour(22)));
        assert_eq!(moved(full(), &[there(), (2, nothing()), (21, nothing())]), Emptiness::NotYet(hour(22)));
        assert_eq!(moved(full(), &[there(), (2, nothing()), (22, nothing())]), Emptiness::Empty(hour(22)));
        // Content that comes in between begins the count anew.
        let again = moved(full(), &[there(), (2, nothing()), (12, read(Some(1), 5)), (22, nothing())]);
        assert_eq!(again, Emptiness::NotYet(hour(42)));
        let late = moved(full(), &[there(), (2, nothing()), (22, nothing()), (23, read(Some(1), 5))]);
        assert!(matches!(late, Emptiness::NotEmpty(_)));
        // Bytes without items are content, too.
        assert!(matches!(moved(full(), &[there(), (22, read(Some(0), 5))]), Emptiness::NotEmpty(_)));
    }

    #[test]
    fn r15_the_destination_must_hold_what_left() {
        let after = |d: Option<u64>| {
            moved(read(Some(3), 900), &[(2, read(Some(0), 0)), (23, read(Some(0), 0)), (23, destination(d))])
        };
        assert!(matches!(after(Some(4)), Emptiness::Empty(_)));
        assert!(matches!(after(Some(2)), Emptiness::NotEmpty(_)));
        assert!(matches!(after(None), Emptiness::Unverifiable(_)));
    }

    /// R15: a method that saw nothing while bytes were there is blind.
    #[test]
    fn r15_a_blind_method_proves_nothing() {
        let empty = &[(2, read(Some(0), 0)), (30, read(Some(0), 0))];
        assert!(matches!(moved(read(Some(0), 900), empty), Emptiness::Unverifiable(_)));
        assert!(matches!(moved(read(None, 900), empty), Emptiness::Unverifiable(_)));
        assert!(matches!(moved(read(Some(0), 0), empty), Emptiness::Empty(_)), "there was nothing to move");
        let unread = &[(2, read(Some(0), 0)), (30, read(None, 0)), (2, destination(Some(9)))];
        assert!(matches!(moved(read(Some(3), 900), unread), Emptiness::Unverifiable(_)));
    }
}
