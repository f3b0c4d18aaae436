//! What a night is worth: which memberships and aliases are read, and which are carried forward from the base run.
//!
//! ```text
//! survey (listings, admin log) ┐
//! base night (when what was read) ├─▶ plan() ─▶ NightPlan ─▶ Walks::follow
//! settings, budget, now        ┘
//! ```
//!
//! The promise: whatever Box emits an event for is right the next morning; whatever it does not is right within
//! `alias_sweep_days` and `membership_resync_days` (users that a group past the offset cap does not show: `alias_sweep_days`, for they
//! cost a call each); every row says when it was last truly read. Users, groups and the admin log
//! are read whole every night, so the promise is about memberships and aliases.
//!
//! Box's own answer to "can events drive an incremental run?" is an accelerator, not a source of truth (API facts 5.8): an event
//! names what to read again and is never applied as a change itself.

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

use boxseat_schemas::plan::{Choice, NightPlan, Stream, StreamPlan};
use boxseat_schemas::spool::{Request, TOKEN_ENDPOINT};
use chrono::{DateTime, TimeDelta, Utc};

pub(crate) use base::{BaseGroup, FROM_GROUP, FROM_USER, LISTED, text};
pub use base::{BaseNight, GROUP_COLUMNS, MEMBERSHIP_COLUMNS, USER_COLUMNS};
pub use budget::Budget;
pub use feed::{failure, silence};
pub(crate) use survey::Pages;
pub use survey::Survey;

/// Everything a plan follows from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What this night's listings and admin log say.
    pub survey: &'a Survey,
    /// What the base run knew; `None` before the first complete night.
    pub base: Option<&'a BaseNight>,
    /// How long ago the base run started.
    pub since_base: TimeDelta,
    /// Why the admin log cannot say what changed, if it cannot.
    pub feed_failure: Option<&'a str>,
    /// The night's now.
    pub now: DateTime<Utc>,
    /// The calls left; `None` without `monthly_calls`.
    pub budget: Option<Budget>,
    /// How often things are looked at again.
    pub settings: &'a PlanSettings,
}

/// `[sync]` as far as planning goes.
#[derive(Debug, Clone)]
pub struct PlanSettings {
    /// Within how long every user's aliases are read again.
    pub alias_sweep: TimeDelta,
    /// Within how long every group's members are read again.
    pub membership_resync: TimeDelta,
    /// `--full`.
    pub everything: bool,
}

/// Decides what to read. Pure: the same inputs give the same plan.
pub fn plan(inputs: &Inputs<'_>) -> NightPlan {
    let mut plan = NightPlan { announced: inputs.survey.feed.announced.clone(), ..NightPlan::default() };
    let surveyed = surveyed(inputs.survey);
    let made: u64 = surveyed.iter().map(|stream| stream.calls).sum();
    plan.streams.extend(surveyed);
    let vanished = vanished::plan(inputs, &mut plan) + vanished::groups(inputs, &mut plan);
    // `--full` has decided what it may cost.
    let limit = inputs.budget.filter(|_| !inputs.settings.everything);
    let mut purse = budget::Purse::new(limit, made + vanished);
    if let Some(budget) = inputs.budget {
        plan.calls_left = Some(budget.left);
        plan.calls_tonight = Some(budget.of_this_run());
    }
    // What changed is never cut, so both streams say what they must have before either says what it would like.
    let members = memberships::Wishes::of(inputs);
    let aliases = aliases::Wishes::of(inputs, &mut plan.notes);
    purse.spend(members.needed_calls() + aliases.needed_calls());
    let members = members.plan(inputs, &mut purse, &mut plan);
    let aliases = aliases.plan(&mut purse, &mut plan);
    plan.streams.extend([members, aliases]);
    plan
}

/// What the survey has cost: read whole every night, never cut.
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
        row(Stream::SignIn, &[TOKEN_ENDPOINT, me], "who we are"),
        row(Stream::Users, &["GET /users"], "whole every night: joiners, leavers, status, role"),
        row(Stream::Groups, &["GET /groups"], "whole every night"),
        row(Stream::Events, &["GET /events"], "the window since the last night, and its overlap"),
    ]
}

/// How many of `count` are due when all of them are to be looked at within `within`, after a pause of `since`.
fn share(count: u64, since: TimeDelta, within: TimeDelta) -> u64 {
    let (since, within) =
        (since.num_seconds().max(0).unsigned_abs(), within.num_seconds().max(1).unsigned_abs());
    let due = (u128::from(count) * u128::from(since)).div_ceil(u128::from(within));
    u64::try_from(due).unwrap_or(u64::MAX).min(count)
}

/// Whether something would be older than it may be by the time of the next night.
fn is_overdue(read_at: Option<DateTime<Utc>>, inputs: &Inputs<'_>, within: TimeDelta) -> bool {
    let pause = inputs.since_base.max(TimeDelta::days(1));
    read_at.is_some_and(|at| inputs.now - at + pause > within + TimeDelta::hours(1))
}

/// Whether something was last read before, or just about when, an event says it changed.
fn is_unread_since(read_at: Option<DateTime<Utc>>, event_at: Option<DateTime<Utc>>) -> bool {
    event_at.is_some_and(|event| read_at.is_none_or(|read| event + CLOCKS_DIFFER > read))
}

/// The case of a login does not matter to Box.
fn login_hash(login: Option<&str>) -> u64 {
    tie(&login.unwrap_or_default().to_lowercase())
}

/// Orders ids that are equally old, the same way every night.
fn tie(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// As far as the clock guard lets our clock be from Box's.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);
