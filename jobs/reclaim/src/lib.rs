#![doc = include_str!("../README.md")]

pub mod engine;
mod error;
pub mod journal;
pub mod rules;
pub mod testing;

pub use error::{DISK_HINT, Error, ErrorKind, REMEDY, is_system_failure};
