#![doc = include_str!("../README.md")]

pub mod client;
pub mod error;
pub mod extract;
pub mod guard;
mod hint;
pub mod ids;
#[cfg(test)]
mod mutations;
pub mod normalise;
pub mod paginate;
pub mod plan;
pub mod privacy;
pub mod spool;

pub use error::{Error, ErrorKind};
pub use hint::SEAL_HINT;
pub use privacy::Privacy;

/// The data clock: the "now" of windows, ages and `read_at`. Tokens, waits and timeouts use the system's clock.
pub type Clock = std::sync::Arc<dyn Fn() -> chrono::DateTime<chrono::Utc> + Send + Sync>;
