//! Imported reports on their way into the lake.
//!
//! `import` writes what a report says as one file, `state/imports/<digest>.json`; the next run commits it and removes the file.
//! *Killed* between the commit and the removal: the digest is found in the lake, and the file is removed without being taken in
//! again.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use boxseat_output::durable::{self, Access};
use boxseat_schemas::table::{IMPORTED_EVIDENCE, Rows};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use arrow::array::RecordBatch;

use crate::error::CommandError;

/// What one report says, person by person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// Which report, as `imported_evidence.source` says it.
    pub(crate) source: String,
    pub(crate) imported_at: DateTime<Utc>,
    /// SHA-256 of the report's file.
    pub(crate) file_digest: String,
    /// The newest use by user id.
    pub(crate) evidence: BTreeMap<String, DateTime<Utc>>,
}

impl Import {
    /// Keeps it for the next run.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn keep(&self, store: &Path) -> Result<(), CommandError> {
        let directory = directory(store);
        durable::create_directory(&directory, &Access::from(0o600))?;
        let text = serde_json::to_vec_pretty(self).expect("plain data");
        Ok(durable::write_file(&file(store, &self.file_digest), &text, &Access::from(0o600))?)
    }

    /// Whether a report waits for the next run already.
    pub(crate) fn is_waiting(store: &Path, file_digest: &str) -> bool {
        file(store, file_digest).exists()
    }
}

/// Imports that no run has committed yet.
#[derive(Debug, Default)]
pub(crate) struct PendingImports {
    imports: Vec<Import>,
    files: Vec<(String, PathBuf)>,
}

impl PendingImports {
    /// Reads all of them; those whose digest the lake knows are only to be removed.
    ///
    /// # Errors
    /// Disk, or a file that is not what `import` wrote.
    pub(crate) fn read(store: &Path, known: &HashSet<String>) -> Result<Self, CommandError> {
        let mut all = Self::default();
        let unreadable = |e| CommandError::failed("cannot read the imports that wait", e);
        let entries = match std::fs::read_dir(directory(store)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            other => other.map_err(unreadable)?,
        };
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry.map_err(unreadable)?.path()))
            .collect::<Result<_, CommandError>>()?;
        paths.sort();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
            let digest = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !known.contains(&digest) {
                let text = std::fs::read(&path)
                    .map_err(|e| CommandError::failed(format!("cannot read {}", path.display()), e))?;
                let import = serde_json::from_slice(&text).map_err(|e| {
                    CommandError::failed(format!("{} is damaged", path.display()), e)
                        .hint("remove it and import the report again")
                })?;
                all.imports.push(import);
            }
            all.files.push((digest, path));
        }
        Ok(all)
    }

    /// The rows of the run that commits them; none when nothing waits.
    pub(crate) fn rows(&self, run_number: i64, enterprise_id: &str) -> RecordBatch {
        let mut rows = Rows::new(IMPORTED_EVIDENCE.lake_schema());
        for import in &self.imports {
            for (user_id, at) in &import.evidence {
                rows.text(Some(user_id))
                    .text(Some(&import.source))
                    .time(Some(*at))
                    .time(Some(import.imported_at))
                    .text(Some(&import.file_digest))
                    .text(Some(enterprise_id))
                    .big(Some(run_number))
                    .end();
            }
        }
        rows.take_batch()
    }

    /// Removes the files that the lake has; `committed` are the digests in it.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn remove(&self, committed: &HashSet<String>) -> Result<(), CommandError> {
        for (_, path) in self.files.iter().filter(|(digest, _)| committed.contains(digest)) {
            std::fs::remove_file(path)
                .map_err(|e| CommandError::failed(format!("cannot remove {}", path.display()), e))?;
        }
        Ok(())
    }
}

fn directory(store: &Path) -> PathBuf {
    store.join("state/imports")
}

fn file(store: &Path, digest: &str) -> PathBuf {
    directory(store).join(format!("{digest}.json"))
}
