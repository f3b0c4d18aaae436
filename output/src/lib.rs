#![doc = include_str!("../README.md")]

pub mod error;
pub mod lake;
pub mod library;
pub mod query;
pub mod report;
mod stamp;
#[cfg(test)]
mod testing;
pub mod warehouse;

pub use error::{Error, ErrorKind, Result};
