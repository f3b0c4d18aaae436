//! Checks where a result is written: a new file or a regular file that it replaces, never a file of the store's data.

use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use boxseat_output::warehouse::FILE_NAME;
use boxseat_storage::resolve;

use crate::config::Settings;
use crate::error::CommandError;

/// Refuses a file that a result must not replace: the data of the store, and files that boxseat reads or appends to.
///
/// # Errors
/// Exit 2 names the file and what it is.
pub(crate) fn check_output(file: &Path, settings: &Settings) -> Result<(), CommandError> {
    check_file(file, &settings.store)?;
    check_use(file, &settings.files_in_use())
}

/// Refuses a file in use, and a file in a directory in use. Links are resolved on both sides.
fn check_use(file: &Path, in_use: &[(&'static str, PathBuf)]) -> Result<(), CommandError> {
    let in_full = resolved(file)?;
    let is_used = |used: &Path| resolved(used).is_ok_and(|used| in_full.starts_with(used));
    match in_use.iter().find(|(_, used)| is_used(used)) {
        Some((what, _)) => Err(refused(file, &format!("is {what}, which is in use"))),
        None => Ok(()),
    }
}

/// Refuses a file that is not a regular file, or that is in the data of the store.
///
/// # Errors
/// Exit 2 names the file and what it is.
fn check_file(file: &Path, store: &Path) -> Result<(), CommandError> {
    match fs::metadata(file) {
        Ok(there) if there.is_file() => {}
        Ok(there) => {
            return Err(refused(file, &format!("is {}, not a regular file", kind(there.file_type()))));
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(refused(file, "cannot be read").because(e)),
    }
    check_place(file, store)
}

/// Refuses a directory that results must not be written into.
///
/// # Errors
/// As [`check_file`].
pub(crate) fn check_directory(directory: &Path, store: &Path) -> Result<(), CommandError> {
    if resolved(directory)? == resolved(store)? {
        return Err(refused(directory, "is the directory of the store"));
    }
    check_place(directory, store)
}

fn check_place(path: &Path, store: &Path) -> Result<(), CommandError> {
    let (path_in_full, store) = (resolved(path)?, resolved(store)?);
    let Ok(inside) = path_in_full.strip_prefix(&store) else { return Ok(()) };
    let first = inside.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let is_data = first.is_some_and(|name| {
        matches!(name.as_str(), "lake" | "spool" | "state")
            || name.trim_start_matches('.').starts_with(FILE_NAME)
    });
    if is_data { Err(refused(path, "belongs to the data of the store")) } else { Ok(()) }
}

/// The path with links resolved. Parts that do not exist yet stay as written.
fn resolved(path: &Path) -> Result<PathBuf, CommandError> {
    resolve(path).map_err(|e| refused(path, "cannot be read").because(e))
}

fn kind(file: FileType) -> &'static str {
    if file.is_dir() {
        "a directory"
    } else if file.is_fifo() {
        "a pipe"
    } else if file.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn refused(path: &Path, why: &str) -> CommandError {
    CommandError::usage(format!("{} {why}", path.display()))
        .hint("nothing was written; name another file, or omit the option to use standard output")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn results_are_not_written_into_the_data_of_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let store = root.join("store");
        for name in ["lake/users", "spool", "state/reclaim", "reports"] {
            fs::create_dir_all(store.join(name)).unwrap();
        }
        fs::write(store.join("state/store.json"), "{}").unwrap();
        symlink(store.join("lake"), root.join("link")).unwrap();
        symlink(store.join("state/store.json"), root.join("linked.json")).unwrap();
        symlink(&store, root.join("alias")).unwrap();
        for (path, is_accepted) in [
            ("out.csv", true),
            ("new/directory/out.csv", true),
            ("store/reports/out.csv", true),
            ("store/out.csv", true),
            ("store/lake/out.csv", false),
            ("store/lake/new/out.csv", false),
            ("store/state/store.json", false),
            ("store/spool/1", false),
            ("store/boxseat.duckdb", false),
            ("store/boxseat.duckdb.wal", false),
            ("store/.boxseat.duckdb.7.tmp", false),
            ("store/reports/../state/x", false),
            ("link/out.csv", false),
            ("linked.json", false),
            ("alias/state/out.csv", false),
            ("new/../store/state/x", false),
        ] {
            let found = check_file(&root.join(path), &store);
            assert_eq!(found.is_ok(), is_accepted, "{path}: {found:?}");
        }
        for (path, is_accepted) in
            [("reports", true), ("store/reports", true), ("store", false), ("alias", false), ("link", false)]
        {
            let found = check_directory(&root.join(path), &store);
            assert_eq!(found.is_ok(), is_accepted, "{path}: {found:?}");
        }
    }

    /// Why: a report replaced the file of the client secret, under its own name or through a link.
    #[test]
    fn results_do_not_replace_files_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("credentials")).unwrap();
        for name in ["secret", "credentials/boxseat-journal-key", "target", "other"] {
            fs::write(root.join(name), "x").unwrap();
        }
        symlink(root.join("secret"), root.join("to-secret")).unwrap();
        symlink(root.join("credentials"), root.join("to-credentials")).unwrap();
        symlink(root.join("target"), root.join("credentials/boxseat-client-secret")).unwrap();
        let in_use = ["to-secret", "credentials", "credentials/boxseat-client-secret", "absent.csv"]
            .map(|name| ("a file with a secret", root.join(name)));
        for (path, is_accepted) in [
            ("secret", false),
            ("to-secret", false),
            ("credentials/boxseat-journal-key", false),
            ("credentials/new", false),
            ("to-credentials/boxseat-journal-key", false),
            ("credentials/../secret", false),
            ("target", false),
            ("absent.csv", false),
            ("other", true),
            ("secret.csv", true),
            ("credentials.csv", true),
        ] {
            let found = check_use(&root.join(path), &in_use);
            assert_eq!(found.is_ok(), is_accepted, "{path}: {found:?}");
        }
    }

    #[test]
    fn error_names_the_kind_of_an_irregular_file() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        symlink("/dev/null", root.join("link")).unwrap();
        symlink(root.join("loop"), root.join("loop")).unwrap();
        symlink(root.join("nothing"), root.join("dangling")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        symlink(root.join("file"), root.join("to-file")).unwrap();
        let store = root.join("store");
        for (path, named) in [
            ("/dev/null", "a device"),
            (".", "a directory"),
            ("socket", "a socket"),
            ("link", "a device"),
            ("loop", "cannot be read"),
        ] {
            let error = check_file(&root.join(path), &store).unwrap_err();
            assert!(error.lines()[0].contains(named), "{path}: {error:?}");
        }
        for path in ["file", "to-file", "dangling", "new"] {
            assert!(check_file(&root.join(path), &store).is_ok(), "{path}");
        }
    }
}
