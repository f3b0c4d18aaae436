//! Which groups' members are read. From the group's side, a call returns a page of a thousand members. The users' side is read only for
//! users that a group beyond the offset cap does not show.

use boxseat_schemas::plan::{Choice, RunPlan, Stream, StreamPlan, Which};
use chrono::{DateTime, Utc};

use super::budget::CallBudget;
use super::{BaseGroup, BaseRun, Inputs, is_overdue, is_unread_since, share, tie};
use crate::client::PAGE_LIMIT;
use crate::ids::IdSet;
use crate::paginate::REACH;

/// The reads before the limit of calls is applied.
pub(super) struct ReadCandidates {
    /// Why everything is read: it is cheap, or only a full read is safe. `None` if not everything is read.
    full: Option<String>,
    /// Named by events, or new: always read.
    needed: Vec<Walk>,
    /// Read longest ago, oldest first.
    due: Vec<Walk>,
    groups: u64,
}

#[derive(Debug, Clone)]
struct Walk {
    of: Of,
    read_at: Option<DateTime<Utc>>,
    calls: u64,
}

#[derive(Debug, Clone)]
enum Of {
    Group(Box<str>),
    User(Box<str>),
}

impl ReadCandidates {
    pub(super) fn of(inputs: &Inputs<'_>) -> Self {
        let groups = &inputs.survey.groups;
        let count = groups.len() as u64;
        let Some(base) = inputs.base else {
            // The sizes are not known yet. Each group costs one call, and the few large ones cost more.
            let due =
                groups.iter().map(|id| Walk { of: Of::Group(id.clone()), read_at: None, calls: 1 }).collect();
            let full = Some(
                "the first run reads every group; users that a group of over 10,000 members does not show cost one more call each"
                    .to_owned(),
            );
            return Self { full, needed: Vec::new(), due, groups: count };
        };
        let every_group = || {
            groups.iter().map(|id| {
                let known = base.groups.get(id).copied().unwrap_or_default();
                Walk { of: Of::Group(id.clone()), read_at: known.memberships_read_at, calls: pages(known) }
            })
        };
        let hidden = hidden(inputs, base);
        let full_calls = every_group().map(|walk| walk.calls).sum::<u64>() + hidden.len() as u64;
        let feed = &inputs.survey.feed;
        let is_needed = |walk: &Walk| {
            let Of::Group(id) = &walk.of else { return false };
            let is_news = |news: &super::survey::News| news.is_new || is_unread_since(walk.read_at, news.at);
            base.groups
                .get(id)
                .is_none_or(|known| !known.is_capped() && feed.groups.get(id).is_some_and(is_news))
        };
        // Changed groups are taken first: they are always read, even if a full read is cut.
        let (mut needed, rest): (Vec<Walk>, Vec<Walk>) = every_group().partition(is_needed);
        // In a group that does not show all its members, the users that events name are read themselves.
        let mut asked = IdSet::default();
        for (group_id, user_id) in &feed.members {
            let is_capped = base.groups.get(group_id).is_some_and(|known| known.is_capped());
            if is_capped && inputs.survey.listed.contains(user_id) && asked.insert(user_id) {
                needed.push(Walk { of: Of::User(user_id.clone()), read_at: None, calls: 1 });
            }
        }
        let hidden: Vec<Walk> = hidden
            .into_iter()
            .filter(|walk| matches!(&walk.of, Of::User(id) if !asked.contains(id)))
            .collect();
        let full = why_full(inputs, full_calls);
        let mut due: Vec<Walk> = match full {
            Some(_) => rest.into_iter().chain(hidden).collect(),
            None => {
                let unread = unread_users(inputs, base, &mut asked);
                let hidden = due_people(hidden, inputs).into_iter();
                let hidden = hidden.filter(|walk| matches!(&walk.of, Of::User(id) if !asked.contains(id)));
                due_groups(rest, count, inputs).into_iter().chain(hidden).chain(unread).collect()
            }
        };
        oldest_first(&mut due);
        Self { full, needed, due, groups: count }
    }

    pub(super) fn needed_calls(&self) -> u64 {
        cost(&self.needed)
    }

    /// Takes as many of the due groups and users as this run can afford.
    pub(super) fn plan(
        mut self,
        inputs: &Inputs<'_>,
        call_budget: &mut CallBudget,
        plan: &mut RunPlan,
    ) -> StreamPlan {
        let wanted = self.due.len();
        let mut calls = cost(&self.due);
        while let (false, Some(last)) = (call_budget.affords(calls), self.due.last()) {
            calls -= last.calls;
            self.due.pop();
        }
        let left_out = wanted - self.due.len();
        call_budget.spend(calls);
        if left_out > 0 {
            plan.notes.push(format!(
                "memberships: {left_out} of {wanted} due groups and users are postponed to later runs, because this run's share of the monthly calls is spent"
            ));
        }
        let is_full = self.full.is_some() && left_out == 0;
        let reason = match &self.full {
            Some(reason) if left_out == 0 => reason.clone(),
            Some(reason) => format!("{reason}, spread over several runs because of the monthly calls"),
            None => format!(
                "{} named by events or new, {} read longest ago, of {} groups",
                people_and_groups(&self.needed),
                people_and_groups(&self.due),
                self.groups
            ),
        };
        let calls = cost(&self.needed) + cost(&self.due);
        let choice = match calls {
            _ if is_full => Choice::Full,
            0 => Choice::CarryForward,
            _ => Choice::ChangedOnly,
        };
        let walks = || self.needed.iter().chain(&self.due);
        let groups = walks().filter_map(|walk| match &walk.of {
            Of::Group(id) => Some(id.to_string()),
            Of::User(_) => None,
        });
        let users = walks().filter_map(|walk| match &walk.of {
            Of::User(id) => Some(id.to_string()),
            Of::Group(_) => None,
        });
        plan.reads.groups = if is_full { Which::All } else { Which::Only(groups.collect()) };
        // Before the first run, the users that a capped group does not show are unknown; they may be all users.
        let everybody_is_affordable =
            inputs.base.is_some() || call_budget.affords(inputs.survey.users.len() as u64);
        plan.reads.user_side =
            if is_full && everybody_is_affordable { Which::All } else { Which::Only(users.collect()) };
        StreamPlan { stream: Stream::Memberships, choice, reason, calls }
    }
}

/// Why everything is read; `None` if not.
fn why_full(inputs: &Inputs<'_>, calls: u64) -> Option<String> {
    let feed = &inputs.survey.feed;
    if inputs.settings.everything {
        return Some("requested with --full".to_owned());
    }
    if let Some(reason) = inputs.feed_failure {
        return Some(reason.to_owned());
    }
    let unsure = feed.unresolved_memberships + feed.unread;
    if unsure > 0 {
        return Some(format!("{unsure} events do not name the group that they change"));
    }
    if calls <= ALWAYS_AFFORDABLE {
        return Some(format!(
            "all groups cost {calls} calls, and up to {ALWAYS_AFFORDABLE} are always spent"
        ));
    }
    let share = inputs.budget?.of_this_run();
    (calls <= share / BUDGET_PART)
        .then(|| format!("all groups cost {calls} calls, at most 5 % of this run's {share}"))
}

/// Users that the readable pages of a capped group do not show.
fn hidden(inputs: &Inputs<'_>, base: &BaseRun) -> Vec<Walk> {
    if base.capped.is_empty() {
        return Vec::new();
    }
    let is_hidden = |id: &str| base.capped.values().any(|seen| !seen.contains(id));
    let users = inputs.survey.users.iter().filter(|user| is_hidden(&user.id));
    users
        .map(|user| Walk {
            of: Of::User(user.id.clone()),
            read_at: base.users.get(&user.id).and_then(|known| known.memberships_read_at),
            calls: 1,
        })
        .collect()
}

/// Users whose memberships were never read, such as new users. A group that is not read in this run cannot show them. Each costs one
/// call, once.
fn unread_users(inputs: &Inputs<'_>, base: &BaseRun, asked: &mut IdSet) -> Vec<Walk> {
    let is_unread = |id: &str| base.users.get(id).is_none_or(|known| known.memberships_read_at.is_none());
    let users = inputs.survey.users.iter().filter(|user| is_unread(&user.id));
    users
        .filter(|user| asked.insert(&user.id))
        .map(|user| Walk { of: Of::User(user.id.clone()), read_at: None, calls: 1 })
        .collect()
}

/// The groups that are due: a share in every run, and in any case those that were never read or are overdue.
fn due_groups(mut walks: Vec<Walk>, count: u64, inputs: &Inputs<'_>) -> Vec<Walk> {
    let within = inputs.settings.membership_resync;
    oldest_first(&mut walks);
    let at_once = walks
        .iter()
        .filter(|walk| walk.read_at.is_none() || is_overdue(walk.read_at, inputs, within))
        .count();
    let shared = usize::try_from(share(count, inputs.since_base, within)).unwrap_or(usize::MAX);
    walks.truncate(shared.max(at_once));
    walks
}

/// The hidden users that are due. Each costs a call, as aliases do, so hidden users have the same period as aliases: within a week they
/// would cost more than everything else. The sweep cannot be ordered by `memberships_read_at`, which is the newer of both sides, so each
/// user has a fixed day.
fn due_people(walks: Vec<Walk>, inputs: &Inputs<'_>) -> Vec<Walk> {
    let days = inputs.settings.alias_sweep.num_days().max(1);
    let day = |at: DateTime<Utc>| at.timestamp().div_euclid(86_400);
    let (last, today) = (day(inputs.now - inputs.since_base), day(inputs.now));
    let is_due = |walk: &Walk| {
        let (Of::Group(id) | Of::User(id)) = &walk.of;
        let own = i64::try_from(tie(id) % days.unsigned_abs()).unwrap_or(0);
        walk.read_at.is_none() || (last + 1..=today.min(last + days)).any(|day| day.rem_euclid(days) == own)
    };
    walks.into_iter().filter(is_due).collect()
}

fn oldest_first(walks: &mut [Walk]) {
    walks.sort_by_cached_key(|walk| {
        let (Of::Group(id) | Of::User(id)) = &walk.of;
        (walk.read_at, tie(id))
    });
}

/// Calls to read a group from its side: after a full last page, one more page is requested.
fn pages(group: BaseGroup) -> u64 {
    match group.group_side {
        members if members >= REACH => REACH / PAGE_LIMIT,
        members => members / PAGE_LIMIT + 1,
    }
}

fn cost(walks: &[Walk]) -> u64 {
    walks.iter().map(|walk| walk.calls).sum()
}

fn people_and_groups(walks: &[Walk]) -> String {
    let users = walks.iter().filter(|walk| matches!(walk.of, Of::User(_))).count();
    let groups = walks.len() - users;
    if users == 0 { groups.to_string() } else { format!("{groups} groups and {users} single users") }
}

/// This number of calls for all groups is acceptable in every run.
const ALWAYS_AFFORDABLE: u64 = 100;
/// Reading all groups may use a twentieth of a run's share of the monthly calls.
const BUDGET_PART: u64 = 20;
