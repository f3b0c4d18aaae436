//! The rules of reclamation, as functions of values and `now`. Nothing here reads a clock, calls Box or writes a file.

pub mod confirmation;
pub mod describe;
pub mod diff;
pub mod emptiness;
pub mod evaluator;
pub mod figures;
mod next_step;
pub mod offboarding;
pub mod plan;
pub mod policy;
mod policy_added;
mod policy_file;
pub mod policy_inputs;
mod protect;
mod receivers;
pub mod restore;
pub mod reversals;
pub mod snapshot;
pub mod stuck;
pub mod waiting;
