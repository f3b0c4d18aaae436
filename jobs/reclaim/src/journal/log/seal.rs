//! R9: the seals of the journal. Each entry is signed with the store's Ed25519 key, so only a process that can read the private key
//! can add an entry. Readers need the public key alone.
//!
//! | what | where |
//! | --- | --- |
//! | private key | the file that `BOXSEAT_JOURNAL_KEY_FILE` names, else the systemd credential `boxseat-journal-key`, else `state/reclaim/journal_key` (0600, made at first use) |
//! | public key, and the head of the last command | `lake/_journal/anchor.json` |
//! | public key again | `[reclaim] journal_key` of the configuration, if set |
//!
//! **First use**, and what a kill leaves: the new key is written as `journal_key.new`, which is not used as a key; then the anchor;
//! then the key under its name. With the anchor and without that name, the next command finishes the last step. So a store that has
//! the key has the anchor, and a journal without seals in such a store is refused. Killed between the anchor and the first entry:
//! the anchor says how many entries have no seal, and the journal has exactly these.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::Record;
use boxseat_schemas::spool::{FRAME_FIXED_LEN, Fixed};
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use serde::{Deserialize, Serialize};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};
use uuid::Uuid;

use super::file::{self, Contents, Frame, Seals, hash_of};
use super::{ReclaimLock, cannot, directory, path};
use crate::error::Error;

/// The namespace of a seal; a signature of a plan is no seal.
const NAMESPACE: &str = "boxseat-journal";

/// The end of every PEM text of a signature.
const SEAL_END: &[u8] = b"-----END SSH SIGNATURE-----";

/// What the lake knows of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Anchor {
    format: u32,
    store_id: Uuid,
    /// As in an OpenSSH `.pub` file. It never changes.
    public_key: String,
    /// How many entries an older version wrote without seals, and the hash of the last. They never change.
    unsealed_entries: u64,
    unsealed_head: String,
    /// How many entries there were when the last command ended, and the hash of the last.
    entries: u64,
    head: String,
}

const FORMAT: u32 = 1;

impl Anchor {
    /// Reads the anchor of a store; `None` before the first seal.
    ///
    /// # Errors
    /// `Refused` for an anchor that is corrupt or another store's.
    pub(super) fn read(root: &Path, store_id: Uuid) -> Result<Option<Self>, Error> {
        let path = anchor_path(root);
        let bytes = match durable::read_regular_file(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::unreadable(&path, e)),
        };
        let refused = |what: &str| {
            Error::refused(format!("{} {what}", path.display())).hint(
                "put the file back from the newest backup of the lake: it has the key that seals the journal",
            )
        };
        let anchor: Self = json::parse(&bytes).map_err(|e| refused("is damaged").because(e))?;
        match anchor {
            Self { format, .. } if format != FORMAT => Err(refused("is of another version of boxseat")),
            Self { store_id: of, .. } if of != store_id => Err(refused(&format!(
                "is of the store {of}, and state/store.json names the store {store_id}"
            ))),
            anchor => Ok(Some(anchor)),
        }
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("plain data");
        bytes.push(b'\n');
        Ok(durable::write_file(&anchor_path(root), &bytes, &Access::from(0o640))?)
    }

    /// The same at a later head.
    pub(super) fn at(&self, entries: u64, head: &str) -> Self {
        Self { entries, head: head.to_owned(), ..self.clone() }
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn public_key(&self) -> &str {
        &self.public_key
    }
}

/// Where the anchor is, below the store.
pub const ANCHOR_FILE: &str = "lake/_journal/anchor.json";

fn anchor_path(root: &Path) -> PathBuf {
    root.join(ANCHOR_FILE)
}

/// The key of a store, as configuration and environment name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalKey {
    /// `[reclaim] journal_key`: the public key.
    pub public: Option<PublicKey>,
    /// Where the private key is.
    pub private: KeyFile,
}

/// Where the private key of a store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeyFile {
    /// In the store, made at first use.
    #[default]
    InStore,
    /// The file that `BOXSEAT_JOURNAL_KEY_FILE` names.
    Named(PathBuf),
    /// The systemd credential. Without this file, the key is in the store.
    Credential(PathBuf),
}

/// The private key of a store.
pub struct StoreKey {
    key: PrivateKey,
    /// Where it was found.
    place: PathBuf,
    store_id: Uuid,
}

impl StoreKey {
    /// The key from its place; `None` before the first use.
    ///
    /// # Errors
    /// `Usage` for a named file that is missing; `Refused` for one that is no Ed25519 key, or that others can read.
    fn find(root: &Path, file: &KeyFile) -> Result<Option<(PathBuf, PrivateKey)>, Error> {
        match file {
            KeyFile::Named(path) => return load(path.clone(), IsGuarded(false)).map(Some),
            // systemd protects its credentials itself, and their mode may let a group read.
            KeyFile::Credential(path) if path.exists() => {
                return load(path.clone(), IsGuarded(true)).map(Some);
            }
            KeyFile::Credential(_) | KeyFile::InStore => {}
        }
        let path = own_key(root);
        if path.exists() { load(path, IsGuarded(false)).map(Some) } else { Ok(None) }
    }

    /// Signs data that is not a journal entry, in a separate namespace.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, namespace: &str, hash: HashAlg, message: &[u8]) -> ssh_key::Result<SshSig> {
        self.key.sign(namespace, hash, message)
    }

    /// The seal of an entry.
    ///
    /// # Errors
    /// The key cannot sign.
    pub(super) fn seal(&self, text: &[u8]) -> Result<String, Error> {
        let failed = |e| Error::failed(format!("the journal's key {} cannot sign", self.place.display()), e);
        let seal =
            self.key.sign(NAMESPACE, HashAlg::Sha512, &message(self.store_id, text)).map_err(failed)?;
        // Without the last newline: the text is whole exactly when it ends in [`SEAL_END`].
        seal.to_pem(LineEnding::LF).map(|text| text.trim_end().to_owned()).map_err(failed)
    }
}

struct IsGuarded(bool);

fn load(path: PathBuf, IsGuarded(is_guarded): IsGuarded) -> Result<(PathBuf, PrivateKey), Error> {
    let unreadable = |e| {
        Error::usage(format!("cannot read the journal's key {}", path.display())).because(e).hint(
            "BOXSEAT_JOURNAL_KEY_FILE names it, or a systemd credential boxseat-journal-key, or it is in the store",
        )
    };
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    let mode = std::fs::metadata(&path).map_err(unreadable)?.permissions().mode();
    if !is_guarded && mode & 0o077 != 0 {
        return Err(Error::refused(format!(
            "the journal's key {} can be read by others (mode {:04o})",
            path.display(),
            mode & 0o7777
        ))
        .hint("set its mode to 0600; a user who has read it can write entries that look like entries of boxseat"));
    }
    let refused = |what: &str| {
        Error::refused(format!("the journal's key {} {what}", path.display()))
            .hint("it must be an OpenSSH private key as `ssh-keygen -t ed25519 -N ''` makes it")
    };
    let key = PrivateKey::from_openssh(&text).map_err(|e| refused("cannot be read").because(e))?;
    if key.key_data().ed25519().is_none() {
        return Err(refused("is encrypted, or is no Ed25519 key"));
    }
    Ok((path, key))
}

fn own_key(root: &Path) -> PathBuf {
    directory(root).join("journal_key")
}

/// A key that is not in use yet.
fn new_key(root: &Path) -> PathBuf {
    directory(root).join("journal_key.new")
}

/// Makes a key.
fn create(root: &Path, store_id: Uuid) -> Result<(PathBuf, PrivateKey), Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| Error::failed("the system gives no random numbers", e))?;
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    key.set_comment(format!("boxseat journal {store_id}"));
    write_key(&new_key(root), &key)?;
    Ok((own_key(root), key))
}

fn write_key(path: &Path, key: &PrivateKey) -> Result<(), Error> {
    let text = key.to_openssh(LineEnding::LF).expect("an Ed25519 key can be written");
    Ok(durable::write_file(path, text.as_bytes(), &Access::from(0o600))?)
}

/// The last step of the first use; the same again after a kill.
fn put_to_use(root: &Path, key: &PrivateKey) -> Result<(), Error> {
    write_key(&own_key(root), key)?;
    let new = new_key(root);
    std::fs::remove_file(&new).map_err(cannot("remove", &new))
}

/// The sealing key and the anchor: both are made at first use, and belong together from then on.
///
/// # Errors
/// `Refused` if one of them is missing or another's.
pub(super) fn take_up(
    root: &Path,
    store_id: Uuid,
    configured: &JournalKey,
    read: &Contents,
) -> Result<(StoreKey, Anchor), Error> {
    let pinned = configured.public.as_ref();
    let missing = |what: &str| {
        Error::usage(format!("the private key of the store, {}, is missing{what}", own_key(root).display()))
            .hint("put it back from the backup; or name it by BOXSEAT_JOURNAL_KEY_FILE or the systemd credential boxseat-journal-key. Without it no command can write to the store")
    };
    let found = StoreKey::find(root, &configured.private)?;
    let (place, key, is_new) = match (found, &read.anchor) {
        (Some((place, key)), _) => (place, key, false),
        (None, Some(_)) if new_key(root).exists() => {
            let (_, key) = load(new_key(root), IsGuarded(false))?;
            (own_key(root), key, true)
        }
        (None, Some(_)) => return Err(missing("")),
        (None, None) if pinned.is_some() => {
            return Err(missing(", and [reclaim] journal_key names its public key"));
        }
        (None, None) => {
            let (place, key) = create(root, store_id)?;
            (place, key, true)
        }
    };
    let public = key.public_key();
    let is_other = |named: &PublicKey| named.key_data() != public.key_data();
    let refused = |by: &str| {
        Error::refused(format!("the journal's key {} is not the one that {by} names", place.display()))
            .hint("put the store's own key back from the backup")
    };
    if pinned.is_some_and(is_other) {
        return Err(refused("[reclaim] journal_key"));
    }
    let anchor = match &read.anchor {
        Some(anchor) => anchor.clone(),
        None => {
            let entries = read.entries.len() as u64;
            let anchor = Anchor {
                format: FORMAT,
                store_id,
                public_key: public.to_openssh().expect("a public key can be written"),
                unsealed_entries: entries,
                unsealed_head: read.head.clone(),
                entries,
                head: read.head.clone(),
            };
            anchor.write(root)?;
            tracing::info!(public_key = anchor.public_key, "the journal is sealed from now on");
            anchor
        }
    };
    if PublicKey::from_openssh(&anchor.public_key).as_ref().map_or(true, is_other) {
        return Err(refused(ANCHOR_FILE));
    }
    if is_new {
        put_to_use(root, &key)?;
    }
    Ok((StoreKey { key, place, store_id }, anchor))
}

/// The key of a store; the first use creates it and the anchor. `held` is the lock of reclamation, if the caller has it.
///
/// # Errors
/// As [`take_up`]; `TryLater` if another process reclaims from a store without a key.
pub fn store_key(
    root: &Path,
    store_id: Uuid,
    configured: &JournalKey,
    held: Option<&ReclaimLock>,
) -> Result<StoreKey, Error> {
    let anchor = Anchor::read(root, store_id)?;
    if anchor.is_some() && !new_key(root).exists() {
        return Ok(take_up(root, store_id, configured, &Contents { anchor, ..Contents::default() })?.0);
    }
    // Two first uses at the same time would make two keys.
    let _lock = held.is_none().then(|| ReclaimLock::take(root)).transpose()?;
    let read = file::read(root, store_id, configured.public.as_ref(), Seals::Last)?;
    Ok(take_up(root, store_id, configured, &read)?.0)
}

/// The public key that the store names; `None` before the first use.
///
/// # Errors
/// `Refused` for an anchor that is corrupt or another store's.
pub fn anchored_key(root: &Path, store_id: Uuid) -> Result<Option<PublicKey>, Error> {
    let Some(anchor) = Anchor::read(root, store_id)? else { return Ok(None) };
    PublicKey::from_openssh(&anchor.public_key)
        .map(Some)
        .map_err(|e| Error::refused(format!("{ANCHOR_FILE} has no public key")).because(e))
}

/// Checks the seals of a journal whose chain is valid, and its anchor. Returns how many entries at its beginning have no seal.
///
/// # Errors
/// `Refused` naming the first invalid entry.
pub(super) fn check(
    root: &Path,
    store_id: Uuid,
    frames: &[Frame<'_>],
    contents: &Contents,
    anchor: Option<&Anchor>,
    pinned: Option<&PublicKey>,
    seals: Seals,
) -> Result<u64, Error> {
    let path = path(root);
    let count = frames.len() as u64;
    let unsealed = frames.iter().take_while(|frame| frame.seal.is_empty()).count();
    let refused = |what: String| Error::refused(format!("the journal {}: {what}", path.display()));
    let forged = |number: usize, why: &str| {
        refused(format!("entry {number} {why}")).hint(
            "boxseat did not write it, and no action uses this journal: put \
            state/reclaim and lake/_journal back from the backup, and find out who can write into the store",
        )
    };
    if let Some(gap) = frames[unsealed..].iter().position(|frame| frame.seal.is_empty()) {
        return Err(forged(unsealed + gap + 1, "has no seal"));
    }
    let Some(anchor) = anchor else {
        if unsealed < frames.len() {
            return Err(refused(
                "its entries have seals, and lake/_journal/anchor.json, which names their key, is missing"
                    .to_owned(),
            )
            .hint("put the file back from the newest backup of the lake"));
        }
        if own_key(root).exists() {
            return Err(refused(
                "the store has a key for it, and lake/_journal/anchor.json, which names the key, is missing"
                    .to_owned(),
            )
            .hint("put the file back from the newest backup of the lake"));
        }
        return match pinned {
            Some(_) if unsealed > 0 => Err(forged(1, "has no seal, and [reclaim] journal_key requires one")),
            _ => Ok(unsealed as u64),
        };
    };
    let key = PublicKey::from_openssh(&anchor.public_key)
        .map_err(|e| refused("lake/_journal/anchor.json has no public key".to_owned()).because(e))?;
    if pinned.is_some_and(|pinned| pinned.key_data() != key.key_data()) {
        return Err(refused(
            "lake/_journal/anchor.json names another key than [reclaim] journal_key".to_owned(),
        )
        .hint(
            "put state/reclaim and lake/_journal back from the backup; another program wrote a journal of its own",
        ));
    }
    let hash = |sequence| hash_of(&contents.entries, &contents.head, sequence);
    for (entries, head) in [(anchor.unsealed_entries, &anchor.unsealed_head), (anchor.entries, &anchor.head)]
    {
        if seals == Seals::Older && count < entries {
            continue;
        }
        if hash(entries).is_none_or(|hash| hash != head) {
            let what = if count < entries {
                format!("it ends with entry {count}, and lake/_journal/anchor.json has entry {entries}")
            } else {
                format!("entry {entries} is not the one in lake/_journal/anchor.json")
            };
            return Err(refused(what)
                .hint("entries were cut off, or an older journal was put back: put the newest one back")
                .hint(
                    "if the newest one is lost, `boxseat reclaim adopt` takes in the actions of the lake",
                ));
        }
    }
    if unsealed as u64 > anchor.unsealed_entries {
        return Err(forged(anchor.unsealed_entries as usize + 1, "has no seal"));
    }
    // The chain ties the prefix to the first seal; the entry says so for readers without the anchor.
    let begins = contents.entries.get(unsealed).map(|entry| &entry.record);
    let is_begun = match begins {
        Some(Record::SealBegun { unsealed_entries, unsealed_head }) => {
            *unsealed_entries == unsealed as u64 && hash(*unsealed_entries) == Some(unsealed_head)
        }
        Some(_) => unsealed == 0,
        None => true,
    };
    // Only a sealed entry proves that an older version wrote the ones before it: the anchor has no seal.
    if pinned.is_some() && unsealed > 0 && begins.is_none() {
        return Err(forged(1, "has no seal, and [reclaim] journal_key requires one")
            .hint("if an older version of boxseat wrote it: run `boxseat reclaim plan` once without journal_key, which \
                records where the seals begin"));
    }
    if !is_begun || (unsealed as u64) < anchor.unsealed_entries.min(count) {
        return Err(forged(unsealed + 1, "does not say where the seals begin"));
    }
    let is_valid = |frame: &Frame<'_>| is_sealed(&key, store_id, frame);
    // The chain does not cover the text of an entry from which a user was removed: each of them is verified.
    let is_erased = |index: usize| contents.entries.get(index).is_some_and(|entry| entry.erased.is_some());
    let erased = (unsealed..frames.len()).find(|index| is_erased(*index) && !is_valid(&frames[*index]));
    let first = match (seals, frames.last()) {
        (Seals::Last, Some(last)) if last.seal.is_empty() || is_valid(last) => {
            erased.map(|index| index - unsealed)
        }
        _ => frames[unsealed..].iter().position(|frame| !is_valid(frame)),
    };
    match first {
        Some(index) => Err(forged(unsealed + index + 1, "has no valid seal")),
        None => Ok(unsealed as u64),
    }
}

fn is_sealed(key: &PublicKey, store_id: Uuid, frame: &Frame<'_>) -> bool {
    SshSig::from_pem(frame.seal)
        .is_ok_and(|seal| key.verify(NAMESPACE, &message(store_id, frame.text), &seal).is_ok())
}

/// The signed message. It has the store id: with a key shared by two stores, the entries of one must not count in the other.
fn message(store_id: Uuid, text: &[u8]) -> Vec<u8> {
    [format!("{store_id}\n").as_bytes(), text].concat()
}

/// Whether an unfinished frame at the end has a whole text and only a part of its seal.
pub(super) fn is_torn(tail: &[u8]) -> bool {
    let Some((fixed, rest)) = tail.split_first_chunk::<FRAME_FIXED_LEN>() else { return false };
    let Ok(fixed) = Fixed::decode(fixed) else { return false };
    let Some(part) = rest.get(fixed.header_len as usize..) else { return false };
    fixed.stored_len > 0 && !part.windows(SEAL_END.len()).any(|window| window == SEAL_END)
}
