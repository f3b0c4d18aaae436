//! `boxseat restore`: creates a store from a backup.
//!
//! Order: the names are compared with the manifest; each file is copied next to the target and its digest compared; the copy is
//! opened as a store and its tables are compared with the record; then it is renamed to the target. *Killed* before the rename:
//! the target is unchanged.

use std::path::Path;

use boxseat_schemas::run::latest_snapshot;
use boxseat_storage::durable::Access;
use serde_json::json;

use crate::backup::{BackupFile, MANIFEST, Manifest, Partial, check_copy, copy_file, refused};
use crate::cli::{Global, RestoreArgs};
use crate::clock::data_clock;
use crate::config::{Settings, check_path};
use crate::error::{CommandError, REFUSED};
use crate::failpoint::reach;
use crate::lake_witness::{self, LakeLine};
use crate::printer::Printer;
use crate::sync::open_runs;

pub(crate) fn run(global: &Global, args: &RestoreArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load_to_copy(global)?;
    check_path(&settings.store)?;
    // Operators often name the newest backup by a symbolic link.
    let backup = args.directory.canonicalize().map_err(|e| {
        CommandError::usage(format!("cannot open {}", args.directory.display()))
            .because(e)
            .hint("name a directory that `boxseat backup` made")
    })?;
    let manifest = Manifest::read(&backup)?;
    let hint = "move it away, or name another directory with --store: a restore never changes a store";
    let partial = Partial::begin(&settings.store, &settings.access, hint)?;
    if partial.destination().starts_with(&backup) {
        return Err(CommandError::usage(format!("{} is inside the backup", settings.store.display()))
            .hint("name another directory with --store"));
    }
    for file in &manifest.files {
        copy(&backup, partial.path(), file, &settings.access)?;
    }
    reach("restore: copied");
    let checked = check_copy(partial.path(), &settings.access, &settings.journal_key, &manifest.digests());
    let (store, runs) = checked.map_err(|e| {
        if e.exit_code() != REFUSED {
            return e;
        }
        refused(format!("{} does not contain a complete store: {}", backup.display(), e.lines().join(": ")))
    })?;
    let latest = latest_snapshot(&runs);
    let is_ours = store.id() == manifest.store_id
        && store.enterprise_id() == manifest.enterprise_id.as_deref()
        && store.lake().record_head() == manifest.record
        && latest.map(|latest| latest.run_number) == manifest.run_number
        && latest.map(|latest| latest.snapshot_date) == manifest.snapshot_date;
    if !is_ours {
        return Err(refused(format!("{} describes another store", backup.join(MANIFEST).display())));
    }
    let open = open_runs(&store, &runs)?;
    let open: Vec<String> =
        open.iter().map(|run| format!("run {}: {}", run.reservation.run_number, run.state.word())).collect();
    // The backup may be older than the witness's last line about the lake.
    if let Some(witness) = settings.witness_of(store.id()) {
        lake_witness::note(
            &witness,
            LakeLine::Begun,
            &store.lake().record_head(),
            data_clock(settings.rehearsed_now)(),
        )?;
    }
    drop(store);
    let directory = partial.place()?;
    printer.facts(
        "restore",
        &[
            ("store", json!(directory.display().to_string())),
            ("store_id", json!(manifest.store_id)),
            ("enterprise_id", json!(manifest.enterprise_id)),
            ("made_at", json!(manifest.made_at)),
            ("version", json!(manifest.version)),
            ("run", json!(manifest.run_number)),
            ("snapshot_date", json!(manifest.snapshot_date)),
            ("open_runs", json!(open)),
            ("files", json!(manifest.files.len())),
        ],
    )?;
    printer.note(format!(
        "Restored the store of {}. Its journal does not have later actions: run `boxseat reclaim adopt` before the next command \
         of reclamation.",
        manifest.made_at.format("%Y-%m-%d %H:%M UTC")
    ));
    printer.note("Use only one store with this id: do not also run the store that was backed up.");
    Ok(0)
}

fn copy(backup: &Path, store: &Path, file: &BackupFile, access: &Access) -> Result<(), CommandError> {
    let from = backup.join(&file.path);
    let is_shared = !file.path.starts_with("state/") && !file.path.starts_with("spool/");
    // The manifest has no seal. It opens no state, and lets no other user write.
    let mode = file.mode().expect("the manifest was checked") & if is_shared { 0o664 } else { 0o600 };
    // The group is taken from the configuration: its number may differ on this machine.
    let group = access.group.clone().filter(|_| is_shared);
    match copy_file(backup, store, &file.path, access, |_| Access { mode, group })? {
        Some((digest, _)) if digest == file.digest => Ok(()),
        Some((digest, _)) if digest.size_bytes != file.digest.size_bytes => Err(refused(format!(
            "{} has {} bytes, the backup wrote {}",
            from.display(),
            digest.size_bytes,
            file.digest.size_bytes
        ))),
        Some(_) => Err(refused(format!("{} has another content than the backup wrote", from.display()))),
        None => Err(refused(format!("{} is missing: it was removed", from.display()))),
    }
}
