//! Reclamation: taking seats back from people who provably do not use them, by reviewed plans.
//!
//! ```text
//! Ground (a night) ┐
//! Policy           ├─ judge ─▶ Plan ─ approve ─▶ apply ─▶ Box
//! Past (journal)   ┘                              │
//!        ▲                                        ▼
//!        └──────────────────────────────────── Journal
//! ```
//!
//! The middle is pure and takes values and `now`; the journal, the plans' files and Box are its edges.

#![allow(dead_code, reason = "the commands that use it follow")]

pub(crate) mod emptiness;
pub(crate) mod journal;
pub(crate) mod past;
mod position;

pub(crate) use journal::{Journal, ReclaimLock};
pub(crate) use past::Past;
pub(crate) use position::StreamMark;
