#![doc = include_str!("../README.md")]

mod accounts;
mod acts;
mod auth;
mod chance;
mod change_log;
mod changes;
mod clock;
mod config;
mod content;
mod day;
mod drift;
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
mod pictures;
mod rate_limit;
mod recorder;
mod rights;
mod routes;
mod server;
mod shared;
mod tamper;
#[cfg(test)]
mod tests;
mod truth;
mod wire;
mod world;

pub use acts::Act;
pub use change_log::TrueChange;
pub use config::{Config, EndMarker, EventEnd, PositionForm, RateLimitStyle};
pub use day::Stepped;
pub use drift::{Drift, UNHEARD_EVENT_TYPE, UNHEARD_FIELD, UNHEARD_STATUS};
pub use faults::{Effect, Fault};
pub use recorder::{Counts, EndpointCounts, Recorded};
pub use server::{Running, spawn_in_thread, start};
pub use truth::{TrueAlias, TrueContent, TrueEvent, TrueGroup, TrueLogin, TrueMembership, TrueUser, Truth};
