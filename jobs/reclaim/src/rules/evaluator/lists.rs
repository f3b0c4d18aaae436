//! R3, R5: the lists of holds and of leave that are stored outside boxseat.

use std::collections::{BTreeSet, HashMap};

use boxseat_schemas::text::excerpt;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::super::policy_inputs::PolicyInputs;
use super::super::protect::Addresses;
use super::super::snapshot::Snapshot;
use super::Subject;

/// Lists of leave and holds are valid for this time (R3, R5).
pub(crate) const LIST_MAX_AGE: TimeDelta = TimeDelta::days(7);

/// What the present leave list says about a user.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leave {
    /// Whether a leave is in force on the date of the snapshot.
    pub(super) holds: bool,
    /// The end of the last leave that is over.
    pub(super) ended_at: Option<DateTime<Utc>>,
}

fn counted_until(age: TimeDelta, now: DateTime<Utc>) -> NaiveDate {
    (now - age + LIST_MAX_AGE).date_naive()
}

/// R3: all users on the list of holds. A list that is old or names an unknown user proves nothing.
pub(super) fn held(
    snapshot: &Snapshot,
    inputs: &PolicyInputs,
    addresses: &Addresses<'_>,
    now: DateTime<Utc>,
    refuse: &mut impl FnMut(Subject, String),
) -> HashMap<String, String> {
    let Some(list) = &inputs.holds else { return HashMap::new() };
    if list.age < -TimeDelta::days(1) {
        refuse(Subject::Holds, "[holds] is dated in the future".to_owned());
    }
    if list.age > LIST_MAX_AGE {
        refuse(
            Subject::Holds,
            format!(
                "[holds] expired {}, because a list counts for 7 days: check which users came under \
                 legal hold since, then write the list again, or a new none_stated_on",
                counted_until(list.age, now)
            ),
        );
    }
    let mut held = HashMap::new();
    for hold in &list.rows {
        let ids = match snapshot.person(&hold.who) {
            Some(person) => vec![person.user_id.clone()],
            None => addresses.who(&hold.who),
        };
        if ids.is_empty() {
            refuse(
                Subject::Holds,
                format!(
                    "the list of holds names {} in line {}, which matches no user of the store",
                    excerpt(&hold.who),
                    hold.line
                ),
            );
        }
        held.extend(ids.into_iter().map(|id| (id, hold.reason.clone())));
    }
    held
}

/// R5: the present leave list, in addition to the leave in the snapshot.
///
/// A row with an id and a login is about every user that one of them names.
pub(super) fn leaves(
    snapshot: &Snapshot,
    inputs: &PolicyInputs,
    addresses: &Addresses<'_>,
    now: DateTime<Utc>,
    refuse: &mut impl FnMut(Subject, String),
) -> HashMap<String, Leave> {
    let Some(list) = &inputs.leave else { return HashMap::new() };
    if list.age > LIST_MAX_AGE {
        refuse(
            Subject::Leave,
            format!(
                "the leave list expired {}, because a list counts for 7 days: check which users went \
                 on leave since, then write it again",
                counted_until(list.age, now)
            ),
        );
    }
    let mut leaves: HashMap<String, Leave> = HashMap::new();
    let night = snapshot.night.snapshot_date;
    let today = now.date_naive().max(night);
    for row in &list.rows {
        let by_login = row.login.as_ref().map(|login| (login, addresses.who(login)));
        let unknown_login = by_login.as_ref().filter(|(_, ids)| ids.is_empty()).map(|(login, _)| *login);
        let unknown_id = snapshot.person(&row.user_id).is_none().then_some(&row.user_id);
        for unknown in unknown_id.into_iter().chain(unknown_login) {
            refuse(
                Subject::Leave,
                format!(
                    "the leave list names {} in line {}, which matches no user of the store",
                    excerpt(unknown),
                    row.line
                ),
            );
        }
        let ids = by_login.into_iter().flat_map(|(_, ids)| ids).chain([row.user_id.clone()]);
        for user_id in ids.collect::<BTreeSet<_>>() {
            let leave = leaves.entry(user_id).or_default();
            let is_over = row.to.is_some_and(|to| to < night);
            leave.holds |= row.from <= today && !is_over;
            if is_over {
                let ended =
                    row.to.and_then(|to| to.succ_opt()).map(|day| day.and_time(NaiveTime::MIN).and_utc());
                leave.ended_at = leave.ended_at.max(ended);
            }
        }
    }
    leaves
}
