//! What happened in each snapshot, from the simulator's truth alone: the slow and simple computation with which reports are
//! compared.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_simulator::{TrueEvent, TrueUser, Truth};
use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};

use crate::facts::Clock;

/// Every snapshot that was stored, in order.
#[derive(Default)]
pub(super) struct Chronicle {
    pub(super) nights: Vec<Night>,
    first_seen: BTreeMap<String, DateTime<Utc>>,
    last_back: BTreeMap<String, DateTime<Utc>>,
    suspended: BTreeMap<String, Suspended>,
}

/// One of them.
pub(super) struct Night {
    pub(super) date: NaiveDate,
    pub(super) now: DateTime<Utc>,
    window_to: DateTime<Utc>,
    pub(super) truth: Truth,
    pub(super) people: BTreeMap<String, Person>,
    pub(super) changes: Vec<Change>,
    pub(super) suspended: BTreeMap<String, Suspended>,
    /// Its API calls, as the stand-in counted them.
    pub(super) calls: u64,
}

/// A listed user.
pub(super) struct Person {
    pub(super) user: TrueUser,
    pub(super) state: Option<&'static str>,
    pub(super) band: &'static str,
    pub(super) proven: i64,
    pub(super) last_login: Option<DateTime<Utc>>,
    pub(super) login_days: Option<i64>,
    pub(super) plan: &'static str,
    pub(super) cost: i64,
    pub(super) groups: BTreeSet<String>,
}

/// A difference from the previous snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) kind: &'static str,
    pub(super) user_id: String,
    pub(super) group_id: Option<String>,
    pub(super) takes_seat: bool,
}

/// Since when a user is suspended, and by which actor.
#[derive(Clone)]
pub(super) struct Suspended {
    pub(super) since: DateTime<Utc>,
    pub(super) by: Option<String>,
    pub(super) is_at_least: bool,
}

/// Price of a seat in ten-thousandths: Sales has its own plan.
pub(super) fn plan_of(user: &TrueUser) -> (&'static str, i64) {
    let is_sales = user.tracking_codes.iter().any(|(name, value)| name == "Department" && value == "Sales");
    if is_sales { ("suite", 475_000) } else { ("enterprise", 350_001) }
}

pub(super) const NOT_USED: [&str; 3] = ["idle", "never_since_created", "no_login_seen"];

pub(super) fn is_waste(state: &str) -> bool {
    state == "suspended" || NOT_USED.contains(&state)
}

impl Chronicle {
    /// Stores a snapshot of the present state.
    pub(super) fn keep(&mut self, truth: Truth, now: DateTime<Utc>, calls: u64) {
        let window_to = now - TimeDelta::minutes(15);
        let first_now = self.nights.first().map_or(now, |night| night.now);
        let window_from =
            self.nights.first().map_or(window_to, |night| night.window_to) - TimeDelta::days(183);
        let changes = self.compare(&truth, now, window_to);
        let clock = Clock { now, covered_from: window_from, first_night: first_now };
        let mut logins: BTreeMap<&str, Vec<DateTime<Utc>>> = BTreeMap::new();
        for login in &truth.logins {
            let at: DateTime<Utc> = login.created_at.parse().unwrap();
            if at >= window_from && at < window_to {
                logins.entry(&login.user_id).or_default().push(at);
            }
        }
        let mut people = BTreeMap::new();
        for user in &truth.users {
            let own = logins.get(user.user_id.as_str()).cloned().unwrap_or_default();
            let last_login = own.iter().max().copied();
            let back = self.last_back.get(&user.user_id).copied();
            let judged = clock.judge(user, &own, self.first_seen[&user.user_id], back);
            let (plan, cost) = plan_of(user);
            let in_groups = truth.memberships.iter().filter(|member| member.user_id == user.user_id);
            let person = Person {
                user: user.clone(),
                state: judged.state,
                band: judged.band,
                proven: judged.proven,
                last_login,
                login_days: last_login.map(|at| clock.days(at)),
                plan,
                cost,
                groups: in_groups.map(|member| member.group_id.clone()).collect(),
            };
            people.insert(user.user_id.clone(), person);
        }
        let suspended = self.suspended.clone();
        let date = now.date_naive();
        self.nights.push(Night { date, now, window_to, truth, people, changes, suspended, calls });
    }

    /// The users that joined, left and changed since the previous snapshot.
    fn compare(&mut self, truth: &Truth, now: DateTime<Utc>, window_to: DateTime<Utc>) -> Vec<Change> {
        let Some(before) = self.nights.last() else {
            for user in &truth.users {
                self.first_seen.insert(user.user_id.clone(), now);
                if user.status == "inactive" {
                    let suspended = Suspended { since: now, by: None, is_at_least: true };
                    self.suspended.insert(user.user_id.clone(), suspended);
                }
            }
            return Vec::new();
        };
        let newest = |kind: &str, id: &str| -> Option<&TrueEvent> {
            let of_user = truth
                .other_events
                .iter()
                .filter(|event| event.event_type == kind && event.user_id.as_deref() == Some(id))
                .filter(|event| {
                    let at: DateTime<Utc> = event.created_at.parse().unwrap();
                    at >= before.window_to && at < window_to
                });
            of_user.max_by_key(|event| (event.created_at.clone(), event.event_id.clone()))
        };
        let at = |event: Option<&TrueEvent>| event.map_or(now, |event| event.created_at.parse().unwrap());
        let mut changes = Vec::new();
        let mut tell = |kind: &'static str, user: &TrueUser, group_id: Option<&String>| {
            let takes_seat = !user.is_platform_access_only
                && !user.login.clone().unwrap_or_default().to_lowercase().ends_with("@boxdevedition.com")
                && user.name.as_deref() != Some("Box Admin Reports");
            let (user_id, group_id) = (user.user_id.clone(), group_id.cloned());
            changes.push(Change { kind, user_id, group_id, takes_seat });
        };
        for user in &truth.users {
            let id = user.user_id.as_str();
            match before.people.get(id).map(|person| &person.user) {
                Some(was) => {
                    if was.role != user.role {
                        tell("role_changed", user, None);
                    }
                    if was.status != "inactive" && user.status == "inactive" {
                        tell("suspended", user, None);
                        let event = newest("EDIT_USER", id);
                        let by = event.and_then(|event| event.actor_id.clone());
                        let suspended = Suspended { since: at(event), by, is_at_least: false };
                        self.suspended.insert(id.to_owned(), suspended);
                    }
                    if was.status == "inactive" && user.status != "inactive" {
                        tell("reactivated", user, None);
                        self.last_back.insert(id.to_owned(), at(newest("EDIT_USER", id)));
                        self.suspended.remove(id);
                    }
                }
                None => {
                    if self.first_seen.contains_key(id) {
                        tell("returned", user, None);
                        self.last_back.insert(id.to_owned(), at(newest("NEW_USER", id)));
                    } else {
                        tell("joined", user, None);
                        self.first_seen.insert(id.to_owned(), now);
                    }
                    if user.status == "inactive" {
                        let suspended = Suspended { since: now, by: None, is_at_least: false };
                        self.suspended.insert(id.to_owned(), suspended);
                    }
                }
            }
        }
        let listed: BTreeSet<&str> = truth.users.iter().map(|user| user.user_id.as_str()).collect();
        for (id, person) in &before.people {
            if !listed.contains(id.as_str()) {
                tell("left", &person.user, None);
                self.suspended.remove(id);
            }
        }
        let roles = |truth: &Truth| -> BTreeMap<(String, String), String> {
            let pair = |m: &boxseat_simulator::TrueMembership| {
                ((m.user_id.clone(), m.group_id.clone()), m.role.clone())
            };
            truth.memberships.iter().map(pair).collect()
        };
        let (was, is) = (roles(&before.truth), roles(truth));
        let pairs: BTreeSet<&(String, String)> = was.keys().chain(is.keys()).collect();
        for pair in pairs {
            let Some(user) = truth.users.iter().find(|user| user.user_id == pair.0) else { continue };
            let kind = match (was.get(pair), is.get(pair)) {
                (None, Some(_)) => "group_added",
                (Some(_), None) => "group_removed",
                (Some(was), Some(is)) if was != is => "role_in_group_changed",
                _ => continue,
            };
            tell(kind, user, Some(&pair.1));
        }
        changes
    }
}

impl Night {
    /// Users with a seat.
    pub(super) fn seats(&self) -> impl Iterator<Item = (&String, &Person)> {
        self.people.iter().filter(|(_, person)| person.state.is_some())
    }

    pub(super) fn assigned(&self) -> i64 {
        self.seats().map(|_| 1).sum()
    }

    pub(super) fn in_state(&self, states: &[&str]) -> i64 {
        self.seats().filter(|(_, person)| states.contains(&person.state.unwrap())).map(|_| 1).sum()
    }

    pub(super) fn cost(&self, is_counted: impl Fn(&Person) -> bool) -> i64 {
        self.seats().filter(|(_, person)| is_counted(person)).map(|(_, person)| person.cost).sum()
    }

    pub(super) fn active(&self, days: i64) -> i64 {
        let is_active = |at: DateTime<Utc>| self.now - at < TimeDelta::days(days);
        self.seats().filter(|(_, person)| person.last_login.is_some_and(is_active)).map(|_| 1).sum()
    }

    /// Changes of a kind, for users with a seat only or for all users.
    pub(super) fn told(&self, kinds: &[&str], seats_alone: bool) -> i64 {
        let is_told = |change: &&Change| kinds.contains(&change.kind) && (change.takes_seat || !seats_alone);
        self.changes.iter().filter(is_told).map(|_| 1).sum()
    }

    pub(super) fn monday(&self) -> NaiveDate {
        self.date - Days::new(u64::from(self.date.weekday().num_days_from_monday()))
    }
}
