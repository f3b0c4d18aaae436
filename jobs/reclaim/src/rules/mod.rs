//! The rules of reclamation, as functions of values and `now`. Nothing here reads a clock, calls Box or writes a file.

pub(crate) mod confirmation;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod emptiness;
pub(crate) mod evaluator;
pub(crate) mod figures;
mod next_step;
pub(crate) mod offboarding;
pub(crate) mod plan;
pub(crate) mod policy;
mod policy_added;
mod policy_file;
pub(crate) mod policy_inputs;
mod protect;
mod receivers;
pub(crate) mod restore;
pub(crate) mod reversals;
pub(crate) mod snapshot;
pub(crate) mod stuck;
pub(crate) mod waiting;
