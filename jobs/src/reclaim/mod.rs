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
//! The middle is pure and takes values and `now`. The journal, the files of plans and Box are its edges. Configuration, store, lake and
//! published file are opened by `reclaim_context`: this module imports nothing of the program but its error and the values of
//! TOML files.

pub(crate) mod apply;
pub(crate) mod approval;
pub(crate) mod confirmation;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod emptiness;
pub(crate) mod evaluator;
pub(crate) mod feed;
pub(crate) mod figures;
pub(crate) mod journal;
pub(crate) mod journal_state;
pub(crate) mod leaver_plan;
#[cfg(test)]
mod model_test;
mod next_step;
pub(crate) mod offboarding;
pub(crate) mod operator;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod planning;
pub(crate) mod plans;
pub(crate) mod policy;
mod policy_added;
mod policy_file;
pub(crate) mod policy_inputs;
mod position;
pub(crate) mod protect;
pub(crate) mod receivers;
pub(crate) mod restore;
pub(crate) mod reversals;
pub(crate) mod seat_actions;
pub(crate) mod show;
pub(crate) mod signature;
pub(crate) mod snapshot;
pub(crate) mod stuck;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod waiting;
mod witness;

pub(crate) use journal::Journal;
pub(crate) use position::StreamMark;
pub(crate) use snapshot::Snapshot;
pub(crate) use witness::Witness;
