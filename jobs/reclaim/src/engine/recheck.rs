//! R12: the user as Box shows it now, and whether that is still the user that was approved.

use boxseat_pipeline::client::{BoxActor, Found};
use boxseat_schemas::box_api::User;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Outcome, ReasonCode, Standing};
use chrono::{DateTime, TimeDelta, Utc};

use super::begin::SNAPSHOT_MAX_AGE;
use super::confirm::Canaries;
use super::feed::News;
use super::other_account::other_account;
use super::{CallResult, Run, Skip, Task, UserOutcome};
use crate::error::Error;
use crate::rules::evaluator::{Evaluator, Verdict, changed, never};
use crate::rules::offboarding;
use crate::rules::snapshot::{Person, Snapshot};

/// A user, read just now.
pub struct Now {
    pub(crate) user: User,
    /// What a plan compares.
    pub standing: Standing,
}

/// A call may follow within this time after the account was read (R12). A process can be stopped, and a machine can sleep, between
/// two lines.
pub(super) const READING_HOLDS: TimeDelta = TimeDelta::minutes(2);

/// Reads user, memberships and aliases.
pub(crate) async fn reread(
    actor: &BoxActor,
    user_id: &str,
    code_names: &[&str],
) -> Result<Found<Now>, boxseat_pipeline::Error> {
    let user = match actor.user(user_id).await? {
        Found::Is(user) => user,
        Found::Gone => return Ok(Found::Gone),
        Found::Closed(refusal) => return Ok(Found::Closed(refusal)),
    };
    let (groups, aliases) = tokio::try_join!(actor.group_ids(user_id), actor.aliases(user_id))?;
    let (group_ids, aliases) = match (groups, aliases) {
        (Found::Is(groups), Found::Is(aliases)) => (groups, aliases),
        (Found::Closed(refusal), _) | (_, Found::Closed(refusal)) => return Ok(Found::Closed(refusal)),
        (Found::Gone, _) | (_, Found::Gone) => return Ok(Found::Gone),
    };
    let standing = standing(&user, group_ids, aliases, code_names);
    Ok(Found::Is(Now { user, standing }))
}

/// Like [`reread`]. For a leaver who is to be locked out (R19), `known` is the user of the snapshot: groups and aliases that Box does
/// not show are taken from it.
pub(crate) async fn reread_to_lock_out(
    actor: &BoxActor,
    user_id: &str,
    code_names: &[&str],
    known: Option<&Person>,
) -> Result<Found<Now>, boxseat_pipeline::Error> {
    let read = reread(actor, user_id, code_names).await;
    let (Err(error), Some(known)) = (&read, known.filter(|known| known.are_groups_known)) else {
        return read;
    };
    let user = match actor.user(user_id).await? {
        Found::Is(user) => user,
        Found::Gone => return Ok(Found::Gone),
        Found::Closed(refusal) => return Ok(Found::Closed(refusal)),
    };
    tracing::warn!("groups and aliases of user {user_id} are those of the latest snapshot: {error}");
    let standing = standing(&user, known.group_ids.clone(), known.aliases.clone(), code_names);
    Ok(Found::Is(Now { user, standing }))
}

/// The fields of a user that are compared.
pub(super) fn standing(
    user: &User,
    group_ids: Vec<String>,
    aliases: Vec<String>,
    code_names: &[&str],
) -> Standing {
    let mut tracking_codes: Vec<String> = codes(user)
        .filter(|(name, _)| code_names.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    tracking_codes.sort();
    Standing {
        user_id: user.id.clone(),
        login: user.login.clone(),
        status: user.status.clone(),
        role: user.role.clone(),
        enterprise_id: user.enterprise.as_ref().and_then(|enterprise| enterprise.id.clone()),
        is_platform_access_only: user.is_platform_access_only,
        external_app_user_id: user.external_app_user_id.clone(),
        tracking_codes,
        group_ids,
        aliases,
    }
}

fn codes(user: &User) -> impl Iterator<Item = (String, String)> + '_ {
    user.tracking_codes
        .iter()
        .flatten()
        .filter_map(|code| Some((code.name.clone()?, code.value.clone().unwrap_or_default())))
}

/// The result of checking a user.
pub(super) enum Recheck {
    /// Still the user that was approved.
    Same(Box<Now>),
    /// Skipped.
    Left(Skip),
    /// No further user may be checked.
    Halted,
}

/// How a use relates to the plan that did not count it.
fn known_since(at: DateTime<Utc>, plan_created_at: DateTime<Utc>) -> &'static str {
    if at > plan_created_at {
        "after the plan was made"
    } else {
        "which was not known when the plan was made"
    }
}

impl Run<'_> {
    /// R12: records that the call is not made, if it would follow too long after the account was read. `read_at` is the time before
    /// the reading. The next start reads the account again.
    ///
    /// R19: a leaver is locked out in any case.
    pub(super) fn gives_up_if_outdated(
        &self,
        planned: &PlannedPerson,
        action_id: &str,
        read_at: DateTime<Utc>,
    ) -> Result<Option<UserOutcome>, Error> {
        let age = self.now() - read_at;
        if age <= READING_HOLDS || self.is_lockout(planned) {
            return Ok(None);
        }
        let reason = format!(
            "{} seconds passed between the reading of the account and the call, which was not made",
            age.num_seconds()
        );
        self.conclude(action_id, CallResult::new(Outcome::NotAttempted).because(reason.clone()))?;
        Ok(Some(UserOutcome::Waiting(ReasonCode::ReadingOutdated, reason)))
    }

    /// R3, R4, R5: whether a user may still be changed. A run may last for hours, and a hold, a leave or a protection may be added
    /// meanwhile: a list or a policy that was changed since this command read it halts the run. It is compared before the user is
    /// read, and again after every reading, immediately before the intent of each call, because several users are read at once.
    ///
    /// R14: closing a window and ending sessions complete a call that was made, so they are not checked. R19: a leaver is locked out
    /// in any case.
    pub(super) fn may_call(&self, planned: &PlannedPerson) -> bool {
        if let Some(path) = self.task.inputs.changed_file().filter(|_| !self.is_lockout(planned)) {
            self.halt(
                Error::refused(format!("{} was changed after this command read it", path.display()))
                    .hint("the same command reads it again and continues"),
            );
        }
        !self.is_halted()
    }

    /// All checks before a user is changed: the policy on the latest snapshot, the admin log, and Box.
    pub(super) async fn look(
        &self,
        evaluator: Option<&Evaluator<'_>>,
        planned: &PlannedPerson,
    ) -> Result<Recheck, Error> {
        if !self.keep_feed_fresh_unless_offboarding().await? {
            return Ok(Recheck::Halted);
        }
        if !self.may_call(planned) {
            return Ok(Recheck::Halted);
        }
        // R10, R17: a run may last for hours.
        if self.now() >= self.task.plan.expires_at {
            let skip = Skip::for_now(ReasonCode::Expired, "the plan expired during the run: make a new plan");
            return Ok(Recheck::Left(skip));
        }
        if self.task.snapshot.age(self.now()) > SNAPSHOT_MAX_AGE {
            let skip = Skip::for_now(
                ReasonCode::NightTooOld,
                "the snapshot became too old during the run: run `boxseat sync`",
            );
            return Ok(Recheck::Left(skip));
        }
        if let Some(skip) = self.reverted_before(planned).or_else(|| self.undone_before(planned)) {
            return Ok(Recheck::Left(skip));
        }
        if let Some(skip) = self.heard_of(planned) {
            return Ok(Recheck::Left(skip));
        }
        let snapshot = self.task.snapshot;
        let known = snapshot.person(&planned.user_id);
        if let Some(evaluator) = evaluator {
            match known {
                None => {
                    return Ok(Recheck::Left(Skip::finally(
                        ReasonCode::Gone,
                        "the latest listing does not have the account",
                    )));
                }
                // The reading below decides whether the account is gone.
                Some(person) if person.listing.is_none() => {}
                Some(person) => {
                    if let Some(skip) = self.judged(evaluator, person, planned) {
                        return Ok(Recheck::Left(skip));
                    }
                }
            }
        }
        let (actor, code_names) = (self.env.actor, self.code_names());
        let to_lock_out = known.filter(|_| self.is_lockout(planned));
        let found = match reread_to_lock_out(actor, &planned.user_id, &code_names, to_lock_out).await {
            Err(e) if fails_for_one(&e, self.env.actor, &self.canaries).await? => {
                let left = Skip::for_now(ReasonCode::Closed, format!("the account cannot be read: {e}"));
                return Ok(Recheck::Left(left));
            }
            found => found?,
        };
        let now = match found {
            Found::Is(now) => now,
            Found::Gone if !self.believes_that_gone().await? => return Ok(Recheck::Halted),
            Found::Gone => {
                return Ok(Recheck::Left(Skip::finally(
                    ReasonCode::Gone,
                    "Box answers 404: another actor deleted the account or took it out of the enterprise",
                )));
            }
            Found::Closed(refusal) => {
                self.denied(&refusal).await?;
                let left =
                    Skip::for_now(ReasonCode::Closed, format!("the account cannot be read: {refusal}"));
                return Ok(if self.is_halted() { Recheck::Halted } else { Recheck::Left(left) });
            }
        };
        if let Some(skip) = other_account(known, &now.user, self.is_lockout(planned)) {
            return Ok(Recheck::Left(skip));
        }
        // R19: another login, group or status since the plan never keeps a leaver signed in. It stops the later steps.
        if !self.is_lockout(planned)
            && let Some(skip) = self.differs_from_plan(planned, &now.standing)?
        {
            return Ok(Recheck::Left(skip));
        }
        let fresh = fresh(known, &now);
        let never = if self.is_offboarding() {
            self.forbids_offboarding(&fresh, self.is_lockout(planned))
        } else {
            never(&fresh, &snapshot.enterprise_id).map_err(|no| Skip::finally(no.word, no.detail))
        };
        if let Err(skip) = never {
            return Ok(Recheck::Left(skip));
        }
        if let Some(skip) = self.named_address(&now.standing) {
            return Ok(Recheck::Left(skip));
        }
        if let Some(skip) = evaluator.and_then(|evaluator| self.judged(evaluator, &fresh, planned)) {
            return Ok(Recheck::Left(skip));
        }
        Ok(Recheck::Same(Box::new(now)))
    }

    /// R12, R20: why the account is no longer the one that was approved.
    fn differs_from_plan(&self, planned: &PlannedPerson, now: &Standing) -> Result<Option<Skip>, Error> {
        let expected = self.baseline(planned);
        let (was, is) = (expected.status.as_deref(), now.status.as_deref());
        // R19: a leaver is locked out before anything else, and a restricted status would let the user sign in as well.
        let is_reverted = if self.is_offboarding() {
            is.is_some_and(|is| is != "inactive")
        } else {
            was == Some("inactive") && is == Some("active")
        };
        if is_reverted {
            return self.reverted(planned).map(Some);
        }
        // R19: the content of a leaver moves, no matter who has set the account to inactive.
        if was != Some("inactive") && is == Some("inactive") && !self.is_offboarding() {
            let detail =
                "the account is suspended already, and not by boxseat: it may be for legal hold or leave";
            return Ok(Some(Skip::finally(ReasonCode::DoneByOthers, detail)));
        }
        let mut expected = expected;
        if self.is_offboarding() {
            expected.status.clone_from(&now.status);
            // R19: groups that an identity provider takes from a leaver stop the transfer, and nothing after it.
            if self.has_done(planned, Action::Transfer) {
                expected.group_ids.clone_from(&now.group_ids);
            }
        }
        Ok(differs(&expected, now, self.task.snapshot).map(|what| {
            let mut detail = format!("{what} has changed since the plan was made");
            if self.is_offboarding() {
                let login = now.login.as_deref().unwrap_or(&planned.user_id);
                detail += &format!(": if it is the same user, run `boxseat offboard {login}` again");
            }
            // A leaver who is still signed in is signed out first.
            let is_final = !self.is_offboarding() || self.has_done(planned, Action::TerminateSessions);
            Skip { is_final, ..Skip::finally(ReasonCode::Changed, detail) }
        }))
    }

    /// The state that the user must still have: after our own suspension by this plan, the state we left. A leaver is locked out
    /// whatever has changed since the plan, so the state we left cannot be compared: the plan's own baseline is used.
    fn baseline(&self, planned: &PlannedPerson) -> Standing {
        let left = self.with_past(|past| {
            past.people
                .get(&planned.user_id)
                .and_then(|person| person.suspension_by(&self.task.plan.plan_id))
                .and_then(|ours| ours.after.clone())
        });
        match left {
            Some(left) if self.is_offboarding() => {
                Standing { status: left.status, ..planned.baseline.clone() }
            }
            left => left.unwrap_or_else(|| planned.baseline.clone()),
        }
    }

    /// R10: the result of the policy on the latest snapshot. A user that this plan has suspended stays in the plan.
    fn judged(&self, evaluator: &Evaluator<'_>, person: &Person, planned: &PlannedPerson) -> Option<Skip> {
        let stage = self.task.plan.stage;
        match evaluator.verdict(person) {
            Verdict::Goes(goes)
                if goes.stage == stage && goes.receiver_user_id != planned.receiver_user_id =>
            {
                Some(Skip::finally(
                    ReasonCode::ReceiverChanged,
                    "the policy names another receiver now: make a new plan",
                ))
            }
            Verdict::Goes(goes) if goes.stage == stage => None,
            Verdict::Goes(goes) => Some(Skip::finally(
                ReasonCode::OtherStage,
                format!("the rules now lead to {}, not to {}", goes.stage.as_str(), stage.as_str()),
            )),
            Verdict::LeftOut(_, no) => {
                Some(Skip { is_final: no.word.is_final(), ..Skip::finally(no.word, no.detail) })
            }
            Verdict::NotAsked if person.last_activity_at > planned.last_activity_at => Some(Skip::finally(
                ReasonCode::LoggedIn,
                "the account was used after the last use in the plan",
            )),
            Verdict::NotAsked => {
                Some(Skip::finally(ReasonCode::NotAsked, "the policy no longer applies to this user"))
            }
        }
    }

    /// R18: an undo closes its plan, but a journal from a backup may lack that entry. The lake has the action.
    fn undone_before(&self, planned: &PlannedPerson) -> Option<Skip> {
        let is_undone = self.with_past(|past| {
            let known = past.people.get(&planned.user_id);
            known.is_some_and(|known| known.was_restored_after(&self.task.plan.plan_id))
        });
        is_undone.then(|| {
            Skip::finally(ReasonCode::Undone, "undo gave the account back after an action of this plan")
        })
    }

    /// R11: what the admin log says about the user since the plan's evidence.
    fn heard_of(&self, planned: &PlannedPerson) -> Option<Skip> {
        let feed = self.feed.lock().expect("no holder panics");
        let activity = &self.task.inputs.activity_events;
        let ours = self.with_past(|past| {
            past.people
                .get(&planned.user_id)
                .and_then(|person| person.suspension())
                .map(|ours| (ours.asked_at, ours.attempt.plan_id.clone()))
        });
        let is_use = |news: &News| news.event_type == "LOGIN" || activity.contains(&news.event_type);
        for news in feed.of(&planned.user_id, &planned.login) {
            let when = news.at.format("%F %H:%M UTC");
            if is_use(news)
                && !self.is_offboarding()
                && planned.last_activity_at.is_none_or(|known| news.at > known)
            {
                let skip = match &ours {
                    Some((suspended_at, plan_id)) if news.at <= *suspended_at => Skip::finally(
                        ReasonCode::LateLogin,
                        format!(
                            "used {when}, before the suspension; this became known later: `boxseat reclaim undo {plan_id}` \
                                gives the account back"
                        ),
                    ),
                    _ => Skip::finally(
                        ReasonCode::LoggedIn,
                        format!(
                            "{} {when}, {}",
                            news.event_type,
                            known_since(news.at, self.task.plan.created_at)
                        ),
                    ),
                };
                // The snapshot of the next plan may not have it.
                let used = feed.of(&planned.user_id, &planned.login).filter(|news| is_use(news));
                return Some(Skip { used_at: used.map(|news| news.at).max(), ..skip });
            }
            // R3 does not apply to a leaver, who was named: the read shows what is different now.
            let is_edit = !self.is_offboarding()
                && matches!(news.event_type.as_str(), "EDIT_USER" | "CHANGE_ADMIN_ROLE");
            let by_us = news.actor_id.as_deref().is_some_and(|actor| {
                actor == self.actor_user_id || self.with_past(|past| past.actor_user_ids.contains(actor))
            });
            let is_since =
                ours.as_ref().is_some_and(|(suspended_at, _)| self.is_since(news.at, *suspended_at));
            if is_edit && !by_us && is_since {
                return Some(Skip::finally(
                    ReasonCode::EditedByOther,
                    format!("another actor edited the account {when}, after the suspension by boxseat"),
                ));
            }
        }
        None
    }

    /// R19: what protects even a named user. A list that is old or has an error stops the transfer. The lock-out was approved on a
    /// valid list, and can be undone.
    fn forbids_offboarding(&self, person: &Person, is_lockout: bool) -> Result<(), Skip> {
        let Task { policy, snapshot, inputs, .. } = self.task;
        let now = self.now();
        let no = self.with_past(|past| offboarding::forbids(person, policy, snapshot, past, inputs, now));
        match no {
            Err(no) if is_lockout && no.word == ReasonCode::ListsUnsure => Ok(()),
            // A list can be corrected, and a hold can end, before the plan expires.
            Err(no) if no.word == ReasonCode::ListsUnsure || no.word.is_intended() => {
                Err(Skip::for_now(no.word, no.detail))
            }
            Err(no) => Err(Skip::finally(no.word, no.detail)),
            Ok(()) => Ok(()),
        }
    }

    async fn keep_feed_fresh_unless_offboarding(&self) -> Result<bool, Error> {
        if self.is_offboarding() { Ok(!self.is_halted()) } else { self.keep_feed_fresh().await }
    }

    /// R3, R4: an address that the account got since the snapshot may be a protected one, or one on the list of holds.
    fn named_address(&self, now: &Standing) -> Option<Skip> {
        let login = now.login.iter().map(|login| login.to_lowercase());
        let mut addresses = login.chain(now.aliases.iter().cloned());
        let protected = self.task.policy.map(|policy| &policy.protect.logins);
        let holds = self.task.inputs.holds.iter().flat_map(|list| &list.rows);
        addresses.find_map(|address| {
            if protected.is_some_and(|protected| protected.contains(&address)) {
                let detail = format!("the account has the protected address {address} now");
                return Some(Skip {
                    is_final: !self.is_offboarding(),
                    ..Skip::finally(ReasonCode::Protected, detail)
                });
            }
            let hold = holds.clone().find(|hold| hold.who == address)?;
            let detail = format!(
                "the account has the address {address} now, which is on the list of holds in line {}",
                hold.line
            );
            Some(Skip { is_final: !self.is_offboarding(), ..Skip::finally(ReasonCode::OnHold, detail) })
        })
    }

    /// R20: another actor has undone what we did. This is recorded, and the plan does nothing more for the user.
    pub(super) fn reverted(&self, planned: &PlannedPerson) -> Result<Skip, Error> {
        let ours = self.with_past(|past| {
            let ours = past.people.get(&planned.user_id)?.suspension()?;
            Some(ours.attempt.action_id.clone())
        });
        if let Some(action_id) = ours {
            self.conclude(
                &action_id,
                CallResult::new(Outcome::RevertedByOther).because("found active again"),
            )?;
        }
        let detail = "another actor set the account active after the suspension by boxseat";
        Ok(Skip::finally(ReasonCode::RevertedByOther, detail))
    }
}

/// Whether a read failed for one user only, so that the run continues with the others: Box answers for an ordinary account.
pub(super) async fn fails_for_one(
    error: &boxseat_pipeline::Error,
    actor: &BoxActor,
    canaries: &Canaries,
) -> Result<bool, Error> {
    match error {
        boxseat_pipeline::Error::GaveUp { garbled: false, .. } => canaries.one_answers(actor).await,
        error => Ok(is_about_one(error)),
    }
}

/// The same where no other account is available: the response did not fit this request.
pub(super) fn is_about_one(error: &boxseat_pipeline::Error) -> bool {
    matches!(
        error,
        boxseat_pipeline::Error::Rejected { .. }
            | boxseat_pipeline::Error::IncompleteWalk { .. }
            | boxseat_pipeline::Error::GaveUp { garbled: true, .. }
    )
}

/// Like [`changed`]; Box ignores case in logins.
fn differs(before: &Standing, now: &Standing, snapshot: &Snapshot) -> Option<String> {
    let lower = |standing: &Standing| Standing {
        login: standing.login.as_ref().map(|login| login.to_lowercase()),
        ..standing.clone()
    };
    changed(&lower(before), &lower(now), |id| snapshot.group_name(id))
}

/// The user of the snapshot, with the present values of Box.
pub(crate) fn fresh(known: Option<&Person>, now: &Now) -> Person {
    let user = &now.user;
    let standing = &now.standing;
    let status = match user.status.as_deref() {
        Some("active" | "cannot_delete_edit" | "cannot_delete_edit_upload") => "active",
        Some("inactive") => "suspended",
        _ => "unknown",
    };
    let unknown = || Person {
        user_id: user.id.clone(),
        listing: Some("listed".to_owned()),
        seat_kind: if user.is_platform_access_only == Some(true) { "app_user" } else { "managed_user" }
            .to_owned(),
        consumes_seat: true,
        ..Person::default()
    };
    Person {
        login: user.login.clone(),
        role: user.role.clone(),
        box_status: user.status.clone(),
        account_status: status.to_owned(),
        enterprise_id: standing.enterprise_id.clone(),
        // R6: the value just read, also where Box no longer sends one.
        is_content_available_when_inactive: user.is_collaborated_content_available_when_owner_inactive,
        is_platform_access_only: user.is_platform_access_only,
        external_app_user_id: user.external_app_user_id.clone(),
        group_ids: standing.group_ids.clone(),
        are_groups_known: true,
        aliases: standing.aliases.clone(),
        are_aliases_known: true,
        tracking_codes: codes(user).collect(),
        space_used_bytes: user.space_used,
        ..known.cloned().unwrap_or_else(unknown)
    }
}
