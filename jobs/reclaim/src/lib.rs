//! Reclamation: freeing seats of users who provably do not use them, by reviewed plans.
//!
//! ```text
//! Snapshot                ┐
//! Policy, PolicyInputs    ├─ Evaluator ─▶ Plan ─ approve ─▶ apply ─▶ Box
//! JournalState            ┘                                   │
//!        ▲                                                    ▼
//!        └───────────────────────────────────────────────── Journal
//! ```
//!
//! `rules/` is pure: it takes values and `now`. `journal/` is what is on disk: the journal, plans, approvals. `engine/` calls Box.
//! `engine` uses `rules` and `journal`, and `rules` uses `journal` for the state that follows from the entries. Configuration, store,
//! lake and published file are opened by `reclaim_context`: this module imports nothing of the program but its error and the values
//! of TOML files.

pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod journal;
#[cfg(test)]
mod model_test;
pub(crate) mod rules;
pub(crate) mod show;
#[cfg(test)]
pub(crate) mod testing;
