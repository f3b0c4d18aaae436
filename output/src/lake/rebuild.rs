//! Rebuilds a table of the lake after it was found altered. The remains of the old table are moved out of the lake, and verified rows from
//! another source are committed to a new table.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::Reservation;
use boxseat_schemas::table::Table;
use boxseat_storage::durable;
use delta_kernel::transaction::CommitResult;
use uuid::Uuid;

use super::commit::APP_ID;
use super::files::Author;
use super::record::Altered;
use super::{Inner, Lake, RUNS, version_of};
use crate::{Error, Result};

impl Lake {
    /// The first difference of a table from what boxseat wrote: in its log, or in a data file that the log names.
    ///
    /// # Errors
    /// `Io`.
    pub fn damage_of(&self, table: &'static Table) -> Result<Option<Altered>> {
        let found = self.inner.whole(table);
        match found {
            Ok(()) => Ok(None),
            Err(error) => match (error.altered(), error.kind()) {
                (Some(altered), _) => Ok(Some(altered.clone())),
                (None, crate::ErrorKind::Corrupt | crate::ErrorKind::Newer) => Ok(Some(Altered::new(
                    format!("the lake's table {}", table.name),
                    format!("cannot be read: {error}"),
                ))),
                (None, _) => Err(error),
            },
        }
    }

    /// Moves a whole table out of the lake, and records that its files are removed from the lake.
    ///
    /// # Errors
    /// `Io`.
    pub fn set_aside(&self, table: &'static Table, to: &Path) -> Result<()> {
        self.inner.forget_files(&format!("{}/", table.name))?;
        let from = self.inner.directory.join(table.name);
        if from.exists() {
            durable::move_directory(&from, &to.join(table.name))?;
        }
        Ok(())
    }

    /// Commits rows of many runs, up to `last`, to a table that does not exist. The runs up to `last` then count as committed.
    ///
    /// # Errors
    /// As [`Lake::commit`]; `Bug` when the table exists.
    pub fn rebuild(
        &self,
        table: &'static Table,
        last: RunNumber,
        batches: &mut dyn Iterator<Item = Result<RecordBatch>>,
    ) -> Result<u64> {
        if self.inner.snapshot(table)?.is_some() {
            return Err(Error::Bug(format!("{} exists, so it cannot be rebuilt", table.name)));
        }
        let snapshot = self.inner.writable(table)?;
        let written = self.inner.write(table, Author::Merger, &snapshot, batches)?;
        let transaction = (APP_ID, version_of(last));
        match self.inner.try_commit_as(table, transaction, snapshot, &written) {
            Ok(CommitResult::Committed(_)) => Ok(written.rows),
            Ok(other) => Err(Error::Bug(format!("{} was written by another writer: {other:?}", table.name))),
            Err(error) => Err(Error::table("commit to", table.name)(error)),
        }
    }

    /// The numbers of recorded reservations that are missing or altered.
    ///
    /// # Errors
    /// `Io`.
    pub fn damaged_reservations(&self) -> Result<Vec<RunNumber>> {
        let mut damaged = Vec::new();
        for name in self.inner.record.must_be_there(&format!("{RUNS}/")) {
            let path = format!("{RUNS}/{name}");
            let is_there = self.inner.directory.join(&path).exists();
            if !is_there || self.inner.record.compare(&path).is_err() {
                let number = name.strip_suffix(".json").and_then(|number| number.parse().ok());
                damaged.extend(number.map(RunNumber));
            }
        }
        damaged.sort();
        Ok(damaged)
    }

    /// Checks that the record contains every head that the existing reservations contain.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Altered`]; `Io`.
    pub fn reaches_reservations(&self) -> Result<()> {
        let heads =
            self.readable_reservations()?.into_iter().filter_map(|(_, reservation)| reservation.record);
        heads.into_iter().try_for_each(|head| self.reaches(&head))
    }

    /// Whether a run was started when the lake had a record.
    ///
    /// # Errors
    /// `Io`.
    pub fn has_run_with_record(&self) -> Result<bool> {
        Ok(self.readable_reservations()?.iter().any(|(_, reservation)| reservation.record.is_some()))
    }

    /// The store that made each reservation.
    ///
    /// # Errors
    /// `Io`.
    pub fn reserved_by(&self) -> Result<Vec<(PathBuf, Uuid)>> {
        let reservations = self.readable_reservations()?.into_iter();
        Ok(reservations.map(|(path, reservation)| (path, reservation.store_id)).collect())
    }

    /// The reservations on disk that can be read. [`Lake::damaged_reservations`] finds the others by their digests.
    fn readable_reservations(&self) -> Result<Vec<(PathBuf, Reservation)>> {
        let directory = self.inner.directory.join(RUNS);
        let entries = match std::fs::read_dir(&directory) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(Error::io("list", &directory))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io("list", &directory))?.path();
            let text = durable::read_regular_file(&path).ok();
            let reservation = text.and_then(|text| serde_json::from_slice::<Reservation>(&text).ok());
            found.extend(reservation.map(|reservation| (path, reservation)));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Replaces a reservation that is missing or altered.
    ///
    /// # Errors
    /// `Io`.
    pub fn replace_reservation(&self, reservation: &Reservation) -> Result<()> {
        let path = format!("{RUNS}/{}.json", reservation.run_number);
        self.inner.forget_files(&path)?;
        let file = self.inner.directory.join(&path);
        durable::remove_if_there(&file).map_err(Error::io("remove", &file))?;
        self.reserve(reservation)
    }
}

impl Inner {
    /// Compares a table with the record: its log, and every data file that the log names.
    fn whole(&self, table: &'static Table) -> Result<()> {
        let Some(snapshot) = self.snapshot(table)? else { return Ok(()) };
        let root = self.table_root(table)?;
        for file in super::active::ActiveFiles::of(self, table, &snapshot)?.iter() {
            let path = super::store_path(&file.location(&root)?)?;
            self.record.compare(path.as_ref()).map_err(|e| Error::record(&self.directory, e))?;
        }
        Ok(())
    }

    fn forget_files(&self, below: &str) -> Result<()> {
        let paths: Vec<String> = self
            .record
            .all()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.starts_with(below))
            .collect();
        self.record.deleted(&paths).map_err(|e| Error::record(&self.directory, e))
    }
}

/// Moves the remains of a lake away, so that a new lake can be created.
///
/// # Errors
/// `Io`.
pub fn move_aside(from: &Path, to: &Path) -> Result<()> {
    if from.exists() { Ok(durable::move_directory(from, to)?) } else { Ok(()) }
}
