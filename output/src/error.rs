//! Errors of this crate, and what the caller can do about them.

use std::path::PathBuf;

use boxseat_schemas::RunNumber;

use crate::lake::{Altered, RECORD, RecordError};

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request of the user is not possible: the text states what to do instead.
    Input,
    /// Another process reserved the run number: try again later.
    Taken,
    /// A later run has already committed to this lake: this run must not continue.
    Passed,
    /// The new snapshot contradicts itself and was not published; the old one stays.
    CheckFailed,
    /// Disk or object store failed: full, forbidden, missing.
    Io,
    /// A file differs from what boxseat wrote.
    Corrupt,
    /// The store differs from what boxseat wrote: a table, file or record was removed, rolled back, replaced or added.
    Altered,
    /// `boxseat.duckdb` is not the file that was published: publish again.
    Foreign,
    /// A newer version of boxseat wrote the file: use that version.
    Newer,
    /// The input rows failed; [`std::error::Error::source`] is the caller's own error.
    Rows,
    /// A bug in boxseat: report it.
    Bug,
}

/// An error of this crate. Its text states what failed and where. The causes are in `source()`, and the text does not repeat them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages describe the fields")]
pub enum Error {
    /// The reservation of the run number exists.
    #[error("run {0} is already reserved")]
    Taken(RunNumber),

    /// The table contains a later run.
    #[error("run {run} cannot write {table}: the later run {by} has written it")]
    Passed { table: String, run: RunNumber, by: i64 },

    /// A data check found rows that must not exist.
    #[error("check {} failed on {}: {} row(s), for example {}", .0.check, .0.table, .0.failing_rows, .0.example)]
    CheckFailed(Box<FailedCheck>),

    /// There is no snapshot to read.
    #[error("{} does not exist; run `boxseat sync` or `boxseat demo` first", .0.display())]
    NotPublished(PathBuf),

    /// No run is complete, so there is no snapshot to build.
    #[error("no run is complete yet; run `boxseat sync` first")]
    NoSnapshot,

    /// There is no snapshot of the requested date.
    #[error("there is no snapshot of {date}{}{}", if *is_removed { " any more: retention removed it" } else { "" }, nearest.map_or_else(String::new, |date| format!("; the nearest one is {date}")))]
    NoSuchSnapshot { date: chrono::NaiveDate, is_removed: bool, nearest: Option<chrono::NaiveDate> },

    /// The user's request is not possible: a filter or value that does not exist, or a query that is not accepted.
    #[error("{what}")]
    Ask { what: String, hint: Option<String> },

    /// The system does not know the group of `[publish] group`.
    #[error("the system has no group named {0:?}")]
    NoGroup(String),

    /// A user's query was refused or failed.
    #[error("the query failed")]
    Query(#[source] duckdb::Error),

    /// A file or directory could not be read or written.
    #[error("could not {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },

    /// The lake's store could not be read or written.
    #[error("could not {action} {path}")]
    Store { action: &'static str, path: String, source: object_store::Error },

    /// The lake's table could not be read or written.
    #[error("could not {action} the lake's table {table}")]
    Table { action: &'static str, table: String, source: Box<delta_kernel::Error> },

    /// Rows could not be written to a user's Parquet file, because of the disk or because of a type that Parquet does not have.
    #[error("could not write {}", path.display())]
    Parquet { path: PathBuf, source: parquet::errors::ParquetError },

    /// The DuckDB file could not be built or read.
    #[error("could not {action}")]
    Duckdb { action: String, source: duckdb::Error },

    /// A file differs from what boxseat wrote.
    #[error("{what} is damaged: {reason}")]
    Corrupt { what: String, reason: String },

    /// The store differs from what boxseat wrote.
    #[error(transparent)]
    Altered(#[from] Altered),

    /// The published file was changed or replaced by another program, or has a write-ahead log of another program.
    #[error("{} is not used: {reason}", file.display())]
    Foreign { file: PathBuf, reason: String },

    /// A file was written by a newer version.
    #[error(
        "{what} has format {found}, this version reads {known}: use the version of boxseat that wrote it"
    )]
    Newer { what: String, found: u32, known: u32 },

    /// A line of the lake's record could not be sealed.
    #[error("the record of the lake's files cannot be sealed")]
    Seal(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The iterator over the caller's rows returned an error.
    #[error("the rows for {table} could not be made")]
    Rows { table: String, source: Box<dyn std::error::Error + Send + Sync> },

    /// A bug in boxseat.
    #[error("this is a bug in boxseat, please report it: {0}")]
    Bug(String),
}

/// A data check that found failing rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    /// Name of the check, such as `unique_key`.
    pub check: String,
    /// The table that it checked.
    pub table: String,
    /// How many rows failed.
    pub failing_rows: u64,
    /// One of them, as text.
    pub example: String,
}

impl Error {
    /// What the caller can do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Taken(_) => ErrorKind::Taken,
            Self::Passed { .. } => ErrorKind::Passed,
            Self::CheckFailed(_) => ErrorKind::CheckFailed,
            Self::NotPublished(_)
            | Self::NoSnapshot
            | Self::NoSuchSnapshot { .. }
            | Self::NoGroup(_)
            | Self::Ask { .. }
            | Self::Seal(_)
            | Self::Query(_) => ErrorKind::Input,
            Self::Store { .. } | Self::Table { .. } | Self::Rows { .. } if self.altered().is_some() => {
                ErrorKind::Altered
            }
            Self::Altered(_) => ErrorKind::Altered,
            Self::Io { .. } | Self::Store { .. } | Self::Duckdb { .. } => ErrorKind::Io,
            Self::Parquet {
                source: parquet::errors::ParquetError::NYI(_) | parquet::errors::ParquetError::ArrowError(_),
                ..
            } => ErrorKind::Input,
            Self::Parquet { .. } => ErrorKind::Io,
            Self::Table { source, .. } => table_kind(source),
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Foreign { .. } => ErrorKind::Foreign,
            Self::Newer { .. } => ErrorKind::Newer,
            Self::Rows { .. } => ErrorKind::Rows,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    /// The altered part of the store, at any depth of the error's causes. Files are compared when they are read, so a read error may have
    /// this cause.
    pub fn altered(&self) -> Option<&Altered> {
        use std::error::Error as _;

        let mut next: Option<&(dyn std::error::Error + 'static)> = match self {
            Self::Altered(altered) => return Some(altered),
            Self::Table { source, .. } => Some(source.as_ref()),
            other => other.source(),
        };
        while let Some(error) = next {
            // The caller's rows may come from the lake: rows that are carried forward are read during the write.
            if let Some(nested) = error.downcast_ref::<Self>() {
                return nested.altered();
            }
            if let Some(found) = error.downcast_ref::<Altered>() {
                return Some(found);
            }
            let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = match (io, error.downcast_ref::<delta_kernel::Error>()) {
                (Some(wrapped), _) => Some(wrapped),
                (_, Some(kernel)) => below(kernel),
                _ => error.source(),
            };
        }
        None
    }

    pub(crate) fn record(lake: &std::path::Path, error: RecordError) -> Self {
        match error {
            RecordError::Altered(altered) => Self::Altered(altered),
            RecordError::Io(source) => Self::Io { action: "read or write", path: lake.join(RECORD), source },
            RecordError::Seal(source) => Self::Seal(source),
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn store(
        action: &'static str,
        path: impl ToString,
    ) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Store { action, path: path.to_string(), source }
    }

    pub(crate) fn table(action: &'static str, table: &str) -> impl FnOnce(delta_kernel::Error) -> Self {
        move |source| Self::Table { action, table: table.to_owned(), source: Box::new(source) }
    }

    pub(crate) fn duckdb(action: impl Into<String>) -> impl FnOnce(duckdb::Error) -> Self {
        move |source| Self::Duckdb { action: action.into(), source }
    }
}

/// The kernel's errors do not return the store's errors from `source()`.
fn below(kernel: &delta_kernel::Error) -> Option<&(dyn std::error::Error + 'static)> {
    match kernel {
        delta_kernel::Error::Backtraced { source, .. } => Some(source.as_ref()),
        delta_kernel::Error::ObjectStore(source) => Some(source),
        other => std::error::Error::source(other),
    }
}

/// The kernel uses one error type for a full disk, a damaged log and an unknown table feature.
fn table_kind(source: &delta_kernel::Error) -> ErrorKind {
    use delta_kernel::Error as Kernel;
    match source {
        Kernel::Backtraced { source, .. } => table_kind(source),
        Kernel::IOError(_) | Kernel::ObjectStore(_) | Kernel::FileNotFound(_) => ErrorKind::Io,
        Kernel::Unsupported(_) => ErrorKind::Newer,
        _ => ErrorKind::Corrupt,
    }
}

impl From<boxseat_storage::Error> for Error {
    fn from(error: boxseat_storage::Error) -> Self {
        match error {
            boxseat_storage::Error::Io { action, path, source } => Self::Io { action, path, source },
            boxseat_storage::Error::NoGroup(group) => Self::NoGroup(group),
        }
    }
}
