//! Formats of a [`super::Report`]. This code computes no figure.

mod csv;
mod json;
mod parquet;
mod rows;
mod terminal;

pub use csv::{Csv, Numbers, csv};
pub use json::{JSON_SCHEMA_VERSION, json};
pub use parquet::write_parquet;
pub use terminal::terminal;
