//! Values that change with every change of a file. They prove that the compared file and the file that is read are the same.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Size, inode and time of change. The kernel sets the time of change (ctime). No system call can set it (inode(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stamp {
    size_bytes: u64,
    inode: u64,
    changed_at_secs: i64,
    changed_at_nanos: i64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size_bytes: metadata.size(),
            inode: metadata.ino(),
            changed_at_secs: metadata.ctime(),
            changed_at_nanos: metadata.ctime_nsec(),
        }
    }
}

/// The time of change of a file has at least this resolution. Kernels before 6.13 count it in ticks of the scheduler, of 1 to 10 ms on
/// common machines; two writes within a tick give the same time.
const TICK: Duration = Duration::from_millis(20);

/// The maximum number of attempts for a file that is written to in the meantime.
const ATTEMPTS: u32 = 10;

impl Stamp {
    /// Waits until the last change of an open file is older than a tick, and returns its stamp. Every later change then gives another
    /// stamp.
    ///
    /// # Errors
    /// The error of the operating system; [`io::ErrorKind::WouldBlock`] for a file that is written to all the time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel's clock dates the change, so it is compared with the same clock"
    )]
    pub(crate) fn settled(file: &File) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let metadata = file.metadata()?;
            let changed_at = Duration::new(
                u64::try_from(metadata.ctime()).unwrap_or(0),
                u32::try_from(metadata.ctime_nsec()).unwrap_or(0),
            );
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            // If the time of change is in the future, the clock was set back after the change.
            let age = now.checked_sub(changed_at).filter(|age| *age < TICK);
            let Some(age) = age else { return Ok(Self::of(&metadata)) };
            std::thread::sleep(TICK - age);
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the file is written to all the time"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_change_after_a_settled_stamp_gives_another_stamp() {
        let mut file = tempfile::tempfile().unwrap();
        for _ in 0..5 {
            file.write_all(b"one").unwrap();
            let stamp = Stamp::settled(&file).unwrap();
            file.set_len(0).unwrap();
            file.write_all(b"two").unwrap();
            assert_ne!(Stamp::settled(&file).unwrap(), stamp);
        }
    }
}
