//! The failures between Box and the batches, and what the caller should do about them.

use std::path::PathBuf;
use std::time::Duration;

use boxseat_schemas::box_api::NotAPage;
use boxseat_schemas::spool::{Damage, TOKEN_ENDPOINT};

/// What the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Fix the configuration: address, credentials, scopes.
    Configure,
    /// Wait and start again: Box is down or throttles, or the network is down.
    TryLater,
    /// A guard refused what Box sent; the old snapshot stays published.
    Refused,
    /// Stopped on request; the run can be resumed.
    Interrupted,
    /// The disk failed: space, permissions, hardware.
    Disk,
    /// The files on disk differ from what was written.
    Damaged,
    /// Box responded with something that its documentation does not allow.
    Protocol,
}

/// The failures of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token endpoint refused the credentials.
    #[error("Box refused to sign in ({reason})")]
    SignIn {
        /// Box's own text.
        reason: String,
        /// The part that Box refused.
        fault: crate::client::SignInFault,
    },
    /// A call was refused although the token was new.
    #[error("{endpoint}: Box responded with {status} {code} (request id {request_id})")]
    Denied {
        /// The call.
        endpoint: &'static str,
        /// 401 or 403.
        status: u16,
        /// Box's error code.
        code: String,
        /// The id that Box's support requires.
        request_id: String,
    },
    /// A call failed with a status that repeating does not change.
    #[error("{endpoint}: Box responded with {status} {code}: {message} (request id {request_id})")]
    Rejected {
        /// The call.
        endpoint: &'static str,
        /// The status.
        status: u16,
        /// Box's error code, or the content type if the body is not from Box.
        code: String,
        /// Box's message.
        message: String,
        /// The id that Box's support requires.
        request_id: String,
    },
    /// The retry budget is spent.
    #[error("{endpoint}: gave up after {attempts} attempts over {waited:?}; the last one: {last}")]
    GaveUp {
        /// The call.
        endpoint: &'static str,
        /// Attempts made.
        attempts: u32,
        /// Time of the attempts and of the waits between them.
        waited: Duration,
        /// How the last attempt failed.
        last: String,
        /// Whether the responses could not be read. Waiting rarely repairs that.
        garbled: bool,
    },
    /// Box requires a longer pause than one call may wait, or has refused the same call too often.
    #[error("{endpoint}: refused {attempts} times ({last}), and Box requires a wait of another {} s, longer than a run waits", wait.as_secs())]
    Throttled {
        /// The call.
        endpoint: &'static str,
        /// Attempts made.
        attempts: u32,
        /// How the last attempt was refused.
        last: String,
        /// The pause that Box requires.
        wait: Duration,
    },
    /// A fault of the configuration or of the connection to Box that no retry repairs.
    #[error("{endpoint}: {reason}")]
    Connection {
        /// The call.
        endpoint: &'static str,
        /// The fault to repair.
        fault: crate::client::ConnectionFault,
        /// What failed.
        reason: String,
    },
    /// The HTTP client could not be built, or the address is not usable.
    #[error("cannot connect to {url}: {reason}")]
    Address {
        /// The address.
        url: String,
        /// The reason.
        reason: String,
    },
    /// Box responds, but so many records of single users or groups fail that the cause is not the single records.
    #[error("{endpoint}: {failed} of {requested} records could not be read; the last one: {last}")]
    Unread {
        /// The call.
        endpoint: &'static str,
        /// Records that could not be read.
        failed: u64,
        /// Records that were requested.
        requested: u64,
        /// The last of these records, and the reason.
        last: String,
    },
    /// A listing did not reach its end.
    #[error("{walk}: the walk is incomplete: {reason}")]
    IncompleteWalk {
        /// Which listing.
        walk: String,
        /// Why the listing ended early.
        reason: String,
    },
    /// A guard refused the run.
    #[error(transparent)]
    Guard(#[from] crate::guard::Refusal),
    /// A user or a signal asked to stop.
    #[error("stopped on request; the next start continues from here")]
    Interrupted,
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// The action that failed.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A spool differs from what was written.
    #[error("the spool {path} is damaged at byte {offset}: {damage}")]
    Spool {
        /// The file.
        path: PathBuf,
        /// Position in the file.
        offset: u64,
        /// The damage.
        damage: Damage,
    },
    /// The seal of a spool differs from what was written.
    #[error("the seal {path} is damaged at byte {offset}: {damage}")]
    Seal {
        /// The file.
        path: PathBuf,
        /// Position in the file.
        offset: usize,
        /// The damage.
        damage: Damage,
    },
    /// The base run's rows cannot be read.
    #[error("the base run cannot be read")]
    Base {
        /// The error of the lake.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A page that was readable when it was spooled cannot be read any more.
    #[error("a page of {walk} in the spool cannot be read")]
    Page {
        /// Which listing.
        walk: String,
        /// The error of the parser.
        source: NotAPage,
    },
}

impl Error {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::SignIn { .. }
            | Error::Denied { .. }
            | Error::Connection { .. }
            | Error::Address { .. } => ErrorKind::Configure,
            Error::GaveUp { garbled: false, .. } | Error::Throttled { .. } | Error::Unread { .. } => {
                ErrorKind::TryLater
            }
            Error::GaveUp { garbled: true, .. } | Error::Rejected { .. } => ErrorKind::Protocol,
            Error::IncompleteWalk { .. } | Error::Guard(_) | Error::Seal { .. } => ErrorKind::Refused,
            Error::Interrupted => ErrorKind::Interrupted,
            Error::Io { .. } => ErrorKind::Disk,
            Error::Spool { .. } | Error::Page { .. } | Error::Base { .. } => ErrorKind::Damaged,
        }
    }

    /// Whether the sign-in failed: Box refused the credentials, or the token endpoint did not respond. Then every call fails.
    pub fn is_about_sign_in(&self) -> bool {
        match self {
            Error::SignIn { .. } => true,
            Error::GaveUp { endpoint, .. }
            | Error::Throttled { endpoint, .. }
            | Error::Connection { endpoint, .. } => *endpoint == TOKEN_ENDPOINT,
            _ => false,
        }
    }

    /// Every requested user was refused: a scope is missing.
    pub(crate) fn closed(endpoint: &'static str) -> Self {
        Error::Denied {
            endpoint,
            status: 403,
            code: "on every requested user".to_owned(),
            request_id: "none".to_owned(),
        }
    }

    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}

impl From<boxseat_storage::Error> for Error {
    fn from(error: boxseat_storage::Error) -> Self {
        match error {
            boxseat_storage::Error::Io { action, path, source } => Self::Io { action, path, source },
            // The pipeline sets no group for its files.
            boxseat_storage::Error::NoGroup(group) => {
                let source = std::io::Error::new(std::io::ErrorKind::NotFound, format!("no group {group:?}"));
                Self::Io { action: "look up the group of", path: PathBuf::new(), source }
            }
        }
    }
}
