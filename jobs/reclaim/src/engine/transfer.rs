//! R4, R14: transfers all content of a user to a receiver: once, and only to a receiver that exists, has room, and keeps its seat.

use std::time::Duration;

use boxseat_pipeline::client::{Found, Refusal, RefusalKind, Wrote};
use boxseat_schemas::box_api::User;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Ability, Action, Outcome, ReasonCode, Record, Standing};
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::other_account::other_account;
use super::recheck::{Recheck, fails_for_one};
use super::{Applied, CallResult, Run, Skip, UserOutcome};
use crate::error::Error;
use crate::rules::emptiness::{APART, Count, count_before};
use crate::rules::evaluator::Evaluator;
use crate::rules::figures::size;
use crate::rules::policy::WhenRefused;

/// R14: what follows from a refusal under `when_refused = "stop"`.
const STAYS_FULL: &str = "Box may not move content of an inactive account: the content stays and so does the seat; [transfer] when_refused = \"reactivate\" makes the account active for the transfer";

/// After this time a 200 only means that ten minutes are over (API facts 7.4).
const ANSWERED_TOO_LATE: Duration = Duration::from_secs(9 * 60 + 30);

impl Run<'_> {
    /// One after the other: a receiver never gets two transfers at once, and each receiver is read again just before.
    pub(super) async fn transfer_everybody(
        &self,
        evaluator: Option<&Evaluator<'_>>,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        for planned in &self.task.plan.people {
            let is_ours = planned.actions.contains(&Action::Transfer)
                && !self.is_done(planned)
                && !self.has_done(planned, Action::Transfer);
            if !is_ours {
                continue;
            }
            if self.is_halted() {
                break;
            }
            if let Some(fate) = self.transfer(evaluator, planned).await? {
                applied.set(planned, fate);
            }
        }
        Ok(())
    }

    async fn transfer(
        &self,
        evaluator: Option<&Evaluator<'_>>,
        planned: &PlannedPerson,
    ) -> Result<Option<UserOutcome>, Error> {
        if planned.actions.contains(&Action::Suspend) && !self.has_done(planned, Action::Suspend) {
            // Without the suspension the content is not moved either; the outcome says why.
            return Ok(None);
        }
        if let Some(reason) = self.begun_before(planned) {
            return Ok(Some(UserOutcome::Unknown(reason)));
        }
        if let Some(reason) = self.waits_a_night(planned) {
            return Ok(Some(UserOutcome::Waiting(ReasonCode::Locked, reason)));
        }
        if self.is_offboarding()
            && self.is_feed_stale()
            && let Err(e) = self.walk_feed().await
        {
            if e.is_external_failure() {
                return Err(e);
            }
            // R19 allows only the suspension of a leaver without the admin log.
            let skip = Skip::for_now(ReasonCode::AdminLogUnread, e.lines().join(": "));
            return self.skip(planned, skip).map(Some);
        }
        let read_at = self.now();
        let now = match self.look(evaluator, planned).await? {
            Recheck::Same(now) => now,
            Recheck::Left(skip) => return self.skip(planned, skip).map(Some),
            Recheck::Halted => return Ok(None),
        };
        let Some(receiver_id) = planned.receiver_user_id.clone() else {
            return self
                .skip(planned, Skip::finally(ReasonCode::NoReceiver, "the plan names no receiver"))
                .map(Some);
        };
        if let Some(skip) = self.over_cap(&planned.user_id) {
            return self.skip(planned, skip).map(Some);
        }
        if let Some(why) = self.receiver_is_unfit(planned, &receiver_id, now.user.space_used).await? {
            if self.is_halted() {
                return Ok(None);
            }
            return self.skip(planned, Skip::for_now(ReasonCode::ReceiverUnfit, why)).map(Some);
        }
        self.count_content(&now.user).await?;
        if let Some(skip) = self.may_be_transferred(planned) {
            return self.skip(planned, skip).map(Some);
        }
        if now.user.space_used.is_none() {
            let detail = "Box does not say how many bytes are in use, so nothing could prove later that they have moved";
            return self.skip(planned, Skip::for_now(ReasonCode::ContentUnreadable, detail)).map(Some);
        }
        if self.owns_nothing(planned) {
            let fate = self.transfer_nothing(planned, &now.standing, &receiver_id)?;
            self.read_moved(&planned.user_id).await?;
            return Ok(Some(fate));
        }
        let is_inactive = now.standing.status.as_deref() == Some("inactive");
        let reactivates = is_inactive && self.reactivates();
        if reactivates && self.is_known_to_refuse() {
            return self.transfer_in_window(planned, &now, &receiver_id).await;
        }
        if is_inactive && !self.is_offboarding() && self.is_known_to_refuse() {
            return self.skip(planned, Skip::finally(ReasonCode::TransferRefused, STAYS_FULL)).map(Some);
        }
        if self.count(planned).is_none() && !self.is_offboarding() {
            let detail = "the content was not counted before the suspension, and Box does not show it now: nothing could \
                prove later that it has moved";
            return self.skip(planned, Skip::finally(ReasonCode::ContentUnreadable, detail)).map(Some);
        }
        let (fate, refusal) = self.request_transfer(planned, &now.standing, &receiver_id, read_at).await?;
        let Some(refusal) = refusal else {
            if fate == UserOutcome::Done {
                if is_inactive {
                    self.learn_transfer(planned, None)?;
                }
                // The first of the two readings; the second may come 20 hours later.
                self.read_moved(&planned.user_id).await?;
            }
            return Ok(Some(fate));
        };
        self.learn_transfer(planned, Some(&refusal))?;
        if reactivates {
            return self.transfer_in_window(planned, &now, &receiver_id).await;
        }
        // A leaver's plan tries again until its last day (R19).
        if !self.is_offboarding() {
            self.skip(
                planned,
                Skip::finally(ReasonCode::TransferRefused, format!("{refusal}; {STAYS_FULL}")),
            )?;
        }
        Ok(Some(fate))
    }

    /// Writes the intent, calls Box once, and writes the response. Returns the refusal if Box requires an active account.
    pub(super) async fn request_transfer(
        &self,
        planned: &PlannedPerson,
        before: &Standing,
        receiver_id: &str,
        read_at: DateTime<Utc>,
    ) -> Result<(UserOutcome, Option<Refusal>), Error> {
        if !self.may_call(planned) {
            return Ok((UserOutcome::NotAttempted, None));
        }
        let notify = self.task.policy.is_some_and(|policy| policy.notify);
        let login = before.login.clone().unwrap_or_default();
        let action_id = self.intend(planned, &login, Action::Transfer, before, Some(receiver_id))?;
        if let Some(fate) = self.gives_up_if_outdated(planned, &action_id, read_at)? {
            return Ok((fate, None));
        }
        let asked_at = Instant::now();
        let wrote = self.env.actor.transfer(&planned.user_id, receiver_id, notify).await?;
        let is_inactive = before.status.as_deref() == Some("inactive");
        // R16: if Box does not show an ordinary account, the refusal is about our application.
        let wants_active = matches!(&wrote, Wrote::Refused(refusal) if is_inactive && needs_active(refusal))
            && matches!(self.canaries.one_answers(self.env.actor).await, Ok(true));
        let (came, fate, refusal) = match wrote {
            Wrote::Done(folder) if asked_at.elapsed() < ANSWERED_TOO_LATE => {
                let came = CallResult {
                    http_status: Some(200),
                    destination_folder_id: Some(folder),
                    ..CallResult::new(Outcome::Done)
                };
                (came, UserOutcome::Done, None)
            }
            Wrote::Done(folder) => {
                let reason =
                    "Box answered after ten minutes, as it does while the transfer still runs".to_owned();
                let came = CallResult {
                    destination_folder_id: Some(folder),
                    ..CallResult::unknown(Some(200), reason.clone())
                };
                (came, UserOutcome::Unknown(reason), None)
            }
            Wrote::Refused(refusal) if wants_active => {
                let outcome = if self.reactivates() { Outcome::NotDone } else { Outcome::Refused };
                let came = CallResult { outcome, ..CallResult::refused(&refusal) };
                (came, UserOutcome::Refused(format!("{refusal}; {STAYS_FULL}")), Some(refusal))
            }
            Wrote::Refused(refusal) => {
                let fate = self.refused(planned, Action::Transfer, &action_id, &refusal).await?;
                return Ok((fate, None));
            }
            Wrote::Unknown { status, reason } => {
                (CallResult::unknown(status, reason.clone()), UserOutcome::Unknown(reason), None)
            }
        };
        self.conclude(&action_id, came)?;
        Ok((fate, refusal))
    }

    /// R15: whether 0 items were counted and no bytes were in use since.
    fn owns_nothing(&self, planned: &PlannedPerson) -> bool {
        self.count(planned) == Some(Count { items: 0, bytes: 0 })
    }

    /// Box has nothing to move, or to refuse: no call is made. The two readings of R15 still follow.
    fn transfer_nothing(
        &self,
        planned: &PlannedPerson,
        before: &Standing,
        receiver_id: &str,
    ) -> Result<UserOutcome, Error> {
        let login = before.login.clone().unwrap_or_default();
        let action_id = self.intend(planned, &login, Action::Transfer, before, Some(receiver_id))?;
        let why = "nothing to transfer: 0 items were counted and no bytes are in use; no call was made";
        self.conclude(&action_id, CallResult::new(Outcome::Done).because(why))?;
        Ok(UserOutcome::Done)
    }

    /// R14: whether the policy lets an account be active for its transfer.
    fn reactivates(&self) -> bool {
        self.task.policy.is_some_and(|policy| policy.when_refused == WhenRefused::Reactivate)
    }

    /// R14: whether this Box is known not to move content of inactive accounts.
    fn is_known_to_refuse(&self) -> bool {
        self.with_past(|past| past.allows(Ability::TransferFromInactive, self.now())) == Some(false)
    }

    /// R15: what the account owns, as counted now or before the suspension.
    fn count(&self, planned: &PlannedPerson) -> Option<Count> {
        let now = self.now();
        self.with_past(|past| count_before(past.people.get(&planned.user_id)?, &self.task.plan.plan_id, now))
    }

    /// R14: records whether this Box moves content of an inactive account, if that was not known.
    fn learn_transfer(&self, planned: &PlannedPerson, refusal: Option<&Refusal>) -> Result<(), Error> {
        let is_allowed = refusal.is_none();
        let known = self.with_past(|past| past.allows(Ability::TransferFromInactive, self.now()));
        // One refusal among successful transfers is about this account alone.
        if known == Some(is_allowed) || known == Some(true) {
            return Ok(());
        }
        self.write(Record::BoxAllows {
            ability: Ability::TransferFromInactive,
            is_allowed,
            user_id: planned.user_id.clone(),
            detail: refusal.map(ToString::to_string),
        })
    }

    /// R14: there is never a second transfer. Reads show what the first one did.
    fn begun_before(&self, planned: &PlannedPerson) -> Option<String> {
        self.with_past(|past| {
            let transfer = past.people.get(&planned.user_id)?.transfer()?;
            Some(format!(
                "a transfer to {} was begun {}; later reads show whether it is done",
                transfer.attempt.receiver_user_id.as_deref().unwrap_or("an unknown user"),
                transfer.asked_at.format("%F %H:%M UTC")
            ))
        })
    }

    /// R14: a locked account is tried again the next day.
    fn waits_a_night(&self, planned: &PlannedPerson) -> Option<String> {
        let last = self.with_past(|past| {
            let person = past.people.get(&planned.user_id)?;
            person
                .by_plan(&self.task.plan.plan_id)
                .rfind(|past| past.attempt.action == Action::Transfer)
                .cloned()
        })?;
        let is_fresh = self.now() - last.asked_at < APART && last.http_status.is_some();
        (last.outcome == Some(Outcome::NotDone) && is_fresh).then(|| {
            format!(
                "the last request was {}, and the next one is made 20 hours later at the earliest",
                last.asked_at.format("%F %H:%M UTC")
            )
        })
    }

    /// R4: why the receiver, read just now, cannot receive so much.
    async fn receiver_is_unfit(
        &self,
        planned: &PlannedPerson,
        receiver_id: &str,
        bytes: Option<i64>,
    ) -> Result<Option<String>, Error> {
        let (open_plan, busy) = self.with_past(|past| {
            let ours = past.people.get(receiver_id).and_then(|known| known.suspension());
            let source_in = past.open_plan_of(receiver_id).or(ours.map(|ours| ours.attempt.plan_id.as_str()));
            let busy = past.unfinished().any(|attempt| {
                attempt.attempt.action == Action::Transfer
                    && attempt.attempt.receiver_user_id.as_deref() == Some(receiver_id)
            });
            (source_in.map(str::to_owned), busy)
        });
        if let Some(plan_id) = open_plan {
            let receiver =
                self.task.snapshot.person(receiver_id).map_or(receiver_id, |person| person.called());
            return Ok(Some(format!("the receiver {receiver} loses the seat by plan {plan_id}")));
        }
        if busy {
            return Ok(Some(format!(
                "another transfer to {receiver_id} is not known to be done, and a receiver gets one at a time"
            )));
        }
        let found = match self.env.actor.user(receiver_id).await {
            Err(e) if fails_for_one(&e, self.env.actor, &self.canaries).await? => {
                return Ok(Some(format!("the receiver {receiver_id} cannot be read: {e}")));
            }
            found => found?,
        };
        let user = match found {
            Found::Is(user) => user,
            Found::Gone => return Ok(Some(format!("the receiver {receiver_id} is gone"))),
            Found::Closed(refusal) => {
                self.denied(&refusal).await?;
                return Ok(Some(format!("the receiver {receiver_id} cannot be read: {refusal}")));
            }
        };
        if let Some(other) = other_account(self.task.snapshot.person(receiver_id), &user, false) {
            return Ok(Some(format!("the receiver {receiver_id}: {}", other.detail)));
        }
        let login = user.login.as_deref().map(str::to_lowercase);
        if login != planned.receiver_login.as_deref().map(str::to_lowercase) {
            return Ok(Some(format!(
                "the receiver {receiver_id} has the login {} now, and the plan names {}",
                user.login.as_deref().unwrap_or("none"),
                planned.receiver_login.as_deref().unwrap_or("none")
            )));
        }
        Ok(unfit(&user, &self.task.plan.enterprise_id, bytes)
            .map(|why| format!("the receiver {} {why}", user.login.as_deref().unwrap_or(receiver_id))))
    }
}

/// R14: whether a refusal may mean that the source must be active: a 400 or 403 that gives no other reason (API facts 7.4).
fn needs_active(refusal: &Refusal) -> bool {
    matches!(refusal.status, 400 | 403) && refusal.kind == RefusalKind::Other
}

/// R4: managed, active, unrestricted, an ordinary user, with room.
pub(crate) fn unfit(user: &User, enterprise_id: &str, bytes: Option<i64>) -> Option<String> {
    if user.enterprise.as_ref().and_then(|enterprise| enterprise.id.as_deref()) != Some(enterprise_id) {
        return Some("is not of this enterprise".to_owned());
    }
    if user.is_platform_access_only == Some(true) {
        return Some("is an app user".to_owned());
    }
    if user.role.as_deref() != Some("user") {
        return Some(format!("has the role {}", user.role.as_deref().unwrap_or("none that is known")));
    }
    if user.status.as_deref() != Some("active") {
        return Some(format!("has the status {}", user.status.as_deref().unwrap_or("none that is known")));
    }
    if user.has_unlimited_space() == Some(true) {
        return None;
    }
    let room = user.space_amount.zip(user.space_used).map(|(amount, used)| amount.saturating_sub(used));
    match (room, bytes) {
        (Some(room), Some(bytes)) if bytes <= room => None,
        (Some(room @ ..0), Some(bytes)) => Some(format!(
            "has no room, because its quota is exceeded by {}, and {} are to move",
            size(room.saturating_neg()),
            size(bytes)
        )),
        (Some(room), Some(bytes)) => {
            Some(format!("has room for {}, and {} are to move", size(room), size(bytes)))
        }
        _ => Some("has a quota that is not known".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R4: a receiver is accepted only without any doubt.
    #[test]
    fn r4_receivers_are_read_again_and_must_be_fit() {
        let user = |text: &str| -> User {
            serde_json::from_str(&format!(r#"{{"id":"1","role":"user","status":"active","enterprise":{{"id":"9"}},"space_amount":100,"space_used":40{text}}}"#)).unwrap()
        };
        let why = |user: User, bytes| unfit(&user, "9", bytes).unwrap_or_default();
        assert_eq!(why(user(""), Some(60)), "");
        assert!(why(user(""), Some(61)).contains("room for 60 B"));
        assert!(why(user(""), None).contains("not known"));
        let with = |pairs: &[(&str, serde_json::Value)]| {
            let mut value = serde_json::json!({"id":"1","role":"user","status":"active","enterprise":{"id":"9"},"space_amount":-1,"space_used":40});
            for (key, new) in pairs {
                value[*key] = new.clone();
            }
            serde_json::from_value::<User>(value).unwrap()
        };
        assert_eq!(why(with(&[]), Some(i64::MAX)), "", "unlimited");
        // Why: "has room for -56208919378 B".
        let over = with(&[("space_amount", 100.into()), ("space_used", 2_100.into())]);
        assert_eq!(
            why(over, Some(0)),
            "has no room, because its quota is exceeded by 2.0 KB, and 0 B are to move"
        );
        assert!(why(with(&[("status", "inactive".into())]), Some(0)).contains("inactive"));
        assert!(
            why(with(&[("status", "cannot_delete_edit".into())]), Some(0)).contains("cannot_delete_edit")
        );
        assert!(why(with(&[("role", "coadmin".into())]), Some(0)).contains("coadmin"));
        assert!(why(with(&[("enterprise", serde_json::Value::Null)]), Some(0)).contains("enterprise"));
        assert!(why(with(&[("is_platform_access_only", true.into())]), Some(0)).contains("app user"));
    }
}
