//! Copies of a store: `boxseat backup` makes one, `boxseat restore` checks it and puts it back.
//!
//! A copy has the layout of a store and a manifest, `BACKUP.json`, with the digest of every file. Both commands write into
//! `<destination>.partial` and rename it at the end. *Killed* before: the remains are not accepted by `restore`, and the next
//! start for the same destination removes them.

mod compare;
mod copy;
mod manifest;
mod partial;

use boxseat_storage::durable::Access;

pub(crate) use compare::{CHANGED, check_copy, names_that_differ};
pub(crate) use copy::{copy_consistently, copy_file, is_secret};
pub(crate) use manifest::{BackupFile, MANIFEST, Manifest, files_below, refused};
pub(crate) use partial::Partial;

/// The record of the lake's files, below the store.
pub(crate) const RECORD: &str = "lake/_runs/files.log";

/// Who enters the directory of a file: only the owner enters those of `state` and `spool`.
fn access_of_directory(path: &str, access: &Access) -> Access {
    if path.starts_with("state/") || path.starts_with("spool/") {
        Access::from(0o600)
    } else {
        access.clone()
    }
}
