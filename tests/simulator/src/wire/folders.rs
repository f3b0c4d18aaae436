//! Files and folders as JSON.

use super::users::write_mini;
use super::{Fields, Object, time};
use crate::auth::Caller;
use crate::chance::{self, About};
use crate::content::{Item, ROOT};
use crate::world::World;

/// Every field of a file or folder, in the order in which it is written.
const NAMES: &[&str] = &[
    "type",
    "id",
    "sequence_id",
    "etag",
    "name",
    "sha1",
    "file_version",
    "created_at",
    "modified_at",
    "description",
    "size",
    "path_collection",
    "created_by",
    "modified_by",
    "trashed_at",
    "purged_at",
    "content_created_at",
    "content_modified_at",
    "owned_by",
    "shared_link",
    "folder_upload_email",
    "parent",
    "item_status",
    "item_collection",
    "has_collaborations",
];
const BASE: &[&str] = &["type", "id", "etag"];
/// How many of the names a list entry has if no `fields` is sent, and how many a folder.
const MINI_COUNT: usize = 7;
const STANDARD_COUNT: usize = 24;
/// Number of entries that a folder includes in its own response.
const COLLECTION: usize = 100;

/// The fields of a folder requested by its id.
pub(crate) fn folder_fields(list: Option<&str>) -> Fields {
    match list {
        None | Some("") => Fields::standard(NAMES, &NAMES[..STANDARD_COUNT]),
        Some(list) => Fields::named(NAMES, BASE, list),
    }
}

/// The fields of the items in a list.
pub(crate) fn item_fields(world: &World, list: Option<&str>) -> Fields {
    match list {
        None | Some("") => mini(),
        Some(list) => Fields::named(
            NAMES,
            if world.config.mini_with_fields { &NAMES[..MINI_COUNT] } else { BASE },
            list,
        ),
    }
}

fn mini() -> Fields {
    Fields::standard(NAMES, &NAMES[..MINI_COUNT])
}

/// The version of a folder. The root has none.
pub(crate) fn etag(item: &Item) -> Option<&'static str> {
    (item.id != ROOT).then_some("0")
}

/// A folder with the first of its items, as `viewer` sees it.
pub(crate) fn write_folder(out: &mut Vec<u8>, world: &World, viewer: Caller, folder: &Item, fields: Fields) {
    let row = Row { world, item: folder };
    let mut object = Object::new(out);
    for (_, name) in NAMES.iter().enumerate().filter(|(n, _)| fields.has(*n)) {
        if *name == "item_collection" {
            let items = world.folder_items(viewer, folder);
            let mut collection = object.object(name);
            collection.int("total_count", items.len() as i64);
            collection.array("entries", items.iter().take(COLLECTION), |out, item| {
                write_item(out, world, item, mini());
            });
            collection.int("offset", 0);
            collection.int("limit", COLLECTION as i64);
            write_order(&mut collection, "name", "ASC");
            collection.end();
        } else {
            row.field(&mut object, name);
        }
    }
    object.end();
}

/// Writes an entry of a list.
pub(crate) fn write_item(out: &mut Vec<u8>, world: &World, item: &Item, fields: Fields) {
    let row = Row { world, item };
    let mut object = Object::new(out);
    for (_, name) in NAMES.iter().enumerate().filter(|(n, _)| fields.has(*n)) {
        row.field(&mut object, name);
    }
    object.end();
}

/// The order of a list.
pub(crate) fn write_order(object: &mut Object<'_>, by: &str, direction: &str) {
    object.array("order", [("type", "ASC"), (by, direction)], |out, (by, direction)| {
        let mut order = Object::new(out);
        order.text("by", by);
        order.text("direction", direction);
        order.end();
    });
}

struct Row<'a> {
    world: &'a World,
    item: &'a Item,
}

impl Row<'_> {
    fn field(&self, object: &mut Object<'_>, name: &str) {
        let item = self.item;
        let is_root = item.id == ROOT;
        match name {
            "type" => object.text(name, if item.is_folder { "folder" } else { "file" }),
            "id" => object.text(name, &item.id.to_string()),
            "sequence_id" | "etag" => match etag(item) {
                Some(version) => object.text(name, version),
                None => object.null(name),
            },
            "name" => object.text(name, &item.name),
            "sha1" if !item.is_folder => object.text(name, &self.sha1()),
            "file_version" if !item.is_folder => self.version(object),
            // Box shows no times for the root.
            "created_at" | "content_created_at" if is_root => object.null(name),
            "modified_at" | "content_modified_at" if is_root => object.null(name),
            "created_at" | "content_created_at" => object.text(name, &self.time(item.created_at)),
            "modified_at" | "content_modified_at" => object.text(name, &self.time(item.modified_at)),
            "description" => object.text(name, ""),
            "size" => object.int(name, item.size),
            "path_collection" => self.path(object),
            "owned_by" | "created_by" | "modified_by" => {
                write_mini(object.object(name), self.world.person(item.owner));
            }
            "trashed_at" | "purged_at" | "shared_link" => object.null(name),
            "folder_upload_email" if item.is_folder => object.null(name),
            "parent" => match item.path.last() {
                Some(parent) => write_above(object.value(name), parent),
                None => object.null(name),
            },
            "item_status" => object.text(name, "active"),
            "has_collaborations" => object.bool(name, item.has_collaborations),
            _ => {}
        }
    }

    fn path(&self, object: &mut Object<'_>) {
        let mut path = object.object("path_collection");
        path.int("total_count", self.item.path.len() as i64);
        path.array("entries", &self.item.path, write_above);
        path.end();
    }

    fn version(&self, object: &mut Object<'_>) {
        let mut version = object.object("file_version");
        version.text("type", "file_version");
        version.text("id", &(self.item.id + 1_000_000_000_000).to_string());
        version.text("sha1", &self.sha1());
        version.end();
    }

    fn sha1(&self) -> String {
        let word = |n: u64| chance::mix(self.world.config.seed, About::Content, self.item.id << 2 | n);
        format!("{:016x}{:016x}{:08x}", word(0), word(1), word(2) as u32)
    }

    fn time(&self, at: i64) -> String {
        time(at, self.world.config.seed, self.item.id, self.world.config.awkward)
    }
}

/// Writes a parent folder of an item.
fn write_above(out: &mut Vec<u8>, (id, name): &(u64, String)) {
    let version = if *id == ROOT { None } else { Some("0") };
    let mut folder = Object::new(out);
    folder.text("type", "folder");
    folder.text("id", &id.to_string());
    for key in ["sequence_id", "etag"] {
        match version {
            Some(version) => folder.text(key, version),
            None => folder.null(key),
        }
    }
    folder.text("name", name);
    folder.end();
}
