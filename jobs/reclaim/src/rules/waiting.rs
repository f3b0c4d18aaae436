//! Users whose next stage comes later, with its first day: no plan is open for them, and there is no error.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_schemas::reclaim::{ReasonCode, Stage};
use chrono::{DateTime, TimeDelta, Utc};

use super::emptiness::proof_from;
use super::evaluator::{Denial, Evaluator};
use super::offboarding::first_snapshot;
use super::policy::Policy;
use super::policy_inputs::PolicyInputs;
use super::snapshot::Snapshot;
use crate::journal::state::{ActionState, CAPS_WINDOW, JournalState, UserState};

/// Users who wait for the same stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The stage.
    pub stage: Stage,
    /// How many they are.
    pub users: usize,
    /// When the first of them can be planned.
    pub from: DateTime<Utc>,
    /// The reason code of the rule that denies for now, if their day has come.
    pub reason: Option<ReasonCode>,
}

impl Waiting {
    /// `transfer from 2026-12-06 on`, or that it is due.
    pub fn sentence(&self, now: DateTime<Utc>) -> String {
        let stage = self.stage.as_str();
        match self.reason {
            Some(word) => return format!("{stage} is due, and {word} denies it for now: {}", word.meaning()),
            None if self.from <= now => {
                return format!(
                    "{stage} is due: the next `boxseat reclaim nightly` on a newer snapshot plans it"
                );
            }
            None => {}
        }
        let reading =
            if self.stage == Stage::Delete { ", once two readings show that no content is left" } else { "" };
        format!(
            "{stage} from {} on: `boxseat reclaim nightly` plans it then{reading}",
            self.from.format("%F")
        )
    }
}

/// Users that wait for a later day, and users that wait for the caps. The policy is evaluated once for both.
pub fn waiting(
    past: &JournalState,
    snapshot: &Snapshot,
    policy: &Policy,
    inputs: &PolicyInputs,
    stuck: &BTreeSet<&str>,
    now: DateTime<Utc>,
) -> (Vec<Waiting>, Option<OverCap>) {
    let (evaluator, refusals) =
        Evaluator::look(policy, snapshot, past, inputs, now, past.replaceable_plans());
    let left_out = evaluator.everybody().left_out;
    // A policy that cannot be evaluated makes no plan, whatever the caps allow.
    let over_cap = if refusals.is_empty() {
        let room = evaluator.room_left();
        over_cap(past, room.taken, room.most, &left_out, now)
    } else {
        None
    };
    (next_stages(past, snapshot, policy, &left_out, stuck, now), over_cap)
}

/// Suspended users that a plan of the policy continues later, by stage. Users in an open plan and `stuck` ones are not counted.
fn next_stages(
    past: &JournalState,
    snapshot: &Snapshot,
    policy: &Policy,
    left_out: &BTreeMap<String, (Stage, Denial)>,
    stuck: &BTreeSet<&str>,
    now: DateTime<Utc>,
) -> Vec<Waiting> {
    let mut stages: BTreeMap<(Stage, Option<&str>), Waiting> = BTreeMap::new();
    for (user_id, known) in &past.people {
        let is_listed = snapshot.person(user_id).is_some_and(|now| now.listing.as_deref() == Some("listed"));
        let is_planned = past.open_plans().any(|(plan_id, plan)| {
            plan.user_ids.iter().any(|planned| planned == user_id)
                && !past.has_finished(plan_id, plan, user_id)
        });
        let Some(ours) = known.suspension() else { continue };
        let is_offboarding =
            past.plans.get(&ours.attempt.plan_id).is_some_and(|plan| plan.policy_digest.is_none());
        if !is_listed || is_planned || is_offboarding || stuck.contains(user_id.as_str()) {
            continue;
        }
        let Some((stage, from)) = next_stage(known, ours, policy, now) else { continue };
        let from = first_snapshot(from, snapshot.night.now_at);
        // For a user whose day has come, the rule that denies for now is reported.
        let reason = left_out.get(user_id).map(|(_, no)| no.word).filter(|_| from <= now);
        if reason == Some(ReasonCode::OverCap) {
            continue;
        }
        let entry = stages.entry((stage, reason.map(ReasonCode::as_str))).or_insert(Waiting {
            stage,
            users: 0,
            from,
            reason,
        });
        entry.users += 1;
        entry.from = entry.from.min(from);
    }
    stages.into_values().collect()
}

/// Users that the caps exclude from every plan for now (R8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverCap {
    /// How many they are.
    pub users: usize,
    /// How many users count now.
    pub(crate) counted: u64,
    /// How many users may count.
    pub most: u64,
    /// When so few users count that there is room for one; `None`: open plans alone fill the caps.
    pub until: Option<DateTime<Utc>>,
}

impl OverCap {
    /// How many users count, and when the first place is free.
    pub fn sentence(&self) -> String {
        let until = self.until.map_or_else(
            || "open plans alone fill it".to_owned(),
            |at| format!("a user counts for 30 days after the last action, and the first place is free on {} at the earliest", at.format("%F")),
        );
        let Self { counted, most, .. } = self;
        format!(
            "qualify, and [caps] for any 30 days is reached ({counted} users count, with open plans and leavers; {most} may): {until}"
        )
    }
}

/// How many users qualify and are over the caps.
fn over_cap(
    past: &JournalState,
    counted: u64,
    most: u64,
    left_out: &BTreeMap<String, (Stage, Denial)>,
    now: DateTime<Utc>,
) -> Option<OverCap> {
    let users = left_out.values().filter(|(_, no)| no.word == ReasonCode::OverCap).count();
    let touches = past.last_touches_since(now - CAPS_WINDOW);
    // So many users must no longer count before there is room for one more.
    let lapses = usize::try_from(counted.saturating_sub(most)).unwrap_or(usize::MAX);
    let until = touches.get(lapses).map(|at| *at + CAPS_WINDOW);
    (users > 0).then_some(OverCap { users, counted, most, until })
}

/// The next stage of a suspended user and its first time; `None`: the policy has no further stage.
pub(super) fn next_stage(
    known: &UserState,
    ours: &ActionState,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Option<(Stage, DateTime<Utc>)> {
    let after = |days| ours.asked_at + TimeDelta::days(days);
    match known.transfer() {
        None if policy.furthest_stage >= Stage::Transfer => {
            Some((Stage::Transfer, after(policy.transfer_after_days)))
        }
        Some(transfer) if policy.furthest_stage == Stage::Delete => {
            let read_at = proof_from(known, transfer, now).unwrap_or(now);
            Some((Stage::Delete, after(policy.delete_after_days).max(ours.watched_to()).max(read_at)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::{Action, Outcome};

    use super::*;
    use crate::testing::{
        TO_DELETE, created, day, idler, inputs, intent, outcome, past, policy, snapshot, suspended,
    };

    /// Why: with more users than the caps allow, one that no longer counts makes no room, and the day that was shown moved.
    #[test]
    fn r8_the_day_with_room_is_the_day_on_which_few_enough_count() {
        let done = |user_id: &str, at| {
            [(at, intent("p", user_id, Action::Suspend, 1)), (at, outcome("p", user_id, 1, Outcome::Done))]
        };
        let planned = [(0, created("p", Stage::Suspend, &["1", "2", "3"], &[]))];
        let past = past(&[&planned[..], &done("1", 1), &done("2", 2), &done("3", 3)].concat());
        let no = || (Stage::Suspend, Denial::new(ReasonCode::OverCap, "the cap is reached"));
        let left_out = BTreeMap::from([("9".to_owned(), no())]);
        let until = |most| over_cap(&past, 3, most, &left_out, day(10)).and_then(|over| over.until);
        assert_eq!((until(3), until(2), until(1)), (Some(day(31)), Some(day(32)), Some(day(33))));
        assert_eq!(until(0), None, "the caps allow no user");
    }

    #[test]
    fn each_suspended_user_waits_for_one_stage() {
        let done = |user_id: &str, action, count, at| {
            [(at, intent("p", user_id, action, count)), (at, outcome("p", user_id, count, Outcome::Done))]
        };
        let closed = boxseat_schemas::reclaim::Record::PlanClosed {
            plan_id: "p".into(),
            because: boxseat_schemas::reclaim::PlanEnd::Applied.into(),
            by: None,
        };
        let past = past(
            &[
                &[(0, created("p", Stage::Suspend, &["1", "2", "3"], &[]))][..],
                &done("1", Action::Suspend, 1, 1),
                &done("2", Action::Suspend, 1, 2),
                &done("3", Action::Suspend, 1, 1),
                &done("3", Action::Transfer, 2, 20),
                &[(20, closed)],
            ]
            .concat(),
        );
        let snapshot = snapshot([suspended("1"), suspended("2"), suspended("3"), idler("9")]);
        let of = |text: &str, stuck: &[&str]| {
            let stuck = stuck.iter().copied().collect();
            let (waiting, _) = waiting(&past, &snapshot, &policy(text), &inputs(), &stuck, day(21));
            waiting.into_iter().map(|one| (one.stage, one.users, one.from)).collect::<Vec<_>>()
        };
        let expected = [(Stage::Transfer, 2, day(15)), (Stage::Delete, 1, day(31))];
        assert_eq!(of(TO_DELETE, &[]), expected);
        assert_eq!(of(TO_DELETE, &["1", "3"]), [(Stage::Transfer, 1, day(16))]);
        assert_eq!(of("evidence = \"activity\"\n", &[]), [], "the policy has no later stage");
    }
}
