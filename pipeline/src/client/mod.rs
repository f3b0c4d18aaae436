//! The only door to Box.
//!
//! ```text
//! BoxReader ── retry ──▶ limiter ──▶ token ──▶ one HTTP exchange
//!     ▲                     ▲ a 429 pauses all callers
//!     └── every call, answered or not, is told to the CallJournal
//! ```
//!
//! [`BoxReader`] has reading calls only: the type `sync` uses cannot write. [`BoxActor`] alone has writing ones, with credentials
//! of its own; `sync` never makes one.
//!
//! Nothing here waits without a bound: an exchange ends by its [`Timeouts`], a call by its patience, and both end early once the
//! run is asked to stop.

mod actor;
mod auth;
mod connection;
mod door;
mod limiter;
mod pace;
mod reader;
mod redact;
mod refusal;
mod retry;
#[cfg(test)]
mod tests;
mod transport;
mod user_fields;

pub use actor::{BoxActor, Found, Item, TERMINATE_AT_ONCE, Wrote};
pub use auth::Credentials;
pub use connection::{Authorities, ConnectionFault, is_loopback};
pub use limiter::Limiter;
#[cfg(test)]
pub(crate) use reader::outcome_of;
pub use reader::{Answer, BoxReader, EventQuery, PAGE_LIMIT};
pub use refusal::{Refusal, RefusalKind};
pub use transport::{ClientSettings, Timeouts};

use boxseat_schemas::spool::CallOutcome;

/// A call that leaves no page: what the ledger must know besides the pages themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallNote {
    /// Endpoint as the ledger names it.
    pub endpoint: &'static str,
    /// What became of the call.
    pub outcome: CallOutcome,
    /// Seconds for which all callers paused.
    pub waited_seconds: u64,
}

/// Where calls that leave no page are written down before the next one is made.
pub trait CallJournal: Send + Sync {
    /// Records one call.
    ///
    /// # Errors
    /// The journal cannot be written; the run must stop, for an uncounted call is a lie in the ledger.
    fn record(&self, note: CallNote) -> Result<(), crate::Error>;
}
