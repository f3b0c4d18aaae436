//! The record of the published file, and the check of the file against it.
//!
//! Other programs open `boxseat.duckdb`. A program that opens it to write changes it, or leaves a write-ahead log that DuckDB applies for
//! every later reader. The record states which bytes were published. It is at `lake/_published.json`: every user who may read the file may
//! read the record, and only boxseat writes there.
//!
//! A publish writes the record twice, so that it always describes the file in place. A kill leaves these states:
//! 1. before [`announce`]: the old file and its record.
//! 2. between [`announce`] and the rename: the old file, recorded next to the new one.
//! 3. between the rename and [`settle`]: the new file, recorded next to the old one.
//!
//! In states 2 and 3 both files are accepted. The next publish keeps the one that is in place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use boxseat_schemas::RunNumber;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json::{self, InvalidJson};
use duckdb::Connection;
use serde::{Deserialize, Serialize};

use super::connection::open_to_read;
use super::connection::wals_of;
use super::{FILE_NAME, Resources};
use crate::stamp::Stamp;
use crate::{Error, Result};

/// How the published file is compared with its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// By the SHA-256 digest of all bytes; for commands that change accounts.
    Digest,
    /// By size, inode and time of change. No program can set the time of change. If they differ, as after a restore, the digest is
    /// compared.
    Stamp,
}

/// The published file, checked and open. Another file that takes its name later is not used.
#[derive(Debug)]
pub struct PublishedFile {
    path: PathBuf,
    file: File,
    stamp: Stamp,
    recorded: Option<Recorded>,
}

/// The recorded data of a published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The run whose snapshot the file shows.
    pub run_number: RunNumber,
    /// Bytes.
    pub size_bytes: u64,
    /// SHA-256 of all bytes, in hexadecimal digits.
    pub sha256: String,
    /// `None` until the file is in place.
    stamp: Option<Stamp>,
}

/// `lake/_published.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    /// One file; during a publish, the old one and the new one.
    files: Vec<Recorded>,
    /// True during the first publish with a record. The file in place may come from an earlier version, which kept no record.
    replaces_unrecorded: bool,
}

impl Recorded {
    /// Size and SHA-256.
    pub fn digest(&self) -> FileDigest {
        FileDigest { size_bytes: self.size_bytes, sha256: self.sha256.clone() }
    }
}

impl PublishedFile {
    /// Checks the store's `boxseat.duckdb`.
    ///
    /// # Errors
    /// `Input` when nothing is published; [`crate::ErrorKind::Foreign`] when the file is not the one that was published, or has a
    /// write-ahead log, or when the record is damaged; `Io` and `Newer` of file and record.
    pub fn check(store: &Path, check: Check) -> Result<Self> {
        let path = store.join(FILE_NAME);
        loop {
            let mut file = open(&path)?;
            if let Some(log) = foreign_wal(store) {
                let reason = format!("{} is next to it: another program opened it to write", log.display());
                return Err(Error::Foreign { file: path, reason });
            }
            let stamp = Stamp::settled(&file).map_err(Error::io("read", &path))?;
            // The record is read after the file was opened, because a file is announced before it is in place.
            let Some(record) = Record::read(store)? else {
                return Ok(Self { path, file, stamp, recorded: None });
            };
            let stamped = record.files.iter().find(|recorded| recorded.stamp == Some(stamp));
            let recorded = match stamped.filter(|_| check == Check::Stamp) {
                Some(recorded) => Some(recorded.clone()),
                None => {
                    let found = FileDigest::of_copy(&mut file, &mut io::sink());
                    let found = found.map_err(Error::io("read", &path))?;
                    record.files.iter().find(|recorded| recorded.digest() == found).cloned()
                }
            };
            if recorded.is_some() || record.replaces_unrecorded {
                return Ok(Self { path, file, stamp, recorded });
            }
            // A publish may have replaced the file in the meantime.
            if Stamp::of(&fs::metadata(&path).map_err(Error::io("read", &path))?) == stamp {
                let reason = format!(
                    "its digest is not the recorded one: another program changed or replaced it, or its record {}",
                    path_of(store).display()
                );
                return Err(Error::Foreign { file: path, reason });
            }
        }
    }

    /// Opens the store's published file after [`PublishedFile::check`]. The open file is the one that was checked.
    pub(crate) fn open(store: &Path, resources: &Resources) -> Result<Connection> {
        Self::check(store, Check::Stamp)?.connect(resources)
    }

    /// A connection to exactly the file that was checked.
    ///
    /// # Errors
    /// `Io` when DuckDB cannot open it.
    pub(crate) fn connect(&self, resources: &Resources) -> Result<Connection> {
        open_to_read(&self.file, &self.path, resources)
            .map_err(Error::duckdb(format!("open {}", self.path.display())))
    }

    /// Whether the file is unchanged since the check started: not written to, and not replaced by a publish.
    ///
    /// # Errors
    /// `Io`.
    pub fn is_unchanged(&self) -> Result<bool> {
        let now = self.file.metadata().map_err(Error::io("read", &self.path))?;
        Ok(Stamp::of(&now) == self.stamp)
    }

    /// The record of the file; `None` for a file that was published by a version without a record.
    pub fn recorded(&self) -> Option<&Recorded> {
        self.recorded.as_ref()
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A write-ahead log next to `boxseat.duckdb`, under any of the names that DuckDB reads. boxseat never leaves one, so another program
/// opened the file to write.
pub fn foreign_wal(store: &Path) -> Option<PathBuf> {
    wals_of(&store.join(FILE_NAME)).into_iter().find(|log| log.symlink_metadata().is_ok())
}

/// Adds a file to the record before it is put in place. The record also keeps the file that is in place.
pub(super) fn announce(
    store: &Path,
    file: &File,
    run_number: RunNumber,
    access: &Access,
) -> Result<Recorded> {
    let in_place = store.join(FILE_NAME);
    let digest = FileDigest::of_handle(file).map_err(Error::io("read", &in_place))?;
    let FileDigest { size_bytes, sha256 } = digest;
    // A record that cannot be read proves nothing, so the file in place is refused until it is replaced.
    let before = Record::read(store).unwrap_or_else(|e| {
        tracing::warn!("{e}; it is written again");
        Some(Record { format: FORMAT, files: Vec::new(), replaces_unrecorded: false })
    });
    let mut record = before.unwrap_or(Record {
        format: FORMAT,
        files: Vec::new(),
        replaces_unrecorded: in_place.exists(),
    });
    if record.files.len() > 1 {
        let found = FileDigest::of_file(&in_place).ok();
        record.files.retain(|recorded| Some(recorded.digest()) == found);
    }
    let recorded = Recorded { run_number, size_bytes, sha256, stamp: None };
    record.files.push(recorded.clone());
    record.write(store, access)?;
    Ok(recorded)
}

/// Records that an announced file is in place.
pub(super) fn settle(store: &Path, recorded: Recorded, access: &Access) -> Result<()> {
    let path = store.join(FILE_NAME);
    let stamp = Stamp::of(&fs::metadata(&path).map_err(Error::io("read", &path))?);
    let files = vec![Recorded { stamp: Some(stamp), ..recorded }];
    Record { format: FORMAT, files, replaces_unrecorded: false }.write(store, access)
}

impl Record {
    /// `None` if no version that writes a record has published in this store.
    fn read(store: &Path) -> Result<Option<Self>> {
        let path = path_of(store);
        let text = match durable::read_regular_file(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                return Err(Error::Foreign { file: path, reason: e.to_string() });
            }
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let corrupt = |e: InvalidJson| Error::Foreign {
            file: path.clone(),
            reason: format!("this record of the published file is damaged: {e}"),
        };
        let Format { format } = json::parse(&text).map_err(corrupt)?;
        if format > FORMAT {
            return Err(Error::Newer { what: path.display().to_string(), found: format, known: FORMAT });
        }
        json::parse(&text).map(Some).map_err(corrupt)
    }

    fn write(&self, store: &Path, access: &Access) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Bug(format!("the record of the published file is not JSON: {e}")))?;
        Ok(durable::write_file(&path_of(store), &text, access)?)
    }
}

/// A connection to a boxseat file, to read it.
pub(crate) fn open_file(path: &Path, resources: &Resources) -> Result<Connection> {
    open_to_read(&open(path)?, path, resources).map_err(Error::duckdb(format!("open {}", path.display())))
}

fn open(path: &Path) -> Result<File> {
    durable::open_regular_file(path).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidInput => {
            Error::Foreign { file: path.to_owned(), reason: "it is not a regular file".to_owned() }
        }
        io::ErrorKind::NotFound => Error::NotPublished(path.to_owned()),
        _ => Error::io("open", path)(e),
    })
}

fn path_of(store: &Path) -> PathBuf {
    store.join("lake").join("_published.json")
}

const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const ACCESS: u32 = 0o640;

    fn store() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn aside(store: &Path, content: &str) -> PathBuf {
        let path = store.join("aside");
        fs::write(&path, content).unwrap();
        path
    }

    fn announced(store: &Path, run: u64, content: &str) -> Recorded {
        let file = File::open(aside(store, content)).unwrap();
        announce(store, &file, RunNumber(run), &ACCESS.into()).unwrap()
    }

    fn rename(store: &Path) {
        let ownership = Access::from(ACCESS).resolve().unwrap();
        durable::publish(&store.join("aside"), &store.join(FILE_NAME), ownership, &[]).unwrap();
    }

    fn publish(store: &Path, run: u64, content: &str) {
        let recorded = announced(store, run, content);
        rename(store);
        settle(store, recorded, &ACCESS.into()).unwrap();
    }

    /// The run of the file in place, by both checks, or the error if the file is refused.
    fn run(store: &Path) -> Result<Option<u64>, ErrorKind> {
        let [digest, stamp] = [Check::Digest, Check::Stamp].map(|check| {
            let checked = PublishedFile::check(store, check).map_err(|e| e.kind())?;
            Ok(checked.recorded().map(|recorded| recorded.run_number.0))
        });
        assert_eq!(digest, stamp);
        digest
    }

    /// A file that does not come from a publish.
    fn place(store: &Path, content: &str) {
        fs::remove_file(store.join(FILE_NAME)).unwrap();
        fs::write(store.join(FILE_NAME), content).unwrap();
    }

    #[test]
    fn a_publish_that_is_killed_leaves_the_old_file_or_the_new_one_recorded() {
        let store = store();
        let store = store.path();
        assert_eq!(run(store), Err(ErrorKind::Input));
        announced(store, 1, "one");
        assert_eq!(run(store), Err(ErrorKind::Input), "nothing is published yet");
        rename(store);
        assert_eq!(run(store), Ok(Some(1)), "killed after the rename");
        announced(store, 2, "two");
        assert_eq!(run(store), Ok(Some(1)), "killed before the rename");
        announced(store, 3, "three");
        assert_eq!(run(store), Ok(Some(1)), "killed before the rename again");
        rename(store);
        assert_eq!(run(store), Ok(Some(3)));
        place(store, "two");
        assert_eq!(run(store), Err(ErrorKind::Foreign), "it was announced and never published");
        publish(store, 4, "four");
        assert_eq!(run(store), Ok(Some(4)));
        for other in ["one", "three", "fou", "five", ""] {
            place(store, other);
            assert_eq!(run(store), Err(ErrorKind::Foreign), "{other:?}");
            // A publish that is killed does not add the changed file to the record.
            announced(store, 5, "five");
            assert_eq!(run(store), if other == "five" { Ok(Some(5)) } else { Err(ErrorKind::Foreign) });
            publish(store, 4, "four");
        }
    }

    #[test]
    fn the_first_record_of_a_store_refuses_no_file_of_an_earlier_version() {
        let store = store();
        let store = store.path();
        fs::write(store.join(FILE_NAME), "earlier").unwrap();
        assert_eq!(run(store), Ok(None));
        announced(store, 2, "two");
        assert_eq!(run(store), Ok(None), "killed before the rename");
        announced(store, 2, "two");
        assert_eq!(run(store), Ok(None), "and again");
        rename(store);
        assert_eq!(run(store), Ok(Some(2)));
        publish(store, 3, "three");
        place(store, "earlier");
        assert_eq!(run(store), Err(ErrorKind::Foreign));
    }

    /// Why: a changed file can have the same time and size. The inode changes with a new file, and the time of change with a write.
    #[test]
    fn a_file_with_the_recorded_stamp_is_not_read_again() {
        let store = store();
        let store = store.path();
        publish(store, 1, "one");
        let stamped = Record::read(store).unwrap().unwrap();
        let recorded = Recorded { sha256: "of another file".to_owned(), ..stamped.files[0].clone() };
        Record { files: vec![recorded], ..stamped }.write(store, &ACCESS.into()).unwrap();
        assert!(PublishedFile::check(store, Check::Stamp).is_ok());
        assert_eq!(PublishedFile::check(store, Check::Digest).unwrap_err().kind(), ErrorKind::Foreign);
    }

    /// Why: the whole file was compared, another file got its name during the queries, and then both names were restored.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "an attacker's renames need not last")]
    fn a_file_that_takes_the_name_after_the_check_is_not_read() {
        let store = store();
        let store = store.path();
        let database = |name: &str, run: u32| {
            let path = store.join(name);
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch(&format!("CREATE TABLE t AS SELECT {run} AS run")).unwrap();
            path
        };
        let file = File::open(database("aside", 1)).unwrap();
        let recorded = announce(store, &file, RunNumber(1), &ACCESS.into()).unwrap();
        rename(store);
        settle(store, recorded, &ACCESS.into()).unwrap();
        let checked = PublishedFile::check(store, Check::Digest).unwrap();
        let run = || {
            let connection = checked.connect(&Resources::default()).map_err(|e| e.kind())?;
            Ok::<u32, ErrorKind>(connection.query_row("SELECT run FROM t", [], |row| row.get(0)).unwrap())
        };
        assert_eq!(run(), Ok(1));
        assert!(checked.is_unchanged().unwrap());
        let forged = database("forged", 2);
        let in_place = store.join(FILE_NAME);
        fs::rename(&in_place, store.join("kept")).unwrap();
        fs::rename(&forged, &in_place).unwrap();
        assert_eq!(run(), Ok(1), "the checked file is read, even if another file has its name");
        fs::rename(store.join("kept"), &in_place).unwrap();
        assert_eq!(run(), Ok(1));
        fs::write(&in_place, "written to").unwrap();
        assert!(!checked.is_unchanged().unwrap());
    }
}
