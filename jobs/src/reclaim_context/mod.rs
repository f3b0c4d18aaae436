//! What connects [`boxseat_reclaim`] with this program: configuration, store, lake, published file and process.
//!
//! `reclaim` has the rules, the journal and the actions, and knows none of these. The modules here open them, and pass values.

pub(crate) mod apply_context;
pub(crate) mod columns;
pub(crate) mod context;
pub(crate) mod policy_lists;
pub(crate) mod probe;
pub(crate) mod publish_candidates;
pub(crate) mod seat_actions;
pub(crate) mod snapshot_rows;
