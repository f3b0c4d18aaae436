//! The record of the store's files (`lake/_runs/files.log`), and its anchor (`state/lake.json`): a second copy of the end of the
//! record, which detects a lake that was rolled back or replaced.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use boxseat_output::lake::{Altered, Lake, RecordHead, Seals as _};
use boxseat_output::warehouse::{FILE_NAME, PublishedFile};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::Seals;
use boxseat_reclaim::journal::seat_actions::refuse_older_lake;
use boxseat_schemas::RunNumber;
use boxseat_schemas::run::{RunStatus, SyncRun};
use boxseat_schemas::table::{
    ACTIVITY_DAILY, IMPORTED_EVIDENCE, LEAVE_PERIODS, SEAT_ACTIONS, SEAT_USAGE_DAILY,
};
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use serde::{Deserialize, Serialize};

use super::{Store, names_in};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::{CommandError, REMEDY};
use crate::lake_witness::{self, LakeLine};
use crate::published::check_to_act;
use crate::record_seals::RecordSeals;

/// `state/lake.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    format: u32,
    record: RecordHead,
    /// Seal of the head. Without the store's key, the anchor cannot be set to an earlier line.
    seal: String,
}

const FORMAT: u32 = 2;

/// The sealed text of an anchor. The sealed text of a record line is only its hash, so the seal of a line is not valid for an anchor.
fn anchor_text(head: &RecordHead) -> String {
    format!("anchor {} {}", head.sequence, head.hash)
}

/// Refuses a lake that is older than this store, or of another store. `had_record`: the record of the lake was begun, so its anchor
/// must exist.
///
/// # Errors
/// Exit 3; disk.
pub(crate) fn check_anchor(
    root: &Path,
    lake: &Lake,
    seals: &RecordSeals,
    had_record: bool,
) -> Result<(), CommandError> {
    let path = anchor_path(root);
    let text = match durable::read_regular_file(&path) {
        Ok(text) => text,
        // Runs of a version with a record name the head of the record.
        Err(e) if e.kind() == ErrorKind::NotFound && !had_record && !lake.has_run_with_record()? => {
            return Ok(());
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(
                CommandError::refused(format!("{} is missing: it was removed", path.display())).hint(REMEDY)
            );
        }
        Err(e) => return Err(CommandError::unreadable(&path, e)),
    };
    let damaged = |e| CommandError::refused(format!("{} is damaged", path.display())).because(e).hint(REMEDY);
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } = json::parse(&text).map_err(damaged)?;
    if format != FORMAT {
        let what = format!("{} has format {format}, this version reads {FORMAT}", path.display());
        return Err(CommandError::usage(what).hint("use the boxseat version that wrote it, or a newer one"));
    }
    let anchor: Anchor = json::parse(&text).map_err(damaged)?;
    seals
        .verify(&anchor_text(&anchor.record), &anchor.seal)
        .map_err(|reason| CommandError::refused(format!("{} {reason}", path.display())).hint(REMEDY))?;
    lake.reaches(&anchor.record).map_err(|e| {
        CommandError::from(e).hint(format!(
            "{} names that line; if only that file was replaced, it belongs to another lake",
            path.display()
        ))
    })
}

impl Store {
    /// Begins the record if there is none: in a new store, and in a store of an older version if its tables have the rows of its last
    /// complete run. The caller holds the store's lock.
    ///
    /// # Errors
    /// Exit 3 for a table that is missing or was rolled back, and for the lake of another store; disk.
    pub(crate) fn begin_record(&self, settings: &Settings) -> Result<(), CommandError> {
        self.refuse_foreign_lake()?;
        self.check_witness(settings)?;
        // Nothing is written if the witness cannot be written.
        settings.witness_of(self.id()).map_or(Ok(()), |witness| witness.probe())?;
        // A journal that cannot be read is refused by the next `reclaim` command.
        let pinned = &settings.journal_key;
        if let Ok(journal) = Journal::read(self.root(), self.id(), pinned, Seals::Last) {
            let newest = self.lake().reservations()?.last().map(|newest| newest.run_number);
            refuse_older_lake(newest, &journal)?;
        }
        self.take_up_key()?;
        let lake = self.lake();
        if !lake.is_recorded() {
            // The record existed before, or the key is pinned and there are runs: the record was removed.
            let reservations = lake.reservations()?;
            if self.had_record() || (settings.journal_key.public.is_some() && !reservations.is_empty()) {
                let what = self.root().join("lake/_runs/files.log").display().to_string();
                return Err(
                    boxseat_output::Error::Altered(Altered::new(what, "is missing: it was removed")).into()
                );
            }
            self.refuse_tables_behind(&lake.sync_runs()?)?;
            if !reservations.is_empty() {
                tracing::warn!(
                    runs = reservations.len(),
                    "the lake has no record of its files, because an older version wrote it; the record begins now, and nothing proves the existing files"
                );
            }
            lake.begin_record(self.id())?;
            for path in self.imports_waiting()? {
                let digest = digest_of(&self.root().join(&path))?;
                lake.placed_beside(&path, digest)?;
            }
        }
        lake.begin_record(self.id())?;
        lake.check_tables()?;
        // The anchor is written first: after `note_record`, a store without an anchor is refused.
        self.anchor_record(settings)?;
        self.note_record()
    }

    /// Loads the store's private key. A command that writes to the lake does this before its work.
    ///
    /// # Errors
    /// Exit 2 if the key is missing; exit 3 for the key of another store.
    pub(crate) fn take_up_key(&self) -> Result<(), CommandError> {
        self.seals().take_up(None).map(drop)
    }

    /// Refuses a lake whose runs were reserved by a store with another id.
    ///
    /// # Errors
    /// Exit 3; disk.
    pub(crate) fn refuse_foreign_lake(&self) -> Result<(), CommandError> {
        for (file, store_id) in self.lake().reserved_by()? {
            if store_id != self.id() {
                return Err(CommandError::refused(format!(
                    "state/store.json names the store {}, but {} names the store {store_id}",
                    self.id(),
                    file.display()
                ))
                .hint("one of the files belongs to another store or was changed: restore both from a backup of this store (`boxseat restore`)"));
            }
        }
        Ok(())
    }

    /// Refuses a lake that does not have the last line that `[reclaim] witness` has recorded.
    ///
    /// # Errors
    /// Exit 3 naming the line; exit 2 for a file that cannot be read.
    pub(crate) fn check_witness(&self, settings: &Settings) -> Result<(), CommandError> {
        let witness = settings.witness_of(self.id());
        witness.map_or(Ok(()), |witness| lake_witness::check(&witness, self.lake()))
    }

    /// Writes the head of the record to the anchor, and to the witness if one is configured.
    ///
    /// # Errors
    /// Disk; exit 2 for a witness that cannot be written.
    pub(crate) fn anchor_record(&self, settings: &Settings) -> Result<(), CommandError> {
        self.anchor_record_as(LakeLine::Reached, settings)
    }

    /// As [`Store::anchor_record`], with the kind of the witness's line.
    ///
    /// # Errors
    /// As [`Store::anchor_record`].
    pub(crate) fn anchor_record_as(&self, line: LakeLine, settings: &Settings) -> Result<(), CommandError> {
        let record = self.lake().durable_record_head()?;
        self.take_up_key()?;
        let seal = self.seals().seal(&anchor_text(&record));
        let seal = seal.map_err(boxseat_output::Error::Seal)?;
        let anchor = Anchor { format: FORMAT, record, seal };
        let text = serde_json::to_vec_pretty(&anchor).expect("plain data");
        durable::write_file(&anchor_path(self.root()), &text, &Access::from(0o600))?;
        // Killed here: the next command writes a line that covers the same part of the record.
        let now = data_clock(settings.rehearsed_now)();
        let witness = settings.witness_of(self.id());
        witness.map_or(Ok(()), |witness| lake_witness::note(&witness, line, &anchor.record, now))
    }

    /// Refuses a lake without a record. Commands that change accounts need one.
    ///
    /// # Errors
    /// Exit 3.
    pub(crate) fn require_record(&self) -> Result<(), CommandError> {
        if self.lake().is_recorded() {
            return Ok(());
        }
        if self.lake().sync_runs()?.is_empty() {
            let what = format!("the store {} has no complete run yet", self.root().display());
            return Err(CommandError::refused(what).hint("run `boxseat sync`"));
        }
        Err(CommandError::refused(format!(
            "the lake of {} has no record of its files: an older version of boxseat wrote it",
            self.root().display()
        ))
        .hint("`boxseat sync` or `boxseat publish` checks the tables and begins the record"))
    }

    /// Refuses a table without a commit of the last complete run. Every complete run commits to these tables.
    fn refuse_tables_behind(&self, runs: &[SyncRun]) -> Result<(), CommandError> {
        let complete = |run: &&SyncRun| run.status == RunStatus::Complete;
        let Some(last) = runs.iter().filter(complete).map(|run| run.run_number).max() else { return Ok(()) };
        for (table, by) in self.lake().last_commits()? {
            let is_optional = OPTIONAL.contains(&table.name);
            let reason = match by {
                Some(by) if by >= last.as_i64() || is_optional => continue,
                None if is_optional => continue,
                Some(by) => format!("ends with run {by}, but run {last} is complete: it was rolled back"),
                None => format!("is missing, but run {last} is complete: it was removed"),
            };
            let altered = Altered::new(format!("the lake's table {}", table.name), reason);
            return Err(boxseat_output::Error::Altered(altered).into());
        }
        Ok(())
    }

    /// Records the raw pages of a run that was just sealed.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn note_spool(&self, run: RunNumber) -> Result<(), CommandError> {
        for path in spool_files(run) {
            let digest = digest_of(&self.root().join(&path))?;
            self.lake().placed_beside(&path, digest)?;
        }
        Ok(())
    }

    /// Records new raw pages, in another directory, before they replace those of a run.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn announce_spool(&self, run: RunNumber, new: &Path) -> Result<(), CommandError> {
        for path in spool_files(run) {
            let name = Path::new(&path).file_name().unwrap_or_default();
            self.lake().note_beside(&path, digest_of(&new.join(name))?)?;
        }
        Ok(())
    }

    /// Refuses raw pages that differ from the sealed ones of this run. Pages of an older version are not recorded.
    ///
    /// # Errors
    /// Exit 3; disk.
    pub(crate) fn check_spool(&self, run: RunNumber) -> Result<(), CommandError> {
        match self.altered_spool(run)? {
            None => Ok(()),
            Some(altered) => Err(boxseat_output::Error::Altered(altered).into()),
        }
    }

    /// Compares an open file of raw pages with the record. Pages without a record are not compared.
    ///
    /// # Errors
    /// Exit 3; disk.
    pub(crate) fn compare_pages(&self, run: RunNumber, pages: &File) -> Result<(), CommandError> {
        let [path, _] = spool_files(run);
        Ok(self.lake().compare_beside(&path, &self.root().join(&path), pages)?)
    }

    /// Records that the raw pages of a run were removed.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn note_spool_removed(&self, run: RunNumber) -> Result<(), CommandError> {
        Ok(self.lake().removed_beside(&spool_files(run))?)
    }

    /// The published file, if its own record and the record of the lake have its digest.
    ///
    /// # Errors
    /// Exit 2 if nothing is published; exit 3 if the digest differs; disk.
    pub(crate) fn published_to_act(&self) -> Result<PublishedFile, CommandError> {
        let file = check_to_act(self.root())?;
        let noted = self.lake().noted_beside(FILE_NAME);
        let is_noted = file.recorded().is_some_and(|recorded| noted.contains(&recorded.digest()));
        if is_noted {
            return Ok(file);
        }
        Err(CommandError::refused(format!(
            "{} is not the file that the lake's record names: it was replaced by an older file or by a file of another store",
            file.path().display()
        ))
        .hint("run `boxseat publish`: it builds the file again from the lake"))
    }

    /// Refuses rows of the published file that differ from those of the build. A file of an older version has no digest of its rows.
    ///
    /// # Errors
    /// Exit 3.
    pub(crate) fn compare_deciding_rows(&self, name: &str, found: &FileDigest) -> Result<(), CommandError> {
        let noted = self.lake().noted_rows(name);
        if noted.is_empty() || noted.contains(found) {
            return Ok(());
        }
        Err(CommandError::refused(format!(
            "the rows of {} that decide about accounts are not those that boxseat built: another program changed the file \
             during the build, or added a write-ahead log while it was read",
            self.root().join(FILE_NAME).display()
        ))
        .hint("stop other programs that write to the store, then run `boxseat publish`"))
    }

    /// Recorded imports that are missing, as paths below the store.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn missing_imports(&self) -> Result<Vec<String>, CommandError> {
        let waiting = self.imports_waiting()?;
        let noted = self.lake().must_be_beside(IMPORTS).into_iter().map(|name| format!("{IMPORTS}/{name}"));
        Ok(noted.filter(|path| !waiting.contains(path)).collect())
    }

    /// Waiting imports that differ from what `boxseat import` wrote, as paths below the store.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn altered_imports(&self) -> Result<Vec<String>, CommandError> {
        let mut altered = Vec::new();
        for path in self.imports_waiting()? {
            let noted = self.lake().noted_beside(&path);
            if !noted.is_empty() && !noted.contains(&digest_of(&self.root().join(&path))?) {
                altered.push(path);
            }
        }
        Ok(altered)
    }

    /// How the raw pages of a sealed run differ from the record.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn altered_spool(&self, run: RunNumber) -> Result<Option<Altered>, CommandError> {
        for path in spool_files(run) {
            let noted = self.lake().noted_beside(&path);
            if noted.is_empty() {
                continue;
            }
            let file = self.root().join(&path);
            let reason = match file.try_exists() {
                Ok(false) => "is missing: it was removed",
                _ if !noted.contains(&digest_of(&file)?) => "has another content than boxseat wrote",
                _ => continue,
            };
            return Ok(Some(Altered::new(format!("the file {path}"), reason)));
        }
        Ok(None)
    }

    /// Refuses if an import was removed before a run loaded it.
    ///
    /// # Errors
    /// Exit 3; disk.
    pub(crate) fn refuse_missing_imports(&self) -> Result<(), CommandError> {
        match self.missing_imports()?.first() {
            None => Ok(()),
            Some(path) => Err(CommandError::refused(format!(
                "{} is missing: an imported report was removed before a run loaded it",
                self.root().join(path).display()
            ))
            .hint(
                "restore it from a backup of this store; or run `boxseat repair` and import the report again",
            )),
        }
    }

    /// Refuses an import that `boxseat import` did not write; `digest` is of the bytes that were read.
    ///
    /// # Errors
    /// Exit 3; disk.
    pub(crate) fn check_import(&self, file: &Path, digest: &FileDigest) -> Result<(), CommandError> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let noted = self.lake().noted_beside(&format!("{IMPORTS}/{name}"));
        if !self.lake().is_recorded() || noted.contains(digest) {
            return Ok(());
        }
        Err(CommandError::refused(format!("{} is not what `boxseat import` wrote", file.display()))
            .hint("remove it and import the report again"))
    }

    /// Imports that wait for a run, as paths below the store.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn imports_waiting(&self) -> Result<Vec<String>, CommandError> {
        let names = names_in(&self.root().join(IMPORTS))?.into_iter().filter(|name| name.ends_with(".json"));
        Ok(names.map(|name| format!("{IMPORTS}/{name}")).collect())
    }
}

/// Tables that get a commit only if there are rows for them. The oldest versions did not write `seat_usage_daily`, which is not
/// evidence about an account.
const OPTIONAL: &[&str] = &[
    ACTIVITY_DAILY.name,
    IMPORTED_EVIDENCE.name,
    LEAVE_PERIODS.name,
    SEAT_ACTIONS.name,
    SEAT_USAGE_DAILY.name,
];

/// The directory of waiting imports, below the store.
pub(crate) const IMPORTS: &str = "state/imports";

/// The anchor of the record, below the store.
pub(crate) const ANCHOR: &str = "state/lake.json";

fn anchor_path(root: &Path) -> PathBuf {
    root.join(ANCHOR)
}

fn spool_files(run: RunNumber) -> [String; 2] {
    [format!("spool/{run}/pages.spool"), format!("spool/{run}/SEALED")]
}

fn digest_of(path: &Path) -> Result<FileDigest, CommandError> {
    FileDigest::of_file(path).map_err(|e| CommandError::failed(format!("cannot read {}", path.display()), e))
}
