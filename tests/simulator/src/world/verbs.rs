//! The verbs: each changes the state and, when the change is announced, notes the admin event that belongs to it.

use super::{Former, News, World};
use crate::chance::{self, About};
use crate::events::{Kind, NO_GROUP};
use crate::groups::{Group, Membership};
use crate::people::{Alias, Person, Role, Standing, Words};

impl World {
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

    pub(super) fn link(&mut self, membership: Membership) -> usize {
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
}
