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

#![allow(dead_code, unused_imports, reason = "the commands that use it follow")]

pub(crate) mod apply;
pub(crate) mod beside;
pub(crate) mod columns;
pub(crate) mod emptiness;
pub(crate) mod feed;
pub(crate) mod ground;
pub(crate) mod journal;
pub(crate) mod judge;
pub(crate) mod past;
pub(crate) mod policy;
mod policy_file;
mod position;
pub(crate) mod protect;
pub(crate) mod receivers;
pub(crate) mod seat_actions;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod worlds;

pub(crate) use ground::Ground;
pub(crate) use journal::{Journal, ReclaimLock};
pub(crate) use judge::{Judge, Verdict};
pub(crate) use past::Past;
pub(crate) use policy::Policy;
pub(crate) use position::StreamMark;
