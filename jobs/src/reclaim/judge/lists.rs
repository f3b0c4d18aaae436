//! R3, R5: the lists that people keep beside boxseat, of holds and of leave.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::super::beside::Beside;
use super::super::ground::Ground;
use super::super::protect::Addresses;

/// Lists of leave and holds count for so long (R3, R5).
pub(crate) const LIST_MAX_AGE: TimeDelta = TimeDelta::days(7);

/// What today's leave list says of a person.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leave {
    /// Whether one holds on the night.
    pub(super) holds: bool,
    /// The end of the last one that is over.
    pub(super) ended_at: Option<DateTime<Utc>>,
}

fn counted_until(age: TimeDelta, now: DateTime<Utc>) -> NaiveDate {
    (now - age + LIST_MAX_AGE).date_naive()
}

/// R3: everybody on the list of holds. A list that is old or names somebody unknown proves nothing.
pub(super) fn held(
    ground: &Ground,
    beside: &Beside,
    addresses: &Addresses<'_>,
    now: DateTime<Utc>,
    refuse: &mut impl FnMut(&'static str, String),
) -> HashMap<String, String> {
    let Some(list) = &beside.holds else { return HashMap::new() };
    if list.age < -TimeDelta::days(1) {
        refuse("R3", "[holds] is dated in the future".to_owned());
    }
    if list.age > LIST_MAX_AGE {
        refuse(
            "R3",
            format!(
                "[holds] has not counted since {}, because it counts for 7 days: check who came under legal \
                 hold since, then write the list again, or a new none_stated_on",
                counted_until(list.age, now)
            ),
        );
    }
    let mut held = HashMap::new();
    for hold in &list.rows {
        let ids = match ground.person(&hold.who) {
            Some(person) => vec![person.user_id.clone()],
            None => addresses.who(&hold.who),
        };
        if ids.is_empty() {
            refuse(
                "R3",
                format!(
                    "the list of holds names {} in line {}, which is no user that the store has seen",
                    hold.who, hold.line
                ),
            );
        }
        held.extend(ids.into_iter().map(|id| (id, hold.reason.clone())));
    }
    held
}

/// R5: today's leave list, beside what the night has.
pub(super) fn leaves(
    ground: &Ground,
    beside: &Beside,
    now: DateTime<Utc>,
    refuse: &mut impl FnMut(&'static str, String),
) -> HashMap<String, Leave> {
    let Some(list) = &beside.leave else { return HashMap::new() };
    if list.age > LIST_MAX_AGE {
        refuse(
            "R5",
            format!(
                "the leave list has not counted since {}, because it counts for 7 days: check who went on \
                 leave since, then write it again",
                counted_until(list.age, now)
            ),
        );
    }
    let mut leaves: HashMap<String, Leave> = HashMap::new();
    let night = ground.night.snapshot_date;
    let today = now.date_naive().max(night);
    for row in &list.rows {
        if ground.person(&row.user_id).is_none() {
            refuse(
                "R5",
                format!(
                    "the leave list names {} in line {}, which is no user that the store has seen",
                    row.user_id, row.line
                ),
            );
        }
        let leave = leaves.entry(row.user_id.clone()).or_default();
        let is_over = row.to.is_some_and(|to| to < night);
        leave.holds |= row.from <= today && !is_over;
        if is_over {
            let ended = row.to.and_then(|to| to.succ_opt()).map(|day| day.and_time(NaiveTime::MIN).and_utc());
            leave.ended_at = leave.ended_at.max(ended);
        }
    }
    leaves
}
