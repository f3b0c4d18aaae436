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
    /// The spool of a run under `<store>/spool`.
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

    /// The mark that the run is whole and may be loaded.
    pub fn sealed(&self) -> PathBuf {
        self.path.join("SEALED")
    }

    /// The mark that a guard refused the run.
    pub fn refused(&self) -> PathBuf {
        self.path.join("REFUSED")
    }
}
