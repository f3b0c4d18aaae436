//! The directory that a backup or a restore writes into before it is renamed to the destination.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use boxseat_storage::durable::{self, Access};
use boxseat_storage::lock::Lock;
use nix::unistd::geteuid;

use crate::error::CommandError;

/// `<destination>.partial`. It is removed on drop, unless it was placed.
///
/// It has a lock file, which marks it as a directory of boxseat and excludes a second process. The lock file is removed after the
/// rename. *Killed* between the two: the lock file stays in the finished directory and is ignored there.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    destination: PathBuf,
    is_placed: bool,
    _lock: Lock,
}

impl Partial {
    /// Begins with an empty directory. The remains of a killed process are removed.
    ///
    /// # Errors
    /// Exit 2 if the destination is not empty; exit 75 while another process writes there; disk.
    pub(crate) fn begin(destination: &Path, access: &Access, hint: &str) -> Result<Self, CommandError> {
        let absolute = std::path::absolute(destination)
            .map_err(|e| CommandError::failed(format!("cannot find {}", destination.display()), e))?;
        // A trailing slash is not part of the name.
        let destination: PathBuf = absolute.components().collect();
        let (Some(_), Some(parent)) = (destination.file_name(), destination.parent()) else {
            return Err(CommandError::usage(format!("{} has no name", destination.display()))
                .hint("name a directory that does not exist yet"));
        };
        if !is_free(&destination)? {
            return Err(
                CommandError::usage(format!("{} exists and is not empty", destination.display())).hint(hint)
            );
        }
        let path = partial_of(&destination);
        let lock = path.join(LOCK);
        let is_ours = match path.symlink_metadata() {
            Err(_) => true,
            // The owner of another user's directory could read it.
            Ok(there) => {
                there.is_dir() && there.uid() == geteuid().as_raw() && (lock.is_file() || is_free(&path)?)
            }
        };
        if !is_ours {
            return Err(CommandError::usage(format!(
                "{} exists, but neither `boxseat backup` nor `boxseat restore` created it",
                path.display()
            ))
            .hint("move it away"));
        }
        durable::create_directory(parent, &Access::from(0o600))?;
        durable::create_directory(&path, access)?;
        // A directory that was there may be open to others, and would stay so as the finished backup.
        durable::set_directory_access(&path, access)?;
        let taken = format!("another boxseat process is writing to {}", destination.display());
        let lock = Lock::take_here(&lock).map_err(|e| CommandError::not_locked(&lock, &taken, e))?;
        let partial = Self { path, destination, is_placed: false, _lock: lock };
        partial.clear()?;
        Ok(partial)
    }

    /// The directory to write into.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The final path.
    pub(crate) fn destination(&self) -> &Path {
        &self.destination
    }

    /// Renames the directory to the destination.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn place(mut self) -> Result<PathBuf, CommandError> {
        durable::place_directory(&self.path, &self.destination).map_err(|e| {
            CommandError::from(e).hint("a mount point cannot be replaced: name a directory below it")
        })?;
        self.is_placed = true;
        let lock = self.destination.join(LOCK);
        if let Err(e) = std::fs::remove_file(&lock) {
            tracing::warn!("cannot remove {}, which is harmless: {e}", lock.display());
        }
        Ok(self.destination.clone())
    }

    fn clear(&self) -> Result<(), CommandError> {
        let cannot = |e| CommandError::failed(format!("cannot empty {}", self.path.display()), e);
        for entry in std::fs::read_dir(&self.path).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            if entry.file_name() == LOCK {
                continue;
            }
            let is_directory = entry.file_type().map_err(cannot)?.is_dir();
            let path = entry.path();
            if is_directory { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
                .map_err(cannot)?;
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_placed {
            // If this fails, the next start for this destination removes the directory.
            let _ = durable::remove_directory(&self.path);
        }
    }
}

/// Whether the path is missing or an empty directory.
fn is_free(path: &Path) -> Result<bool, CommandError> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(path.symlink_metadata().is_err()),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        Err(e) => Err(CommandError::failed(format!("cannot list {}", path.display()), e)),
    }
}

/// Whether a path is that of an unfinished backup or restore.
pub(super) fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == PARTIAL)
}

fn partial_of(destination: &Path) -> PathBuf {
    let mut name = OsString::from(destination);
    name.push(format!(".{PARTIAL}"));
    PathBuf::from(name)
}

const PARTIAL: &str = "partial";

/// Marks a partial directory and is locked by its writer.
pub(super) const LOCK: &str = ".boxseat.lock";

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Why: a prepared `NAME.partial` of mode 0777 was taken over, and the finished backup stayed open to everyone.
    #[test]
    fn a_directory_that_was_prepared_gets_the_mode_of_a_new_backup() {
        let temp = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        for mode_before in [0o777, 0o700] {
            let destination = temp.path().join(format!("backup-{mode_before:o}"));
            let prepared = partial_of(&destination);
            std::fs::create_dir(&prepared).unwrap();
            std::fs::set_permissions(&prepared, Permissions::from_mode(mode_before)).unwrap();
            let partial = Partial::begin(&destination, &Access::from(0o600), "").unwrap();
            assert_eq!(mode(partial.path()), 0o700);
            assert_eq!(mode(&partial.place().unwrap()), 0o700);
        }
    }
}
