//! The plan of one user who leaves (R19): what Box says about both accounts now, and what the plan does.

use boxseat_pipeline::client::{BoxActor, Found};
use boxseat_schemas::reclaim::plan::{Operator, Origin, PLAN_FORMAT, PlannedPerson};
use boxseat_schemas::reclaim::{Ability, Action, Plan, PlanEnd, ReasonCode, Record, Stage};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{Canaries, Content, Now, fresh, reread_to_lock_out, unfit};
use crate::error::Error;
use crate::journal::state::JournalState;
use crate::rules::offboarding::{forbids, is_locked_out};
use crate::rules::plan::{actions, name};
use crate::rules::policy::{Policy, WhenRefused};
use crate::rules::policy_inputs::PolicyInputs;
use crate::rules::restore::moved;
use crate::rules::snapshot::{Person, Snapshot};

/// The leaver, the receiver, and the policy.
#[derive(Clone, Copy)]
pub struct Leaving<'a> {
    /// The policy, if one is configured.
    pub policy: Option<&'a Policy>,
    /// The latest snapshot.
    pub snapshot: &'a Snapshot,
    /// The journal's state.
    pub past: &'a JournalState,
    /// The lists next to the policy.
    pub inputs: &'a PolicyInputs,
    /// The leaver.
    pub person: &'a Person,
    /// The receiver of the content.
    pub receiver: &'a Person,
    /// The login that names the leaver.
    pub login: &'a str,
    /// The login that names the receiver.
    pub transfer_to: &'a str,
    /// The day of the offboarding; `None`: at once.
    pub on: Option<NaiveDate>,
    /// A ticket of the service desk.
    pub ticket: Option<&'a str>,
    /// Who plans.
    pub by: &'a Operator,
    /// The time of the command.
    pub now: DateTime<Utc>,
}

/// What Box says now about the leaver and the receiver.
pub struct Accounts {
    /// The account.
    pub now: Now,
    /// What the account holds.
    pub content: Content,
    /// Whether an earlier plan has suspended the account and ended its sessions.
    is_locked_out_by_us: bool,
    /// The destination of content that an earlier plan has moved.
    pub moved: Option<String>,
    /// Why nothing can move to the receiver yet.
    receiver_waits: Option<String>,
}

impl Leaving<'_> {
    /// Reads both accounts.
    ///
    /// # Errors
    /// `Refused` for an account that is gone, has another login, or may not be offboarded; what ends the run.
    pub async fn look(self, actor: &BoxActor) -> Result<Accounts, Error> {
        let Self { policy, snapshot, past, person, receiver, now: at, .. } = self;
        let code_names = policy.map(Policy::code_names).unwrap_or_default();
        let now = match reread_to_lock_out(actor, &person.user_id, &code_names, Some(person)).await? {
            Found::Is(now) => now,
            Found::Gone => return Err(Error::refused("Box answers 404: the account is gone already")),
            Found::Closed(refusal) => {
                return Err(Error::refused(format!("the account cannot be read: {refusal}")));
            }
        };
        is_still(self.login, now.standing.login.as_deref())?;
        forbids(&fresh(Some(person), &now), policy, snapshot, past, self.inputs, at)
            .map_err(|no| {
                let refused = Error::refused(format!("{}: {}: {}", no.rule, no.word, no.detail));
                match no.word {
                    ReasonCode::ListsUnsure => refused.hint("correct that first; meanwhile an administrator can set the account to inactive in the Box console, and boxseat moves its content later"),
                    _ => refused,
                }
            })?;
        // R19: a receiver that cannot receive now does not delay the lock-out: the content waits.
        let receiver_waits = match actor.user(&receiver.user_id).await {
            Ok(Found::Is(user)) => {
                is_still(self.transfer_to, user.login.as_deref())?;
                unfit(
                    &user,
                    &snapshot.enterprise_id,
                    now.user.space_used.map(|bytes| bytes + self.bytes_of_others()),
                )
            }
            Ok(Found::Gone) => Some("is gone: Box answered 404".to_owned()),
            Ok(Found::Closed(refusal)) => Some(format!("cannot be read: {refusal}")),
            Err(e) => Some(format!("cannot be read: {}", passing(e.into())?)),
        };
        let by = past.open_plan_of(&receiver.user_id);
        let receiver_waits = receiver_waits.or(by.map(|by| format!("loses the seat by plan {by}")));
        let space_used_bytes = now.user.space_used;
        let allows = past.allows(Ability::ReadInactive, at);
        let content = match Content::of(actor, &now.user, allows, &Canaries::of(snapshot, &[])).await {
            Ok(reading) => reading.content,
            Err(e) => {
                tracing::warn!("the content cannot be counted: {}", passing(e)?);
                Content { owned_items: None, shared_items: None, space_used_bytes }
            }
        };
        let known = past.people.get(&person.user_id);
        let moved = known.and_then(|known| known.transfer()).map(|transfer| moved(transfer, snapshot));
        let is_locked_out_by_us = known.is_some_and(is_locked_out);
        Ok(Accounts { now, content, is_locked_out_by_us, moved, receiver_waits })
    }

    /// Bytes that other leavers still have to move to the same receiver, by the snapshot.
    fn bytes_of_others(&self) -> i64 {
        let others = self.past.leavers_to_move_to(&self.receiver.user_id);
        let others = others.filter(|user_id| *user_id != self.person.user_id);
        others.filter_map(|user_id| self.snapshot.person(user_id)?.space_used_bytes).sum()
    }

    /// The plan.
    pub fn plan(self, looked: &Accounts) -> Plan {
        let Self { policy, snapshot, person, receiver, now, .. } = self;
        let standing = &looked.now.standing;
        let deletes = policy.is_some_and(|policy| policy.holds.is_some());
        // An account that an earlier plan has locked out is given back by `undo` of that plan.
        let is_locked_out = standing.status.as_deref() == Some("inactive") && looked.is_locked_out_by_us;
        let lockout = [Action::Suspend, Action::TerminateSessions];
        let mut actions: Vec<Action> = lockout.into_iter().filter(|_| !is_locked_out).collect();
        actions.push(Action::Transfer);
        if deletes {
            actions.push(Action::Delete);
        }
        let folders = if looked.now.user.keeps_folders_open() {
            "shared folders stay open to their collaborators while the account is inactive, as Box says now"
        } else {
            "shared folders are closed for their collaborators from the suspension until the content has moved"
        };
        let mut warnings = vec![
            folders.to_owned(),
            "collaborations on single files move with the content, and end when the account is deleted"
                .to_owned(),
            "workflows move only if the receiver has Box Relay".to_owned(),
            "remove the assignment at the identity provider first, or it creates the account again"
                .to_owned(),
        ];
        if !deletes {
            warnings.push(
                "the plan does not delete the account: no policy says who is under legal hold".to_owned(),
            );
        }
        let max_age = policy.map(|policy| policy.plan_max_age);
        if let Some(max_age) = max_age.filter(|max_age| deletes && *max_age < TimeDelta::hours(72)) {
            warnings.push(format!(
                "the plan ends after {} hours (plan_max_age_hours), and the account is deleted 48 hours after the lock-out at the earliest: \
                 run `boxseat offboard` again then, or raise it",
                max_age.num_hours()
            ));
        }
        let is_refused = self.past.allows(Ability::TransferFromInactive, now) == Some(false);
        if is_refused && policy.is_none_or(|policy| policy.when_refused == WhenRefused::Stop) {
            warnings.push(
                "this Box moves no content of inactive accounts, so the content and the seat stay, unless [transfer] when_refused = \"reactivate\""
                    .to_owned(),
            );
        }
        if let Some(moved) = &looked.moved {
            warnings.push(format!(
                "nothing is moved now: {moved}. The account is deleted at once if 48 hours have passed since the lock-out and it is proved empty"
            ));
        }
        if looked.now.standing.status.as_deref() == Some("inactive") && !looked.is_locked_out_by_us {
            warnings.push(
                "the account is inactive already, and not by boxseat: it may be under legal hold. Without a count of its items only \
                 `boxseat reclaim confirm` can complete the proof that it is empty"
                    .to_owned(),
            );
        }
        let status = looked.now.standing.status.as_deref();
        if looked.content.owned_items.is_none() && looked.moved.is_none() && status != Some("inactive") {
            warnings.push(
                "the items of the account cannot be counted, so only `boxseat reclaim confirm` can complete the proof that it is empty: \
                 `boxseat check` says whether the application may act as a user"
                    .to_owned(),
            );
        }
        if policy.is_some_and(|policy| policy.when_refused == WhenRefused::Reactivate) {
            warnings.push(
                "if Box moves no content of an inactive account, the account is active during the transfer ([transfer] when_refused)"
                    .to_owned(),
            );
        }
        if let Some((used_at, suspended_at)) = self.person.use_after_suspension(self.past) {
            warnings.insert(
                0,
                format!(
                    "the user was active {}, after boxseat suspended the account {}: check that this user leaves",
                    used_at.format("%F %H:%M UTC"),
                    suspended_at.format("%F")
                ),
            );
        }
        if let Some(why) = &looked.receiver_waits {
            let waits = format!(
                "the content waits: the receiver {} {why}; running `boxseat offboard` again can name another",
                receiver.called()
            );
            warnings.insert(0, waits);
        }
        let begins_at = self.on.map_or(now, |day| day.and_time(NaiveTime::MIN).and_utc().max(now));
        named(Plan {
            format: PLAN_FORMAT,
            plan_id: String::new(),
            store_id: snapshot.store_id,
            enterprise_id: snapshot.enterprise_id.clone(),
            night: snapshot.night,
            created_at: now,
            expires_at: begins_at + policy.map_or(TimeDelta::hours(168), |policy| policy.plan_max_age),
            planned_by: self.by.clone(),
            origin: Origin::Offboard { on: self.on },
            stage: if deletes { Stage::Delete } else { Stage::Transfer },
            approval: None,
            ticket: self.ticket.map(str::to_owned),
            evidence_sources: Vec::new(),
            warnings,
            people: vec![PlannedPerson {
                user_id: person.user_id.clone(),
                login: standing.login.clone().unwrap_or_default(),
                name: looked.now.user.name.clone(),
                actions,
                baseline: standing.clone(),
                sentence: match &looked.moved {
                    Some(moved) => format!("{} leaves; {moved}", person.called()),
                    None => {
                        format!("{} leaves, and {} receives the content", person.called(), receiver.called())
                    }
                },
                last_activity_at: person.last_activity_at,
                last_activity_source: person.last_activity_source.clone(),
                proven_idle_days: person.proven_idle_days,
                suspended_at: None,
                groups: group_names(snapshot, &standing.group_ids),
                space_used_bytes: looked.content.space_used_bytes,
                owned_items: looked.content.owned_items,
                shared_items: looked.content.shared_items,
                receiver_user_id: Some(receiver.user_id.clone()),
                receiver_login: receiver.login.clone(),
                monthly_cost: person.monthly_cost.map(|cost| cost.to_string()),
                currency: person.currency.clone(),
                warnings: Vec::new(),
            }],
            left_out: Vec::new(),
        })
    }
}

/// A failure of one read, as a sentence. R19: it does not delay the lock-out.
///
/// # Errors
/// A failure of the machine, and an interruption.
fn passing(error: Error) -> Result<String, Error> {
    if error.is_external_failure() { Err(error) } else { Ok(error.lines().join(": ")) }
}

/// R19: the snapshot says whose login it is; since then another account may have got it.
fn is_still(login: &str, now: Option<&str>) -> Result<(), Error> {
    if now.is_some_and(|now| now.to_lowercase() == login.to_lowercase()) {
        return Ok(());
    }
    let now = now.unwrap_or("none");
    Err(Error::refused(format!("the account that had the login {login} has the login {now} now"))
        .hint("run `boxseat sync`, then name the account by its present login"))
}

fn named(plan: Plan) -> Plan {
    Plan { plan_id: name(&plan).replacen(plan.stage.as_str(), "offboard", 1), ..plan }
}

/// The names of groups, by their ids.
pub fn group_names(snapshot: &Snapshot, ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| snapshot.group_name(id)).collect()
}

/// R8, R19: open plans do not delay the lock-out. A plan of the policy does nothing more for the user. An earlier offboarding is
/// withdrawn if the user is locked out and the content has not begun to move: the new one may name another receiver.
///
/// *Killed* before the new plan: the user is in no open plan, and the same command makes one.
pub fn gives_way(past: &JournalState, person: &Person, by: &Operator) -> Result<Vec<Record>, Error> {
    let user_id = &person.user_id;
    let mut records = Vec::new();
    for (id, plan) in past.open_plans().filter(|(_, plan)| plan.user_ids.contains(user_id)) {
        let known = past.people.get(user_id);
        if known.is_some_and(|known| known.final_skip(id).is_some()) {
            continue;
        }
        let plan_id = id.to_owned();
        let is_unfinished =
            known.is_some_and(|known| known.attempts.iter().any(|attempt| attempt.is_unfinished()));
        // An earlier plan may have locked the user out.
        let waits_for_content =
            known.is_some_and(|known| known.suspension().is_some() && known.transfer().is_none());
        let done = |action: &Action| {
            known.is_some_and(|known| {
                known.by_plan(id).any(|past| past.attempt.action == *action && past.was_done)
            })
        };
        match plan.policy_digest {
            _ if is_unfinished => {
                return Err(Error::refused(format!(
                    "the outcome of an action on {} by plan {id} is not known yet",
                    person.called()
                ))
                .hint("run `boxseat reclaim nightly`, which reads it"));
            }
            None if waits_for_content => {
                let (because, by) = (PlanEnd::Withdrawn.into(), Some(by.clone()));
                records.push(Record::PlanClosed { plan_id, because, by });
            }
            None => {
                return Err(Error::refused(format!(
                    "{} is in the offboarding plan {id}, which is open",
                    person.called()
                ))
                .hint(format!(
                    "`boxseat reclaim apply {id} --yes` continues it; `boxseat reclaim undo {id} --yes` undoes it"
                )));
            }
            Some(_) if actions(plan.stage).iter().all(done) => {}
            Some(_) => records.push(Record::Skipped {
                plan_id,
                user_id: user_id.clone(),
                reason: ReasonCode::Offboarded.into(),
                detail: "the user is offboarded by a plan of its own".to_owned(),
                is_final: true,
                used_at: None,
            }),
        }
    }
    Ok(records)
}
