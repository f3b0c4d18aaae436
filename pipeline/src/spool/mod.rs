//! The journal of raw pages on disk. `boxseat_schemas::spool` defines the byte format; this module does the I/O.
//!
//! ```text
//! <store>/spool/<run number>/pages.spool    frames, appended, synced once a second or per 4 MiB
//!                            SEALED         written and synced once the guards have passed
//!                            REFUSED        written instead when a guard refused the run
//! ```
//!
//! A frame is passed to the kernel before its page counts as read, so a killed process loses nothing that it had counted. A power cut
//! loses at most the last second. A torn last frame is cut off at the next open.

mod reader;
mod rewrite;
mod seal;
mod writer;

pub use reader::{Frames, SpoolReader, Whole};
pub use rewrite::{Change, Rewriter};
pub use seal::SealRecord;
pub use writer::SpoolWriter;

use std::path::{Path, PathBuf};

/// The directory of one run's spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolDir {
    path: PathBuf,
    run_number: u64,
}

impl SpoolDir {
    /// The spool directory of a run under `<store>/spool`.
    pub fn of(spools: &Path, run_number: u64) -> Self {
        Self { path: spools.join(run_number.to_string()), run_number }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of frames.
    pub fn pages(&self) -> PathBuf {
        self.path.join("pages.spool")
    }

    /// The mark of a complete run that may be loaded.
    pub fn sealed(&self) -> PathBuf {
        self.path.join("SEALED")
    }

    /// The mark of a run that a guard refused.
    pub fn refused(&self) -> PathBuf {
        self.path.join("REFUSED")
    }
}
