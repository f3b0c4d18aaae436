//! `boxseat backup`: a consistent copy of the store.

use std::path::Path;

use boxseat_schemas::run::latest_snapshot;
use boxseat_storage::durable::Access;
use boxseat_storage::resolve;
use serde_json::json;

use crate::backup::{Manifest, Partial, copy_consistently, is_secret};
use crate::cli::{BackupArgs, Global};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
use crate::printer::Printer;
use crate::store::Store;
use crate::sync::open_runs;

pub(crate) fn run(global: &Global, args: &BackupArgs, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load_to_copy(global)?;
    let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
    refuse_inside(&args.directory, store.root())?;
    if !store.lake().is_recorded() {
        let _lock = Store::lock(store.root())?;
        store.begin_record(&settings)?;
    }
    let hint = "name a directory that does not exist yet";
    let partial = Partial::begin(&args.directory, &Access::from(0o600), hint)?;
    let (files, copy, runs) = copy_consistently(&store, partial.path())?;
    reach("backup: copied");
    let latest = latest_snapshot(&runs);
    let manifest = Manifest::new(
        store.id(),
        copy.enterprise_id().map(str::to_owned),
        data_clock(settings.rehearsed_now)(),
        latest.map(|latest| (latest.run_number, latest.snapshot_date)),
        copy.lake().record_head(),
        files,
    );
    manifest.write(partial.path())?;
    reach("backup: complete");
    let unfinished = open_runs(&copy, &runs)?.len();
    let directory = partial.place()?;
    printer.facts(
        "backup",
        &[
            ("directory", json!(directory.display().to_string())),
            ("store_id", json!(manifest.store_id)),
            ("run", json!(manifest.run_number)),
            ("snapshot_date", json!(manifest.snapshot_date)),
            ("unfinished_runs", json!(unfinished)),
            ("files", json!(manifest.files.len())),
            ("bytes", json!(manifest.bytes())),
        ],
    )?;
    for file in manifest.files.iter().filter(|file| is_secret(&file.path)) {
        printer.note(format!(
            "{} holds a secret key, which is now also in the backup: keep the backup as private as the store.",
            file.path
        ));
    }
    Ok(0)
}

/// Refuses a backup inside the store: it would be lost with the store.
fn refuse_inside(directory: &Path, store: &Path) -> Result<(), CommandError> {
    let resolved = |path: &Path| {
        resolve(path).map_err(|e| CommandError::failed(format!("cannot find {}", path.display()), e))
    };
    if resolved(directory)?.starts_with(resolved(store)?) {
        return Err(CommandError::usage(format!("{} is inside the store", directory.display()))
            .hint("name a directory on another disk"));
    }
    Ok(())
}
