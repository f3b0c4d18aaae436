//! What happened to one user, by the journal: actions, readings of the content, confirmations and skips.

use boxseat_schemas::reclaim::plan::Operator;
use boxseat_schemas::reclaim::{Action, Attempt, Outcome, ReasonCode, Recorded, Standing};
use chrono::{DateTime, TimeDelta, Utc};

/// R11: sign-ins are watched for this time after a suspension, because Box's admin log can be late.
const WATCHED: TimeDelta = TimeDelta::hours(48);

/// What happened to a user.
#[derive(Debug, Clone, Default)]
pub struct UserState {
    /// All actions tried, oldest first.
    pub attempts: Vec<ActionState>,
    /// All readings of the user's content, oldest first.
    pub readings: Vec<Reading>,
    /// All readings of the content's destination, oldest first.
    pub(crate) destinations: Vec<DestinationReading>,
    /// Times a plan skipped the user, oldest first.
    pub skips: Vec<Skip>,
    /// What operators confirmed about the content, oldest first.
    pub confirmations: Vec<Confirmation>,
    /// The latest use that the admin log showed while a plan was applied: no snapshot may ever have it (R11).
    pub used_at: Option<DateTime<Utc>>,
}

/// One action that was tried.
#[derive(Debug, Clone)]
pub struct ActionState {
    /// The intent.
    pub attempt: Attempt,
    /// When the intent was written, just before the call.
    pub asked_at: DateTime<Utc>,
    /// `None`: it is unknown whether the call was made at all.
    pub outcome: Option<Outcome>,
    /// When the outcome was known.
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether Box ever confirmed or showed the action, whatever another actor did about it later.
    pub was_done: bool,
    /// The post-image.
    pub after: Option<Standing>,
    /// Where the content went.
    pub destination_folder_id: Option<String>,
    /// The status of Box's response.
    pub http_status: Option<u16>,
    /// Why, as a sentence.
    pub reason: Option<String>,
}

/// The content of a user at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub at: DateTime<Utc>,
    /// The plan for which it was read.
    pub plan_id: String,
    /// Items of the root folder; `None`: it could not be read.
    pub owned_items: Option<u64>,
    /// Of these, the shared ones.
    pub shared_items: Option<u64>,
    /// Bytes by the user object.
    pub space_used_bytes: Option<i64>,
}

/// The content of a destination folder at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationReading {
    /// When.
    pub at: DateTime<Utc>,
    /// The folder.
    pub(crate) folder_id: String,
    /// Items in it.
    pub items: Option<u64>,
}

/// An operator has checked where the content of a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// When.
    pub at: DateTime<Utc>,
    /// The transfer that was checked.
    pub action_id: String,
    /// What the operator has stated.
    pub statement: String,
    /// The operator.
    pub by: Operator,
    /// How many different operators must confirm.
    pub operators_needed: u32,
    /// Items at the source at that time.
    pub owned_items: Option<u64>,
    /// Bytes of the account at that time.
    pub space_used_bytes: i64,
}

/// A user that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// When.
    pub at: DateTime<Utc>,
    /// The plan.
    pub plan_id: String,
    /// The reason code.
    pub reason: Recorded<ReasonCode>,
    /// The reason as a sentence.
    pub detail: String,
    /// Whether the plan does nothing more for the user.
    pub is_final: bool,
    /// How many actions on the user the journal had before. Two entries can have the same time, and clocks can be set back.
    pub(crate) attempts_before: usize,
}

impl ActionState {
    /// R11: sign-ins must be covered up to this time before the account of this suspension is deleted. It counts from Box's answer,
    /// because the user could sign in until then.
    pub(crate) fn watched_to(&self) -> DateTime<Utc> {
        self.finished_at.unwrap_or(self.asked_at) + WATCHED
    }

    /// R11: whether sign-ins are covered from this suspension on for long enough.
    pub(crate) fn is_watched(&self, login_coverage: Option<(DateTime<Utc>, DateTime<Utc>)>) -> bool {
        login_coverage.is_some_and(|(from, to)| from <= self.asked_at && to >= self.watched_to())
    }

    /// Whether a read must still determine the outcome.
    pub fn is_unfinished(&self) -> bool {
        self.outcome.is_none_or(|outcome| !outcome.is_final())
    }

    /// R8: whether the caps count it, from a time on.
    pub(super) fn counts_since(&self, since: DateTime<Utc>) -> bool {
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
    pub fn suspension(&self) -> Option<&ActionState> {
        let last = self.attempts.iter().rev().find(|past| {
            matches!(past.attempt.action, Action::Suspend | Action::Restore | Action::Delete)
                && !matches!(past.outcome, Some(Outcome::Refused | Outcome::NotDone | Outcome::NotAttempted))
                && (past.attempt.action == Action::Suspend || past.was_done)
        })?;
        (last.attempt.action == Action::Suspend && last.outcome == Some(Outcome::Done)).then_some(last)
    }

    /// The same, if this plan made it.
    pub fn suspension_by(&self, plan_id: &str) -> Option<&ActionState> {
        self.suspension().filter(|ours| ours.attempt.plan_id == plan_id)
    }

    /// A change of the status by a plan whose outcome is unknown.
    pub fn unfinished_status(&self, plan_id: &str) -> Option<&ActionState> {
        let is_status =
            |past: &&ActionState| matches!(past.attempt.action, Action::Suspend | Action::Restore);
        self.attempts
            .iter()
            .filter(|past| past.attempt.plan_id == plan_id && past.is_unfinished())
            .find(is_status)
    }

    /// The reactivation for a transfer after which the account is not known to be suspended and signed out again (R14).
    pub fn open_window(&self) -> Option<&ActionState> {
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
    pub fn transfer(&self) -> Option<&ActionState> {
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
    pub(super) fn in_use_since(&self) -> Option<DateTime<Utc>> {
        self.restored_at().max(self.reverted_at())
    }

    /// The deletion that freed a seat: confirmed, and the login has no new account (R20).
    pub fn freed(&self) -> Option<&ActionState> {
        self.deletion().filter(|past| past.outcome == Some(Outcome::Done))
    }

    /// The deletion, once it is confirmed.
    pub fn deletion(&self) -> Option<&ActionState> {
        self.last(Action::Delete).filter(|past| past.was_done)
    }

    /// When it was last found that another actor had undone what we did (R20).
    pub fn reverted_at(&self) -> Option<DateTime<Utc>> {
        let reverted = |past: &&ActionState| past.outcome == Some(Outcome::RevertedByOther);
        self.attempts.iter().filter(reverted).filter_map(|past| past.finished_at).max()
    }

    /// When `undo` last gave the account back: no snapshot may ever have shown it suspended (R5).
    pub fn restored_at(&self) -> Option<DateTime<Utc>> {
        let restored = |past: &&ActionState| past.attempt.action == Action::Restore && past.was_done;
        self.attempts.iter().filter(restored).filter_map(|past| past.finished_at).max()
    }

    /// When it was found that another actor had deleted the account or had taken it out of the enterprise, oldest first.
    pub fn seen_gone_at(&self) -> impl DoubleEndedIterator<Item = DateTime<Utc>> {
        self.skips.iter().filter(|skip| skip.reason == ReasonCode::Gone).map(|skip| skip.at)
    }

    /// Whether an `undo` gave the account back after the last action of a plan, in the order of the journal.
    pub fn was_restored_after(&self, plan_id: &str) -> bool {
        let is_action =
            |past: &ActionState| past.attempt.plan_id == plan_id && past.attempt.action != Action::Restore;
        let acted = self.attempts.iter().rposition(is_action);
        let is_restore = |past: &ActionState| past.attempt.action == Action::Restore && past.was_done;
        acted.is_some_and(|acted| self.attempts[acted..].iter().any(is_restore))
    }

    /// The last attempt of an action.
    pub fn last(&self, action: Action) -> Option<&ActionState> {
        self.attempts.iter().rev().find(|past| past.attempt.action == action)
    }

    /// Whether the reason of a skip is over: the plan tried an action since, or an operator confirmed what no reading proved.
    pub fn is_over(&self, skip: &Skip) -> bool {
        let is_confirmed =
            matches!(skip.reason.known(), Some(ReasonCode::NotEmpty | ReasonCode::Unverifiable))
                && self.confirmations.iter().any(|one| one.at > skip.at);
        is_confirmed
            || self.attempts[skip.attempts_before..].iter().any(|past| past.attempt.plan_id == skip.plan_id)
    }

    /// What a plan tried on the user.
    pub fn by_plan<'a>(&'a self, plan_id: &'a str) -> impl DoubleEndedIterator<Item = &'a ActionState> {
        self.attempts.iter().filter(move |past| past.attempt.plan_id == plan_id)
    }

    /// Why a plan does nothing more for the user, if a rule said so.
    pub fn final_skip(&self, plan_id: &str) -> Option<&Skip> {
        self.skips.iter().rev().find(|skip| skip.plan_id == plan_id && skip.is_final)
    }
}

/// That the outcome of an attempt is not known, as a sentence.
pub fn unfinished(open: &ActionState) -> String {
    let action = open.attempt.action.as_str();
    format!("the outcome of {action}, requested {}, is not known yet", open.asked_at.format("%F"))
}
