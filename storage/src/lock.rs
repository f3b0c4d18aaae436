//! Lock files. The operating system holds the lock (`flock`) and releases it when the process ends for any reason. The text in the file is
//! only for operators.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// A lock that this process holds until the value is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process holds the lock")]
    Held {
        /// The text that the holder wrote into the file; may be empty.
        holder: String,
    },
    /// The path is a symbolic link. Its target is not opened, because the content of the target would be replaced.
    #[error("it is a symbolic link")]
    Link(#[source] io::Error),
    /// The path is a directory, a pipe, a device, or a file with more than one hard link.
    #[error("it is not a regular file with one name")]
    NotRegular,
    /// The file could not be opened or created.
    #[error("it cannot be opened")]
    Open(#[source] io::Error),
    /// The system could not lock the file.
    #[error("it cannot be locked")]
    Lock(#[source] io::Error),
}

impl Lock {
    /// Takes a lock, and creates the lock file if it is missing. Writes `holder` into the file, so that other processes can report the
    /// holder.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path, holder: &str) -> Result<Self, LockError> {
        let opened = options().write(true).create(true).truncate(false).mode(0o600).open(path);
        let is_link = |e: &io::Error| e.raw_os_error().is_some() && path.is_symlink();
        let mut file =
            opened.map_err(|e| if is_link(&e) { LockError::Link(e) } else { LockError::Open(e) })?;
        // With a second hard link, the lock text would also replace the content under the other name.
        let metadata = file.metadata().map_err(LockError::Open)?;
        if !metadata.is_file() || metadata.nlink() > 1 {
            return Err(LockError::NotRegular);
        }
        let mut retries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // `is_held` takes a shared lock for microseconds.
                Err(TryLockError::WouldBlock)
                    if retries < RETRIES && file.try_lock_shared().is_ok() && file.unlock().is_ok() =>
                {
                    retries += 1;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { holder: read_holder(&mut file) });
                }
                Err(TryLockError::Error(e)) => return Err(LockError::Lock(e)),
            }
        }
        // The text is only for operators, so a failed write is ignored.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{holder}"));
        Ok(Self { _file: file })
    }
}

impl Lock {
    /// As [`Lock::take`], with the number of this process and the name of this machine.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take_here(path: &Path) -> Result<Self, LockError> {
        Self::take(path, &format!("pid {} on {}", std::process::id(), crate::host()))
    }
}

/// Maximum number of retries while other processes only check the lock.
const RETRIES: u32 = 1000;

/// The text that the holder of a lock wrote into the file; `None` if no process holds the lock.
pub fn holder(path: &Path) -> Option<String> {
    let mut file = options().open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
        _ => None,
    }
}

/// Whether a process holds the lock.
pub fn is_held(path: &Path) -> bool {
    holder(path).is_some()
}

/// Options that do not follow a symbolic link and do not wait for the other end of a pipe.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    options
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) => text.trim().to_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_once_and_names_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert_eq!(holder(&path), None, "there is no file");
        let first = Lock::take(&path, "pid 1 on here").unwrap();
        assert_eq!(holder(&path).as_deref(), Some("pid 1 on here"));
        match Lock::take(&path, "pid 2 on here") {
            Err(LockError::Held { holder }) => assert_eq!(holder, "pid 1 on here"),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(!is_held(&path));
        Lock::take(&path, "pid 3 on here").unwrap();
    }

    #[test]
    fn only_a_regular_file_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        std::fs::write(&target, "content").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(Lock::take(&link, "pid 1"), Err(LockError::Link(_))));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "content");
        let second = directory.path().join("second");
        std::fs::hard_link(&target, &second).unwrap();
        assert!(matches!(Lock::take(&second, "pid 1"), Err(LockError::NotRegular)));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "content");
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(Lock::take(&pipe, "pid 1").is_err());
    }
}
