//! Reclamation: freeing seats of users who provably do not use them, by reviewed plans.
//!
//! ```text
//! Ground (snapshot) ┐
//! Policy            ├─ judge ─▶ Plan ─ approve ─▶ apply ─▶ Box
//! Past (journal)    ┘                              │
//!        ▲                                         ▼
//!        └───────────────────────────────────── Journal
//! ```
//!
//! The middle is pure and takes values and `now`; the journal, the plans' files and Box are its edges.

pub(crate) mod apply;
pub(crate) mod approval;
pub(crate) mod at_night;
pub(crate) mod beside;
pub(crate) mod columns;
pub(crate) mod confirmation;
pub(crate) mod desk;
pub(crate) mod diff;
pub(crate) mod emptiness;
mod ending;
pub(crate) mod feed;
pub(crate) mod figures;
pub(crate) mod ground;
pub(crate) mod journal;
pub(crate) mod judge;
mod lake_witness;
pub(crate) mod leaver_plan;
mod next_step;
pub(crate) mod offboarding;
pub(crate) mod operator;
pub(crate) mod past;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod planning;
pub(crate) mod plans;
pub(crate) mod policy;
mod policy_added;
mod policy_file;
mod position;
pub(crate) mod probe;
pub(crate) mod protect;
pub(crate) mod receivers;
pub(crate) mod restore;
pub(crate) mod returns;
pub(crate) mod seat_actions;
pub(crate) mod session;
pub(crate) mod show;
pub(crate) mod signature;
pub(crate) mod stuck;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod told;
pub(crate) mod waiting;
mod witness;
pub(crate) mod words;
#[cfg(test)]
mod worlds;

pub(crate) use at_night::PolicyAtNight;
pub(crate) use ground::Ground;
pub(crate) use journal::Journal;
pub(crate) use lake_witness::LakeLine;
pub(crate) use position::StreamMark;
pub(crate) use session::SharedPace;
pub(crate) use witness::Witness;
