//! The enterprise as it stands, and the verbs that change it.
//!
//! Stepped days, single acts and writing requests go through the same verbs: each changes the state and, when the change is
//! announced, notes the admin event that belongs to it. [`World::publish`] then moves the noted events into the log.

use std::collections::HashMap;

use crate::chance::{self, About};
use crate::config::Config;
use crate::content::Content;
use crate::events::{Actor, Event, Form, Kind, Log, NO_GROUP, NOBODY};
use crate::feed::Feed;
use crate::groups::{self, Group, GroupKind, Membership};
use crate::history;
use crate::people::{self, ACTIVE, Alias, Person, Role, Standing, Words};
use crate::pictures::Picture;

/// Everything the stand-in knows.
pub(crate) struct World {
    pub(crate) config: Config,
    /// Simulated now, Unix seconds.
    pub(crate) now: i64,
    /// By slot; nobody is ever removed, so a slot is good for ever.
    pub(crate) people: Vec<Person>,
    /// The application's own account: no list shows it.
    pub(crate) service: Person,
    /// People of other enterprises; found by exact login only.
    pub(crate) externals: Vec<Person>,
    pub(crate) groups: Vec<Group>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) log: Log,
    pub(crate) content: Content,
    pub(crate) pictures: HashMap<u32, Picture>,
    /// Days stepped since the start.
    pub(crate) days_stepped: u32,
    /// Acts so far, which chance is drawn by.
    pub(crate) acts: u64,
    /// Share of people whom user lists leave out.
    pub(crate) hidden_share: f64,
    /// Whether the admin streams keep silent.
    pub(crate) feed_is_silent: bool,
    pending: Vec<Event>,
    former: HashMap<u32, Vec<Former>>,
    former_groups: HashMap<u32, Vec<(i64, Box<str>)>>,
    aliases_added: u64,
}

/// How somebody was called until `until`.
#[derive(Clone, Debug)]
struct Former {
    until: i64,
    login: Box<str>,
    name: Box<str>,
}

/// Whether a change appears in the admin log, and as whose act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    By(Actor),
    /// A blind spot of the feed: the state changes and no event says so.
    Silent,
}

impl World {
    /// The first day: people, groups, memberships and the year behind them.
    pub(crate) fn new(config: Config) -> Self {
        let people = first_people(&config);
        let groups = first_groups(&config);
        let mut world = World {
            now: config.now_secs(),
            service: service_account(&config),
            externals: externals(&config),
            people,
            groups,
            memberships: Vec::new(),
            log: Log::default(),
            content: Content::default(),
            pictures: HashMap::new(),
            days_stepped: 0,
            acts: 0,
            hidden_share: 0.0,
            feed_is_silent: false,
            pending: Vec::new(),
            former: HashMap::new(),
            former_groups: HashMap::new(),
            aliases_added: 0,
            config,
        };
        for slot in 0..world.people.len() {
            if world.people[slot].is_managed() && world.people[slot].habit != people::Habit::Nobody {
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

    /// Moves the noted events into the log.
    pub(crate) fn publish(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.log.append(pending);
    }

    // Looking up.

    pub(crate) fn managed(&self) -> impl Iterator<Item = (usize, &Person)> {
        self.people.iter().enumerate().filter(|(_, person)| person.is_managed())
    }

    /// Whether user lists show the person.
    pub(crate) fn lists(&self, person: &Person) -> bool {
        person.is_managed()
            && (!self.config.app_access_only || person.is_platform_access_only)
            && !chance::happens(self.config.seed, About::HiddenUser, person.id, self.hidden_share)
    }

    /// Whether group lists show the group. An app restricted to its own users and groups sees none of the enterprise's.
    pub(crate) fn lists_group(&self, group: &Group) -> bool {
        !group.is_deleted && !self.config.app_access_only
    }

    pub(crate) fn person_by_id(&self, id: &str) -> Option<&Person> {
        let id: u64 = id.parse().ok()?;
        if let Some(slot) = self.slot_by_id(id) {
            return Some(&self.people[slot]);
        }
        std::iter::once(&self.service).chain(&self.externals).find(|person| person.id == id)
    }

    pub(crate) fn slot_by_id(&self, id: u64) -> Option<usize> {
        let slot = people::slot_of(id)?;
        (self.people.get(slot)?.id == id).then_some(slot)
    }

    pub(crate) fn group_by_id(&self, id: &str) -> Option<usize> {
        let index = groups::group_index_of(id.parse().ok()?)?;
        (!self.groups.get(index)?.is_deleted).then_some(index)
    }

    /// Login and name of the person in `slot` at a moment, for events that are older than a renaming.
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

    /// Index of the live membership of a person in a group.
    pub(crate) fn membership_of(&self, slot: usize, group: usize) -> Option<usize> {
        let mine = self.people[slot].memberships.iter().map(|index| *index as usize);
        mine.into_iter().find(|index| {
            let membership = &self.memberships[*index];
            !membership.is_removed && membership.group as usize == group
        })
    }

    // People.

    pub(crate) fn join(&mut self, person: Person, news: News) -> usize {
        let slot = self.people.len();
        let at = person.created_at;
        self.people.push(person);
        self.note(news, at, Kind::NewUser, slot, NO_GROUP);
        slot
    }

    pub(crate) fn delete(&mut self, slot: usize, at: i64, news: News) {
        self.note(news, at, Kind::DeleteUser, slot, NO_GROUP);
        self.people[slot].standing = Standing::Deleted { at };
        self.drop_memberships(slot);
    }

    /// Out of the enterprise and on with a free account. No event is known for it.
    pub(crate) fn roll_out(&mut self, slot: usize) {
        self.people[slot].standing = Standing::RolledOut;
        self.drop_memberships(slot);
    }

    pub(crate) fn set_status(&mut self, slot: usize, status: Words, at: i64, news: News) {
        self.people[slot].status = status;
        self.edited(slot, at, news);
    }

    pub(crate) fn set_role(&mut self, slot: usize, role: Role, at: i64, news: News) {
        self.people[slot].role = role;
        self.note(news, at, Kind::ChangeAdminRole, slot, NO_GROUP);
        self.edited(slot, at, news);
    }

    pub(crate) fn set_name(&mut self, slot: usize, name: &str, at: i64, news: News) {
        self.remember_names(slot, at);
        self.people[slot].name = name.into();
        self.edited(slot, at, news);
    }

    /// Any other field, through `change`.
    pub(crate) fn edit(&mut self, slot: usize, at: i64, news: News, change: impl FnOnce(&mut Person)) {
        change(&mut self.people[slot]);
        self.edited(slot, at, news);
    }

    fn edited(&mut self, slot: usize, at: i64, news: News) {
        let person = &mut self.people[slot];
        person.modified_at = person.modified_at.max(at);
        self.note(news, at, Kind::EditUser, slot, NO_GROUP);
    }

    pub(crate) fn remember_names(&mut self, slot: usize, until: i64) {
        let person = &self.people[slot];
        let former = Former { until, login: person.login.clone(), name: person.name.clone() };
        let all = self.former.entry(slot as u32).or_default();
        all.push(former);
        all.sort_by_key(|former| former.until);
    }

    // Aliases. Whether `modified_at` moves with them is not documented; here it does not, which is the harder case.

    pub(crate) fn add_alias(&mut self, slot: usize, email: &str, is_confirmed: bool) -> u64 {
        self.aliases_added += 1;
        let id = 600_000_000_000 + self.aliases_added;
        self.people[slot].aliases.push(Alias { id, email: email.into(), is_confirmed });
        id
    }

    pub(crate) fn confirm_alias(&mut self, slot: usize, which: usize, at: i64, news: News) {
        self.people[slot].aliases[which].is_confirmed = true;
        self.note(news, at, Kind::AliasConfirm, slot, NO_GROUP);
    }

    pub(crate) fn remove_alias(&mut self, slot: usize, which: usize, at: i64, news: News) {
        self.people[slot].aliases.remove(which);
        self.note(news, at, Kind::AliasRemove, slot, NO_GROUP);
    }

    /// The alias becomes the login, and the former login an alias.
    pub(crate) fn make_alias_primary(&mut self, slot: usize, which: usize, at: i64, news: News) {
        self.swap_alias_and_login(slot, which, at, news);
        self.edited(slot, at, news);
    }

    /// The same as a part of an edit that says so itself.
    pub(crate) fn swap_alias_and_login(&mut self, slot: usize, which: usize, at: i64, news: News) {
        self.remember_names(slot, at);
        let email = self.people[slot].aliases.remove(which).email;
        let old = std::mem::replace(&mut self.people[slot].login, email);
        self.add_alias(slot, &old, true);
        self.note(news, at, Kind::AliasPrimary, slot, NO_GROUP);
    }

    // Groups.

    pub(crate) fn add_group(&mut self, name: &str, at: i64, news: News) -> usize {
        let index = self.groups.len();
        self.groups.push(Group::bare(index, name, at));
        self.note_group(news, at, Kind::GroupCreation, index);
        index
    }

    pub(crate) fn rename_group(&mut self, index: usize, name: &str, at: i64, news: News) {
        let old = std::mem::replace(&mut self.groups[index].name, name.into());
        self.former_groups.entry(index as u32).or_default().push((at, old));
        self.groups[index].modified_at = at;
        self.note_group(news, at, Kind::GroupEdited, index);
    }

    /// Deletes a group; its memberships go with it and no event names them.
    pub(crate) fn delete_group(&mut self, index: usize, at: i64, news: News) {
        self.groups[index].is_deleted = true;
        for membership in std::mem::take(&mut self.groups[index].memberships) {
            self.memberships[membership as usize].is_removed = true;
        }
        self.note_group(news, at, Kind::GroupDeletion, index);
    }

    // Memberships.

    pub(crate) fn add_member(
        &mut self,
        slot: usize,
        group: usize,
        is_admin: bool,
        at: i64,
        news: News,
    ) -> usize {
        let at_secs = at as u32;
        let index = self.link(Membership {
            person: slot as u32,
            group: group as u32,
            created_at: at_secs,
            modified_at: at_secs,
            is_admin,
            is_removed: false,
            shows_times: !chance::happens(self.config.seed, About::Membership, slot as u64, 0.5),
        });
        self.note(news, at, Kind::GroupAddUser, slot, group as u32);
        index
    }

    pub(crate) fn remove_member(&mut self, index: usize, at: i64, news: News) {
        let membership = &mut self.memberships[index];
        membership.is_removed = true;
        let (slot, group) = (membership.person as usize, membership.group);
        self.note(news, at, Kind::GroupRemoveUser, slot, group);
    }

    pub(crate) fn set_group_admin(&mut self, index: usize, is_admin: bool, at: i64, news: News) {
        let membership = &mut self.memberships[index];
        membership.is_admin = is_admin;
        membership.modified_at = at as u32;
        let (slot, group) = (membership.person as usize, membership.group);
        let kind = if is_admin { Kind::GroupAdminCreated } else { Kind::GroupAdminDeleted };
        self.note(news, at, kind, slot, group);
    }

    fn link(&mut self, membership: Membership) -> usize {
        let index = self.memberships.len();
        self.people[membership.person as usize].memberships.push(index as u32);
        self.groups[membership.group as usize].memberships.push(index as u32);
        self.memberships.push(membership);
        index
    }

    fn drop_memberships(&mut self, slot: usize) {
        for index in std::mem::take(&mut self.people[slot].memberships) {
            self.memberships[index as usize].is_removed = true;
        }
    }

    // Events.

    /// Notes an event that changes nothing, such as a login.
    pub(crate) fn happened(&mut self, event: Event) {
        self.pending.push(event);
    }

    pub(crate) fn note(&mut self, news: News, at: i64, kind: Kind, slot: usize, group: u32) {
        if let News::By(actor) = news {
            let (at, subject) = (at as u32, slot as u32);
            self.pending.push(Event { at, kind, form: Form::Full, subject, actor, group });
        }
    }

    fn note_group(&mut self, news: News, at: i64, kind: Kind, index: usize) {
        if let News::By(actor) = news {
            let (at, group) = (at as u32, index as u32);
            self.pending.push(Event { at, kind, form: Form::Full, subject: NOBODY, actor, group });
        }
    }
}

/// As many listed people as configured, and between them a few who were deleted within the last year.
fn first_people(config: &Config) -> Vec<Person> {
    let mut people = Vec::with_capacity(config.users as usize + config.users as usize / 40);
    let mut listed = 0;
    while listed < u64::from(config.users) {
        let slot = people.len();
        let mut person = people::make(config, slot, listed);
        // The first six are fixed characters (the primary admin among them), so nobody there is gone.
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

/// As many listed groups as configured, and between them a few that were deleted.
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

fn service_account(config: &Config) -> Person {
    let created_at = config.now_secs() - 900 * people::DAY_SECS;
    let login = "AutomationUser_1234567_a1b2c3D4e5@boxdevedition.com";
    let mut person = Person::bare(7_700_000_001, "boxseat nightly", login, created_at);
    person.role = Role::Coadmin;
    person.is_platform_access_only = true;
    person
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
