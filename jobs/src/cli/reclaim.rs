//! The command lines of reclamation.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand};

/// `boxseat reclaim`.
#[derive(Debug, Args)]
pub(crate) struct ReclaimArgs {
    /// The policy [default: [reclaim] policy of boxseat.toml]
    #[arg(long, global = true, env = "BOXSEAT_POLICY", value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: ReclaimVerb,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(crate) enum ReclaimVerb {
    /// Act on the people of an approved plan who still qualify; without --yes say what would be done, and do nothing
    Apply(ApplyArgs),
    /// Take back the suspensions of a plan, as far as nobody else has touched the people since
    Undo(UndoArgs),
    /// Say which plans there are, what became of them, and what nobody knows yet
    Status,
    /// Check the journal's chain, and the lake's seat_actions against it
    Verify,
    /// What cron runs after `sync`: reconcile, apply approved plans that are due, verify what was moved, plan the next stages
    Nightly(NightlyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The plan's name, or the path of its file
    pub(crate) plan: String,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// The plan's name, or the path of its file
    pub(crate) plan: String,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NightlyArgs {}

/// `boxseat offboard`.
#[derive(Debug, Args)]
pub(crate) struct OffboardArgs {
    /// The login of whoever leaves
    pub(crate) login: String,
    /// The login of whoever gets the content
    #[arg(long, value_name = "LOGIN")]
    pub(crate) transfer_to: String,
    /// Do it on that day, by `boxseat reclaim nightly` [default: at once]
    #[arg(long, value_name = "DATE")]
    pub(crate) on: Option<NaiveDate>,
    /// The ticket of the service desk, for the journal
    #[arg(long)]
    pub(crate) ticket: Option<String>,
    /// Do it; the login is asked for once more, or given by --confirm
    #[arg(long)]
    pub(crate) yes: bool,
    /// The login once more, where nobody can be asked
    #[arg(long, value_name = "LOGIN", requires = "yes")]
    pub(crate) confirm: Option<String>,
    /// The policy whose protections and holds count [default: [reclaim] policy of boxseat.toml]
    #[arg(long, env = "BOXSEAT_POLICY", value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}
