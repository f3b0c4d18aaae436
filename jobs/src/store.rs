//! The store: a directory with lake, spools, state and the published file. It is bound to one enterprise, and one process at a time
//! writes to it.
//!
//! ```text
//! <store>/boxseat.duckdb   what analysts open
//!         lake/            all snapshots, as Delta tables; lake/_runs/<n>.json reserves run numbers
//!         spool/<n>/       raw pages of recent runs
//!         state/           store.json (id, enterprise), lock, unneeded.json (files of the lake that will be deleted)
//! ```

mod integrity;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxseat_output::lake::{Altered, Lake, Seals};
use boxseat_output::warehouse::FILE_NAME;
use boxseat_pipeline::spool::SpoolDir;
use boxseat_reclaim::journal::JournalKey;
use boxseat_reclaim::journal::Witness;
use boxseat_schemas::RunNumber;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use boxseat_storage::lock::Lock;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{Settings, check_path};
use crate::error::{CommandError, REFUSED};
use crate::lake_witness::{self, LakeLine};
use crate::record_seals::RecordSeals;
use integrity::check_anchor;

pub(crate) use integrity::{ANCHOR, IMPORTS};

/// An open store.
pub(crate) struct Store {
    root: PathBuf,
    access: Access,
    identity: Identity,
    lake: Lake,
    seals: Arc<RecordSeals>,
    /// Why the record does not prove the files of the lake. Set only by [`Store::open_to_repair`].
    record_damage: Option<Altered>,
}

/// `state/store.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    format: u32,
    store_id: Uuid,
    /// Bound by the first sync, never changed.
    enterprise_id: Option<String>,
    /// Whether the record of the lake was begun. A lake without a record is then altered; otherwise an older version wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_record: bool,
}

const FORMAT: u32 = 1;

impl Store {
    /// Creates the missing directories of a store. `access` applies to its data; the state is private.
    ///
    /// # Errors
    /// Permissions, disk.
    pub(crate) fn create_directories(root: &Path, access: &Access) -> Result<(), CommandError> {
        check_path(root)?;
        let create = |directory: &Path, access: &Access| {
            durable::create_directory(directory, access).map_err(|e| {
                CommandError::from(e).hint(format!(
                    "{} must be writable for the user that runs boxseat; --store names another directory",
                    root.display()
                ))
            })
        };
        create(root, access)?;
        create(&root.join("state"), &OWNER_ONLY)
    }

    /// Creates the missing directories of a store and locks it.
    ///
    /// # Errors
    /// As [`Store::create_directories`] and [`Store::lock`].
    pub(crate) fn create_and_lock(root: &Path, access: &Access) -> Result<Lock, CommandError> {
        Self::create_directories(root, access)?;
        Self::lock(root)
    }

    /// Opens the store that this process has locked, or makes the directory a store.
    ///
    /// # Errors
    /// Permissions, disk, or a `store.json` that is damaged or of a newer version.
    pub(crate) fn open_or_create(
        root: &Path,
        access: &Access,
        journal_key: &JournalKey,
        new_id: Uuid,
        _held: &Lock,
    ) -> Result<Self, CommandError> {
        let path = root.join("state/store.json");
        let is_there = path
            .try_exists()
            .map_err(|e| CommandError::failed(format!("cannot read {}", path.display()), e))?;
        if !is_there {
            refuse_missing_identity(root, &path)?;
            let identity =
                Identity { format: FORMAT, store_id: new_id, enterprise_id: None, has_record: false };
            write_identity(&path, &identity)?;
        }
        Self::open(root, access, journal_key)
    }

    /// Opens an existing store.
    ///
    /// # Errors
    /// As [`Store::open_or_create`]; exit 2 if there is no store.
    pub(crate) fn open(root: &Path, access: &Access, journal_key: &JournalKey) -> Result<Self, CommandError> {
        refuse_linked_directories(root)?;
        let identity = read_identity(root)?;
        let seals = Arc::new(RecordSeals::of(root, identity.store_id, journal_key));
        let lake = open_lake(root, access, &seals)?;
        check_anchor(root, &lake, &seals, identity.has_record)?;
        let (root, access) = (root.to_owned(), access.clone());
        Ok(Self { root, access, identity, lake, seals, record_damage: None })
    }

    /// Opens a store whose lake may be altered.
    ///
    /// # Errors
    /// As [`Store::open`], but not for altered files.
    pub(crate) fn open_to_repair(settings: &Settings) -> Result<Self, CommandError> {
        let (root, access) = (&settings.store, &settings.access);
        refuse_linked_directories(root)?;
        let identity = read_identity(root)?;
        let witness = settings.witness_of(identity.store_id);
        witness.as_ref().map_or(Ok(()), Witness::refuse_others)?;
        let seals = Arc::new(RecordSeals::of(root, identity.store_id, &settings.journal_key));
        let (lake, mut damage) = match open_lake(root, access, &seals) {
            Err(boxseat_output::Error::Altered(altered)) => {
                (Lake::open_unrecorded(&root.join("lake"), access.clone())?, Some(altered))
            }
            other => (other?, None),
        };
        if damage.is_none() && identity.has_record && !lake.is_recorded() {
            damage = Some(Altered::new(
                "the record of the lake, lake/_runs/files.log,",
                "is missing: it was removed",
            ));
        }
        if damage.is_none() {
            let checked = check_anchor(root, &lake, &seals, identity.has_record)
                .and_then(|()| witness.map_or(Ok(()), |witness| lake_witness::check(&witness, &lake)));
            damage = match checked.map(|()| lake.reaches_reservations()) {
                Ok(Ok(())) => None,
                Ok(Err(e)) => Some(e.altered().cloned().ok_or_else(|| CommandError::from(e))?),
                Err(e) if e.exit_code() == REFUSED => Some(Altered::new(
                    "the record of the lake",
                    format!("is not valid: {}", e.lines().join(": ")),
                )),
                Err(e) => return Err(e),
            };
        }
        let (root, access) = (root.to_owned(), access.clone());
        Ok(Self { root, access, identity, lake, seals, record_damage: damage })
    }

    /// Locks the store for this process, until the guard is dropped or the process ends in any way.
    ///
    /// # Errors
    /// Exit 75 naming the holder.
    pub(crate) fn lock(root: &Path) -> Result<Lock, CommandError> {
        refuse_linked_directories(root)?;
        let state = root.join("state");
        if state.is_dir() {
            durable::close_to_others(&state).map_err(CommandError::not_closed)?;
        }
        let path = root.join("state/lock");
        Lock::take_here(&path)
            .map_err(|e| CommandError::not_locked(&path, "another boxseat process is using this store", e))
    }

    /// The process that holds the lock of the store, if any.
    pub(crate) fn holder(root: &Path) -> Option<String> {
        boxseat_storage::lock::holder(&root.join("state/lock"))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    pub(crate) fn id(&self) -> Uuid {
        self.identity.store_id
    }

    pub(crate) fn enterprise_id(&self) -> Option<&str> {
        self.identity.enterprise_id.as_deref()
    }

    /// The seals of the lake's record.
    pub(crate) fn seals(&self) -> &RecordSeals {
        &self.seals
    }

    /// Why the record does not prove the files of the lake.
    pub(crate) fn record_damage(&self) -> Option<&Altered> {
        self.record_damage.as_ref()
    }

    /// Whether the record of the lake was ever begun.
    pub(crate) fn had_record(&self) -> bool {
        self.identity.has_record
    }

    /// Stores that the record of the lake was begun.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn note_record(&self) -> Result<(), CommandError> {
        if self.identity.has_record {
            return Ok(());
        }
        let identity = Identity { has_record: true, ..self.identity.clone() };
        write_identity(&self.root.join("state/store.json"), &identity)
    }

    /// Creates a new lake after the old one was moved away.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn begin_new_lake(&mut self, settings: &Settings) -> Result<(), CommandError> {
        self.lake = open_lake(&self.root, &self.access, &self.seals)?;
        self.record_damage = None;
        self.lake.begin_record(self.identity.store_id)?;
        self.anchor_record_as(LakeLine::Begun, settings)?;
        self.note_record()
    }

    /// The spool of a run.
    pub(crate) fn spool(&self, run: RunNumber) -> SpoolDir {
        SpoolDir::of(&self.spools(), run.0)
    }

    /// The directory of all spools.
    pub(crate) fn spools(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// Binds the store to the enterprise of its first sync. A store that is bound to another enterprise is refused by a guard of
    /// the extract.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn bind(&mut self, enterprise_id: &str) -> Result<(), CommandError> {
        if self.identity.enterprise_id.is_none() {
            self.identity.enterprise_id = Some(enterprise_id.to_owned());
            self.identity.has_record = self.lake.is_recorded();
            write_identity(&self.root.join("state/store.json"), &self.identity)?;
        }
        Ok(())
    }
}

fn open_lake(root: &Path, access: &Access, seals: &Arc<RecordSeals>) -> boxseat_output::Result<Lake> {
    Lake::open_sealed(&root.join("lake"), access.clone(), Arc::clone(seals) as Arc<dyn Seals>)
}

/// Refuses a store that has data and no identity. The identity is written before the first run reserves its number.
fn refuse_missing_identity(root: &Path, path: &Path) -> Result<(), CommandError> {
    let missing = |there: &str| {
        let what = format!("{} is missing, but {there} exists: it was removed", path.display());
        let hint = "restore it from a backup of this store; the lake names the store in sync_runs.store_id";
        CommandError::refused(what).hint(hint)
    };
    for directory in ["lake", "spool"] {
        if let Some(name) = names_in(&root.join(directory))?.first() {
            return Err(missing(&format!("{directory}/{name}")));
        }
    }
    let file = root.join(FILE_NAME);
    match file.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(missing(FILE_NAME)),
        Err(e) => Err(CommandError::failed(format!("cannot look for {}", file.display()), e)),
    }
}

/// Refuses a link in the place of a directory into which files are written or moved: they would leave the store.
fn refuse_linked_directories(root: &Path) -> Result<(), CommandError> {
    let mut directories = vec!["damaged".to_owned(), "state".to_owned()];
    for parent in ["state", "state/reclaim"] {
        directories.extend(names_in(&root.join(parent))?.iter().map(|name| format!("{parent}/{name}")));
    }
    // The lock is a file, and its own check names a link in its place.
    for name in directories.into_iter().filter(|name| name != "state/lock") {
        let path = root.join(name);
        if path.is_symlink() && !path.is_file() {
            return Err(CommandError::refused(format!(
                "{} is a symbolic link, and boxseat only writes into directories of the store",
                path.display()
            ))
            .hint("another program made it: remove the link; boxseat creates the directory"));
        }
    }
    Ok(())
}

/// The names in a directory, sorted. Empty if the directory does not exist.
///
/// # Errors
/// Disk.
pub(crate) fn names_in(directory: &Path) -> Result<Vec<String>, CommandError> {
    let unreadable = |e| CommandError::failed(format!("cannot list {}", directory.display()), e);
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut names = entries
        .map(|entry| Ok(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, CommandError>>()?;
    names.sort();
    Ok(names)
}

fn read_identity(root: &Path) -> Result<Identity, CommandError> {
    let path = root.join("state/store.json");
    let text = match durable::read_regular_file(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            refuse_missing_identity(root, &path)?;
            return Err(CommandError::usage(format!("{} is not a boxseat store", root.display()))
                .hint("`boxseat sync` creates one; --store names another directory; to try boxseat without Box: boxseat demo"));
        }
        Err(e) => return Err(CommandError::unreadable(&path, e)),
    };
    let identity: Identity = json::parse(&text).map_err(|e| {
        CommandError::failed(format!("{} is damaged", path.display()), e)
            .hint("restore it from a backup; the lake names the store in sync_runs.store_id")
    })?;
    if identity.format != FORMAT {
        return Err(CommandError::usage(format!(
            "{} has format {}, this version reads {FORMAT}",
            path.display(),
            identity.format
        ))
        .hint("use the boxseat version that wrote it, or a newer one"));
    }
    Ok(identity)
}

fn write_identity(path: &Path, identity: &Identity) -> Result<(), CommandError> {
    let text = serde_json::to_vec_pretty(identity).expect("plain data");
    Ok(durable::write_file(path, &text, &OWNER_ONLY)?)
}

/// Files of the state; their directories get 0700.
const OWNER_ONLY: Access = Access { mode: 0o600, group: None };
