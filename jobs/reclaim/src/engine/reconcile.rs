//! Settles calls without a known outcome by reads. No call is repeated blindly.

use boxseat_pipeline::client::Found;
use boxseat_schemas::reclaim::{Action, Outcome, Standing};
use chrono::{DateTime, TimeDelta, Utc};

use super::confirm::{Canaries, Presence};
use super::recheck::{fails_for_one, reread};
use super::{ApplyEnv, CallResult, verify};
use crate::error::Error;
use crate::journal::Journal;
use crate::journal::state::ActionState;

/// A call whose process has ended may still reach Box within this time.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(1);
/// How far Box's clock may be from ours (R10).
const CLOCKS: TimeDelta = TimeDelta::minutes(5);
/// A deletion that Box accepted may become visible only after this time.
const IN_THE_WORKS: TimeDelta = TimeDelta::minutes(10);

/// Reconciles every unfinished attempt of the selected ones; returns how many are still unknown.
///
/// # Errors
/// The journal's, and what ends the run.
pub async fn reconcile(
    env: ApplyEnv<'_>,
    journal: &mut Journal,
    canaries: &Canaries,
    code_names: &[&str],
    which: impl Fn(&ActionState) -> bool,
) -> Result<usize, Error> {
    let open: Vec<ActionState> = journal.past().unfinished().filter(|past| which(past)).cloned().collect();
    let count = open.len();
    let mut settled = 0;
    for past in open {
        if past.attempt.action == Action::Transfer {
            verify::look_at(env, journal, canaries, &past).await?;
        } else {
            let now = (env.clock)();
            let restores = restores_to(journal, &past);
            if let Some(came) = came(env, canaries, code_names, &past, restores.as_deref(), now).await? {
                journal.append((env.clock)(), came.record(&past.attempt.action_id))?;
            }
        }
        let person = &journal.past().people[&past.attempt.user_id];
        let is_settled = |attempt: &ActionState| {
            attempt.attempt.action_id == past.attempt.action_id && !attempt.is_unfinished()
        };
        settled += usize::from(person.attempts.iter().any(is_settled));
    }
    Ok(count - settled)
}

/// What a read shows; `None`: nothing new.
async fn came(
    env: ApplyEnv<'_>,
    canaries: &Canaries,
    code_names: &[&str],
    past: &ActionState,
    restores_to: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<CallResult>, Error> {
    let attempt = &past.attempt;
    let age = now - past.asked_at;
    let unknown = |reason: &str| past.outcome.is_none().then(|| CallResult::unknown(None, reason.to_owned()));
    let not_yet = "the run ended before or during the call";
    Ok(match attempt.action {
        Action::Transfer => None,
        // The window is closed before other calls are reconciled, and its steps are settled then.
        Action::Reactivate | Action::SuspendAgain => None,
        Action::TerminateSessions => {
            // Box has no read that shows it, and ending sessions twice does no harm: the plan makes the call again.
            Some(
                CallResult::new(Outcome::NotDone)
                    .because("whether it was done cannot be read; it is done again"),
            )
        }
        Action::Suspend | Action::Restore => {
            let (done, undone) = match attempt.action {
                Action::Suspend => (Some("inactive"), attempt.before.status.as_deref()),
                _ => (restores_to, Some("inactive")),
            };
            let found = match reread(env.actor, &attempt.user_id, code_names).await {
                // The state of this user stays unknown, and the run continues with the others.
                Err(e) if fails_for_one(&e, env.actor, canaries).await? => {
                    return Ok(unknown(&format!("the account cannot be read: {e}")));
                }
                found => found?,
            };
            match found {
                Found::Is(found) if found.standing.status.as_deref() == done => {
                    // The status is ours. Every other difference is another actor's, and must show as a change when a later command
                    // continues or undoes (R3, R18).
                    let after = Standing { status: found.standing.status, ..attempt.before.clone() };
                    Some(
                        CallResult { after: Some(after), ..CallResult::new(Outcome::Done) }
                            .because("read back"),
                    )
                }
                Found::Is(found) if age >= ON_ITS_WAY && found.standing.status.as_deref() == undone => {
                    // Box may have done it, and another actor may have undone it before this read: then it is not done again (R20).
                    // A restoration needs no such check: `undo` reads the admin log for edits by other actors.
                    let since = past.asked_at - CLOCKS;
                    let is_untouched = found.user.modified_at.is_some_and(|at| at < since);
                    Some(if is_untouched || attempt.action == Action::Restore {
                        CallResult::new(Outcome::NotDone).because("the status is unchanged")
                    } else {
                        CallResult::new(Outcome::RevertedByOther)
                            .because("the status is unchanged, and the account was edited since: the change may have been undone")
                    })
                }
                Found::Is(_) if age < ON_ITS_WAY => unknown(not_yet),
                // Neither the earlier status nor the requested one. It is unknown whether our call came before the other actor's
                // (R20).
                Found::Is(found) => Some(CallResult::new(Outcome::RevertedByOther).because(format!(
                    "the status is {}: another actor has changed it",
                    found.standing.status.as_deref().unwrap_or("none")
                ))),
                Found::Gone if canaries.one_answers(env.actor).await? => {
                    Some(CallResult::new(Outcome::RevertedByOther).because("the account is gone"))
                }
                Found::Gone | Found::Closed(_) => unknown("the account cannot be read"),
            }
        }
        Action::Delete => match canaries.presence(env.actor, &attempt.user_id).await? {
            Presence::Gone => {
                Some(CallResult::new(Outcome::Done).because("read back: gone, and other accounts are there"))
            }
            Presence::There if age >= IN_THE_WORKS => {
                Some(CallResult::new(Outcome::NotDone).because("read back: the account is there"))
            }
            Presence::There => unknown(not_yet),
            Presence::Unclear(reason) => unknown(&reason),
        },
    })
}

/// The status that a restoration sets: the one from before the suspension.
fn restores_to(journal: &Journal, past: &ActionState) -> Option<String> {
    let person = journal.past().people.get(&past.attempt.user_id)?;
    person.last(Action::Suspend)?.attempt.before.status.clone()
}
