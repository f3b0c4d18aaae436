//! The command lines of reclamation.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};

/// `boxseat reclaim`.
#[derive(Debug, Args)]
pub(crate) struct ReclaimArgs {
    /// The policy [default: [reclaim] policy of boxseat.toml]
    #[arg(long, global = true, env = "BOXSEAT_POLICY", value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: ReclaimVerb,
}

impl ReclaimArgs {
    /// Whether it is `show`, which alone draws a page of Markdown.
    pub(crate) fn is_show(&self) -> bool {
        matches!(self.verb, ReclaimVerb::Show(_))
    }
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(crate) enum ReclaimVerb {
    /// Say in sentences what the policy does; with --check, whom it is about tonight and what is missing
    Policy(PolicyArgs),
    /// Plan who goes which stage tonight; nothing is done by it
    Plan(PlanArgs),
    /// Show a plan: everybody in it and why, everybody left out and why, the money
    Show(ShowArgs),
    /// Say what differs between two plans, or between a plan and what tonight's would be
    Diff(DiffArgs),
    /// Agree to a plan, in writing
    Approve(ApproveArgs),
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
pub(crate) struct PolicyArgs {
    /// Resolve everything it names against the published night, too; exit 3 when something is missing
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// One stage alone [default: a plan for each that somebody goes]
    #[arg(long, value_enum)]
    pub(crate) stage: Option<StageName>,
    /// The ticket under which this is known elsewhere
    #[arg(long, value_name = "TICKET")]
    pub(crate) ticket: Option<String>,
    /// Also write the plan to this file, to be signed or handed on
    #[arg(short, long, value_name = "FILE", requires = "stage")]
    pub(crate) output: Option<PathBuf>,
}

/// The stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StageName {
    /// Switch the account off and end its sessions
    Suspend,
    /// Move what it owns to somebody else
    Transfer,
    /// Delete it: only this frees the seat
    Delete,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// The plan to compare it with [default: what tonight's would be]
    #[arg(value_name = "PLAN")]
    pub(crate) other: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// A signature of the plan's file by `ssh-keygen -Y sign -n boxseat-plan`
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
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
