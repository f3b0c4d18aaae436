//! What reclamation keeps on disk: the journal of decisions and calls with its seals, the plans and their approvals, and the state
//! that follows from the entries.

pub(crate) mod approval;
mod log;
pub(crate) mod operator;
pub(crate) mod place;
pub(crate) mod plans;
mod position;
pub(crate) mod seat_actions;
pub(crate) mod signature;
pub(crate) mod state;
mod witness;

pub(crate) use log::{
    ANCHOR_FILE, ErasureKey, Journal, JournalKey, KeyFile, ReclaimLock, Seals, StoreKey, anchored_key,
    directory, erasure_directory, store_key,
};
pub(crate) use position::StreamMark;
pub(crate) use witness::Witness;
