//! What reclamation keeps on disk: the journal of decisions and calls with its seals, the plans and their approvals, and the state
//! that follows from the entries.

pub mod approval;
mod log;
pub mod operator;
pub mod place;
pub mod plans;
mod position;
pub mod seat_actions;
pub mod signature;
pub mod state;
mod witness;

pub use log::{
    ANCHOR_FILE, ErasureKey, Journal, JournalKey, KeyFile, ReclaimLock, Seals, StoreKey, anchored_key,
    directory, erasure_directory, store_key,
};
pub use position::StreamMark;
pub use witness::Witness;
