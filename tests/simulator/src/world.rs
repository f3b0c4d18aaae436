//! The current state of the enterprise.
//!
//! Stepped days, single acts and writing requests change it through the same methods, which record the admin events of a
//! change. [`World::publish`] then moves the recorded events into the log.

mod verbs;

use std::collections::HashMap;

use crate::apps::Apps;
use crate::auth::Caller;
use crate::chance::{self, About};
use crate::change_log::{ChangeLog, Told};
use crate::config::Config;
use crate::content::Content;
use crate::deeds::Deed;
use crate::drift::Drift;
use crate::events::{Actor, Event, Form, Kind, Log, NO_SUBJECT};
use crate::feed::Feed;
use crate::groups::{self, Group, GroupKind, Membership};
use crate::history;
use crate::holds::Holds;
use crate::people::{self, ACTIVE, Alias, Person, Role, Standing};
use crate::pictures::Picture;

/// The complete state of the simulator.
pub(crate) struct World {
    pub(crate) config: Config,
    /// Simulated now, Unix seconds.
    pub(crate) now: i64,
    /// By slot. Users are never removed, so a slot is permanent.
    pub(crate) people: Vec<Person>,
    /// The applications. No list contains their accounts.
    pub(crate) apps: Apps,
    /// Users of other enterprises, found only by their exact login.
    pub(crate) externals: Vec<Person>,
    pub(crate) groups: Vec<Group>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) log: Log,
    pub(crate) changes: ChangeLog,
    pub(crate) content: Content,
    pub(crate) holds: Holds,
    pub(crate) deeds: Vec<Deed>,
    pub(crate) pictures: HashMap<u32, Picture>,
    /// Days stepped since the start.
    pub(crate) days_stepped: u32,
    /// Number of acts so far, used for the random draws of an act.
    pub(crate) acts: u64,
    /// Rate of changes per day; 1.0 is the usual rate.
    pub(crate) change_scale: f64,
    /// Share of users that user lists omit.
    pub(crate) hidden_share: f64,
    /// Whether the admin streams return no events.
    pub(crate) feed_is_silent: bool,
    /// The undocumented data that Box sends now.
    pub(crate) drift: Drift,
    pending: Vec<Event>,
    /// Events of `pending` that the streams show later: the number of the event, and the time.
    held_back: Vec<(usize, i64)>,
    former: HashMap<u32, Vec<Former>>,
    former_groups: HashMap<u32, Vec<(i64, Box<str>)>>,
    aliases_added: u64,
}

/// The login and name of a user until `until`.
#[derive(Clone, Debug)]
struct Former {
    until: i64,
    login: Box<str>,
    name: Box<str>,
}

/// Whether a change appears in the admin log, and who its actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    By(Actor),
    /// The feed does not report the change: the state changes without an event.
    Silent,
}

impl World {
    /// The first day: users, groups, memberships and the year before it.
    pub(crate) fn new(config: Config) -> Self {
        let people = first_people(&config);
        let groups = first_groups(&config);
        let mut world = World {
            now: config.now_secs(),
            apps: Apps::new(&config),
            externals: externals(&config),
            people,
            groups,
            memberships: Vec::new(),
            log: Log::default(),
            changes: ChangeLog::default(),
            content: Content::default(),
            holds: Holds::default(),
            deeds: Vec::new(),
            pictures: HashMap::new(),
            days_stepped: 0,
            acts: 0,
            change_scale: config.change_scale,
            hidden_share: 0.0,
            feed_is_silent: false,
            drift: Drift::default(),
            pending: Vec::new(),
            held_back: Vec::new(),
            former: HashMap::new(),
            former_groups: HashMap::new(),
            aliases_added: 0,
            config,
        };
        for slot in 0..world.people.len() {
            if world.people[slot].is_managed() && world.people[slot].habit != people::Habit::Unattended {
                let joined =
                    groups::first_memberships(&world.config, &world.groups, &world.people[slot], slot);
                joined.into_iter().for_each(|membership| _ = world.link(membership));
            }
        }
        world.log.append(history::year(&world));
        world
    }

    pub(crate) fn feed(&self) -> Feed<'_> {
        Feed { log: &self.log, config: &self.config, now: self.now, is_silent: self.feed_is_silent }
    }

    /// Moves the recorded events into the log.
    pub(crate) fn publish(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let held_back = std::mem::take(&mut self.held_back);
        let places = self.log.places(&pending);
        if self.changes.is_unpublished() {
            self.changes.publish(&places);
        }
        for (event, place) in pending.iter().zip(&places) {
            // Events of the present moment are delivered at once. Otherwise they would wait, because the simulated time moves
            // in days.
            if i64::from(event.at) == self.now {
                self.log.hurry(*place);
            }
        }
        for (number, until) in held_back {
            self.log.hold_back(places[number], until);
        }
        self.log.append(pending);
    }

    /// Moves the time without activity. Only running transfers continue.
    pub(crate) fn advance(&mut self, secs: i64) {
        self.now += secs;
        self.finish_due_transfers();
    }

    // Lookups.

    pub(crate) fn managed(&self) -> impl Iterator<Item = (usize, &Person)> {
        self.people.iter().enumerate().filter(|(_, person)| person.is_managed())
    }

    /// Whether user lists show the user to a caller.
    pub(crate) fn lists(&self, caller: Caller, person: &Person) -> bool {
        person.is_managed()
            && caller.reaches(self, person)
            && !chance::happens(self.config.seed, About::HiddenUser, person.id, self.hidden_share)
    }

    /// Whether alias lists show the alias.
    pub(crate) fn lists_alias(&self, alias: &Alias) -> bool {
        alias.is_confirmed || self.config.list_unconfirmed_aliases
    }

    /// Whether group lists show the group. An app that is restricted to its own users and groups sees none of the enterprise's
    /// groups.
    pub(crate) fn lists_group(&self, caller: Caller, group: &Group) -> bool {
        !group.is_deleted && caller.scopes(self).whole_enterprise
    }

    pub(crate) fn person_by_id(&self, id: &str) -> Option<&Person> {
        let id: u64 = id.parse().ok()?;
        if let Some(slot) = self.slot_by_id(id) {
            return Some(&self.people[slot]);
        }
        self.apps.accounts().chain(&self.externals).find(|person| person.id == id)
    }

    pub(crate) fn slot_by_id(&self, id: u64) -> Option<usize> {
        let slot = people::slot_of(id)?;
        (self.people.get(slot)?.id == id).then_some(slot)
    }

    pub(crate) fn group_by_id(&self, id: &str) -> Option<usize> {
        let index = groups::group_index_of(id.parse().ok()?)?;
        (!self.groups.get(index)?.is_deleted).then_some(index)
    }

    /// Login and name of the user in `slot` at a moment, for events that are older than a renaming.
    pub(crate) fn names_at(&self, slot: usize, at: i64) -> (&str, &str) {
        let former =
            self.former.get(&(slot as u32)).and_then(|all| all.iter().find(|former| at < former.until));
        match former {
            Some(former) => (&former.login, &former.name),
            None => (&self.people[slot].login, &self.people[slot].name),
        }
    }

    /// Name of the group at a moment.
    pub(crate) fn group_name_at(&self, index: usize, at: i64) -> &str {
        let former =
            self.former_groups.get(&(index as u32)).and_then(|all| all.iter().find(|(until, _)| at < *until));
        former.map_or(&self.groups[index].name, |(_, name)| name)
    }

    /// Index of the current membership of a user in a group.
    pub(crate) fn membership_of(&self, slot: usize, group: usize) -> Option<usize> {
        let mine = self.people[slot].memberships.iter().map(|index| *index as usize);
        mine.into_iter().find(|index| {
            let membership = &self.memberships[*index];
            !membership.is_removed && membership.group as usize == group
        })
    }

    // Events.

    /// Records an event that both streams show only from a later moment on.
    pub(crate) fn happened_unseen(&mut self, event: Event, until: i64) {
        self.held_back.push((self.pending.len(), until));
        self.pending.push(event);
    }

    /// Records an event without a change of state, such as a login.
    pub(crate) fn happened(&mut self, event: Event) {
        self.pending.push(event);
    }

    pub(crate) fn note(&mut self, news: News, at: i64, kind: Kind, slot: usize, group: u32) -> Told {
        let News::By(actor) = news else { return Told::NOTHING };
        let told = Told::pending(self.pending.len());
        let (at, subject) = (at as u32, slot as u32);
        self.pending.push(Event { at, kind, form: Form::Full, subject, actor, group });
        told
    }

    fn note_group(&mut self, news: News, at: i64, kind: Kind, index: usize) -> Told {
        let News::By(actor) = news else { return Told::NOTHING };
        let told = Told::pending(self.pending.len());
        let (at, group) = (at as u32, index as u32);
        self.pending.push(Event { at, kind, form: Form::Full, subject: NO_SUBJECT, actor, group });
        told
    }
}

/// As many listed users as configured, and among them a few who were deleted within the last year.
fn first_people(config: &Config) -> Vec<Person> {
    let mut people = Vec::with_capacity(config.users as usize + config.users as usize / 40);
    let mut listed = 0;
    while listed < u64::from(config.users) {
        let slot = people.len();
        let mut person = people::make(config, slot, listed);
        // The first six users are fixed (including the primary admin), so none of them is deleted.
        if listed > 5 && chance::happens(config.seed, About::Ghost, slot as u64, 0.02) {
            let ago = chance::below(config.seed, About::Ghost, slot as u64 ^ 1, 300 * people::DAY_SECS as u64)
                as i64;
            let at = (config.now_secs() - ago).max(person.created_at + 3600).min(config.now_secs());
            person.standing = Standing::Deleted { at };
            person.role = Role::User;
            person.status = ACTIVE.into();
        } else {
            listed += 1;
        }
        people.push(person);
    }
    people
}

/// As many listed groups as configured, and among them a few deleted ones.
fn first_groups(config: &Config) -> Vec<Group> {
    let mut groups = Vec::with_capacity(config.groups as usize + config.groups as usize / 20);
    let mut listed = 0;
    while listed < u64::from(config.groups) {
        let index = groups.len();
        let gone = listed > 4 && chance::happens(config.seed, About::Group, index as u64, 0.03);
        groups.push(groups::make(config, index, (!gone).then_some(listed)));
        listed += u64::from(!gone);
    }
    debug_assert!(groups.iter().skip(1).all(|group| group.kind == GroupKind::Managed));
    groups
}

fn externals(config: &Config) -> Vec<Person> {
    let external = |n: u64| {
        let login = format!("partner{n}@partners.example");
        let mut person = Person::bare(3_300_000_000 + n, &format!("Partner {n}"), &login, config.now_secs());
        person.standing = Standing::External;
        person
    };
    (1..=3).map(external).collect()
}
