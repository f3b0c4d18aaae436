//! The record of a lake: every file that boxseat wrote to the lake.
//!
//! The record shows that another program removed, replaced, rolled back or added a file, before the file is read.
//!
//! `_runs/files.log` has one line per write: a hash, a seal and a JSON object, separated by blanks. The hash covers the hash of the
//! previous line and the object, so every change, removal or insertion of a line is detected. The seal is computed from the hash with a key
//! ([`Seals`]), so only a program that has the key can write a line. The last seal covers the whole chain, so only this seal is verified.
//! No later line shows that the last line was removed, so the [head](RecordHead) is stored in two more places: the reservation of each run
//! and `state/lake.json`.
//!
//! **Order of a write**: the line `write` with size and SHA-256 is on disk before the file is visible. For files that must not disappear
//! ([`must_stay`]), the line `done` follows. *Killed* between the two: the file exists as recorded, or it does not exist. Data files are
//! not visible before a commit names them, so they get one line `done`. A line `done` reaches the disk with the next `write`, or when the
//! head is stored elsewhere.
//!
//! **The compared file is the file that is read.** A file is compared through a handle, and the [`Stamp`] of the handle is kept. A file
//! that is opened to be read must have that stamp ([`Record::is_compared`]). A later write is announced only while every compared file
//! still has its stamp ([`Record::refuse_changes`]). Therefore boxseat writes nothing that depends on a file that was exchanged for a
//! moment, or on bytes that were changed and restored.
//!
//! Several processes can write. Each process appends under a lock of the file. A reader needs no lock. If it finds a file that the lines
//! read so far do not name, it reads the new lines.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use boxseat_storage::digest::{FileDigest, hex};
use boxseat_storage::durable::{self, Ownership};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use boxseat_schemas::run::RecordHead;

use super::commit_note::CommitNote;
use crate::stamp::Stamp;

mod compare;
mod log;

/// The path of the record below the lake's directory.
pub(crate) const RECORD: &str = "_runs/files.log";

/// A part of the lake differs from what boxseat wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {reason}")]
pub struct Altered {
    /// The table, file or record.
    pub what: String,
    /// The difference.
    pub reason: String,
}

impl Altered {
    /// `what` is the altered table, file or record. `reason` is the difference.
    pub fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { what: what.into(), reason: reason.into() }
    }
}

/// Seals the lines of a record, and verifies seals.
pub trait Seals: std::fmt::Debug + Send + Sync {
    /// Creates the seal of a text. A seal is not empty and has no blanks or line breaks.
    ///
    /// # Errors
    /// The key is missing or cannot seal.
    fn seal(&self, text: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;

    /// Verifies a seal of a text.
    ///
    /// # Errors
    /// The reason why the seal is not valid, as a predicate: `has no valid seal`.
    fn verify(&self, text: &str, seal: &str) -> Result<(), String>;
}

/// The record as it was at one moment, for a copy of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSnapshot {
    /// Its lines, as they are on the disk.
    pub text: Vec<u8>,
    /// The last line.
    pub head: RecordHead,
    /// Every file by its path below the lake. `../` refers to files of the store that are outside the lake.
    pub files: BTreeMap<String, RecordedFile>,
}

/// The record's data about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFile {
    /// The digests that the file may have: two while it is being replaced.
    pub digests: Vec<FileDigest>,
    /// Whether the file must exist. Other files may be missing if no table names them.
    pub must_be_there: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    sequence: u64,
    #[serde(flatten)]
    event: Event,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    /// First line of the file. `continues` is the head of the earlier record that was rewritten to this file.
    Begin { format: u32, store_id: Uuid, continues: Option<RecordHead> },
    /// From now on, the file may exist as described.
    Write {
        path: String,
        #[serde(flatten)]
        digest: FileDigest,
        commit: Option<CommitNote>,
    },
    /// The file exists as described.
    Done {
        path: String,
        #[serde(flatten)]
        digest: FileDigest,
    },
    /// boxseat removed the file.
    Delete { path: String },
}

const FORMAT: u32 = 2;

/// The known data about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// The digest of the last `done`; `None` when the file was only announced.
    done: Option<FileDigest>,
    /// The digest of a `write` that has no `done` yet.
    announced: Option<FileDigest>,
}

/// The open record of one lake. Clones of the lake share it.
#[derive(Debug)]
pub(super) struct Record {
    directory: PathBuf,
    ownership: Ownership,
    /// `None`: lines have no seals, and none is verified.
    seals: Option<Arc<dyn Seals>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The id of the store; `None` if the lake has no record yet.
    begun: Option<Uuid>,
    inode: u64,
    /// The bytes read so far, always up to the end of a line.
    read_to: u64,
    head: RecordHead,
    /// The head at which the file begins. A rewrite removed the earlier lines.
    continues: RecordHead,
    /// The hash of every line of the file, in order.
    hashes: Vec<String>,
    /// The seal of the last line; empty when it has none.
    seal: String,
    /// The last line whose seal was verified, or that this process wrote.
    verified: u64,
    files: BTreeMap<String, Known>,
    /// Files whose content this process has compared, with their state at that time.
    compared: HashMap<String, Compared>,
}

#[derive(Debug)]
struct Compared {
    /// The path of the file on disk. It cannot be derived from the key: if the lake is a link, `..` does not lead to a file next to the
    /// lake.
    at: PathBuf,
    stamp: Stamp,
}

impl Record {
    /// Reads the record of the lake in `directory`. A lake of an older version has no record yet.
    pub(super) fn open(
        directory: &Path,
        ownership: Ownership,
        seals: Option<Arc<dyn Seals>>,
    ) -> Result<Self, RecordError> {
        let record = Self { seals, ..Self::none(directory, ownership) };
        record.read_on(&mut record.lock())?;
        Ok(record)
    }

    /// An empty record. The record on disk is not read.
    pub(super) fn none(directory: &Path, ownership: Ownership) -> Self {
        Self { directory: directory.to_owned(), ownership, seals: None, state: Mutex::new(State::default()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn path(&self) -> PathBuf {
        self.directory.join(RECORD)
    }

    /// The store of this lake; `None` before [`Record::begin`].
    pub(super) fn store_id(&self) -> Option<Uuid> {
        self.lock().begun
    }

    /// The newest line.
    pub(super) fn head(&self) -> RecordHead {
        self.lock().head.clone()
    }

    /// Checks that this record has a line with that number and hash, or that a rewrite removed that line.
    pub(super) fn reaches(&self, head: &RecordHead) -> Result<(), RecordError> {
        let mut state = self.lock();
        self.read_on(&mut state)?;
        if head.sequence > state.head.sequence {
            return Err(Altered::new(
                self.path().display().to_string(),
                format!(
                    "ends at line {}, but this store had written line {}: the lake was rolled back",
                    state.head.sequence, head.sequence
                ),
            )
            .into());
        }
        if head.sequence == 0 || head.sequence < state.continues.sequence {
            return Ok(());
        }
        if state.hash_of(head.sequence) == Some(head.hash.as_str()) {
            return Ok(());
        }
        Err(Altered::new(
            self.path().display().to_string(),
            format!("has another line {} than this store wrote", head.sequence),
        )
        .into())
    }

    /// Starts the record with the existing files, which the caller has verified.
    pub(super) fn begin(&self, store_id: Uuid, files: Vec<(String, FileDigest)>) -> Result<(), RecordError> {
        let begin = Event::Begin { format: FORMAT, store_id, continues: None };
        let files = files.into_iter().map(|(path, digest)| Event::Done { path, digest });
        self.rewrite(RecordHead::default(), std::iter::once(begin).chain(files).collect())
    }

    /// Records a file before it becomes visible. Fails if a compared file has changed, because the new file depends on the compared files.
    pub(super) fn announce(
        &self,
        path: &str,
        digest: FileDigest,
        commit: Option<CommitNote>,
    ) -> Result<(), RecordError> {
        self.refuse_changes()?;
        self.append(vec![Event::Write { path: path.to_owned(), digest, commit }], Durable::Now)
    }

    /// Records a file that is in place.
    pub(super) fn done(&self, path: &str, digest: FileDigest) -> Result<(), RecordError> {
        self.append(vec![Event::Done { path: path.to_owned(), digest }], Durable::Later)
    }

    /// Records that boxseat removed files.
    pub(super) fn deleted(&self, paths: &[String]) -> Result<(), RecordError> {
        let known = |path: &&String| self.lock().files.contains_key(path.as_str());
        let events: Vec<Event> =
            paths.iter().filter(known).map(|path| Event::Delete { path: path.clone() }).collect();
        self.append(events, Durable::Now)
    }

    /// Waits until all lines are on disk, for callers that store the head elsewhere.
    pub(super) fn sync(&self) -> Result<(), RecordError> {
        match File::open(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            file => Ok(file?.sync_data()?),
        }
    }

    /// The files that must exist below a directory, as paths relative to it.
    pub(super) fn must_be_there(&self, below: &str) -> Vec<String> {
        let state = self.lock();
        let done = state.files.iter().filter(|(path, known)| known.done.is_some() && must_stay(path));
        done.filter_map(|(path, _)| path.strip_prefix(below).map(str::to_owned)).collect()
    }

    /// Reads the lines that other processes added.
    pub(super) fn refresh(&self) -> Result<(), RecordError> {
        self.read_on(&mut self.lock())
    }

    /// The possible digests of a file: the last recorded one, and the announced one.
    pub(super) fn digests(&self, path: &str) -> Vec<FileDigest> {
        let state = self.lock();
        state
            .files
            .get(path)
            .into_iter()
            .flat_map(|known| known.done.iter().chain(&known.announced))
            .cloned()
            .collect()
    }

    /// Every recorded file, with its last digest.
    pub(super) fn all(&self) -> Vec<(String, FileDigest)> {
        let state = self.lock();
        let digest = |known: &Known| known.done.clone().or_else(|| known.announced.clone());
        state.files.iter().filter_map(|(path, known)| Some((path.clone(), digest(known)?))).collect()
    }

    /// Reads the record from disk, independently of what this process has read of it.
    pub(super) fn snapshot(&self) -> Result<RecordSnapshot, RecordError> {
        let mut text = durable::read_regular_file(&self.path())?;
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let mut state = State::default();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.take_line(&mut state, line)?;
        }
        self.verify(&state)?;
        let files = state.files.into_iter().filter(|(path, _)| !path.starts_with(ROWS));
        let files = files.map(|(path, known)| {
            let must_be_there = known.done.is_some() && must_stay(&path);
            let digests = known.done.into_iter().chain(known.announced).collect();
            (path, RecordedFile { digests, must_be_there })
        });
        Ok(RecordSnapshot { text, head: state.head, files: files.collect() })
    }
}

/// When a line must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durable {
    /// Before the file of the line is changed.
    Now,
    /// With the next line. Until then the file counts as announced.
    Later,
}

/// Why the record does not let a file be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("{0}")]
    Altered(#[from] Altered),
    #[error("the record of the lake's files could not be read or written")]
    Io(#[from] io::Error),
    #[error("the record of the lake's files cannot be sealed")]
    Seal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Files that must exist until a line says that boxseat removed them. No other file names them: the logs of the tables, reservations of
/// runs, and JSON files next to the lake that wait for the next step.
fn must_stay(path: &str) -> bool {
    path.contains("/_delta_log/")
        || (path.ends_with(".json") && (path.starts_with("_runs/") || path.starts_with("../")))
}

/// The prefix of entries about rows. Such an entry has no file.
pub(super) const ROWS: &str = "rows:";

/// The stamp of a file before its first byte is read, and its digest.
fn stamped_digest(file: &File) -> io::Result<(Stamp, FileDigest)> {
    let stamp = Stamp::settled(file)?;
    Ok((stamp, FileDigest::of_handle(file)?))
}

/// The name of a file in messages.
fn file_name(path: &str) -> String {
    match path.strip_prefix("../") {
        Some(below_store) => format!("the file {below_store}"),
        None => format!("the file lake/{path}"),
    }
}

/// The message for a file that the record does not contain. If the record was replaced by an older one, this is the first symptom.
pub const NOT_ON_RECORD: &str =
    "is not on the record lake/_runs/files.log: boxseat did not write it, or an older record was restored";

#[cfg(test)]
mod fuzz {
    use super::*;

    fn read(bytes: &[u8]) -> Result<State, String> {
        let mut state = State::default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            state.take(line)?;
        }
        Ok(state)
    }

    /// A changed record is refused, ends before the head that the store keeps elsewhere, or has the same content.
    #[test]
    fn fuzz_lake_record() {
        let done =
            |path: &str| Event::Done { path: path.to_owned(), digest: FileDigest::of(path.as_bytes()) };
        let events = vec![
            Event::Begin { format: FORMAT, store_id: Uuid::from_u128(7), continues: None },
            done("_runs/000000000001.json"),
            Event::Write {
                path: "users/_delta_log/0.json".into(),
                digest: FileDigest::of(b"c"),
                commit: None,
            },
            done("users/_delta_log/0.json"),
            Event::Delete { path: "_runs/000000000001.json".into() },
        ];
        let record = Record::none(
            Path::new(""),
            boxseat_storage::durable::Access::from(0o640).resolve().expect("no group"),
        );
        let text = record.lines(&mut RecordHead::default(), events).expect("it has no seals");
        let truth = read(text.as_bytes()).expect("the corpus is whole");
        boxseat_fuzz::run_over("lake_record", vec![text.into_bytes()], |input| match read(input.mutated) {
            Ok(state) if state.head == truth.head && state.files != truth.files => {
                Err(format!("accepted as {:?}", state.files))
            }
            Ok(state) if state.head != truth.head && state.head.sequence >= truth.head.sequence => {
                Err(format!("another line {} was accepted", state.head.sequence))
            }
            _ => Ok(()),
        });
    }
}
