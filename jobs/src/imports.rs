//! Imported reports that are not in the lake yet.
//!
//! `import` writes the evidence of a report to a file, `state/imports/<digest>.json`. The next run commits it and removes the file.
//! *Killed* between the commit and the removal: the lake has the evidence, so the file is removed and not loaded again. A report may be
//! imported again, which adds users whose rows could not be read before, or who were unknown.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use boxseat_output::lake::Lake;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::current;
use boxseat_schemas::table::{IMPORTED_EVIDENCE, Rows};
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use arrow::array::{AsArray, RecordBatch};

use crate::error::CommandError;
use crate::store::{IMPORTS, Store};

/// The evidence of one report, by user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// The kind of report, as in `imported_evidence.source`.
    pub(crate) source: String,
    pub(crate) imported_at: DateTime<Utc>,
    /// SHA-256 of the report's file.
    pub(crate) file_digest: String,
    /// The newest use by user id.
    pub(crate) evidence: BTreeMap<String, DateTime<Utc>>,
}

impl Import {
    /// Stores the evidence for the next run.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn keep(&self, store: &Path, lake: &Lake) -> Result<(), CommandError> {
        let directory = directory(store);
        durable::create_directory(&directory, &Access::from(0o600))?;
        let text = serde_json::to_vec_pretty(self).expect("plain data");
        let (path, digest) = (format!("{IMPORTS}/{}.json", self.file_digest), FileDigest::of(&text));
        lake.note_beside(&path, digest.clone())?;
        durable::write_file(&file(store, &self.file_digest), &text, &Access::from(0o600))?;
        Ok(lake.placed_beside(&path, digest)?)
    }

    /// The evidence of a report that waits for the next run.
    ///
    /// # Errors
    /// Disk, or a file that is not what `import` wrote.
    pub(crate) fn waiting(store: &Path, file_digest: &str) -> Result<Option<Self>, CommandError> {
        let file = file(store, file_digest);
        if file.exists() { Self::read(&file).map(Some) } else { Ok(None) }
    }

    /// Removes the users whose evidence of this report is in the lake.
    pub(crate) fn without(mut self, known: &Known) -> Self {
        self.evidence.retain(|user_id, _| !known.contains(&(self.file_digest.clone(), user_id.clone())));
        self
    }

    fn read(file: &Path) -> Result<Self, CommandError> {
        Ok(Self::read_with_digest(file)?.0)
    }

    /// The import and the digest of the bytes that it was read from: a file that is opened twice can be exchanged in between.
    fn read_with_digest(file: &Path) -> Result<(Self, FileDigest), CommandError> {
        let text = durable::read_regular_file(file)
            .map_err(|e| CommandError::failed(format!("cannot read {}", file.display()), e))?;
        let import = json::parse(&text).map_err(|e| {
            CommandError::failed(format!("{} is damaged", file.display()), e)
                .hint("remove it and import the report again")
        })?;
        Ok((import, FileDigest::of(&text)))
    }
}

/// Evidence in the lake, as pairs of a report's digest and a user id.
pub(crate) type Known = HashSet<(String, String)>;

/// Imports that no run has committed yet.
#[derive(Debug, Default)]
pub(crate) struct PendingImports {
    imports: Vec<Import>,
    files: Vec<PathBuf>,
    known: Known,
}

impl PendingImports {
    /// Reads all waiting imports, without the evidence in the lake.
    ///
    /// # Errors
    /// Disk, or a file that is not what `import` wrote.
    pub(crate) fn read(store: &Store, known: Known) -> Result<Self, CommandError> {
        let mut all = Self { known, ..Self::default() };
        for path in store.imports_waiting()?.into_iter().map(|path| store.root().join(path)) {
            let (import, digest) = Import::read_with_digest(&path)?;
            let import = import.without(&all.known);
            // A file whose evidence is all in the lake only needs removal.
            if !import.evidence.is_empty() {
                store.check_import(&path, &digest)?;
            }
            all.imports.push(import);
            all.files.push(path);
        }
        Ok(all)
    }

    /// Files with evidence that the lake lacks.
    pub(crate) fn with_evidence(&self) -> Vec<PathBuf> {
        let files = self.imports.iter().zip(&self.files);
        files.filter(|(import, _)| !import.evidence.is_empty()).map(|(_, file)| file.clone()).collect()
    }

    /// The rows for the run that commits them.
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

    /// Removes the files whose evidence is all in the lake. `committed` is the evidence that this run added. A file that was written
    /// again after it was read stays for the next run.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn remove(&self, committed: &Known, lake: &Lake) -> Result<(), CommandError> {
        for path in &self.files {
            let left = Import::read(path)?.without(&self.known).without(committed);
            if left.evidence.is_empty() {
                // Recorded first. Killed in between: the file remains, and the lake has its evidence.
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                lake.removed_beside(&[format!("{IMPORTS}/{name}")])?;
                std::fs::remove_file(path)
                    .map_err(|e| CommandError::failed(format!("cannot remove {}", path.display()), e))?;
            }
        }
        Ok(())
    }
}

/// Refuses a published snapshot that lacks imported evidence of use, for commands that change accounts. `shown` is its run.
///
/// # Errors
/// Exit 3 naming the report or the run; disk.
pub(crate) fn refuse_evidence_that_waits(store: &Store, shown: RunNumber) -> Result<(), CommandError> {
    store.refuse_missing_imports()?;
    let runs = store.lake().sync_runs()?;
    let (taken_in, later): (Vec<RunNumber>, Vec<RunNumber>) =
        current(&runs).into_iter().map(|run| run.run_number).partition(|run| *run <= shown);
    if !later.is_empty() && !imported(store, &later)?.is_empty() {
        return Err(CommandError::refused(format!(
            "the published file shows run {shown}, but a later run loaded imported reports"
        ))
        .hint("run `boxseat publish`: it builds the file again from the lake"));
    }
    match waiting(store, &taken_in)?.as_slice() {
        [] => Ok(()),
        [first, others @ ..] => {
            let and_others = match others.len() {
                0 => String::new(),
                count => format!(", and {count} more"),
            };
            Err(CommandError::refused(format!(
                "an imported report waits for its run: {}{and_others}",
                first.display()
            ))
            .hint("run `boxseat sync`, which loads it"))
        }
    }
}

/// Files of imported reports with evidence that these runs did not load.
fn waiting(store: &Store, taken_in: &[RunNumber]) -> Result<Vec<PathBuf>, CommandError> {
    if store.imports_waiting()?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(PendingImports::read(store, imported(store, taken_in)?)?.with_evidence())
}

/// The reports and users whose evidence these runs committed.
pub(crate) fn imported(store: &Store, runs: &[RunNumber]) -> Result<Known, CommandError> {
    let mut known = Known::new();
    for batch in store.lake().scan(&IMPORTED_EVIDENCE, runs, Some(&["file_digest", "user_id"]))? {
        let batch = batch?;
        let column = |name| batch.column_by_name(name).expect("the scan selects it").as_string::<i32>();
        let pairs = column("file_digest").iter().flatten().zip(column("user_id").iter().flatten());
        known.extend(pairs.map(|(digest, user_id)| (digest.to_owned(), user_id.to_owned())));
    }
    Ok(known)
}

fn directory(store: &Path) -> PathBuf {
    store.join(IMPORTS)
}

fn file(store: &Path, digest: &str) -> PathBuf {
    directory(store).join(format!("{digest}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why: a file that was exchanged between its two openings gave evidence that no operator had imported.
    #[test]
    fn an_import_is_parsed_from_the_bytes_that_were_compared() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("report.json");
        let import = Import {
            source: "user_details".to_owned(),
            file_digest: "d".repeat(64),
            imported_at: DateTime::UNIX_EPOCH,
            evidence: [("7".to_owned(), DateTime::UNIX_EPOCH)].into(),
        };
        let text = serde_json::to_vec(&import).unwrap();
        std::fs::write(&file, &text).unwrap();
        assert_eq!(Import::read_with_digest(&file).unwrap(), (import, FileDigest::of(&text)));
    }

    /// A changed import does not have the digest in the lake's record, so `check_import` refuses it.
    #[test]
    fn fuzz_import() {
        boxseat_fuzz::run("import", |input| {
            _ = serde_json::from_slice::<Import>(input.mutated);
            if input.mutated != input.original
                && FileDigest::of(input.mutated) == FileDigest::of(input.original)
            {
                return Err("the changed import has the digest of the original".to_owned());
            }
            Ok(())
        });
    }
}
