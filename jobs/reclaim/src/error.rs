//! Errors of reclamation: what failed, its kind, and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

use boxseat_pipeline::ErrorKind as BoxErrorKind;
use boxseat_storage::lock::LockError;
use boxseat_storage::toml_file::InvalidToml;

/// What a failure means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It failed.
    Failed,
    /// Usage or configuration is wrong.
    Usage,
    /// A rule or a guard refused.
    Refused,
    /// The same work may succeed later.
    TryLater,
    /// A signal or a deadline stopped the work.
    Interrupted,
}

/// A failure, with its causes and with what an operator can do.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hints: Vec<String>,
    is_machine_failure: bool,
}

impl Error {
    /// A failure of a kind.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None, hints: Vec::new(), is_machine_failure: false }
    }

    /// An unexpected failure.
    pub fn failed(what: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::new(ErrorKind::Failed, what).because(source)
    }

    /// Usage or configuration is wrong.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, what)
    }

    /// A rule or a guard refused.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, what)
    }

    /// A file of the store cannot be read. A file that is not regular was created by another program.
    pub fn unreadable(path: &Path, error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::IsADirectory => {
                Self::refused(format!("{} {error}", path.display())).hint(REMEDY)
            }
            _ => Self::failed(format!("cannot read {}", path.display()), error),
        }
    }

    /// A lock file cannot be taken. `taken` is the message if another process holds the lock.
    pub fn not_locked(path: &Path, taken: &str, error: LockError) -> Self {
        let cannot = |action: &str, e| Self::failed(format!("cannot {action} {}", path.display()), e);
        match error {
            LockError::Held { holder } => {
                let holder = if holder.is_empty() { holder } else { format!(": {holder}") };
                Self::new(ErrorKind::TryLater, format!("{taken}{holder}"))
                    .hint("start again when it has ended; a cron job can wait for its next start")
            }
            LockError::Link(e) => {
                cannot("open", e).hint("it is a symbolic link, which boxseat does not create: remove it")
            }
            LockError::NotRegular => {
                Self::refused(format!("{} is not a regular file with one name", path.display()))
                    .hint("boxseat did not create it: remove it")
            }
            LockError::Open(e) => {
                cannot("open", e).hint("the store must be writable for the user that runs boxseat")
            }
            LockError::Lock(e) => cannot("lock", e),
        }
    }

    /// A directory of the store is still open to other users of this machine.
    pub fn not_closed(error: boxseat_storage::Error) -> Self {
        match error {
            boxseat_storage::Error::Io { path, source, .. } => {
                Self::failed(format!("cannot close {} to others", path.display()), source)
            }
            other => other.into(),
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks a failure that does not mean that the data of a run is wrong; see [`Error::is_external_failure`].
    #[must_use]
    pub fn of_the_machine(mut self) -> Self {
        self.is_machine_failure = true;
        self
    }

    /// What it means for the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same work may succeed later: the machine failed (disk, permissions, open files), the lake was altered, or an
    /// operator stopped the command.
    #[must_use]
    pub fn is_external_failure(&self) -> bool {
        self.is_machine_failure
            || self.kind == ErrorKind::Interrupted
            || self.source.as_deref().is_some_and(|error| is_system_failure(error))
    }

    /// What to do, one sentence each.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message and its causes, one line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.what.clone()];
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !lines.contains(&text) {
                lines.push(text);
            }
            cause = error.source();
        }
        lines
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|e| &**e as _)
    }
}

impl From<boxseat_pipeline::Error> for Error {
    fn from(error: boxseat_pipeline::Error) -> Self {
        let kind = match error.kind() {
            BoxErrorKind::Configure => ErrorKind::Usage,
            BoxErrorKind::TryLater => ErrorKind::TryLater,
            BoxErrorKind::Refused => ErrorKind::Refused,
            BoxErrorKind::Interrupted => ErrorKind::Interrupted,
            BoxErrorKind::Disk | BoxErrorKind::Damaged | BoxErrorKind::Protocol => ErrorKind::Failed,
        };
        let own = error.hint().into_iter().fold(Self::new(kind, error.to_string()), Self::hint);
        let is_machine_failure = error.kind() == BoxErrorKind::Disk || is_system_failure(&error);
        let own = Self { is_machine_failure, ..own };
        match error {
            boxseat_pipeline::Error::Io { source, .. } => own.because(source),
            boxseat_pipeline::Error::Page { source, .. } => own.because(source),
            _ => own,
        }
    }
}

impl From<boxseat_storage::Error> for Error {
    fn from(error: boxseat_storage::Error) -> Self {
        let what = error.to_string();
        match error {
            boxseat_storage::Error::Io { source, .. } => {
                Self::failed(what, source).hint(DISK_HINT).of_the_machine()
            }
            boxseat_storage::Error::NoGroup(_) => Self::usage(what),
        }
    }
}

impl From<InvalidToml> for Error {
    fn from(InvalidToml { what, cause, hint }: InvalidToml) -> Self {
        hint.into_iter().fold(Self::usage(what).because(cause), Self::hint)
    }
}

/// What to do about an altered store.
pub const REMEDY: &str = "restore the store from a backup (`boxseat restore`), or run `boxseat repair`, which keeps what the raw pages and the published file still prove";

/// What to do about a disk that fails.
pub const DISK_HINT: &str = "check free space and permissions of the store; what was read is kept, the next start continues from here";

/// Whether the operating system refused something (no space, no permission, an I/O error, too many open files). Such a failure does
/// not mean that the data is wrong. [`std::io::Error::source`] skips the wrapped error itself, so the wrapped error is read here.
pub fn is_system_failure(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.raw_os_error().is_some()) {
            return true;
        }
        next = match io.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Error as Io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the layer above")]
    struct Layer(#[source] Box<dyn StdError + Send + Sync>);

    /// Why: a full disk, wrapped in two errors of the lake, counted as a failed load, and a sealed run was discarded.
    #[test]
    fn full_disk_is_a_system_failure_at_any_depth() {
        let full = || Io::from_raw_os_error(28);
        for error in [full(), Io::other(full()), Io::other(Layer(Box::new(Io::other(full()))))] {
            assert!(is_system_failure(&error), "{error:?}");
            assert!(is_system_failure(&Layer(Box::new(error))));
        }
        for error in
            [Io::from(std::io::ErrorKind::UnexpectedEof), Io::other("wrong"), Io::other(Layer("x".into()))]
        {
            assert!(!is_system_failure(&error), "{error:?}");
        }
        let error = Error::failed("cannot", Layer(Box::new(full())));
        assert!(error.is_external_failure() && error.kind() == ErrorKind::Failed);
    }
}
