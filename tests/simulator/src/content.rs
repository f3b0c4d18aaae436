//! What people own: the items of their root folders, and everything of theirs moving to somebody else.
//!
//! Nothing is stored per item. An account's own things are a [`Lot`], worked out from the seed and as large as
//! `space_used` says; a transfer turns the lot into the content of a folder at the receiver, and the source starts the next.

use std::collections::HashMap;

use crate::auth::Caller;
use crate::chance::{self, About};
use crate::people::{INACTIVE, Person};
use crate::world::World;

/// Transfers so far, and how often accounts were emptied by them.
#[derive(Debug, Default)]
pub(crate) struct Content {
    transfers: Vec<Transfer>,
    emptied: HashMap<u32, u32>,
}

/// Everything of `from` on its way to `to`, or arrived there in a folder of its own.
#[derive(Debug)]
struct Transfer {
    from: Caller,
    to: Caller,
    begun_at: i64,
    is_done: bool,
    /// Which own things of `from` lie in the folder.
    lot: Option<Lot>,
    lot_bytes: i64,
    /// The lot and the folders inside.
    bytes: i64,
    /// The folder of a later transfer, once that has moved this one on.
    inside: Option<usize>,
}

/// The own things of somebody, from one emptying of the account to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lot {
    slot: u32,
    generation: u32,
}

/// A file or folder, as somebody who may see it finds it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) is_folder: bool,
    pub(crate) name: String,
    pub(crate) size: i64,
    pub(crate) owner: Caller,
    pub(crate) has_collaborations: bool,
    pub(crate) created_at: i64,
    pub(crate) modified_at: i64,
    /// Ids and names of the folders above, the root first.
    pub(crate) path: Vec<(u64, String)>,
}

pub(crate) const ROOT: u64 = 0;
const ROOT_NAME: &str = "All Files";
const FIRST_ITEM_ID: u64 = 350_000_000_000;
const FIRST_TRANSFER_ID: u64 = 390_000_000_000;
const FIRST_CHILD_ID: u64 = 400_000_000_000;
/// Room for ids: emptyings of an account, items of a lot, files of a folder.
const GENERATIONS: u64 = 16;
const LOT_ROOM: u64 = 512;
const CHILD_ROOM: u64 = 8;

impl World {
    /// Number of items in the root folder that the account itself owns.
    pub(crate) fn owned_items(&self, owner: Caller) -> usize {
        self.root_items(owner).iter().filter(|item| item.owner == owner).count()
    }

    /// Whether a transfer out of the account is under way.
    pub(crate) fn is_moving(&self, from: Caller) -> bool {
        self.content.transfers.iter().any(|transfer| transfer.from == from && !transfer.is_done)
    }

    /// Makes the destination folder, still empty, and answers with the number of the transfer.
    pub(crate) fn begin_transfer(&mut self, from: Caller, to: Caller) -> usize {
        let begun_at = self.now;
        self.content.transfers.push(Transfer {
            from,
            to,
            begun_at,
            is_done: false,
            lot: None,
            lot_bytes: 0,
            bytes: 0,
            inside: None,
        });
        self.content.transfers.len() - 1
    }

    /// Moves everything at once. What was destroyed in between, or has lost its receiver, stays where it is.
    pub(crate) fn finish_transfer(&mut self, number: usize) {
        let (from, to) = (self.content.transfers[number].from, self.content.transfers[number].to);
        if self.person(from).is_managed() && self.person(to).is_managed() {
            let lot = self.lot_of(from);
            let lot_bytes = lot.map_or(0, |lot| self.lot_bytes(lot));
            let moved = self.person(from).space_used;
            self.person_mut(from).space_used = 0;
            self.person_mut(to).space_used += moved;
            for received in self.content.received(from) {
                self.content.transfers[received].inside = Some(number);
            }
            if let Some(lot) = lot.filter(|_| lot_bytes > 0) {
                *self.content.emptied.entry(lot.slot).or_default() += 1;
                self.content.transfers[number].lot = Some(lot);
            }
            let transfer = &mut self.content.transfers[number];
            (transfer.lot_bytes, transfer.bytes) = (lot_bytes, moved);
        }
        self.content.transfers[number].is_done = true;
    }

    /// The folder a transfer leads to.
    pub(crate) fn destination(&self, number: usize) -> Item {
        let transfer = &self.content.transfers[number];
        let path = match transfer.inside {
            None => root_path(),
            Some(outer) => below(&self.destination(outer)),
        };
        Item {
            id: FIRST_TRANSFER_ID + number as u64,
            is_folder: true,
            name: format!("{}'s Files and Folders", self.person(transfer.from).name),
            size: transfer.bytes,
            owner: self.content.owner(number),
            has_collaborations: false,
            created_at: transfer.begun_at,
            modified_at: transfer.begun_at,
            path,
        }
    }

    /// The root folder itself.
    pub(crate) fn root(&self, viewer: Caller) -> Item {
        let person = self.person(viewer);
        Item {
            id: ROOT,
            is_folder: true,
            name: ROOT_NAME.to_owned(),
            size: person.space_used,
            owner: viewer,
            has_collaborations: false,
            created_at: person.created_at,
            modified_at: person.created_at,
            path: Vec::new(),
        }
    }

    /// What the viewer's root folder shows: own things, what transfers brought, and folders shared by others.
    pub(crate) fn root_items(&self, viewer: Caller) -> Vec<Item> {
        let own = self.lot_of(viewer).map(|lot| self.lot_items(lot)).unwrap_or_default();
        let received = self.content.received(viewer).map(|number| self.destination(number));
        own.into_iter().chain(received.collect::<Vec<_>>()).chain(self.shared_folders(viewer)).collect()
    }

    /// A folder the viewer may see.
    pub(crate) fn folder(&self, viewer: Caller, id: u64) -> Option<Item> {
        if id == ROOT {
            return Some(self.root(viewer));
        }
        let folder = self.any_folder(id)?;
        let is_shared = || self.shared_folders(viewer).iter().any(|item| item.id == id);
        let is_there = self.person(folder.owner).is_managed();
        (is_there && (folder.owner == viewer || is_shared())).then_some(folder)
    }

    /// What a folder shows.
    pub(crate) fn folder_items(&self, viewer: Caller, folder: &Item) -> Vec<Item> {
        if folder.id == ROOT {
            return self.root_items(viewer);
        }
        if let Some(number) = self.transfer_of(folder.id) {
            let lot = self.content.transfers[number].lot;
            let own = lot.map(|lot| self.lot_items(lot)).unwrap_or_default();
            let inner = self.content.inner(number).map(|inner| self.destination(inner));
            return own.into_iter().chain(inner).collect();
        }
        self.files_in(folder)
    }

    fn any_folder(&self, id: u64) -> Option<Item> {
        if let Some(number) = self.transfer_of(id) {
            return Some(self.destination(number));
        }
        let number = id.checked_sub(FIRST_ITEM_ID)?;
        let (lot_number, place) = (number / LOT_ROOM, number % LOT_ROOM);
        let slot = u32::try_from(lot_number / GENERATIONS).ok()?;
        self.people.get(slot as usize)?;
        let lot = Lot { slot, generation: (lot_number % GENERATIONS) as u32 };
        self.lot_items(lot).into_iter().nth(place as usize).filter(|item| item.is_folder)
    }

    fn transfer_of(&self, id: u64) -> Option<usize> {
        let number = usize::try_from(id.checked_sub(FIRST_TRANSFER_ID)?).ok()?;
        (number < self.content.transfers.len()).then_some(number)
    }

    fn lot_of(&self, owner: Caller) -> Option<Lot> {
        // The application's account makes no files of its own.
        let Caller::Person(slot) = owner else { return None };
        Some(Lot { slot, generation: self.content.emptied.get(&slot).copied().unwrap_or(0) })
    }

    /// Where a lot lies: still at its maker, or in the folder of a transfer. None: it is yet to come.
    fn lot_home(&self, lot: Lot) -> Option<LotHome> {
        let maker = Caller::Person(lot.slot);
        if self.lot_of(maker) == Some(lot) {
            return Some(LotHome { owner: maker, path: root_path() });
        }
        let number = self.content.transfers.iter().position(|transfer| transfer.lot == Some(lot))?;
        let folder = self.destination(number);
        Some(LotHome { owner: folder.owner, path: below(&folder) })
    }

    fn lot_bytes(&self, lot: Lot) -> i64 {
        let maker = Caller::Person(lot.slot);
        if self.lot_of(maker) == Some(lot) {
            let received: i64 =
                self.content.received(maker).map(|number| self.content.transfers[number].bytes).sum();
            return (self.person(maker).space_used - received).max(0);
        }
        let moved = self.content.transfers.iter().find(|transfer| transfer.lot == Some(lot));
        moved.map_or(0, |transfer| transfer.lot_bytes)
    }

    fn lot_items(&self, lot: Lot) -> Vec<Item> {
        let bytes = self.lot_bytes(lot);
        let Some(home) = self.lot_home(lot).filter(|_| bytes > 0) else { return Vec::new() };
        let (seed, number) = (self.config.seed, lot.number());
        let mut count = 1 + chance::below(seed, About::Content, number, 9);
        if chance::happens(seed, About::Content, number, 0.04) {
            count += 60 + chance::below(seed, About::Content, !number, 240);
        }
        let maker = &self.people[lot.slot as usize];
        let item = |place: u64| {
            let is_folder = has(seed, number, place, 1, 0.5);
            let created_at = maker.created_at
                + chance::below(
                    seed,
                    About::Content,
                    (number * LOT_ROOM + place) << 3,
                    (self.now - maker.created_at).max(1) as u64,
                ) as i64;
            let share = bytes / count as i64;
            Item {
                id: FIRST_ITEM_ID + number * LOT_ROOM + place,
                is_folder,
                name: item_name(is_folder, place),
                // The first item takes what the division leaves over.
                size: if place == 0 { bytes - share * (count as i64 - 1) } else { share },
                owner: home.owner,
                has_collaborations: is_folder && has(seed, number, place, 2, 0.3),
                created_at,
                modified_at: created_at,
                path: home.path.clone(),
            }
        };
        (0..count).map(item).collect()
    }

    /// Folders of others that the viewer works in. Those of a suspended owner are out of everybody's sight.
    fn shared_folders(&self, viewer: Caller) -> Vec<Item> {
        let Caller::Person(slot) = viewer else { return Vec::new() };
        let seed = self.config.seed;
        let mut found: Vec<Item> = Vec::new();
        for n in 0..chance::below(seed, About::SharedFolder, u64::from(slot) << 3, 4) {
            // Somebody who was there before, so that people to come change nothing.
            let other = chance::below(seed, About::SharedFolder, u64::from(slot) << 3 | (n + 1), slot.into());
            let lot = Lot { slot: other as u32, generation: 0 };
            let shared = self.lot_items(lot).into_iter().find(|item| item.has_collaborations);
            let Some(item) = shared else { continue };
            let owner = self.person(item.owner);
            let is_new = found.iter().all(|known| known.id != item.id);
            if item.owner != viewer && is_new && owner.is_managed() && owner.status != INACTIVE {
                found.push(Item { path: root_path(), ..item });
            }
        }
        found
    }

    fn files_in(&self, folder: &Item) -> Vec<Item> {
        let number = folder.id - FIRST_ITEM_ID;
        let count = chance::below(self.config.seed, About::Content, folder.id, CHILD_ROOM);
        let file = |place: u64| Item {
            id: FIRST_CHILD_ID + number * CHILD_ROOM + place,
            is_folder: false,
            name: item_name(false, place),
            size: folder.size / count as i64,
            path: below(folder),
            has_collaborations: false,
            ..folder.clone()
        };
        (0..count).map(file).collect()
    }

    /// The person behind a caller.
    pub(crate) fn person(&self, caller: Caller) -> &Person {
        match caller {
            Caller::Service => &self.service,
            Caller::Person(slot) => &self.people[slot as usize],
        }
    }

    fn person_mut(&mut self, caller: Caller) -> &mut Person {
        match caller {
            Caller::Service => &mut self.service,
            Caller::Person(slot) => &mut self.people[slot as usize],
        }
    }
}

impl Content {
    /// Transfers whose folders lie in somebody's root, those still under way included.
    fn received(&self, owner: Caller) -> impl Iterator<Item = usize> + use<> {
        let mine = |(number, transfer): (usize, &Transfer)| {
            (transfer.to == owner && transfer.inside.is_none()).then_some(number)
        };
        self.transfers.iter().enumerate().filter_map(mine).collect::<Vec<_>>().into_iter()
    }

    /// Transfers whose folders a later one has moved on.
    fn inner(&self, outer: usize) -> impl Iterator<Item = usize> {
        let inside =
            move |(number, transfer): (usize, &Transfer)| (transfer.inside == Some(outer)).then_some(number);
        self.transfers.iter().enumerate().filter_map(inside)
    }

    fn owner(&self, number: usize) -> Caller {
        match self.transfers[number].inside {
            None => self.transfers[number].to,
            Some(outer) => self.owner(outer),
        }
    }
}

impl Lot {
    fn number(self) -> u64 {
        u64::from(self.slot) * GENERATIONS + u64::from(self.generation).min(GENERATIONS - 1)
    }
}

/// Owner of a lot and the folders above it.
struct LotHome {
    owner: Caller,
    path: Vec<(u64, String)>,
}

fn root_path() -> Vec<(u64, String)> {
    vec![(ROOT, ROOT_NAME.to_owned())]
}

fn below(folder: &Item) -> Vec<(u64, String)> {
    let mut path = folder.path.clone();
    path.push((folder.id, folder.name.clone()));
    path
}

fn has(seed: u64, lot: u64, place: u64, trait_number: u64, share: f64) -> bool {
    chance::happens(seed, About::Content, (lot * LOT_ROOM + place) << 3 | trait_number, share)
}

fn item_name(is_folder: bool, place: u64) -> String {
    const FOLDERS: [&str; 4] = ["Projects", "Invoices", "Design", "Archive"];
    const FILES: [&str; 4] = ["Report.pdf", "Budget.xlsx", "Notes.docx", "Plan.pptx"];
    if is_folder {
        return format!("{} {place}", FOLDERS[place as usize % 4]);
    }
    let name = FILES[place as usize % 4];
    let dot = name.find('.').unwrap_or(name.len());
    format!("{} {place}{}", &name[..dot], &name[dot..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::world::News;

    fn world() -> World {
        World::new(Config { users: 60, ..Config::plain() })
    }

    fn bytes(items: &[Item], owner: Caller) -> i64 {
        items.iter().filter(|item| item.owner == owner).map(|item| item.size).sum()
    }

    fn wait(world: &mut World, from: Caller, to: Caller) -> Item {
        let number = world.begin_transfer(from, to);
        world.finish_transfer(number);
        world.destination(number)
    }

    #[test]
    fn own_items_add_up_to_the_space_used() {
        let world = world();
        let mut shared = 0;
        for slot in 0..world.people.len() as u32 {
            let (owner, items) = (Caller::Person(slot), world.root_items(Caller::Person(slot)));
            assert_eq!(bytes(&items, owner), world.people[slot as usize].space_used, "{slot}");
            shared += items.iter().filter(|item| item.owner != owner).count();
        }
        assert!(shared > 5, "{shared} folders shared by others");
    }

    #[test]
    fn everything_moves_and_new_things_are_new() {
        let mut world = world();
        let (from, to, last) = (Caller::Person(2), Caller::Person(3), Caller::Person(4));
        let (count, moved) = (world.owned_items(from), world.person(from).space_used);
        let before: i64 = world.person(to).space_used;
        let folder = wait(&mut world, from, to);
        assert_eq!((world.owned_items(from), world.person(from).space_used), (0, 0));
        assert_eq!(world.person(to).space_used, before + moved);
        let inside = world.folder_items(to, &world.folder(to, folder.id).expect("the receiver sees it"));
        assert_eq!((inside.len(), bytes(&inside, to)), (count, moved));
        assert!(world.folder(from, folder.id).is_none(), "the former owner does not see it");

        world.person_mut(from).space_used = 700;
        let again = world.root_items(from);
        assert_eq!(bytes(&again, from), 700);
        assert!(again.iter().all(|item| inside.iter().all(|old| old.id != item.id)));

        let onward = wait(&mut world, to, last);
        assert_eq!(world.owned_items(to), 0);
        let folders = world.folder_items(last, &onward);
        assert!(folders.iter().any(|item| item.id == folder.id && item.owner == last));
        assert_eq!(bytes(&folders, last), before + moved);
    }

    #[test]
    fn what_is_under_way_is_still_at_its_source() {
        let mut world = world();
        let (from, to) = (Caller::Person(2), Caller::Service);
        let count = world.owned_items(from);
        let number = world.begin_transfer(from, to);
        assert!(world.is_moving(from));
        assert_eq!((world.owned_items(from), world.owned_items(to)), (count, 1));
        world.delete(2, world.now, News::Silent);
        world.finish_transfer(number);
        assert!(!world.is_moving(from));
        assert_eq!(world.service.space_used, 0, "deleted by force while moving: lost");
    }

    #[test]
    fn a_suspended_owner_hides_what_was_shared() {
        let mut world = world();
        let sharing = |world: &World| {
            let all = (0..world.people.len() as u32).map(Caller::Person);
            all.map(|viewer| world.shared_folders(viewer).len()).collect::<Vec<_>>()
        };
        let before = sharing(&world);
        let viewer = before.iter().position(|count| *count > 0).expect("somebody works with others");
        let Caller::Person(owner) = world.shared_folders(Caller::Person(viewer as u32))[0].owner else {
            panic!("people share")
        };
        world.set_status(owner as usize, INACTIVE.into(), world.now, News::Silent);
        assert!(sharing(&world)[viewer] < before[viewer]);
    }
}
