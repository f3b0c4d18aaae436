//! `BACKUP.json`: the manifest of a copy. It is written last, so a copy without it is not complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use boxseat_output::lake::RecordHead;
use boxseat_schemas::RunNumber;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::partial::{LOCK, is_partial};
use crate::error::CommandError;

/// The manifest's name in the copy.
pub(crate) const MANIFEST: &str = "BACKUP.json";

const FORMAT: u32 = 1;

/// The store that was copied, and the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    pub(crate) store_id: Uuid,
    pub(crate) enterprise_id: Option<String>,
    pub(crate) made_at: DateTime<Utc>,
    /// The version of boxseat that made the copy.
    pub(crate) version: String,
    /// The newest complete run; `None` in a store without one.
    pub(crate) run_number: Option<RunNumber>,
    pub(crate) snapshot_date: Option<NaiveDate>,
    /// The newest line of the lake's record.
    pub(crate) record: RecordHead,
    /// Sorted by path.
    pub(crate) files: Vec<BackupFile>,
}

/// A file of the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupFile {
    /// Below the store, with `/` between names.
    pub(crate) path: String,
    #[serde(flatten)]
    pub(crate) digest: FileDigest,
    /// Permission bits, in octal digits.
    pub(crate) mode: String,
}

impl BackupFile {
    pub(crate) fn new(path: String, digest: FileDigest, mode: u32) -> Self {
        Self { path, digest, mode: format!("{mode:04o}") }
    }

    /// Permission bits; `None` for a text that is not octal.
    pub(crate) fn mode(&self) -> Option<u32> {
        u32::from_str_radix(&self.mode, 8).ok().filter(|mode| *mode <= 0o777)
    }
}

impl Manifest {
    pub(crate) fn new(
        store_id: Uuid,
        enterprise_id: Option<String>,
        made_at: DateTime<Utc>,
        run: Option<(RunNumber, NaiveDate)>,
        record: RecordHead,
        files: Vec<BackupFile>,
    ) -> Self {
        Self {
            format: FORMAT,
            store_id,
            enterprise_id,
            made_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run_number: run.map(|(number, _)| number),
            snapshot_date: run.map(|(_, date)| date),
            record,
            files,
        }
    }

    /// # Errors
    /// Disk.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), CommandError> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain data");
        text.push(b'\n');
        Ok(durable::write_file(&directory.join(MANIFEST), &text, &Access::from(0o600))?)
    }

    /// Reads the manifest of a copy and compares the names of the files with it.
    ///
    /// # Errors
    /// Exit 2 for a directory that is missing or of a newer version; exit 3 for a copy that is incomplete or altered; disk.
    pub(crate) fn read(directory: &Path) -> Result<Self, CommandError> {
        let path = directory.join(MANIFEST);
        if !directory.is_dir() {
            return Err(CommandError::usage(format!("{} is not a directory", directory.display()))
                .hint("name a directory that `boxseat backup` made"));
        }
        if is_partial(directory) {
            return Err(refused(format!("{} is an unfinished backup", directory.display())));
        }
        let text = match durable::read_regular_file(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(format!(
                    "{} has no {MANIFEST}: it is not a complete backup",
                    directory.display()
                )));
            }
            Err(e) => return Err(CommandError::failed(format!("cannot read {}", path.display()), e)),
        };
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let damaged = |e| refused(format!("{} is damaged", path.display())).because(e);
        let Versioned { format } = json::parse(&text).map_err(damaged)?;
        if format != FORMAT {
            let what = format!("{} has format {format}, this version reads {FORMAT}", path.display());
            return Err(CommandError::usage(what).hint("use the boxseat version that made the backup"));
        }
        let manifest: Self = json::parse(&text).map_err(damaged)?;
        manifest.check_names(directory)?;
        Ok(manifest)
    }

    /// The digests by path.
    pub(crate) fn digests(&self) -> BTreeMap<String, FileDigest> {
        self.files.iter().map(|file| (file.path.clone(), file.digest.clone())).collect()
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.digest.size_bytes).sum()
    }

    fn check_names(&self, directory: &Path) -> Result<(), CommandError> {
        let mut named = BTreeSet::new();
        for file in &self.files {
            if !is_inside(&file.path) || file.mode().is_none() {
                let what = format!(
                    "{} names the file {:?} with the mode {:?}",
                    directory.join(MANIFEST).display(),
                    file.path,
                    file.mode
                );
                return Err(refused(what));
            }
            if !named.insert(file.path.as_str()) {
                let manifest = directory.join(MANIFEST);
                return Err(refused(format!("{} names {} twice", manifest.display(), file.path)));
            }
        }
        let there = files_below(directory, "")?;
        for path in &there {
            if !named.contains(path.as_str()) && path != MANIFEST && path != LOCK {
                let added = directory.join(path);
                return Err(refused(format!("{} is not in {MANIFEST}: it was added", added.display())));
            }
        }
        let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
        match named.iter().find(|path| !there.contains(*path)) {
            None => Ok(()),
            Some(path) => {
                let missing = directory.join(path);
                Err(refused(format!("{} is missing: it was removed", missing.display())))
            }
        }
    }
}

/// The error for a copy that is not restored.
pub(crate) fn refused(what: String) -> CommandError {
    CommandError::refused(what).hint("nothing was restored; restore another backup of this store")
}

/// Whether a path stays below the store and is in a directory where a store has files.
pub(super) fn is_inside(path: &str) -> bool {
    let components: Vec<Component<'_>> = Path::new(path).components().collect();
    let is_plain = components.iter().all(|component| matches!(component, Component::Normal(_)));
    let first = path.split('/').next().unwrap_or_default();
    // `components` ignores `//` and a trailing slash, which would give the same file a second name.
    let is_exact = components.iter().map(|c| c.as_os_str().len() + 1).sum::<usize>() == path.len() + 1;
    let is_ours = match components.len() {
        0 => false,
        1 => path == boxseat_output::warehouse::FILE_NAME,
        _ => ["lake", "spool", "state"].contains(&first),
    };
    is_plain && is_exact && is_ours && !path.contains('\0')
}

/// Every file below `directory/below`, as a path below `directory`, sorted. Empty if the directory is missing.
///
/// # Errors
/// Exit 3 for a symbolic link, a special file and a name that is not UTF-8; disk.
pub(crate) fn files_below(directory: &Path, below: &str) -> Result<Vec<String>, CommandError> {
    let mut found = Vec::new();
    let mut waiting = vec![below.to_owned()];
    while let Some(next) = waiting.pop() {
        let path = directory.join(&next);
        let cannot = |e| CommandError::failed(format!("cannot list {}", path.display()), e);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            // Another process may have removed it since its name was read.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(cannot(e)),
        };
        for entry in entries {
            let entry = entry.map_err(cannot)?;
            let kind = entry.file_type().map_err(cannot)?;
            let odd = |what: &str| {
                let path = entry.path();
                CommandError::refused(format!("{} {what}", path.display()))
                    .hint("boxseat does not create such files: move it away")
            };
            let name = entry.file_name().into_string().map_err(|_| odd("has a name that is not UTF-8"))?;
            let below = if next.is_empty() { name } else { format!("{next}/{name}") };
            match () {
                () if kind.is_dir() => waiting.push(below),
                () if kind.is_file() => found.push(below),
                () if kind.is_symlink() => return Err(odd("is a symbolic link")),
                () => return Err(odd("is not a plain file")),
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_manifest_stay_inside_the_store() {
        for path in ["boxseat.duckdb", "lake/_runs/1.json", "spool/1/SEALED", "state/store.json"] {
            assert!(is_inside(path), "{path}");
        }
        for path in [
            "",
            "/",
            "lake",
            "lake/",
            "lake//a",
            "./lake/a",
            "lake/./a",
            "lake/../state/a",
            "../lake/a",
            "/lake/a",
            "other/a",
            "boxseat.duckdb.wal",
            "BACKUP.json",
            "lake/a/",
            "state/a\0b",
        ] {
            assert!(!is_inside(path), "{path:?}");
        }
    }

    #[test]
    fn modes_are_permission_bits() {
        let of = |mode: &str| BackupFile {
            mode: mode.into(),
            ..BackupFile::new(String::new(), FileDigest::of(b""), 0)
        };
        assert_eq!(of("0640").mode(), Some(0o640));
        assert!(["4755", "0o640", "", "-1", "u+x"].iter().all(|text| of(text).mode().is_none()));
    }
}
