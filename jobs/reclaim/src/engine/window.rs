//! R14: the window in which a suspended account is active so that Box moves its content.
//!
//! ```text
//! set active ─▶ count ─▶ transfer ─▶ set inactive ─▶ end sessions
//! ```
//!
//! Each step is in the journal before its call. A process that ends inside the window leaves it open: the next acting command closes it
//! before anything else. The first suspension stays the one that counts, and a sign-in inside the window is use after it (R2).

use std::sync::Mutex;

use boxseat_pipeline::client::{Found, Wrote};
use boxseat_schemas::box_api::User;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Attempt, Outcome, Standing};

use super::confirm::Canaries;
use super::recheck::{Now, standing};
use super::steps::Steps;
use super::{ApplyEnv, CallResult, Run, UserOutcome};
use crate::error::Error;
use crate::journal::Journal;
use crate::journal::state::ActionState;

impl Run<'_> {
    /// Makes the account active, moves its content, and suspends it again.
    pub(super) async fn transfer_in_window(
        &self,
        planned: &PlannedPerson,
        now: &Now,
        receiver_id: &str,
    ) -> Result<Option<UserOutcome>, Error> {
        if !self.may_call(planned) {
            return Ok(None);
        }
        let login = now.standing.login.clone().unwrap_or_default();
        let read_at = self.now();
        let action_id = self.intend(planned, &login, Action::Reactivate, &now.standing, None)?;
        let fate = match self.env.actor.set_status(&planned.user_id, "active", false).await? {
            Wrote::Done(user) if user.status.as_deref() == Some("active") => {
                let after = Standing { status: user.status.clone(), ..now.standing.clone() };
                let came = CallResult {
                    after: Some(after.clone()),
                    http_status: Some(200),
                    ..CallResult::new(Outcome::Done)
                };
                self.conclude(&action_id, came)?;
                self.count_content(&user).await?;
                self.request_transfer(planned, &after, receiver_id, read_at).await?.0
            }
            Wrote::Done(user) => {
                let status = user.status.as_deref().unwrap_or("none");
                let reason = format!("Box accepted the change and shows the status {status}");
                self.conclude(&action_id, CallResult::unknown(Some(200), reason.clone()))?;
                UserOutcome::Unknown(reason)
            }
            Wrote::Refused(refusal) => {
                return self.refused(planned, Action::Reactivate, &action_id, &refusal).await.map(Some);
            }
            Wrote::Unknown { status, reason } => {
                self.conclude(&action_id, CallResult::unknown(status, reason.clone()))?;
                UserOutcome::Unknown(reason)
            }
        };
        close(self.env, &self.journal, &self.canaries, &planned.user_id).await?;
        if fate == UserOutcome::Done {
            self.read_moved(&planned.user_id).await?;
        }
        Ok(Some(fate))
    }
}

/// Closes every window that an earlier process left open.
///
/// # Errors
/// `Refused` naming the account that could not be suspended again; the journal's, and what ends the run.
pub async fn close_windows(
    env: ApplyEnv<'_>,
    journal: &mut Journal,
    canaries: &Canaries,
) -> Result<(), Error> {
    let open: Vec<String> =
        journal.past().open_windows().map(|opened| opened.attempt.user_id.clone()).collect();
    let journal = Mutex::new(journal);
    let mut failed = Ok(());
    for user_id in open {
        let closed = close(env, &journal, canaries, &user_id).await;
        failed = failed.and(closed);
    }
    failed
}

/// Suspends the account again and ends its sessions.
async fn close(
    env: ApplyEnv<'_>,
    journal: &Mutex<&mut Journal>,
    canaries: &Canaries,
    user_id: &str,
) -> Result<(), Error> {
    let closing = Steps { env, journal };
    let Some(opened) = closing.opened(user_id) else { return Ok(()) };
    let login = &opened.attempt.login;
    let stays_active = |why: String| {
        Error::refused(format!(
            "account {user_id} ({login}) was made active for a transfer and may still be active: {why}"
        ))
        .hint("the same command tries again; or set the account to inactive in Box's admin console")
    };
    let user = match env.actor.user(user_id).await? {
        Found::Is(user) => user,
        Found::Gone if canaries.one_answers(env.actor).await? => {
            let came = CallResult::new(Outcome::RevertedByOther).because("the account is gone");
            return closing.append(came.record(&opened.attempt.action_id));
        }
        Found::Gone => return Err(stays_active("Box shows no account".to_owned())),
        Found::Closed(refusal) => return Err(stays_active(refusal.to_string())),
    };
    closing.settle(user_id, user.status.as_deref())?;
    // boxseat sets an account to active or inactive only. R1, R20: another status was set by another actor.
    if let Some(status) = user.status.as_deref().filter(|status| !matches!(*status, "active" | "inactive")) {
        return closing.taken_over(&opened, &format!("found with the status {status}"));
    }
    if user.status.as_deref() == Some("active") && closing.was_suspended_again(&opened) {
        return closing.taken_over(&opened, "found active again after the transfer");
    }
    let before =
        Standing { status: user.status.clone(), login: user.login.clone(), ..opened.attempt.before.clone() };
    let action_id = closing.intend_in_window(&opened, &user, Action::SuspendAgain, &before)?;
    match env.actor.set_status(user_id, "inactive", false).await? {
        Wrote::Done(user) if user.status.as_deref() == Some("inactive") => {
            let Standing { group_ids, aliases, .. } = before.clone();
            let after = standing(&user, group_ids, aliases, &[]);
            let came =
                CallResult { after: Some(after), http_status: Some(200), ..CallResult::new(Outcome::Done) };
            closing.conclude(&action_id, came)?;
        }
        Wrote::Done(user) => {
            let why = format!("Box shows the status {}", user.status.as_deref().unwrap_or("none"));
            closing.conclude(&action_id, CallResult::unknown(Some(200), why.clone()))?;
            return Err(stays_active(why));
        }
        Wrote::Refused(refusal) => {
            closing.conclude(&action_id, CallResult::refused(&refusal))?;
            // Box lets only the primary admin suspend an administrator: the actor that gave the role has decided about the account.
            if let Some(role) = user.role.as_deref().filter(|role| *role != "user") {
                let why = format!(
                    "the role became {role} during the transfer, and Box refuses the suspension: {refusal}"
                );
                tracing::warn!("account {user_id} ({login}) stays active: {why}");
                return closing.taken_over(&opened, &why);
            }
            return Err(stays_active(refusal.to_string()));
        }
        Wrote::Unknown { status, reason } => {
            closing.conclude(&action_id, CallResult::unknown(status, reason.clone()))?;
            return Err(stays_active(reason));
        }
    }
    let login = user.login.clone().unwrap_or_default();
    let before = Standing { status: Some("inactive".to_owned()), ..before };
    let action_id = closing.intend_in_window(&opened, &user, Action::TerminateSessions, &before)?;
    match env.actor.terminate_sessions(&[user_id], &[&login]).await? {
        Wrote::Done(()) => closing
            .conclude(&action_id, CallResult { http_status: Some(202), ..CallResult::new(Outcome::Done) }),
        Wrote::Refused(refusal) => {
            tracing::warn!("sessions of {login} could not be ended after the transfer: {refusal}");
            closing.conclude(&action_id, CallResult::refused(&refusal))
        }
        Wrote::Unknown { status, reason } => {
            closing.conclude(&action_id, CallResult::unknown(status, reason.clone()))?;
            Err(Error::refused(format!("whether the sessions of {login} were ended is not known: {reason}"))
                .hint("the same command ends them again"))
        }
    }
}

impl Steps<'_, '_> {
    fn opened(self, user_id: &str) -> Option<ActionState> {
        self.with_past(|past| past.people.get(user_id)?.open_window().cloned())
    }

    /// Whether the window's account was already suspended again.
    fn was_suspended_again(self, opened: &ActionState) -> bool {
        self.with_past(|past| {
            let known = past.people.get(&opened.attempt.user_id);
            let done = known.and_then(|known| known.last(Action::SuspendAgain)).filter(|past| past.was_done);
            done.is_some_and(|done| done.asked_at >= opened.asked_at)
        })
    }

    /// R20: another actor has set the account active, or made it one that boxseat does not suspend. Window and suspension are over.
    fn taken_over(self, opened: &ActionState, why: &str) -> Result<(), Error> {
        let ours = self.with_past(|past| past.people.get(&opened.attempt.user_id)?.suspension().cloned());
        for past in ours.iter().chain([opened]) {
            let came = CallResult::new(Outcome::RevertedByOther).because(why);
            self.append(came.record(&past.attempt.action_id))?;
        }
        Ok(())
    }

    /// Writes the outcomes of the unfinished steps, by the status that Box shows.
    fn settle(self, user_id: &str, status: Option<&str>) -> Result<(), Error> {
        let is_step = |past: &&ActionState| {
            matches!(past.attempt.action, Action::Reactivate | Action::SuspendAgain) && past.is_unfinished()
        };
        let unfinished: Vec<ActionState> = self.with_past(|past| {
            let attempts = past.people.get(user_id).into_iter().flat_map(|person| &person.attempts);
            attempts.filter(is_step).cloned().collect()
        });
        for step in unfinished {
            let outcome = match (step.attempt.action, status) {
                (Action::Reactivate, Some("active")) | (Action::SuspendAgain, Some("inactive")) => {
                    Outcome::Done
                }
                _ => Outcome::NotDone,
            };
            self.append(CallResult::new(outcome).because("read back").record(&step.attempt.action_id))?;
        }
        Ok(())
    }

    /// A step of the window that `opened` began.
    fn intend_in_window(
        self,
        opened: &ActionState,
        user: &User,
        action: Action,
        before: &Standing,
    ) -> Result<String, Error> {
        self.intend(action, |_| Attempt {
            login: user.login.clone().unwrap_or_default(),
            before: before.clone(),
            receiver_user_id: None,
            ..opened.attempt.clone()
        })
    }
}
