//! The errors of this crate.

use std::path::{Path, PathBuf};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// A file or directory could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused the action.
    #[error("could not {action} {}", path.display())]
    Io {
        /// A verb, such as `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The system has no group with this name.
    #[error("the system has no group named {0:?}")]
    NoGroup(String),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }
}
