//! R19: what applies even to a user that was named.
//!
//! Naming a user waives the rules on idleness, recent sign-ins, young accounts, leave, waiting times, R6 and caps. Administrators, app
//! users, accounts of other enterprises, protected users, legal holds and receivers of other users' content stay excluded.

use std::collections::HashSet;
use std::path::Path;

use boxseat_schemas::reclaim::plan::{Origin, PlannedPerson};
use boxseat_schemas::reclaim::{Action, Outcome, Plan, PlanEnd, ReasonCode};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use super::emptiness::{Emptiness, emptiness, proof_from};
use super::evaluator::{Denial, Evaluator};
use super::policy::Policy;
use super::policy_inputs::PolicyInputs;
use super::snapshot::{Person, Snapshot};
use super::stuck::Stuck;
use crate::journal::plans::PlanFile;
use crate::journal::state::{ActionState, JournalState, PlanState, UserState};

/// Whether a user may be offboarded at all.
///
/// # Errors
/// The rule that forbids it.
pub(crate) fn forbids(
    person: &Person,
    policy: Option<&Policy>,
    snapshot: &Snapshot,
    past: &JournalState,
    inputs: &PolicyInputs,
    now: DateTime<Utc>,
) -> Result<(), Denial> {
    let no = |word, detail: String| Err(Denial::new(word, detail));
    match person.role.as_deref() {
        Some("user") => {}
        Some(role) => {
            return no(
                ReasonCode::Admin,
                format!("the role is {role}: an operator must offboard administrators"),
            );
        }
        None => return no(ReasonCode::UnknownRole, "the role is not known".to_owned()),
    }
    if person.is_platform_access_only == Some(true) || person.seat_kind == "app_user" {
        return no(ReasonCode::NoPerson, "it is an app user's account".to_owned());
    }
    if person.enterprise_id.as_deref() != Some(snapshot.enterprise_id.as_str()) {
        return no(ReasonCode::OtherEnterprise, "the account is not of this enterprise".to_owned());
    }
    if person.login.as_deref().is_none_or(str::is_empty) {
        return no(ReasonCode::NoLogin, "the account has no login".to_owned());
    }
    if past.receivers(&HashSet::new(), now).contains(person.user_id.as_str()) {
        return no(ReasonCode::Receiver, "receives content of others, or did within 365 days".to_owned());
    }
    let Some(policy) = policy else { return Ok(()) };
    let (evaluator, refusals) = Evaluator::look(policy, snapshot, past, inputs, now, []);
    evaluator.keeps_even_if_named(person)?;
    // R3, R4: a list with an error, or an old one, may lack this very user. The receiver is named in the command.
    match refusals.into_iter().find(|refusal| refusal.is_about_lists()) {
        Some(refusal) => Err(Denial {
            rule: refusal.subject.rule(),
            word: ReasonCode::ListsUnsure,
            detail: refusal.sentence,
        }),
        None => Ok(()),
    }
}

/// How far a leaver's plan is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The login of the leaver.
    pub login: String,
    /// When boxseat suspended the account.
    pub(crate) suspended_at: Option<DateTime<Utc>>,
    /// When its sessions were ended after that.
    pub(crate) locked_out_at: Option<DateTime<Utc>>,
    /// When the transfer began.
    pub(crate) content_moving_since: Option<DateTime<Utc>>,
    /// When the account was proved to be empty.
    pub(crate) empty_proven_at: Option<DateTime<Utc>>,
    /// When an operator confirmed that the content has moved, where no reading proves it.
    pub(crate) confirmed_at: Option<DateTime<Utc>>,
    /// The earliest time of the deletion; `None`: the plan does not delete, or the content has not begun to move.
    pub(crate) deletion_from: Option<DateTime<Utc>>,
    /// When the seat became free.
    pub(crate) seat_free_at: Option<DateTime<Utc>>,
    /// When boxseat found that another actor had deleted the account, or had taken it out of the enterprise.
    pub(crate) gone_at: Option<DateTime<Utc>>,
    /// Why the next step has not been taken.
    pub(crate) waits: Option<String>,
    /// The day of the plan, if one was given.
    pub on: Option<NaiveDate>,
    /// Sign-ins must be covered up to this time before the account is deleted (R11).
    #[serde(skip)]
    pub(crate) watched_to: Option<DateTime<Utc>>,
    /// Whether the plan deletes the account.
    #[serde(skip)]
    deletes: bool,
}

/// The first daily snapshot at or after a time, if each is read at the time of day of the last one.
pub(crate) fn first_snapshot(from: DateTime<Utc>, snapshot_at: DateTime<Utc>) -> DateTime<Utc> {
    let day = from.date_naive().and_time(snapshot_at.time()).and_utc();
    if day >= from { day } else { day + TimeDelta::days(1) }
}

impl Progress {
    /// From the journal.
    pub fn of(past: &JournalState, plan: &Plan, planned: &PlannedPerson, now: DateTime<Utc>) -> Self {
        let deletes = planned.actions.contains(&Action::Delete);
        let on = match plan.origin {
            Origin::Offboard { on } => on,
            Origin::Policy { .. } => None,
        };
        let mut progress = Self { login: planned.login.clone(), deletes, on, ..Self::default() };
        let Some(person) = past.people.get(&planned.user_id) else { return progress };
        // An earlier plan may have locked the user out.
        let done = |action| person.last(action).filter(|past| past.outcome == Some(Outcome::Done));
        let suspension = done(Action::Suspend);
        progress.suspended_at = suspension.map(|past| past.asked_at);
        progress.watched_to = suspension.map(ActionState::watched_to);
        // A window for the transfer ends sessions again; the user has been locked out since the first time.
        let is_lockout = |past: &&ActionState| {
            past.attempt.action == Action::TerminateSessions
                && past.outcome == Some(Outcome::Done)
                && progress.suspended_at.is_some_and(|at| at <= past.asked_at)
        };
        progress.locked_out_at = person.attempts.iter().find(is_lockout).and_then(|past| past.finished_at);
        progress.seat_free_at = person.freed().and_then(|past| past.finished_at);
        if let Some(transfer) = person.transfer() {
            progress.content_moving_since = Some(transfer.asked_at);
            let empty = match emptiness(person, transfer, now) {
                Emptiness::Empty(at) => {
                    progress.empty_proven_at = Some(at);
                    Some(at)
                }
                Emptiness::NotYet(_) => proof_from(person, transfer, now),
                Emptiness::StillMoving(why) | Emptiness::NotEmpty(why) | Emptiness::Unverifiable(why) => {
                    progress.waits = Some(why);
                    None
                }
            };
            let watched_to = progress.watched_to.filter(|_| deletes);
            progress.deletion_from = watched_to.zip(empty).map(|(watched_to, empty)| watched_to.max(empty));
            progress.confirmed_at = person.confirmation(&transfer.attempt.action_id).map(|one| one.at);
        }
        progress.gone_at = person.seen_gone_at().next();
        let ended = past
            .ended_offboarding(&planned.user_id)
            .map(|(_, _, closed)| format!("the plan ended {} ({})", closed.at.format("%F"), closed.because));
        progress.waits = ended
            .or(progress.waits)
            .or_else(|| waits(person, &plan.plan_id))
            .filter(|_| progress.seat_free_at.is_none() && progress.gone_at.is_none());
        progress
    }

    /// The steps in one line.
    pub fn steps(&self) -> String {
        let day = |at: DateTime<Utc>| at.format("%F").to_string();
        let time = |at: DateTime<Utc>| at.format("%F %H:%M UTC").to_string();
        let step = |at: Option<DateTime<Utc>>, done: &str, open: &str| {
            at.map_or_else(|| open.to_owned(), |at| format!("{done} {}", day(at)))
        };
        let mut steps = vec![match (self.locked_out_at, self.suspended_at) {
            (Some(at), _) => format!("locked out {}", day(at)),
            (None, Some(at)) => format!("suspended {}, sessions not ended", day(at)),
            (None, None) => self
                .on
                .map_or_else(|| "not locked out".to_owned(), |day| format!("to be locked out on {day}")),
        }];
        steps.push(step(self.content_moving_since, "content moving since", "content not moving"));
        steps.push(match self.confirmed_at {
            Some(at) => format!("confirmed by an operator on {}", day(at)),
            None => step(self.empty_proven_at, "empty proven on", "not proven empty"),
        });
        if let Some(at) = self.gone_at.filter(|_| self.seat_free_at.is_none()) {
            steps.push(format!(
                "gone from Box since {} at the latest, and not by boxseat: the seat is free",
                day(at)
            ));
        } else if self.deletes {
            steps.push(self.deletion_from.map_or_else(
                || "no day for the deletion yet".to_owned(),
                |at| format!("deletion not before {}", time(at)),
            ));
            steps.push(step(self.seat_free_at, "seat free since", "seat not free"));
        } else {
            steps.push("no deletion: the policy has no [holds]".to_owned());
        }
        let waits = self.waits.as_ref().map_or_else(String::new, |why| format!("; {why}"));
        steps.join(" · ") + &waits
    }
}

/// Whether an account is suspended by us and its sessions were ended since.
pub(crate) fn is_locked_out(person: &UserState) -> bool {
    let ended = person.last(Action::TerminateSessions).filter(|past| past.was_done);
    person.suspension().zip(ended).is_some_and(|(ours, ended)| ended.asked_at >= ours.asked_at)
}

/// Whether a plan offboards a leaver.
pub fn is_offboarding(plan: &Plan) -> bool {
    matches!(plan.origin, Origin::Offboard { .. })
}

/// Every leaver of the plans that are open, that ended early, or that ended after a time. What keeps a user stuck is the reason of
/// the step that waits.
pub fn leavers(
    store: &Path,
    past: &JournalState,
    stuck: &[Stuck],
    ended_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Progress> {
    let is_shown = |id: &str, known: &PlanState| {
        let is_ended = |user: &String| past.ended_offboarding(user).is_some_and(|(ended, ..)| ended == id);
        match &known.closed {
            None => true,
            Some(closed) if closed.because == PlanEnd::Applied && closed.at >= ended_since => true,
            Some(_) => known.user_ids.iter().any(is_ended),
        }
    };
    let plans = past.plans.iter().filter(|(id, known)| known.policy_digest.is_none() && is_shown(id, known));
    let files = plans
        .filter_map(|(id, known)| PlanFile::open(store, id).ok().filter(|file| file.digest == known.digest));
    let leavers = files.flat_map(|file| {
        let PlanFile { plan, .. } = file;
        let progress = of_plan(past, &plan, stuck, now);
        progress
            .into_iter()
            .zip(plan.people)
            .map(move |(progress, planned)| (plan.plan_id.clone(), planned, progress))
    });
    // A user that was offboarded again is shown once, by the last plan.
    let is_last = |plan_id: &str, user_id: &str| {
        past.last_offboarding(user_id).is_some_and(|(last, _)| last == plan_id)
    };
    leavers
        .filter(|(plan_id, planned, _)| is_last(plan_id, &planned.user_id))
        .map(|(_, _, progress)| progress)
        .collect()
}

/// The leavers of one plan.
pub fn of_plan(past: &JournalState, plan: &Plan, stuck: &[Stuck], now: DateTime<Utc>) -> Vec<Progress> {
    let progress = |planned: &PlannedPerson| {
        let mut progress = Progress::of(past, plan, planned, now);
        if let Some(stuck) = stuck.iter().find(|stuck| stuck.user_id == planned.user_id) {
            progress.waits = Some(stuck.reason.clone());
        }
        progress
    };
    plan.people.iter().map(progress).collect()
}

/// The plan's last reason about the user, unless an action has been done since.
fn waits(person: &UserState, plan_id: &str) -> Option<String> {
    let attempt = person.by_plan(plan_id).next_back();
    let skip = person.skips.iter().rfind(|skip| skip.plan_id == plan_id);
    match (skip, attempt) {
        (Some(skip), _) if !person.is_over(skip) => Some(skip.detail.clone()),
        (_, Some(attempt)) if attempt.outcome != Some(Outcome::Done) => attempt.reason.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::Record;

    use super::*;
    use crate::testing::{day, intent, outcome, past};

    fn leaver(actions: Vec<Action>) -> (Plan, PlannedPerson) {
        let planned: PlannedPerson = serde_json::from_value(serde_json::json!({
            "user_id": "1", "login": "jo@acme.test", "name": null, "actions": actions,
            "baseline": boxseat_schemas::reclaim::Standing::default(), "sentence": "", "last_activity_at": null,
            "last_activity_source": null, "proven_idle_days": null, "suspended_at": null, "groups": [],
            "space_used_bytes": 5, "owned_items": 1, "shared_items": 0, "receiver_user_id": "77",
            "receiver_login": null, "monthly_cost": null, "currency": null, "warnings": [],
        }))
        .unwrap();
        let night = crate::testing::night(0);
        let plan = serde_json::from_value(serde_json::json!({
            "format": 2, "plan_id": "p", "store_id": uuid::Uuid::from_u128(7), "enterprise_id": "42", "night": night,
            "created_at": day(0), "expires_at": day(7), "planned_by": {"os_user": "a", "host": "b"},
            "origin": {"origin": "offboard", "on": null}, "stage": "delete", "ticket": null,
            "evidence_sources": [], "warnings": [], "people": [planned], "left_out": [],
        }))
        .unwrap();
        (plan, planned)
    }

    /// R19: each step of a leaver has its day, and a step that waits has a reason.
    #[test]
    fn r19_the_steps_of_a_leaver_have_their_days() {
        use Action::{Delete, Suspend, TerminateSessions, Transfer};
        let (plan, planned) = leaver(vec![Suspend, TerminateSessions, Transfer, Delete]);
        let read = |items: u64, bytes| Record::ContentRead {
            plan_id: "p".into(),
            user_id: "1".into(),
            owned_items: Some(items),
            shared_items: Some(0),
            space_used_bytes: Some(bytes),
        };
        let held = Record::DestinationRead {
            plan_id: "p".into(),
            user_id: "1".into(),
            receiver_user_id: "77".into(),
            folder_id: "f".into(),
            items: Some(1),
        };
        let waits = Record::Skipped {
            plan_id: "p".into(),
            user_id: "1".into(),
            reason: ReasonCode::ReceiverUnfit.into(),
            detail: "the receiver has no room".into(),
            is_final: false,
            used_at: None,
        };
        let mut records = Vec::new();
        let mut says = |more: Vec<(i64, Record)>| {
            records.extend(more);
            Progress::of(&past(&records), &plan, &planned, day(9)).steps()
        };
        let date = |n| day(n).format("%F").to_string();
        assert_eq!(
            says(vec![]),
            "not locked out · content not moving · not proven empty · no day for the deletion yet · seat not free"
        );
        let did = |action, n, at| {
            vec![(at, intent("p", "1", action, n)), (at, outcome("p", "1", n, Outcome::Done))]
        };
        assert!(says(did(Suspend, 1, 0)).starts_with(&format!("suspended {}, sessions not ended", date(0))));
        let locked = says([did(TerminateSessions, 2, 0), vec![(0, read(1, 5)), (0, waits)]].concat());
        assert!(locked.starts_with(&format!("locked out {} · content not moving", date(0))), "{locked}");
        assert!(locked.ends_with("; the receiver has no room"), "{locked}");
        let moving = says([did(Transfer, 3, 1), vec![(2, read(0, 0)), (2, held)]].concat());
        let expected = format!(
            "locked out {} · content moving since {} · not proven empty · deletion not before {} · seat not free",
            date(0),
            date(1),
            (day(2) + TimeDelta::hours(20)).format("%F %H:%M UTC")
        );
        assert_eq!(moving, expected);
        assert!(says(vec![(3, read(0, 0))]).contains(&format!("empty proven on {}", date(3))));
        assert!(says(did(Delete, 4, 4)).ends_with(&format!("seat free since {}", date(4))));
    }
}
