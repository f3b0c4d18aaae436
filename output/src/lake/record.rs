//! The record of a lake: every file that boxseat wrote to the lake.
//!
//! With it, a file that another program removed, replaced, rolled back or added is found before it is read.
//!
//! `_runs/files.log` has one line per write: a hash, a seal and a JSON object, separated by blanks. The hash covers the hash of the
//! previous line and the object, so every change, removal or insertion of a line is detected. The seal is computed from the hash with a key
//! ([`Seals`]), so only a program that has the key can write a line. The last seal covers the whole chain, and only this seal is verified.
//! The last line has no successor. The [head](RecordHead) is therefore stored in two more places: the reservation of each run and
//! `state/lake.json`.
//!
//! **Order of a write**: the line `write` with size and SHA-256 is on disk before the file is visible. For files that must not disappear
//! ([`must_stay`]), the line `done` follows. *Killed* between the two: the file exists as recorded, or it does not exist. Data files are
//! not visible before a commit names them, so they get one line `done`. A line `done` reaches the disk with the next `write`, or when the
//! head is stored elsewhere.
//!
//! **The compared file is the file that is read.** A file is compared through a handle, and the [`Stamp`] of the handle is kept. A file
//! that is opened to be read must have that stamp ([`Record::is_compared`]). A later write is announced only while every compared file
//! still has its stamp ([`Record::refuse_changes`]). Therefore boxseat writes nothing that depends on another file that has the name for a
//! moment, or on bytes that are written and restored.
//!
//! Several processes write: each of them appends under a lock of the file. A reader needs no lock. It reads further lines when it finds a
//! file that it does not know.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use boxseat_storage::durable::{self, Ownership};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use boxseat_schemas::run::RecordHead;

use super::commit_note::CommitNote;
use super::digest::{FileDigest, hex};
use crate::stamp::Stamp;

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
    /// Creates a seal of a text: no blanks, no line breaks, and never empty.
    ///
    /// # Errors
    /// The key is missing or cannot seal.
    fn seal(&self, text: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;

    /// Verifies a seal of a text.
    ///
    /// # Errors
    /// Why it is not valid, as a predicate.
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
    /// The contents that the file may have: two while it is replaced.
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
    /// First line of the file. `continues` is the head of the record that it sums up.
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
    /// `None` in a lake that no version with a record has written to.
    begun: Option<Uuid>,
    inode: u64,
    /// Bytes read so far: all whole lines.
    read_to: u64,
    head: RecordHead,
    /// The head that the file begins with: earlier lines were summed up.
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
    /// The path of the file. The lake may be a link, and `..` then does not lead to a file next to the lake.
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

    /// No record, whatever files are on disk.
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

    /// Checks that this record has a line with that number and hash, or sums it up.
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

    /// Announces a file that will become visible and that depends on the compared files.
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

    /// Compares a file with its line, once per process.
    ///
    /// # Errors
    /// [`RecordError::Altered`] for a file with other content, and for a file that boxseat did not write.
    pub(super) fn compare(&self, path: &str) -> Result<(), RecordError> {
        // Another process may have replaced the file while it was read.
        self.compare_once(path).or_else(|_| self.compare_once(path))
    }

    fn compare_once(&self, path: &str) -> Result<(), RecordError> {
        {
            let state = self.lock();
            if state.begun.is_none() || state.compared.contains_key(path) {
                return Ok(());
            }
        }
        let at = self.directory.join(path);
        let opened = durable::open_regular_file(&at);
        let (stamp, on_disk) = match opened.and_then(|file| stamped_digest(&file)) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.missing(path),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Altered::new(file_name(path), error.to_string()).into());
            }
            Err(error) => return Err(error.into()),
        };
        self.compare_digest(path, Compared { at, stamp }, &on_disk)
    }

    /// Compares an open file with its line. The file may be outside the lake: `at` is its path.
    ///
    /// # Errors
    /// As [`Record::compare`].
    pub(super) fn compare_handle(&self, path: &str, at: &Path, file: &File) -> Result<(), RecordError> {
        let (stamp, on_disk) = stamped_digest(file)?;
        self.compare_digest(path, Compared { at: at.to_owned(), stamp }, &on_disk)
    }

    fn compare_digest(
        &self,
        path: &str,
        compared: Compared,
        on_disk: &FileDigest,
    ) -> Result<(), RecordError> {
        let mut state = self.lock();
        if !state.is_known(path, on_disk) {
            self.read_on(&mut state)?;
        }
        if state.is_known(path, on_disk) {
            state.compared.insert(path.to_owned(), compared);
            return Ok(());
        }
        let reason =
            match state.files.get(path).and_then(|known| known.done.as_ref().or(known.announced.as_ref())) {
                None => NOT_ON_RECORD.to_owned(),
                Some(written) if written.size_bytes != on_disk.size_bytes => {
                    format!("has {} bytes, boxseat wrote {}", on_disk.size_bytes, written.size_bytes)
                }
                Some(_) => "has another content than boxseat wrote".to_owned(),
            };
        Err(Altered::new(file_name(path), reason).into())
    }

    /// Whether the record was begun. Without a record nothing is compared.
    pub(super) fn is_begun(&self) -> bool {
        self.lock().begun.is_some()
    }

    /// Compares the digest of bytes that were read of a file with the lines of the file.
    ///
    /// # Errors
    /// As [`Record::compare`].
    pub(super) fn compare_bytes(&self, path: &str, read: &FileDigest) -> Result<(), RecordError> {
        let mut state = self.lock();
        if !state.is_known(path, read) {
            self.read_on(&mut state)?;
        }
        if state.is_known(path, read) {
            return Ok(());
        }
        Err(Altered::new(file_name(path), "was changed or replaced while it was read").into())
    }

    /// Whether an open file is the one that was compared, without a write to it since. If it is not, the next call compares it again.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(super) fn is_compared(&self, path: &str, file: &File) -> Result<bool, RecordError> {
        let stamp = Stamp::of(&file.metadata()?);
        let mut state = self.lock();
        // Without a record nothing is compared.
        let is_compared =
            state.begun.is_none() || state.compared.get(path).is_some_and(|compared| compared.stamp == stamp);
        if !is_compared {
            state.compared.remove(path);
        }
        Ok(is_compared)
    }

    /// Removes the result of the comparison of a file.
    pub(super) fn compare_anew(&self, path: &str) {
        self.lock().compared.remove(path);
    }

    /// Refuses when a compared file was written to or replaced since. Lines of the record identify files that boxseat itself replaced or
    /// removed.
    ///
    /// # Errors
    /// [`RecordError::Altered`] naming the file; errors of the disk.
    pub(super) fn refuse_changes(&self) -> Result<(), RecordError> {
        let Err(path) = self.unchanged()? else { return Ok(()) };
        self.refresh()?;
        if !self.lock().compared.contains_key(&path) {
            return self.refuse_changes();
        }
        Err(Altered::new(file_name(&path), "was changed or replaced while it was read").into())
    }

    /// The first file whose stamp differs from the stamp at its comparison.
    fn unchanged(&self) -> Result<Result<(), String>, RecordError> {
        let state = self.lock();
        for (path, Compared { at, stamp }) in &state.compared {
            match std::fs::metadata(at) {
                Ok(now) if Stamp::of(&now) == *stamp => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => return Ok(Err(path.clone())),
            }
        }
        Ok(Ok(()))
    }

    /// The result for a missing file: boxseat never wrote it, boxseat removed it, or another program removed it.
    fn missing(&self, path: &str) -> Result<(), RecordError> {
        self.refresh()?;
        match self.lock().files.get(path) {
            Some(known) if known.done.is_some() => {
                Err(Altered::new(file_name(path), "is missing: it was removed").into())
            }
            _ => Ok(()),
        }
    }

    /// Files below a directory that must exist, without that directory's name.
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

    /// Verifies the seal of the last line, which covers all lines before it.
    fn verify(&self, state: &State) -> Result<(), RecordError> {
        let Some(seals) = self.seals.as_ref().filter(|_| state.begun.is_some()) else { return Ok(()) };
        seals.verify(&state.head.hash, &state.seal).map_err(|reason| {
            let what = format!("line {} of {}", state.head.sequence, self.path().display());
            Altered::new(what, reason).into()
        })
    }

    fn take_line(&self, state: &mut State, line: &[u8]) -> Result<(), RecordError> {
        state.take(line).map_err(|reason| {
            let what = format!("line {} of {}", state.hashes.len() + 1, self.path().display());
            Altered::new(what, reason).into()
        })
    }

    /// Rewrites the record when most of its lines are about removed files. Returns whether it did.
    pub(super) fn sum_up(&self) -> Result<bool, RecordError> {
        let (head, events) = {
            let mut state = self.lock();
            self.read_on(&mut state)?;
            let Some(store_id) = state.begun else { return Ok(false) };
            let lines = state.hashes.len();
            if lines < LINES_BEFORE_SUMMING_UP || lines < 3 * state.files.len() {
                return Ok(false);
            }
            let head = state.head.clone();
            let mut events = vec![Event::Begin { format: FORMAT, store_id, continues: Some(head.clone()) }];
            for (path, known) in &state.files {
                let path = || path.clone();
                events.extend(known.done.clone().map(|digest| Event::Done { path: path(), digest }));
                let announced = known.announced.clone();
                events.extend(announced.map(|digest| Event::Write { path: path(), digest, commit: None }));
            }
            (head, events)
        };
        self.rewrite(head, events)?;
        Ok(true)
    }

    /// Replaces the file. A process that waits for the lock of the old file opens the new one.
    fn rewrite(&self, from: RecordHead, events: Vec<Event>) -> Result<(), RecordError> {
        let mut state = self.lock();
        let held = self.locked()?;
        self.read_on(&mut state)?;
        if state.head != from {
            return Err(RecordError::Io(io::Error::other(
                "another process wrote to the lake at the same time",
            )));
        }
        let mut head = from.clone();
        let text = self.lines(&mut head, events)?;
        let staged = durable::Staged::create(&self.path(), self.ownership)?;
        staged.write_at(text.as_bytes(), 0)?;
        staged.replace()?;
        drop(held);
        *state = State { compared: std::mem::take(&mut state.compared), ..State::default() };
        self.read_on(&mut state)
    }

    fn append(&self, events: Vec<Event>, durable: Durable) -> Result<(), RecordError> {
        let mut state = self.lock();
        if events.is_empty() || state.begun.is_none() {
            return Ok(());
        }
        let mut held = self.locked()?;
        self.read_on(&mut state)?;
        let text = self.lines(&mut state.head.clone(), events)?;
        // Removes the incomplete line of a killed process.
        held.set_len(state.read_to)?;
        held.seek(SeekFrom::End(0))?;
        held.write_all(text.as_bytes())?;
        if durable == Durable::Now {
            held.sync_data()?;
        }
        // Under the lock: this process wrote these lines, so they need no verification.
        self.read_lines(&mut state)?;
        state.verified = state.head.sequence;
        Ok(())
    }

    fn lines(&self, head: &mut RecordHead, events: Vec<Event>) -> Result<String, RecordError> {
        let mut text = String::new();
        for event in events {
            let line = Line { sequence: head.sequence + 1, event };
            let json = serde_json::to_string(&line).expect("plain data");
            let hash = chained(&head.hash, &json);
            let seal = self.seals.as_ref().map(|seals| seals.seal(&hash)).transpose();
            let seal = seal.map_err(RecordError::Seal)?.map(|seal| format!("{seal} ")).unwrap_or_default();
            text.push_str(&format!("{hash} {seal}{json}\n"));
            *head = RecordHead { sequence: line.sequence, hash };
        }
        Ok(text)
    }

    /// The file under its lock.
    fn locked(&self) -> io::Result<File> {
        loop {
            durable::create_directories(self.path().parent().unwrap_or(&self.directory), self.ownership)?;
            let is_new = !self.path().exists();
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
                .open(self.path())?;
            if is_new {
                self.ownership.apply(&file, &self.path())?;
            }
            file.lock()?;
            // The file may have been replaced during the wait.
            if std::fs::metadata(self.path())
                .is_ok_and(|now| Some(now.ino()) == file.metadata().map(|m| m.ino()).ok())
            {
                return Ok(file);
            }
        }
    }

    /// Reads the lines that this process has not read, and verifies the last seal.
    fn read_on(&self, state: &mut State) -> Result<(), RecordError> {
        self.read_lines(state)?;
        // Lines that were refused are refused again.
        if state.verified != state.head.sequence {
            self.verify(state)?;
            state.verified = state.head.sequence;
        }
        Ok(())
    }

    /// Reads the lines that this process has not read.
    fn read_lines(&self, state: &mut State) -> Result<(), RecordError> {
        let mut file = match durable::open_regular_file(&self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if state.begun.is_some() {
                    return Err(Altered::new(self.path().display().to_string(), "is missing").into());
                }
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Altered::new(self.path().display().to_string(), error.to_string()).into());
            }
            Err(error) => return Err(error.into()),
        };
        let meta = file.metadata()?;
        let was_begun = state.begun.is_some();
        if meta.ino() != state.inode {
            *state = State {
                inode: meta.ino(),
                compared: std::mem::take(&mut state.compared),
                ..State::default()
            };
        }
        if meta.len() < state.read_to {
            return Err(Altered::new(self.path().display().to_string(), "is shorter than it was").into());
        }
        file.seek(SeekFrom::Start(state.read_to))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A line without its end is being written now, or its writer was killed.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            self.take_line(state, line)?;
        }
        if was_begun && state.begun.is_none() {
            return Err(Altered::new(self.path().display().to_string(), "is empty").into());
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
        let (hash, rest) = text.trim_end_matches('\n').split_once(' ').ok_or("cannot be read")?;
        let (seal, json) = match rest.starts_with('{') {
            true => ("", rest),
            false => rest.split_once(' ').ok_or("cannot be read")?,
        };
        let line: Line = serde_json::from_str(json).map_err(|_| "cannot be read")?;
        if let Event::Begin { format, store_id, continues } = &line.event {
            if !self.hashes.is_empty() {
                return Err("begins the record a second time".to_owned());
            }
            if *format != FORMAT {
                return Err(format!("has format {format}, this version reads {FORMAT}"));
            }
            self.begun = Some(*store_id);
            self.head = continues.clone().unwrap_or_default();
            self.continues = self.head.clone();
        }
        if self.begun.is_none() {
            return Err("does not begin the record".to_owned());
        }
        if line.sequence != self.head.sequence + 1 || hash != chained(&self.head.hash, json) {
            return Err("does not follow the line before it".to_owned());
        }
        self.head = RecordHead { sequence: line.sequence, hash: hash.to_owned() };
        self.hashes.push(hash.to_owned());
        seal.clone_into(&mut self.seal);
        self.read_to += bytes.len() as u64;
        match line.event {
            Event::Begin { .. } => {}
            Event::Write { path, digest, .. } => {
                self.compared.remove(&path);
                self.files.entry(path).or_insert(Known { done: None, announced: None }).announced =
                    Some(digest);
            }
            Event::Done { path, digest } => {
                self.files.insert(path, Known { done: Some(digest), announced: None });
            }
            Event::Delete { path } => {
                self.compared.remove(&path);
                self.files.remove(&path);
            }
        }
        Ok(())
    }

    /// The hash of a line of the file, or of the last line that the file sums up.
    fn hash_of(&self, sequence: u64) -> Option<&str> {
        match sequence.checked_sub(self.continues.sequence)? {
            0 => Some(&self.continues.hash),
            after => self.hashes.get(usize::try_from(after - 1).ok()?).map(String::as_str),
        }
    }

    fn is_known(&self, path: &str, digest: &FileDigest) -> bool {
        // Lines whose seal was refused prove nothing.
        let is_verified = self.verified == self.head.sequence;
        self.files.get(path).filter(|_| is_verified).is_some_and(|known| {
            known.done.as_ref() == Some(digest) || known.announced.as_ref() == Some(digest)
        })
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

/// Files that boxseat never removes without a line, and that no other file names: the logs of the tables, reservations of runs, and files
/// next to the lake that wait for the next step.
fn must_stay(path: &str) -> bool {
    path.contains("/_delta_log/")
        || (path.ends_with(".json") && (path.starts_with("_runs/") || path.starts_with("../")))
}

/// The prefix of entries about rows. Such an entry has no file.
pub(super) const ROWS: &str = "rows:";

/// A digest, and the stamp before the first byte was read.
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

fn chained(previous: &str, json: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(previous.as_bytes());
    digest.update(b"\n");
    digest.update(json.as_bytes());
    hex(&digest.finalize())
}

/// The message for a file that the record does not contain. If the record was replaced by an older one, this is the first symptom.
pub const NOT_ON_RECORD: &str =
    "is not on the record lake/_runs/files.log: boxseat did not write it, or an older record was restored";

/// With fewer lines, a rewrite costs more time than reading the record.
const LINES_BEFORE_SUMMING_UP: usize = 2_000;

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
