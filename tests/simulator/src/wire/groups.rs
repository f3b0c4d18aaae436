//! Groups, memberships and email aliases as JSON.

use super::users::write_mini;
use super::{Fields, Object, time};
use crate::chance::{self, About};
use crate::groups::{Group, GroupKind, all_users_membership_id, membership_id_of};
use crate::people::{Alias, Person};
use crate::world::World;

const NAMES: &[&str] = &[
    "type",
    "id",
    "name",
    "group_type",
    "created_at",
    "modified_at",
    "provenance",
    "external_sync_identifier",
    "description",
    "invitability_level",
    "member_viewability_level",
    "permissions",
];
const BASE: &[&str] = &["type", "id"];
const MINI: &[&str] = &["type", "id", "name", "group_type"];

/// The fields of a response about a group. Lists omit the two times unless requested, as Box's own fixture does.
pub(crate) fn fields(world: &World, list: Option<&str>, is_list: bool) -> Fields {
    match list {
        None | Some("") => Fields::standard(NAMES, if is_list { MINI } else { &NAMES[..6] }),
        Some(list) => Fields::named(NAMES, if world.config.mini_with_fields { MINI } else { BASE }, list),
    }
}

pub(crate) fn write_group(out: &mut Vec<u8>, world: &World, group: &Group, fields: Fields) {
    let when = |at: i64| time(at, world.config.seed, group.id, world.config.awkward);
    let mut object = Object::new(out);
    for (_, name) in NAMES.iter().enumerate().filter(|(n, _)| fields.has(*n)) {
        match *name {
            "type" => object.text(name, "group"),
            "id" => object.text(name, &group.id.to_string()),
            "name" => object.text(name, &group.name),
            "group_type" => object.text(name, group.kind.as_str()),
            "created_at" => object.text(name, &when(group.created_at)),
            "modified_at" => object.text(name, &when(group.modified_at)),
            "provenance" => text_or_null(&mut object, name, &group.provenance),
            "external_sync_identifier" => text_or_null(&mut object, name, &group.external_sync_identifier),
            "description" => object.text(name, &group.description),
            "invitability_level" => object.text(name, &group.invitability),
            "member_viewability_level" => object.text(name, &group.viewability),
            "permissions" => object.raw(name, r#"{"can_invite_as_collaborator":true}"#),
            _ => {}
        }
    }
    if let Some((key, json)) = unknown_field(world, group) {
        object.raw(key, json);
    }
    world.drift.write_field(&mut object, &world.config, group.id);
    object.end();
}

/// An undocumented field that a few rows have, whatever `fields` requests.
pub(crate) fn unknown_field(world: &World, group: &Group) -> Option<(&'static str, &'static str)> {
    let is_odd =
        world.config.awkward && chance::happens(world.config.seed, About::ExtraField, group.id, 0.05);
    is_odd.then_some(("sync_policy", r#"{"mode":"mirror","hours":24}"#))
}

fn text_or_null(object: &mut Object<'_>, name: &str, text: &str) {
    if text.is_empty() { object.null(name) } else { object.text(name, text) }
}

/// The stored membership at `index`.
pub(crate) fn write_membership(out: &mut Vec<u8>, world: &World, index: usize) {
    let membership = &world.memberships[index];
    let id = membership_id_of(index);
    let mut object = Object::new(out);
    object.text("type", "group_membership");
    object.text("id", &id.to_string());
    write_mini(object.object("user"), &world.people[membership.person as usize]);
    write_group_mini(object.object("group"), &world.groups[membership.group as usize]);
    object.text("role", if membership.is_admin { "admin" } else { "member" });
    if membership.shows_times {
        let when = |at: u32| time(at.into(), world.config.seed, id, world.config.awkward);
        object.text("created_at", &when(membership.created_at));
        object.text("modified_at", &when(membership.modified_at));
    }
    world.drift.write_field(&mut object, &world.config, id);
    object.end();
}

/// Writes a user's membership in the all-users group, which is not stored.
pub(crate) fn write_all_users_membership(out: &mut Vec<u8>, person: &Person, group: &Group) {
    debug_assert_eq!(group.kind, GroupKind::AllUsers);
    let mut object = Object::new(out);
    object.text("type", "group_membership");
    object.text("id", &all_users_membership_id(person).to_string());
    write_mini(object.object("user"), person);
    write_group_mini(object.object("group"), group);
    object.text("role", "member");
    object.end();
}

fn write_group_mini(mut object: Object<'_>, group: &Group) {
    object.text("type", "group");
    object.text("id", &group.id.to_string());
    object.text("name", &group.name);
    object.text("group_type", group.kind.as_str());
    object.end();
}

pub(crate) fn write_alias(out: &mut Vec<u8>, world: &World, alias: &Alias) {
    let mut object = Object::new(out);
    object.text("type", "email_alias");
    object.text("id", &alias.id.to_string());
    object.text("email", &alias.email);
    object.bool("is_confirmed", alias.is_confirmed);
    world.drift.write_field(&mut object, &world.config, alias.id);
    object.end();
}
