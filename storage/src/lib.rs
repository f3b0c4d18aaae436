#![doc = include_str!("../README.md")]

pub mod digest;
pub mod durable;
mod error;
mod host;
pub mod lock;

pub use error::{Error, Result};
pub use host::host;
