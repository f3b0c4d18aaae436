//! The action journal on disk: `<store>/state/reclaim/journal`, readable by its owner alone.
//!
//! It is a file of frames like the spool ([`boxseat_schemas::spool`]), with a magic number of its own. The entry is the frame's
//! header, its seal the frame's body. [`Journal::append`] returns when the entry survives a power cut: an intent is on disk before
//! its call.
//!
//! **Seals** ([`seal`]): every entry is signed with the store's key, and [`Anchor`] in the lake names that key and a head. A
//! journal that an older version began has a prefix without seals; the anchor and a [`Record::SealBegun`] entry say where it ends.
//! Any other entry without a valid seal is refused.
mod erasure_key;
mod file;
mod seal;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::plan::Operator;
use boxseat_schemas::reclaim::{Entry, Erased, Place, PlanEnd, Record};
use boxseat_schemas::spool::FILE_HEADER_LEN;
use boxseat_storage::digest::sha256_hex;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::lock::Lock;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use self::erasure_key::{ErasureKey, erasure_directory};
use self::file::Contents;
pub use self::file::Seals;
pub use self::seal::ANCHOR_FILE;
use self::seal::Anchor;
pub use self::seal::{JournalKey, KeyFile, StoreKey, anchored_key, store_key};
use super::state::JournalState;
use crate::error::Error;

/// The journal, and the state that follows from it.
pub struct Journal {
    disk: Disk,
    entries: Vec<Entry>,
    /// SHA-256 of the last entry as it is on disk.
    head: String,
    /// How many entries at the beginning have no seal.
    unsealed: u64,
    anchor: Option<Anchor>,
    past: JournalState,
    /// Written before the next entry: the place of a journal that is not bound yet.
    before_next: Option<Record>,
}

enum Disk {
    /// Open for appending; this process holds the lock as long as the journal exists.
    Open {
        root: PathBuf,
        path: PathBuf,
        file: File,
        len: u64,
        /// Over all bytes that this process has checked or written.
        sha256: Box<Sha256>,
        key: Box<StoreKey>,
        _lock: ReclaimLock,
    },
    /// For reading only.
    Read,
    /// In memory only, for thousands of simulated worlds.
    Memory,
}

impl Journal {
    /// Opens the journal to append to it; a missing journal is created.
    ///
    /// # Errors
    /// `Refused` for corruption, a broken chain, a missing seal or key, or another store's journal; `Failed` for the disk.
    pub fn open(
        root: &Path,
        store_id: Uuid,
        configured: &JournalKey,
        lock: ReclaimLock,
    ) -> Result<Self, Error> {
        Self::open_as(root, store_id, configured, Seals::Last, lock)
    }

    /// Like [`Journal::open`]; with [`Seals::Older`] the journal may end before the head that the lake knows.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_as(
        root: &Path,
        store_id: Uuid,
        configured: &JournalKey,
        seals: Seals,
        lock: ReclaimLock,
    ) -> Result<Self, Error> {
        let path = path(root);
        let mut read = file::read(root, store_id, configured.public.as_ref(), seals)?;
        let (key, anchor) = seal::take_up(root, store_id, configured, &read)?;
        read.anchor = Some(anchor);
        if read.len == 0 {
            read.sha256 = file::begin(&path, store_id)?;
            read.len = FILE_HEADER_LEN as u64;
        }
        let file = OpenOptions::new().append(true).open(&path).map_err(cannot("open", &path))?;
        let len = file.metadata().map_err(cannot("measure", &path))?.len();
        if len > read.len {
            file::keep_aside(&path, read.len)?;
            tracing::warn!(path = %path.display(), torn_bytes = len - read.len, "the last entry of the journal is incomplete, \
                so no action followed it; it is removed");
            file.set_len(read.len).and_then(|()| file.sync_all()).map_err(cannot("mend", &path))?;
        }
        let sha256 = Box::new(read.sha256.clone());
        let (root, key) = (root.to_owned(), Box::new(key));
        let disk = Disk::Open { root, path, file, len: read.len, sha256, key, _lock: lock };
        Ok(Self { disk, ..Self::over(read) })
    }

    /// Reads the journal without taking the lock; a store that never reclaimed has an empty one.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn read(root: &Path, store_id: Uuid, configured: &JournalKey, seals: Seals) -> Result<Self, Error> {
        Ok(Self::over(file::read(root, store_id, configured.public.as_ref(), seals)?))
    }

    /// A journal that is never on disk: for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { disk: Disk::Memory, ..Self::over(Contents::default()) }
    }

    /// A copy that ends with an entry, like a backup of that time; it is in memory, too.
    #[must_use]
    pub fn copy_until(&self, sequence: u64) -> Self {
        let entries = self.entries.iter().filter(|entry| entry.sequence <= sequence).cloned().collect();
        let head = self.hash_of(sequence).expect("an entry of this journal").to_owned();
        Self { disk: Disk::Memory, ..Self::over(Contents { entries, head, ..Contents::default() }) }
    }

    fn over(read: Contents) -> Self {
        let past = JournalState::of(&read.entries);
        let Contents { entries, head, unsealed, anchor, len: _, sha256: _ } = read;
        Self { disk: Disk::Read, entries, head, unsealed, anchor, past, before_next: None }
    }

    /// Writes the place before the next entry. A command that writes nothing binds nothing.
    pub fn bind(&mut self, place: Place, by: Operator) {
        self.before_next = Some(Record::Bound { place, by, adoption: None });
    }

    /// Appends an entry durably, with its seal.
    ///
    /// # Errors
    /// `Failed` if the disk fails: then the call that the entry announces must not be made.
    pub fn append(&mut self, at: DateTime<Utc>, record: Record) -> Result<&Entry, Error> {
        if self.unsealed > 0 && self.sequence() == self.unsealed {
            let begun =
                Record::SealBegun { unsealed_entries: self.unsealed, unsealed_head: self.head.clone() };
            self.put(at, begun)?;
        }
        if let Some(first) = self.before_next.take() {
            self.put(at, first)?;
        }
        self.put(at, record)?;
        Ok(self.entries.last().expect("it was just put there"))
    }

    fn put(&mut self, at: DateTime<Utc>, record: Record) -> Result<(), Error> {
        let salt = Some(Uuid::new_v4().simple().to_string());
        let entry = Entry { salt, ..Entry::new(self.sequence() + 1, at, self.head.clone(), record) };
        let text = serde_json::to_vec(&entry).expect("an entry is plain data");
        match &mut self.disk {
            Disk::Read => return Err(Error::refused("the journal was opened for reading alone")),
            Disk::Memory => {}
            Disk::Open { path, file, len, sha256, key, .. } => {
                let seal = key.seal(&text)?;
                let frame = file::frame_of(&text, seal.as_bytes());
                if let Err(e) = file.write_all(&frame).and_then(|()| file.sync_data()) {
                    // Best effort: if the cut fails too, the next open finds the torn entry and cuts it.
                    let _ = file.set_len(*len);
                    return Err(cannot("append to", path)(e));
                }
                *len += frame.len() as u64;
                sha256.update(&frame);
            }
        }
        self.head = sha256_hex(&text);
        self.past.take(&entry);
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the head into the lake: from then on a journal that ends before it is refused.
    ///
    /// # Errors
    /// The disk's.
    pub fn anchor(&self) -> Result<(), Error> {
        match (&self.disk, &self.anchor) {
            (Disk::Open { root, .. }, Some(anchor)) => anchor.at(self.sequence(), &self.head).write(root),
            _ => Ok(()),
        }
    }

    /// Closes a plan that changed nothing.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn close_plan(
        &mut self,
        plan_id: &str,
        because: PlanEnd,
        by: &Operator,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (plan_id, because) = (plan_id.to_owned(), because.into());
        self.append(now, Record::PlanClosed { plan_id, because, by: Some(by.clone()) }).map(drop)
    }

    /// Removes a user from every entry that `change` changes, in one replacement of the file; returns how many. The chain stays: a
    /// changed entry keeps the hash of what was written, and gets a keyed hash of its present text ([`Erased`]). It is sealed
    /// again, unless an older version wrote it without a seal.
    ///
    /// *Killed* before the replacement: nothing has happened.
    ///
    /// # Errors
    /// `Failed` for the disk.
    pub fn erase(
        self,
        store_id: Uuid,
        configured: &JournalKey,
        erasure_key: &ErasureKey,
        change: &dyn Fn(&Entry) -> Option<Entry>,
    ) -> Result<(Self, u64), Error> {
        let Disk::Open { root, path, file, len, sha256, key, _lock: lock } = self.disk else {
            return Err(Error::refused("the journal was opened for reading alone"));
        };
        drop(file);
        let bytes = durable::read_regular_file(&path).map_err(cannot("read", &path))?;
        let whole = usize::try_from(len).ok().and_then(|len| bytes.get(..len)).unwrap_or(&bytes);
        // Only bytes that were checked are sealed again.
        if Sha256::digest(whole) != sha256.finalize() {
            let what = format!("the journal {} was changed by another program", path.display());
            return Err(
                Error::refused(what).hint("restore it from a backup; `boxseat reclaim verify` checks it")
            );
        }
        let (mut new, mut changed) = (whole[..FILE_HEADER_LEN].to_vec(), 0);
        for (frame, entry) in file::frames(whole).zip(&self.entries) {
            let Some(mut entry) = change(entry) else {
                new.extend(file::frame_of(frame.text, frame.seal));
                continue;
            };
            changed += 1;
            let original_hash =
                entry.erased.take().map_or_else(|| sha256_hex(frame.text), |earlier| earlier.original_hash);
            entry.salt = None;
            entry.erased = Some(Erased { original_hash, mac: String::new() });
            let mac = file::mac_of(erasure_key, &entry);
            entry.erased.iter_mut().for_each(|erased| erased.mac.clone_from(&mac));
            let text = serde_json::to_vec(&entry).expect("an entry is plain data");
            let seal = if frame.seal.is_empty() { String::new() } else { key.seal(&text)? };
            new.extend(file::frame_of(&text, seal.as_bytes()));
        }
        if changed > 0 {
            durable::write_file(&path, &new, &Access::from(0o600))?;
        }
        Ok((Self::open(&root, store_id, configured, lock)?, changed))
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The state that follows from the entries.
    pub fn past(&self) -> &JournalState {
        &self.past
    }

    /// The number of the last entry; 0 for an empty journal.
    pub fn sequence(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.sequence)
    }

    /// The hash of the last entry: a stored copy proves later that no earlier entry was changed (R9).
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The hash of an entry; for number 0 the value that the first entry follows.
    pub(crate) fn hash_of(&self, sequence: u64) -> Option<&str> {
        file::hash_of(&self.entries, &self.head, sequence)
    }

    /// How many entries the lake's anchor knows.
    pub fn anchored_entries(&self) -> u64 {
        self.anchor.as_ref().map_or(0, Anchor::entries)
    }

    /// The public key of the seals, once there is one.
    pub fn public_key(&self) -> Option<&str> {
        self.anchor.as_ref().map(Anchor::public_key)
    }

    /// How many entries at the beginning have no seal: an older version wrote them.
    pub fn unsealed(&self) -> u64 {
        self.unsealed
    }
}

/// One process reclaims at a time (R17); `sync` has its own lock and may run at the same time.
pub struct ReclaimLock {
    _lock: Lock,
}

impl ReclaimLock {
    /// Takes the lock for reclaiming from this store.
    ///
    /// # Errors
    /// `TryLater` naming the holder.
    pub fn take(root: &Path) -> Result<Self, Error> {
        let directory = directory(root);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(cannot("create", &directory))?;
        durable::close_to_others(&root.join("state")).map_err(Error::not_closed)?;
        let path = directory.join("lock");
        let taken = "another boxseat process reclaims from this store";
        let lock = Lock::take_here(&path).map_err(|e| Error::not_locked(&path, taken, e))?;
        Ok(Self { _lock: lock })
    }
}

/// The directory of reclamation's state.
pub fn directory(root: &Path) -> PathBuf {
    root.join("state/reclaim")
}

fn path(root: &Path) -> PathBuf {
    directory(root).join("journal")
}

fn cannot(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |e| Error::failed(format!("cannot {action} {}", path.display()), e)
}

#[cfg(test)]
mod tests;
