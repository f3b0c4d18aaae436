//! The state that follows from the journal: plans, users, and what is still open, folded from its entries alone.
//!
//! Nothing here reads a clock or a disk. Every rule about the past (caps, "our own suspension", protected receivers, accounts that
//! another actor gave back) uses this state.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use boxseat_schemas::reclaim::plan::Operator;
use boxseat_schemas::reclaim::{
    Ability, Action, Adoption, Attempt, Entry, Outcome, Place, PlanEnd, Record, Stage, Standing,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

mod plan;
mod user;

pub use plan::{Approval, Closed, PlanState};
pub use user::{ActionState, Confirmation, DestinationReading, Reading, Skip, UserState, unfinished};

/// A user that received content keeps the seat for this time (R4).
const RECEIVER_PROTECTED: TimeDelta = TimeDelta::days(365);

/// Everything that happened, by plan and by user.
#[derive(Debug, Default, Clone)]
pub struct JournalState {
    /// Plans by id.
    pub plans: BTreeMap<String, PlanState>,
    /// Users with a decision or an action, by Box's id.
    pub people: BTreeMap<String, UserState>,
    /// How far the admin log was read by the last walk (R11).
    pub(crate) feed: Option<FeedMark>,
    /// Box accounts that ever acted for us (R21).
    pub actor_user_ids: BTreeSet<String>,
    /// The last known abilities of this Box.
    abilities: BTreeMap<Ability, Learned>,
    /// The place of the journal, by its last entry about it.
    pub bound: Option<Bound>,
    /// Every `reclaim adopt`, oldest first.
    pub adoptions: Vec<AdoptionMark>,
    /// How many actions the last adoption still has to take in: more than 0 if it was interrupted.
    pub actions_to_take_in: u64,
    /// The user of an action id, and the index of the attempt.
    attempts: BTreeMap<String, (String, usize)>,
}

/// Whether this Box allows something.
#[derive(Debug, Clone)]
struct Learned {
    is_allowed: bool,
    at: DateTime<Utc>,
}

/// The window of the caps (R8).
pub const CAPS_WINDOW: TimeDelta = TimeDelta::days(30);

/// A call that Box refused is tried again after this time (R16).
pub(crate) const REFUSAL_HOLDS: TimeDelta = TimeDelta::days(30);

/// Where a journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// When a command bound it.
    pub at: DateTime<Utc>,
    /// The place.
    pub place: Place,
    /// Who ran the command.
    pub by: Operator,
}

/// One `reclaim adopt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptionMark {
    /// When.
    pub at: DateTime<Utc>,
    /// Its entry.
    pub sequence: u64,
    /// What was taken in.
    pub adoption: Adoption,
}

/// How far the admin log was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedMark {
    /// Where the live stream continues.
    pub(crate) stream_position: String,
    /// The latest time covered.
    pub(crate) to_at: DateTime<Utc>,
    /// When the walk was made.
    pub(crate) at: DateTime<Utc>,
}

/// The known state of an attempt from a time on.
struct Settled {
    at: DateTime<Utc>,
    outcome: Outcome,
    http_status: Option<u16>,
    after: Option<Standing>,
    destination_folder_id: Option<String>,
    reason: Option<String>,
}

impl JournalState {
    /// Folds a whole journal.
    pub fn of(entries: &[Entry]) -> Self {
        let mut past = Self::default();
        for entry in entries {
            past.take(entry);
        }
        past
    }

    /// Takes in one more entry. An entry about an unknown plan or action changes nothing: the chain is valid, so it can only come
    /// from a newer version.
    pub fn take(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.record {
            Record::PlanCreated {
                plan_id,
                digest,
                stage,
                policy_digest,
                night,
                by,
                user_ids,
                receiver_user_ids,
                due_on,
            } => {
                self.plans.insert(
                    plan_id.clone(),
                    PlanState {
                        digest: digest.clone(),
                        stage: *stage,
                        policy_digest: policy_digest.clone(),
                        night: *night,
                        sequence: entry.sequence,
                        created_at: at,
                        by: by.clone(),
                        user_ids: user_ids.clone(),
                        receiver_user_ids: receiver_user_ids.clone(),
                        due_on: due_on.unwrap_or_else(|| at.date_naive()),
                        approvals: Vec::new(),
                        applies: 0,
                        closed: None,
                    },
                );
            }
            Record::Approved { plan_id, digest, by, signed_by, signature } => {
                if let Some(plan) = self.plans.get_mut(plan_id) {
                    let (digest, by, signed_by) = (digest.clone(), by.clone(), signed_by.clone());
                    plan.approvals.push(Approval { at, digest, by, signed_by, signature: signature.clone() });
                }
            }
            Record::SealBegun { .. } => {}
            Record::ApplyStarted { plan_id, actor_user_id, .. } => {
                self.actor_user_ids.insert(actor_user_id.clone());
                if let Some(plan) = self.plans.get_mut(plan_id) {
                    plan.applies += 1;
                }
            }
            Record::FeedRead { stream_position, from_at: _, to_at } => {
                self.feed = Some(FeedMark { stream_position: stream_position.clone(), to_at: *to_at, at });
            }
            Record::Skipped { plan_id, user_id, reason, detail, is_final, used_at } => {
                let (plan_id, reason, detail) = (plan_id.clone(), reason.clone(), detail.clone());
                let person = self.person(user_id);
                person.used_at = person.used_at.max(*used_at);
                let attempts_before = person.attempts.len();
                person.skips.push(Skip { at, plan_id, reason, detail, is_final: *is_final, attempts_before });
            }
            Record::ContentRead { plan_id, user_id, owned_items, shared_items, space_used_bytes } => {
                let reading = Reading {
                    at,
                    plan_id: plan_id.clone(),
                    owned_items: *owned_items,
                    shared_items: *shared_items,
                    space_used_bytes: *space_used_bytes,
                };
                self.person(user_id).readings.push(reading);
            }
            Record::DestinationRead { user_id, folder_id, items, plan_id: _, receiver_user_id: _ } => {
                let reading = DestinationReading { at, folder_id: folder_id.clone(), items: *items };
                self.person(user_id).destinations.push(reading);
            }
            Record::BoxAllows { ability, is_allowed, user_id: _, detail: _ } => {
                self.abilities.insert(*ability, Learned { is_allowed: *is_allowed, at });
            }
            Record::Intent(attempt) => self.intend(attempt, at),
            Record::Outcome {
                action_id,
                outcome,
                http_status,
                request_id: _,
                after,
                destination_folder_id,
                reason,
            } => self.settle(
                action_id,
                Settled {
                    at,
                    outcome: *outcome,
                    http_status: *http_status,
                    after: after.clone(),
                    destination_folder_id: destination_folder_id.clone(),
                    reason: reason.clone(),
                },
            ),
            Record::Bound { place, by, adoption } => {
                self.bound = Some(Bound { at, place: place.clone(), by: by.clone() });
                if let Some(adoption) = adoption {
                    let (sequence, adoption) = (entry.sequence, adoption.clone());
                    self.actions_to_take_in = adoption.actions;
                    self.adoptions.push(AdoptionMark { at, sequence, adoption });
                    // R9: they were given for another store, or before actions that this journal did not know.
                    let open = self.plans.values_mut().filter(|plan| plan.is_open());
                    open.for_each(|plan| plan.approvals.clear());
                }
            }
            Record::ActionTakenIn {
                row_id: _,
                prev_hash: _,
                attempt,
                actor_user_id,
                asked_at,
                finished_at,
                outcome,
                http_status,
                status_after,
                destination_folder_id,
                reason,
            } => {
                self.actions_to_take_in = self.actions_to_take_in.saturating_sub(1);
                self.actor_user_ids.extend(actor_user_id.clone());
                if !self.attempts.contains_key(&attempt.action_id) {
                    self.intend(attempt, *asked_at);
                }
                let after = status_after
                    .as_ref()
                    .map(|status| Standing { status: Some(status.clone()), ..attempt.before.clone() });
                self.settle(
                    &attempt.action_id,
                    Settled {
                        at: finished_at.unwrap_or(at),
                        outcome: *outcome,
                        http_status: *http_status,
                        after,
                        destination_folder_id: destination_folder_id.clone(),
                        reason: reason.clone(),
                    },
                );
            }
            Record::ContentConfirmed {
                user_id,
                action_id,
                statement,
                by,
                operators_needed,
                owned_items,
                space_used_bytes,
            } => {
                let (action_id, statement, by) = (action_id.clone(), statement.clone(), by.clone());
                self.person(user_id).confirmations.push(Confirmation {
                    at,
                    action_id,
                    statement,
                    by,
                    operators_needed: *operators_needed,
                    owned_items: *owned_items,
                    space_used_bytes: *space_used_bytes,
                });
            }
            Record::UserErased { plan_digests, .. } => {
                for (plan_id, digest) in plan_digests {
                    if let Some(plan) = self.plans.get_mut(plan_id) {
                        plan.digest.clone_from(digest);
                    }
                }
            }
            Record::PlanClosed { plan_id, because, by: _ } => {
                if let Some(plan) = self.plans.get_mut(plan_id) {
                    plan.closed = Some(Closed { at, because: because.clone() });
                }
            }
        }
    }

    /// Whether this Box allows something; `None`: unknown, or refused so long ago that it is tried again.
    pub fn allows(&self, ability: Ability, now: DateTime<Utc>) -> Option<bool> {
        let learned = self.abilities.get(&ability)?;
        (learned.is_allowed || learned.at > now - REFUSAL_HOLDS).then_some(learned.is_allowed)
    }

    /// Accounts that are active for a transfer and must be suspended again (R14).
    pub fn open_windows(&self) -> impl Iterator<Item = &ActionState> {
        self.people.values().filter_map(UserState::open_window)
    }

    fn intend(&mut self, attempt: &Attempt, asked_at: DateTime<Utc>) {
        let person = self.people.entry(attempt.user_id.clone()).or_default();
        let place = (attempt.user_id.clone(), person.attempts.len());
        self.attempts.insert(attempt.action_id.clone(), place);
        person.attempts.push(ActionState {
            attempt: attempt.clone(),
            asked_at,
            outcome: None,
            finished_at: None,
            was_done: false,
            after: None,
            destination_folder_id: None,
            http_status: None,
            reason: None,
        });
    }

    fn settle(&mut self, action_id: &str, settled: Settled) {
        let Some((user_id, index)) = self.attempts.get(action_id) else { return };
        let Some(past) = self.people.get_mut(user_id).and_then(|p| p.attempts.get_mut(*index)) else {
            return;
        };
        let Settled { at, outcome, http_status, after, destination_folder_id, reason } = settled;
        past.outcome = Some(outcome);
        past.finished_at = Some(at);
        past.was_done |= matches!(outcome, Outcome::Done | Outcome::RevertedByOther | Outcome::ReProvisioned);
        past.http_status = http_status.or(past.http_status);
        past.after = after.or(past.after.take());
        past.destination_folder_id = destination_folder_id.or(past.destination_folder_id.take());
        past.reason = reason.or(past.reason.take());
    }

    /// Number of an entry in the lake. Entries after an adoption come after all that the lake had.
    pub fn lake_number(&self, sequence: u64) -> u64 {
        let shift = self
            .adoptions
            .iter()
            .filter(|mark| mark.sequence <= sequence)
            .fold(0, |shift, mark| shift.max(mark.adoption.lake_entries.saturating_sub(mark.sequence)));
        sequence + shift
    }

    /// Whether a plan has nothing more to do for one of its users: a rule stopped it, or its last action is done.
    pub(crate) fn has_finished(&self, plan_id: &str, plan: &PlanState, user_id: &str) -> bool {
        let last = match plan.stage {
            Stage::Suspend => Action::TerminateSessions,
            Stage::Transfer => Action::Transfer,
            Stage::Delete => Action::Delete,
        };
        self.people.get(user_id).is_some_and(|known| {
            known.final_skip(plan_id).is_some()
                || known
                    .by_plan(plan_id)
                    .any(|past| past.attempt.action == last && past.was_done && !past.is_unfinished())
        })
    }

    /// The action of an id.
    pub fn attempt(&self, action_id: &str) -> Option<&ActionState> {
        let (user_id, index) = self.attempts.get(action_id)?;
        self.people.get(user_id)?.attempts.get(*index)
    }

    /// Users whose deletion is confirmed.
    pub fn deleted(&self) -> impl Iterator<Item = &str> {
        self.people.iter().filter(|(_, one)| one.deletion().is_some()).map(|(user_id, _)| user_id.as_str())
    }

    /// Plans that may still act.
    pub fn open_plans(&self) -> impl Iterator<Item = (&str, &PlanState)> {
        self.plans.iter().filter(|(_, plan)| plan.is_open()).map(|(id, plan)| (id.as_str(), plan))
    }

    /// Open plans that were neither approved nor begun: a new plan of their stage replaces them.
    pub fn replaceable_plans(&self) -> impl Iterator<Item = &str> {
        let is_untouched =
            |plan: &PlanState| plan.policy_digest.is_some() && plan.approvals.is_empty() && plan.applies == 0;
        self.open_plans().filter(move |(_, plan)| is_untouched(plan)).map(|(plan_id, _)| plan_id)
    }

    /// The open plan that has the user as a source, if any.
    pub(crate) fn open_plan_of(&self, user_id: &str) -> Option<&str> {
        self.open_plans()
            .find(|(_, plan)| plan.user_ids.iter().any(|planned| planned == user_id))
            .map(|(plan_id, _)| plan_id)
    }

    /// R19: users whose offboarding is planned for a day. A plan that was closed before it began does not count.
    pub fn offboarded_on(&self, day: NaiveDate) -> BTreeSet<&str> {
        let plans = self.plans.values().filter(|plan| {
            plan.policy_digest.is_none() && plan.due_on == day && (plan.is_open() || plan.applies > 0)
        });
        plans.flat_map(|plan| plan.user_ids.iter().map(String::as_str)).collect()
    }

    /// R19: the last offboarding of a user.
    pub(crate) fn last_offboarding(&self, user_id: &str) -> Option<(&str, &PlanState)> {
        let is_of = |plan: &PlanState| {
            plan.policy_digest.is_none() && plan.user_ids.iter().any(|planned| planned == user_id)
        };
        let plans = self.plans.iter().filter(|(_, plan)| is_of(plan));
        plans.max_by_key(|(_, plan)| plan.sequence).map(|(id, plan)| (id.as_str(), plan))
    }

    /// The same, if it was approved, and neither undone nor withdrawn.
    pub(crate) fn offboarding_in_force(&self, user_id: &str) -> Option<(&str, &PlanState)> {
        let is_given_up =
            |closed: &Closed| matches!(closed.because.known(), Some(PlanEnd::Undone | PlanEnd::Withdrawn));
        self.last_offboarding(user_id)
            .filter(|(_, plan)| plan.approval().is_some() && !plan.closed.as_ref().is_some_and(is_given_up))
    }

    /// The same, if it was approved and ended before its purpose: `expired`, or `applied` with a user that a rule stopped.
    pub(crate) fn ended_offboarding(&self, user_id: &str) -> Option<(&str, &PlanState, &Closed)> {
        let (plan_id, plan) = self.offboarding_in_force(user_id)?;
        let closed = plan.closed.as_ref()?;
        let known = self.people.get(user_id);
        let is_done = known.is_some_and(|known| match plan.stage {
            Stage::Delete => known.deletion().is_some(),
            Stage::Suspend | Stage::Transfer => {
                let is_transfer = |past: &ActionState| past.attempt.action == Action::Transfer;
                let has_transferred = |past: &ActionState| is_transfer(past) && past.may_have_happened();
                known.deletion().or(known.transfer()).is_some() || known.by_plan(plan_id).any(has_transferred)
            }
        });
        let is_done = is_done || known.is_some_and(|known| known.seen_gone_at().next().is_some());
        (!is_done).then_some((plan_id, plan, closed))
    }

    /// R19: users that an offboarding suspended, or tried to suspend, since a time.
    pub(crate) fn locked_out_since(&self, since: DateTime<Utc>) -> BTreeSet<&str> {
        let is_lockout = |past: &&ActionState| {
            past.attempt.action == Action::Suspend
                && past.asked_at > since
                && past.may_have_happened()
                && self.plans.get(&past.attempt.plan_id).is_some_and(|plan| plan.policy_digest.is_none())
        };
        let attempts = self.people.values().flat_map(|person| &person.attempts);
        attempts.filter(is_lockout).map(|past| past.attempt.user_id.as_str()).collect()
    }

    /// R11: the latest use that the admin log showed while a plan was applied.
    pub(crate) fn heard_use(&self, user_id: &str) -> Option<DateTime<Utc>> {
        self.people.get(user_id)?.used_at
    }

    /// R4: users that received content within 365 days, or are to receive it by an open plan that is not set aside.
    pub fn receivers(&self, set_aside: &HashSet<&str>, now: DateTime<Utc>) -> BTreeSet<&str> {
        let received = self
            .people
            .values()
            .flat_map(|known| &known.attempts)
            .filter(|past| past.attempt.action == Action::Transfer && past.may_have_happened())
            .filter(|transfer| transfer.asked_at > now - RECEIVER_PROTECTED)
            .filter_map(|transfer| transfer.attempt.receiver_user_id.as_deref());
        let open = self.open_plans().filter(|(plan_id, _)| !set_aside.contains(plan_id));
        received.chain(open.flat_map(|(_, plan)| &plan.receiver_user_ids).map(String::as_str)).collect()
    }

    /// R19: users of open offboardings whose content is still to move to a receiver.
    pub(crate) fn leavers_to_move_to<'a>(&'a self, receiver_id: &'a str) -> impl Iterator<Item = &'a str> {
        let is_to_move = |user_id: &&String| {
            self.people
                .get(*user_id)
                .is_none_or(|known| known.transfer().is_none() && known.deletion().is_none())
        };
        let plans = self.open_plans().map(|(_, plan)| plan).filter(move |plan| {
            plan.policy_digest.is_none() && plan.receiver_user_ids.iter().any(|id| id == receiver_id)
        });
        plans.flat_map(move |plan| plan.user_ids.iter().filter(is_to_move)).map(String::as_str)
    }

    /// Calls whose outcome only a read can determine, oldest first within a user.
    pub fn unfinished(&self) -> impl Iterator<Item = &ActionState> {
        self.people.values().flat_map(|person| &person.attempts).filter(|past| past.is_unfinished())
    }

    /// All users whose account we changed since then, each once: what the caps count over all plans (R8). Undone actions count,
    /// too: the cap limits how many users a mistake can affect.
    pub(crate) fn touched_since(&self, since: DateTime<Utc>) -> BTreeSet<&str> {
        self.people
            .iter()
            .filter(|(_, person)| person.attempts.iter().any(|past| past.counts_since(since)))
            .map(|(user_id, _)| user_id.as_str())
            .collect()
    }

    /// The last change of each counted user since then, oldest first: the order in which the users no longer count.
    pub(crate) fn last_touches_since(&self, since: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let last = |person: &UserState| {
            let counting = person.attempts.iter().filter(|past| past.counts_since(since));
            counting.map(|past| past.asked_at).max()
        };
        let mut touches: Vec<_> = self.people.values().filter_map(last).collect();
        touches.sort_unstable();
        touches
    }

    /// Whether a plan changed an account, or may have.
    pub fn has_touched(&self, plan_id: &str, user_id: &str) -> bool {
        self.people
            .get(user_id)
            .is_some_and(|person| person.by_plan(plan_id).any(ActionState::may_have_happened))
    }

    /// The id of the next action of a plan on a user: plan, user, and a number that counts from 1.
    pub(crate) fn next_action_id(&self, plan_id: &str, user_id: &str) -> String {
        let attempts = self.people.get(user_id).map_or(0, |person| person.by_plan(plan_id).count());
        format!("{plan_id}/{user_id}/{}", attempts + 1)
    }

    fn person(&mut self, user_id: &str) -> &mut UserState {
        self.people.entry(user_id.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests;
