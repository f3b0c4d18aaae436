//! The only code that calls Box.
//!
//! ```text
//! BoxReader ── retry ──▶ limiter ──▶ token ──▶ one HTTP exchange
//!     ▲                     ▲ a 429 pauses all callers
//!     └── every call, with or without a response, is recorded in the CallJournal
//! ```
//!
//! [`BoxReader`] has only reading calls: the type that `sync` uses cannot write. Only [`BoxActor`] has writing calls. It has its own
//! credentials, and `sync` never creates one.
//!
//! Every wait has a limit: [`Timeouts`] for an exchange, the retry budget for a call. A request to stop ends both early.

mod actor;
mod api_client;
mod auth;
mod connection;
mod jwt;
mod limiter;
mod pace;
mod reader;
mod redact;
mod refusal;
mod retry;
#[cfg(test)]
mod sign_in_tests;
#[cfg(test)]
mod tests;
mod transport;
mod user_fields;

pub use actor::{BoxActor, Found, Item, TERMINATE_AT_ONCE, Wrote};
pub use auth::{Credentials, SignInFault};
pub use connection::{Authorities, ConnectionFault, is_loopback};
pub use jwt::{JwtApplication, JwtConfigFault, JwtRefusal, KeyFault};
pub use limiter::Limiter;
#[cfg(test)]
pub(crate) use reader::outcome_of;
pub use reader::{Answer, BoxReader, EventQuery, PAGE_LIMIT};
pub use refusal::{Refusal, RefusalKind};
pub use transport::{ClientSettings, Timeouts};

use boxseat_schemas::spool::CallOutcome;

/// A call without a page. The ledger needs these calls in addition to the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallNote {
    /// Name of the endpoint in the ledger.
    pub endpoint: &'static str,
    /// The outcome of the call.
    pub outcome: CallOutcome,
    /// Seconds for which all callers paused.
    pub waited_seconds: u64,
}

/// Stores calls without a page before the next call is made.
pub trait CallJournal: Send + Sync {
    /// Records one call.
    ///
    /// # Errors
    /// The journal cannot be written. The run must stop, because a call that is not counted makes the ledger wrong.
    fn record(&self, note: CallNote) -> Result<(), crate::Error>;
}
