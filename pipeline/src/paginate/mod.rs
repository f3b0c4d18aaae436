//! Box's three paginations as pure functions: a page in, the next question out.
//!
//! What ends a walk is decided here and nowhere else; each rule names the trap it avoids. None of them stops at an empty or
//! short page.

mod marker;
mod offset;
mod stream;
mod summary;

pub use marker::MarkerWalk;
pub use offset::{OffsetNext, REACH, hides_more, next_offset};
pub use stream::StreamWalk;
pub use summary::{Listed, Summary};

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<P> {
    /// Ask for this page.
    Page(P),
    /// The walk reached its end mark.
    End,
    /// The walk went wrong: neither a next page nor an end.
    Incomplete(String),
}

/// Empty pages in a row after which a walk counts as incomplete. Empty pages are legal and seen (vendor's Python SDK), an
/// endless run of them is not; three would have lost 12,078 logins against a stand-in that sent 20 % empty pages.
pub const MAX_EMPTY_PAGES: u32 = 50;
