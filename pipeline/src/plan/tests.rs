//! The planner's decisions, run by run.

use boxseat_schemas::plan::{Choice, RunPlan, Stream, StreamPlan, Which};
use chrono::{DateTime, TimeDelta, Utc};

use super::base::{BaseGroup, BaseUser};
use super::survey::{ListedUser, News, UserNews};
use super::*;

/// An enterprise without changes: everything was read one run ago.
struct Night {
    survey: Survey,
    base: BaseRun,
    settings: PlanSettings,
    budget: Option<Budget>,
    feed_failure: Option<&'static str>,
    since_base: TimeDelta,
}

fn now() -> DateTime<Utc> {
    "2026-03-10T02:00:00Z".parse().unwrap()
}

impl Night {
    fn of(users: usize, groups: usize) -> Self {
        let mut night = Self {
            survey: Survey::default(),
            base: BaseRun::default(),
            settings: PlanSettings {
                alias_sweep: TimeDelta::days(30),
                membership_resync: TimeDelta::days(7),
                everything: false,
            },
            budget: None,
            feed_failure: None,
            since_base: TimeDelta::days(1),
        };
        for user in 0..users {
            night.list(&user.to_string());
            let read_at = Some(now() - TimeDelta::days(1));
            let known = BaseUser {
                is_listed: true,
                login_hash: login_hash(Some(&format!("{user}@acme.test"))),
                modified_at: None,
                aliases_read_at: read_at,
                memberships_read_at: read_at,
            };
            night.base.users.insert(&user.to_string(), known);
        }
        for group in 0..groups {
            let id = format!("g{group}");
            let read_at = Some(now() - TimeDelta::days(1));
            let known = BaseGroup { memberships_read_at: read_at, group_side: 12, user_side: 0 };
            night.base.groups.insert(&id, known);
            night.survey.groups.push(id.into());
        }
        night.survey.calls = vec![("GET /users".to_owned(), 1), ("GET /events".to_owned(), 2)];
        night
    }

    fn list(&mut self, id: &str) {
        self.survey.listed.insert(id);
        self.survey.users.push(ListedUser {
            id: id.into(),
            login_hash: login_hash(Some(&format!("{id}@ACME.test"))),
            modified_at: None,
        });
    }

    fn plan(&self) -> RunPlan {
        self.plan_from(Some(&self.base))
    }

    fn plan_at(&self, now: DateTime<Utc>) -> RunPlan {
        self.plan_on(Some(&self.base), now)
    }

    fn plan_from(&self, base: Option<&BaseRun>) -> RunPlan {
        self.plan_on(base, now())
    }

    fn plan_on(&self, base: Option<&BaseRun>, now: DateTime<Utc>) -> RunPlan {
        plan(&Inputs {
            survey: &self.survey,
            base,
            since_base: self.since_base,
            feed_failure: self.feed_failure,
            now,
            budget: self.budget,
            settings: &self.settings,
        })
    }
}

#[track_caller]
fn stream(plan: &RunPlan, stream: Stream) -> &StreamPlan {
    plan.streams.iter().find(|planned| planned.stream == stream).expect("every stream has its line")
}

#[track_caller]
fn ids(which: &Which) -> Vec<&str> {
    let Which::Only(ids) = which else { panic!("everything is read") };
    let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn first_run_reads_everything() {
    let plan = Night::of(40, 3).plan_from(None);
    assert_eq!((plan.reads.aliases.clone(), plan.reads.groups.clone()), (Which::All, Which::All));
    assert_eq!(plan.reads.user_side, Which::All);
    assert_eq!(plan.calls(), 3 + 3 + 40);
}

#[test]
fn run_without_changes_sweeps_a_thirtieth_and_a_seventh() {
    let plan = Night::of(3_000, 700).plan();
    assert_eq!(stream(&plan, Stream::EmailAliases).calls, 100);
    assert_eq!(stream(&plan, Stream::Memberships).calls, 100);
    assert_eq!(stream(&plan, Stream::Memberships).choice, Choice::ChangedOnly);
    // Up to a hundred calls, all groups are read.
    let plan = Night::of(3_000, 100).plan();
    assert_eq!(plan.reads.groups, Which::All);
}

#[test]
fn week_without_a_run_is_caught_up() {
    let mut night = Night::of(3_000, 700);
    night.since_base = TimeDelta::days(7);
    let plan = night.plan();
    assert_eq!(stream(&plan, Stream::EmailAliases).calls, 700);
    assert_eq!(stream(&plan, Stream::Memberships).calls, 700);
}

#[test]
fn events_new_users_and_changed_logins_are_read_at_once() {
    let mut night = Night::of(300, 700);
    night.settings.alias_sweep = TimeDelta::days(100_000);
    night.settings.membership_resync = TimeDelta::days(100_000);
    night.list("new");
    night.survey.users[5].login_hash = 1;
    night.survey.users[6].modified_at = Some(now());
    let read_before = Some(now() - TimeDelta::days(3));
    night.survey.feed.users.insert("7", UserNews { edited: true, other: News::default() });
    night
        .survey
        .feed
        .users
        .insert("8", UserNews { edited: false, other: News { is_new: true, at: read_before } });
    // Known before, and read since.
    night
        .survey
        .feed
        .users
        .insert("9", UserNews { edited: false, other: News { is_new: false, at: read_before } });
    // Known before, but not read since: that run could not.
    night
        .survey
        .feed
        .users
        .insert("10", UserNews { edited: false, other: News { is_new: false, at: Some(now()) } });
    night.survey.feed.groups.insert("g4", News { is_new: true, at: read_before });
    night.survey.groups.push("fresh".into());
    let plan = night.plan();
    let mut wanted = vec!["10", "5", "6", "7", "8", "new"];
    // One more is swept, because a share is rounded up.
    let read = ids(&plan.reads.aliases);
    wanted.extend(read.iter().filter(|id| !["10", "5", "6", "7", "8", "new"].contains(id)));
    wanted.sort_unstable();
    assert_eq!((read.clone(), read.len()), (wanted, 7));
    let groups = ids(&plan.reads.groups);
    assert!(groups.contains(&"g4") && groups.contains(&"fresh") && groups.len() == 3, "{groups:?}");
}

#[test]
fn update_of_all_users_by_an_identity_provider_is_ignored() {
    let mut night = Night::of(3_000, 10);
    for user in 0..61 {
        night.survey.feed.users.insert(&user.to_string(), UserNews { edited: true, other: News::default() });
    }
    night
        .survey
        .feed
        .users
        .insert("77", UserNews { edited: false, other: News { is_new: true, at: Some(now()) } });
    let plan = night.plan();
    assert_eq!(stream(&plan, Stream::EmailAliases).calls, 101, "{:?}", plan.notes);
    assert!(plan.notes[0].contains("identity provider"), "{:?}", plan.notes);
    // Two per cent are a busy day.
    let mut busy = Night::of(3_000, 10);
    for user in 0..60 {
        busy.survey.feed.users.insert(&user.to_string(), UserNews { edited: true, other: News::default() });
    }
    assert_eq!(stream(&busy.plan(), Stream::EmailAliases).calls, 160);
}

#[test]
fn unreliable_feed_reads_everything() {
    let mut night = Night::of(300, 700);
    night.feed_failure = Some("the admin log overlaps the last run by 3 h instead of 48 h");
    let plan = night.plan();
    assert_eq!((plan.reads.aliases, plan.reads.groups), (Which::All, Which::All));
    let mut night = Night::of(300, 700);
    night.survey.feed.unresolved_memberships = 1;
    let plan = night.plan();
    assert_eq!(plan.reads.groups, Which::All);
    assert_eq!(stream(&plan, Stream::EmailAliases).calls, 10);
}

#[test]
fn allowance_cuts_the_sweep_first_then_groups_and_never_changes() {
    let mut night = Night::of(3_000, 700);
    night.survey.feed.users.insert("7", UserNews { edited: true, other: News::default() });
    // A run's share of 154, minus two for retries, minus three made, minus one needed: 148 for due reads.
    night.budget = Some(Budget { left: 1_540, nights: 10 });
    let plan = night.plan();
    assert_eq!(stream(&plan, Stream::Memberships).calls, 100);
    assert_eq!(stream(&plan, Stream::EmailAliases).calls, 1 + 47);
    assert!(plan.notes[0].contains("of 100 due users are postponed to later runs"), "{:?}", plan.notes);
    assert_eq!(plan.calls(), plan.calls_tonight.unwrap());
    night.budget = Some(Budget { left: 0, nights: 1 });
    let plan = night.plan();
    assert_eq!(plan.calls(), 3 + 1);
    assert_eq!(plan.notes.len(), 2);
    // The same for a full read that is cut.
    night.feed_failure = Some("the admin log has no event on 2026-03-09");
    assert_eq!(ids(&night.plan().reads.aliases), ["7"]);
    night.feed_failure = None;
    // With a large share, a twentieth of it reads every group.
    night.budget = Some(Budget { left: 200_000, nights: 10 });
    assert_eq!(night.plan().reads.groups, Which::All);
}

#[test]
fn limited_first_run_is_spread_and_the_oldest_come_first() {
    let mut night = Night::of(3_000, 10);
    night.budget = Some(Budget { left: 30_000, nights: 30 });
    let plan = night.plan_from(None);
    assert_eq!(plan.reads.groups, Which::All);
    assert!(plan.calls() <= 1_000 && plan.calls() > 970, "{}", plan.calls());
    // The next run continues with users that were never read, before the sweep.
    for user in 0..2_500 {
        night.base.users.entry(&user.to_string()).aliases_read_at = None;
    }
    let plan = night.plan();
    assert!(ids(&plan.reads.aliases).iter().all(|id| id.parse::<u32>().unwrap() < 2_500));
    assert!(stream(&plan, Stream::EmailAliases).reason.contains("for the first time"));
}

#[test]
fn no_data_gets_older_than_guaranteed() {
    let mut night = Night::of(3_000, 10);
    for user in 0..400 {
        night.base.users.entry(&user.to_string()).aliases_read_at =
            Some(now() - TimeDelta::hours(29 * 24 + 2));
    }
    assert_eq!(stream(&night.plan(), Stream::EmailAliases).calls, 400);
}

#[test]
fn groups_beyond_the_offset_cap_are_read_from_the_users_side() {
    let mut night = Night::of(12_000, 700);
    night.base.groups.insert(
        "g0",
        BaseGroup {
            memberships_read_at: Some(now() - TimeDelta::hours(20)),
            group_side: 10_000,
            user_side: 500,
        },
    );
    for user in 0..10_000 {
        night.base.capped.entry("g0").insert(&user.to_string());
    }
    night.survey.feed.groups.insert("g0", News { is_new: true, at: Some(now()) });
    night.survey.feed.members.push(("g0".into(), "3".into()));
    let plan = night.plan();
    assert!(
        !ids(&plan.reads.groups).contains(&"g0"),
        "a group that hides its members is not read for one of them"
    );
    let users = ids(&plan.reads.user_side);
    assert!(users.contains(&"3"));
    // About a thirtieth of the 2,000 hidden users, and the one that the event names.
    assert!((40..100).contains(&users.len()), "{}", users.len());
    // Each user has a day: after a month, each was read once.
    let mut asked = std::collections::HashMap::<String, u32>::new();
    for day in 0..30 {
        let plan = night.plan_at(now() + TimeDelta::days(day));
        for id in ids(&plan.reads.user_side).into_iter().filter(|id| *id != "3") {
            *asked.entry(id.to_owned()).or_default() += 1;
        }
    }
    assert!(asked.len() == 2_000 && asked.values().all(|times| *times == 1), "{}", asked.len());
}

#[test]
fn missing_users_are_requested_together_with_listed_users() {
    let mut night = Night::of(300, 10);
    let gone = night.survey.users.split_off(295);
    night.survey.listed = Default::default();
    night.survey.users.iter().for_each(|user| _ = night.survey.listed.insert(&user.id));
    night.survey.feed.deleted.insert(&gone[0].id);
    let plan = night.plan();
    assert_eq!(plan.reads.confirm.len(), 5);
    assert_eq!(plan.reads.canaries.len(), 3);
    assert_eq!(plan.unannounced_departures, 4);
    assert_eq!(stream(&plan, Stream::Confirmations).calls, 8);
    // Users that were missing before are requested again, however many they are.
    for id in 100..300 {
        night.base.users.entry(&id.to_string()).is_listed = false;
    }
    let listed: Vec<_> = night.survey.users.drain(..100).collect();
    night.survey.users = listed;
    night.survey.listed = Default::default();
    night.survey.users.iter().for_each(|user| _ = night.survey.listed.insert(&user.id));
    assert_eq!(night.plan().reads.confirm.len(), 200);
    // Half of the enterprise missing is a broken listing.
    let mut night = Night::of(300, 10);
    night.survey.users.truncate(100);
    night.survey.listed = Default::default();
    night.survey.users.iter().for_each(|user| _ = night.survey.listed.insert(&user.id));
    let plan = night.plan();
    assert!(plan.reads.confirm.is_empty());
}

#[test]
fn same_input_gives_the_same_plan() {
    let night = Night::of(3_000, 700);
    assert_eq!(night.plan(), night.plan());
}

/// Why: a user who came without an event, as by SSO, had no memberships until the sweep reached the groups, up to a week later.
#[test]
fn memberships_of_users_who_are_new_or_were_never_read_are_read_by_user() {
    let mut night = Night::of(3_000, 700);
    night.list("new");
    night.base.users.entry("17").memberships_read_at = None;
    assert_eq!(ids(&night.plan().reads.user_side), ["17", "new"]);
    // Within the budget, these users are read before the groups that were read longest ago.
    let without = Night::of(3_000, 700).plan();
    let surveyed = without.calls()
        - stream(&without, Stream::Memberships).calls
        - stream(&without, Stream::EmailAliases).calls;
    // The aliases of the new user come first, because they are always read.
    night.budget = Some(Budget { left: surveyed + 2, nights: 1 });
    let plan = night.plan();
    assert_eq!((ids(&plan.reads.aliases), ids(&plan.reads.user_side).len()), (vec!["new"], 1));
    // If every group is read, the groups show all users.
    night.budget = None;
    night.settings.everything = true;
    assert_eq!(night.plan().reads.user_side, Which::All);
}

/// Why: a group that a damaged listing did not show counted as gone, and all its members were reported as removed from it.
#[test]
fn a_group_that_is_not_listed_any_more_is_read_by_id() {
    let mut night = Night::of(100, 30);
    night.survey.groups.retain(|id| !["g3", "g4"].contains(&&**id));
    night.survey.feed.announced.groups.push("g4".to_owned());
    let plan = night.plan();
    assert_eq!(plan.reads.confirm_groups, ["g3"]);
    // Too many to be plausible: the guard refuses such a run.
    night.survey.groups.truncate(5);
    assert!(night.plan().reads.confirm_groups.is_empty());
}
