//! Checks a reclamation by the simulator's record, whatever boxseat was requested to do and whatever it reports.
//!
//! The rules are implemented here a second time, in a simple way, on the facts at the time of each action. Nothing of boxseat's own
//! evaluation is used. Of its output only the journal is read, and only compared with the record.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_schemas::reclaim::{Action, Attempt, Entry, Outcome, Record};
use boxseat_simulator::{Account, App, Deed, Doer, TrueUser, Truth, Verb};
use chrono::{DateTime, TimeDelta, Utc};

use crate::intent::Intent;

mod approvals;
mod emptiness;
mod evidence;
mod leavers;

/// The inputs of a check.
pub struct Case<'a> {
    /// The policy.
    pub intent: &'a Intent,
    /// Earlier policies, each with the time from which it was no longer in force, in order.
    pub earlier: &'a [(DateTime<Utc>, Intent)],
    /// The record.
    pub deeds: &'a [Deed],
    /// The truth of each snapshot that boxseat has read, without events, in order.
    pub nights: &'a [Truth],
    /// The truth at the end, with events.
    pub end: &'a Truth,
    /// What each snapshot knows about the admin log, in order; before the first one everything is known.
    pub known: &'a [Known],
    /// Every entry that boxseat ever wrote to its journal, in order.
    pub journal: &'a [Entry],
    /// The journal at the end. A restored copy lacks entries, and has taken in actions from the lake.
    pub kept: &'a [Entry],
    /// Users that an operator offboards.
    pub leavers: &'a [Leaver],
}

/// A user that an operator offboards (R19).
pub struct Leaver {
    /// The user.
    pub user_id: String,
    /// Who receives the content.
    pub receiver_user_id: String,
    /// When the operator named the user.
    pub at: DateTime<Utc>,
}

/// What a snapshot knows about the admin log.
#[derive(Clone, Debug)]
pub struct Known {
    /// When it was read.
    pub at: DateTime<Utc>,
    /// The newest span in which every sign-in is known.
    pub logins: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The same for edits.
    pub edits: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether the snapshot has the live stream position before it.
    pub has_position: bool,
}

/// The violations, one sentence each; empty if there are none.
pub fn broken(case: &Case<'_>) -> Vec<String> {
    let mut judge = Judge { case, logins: case.logins(), broken: Vec::new() };
    judge.calls();
    judge.evidence();
    judge.approvals();
    judge.suspensions();
    judge.transfers();
    judge.deletions();
    judge.restorations();
    judge.windows();
    judge.caps();
    judge.journal();
    judge.broken
}

/// Users that `undo` of a plan left suspended without an obstacle: to be checked right after it ended.
pub fn left_suspended(case: &Case<'_>, plan_id: &str) -> Vec<String> {
    let judge = Judge { case, logins: BTreeMap::new(), broken: Vec::new() };
    // A user whose last suspension was tried by another plan belongs to that plan.
    let last: BTreeMap<&String, &String> = case
        .kept_attempts()
        .filter(|attempt| attempt.action == Action::Suspend)
        .map(|attempt| (&attempt.user_id, &attempt.plan_id))
        .collect();
    let suspended = last.into_iter().filter(|(_, by)| *by == plan_id).map(|(user_id, _)| user_id);
    let stuck = suspended.filter_map(|user_id| {
        let ours = judge.our_suspension(user_id, u64::MAX)?;
        let now = case.end.users.iter().find(|user| user.user_id == *user_id)?;
        let after = ours.after.as_ref()?;
        let is_as_left = now.status == "inactive" && now.login.as_deref() == Some(&*after.login);
        let is_free = is_as_left
            && judge.knows_edits(at(&case.end.now), ours)
            && judge.edit_by_other(user_id, ours, None).is_none();
        is_free.then(|| format!("{user_id} is still suspended after the undo of {plan_id}"))
    });
    stuck.collect()
}

/// By user: time of each sign-in, and when the streams returned it.
type Logins<'a> = BTreeMap<&'a str, Vec<(DateTime<Utc>, DateTime<Utc>)>>;

struct Judge<'a> {
    case: &'a Case<'a>,
    logins: Logins<'a>,
    broken: Vec<String>,
}

impl<'a> Case<'a> {
    fn logins(&self) -> Logins<'a> {
        let late: BTreeMap<(&str, &str), i64> = self.deeds.iter().filter_map(late_login).collect();
        let mut logins = Logins::new();
        for login in &self.end.logins {
            let hours = late.get(&(login.user_id.as_str(), login.created_at.as_str())).copied().unwrap_or(0);
            let happened = at(&login.created_at);
            let told = happened + TimeDelta::hours(hours);
            logins.entry(&login.user_id).or_default().push((happened, told));
        }
        logins
    }

    /// The policy in force at a time.
    fn policy_at(&self, moment: DateTime<Utc>) -> &'a Intent {
        self.earlier.iter().find(|(until, _)| moment < *until).map_or(self.intent, |(_, intent)| intent)
    }

    /// What the journal knows at the end, by itself or from the lake.
    fn kept_attempts(&self) -> impl Iterator<Item = &'a Attempt> {
        self.kept.iter().filter_map(|entry| match &entry.record {
            Record::Intent(attempt) | Record::ActionTakenIn { attempt, .. } => Some(attempt),
            _ => None,
        })
    }

    fn attempts(&self) -> impl Iterator<Item = &'a Attempt> {
        self.journal.iter().filter_map(|entry| match &entry.record {
            Record::Intent(attempt) => Some(attempt),
            _ => None,
        })
    }

    /// Snapshots read up to a time.
    fn nights_until(&self, moment: DateTime<Utc>) -> impl DoubleEndedIterator<Item = &'a Truth> {
        self.nights.iter().filter(move |night| at(&night.now) <= moment)
    }
}

impl<'a> Judge<'a> {
    fn require(&mut self, deed: &Deed, is_fine: bool, rule: &str) {
        if !is_fine {
            let Deed { sequence, at, verb, user_id, .. } = deed;
            self.broken.push(format!("deed {sequence} at {at}, {verb:?} of {user_id}: {rule}"));
        }
    }

    /// The policy in force at an action.
    fn policy(&self, deed: &Deed) -> &'a Intent {
        self.case.policy_at(at(&deed.at))
    }

    fn ours(&self) -> impl Iterator<Item = &'a Deed> + use<'a> {
        let is_ours = |deed: &&Deed| is_ours(deed) && deed.verb != Verb::FinishTransfer;
        self.case.deeds.iter().filter(is_ours)
    }

    fn applied(&self, verb: Verb) -> impl Iterator<Item = &'a Deed> + use<'a> {
        self.ours().filter(move |deed| deed.is_applied && deed.verb == verb)
    }

    /// R1, R13: only the four calls, never by force, and the mail as the policy says.
    fn calls(&mut self) {
        for deed in self.ours() {
            let is_known =
                matches!(deed.verb, Verb::Edit | Verb::EndSessions | Verb::BeginTransfer | Verb::Delete);
            self.require(deed, is_known, "R1: boxseat never does that");
            self.require(deed, deed.force != Some(true), "R1: by force");
            if matches!(deed.verb, Verb::BeginTransfer | Verb::Delete) {
                self.require(
                    deed,
                    !deed.is_applied || deed.notify == Some(self.policy(deed).notify),
                    "R13: notify is not as the policy says",
                );
            }
            if deed.verb == Verb::Edit {
                let mut keys = deed.body.as_object().into_iter().flat_map(|body| body.keys());
                let only_status = keys.all(|key| key == "status" || key == "notify");
                self.require(deed, only_status, "R1: an edit of something else than the status");
                let is_fine = !deed.is_applied || deed.suspends() || deed.reactivates() || unchanged(deed);
                self.require(deed, is_fine, "R1: a status that is neither a suspension nor its undoing");
            }
        }
    }

    fn suspensions(&mut self) {
        for deed in self.applied(Verb::Edit).filter(|deed| deed.suspends()) {
            let Some(before) = &deed.before else { continue };
            // The end of a window waits for nothing, whatever the policy says by then.
            if self.opened_before(deed).is_some() {
                continue;
            }
            self.person(deed, before);
            // A leaver may have a restricted status.
            let may = before.status == "active" || self.leaver(deed).is_some();
            self.require(deed, may, "R1: the status was not active");
            if self.leaver(deed).is_some() {
                continue;
            }
            self.idle(deed, at(&deed.at));
            let shared_moved = before.shared_items == 0;
            let stays_open = before.is_collaborated_content_available_when_owner_inactive;
            let may = self.policy(deed).shared_content == "suspend_anyway" || shared_moved || stays_open;
            self.require(deed, may, "R6: the user owns shared items");
            self.young(deed, before);
        }
    }

    fn transfers(&mut self) {
        let mut moved: BTreeMap<&str, u64> = BTreeMap::new();
        for deed in self.applied(Verb::BeginTransfer) {
            let first = moved.insert(&deed.user_id, deed.sequence);
            let is_new_content = first.is_none_or(|first| self.is_in_use_between(first, deed));
            self.require(deed, is_new_content, "R14: a second transfer of one user");
            let Some(before) = &deed.before else { continue };
            self.person(deed, before);
            let is_in_window = self.opened_before(deed).is_some();
            let is_first = !is_in_window
                && self.policy(deed).shared_content == "transfer_first"
                && before.status == "active";
            if self.leaver(deed).is_some() {
                let is_locked_out = before.status == "inactive" || is_in_window;
                self.require(deed, is_locked_out, "R19: the content moved before the leaver was locked out");
            } else if is_first {
                self.idle(deed, at(&deed.at));
                self.young(deed, before);
            } else {
                let policy = self.policy(deed);
                self.require(deed, policy.furthest_stage != "suspend", "R10: further than the policy goes");
                self.later_stage(deed, before, policy.transfer_after_days);
            }
            self.receiver(deed);
        }
    }

    /// Whether the account was set active again between an earlier action and this one, other than for its transfer.
    fn is_in_use_between(&self, earlier: u64, deed: &Deed) -> bool {
        self.case.deeds.iter().any(|other| {
            other.user_id == deed.user_id
                && (earlier..deed.sequence).contains(&other.sequence)
                && other.is_applied
                && other.reactivates()
                && (!is_ours(other) || !self.is_window_opening(other))
        })
    }

    fn receiver(&mut self, deed: &Deed) {
        let Some(receiver) = &deed.receiver_before else {
            return self.require(deed, false, "R4: no user receives");
        };
        let is_fit = receiver.is_managed
            && receiver.status == "active"
            && receiver.role == "user"
            && !receiver.is_platform_access_only;
        self.require(deed, is_fit, "R4: the receiver is not fit to receive");
        let bytes = deed.before.as_ref().map_or(0, |before| before.owned_bytes);
        let has_room = receiver.space_amount_bytes.is_none_or(|room| receiver.owned_bytes + bytes <= room);
        self.require(deed, has_room, "R4: the receiver has no room");
        let named = self.policy(deed).receiver.as_deref();
        let by_operator = self
            .case
            .leavers
            .iter()
            .any(|leaver| leaver.user_id == deed.user_id && leaver.receiver_user_id == receiver.user_id);
        self.require(
            deed,
            named.is_none() || named == Some(&*receiver.user_id) || by_operator,
            "R4: another receiver than the policy's",
        );
        let is_source = self.our_suspension(&receiver.user_id, deed.sequence).is_some();
        self.require(deed, !is_source || by_operator, "R4: the receiver was itself reclaimed");
    }

    fn deletions(&mut self) {
        for deed in self.applied(Verb::Delete) {
            let Some(before) = &deed.before else { continue };
            let is_empty = (deed.lost_items, deed.lost_bytes) == (0, 0) && !before.is_moving;
            self.require(
                deed,
                is_empty,
                &format!("R15: {} items and {} bytes were lost", deed.lost_items, deed.lost_bytes),
            );
            self.person(deed, before);
            if self.leaver(deed).is_some() {
                self.watched(deed);
            } else {
                let policy = self.policy(deed);
                self.require(deed, policy.furthest_stage == "delete", "R10: further than the policy goes");
                self.later_stage(deed, before, policy.delete_after_days);
            }
            self.proven_empty(deed);
        }
    }

    /// R1, R3, R4, R5: users that are excluded at every stage.
    fn person(&mut self, deed: &Deed, before: &Account) {
        let (case, intent) = (self.case, self.policy(deed));
        let moment = at(&deed.at);
        self.require(deed, before.is_managed && before.role == "user", "R1: not a managed user of role user");
        let is_program = before.is_platform_access_only || before.login.ends_with("@boxdevedition.com");
        self.require(deed, !is_program, "R1: a program");
        self.require(deed, !intent.held.contains(&before.user_id), "R3: under legal hold");
        self.require(deed, !intent.protected_ids.contains(&before.user_id), "R4: protected by id");
        let now = before.aliases.iter().chain([&before.login]).map(|address| address.to_lowercase());
        let earlier = case.nights_until(moment).flat_map(|night| addresses(night, &before.user_id));
        let is_named = now.chain(earlier).any(|address| intent.protected_logins.contains(&address));
        self.require(deed, !is_named, "R4: protected by an address, present or former");
        let night = case.nights_until(moment).next_back();
        let then = night.into_iter().flat_map(|night| &night.memberships);
        let then = then.filter(|membership| membership.user_id == before.user_id);
        let mut groups = then.map(|membership| &membership.group_id).chain(&before.group_ids);
        self.require(
            deed,
            !groups.any(|id| intent.protected_groups.contains(id)),
            "R4: protected by a group",
        );
        let date = moment.date_naive().to_string();
        let on_leave = intent
            .leaves
            .iter()
            .any(|(id, from, to)| *id == before.user_id && *from <= date && (to.is_empty() || *to >= date));
        self.require(deed, !on_leave || self.leaver(deed).is_some(), "R5: on leave");
        let received = self.applied(Verb::BeginTransfer).any(|other| {
            other.sequence < deed.sequence
                && other.receiver_user_id.as_ref() == Some(&before.user_id)
                && moment - at(&other.at) < TimeDelta::days(365)
        });
        self.require(deed, !received, "R4: received content within a year");
    }

    /// R5: new or returned, by the snapshots.
    fn young(&mut self, deed: &Deed, before: &Account) {
        let (case, moment) = (self.case, at(&deed.at));
        let grace = TimeDelta::days(case.intent.new_user_grace_days);
        self.require(deed, moment - at(&before.created_at) >= grace, "R5: new");
        let seen = case.nights_until(moment).map(|night| (at(&night.now), user(night, &before.user_id)));
        let seen: Vec<_> = seen.collect();
        let is_back = |pair: &&[(DateTime<Utc>, Option<&TrueUser>)]| {
            let [(_, was), (_, is)] = pair else { return false };
            let was_away = was.is_none_or(|user| user.status == "inactive");
            was_away && is.is_some_and(|user| user.status != "inactive")
        };
        let back = seen.windows(2).filter(is_back).map(|pair| pair[1].0).max();
        let grace = TimeDelta::days(case.intent.returned_grace_days);
        let is_undo = |other: &&Deed| {
            other.user_id == deed.user_id && other.reactivates() && !self.is_window_opening(other)
        };
        let undone = self.applied(Verb::Edit).filter(is_undo);
        let undone = undone.filter(|other| other.sequence < deed.sequence).map(|other| at(&other.at)).max();
        let rested =
            undone.is_none_or(|undone| moment - undone >= TimeDelta::days(case.intent.returned_grace_days));
        self.require(deed, rested, "R5: given back by an undo lately");
        // By days before the last snapshot, as an account's age is counted.
        let last = seen.last().map_or(moment, |(at, _)| *at);
        self.require(
            deed,
            back.is_none_or(|back| last - back >= grace),
            "R5: new to the store, back, or reactivated",
        );
    }

    /// R2, R11: no user with a known sign-in.
    fn idle(&mut self, deed: &Deed, moment: DateTime<Utc>) {
        let threshold = moment - TimeDelta::days(self.policy(deed).suspend_after_idle_days);
        let newest = self.told_login(&deed.user_id, moment);
        self.require(deed, newest.is_none_or(|login| login < threshold), "R2: signed in lately");
    }

    /// The latest sign-in that any stream had returned at a time.
    fn told_login(&self, user_id: &str, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let all = self.logins.get(user_id).into_iter().flatten();
        all.filter(|(_, told)| *told <= moment).map(|(happened, _)| *happened).max()
    }

    /// R3, R8, R11, R12: the suspension is ours and in force, no other actor edited the user, and the user did not sign in again.
    fn later_stage(&mut self, deed: &Deed, before: &Account, after_days: i64) {
        let ours = self.our_suspension(&deed.user_id, deed.sequence);
        let is_suspended = before.status == "inactive" || self.opened_before(deed).is_some();
        self.require(deed, is_suspended && ours.is_some(), "R3: not suspended by boxseat");
        let Some((ours, after)) = ours.and_then(|ours| Some((ours, ours.after.as_ref()?))) else { return };
        let waited = at(&deed.at) - at(&ours.at);
        self.require(deed, waited >= TimeDelta::days(after_days), "R8: too soon after the suspension");
        let edit = self.edit_by_other(&deed.user_id, ours, Some(deed));
        self.require(deed, edit.is_none(), "R3: edited by another actor since the suspension");
        let sorted = |account: &Account| account.group_ids.iter().cloned().collect::<BTreeSet<_>>();
        let is_same =
            (&before.login, &before.role, sorted(before)) == (&after.login, &after.role, sorted(after));
        self.require(deed, is_same, "R12: not as the suspension left the account");
        self.idle(deed, at(&deed.at));
        let threshold = at(&ours.at) - TimeDelta::days(self.policy(ours).suspend_after_idle_days);
        let newest = self.told_login(&deed.user_id, at(&deed.at));
        self.require(
            deed,
            newest.is_none_or(|login| login < threshold),
            "R11: a login came to light after the suspension",
        );
    }

    /// The suspension by boxseat that is in force before an action; windows for a transfer do not end it.
    fn our_suspension(&self, user_id: &str, until: u64) -> Option<&'a Deed> {
        let last = self.last_change(user_id, until).filter(|last| is_ours(last))?;
        if self.is_window_opening(last) {
            return self.our_suspension(user_id, last.sequence);
        }
        match self.opened_before(last) {
            Some(opened) if last.suspends() => self.our_suspension(user_id, opened.sequence),
            _ => last.suspends().then_some(last),
        }
    }

    /// The last change of an account's status before an action.
    fn last_change(&self, user_id: &str, until: u64) -> Option<&'a Deed> {
        let is_change = |deed: &&Deed| {
            deed.user_id == user_id && deed.sequence < until && deed.is_applied && !unchanged(deed)
        };
        self.case.deeds.iter().rfind(is_change)
    }

    /// The window that is open at an action: boxseat made the account active for a transfer, and no actor changed its status since.
    fn opened_before(&self, deed: &Deed) -> Option<&'a Deed> {
        let last = self.last_change(&deed.user_id, deed.sequence)?;
        (is_ours(last) && self.is_window_opening(last)).then_some(last)
    }

    /// Whether a reactivation is one for a transfer and no undo: the journal has the same number of both, in the same order.
    fn is_window_opening(&self, deed: &Deed) -> bool {
        if !deed.reactivates() {
            return false;
        }
        let earlier = |other: &&Deed| {
            other.user_id == deed.user_id && other.reactivates() && other.sequence < deed.sequence
        };
        let place = self.applied(Verb::Edit).filter(earlier).count();
        let is_reactivation = |attempt: &&Attempt| {
            attempt.user_id == deed.user_id && matches!(attempt.action, Action::Reactivate | Action::Restore)
        };
        let done = self.case.attempts().filter(is_reactivation).filter(|attempt| self.was_done(attempt));
        done.into_iter().nth(place).is_some_and(|attempt| attempt.action == Action::Reactivate)
    }

    fn was_done(&self, attempt: &Attempt) -> bool {
        let is_done = |record: &Record| match record {
            Record::Outcome { action_id, outcome, .. } => {
                *action_id == attempt.action_id
                    && matches!(outcome, Outcome::Done | Outcome::RevertedByOther | Outcome::ReProvisioned)
            }
            _ => false,
        };
        self.case.journal.iter().any(|entry| is_done(&entry.record))
    }

    /// R14: an account is made active for its transfer only where the policy says so, and it does not stay active.
    fn windows(&mut self) {
        let opened: Vec<&Deed> =
            self.applied(Verb::Edit).filter(|deed| self.is_window_opening(deed)).collect();
        for deed in opened {
            let Some(before) = &deed.before else { continue };
            let policy = self.policy(deed);
            self.require(deed, policy.when_refused == "reactivate", "R14: the policy does not allow that");
            self.person(deed, before);
            if self.leaver(deed).is_none() {
                self.later_stage(deed, before, policy.transfer_after_days);
            }
            let is_open =
                self.last_change(&deed.user_id, u64::MAX).is_some_and(|last| last.sequence == deed.sequence);
            // Box refuses to suspend an administrator, and may refuse other users for reasons of its own. Every start tries again.
            let is_there =
                self.case.end.users.iter().any(|user| user.user_id == deed.user_id && user.role == "user");
            let edits = self.ours().filter(|other| other.user_id == deed.user_id && other.verb == Verb::Edit);
            let is_refused =
                edits.last().is_some_and(|last| last.sequence > deed.sequence && !last.is_applied);
            self.require(deed, !is_open || !is_there || is_refused, "R14: the account was left active");
        }
    }

    /// When the admin log shows an edit by an actor other than boxseat, after one action and before another. Within the same
    /// second, the record knows the order only where the edit is itself an entry of the record.
    fn edit_by_other(&self, user_id: &str, from: &Deed, until: Option<&Deed>) -> Option<DateTime<Utc>> {
        let is_between = |deed: &&Deed| {
            deed.user_id == user_id
                && deed.sequence > from.sequence
                && until.is_none_or(|until| deed.sequence < until.sequence)
        };
        let deeds = self.case.deeds.iter().filter(is_between);
        let told = deeds.filter(|deed| deed.is_applied && !is_ours(deed) && is_announced_edit(deed));
        let events = self.case.end.other_events.iter().filter(|event| {
            let moment = at(&event.created_at);
            event.event_type == "EDIT_USER"
                && event.user_id.as_deref() == Some(user_id)
                && !OUR_ACCOUNTS.contains(&event.actor_id.as_deref().unwrap_or_default())
                && moment > at(&from.at)
                && until.is_none_or(|until| moment < at(&until.at))
        });
        told.map(|deed| at(&deed.at)).chain(events.map(|event| at(&event.created_at))).min()
    }

    /// R18: exactly the earlier status is restored, only for users who are as boxseat left them.
    fn restorations(&mut self) {
        let is_undo = |deed: &&Deed| deed.reactivates() && !self.is_window_opening(deed);
        for deed in self.applied(Verb::Edit).filter(is_undo).collect::<Vec<_>>() {
            let ours = self.our_suspension(&deed.user_id, deed.sequence);
            self.require(deed, ours.is_some(), "R18: reactivated a user that boxseat had not suspended");
            let Some(ours) = ours else { continue };
            let edit = self.edit_by_other(&deed.user_id, ours, Some(deed));
            self.require(deed, edit.is_none(), "R18: another actor has edited the user since");
            let (Some(was), Some(is), Some(left), Some(found)) =
                (&ours.before, &deed.after, &ours.after, &deed.before)
            else {
                continue;
            };
            self.require(deed, was.status == is.status, "R18: another status than before the suspension");
            self.require(deed, left.login == found.login, "R18: the login has changed");
        }
    }

    /// R8: in any thirty days no more users than the caps allow. A user that was counted before does not count again, although
    /// deletions have reduced the seats of a tiny enterprise since.
    fn caps(&mut self) {
        let touching = |deed: &&Deed| {
            deed.is_applied && (deed.suspends() || matches!(deed.verb, Verb::BeginTransfer | Verb::Delete))
        };
        let touched: Vec<&Deed> =
            self.ours().filter(touching).filter(|deed| self.leaver(deed).is_none()).collect();
        for (place, deed) in touched.iter().enumerate() {
            let intent = self.policy(deed);
            let window = at(&deed.at) - TimeDelta::days(30);
            let within = touched[..=place].iter().filter(|other| at(&other.at) > window);
            let people: BTreeSet<&str> = within.map(|other| other.user_id.as_str()).collect();
            let night = self.case.nights_until(at(&deed.at)).next_back();
            let seats = night.map_or(0, |night| night.users.len());
            let by_share = (seats as f64 * intent.cap_seats_percent / 100.0) as u64;
            let is_within = people.len() as u64 <= intent.cap_people.min(by_share);
            // A leaver counts as well, so an earlier offboarding has already counted the user.
            let is_counted = self.ours().filter(touching).any(|other| {
                other.sequence < deed.sequence && at(&other.at) > window && other.user_id == deed.user_id
            });
            self.require(deed, is_within || is_counted, "R8: more users than the caps allow");
        }
    }
}

/// The accounts of boxseat's two applications.
const OUR_ACCOUNTS: [&str; 2] = ["7700000001", "7700000002"];

/// The journal's action for an entry of the record. Ending sessions may be repeated.
fn action(deed: &Deed) -> Option<Action> {
    match deed.verb {
        Verb::Edit if deed.suspends() => Some(Action::Suspend),
        Verb::Edit if deed.reactivates() => Some(Action::Restore),
        Verb::BeginTransfer => Some(Action::Transfer),
        Verb::Delete => Some(Action::Delete),
        _ => None,
    }
}

fn is_ours(deed: &Deed) -> bool {
    matches!(deed.by, Doer::App(App::Reading | App::Acting))
}

fn unchanged(deed: &Deed) -> bool {
    let status = |account: &Option<Account>| account.as_ref().map(|account| account.status.clone());
    status(&deed.before) == status(&deed.after)
}

/// Whether an act is an edit that EDIT_USER announces.
fn is_announced_edit(deed: &Deed) -> bool {
    let mut act = &deed.body;
    if let Some(inner) = act.get("as") {
        act = &inner["act"];
    }
    let edits = ["edit_user", "set_status", "make_alias_primary", "reassign_login"];
    deed.by == Doer::Person && deed.verb == Verb::Edit
        || edits.into_iter().filter_map(|kind| act.get(kind)).any(|edit| edit["announced"] == true)
}

fn late_login(deed: &Deed) -> Option<((&str, &str), i64)> {
    let hours = deed.body.get("late_login")?["arrives_in_hours"].as_i64()?;
    Some(((&deed.user_id, &deed.at), hours))
}

fn user<'t>(night: &'t Truth, user_id: &str) -> Option<&'t TrueUser> {
    night.users.iter().find(|user| user.user_id == user_id)
}

/// Login and aliases in a snapshot, in lower case.
fn addresses<'t>(night: &'t Truth, user_id: &'t str) -> impl Iterator<Item = String> + 't {
    let login = user(night, user_id).and_then(|user| user.login.as_deref());
    let aliases = night.email_aliases.iter().filter(move |alias| alias.user_id == user_id);
    login.into_iter().chain(aliases.map(|alias| alias.email.as_str())).map(str::to_lowercase)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|e| panic!("{text:?} is no time: {e}"))
}
