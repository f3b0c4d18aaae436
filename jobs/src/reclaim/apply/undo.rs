//! R18: taking a plan back, as far as that is ours to do.
//!
//! A suspension is taken back only while it still holds: the account is inactive, nobody else has edited it since, and the login
//! is the one we knew. Content stays where it went, and whoever was deleted stays deleted; both are said.

use boxseat_pipeline::client::{Found, Wrote};
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Outcome, Record, Standing};
use futures::StreamExt;
use futures::stream;

use super::super::journal::Journal;
use super::super::past::{PastAttempt, PastPerson, PastPlan, unfinished};
use super::reread::{reread, standing};
use super::{Applied, Came, Fate, Hands, Run, Task};
use crate::error::CommandError;

/// The outcome of a user whom the plan did nothing to.
pub(crate) const NOTHING_TO_UNDO: &str = "nothing_to_undo";

/// Takes back what a plan of this store did. The plan is closed first: whatever stops this run, nothing more is done by the plan
/// but taking back, and the same command goes on.
///
/// # Errors
/// As [`super::apply`].
pub(crate) async fn undo(
    task: Task<'_>,
    hands: Hands<'_>,
    journal: &mut Journal,
) -> Result<Applied, CommandError> {
    let run = Run::begin(task, hands, journal).await?;
    let plan_id = &task.plan.plan_id;
    if !run.with_past(|past| past.plans.get(plan_id).is_some_and(PastPlan::is_undone)) {
        let (plan_id, because) = (plan_id.clone(), "undone".to_owned());
        run.write(Record::PlanClosed { plan_id, because, by: Some(hands.by.clone()) })?;
    }
    let mut applied = Applied { is_closed: true, ..Applied::default() };
    // Whether somebody else has edited the person is part of the question, so the admin log must answer.
    match run.walk_feed().await {
        Ok(()) => run.undo_everybody(&mut applied).await?,
        Err(e) => applied.stopped = Some(e),
    }
    for planned in &task.plan.people {
        applied.people.entry(planned.user_id.clone()).or_insert(Fate::NotAttempted);
    }
    run.end(applied)
}

impl Run<'_> {
    async fn undo_everybody(&self, applied: &mut Applied) -> Result<(), CommandError> {
        let mut fates = stream::iter(&self.task.plan.people)
            .map(|planned| async move { (planned, self.undo_one(planned).await) })
            .buffer_unordered(self.hands.concurrency.max(1));
        while let Some((planned, fate)) = fates.next().await {
            if let Some(fate) = fate? {
                applied.set(planned, fate);
            }
        }
        Ok(())
    }

    /// One person; `None` when the run halts before.
    async fn undo_one(&self, planned: &PlannedPerson) -> Result<Option<Fate>, CommandError> {
        if self.is_halted() || !self.keep_feed_fresh().await? {
            return Ok(None);
        }
        let plan_id = &self.task.plan.plan_id;
        if !self.with_past(|past| past.has_touched(plan_id, &planned.user_id)) {
            let detail = "the plan changed nothing in this account".to_owned();
            return Ok(Some(Fate::SkippedBefore(NOTHING_TO_UNDO.to_owned(), detail)));
        }
        let (ours, open, stays) = self.with_past(|past| {
            let Some(person) = past.people.get(&planned.user_id) else { return (None, None, None) };
            let ours = person.suspension_by(plan_id).cloned();
            let left =
                person.by_plan(plan_id).rfind(|past| past.attempt.action == Action::Suspend && past.was_done);
            let left = left.filter(|_| ours.is_none()).and_then(|left| left_suspended(person, left));
            // Content that another plan has moved since is just as much away.
            let stays = match (person.deletion(), person.transfer()) {
                (Some(_), _) => Some("the account was deleted, and cannot be brought back".to_owned()),
                (None, Some(transfer)) => Some(moved(transfer)),
                (None, None) => None,
            };
            (ours, person.unfinished_status(plan_id).cloned(), stays.or(left))
        });
        if let Some(open) = open {
            return Ok(Some(Fate::Unknown(unfinished(&open))));
        }
        let is_given_back = ours.is_some();
        let fate = match ours {
            Some(ours) => self.restore(planned, &ours).await?,
            None => None,
        };
        Ok(Some(match (fate, stays) {
            (Some(fate), _) => fate,
            (None, Some(stays)) if is_given_back => Fate::Skipped("stays", format!("active again; {stays}")),
            (None, Some(stays)) => Fate::Skipped("stays", stays),
            (None, None) => Fate::Done,
        }))
    }

    /// Gives one account back; `None` when it is done.
    async fn restore(
        &self,
        planned: &PlannedPerson,
        ours: &PastAttempt,
    ) -> Result<Option<Fate>, CommandError> {
        let left = |word, detail: String| Ok(Some(Fate::Skipped(word, detail)));
        let now = match reread(self.hands.actor, &planned.user_id, &self.code_names()).await? {
            Found::Is(now) => now,
            Found::Gone if !self.believes_that_gone().await? => {
                let detail = "Box shows neither this account nor an ordinary one".to_owned();
                return Ok(Some(Fate::Waiting("closed", detail)));
            }
            Found::Gone => return left("gone", "the account is gone".to_owned()),
            Found::Closed(refusal) => {
                self.denied(&refusal).await?;
                return Ok(Some(Fate::Waiting("closed", refusal.to_string())));
            }
        };
        if ours.attempt.before.status.as_deref() == Some("inactive") {
            return left("stays", "the account was suspended before this plan".to_owned());
        }
        let after = ours.after.clone().unwrap_or_else(|| ours.attempt.before.clone());
        if now.standing.status.as_deref() != Some("inactive") {
            self.conclude(
                &ours.attempt.action_id,
                Came::new(Outcome::RevertedByOther).because("found active again"),
            )?;
            let status = now.standing.status.as_deref().unwrap_or("none");
            return left(
                "reverted_by_other",
                format!("the status is {status}: somebody else has changed it"),
            );
        }
        let login = |standing: &Standing| standing.login.as_deref().map(str::to_lowercase);
        if login(&now.standing) != login(&after) {
            return left("login_changed", "the login is another than the one we suspended".to_owned());
        }
        if !self.task.ground.knows_edits_since(ours.asked_at) {
            let since = ours.asked_at.format("%F");
            let detail = format!("who edited the account since {since} is not known without a gap");
            return left("edits_not_watched", detail);
        }
        if let Some(detail) = self.edited_by_other(planned, ours) {
            return left("edited_by_other", detail);
        }
        let Some(status) = ours.attempt.before.status.clone() else {
            return left("unknown_status", "the status before was not known".to_owned());
        };
        let name = now.standing.login.clone().unwrap_or_default();
        let action_id = self.intend(planned, &name, Action::Restore, &now.standing, None)?;
        match self.hands.actor.set_status(&planned.user_id, &status, false).await? {
            Wrote::Done(user) if user.status.as_deref() == Some(status.as_str()) => {
                let Standing { group_ids, aliases, .. } = now.standing.clone();
                let after = standing(&user, group_ids, aliases, &self.code_names());
                let came = Came { after: Some(after), http_status: Some(200), ..Came::new(Outcome::Done) };
                self.conclude(&action_id, came)?;
                Ok(None)
            }
            Wrote::Done(_) => {
                let reason = "Box took the change and shows another status".to_owned();
                self.conclude(&action_id, Came::unknown(Some(200), reason.clone()))?;
                Ok(Some(Fate::Unknown(reason)))
            }
            Wrote::Refused(refusal) => {
                self.refused(planned, Action::Restore, &action_id, &refusal).await.map(Some)
            }
            Wrote::Unknown { status, reason } => {
                self.conclude(&action_id, Came::unknown(status, reason.clone()))?;
                Ok(Some(Fate::Unknown(reason)))
            }
        }
    }

    /// Whether somebody else has edited the account since, by the night or by the admin log behind it.
    fn edited_by_other(&self, planned: &PlannedPerson, ours: &PastAttempt) -> Option<String> {
        let is_ours = |actor: Option<&str>| {
            actor.is_some_and(|actor| {
                actor == self.actor_user_id || self.with_past(|past| past.actor_user_ids.contains(actor))
            })
        };
        let known = self.task.ground.person(&planned.user_id).into_iter().flat_map(|person| &person.edits);
        let of_the_night = known
            .filter(|edit| edit.at > self.at_box(ours.asked_at) && !is_ours(edit.actor_id.as_deref()))
            .map(|edit| edit.at)
            .next();
        let feed = self.feed.lock().expect("no holder panics");
        let heard = feed
            .of(&planned.user_id, &planned.login)
            .filter(|news| matches!(news.event_type.as_str(), "EDIT_USER" | "CHANGE_ADMIN_ROLE"))
            .find(|news| news.at > self.at_box(ours.asked_at) && !is_ours(news.actor_id.as_deref()))
            .map(|news| news.at);
        let at = of_the_night.or(heard)?;
        Some(format!("somebody else edited the account {}, after our suspension", at.format("%F %H:%M UTC")))
    }
}

/// Why a suspension by the plan is not this plan's to take back, unless it has been.
fn left_suspended(person: &PastPerson, left: &PastAttempt) -> Option<String> {
    if left.outcome == Some(Outcome::RevertedByOther) {
        let why = left.reason.as_deref().unwrap_or("somebody else undid it");
        return Some(format!("nothing is taken back: {why}"));
    }
    let since =
        person.attempts.iter().rev().take_while(|past| past.attempt.action_id != left.attempt.action_id);
    let by =
        since.filter(|past| past.attempt.action == Action::Suspend && past.may_have_happened()).last()?;
    Some(format!("plan {} suspended the account once more", by.attempt.plan_id))
}

/// Where content went that stays there.
fn moved(transfer: &PastAttempt) -> String {
    let receiver = transfer.attempt.receiver_user_id.as_deref().unwrap_or("somebody");
    match &transfer.destination_folder_id {
        Some(folder) => format!("the content stays with user {receiver}, in folder {folder}"),
        None => format!("the content is with user {receiver}, or on its way there"),
    }
}
