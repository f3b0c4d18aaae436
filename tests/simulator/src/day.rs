//! Simulates a day: users sign in; some join, leave, move or change. Most of it reaches the admin log.
//!
//! Rates are shares of the enterprise per weekday, with a floor. So a demo with a hundred users has some changes every week,
//! and an enterprise of a hundred thousand is not replaced within a month. Weekends have a seventh of the rate.

mod draws;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use draws::rest_from;

use crate::apps::App;
use crate::auth::Caller;
use crate::chance::{self, About};
use crate::events::{Actor, Event, Form, Kind, NO_GROUP};
use crate::groups::{self, BIG_INDEX};
use crate::history::{admins, an_admin, is_weekend, login_form, working_time};
use crate::names;
use crate::people::{self, ACTIVE, DAY_SECS, Habit, INACTIVE, Role, Standing, pick};
use crate::world::{News, World};

/// The result of the stepped days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stepped {
    /// Days stepped.
    pub days: u32,
    /// LOGIN events.
    pub logins: u64,
    /// Other events.
    pub other_events: u64,
    /// Accounts created.
    pub joined: u64,
    /// Accounts deleted or rolled out.
    pub left: u64,
    /// Changes that no event announced.
    pub silent_changes: u64,
}

/// Simulates `days` days.
pub(crate) fn step(world: &mut World, days: u32) -> Stepped {
    let mut done = Stepped::default();
    for _ in 0..days {
        one_day(world, &mut done);
        done.days += 1;
    }
    done
}

fn one_day(world: &mut World, done: &mut Stepped) {
    world.days_stepped += 1;
    let start = world.now;
    let seed = chance::mix(world.config.seed, About::Day, world.days_stepped.into());
    let logged_before = world.log.all().len();
    let mut day = Day {
        rng: ChaCha8Rng::seed_from_u64(seed),
        admins: admins(&world.people),
        live: world.managed().count() as f64,
        busy: if is_weekend(start + DAY_SECS / 2) { 0.15 } else { 1.0 },
        start,
        end: start + DAY_SECS,
        rest_from: rest_from(&world.config.holidays, start),
        done,
        world,
    };
    day.people();
    day.aliases();
    day.groups();
    day.push_from_directory();
    day.logins();
    day.storage_drifts();
    day.unheard_of();
    day.recreate_from_directory();
    world.now = start + DAY_SECS;
    world.publish();
    world.finish_due_transfers();
    let new = &world.log.all()[logged_before..];
    let logins = new.iter().filter(|event| event.kind == Kind::Login).count();
    done.logins += logins as u64;
    done.other_events += (new.len() - logins) as u64;
}

struct Day<'a> {
    rng: ChaCha8Rng,
    admins: Vec<u32>,
    live: f64,
    busy: f64,
    start: i64,
    end: i64,
    /// From this time until its end, the day is a holiday.
    rest_from: i64,
    done: &'a mut Stepped,
    world: &'a mut World,
}

impl Day<'_> {
    fn people(&mut self) {
        for _ in 0..self.times(0.0008, 0.35) {
            let news = if self.rng.random_bool(0.95) { self.announced() } else { News::Silent };
            self.joins(news);
        }
        for _ in 0..self.times(0.0006, 0.2) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                // Many users were suspended on the same day, minutes before the deletion.
                if day.rng.random_bool(0.3) {
                    day.world.set_status(slot, INACTIVE.into(), at - 600, news);
                }
                day.world.delete(slot, at, news);
                day.done.left += 1;
            });
        }
        for _ in 0..self.times(0.000_02, 0.02) {
            self.with_somebody(|day, slot, at| {
                day.world.roll_out(slot, at);
                day.done.left += 1;
                day.done.silent_changes += 1;
            });
        }
        for _ in 0..self.times(0.0008, 0.3) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                let status = match (&*day.world.people[slot].status, day.rng.random_range(0..10)) {
                    (ACTIVE, 0) => "cannot_delete_edit",
                    (ACTIVE, _) => INACTIVE,
                    _ => ACTIVE,
                };
                day.world.set_status(slot, status.into(), at, news);
            });
        }
        for _ in 0..self.times(0.0003, 0.1) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                let (name, _) = names::person(day.rng.random_range(0..100_000));
                day.world.set_name(slot, &name, at, news);
            });
        }
        for _ in 0..self.times(0.001, 0.4) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                let title = pick(&mut day.rng, names::TITLES);
                let department = pick(&mut day.rng, names::DEPARTMENTS);
                let changes_department = day.rng.random_bool(0.4);
                day.world.edit(slot, at, news, |person| {
                    if changes_department {
                        person.tracking_codes.retain(|(name, _)| name != "Department");
                        person.tracking_codes.insert(0, ("Department".into(), department.into()));
                    } else {
                        person.job_title = title.into();
                    }
                });
            });
        }
        for _ in 0..self.times(0.000_02, 0.02) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                let role = if day.world.people[slot].role == Role::User { Role::Coadmin } else { Role::User };
                if !day.world.people[slot].is_platform_access_only {
                    day.world.set_role(slot, role, at, news);
                }
            });
        }
    }

    fn joins(&mut self, news: News) {
        let slot = self.world.people.len();
        let at = self.moment();
        if at >= self.rest_from {
            return;
        }
        let person = people::newcomer(&mut self.rng, &self.world.config, slot, at);
        self.world.join(person, news);
        if self.world.groups.get(BIG_INDEX).is_some_and(groups::Group::is_walkable)
            && self.rng.random_bool(0.4)
        {
            self.world.add_member(slot, BIG_INDEX, false, at, news);
        }
        self.done.joined += 1;
        self.done.silent_changes += u64::from(news == News::Silent);
    }

    fn aliases(&mut self) {
        for _ in 0..self.times(0.0003, 0.15) {
            // An admin adds an alias and confirms it in the same step. The log has no event for it.
            self.with_somebody(|day, slot, at| {
                let email = day.new_address(slot);
                day.world.add_alias(slot, &email, true, at);
                day.done.silent_changes += 1;
            });
        }
        for _ in 0..self.times(0.0003, 0.15) {
            self.with_somebody(|day, slot, at| {
                let email = day.new_address(slot);
                day.world.add_alias(slot, &email, false, at);
                let which = day.world.people[slot].aliases.len() - 1;
                if day.rng.random_bool(0.8) {
                    let own_act = News::By(Actor::Person(slot as u32));
                    day.world.confirm_alias(slot, which, at, own_act);
                }
            });
        }
        for _ in 0..self.times(0.0002, 0.1) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                if !day.world.people[slot].aliases.is_empty() {
                    day.world.remove_alias(slot, 0, at, news);
                }
            });
        }
        for _ in 0..self.times(0.0002, 0.1) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                if let Some(which) =
                    day.world.people[slot].aliases.iter().position(|alias| alias.is_confirmed)
                {
                    day.world.make_alias_primary(slot, which, at, news);
                }
            });
        }
    }

    fn groups(&mut self) {
        let per_group = self.world.groups.len() as f64 / self.live.max(1.0);
        for _ in 0..self.times(0.0005 * per_group, 0.05) {
            let (at, news, index) = (self.moment(), self.announced(), self.world.groups.len());
            let name = groups::new_name(&mut self.rng, index);
            if at < self.rest_from {
                self.world.add_group(&name, at, news);
            }
        }
        for _ in 0..self.times(0.0005 * per_group, 0.05) {
            let (at, news) = (self.moment(), self.announced());
            if let Some(index) = self.a_group().filter(|_| at < self.rest_from) {
                let name = groups::new_name(&mut self.rng, index) + " (renamed)";
                self.world.rename_group(index, &name, at, news);
            }
        }
        for _ in 0..self.times(0.0002 * per_group, 0.03) {
            let (at, news) = (self.moment(), self.announced());
            if let Some(index) = self.a_group().filter(|index| *index != BIG_INDEX && at < self.rest_from) {
                self.done.silent_changes += self.world.groups[index].memberships.len() as u64;
                self.world.delete_group(index, at, news);
            }
        }
        for _ in 0..self.times(0.003, 0.6) {
            let (news, group) = (self.announced(), self.a_group());
            self.with_somebody(|day, slot, at| {
                if let Some(group) = group.filter(|group| day.world.membership_of(slot, *group).is_none()) {
                    day.world.add_member(slot, group, false, at, news);
                }
            });
        }
        for _ in 0..self.times(0.002, 0.5) {
            let news = self.announced();
            self.with_somebody(|day, slot, at| {
                if let Some(index) = day.a_membership(slot) {
                    day.world.remove_member(index, at, news);
                }
            });
        }
        for _ in 0..self.times(0.0003, 0.1) {
            // Not every change of a role in a group is announced. Half of these are silent.
            let news = if self.rng.random_bool(0.5) { self.announced() } else { News::Silent };
            self.with_somebody(|day, slot, at| {
                if let Some(index) = day.a_membership(slot) {
                    let is_admin = !day.world.memberships[index].is_admin;
                    day.world.set_group_admin(index, is_admin, at, news);
                    day.done.silent_changes += u64::from(news == News::Silent);
                }
            });
        }
    }

    fn push_from_directory(&mut self) {
        let Some(every) = self.world.config.directory_push_every_days else { return };
        if every == 0 || !self.world.days_stepped.is_multiple_of(every) {
            return;
        }
        for slot in 0..self.world.people.len() {
            if self.world.people[slot].is_managed() && self.rng.random_bool(0.5) {
                let at = self.rng.random_range(self.start + 1..=self.end);
                let at = at.max(self.world.people[slot].created_at);
                self.world.edited(slot, at, News::By(Actor::App(App::Directory)));
            }
        }
    }

    /// Creates accounts again, under new ids, for users that an application deleted and that are still in the directory.
    fn recreate_from_directory(&mut self) {
        let Some(days) = self.world.config.directory_recreates_after_days else { return };
        let by = self.end - i64::from(days) * DAY_SECS;
        for slot in self.world.deleted_by_applications(by) {
            let made = self.world.recreate(slot, self.end, News::By(Actor::App(App::Directory)));
            self.done.joined += u64::from(made.is_some());
        }
    }

    fn logins(&mut self) {
        let awkward = self.world.config.awkward;
        let scale = self.busy * 7.0 / 5.3 * self.login_scale();
        for slot in 0..self.world.people.len() {
            let person = &self.world.people[slot];
            let until = match person.standing {
                Standing::Managed if person.status != INACTIVE => self.end,
                Standing::Deleted { at } if at > self.start => at,
                _ => continue,
            };
            let from = person.created_at.max(self.start + 1);
            let per_day = match person.habit {
                // Users who stopped signing in still sign in occasionally.
                Habit::Stopped { .. } | Habit::Never => 0.000_3,
                habit => habit.logins_per_day(),
            };
            let quiet = matches!(person.habit, Habit::Quiet | Habit::Machine);
            let chance = if quiet { 0.4 * self.busy } else { (per_day * scale).min(1.0) };
            if from >= until || !self.rng.random_bool(chance) {
                continue;
            }
            let subject = slot as u32;
            let at = working_time(&mut self.rng, from, until);
            if at >= self.rest_from {
                continue;
            }
            let at = at as u32;
            let (kind, form) = if quiet {
                (Kind::TokenCreate, Form::Full)
            } else {
                (Kind::Login, login_form(&mut self.rng, awkward))
            };
            let event = Event { at, kind, form, subject, actor: Actor::Person(subject), group: NO_GROUP };
            self.world.happened(event);
            if kind == Kind::Login && self.rng.random_bool(0.04) {
                let (kind, actor) = if self.rng.random_bool(0.9) {
                    (Kind::FailedLogin, Actor::Unknown)
                } else {
                    (Kind::AdminLogin, an_admin(&mut self.rng, &self.admins))
                };
                self.world.happened(Event { kind, actor, form: Form::Full, ..event });
            }
        }
    }

    /// Ratio of the configured number of past logins to the number by habit. The following days keep this ratio.
    fn login_scale(&self) -> f64 {
        let Some(logins) = self.world.config.logins else { return 1.0 };
        let days = f64::from(self.world.config.login_days.max(1));
        logins as f64 / (f64::from(self.world.config.users.max(1)) * 30.0 * days / 365.0)
    }

    /// Runs last, so that a day without drift makes the same random draws as before drift existed.
    fn unheard_of(&mut self) {
        for _ in 0..self.world.drift.new_events_per_day {
            self.with_somebody(|day, slot, at| {
                let (at, subject) = (at as u32, slot as u32);
                let (kind, actor) = (Kind::Unheard, Actor::Person(subject));
                day.world.happened(Event { at, kind, form: Form::Full, subject, actor, group: NO_GROUP });
            });
        }
    }

    fn storage_drifts(&mut self) {
        let expected = self.expected(0.05, 1.0);
        for _ in 0..self.whole(expected) {
            let by = self.rng.random_range(-50_000_000..200_000_000i64);
            self.with_somebody(|day, slot, _| {
                let held = day.world.held_bytes(Caller::Person(slot as u32));
                let person = &mut day.world.people[slot];
                // A suspended account gets no new content, and content with a fixed place does not shrink.
                if person.status != INACTIVE {
                    person.space_used = (person.space_used + by).max(held);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::change_log::true_changes;
    use crate::config::Config;

    #[test]
    fn days_are_repeatable_and_keep_to_their_time() {
        let run = || {
            let mut world = World::new(Config { users: 400, ..Config::default() });
            let done = step(&mut world, 30);
            assert!(world.log.all().iter().all(|event| i64::from(event.at) <= world.now));
            (done, world.log.all().len())
        };
        let (done, count) = run();
        assert_eq!((done.clone(), count), run());
        assert!(done.joined > 3 && done.left > 1 && done.logins > 500 && done.silent_changes > 3, "{done:?}");
    }

    #[test]
    fn weekends_are_quiet() {
        let mut world = World::new(Config { users: 2_000, ..Config::default() });
        // The first step is a Monday; the sixth is a Saturday.
        let logins: Vec<u64> = (0..7).map(|_| step(&mut world, 1).logins).collect();
        assert!(logins[5] * 3 < logins[1], "{logins:?}");
    }

    fn changes_of(world: &mut World, days: u32) -> (Stepped, usize) {
        let before = true_changes(world).len();
        let done = step(world, days);
        (done, true_changes(world).len() - before)
    }

    #[test]
    fn an_enterprise_comes_to_rest_and_wakes_up() {
        let config =
            Config { users: 800, change_scale: 0.0, directory_push_every_days: Some(3), ..Config::default() };
        let mut world = World::new(config);
        let used = |world: &World| world.people.iter().map(|person| person.space_used).sum::<i64>();
        let before = used(&world);
        let (done, changes) = changes_of(&mut world, 5);
        assert_eq!((done.joined, done.left, done.silent_changes, changes), (0, 0, 0, 0));
        assert!(done.logins > 100 && done.other_events > 300 && used(&world) != before, "{done:?}");
        world.change_scale = 1.0;
        let usual = changes_of(&mut world, 10).1;
        world.change_scale = 8.0;
        let many = changes_of(&mut world, 10).1;
        assert!(usual > 20 && many > usual * 3, "{usual} and {many}");
        for nonsense in [-1.0, f64::NAN] {
            world.change_scale = nonsense;
            assert_eq!(changes_of(&mut world, 3).1, 0);
        }
    }

    #[test]
    fn nobody_works_on_a_holiday() {
        let date = |day| NaiveDate::from_ymd_opt(2026, 3, day).expect("a date");
        // A Thursday. The stepped days begin at six in the morning UTC.
        let holidays = vec![date(5)];
        let config = Config {
            users: 3_000,
            change_scale: 5.0,
            directory_push_every_days: Some(1),
            holidays,
            ..Config::default()
        };
        let mut world = World::new(config);
        let before = world.log.all().len();
        step(&mut world, 3);
        let (done, changes) = changes_of(&mut world, 1);
        assert_eq!((done.logins, done.joined, changes), (0, 0, 0));
        assert!(done.other_events > 1000, "the directory goes on pushing");
        assert!(changes_of(&mut world, 1).1 > 20);
        let (from, to) = (1_772_668_800, 1_772_755_200);
        assert_eq!(rest_from(&world.config.holidays, from - 3600), from);
        let on_the_date = |event: &&Event| (from..to).contains(&i64::from(event.at));
        let mut there = world.log.all()[before..].iter().filter(on_the_date);
        assert!(there.all(|event| event.kind == Kind::EditUser && event.actor == Actor::App(App::Directory)));
    }

    #[test]
    fn an_empty_enterprise_lives_on() {
        let mut world = World::new(Config { users: 0, groups: 0, ..Config::default() });
        assert_eq!(step(&mut world, 3).logins, 0);
    }
}
