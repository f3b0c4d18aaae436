//! R15: when an account counts as empty, from the journal's readings alone.
//!
//! Box has no completion check for a transfer: 200 after ten minutes means "still working". Box staff say that no user can read an
//! inactive account As-User (box/box-java-sdk#483), so the items are counted before the suspension. After the transfer the account
//! is empty when two readings at least 20 hours apart show no bytes, and the destination held what was counted. A count of 0 items
//! while bytes were in use proves nothing.

use boxseat_schemas::reclaim::Action;
use chrono::{DateTime, TimeDelta, Utc};

use super::confirmation::confirmed;
use super::figures::size;
use crate::journal::state::{ActionState, Reading, UserState};

/// What the readings prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Emptiness {
    /// Two empty readings far enough apart, and the destination held everything: the time of the second reading.
    Empty(DateTime<Utc>),
    /// Not enough yet; from this time on a reading can complete the proof.
    NotYet(DateTime<Utc>),
    /// As `NotEmpty`, and Box may still be moving the content.
    StillMoving(String),
    /// The last reading still showed content, or the destination never held enough.
    NotEmpty(String),
    /// No reading can prove it.
    Unverifiable(String),
}

/// Box may move content for this time after a transfer began, so content that is still there is no fault yet.
const MAY_MOVE: TimeDelta = TimeDelta::hours(48);

/// How far apart the two readings must be.
pub const APART: TimeDelta = TimeDelta::hours(20);

/// What is proved about a user whose content was transferred by `transfer`.
pub(crate) fn emptiness(person: &UserState, transfer: &ActionState, now: DateTime<Utc>) -> Emptiness {
    let until = transfer.asked_at + MAY_MOVE;
    match by_readings(person, transfer, now) {
        Emptiness::NotEmpty(why) if now < until => Emptiness::StillMoving(format!(
            "{why}; Box may still be moving the content until {}",
            until.format("%F %H:%M UTC")
        )),
        proved => proved,
    }
}

fn by_readings(person: &UserState, transfer: &ActionState, now: DateTime<Utc>) -> Emptiness {
    if let Some(confirmed) = confirmed(person, transfer) {
        return confirmed;
    }
    let items_before = match count_before(person, &transfer.attempt.plan_id, transfer.asked_at) {
        None => {
            let why = "the content could not be counted before the suspension";
            return Emptiness::Unverifiable(why.to_owned());
        }
        Some(Count { items: 0, bytes: bytes @ 1.. }) => {
            return Emptiness::Unverifiable(format!(
                "0 root items were counted while {} were in use, so the count proves nothing",
                size(bytes)
            ));
        }
        Some(Count { items, .. }) => items,
    };
    let since = counts_from(person, transfer);
    let after = || person.readings.iter().filter(|reading| reading.at > since);
    let Some(last) = after().next_back() else { return Emptiness::NotYet(now) };
    match (last.owned_items, last.space_used_bytes) {
        (_, None) => return Emptiness::Unverifiable("Box does not say how many bytes are in use".to_owned()),
        (None | Some(0), Some(0)) => {}
        (None, Some(bytes)) => return Emptiness::NotEmpty(format!("{} are still there", size(bytes))),
        (Some(items), Some(bytes)) => {
            return Emptiness::NotEmpty(format!("{items} items and {} are still there", size(bytes)));
        }
    }
    if items_before > 0 {
        // A receiver may remove items later, so any reading since the transfer counts.
        let since = person.destinations.iter().filter(|reading| reading.at > transfer.asked_at);
        match since.filter_map(|reading| reading.items).max() {
            Some(items) if items >= items_before => {}
            Some(items) => {
                return Emptiness::NotEmpty(format!(
                    "the destination folder held {items} items at most, {items_before} were owned before"
                ));
            }
            None => {
                return Emptiness::Unverifiable(
                    "the destination folder is not known or cannot be read".to_owned(),
                );
            }
        }
    }
    // The uninterrupted run of empty readings at the end.
    let run: Vec<DateTime<Utc>> =
        after().rev().take_while(|reading| is_empty(reading)).map(|reading| reading.at).collect();
    let first = run.last().copied().unwrap_or(last.at);
    match run.iter().rev().find(|at| **at - first >= APART) {
        Some(second) => Emptiness::Empty(*second),
        None => Emptiness::NotYet(first + APART),
    }
}

/// From when on readings count: the user of an active account may add content after the transfer, so a later suspension counts.
fn counts_from(person: &UserState, transfer: &ActionState) -> DateTime<Utc> {
    let suspended_at = person.suspension().map(|ours| ours.asked_at);
    suspended_at.map_or(transfer.asked_at, |at| at.max(transfer.asked_at))
}

/// The earliest time at which the proof can be complete; `None`: time alone does not complete it.
pub(crate) fn proof_from(
    person: &UserState,
    transfer: &ActionState,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let is_read = person.readings.iter().any(|reading| reading.at > counts_from(person, transfer));
    match emptiness(person, transfer, now) {
        Emptiness::Empty(at) => Some(at),
        // The first of two readings is still missing.
        Emptiness::NotYet(at) if !is_read => Some(at + APART),
        Emptiness::NotYet(at) => Some(at),
        Emptiness::StillMoving(_) | Emptiness::NotEmpty(_) | Emptiness::Unverifiable(_) => None,
    }
}

/// What an account owned before its content moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// Items in the root folder.
    pub(crate) items: u64,
    /// The most bytes that were in use since then.
    pub(crate) bytes: i64,
}

/// The last count before a time, by the plan that moves the content or by the plan that suspended the account.
pub(crate) fn count_before(person: &UserState, plan_id: &str, before: DateTime<Utc>) -> Option<Count> {
    let is_suspension = |past: &&ActionState| {
        past.attempt.action == Action::Suspend && past.was_done && past.asked_at <= before
    };
    let suspended_by = person.attempts.iter().rfind(is_suspension).map(|ours| ours.attempt.plan_id.as_str());
    let readings = || {
        person.readings.iter().rev().filter(|reading| {
            let by = reading.plan_id.as_str();
            reading.at <= before && (by == plan_id || Some(by) == suspended_by)
        })
    };
    let (items, bytes) = readings().find_map(|reading| reading.owned_items.zip(reading.space_used_bytes))?;
    let newest = readings().find_map(|reading| reading.space_used_bytes);
    Some(Count { items, bytes: bytes.max(newest.unwrap_or(bytes)) })
}

fn is_empty(reading: &Reading) -> bool {
    matches!((reading.owned_items, reading.space_used_bytes), (None | Some(0), Some(0)))
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::{Action, Outcome, Record};

    use super::*;
    use crate::journal::state::JournalState;
    use crate::testing::{day, intent, outcome, read};

    /// Hours since the first day.
    fn of(records: &[(i64, Record)]) -> Emptiness {
        let entries: Vec<_> = records
            .iter()
            .map(|(hours, record)| {
                let at = day(0) + TimeDelta::hours(*hours);
                boxseat_schemas::reclaim::Entry::new(0, at, String::new(), record.clone())
            })
            .collect();
        let past = JournalState::of(&entries);
        let person = &past.people["1"];
        emptiness(person, person.transfer().unwrap(), day(9))
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

    /// R15: two empty readings at least 20 hours apart, and a destination that holds the moved items.
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
        // Content that arrives in between starts the count again.
        let again = moved(full(), &[there(), (2, nothing()), (12, read(Some(1), 5)), (22, nothing())]);
        assert_eq!(again, Emptiness::NotYet(hour(42)));
        let late = moved(full(), &[there(), (2, nothing()), (22, nothing()), (23, read(Some(1), 5))]);
        assert!(matches!(late, Emptiness::NotEmpty(_)));
        // The account was active after its transfer: only readings from its suspension on count.
        let suspended =
            [(24, intent("q", "1", Action::Suspend, 1)), (24, outcome("q", "1", 1, Outcome::Done))];
        let first = [&[there(), (2, nothing()), (22, nothing())][..], &suspended].concat();
        assert!(matches!(moved(full(), &first), Emptiness::NotYet(_)));
        let second = [&first[..], &[(25, nothing()), (30, nothing())]].concat();
        assert_eq!(moved(full(), &second), Emptiness::NotYet(hour(45)));
        let third = [&second[..], &[(45, nothing())]].concat();
        assert_eq!(moved(full(), &third), Emptiness::Empty(hour(45)));
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

    /// R15: a method that showed nothing while bytes were there cannot see the content.
    #[test]
    fn r15_a_method_that_shows_no_content_proves_nothing() {
        let empty = &[(2, read(Some(0), 0)), (30, read(Some(0), 0))];
        assert!(matches!(moved(read(Some(0), 900), empty), Emptiness::Unverifiable(_)));
        assert!(matches!(moved(read(None, 900), empty), Emptiness::Unverifiable(_)));
        assert!(matches!(moved(read(Some(0), 0), empty), Emptiness::Empty(_)), "there was nothing to move");
    }

    /// R15: Box closes an inactive account to As-User. Bytes and destination prove it then, and a proof stays valid.
    #[test]
    fn r15_a_source_that_is_closed_after_the_count_can_be_proved_empty() {
        let full = || read(Some(3), 900);
        let there = || (2, destination(Some(3)));
        let closed = |bytes| read(None, bytes);
        let hour = |h: i64| day(0) + TimeDelta::hours(h);
        let proved = moved(full(), &[there(), (2, closed(0)), (22, closed(0))]);
        assert_eq!(proved, Emptiness::Empty(hour(22)));
        let closed_later = moved(full(), &[there(), (2, read(Some(0), 0)), (22, closed(0)), (40, closed(0))]);
        assert_eq!(closed_later, Emptiness::Empty(hour(22)), "the day of the proof stays");
        assert!(matches!(moved(full(), &[there(), (2, closed(7)), (22, closed(7))]), Emptiness::NotEmpty(_)));
        assert!(matches!(moved(full(), &[(2, closed(0)), (22, closed(0))]), Emptiness::Unverifiable(_)));
        // The receiver removes items between the two readings.
        let tidied = moved(full(), &[there(), (2, closed(0)), (21, destination(Some(0))), (22, closed(0))]);
        assert_eq!(tidied, Emptiness::Empty(hour(22)));
        let gone = moved(full(), &[there(), (2, closed(0)), (21, destination(None)), (22, closed(0))]);
        assert_eq!(gone, Emptiness::Empty(hour(22)));
    }

    /// R15: the count before the suspension is that of the plan that suspended, not of an earlier one.
    #[test]
    fn r15_the_count_is_the_one_before_this_suspension() {
        let by = |plan: &str, items| match read(items, 900) {
            Record::ContentRead { user_id, owned_items, shared_items, space_used_bytes, .. } => {
                let plan_id = plan.to_owned();
                Record::ContentRead { plan_id, user_id, owned_items, shared_items, space_used_bytes }
            }
            other => other,
        };
        let of = |counted_by: &str, items| {
            of(&[
                (0, by(counted_by, items)),
                (1, intent("s", "1", Action::Suspend, 1)),
                (1, outcome("s", "1", 1, Outcome::Done)),
                (9, by("p", None)),
                (10, intent("p", "1", Action::Transfer, 1)),
                (10, outcome("p", "1", 1, Outcome::Done)),
                (11, destination(Some(3))),
                (11, by("p", None)),
                (12, read(None, 0)),
                (32, read(None, 0)),
            ])
        };
        assert!(matches!(of("s", Some(3)), Emptiness::Empty(_)));
        assert!(matches!(of("s", Some(4)), Emptiness::NotEmpty(_)));
        assert!(matches!(of("s", None), Emptiness::Unverifiable(_)));
        assert!(matches!(of("earlier", Some(3)), Emptiness::Unverifiable(_)));
    }
}
