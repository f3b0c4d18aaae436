//! Suspending, and ending sessions right behind it: whoever is still signed in could go on working for weeks.

use boxseat_pipeline::client::{Found, TERMINATE_AT_ONCE, Wrote};
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Outcome, Standing};
use chrono::TimeDelta;
use futures::StreamExt;
use futures::stream;

use super::super::judge::Judge;
use super::super::policy::SharedContent;
use super::reread::{Looked, Now, is_about_one, standing};
use super::{Applied, Came, Fate, Run, Skip};
use crate::error::CommandError;

/// For so long after a suspension its outcome is news enough.
const RIGHT_BEHIND: TimeDelta = TimeDelta::minutes(5);

impl Run<'_> {
    /// Suspends whoever still qualifies, a hundred at a time, several at once; after each hundred their sessions are ended.
    pub(super) async fn suspend_everybody(
        &self,
        judge: Option<&Judge<'_>>,
        applied: &mut Applied,
    ) -> Result<(), CommandError> {
        for people in self.task.plan.people.chunks(TERMINATE_AT_ONCE) {
            if self.is_halted() {
                break;
            }
            let work = people.iter().filter(|planned| {
                planned.actions.contains(&Action::Suspend)
                    && !self.is_done(planned)
                    && !self.has_done(planned, Action::Suspend)
            });
            let mut fates = stream::iter(work)
                .map(|planned| async move { (planned, self.suspend(judge, planned).await) })
                .buffer_unordered(self.hands.concurrency.max(1));
            let mut failed = None;
            while let Some((planned, fate)) = fates.next().await {
                match fate {
                    Ok(Some(fate)) => applied.set(planned, fate),
                    Ok(None) => {}
                    Err(e) => {
                        failed = Some(e);
                        break;
                    }
                }
            }
            drop(fates);
            // Whatever ended it, who is suspended is signed out; of a stop, the next start does so.
            match failed {
                Some(e) if !e.is_external_failure() => {
                    self.terminate(people, applied).await?;
                    return Err(e);
                }
                Some(e) => return Err(e),
                None => self.terminate(people, applied).await?,
            }
        }
        Ok(())
    }

    /// Ends the sessions of everybody whom this plan has suspended and not signed out yet.
    pub(super) async fn terminate_waiting(&self, applied: &mut Applied) -> Result<(), CommandError> {
        for people in self.task.plan.people.chunks(TERMINATE_AT_ONCE) {
            self.terminate(people, applied).await?;
        }
        Ok(())
    }

    /// One person; `None` when the run halts before.
    async fn suspend(
        &self,
        judge: Option<&Judge<'_>>,
        planned: &PlannedPerson,
    ) -> Result<Option<Fate>, CommandError> {
        if self.is_halted() {
            return Ok(None);
        }
        let now = match self.look(judge, planned).await? {
            Looked::Same(now) => now,
            Looked::Left(skip) => return self.skip(planned, skip).map(Some),
            Looked::Halted => return Ok(None),
        };
        if let Some(skip) = self.shares(&now).await? {
            return self.skip(planned, skip).map(Some);
        }
        if let Some(skip) = self.over_cap(&planned.user_id).or_else(|| self.over_daily_cap(&planned.user_id))
        {
            return self.skip(planned, skip).map(Some);
        }
        if self.is_halted() {
            return Ok(None);
        }
        let login = now.standing.login.clone().unwrap_or_default();
        let action_id = self.intend(planned, &login, Action::Suspend, &now.standing, None)?;
        let notify = self.task.policy.is_some_and(|policy| policy.notify);
        let wrote = self.hands.actor.set_status(&planned.user_id, "inactive", notify).await?;
        match wrote {
            Wrote::Done(user) if user.status.as_deref() == Some("inactive") => {
                self.obeyed();
                let Standing { group_ids, aliases, .. } = now.standing.clone();
                let after = standing(&user, group_ids, aliases, &self.code_names());
                let came = Came { after: Some(after), http_status: Some(200), ..Came::new(Outcome::Done) };
                self.conclude(&action_id, came)?;
                // Sessions are still to be ended.
                Ok(None)
            }
            Wrote::Done(user) => {
                let status = user.status.as_deref().unwrap_or("none");
                let reason = format!("Box took the change and shows the status {status}");
                self.conclude(&action_id, Came::unknown(Some(200), reason.clone()))?;
                Ok(Some(Fate::Unknown(reason)))
            }
            Wrote::Refused(refusal) => {
                self.conclude(&action_id, Came::refused(&refusal))?;
                if matches!(refusal.status, 401 | 403) {
                    self.refused(&refusal).await?;
                }
                Ok(Some(Fate::Refused(refusal.to_string())))
            }
            Wrote::Unknown { status, reason } => {
                self.conclude(&action_id, Came::unknown(status, reason.clone()))?;
                Ok(Some(Fate::Unknown(reason)))
            }
        }
    }

    /// R6: suspending an owner hides the folders from everybody who works in them, so they are counted first.
    async fn shares(&self, now: &Now) -> Result<Option<Skip>, CommandError> {
        let content = self.count_content(&now.user).await?;
        // R19: whoever leaves is suspended all the same; the summary says what disappears meanwhile.
        let rule = match self.task.policy {
            _ if self.is_offboarding() => SharedContent::SuspendAnyway,
            Some(policy) => policy.shared_content,
            None => SharedContent::LeaveOut,
        };
        Ok(match (rule, content.shared_items) {
            (SharedContent::SuspendAnyway, _) | (_, Some(0)) => None,
            (_, None) => Some(Skip::finally(
                "content_unreadable",
                "the folders could not be looked into, and others may work in them",
            )),
            (rule, Some(shared)) => {
                let first = match rule {
                    SharedContent::TransferFirst => ": they move first, by a plan of their own",
                    _ => "",
                };
                Some(Skip::finally(
                    "owns_shared_content",
                    format!(
                        "shared items in the root folder: {shared}; they close for everybody when the owner is suspended{first}"
                    ),
                ))
            }
        })
    }

    /// Ends sessions of up to a hundred people by one call; when Box refuses it, one by one.
    async fn terminate(&self, people: &[PlannedPerson], applied: &mut Applied) -> Result<(), CommandError> {
        let waiting: Vec<&PlannedPerson> = people
            .iter()
            .filter(|planned| {
                planned.actions.contains(&Action::TerminateSessions)
                    && self.has_done(planned, Action::Suspend)
                    && !self.has_done(planned, Action::TerminateSessions)
                    && !self.is_done(planned)
            })
            .collect();
        let mut still = Vec::with_capacity(waiting.len());
        for planned in waiting {
            match self.is_still_suspended(planned).await? {
                None => still.push(planned),
                Some(fate) => applied.set(planned, fate),
            }
        }
        let waiting = still;
        if waiting.is_empty() {
            return Ok(());
        }
        let refused = self.terminate_at_once(&waiting, applied).await?;
        // One person whom Box does not know would leave the others signed in.
        if refused && waiting.len() > 1 {
            for planned in &waiting {
                self.terminate_at_once(&[planned], applied).await?;
            }
        }
        Ok(())
    }

    /// R12, R20: whom somebody else has made active again is not signed out. Right behind our own call nobody need be asked.
    async fn is_still_suspended(&self, planned: &PlannedPerson) -> Result<Option<Fate>, CommandError> {
        if let Some(skip) = self.reverted_before(planned) {
            return self.skip(planned, skip).map(Some);
        }
        let suspended_at =
            self.with_past(|past| past.people.get(&planned.user_id)?.suspension()?.finished_at);
        if suspended_at.is_some_and(|at| self.now() - at < RIGHT_BEHIND) {
            return Ok(None);
        }
        match self.hands.actor.user(&planned.user_id).await {
            Ok(Found::Is(user)) if user.status.as_deref() == Some("inactive") => Ok(None),
            Ok(Found::Is(_)) => {
                let skip = self.reverted(planned)?;
                self.skip(planned, skip).map(Some)
            }
            Ok(Found::Gone | Found::Closed(_)) => {
                Ok(Some(Fate::Waiting("closed", "the person cannot be read".to_owned())))
            }
            Err(e) if is_about_one(&e) => {
                Ok(Some(Fate::Waiting("closed", format!("the person cannot be read: {e}"))))
            }
            Err(e) => Err(e.into()),
        }
    }

    async fn terminate_at_once(
        &self,
        people: &[&PlannedPerson],
        applied: &mut Applied,
    ) -> Result<bool, CommandError> {
        let mut intents = Vec::with_capacity(people.len());
        for planned in people {
            let before = self.with_past(|past| {
                let ours = past.people.get(&planned.user_id)?.suspension()?;
                ours.after.clone()
            });
            let before = before.unwrap_or_else(|| planned.baseline.clone());
            let login = before.login.clone().unwrap_or_else(|| planned.login.clone());
            let action_id = self.intend(planned, &login, Action::TerminateSessions, &before, None)?;
            intents.push((*planned, login, action_id));
        }
        let ids: Vec<&str> = people.iter().map(|planned| planned.user_id.as_str()).collect();
        let logins: Vec<&str> = intents.iter().map(|(_, login, _)| login.as_str()).collect();
        let wrote = self.hands.actor.terminate_sessions(&ids, &logins).await?;
        for (planned, _, action_id) in &intents {
            let (came, fate) = match &wrote {
                Wrote::Done(()) => {
                    (Came { http_status: Some(202), ..Came::new(Outcome::Done) }, Some(Fate::Done))
                }
                Wrote::Refused(refusal) => (Came::refused(refusal), Some(Fate::Refused(refusal.to_string()))),
                Wrote::Unknown { status, reason } => {
                    (Came::unknown(*status, reason.clone()), Some(Fate::Unknown(reason.clone())))
                }
            };
            self.conclude(action_id, came)?;
            let goes_on = planned.actions.contains(&Action::Transfer);
            if let Some(fate) = fate.filter(|fate| *fate != Fate::Done || !goes_on) {
                applied.set(planned, fate);
            }
        }
        Ok(matches!(wrote, Wrote::Refused(_)))
    }
}
