//! What can go wrong between Box and the batches, and what the caller should do about it.

use std::path::PathBuf;
use std::time::Duration;

use boxseat_schemas::box_api::NotAPage;
use boxseat_schemas::spool::{Damage, TOKEN_ENDPOINT};

/// What the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Mend the configuration: address, credentials, scopes.
    Configure,
    /// Wait and start again: Box is down or throttles, or the network is away.
    TryLater,
    /// A guard refused what Box sent; the old night stays.
    Refused,
    /// Stopped on request; the run can be resumed.
    Interrupted,
    /// The disk failed: space, permissions, hardware.
    Disk,
    /// What lies on disk is not what was written.
    Damaged,
    /// Box answered what its documents do not allow.
    Protocol,
}

/// Every failure of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token endpoint refused the credentials.
    #[error("Box refused to sign in ({reason})")]
    SignIn {
        /// Box's own words.
        reason: String,
    },
    /// A call was refused although the token was fresh.
    #[error("{endpoint}: Box answered {status} {code} (request id {request_id})")]
    Denied {
        /// The call.
        endpoint: &'static str,
        /// 401 or 403.
        status: u16,
        /// Box's error code.
        code: String,
        /// What Box's support asks for.
        request_id: String,
    },
    /// A call failed with a status that repeating does not change.
    #[error("{endpoint}: Box answered {status} {code}: {message} (request id {request_id})")]
    Rejected {
        /// The call.
        endpoint: &'static str,
        /// The status.
        status: u16,
        /// Box's error code, or the content type when the body was none of Box's.
        code: String,
        /// Box's sentence.
        message: String,
        /// What Box's support asks for.
        request_id: String,
    },
    /// The retry budget is spent.
    #[error("{endpoint}: gave up after {attempts} attempts over {waited:?}; the last one: {last}")]
    GaveUp {
        /// The call.
        endpoint: &'static str,
        /// Calls made for it.
        attempts: u32,
        /// Time they and the waits between them took.
        waited: Duration,
        /// How the last one failed.
        last: String,
        /// Whether what came back was unreadable, which waiting will hardly mend.
        garbled: bool,
    },
    /// Box asks for a longer silence than one call may keep a run waiting, or has refused the same call too often.
    #[error("{endpoint}: refused {attempts} times ({last}), and Box asks to wait another {} s, longer than a run waits", wait.as_secs())]
    Throttled {
        /// The call.
        endpoint: &'static str,
        /// Calls made for it.
        attempts: u32,
        /// How the last one was refused.
        last: String,
        /// What Box asks for.
        wait: Duration,
    },
    /// A fault of the configuration or of the way to Box that no retry repairs.
    #[error("{endpoint}: {reason}")]
    Connection {
        /// The call.
        endpoint: &'static str,
        /// What has to be repaired.
        fault: crate::client::ConnectionFault,
        /// What failed.
        reason: String,
    },
    /// The HTTP client could not be built, or the address is not usable.
    #[error("cannot talk to {url}: {reason}")]
    Address {
        /// The address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Box answers, but not about so many single users or groups that something larger must be broken.
    #[error("{endpoint}: {failed} of {requested} records could not be read; the last one: {last}")]
    Unread {
        /// The call.
        endpoint: &'static str,
        /// Records that could not be read.
        failed: u64,
        /// Records that were requested.
        requested: u64,
        /// Which record it was at last, and why.
        last: String,
    },
    /// A listing did not reach its end mark.
    #[error("{walk}: the walk is incomplete: {reason}")]
    IncompleteWalk {
        /// Which listing.
        walk: String,
        /// What happened instead of an end.
        reason: String,
    },
    /// A guard refused the run.
    #[error(transparent)]
    Guard(#[from] crate::guard::Refusal),
    /// The person or cron asked to stop.
    #[error("stopped on request; the next start continues from here")]
    Interrupted,
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A spool is not what was written.
    #[error("the spool {path} is damaged at byte {offset}: {damage}")]
    Spool {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// The mark of a sealed spool is not what was written.
    #[error("the seal {path} is damaged at byte {offset}: {damage}")]
    Seal {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: usize,
        /// What is wrong.
        damage: Damage,
    },
    /// The base run's rows cannot be read.
    #[error("the night to carry forward from cannot be read")]
    Base {
        /// The lake's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A page that was good when it was spooled cannot be read any more.
    #[error("a page of {walk} in the spool cannot be read")]
    Page {
        /// Which listing.
        walk: String,
        /// The parser's reason.
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

    /// Whether there is no token, because Box refused the credentials or the token endpoint did not answer: every other call fails then.
    pub fn is_about_sign_in(&self) -> bool {
        match self {
            Error::SignIn { .. } => true,
            Error::GaveUp { endpoint, .. }
            | Error::Throttled { endpoint, .. }
            | Error::Connection { endpoint, .. } => *endpoint == TOKEN_ENDPOINT,
            _ => false,
        }
    }

    /// Every user that was requested was refused: a scope is missing.
    pub(crate) fn closed(endpoint: &'static str) -> Self {
        Error::Denied {
            endpoint,
            status: 403,
            code: "on every one asked about".to_owned(),
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
            // The pipeline sets no group of its files.
            boxseat_storage::Error::NoGroup(group) => {
                let source = std::io::Error::new(std::io::ErrorKind::NotFound, format!("no group {group:?}"));
                Self::Io { action: "look up the group of", path: PathBuf::new(), source }
            }
        }
    }
}
