//! A consistent copy of a store while other processes write to it.
//!
//! The record of the lake is read once, and the copy is the store at that time. The order of the other copies keeps them consistent
//! with the record:
//!
//! | file | copied | so that |
//! | --- | --- | --- |
//! | `boxseat.duckdb` | before the record | it shows no run that the copied lake lacks; the next `sync` publishes a later run |
//! | `state/calls`, `state/unneeded.json` | before the record | calls that a run commits during the copy are in the lake or in the files |
//! | `state/lake.json` | before the record | the record has the line that it names |
//! | `spool/<n>` | if the record has the run's reservation; the pages last | a sealed spool has all pages |
//! | `state/positions/<n>.json` | after the spools, if the record has the reservation | a planned run has its position |
//! | `lake/_journal`, `state/reclaim/journal` | after the record, before the files that they name | the journal has the head in the anchor and every action of the lake, and its plans exist |
//! | `state/imports` | as recorded | no import is lost or without a record |
//! | `lake` | as recorded | |
//!
//! A file that changed after the record was read makes the copy inconsistent. Then the record is read again, and all files are copied
//! again, except recorded files whose copy is equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use boxseat_output::lake::{RecordSnapshot, RecordedFile};
use boxseat_output::warehouse::FILE_NAME;
use boxseat_reclaim::journal::ANCHOR_FILE;
use boxseat_schemas::run::SyncRun;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{self, Access};
use nix::fcntl::OFlag;

use super::compare::{CHANGED, below_store, check_copy};
use super::manifest::{BackupFile, files_below, is_inside};
use super::{RECORD, access_of_directory};
use crate::error::{CommandError, REFUSED, REMEDY};
use crate::failpoint::reach;
use crate::store::{ANCHOR, IMPORTS, Store};

/// Copies a store into an empty directory. Returns the files by path, the copy as a store, and its runs.
///
/// # Errors
/// Exit 3 for a file that differs from the record although no process writes; exit 75 if the store changes during every attempt; disk.
pub(crate) fn copy_consistently(
    store: &Store,
    destination: &Path,
) -> Result<(Vec<BackupFile>, Store, Vec<SyncRun>), CommandError> {
    let mut copy = Copy { store, destination, taken: BTreeMap::new() };
    for _ in 0..ATTEMPTS {
        match copy.attempt(false) {
            Err(e) if e.exit_code() == REFUSED => {
                tracing::info!("the store changed during the copy: {}", e.lines().join(": "));
            }
            done => return done,
        }
    }
    let _lock = Store::lock(store.root())?;
    for _ in 0..ATTEMPTS {
        let before = store.lake().record_snapshot()?.head;
        match copy.attempt(true) {
            Err(e) if e.exit_code() == REFUSED => {
                // `reclaim` writes without the store's lock.
                if store.lake().record_snapshot()?.head == before {
                    return Err(e.hint(REMEDY));
                }
            }
            done => return done,
        }
    }
    Err(CommandError::try_later("the store changed during each attempt to copy it")
        .hint("start again when `boxseat reclaim` has ended"))
}

/// Copies one regular file from one store into another. Returns its digest and its permission bits; `None` if the file is missing.
///
/// Of a file that grows, only the bytes of its first length are copied. `access` computes the access of the copy from the file's
/// mode. `directories` is the access of directories of the lake.
///
/// # Errors
/// Exit 3 for a symbolic link and a special file; disk.
pub(crate) fn copy_file(
    from: &Path,
    to: &Path,
    path: &str,
    directories: &Access,
    access: impl FnOnce(u32) -> Access,
) -> Result<Option<(FileDigest, u32)>, CommandError> {
    let (from, to) = (&from.join(path), &to.join(path));
    let cannot = |e| CommandError::failed(format!("cannot read {}", from.display()), e);
    let odd = || CommandError::refused(format!("{} is not a plain file", from.display()));
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(from) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) if from.is_symlink() => return Err(odd()),
        Err(e) => return Err(cannot(e)),
    };
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(odd());
    }
    if let Some(parent) = to.parent() {
        durable::create_directory(parent, &access_of_directory(path, directories))?;
    }
    let access = access(metadata.permissions().mode() & 0o777);
    let digest = durable::write_file_by(to, &access, |mut written: &File| {
        FileDigest::of_copy(&mut (&file).take(metadata.len()), &mut written)
            .map_err(|source| boxseat_output::Error::Io { action: "copy", path: from.to_owned(), source })
    })?;
    Ok(Some((digest, access.mode)))
}

struct Copy<'a> {
    store: &'a Store,
    destination: &'a Path,
    /// The files in the destination, by path.
    taken: BTreeMap<String, (FileDigest, u32)>,
}

impl Copy<'_> {
    /// Copies everything. `is_locked`: no `sync` is running.
    ///
    /// # Errors
    /// Exit 3 if the copy is inconsistent.
    fn attempt(&mut self, is_locked: bool) -> Result<(Vec<BackupFile>, Store, Vec<SyncRun>), CommandError> {
        let mut wanted = Wanted::default();
        self.take(FILE_NAME, &mut wanted)?;
        for path in files_below(self.store.root(), CALLS)? {
            self.take(&path, &mut wanted)?;
        }
        self.take(UNNEEDED, &mut wanted)?;
        self.take(ANCHOR, &mut wanted)?;
        let record = self.store.lake().record_snapshot()?;
        reach("backup: recorded");
        self.take_spools(&record, &mut wanted)?;
        self.take_state(&record, &mut wanted)?;
        self.take_recorded(&record, is_locked, &mut wanted)?;
        self.remove_all_but(&wanted.0)?;
        let digests = self.taken.iter().map(|(path, (digest, _))| (path.clone(), digest.clone())).collect();
        let (copy, runs) =
            check_copy(self.destination, self.store.access(), self.store.seals().configured(), &digests)?;
        // The map is sorted by path.
        let files = std::mem::take(&mut self.taken)
            .into_iter()
            .map(|(path, (digest, mode))| BackupFile::new(path, digest, mode))
            .collect();
        Ok((files, copy, runs))
    }

    fn take_spools(&mut self, record: &RecordSnapshot, wanted: &mut Wanted) -> Result<(), CommandError> {
        let mut files = files_below(self.store.root(), "spool")?;
        // The marks (`SEALED`) are copied before the pages, which may grow until the mark exists.
        files.sort_by_key(|path| path.ends_with("/pages.spool"));
        for path in files {
            let number = path.split('/').nth(1).unwrap_or_default();
            let is_reserved = record.files.contains_key(&format!("_runs/{number}.json"));
            // Recorded files are copied with the record.
            if is_reserved && !record.files.contains_key(&format!("../{path}")) {
                self.take(&path, wanted)?;
            }
        }
        Ok(())
    }

    fn take_state(&mut self, record: &RecordSnapshot, wanted: &mut Wanted) -> Result<(), CommandError> {
        self.take_journal(wanted)?;
        for path in files_below(self.store.root(), "state")? {
            let name = path.rsplit('/').next().unwrap_or_default();
            let is_taken = wanted.0.contains(&path);
            let is_of_others = path == ANCHOR
                || [CALLS, IMPORTS].iter().any(|directory| Path::new(&path).starts_with(directory))
                || path == UNNEEDED
                || KEYS.contains(&path.as_str());
            let is_of_a_later_run = path.strip_prefix(POSITIONS).is_some_and(|position| {
                !record.files.contains_key(&format!("_runs/{}", position.trim_start_matches('/')))
            });
            if !(is_taken || is_of_others || is_of_a_later_run || name == "lock" || durable::is_staged(name))
            {
                self.take(&path, wanted)?;
            }
        }
        Ok(())
    }

    /// A new key gets its final name after the anchor names it, so a store with the key has the anchor.
    fn take_journal(&mut self, wanted: &mut Wanted) -> Result<(), CommandError> {
        KEYS.iter().try_for_each(|key| self.take(key, wanted))?;
        self.take(ANCHOR_FILE, wanted)?;
        if wanted.0.contains(ANCHOR_FILE) {
            // The key may have got its final name since the first copy.
            KEYS.iter().try_for_each(|key| self.take(key, wanted))?;
        }
        self.take(JOURNAL, wanted)
    }

    /// Copies the record itself and the recorded files.
    fn take_recorded(
        &mut self,
        record: &RecordSnapshot,
        is_locked: bool,
        wanted: &mut Wanted,
    ) -> Result<(), CommandError> {
        let source = self.store.root().join(RECORD);
        let mode = std::fs::metadata(&source)
            .map_err(|e| CommandError::failed(format!("cannot read {}", source.display()), e))?
            .permissions()
            .mode()
            & 0o777;
        let to = self.destination.join(RECORD);
        durable::write_file(&to, &record.text, &Access { mode, ..self.store.access().clone() })?;
        self.taken.insert(RECORD.to_owned(), (FileDigest::of(&record.text), mode));
        wanted.0.insert(RECORD.to_owned());
        for (path, file) in &record.files {
            let path = below_store(path);
            self.take_as_recorded(&path, file, wanted)?;
            // The check of the copy finds out whether the lake needs a missing file of its own.
            if !wanted.0.contains(&path) && !path.starts_with("lake/") {
                let missing =
                    CommandError::refused(format!("{path} is missing, and boxseat did not remove it"));
                if !is_locked {
                    return Err(missing);
                }
                tracing::warn!("{}; it is missing in the backup too", missing.lines().join(": "));
            }
        }
        self.take_unrecorded(record, wanted)
    }

    /// Copies files of the lake that have no record because they are not part of a table, such as the digest of the published file.
    fn take_unrecorded(&mut self, record: &RecordSnapshot, wanted: &mut Wanted) -> Result<(), CommandError> {
        let lake = self.store.root().join("lake");
        let cannot = |e| CommandError::failed(format!("cannot list {}", lake.display()), e);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&lake).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('_') || name == "_runs" {
                continue;
            }
            let below = format!("lake/{name}");
            match entry.file_type().map_err(cannot)?.is_dir() {
                true => paths.extend(files_below(self.store.root(), &below)?),
                false => paths.push(below),
            }
        }
        for path in paths {
            let is_recorded = record.files.contains_key(path.trim_start_matches("lake/"));
            if !is_recorded && !wanted.0.contains(&path) && !durable::is_staged(&path) {
                self.take(&path, wanted)?;
            }
        }
        Ok(())
    }

    fn take_as_recorded(
        &mut self,
        path: &str,
        file: &RecordedFile,
        wanted: &mut Wanted,
    ) -> Result<(), CommandError> {
        if !is_inside(path) {
            return Err(CommandError::refused(format!(
                "the record names {path:?}, which is outside the store"
            )));
        }
        if self.taken.get(path).is_some_and(|(digest, _)| file.digests.contains(digest)) {
            wanted.0.insert(path.to_owned());
            return Ok(());
        }
        self.take(path, wanted)?;
        match self.taken.get(path) {
            Some((digest, _)) if wanted.0.contains(path) && !file.digests.contains(digest) => {
                Err(CommandError::refused(format!("{path} {CHANGED}")))
            }
            _ => Ok(()),
        }
    }

    /// Copies a file if it exists.
    fn take(&mut self, path: &str, wanted: &mut Wanted) -> Result<(), CommandError> {
        let access = |mode| Access::from(if is_secret(path) { mode & 0o600 } else { mode });
        match copy_file(self.store.root(), self.destination, path, self.store.access(), access)? {
            Some(taken) => {
                self.taken.insert(path.to_owned(), taken);
                wanted.0.insert(path.to_owned());
            }
            None => {
                // An earlier attempt may have found it.
                wanted.0.remove(path);
            }
        }
        Ok(())
    }

    fn remove_all_but(&mut self, wanted: &BTreeSet<String>) -> Result<(), CommandError> {
        let gone: Vec<String> = self.taken.keys().filter(|path| !wanted.contains(*path)).cloned().collect();
        for path in gone {
            let file = self.destination.join(&path);
            std::fs::remove_file(&file)
                .map_err(|e| CommandError::failed(format!("cannot remove {}", file.display()), e))?;
            self.taken.remove(&path);
        }
        Ok(())
    }
}

/// The files that belong to the copy of this attempt.
#[derive(Debug, Default)]
struct Wanted(BTreeSet<String>);

/// Whether a file has a secret key, which only its owner may read.
pub(crate) fn is_secret(path: &str) -> bool {
    KEYS.contains(&path) || path == ERASURE_KEY
}

/// Attempts without the store's lock, and again with it. Two are enough unless retention runs at the same time.
const ATTEMPTS: u32 = 4;

const CALLS: &str = "state/calls";
const UNNEEDED: &str = "state/unneeded.json";
/// The journal's private key: before and after the anchor names it.
const KEYS: [&str; 2] = ["state/reclaim/journal_key.new", "state/reclaim/journal_key"];
/// The key of the hashes that `forget` writes in place of a user.
const ERASURE_KEY: &str = "state/erasure/key";
const JOURNAL: &str = "state/reclaim/journal";
const POSITIONS: &str = "state/positions";
