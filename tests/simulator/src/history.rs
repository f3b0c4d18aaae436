//! The year before the first day: logins by habit, and the admin events that led to the present state.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::chance::{self, About};
use crate::config::Config;
use crate::events::{Actor, Event, Form, Kind, NO_GROUP, NO_SUBJECT};
use crate::people::{DAY_SECS, Habit, INACTIVE, Person, Role, Standing};
use crate::world::World;

/// Every past event, not sorted.
pub(crate) fn year(world: &World) -> Vec<Event> {
    let admins = admins(&world.people);
    let mut events = logins(&world.config, &world.people);
    let logins = events.len();
    side_events(world, &admins, logins, &mut events);
    changes(world, &admins, &mut events);
    events
}

/// Slots of the administrators; empty only in an empty enterprise.
pub(crate) fn admins(people: &[Person]) -> Vec<u32> {
    let ranked =
        people.iter().enumerate().filter(|(_, person)| person.is_managed() && person.role != Role::User);
    ranked.map(|(slot, _)| slot as u32).collect()
}

/// One of the administrators; rarely Box support.
pub(crate) fn an_admin(rng: &mut ChaCha8Rng, admins: &[u32]) -> Actor {
    if admins.is_empty() || rng.random_bool(0.02) {
        return Actor::Support;
    }
    Actor::Person(admins[rng.random_range(0..admins.len())])
}

/// How a LOGIN names its subject: almost always in full.
pub(crate) fn login_form(rng: &mut ChaCha8Rng, awkward: bool) -> Form {
    if !awkward {
        return Form::Full;
    }
    match rng.random_range(0..1000) {
        0..2 => Form::LoginOnly,
        2..4 => Form::NoSource,
        4..10 => Form::IdOnly,
        _ => Form::Full,
    }
}

/// A second between `from` and `to`, mostly within a working week in California.
pub(crate) fn working_time(rng: &mut ChaCha8Rng, from: i64, to: i64) -> i64 {
    let mut at = from;
    for _ in 0..6 {
        at = rng.random_range(from..=to.max(from));
        let local = at - 8 * 3600;
        let hour = local.rem_euclid(DAY_SECS) / 3600;
        if is_weekend(at) && rng.random_bool(0.85) || !(7..19).contains(&hour) && rng.random_bool(0.8) {
            continue;
        }
        break;
    }
    at
}

/// Whether it is Saturday or Sunday in California (day 0 of Unix time was a Thursday).
pub(crate) fn is_weekend(at: i64) -> bool {
    matches!(((at - 8 * 3600).div_euclid(DAY_SECS) + 4).rem_euclid(7), 0 | 6)
}

/// The period of a user's past logins, the time of the last one, and the expected number.
struct Past {
    slot: u32,
    from: i64,
    last: i64,
    weight: f64,
}

fn logins(config: &Config, people: &[Person]) -> Vec<Event> {
    let rng = &mut ChaCha8Rng::seed_from_u64(chance::mix(config.seed, About::PastLogins, 0));
    let pasts: Vec<Past> =
        people.iter().enumerate().filter_map(|(slot, person)| past(rng, config, slot, person)).collect();
    let total_weight: f64 = pasts.iter().map(|past| past.weight).sum();
    let wanted = config.logins.unwrap_or(pasts.len() as u64 + total_weight as u64);
    // The last login of every user comes first, so that the inactivity bands are right for any configured number of logins.
    let lasts = wanted.min(pasts.len() as u64);
    let rest = (wanted - lasts) as f64;
    let mut events = Vec::with_capacity(wanted as usize + wanted as usize / 10);
    let (mut weight_so_far, mut given) = (0.0, 0);
    for (n, past) in pasts.iter().enumerate() {
        let event = |at: i64, form| Event {
            at: at as u32,
            kind: Kind::Login,
            form,
            subject: past.slot,
            actor: Actor::Person(past.slot),
            group: NO_GROUP,
        };
        if (n as u64) < lasts {
            events.push(event(past.last, login_form(rng, config.awkward)));
        }
        weight_so_far += past.weight;
        // Shares are taken from the running total, so that they add up to exactly the wanted number.
        let due =
            if n + 1 == pasts.len() { rest } else { (rest * weight_so_far / total_weight).floor() } as u64;
        for _ in given..due {
            let at = working_time(rng, past.from, past.last);
            events.push(event(at, login_form(rng, config.awkward)));
        }
        given = due.max(given);
    }
    events
}

fn past(rng: &mut ChaCha8Rng, config: &Config, slot: usize, person: &Person) -> Option<Past> {
    let now = config.now_secs();
    let until = match person.standing {
        Standing::Deleted { at } => at - 60,
        _ => now,
    };
    let start = now - i64::from(config.login_days) * DAY_SECS;
    let from = (person.created_at + 60).max(start);
    let days = |rng: &mut ChaCha8Rng, low: i64, high: i64| rng.random_range(low * DAY_SECS..high * DAY_SECS);
    let since = match person.habit {
        Habit::Often => days(rng, 0, 5),
        Habit::Sometimes => days(rng, 0, 25),
        Habit::Seldom => days(rng, 3, 30),
        Habit::Stopped { from_days, to_days } => days(rng, from_days.into(), to_days.into()),
        Habit::Never | Habit::Quiet | Habit::Machine | Habit::Unattended => return None,
    };
    let last = until - since;
    if last <= from {
        // The account is younger than the habit: half of these users have signed in, the others not yet.
        let came = until > from && !matches!(person.habit, Habit::Stopped { .. }) && rng.random_bool(0.5);
        return came.then(|| {
            let last = rng.random_range(from..=until);
            Past { slot: slot as u32, from, last, weight: 0.1 }
        });
    }
    let weight = person.habit.logins_per_day() * (last - from) as f64 / DAY_SECS as f64;
    Some(Past { slot: slot as u32, from, last, weight: weight.max(0.01) })
}

/// Events around the logins: failures, devices, token renewals, downloads, admin logins into accounts.
fn side_events(world: &World, admins: &[u32], logins: usize, events: &mut Vec<Event>) {
    let config = &world.config;
    let rng = &mut ChaCha8Rng::seed_from_u64(chance::mix(config.seed, About::PastLogins, 1));
    for n in 0..logins {
        let login = events[n];
        let kind = match rng.random_range(0..1000) {
            0..30 => Kind::FailedLogin,
            30..35 => Kind::AddLoginDevice,
            35..36 => Kind::AdminLogin,
            36..37 => Kind::MfaEnable,
            37..52 => Kind::Download,
            52..60 => Kind::Upload,
            _ => continue,
        };
        let actor = match kind {
            Kind::FailedLogin => Actor::Unknown,
            Kind::AdminLogin => an_admin(rng, admins),
            _ => login.actor,
        };
        events.push(Event { kind, actor, form: Form::Full, ..login });
    }
    let start = config.now_secs() - i64::from(config.login_days) * DAY_SECS;
    for (slot, person) in
        world.managed().filter(|(_, person)| matches!(person.habit, Habit::Quiet | Habit::Machine))
    {
        let slot = slot as u32;
        for _ in 0..20 {
            let at = working_time(rng, start.max(person.created_at), config.now_secs()) as u32;
            let kind = if rng.random_bool(0.8) { Kind::TokenCreate } else { Kind::Download };
            let actor = Actor::Person(slot);
            events.push(Event { at, kind, form: Form::Full, subject: slot, actor, group: NO_GROUP });
        }
    }
}

/// The admin events that led to the present state: accounts, aliases, groups and memberships created within the year.
fn changes(world: &World, admins: &[u32], events: &mut Vec<Event>) {
    let config = &world.config;
    let rng = &mut ChaCha8Rng::seed_from_u64(chance::mix(config.seed, About::PastChanges, 0));
    let start = config.now_secs() - i64::from(config.login_days.min(365)) * DAY_SECS;
    let mut push = |at: i64, kind: Kind, form: Form, subject: u32, actor: Actor, group: u32| {
        if at >= start {
            events.push(Event { at: at as u32, kind, form, subject, actor, group });
        }
    };
    for (slot, person) in
        world.people.iter().enumerate().filter(|(_, person)| person.habit != Habit::Unattended)
    {
        let slot = slot as u32;
        push(person.created_at, Kind::NewUser, Form::Full, slot, an_admin(rng, admins), NO_GROUP);
        if let Standing::Deleted { at } = person.standing {
            push(at, Kind::DeleteUser, short_form(rng), slot, an_admin(rng, admins), NO_GROUP);
            continue;
        }
        if person.modified_at > person.created_at || person.status == INACTIVE {
            push(person.modified_at, Kind::EditUser, short_form(rng), slot, an_admin(rng, admins), NO_GROUP);
        }
        for alias in person.aliases.iter().filter(|alias| alias.is_confirmed) {
            // Half of the aliases were confirmed by an admin. The log has no event for this.
            if alias.id % 2 == 0 {
                let at = rng.random_range(person.created_at..=config.now_secs());
                push(at, Kind::AliasConfirm, Form::Full, slot, Actor::Person(slot), NO_GROUP);
            }
        }
    }
    for (index, group) in world.groups.iter().enumerate() {
        push(
            group.created_at,
            Kind::GroupCreation,
            Form::Full,
            NO_SUBJECT,
            an_admin(rng, admins),
            index as u32,
        );
        let last = if group.is_deleted { Kind::GroupDeletion } else { Kind::GroupEdited };
        push(group.modified_at, last, Form::Full, NO_SUBJECT, an_admin(rng, admins), index as u32);
    }
    for membership in &world.memberships {
        let at = membership.created_at.into();
        push(
            at,
            Kind::GroupAddUser,
            short_form(rng),
            membership.person,
            an_admin(rng, admins),
            membership.group,
        );
    }
}

fn short_form(rng: &mut ChaCha8Rng) -> Form {
    if rng.random_bool(0.3) { Form::IdOnly } else { Form::Full }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekends() {
        // Monday 2 March 2026, 06:00 UTC is still Sunday evening in California.
        assert!(is_weekend(1_772_431_200));
        assert!(!is_weekend(1_772_431_200 + 12 * 3600));
    }

    #[test]
    fn exactly_the_logins_asked_for() {
        for logins in [0, 1, 77, 5_000] {
            let world = World::new(Config { users: 200, logins: Some(logins), ..Config::default() });
            let count = world.log.all().iter().filter(|event| event.kind == Kind::Login).count();
            assert_eq!(count as u64, logins);
        }
    }

    #[test]
    fn nothing_happens_before_the_account_or_after_its_end() {
        let world = World::new(Config { users: 2_000, ..Config::default() });
        for event in world.log.all().iter().filter(|event| event.subject != NO_SUBJECT) {
            let person = &world.people[event.subject as usize];
            assert!(i64::from(event.at) <= world.now);
            assert!(i64::from(event.at) >= person.created_at, "{event:?} {person:?}");
            if let Standing::Deleted { at } = person.standing {
                assert!(i64::from(event.at) <= at, "{event:?} {person:?}");
            }
        }
    }
}
