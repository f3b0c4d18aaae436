//! The inputs next to the policy: lists of users on leave, of users under legal hold, and of receivers, as they are now.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use boxseat_storage::digest::FileDigest;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::evaluator::{LIST_MAX_AGE, Refusal};

/// All inputs other than the policy and the snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyInputs {
    /// Users on leave; `None`: there is no list.
    pub leave: Option<List<Leave>>,
    /// Users under legal hold; `None`: the policy moves nothing and does not mention them.
    pub holds: Option<List<Hold>>,
    /// Receivers, where a file names them: source and receiver, each an id or a login.
    pub receivers: Vec<(String, String)>,
    /// Event types read as evidence of use.
    pub activity_events: Vec<String>,
    /// `[sync] quiet_dates`: UTC days on which no events are expected.
    pub quiet_dates: Vec<NaiveDate>,
    /// Lists that cannot be read, each a refusal to evaluate the policy.
    pub unreadable: Vec<Refusal>,
    /// The files that were read.
    pub files: Vec<InputFile>,
}

/// A file, as it was before it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct InputFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// The content that was read; `None`: the file was written meanwhile, or cannot be read.
    digest: Option<FileDigest>,
}

/// Changes with every write of a file: device, inode, size, and time of change.
type Stamp = (u64, u64, u64, i64, i64);

impl InputFile {
    /// The file as it is now, before it is read.
    pub fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), stamp: stamp_of(path), digest: None }
    }

    /// The same after it was read: from then on, a job that writes the same list again does not change it.
    pub fn after_reading(self) -> Self {
        let digest = FileDigest::of_file(&self.path).ok().filter(|_| stamp_of(&self.path) == self.stamp);
        Self { digest, ..self }
    }

    fn is_changed(&self) -> bool {
        let is_same = |digest: &FileDigest| FileDigest::of_file(&self.path).is_ok_and(|now| now == *digest);
        stamp_of(&self.path) != self.stamp && !self.digest.as_ref().is_some_and(is_same)
    }
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let of = std::fs::metadata(path).ok()?;
    Some((of.dev(), of.ino(), of.size(), of.ctime(), of.ctime_nsec()))
}

/// A list, and its age.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// Time since it was last written.
    pub age: TimeDelta,
}

/// One leave: the first day and the last, both included, in UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct Leave {
    /// Box's id.
    pub user_id: String,
    /// The login in the same row, in lower case. After an account was made again, its id names an account that is gone.
    pub login: Option<String>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; `None`: no end is known.
    pub to: Option<NaiveDate>,
    /// The line of the list.
    pub line: u64,
}

/// A user whose account must be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Id or login, in lower case.
    pub who: String,
    /// The reason in the list.
    pub reason: String,
    /// The line of the list.
    pub line: u64,
}

impl PolicyInputs {
    /// A file that was changed, replaced or removed since it was read: a user may have been added to it.
    pub fn changed_file(&self) -> Option<&Path> {
        self.files.iter().find(|file| file.is_changed()).map(|file| file.path.as_path())
    }

    /// R3: until which day `[holds]` counts, if that ends within two days.
    pub fn holds_count_until(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let left = LIST_MAX_AGE - self.holds.as_ref()?.age;
        (left >= TimeDelta::zero() && left <= TimeDelta::days(3)).then(|| (now + left).date_naive())
    }
}

impl<T> List<T> {
    /// The rows of two lists, as old as the older.
    pub fn both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.rows.extend(other.rows);
                Some(Self { rows: one.rows, age: one.age.max(other.age) })
            }
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use boxseat_storage::durable;

    use super::*;

    /// Why: a hold that was added while a plan was applied for hours was read by the next command only.
    #[test]
    fn a_list_that_was_written_since_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("holds.csv");
        std::fs::write(&path, "user_id,reason\n").unwrap();
        let inputs = PolicyInputs { files: vec![InputFile::of(&path)], ..PolicyInputs::default() };
        assert_eq!(inputs.changed_file(), None);
        std::fs::write(&path, "user_id,reason\n7,suit\n").unwrap();
        assert_eq!(inputs.changed_file(), Some(path.as_path()));
        let inputs = PolicyInputs { files: vec![InputFile::of(&path)], ..PolicyInputs::default() };
        std::fs::remove_file(&path).unwrap();
        assert_eq!(inputs.changed_file(), Some(path.as_path()));
        assert_eq!(PolicyInputs::default().changed_file(), None);
    }

    /// Why: a job that exports the same list each hour stopped every long apply.
    #[test]
    fn a_list_that_was_written_again_with_the_same_rows_is_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("holds.csv");
        std::fs::write(&path, "user_id,reason\n").unwrap();
        let before = InputFile::of(&path);
        // The new file has another inode.
        let replace = |text: &str| {
            durable::write_file(&path, text.as_bytes(), &durable::Access::from(0o600)).unwrap();
        };
        let read = before.clone().after_reading();
        replace("user_id,reason\n");
        assert!(!read.is_changed());
        assert!(before.clone().after_reading().is_changed(), "written while it was read");
        replace("user_id,reason\n7,suit\n");
        assert!(read.is_changed());
    }
}
