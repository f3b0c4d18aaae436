//! The operations on the enterprise. Each changes the state, records its admin event if it is announced, and always records the
//! true change.

use super::{Former, News, World};
use crate::chance::{self, About};
use crate::change_log::{Columns, Noted, Told, What};
use crate::events::{Kind, NO_GROUP};
use crate::groups::{Group, Membership, rank};
use crate::people::{Alias, Person, Role, Standing, Words};

impl World {
    // Users.

    pub(crate) fn join(&mut self, person: Person, news: News) -> usize {
        let slot = self.people.len();
        let at = person.created_at;
        self.people.push(person);
        let told = self.note(news, at, Kind::NewUser, slot, NO_GROUP);
        self.changes.note(Noted::new(What::Joined, slot, at, told));
        slot
    }

    pub(crate) fn delete(&mut self, slot: usize, at: i64, news: News) {
        let told = self.note(news, at, Kind::DeleteUser, slot, NO_GROUP);
        self.leave(slot, Standing::Deleted { at }, at, told);
    }

    /// The user leaves the enterprise and keeps a free account. No event is known for it.
    pub(crate) fn roll_out(&mut self, slot: usize, at: i64) {
        self.leave(slot, Standing::RolledOut, at, Told::NOTHING);
    }

    fn leave(&mut self, slot: usize, standing: Standing, at: i64, told: Told) {
        self.people[slot].standing = standing;
        self.changes.note(Noted::new(What::Left, slot, at, told));
        for index in std::mem::take(&mut self.people[slot].memberships) {
            self.end_membership(index as usize, at, told);
        }
        self.note_aliases(What::AliasRemoved, slot, at, told);
    }

    /// A user who left is a managed user again: same id, same aliases, but without memberships.
    pub(crate) fn bring_back(&mut self, slot: usize, at: i64, news: News) {
        let person = &mut self.people[slot];
        person.standing = Standing::Managed;
        person.modified_at = person.modified_at.max(at);
        let told = self.note(news, at, Kind::NewUser, slot, NO_GROUP);
        self.changes.note(Noted::new(What::Returned, slot, at, told));
        self.note_aliases(What::AliasAdded, slot, at, told);
    }

    pub(crate) fn set_status(&mut self, slot: usize, status: Words, at: i64, news: News) {
        self.edit(slot, at, news, |person| person.status = status);
    }

    pub(crate) fn set_role(&mut self, slot: usize, role: Role, at: i64, news: News) {
        let before = Columns::of(&self.people[slot]);
        self.people[slot].role = role;
        let told = self.note(news, at, Kind::ChangeAdminRole, slot, NO_GROUP);
        self.edited(slot, at, news);
        self.note_columns(before, slot, at, |_| told);
    }

    pub(crate) fn set_name(&mut self, slot: usize, name: &str, at: i64, news: News) {
        self.remember_names(slot, at);
        self.edit(slot, at, news, |person| person.name = name.into());
    }

    /// Changes other fields through `change`.
    pub(crate) fn edit(&mut self, slot: usize, at: i64, news: News, change: impl FnOnce(&mut Person)) {
        let before = Columns::of(&self.people[slot]);
        change(&mut self.people[slot]);
        let told = self.edited(slot, at, news);
        self.note_columns(before, slot, at, |_| told);
    }

    /// An edit that changes only `modified_at`, as an identity provider makes in large numbers.
    pub(crate) fn edited(&mut self, slot: usize, at: i64, news: News) -> Told {
        let person = &mut self.people[slot];
        person.modified_at = person.modified_at.max(at);
        self.note(news, at, Kind::EditUser, slot, NO_GROUP)
    }

    pub(crate) fn note_columns(
        &mut self,
        before: Columns,
        slot: usize,
        at: i64,
        told: impl Fn(&str) -> Told,
    ) {
        self.changes.note_columns(before, slot, &self.people[slot], at, told);
    }

    pub(crate) fn remember_names(&mut self, slot: usize, until: i64) {
        let person = &self.people[slot];
        let former = Former { until, login: person.login.clone(), name: person.name.clone() };
        let all = self.former.entry(slot as u32).or_default();
        all.push(former);
        all.sort_by_key(|former| former.until);
    }

    // Aliases. It is not documented whether they change `modified_at`. Here they do not, which is the harder case.

    /// Adds an alias. No event announces it.
    pub(crate) fn add_alias(&mut self, slot: usize, email: &str, is_confirmed: bool, at: i64) {
        self.put_alias(slot, email, is_confirmed, at, Told::NOTHING);
    }

    fn put_alias(&mut self, slot: usize, email: &str, is_confirmed: bool, at: i64, told: Told) {
        self.aliases_added += 1;
        let alias = Alias { id: 600_000_000_000 + self.aliases_added, email: email.into(), is_confirmed };
        self.note_alias(What::AliasAdded, slot, &alias, at, told);
        self.people[slot].aliases.push(alias);
    }

    pub(crate) fn confirm_alias(&mut self, slot: usize, which: usize, at: i64, news: News) {
        let told = self.note(news, at, Kind::AliasConfirm, slot, NO_GROUP);
        let alias = &mut self.people[slot].aliases[which];
        if !std::mem::replace(&mut alias.is_confirmed, true) {
            let alias = alias.clone();
            self.note_alias(What::AliasConfirmed, slot, &alias, at, told);
        }
    }

    pub(crate) fn remove_alias(&mut self, slot: usize, which: usize, at: i64, news: News) {
        let told = self.note(news, at, Kind::AliasRemove, slot, NO_GROUP);
        let alias = self.people[slot].aliases.remove(which);
        self.note_alias(What::AliasRemoved, slot, &alias, at, told);
    }

    /// The alias becomes the login, and the former login an alias.
    pub(crate) fn make_alias_primary(&mut self, slot: usize, which: usize, at: i64, news: News) {
        let before = Columns::of(&self.people[slot]);
        let told = self.swap_alias_and_login(slot, which, at, news);
        self.edited(slot, at, news);
        self.note_columns(before, slot, at, |_| told);
    }

    /// The same as part of an edit. The caller records the new login itself.
    pub(crate) fn swap_alias_and_login(&mut self, slot: usize, which: usize, at: i64, news: News) -> Told {
        self.remember_names(slot, at);
        let told = self.note(news, at, Kind::AliasPrimary, slot, NO_GROUP);
        let alias = self.people[slot].aliases.remove(which);
        self.note_alias(What::AliasRemoved, slot, &alias, at, told);
        let old = std::mem::replace(&mut self.people[slot].login, alias.email);
        self.put_alias(slot, &old, true, at, told);
        told
    }

    fn note_aliases(&mut self, what: What, slot: usize, at: i64, told: Told) {
        for alias in self.people[slot].aliases.clone() {
            self.note_alias(what, slot, &alias, at, told);
        }
    }

    /// Records the change as the lists show it: if they omit unconfirmed aliases, a confirmed alias is recorded as added.
    fn note_alias(&mut self, what: What, slot: usize, alias: &Alias, at: i64, told: Told) {
        let what = match what {
            What::AliasConfirmed if !self.config.list_unconfirmed_aliases => What::AliasAdded,
            _ if !self.lists_alias(alias) => return,
            what => what,
        };
        let email = || Some(Words::from(alias.email.to_string()));
        let (old, new) = match what {
            What::AliasAdded => (None, email()),
            What::AliasRemoved => (email(), None),
            _ => (Some("false".into()), Some("true".into())),
        };
        self.changes.note(Noted::new(what, slot, at, told).about(alias.id, old, new));
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

    /// Deletes a group with its memberships. No event names these memberships.
    pub(crate) fn delete_group(&mut self, index: usize, at: i64, news: News) {
        self.groups[index].is_deleted = true;
        let told = self.note_group(news, at, Kind::GroupDeletion, index);
        for membership in std::mem::take(&mut self.groups[index].memberships) {
            self.end_membership(membership as usize, at, told);
        }
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
        let told = self.note(news, at, Kind::GroupAddUser, slot, group as u32);
        self.note_membership(What::GroupAdded, index, [None, Some(is_admin)], at, told);
        index
    }

    pub(crate) fn remove_member(&mut self, index: usize, at: i64, news: News) {
        let Membership { person, group, .. } = self.memberships[index];
        let told = self.note(news, at, Kind::GroupRemoveUser, person as usize, group);
        self.end_membership(index, at, told);
    }

    pub(crate) fn set_group_admin(&mut self, index: usize, is_admin: bool, at: i64, news: News) {
        let membership = &mut self.memberships[index];
        let was_admin = std::mem::replace(&mut membership.is_admin, is_admin);
        membership.modified_at = at as u32;
        let (slot, group) = (membership.person as usize, membership.group);
        let kind = if is_admin { Kind::GroupAdminCreated } else { Kind::GroupAdminDeleted };
        let told = self.note(news, at, kind, slot, group);
        if was_admin != is_admin {
            self.note_membership(What::RoleInGroup, index, [Some(was_admin), Some(is_admin)], at, told);
        }
    }

    fn end_membership(&mut self, index: usize, at: i64, told: Told) {
        let membership = &mut self.memberships[index];
        let was_admin = membership.is_admin;
        if !std::mem::replace(&mut membership.is_removed, true) {
            self.note_membership(What::GroupRemoved, index, [Some(was_admin), None], at, told);
        }
    }

    /// Records the change of a membership from one role in the group to another. `None` is no membership.
    fn note_membership(&mut self, what: What, index: usize, ranks: [Option<bool>; 2], at: i64, told: Told) {
        let Membership { person, group, .. } = self.memberships[index];
        let [old, new] = ranks.map(|is_admin| is_admin.map(rank).map(Words::from));
        self.changes.note(Noted::new(what, person as usize, at, told).about(group.into(), old, new));
    }

    pub(super) fn link(&mut self, membership: Membership) -> usize {
        let index = self.memberships.len();
        self.people[membership.person as usize].memberships.push(index as u32);
        self.groups[membership.group as usize].memberships.push(index as u32);
        self.memberships.push(membership);
        index
    }
}
