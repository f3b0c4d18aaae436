//! One run's questions to Box, asked until there are none left.
//!
//! ```text
//!            ┌────────── follow-up questions ──────────┐
//!            ▼                                         │
//! [`Walks`] ──next question──▶ Box ──page──▶ spool ──▶ [`Walks::absorb`]
//! ```
//!
//! [`Walks`] is pure: it knows which pages are in and says what to ask next. A live page and a page replayed from the spool of
//! a killed run go through the same `absorb`, so a resumed run asks exactly what is missing.

mod me;
mod run;
mod walks;

pub use me::{Caller, Me};
#[cfg(test)]
pub(crate) use run::take_in;
pub use run::{ExtractSettings, Meter, StreamMeter, extract, journal_to};
pub use walks::{Brief, Walks};
