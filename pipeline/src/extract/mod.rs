//! Makes the requests of one run, until none is left.
//!
//! ```text
//!            ┌────────── follow-up requests ───────────┐
//!            ▼                                         │
//! [`Crawl`] ──next request──▶ Box ──page───▶ spool ──▶ [`Crawl::absorb`]
//! ```
//!
//! [`Crawl`] is pure: it knows which pages were read, and returns the next request. A live page and a page that is replayed from the
//! spool of a killed run use the same `absorb`, so a resumed run requests exactly the missing pages.

mod crawl;
mod me;
mod run;

pub(crate) use crawl::EDGE;
pub use crawl::{Brief, Crawl};
pub use me::{Caller, Me};
#[cfg(test)]
pub(crate) use run::take_in;
pub use run::{ExtractSettings, Meter, StreamMeter, extract, journal_to};
