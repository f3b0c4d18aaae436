//! The plan of a run: which memberships and aliases are read, and which are carried forward from the base run.
//!
//! ```text
//! survey (listings, admin log)  ┐
//! base run (when data was read) ├─▶ plan() ─▶ RunPlan ─▶ Crawl::follow
//! settings, budget, now         ┘
//! ```
//!
//! The guarantee: a change for which Box emits an event is correct after the next run. Any other change of a membership is correct within
//! `membership_resync_days`, and any other change of an alias within `alias_sweep_days`. Users that a group beyond the offset cap does not
//! show cost one call each, so their memberships are correct within `alias_sweep_days`. Every row states when it was last read. Users,
//! groups and the admin log are read completely in every run, so the guarantee is about memberships and aliases.
//!
//! Events only speed up an incremental run. They are not a source of truth, according to Box itself (API facts 5.8): an event names
//! what to read again, and is never applied as a change.

mod aliases;
mod base;
mod budget;
mod feed;
mod memberships;
mod survey;
#[cfg(test)]
mod tests;
mod vanished;

use std::hash::{DefaultHasher, Hash, Hasher};

use boxseat_schemas::plan::{Choice, RunPlan, Stream, StreamPlan};
use boxseat_schemas::spool::{Request, TOKEN_ENDPOINT};
use chrono::{DateTime, TimeDelta, Utc};

pub(crate) use base::{BaseGroup, FROM_GROUP, FROM_USER, LISTED, text};
pub use base::{BaseRun, GROUP_COLUMNS, MEMBERSHIP_COLUMNS, USER_COLUMNS};
pub use budget::Budget;
pub use feed::{failure, silence};
pub(crate) use survey::Pages;
pub use survey::Survey;

/// The input of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The listings and the admin log of this run.
    pub survey: &'a Survey,
    /// The known data of the base run; `None` before the first complete run.
    pub base: Option<&'a BaseRun>,
    /// How long ago the base run started.
    pub since_base: TimeDelta,
    /// Why the admin log is not reliable for changes; `None` if it is.
    pub feed_failure: Option<&'a str>,
    /// The start of the run.
    pub now: DateTime<Utc>,
    /// The calls that are left; `None` without `monthly_calls`.
    pub budget: Option<Budget>,
    /// How often data is read again.
    pub settings: &'a PlanSettings,
}

/// `[sync]`, as far as planning needs it.
#[derive(Debug, Clone)]
pub struct PlanSettings {
    /// The period in which every user's aliases are read again.
    pub alias_sweep: TimeDelta,
    /// The period in which every group's members are read again.
    pub membership_resync: TimeDelta,
    /// `--full`.
    pub everything: bool,
}

/// Decides what to read. Pure: the same input gives the same plan.
pub fn plan(inputs: &Inputs<'_>) -> RunPlan {
    let mut plan = RunPlan { announced: inputs.survey.feed.announced.clone(), ..RunPlan::default() };
    let surveyed = surveyed(inputs.survey);
    let made: u64 = surveyed.iter().map(|stream| stream.calls).sum();
    plan.streams.extend(surveyed);
    let vanished = vanished::plan(inputs, &mut plan) + vanished::groups(inputs, &mut plan);
    // With `--full` the user has accepted the cost.
    let limit = inputs.budget.filter(|_| !inputs.settings.everything);
    let mut call_budget = budget::CallBudget::new(limit, made + vanished);
    if let Some(budget) = inputs.budget {
        plan.calls_left = Some(budget.left);
        plan.calls_tonight = Some(budget.of_this_run());
    }
    // Changes are always read, so both streams first reserve the calls for changes. Then each uses the rest for data that is due.
    let members = memberships::ReadCandidates::of(inputs);
    let aliases = aliases::ReadCandidates::of(inputs, &mut plan.notes);
    call_budget.spend(members.needed_calls() + aliases.needed_calls());
    let members = members.plan(inputs, &mut call_budget, &mut plan);
    let aliases = aliases.plan(&mut call_budget, &mut plan);
    plan.streams.extend([members, aliases]);
    plan
}

/// The cost of the survey: it is complete in every run, and never cut.
fn surveyed(survey: &Survey) -> Vec<StreamPlan> {
    let calls = |endpoints: &[&str]| -> u64 {
        let of =
            |endpoint: &&str| survey.calls.iter().find(|(name, _)| name == endpoint).map_or(0, |(_, n)| *n);
        endpoints.iter().map(of).sum()
    };
    let me = Request::Me.endpoint();
    let row = |stream: Stream, endpoints: &[&str], reason: &str| StreamPlan {
        stream,
        choice: Choice::Full,
        reason: reason.to_owned(),
        calls: calls(endpoints),
    };
    vec![
        row(Stream::SignIn, &[TOKEN_ENDPOINT, me], "the account that reads"),
        row(Stream::Users, &["GET /users"], "complete in every run: joiners, leavers, status, role"),
        row(Stream::Groups, &["GET /groups"], "complete in every run"),
        row(Stream::Events, &["GET /events"], "the window since the last run, and its overlap"),
    ]
}

/// How many of `count` are due if all of them are to be read within `within`, and the last run was `since` ago.
fn share(count: u64, since: TimeDelta, within: TimeDelta) -> u64 {
    let (since, within) =
        (since.num_seconds().max(0).unsigned_abs(), within.num_seconds().max(1).unsigned_abs());
    let due = (u128::from(count) * u128::from(since)).div_ceil(u128::from(within));
    u64::try_from(due).unwrap_or(u64::MAX).min(count)
}

/// Whether data would be older than allowed at the time of the next run.
fn is_overdue(read_at: Option<DateTime<Utc>>, inputs: &Inputs<'_>, within: TimeDelta) -> bool {
    let pause = inputs.since_base.max(TimeDelta::days(1));
    read_at.is_some_and(|at| inputs.now - at + pause > within + TimeDelta::hours(1))
}

/// Whether an event reports a change that the last read may have missed: a later one, or one within the difference of the clocks.
fn is_unread_since(read_at: Option<DateTime<Utc>>, event_at: Option<DateTime<Utc>>) -> bool {
    event_at.is_some_and(|event| read_at.is_none_or(|read| event + CLOCKS_DIFFER > read))
}

/// Logins are compared without case, as Box does.
fn login_hash(login: Option<&str>) -> u64 {
    tie(&login.unwrap_or_default().to_lowercase())
}

/// Orders ids of the same age in the same way in every run.
fn tie(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// The maximum difference between our clock and Box's that the clock guard accepts.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);
