//! Copies of a store: `boxseat backup` makes one, `boxseat restore` checks it and creates a store from it.
//!
//! A copy has the layout of a store and a manifest, `BACKUP.json`, with the digest of every file. Both commands write into
//! `<destination>.partial` and rename it at the end. *Killed* before the rename: `restore` refuses the remains, and the next start
//! for the same destination removes them.

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

/// The access of the directory of a file: directories of `state` and `spool` are private.
fn access_of_directory(path: &str, access: &Access) -> Access {
    if path.starts_with("state/") || path.starts_with("spool/") {
        Access::from(0o600)
    } else {
        access.clone()
    }
}
