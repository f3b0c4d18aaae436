//! The real binary against the simulator: what an operator, an analyst and a licence manager see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "these tests wait for another process, whose clock is the system's"
)]

mod backup;
mod bad_input;
mod bytes;
mod commands;
mod configuration;
mod content_available;
mod cost;
mod credentials;
mod damage;
mod deadlines;
mod drift;
mod evidence;
mod facts;
mod faults;
mod files_and_output;
mod forget;
mod history;
mod imports;
mod increments;
mod init;
mod integrity;
mod interruption;
mod jwt;
mod kills;
mod lake_forgery;
mod lake_record;
mod ledger_damage;
mod lists;
mod nights;
mod odd_responses;
mod older_store;
mod outputs;
mod plans;
mod privacy;
mod program;
mod proxies;
mod published_digest;
mod query_statements;
mod query_types;
mod reclaim;
mod reports;
mod retention;
mod sandbox;
mod seal_damage;
mod soak;
mod store_paths;
mod support;
mod throttle;
mod trust;
mod truth;
