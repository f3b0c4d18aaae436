#![doc = include_str!("../README.md")]

pub mod box_api;
pub mod call_ledger;
pub mod check;
pub mod contract;
pub mod departure;
pub mod event_types;
pub mod framed;
pub mod ids;
pub mod licence;
pub mod money;
pub mod plan;
pub mod reclaim;
pub mod row_key;
pub mod run;
pub mod settings;
pub mod spool;
pub mod table;
pub mod text;
pub mod warehouse;

pub use departure::{Departure, DepartureReason};
pub use ids::RunNumber;
pub use money::Money;

#[cfg(test)]
mod fuzz;
