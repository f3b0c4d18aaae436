//! The kinds of damage to one object of a store, a file or a directory.

use std::collections::BTreeSet;
use std::path::Path;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::life::{Life, copy, files};

/// A damage that was applied.
pub(super) struct Damage {
    pub(super) kind: &'static str,
    /// Its description, with stage and object.
    pub(super) what: String,
    /// Files that differ from the undamaged stage, by their paths below the store.
    pub(super) changed: Vec<String>,
    /// The stage whose whole lake is present now: the claims of that stage are true as well.
    pub(super) lake_of: Option<usize>,
}

impl Damage {
    pub(super) const KINDS: &'static [&'static str] =
        &["delete", "truncate", "alter", "roll back", "swap", "copy"];

    /// Damages the copy of a stage. A damage that changes nothing is drawn again.
    pub(super) fn do_one(rng: &mut ChaCha8Rng, life: &Life, stage: usize, store: &Path) -> Self {
        let kind = *Self::KINDS.choose(rng).unwrap();
        let whole = &life.stages[stage].store;
        let mut what = String::new();
        for _ in 0..ATTEMPTS {
            let mut lake_of = None;
            what = match kind {
                "delete" => delete(rng, store),
                "truncate" => truncate(rng, store),
                "alter" => alter(rng, store),
                "roll back" => roll_back(rng, life, stage, store, &mut lake_of),
                "swap" => swap(rng, store),
                _ => copy_from_other(rng, life, store),
            };
            let changed = differences(whole, store);
            if !changed.is_empty() {
                let what = format!("stage {:?}: {what}", life.stages[stage].name);
                return Self { kind, what, changed, lake_of };
            }
        }
        panic!("{kind} of {:?} never changed anything: {what}", life.stages[stage].name);
    }
}

const ATTEMPTS: u32 = 200;

fn delete(rng: &mut ChaCha8Rng, store: &Path) -> String {
    let object = object(rng, store);
    remove(&store.join(&object));
    format!("delete {object}")
}

fn truncate(rng: &mut ChaCha8Rng, store: &Path) -> String {
    let file = file(rng, store);
    let bytes = std::fs::read(store.join(&file)).unwrap();
    // A third are cut to nothing, or lose only a few bytes: a torn write like that looks like a kill.
    let length = match rng.random_range(0..3) {
        0 => 0,
        1 => bytes.len().saturating_sub(rng.random_range(1..40)),
        _ => rng.random_range(0..bytes.len().max(1)),
    };
    write(&store.join(&file), &bytes[..length]);
    format!("truncate {file} to {length} of {} bytes", bytes.len())
}

fn alter(rng: &mut ChaCha8Rng, store: &Path) -> String {
    let file = file(rng, store);
    let mut bytes = std::fs::read(store.join(&file)).unwrap();
    if bytes.is_empty() {
        return format!("alter {file}, which is empty");
    }
    let (place, bit) = (rng.random_range(0..bytes.len()), rng.random_range(0..8u8));
    bytes[place] ^= 1 << bit;
    write(&store.join(&file), &bytes);
    format!("alter bit {bit} of byte {place} of {file}")
}

fn roll_back(
    rng: &mut ChaCha8Rng,
    life: &Life,
    stage: usize,
    store: &Path,
    lake_of: &mut Option<usize>,
) -> String {
    // Mostly back; forward is like a copy that was put into the wrong place.
    let from = if stage > 0 && rng.random_bool(0.8) {
        rng.random_range(0..stage)
    } else {
        rng.random_range(0..life.stages.len())
    };
    let number = from;
    let from = &life.stages[number];
    let object = if rng.random_bool(0.7) { object(rng, store) } else { object(rng, &from.store) };
    if object == "lake" && number > stage {
        *lake_of = Some(number);
    }
    put(&from.store, &object, store);
    format!("roll back {object} to stage {:?}", from.name)
}

fn copy_from_other(rng: &mut ChaCha8Rng, life: &Life, store: &Path) -> String {
    let from = life.others.choose(rng).unwrap();
    let object = object(rng, &from.store);
    put(&from.store, &object, store);
    format!("copy {object} from another store")
}

fn swap(rng: &mut ChaCha8Rng, store: &Path) -> String {
    let one = object(rng, store);
    let is_directory = store.join(&one).is_dir();
    let (parent, ending) = (parent(&one), ending(&one));
    // Files of one kind, most of them of one table: other files cannot be read at all.
    let near = rng.random_bool(0.5);
    let all = if is_directory { directories(store) } else { files(store) };
    let alike = |path: &&String| {
        **path != one && self::ending(path) == ending && (!near || self::parent(path) == parent)
    };
    let alike: Vec<&String> = all.iter().filter(alike).collect();
    let Some(other) = alike.choose(rng) else { return format!("swap {one} with nothing") };
    let (left, right) = (store.join(&one), store.join(other));
    if is_directory {
        if left.starts_with(&right) || right.starts_with(&left) {
            return format!("swap {one} with itself");
        }
        let aside = store.join("aside");
        for (from, to) in [(&left, &aside), (&right, &left), (&aside, &right)] {
            std::fs::rename(from, to).unwrap();
        }
    } else {
        let (a, b) = (std::fs::read(&left).unwrap(), std::fs::read(&right).unwrap());
        write(&left, &b);
        write(&right, &a);
    }
    format!("swap {one} and {other}")
}

/// A file or a directory. Tables, spools and state have the same weight, whatever the number of their files.
fn object(rng: &mut ChaCha8Rng, store: &Path) -> String {
    if rng.random_bool(0.3) { directories(store).choose(rng).unwrap().clone() } else { file(rng, store) }
}

fn file(rng: &mut ChaCha8Rng, store: &Path) -> String {
    let all = files(store);
    let rooms: BTreeSet<&str> = all.iter().map(|path| room(path)).collect();
    let rooms: Vec<&str> = rooms.into_iter().collect();
    let room = rooms.choose(rng).unwrap();
    let inside: Vec<&String> = all.iter().filter(|path| self::room(path) == *room).collect();
    inside.choose(rng).unwrap().to_string()
}

/// The table, or the part of the store, to which a file belongs.
fn room(path: &str) -> &str {
    let depth = if path.starts_with("lake/") { 1 } else { 0 };
    path.match_indices('/').nth(depth).map_or(path, |(end, _)| &path[..end])
}

fn directories(store: &Path) -> Vec<String> {
    let mut found = BTreeSet::new();
    for file in files(store) {
        found.extend(file.match_indices('/').map(|(end, _)| file[..end].to_owned()));
    }
    found.into_iter().collect()
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn ending(path: &str) -> &str {
    path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending)
}

/// Replaces our object by that of another store, or removes ours if the other store has none.
fn put(from: &Path, object: &str, store: &Path) {
    let (from, to) = (from.join(object), store.join(object));
    remove(&to);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    if from.is_dir() {
        copy(&from, &to);
    } else if from.exists() {
        std::fs::copy(&from, &to).unwrap();
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}

/// Writes a new file.
fn write(path: &Path, bytes: &[u8]) {
    remove(path);
    std::fs::write(path, bytes).unwrap();
}

fn differences(whole: &Path, store: &Path) -> Vec<String> {
    let all: BTreeSet<String> = files(whole).into_iter().chain(files(store)).collect();
    let differs = |path: &String| {
        let (left, right) = (whole.join(path), store.join(path));
        match (std::fs::metadata(&left), std::fs::metadata(&right)) {
            (Ok(a), Ok(b)) => {
                a.len() != b.len() || std::fs::read(left).unwrap() != std::fs::read(right).unwrap()
            }
            _ => true,
        }
    };
    all.into_iter().filter(differs).collect()
}
