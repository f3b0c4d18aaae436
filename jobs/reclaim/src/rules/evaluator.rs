//! Which users enter which stage now, and why the others do not: the rules as one pure function of policy, snapshot, journal and
//! lists.
//!
//! A rule whose input is missing, null, old or unknown denies. Every denial has a reason code, which tables show and count, and a
//! sentence with the figure or name that decided.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use boxseat_schemas::reclaim::plan::Stage;
use boxseat_schemas::reclaim::{ReasonCode, Standing};
use chrono::{DateTime, TimeDelta, Utc};

use super::policy::{Evidence, Policy, SharedContent};
use super::policy_inputs::PolicyInputs;
use super::protect::{Addresses, Protected, groups_named, has_code};
use super::receivers::Receivers;
use super::snapshot::{Person, Snapshot};
use crate::error::Error;
use crate::journal::state::{ActionState, JournalState, PlanState, UserState};

mod caps;
mod evidence;
mod lists;
mod protection;

pub(crate) use evidence::{changed, edited_by_other};
pub(crate) use lists::LIST_MAX_AGE;
use lists::{Leave, held, leaves};
pub(crate) use protection::never;

/// The rules, ready to evaluate any user of a snapshot.
pub struct Evaluator<'a> {
    pub(crate) policy: &'a Policy,
    snapshot: &'a Snapshot,
    past: &'a JournalState,
    now: DateTime<Utc>,
    /// Protected users.
    pub(crate) protected: Protected,
    /// The receivers of content.
    pub(crate) receivers: Receivers<'a>,
    held: HashMap<String, String>,
    leaves: HashMap<String, Leave>,
    /// Ids of the groups to which the policy applies.
    who_groups: Option<BTreeSet<&'a str>>,
    watched_from: Option<DateTime<Utc>>,
    taken_receivers: BTreeSet<&'a str>,
    /// Open plans that do not count: the one being applied, or those that a new one replaces.
    set_aside: HashSet<&'a str>,
    /// Names of the tracking codes that the policy uses.
    code_names: Vec<&'a str>,
}

/// The result of the evaluation of a user.
#[expect(clippy::large_enum_variant, reason = "one is evaluated at a time and not stored")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The policy does not apply to this user now: in use, no seat, already in the furthest stage, or not among the users it names.
    NotAsked,
    /// Enters this stage.
    Goes(Goes),
    /// Would enter this stage, and a rule denies it.
    LeftOut(Stage, Denial),
}

/// A user enters a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goes {
    /// The stage.
    pub stage: Stage,
    /// The receiver of the content; for transfers.
    pub receiver_user_id: Option<String>,
    /// When we suspended the user; for later stages.
    pub(crate) suspended_at: Option<DateTime<Utc>>,
    /// The state that the user must still have (R8, R12): for the first stage that of the snapshot, for later ones our last
    /// post-image.
    pub(crate) baseline: Standing,
}

/// The denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The rule, such as `R4`. Two rules may have the same reason code.
    pub rule: &'static str,
    /// The reason code.
    pub word: ReasonCode,
    /// The reason as a sentence, with the figure or name that decided.
    pub detail: String,
}

impl Denial {
    pub(crate) fn new(word: ReasonCode, detail: impl Into<String>) -> Self {
        Self { rule: word.rule(), word, detail: detail.into() }
    }
}

/// Why no user at all is evaluated: what is wrong, and a sentence with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub subject: Subject,
    /// What is wrong with it, and what to do.
    pub sentence: String,
}

/// All reasons why the policy cannot be evaluated, as one failure.
pub fn refused(refusals: &[Refusal]) -> Error {
    let mut error =
        Error::refused("no plan of the policy is made or applied: the policy cannot be evaluated");
    for refusal in refusals {
        error = error.hint(refusal.to_string());
    }
    error
}

/// `R3: SENTENCE`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject.rule(), self.sentence)
    }
}

impl Refusal {
    /// Whether a list may lack a user that it should exclude: holds, or protected users.
    pub(crate) fn is_about_lists(&self) -> bool {
        matches!(self.subject, Subject::Holds | Subject::Protected)
    }
}

/// What a [`Refusal`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Sign-ins, the evidence of use (R2).
    SignIns,
    /// Other evidence of use (R2).
    Activity,
    /// Seats whose use is not known (R2).
    UnknownSeats,
    /// The list of legal holds.
    Holds,
    /// The users that the policy protects.
    Protected,
    /// The receivers of content.
    Receivers,
    /// The list of leave.
    Leave,
    /// The age of the snapshot (R10).
    SnapshotAge,
}

impl Subject {
    /// The rule, such as `R4`.
    pub fn rule(self) -> &'static str {
        match self {
            Self::SignIns | Self::Activity | Self::UnknownSeats => "R2",
            Self::Holds => "R3",
            Self::Protected | Self::Receivers => "R4",
            Self::Leave => "R5",
            Self::SnapshotAge => "R10",
        }
    }
}

/// All users, evaluated, within the caps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Users that enter a stage, by stage, in the order of the actions: longest idle first.
    pub going: BTreeMap<Stage, Vec<(String, Goes)>>,
    /// Users that are excluded, by id.
    pub left_out: BTreeMap<String, (Stage, Denial)>,
    /// For users who are to be suspended: why no receiver could take their content now (R4).
    pub(crate) without_receiver: BTreeMap<String, String>,
}

impl<'a> Evaluator<'a> {
    /// Resolves everything the policy names. `set_aside` are open plans that do not count as open.
    ///
    /// # Errors
    /// Every reason for which no user may be evaluated.
    pub fn new(
        policy: &'a Policy,
        snapshot: &'a Snapshot,
        past: &'a JournalState,
        inputs: &'a PolicyInputs,
        now: DateTime<Utc>,
        set_aside: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<Refusal>> {
        let (evaluator, refusals) = Self::look(policy, snapshot, past, inputs, now, set_aside);
        if refusals.is_empty() { Ok(evaluator) } else { Err(refusals) }
    }

    /// Like [`Evaluator::new`], and returns the reasons next to the evaluator, for callers that show all of it.
    pub fn look(
        policy: &'a Policy,
        snapshot: &'a Snapshot,
        past: &'a JournalState,
        inputs: &'a PolicyInputs,
        now: DateTime<Utc>,
        set_aside: impl IntoIterator<Item = &'a str>,
    ) -> (Self, Vec<Refusal>) {
        let mut refusals = inputs.unreadable.clone();
        let mut refuse = |subject, sentence: String| refusals.push(Refusal { subject, sentence });
        let fresh_from = snapshot.night.now_at - TimeDelta::hours(48);
        if snapshot.login_coverage.is_none_or(|(_, to)| to < fresh_from) {
            refuse(Subject::SignIns, "sign-ins are not covered up to the snapshot, so no idle day is proved: the next `boxseat sync` \
                closes the gap".to_owned());
        }
        let watched_from = snapshot.activity_watched_from(&inputs.activity_events);
        if policy.evidence == Evidence::Activity && watched_from.is_none() {
            let why = if inputs.activity_events.is_empty() {
                "[sync] activity_events is empty"
            } else {
                "one of [sync] activity_events is not covered up to the snapshot"
            };
            refuse(
                Subject::Activity,
                format!("evidence = \"activity\" needs covered activity events, and {why}"),
            );
        }
        let addresses = Addresses::of(snapshot);
        let protected = Protected::resolve(&policy.protect, snapshot, &addresses);
        let held = held(snapshot, inputs, &addresses, now, &mut refuse);
        for entry in protected.idle_entries() {
            refuse(
                Subject::Protected,
                format!(
                    "[protect] {entry} matches no user, so the user that it names would not be protected"
                ),
            );
        }
        let leaves = leaves(snapshot, inputs, &addresses, now, &mut refuse);
        let (receivers, wrong) = Receivers::resolve(policy, snapshot, inputs, addresses);
        wrong.into_iter().for_each(|sentence| refuse(Subject::Receivers, sentence));
        let who_groups = (!policy.who.groups.is_empty())
            .then(|| policy.who.groups.iter().flat_map(|entry| groups_named(snapshot, entry)).collect());
        let set_aside: HashSet<&str> = set_aside.into_iter().collect();
        let evaluator = Self {
            policy,
            snapshot,
            past,
            now,
            protected,
            receivers,
            held,
            leaves,
            who_groups,
            watched_from,
            taken_receivers: past.receivers(&set_aside, now),
            set_aside,
            code_names: policy.code_names(),
        };
        (evaluator, refusals)
    }

    /// The result for one user; caps are counted over all users, see [`Evaluator::everybody`].
    pub(crate) fn verdict(&self, person: &Person) -> Verdict {
        let past = self.past.people.get(&person.user_id);
        let ours = past.and_then(UserState::suspension);
        match (person.account_status.as_str(), ours) {
            _ if !person.consumes_seat || !self.is_about(person) => Verdict::NotAsked,
            ("suspended", None) if self.policy.furthest_stage == Stage::Suspend => Verdict::NotAsked,
            ("suspended", None) => {
                let detail = "another actor suspended the account: it may be for legal hold or leave";
                Verdict::LeftOut(Stage::Transfer, Denial::new(ReasonCode::SuspendedByOther, detail))
            }
            ("suspended", Some(ours)) => self.later(person, past.expect("it has an attempt"), ours),
            ("active", Some(ours)) if ours.asked_at > self.snapshot.night.now_at => {
                let detail =
                    format!("suspended {} by boxseat, after the snapshot was read", day(ours.asked_at));
                Verdict::LeftOut(Stage::Suspend, Denial::new(ReasonCode::SuspendedSince, detail))
            }
            ("active", Some(_))
                if past.is_some_and(|past| past.was_in_window(self.snapshot.night.now_at)) =>
            {
                let detail = "active for the transfer of its content when the snapshot was read";
                Verdict::LeftOut(Stage::Transfer, Denial::new(ReasonCode::Reactivated, detail))
            }
            ("active", Some(ours)) => {
                let detail = format!("suspended {} by boxseat, and active again since", day(ours.asked_at));
                Verdict::LeftOut(Stage::Suspend, Denial::new(ReasonCode::RevertedByOther, detail))
            }
            ("active", None) => self.first(person, past),
            (status, _) => {
                let detail =
                    format!("the account's status is {}", person.box_status.as_deref().unwrap_or(status));
                Verdict::LeftOut(Stage::Suspend, Denial::new(ReasonCode::UnknownStatus, detail))
            }
        }
    }

    /// All users, in order, within the caps (R8). Later stages are counted first: their users have already qualified once.
    pub fn everybody(&self) -> Judged {
        let mut judged = Judged::default();
        let mut going: Vec<(&Person, Goes)> = Vec::new();
        for person in self.snapshot.people.values() {
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
                self.is_stuck(&person.user_id),
                std::cmp::Reverse(goes.stage),
                std::cmp::Reverse(person.proven_idle_days),
                person.user_id.clone(),
            )
        });
        let mut room = self.room_left();
        let mut full: HashMap<String, i64> = HashMap::new();
        for (person, goes) in going {
            let stage = goes.stage;
            let no = self
                .quota(person, goes.receiver_user_id.as_deref(), &mut full)
                .err()
                .or_else(|| room.take(&person.user_id).err());
            match no {
                Some(no) => drop(judged.left_out.insert(person.user_id.clone(), (stage, no))),
                None => judged.going.entry(stage).or_default().push((person.user_id.clone(), goes)),
            }
        }
        judged.without_receiver = self.without_receiver(&judged);
        judged
    }

    /// Whether the policy applies to the user at all.
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

    /// Whether an active account is to be suspended.
    fn first(&self, person: &Person, past: Option<&UserState>) -> Verdict {
        let threshold = TimeDelta::days(self.policy.suspend_after_idle_days);
        if person.last_use(self.past).is_some_and(|at| self.snapshot.night.now_at - at < threshold) {
            return Verdict::NotAsked;
        }
        let states = &self.policy.who.seat_states;
        if !states.is_empty() && !person.seat_state.as_ref().is_some_and(|state| states.contains(state)) {
            return Verdict::NotAsked;
        }
        let stage = self.first_stage(person, past);
        let goes = self
            .never(person)
            .and_then(|()| self.kept(person))
            .and_then(|()| self.young(person))
            .and_then(|()| self.proven(person))
            .and_then(|()| self.shared(person, past))
            .and_then(|()| if stage == Stage::Suspend { self.can_be_freed(person) } else { Ok(()) })
            .and_then(|()| self.goes(person, stage, None));
        goes.map_or_else(|no| Verdict::LeftOut(stage, no), Verdict::Goes)
    }

    /// The next stage after a suspension of ours.
    fn later(&self, person: &Person, past: &UserState, ours: &ActionState) -> Verdict {
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
            // A user whose content this Box does not move is reported at once, not when the transfer is due.
            .and_then(|()| if stage == Stage::Transfer { self.can_be_freed(person) } else { Ok(()) })
            .and_then(|()| self.waited(stage, ours, after_days))
            .and_then(|()| match stage {
                Stage::Delete => self.gone(past, transfer, ours),
                _ => self.counted(past),
            })
            .and_then(|()| self.goes(person, stage, Some(ours)));
        goes.map_or_else(|no| Verdict::LeftOut(stage, no), Verdict::Goes)
    }

    /// R6: content shared with others moves before its owner is suspended, if the policy says so and a count found shared items.
    fn first_stage(&self, person: &Person, past: Option<&UserState>) -> Stage {
        let is_moved = past.is_some_and(|past| past.transfer().is_some());
        if self.policy.shared_content == SharedContent::TransferFirst
            && !is_moved
            && !person.keeps_folders_open()
            && self.shares(past) == Some(true)
        {
            Stage::Transfer
        } else {
            Stage::Suspend
        }
    }

    /// Whether the user's root folder has shared items, by a recent count; `None`: not counted.
    fn shares(&self, past: Option<&UserState>) -> Option<bool> {
        let last = past?.readings.last().filter(|reading| reading.at > self.now - COUNT_HOLDS)?;
        // A folder that could not be read may contain shared items.
        Some(last.shared_items.is_none_or(|items| items > 0))
    }

    fn goes(&self, person: &Person, stage: Stage, ours: Option<&ActionState>) -> Result<Goes, Denial> {
        let receiver = if stage == Stage::Transfer { Some(self.receivers.of(person)?) } else { None };
        if let Some(receiver) = receiver {
            let is_source = |(plan_id, plan): (&str, &PlanState)| {
                !self.set_aside.contains(plan_id) && plan.user_ids.contains(&receiver.user_id)
            };
            if self.past.open_plans().any(is_source) {
                return Err(Denial::new(
                    ReasonCode::NoReceiver,
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
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%F").to_string()
}

/// A count of shared items is valid for this time; then the account is planned once more, and counted before any action.
const COUNT_HOLDS: TimeDelta = TimeDelta::days(30);

#[cfg(test)]
mod tests;
