#![doc = include_str!("../README.md")]

mod intent;
mod judge;

pub use intent::Intent;
pub use judge::{Case, Known, Leaver, broken, left_suspended};
