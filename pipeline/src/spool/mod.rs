//! The journal of raw pages on disk. The byte format is `boxseat_schemas::spool`; this is the I/O.
//!
//! ```text
//! <store>/spool/<run number>/pages.spool    frames, appended, synced once a second or per 4 MiB
//!                            SEALED         written and synced once the guards have passed
//!                            REFUSED        written instead when a guard refused the run
//! ```
//!
//! A frame reaches the kernel before its page counts as done, so a killed process loses nothing it had counted; a power cut
//! loses at most the last second. A torn last frame is cut off on the next open.

mod reader;
mod writer;

pub use reader::{Frames, SpoolReader, Whole};
pub use writer::{SealRecord, SpoolWriter};

use std::path::{Path, PathBuf};

/// The directory of one run's spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolDir(PathBuf);

impl SpoolDir {
    /// The spool of a run under `<store>/spool`.
    pub fn of(spools: &Path, run_number: u64) -> Self {
        Self(spools.join(run_number.to_string()))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file of frames.
    pub fn pages(&self) -> PathBuf {
        self.0.join("pages.spool")
    }

    /// The mark that the run is whole and may be loaded.
    pub fn sealed(&self) -> PathBuf {
        self.0.join("SEALED")
    }

    /// What `SEALED` says; `None` when the spool is gone or was never sealed.
    pub fn seal_record(&self) -> Option<SealRecord> {
        serde_json::from_slice(&std::fs::read(self.sealed()).ok()?).ok()
    }

    /// The mark that a guard refused the run.
    pub fn refused(&self) -> PathBuf {
        self.0.join("REFUSED")
    }
}
