//! R1, R3, R4, R5, R20: users that are excluded whatever the evidence says.

use boxseat_schemas::reclaim::{Ability, Action, Outcome, ReasonCode};
use chrono::{DateTime, TimeDelta, Utc};

use super::super::policy::WhenRefused;
use super::super::protect::{groups_named, has_code};
use super::super::snapshot::Person;
use super::{Denial, Evaluator, day};
use crate::journal::state::{ActionState, REFUSAL_HOLDS, UserState, unfinished};

/// A user whose account another actor set active again is skipped for this time (R20).
const REVERTED_REST: TimeDelta = TimeDelta::days(90);

impl Evaluator<'_> {
    /// R1: accounts on which boxseat never acts.
    pub(super) fn never(&self, person: &Person) -> Result<(), Denial> {
        never(person, &self.snapshot.enterprise_id)
    }

    /// R3, R4, R5: users that are protected, on hold or on leave, and users in an open plan.
    pub(super) fn kept(&self, person: &Person) -> Result<(), Denial> {
        let id = person.user_id.as_str();
        if let Some(entry) = self.protected.entry_for(id) {
            return Err(Denial::new(ReasonCode::Protected, format!("[protect] {entry}")));
        }
        let protect = &self.policy.protect;
        if !person.are_aliases_known && !protect.logins.is_empty() {
            return Err(Denial::new(
                ReasonCode::AliasesUnknown,
                "the user's aliases were never read, and one may be protected",
            ));
        }
        let by_group = !protect.groups.is_empty() || self.who_groups.is_some();
        if !person.are_groups_known && by_group {
            return Err(Denial::new(
                ReasonCode::GroupsUnknown,
                "the user's groups were never read, and one may be protected",
            ));
        }
        let mut protected_groups = protect.groups.iter().flat_map(|entry| groups_named(self.snapshot, entry));
        if let Some(group) = protected_groups.find(|group| self.snapshot.unread_groups.contains(*group)) {
            let detail =
                format!("the members of group {group} were never read, and the user may be a member");
            return Err(Denial::new(ReasonCode::GroupsUnknown, detail));
        }
        if let Some(reason) = self.held.get(id) {
            let detail = if reason.is_empty() {
                "on the list of holds".to_owned()
            } else {
                format!("on the list of holds: {reason}")
            };
            return Err(Denial::new(ReasonCode::OnHold, detail));
        }
        if self.taken_receivers.contains(id)
            || self.receivers.everybodys().is_some_and(|receiver| receiver.user_id == id)
        {
            return Err(Denial::new(
                ReasonCode::Receiver,
                "receives content of others, or did within 365 days",
            ));
        }
        let until = person.leave.map(|leave| leave.until).or(self
            .leaves
            .get(id)
            .filter(|leave| leave.holds)
            .map(|_| None));
        if let Some(until) = until {
            let end = until.map_or_else(String::new, |day| format!(" until {day}"));
            return Err(Denial::new(ReasonCode::OnLeave, format!("on leave{end}")));
        }
        if person.seat_state.as_deref() == Some("paused") {
            return Err(Denial::new(ReasonCode::OnLeave, "on leave"));
        }
        self.undisturbed(id)
    }

    /// R3, R4, R19: what protects even a user that `offboard` names.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn keeps_even_if_named(&self, person: &Person) -> Result<(), Denial> {
        let id = person.user_id.as_str();
        if let Some(entry) = self.protected.entry_for(id) {
            return Err(Denial::new(ReasonCode::Protected, format!("[protect] {entry}")));
        }
        if self.receivers.everybodys().is_some_and(|receiver| receiver.user_id == id) {
            return Err(Denial::new(ReasonCode::Receiver, "receives the content of others by the policy"));
        }
        // Groups, codes and addresses that the user got since the snapshot protect, too.
        let protect = &self.policy.protect;
        let groups = protect.groups.iter().flat_map(|entry| groups_named(self.snapshot, entry));
        if let Some(group) = groups.into_iter().find(|group| person.group_ids.iter().any(|id| id == group)) {
            return Err(Denial::new(ReasonCode::Protected, format!("[protect] group {group}")));
        }
        if protect.tracking_codes.iter().any(|code| has_code(person, code)) {
            return Err(Denial::new(ReasonCode::Protected, "[protect] a tracking code"));
        }
        match self.held.get(id) {
            Some(reason) => Err(Denial::new(ReasonCode::OnHold, format!("on the list of holds: {reason}"))),
            None => Ok(()),
        }
    }

    /// R8, R13, R20: no action is in progress, and none was just undone or refused.
    pub(super) fn undisturbed(&self, id: &str) -> Result<(), Denial> {
        let planned = self.past.open_plans().find(|(plan_id, plan)| {
            !self.set_aside.contains(plan_id)
                && plan.user_ids.iter().any(|user| user == id)
                && !self.past.has_finished(plan_id, plan, id)
        });
        if let Some((plan_id, _)) = planned {
            return Err(Denial::new(ReasonCode::InOpenPlan, format!("in plan {plan_id}, which is open")));
        }
        let Some(past) = self.past.people.get(id) else { return Ok(()) };
        let gone_at = past.seen_gone_at().rfind(|at| *at > self.snapshot.night.now_at);
        if let Some(gone_at) = gone_at {
            let detail = format!("Box no longer had the account on {}, after the snapshot", day(gone_at));
            return Err(Denial::new(ReasonCode::NotListed, detail));
        }
        if let Some(open) = past.attempts.iter().find(|attempt| attempt.is_unfinished()) {
            return Err(Denial::new(ReasonCode::Unfinished, unfinished(open)));
        }
        if let Some(at) = past.reverted_at().filter(|at| *at > self.now - REVERTED_REST) {
            let detail = format!(
                "another actor undid an action of boxseat on {}: the user is skipped for 90 days",
                day(at)
            );
            return Err(Denial::new(ReasonCode::RevertedByOther, detail));
        }
        let refused = past.attempts.iter().rev().find(|attempt| {
            let was_done_later = |later: &&ActionState| {
                later.was_done
                    && later.attempt.action == attempt.attempt.action
                    && later.asked_at >= attempt.asked_at
            };
            attempt.outcome == Some(Outcome::Refused)
                && !past.attempts.iter().any(|later| was_done_later(&later))
        });
        // R14: a transfer that this Box refuses for every inactive account is made in another way now.
        let is_answered = |refused: &&ActionState| {
            let of_inactive = refused.attempt.before.status.as_deref() == Some("inactive");
            refused.attempt.action == Action::Transfer
                && of_inactive
                && self.policy.when_refused == WhenRefused::Reactivate
                && self.past.allows(Ability::TransferFromInactive, self.now) == Some(false)
        };
        let refused = refused.filter(|refused| !is_answered(refused));
        if let Some(refused) = refused.filter(|refused| refused.asked_at > self.now - REFUSAL_HOLDS) {
            let why = refused.reason.as_deref().unwrap_or("Box gave no reason");
            let detail =
                format!("Box refused {} {}: {why}", refused.attempt.action.as_str(), day(refused.asked_at));
            return Err(Denial::new(ReasonCode::RefusedByBox, detail));
        }
        Ok(())
    }

    /// Whether a plan will do nothing more for a user.
    pub(super) fn is_done_with(&self, id: &str, plan_id: &str) -> bool {
        self.past.people.get(id).is_some_and(|past| past.final_skip(plan_id).is_some())
    }

    /// R5: new users, newly seen users and returned users are not evaluated.
    pub(super) fn young(&self, person: &Person) -> Result<(), Denial> {
        let night = self.snapshot.night.now_at;
        let unknown = |what: &str| {
            Denial::new(ReasonCode::Young, format!("it is not known when the account was {what}"))
        };
        let created = person.created_at.ok_or_else(|| unknown("created"))?;
        let seen = person.first_seen_at.ok_or_else(|| unknown("first seen"))?;
        let is_later = self.snapshot.first_snapshot_time.is_none_or(|first| seen > first);
        let grace = self.snapshot.new_user_grace_days;
        if (night - created).num_days() < grace {
            return Err(Denial::new(
                ReasonCode::Young,
                format!("created {}, less than {grace} days before the snapshot", day(created)),
            ));
        }
        if is_later && (night - seen).num_days() < grace {
            return Err(Denial::new(
                ReasonCode::Young,
                format!("first seen {}, less than {grace} days before the snapshot", day(seen)),
            ));
        }
        let grace = self.snapshot.returned_grace_days;
        let restored = self.past.people.get(&person.user_id).and_then(UserState::restored_at);
        if let Some(at) = restored.filter(|at| (self.now - *at).num_days() < grace) {
            let detail = format!("given back by undo {}, less than {grace} days ago", day(at));
            return Err(Denial::new(ReasonCode::Undone, detail));
        }
        // A snapshot inside the window of a transfer shows no return.
        let past = self.past.people.get(&person.user_id);
        let is_return = |at: &DateTime<Utc>| !past.is_some_and(|past| past.was_in_window(*at));
        match person.returned_at.filter(is_return).filter(|at| (night - *at).num_days() < grace) {
            Some(at) => Err(Denial::new(
                ReasonCode::Returned,
                format!("back since {}, less than {grace} days before the snapshot", day(at)),
            )),
            None => Ok(()),
        }
    }
}

/// R1: accounts on which boxseat never acts, whatever the command.
///
/// # Errors
/// Why not.
pub(crate) fn never(person: &Person, enterprise_id: &str) -> Result<(), Denial> {
    let no = |word, detail: String| Err(Denial::new(word, detail));
    match person.role.as_deref() {
        Some("user") => {}
        Some(role @ ("admin" | "coadmin")) => return no(ReasonCode::Admin, format!("the role is {role}")),
        role => return no(ReasonCode::UnknownRole, format!("the role is {}", role.unwrap_or("not known"))),
    }
    if person.seat_kind != "managed_user" {
        return no(ReasonCode::NoPerson, format!("the account is of the kind {}", person.seat_kind));
    }
    if person.listing.as_deref() != Some("listed") {
        let how = person.listing.as_deref().unwrap_or("gone");
        return no(ReasonCode::NotListed, format!("the latest listing does not have the account ({how})"));
    }
    match person.box_status.as_deref() {
        Some("active" | "inactive") => {}
        Some(status @ ("cannot_delete_edit" | "cannot_delete_edit_upload")) => {
            return no(ReasonCode::Restricted, format!("the status is {status}"));
        }
        status => {
            return no(ReasonCode::UnknownStatus, format!("the status is {}", status.unwrap_or("not known")));
        }
    }
    if person.enterprise_id.as_deref() != Some(enterprise_id) {
        let other = person.enterprise_id.as_deref().unwrap_or("not known");
        return no(ReasonCode::OtherEnterprise, format!("the account's enterprise is {other}"));
    }
    if person.login.as_deref().is_none_or(str::is_empty) {
        return no(ReasonCode::NoLogin, "the account has no login".to_owned());
    }
    Ok(())
}
