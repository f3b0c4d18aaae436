//! Erases one user from the files in `state/`, and searches the store for remaining mentions.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use boxseat_storage::digest::FileDigest;
use boxseat_storage::durable::{self, Access};

use super::eraser::Eraser;
use super::record::pending_file;
use crate::error::CommandError;
use crate::store::Store;

/// Rewrites every text file in `state/` that names the user: waiting imports, and files of later versions. Parts that were cut off the
/// journal are removed. Returns the number of changed files.
pub(super) fn erase(store: &Store, eraser: &Eraser<'_>) -> Result<u64, CommandError> {
    let root = store.root();
    let mut changed = 0;
    for path in files_below(&root.join("state"))? {
        if path == pending_file(root) || !is_named_in_file(&path, eraser)? {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("journal.torn-at-") {
            std::fs::remove_file(&path).map_err(cannot("remove", &path))?;
            changed += 1;
            continue;
        }
        let Ok(text) = String::from_utf8(durable::read_regular_file(&path).map_err(cannot("read", &path))?)
        else {
            continue;
        };
        if let Some(new) = eraser.document(&text) {
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let noted = noted(store, &below, &text)?;
            let noted = (!noted.is_empty()).then(|| FileDigest::of(new.as_bytes()));
            if let Some(digest) = &noted {
                store.lake().note_beside(&below, digest.clone())?;
            }
            durable::write_file(&path, new.as_bytes(), &Access::from(0o600))?;
            if let Some(digest) = noted {
                store.lake().placed_beside(&below, digest)?;
            }
            changed += 1;
        }
    }
    Ok(changed)
}

/// Checks that the waiting imports that name the user are those that boxseat wrote.
///
/// # Errors
/// Exit 3 for another one.
pub(super) fn check(store: &Store, eraser: &Eraser<'_>) -> Result<(), CommandError> {
    for below in store.imports_waiting()? {
        let path = store.root().join(&below);
        if is_named_in_file(&path, eraser)? {
            let text = durable::read_regular_text(&path).map_err(cannot("read", &path))?;
            noted(store, &below, &text)?;
        }
    }
    Ok(())
}

/// The digests that the lake's record has of a file. Only a file with one of them is rewritten.
fn noted(store: &Store, below: &str, text: &str) -> Result<Vec<FileDigest>, CommandError> {
    let noted = store.lake().noted_beside(below);
    if !noted.is_empty() && !noted.contains(&FileDigest::of(text.as_bytes())) {
        return Err(CommandError::refused(format!("{below} has another content than boxseat wrote"))
            .hint("remove it, and import the report again"));
    }
    Ok(noted)
}

/// The files below the store that name the user and that boxseat did not write.
///
/// # Errors
/// Exit 3 for a file of the store that still names the user.
pub(super) fn search(root: &Path, eraser: &Eraser<'_>) -> Result<Vec<String>, CommandError> {
    let mut not_ours = Vec::new();
    for path in files_below(root)? {
        if path == pending_file(root) || !is_named_in_file(&path, eraser)? {
            continue;
        }
        let below = path.strip_prefix(root).unwrap_or(&path);
        if ["lake", "spool", "state"].iter().any(|ours| below.starts_with(ours)) {
            return Err(CommandError::refused(format!("{} still names the user", path.display())).hint(
                "the erasure is not finished: run the same command again. A checkpoint of the lake may name files that an earlier version removed in the last 7 days: then run it after that time",
            ));
        }
        not_ours.push(path.display().to_string());
    }
    Ok(not_ours)
}

fn is_named_in_file(path: &Path, eraser: &Eraser<'_>) -> Result<bool, CommandError> {
    let mut file = match durable::open_regular_file(path) {
        // Another process may remove its own files at any time.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        other => other.map_err(cannot("open", path))?,
    };
    let (mut buffer, mut filled) = (vec![0; CHUNK_BYTES], 0);
    loop {
        let read = file.read(&mut buffer[filled..]).map_err(cannot("read", path))?;
        filled += read;
        if read == 0 || filled == buffer.len() {
            if eraser.is_named_in(&String::from_utf8_lossy(&buffer[..filled])) {
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            // An address has at most 320 characters.
            buffer.copy_within(CHUNK_BYTES - OVERLAP_BYTES.., 0);
            filled = OVERLAP_BYTES;
        }
    }
}

pub(super) fn files_below(directory: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let mut files = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(files),
        other => other.map_err(cannot("list", directory))?,
    };
    for entry in entries {
        let entry = entry.map_err(cannot("list", directory))?;
        let kind = entry.file_type().map_err(cannot("read", &entry.path()))?;
        if kind.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn cannot(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> CommandError {
    let path = path.to_owned();
    move |e| CommandError::failed(format!("cannot {action} {}", path.display()), e)
}

const CHUNK_BYTES: usize = 4 << 20;
const OVERLAP_BYTES: usize = 1024;
