//! The content of users: the items of their root folders, and transfers of all content to another account.
//!
//! Almost nothing is stored per item. The content of an account is a [`Lot`]: it is generated from the seed and has the size of
//! `space_used`. Content that is moved, added or split is first stored as a [`Parcel`] of the lot, with its size and its
//! folder. The account then continues with its next lot.

use std::collections::HashMap;
use std::ops::Range;

use crate::auth::Caller;
use crate::chance::{self, About};
use crate::people::{DAY_SECS, Person};
use crate::world::World;

/// Transfers so far, and content with a fixed size or place.
#[derive(Debug, Default)]
pub(crate) struct Content {
    transfers: Vec<Transfer>,
    parcels: Vec<Parcel>,
    /// How many lots of an account are stored as parcels.
    wrapped: HashMap<u32, u32>,
    /// Bytes in the trash of an account. `space_used` counts them; no folder shows them.
    trash: HashMap<u32, i64>,
    /// How transfers that begin now run.
    pub(crate) manner: Option<Manner>,
}

/// How a transfer runs, if it is not immediate and complete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Manner {
    /// Simulated days until it ends.
    pub(crate) days: u32,
    /// Share of the items that are moved; the rest stays at its source.
    pub(crate) share: f64,
}

/// A transfer of all content of `from` to `to`: still running, or finished in its own folder of the receiver.
#[derive(Debug)]
struct Transfer {
    from: Caller,
    to: Caller,
    begun_at: i64,
    /// When the transfer ends, if the simulated time decides.
    due_at: Option<i64>,
    share: f64,
    is_done: bool,
    /// The later transfer that has moved the folder of this one.
    inside: Option<usize>,
}

/// The generated content of an account, up to the point where it is stored as a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lot {
    slot: u32,
    generation: u32,
}

/// Some items of a lot, with a fixed total size.
#[derive(Clone, Debug)]
struct Parcel {
    lot: Lot,
    places: Range<u64>,
    bytes: i64,
    /// How many of the first items are shared folders; `None`: the seed decides.
    shared: Option<u64>,
    /// The transfer whose folder contains the parcel; `None`: still in the root folder of its first owner.
    home: Option<usize>,
}

/// A file or folder, as seen by a user with access.
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
    /// Ids and names of the parent folders, the root first.
    pub(crate) path: Vec<(u64, String)>,
}

pub(crate) const ROOT: u64 = 0;
const ROOT_NAME: &str = "All Files";
const FIRST_ITEM_ID: u64 = 350_000_000_000;
const FIRST_TRANSFER_ID: u64 = 390_000_000_000;
const FIRST_CHILD_ID: u64 = 400_000_000_000;
/// Sizes of the id ranges: lots per account, items per lot, files per folder.
const GENERATIONS: u64 = 64;
const LOT_ROOM: u64 = 512;
const CHILD_ROOM: u64 = 8;

impl World {
    /// Number of items in the root folder that the account itself owns.
    pub(crate) fn owned_items(&self, owner: Caller) -> usize {
        self.owned_and_shared_items(owner).0
    }

    /// The same, and how many of them are shared with other users.
    pub(crate) fn owned_and_shared_items(&self, owner: Caller) -> (usize, usize) {
        let items = self.root_items(owner);
        let owned: Vec<&Item> = items.iter().filter(|item| item.owner == owner).collect();
        (owned.len(), owned.iter().filter(|item| item.has_collaborations).count())
    }

    /// Whether a transfer out of the account is running.
    pub(crate) fn is_moving(&self, from: Caller) -> bool {
        self.content.transfers.iter().any(|transfer| transfer.from == from && !transfer.is_done)
    }

    /// Creates the destination folder, still empty, and returns the number of the transfer.
    pub(crate) fn begin_transfer(&mut self, from: Caller, to: Caller) -> usize {
        let begun_at = self.now;
        let configured = Manner { days: self.config.transfer_days, share: self.config.transfer_share };
        let manner = self.content.manner.unwrap_or(configured);
        let due_at = (manner.days > 0).then(|| begun_at + i64::from(manner.days) * DAY_SECS);
        let share = manner.share;
        self.content.transfers.push(Transfer {
            from,
            to,
            begun_at,
            due_at,
            share,
            is_done: false,
            inside: None,
        });
        self.content.transfers.len() - 1
    }

    /// Whether the simulated time, not the system clock, ends the transfer.
    pub(crate) fn takes_days(&self, number: usize) -> bool {
        self.content.transfers[number].due_at.is_some()
    }

    /// The transfers whose simulated end has come.
    pub(crate) fn due_transfers(&self) -> Vec<usize> {
        let is_due =
            |transfer: &Transfer| !transfer.is_done && transfer.due_at.is_some_and(|at| at <= self.now);
        let all = self.content.transfers.iter().enumerate();
        all.filter(|(_, transfer)| is_due(transfer)).map(|(number, _)| number).collect()
    }

    /// Source and receiver of a transfer.
    pub(crate) fn parties(&self, number: usize) -> (Caller, Caller) {
        (self.content.transfers[number].from, self.content.transfers[number].to)
    }

    /// Moves everything at once, or the configured share. Nothing moves if the source or the receiver has left the enterprise
    /// meanwhile.
    pub(crate) fn finish_transfer(&mut self, number: usize) {
        let (from, to) = self.parties(number);
        self.content.transfers[number].is_done = true;
        if !self.person(from).is_managed() || !self.person(to).is_managed() {
            return;
        }
        self.wrap_up(from);
        let used = self.person(from).space_used;
        let share = self.content.transfers[number].share;
        let moved = if share >= 1.0 {
            self.move_items(from, number, u64::MAX);
            used - self.trash_bytes(from)
        } else {
            let count = self.owned_items(from) as f64 * share.max(0.0);
            self.move_items(from, number, count as u64);
            self.folder_bytes(number).min(used)
        };
        self.person_mut(from).space_used -= moved;
        self.person_mut(to).space_used += moved;
    }

    /// Moves up to `count` items into the folder of a transfer: own items first, then folders received from other users.
    fn move_items(&mut self, from: Caller, number: usize, mut count: u64) {
        for which in 0..self.content.parcels.len() {
            let parcel = &self.content.parcels[which];
            if parcel.home.is_some() || Caller::Person(parcel.lot.slot) != from || count == 0 {
                continue;
            }
            if parcel.len() > count {
                let rest = self.content.parcels[which].split_off(count);
                self.content.parcels.push(rest);
            }
            count -= self.content.parcels[which].len().min(count);
            self.content.parcels[which].home = Some(number);
        }
        for received in self.content.received(from).take(usize::try_from(count).unwrap_or(usize::MAX)) {
            self.content.transfers[received].inside = Some(number);
        }
    }

    /// Adds content to an account. Items above the size of a lot are ignored.
    pub(crate) fn add_content(&mut self, slot: usize, items: u32, bytes: i64, shared: u32) {
        let owner = Caller::Person(slot as u32);
        self.wrap_up(owner);
        let lot = Lot { slot: slot as u32, generation: self.content.generation(slot as u32) };
        let items = u64::from(items).min(LOT_ROOM);
        if items == 0 {
            return;
        }
        self.people[slot].space_used += bytes.max(0);
        let shared = Some(u64::from(shared));
        self.content.parcels.push(Parcel { lot, places: 0..items, bytes: bytes.max(0), shared, home: None });
        *self.content.wrapped.entry(slot as u32).or_default() += 1;
    }

    /// Sets the trash of an account; 0 empties it. A transfer does not move the trash, and Box deletes the account in spite of
    /// it.
    pub(crate) fn set_trash(&mut self, slot: usize, bytes: i64) {
        let owner = Caller::Person(slot as u32);
        self.wrap_up(owner);
        let before = self.content.trash.insert(slot as u32, bytes.max(0)).unwrap_or(0);
        self.people[slot].space_used += bytes.max(0) - before;
    }

    /// Bytes in the trash of an account.
    pub(crate) fn trash_bytes(&self, owner: Caller) -> i64 {
        let Caller::Person(slot) = owner else { return 0 };
        self.content.trash.get(&slot).copied().unwrap_or(0)
    }

    /// Removes the own content of an account. Folders that transfers brought stay.
    pub(crate) fn clear_content(&mut self, slot: usize) {
        let owner = Caller::Person(slot as u32);
        self.wrap_up(owner);
        self.content.parcels.retain(|parcel| parcel.home.is_some() || parcel.lot.slot != slot as u32);
        self.people[slot].space_used = self.held_bytes(owner);
    }

    /// Bytes with a fixed place: parcels in the root, folders that transfers brought, and the trash.
    pub(crate) fn held_bytes(&self, owner: Caller) -> i64 {
        let received: i64 = self.content.received(owner).map(|number| self.folder_bytes(number)).sum();
        let own: i64 = self.content.parcels_of(owner).map(|parcel| parcel.bytes).sum();
        received + own + self.trash_bytes(owner)
    }

    /// Stores the generated content of an account as a parcel.
    fn wrap_up(&mut self, owner: Caller) {
        let Caller::Person(slot) = owner else { return };
        let lot = Lot { slot, generation: self.content.generation(slot) };
        let bytes = self.loose_bytes(owner);
        if bytes > 0 {
            let places = 0..self.loose_count(lot);
            self.content.parcels.push(Parcel { lot, places, bytes, shared: None, home: None });
            *self.content.wrapped.entry(slot).or_default() += 1;
        }
    }

    fn loose_bytes(&self, owner: Caller) -> i64 {
        (self.person(owner).space_used - self.held_bytes(owner)).max(0)
    }

    fn loose_count(&self, lot: Lot) -> u64 {
        let (seed, number) = (self.config.seed, lot.number());
        let mut count = 1 + chance::below(seed, About::Content, number, 9);
        if chance::happens(seed, About::Content, number, 0.04) {
            count += 60 + chance::below(seed, About::Content, !number, 240);
        }
        count
    }

    fn folder_bytes(&self, number: usize) -> i64 {
        let lies_in = |parcel: &&Parcel| parcel.home == Some(number);
        let own: i64 = self.content.parcels.iter().filter(lies_in).map(|parcel| parcel.bytes).sum();
        own + self.content.inner(number).map(|inner| self.folder_bytes(inner)).sum::<i64>()
    }

    /// The destination folder of a transfer.
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
            size: self.folder_bytes(number),
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

    /// The items of the viewer's root folder: own items, folders that transfers brought, and folders shared by other users.
    pub(crate) fn root_items(&self, viewer: Caller) -> Vec<Item> {
        let own = self.own_items(viewer);
        let received = self.content.received(viewer).map(|number| self.destination(number));
        own.into_iter().chain(received).chain(self.shared_folders(viewer)).collect()
    }

    fn own_items(&self, owner: Caller) -> Vec<Item> {
        let loose = self.loose(owner);
        let parcels = self.content.parcels_of(owner).chain(&loose);
        parcels.flat_map(|parcel| self.parcel_items(parcel)).collect()
    }

    /// The generated content of an account, in the form of the parcel that it would become.
    fn loose(&self, owner: Caller) -> Option<Parcel> {
        // The account of an application creates no files.
        let Caller::Person(slot) = owner else { return None };
        let lot = Lot { slot, generation: self.content.generation(slot) };
        let bytes = self.loose_bytes(owner);
        (bytes > 0).then(|| Parcel { lot, places: 0..self.loose_count(lot), bytes, shared: None, home: None })
    }

    /// A folder, if the viewer has access.
    pub(crate) fn folder(&self, viewer: Caller, id: u64) -> Option<Item> {
        if id == ROOT {
            return Some(self.root(viewer));
        }
        let folder = self.any_folder(id)?;
        let is_shared = || self.shared_folders(viewer).iter().any(|item| item.id == id);
        let is_there = self.person(folder.owner).is_managed();
        (is_there && (folder.owner == viewer || is_shared())).then_some(folder)
    }

    /// The items of a folder.
    pub(crate) fn folder_items(&self, viewer: Caller, folder: &Item) -> Vec<Item> {
        if folder.id == ROOT {
            return self.root_items(viewer);
        }
        if let Some(number) = self.transfer_of(folder.id) {
            let lies_in = |parcel: &&Parcel| parcel.home == Some(number);
            let parcels = self.content.parcels.iter().filter(lies_in);
            let inner = self.content.inner(number).map(|inner| self.destination(inner));
            return parcels.flat_map(|parcel| self.parcel_items(parcel)).chain(inner).collect();
        }
        self.files_in(folder)
    }

    fn any_folder(&self, id: u64) -> Option<Item> {
        if let Some(number) = self.transfer_of(id) {
            return Some(self.destination(number));
        }
        let number = id.checked_sub(FIRST_ITEM_ID)?;
        let lot_number = number / LOT_ROOM;
        let slot = u32::try_from(lot_number / GENERATIONS).ok()?;
        self.people.get(slot as usize)?;
        let lot = Lot { slot, generation: (lot_number % GENERATIONS) as u32 };
        self.lot_items(lot).into_iter().find(|item| item.id == id && item.is_folder)
    }

    fn transfer_of(&self, id: u64) -> Option<usize> {
        let number = usize::try_from(id.checked_sub(FIRST_TRANSFER_ID)?).ok()?;
        (number < self.content.transfers.len()).then_some(number)
    }

    /// The items of a lot, in whatever folder they are now.
    fn lot_items(&self, lot: Lot) -> Vec<Item> {
        let loose = self.loose(Caller::Person(lot.slot));
        let parcels = self.content.parcels.iter().chain(&loose).filter(|parcel| parcel.lot == lot);
        parcels.flat_map(|parcel| self.parcel_items(parcel)).collect()
    }

    fn parcel_items(&self, parcel: &Parcel) -> Vec<Item> {
        let (owner, path) = match parcel.home {
            None => (Caller::Person(parcel.lot.slot), root_path()),
            Some(number) => {
                let folder = self.destination(number);
                (folder.owner, below(&folder))
            }
        };
        let (seed, number) = (self.config.seed, parcel.lot.number());
        let maker = &self.people[parcel.lot.slot as usize];
        let item = |place: u64| {
            let is_shared = parcel.shared.map(|count| place < count);
            let is_folder = is_shared == Some(true) || has(seed, number, place, 1, 0.5);
            let created_at = maker.created_at
                + chance::below(
                    seed,
                    About::Content,
                    (number * LOT_ROOM + place) << 3,
                    (self.now - maker.created_at).max(1) as u64,
                ) as i64;
            Item {
                id: FIRST_ITEM_ID + number * LOT_ROOM + place,
                is_folder,
                name: item_name(is_folder, place),
                size: parcel.size_at(place),
                owner,
                has_collaborations: is_shared
                    .unwrap_or_else(|| is_folder && has(seed, number, place, 2, 0.3)),
                created_at,
                modified_at: created_at,
                path: path.clone(),
            }
        };
        parcel.places.clone().map(item).collect()
    }

    /// Folders of other users that the viewer has access to. Folders of a suspended owner are hidden unless the owner's content
    /// stays available.
    fn shared_folders(&self, viewer: Caller) -> Vec<Item> {
        let Caller::Person(slot) = viewer else { return Vec::new() };
        let seed = self.config.seed;
        let mut found: Vec<Item> = Vec::new();
        for n in 0..chance::below(seed, About::SharedFolder, u64::from(slot) << 3, 4) {
            // A user with a lower slot, so that later joiners do not change the result.
            let other = chance::below(seed, About::SharedFolder, u64::from(slot) << 3 | (n + 1), slot.into());
            let lot = Lot { slot: other as u32, generation: 0 };
            let shared = self.lot_items(lot).into_iter().find(|item| item.has_collaborations);
            let Some(item) = shared else { continue };
            let owner = self.person(item.owner);
            let is_new = found.iter().all(|known| known.id != item.id);
            if item.owner != viewer && is_new && owner.is_managed() && owner.shows_folders() {
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

    /// The account of a caller.
    pub(crate) fn person(&self, caller: Caller) -> &Person {
        match caller {
            Caller::App(app) => &self.apps.get(app).account,
            Caller::Person(slot) => &self.people[slot as usize],
        }
    }

    fn person_mut(&mut self, caller: Caller) -> &mut Person {
        match caller {
            Caller::App(app) => &mut self.apps.get_mut(app).account,
            Caller::Person(slot) => &mut self.people[slot as usize],
        }
    }
}

impl Content {
    /// The number of the lot of an account that is not stored as a parcel.
    fn generation(&self, slot: u32) -> u32 {
        self.wrapped.get(&slot).copied().unwrap_or(0)
    }

    /// Parcels in the root folder of an account.
    fn parcels_of(&self, owner: Caller) -> impl Iterator<Item = &Parcel> {
        let mine = move |parcel: &&Parcel| parcel.home.is_none() && Caller::Person(parcel.lot.slot) == owner;
        self.parcels.iter().filter(mine)
    }

    /// Transfers whose folders are in the root folder of an account, including running ones.
    fn received(&self, owner: Caller) -> impl Iterator<Item = usize> + use<> {
        let mine = |(number, transfer): (usize, &Transfer)| {
            (transfer.to == owner && transfer.inside.is_none()).then_some(number)
        };
        self.transfers.iter().enumerate().filter_map(mine).collect::<Vec<_>>().into_iter()
    }

    /// Transfers whose folders a later transfer has moved.
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

impl Parcel {
    fn len(&self) -> u64 {
        self.places.end - self.places.start
    }

    /// Equal sizes, except that the first item also gets the remainder of the division.
    fn size_at(&self, place: u64) -> i64 {
        let (count, share) = (self.len() as i64, self.bytes / self.len().max(1) as i64);
        if place == self.places.start { self.bytes - share * (count - 1) } else { share }
    }

    /// Keeps the first `count` items and returns the others. Every item keeps its size.
    fn split_off(&mut self, count: u64) -> Parcel {
        let (middle, end) = (self.places.start + count, self.places.end);
        let bytes: i64 = (middle..end).map(|place| self.size_at(place)).sum();
        let rest = Parcel { places: middle..end, bytes, ..self.clone() };
        self.places.end = middle;
        self.bytes -= bytes;
        rest
    }
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
    use crate::apps::App;
    use crate::config::Config;
    use crate::people::INACTIVE;
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
        let (from, to) = (Caller::Person(2), Caller::App(App::Reading));
        let count = world.owned_items(from);
        let number = world.begin_transfer(from, to);
        assert!(world.is_moving(from));
        assert_eq!((world.owned_items(from), world.owned_items(to)), (count, 1));
        world.delete(2, world.now, News::Silent);
        world.finish_transfer(number);
        assert!(!world.is_moving(from));
        assert_eq!(world.person(to).space_used, 0, "deleted by force while moving: lost");
    }

    #[test]
    fn a_suspended_owner_hides_what_was_shared() {
        let mut world = world();
        let sharing = |world: &World| {
            let all = (0..world.people.len() as u32).map(Caller::Person);
            all.map(|viewer| world.shared_folders(viewer).len()).collect::<Vec<_>>()
        };
        let before = sharing(&world);
        let viewer = before.iter().position(|count| *count > 0).expect("a user works with others");
        let Caller::Person(owner) = world.shared_folders(Caller::Person(viewer as u32))[0].owner else {
            panic!("people share")
        };
        world.set_status(owner as usize, INACTIVE.into(), world.now, News::Silent);
        assert!(sharing(&world)[viewer] < before[viewer]);
    }

    #[test]
    fn a_part_arrives_and_the_rest_stays_where_it_was() {
        let mut world = world();
        let (from, to) = (Caller::Person(2), Caller::Person(3));
        world.clear_content(2);
        assert_eq!(
            (world.owned_items(from), world.person(from).space_used),
            (0, 0),
            "an account can be empty"
        );
        world.add_content(2, 10, 1_003, 3);
        world.add_content(2, 2, 50, 0);
        assert_eq!(world.owned_and_shared_items(from), (12, 3));
        let ids = |items: Vec<Item>| items.into_iter().map(|item| item.id).collect::<Vec<_>>();
        let before = ids(world.own_items(from));
        let received = world.person(to).space_used;
        world.content.manner = Some(Manner { days: 0, share: 0.5 });
        let folder = wait(&mut world, from, to);
        let there = world.folder_items(to, &folder);
        assert_eq!((world.owned_items(from), there.len()), (6, 6));
        let used = [from, to].map(|caller| world.person(caller).space_used);
        assert_eq!(used[0] + used[1], received + 1_053);
        assert_eq!((bytes(&world.root_items(from), from), bytes(&there, to)), (used[0], used[1] - received));
        world.content.manner = None;
        let rest = wait(&mut world, from, to);
        assert_eq!((world.owned_items(from), world.person(from).space_used), (0, 0));
        let mut all = ids(world.folder_items(to, &folder));
        all.extend(ids(world.folder_items(to, &rest)));
        all.sort_unstable();
        let mut expected = before;
        expected.sort_unstable();
        assert_eq!(all, expected, "nothing was lost or doubled between two transfers");
    }

    #[test]
    fn the_trash_counts_and_does_not_move() {
        let mut world = world();
        let (from, to) = (Caller::Person(2), Caller::Person(3));
        world.clear_content(2);
        world.add_content(2, 4, 400, 0);
        world.set_trash(2, 70);
        assert_eq!((world.owned_items(from), world.person(from).space_used), (4, 470));
        let received = world.person(to).space_used;
        wait(&mut world, from, to);
        let used = [from, to].map(|caller| world.person(caller).space_used);
        assert_eq!((world.owned_items(from), used), (0, [70, received + 400]));
        world.set_trash(2, 0);
        assert_eq!(world.person(from).space_used, 0);
    }

    #[test]
    fn a_transfer_of_days_ends_when_they_have_passed() {
        let mut world = world();
        world.content.manner = Some(Manner { days: 2, share: 1.0 });
        let (from, to) = (Caller::Person(2), Caller::Person(3));
        let number = world.begin_transfer(from, to);
        assert!(world.takes_days(number) && world.due_transfers().is_empty());
        world.advance(2 * DAY_SECS - 1);
        assert!(world.is_moving(from) && world.owned_items(from) > 0);
        world.advance(1);
        assert!(!world.is_moving(from) && world.owned_items(from) == 0);
    }
}
