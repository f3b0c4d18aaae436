//! Who goes which stage tonight, and who does not and why: the rules as one pure function of policy, night, journal and lists.
//!
//! A rule whose input is missing, null, stale or unknown says no. Every no has a word, which tables show and count, and a sentence
//! with the figure or name that decided.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use boxseat_schemas::reclaim::plan::Stage;
use boxseat_schemas::reclaim::{Outcome, Standing};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::beside::Beside;
use super::emptiness::{Emptiness, emptiness};
use super::ground::{Ground, Person};
use super::past::{Past, PastAttempt, PastPerson, PastPlan, RECEIVER_PROTECTED, unfinished};
use super::policy::{Evidence, Policy, SharedContent};
use super::protect::{Addresses, Protected, groups_named, has_code};
use super::receivers::Receivers;

/// The rules, ready to be asked about anybody of a night.
pub(crate) struct Judge<'a> {
    policy: &'a Policy,
    ground: &'a Ground,
    past: &'a Past,
    now: DateTime<Utc>,
    /// Whom nothing is done to.
    pub(crate) protected: Protected,
    /// Who receives content.
    pub(crate) receivers: Receivers<'a>,
    held: HashMap<String, String>,
    leaves: HashMap<String, Leave>,
    /// Ids of the groups that the policy is about.
    who_groups: Option<BTreeSet<&'a str>>,
    watched_from: Option<DateTime<Utc>>,
    taken_receivers: BTreeSet<&'a str>,
    /// Plans that are open and do not count: the one that is being applied, or those that a new one takes the place of.
    set_aside: HashSet<&'a str>,
    /// Names of the tracking codes that the policy looks at.
    code_names: Vec<&'a str>,
}

/// What today's leave list says of a person.
#[derive(Debug, Clone, Copy, Default)]
struct Leave {
    /// Whether one holds on the night.
    holds: bool,
    /// The end of the last one that is over.
    ended_at: Option<DateTime<Utc>>,
}

/// What the rules say of a person.
#[expect(
    clippy::large_enum_variant,
    reason = "one is looked at at a time; nobody keeps them by the thousand"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The policy is not about this person tonight: in use, no seat, already as far as it goes, or not among those it names.
    NotAsked,
    /// Goes this stage.
    Goes(Goes),
    /// Would have gone this stage, and a rule says no.
    LeftOut(Stage, No),
}

/// Somebody goes a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goes {
    /// Which.
    pub(crate) stage: Stage,
    /// Who gets the content; of transfers.
    pub(crate) receiver_user_id: Option<String>,
    /// When we suspended the person; of later stages.
    pub(crate) suspended_at: Option<DateTime<Utc>>,
    /// What the person must still look like (R8, R12): of the first stage the night, of later ones our last post-image.
    pub(crate) baseline: Standing,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct No {
    /// The rule, such as `R4`.
    pub(crate) rule: &'static str,
    /// Its word, such as `protected`.
    pub(crate) word: &'static str,
    /// The same as a sentence, with the figure or name that decided.
    pub(crate) detail: String,
}

impl No {
    pub(crate) fn new(rule: &'static str, word: &'static str, detail: impl Into<String>) -> Self {
        Self { rule, word, detail: detail.into() }
    }
}

/// Why nobody at all is judged: the rule, and a sentence with the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The rule, such as `R4`.
    pub(crate) rule: &'static str,
    /// What is wrong, and what to do.
    pub(crate) sentence: String,
}

/// Everybody, judged, the caps counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Who goes, by stage, in the order they are acted on: longest idle first.
    pub(crate) going: BTreeMap<Stage, Vec<(String, Goes)>>,
    /// Who does not, by id.
    pub(crate) left_out: BTreeMap<String, (Stage, No)>,
}

impl<'a> Judge<'a> {
    /// Resolves everything the policy names. `set_aside` are open plans that do not count as such.
    ///
    /// # Errors
    /// Everything for which nobody may be judged at all.
    pub(crate) fn new(
        policy: &'a Policy,
        ground: &'a Ground,
        past: &'a Past,
        beside: &'a Beside,
        now: DateTime<Utc>,
        set_aside: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<Refusal>> {
        let (judge, refusals) = Self::look(policy, ground, past, beside, now, set_aside);
        if refusals.is_empty() { Ok(judge) } else { Err(refusals) }
    }

    /// As [`Judge::new`], with what is wrong beside it: for whoever wants to see all of it.
    pub(crate) fn look(
        policy: &'a Policy,
        ground: &'a Ground,
        past: &'a Past,
        beside: &'a Beside,
        now: DateTime<Utc>,
        set_aside: impl IntoIterator<Item = &'a str>,
    ) -> (Self, Vec<Refusal>) {
        let mut refusals = Vec::new();
        let mut refuse = |rule, sentence: String| refusals.push(Refusal { rule, sentence });
        let fresh_from = ground.night.now_at - TimeDelta::hours(48);
        if ground.login_coverage.is_none_or(|(_, to)| to < fresh_from) {
            refuse("R2", "sign-ins are not covered up to the night, so nothing is proved of anybody: the next `boxseat sync` closes the gap".to_owned());
        }
        let watched_from = ground.activity_watched_from(&beside.activity_events);
        if policy.evidence == Evidence::Activity && watched_from.is_none() {
            let why = if beside.activity_events.is_empty() {
                "[sync] activity_events names none"
            } else {
                "one of [sync] activity_events is not covered up to the night"
            };
            refuse("R2", format!("evidence = \"activity\" wants activity to be watched, and {why}"));
        }
        let addresses = Addresses::of(ground);
        let protected = Protected::resolve(&policy.protect, ground, &addresses);
        let held = held(ground, beside, &addresses, &mut refuse);
        for entry in protected.idle_entries() {
            refuse("R4", format!("[protect] {entry} matches nobody: whom it was to protect would not be"));
        }
        let (receivers, wrong) = Receivers::resolve(policy, ground, beside, addresses);
        wrong.into_iter().for_each(|sentence| refuse("R4", sentence));
        let leaves = leaves(ground, beside, &mut refuse);
        let who_groups = (!policy.who.groups.is_empty())
            .then(|| policy.who.groups.iter().flat_map(|entry| groups_named(ground, entry)).collect());
        let set_aside: HashSet<&str> = set_aside.into_iter().collect();
        let judge = Self {
            policy,
            ground,
            past,
            now,
            protected,
            receivers,
            held,
            leaves,
            who_groups,
            watched_from,
            taken_receivers: taken_receivers(past, &set_aside, now),
            set_aside,
            code_names: policy.code_names(),
        };
        (judge, refusals)
    }

    /// What the rules say of one person; caps are counted over everybody, see [`Judge::everybody`].
    pub(crate) fn verdict(&self, person: &Person) -> Verdict {
        let past = self.past.people.get(&person.user_id);
        let ours = past.and_then(PastPerson::suspension);
        match (person.account_status.as_str(), ours) {
            _ if !person.consumes_seat || !self.is_about(person) => Verdict::NotAsked,
            ("suspended", None) if self.policy.furthest_stage == Stage::Suspend => Verdict::NotAsked,
            ("suspended", None) => {
                let detail = "somebody else suspended the account: it may be for legal hold or leave";
                Verdict::LeftOut(Stage::Transfer, No::new("R3", "suspended_by_other", detail))
            }
            ("suspended", Some(ours)) => self.later(person, past.expect("it has an attempt"), ours),
            ("active", Some(ours)) if ours.asked_at > self.ground.night.now_at => {
                let detail = format!("suspended {} by us, after this night was read", day(ours.asked_at));
                Verdict::LeftOut(Stage::Suspend, No::new("R8", "suspended_since", detail))
            }
            ("active", Some(ours)) => {
                let detail = format!("suspended {} by us, and active again since", day(ours.asked_at));
                Verdict::LeftOut(Stage::Suspend, No::new("R20", "reverted_by_other", detail))
            }
            ("active", None) => self.first(person, past),
            (status, _) => {
                let detail =
                    format!("the account's status is {}", person.box_status.as_deref().unwrap_or(status));
                Verdict::LeftOut(Stage::Suspend, No::new("R1", "unknown_status", detail))
            }
        }
    }

    /// Everybody, in order, within the caps (R8). Later stages are counted first: whoever is in them has met the rules before.
    pub(crate) fn everybody(&self) -> Judged {
        let mut judged = Judged::default();
        let mut going: Vec<(&Person, Goes)> = Vec::new();
        for person in self.ground.people.values() {
            match self.verdict(person) {
                Verdict::NotAsked => {}
                Verdict::LeftOut(stage, no) => {
                    judged.left_out.insert(person.user_id.clone(), (stage, no));
                }
                Verdict::Goes(goes) => going.push((person, goes)),
            }
        }
        self.part_receivers(&mut going, &mut judged);
        going.sort_by_cached_key(|(person, goes)| {
            (
                std::cmp::Reverse(goes.stage),
                std::cmp::Reverse(person.proven_idle_days),
                person.user_id.clone(),
            )
        });
        let mut room = self.room_left();
        let mut full: HashMap<String, i64> = HashMap::new();
        for (person, goes) in going {
            let stage = goes.stage;
            let no = self.quota(person, &goes, &mut full).err().or_else(|| room.take(&person.user_id).err());
            match no {
                Some(no) => drop(judged.left_out.insert(person.user_id.clone(), (stage, no))),
                None => judged.going.entry(stage).or_default().push((person.user_id.clone(), goes)),
            }
        }
        judged
    }

    /// Whether the policy names the person at all.
    fn is_about(&self, person: &Person) -> bool {
        let who = &self.policy.who;
        let in_group = self
            .who_groups
            .as_ref()
            .is_none_or(|groups| person.group_ids.iter().any(|id| groups.contains(id.as_str())));
        let has_code =
            who.tracking_codes.is_empty() || who.tracking_codes.iter().any(|code| has_code(person, code));
        in_group && has_code
    }

    /// An active account: is it to be suspended?
    fn first(&self, person: &Person, past: Option<&PastPerson>) -> Verdict {
        let threshold = TimeDelta::days(self.policy.suspend_after_idle_days);
        if person.last_activity_at.is_some_and(|at| self.ground.night.now_at - at < threshold) {
            return Verdict::NotAsked;
        }
        let states = &self.policy.who.seat_states;
        if !states.is_empty() && !person.seat_state.as_ref().is_some_and(|state| states.contains(state)) {
            return Verdict::NotAsked;
        }
        let stage = self.first_stage(past);
        let goes = self
            .never(person)
            .and_then(|()| self.kept(person))
            .and_then(|()| self.young(person))
            .and_then(|()| self.proven(person))
            .and_then(|()| self.shared(past))
            .and_then(|()| self.goes(person, stage, None));
        goes.map_or_else(|no| Verdict::LeftOut(stage, no), Verdict::Goes)
    }

    /// A suspension that is ours: what comes next?
    fn later(&self, person: &Person, past: &PastPerson, ours: &PastAttempt) -> Verdict {
        let policy = self.policy;
        let transfer = past.transfer();
        let (stage, after_days) = match transfer {
            _ if policy.furthest_stage == Stage::Suspend => return Verdict::NotAsked,
            None => (Stage::Transfer, policy.transfer_after_days),
            Some(_) if policy.furthest_stage == Stage::Transfer => return Verdict::NotAsked,
            Some(_) => (Stage::Delete, policy.delete_after_days),
        };
        let goes = self
            .never(person)
            .and_then(|()| self.kept(person))
            .and_then(|()| self.young(person))
            .and_then(|()| self.unchanged(person, ours))
            .and_then(|()| self.proven(person))
            .and_then(|()| self.waited(stage, ours, after_days))
            .and_then(|()| if stage == Stage::Delete { self.gone(past, transfer, ours) } else { Ok(()) })
            .and_then(|()| self.goes(person, stage, Some(ours)));
        goes.map_or_else(|no| Verdict::LeftOut(stage, no), Verdict::Goes)
    }

    /// R6: content that others work in moves before its owner is suspended, if the policy says so and somebody has seen it.
    fn first_stage(&self, past: Option<&PastPerson>) -> Stage {
        let is_moved = past.is_some_and(|past| past.transfer().is_some());
        if self.policy.shared_content == SharedContent::TransferFirst
            && !is_moved
            && self.shares(past) == Some(true)
        {
            Stage::Transfer
        } else {
            Stage::Suspend
        }
    }

    /// Whether the person's root folder has shared items, as counted lately; `None`: not counted.
    fn shares(&self, past: Option<&PastPerson>) -> Option<bool> {
        let last = past?.readings.last().filter(|reading| reading.at > self.now - COUNT_HOLDS)?;
        // A folder that could not be read may hold anything.
        Some(last.shared_items.is_none_or(|items| items > 0))
    }

    /// R1: people and accounts that nothing is ever done to.
    fn never(&self, person: &Person) -> Result<(), No> {
        never(person, &self.ground.enterprise_id)
    }

    /// R3, R4, R5: people whom somebody protects, holds, or has on leave; and people whom a plan is busy with.
    fn kept(&self, person: &Person) -> Result<(), No> {
        let id = person.user_id.as_str();
        if let Some(entry) = self.protected.entry_for(id) {
            return Err(No::new("R4", "protected", format!("[protect] {entry}")));
        }
        let protect = &self.policy.protect;
        if !person.are_aliases_known && !protect.logins.is_empty() {
            return Err(No::new(
                "R4",
                "aliases_unknown",
                "the person's aliases were never read, and one may be protected",
            ));
        }
        let by_group = !protect.groups.is_empty() || self.who_groups.is_some();
        if !person.are_groups_known && by_group {
            return Err(No::new(
                "R4",
                "groups_unknown",
                "the person's groups were never read, and one may be protected",
            ));
        }
        if let Some(reason) = self.held.get(id) {
            let detail = if reason.is_empty() {
                "on the list of holds".to_owned()
            } else {
                format!("on the list of holds: {reason}")
            };
            return Err(No::new("R3", "on_hold", detail));
        }
        if self.taken_receivers.contains(id)
            || self.receivers.everybodys().is_some_and(|receiver| receiver.user_id == id)
        {
            return Err(No::new("R4", "receiver", "receives content of others, or did within 365 days"));
        }
        let until = person.leave.map(|leave| leave.until).or(self
            .leaves
            .get(id)
            .filter(|leave| leave.holds)
            .map(|_| None));
        if let Some(until) = until {
            let end = until.map_or_else(String::new, |day| format!(" until {day}"));
            return Err(No::new("R5", "on_leave", format!("on leave{end}")));
        }
        if person.seat_state.as_deref() == Some("paused") {
            return Err(No::new("R5", "on_leave", "on leave"));
        }
        self.undisturbed(id)
    }

    /// R3, R4, R19: what keeps even somebody whom `offboard` names.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn keeps_even_if_named(&self, person: &Person) -> Result<(), No> {
        let id = person.user_id.as_str();
        if let Some(entry) = self.protected.entry_for(id) {
            return Err(No::new("R4", "protected", format!("[protect] {entry}")));
        }
        match self.held.get(id) {
            Some(reason) => Err(No::new("R3", "on_hold", format!("on the list of holds: {reason}"))),
            None => Ok(()),
        }
    }

    /// R8, R13, R20: nothing is under way, and nobody has just undone or refused it.
    fn undisturbed(&self, id: &str) -> Result<(), No> {
        let planned = self.past.open_plans().find(|(plan_id, plan)| {
            !self.set_aside.contains(plan_id)
                && plan.user_ids.iter().any(|user| user == id)
                && !self.is_done_with(id, plan_id)
        });
        if let Some((plan_id, _)) = planned {
            return Err(No::new("R8", "in_open_plan", format!("in plan {plan_id}, which is open")));
        }
        let Some(past) = self.past.people.get(id) else { return Ok(()) };
        if let Some(open) = past.attempts.iter().find(|attempt| attempt.is_unfinished()) {
            return Err(No::new("R13", "unfinished", unfinished(open)));
        }
        if let Some(at) = past.reverted_at().filter(|at| *at > self.now - REVERTED_REST) {
            let detail = format!("somebody undid our action {}: left alone for 90 days", day(at));
            return Err(No::new("R20", "reverted_by_other", detail));
        }
        let refused = past.attempts.iter().rev().find(|attempt| attempt.outcome == Some(Outcome::Refused));
        if let Some(refused) = refused.filter(|refused| refused.asked_at > self.now - REFUSED_REST) {
            let why = refused.reason.as_deref().unwrap_or("it did not say why");
            let detail =
                format!("Box refused {} {}: {why}", refused.attempt.action.as_str(), day(refused.asked_at));
            return Err(No::new("R16", "refused_by_box", detail));
        }
        Ok(())
    }

    /// Whether a plan will do nothing more about a person.
    fn is_done_with(&self, id: &str, plan_id: &str) -> bool {
        self.past.people.get(id).is_some_and(|past| past.final_skip(plan_id).is_some())
    }

    /// R5: nobody is judged who is new, newly here, or newly back.
    fn young(&self, person: &Person) -> Result<(), No> {
        let night = self.ground.night.now_at;
        let unknown =
            |what: &str| No::new("R5", "young", format!("nobody knows when the account was {what}"));
        let created = person.created_at.ok_or_else(|| unknown("created"))?;
        let seen = person.first_seen_at.ok_or_else(|| unknown("first seen"))?;
        let is_later = self.ground.first_night_at.is_none_or(|first| seen > first);
        let grace = self.ground.new_user_grace_days;
        if (night - created).num_days() < grace {
            return Err(No::new(
                "R5",
                "young",
                format!("created {}, less than {grace} days before the night", day(created)),
            ));
        }
        if is_later && (night - seen).num_days() < grace {
            return Err(No::new(
                "R5",
                "young",
                format!("first seen {}, less than {grace} days before the night", day(seen)),
            ));
        }
        let grace = self.ground.returned_grace_days;
        let restored = self.past.people.get(&person.user_id).and_then(PastPerson::restored_at);
        if let Some(at) = restored.filter(|at| (self.now - *at).num_days() < grace) {
            let detail = format!("given back by undo {}, less than {grace} days ago", day(at));
            return Err(No::new("R5", "undone", detail));
        }
        match person.returned_at.filter(|at| (night - *at).num_days() < grace) {
            Some(at) => Err(No::new(
                "R5",
                "returned",
                format!("back since {}, less than {grace} days before the night", day(at)),
            )),
            None => Ok(()),
        }
    }

    /// R2: the days that are proved, and nothing else.
    fn proven(&self, person: &Person) -> Result<(), No> {
        let wanted = self.policy.suspend_after_idle_days;
        let proven = person.proven_idle_days.ok_or_else(|| {
            No::new("R2", "unproven", "nothing is proved of the person's days: sign-ins are not covered")
        })?;
        if proven < wanted {
            return Err(No::new(
                "R2",
                "not_long_enough",
                format!("{proven} idle days are proved, {wanted} are wanted"),
            ));
        }
        let since = |at: DateTime<Utc>| (self.ground.night.now_at - at).num_days();
        if self.policy.evidence == Evidence::Activity {
            let watched = self.watched_from.map_or(0, since);
            if watched < wanted {
                return Err(No::new(
                    "R2",
                    "activity_not_watched",
                    format!("what people do is watched for {watched} days, {wanted} are wanted"),
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
            Some(days) => Err(No::new(
                "R5",
                "not_long_enough",
                format!("back from leave for {days} days, {wanted} are wanted"),
            )),
            None => Ok(()),
        }
    }

    /// R6, the policy's part: whoever was seen to own shared content is not suspended, unless the policy says so or it has moved.
    fn shared(&self, past: Option<&PastPerson>) -> Result<(), No> {
        let transfer = past.and_then(|past| past.transfer().map(|transfer| (past, transfer)));
        match (self.policy.shared_content, transfer) {
            (SharedContent::SuspendAnyway, _) => Ok(()),
            (SharedContent::TransferFirst, Some((past, transfer))) => self.moved(past, transfer),
            (SharedContent::TransferFirst, None) => Ok(()),
            (SharedContent::LeaveOut, _) if self.shares(past) == Some(true) => {
                let last = past.and_then(|past| past.readings.last());
                let items = last.and_then(|reading| reading.shared_items);
                let what = items.map_or_else(
                    || "the folders could not be looked into".to_owned(),
                    |items| format!("{items} shared items in the root folder"),
                );
                let at = last.map_or_else(String::new, |reading| format!(", counted {}", day(reading.at)));
                Err(No::new(
                    "R6",
                    "owns_shared_content",
                    format!("{what}{at}: suspending the owner closes them for everybody"),
                ))
            }
            (SharedContent::LeaveOut, _) => Ok(()),
        }
    }

    /// R3: the suspension is ours, and the person is as we left them.
    fn unchanged(&self, person: &Person, ours: &PastAttempt) -> Result<(), No> {
        if self.past.plans.get(&ours.attempt.plan_id).is_some_and(|plan| plan.policy_digest.is_none()) {
            return Err(No::new(
                "R19",
                "offboarded",
                format!("goes by plan {}, which named the person", ours.attempt.plan_id),
            ));
        }
        let after = ours.after.as_ref().ok_or_else(|| {
            No::new("R3", "changed", "what the account looked like after the suspension was never read")
        })?;
        if let Some(what) = changed(after, &person.standing(&self.code_names)) {
            return Err(No::new("R3", "changed", format!("{what} is not what it was after the suspension")));
        }
        let is_other = |actor: &Option<String>| {
            actor.as_ref().is_none_or(|actor| !self.past.actor_user_ids.contains(actor))
        };
        if let Some(edit) =
            person.edits.iter().find(|edit| edit.at > ours.asked_at && is_other(&edit.actor_id))
        {
            return Err(No::new(
                "R3",
                "edited_by_other",
                format!("somebody else edited the account {}", day(edit.at)),
            ));
        }
        match person.last_activity_at.filter(|at| *at > ours.asked_at) {
            Some(at) => Err(No::new("R2", "active_since", format!("used {}, after the suspension", day(at)))),
            None => Ok(()),
        }
    }

    /// R8: the stages lie apart.
    fn waited(&self, stage: Stage, ours: &PastAttempt, wanted: i64) -> Result<(), No> {
        let days = (self.ground.night.now_at - ours.asked_at).num_days();
        if days < wanted {
            let detail = format!("suspended {days} days ago, {} comes after {wanted}", stage.as_str());
            return Err(No::new("R8", "waiting", detail));
        }
        Ok(())
    }

    /// R11, R15: nothing is left there, and sign-ins were watched long enough behind the suspension.
    fn gone(&self, past: &PastPerson, transfer: Option<&PastAttempt>, ours: &PastAttempt) -> Result<(), No> {
        let transfer = transfer.ok_or_else(|| No::new("R15", "not_verified", "nothing was transferred"))?;
        self.moved(past, transfer)?;
        let watched_to = ours.asked_at + TimeDelta::hours(48);
        if self.ground.login_coverage.is_none_or(|(from, to)| from > ours.asked_at || to < watched_to) {
            return Err(No::new(
                "R11",
                "late_logins_not_watched",
                format!(
                    "sign-ins are not covered from the suspension to {}",
                    watched_to.format("%F %H:%M UTC")
                ),
            ));
        }
        Ok(())
    }

    fn moved(&self, past: &PastPerson, transfer: &PastAttempt) -> Result<(), No> {
        match emptiness(past, transfer, self.now) {
            Emptiness::Empty(_) => Ok(()),
            Emptiness::NotYet(at) => Err(No::new(
                "R15",
                "not_verified",
                format!(
                    "two readings at least 20 hours apart must see nothing; one from {} on can be the second",
                    at.format("%F %H:%M UTC")
                ),
            )),
            Emptiness::NotEmpty(why) => Err(No::new("R15", "not_empty", why)),
            Emptiness::Unverifiable(why) => Err(No::new("R15", "unverifiable", why)),
        }
    }

    fn goes(&self, person: &Person, stage: Stage, ours: Option<&PastAttempt>) -> Result<Goes, No> {
        let receiver = if stage == Stage::Transfer { Some(self.receivers.of(person)?) } else { None };
        if let Some(receiver) = receiver {
            let is_source = |(plan_id, plan): (&str, &PastPlan)| {
                !self.set_aside.contains(plan_id) && plan.user_ids.contains(&receiver.user_id)
            };
            if self.past.open_plans().any(is_source) {
                return Err(No::new(
                    "R4",
                    "no_receiver",
                    format!("{} is in an open plan", receiver.called()),
                ));
            }
        }
        let standing = person.standing(&self.code_names);
        Ok(Goes {
            stage,
            receiver_user_id: receiver.map(|receiver| receiver.user_id.clone()),
            suspended_at: ours.map(|ours| ours.asked_at),
            baseline: ours.and_then(|ours| ours.after.clone()).unwrap_or(standing),
        })
    }

    /// R4: whoever receives goes no stage, and two do not receive from each other.
    fn part_receivers(&self, going: &mut Vec<(&Person, Goes)>, judged: &mut Judged) {
        let receiving: HashMap<String, String> = going
            .iter()
            .filter_map(|(person, goes)| Some((goes.receiver_user_id.clone()?, person.called().to_owned())))
            .collect();
        going.retain(|(person, goes)| match receiving.get(&person.user_id) {
            None => true,
            Some(source) => {
                let no = No::new("R4", "receiver", format!("receives the content of {source} tonight"));
                judged.left_out.insert(person.user_id.clone(), (goes.stage, no));
                false
            }
        });
    }

    /// R4: what several people leave to one must fit together.
    fn quota(&self, person: &Person, goes: &Goes, full: &mut HashMap<String, i64>) -> Result<(), No> {
        let receiver = goes.receiver_user_id.as_deref().and_then(|id| self.ground.person(id));
        let Some((receiver, bytes)) = receiver.zip(person.space_used_bytes) else { return Ok(()) };
        let taken = full.entry(receiver.user_id.clone()).or_default();
        let room = super::receivers::room(receiver).unwrap_or(0);
        if bytes > room.saturating_sub(*taken) {
            return Err(No::new(
                "R4",
                "no_receiver",
                format!("the quota of {} has no room after those before", receiver.called()),
            ));
        }
        *taken = taken.saturating_add(bytes);
        Ok(())
    }

    /// R8: what the caps leave of this night.
    fn room_left(&self) -> Room<'a> {
        let caps = self.policy.caps;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a number of people, rounded down"
        )]
        let by_share = (self.ground.seats_assigned as f64 * caps.seats_percent / 100.0).floor() as u64;
        let most = caps.people.min(by_share);
        let mut counted: HashSet<&str> =
            self.past.touched_since(self.now - CAPS_WINDOW).into_iter().collect();
        for (plan_id, plan) in self.past.open_plans().filter(|(plan_id, _)| !self.set_aside.contains(plan_id))
        {
            let waiting = plan.user_ids.iter().filter(|id| !self.is_done_with(id, plan_id));
            counted.extend(waiting.map(String::as_str));
        }
        Room {
            most,
            taken: counted.len() as u64,
            counted,
            caps: format!(
                "{} people, {} % of {} seats",
                caps.people, caps.seats_percent, self.ground.seats_assigned
            ),
        }
    }
}

/// How many more may be taken.
struct Room<'a> {
    most: u64,
    taken: u64,
    counted: HashSet<&'a str>,
    caps: String,
}

impl Room<'_> {
    /// Who was counted before is not counted again.
    fn take(&mut self, user_id: &str) -> Result<(), No> {
        if self.counted.contains(user_id) {
            return Ok(());
        }
        if self.taken >= self.most {
            return Err(No::new(
                "R8",
                "over_cap",
                format!("{} in any 30 days is the cap ({})", self.most, self.caps),
            ));
        }
        self.taken += 1;
        Ok(())
    }
}

/// R1: whom nothing is ever done to, whoever asks.
///
/// # Errors
/// Why not.
pub(crate) fn never(person: &Person, enterprise_id: &str) -> Result<(), No> {
    let no = |word, detail: String| Err(No::new("R1", word, detail));
    match person.role.as_deref() {
        Some("user") => {}
        Some(role @ ("admin" | "coadmin")) => return no("admin", format!("the role is {role}")),
        role => return no("unknown_role", format!("the role is {}", role.unwrap_or("not known"))),
    }
    if person.seat_kind != "managed_user" {
        return no("no_person", format!("the account is of the kind {}", person.seat_kind));
    }
    if person.listing.as_deref() != Some("listed") {
        let how = person.listing.as_deref().unwrap_or("gone");
        return no("not_listed", format!("the night's listing did not have the account ({how})"));
    }
    match person.box_status.as_deref() {
        Some("active" | "inactive") => {}
        Some(status @ ("cannot_delete_edit" | "cannot_delete_edit_upload")) => {
            return no("restricted", format!("the status is {status}"));
        }
        status => return no("unknown_status", format!("the status is {}", status.unwrap_or("not known"))),
    }
    if person.enterprise_id.as_deref() != Some(enterprise_id) {
        let other = person.enterprise_id.as_deref().unwrap_or("none that is known");
        return no("other_enterprise", format!("the account's enterprise is {other}"));
    }
    if person.login.as_deref().is_none_or(str::is_empty) {
        return no("no_login", "the account has no login".to_owned());
    }
    Ok(())
}

/// R12: what is no longer as it was, if anything is. A change of `modified_at` or of aliases alone is none.
pub(crate) fn changed(before: &Standing, now: &Standing) -> Option<&'static str> {
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
        ("membership of a group", before.group_ids != now.group_ids),
    ];
    differences.into_iter().find(|(_, differs)| *differs).map(|(what, _)| what)
}

/// R3: everybody on the list of holds. A list that is old or names somebody unknown proves nothing.
fn held(
    ground: &Ground,
    beside: &Beside,
    addresses: &Addresses<'_>,
    refuse: &mut impl FnMut(&'static str, String),
) -> HashMap<String, String> {
    let Some(list) = &beside.holds else { return HashMap::new() };
    if list.age > LIST_MAX_AGE {
        refuse(
            "R3",
            format!(
                "what [holds] says is {} days old, and 7 at most count: somebody may be held since",
                list.age.num_days()
            ),
        );
    }
    let mut held = HashMap::new();
    for hold in &list.rows {
        let ids = match ground.person(&hold.who) {
            Some(person) => vec![person.user_id.clone()],
            None => addresses.who(&hold.who),
        };
        if ids.is_empty() {
            refuse("R3", format!("the list of holds names {}, whom the store has never seen", hold.who));
        }
        held.extend(ids.into_iter().map(|id| (id, hold.reason.clone())));
    }
    held
}

/// R5: today's leave list, beside what the night has.
fn leaves(
    ground: &Ground,
    beside: &Beside,
    refuse: &mut impl FnMut(&'static str, String),
) -> HashMap<String, Leave> {
    let Some(list) = &beside.leave else { return HashMap::new() };
    if list.age > LIST_MAX_AGE {
        refuse(
            "R5",
            format!(
                "the leave list is {} days old, and 7 at most count: somebody may be on leave since",
                list.age.num_days()
            ),
        );
    }
    let mut leaves: HashMap<String, Leave> = HashMap::new();
    let today = ground.night.snapshot_date;
    for row in &list.rows {
        if ground.person(&row.user_id).is_none() {
            refuse("R5", format!("the leave list names {}, whom the store has never seen", row.user_id));
        }
        let leave = leaves.entry(row.user_id.clone()).or_default();
        let is_over = row.to.is_some_and(|to| to < today);
        leave.holds |= row.from <= today && !is_over;
        if is_over {
            let ended = row.to.and_then(|to| to.succ_opt()).map(|day| day.and_time(NaiveTime::MIN).and_utc());
            leave.ended_at = leave.ended_at.max(ended);
        }
    }
    leaves
}

/// R4: who received within 365 days, or is to receive by an open plan that counts.
fn taken_receivers<'a>(past: &'a Past, set_aside: &HashSet<&str>, now: DateTime<Utc>) -> BTreeSet<&'a str> {
    let received = past
        .people
        .values()
        .filter_map(PastPerson::transfer)
        .filter(|transfer| transfer.asked_at > now - RECEIVER_PROTECTED)
        .filter_map(|transfer| transfer.attempt.receiver_user_id.as_deref());
    let open = past.open_plans().filter(|(plan_id, _)| !set_aside.contains(plan_id));
    received.chain(open.flat_map(|(_, plan)| &plan.receiver_user_ids).map(String::as_str)).collect()
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%F").to_string()
}

/// Lists of leave and holds count for so long (R3, R5).
const LIST_MAX_AGE: TimeDelta = TimeDelta::days(7);
/// The caps look back so far (R8).
const CAPS_WINDOW: TimeDelta = TimeDelta::days(30);
/// Whom somebody brought back is left alone for so long (R20).
const REVERTED_REST: TimeDelta = TimeDelta::days(90);
/// What Box refused is not asked again for so long: nothing changes in a night, and each try is in its audit log.
const REFUSED_REST: TimeDelta = TimeDelta::days(30);
/// A count of shared items holds for so long; then the account is planned once more, and counted before anything is done.
const COUNT_HOLDS: TimeDelta = TimeDelta::days(30);

#[cfg(test)]
mod tests;
