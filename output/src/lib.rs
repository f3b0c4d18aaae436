#![doc = include_str!("../README.md")]

pub mod error;
pub mod lake;
pub mod query;
pub mod report;
mod stamp;
#[cfg(test)]
mod testing;
mod visible;
pub mod warehouse;

pub use error::{Error, ErrorKind, Result};
pub use visible::{excerpt, is_hidden, quoted, visible, visible_line, visible_message};
