//! Checks of the published file: for commands that read it, and for commands that change accounts by it.

use std::path::Path;

use boxseat_output::warehouse::{Check, PublishedFile};

use crate::error::CommandError;

/// Checks the file for a command that only reads it. A file without a record is used, with a warning.
///
/// # Errors
/// Exit 2 if nothing is published; exit 3 if the file is not the published one.
pub(crate) fn check_to_read(store: &Path) -> Result<(), CommandError> {
    let file = PublishedFile::check(store, Check::Stamp)?;
    if file.recorded().is_none() {
        tracing::warn!("{}; {RECORD}", unrecorded(&file));
    }
    Ok(())
}

/// Checks every byte of the file for a command that changes accounts. [`PublishedFile::recorded`] is the run and the digest.
///
/// # Errors
/// As [`check_to_read`]; exit 3 also if the file has no record.
pub(crate) fn check_to_act(store: &Path) -> Result<PublishedFile, CommandError> {
    let file = PublishedFile::check(store, Check::Digest)?;
    if file.recorded().is_none() {
        return Err(CommandError::refused(unrecorded(&file)).hint(RECORD));
    }
    Ok(file)
}

fn unrecorded(file: &PublishedFile) -> String {
    format!(
        "{} has no recorded digest: an earlier version of boxseat published it, or the record lake/_published.json was removed",
        file.path().display()
    )
}

const RECORD: &str = "`boxseat publish` builds the file again from the lake and records its digest";
