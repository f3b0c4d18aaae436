//! Lock files. The lock is the system's (`flock`): it ends with the process, however the process ends. The text is for operators.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// A lock file that this process holds while this value lives.
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
        /// What the holder wrote into the file; empty if it wrote nothing.
        holder: String,
    },
    /// The path is a symbolic link. Its target is not opened, because the content of the target would be replaced.
    #[error("it is a symbolic link")]
    Link(#[source] io::Error),
    /// The path is a directory, a pipe, a device, or one of several names of a file.
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
    /// Takes a lock file, and creates it if it is missing. `holder` is written into the file for the process that finds it taken.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path, holder: &str) -> Result<Self, LockError> {
        let opened = options().write(true).create(true).truncate(false).mode(0o600).open(path);
        let is_link = |e: &io::Error| e.raw_os_error().is_some() && path.is_symlink();
        let mut file =
            opened.map_err(|e| if is_link(&e) { LockError::Link(e) } else { LockError::Open(e) })?;
        // A second name would be another file, whose content would be replaced.
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
        // The text is only for operators, so a failure to write it changes nothing.
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

/// How often a lock is tried again if another process only checks it.
const RETRIES: u32 = 1000;

/// What the holder of a lock file wrote into it. `None`: no process holds the file.
pub fn holder(path: &Path) -> Option<String> {
    let mut file = options().open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
        _ => None,
    }
}

/// Whether a process holds a lock file.
pub fn is_held(path: &Path) -> bool {
    holder(path).is_some()
}

/// Opens the file itself and never the target of a link. A pipe is opened without waiting.
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
