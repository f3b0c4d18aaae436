//! R2, R3, R6, R8, R11, R15: what must be proved about a user before a stage.

use boxseat_schemas::reclaim::plan::Stage;
use boxseat_schemas::reclaim::{Ability, ReasonCode, Standing};
use chrono::{DateTime, SubsecRound, Utc};

use super::super::emptiness::{Emptiness, count_before, emptiness};
use super::super::policy::{Evidence, SharedContent, WhenRefused};
use super::super::snapshot::Person;
use super::{Denial, Evaluator, day};
use crate::journal::state::{ActionState, JournalState, Skip, UserState};

impl Evaluator<'_> {
    /// R2: only the proven days.
    pub(super) fn proven(&self, person: &Person) -> Result<(), Denial> {
        let wanted = self.policy.suspend_after_idle_days;
        let proven = person.proven_idle_days.ok_or_else(|| {
            Denial::new(ReasonCode::Unproven, "no idle day of the user is proved: sign-ins are not covered")
        })?;
        if proven < wanted {
            return Err(Denial::new(
                ReasonCode::NotLongEnough,
                format!("{proven} idle days are proved, {wanted} are required"),
            ));
        }
        let since = |at: DateTime<Utc>| (self.snapshot.night.now_at - at).num_days();
        if let Some(at) = self.past.heard_use(&person.user_id).filter(|at| since(*at) < wanted) {
            let at = day(at);
            let detail = format!(
                "used {at}, as an earlier plan read in the admin log; {wanted} idle days are required"
            );
            return Err(Denial { rule: "R11", ..Denial::new(ReasonCode::NotLongEnough, detail) });
        }
        if self.policy.evidence == Evidence::Activity {
            let watched = self.watched_from.map_or(0, since);
            if watched < wanted {
                return Err(Denial::new(
                    ReasonCode::ActivityNotWatched,
                    format!("activity events are covered for {watched} days, {wanted} are required"),
                ));
            }
        }
        match self
            .leaves
            .get(&person.user_id)
            .and_then(|leave| leave.ended_at)
            .map(since)
            .filter(|days| *days < wanted)
        {
            Some(days) => {
                let detail = format!("back from leave for {days} days, {wanted} are required");
                Err(Denial { rule: "R5", ..Denial::new(ReasonCode::NotLongEnough, detail) })
            }
            None => Ok(()),
        }
    }

    /// R6, the policy's part: owners of shared content are not suspended, unless the policy says so, the content has moved, or Box
    /// keeps the folders open.
    pub(super) fn shared(&self, person: &Person, past: Option<&UserState>) -> Result<(), Denial> {
        let transfer = past.and_then(|past| past.transfer().map(|transfer| (past, transfer)));
        match (self.policy.shared_content, transfer) {
            (SharedContent::SuspendAnyway, _) => Ok(()),
            (SharedContent::TransferFirst, Some((past, transfer))) => self.moved(past, transfer),
            (SharedContent::TransferFirst, None) => Ok(()),
            (SharedContent::LeaveOut, _) if person.keeps_folders_open() => Ok(()),
            (SharedContent::LeaveOut, _) if self.shares(past) == Some(true) => {
                let last = past.and_then(|past| past.readings.last());
                let items = last.and_then(|reading| reading.shared_items);
                let what = items.map_or_else(
                    || "the folders could not be read".to_owned(),
                    |items| format!("shared items in the root folder: {items}"),
                );
                let at = last.map_or_else(String::new, |reading| format!(", counted {}", day(reading.at)));
                Err(Denial::new(
                    ReasonCode::OwnsSharedContent,
                    format!("{what}{at}: a suspension of the owner closes them for all collaborators"),
                ))
            }
            (SharedContent::LeaveOut, _) => Ok(()),
        }
    }

    /// R3: the suspension is ours, and the user is as we left it.
    pub(super) fn unchanged(&self, person: &Person, ours: &ActionState) -> Result<(), Denial> {
        if self.past.plans.get(&ours.attempt.plan_id).is_some_and(|plan| plan.policy_digest.is_none()) {
            return Err(Denial::new(
                ReasonCode::Offboarded,
                format!("offboarded by plan {}, which names the user", ours.attempt.plan_id),
            ));
        }
        let after = ours.after.as_ref().ok_or_else(|| {
            Denial::new(ReasonCode::Changed, "the state of the account after the suspension was never read")
        })?;
        let name_of = |id: &str| self.snapshot.group_left(id);
        if let Some(what) = changed(after, &person.standing(&self.code_names), name_of) {
            return Err(Denial::new(ReasonCode::Changed, format!("{what} has changed since the suspension")));
        }
        if !self.snapshot.knows_edits_since(ours.asked_at) {
            return Err(Denial::new(
                ReasonCode::EditsNotWatched,
                format!("the edits of the account since {} are not known without a gap", day(ours.asked_at)),
            ));
        }
        if let Some(edit) = edited_by_other(self.past, &person.user_id, Some(person), ours) {
            return Err(Denial::new(ReasonCode::EditedByOther, edit.sentence));
        }
        let last_use = person.last_use(self.past);
        if let Some(at) = last_use.filter(|at| *at > ours.asked_at) {
            return Err(Denial::new(
                ReasonCode::ActiveSince,
                format!("used {}, after the suspension", day(at)),
            ));
        }
        match last_use.filter(|at| Some(*at) > ours.attempt.last_activity_at) {
            Some(at) => Err(Denial::new(
                ReasonCode::LateLogin,
                format!(
                    "used {}, before the suspension; this became known later: `boxseat reclaim undo {}` gives the account back",
                    at.format("%F %H:%M UTC"),
                    ours.attempt.plan_id
                ),
            )),
            None => Ok(()),
        }
    }

    /// R8: the waiting time between stages.
    pub(super) fn waited(&self, stage: Stage, ours: &ActionState, wanted: i64) -> Result<(), Denial> {
        let days = (self.snapshot.night.now_at - ours.asked_at).num_days();
        if days < wanted {
            let at = day(ours.asked_at);
            let detail = format!("suspended {at}, {} is due {wanted} days later", stage.as_str());
            return Err(Denial::new(ReasonCode::Waiting, detail));
        }
        Ok(())
    }

    /// R15: the content of the account was counted before the suspension, or can still be counted.
    pub(super) fn counted(&self, past: &UserState) -> Result<(), Denial> {
        // An account that must be active for its transfer is counted then.
        let is_reactivated = self.policy.when_refused == WhenRefused::Reactivate
            && self.past.allows(Ability::TransferFromInactive, self.now) == Some(false);
        let can_be_counted =
            is_reactivated || self.past.allows(Ability::ReadInactive, self.now) != Some(false);
        if can_be_counted || count_before(past, "", self.now).is_some() {
            return Ok(());
        }
        let detail = "the content was not counted before the suspension, and this Box does not show it now";
        Err(Denial::new(ReasonCode::ContentUnreadable, detail))
    }

    /// R14: a policy that includes the deletion suspends no user whose content this Box does not move.
    pub(super) fn can_be_freed(&self, person: &Person) -> Result<(), Denial> {
        // Items may have no bytes.
        let counted = self.past.people.get(&person.user_id);
        let counted = counted.and_then(|past| past.readings.iter().rev().find_map(|read| read.owned_items));
        let is_refused = self.policy.furthest_stage > Stage::Suspend
            && self.policy.when_refused == WhenRefused::Stop
            && (person.space_used_bytes != Some(0) || counted.is_some_and(|items| items > 0))
            && self.past.allows(Ability::TransferFromInactive, self.now) == Some(false);
        if !is_refused {
            return Ok(());
        }
        let detail = "this Box moves no content of inactive accounts, so the seat cannot be freed; [transfer] when_refused = \"reactivate\" makes the account active for the transfer";
        Err(Denial::new(ReasonCode::TransferRefused, detail))
    }

    /// R11, R15: no content is left, and sign-ins were watched long enough after the suspension.
    pub(super) fn gone(
        &self,
        past: &UserState,
        transfer: Option<&ActionState>,
        ours: &ActionState,
    ) -> Result<(), Denial> {
        let transfer =
            transfer.ok_or_else(|| Denial::new(ReasonCode::NotVerified, "nothing was transferred"))?;
        self.moved(past, transfer)?;
        if !ours.is_watched(self.snapshot.login_coverage) {
            return Err(Denial::new(
                ReasonCode::LateLoginsNotWatched,
                format!(
                    "sign-ins are not covered from the suspension to {}",
                    ours.watched_to().format("%F %H:%M UTC")
                ),
            ));
        }
        Ok(())
    }

    pub(super) fn moved(&self, past: &UserState, transfer: &ActionState) -> Result<(), Denial> {
        match emptiness(past, transfer, self.now) {
            Emptiness::Empty(_) => Ok(()),
            Emptiness::NotYet(at) => Err(Denial::new(
                ReasonCode::NotVerified,
                format!(
                    "two empty readings at least 20 hours apart are required; a reading from {} on can be the second",
                    at.format("%F %H:%M UTC")
                ),
            )),
            Emptiness::StillMoving(why) => Err(Denial::new(ReasonCode::NotVerified, why)),
            Emptiness::NotEmpty(why) => Err(Denial::new(ReasonCode::NotEmpty, why)),
            Emptiness::Unverifiable(why) => Err(Denial::new(ReasonCode::Unverifiable, why)),
        }
    }
}

/// An edit of an account by an actor that is not boxseat.
pub(crate) struct OtherEdit {
    pub(crate) at: DateTime<Utc>,
    pub(crate) sentence: String,
}

/// R3: the first one since a suspension, by the snapshot or by the admin log that an apply has read.
pub(crate) fn edited_by_other(
    past: &JournalState,
    user_id: &str,
    person: Option<&Person>,
    ours: &ActionState,
) -> Option<OtherEdit> {
    let is_other =
        |actor: &Option<String>| actor.as_ref().is_none_or(|actor| !past.actor_user_ids.contains(actor));
    let mut edits = person.into_iter().flat_map(|person| &person.edits);
    // Box dates events by the second, so an edit in the second of the suspension may have come after it.
    let since = ours.asked_at.trunc_subsecs(0);
    let of_snapshot = edits.find(|edit| edit.at >= since && is_other(&edit.actor_id));
    if let Some(edit) = of_snapshot {
        let sentence = format!("another actor edited the account {}", day(edit.at));
        return Some(OtherEdit { at: edit.at, sentence });
    }
    let is_recorded = |skip: &&Skip| skip.reason == ReasonCode::EditedByOther && skip.at > ours.asked_at;
    let recorded = past.people.get(user_id)?.skips.iter().find(is_recorded)?;
    Some(OtherEdit { at: recorded.at, sentence: recorded.detail.clone() })
}

/// R12: the value that has changed, if one has. A change of `modified_at` or of aliases alone is none. `name_of` names a group.
pub(crate) fn changed(before: &Standing, now: &Standing, name_of: impl Fn(&str) -> String) -> Option<String> {
    let is_app = |standing: &Standing| standing.is_platform_access_only.unwrap_or(false);
    let differences = [
        ("the id", before.user_id != now.user_id),
        ("the login", before.login != now.login),
        ("the status", before.status != now.status),
        ("the role", before.role != now.role),
        ("the enterprise", before.enterprise_id != now.enterprise_id),
        ("is_platform_access_only", is_app(before) != is_app(now)),
        ("external_app_user_id", before.external_app_user_id != now.external_app_user_id),
        ("a tracking code", before.tracking_codes != now.tracking_codes),
    ];
    let differs = differences.into_iter().find(|(_, differs)| *differs).map(|(what, _)| what.to_owned());
    differs.or_else(|| changed_groups(&before.group_ids, &now.group_ids, name_of))
}

/// The groups that the user left or joined; `None`: the same groups.
fn changed_groups(before: &[String], now: &[String], name_of: impl Fn(&str) -> String) -> Option<String> {
    let without = |from: &[String], other: &[String]| {
        let names: Vec<String> = from.iter().filter(|id| !other.contains(id)).map(|id| name_of(id)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let named = |what: &str, names: Option<String>| names.map(|names| format!("{what} {names}"));
    let left = named("left:", without(before, now));
    let joined = named("joined:", without(now, before));
    let changes: Vec<String> = [left, joined].into_iter().flatten().collect();
    (!changes.is_empty()).then(|| format!("membership of groups ({})", changes.join("; ")))
}
