//! Files of the lake that its newest state does not need.

use std::collections::HashSet;
use std::path::Path;

use boxseat_schemas::table::{LAKE, Table};
use boxseat_storage::durable;
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as StorePath;

use super::active::ActiveFiles;
use super::{Inner, Lake};
use crate::{Error, Result};

/// A file that can be deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unneeded {
    /// The path relative to the lake's root.
    pub path: String,
    /// Why the file is not needed.
    pub kind: UnneededKind,
}

/// Why a file is not needed, except by readers that opened the table before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnneededKind {
    /// A data file that no log names: removed, merged into another, or left by a run that was killed.
    Data,
    /// A part of a log that is covered by a checkpoint.
    Log,
    /// A file that was being written when its writer was killed.
    Staged,
}

impl Lake {
    /// Every file below the tables that the newest table snapshots do not need.
    ///
    /// A run in progress has written files that no log names yet. Callers use this only when every run has ended.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Newer` of the lake.
    pub fn unneeded(&self) -> Result<Vec<Unneeded>> {
        let mut found = Vec::new();
        for table in LAKE {
            self.inner.unneeded_of(table, &mut found)?;
        }
        found.sort();
        Ok(found)
    }

    /// Deletes one of [`Lake::unneeded`]. A file that is missing already is not an error.
    ///
    /// # Errors
    /// `Io`.
    pub fn delete(&self, unneeded: &Unneeded) -> Result<()> {
        if unneeded.kind == UnneededKind::Staged {
            let path = self.inner.directory.join(&unneeded.path);
            return durable::remove_if_there(&path).map_err(Error::io("remove", path));
        }
        let path = self.inner.path(&unneeded.path)?;
        let store = std::sync::Arc::clone(&self.inner.store);
        let deleted = self.inner.wait({
            let path = path.clone();
            async move { store.delete(&path).await }
        });
        match deleted {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map_err(Error::store("delete", path)),
        }
    }
}

impl Inner {
    pub(super) fn unneeded_of(&self, table: &'static Table, found: &mut Vec<Unneeded>) -> Result<()> {
        // Files are listed before the table snapshot is read, so the snapshot names every listed file that is committed in between.
        let listed = self.files_below(table)?;
        let Some(snapshot) = self.snapshot(table)? else { return Ok(()) };
        let active = ActiveFiles::of(self, table, &snapshot)?;
        let root = self.table_root(table)?;
        let mut named = HashSet::new();
        for file in active.iter() {
            named.insert(super::store_path(&file.location(&root)?)?);
        }
        let log = self.path(&format!("{}/_delta_log", table.name))?;
        let is_log = |path: &StorePath| path.prefix_matches(&log);
        let summed_up = listed.iter().filter(|path| is_log(path)).filter_map(checkpoint_version).max();
        for path in &listed {
            let kind = if is_log(path) {
                let is_old =
                    log_version(path).zip(summed_up).is_some_and(|(version, newest)| version < newest);
                is_old.then_some(UnneededKind::Log)
            } else {
                let is_data = path.extension() == Some("parquet") && !named.contains(path);
                is_data.then_some(UnneededKind::Data)
            };
            if let Some(kind) = kind {
                found.push(Unneeded { path: path.to_string(), kind });
            }
        }
        self.staged_of(table, found)
    }

    /// Reads staged files from the disk, because listings of the store do not contain them.
    fn staged_of(&self, table: &Table, found: &mut Vec<Unneeded>) -> Result<()> {
        let directory = self.directory.join(table.name);
        let staged = durable::staged_below(&directory).map_err(Error::io("list", &directory))?;
        let below = |path: &Path| {
            path.strip_prefix(&self.directory).ok().map(|path| path.to_string_lossy().into_owned())
        };
        let staged = staged.iter().filter_map(|path| below(path));
        found.extend(staged.map(|path| Unneeded { path, kind: UnneededKind::Staged }));
        Ok(())
    }

    fn files_below(&self, table: &Table) -> Result<Vec<StorePath>> {
        let directory = self.path(&format!("{}/", table.name))?;
        let store = std::sync::Arc::clone(&self.store);
        let listed =
            self.wait({
                let directory = directory.clone();
                async move {
                    store.list(Some(&directory)).map_ok(|meta| meta.location).try_collect::<Vec<_>>().await
                }
            });
        listed.map_err(Error::store("list", directory))
    }
}

/// The version in the name of a log's file: `00000000000000000012.json`, `….checkpoint.parquet`, `….crc`.
fn log_version(path: &StorePath) -> Option<u64> {
    let (version, _) = path.filename()?.split_once('.')?;
    (version.len() == 20).then(|| version.parse().ok()).flatten()
}

/// The version of a checkpoint that is one complete file. It appears atomically.
fn checkpoint_version(path: &StorePath) -> Option<u64> {
    log_version(path).filter(|_| {
        path.filename().is_some_and(|name| name.ends_with(".checkpoint.parquet") && name.len() == 39)
    })
}
