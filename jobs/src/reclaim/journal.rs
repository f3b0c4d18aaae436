//! The action journal on disk: `<store>/state/reclaim/journal`, readable by its owner alone.
//!
//! It is a file of frames as the spool is ([`boxseat_schemas::spool`]), the entry as the frame's header, without a body, and with
//! a mark of its own. [`Journal::append`] returns when the entry survives a power cut: whatever is said to have been written down
//! before a call was.
//!
//! **Killed** while an entry is written: its frame ends past the end of the file, or in the noughts of blocks that were never
//! written. Nobody acted on it, so [`Journal::open`] cuts it off. Anything else that is wrong, the last frame's checksum
//! included, is corruption: every command fails until an operator has checked the file.
//!
//! **A file shorter than its header** was left by a full disk when the journal was begun: no entry was ever acknowledged. It is begun
//! again if the store has no plan either. The lake's rows are compared in any case (`seat_actions::reaches`), so a journal that was
//! emptied later is still refused.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use boxseat_output::durable::{self, Access};
use boxseat_schemas::reclaim::{Entry, Record};
use boxseat_schemas::spool::{Damage, FILE_HEADER_LEN, FRAME_FIXED_LEN, FileKind, Fixed};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::past::Past;
use crate::error::CommandError;
use crate::evidence::digest;
use crate::store;

/// The journal, and what it says.
pub(crate) struct Journal {
    disk: Disk,
    entries: Vec<Entry>,
    /// SHA-256 of the last entry as it lies on disk.
    head: String,
    past: Past,
}

enum Disk {
    /// Open for appending; the lock is this process's as long as the journal lives.
    Open { path: PathBuf, file: File, len: u64, _lock: ReclaimLock },
    /// For looking only.
    Read,
    /// In memory alone: simulated worlds by the thousand.
    #[cfg(test)]
    Memory,
}

impl Journal {
    /// Opens the journal to go on with it; one that is not there yet is begun.
    ///
    /// # Errors
    /// Exit 3 for damage, a broken chain, or another store's journal; exit 1 for the disk.
    pub(crate) fn open(root: &Path, store_id: Uuid, lock: ReclaimLock) -> Result<Self, CommandError> {
        let path = path(root);
        let mut read = read(&path, store_id)?;
        if read.len == 0 {
            begin(&path, store_id)?;
            read.len = FILE_HEADER_LEN as u64;
        }
        let file = OpenOptions::new().append(true).open(&path).map_err(cannot("open", &path))?;
        let len = file.metadata().map_err(cannot("measure", &path))?.len();
        if len > read.len {
            keep_aside(&path, read.len)?;
            tracing::warn!(path = %path.display(), torn_bytes = len - read.len, "the journal's last entry was torn, so nothing was done on it; it is cut off");
            file.set_len(read.len).and_then(|()| file.sync_all()).map_err(cannot("mend", &path))?;
        }
        let disk = Disk::Open { path, file, len: read.len, _lock: lock };
        Ok(Self { disk, ..Self::over(read) })
    }

    /// Reads the journal without taking it; a store that never reclaimed has an empty one.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub(crate) fn read(root: &Path, store_id: Uuid) -> Result<Self, CommandError> {
        Ok(Self::over(read(&path(root), store_id)?))
    }

    /// One that no disk ever sees.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self { disk: Disk::Memory, ..Self::over(Contents::default()) }
    }

    fn over(read: Contents) -> Self {
        let past = Past::of(&read.entries);
        Self { disk: Disk::Read, entries: read.entries, head: read.head, past }
    }

    /// Writes an entry down for good.
    ///
    /// # Errors
    /// Exit 1 when the disk refuses: then nothing may be done that the entry was to announce.
    pub(crate) fn append(&mut self, at: DateTime<Utc>, record: Record) -> Result<&Entry, CommandError> {
        let entry = Entry { sequence: self.sequence() + 1, at, prev_hash: self.head.clone(), record };
        let text = serde_json::to_vec(&entry).expect("an entry is plain data");
        match &mut self.disk {
            Disk::Read => return Err(CommandError::refused("the journal was opened for reading alone")),
            #[cfg(test)]
            Disk::Memory => {}
            Disk::Open { path, file, len, .. } => {
                let mut frame = Fixed::of(&text, &[], 0).encode().to_vec();
                frame.extend_from_slice(&text);
                if let Err(e) = file.write_all(&frame).and_then(|()| file.sync_data()) {
                    // Best effort: if the cut fails too, the next open finds the torn entry and cuts it.
                    let _ = file.set_len(*len);
                    return Err(cannot("append to", path)(e));
                }
                *len += frame.len() as u64;
            }
        }
        self.head = digest(&text);
        self.past.take(&entry);
        self.entries.push(entry);
        Ok(self.entries.last().expect("it was just put there"))
    }

    /// Everything that happened, in order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What it all comes to.
    pub(crate) fn past(&self) -> &Past {
        &self.past
    }

    /// The number of the last entry; 0 of an empty journal.
    pub(crate) fn sequence(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.sequence)
    }

    /// The hash of the last entry: whoever keeps it can tell later that nothing before was changed (R9).
    pub(crate) fn head(&self) -> &str {
        &self.head
    }
}

/// One process reclaims at a time (R17); `sync` has a lock of its own and may run beside it.
pub(crate) struct ReclaimLock {
    _lock: store::Lock,
}

impl ReclaimLock {
    /// Takes the right to reclaim from this store.
    ///
    /// # Errors
    /// Exit 75 naming the holder.
    pub(crate) fn take(root: &Path) -> Result<Self, CommandError> {
        let directory = directory(root);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(cannot("create", &directory))?;
        let lock = store::lock_file(&directory.join("lock"), "another boxseat reclaims from this store")?;
        Ok(Self { _lock: lock })
    }
}

/// Where reclamation keeps what it knows.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join("state/reclaim")
}

fn path(root: &Path) -> PathBuf {
    directory(root).join("journal")
}

/// What lies on disk, as far as it is whole.
struct Contents {
    entries: Vec<Entry>,
    head: String,
    /// 0: the journal is still to be begun.
    len: u64,
}

impl Default for Contents {
    fn default() -> Self {
        Self { entries: Vec::new(), head: "0".repeat(64), len: 0 }
    }
}

fn begin(path: &Path, store_id: Uuid) -> Result<(), CommandError> {
    let header = FileKind::Journal.encode_header(number_of(store_id));
    Ok(durable::write_file(path, &header, &Access::from(0o600))?)
}

/// Whether a file is what a full disk left of [`begin`]: a part of the header, or blocks that were never written. A store with plans
/// had a journal.
fn was_never_begun(path: &Path, bytes: &[u8], store_id: Uuid) -> bool {
    let header = FileKind::Journal.encode_header(number_of(store_id));
    let is_part =
        bytes.len() < header.len() && (header.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0));
    let plans = path.with_file_name("plans");
    is_part
        && std::fs::read_dir(plans)
            .map_or_else(|e| e.kind() == ErrorKind::NotFound, |mut plans| plans.next().is_none())
}

fn read(path: &Path, store_id: Uuid) -> Result<Contents, CommandError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) if was_never_begun(path, &bytes, store_id) => return Ok(Contents::default()),
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Contents::default()),
        Err(e) => return Err(cannot("read", path)(e)),
    }
    let damaged = |offset: usize, what: String| {
        CommandError::refused(format!("the journal {} is damaged at byte {offset}: {what}", path.display()))
            .hint("nothing is done to anybody until this is cleared up: compare it with a backup; `boxseat reclaim verify` says how far it can be trusted")
    };
    let Some((header, _)) = bytes.split_first_chunk::<FILE_HEADER_LEN>() else {
        return Err(damaged(0, Damage::NotAJournal.to_string()));
    };
    match FileKind::Journal.decode_header(header) {
        Ok(number) if number == number_of(store_id) => {}
        Ok(_) => {
            return Err(CommandError::refused(format!("{} is the journal of another store", path.display()))
                .hint("a journal belongs to the store it was written in; put this store's own back"));
        }
        Err(e) => return Err(damaged(0, e.to_string())),
    }
    let mut contents = Contents { len: FILE_HEADER_LEN as u64, ..Contents::default() };
    let mut offset = FILE_HEADER_LEN;
    while let Some(frame) = frame_at(&bytes[offset..]).map_err(|e| damaged(offset, e.to_string()))? {
        let entry: Entry =
            serde_json::from_slice(frame).map_err(|e| damaged(offset, format!("{}: {e}", Damage::Header)))?;
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
        contents.head = digest(frame);
        contents.entries.push(entry);
        offset += FRAME_FIXED_LEN + frame.len();
    }
    if holds_an_entry(&bytes[offset..]) {
        return Err(damaged(offset, "an entry has no end, and there are others behind it".to_owned()));
    }
    contents.len = offset as u64;
    Ok(contents)
}

/// Keeps what is about to be cut off: nobody acted on it, but nobody should have to take our word for that.
fn keep_aside(path: &Path, from: u64) -> Result<(), CommandError> {
    let bytes = std::fs::read(path).map_err(cannot("read", path))?;
    let tail = usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
    let aside = path.with_file_name(format!("journal.torn-at-{from}"));
    Ok(durable::write_file(&aside, tail, &Access::from(0o600))?)
}

/// Whether what looks like an entry that was never written to its end holds a whole one: then a length is wrong, and what would be
/// cut off was acted on.
fn holds_an_entry(tail: &[u8]) -> bool {
    let is_text = |at: usize| {
        let text = tail.get(at + FRAME_FIXED_LEN..).unwrap_or_default();
        text.starts_with(b"{")
            && serde_json::Deserializer::from_slice(text)
                .into_iter::<Entry>()
                .next()
                .is_some_and(|entry| entry.is_ok())
    };
    (0..tail.len()).any(is_text)
}

/// The entry at the beginning of `bytes`; `None` at the end, or at one that was never written to its end.
fn frame_at(bytes: &[u8]) -> Result<Option<&[u8]>, Damage> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FRAME_FIXED_LEN>() else { return Ok(None) };
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let fixed = Fixed::decode(fixed)?;
    let Some(text) = rest.get(..fixed.header_len as usize) else { return Ok(None) };
    // JSON never ends in a nought: these blocks were given to the file and never filled.
    if text.last() == Some(&0) && rest[text.len()..].iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if fixed.stored_len != 0 || fixed.body_len != 0 {
        return Err(Damage::Length);
    }
    if fixed.matches(text, &[]) { Ok(Some(text)) } else { Err(Damage::Checksum) }
}

/// What ties a journal to its store: the second half of the store's id, in which the chance lies.
fn number_of(store_id: Uuid) -> u64 {
    store_id.as_u64_pair().1
}

fn cannot(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> CommandError {
    let path = path.to_owned();
    move |e| CommandError::failed(format!("cannot {action} {}", path.display()), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: Uuid = Uuid::from_u128(77);

    fn skip(user: u64) -> Record {
        Record::Skipped {
            plan_id: "p".into(),
            user_id: user.to_string(),
            reason: "changed".into(),
            detail: "the login is another".into(),
            is_final: true,
            used_at: None,
        }
    }

    fn open(root: &Path) -> Result<Journal, CommandError> {
        Journal::open(root, STORE, ReclaimLock::take(root)?)
    }

    fn three_entries() -> (tempfile::TempDir, Vec<u8>, Vec<usize>) {
        let temp = tempfile::tempdir().unwrap();
        let mut ends = vec![FILE_HEADER_LEN];
        let mut journal = open(temp.path()).unwrap();
        for user in 0..3 {
            journal.append(DateTime::from_timestamp(1_772_500_000, 0).unwrap(), skip(user)).unwrap();
            ends.push(std::fs::metadata(path(temp.path())).unwrap().len() as usize);
        }
        let bytes = std::fs::read(path(temp.path())).unwrap();
        (temp, bytes, ends)
    }

    #[test]
    fn r9_what_was_written_is_read_back_and_goes_on() {
        let (temp, _, _) = three_entries();
        let mut journal = open(temp.path()).unwrap();
        assert_eq!((journal.sequence(), journal.entries().len()), (3, 3));
        let head = journal.head().to_owned();
        let entry = journal.append(DateTime::UNIX_EPOCH, skip(9)).unwrap();
        assert_eq!((entry.sequence, &entry.prev_hash), (4, &head));
        assert!(open(temp.path()).is_err_and(|e| e.exit_code() == 75), "one process at a time");
        assert_eq!(Journal::read(temp.path(), STORE).unwrap().head(), journal.head());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path(temp.path())).unwrap().permissions().mode() & 0o777, 0o600);
    }

    /// Why: a kill inside an append must cost that entry alone, wherever it strikes, and the journal must go on.
    #[test]
    fn r9_a_torn_tail_is_cut_off_wherever_it_is_torn() {
        let (temp, bytes, ends) = three_entries();
        for cut in (ends[2]..ends[3]).step_by(7) {
            let mut torn = bytes[..cut].to_vec();
            for zeros in [0, bytes.len() - cut, 5000] {
                torn.truncate(cut);
                torn.resize(cut + zeros, 0);
                std::fs::write(path(temp.path()), &torn).unwrap();
                let mut journal =
                    open(temp.path()).unwrap_or_else(|e| panic!("{cut} {zeros}: {:?}", e.lines()));
                assert_eq!(journal.sequence(), 2, "cut at {cut}, {zeros} noughts");
                journal.append(DateTime::UNIX_EPOCH, skip(7)).unwrap();
                assert_eq!(Journal::read(temp.path(), STORE).unwrap().sequence(), 3);
            }
        }
    }

    /// Why: a full disk left 0 bytes when the journal was begun, and reclamation refused the store ever after.
    #[test]
    fn r9_a_journal_that_was_never_begun_is_begun_again() {
        let header = FileKind::Journal.encode_header(number_of(STORE));
        for left in [&[][..], &header[..1], &header[..FILE_HEADER_LEN - 1], &[0; 5]] {
            let temp = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(directory(temp.path())).unwrap();
            std::fs::write(path(temp.path()), left).unwrap();
            assert_eq!(Journal::read(temp.path(), STORE).unwrap().sequence(), 0);
            let mut journal = open(temp.path()).unwrap_or_else(|e| panic!("{left:?}: {:?}", e.lines()));
            journal.append(DateTime::UNIX_EPOCH, skip(1)).unwrap();
            drop(journal);
            assert_eq!(Journal::read(temp.path(), STORE).unwrap().sequence(), 1);

            // With a plan there was a journal, and other bytes are not ours.
            std::fs::write(path(temp.path()), b"x").unwrap();
            assert!(Journal::read(temp.path(), STORE).is_err_and(|e| e.exit_code() == 3));
            std::fs::create_dir(directory(temp.path()).join("plans")).unwrap();
            std::fs::write(directory(temp.path()).join("plans/p.json"), b"{}").unwrap();
            std::fs::write(path(temp.path()), left).unwrap();
            assert!(open(temp.path()).is_err_and(|e| e.exit_code() == 3), "{left:?}");
        }
    }

    /// Why: whoever changes what was done to people must be found out, the last entry included.
    #[test]
    fn r9_a_changed_byte_is_damage_wherever_it_is() {
        let (temp, bytes, _) = three_entries();
        for at in 0..bytes.len() {
            if (6..8).contains(&at) {
                continue; // reserved
            }
            let mut changed = bytes.clone();
            changed[at] ^= 0x21;
            std::fs::write(path(temp.path()), &changed).unwrap();
            match Journal::read(temp.path(), STORE) {
                Err(e) => assert_eq!(e.exit_code(), 3),
                // A length that now reaches past the end looks torn: the chain then ends earlier, which the head kept elsewhere tells.
                Ok(journal) => assert!(journal.sequence() < 3, "byte {at}"),
            }
        }
    }

    #[test]
    fn r9_an_entry_taken_out_or_made_up_breaks_the_chain() {
        let (temp, bytes, ends) = three_entries();
        let cut = [&bytes[..ends[1]], &bytes[ends[2]..]].concat();
        std::fs::write(path(temp.path()), cut).unwrap();
        assert!(
            Journal::read(temp.path(), STORE).is_err_and(|e| e.lines()[0].contains("entry 3 stands where 2"))
        );
        // A forger who makes the sums right still has to change everything behind.
        let mut entry: Entry = serde_json::from_slice(&bytes[ends[0] + FRAME_FIXED_LEN..ends[1]]).unwrap();
        entry.record = skip(8);
        let text = serde_json::to_vec(&entry).unwrap();
        let forged =
            [&bytes[..ends[0]], &Fixed::of(&text, &[], 0).encode(), &text, &bytes[ends[1]..]].concat();
        std::fs::write(path(temp.path()), forged).unwrap();
        assert!(Journal::read(temp.path(), STORE).is_err_and(|e| e.lines()[0].contains("was changed")));
    }

    /// R7: a store restored beside another must not go on with its journal.
    #[test]
    fn r7_another_store_s_journal_is_refused() {
        let (temp, _, _) = three_entries();
        assert!(Journal::read(temp.path(), Uuid::from_u128(78)).is_err_and(|e| e.exit_code() == 3));
    }
}
