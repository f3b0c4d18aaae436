//! `boxseat verify --deep`: compares every recorded file with the record.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use boxseat_output::lake::{RecordSnapshot, RecordedFile};
use boxseat_output::warehouse::FILE_NAME;
use boxseat_pipeline::spool::{SpoolDir, SpoolReader, Whole};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::Seals;
use boxseat_schemas::RunNumber;
use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable;

use crate::backup::{CHANGED, files_below, names_that_differ};
use crate::commands::findings::Findings;
use crate::config::Settings;
use crate::error::{CommandError, REFUSED, REMEDY, exit_code};
use crate::store::{IMPORTS, Store};

/// Reports the number of recorded files. Without `--deep`, `verify` compares only the files that it reads.
pub(super) fn count(store: &Store, findings: &mut Findings) -> Result<(), CommandError> {
    if !store.lake().is_recorded() {
        findings.skip("record", NOT_RECORDED.to_owned());
        return Ok(());
    }
    store.lake().check_tables()?;
    let record = store.lake().record_snapshot()?;
    let detail = format!("{} files in {} lines", record.files.len(), record.head.sequence);
    findings.pass("record", detail);
    Ok(())
}

/// Compares the lake, the raw pages and the waiting imports with the record, and verifies every seal of the journal. Each
/// difference is a finding.
///
/// # Errors
/// Disk.
pub(super) fn compare(
    store: &Store,
    settings: &Settings,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    journal(store, settings, findings)?;
    if !store.lake().is_recorded() {
        if store.had_record() || settings.journal_key.public.is_some() {
            findings.fail(LAKE, "lake/_runs/files.log is missing: it was removed".to_owned(), REMEDY);
        } else {
            findings.skip(LAKE, NOT_RECORDED.to_owned());
        }
    } else {
        let record = lake(store, findings)?;
        outside(store, &record, findings)?;
        return unrecorded_spools(store, &record.files, findings);
    }
    unrecorded_spools(store, &BTreeMap::new(), findings)
}

/// Checks the chain, every seal and the anchor of the journal.
fn journal(store: &Store, settings: &Settings, findings: &mut Findings) -> Result<(), CommandError> {
    match Journal::read(store.root(), store.id(), &settings.journal_key, Seals::Each) {
        Ok(journal) => findings.pass(JOURNAL, format!("{} entries", journal.sequence())),
        Err(e) if exit_code(e.kind()) == REFUSED => {
            findings.fail(JOURNAL, e.lines().join(": "), &e.hints().join("; "));
        }
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

/// Compares the lake. Returns the record that it was compared with.
fn lake(store: &Store, findings: &mut Findings) -> Result<RecordSnapshot, CommandError> {
    let before = findings.failures();
    let (compared, altered) = store.lake().compare_all()?;
    for altered in altered {
        findings.fail(LAKE, altered.to_string(), REMEDY);
    }
    let names: BTreeSet<String> = ["lake", "state"]
        .into_iter()
        .map(|directory| files_below(store.root(), directory))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .filter(|path| !durable::is_staged(path))
        .collect();
    let record = store.lake().record_snapshot()?;
    match names_that_differ(store, &record, &names) {
        Ok(differences) => {
            for difference in differences {
                let name = if difference.path.starts_with("lake/") { LAKE } else { OUTSIDE };
                let remedy = if difference.path.starts_with(IMPORTS) { IMPORT_AGAIN } else { REMEDY };
                findings.fail(name, difference.to_string(), remedy);
            }
        }
        // A table that cannot be opened may have no altered file above.
        Err(e) if e.exit_code() == REFUSED => findings.fail(LAKE, e.lines().join(": "), REMEDY),
        Err(e) => return Err(e),
    }
    if findings.failures() == before {
        findings.pass(LAKE, format!("{compared} files as boxseat wrote them"));
    }
    Ok(record)
}

/// Compares the recorded files outside the lake: raw pages, imports and the published file.
fn outside(store: &Store, record: &RecordSnapshot, findings: &mut Findings) -> Result<(), CommandError> {
    let mut equal = 0;
    for (path, file) in &record.files {
        let Some(path) = path.strip_prefix("../") else { continue };
        let remedy = match path {
            FILE_NAME => "boxseat publish; or restore it from a backup (boxseat restore)",
            _ if path.starts_with(IMPORTS) => IMPORT_AGAIN,
            _ if path.starts_with("spool/") => RAW_PAGES,
            _ => REMEDY,
        };
        let on_disk = store.root().join(path);
        match FileDigest::of_file(&on_disk) {
            Ok(digest) if file.digests.contains(&digest) => equal += 1,
            Ok(_) => findings.fail(OUTSIDE, format!("{path} {CHANGED}"), remedy),
            // A file that was only announced may be missing. Names that must exist are checked with the lake.
            Err(e) if e.kind() == ErrorKind::NotFound && path.starts_with("state/") => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {
                findings.fail(OUTSIDE, format!("{path} is missing, and boxseat did not remove it"), remedy);
            }
            Err(e) => return Err(CommandError::failed(format!("cannot read {}", on_disk.display()), e)),
        }
    }
    findings.pass(OUTSIDE, format!("{equal} files as boxseat wrote them"));
    Ok(())
}

/// Checks raw pages without a record, of unsealed runs and of older versions: they only have checksums.
fn unrecorded_spools(
    store: &Store,
    recorded: &BTreeMap<String, RecordedFile>,
    findings: &mut Findings,
) -> Result<(), CommandError> {
    for path in files_below(store.root(), "spool")? {
        let number = path.strip_prefix("spool/").and_then(|path| path.strip_suffix("/pages.spool"));
        let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
        if recorded.contains_key(&format!("../{path}")) {
            continue;
        }
        let dir = store.spool(RunNumber(number));
        let name = format!("{path}: checksums");
        match whole_frames(&dir, number) {
            Ok(whole) => findings.pass(&name, format!("{} frames, {} bytes", whole.frames, whole.bytes)),
            Err(e) => findings.fail(&name, e.to_string(), RAW_PAGES),
        }
    }
    Ok(())
}

fn whole_frames(dir: &SpoolDir, run_number: u64) -> Result<Whole, boxseat_pipeline::Error> {
    let spool = SpoolReader::open(dir, run_number)?;
    let whole = spool.replay(|_, _| Ok(()))?;
    if let Some(seal) = dir.seal_record()? {
        spool.check_seal(&seal, whole.frames)?;
    }
    Ok(whole)
}

const JOURNAL: &str = "journal";
const LAKE: &str = "record: lake";
const OUTSIDE: &str = "record: other files";
const NOT_RECORDED: &str =
    "an older version of boxseat wrote the lake; the next `boxseat sync` begins the record";
const IMPORT_AGAIN: &str = "restore it from a backup (boxseat restore), or import the report again";
const RAW_PAGES: &str = "restore it from a backup (boxseat restore); the lake has what was loaded from it, but the run cannot be replayed";
