//! Reports: figures computed once into one typed model, then drawn.
//!
//! ```text
//! boxseat.duckdb ──figures──▶ Report ──▶ terminal │ CSV │ JSON │ Parquet │ HTML
//! ```
//! A figure is worked out in one place and only drawn elsewhere, so it is the same in every format.

mod model;

pub use model::{
    Body, Chart, Column, Figure, Level, Notice, Report, ReportNight, Section, Table, Value, ValueKind,
};
