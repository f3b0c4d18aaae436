//! Users whose reclamation has begun and cannot continue without an operator: since when, why, and the next command.
//!
//! A user who only waits (for days, for a reading, for an approval) is not stuck. All inputs are values: the journal's state, the
//! latest snapshot, and the policy's result for a user in it.

use boxseat_schemas::reclaim::{Ability, Action, Ending, Outcome, PlanEnd, ReasonCode, Recorded};
use chrono::{DateTime, TimeDelta, Utc};

use super::emptiness::{Emptiness, emptiness};
use super::evaluator::{Denial, Evaluator, Verdict, edited_by_other};
use super::next_step::next_step;
use super::offboarding::forbids;
use super::policy::{Policy, WhenRefused};
use super::policy_inputs::PolicyInputs;
use super::snapshot::{Person, Snapshot};
use super::waiting::next_stage;
use crate::journal::state::{
    ActionState, Closed, JournalState, PlanState, REFUSAL_HOLDS, Skip, UserState, unfinished,
};

/// A user who cannot continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Box's id.
    pub user_id: String,
    /// The login.
    pub login: String,
    /// The display name.
    pub name: Option<String>,
    /// From when the journal knows the reason; if it does not know that, the suspension.
    pub since: DateTime<Utc>,
    /// The suspension by boxseat that is in force.
    pub(crate) suspended_at: Option<DateTime<Utc>>,
    /// The reason code.
    pub word: Recorded<ReasonCode>,
    /// The reason as a sentence.
    pub reason: String,
    /// The next command, or what to change before the next run.
    pub next: String,
}

impl Stuck {
    /// Whether a sign-in from before the suspension became known after it (R11): the user may be at work.
    pub fn is_late_login(&self) -> bool {
        self.word == ReasonCode::LateLogin
    }

    /// Whether a list or the policy excludes the user on purpose.
    pub fn is_intended(&self) -> bool {
        self.word.known().is_some_and(ReasonCode::is_intended)
    }

    /// `since 2026-03-02`, or `suspended since 2026-03-02` if the journal does not know from when the reason holds.
    pub fn since(&self) -> String {
        let how = if self.suspended_at == Some(self.since) { "suspended since" } else { "since" };
        format!("{how} {}", self.since.format("%F"))
    }

    /// `NAME <LOGIN>`, or the login.
    pub fn called(&self) -> String {
        match &self.name {
            Some(name) if *name != self.login => format!("{name} <{}>", self.login),
            _ => self.login.clone(),
        }
    }
}

/// Calls are settled by reads within this time (R14).
const SETTLED_AFTER: TimeDelta = TimeDelta::hours(48);

/// Every stuck user, late sign-ins first, then the longest wait.
pub fn stuck(
    past: &JournalState,
    snapshot: &Snapshot,
    policy: Option<&Policy>,
    inputs: &PolicyInputs,
    now: DateTime<Utc>,
) -> Vec<Stuck> {
    // A list that is too old stops every plan and hides no user here.
    let evaluator =
        policy.map(|policy| Evaluator::look(policy, snapshot, past, inputs, now, past.replaceable_plans()).0);
    let denied = |person: &Person| match evaluator.as_ref()?.verdict(person) {
        Verdict::LeftOut(_, no) => Some(no),
        Verdict::NotAsked | Verdict::Goes(_) => None,
    };
    let forbids = |person: &Person| forbids(person, policy, snapshot, past, inputs, now).err();
    let mut stuck: Vec<Stuck> = past
        .people
        .iter()
        .filter(|(_, known)| known.deletion().is_none())
        .filter_map(|(user_id, known)| {
            let person = snapshot.person(user_id).filter(|now| now.listing.as_deref() == Some("listed"))?;
            let cause = cause(past, known, person, denied, forbids, policy, now)?;
            let reason = with_use(cause.reason, &cause.word, past, known, person);
            let login = person.login.clone().or_else(|| Some(known.attempts.last()?.attempt.login.clone()));
            Some(Stuck {
                user_id: user_id.clone(),
                login: login.unwrap_or_else(|| user_id.clone()),
                name: person.name.clone(),
                since: cause.since,
                suspended_at: known.suspension().map(|ours| ours.asked_at),
                next: next_step(&cause.word, past, snapshot, known, person),
                word: cause.word,
                reason,
            })
        })
        .collect();
    stuck.sort_by(|a, b| {
        (!a.is_late_login(), a.since, &a.user_id).cmp(&(!b.is_late_login(), b.since, &b.user_id))
    });
    stuck
}

/// Says that the user was active after the suspension: an operator who frees the seat must know.
fn with_use(
    reason: String,
    word: &Recorded<ReasonCode>,
    past: &JournalState,
    known: &UserState,
    person: &Person,
) -> String {
    let used_at = person.use_after_suspension(past).map(|(used_at, _)| used_at);
    // The reason of such a denial already says it.
    match used_at.filter(|used_at| !known.was_in_window(*used_at) && *word != ReasonCode::ActiveSince) {
        Some(used_at) => {
            format!("{reason}; the user was active {}, after the suspension", used_at.format("%F %H:%M UTC"))
        }
        None => reason,
    }
}

struct Cause {
    since: DateTime<Utc>,
    word: Recorded<ReasonCode>,
    reason: String,
}

fn cause(
    past: &JournalState,
    known: &UserState,
    person: &Person,
    denied: impl Fn(&Person) -> Option<Denial>,
    forbids: impl Fn(&Person) -> Option<Denial>,
    policy: Option<&Policy>,
    now: DateTime<Utc>,
) -> Option<Cause> {
    let ours = known.suspension();
    let offboarding = past.offboarding_in_force(&person.user_id);
    if let Some(ours) = ours.filter(|_| offboarding.is_none())
        && let Some(late) = late_login(past, known, person, ours)
    {
        return Some(late);
    }
    let open = known.attempts.iter().find(|past| past.is_unfinished());
    if let Some(open) = open.filter(|open| now - open.asked_at >= SETTLED_AFTER) {
        let reason = unfinished(open);
        return Some(Cause { since: open.asked_at, word: ReasonCode::Unfinished.into(), reason });
    }
    let is_held_against = |last: &&ActionState| {
        last.outcome == Some(Outcome::Refused)
            && (offboarding.is_some() || now - last.asked_at < REFUSAL_HOLDS)
    };
    if let Some(last) = known.attempts.last().filter(is_held_against) {
        let cause = refused(past, known, last, policy, now);
        // A refusal that the policy answers now does not hide that the offboarding has ended.
        if cause.is_some() || past.ended_offboarding(&person.user_id).is_none() {
            return cause;
        }
    }
    if let Some(transfer) = known.transfer().filter(|transfer| !transfer.is_unfinished()) {
        let not_proven = match emptiness(known, transfer, now) {
            Emptiness::Unverifiable(why) => Some((ReasonCode::Unverifiable, why)),
            Emptiness::NotEmpty(why) => Some((ReasonCode::NotEmpty, why)),
            Emptiness::Empty(_) | Emptiness::NotYet(_) | Emptiness::StillMoving(_) => None,
        };
        if let Some((word, why)) = not_proven {
            let reason = with_trash(known, why);
            return Some(Cause { since: transfer.asked_at, word: word.into(), reason });
        }
    }
    if let Some((plan_id, plan)) = offboarding {
        return match past.ended_offboarding(&person.user_id) {
            Some((_, _, closed)) => Some(ended_offboarding(known, plan_id, closed, forbids(person))),
            None => open_offboarding(known, plan_id, plan, forbids(person), now),
        };
    }
    let ours = ours?;
    let mut skips = known.skips.iter().rev().filter(|skip| skip.at > ours.asked_at);
    if let Some(skip) =
        skips.find(|skip| skip.reason == ReasonCode::MaybeTransferred).filter(|_| known.transfer().is_none())
    {
        return Some(skipped(skip));
    }
    if let Some(skip) = repeated(past, known, ours, now) {
        return Some(skip);
    }
    if let Some(policy) = policy {
        let no = denied(person).filter(|no| !no.word.ending().is_waiting())?;
        let earlier = known.skips.iter().find(|skip| skip.at > ours.asked_at && skip.reason == no.word);
        let edited = edited_by_other(past, &person.user_id, Some(person), ours).map(|edit| edit.at);
        let edited = edited.filter(|_| no.word == ReasonCode::EditedByOther);
        // A receiver is needed from the day on which the transfer is due.
        let due = next_stage(known, ours, policy, now).map(|(_, from)| from);
        let due = due.filter(|from| no.word == ReasonCode::NoReceiver && *from <= now);
        let since = edited.or(earlier.map(|skip| skip.at)).or(due).unwrap_or(ours.asked_at);
        return Some(Cause { since, word: no.word.into(), reason: no.detail });
    }
    let skip = known.skips.iter().rev().find(|skip| skip.at > ours.asked_at && skip.is_final)?;
    Some(skipped(skip))
}

/// R14, R16: what Box refused. A transfer that this Box refuses for every inactive account is not about the user.
fn refused(
    past: &JournalState,
    known: &UserState,
    last: &ActionState,
    policy: Option<&Policy>,
    now: DateTime<Utc>,
) -> Option<Cause> {
    let is_same = |other: &&ActionState| {
        other.attempt.action == last.attempt.action && other.outcome == Some(Outcome::Refused)
    };
    let first = known.attempts.iter().rev().take_while(is_same).last().unwrap_or(last);
    let why = last.reason.as_deref().unwrap_or("Box gave no reason");
    let is_of_every_user = last.attempt.action == Action::Transfer
        && past.allows(Ability::TransferFromInactive, now) == Some(false);
    match policy.map(|policy| policy.when_refused) {
        Some(WhenRefused::Reactivate) if is_of_every_user => None,
        Some(WhenRefused::Stop) if is_of_every_user => Some(Cause {
            since: first.asked_at,
            word: ReasonCode::TransferRefused.into(),
            reason: format!("this Box moves no content of inactive accounts, so the seat stays taken: {why}"),
        }),
        _ => Some(Cause {
            since: first.asked_at,
            word: ReasonCode::RefusedByBox.into(),
            reason: format!("Box refused {}: {why}", last.attempt.action.as_str()),
        }),
    }
}

/// R11: a use from before the suspension that was not known when boxseat suspended the user.
fn late_login(past: &JournalState, known: &UserState, person: &Person, ours: &ActionState) -> Option<Cause> {
    let skip =
        known.skips.iter().rev().find(|skip| skip.at > ours.asked_at && skip.reason == ReasonCode::LateLogin);
    let used_at = person.last_use(past);
    let late = used_at.filter(|at| *at <= ours.asked_at && Some(*at) > ours.attempt.last_activity_at);
    match (late, skip) {
        (Some(at), _) => Some(Cause {
            since: skip.map_or(at, |skip| skip.at),
            word: ReasonCode::LateLogin.into(),
            reason: format!(
                "the user was active {}, before the suspension of {}; this became known later",
                at.format("%F %H:%M UTC"),
                ours.asked_at.format("%F %H:%M UTC")
            ),
        }),
        (None, skip) => skip.map(skipped),
    }
}

/// Why an open plan has skipped the user again and again for two days.
fn repeated(past: &JournalState, known: &UserState, ours: &ActionState, now: DateTime<Utc>) -> Option<Cause> {
    let is_open = |skip: &&Skip| past.plans.get(&skip.plan_id).is_some_and(PlanState::is_open);
    let last = known.skips.last().filter(|skip| !skip.is_final && skip.at > ours.asked_at).filter(is_open)?;
    if last.reason.ending() == Ending::Passes {
        return None;
    }
    let same = known.skips.iter().find(|skip| skip.plan_id == last.plan_id && skip.reason == last.reason)?;
    (now - same.at >= SETTLED_AFTER).then(|| Cause { since: same.at, ..skipped(last) })
}

/// R19: why an open offboarding does not continue. A rule that forbids the next step now is reported before `apply` meets it.
fn open_offboarding(
    known: &UserState,
    plan_id: &str,
    plan: &PlanState,
    forbids: Option<Denial>,
    now: DateTime<Utc>,
) -> Option<Cause> {
    let has_begun = plan.is_open() && known.by_plan(plan_id).next().is_some();
    if let Some(no) = forbids.filter(|_| has_begun) {
        let earlier = known.skips.iter().find(|skip| skip.plan_id == plan_id && skip.reason == no.word);
        let last = known.by_plan(plan_id).next_back().map(|past| past.asked_at);
        let since = earlier.map(|skip| skip.at).or(last).unwrap_or(now);
        return Some(Cause { since, word: no.word.into(), reason: no.detail });
    }
    let last = known.skips.iter().rfind(|skip| skip.plan_id == plan_id)?;
    if known.is_over(last) || last.reason.ending() == Ending::Passes || !plan.is_open() {
        return None;
    }
    let is_same = |other: &&Skip| other.plan_id == plan_id && other.reason == last.reason;
    let first = known.skips.iter().find(is_same).unwrap_or(last);
    Some(Cause { since: first.at, ..skipped(last) })
}

/// R19: an approved offboarding that ended before its purpose. Nothing more happens to the user by itself.
fn ended_offboarding(known: &UserState, plan_id: &str, closed: &Closed, forbids: Option<Denial>) -> Cause {
    let last = known.skips.iter().rfind(|skip| skip.plan_id == plan_id);
    let account = if known.suspension().is_some() { "locked out" } else { "not locked out by boxseat" };
    let content = if known.transfer().is_some() { "has moved" } else { "has not moved" };
    let day = closed.at.format("%F");
    let how = if closed.because == PlanEnd::Expired { "expired" } else { "ended" };
    let state = format!("plan {plan_id} {how} {day}: the account is {account}, and its content {content}");
    match (forbids, last) {
        (Some(no), _) => {
            Cause { since: closed.at, word: no.word.into(), reason: format!("{}; {state}", no.detail) }
        }
        (None, Some(skip)) => Cause {
            since: closed.at,
            word: ReasonCode::EndedEarly.into(),
            reason: format!("{state}; the last reason was: {}", skip.detail),
        },
        (None, None) => Cause { since: closed.at, word: ReasonCode::EndedEarly.into(), reason: state },
    }
}

fn skipped(skip: &Skip) -> Cause {
    Cause { since: skip.at, word: skip.reason.clone(), reason: skip.detail.clone() }
}

/// Bytes without items: Box counts the trash of an account in `space_used`, and a listing of folders does not show it.
fn with_trash(known: &UserState, why: String) -> String {
    let last = known.readings.last().filter(|last| last.space_used_bytes.is_some_and(|bytes| bytes > 0));
    match last.map(|last| last.owned_items) {
        Some(Some(0)) => {
            format!(
                "{why}; the root folder is empty, so the bytes may be in the trash, which counts in space_used"
            )
        }
        Some(None) => {
            format!(
                "{why}; Box does not show whether they are items or the trash, which counts in space_used"
            )
        }
        Some(Some(_)) | None => why,
    }
}

#[cfg(test)]
mod tests;
