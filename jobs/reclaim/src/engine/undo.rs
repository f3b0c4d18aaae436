//! R18: undoing a plan, for all of its users or for some.
//!
//! A suspension is undone only while it is still in force ([`crate::rules::restore`] has the rule). Moved content and deleted
//! accounts do not come back; the result says so.

use boxseat_pipeline::client::{Found, Wrote};
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Outcome, PlanEnd, ReasonCode, Record, Standing};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream;

use super::recheck::{fails_for_one, reread, standing};
use super::{Applied, ApplyEnv, CallResult, Run, Task, UserOutcome};
use crate::error::Error;
use crate::journal::Journal;
use crate::journal::state::{ActionState, JournalState, PlanState, unfinished};
use crate::rules::restore::{Account, obstacle, remains};

/// What an undo does with the plan itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Closes the plan.
    WholePlan,
    /// The plan does nothing more for the users of the task, and stays open for others.
    SomeUsers,
}

/// Undoes what a plan of this store did to the users of the task. First the plan is closed, or ended for these users: then the plan
/// does nothing more for them if this run stops, and the same command continues.
///
/// # Errors
/// As [`super::apply`].
pub async fn undo(
    task: Task<'_>,
    scope: Scope,
    env: ApplyEnv<'_>,
    journal: &mut Journal,
) -> Result<Applied, Error> {
    let run = Run::begin(task, env, journal).await?;
    let plan_id = &task.plan.plan_id;
    match scope {
        Scope::WholePlan => {
            if !run.with_past(|past| past.plans.get(plan_id).is_some_and(PlanState::is_undone)) {
                let (plan_id, because) = (plan_id.clone(), PlanEnd::Undone.into());
                run.write(Record::PlanClosed { plan_id, because, by: Some(env.by.clone()) })?;
            }
        }
        Scope::SomeUsers => {
            for planned in &task.plan.people {
                if let Some(record) = run.with_past(|past| take_out(past, plan_id, &planned.user_id)) {
                    run.write(record)?;
                }
            }
        }
    }
    let mut applied = Applied { is_closed: scope == Scope::WholePlan, ..Applied::default() };
    // The admin log shows whether another actor has edited the account.
    match run.walk_feed().await {
        Ok(()) => run.undo_everybody(&mut applied).await?,
        Err(e) => applied.stopped = Some(e),
    }
    for planned in &task.plan.people {
        applied.people.entry(planned.user_id.clone()).or_insert(UserOutcome::NotAttempted);
    }
    run.end(applied)
}

impl Run<'_> {
    async fn undo_everybody(&self, applied: &mut Applied) -> Result<(), Error> {
        let mut fates = stream::iter(&self.task.plan.people)
            .map(|planned| async move { (planned, self.undo_one(planned).await) })
            .buffer_unordered(self.env.concurrency.max(1));
        while let Some((planned, fate)) = fates.next().await {
            if let Some(fate) = fate? {
                applied.set(planned, fate);
            }
        }
        Ok(())
    }

    /// One user; `None` if the run halts before.
    async fn undo_one(&self, planned: &PlannedPerson) -> Result<Option<UserOutcome>, Error> {
        if self.is_halted() || !self.keep_feed_fresh().await? {
            return Ok(None);
        }
        let plan_id = &self.task.plan.plan_id;
        if !self.with_past(|past| past.has_touched(plan_id, &planned.user_id)) {
            let detail = "the plan changed nothing in this account".to_owned();
            return Ok(Some(UserOutcome::Skipped(ReasonCode::NothingToUndo, detail)));
        }
        let (ours, open, remains) = self.with_past(|past| {
            let Some(person) = past.people.get(&planned.user_id) else { return (None, None, None) };
            let ours = person.suspension_by(plan_id).cloned();
            (ours, person.unfinished_status(plan_id).cloned(), remains(person, plan_id, self.task.snapshot))
        });
        if let Some(open) = open {
            return Ok(Some(UserOutcome::Unknown(unfinished(&open))));
        }
        let is_given_back = ours.is_some();
        let fate = match ours {
            Some(ours) => self.restore(planned, &ours).await?,
            None => None,
        };
        Ok(Some(match (fate, remains) {
            (Some(fate), _) => fate,
            (None, Some(remains)) if is_given_back => {
                UserOutcome::DoneInPart(format!("active again, without the content: {remains}"))
            }
            (None, Some(remains)) => UserOutcome::Skipped(ReasonCode::Stays, remains),
            (None, None) => UserOutcome::Done,
        }))
    }

    /// Gives one account back; `None` when it is done.
    async fn restore(
        &self,
        planned: &PlannedPerson,
        ours: &ActionState,
    ) -> Result<Option<UserOutcome>, Error> {
        let left = |word, detail: String| Ok(Some(UserOutcome::Skipped(word, detail)));
        let found = match reread(self.env.actor, &planned.user_id, &self.code_names()).await {
            Err(e) if fails_for_one(&e, self.env.actor, &self.canaries).await? => {
                return Ok(Some(UserOutcome::Waiting(
                    ReasonCode::Closed,
                    format!("the account cannot be read: {e}"),
                )));
            }
            found => found?,
        };
        let now = match found {
            Found::Is(now) => now,
            Found::Gone if !self.believes_that_gone().await? => {
                let detail = "Box shows neither this account nor an ordinary one".to_owned();
                return Ok(Some(UserOutcome::Waiting(ReasonCode::Closed, detail)));
            }
            Found::Gone => return left(ReasonCode::Gone, "the account is gone".to_owned()),
            Found::Closed(refusal) => {
                self.denied(&refusal).await?;
                return Ok(Some(UserOutcome::Waiting(ReasonCode::Closed, refusal.to_string())));
            }
        };
        let account = Account {
            status: now.standing.status.as_deref(),
            login: now.standing.login.as_deref(),
            are_edits_known: self.task.snapshot.knows_edits_since(ours.asked_at),
            edited_by_other_at: self.edited_by_other(planned, ours),
        };
        if let Some((word, detail)) = obstacle(ours, &account) {
            if word == ReasonCode::RevertedByOther {
                let came = CallResult::new(Outcome::RevertedByOther).because("found active again");
                self.conclude(&ours.attempt.action_id, came)?;
            }
            return left(word, detail);
        }
        let Some(status) = ours.attempt.before.status.clone() else {
            return left(ReasonCode::UnknownStatus, "the status before was not known".to_owned());
        };
        let name = now.standing.login.clone().unwrap_or_default();
        let action_id = self.intend(planned, &name, Action::Restore, &now.standing, None)?;
        match self.env.actor.set_status(&planned.user_id, &status, false).await? {
            Wrote::Done(user) if user.status.as_deref() == Some(status.as_str()) => {
                let Standing { group_ids, aliases, .. } = now.standing.clone();
                let after = standing(&user, group_ids, aliases, &self.code_names());
                let came = CallResult {
                    after: Some(after),
                    http_status: Some(200),
                    ..CallResult::new(Outcome::Done)
                };
                self.conclude(&action_id, came)?;
                Ok(None)
            }
            Wrote::Done(_) => {
                let reason = "Box accepted the change and shows another status".to_owned();
                self.conclude(&action_id, CallResult::unknown(Some(200), reason.clone()))?;
                Ok(Some(UserOutcome::Unknown(reason)))
            }
            Wrote::Refused(refusal) => {
                self.refused(planned, Action::Restore, &action_id, &refusal).await.map(Some)
            }
            Wrote::Unknown { status, reason } => {
                self.conclude(&action_id, CallResult::unknown(status, reason.clone()))?;
                Ok(Some(UserOutcome::Unknown(reason)))
            }
        }
    }

    /// When another actor has edited the account since, by the snapshot or by the admin log after it.
    fn edited_by_other(&self, planned: &PlannedPerson, ours: &ActionState) -> Option<DateTime<Utc>> {
        let is_ours = |actor: Option<&str>| {
            actor.is_some_and(|actor| {
                actor == self.actor_user_id || self.with_past(|past| past.actor_user_ids.contains(actor))
            })
        };
        let known = self.task.snapshot.person(&planned.user_id).into_iter().flat_map(|person| &person.edits);
        let of_snapshot = known
            .filter(|edit| self.is_since(edit.at, ours.asked_at) && !is_ours(edit.actor_id.as_deref()))
            .map(|edit| edit.at)
            .next();
        let feed = self.feed.lock().expect("no holder panics");
        let heard = feed
            .of(&planned.user_id, &planned.login)
            .filter(|news| matches!(news.event_type.as_str(), "EDIT_USER" | "CHANGE_ADMIN_ROLE"))
            .find(|news| self.is_since(news.at, ours.asked_at) && !is_ours(news.actor_id.as_deref()))
            .map(|news| news.at);
        of_snapshot.or(heard)
    }
}

/// The entry that ends a plan for one user; `None` if it has ended already, or the plan is closed.
pub fn take_out(past: &JournalState, plan_id: &str, user_id: &str) -> Option<Record> {
    let is_open = past.plans.get(plan_id).is_some_and(PlanState::is_open);
    let is_done = past.people.get(user_id).is_some_and(|known| known.final_skip(plan_id).is_some());
    (is_open && !is_done).then(|| Record::Skipped {
        plan_id: plan_id.to_owned(),
        user_id: user_id.to_owned(),
        reason: ReasonCode::Undone.into(),
        detail: "`reclaim undo --user` took the user out of the plan".to_owned(),
        is_final: true,
        used_at: None,
    })
}
