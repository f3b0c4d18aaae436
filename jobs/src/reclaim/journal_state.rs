//! The state that follows from the journal: plans, users, and what is still open, folded from its entries alone.
//!
//! Nothing here reads a clock or a disk. Every rule about the past (caps, "our own suspension", protected receivers, accounts that
//! another actor gave back) uses this state.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use boxseat_schemas::reclaim::plan::{Operator, PlanNight};
use boxseat_schemas::reclaim::{
    Ability, Action, Adoption, Attempt, Entry, Outcome, Place, Record, Stage, Standing,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// A user that received content keeps the seat for this time (R4).
const RECEIVER_PROTECTED: TimeDelta = TimeDelta::days(365);

/// Everything that happened, by plan and by user.
#[derive(Debug, Default, Clone)]
pub(crate) struct JournalState {
    /// Plans by id.
    pub(crate) plans: BTreeMap<String, PlanState>,
    /// Users with a decision or an action, by Box's id.
    pub(crate) people: BTreeMap<String, UserState>,
    /// How far the admin log was read by the last walk (R11).
    pub(crate) feed: Option<FeedMark>,
    /// Box accounts that ever acted for us (R21).
    pub(crate) actor_user_ids: BTreeSet<String>,
    /// The last known abilities of this Box.
    abilities: BTreeMap<Ability, Learned>,
    /// The place of the journal, by its last entry about it.
    pub(crate) bound: Option<Bound>,
    /// Every `reclaim adopt`, oldest first.
    pub(crate) adoptions: Vec<AdoptionMark>,
    /// How many actions the last adoption still has to take in: more than 0 if it was interrupted.
    pub(crate) actions_to_take_in: u64,
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
pub(crate) const CAPS_WINDOW: TimeDelta = TimeDelta::days(30);

/// The reason code of an account that Box no longer has.
pub(crate) const GONE: &str = "gone";

/// A call that Box refused is tried again after this time (R16).
pub(crate) const REFUSAL_HOLDS: TimeDelta = TimeDelta::days(30);

/// Where a journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) at: DateTime<Utc>,
    pub(crate) place: Place,
    pub(crate) by: Operator,
}

/// One `reclaim adopt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdoptionMark {
    pub(crate) at: DateTime<Utc>,
    /// Its entry.
    pub(crate) sequence: u64,
    pub(crate) adoption: Adoption,
}

/// What happened to a plan.
#[derive(Debug, Clone)]
pub(crate) struct PlanState {
    /// The digest that its file must have.
    pub(crate) digest: String,
    /// Its stage.
    pub(crate) stage: Stage,
    /// `None`: an offboarding.
    pub(crate) policy_digest: Option<String>,
    /// The snapshot it was made from.
    pub(crate) night: PlanNight,
    /// When it was made.
    pub(crate) created_at: DateTime<Utc>,
    /// Who made it.
    pub(crate) by: Operator,
    /// The users in it.
    pub(crate) user_ids: Vec<String>,
    /// The receivers of content in it.
    pub(crate) receiver_user_ids: Vec<String>,
    /// The day of the plan.
    pub(crate) due_on: NaiveDate,
    /// Approvals, oldest first.
    pub(crate) approvals: Vec<Approval>,
    /// How often `apply` began.
    pub(crate) applies: usize,
    /// Set when the plan does nothing more.
    pub(crate) closed: Option<Closed>,
}

/// An approval of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Approval {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// The digest that was approved.
    pub(crate) digest: String,
    /// Who.
    pub(crate) by: Operator,
    /// Whose signature was verified.
    pub(crate) signed_by: Option<String>,
    /// That signature, to be verified again.
    pub(crate) signature: Option<String>,
}

/// A plan's end.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// `applied`, `expired`, `undone` or `withdrawn`.
    pub(crate) because: String,
}

impl PlanState {
    /// Whether the plan may still act.
    pub(crate) fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether it was undone, or its undo has begun.
    pub(crate) fn is_undone(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.because == "undone")
    }

    /// Approvals of the digest the plan was made with, oldest first.
    pub(crate) fn approvals(&self) -> impl DoubleEndedIterator<Item = &Approval> {
        self.approvals.iter().filter(|approval| approval.digest == self.digest)
    }

    /// The last of [`PlanState::approvals`].
    pub(crate) fn approval(&self) -> Option<&Approval> {
        self.approvals().next_back()
    }
}

/// What happened to a user.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserState {
    /// All actions tried, oldest first.
    pub(crate) attempts: Vec<ActionState>,
    /// All readings of the user's content, oldest first.
    pub(crate) readings: Vec<Reading>,
    /// All readings of the content's destination, oldest first.
    pub(crate) destinations: Vec<DestinationReading>,
    /// Times a plan skipped the user, oldest first.
    pub(crate) skips: Vec<Skip>,
    /// What operators confirmed about the content, oldest first.
    pub(crate) confirmations: Vec<Confirmation>,
    /// The latest use that the admin log showed while a plan was applied: no snapshot may ever have it (R11).
    pub(crate) used_at: Option<DateTime<Utc>>,
}

/// One action that was tried.
#[derive(Debug, Clone)]
pub(crate) struct ActionState {
    /// The intent.
    pub(crate) attempt: Attempt,
    /// When the intent was written, just before the call.
    pub(crate) asked_at: DateTime<Utc>,
    /// `None`: it is unknown whether the call was made at all.
    pub(crate) outcome: Option<Outcome>,
    /// When the outcome was known.
    pub(crate) finished_at: Option<DateTime<Utc>>,
    /// Whether Box ever confirmed or showed the action, whatever another actor did about it later.
    pub(crate) was_done: bool,
    /// The post-image.
    pub(crate) after: Option<Standing>,
    /// Where the content went.
    pub(crate) destination_folder_id: Option<String>,
    /// The status of Box's response.
    pub(crate) http_status: Option<u16>,
    /// Why, as a sentence.
    pub(crate) reason: Option<String>,
}

/// The content of a user at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// The plan for which it was read.
    pub(crate) plan_id: String,
    /// Items of the root folder; `None`: it could not be read.
    pub(crate) owned_items: Option<u64>,
    /// Of these, the shared ones.
    pub(crate) shared_items: Option<u64>,
    /// Bytes by the user object.
    pub(crate) space_used_bytes: Option<i64>,
}

/// The content of a destination folder at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DestinationReading {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// The folder.
    pub(crate) folder_id: String,
    /// Items in it.
    pub(crate) items: Option<u64>,
}

/// An operator has checked where the content of a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Confirmation {
    pub(crate) at: DateTime<Utc>,
    /// The transfer that was checked.
    pub(crate) action_id: String,
    pub(crate) statement: String,
    pub(crate) by: Operator,
    /// How many different operators must confirm.
    pub(crate) operators_needed: u32,
    /// Items at the source at that time.
    pub(crate) owned_items: Option<u64>,
    pub(crate) space_used_bytes: i64,
}

/// A user that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// The plan.
    pub(crate) plan_id: String,
    /// The reason code.
    pub(crate) reason: String,
    /// The reason as a sentence.
    pub(crate) detail: String,
    /// Whether the plan does nothing more for the user.
    pub(crate) is_final: bool,
    /// How many actions on the user the journal had before. Two entries can have the same time, and clocks can be set back.
    pub(crate) attempts_before: usize,
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

impl ActionState {
    /// Whether a read must still determine the outcome.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.outcome.is_none_or(|outcome| !outcome.is_final())
    }

    /// R8: whether the caps count it, from a time on.
    fn counts_since(&self, since: DateTime<Utc>) -> bool {
        self.asked_at >= since
            && self.may_have_happened()
            && matches!(self.attempt.action, Action::Suspend | Action::Transfer | Action::Delete)
    }

    /// Whether the action may have taken effect.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.is_unfinished() || self.was_done
    }
}

impl UserState {
    /// The suspension that is ours and in force, by the journal (R3): done, and neither restored nor reverted since.
    pub(crate) fn suspension(&self) -> Option<&ActionState> {
        let last = self.attempts.iter().rev().find(|past| {
            matches!(past.attempt.action, Action::Suspend | Action::Restore | Action::Delete)
                && !matches!(past.outcome, Some(Outcome::Refused | Outcome::NotDone | Outcome::NotAttempted))
                && (past.attempt.action == Action::Suspend || past.was_done)
        })?;
        (last.attempt.action == Action::Suspend && last.outcome == Some(Outcome::Done)).then_some(last)
    }

    /// The same, if this plan made it.
    pub(crate) fn suspension_by(&self, plan_id: &str) -> Option<&ActionState> {
        self.suspension().filter(|ours| ours.attempt.plan_id == plan_id)
    }

    /// A change of the status by a plan whose outcome is unknown.
    pub(crate) fn unfinished_status(&self, plan_id: &str) -> Option<&ActionState> {
        let is_status =
            |past: &&ActionState| matches!(past.attempt.action, Action::Suspend | Action::Restore);
        self.attempts
            .iter()
            .filter(|past| past.attempt.plan_id == plan_id && past.is_unfinished())
            .find(is_status)
    }

    /// The reactivation for a transfer after which the account is not known to be suspended and signed out again (R14).
    pub(crate) fn open_window(&self) -> Option<&ActionState> {
        let is_open =
            |past: &ActionState| past.may_have_happened() && past.outcome != Some(Outcome::RevertedByOther);
        let opened = self.attempts.iter().rposition(|past| past.attempt.action == Action::Reactivate)?;
        let later = &self.attempts[opened + 1..];
        let suspended =
            later.iter().position(|past| past.attempt.action == Action::SuspendAgain && past.was_done);
        let is_signed_out = |past: &ActionState| {
            past.attempt.action == Action::TerminateSessions
                && matches!(past.outcome, Some(Outcome::Done | Outcome::Refused))
        };
        let is_closed = suspended.is_some_and(|suspended| later[suspended..].iter().any(is_signed_out))
            || later.iter().any(|past| past.attempt.action == Action::Restore && past.was_done);
        // A suspension without an outcome is settled as a part of its window, also when the reactivation before it was never done.
        let is_suspending =
            later.iter().any(|past| past.attempt.action == Action::SuspendAgain && past.is_unfinished());
        Some(&self.attempts[opened]).filter(|opened| (is_open(opened) || is_suspending) && !is_closed)
    }

    /// Whether the account was active for a transfer of ours at a time (R14).
    pub(crate) fn was_in_window(&self, at: DateTime<Utc>) -> bool {
        let opened = self.attempts.iter().rfind(|past| {
            past.attempt.action == Action::Reactivate && past.may_have_happened() && past.asked_at <= at
        });
        opened.is_some_and(|opened| {
            let closed = self.attempts.iter().find(|past| {
                past.attempt.action == Action::SuspendAgain
                    && past.was_done
                    && past.asked_at >= opened.asked_at
            });
            closed.and_then(|closed| closed.finished_at).is_none_or(|closed_at| closed_at >= at)
        })
    }

    /// The transfer that was made or may have been made, of the present content of the account: it is never made a second time
    /// (R14). An account that was active again after its transfer may own new content, which no transfer has moved.
    pub(crate) fn transfer(&self) -> Option<&ActionState> {
        let is_of_present_content = |transfer: &&ActionState| {
            transfer.is_unfinished() || self.in_use_since().is_none_or(|at| at < transfer.asked_at)
        };
        self.last_transfer().filter(is_of_present_content)
    }

    /// The last transfer that was made or may have been made, also of content from before the account was active again.
    pub(crate) fn last_transfer(&self) -> Option<&ActionState> {
        self.last(Action::Transfer).filter(|past| past.may_have_happened())
    }

    /// When an undo or another actor last set the account active after an action of ours.
    fn in_use_since(&self) -> Option<DateTime<Utc>> {
        self.restored_at().max(self.reverted_at())
    }

    /// The deletion that freed a seat: confirmed, and the login has no new account (R20).
    pub(crate) fn freed(&self) -> Option<&ActionState> {
        self.deletion().filter(|past| past.outcome == Some(Outcome::Done))
    }

    /// The deletion, once it is confirmed.
    pub(crate) fn deletion(&self) -> Option<&ActionState> {
        self.last(Action::Delete).filter(|past| past.was_done)
    }

    /// When it was last found that another actor had undone what we did (R20).
    pub(crate) fn reverted_at(&self) -> Option<DateTime<Utc>> {
        let reverted = |past: &&ActionState| past.outcome == Some(Outcome::RevertedByOther);
        self.attempts.iter().filter(reverted).filter_map(|past| past.finished_at).max()
    }

    /// When `undo` last gave the account back: no snapshot may ever have shown it suspended (R5).
    pub(crate) fn restored_at(&self) -> Option<DateTime<Utc>> {
        let restored = |past: &&ActionState| past.attempt.action == Action::Restore && past.was_done;
        self.attempts.iter().filter(restored).filter_map(|past| past.finished_at).max()
    }

    /// Whether an `undo` gave the account back after an action of a plan.
    pub(crate) fn was_restored_after(&self, plan_id: &str) -> bool {
        let acted_at = self.by_plan(plan_id).filter(|past| past.attempt.action != Action::Restore);
        acted_at.map(|past| past.asked_at).max().is_some_and(|at| self.restored_at() > Some(at))
    }

    /// The last attempt of an action.
    pub(crate) fn last(&self, action: Action) -> Option<&ActionState> {
        self.attempts.iter().rev().find(|past| past.attempt.action == action)
    }

    /// Whether the reason of a skip is over: the plan tried an action since, or an operator confirmed what no reading proved.
    pub(crate) fn is_over(&self, skip: &Skip) -> bool {
        let is_confirmed = matches!(skip.reason.as_str(), "not_empty" | "unverifiable")
            && self.confirmations.iter().any(|one| one.at > skip.at);
        is_confirmed
            || self.attempts[skip.attempts_before..].iter().any(|past| past.attempt.plan_id == skip.plan_id)
    }

    /// What a plan tried on the user.
    pub(crate) fn by_plan<'a>(
        &'a self,
        plan_id: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a ActionState> {
        self.attempts.iter().filter(move |past| past.attempt.plan_id == plan_id)
    }

    /// Why a plan does nothing more for the user, if a rule said so.
    pub(crate) fn final_skip(&self, plan_id: &str) -> Option<&Skip> {
        self.skips.iter().rev().find(|skip| skip.plan_id == plan_id && skip.is_final)
    }
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

/// That the outcome of an attempt is not known, as a sentence.
pub(crate) fn unfinished(open: &ActionState) -> String {
    let action = open.attempt.action.as_str();
    format!("the outcome of {action}, requested {}, is not known yet", open.asked_at.format("%F"))
}

impl JournalState {
    /// Folds a whole journal.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut past = Self::default();
        for entry in entries {
            past.take(entry);
        }
        past
    }

    /// Takes in one more entry. An entry about an unknown plan or action changes nothing: the chain is valid, so it can only come
    /// from a newer version.
    pub(crate) fn take(&mut self, entry: &Entry) {
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
                        night: night.clone(),
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
    pub(crate) fn allows(&self, ability: Ability, now: DateTime<Utc>) -> Option<bool> {
        let learned = self.abilities.get(&ability)?;
        (learned.is_allowed || learned.at > now - REFUSAL_HOLDS).then_some(learned.is_allowed)
    }

    /// Accounts that are active for a transfer and must be suspended again (R14).
    pub(crate) fn open_windows(&self) -> impl Iterator<Item = &ActionState> {
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
    pub(crate) fn lake_number(&self, sequence: u64) -> u64 {
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
    pub(crate) fn attempt(&self, action_id: &str) -> Option<&ActionState> {
        let (user_id, index) = self.attempts.get(action_id)?;
        self.people.get(user_id)?.attempts.get(*index)
    }

    /// Users whose deletion is confirmed.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = &str> {
        self.people.iter().filter(|(_, one)| one.deletion().is_some()).map(|(user_id, _)| user_id.as_str())
    }

    /// Plans that may still act.
    pub(crate) fn open_plans(&self) -> impl Iterator<Item = (&str, &PlanState)> {
        self.plans.iter().filter(|(_, plan)| plan.is_open()).map(|(id, plan)| (id.as_str(), plan))
    }

    /// Open plans that were neither approved nor begun: a new plan of their stage replaces them.
    pub(crate) fn replaceable_plans(&self) -> impl Iterator<Item = &str> {
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
    pub(crate) fn offboarded_on(&self, day: NaiveDate) -> BTreeSet<&str> {
        let plans = self.plans.values().filter(|plan| {
            plan.policy_digest.is_none() && plan.due_on == day && (plan.is_open() || plan.applies > 0)
        });
        plans.flat_map(|plan| plan.user_ids.iter().map(String::as_str)).collect()
    }

    /// R19: the last offboarding of a user.
    fn last_offboarding(&self, user_id: &str) -> Option<(&str, &PlanState)> {
        let is_of = |plan: &PlanState| {
            plan.policy_digest.is_none() && plan.user_ids.iter().any(|planned| planned == user_id)
        };
        let plans = self.plans.iter().filter(|(_, plan)| is_of(plan));
        plans.max_by_key(|(_, plan)| plan.created_at).map(|(id, plan)| (id.as_str(), plan))
    }

    /// The same, if it was approved, and neither undone nor withdrawn.
    pub(crate) fn offboarding_in_force(&self, user_id: &str) -> Option<(&str, &PlanState)> {
        let is_given_up = |closed: &Closed| matches!(closed.because.as_str(), "undone" | "withdrawn");
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
        let is_done =
            is_done || known.is_some_and(|known| known.skips.iter().any(|skip| skip.reason == GONE));
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
    pub(crate) fn receivers(&self, set_aside: &HashSet<&str>, now: DateTime<Utc>) -> BTreeSet<&str> {
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
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &ActionState> {
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

    /// The earliest of the last changes of all counted users since then: this user is the first that no longer counts.
    pub(crate) fn first_touched_since(&self, since: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = |person: &UserState| {
            let counting = person.attempts.iter().filter(|past| past.counts_since(since));
            counting.map(|past| past.asked_at).max()
        };
        self.people.values().filter_map(last).min()
    }

    /// Whether a plan changed an account, or may have.
    pub(crate) fn has_touched(&self, plan_id: &str, user_id: &str) -> bool {
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
pub(crate) mod tests {
    use boxseat_schemas::RunNumber;

    use super::*;

    pub(crate) fn day(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_500_000, 0).unwrap() + TimeDelta::days(day)
    }

    pub(crate) fn operator(name: &str) -> Operator {
        Operator { os_user: name.into(), host: "night".into() }
    }

    pub(crate) fn night(of: i64) -> PlanNight {
        PlanNight { run_number: RunNumber(7), snapshot_date: day(of).date_naive(), now_at: day(of) }
    }

    pub(crate) fn created(plan_id: &str, stage: Stage, users: &[&str], receivers: &[&str]) -> Record {
        let strings = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Record::PlanCreated {
            plan_id: plan_id.into(),
            digest: "d1".into(),
            stage,
            policy_digest: Some("sha256:0".into()),
            night: night(0),
            by: operator("planner"),
            user_ids: strings(users),
            receiver_user_ids: strings(receivers),
            due_on: None,
        }
    }

    pub(crate) fn intent(plan_id: &str, user_id: &str, action: Action, count: u32) -> Record {
        Record::Intent(Attempt {
            action_id: format!("{plan_id}/{user_id}/{count}"),
            plan_id: plan_id.into(),
            stage: Stage::Suspend,
            user_id: user_id.into(),
            login: "a@b.test".into(),
            action,
            before: Standing { user_id: user_id.into(), ..Standing::default() },
            receiver_user_id: (action == Action::Transfer).then(|| "77".to_owned()),
            last_activity_at: Some(day(-20)),
        })
    }

    pub(crate) fn outcome(plan_id: &str, user_id: &str, count: u32, outcome: Outcome) -> Record {
        Record::Outcome {
            action_id: format!("{plan_id}/{user_id}/{count}"),
            outcome,
            http_status: Some(200),
            request_id: None,
            after: None,
            destination_folder_id: None,
            reason: None,
        }
    }

    pub(crate) fn past(records: &[(i64, Record)]) -> JournalState {
        let entries: Vec<Entry> = records
            .iter()
            .enumerate()
            .map(|(n, (at, record))| Entry::new(n as u64 + 1, day(*at), String::new(), record.clone()))
            .collect();
        JournalState::of(&entries)
    }

    /// R3: only a suspension that is ours and in force allows the later stages.
    #[test]
    fn r3_a_suspension_is_ours_until_it_is_undone_reverted_or_was_never_done() {
        use Outcome::{Done, NotDone, Refused, RevertedByOther, Unknown};
        let ours = |records: &[(i64, Record)]| past(records).people["1"].suspension().is_some();
        let suspend = || (0, intent("p", "1", Action::Suspend, 1));
        assert!(!ours(&[suspend()]), "the outcome is not known yet");
        assert!(!ours(&[suspend(), (0, outcome("p", "1", 1, Unknown))]));
        assert!(!ours(&[suspend(), (0, outcome("p", "1", 1, Refused))]));
        let done = || [suspend(), (0, outcome("p", "1", 1, Done))];
        assert!(ours(&done()));
        let [a, b] = done();
        assert!(!ours(&[a, b, (3, outcome("p", "1", 1, RevertedByOther))]));
        let [a, b] = done();
        let restore = (4, intent("p", "1", Action::Restore, 2));
        assert!(ours(&[a.clone(), b.clone(), restore.clone(), (4, outcome("p", "1", 2, NotDone))]));
        assert!(!ours(&[a.clone(), b.clone(), restore, (4, outcome("p", "1", 2, Done))]));
        let transfer = (5, intent("p", "1", Action::Transfer, 2));
        assert!(ours(&[a, b, transfer]), "moving content leaves the suspension standing");
    }

    /// R14: content that arrived after an undo was never moved. The transfer before it moved other content.
    #[test]
    fn r14_an_undo_ends_the_transfer_before_it() {
        let done = |action, count, at| {
            [(at, intent("p", "1", action, count)), (at, outcome("p", "1", count, Outcome::Done))]
        };
        let known = |records: &[(i64, Record)]| past(records).people["1"].clone();
        let moved = [done(Action::Suspend, 1, 0), done(Action::Transfer, 2, 5)].concat();
        assert!(known(&moved).transfer().is_some());
        let restored = known(&[&moved[..], &done(Action::Restore, 3, 6)].concat());
        assert!(restored.transfer().is_none() && restored.last_transfer().is_some());
        let reverted = (7, outcome("p", "1", 1, Outcome::RevertedByOther));
        assert!(known(&[&moved[..], &[reverted]].concat()).transfer().is_none());
        let again = [&moved[..], &done(Action::Restore, 3, 6), &done(Action::Suspend, 4, 200)].concat();
        assert!(known(&again).transfer().is_none());
        let second = known(&[&again[..], &done(Action::Transfer, 5, 215)].concat());
        assert_eq!(second.transfer().map(|transfer| transfer.asked_at), Some(day(215)));
        // The receiver of each of them keeps its seat for a year.
        let other = |count, at| {
            let Record::Intent(attempt) = intent("q", "1", Action::Transfer, count) else { unreachable!() };
            let attempt = Attempt { receiver_user_id: Some("88".to_owned()), ..attempt };
            [(at, Record::Intent(attempt)), (at, outcome("q", "1", count, Outcome::Done))]
        };
        let two = past(&[&moved[..], &done(Action::Restore, 3, 6), &other(4, 300)].concat());
        assert_eq!(two.receivers(&HashSet::new(), day(301)).into_iter().collect::<Vec<_>>(), ["77", "88"]);
        assert_eq!(two.receivers(&HashSet::new(), day(400)).into_iter().collect::<Vec<_>>(), ["88"]);
        // Without an outcome it may still be moving.
        let open = [&done(Action::Suspend, 1, 0)[..], &[(5, intent("p", "1", Action::Transfer, 2))]].concat();
        assert!(known(&[&open[..], &done(Action::Restore, 3, 6)].concat()).transfer().is_some());
    }

    /// R8: the caps count users over all plans, whatever the outcome, except for a plain refusal.
    #[test]
    fn r8_caps_count_each_user_once_in_the_window() {
        let past = past(&[
            (0, intent("p", "1", Action::Suspend, 1)),
            (0, outcome("p", "1", 1, Outcome::Done)),
            (20, intent("p", "2", Action::Suspend, 1)),
            (20, outcome("p", "2", 1, Outcome::Refused)),
            (21, intent("q", "3", Action::Suspend, 1)),
            (22, intent("q", "3", Action::TerminateSessions, 2)),
            (23, intent("q", "1", Action::Delete, 1)),
            (23, intent("q", "4", Action::TerminateSessions, 1)),
        ]);
        let touched = |since| past.touched_since(day(since)).into_iter().collect::<Vec<_>>();
        assert_eq!(touched(0), ["1", "3"]);
        assert_eq!(touched(22), ["1"]);
        assert!(touched(24).is_empty());
    }

    #[test]
    fn r9_an_approval_counts_only_for_its_digest() {
        let approved = |digest: &str| Record::Approved {
            plan_id: "p".into(),
            digest: digest.into(),
            by: operator("boss"),
            signed_by: None,
            signature: None,
        };
        let of = |digest| past(&[(0, created("p", Stage::Suspend, &["1"], &[])), (1, approved(digest))]);
        assert!(of("d1").plans["p"].approval().is_some());
        assert!(of("d2").plans["p"].approval().is_none());
    }

    /// Why: a kill before the reactivation and another one after it left a suspension that nothing settled, and the plan stayed open.
    #[test]
    fn r14_a_suspension_without_outcome_keeps_the_window_open() {
        let never_opened =
            [(0, intent("p", "1", Action::Reactivate, 1)), (0, outcome("p", "1", 1, Outcome::NotDone))];
        let is_open = |records: &[(i64, Record)]| past(records).people["1"].open_window().is_some();
        assert!(!is_open(&never_opened));
        let suspending = [&never_opened[..], &[(0, intent("p", "1", Action::SuspendAgain, 2))]].concat();
        assert!(is_open(&suspending));
        assert!(!is_open(&[&suspending[..], &[(0, outcome("p", "1", 2, Outcome::Done))]].concat()));
    }

    #[test]
    fn r13_an_intent_without_an_outcome_is_unfinished() {
        let past = past(&[
            (0, intent("p", "1", Action::Suspend, 1)),
            (0, intent("p", "2", Action::Suspend, 1)),
            (0, outcome("p", "2", 1, Outcome::Unknown)),
            (0, intent("p", "3", Action::Suspend, 1)),
            (0, outcome("p", "3", 1, Outcome::NotAttempted)),
        ]);
        let open: Vec<&str> = past.unfinished().map(|past| past.attempt.user_id.as_str()).collect();
        assert_eq!(open, ["1", "2"]);
        assert_eq!(past.next_action_id("p", "1"), "p/1/2");
    }
}
