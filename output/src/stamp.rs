//! Values that change with every change of a file. They prove that the compared file and the file that is read are the same.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

/// Size, inode and time of change. The time of change is the kernel's own: no call sets it (inode(7)).
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
