#![doc = include_str!("../README.md")]

pub mod digest;
pub mod durable;
mod error;
pub mod lock;

pub use error::{Error, Result};
