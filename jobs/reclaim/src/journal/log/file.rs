//! Reads and checks the journal's file: frames, chain, seals, and what a crash may have left at its end.
//!
//! **Killed** while an entry is written: its frame ends past the end of the file, or in the zeros of blocks that were never
//! written. No call was made for it, so [`super::Journal::open`] cuts it off. Any other error, including the last frame's checksum,
//! is corruption: every command fails until an operator has checked the file.
//!
//! **A file shorter than its header** was left by a full disk when the journal was created: no entry was ever acknowledged. It is
//! created again if the store has no plan either. The anchor and the lake's rows are compared in any case, so a journal that was
//! emptied later is still refused.

use std::io::ErrorKind;
use std::path::Path;

use boxseat_schemas::reclaim::Entry;
use boxseat_schemas::spool::{Damage, FILE_HEADER_LEN, FRAME_FIXED_LEN, FileKind, Fixed};
use boxseat_storage::digest::sha256_hex;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use sha2::{Digest as _, Sha256};
use ssh_key::PublicKey;
use uuid::Uuid;

use super::ErasureKey;
use super::seal::{self, Anchor};
use super::{cannot, path};
use crate::error::Error;

/// Which seals are verified. The last one covers the whole chain before it, so it is enough; an audit verifies each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seals {
    /// The last one.
    Last,
    /// Each of them.
    Each,
    /// Each, and the journal may end before the head that the lake knows: for `reclaim adopt`.
    Older,
}

/// The valid content of the file.
pub(super) struct Contents {
    pub(super) entries: Vec<Entry>,
    pub(super) head: String,
    /// How many entries at the beginning have no seal.
    pub(super) unsealed: u64,
    pub(super) anchor: Option<Anchor>,
    /// 0: the journal is still to be created.
    pub(super) len: u64,
    /// Over these bytes.
    pub(super) sha256: Sha256,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            head: "0".repeat(64),
            unsealed: 0,
            anchor: None,
            len: 0,
            sha256: Sha256::new(),
        }
    }
}

/// An entry as it is on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) text: &'a [u8],
    /// Empty: no seal.
    pub(super) seal: &'a [u8],
}

/// Reads and checks the journal of a store.
///
/// # Errors
/// `Refused` for corruption, a broken chain, a missing or wrong seal, or another store's journal; `Failed` for the disk.
pub(super) fn read(
    root: &Path,
    store_id: Uuid,
    pinned: Option<&PublicKey>,
    seals: Seals,
) -> Result<Contents, Error> {
    let path = path(root);
    let anchor = Anchor::read(root, store_id)?;
    let (bytes, is_begun) = match durable::read_regular_file(&path) {
        Ok(bytes) => {
            let is_begun = !was_never_begun(&path, &bytes, store_id);
            (bytes, is_begun)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => (Vec::new(), false),
        Err(e) => return Err(cannot("read", &path)(e)),
    };
    let (mut contents, frames) =
        if is_begun { whole(root, &path, &bytes, store_id)? } else { Default::default() };
    contents.unsealed = seal::check(root, store_id, &frames, &contents, anchor.as_ref(), pinned, seals)?;
    contents.anchor = anchor;
    Ok(contents)
}

/// Frames and chain.
fn whole<'a>(
    root: &Path,
    path: &Path,
    bytes: &'a [u8],
    store_id: Uuid,
) -> Result<(Contents, Vec<Frame<'a>>), Error> {
    let damaged = |offset: usize, what: String| {
        Error::refused(format!("the journal {} is damaged at byte {offset}: {what}", path.display()))
            .hint("no account is changed until the journal is repaired: compare it with a backup; `boxseat reclaim verify` \
                says how far it can be trusted")
    };
    let Some((header, _)) = bytes.split_first_chunk::<FILE_HEADER_LEN>() else {
        return Err(damaged(0, Damage::NotAJournal.to_string()));
    };
    match FileKind::Journal.decode_header(header) {
        Ok(number) if number == number_of(store_id) => {}
        Ok(_) => {
            return Err(Error::refused(format!("{} is the journal of another store", path.display()))
                .hint("a journal belongs to the store it was written in; put this store's own back"));
        }
        Err(e) => return Err(damaged(0, e.to_string())),
    }
    let mut contents = Contents { len: FILE_HEADER_LEN as u64, ..Contents::default() };
    let mut frames = Vec::new();
    let mut offset = FILE_HEADER_LEN;
    while let Some(frame) = frame_at(&bytes[offset..]).map_err(|e| damaged(offset, e.to_string()))? {
        let entry: Entry =
            json::parse(frame.text).map_err(|e| damaged(offset, format!("{}: {e}", Damage::Header)))?;
        let expected = contents.entries.last().map_or(0, |entry| entry.sequence) + 1;
        if entry.sequence != expected {
            return Err(damaged(offset, format!("entry {} stands where {expected} belongs", entry.sequence)));
        }
        if entry.prev_hash != contents.head {
            return Err(damaged(
                offset,
                format!(
                    "entry {expected} does not follow from the one before: it, or one before it, was changed"
                ),
            ));
        }
        contents.head = match &entry.erased {
            None => sha256_hex(frame.text),
            Some(erased) => {
                let key = ErasureKey::open(root)?;
                if key.is_none_or(|key| mac_of(&key, &entry) != erased.mac) {
                    let what = "was changed, and not by `boxseat forget` with this store's key";
                    return Err(damaged(offset, format!("entry {expected} {what}")));
                }
                erased.original_hash.clone()
            }
        };
        contents.entries.push(entry);
        frames.push(frame);
        offset += FRAME_FIXED_LEN + frame.text.len() + frame.seal.len();
    }
    if holds_an_entry(&bytes[offset..]) {
        return Err(damaged(offset, "an entry has no end, and there are others behind it".to_owned()));
    }
    contents.len = offset as u64;
    contents.sha256 = Sha256::new_with_prefix(&bytes[..offset]);
    Ok((contents, frames))
}

/// The frames of a journal that was read and checked.
pub(super) fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut offset = FILE_HEADER_LEN;
    std::iter::from_fn(move || {
        let frame = frame_at(bytes.get(offset..)?).ok().flatten()?;
        offset += FRAME_FIXED_LEN + frame.text.len() + frame.seal.len();
        Some(frame)
    })
}

/// The bytes of a frame.
pub(super) fn frame_of(text: &[u8], seal: &[u8]) -> Vec<u8> {
    [&Fixed::of(text, seal, seal.len()).encode()[..], text, seal].concat()
}

/// The keyed hash of an entry from which a user was removed.
pub(super) fn mac_of(key: &ErasureKey, entry: &Entry) -> String {
    let mut bare = entry.clone();
    bare.erased.iter_mut().for_each(|erased| erased.mac.clear());
    key.mac("journal", &serde_json::to_vec(&bare).expect("an entry is plain data"))
}

/// The hash of an entry; for number 0 the value that the first entry follows.
pub(super) fn hash_of<'a>(entries: &'a [Entry], head: &'a str, sequence: u64) -> Option<&'a str> {
    let next = usize::try_from(sequence).ok()?;
    match entries.get(next) {
        Some(next) => Some(&next.prev_hash),
        None => (next == entries.len()).then_some(head),
    }
}

/// Writes an empty journal.
pub(super) fn begin(path: &Path, store_id: Uuid) -> Result<Sha256, Error> {
    let header = FileKind::Journal.encode_header(number_of(store_id));
    durable::write_file(path, &header, &Access::from(0o600))?;
    Ok(Sha256::new_with_prefix(header))
}

/// Stores a copy of the bytes that are about to be cut off: no call was made for them, and the copy lets an operator verify that.
pub(super) fn keep_aside(path: &Path, from: u64) -> Result<(), Error> {
    let bytes = durable::read_regular_file(path).map_err(cannot("read", path))?;
    let tail = usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
    let aside = path.with_file_name(format!("journal.torn-at-{from}"));
    Ok(durable::write_file(&aside, tail, &Access::from(0o600))?)
}

/// Whether a file is what a full disk left of [`begin`]: a part of the header, or blocks that were never written. A store with
/// plans had a journal.
fn was_never_begun(path: &Path, bytes: &[u8], store_id: Uuid) -> bool {
    let header = FileKind::Journal.encode_header(number_of(store_id));
    let is_part =
        bytes.len() < header.len() && (header.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0));
    let plans = path.with_file_name("plans");
    is_part
        && std::fs::read_dir(plans)
            .map_or_else(|e| e.kind() == ErrorKind::NotFound, |mut plans| plans.next().is_none())
}

/// Whether an apparently unfinished entry contains a whole one: then a length is wrong, and a call may have been made for the bytes
/// to cut.
fn holds_an_entry(tail: &[u8]) -> bool {
    let is_text = |at: usize| {
        let text = tail.get(at + FRAME_FIXED_LEN..).unwrap_or_default();
        text.starts_with(b"{")
            && serde_json::Deserializer::from_slice(text)
                .into_iter::<Entry>()
                .next()
                .is_some_and(|entry| entry.is_ok())
    };
    // The torn entry's own text may be whole: then its seal is not.
    let first = usize::from(seal::is_torn(tail));
    (first..tail.len()).any(is_text)
}

/// The entry at the beginning of `bytes`; `None` at the end, or at an entry that was never completely written.
fn frame_at(bytes: &[u8]) -> Result<Option<Frame<'_>>, Damage> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FRAME_FIXED_LEN>() else { return Ok(None) };
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let fixed = Fixed::decode(fixed)?;
    let text_len = fixed.header_len as usize;
    let Some(frame) = rest.get(..text_len + fixed.stored_len as usize) else { return Ok(None) };
    // Neither JSON nor a seal ends in a zero byte: these blocks were allocated and never filled.
    if frame.last() == Some(&0) && rest[frame.len()..].iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if fixed.stored_len != fixed.body_len {
        return Err(Damage::Length);
    }
    let (text, seal) = frame.split_at(text_len);
    if fixed.matches(text, seal) { Ok(Some(Frame { text, seal })) } else { Err(Damage::Checksum) }
}

/// Binds a journal to its store: the second half of the store's id, which has the random part.
fn number_of(store_id: Uuid) -> u64 {
    store_id.as_u64_pair().1
}
