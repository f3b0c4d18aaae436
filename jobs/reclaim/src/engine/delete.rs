//! R11, R15, R16: deleting accounts that are proved empty, without force, and confirming that they are gone.

use boxseat_pipeline::client::Wrote;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Outcome, ReasonCode};
use chrono::TimeDelta;

use super::confirm::Presence;
use super::recheck::Recheck;
use super::{Applied, CallResult, Run, Skip, UserOutcome};
use crate::error::Error;
use crate::rules::emptiness::{Emptiness, emptiness};
use crate::rules::evaluator::Evaluator;
use crate::rules::offboarding::Progress;

/// Users deleted between two readings of the admin log (R11).
const BATCH: usize = 20;

impl Run<'_> {
    /// One after the other; the admin log is read up to the present before each batch.
    pub(super) async fn delete_everybody(
        &self,
        evaluator: Option<&Evaluator<'_>>,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        let work: Vec<&PlannedPerson> = self
            .task
            .plan
            .people
            .iter()
            .filter(|planned| planned.actions.contains(&Action::Delete) && !self.is_done(planned))
            // R19: content that is not moving yet, or may still be moving, is not checked for a deletion.
            .filter(|planned| {
                planned
                    .actions
                    .iter()
                    .all(|action| *action == Action::Delete || self.has_done(planned, *action))
            })
            .collect();
        for (n, batch) in work.chunks(BATCH).enumerate() {
            if n > 0
                && let Err(e) = self.walk_feed().await
            {
                self.halt(e);
            }
            for planned in batch {
                if self.is_halted() {
                    return Ok(());
                }
                if let Some(fate) = self.delete(evaluator, planned).await? {
                    applied.set(planned, fate);
                }
            }
        }
        Ok(())
    }

    async fn delete(
        &self,
        evaluator: Option<&Evaluator<'_>>,
        planned: &PlannedPerson,
    ) -> Result<Option<UserOutcome>, Error> {
        if let Some(steps) = self.deletion_is_not_due(planned) {
            return Ok(Some(UserOutcome::NotDue(steps)));
        }
        let read_at = self.now();
        let now = match self.look(evaluator, planned).await? {
            Recheck::Same(now) => now,
            Recheck::Left(skip) => return self.skip(planned, skip).map(Some),
            Recheck::Halted => return Ok(None),
        };
        if evaluator.is_none()
            && let Some(skip) = self
                .is_unverifiable(planned)
                .or_else(|| self.is_not_watched(planned))
                .or_else(|| self.holds_are_unknown())
        {
            return self.skip(planned, skip).map(Some);
        }
        if let Some(skip) = self.over_cap(&planned.user_id) {
            return self.skip(planned, skip).map(Some);
        }
        if !self.canaries.are_enough() {
            let detail = "a deletion counts as done only while three other active accounts answer, and there are fewer";
            return self.skip(planned, Skip::for_now(ReasonCode::TooFewAccounts, detail)).map(Some);
        }
        // The last check: content may have arrived since the second empty reading.
        self.count_content(&now.user).await?;
        if let Some(skip) = self.is_not_empty(planned) {
            return self.skip(planned, skip).map(Some);
        }
        if !self.may_call(planned) {
            return Ok(None);
        }
        let notify = self.task.policy.is_some_and(|policy| policy.notify);
        let login = now.standing.login.clone().unwrap_or_default();
        let action_id = self.intend(planned, &login, Action::Delete, &now.standing, None)?;
        if let Some(fate) = self.gives_up_if_outdated(planned, &action_id, read_at)? {
            return Ok(Some(fate));
        }
        let (came, fate) = match self.env.actor.delete(&planned.user_id, notify).await? {
            Wrote::Done(()) => match self.canaries.presence(self.env.actor, &planned.user_id).await? {
                Presence::Gone => (
                    CallResult { http_status: Some(204), ..CallResult::new(Outcome::Done) },
                    UserOutcome::Done,
                ),
                Presence::There => {
                    let reason = "Box accepted the deletion and still shows the account".to_owned();
                    (CallResult::unknown(Some(204), reason.clone()), UserOutcome::Unknown(reason))
                }
                Presence::Unclear(reason) => {
                    // R16: it is unknown whether our application still sees the users, so no further user is deleted.
                    self.lost_reach(format!("after a deletion: {reason}"));
                    (CallResult::unknown(Some(204), reason.clone()), UserOutcome::Unknown(reason))
                }
            },
            Wrote::Refused(refusal) => {
                return self.refused(planned, Action::Delete, &action_id, &refusal).await.map(Some);
            }
            Wrote::Unknown { status, reason } => {
                (CallResult::unknown(status, reason.clone()), UserOutcome::Unknown(reason))
            }
        };
        self.conclude(&action_id, came)?;
        Ok(Some(fate))
    }

    /// R19: the steps of a leaver whose deletion comes on a later day. The snapshot of the day after must cover the sign-ins.
    fn deletion_is_not_due(&self, planned: &PlannedPerson) -> Option<String> {
        if !self.is_offboarding() {
            return None;
        }
        let now = self.now();
        let progress = self.with_past(|past| Progress::of(past, self.task.plan, planned, now));
        let from = progress.deletion_from?;
        let watched_to = progress.watched_to?;
        let is_covered = self.task.snapshot.login_coverage.is_some_and(|(_, to)| to >= watched_to);
        let is_night_due = self.task.snapshot.night.now_at >= watched_to + TimeDelta::days(1);
        (now < from || !is_covered && !is_night_due).then(|| progress.steps())
    }

    /// R11, for a user that no policy evaluates: sign-ins were watched until two days after the suspension, and just now.
    fn is_not_watched(&self, planned: &PlannedPerson) -> Option<Skip> {
        let watched = self.with_past(|past| {
            let ours = past.people.get(&planned.user_id)?.suspension()?;
            Some((ours.is_watched(self.task.snapshot.login_coverage), ours.watched_to()))
        });
        let Some((is_covered, watched_to)) = watched else {
            return Some(Skip::finally(ReasonCode::NotSuspended, "the account is not suspended by boxseat"));
        };
        if !is_covered || self.is_feed_stale() {
            let until = watched_to.format("%F %H:%M UTC");
            return Some(Skip::for_now(
                ReasonCode::LateLoginsNotWatched,
                format!("sign-ins must be covered from the suspension to {until}, and up to now"),
            ));
        }
        None
    }

    /// R3, for a user that no policy evaluates: it must be stated who is under legal hold.
    fn holds_are_unknown(&self) -> Option<Skip> {
        let is_said = self.task.policy.is_some_and(|policy| policy.holds.is_some());
        (!is_said).then(|| Skip::for_now(ReasonCode::HoldsUnknown, "no policy says who is under legal hold"))
    }

    /// R15: no later reading can prove that the account is empty.
    fn is_unverifiable(&self, planned: &PlannedPerson) -> Option<Skip> {
        self.is_not_empty(planned).filter(|skip| skip.word == ReasonCode::Unverifiable)
    }

    /// R15, including the reading made just now.
    fn is_not_empty(&self, planned: &PlannedPerson) -> Option<Skip> {
        let now = self.now();
        let proved = self.with_past(|past| {
            let person = past.people.get(&planned.user_id)?;
            Some(emptiness(person, person.transfer()?, now))
        });
        // R19: a leaver's plan waits until its last day.
        let skip = |word, why: String| Skip { is_final: !self.is_offboarding(), ..Skip::finally(word, why) };
        match proved {
            Some(Emptiness::Empty(_)) => None,
            None => Some(skip(ReasonCode::NotVerified, "boxseat has transferred nothing".to_owned())),
            Some(Emptiness::StillMoving(why)) => Some(Skip::for_now(ReasonCode::NotVerified, why)),
            Some(Emptiness::NotEmpty(why)) => Some(skip(ReasonCode::NotEmpty, why)),
            Some(Emptiness::Unverifiable(why)) => Some(skip(ReasonCode::Unverifiable, why)),
            Some(Emptiness::NotYet(at)) => Some(Skip::for_now(
                ReasonCode::NotVerified,
                format!(
                    "two empty readings at least 20 hours apart are required; a reading from {} on can be the second",
                    at.format("%F %H:%M UTC")
                ),
            )),
        }
    }
}
