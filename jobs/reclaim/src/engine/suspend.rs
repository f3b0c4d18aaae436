//! Suspends users and ends their sessions right after it: an open session would stay usable for weeks.

use boxseat_pipeline::client::{Found, TERMINATE_AT_ONCE, Wrote};
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Outcome, ReasonCode, Standing};
use futures::StreamExt;
use futures::stream;

use super::recheck::{Now, Recheck, fails_for_one, standing};
use super::{Applied, CallResult, Run, Skip, UserOutcome};
use crate::error::Error;
use crate::rules::evaluator::Evaluator;
use crate::rules::policy::SharedContent;

impl Run<'_> {
    /// Suspends the users that still qualify, a hundred at a time, several at once. After each hundred their sessions are ended.
    pub(super) async fn suspend_everybody(
        &self,
        evaluator: Option<&Evaluator<'_>>,
        applied: &mut Applied,
    ) -> Result<(), Error> {
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
                .map(|planned| async move { (planned, self.suspend(evaluator, planned).await) })
                .buffer_unordered(self.env.concurrency.max(1));
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
            // Suspended users are signed out, whatever ended the run. After a stop, the next start does so.
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

    /// Ends the sessions of all users that this plan has suspended and not signed out yet.
    pub(super) async fn terminate_waiting(&self, applied: &mut Applied) -> Result<(), Error> {
        for people in self.task.plan.people.chunks(TERMINATE_AT_ONCE) {
            self.terminate(people, applied).await?;
        }
        Ok(())
    }

    /// One user; `None` if the run halts before.
    async fn suspend(
        &self,
        evaluator: Option<&Evaluator<'_>>,
        planned: &PlannedPerson,
    ) -> Result<Option<UserOutcome>, Error> {
        if self.is_halted() {
            return Ok(None);
        }
        let read_at = self.now();
        let now = match self.look(evaluator, planned).await? {
            Recheck::Same(now) => now,
            Recheck::Left(skip) => return self.skip(planned, skip).map(Some),
            Recheck::Halted => return Ok(None),
        };
        if let Some(skip) = self.shares(&now).await? {
            return self.skip(planned, skip).map(Some);
        }
        if let Some(skip) = self.over_cap(&planned.user_id).or_else(|| self.over_daily_cap(&planned.user_id))
        {
            return self.skip(planned, skip).map(Some);
        }
        if !self.may_call(planned) {
            return Ok(None);
        }
        let login = now.standing.login.clone().unwrap_or_default();
        let action_id = self.intend(planned, &login, Action::Suspend, &now.standing, None)?;
        if let Some(fate) = self.gives_up_if_outdated(planned, &action_id, read_at)? {
            return Ok(Some(fate));
        }
        let notify = self.task.policy.is_some_and(|policy| policy.notify);
        let wrote = self.env.actor.set_status(&planned.user_id, "inactive", notify).await?;
        match wrote {
            Wrote::Done(user) if user.status.as_deref() == Some("inactive") => {
                let Standing { group_ids, aliases, .. } = now.standing.clone();
                let after = standing(&user, group_ids, aliases, &self.code_names());
                let came = CallResult {
                    after: Some(after),
                    http_status: Some(200),
                    ..CallResult::new(Outcome::Done)
                };
                self.conclude(&action_id, came)?;
                // Sessions are still to be ended.
                Ok(None)
            }
            Wrote::Done(user) => {
                let status = user.status.as_deref().unwrap_or("none");
                let reason = format!("Box accepted the change and shows the status {status}");
                self.conclude(&action_id, CallResult::unknown(Some(200), reason.clone()))?;
                Ok(Some(UserOutcome::Unknown(reason)))
            }
            Wrote::Refused(refusal) => {
                self.refused(planned, Action::Suspend, &action_id, &refusal).await.map(Some)
            }
            Wrote::Unknown { status, reason } => {
                self.conclude(&action_id, CallResult::unknown(status, reason.clone()))?;
                Ok(Some(UserOutcome::Unknown(reason)))
            }
        }
    }

    /// R6: suspending an owner hides the folders from all collaborators, so they are counted first. Where Box keeps them open, only
    /// the count is needed (R15). The field just read decides, not the snapshot.
    async fn shares(&self, now: &Now) -> Result<Option<Skip>, Error> {
        let content = match self.count_content(&now.user).await {
            // R19: a leaver is locked out even if the content cannot be counted.
            Err(e) if self.is_offboarding() && !e.is_external_failure() => {
                tracing::warn!("the content cannot be counted: {}", e.lines().join(": "));
                return Ok(None);
            }
            content => content?,
        };
        // R19: a leaver is suspended in any case; the summary says what becomes unavailable.
        let rule = match self.task.policy {
            _ if self.is_offboarding() => SharedContent::SuspendAnyway,
            Some(policy) => policy.shared_content,
            None => SharedContent::LeaveOut,
        };
        Ok(match (rule, content.shared_items) {
            _ if now.user.keeps_folders_open() => None,
            (SharedContent::SuspendAnyway, _) | (_, Some(0)) => None,
            (_, None) => Some(Skip::finally(
                ReasonCode::ContentUnreadable,
                "the folders could not be read, and they may be shared",
            )),
            (rule, Some(shared)) => {
                let first = match rule {
                    SharedContent::TransferFirst => ": they move first, by a plan of their own",
                    _ => "",
                };
                Some(Skip::finally(
                    ReasonCode::OwnsSharedContent,
                    format!(
                        "shared items in the root folder: {shared}; they close for all collaborators when the owner is suspended{first}"
                    ),
                ))
            }
        })
    }

    /// Ends the sessions of up to [`TERMINATE_AT_ONCE`] users by one call. When Box refuses it, the users follow one by one:
    /// otherwise one user that Box does not know would keep the others signed in.
    async fn terminate(&self, people: &[PlannedPerson], applied: &mut Applied) -> Result<(), Error> {
        let waiting: Vec<&PlannedPerson> = people
            .iter()
            .filter(|planned| {
                planned.actions.contains(&Action::TerminateSessions)
                    && self.has_done(planned, Action::Suspend)
                    && !self.has_done(planned, Action::TerminateSessions)
                    && !self.is_done(planned)
            })
            .collect();
        let refused = self.end_sessions(&waiting, applied).await?;
        if refused.len() > 1 {
            for planned in refused {
                if self.is_halted() {
                    break;
                }
                self.end_sessions(&[planned], applied).await?;
            }
        }
        Ok(())
    }

    /// One call; returns the named users if Box refused it.
    async fn end_sessions<'p>(
        &self,
        people: &[&'p PlannedPerson],
        applied: &mut Applied,
    ) -> Result<Vec<&'p PlannedPerson>, Error> {
        let mut named = Vec::with_capacity(people.len());
        for planned in people {
            match self.login_now(planned).await? {
                Ok((login, before)) => {
                    let action_id = self.intend(planned, &login, Action::TerminateSessions, &before, None)?;
                    named.push((*planned, login, action_id));
                }
                Err(fate) => applied.set(planned, fate),
            }
        }
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = named.iter().map(|(planned, ..)| planned.user_id.as_str()).collect();
        let logins: Vec<&str> = named.iter().map(|(_, login, _)| login.as_str()).collect();
        let wrote = self.env.actor.terminate_sessions(&ids, &logins).await?;
        for (planned, _, action_id) in &named {
            let (came, fate) = match &wrote {
                Wrote::Done(()) => (
                    CallResult { http_status: Some(202), ..CallResult::new(Outcome::Done) },
                    Some(UserOutcome::Done),
                ),
                Wrote::Refused(refusal) if named.len() == 1 => {
                    let fate = self.refused(planned, Action::TerminateSessions, action_id, refusal).await?;
                    applied.set(planned, fate);
                    continue;
                }
                Wrote::Refused(refusal) => {
                    // The single calls that follow show which user the refusal is about.
                    let came = CallResult { outcome: Outcome::NotDone, ..CallResult::refused(refusal) };
                    (came, Some(UserOutcome::Refused(refusal.to_string())))
                }
                Wrote::Unknown { status, reason } => {
                    (CallResult::unknown(*status, reason.clone()), Some(UserOutcome::Unknown(reason.clone())))
                }
            };
            self.conclude(action_id, came)?;
            let goes_on = planned.actions.contains(&Action::Transfer);
            if let Some(fate) = fate.filter(|fate| *fate != UserOutcome::Done || !goes_on) {
                applied.set(planned, fate);
            }
        }
        let is_refused = matches!(wrote, Wrote::Refused(_));
        Ok(named.into_iter().filter(|_| is_refused).map(|(planned, ..)| planned).collect())
    }

    /// Reads the account just before its sessions are ended. The call names the login that the account has now: the login in the
    /// journal may belong to another user now. `Err`: the call is not made.
    ///
    /// R12, R20: an account that is active again is not signed out.
    async fn login_now(
        &self,
        planned: &PlannedPerson,
    ) -> Result<Result<(String, Standing), UserOutcome>, Error> {
        if let Some(skip) = self.reverted_before(planned) {
            return self.skip(planned, skip).map(Err);
        }
        let waits = |detail: String| Ok(Err(UserOutcome::Waiting(ReasonCode::Closed, detail)));
        let user = match self.env.actor.user(&planned.user_id).await {
            Ok(Found::Is(user)) => user,
            Ok(Found::Gone) => return waits("the account cannot be read: Box answered 404".to_owned()),
            Ok(Found::Closed(refusal)) => return waits(format!("the account cannot be read: {refusal}")),
            Err(e) if fails_for_one(&e, self.env.actor, &self.canaries).await? => {
                return waits(format!("the account cannot be read: {e}"));
            }
            Err(e) => return Err(e.into()),
        };
        if user.status.as_deref() != Some("inactive") {
            let skip = self.reverted(planned)?;
            return self.skip(planned, skip).map(Err);
        }
        let Some(login) = user.login.filter(|login| !login.is_empty()) else {
            return waits("the account has no login, and ending sessions needs it".to_owned());
        };
        let left = self.with_past(|past| past.people.get(&planned.user_id)?.suspension()?.after.clone());
        let left = left.unwrap_or_else(|| planned.baseline.clone());
        if let Some(detail) = self.is_login_of_other(planned, &login, &left).await? {
            return Ok(Err(UserOutcome::Waiting(ReasonCode::LoginOfOther, detail)));
        }
        let before = Standing { login: Some(login.clone()), status: user.status, ..left };
        Ok(Ok((login, before)))
    }

    /// Whether another account has the login. Box is queried if the login is not the one that we suspended, or if the snapshot has
    /// it at another account.
    async fn is_login_of_other(
        &self,
        planned: &PlannedPerson,
        login: &str,
        left: &Standing,
    ) -> Result<Option<String>, Error> {
        let is_same =
            |other: &Option<String>| other.as_deref().is_some_and(|other| other.eq_ignore_ascii_case(login));
        let is_other = |user_id: &str| user_id != planned.user_id;
        let mut people = self.task.snapshot.people.values();
        if is_same(&left.login) && !people.any(|person| is_other(&person.user_id) && is_same(&person.login)) {
            return Ok(None);
        }
        let ids = match self.env.actor.ids_of_login(login).await {
            Ok(Found::Is(ids)) => ids,
            Ok(Found::Gone) => Vec::new(),
            Ok(Found::Closed(refusal)) => {
                return Ok(Some(format!("the owner of the login {login} cannot be read: {refusal}")));
            }
            Err(e) if fails_for_one(&e, self.env.actor, &self.canaries).await? => {
                return Ok(Some(format!("the owner of the login {login} cannot be read: {e}")));
            }
            Err(e) => return Err(e.into()),
        };
        let other = ids.into_iter().find(|id| is_other(id));
        Ok(other.map(|id| {
            format!("the login {login} belongs to user {id} now, whose sessions would be ended as well")
        }))
    }
}
