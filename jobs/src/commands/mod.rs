//! One file per command.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
mod findings;
pub(crate) mod forget;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod offboard;
mod plan;
pub(crate) mod publish;
pub(crate) mod query;
pub(crate) mod reclaim;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod verify;
pub(crate) mod version;
