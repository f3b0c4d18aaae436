#![doc = include_str!("../README.md")]

mod acts;
mod auth;
mod chance;
mod clock;
mod config;
mod day;
mod errors;
mod events;
mod faults;
mod feed;
mod gate;
mod groups;
mod history;
mod names;
mod page;
mod people;
mod rate_limit;
mod recorder;
mod routes;
mod server;
mod shared;
#[cfg(test)]
mod tests;
mod truth;
mod wire;
mod world;

pub use acts::Act;
pub use config::{Config, EndMarker, EventEnd, PositionForm};
pub use day::Stepped;
pub use faults::{Effect, Fault};
pub use recorder::{Counts, EndpointCounts, Recorded};
pub use server::{Running, spawn_in_thread, start};
pub use truth::{TrueAlias, TrueEvent, TrueGroup, TrueLogin, TrueMembership, TrueUser, Truth};
