//! What the journal must have for each change: an approved plan, an intent, an outcome.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_schemas::reclaim::{Action, Attempt, Outcome, Record};
use chrono::TimeDelta;

use super::{Judge, action, is_ours};

/// The log is read every five minutes (R11), and the steps of one user take a while.
const LOG_MAX_AGE: TimeDelta = TimeDelta::minutes(6);

/// A plan, by the journal up to now.
struct Made<'a> {
    digest: &'a str,
    is_offboarding: bool,
    user_ids: BTreeSet<&'a str>,
    receiver_user_ids: BTreeSet<&'a str>,
    is_approved: bool,
    is_closed: bool,
}

impl<'a> Judge<'a> {
    /// R7, R9, R11: every action on a user follows from an approved and open plan that names the user, and the admin log was read
    /// just before.
    pub(super) fn approvals(&mut self) {
        let mut plans: BTreeMap<&str, Made<'a>> = BTreeMap::new();
        let mut log_read_at = None;
        for entry in self.case.kept {
            match &entry.record {
                Record::PlanCreated {
                    plan_id, digest, policy_digest, user_ids, receiver_user_ids, ..
                } => {
                    let made = Made {
                        digest,
                        is_offboarding: policy_digest.is_none(),
                        user_ids: user_ids.iter().map(String::as_str).collect(),
                        receiver_user_ids: receiver_user_ids.iter().map(String::as_str).collect(),
                        is_approved: false,
                        is_closed: false,
                    };
                    plans.insert(plan_id, made);
                }
                Record::Approved { plan_id, digest, .. } => {
                    if let Some(plan) = plans.get_mut(plan_id.as_str()) {
                        plan.is_approved |= digest == plan.digest;
                    }
                }
                Record::Bound { adoption: Some(_), .. } => {
                    plans.values_mut().for_each(|plan| plan.is_approved = false);
                }
                Record::PlanClosed { plan_id, .. } => {
                    plans.get_mut(plan_id.as_str()).into_iter().for_each(|plan| plan.is_closed = true);
                }
                Record::FeedRead { .. } => log_read_at = Some(entry.at),
                Record::Intent(attempt) => {
                    let is_log_fresh = log_read_at.is_some_and(|read_at| entry.at - read_at <= LOG_MAX_AGE);
                    let plan = plans.get(attempt.plan_id.as_str());
                    let wrong = wrong(attempt, plan, is_log_fresh);
                    self.broken.extend(wrong.map(|rule| format!("intent {}: {rule}", attempt.action_id)));
                }
                _ => {}
            }
        }
    }

    /// R13: every change has an intent before it, and each intent has an outcome in the end.
    pub(super) fn journal(&mut self) {
        let mut outcomes: BTreeMap<&str, Outcome> = BTreeMap::new();
        for entry in self.case.journal {
            match &entry.record {
                Record::Outcome { action_id, outcome, .. } => _ = outcomes.insert(action_id, *outcome),
                Record::ActionTakenIn { attempt, outcome, .. } => {
                    outcomes.insert(&attempt.action_id, *outcome);
                }
                _ => {}
            }
        }
        let mut told: BTreeMap<(&str, Action), usize> = BTreeMap::new();
        for attempt in self.case.attempts() {
            let outcome = outcomes.get(attempt.action_id.as_str());
            if !outcome.is_some_and(|outcome| outcome.is_final()) {
                self.broken.push(format!("R13: intent {} has no final outcome", attempt.action_id));
            }
            let is_done =
                matches!(outcome, Some(Outcome::Done | Outcome::RevertedByOther | Outcome::ReProvisioned));
            let action = match attempt.action {
                Action::SuspendAgain => Action::Suspend,
                Action::Reactivate => Action::Restore,
                action => action,
            };
            *told.entry((&attempt.user_id, action)).or_default() += usize::from(is_done);
        }
        let mut done: BTreeMap<(&str, Action), usize> = BTreeMap::new();
        for deed in self.ours().filter(|deed| deed.is_applied) {
            if let Some(action) = action(deed) {
                *done.entry((&deed.user_id, action)).or_default() += 1;
            }
        }
        for ((user_id, action), times) in done {
            let told = told.get(&(user_id, action)).copied().unwrap_or(0);
            // If another actor deleted the account before the outcome was read, the outcome cannot be determined.
            let is_out_of_sight = self.case.deeds.iter().any(|deed| {
                let is_gone = deed.after.as_ref().is_some_and(|after| !after.is_managed);
                deed.user_id == user_id && !is_ours(deed) && deed.is_applied && is_gone
            });
            if times > told && !is_out_of_sight {
                let what = action.as_str();
                self.broken
                    .push(format!("R13: {what} of {user_id} happened {times} times, the journal has {told}"));
            }
        }
    }
}

/// The error in an intent.
fn wrong(attempt: &Attempt, plan: Option<&Made<'_>>, is_log_fresh: bool) -> Option<&'static str> {
    let Some(plan) = plan.filter(|plan| plan.user_ids.contains(attempt.user_id.as_str())) else {
        return Some("R7: no plan of this journal names the user");
    };
    let is_stage =
        matches!(attempt.action, Action::Suspend | Action::Transfer | Action::Delete | Action::Reactivate);
    if is_stage && (!plan.is_approved || plan.is_closed) {
        return Some("R9: the plan is not approved, or is closed");
    }
    let receiver = attempt.receiver_user_id.as_deref().filter(|_| attempt.action == Action::Transfer);
    if receiver.is_some_and(|receiver| !plan.receiver_user_ids.contains(receiver)) {
        return Some("R9: another receiver than the plan's");
    }
    // R19: a leaver is locked out with or without the admin log.
    let is_lockout = plan.is_offboarding && attempt.action == Action::Suspend;
    let needs_log = (is_stage || attempt.action == Action::Restore) && !is_lockout;
    (needs_log && !is_log_fresh).then_some("R11: the admin log was not read just before")
}
