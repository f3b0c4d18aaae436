//! Which users' aliases are read. Each user costs one call, so aliases are most of the cost.

use boxseat_schemas::plan::{Choice, RunPlan, Stream, StreamPlan, Which};
use chrono::{DateTime, Utc};

use super::budget::CallBudget;
use super::survey::ListedUser;
use super::{BaseRun, Inputs, is_overdue, is_unread_since, share, tie};

/// The reads before the limit of calls is applied.
pub(super) struct ReadCandidates {
    users: u64,
    /// New or changed: always read.
    needed: Vec<Box<str>>,
    /// Read longest ago, oldest first.
    due: Vec<Box<str>>,
    /// Of `due`, users whose aliases were never read.
    never_read: u64,
    full: Option<String>,
}

impl ReadCandidates {
    pub(super) fn of(inputs: &Inputs<'_>, notes: &mut Vec<String>) -> Self {
        let users = &inputs.survey.users;
        let mut candidates = Self {
            users: users.len() as u64,
            needed: Vec::new(),
            due: Vec::new(),
            never_read: 0,
            full: None,
        };
        let full = match inputs {
            Inputs { base: None, .. } => Some("the first run reads the aliases of all users".to_owned()),
            Inputs { settings, .. } if settings.everything => Some("requested with --full".to_owned()),
            Inputs { feed_failure: Some(reason), .. } => Some((*reason).to_owned()),
            _ => None,
        };
        candidates.full = full;
        let Some(base) = inputs.base else {
            candidates.due = oldest_first(users.iter().map(|user| (None, &*user.id)).collect(), users.len());
            candidates.never_read = candidates.users;
            return candidates;
        };
        let believed = Signals::of(inputs, base, notes);
        let mut rest = Vec::new();
        for user in users {
            let known = base.users.get(&user.id);
            let read_at = known.and_then(|known| known.aliases_read_at);
            let is_needed = known.is_none_or(|known| {
                known.login_hash != user.login_hash
                    || believed.names(inputs, user, known.modified_at, read_at)
            });
            if is_needed {
                candidates.needed.push(user.id.clone());
            } else {
                rest.push((read_at, &*user.id));
            }
        }
        let sweep = inputs.settings.alias_sweep;
        let never = rest.iter().filter(|(read_at, _)| read_at.is_none()).count();
        let overdue = rest.iter().filter(|(read_at, _)| is_overdue(*read_at, inputs, sweep)).count();
        // Changed users are taken first: they are always read, even if a full read is cut.
        let swept = match candidates.full {
            Some(_) => rest.len(),
            None => usize::try_from(share(candidates.users, inputs.since_base, sweep)).unwrap_or(usize::MAX),
        };
        if inputs.survey.feed.unresolved_users > 0 {
            notes.push(format!(
                "{} events about users name no listed user; if one of them changed an alias, the sweep finds it",
                inputs.survey.feed.unresolved_users
            ));
        }
        candidates.never_read = never as u64;
        candidates.due = oldest_first(rest, swept.max(never + overdue));
        candidates
    }

    pub(super) fn needed_calls(&self) -> u64 {
        self.needed.len() as u64
    }

    /// Takes as many of the due users as this run can afford, after the memberships.
    pub(super) fn plan(mut self, call_budget: &mut CallBudget, plan: &mut RunPlan) -> StreamPlan {
        let wanted = self.due.len() as u64;
        while !call_budget.affords(self.due.len() as u64) {
            self.due.pop();
        }
        let due = self.due.len() as u64;
        call_budget.spend(due);
        let named = self.needed.len() as u64;
        if due < wanted {
            plan.notes.push(format!(
                "aliases: {} of {wanted} due users are postponed to later runs, because this run's share of the monthly calls is spent",
                wanted - due
            ));
        }
        let calls = named + due;
        let is_full = self.full.is_some() && due == wanted;
        let reason = match (&self.full, due < wanted) {
            (Some(reason), false) => reason.clone(),
            (Some(reason), true) => {
                format!("{reason}, spread over several runs because of the monthly calls")
            }
            (None, _) => {
                let never = self.never_read.min(due);
                let first_time =
                    if never > 0 { format!(", {never} of them for the first time") } else { String::new() };
                format!("{named} users new or changed, {due} read longest ago{first_time}")
            }
        };
        let choice = match calls {
            _ if is_full => Choice::Full,
            0 => Choice::CarryForward,
            _ => Choice::ChangedOnly,
        };
        plan.reads.aliases = if is_full {
            Which::All
        } else {
            Which::Only(self.needed.iter().chain(&self.due).map(|id| id.to_string()).collect())
        };
        StreamPlan { stream: Stream::EmailAliases, choice, reason, calls }
    }
}

/// The signs of a change that are worth a call.
struct Signals {
    /// `modified_at` and EDIT_USER indicate a change, unless they change for all users.
    edits: bool,
}

impl Signals {
    fn of(inputs: &Inputs<'_>, base: &BaseRun, notes: &mut Vec<String>) -> Self {
        let survey = inputs.survey;
        let edited = survey
            .users
            .iter()
            .filter(|user| survey.feed.users.get(&user.id).is_some_and(|news| news.edited));
        let moved = survey.users.iter().filter(|user| {
            base.users.get(&user.id).is_some_and(|known| has_moved(user.modified_at, known.modified_at))
        });
        let (edited, moved) = (edited.count() as u64, moved.count() as u64);
        let nights = inputs.since_base.num_days().max(1).unsigned_abs();
        let limit = (survey.users.len() as u64 * PUSH_PERCENT * nights / 100).max(PUSH_FLOOR);
        let edits = edited.max(moved) <= limit;
        if !edits {
            notes.push(format!(
                "many accounts changed at once, as after an update by an identity provider or a plan of boxseat: modified_at changed for {moved} users and EDIT_USER named {edited}, of {}; neither counts as a change of aliases in this run, and the sweep continues",
                survey.users.len()
            ));
        }
        Self { edits }
    }

    fn names(
        &self,
        inputs: &Inputs<'_>,
        user: &ListedUser,
        modified_then: Option<DateTime<Utc>>,
        read_at: Option<DateTime<Utc>>,
    ) -> bool {
        let news = inputs.survey.feed.users.get(&user.id).copied().unwrap_or_default();
        news.other.is_new
            || is_unread_since(read_at, news.other.at)
            || self.edits && (news.edited || has_moved(user.modified_at, modified_then))
    }
}

fn has_moved(now: Option<DateTime<Utc>>, then: Option<DateTime<Utc>>) -> bool {
    let micros = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_micros());
    micros(now) != micros(then)
}

/// The `count` users whose aliases were read longest ago. Users whose aliases were never read come first. A hash orders equal ones.
fn oldest_first(mut users: Vec<(Option<DateTime<Utc>>, &str)>, count: usize) -> Vec<Box<str>> {
    users.sort_by_cached_key(|(read_at, id)| (*read_at, tie(id)));
    users.truncate(count);
    users.into_iter().map(|(_, id)| id.into()).collect()
}

/// If a larger share of the users was edited since the last run, an identity provider has updated them all.
const PUSH_PERCENT: u64 = 2;
/// In a small enterprise, this number of edits is a busy day.
const PUSH_FLOOR: u64 = 5;
