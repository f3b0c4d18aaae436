//! One file per command.

pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod publish;
pub(crate) mod query;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod sync;
