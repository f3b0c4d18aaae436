#![doc = include_str!("../README.md")]

pub mod digest;
pub mod durable;
mod error;
mod host;
pub mod json;
pub mod lock;
mod resolve;
pub mod toml_file;

pub use error::{Error, Result};
pub use host::host;
pub use resolve::resolve;
