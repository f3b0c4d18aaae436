//! Errors of commands: what failed, what to do, and the exit code.

use std::error::Error as StdError;
use std::ops::Deref;
use std::path::Path;

use boxseat_output as output;
use boxseat_pipeline as pipeline;
pub(crate) use boxseat_pipeline::SEAL_HINT;
use boxseat_storage::lock::LockError;
use boxseat_storage::toml_file::InvalidToml;

use boxseat_reclaim::is_system_failure;
pub(crate) use boxseat_reclaim::{DISK_HINT, Error, ErrorKind, REMEDY};

/// 1: it failed.
pub(crate) const FAILED: u8 = 1;
/// 2: usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// 3: refused by a guard; the published snapshot stays.
pub(crate) const REFUSED: u8 = 3;
/// 4: done, with rejected rows.
pub(crate) const REJECTS: u8 = 4;
/// 75: try again later (`EX_TEMPFAIL` of sysexits).
pub(crate) const TRY_LATER: u8 = 75;
/// 130: interrupted (128 + SIGINT).
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of a failure.
pub(crate) fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Failed => FAILED,
        ErrorKind::Usage => USAGE,
        ErrorKind::Refused => REFUSED,
        ErrorKind::TryLater => TRY_LATER,
        ErrorKind::Interrupted => INTERRUPTED,
    }
}

/// A failure of a command: an error of the libraries, with what the program adds to it.
#[derive(Debug)]
pub(crate) struct CommandError(Error);

impl Deref for CommandError {
    type Target = Error;

    fn deref(&self) -> &Error {
        &self.0
    }
}

impl CommandError {
    /// An unexpected failure.
    pub(crate) fn failed(what: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self(Error::failed(what, source))
    }

    /// Usage or configuration is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self(Error::usage(what))
    }

    /// A guard refused.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self(Error::refused(what))
    }

    /// The same command may succeed later.
    pub(crate) fn try_later(what: impl Into<String>) -> Self {
        Self(Error::new(ErrorKind::TryLater, what))
    }

    /// A signal stopped the command.
    pub(crate) fn interrupted(what: impl Into<String>) -> Self {
        Self(Error::new(ErrorKind::Interrupted, what))
    }

    /// As [`Error::unreadable`].
    pub(crate) fn unreadable(path: &Path, error: std::io::Error) -> Self {
        Self(Error::unreadable(path, error))
    }

    /// As [`Error::not_locked`].
    pub(crate) fn not_locked(path: &Path, taken: &str, error: LockError) -> Self {
        Self(Error::not_locked(path, taken, error))
    }

    /// As [`Error::not_closed`].
    pub(crate) fn not_closed(error: boxseat_storage::Error) -> Self {
        Self(Error::not_closed(error))
    }

    /// Adds what to do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.hint(hint))
    }

    /// Adds the cause.
    pub(crate) fn because(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self(self.0.because(source))
    }

    pub(crate) fn exit_code(&self) -> u8 {
        exit_code(self.kind())
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// For what the libraries call.
impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        error.0
    }
}

impl From<InvalidToml> for CommandError {
    fn from(error: InvalidToml) -> Self {
        Self(error.into())
    }
}

impl From<boxseat_storage::Error> for CommandError {
    fn from(error: boxseat_storage::Error) -> Self {
        Self(error.into())
    }
}

impl From<pipeline::Error> for CommandError {
    fn from(error: pipeline::Error) -> Self {
        // The rows of the base run are read from the lake, whose error is more exact.
        match error {
            pipeline::Error::Base { source } => match source.downcast::<output::Error>() {
                Ok(of_the_lake) => Self::from(*of_the_lake),
                Err(source) => Self(pipeline::Error::Base { source }.into()),
            },
            other => Self(other.into()),
        }
    }
}

impl From<output::Error> for CommandError {
    fn from(error: output::Error) -> Self {
        use output::ErrorKind as Kind;
        // The errors of Delta and Parquet do not distinguish a full disk from damage.
        let kind = if is_system_failure(&error) { Kind::Io } else { error.kind() };
        let (own, hint) = match kind {
            Kind::Input => (ErrorKind::Usage, None),
            Kind::Taken => (ErrorKind::TryLater, Some("another host is using this lake; start again later")),
            Kind::Passed => (
                ErrorKind::Refused,
                Some(
                    "another host has written a later run to this lake; only one may write: use one store per lake",
                ),
            ),
            Kind::CheckFailed => (
                ErrorKind::Refused,
                Some("the published snapshot stays; the spool is kept, so no data is lost: please report it"),
            ),
            Kind::Altered => (ErrorKind::Refused, Some(REMEDY)),
            Kind::Newer => (ErrorKind::Usage, Some("use the boxseat version that wrote it, or a newer one")),
            Kind::Foreign => (
                ErrorKind::Refused,
                Some(
                    "run `boxseat publish`: it builds the file again from the lake; open the file with `duckdb -readonly`",
                ),
            ),
            Kind::Io => (ErrorKind::Failed, Some(DISK_HINT)),
            Kind::Corrupt => (ErrorKind::Failed, Some(REMEDY)),
            _ => (ErrorKind::Failed, None),
        };
        let hint = match &error {
            output::Error::NotPublished(_) => {
                Some("if the store has a complete run, `boxseat publish` builds the file again from the lake")
            }
            _ => hint,
        };
        let what = error.altered().map_or_else(|| error.to_string(), ToString::to_string);
        let mut command = Error::new(own, what);
        // Damage of the lake does not mean that the raw pages of the run are wrong.
        if matches!(kind, Kind::Io | Kind::Altered) {
            command = command.of_the_machine();
        }
        command = hint.into_iter().fold(command, Error::hint);
        if let output::Error::Ask { hint: Some(hint), .. } = &error {
            command = command.hint(hint);
        }
        let cause = if kind == Kind::Altered { None } else { into_source(error) };
        Self(cause.into_iter().fold(command, Error::because))
    }
}

/// The cause of an error. Its own text is already the message.
fn into_source(error: output::Error) -> Option<Box<dyn StdError + Send + Sync>> {
    use output::Error;
    Some(match error {
        // DuckDB's text is complete; its source is always "Unknown error code".
        Error::Query(source) | Error::Duckdb { source, .. } => source.to_string().into(),
        Error::Io { source, .. } => Box::new(source),
        Error::Store { source, .. } => Box::new(source),
        Error::Table { source, .. } => source,
        Error::Parquet { source, .. } => Box::new(source),
        Error::Rows { source, .. } => source,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_all_libraries_have_their_exit_codes() {
        let own = [
            (CommandError::failed("x", std::fmt::Error), 1),
            (CommandError::usage("x"), 2),
            (CommandError::refused("x"), 3),
            (CommandError::try_later("x"), 75),
            (CommandError::interrupted("x"), 130),
        ];
        for (error, code) in own {
            assert_eq!(error.exit_code(), code, "{error:?}");
        }
        assert_eq!(CommandError::from(pipeline::Error::Interrupted).exit_code(), 130);
        assert_eq!(CommandError::from(boxseat_storage::Error::NoGroup("staff".to_owned())).exit_code(), 2);
        let full = std::io::Error::from_raw_os_error(28);
        let of_the_lake = output::Error::Io { action: "write", path: "lake".into(), source: full };
        let error = CommandError::from(pipeline::Error::Base { source: Box::new(of_the_lake) });
        assert!(error.is_external_failure() && error.exit_code() == 1);
        assert_eq!(error.lines()[0], "could not write lake");
        assert_eq!(error.hints(), [DISK_HINT]);
    }
}
