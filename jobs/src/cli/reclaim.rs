//! The command lines of the commands that change accounts or the journal.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// Apply the plan
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// A plan's id, or the path of its file
    pub(crate) plan: String,
    /// Only this user of the plan, by login or Box id; can be given several times. The plan stays open for its other users
    #[arg(long = "user", value_name = "USER")]
    pub(crate) users: Vec<String>,
    /// Undo the suspensions
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// Add the actions to the journal, and continue the journal at this place
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// The user's login or Box id
    pub(crate) user: String,
    /// What you have checked in Box, for the journal: that no content is left with the user, and where the content is
    #[arg(long, value_name = "TEXT")]
    pub(crate) i_have_checked: String,
}

/// `boxseat offboard`.
#[derive(Debug, Args)]
pub(crate) struct OffboardArgs {
    /// Login of the user who leaves
    pub(crate) login: String,
    /// Login of the user who receives the content
    #[arg(long, value_name = "LOGIN")]
    pub(crate) transfer_to: String,
    /// Act on this day, by `boxseat reclaim nightly` [default: at once]
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub(crate) on: Option<NaiveDate>,
    /// Ticket of the request, for the journal
    #[arg(long)]
    pub(crate) ticket: Option<String>,
    /// Offboard the user. Asks to type the login again, unless --confirm gives it
    #[arg(long)]
    pub(crate) yes: bool,
    /// The login again, for use without a terminal
    #[arg(long, value_name = "LOGIN", requires = "yes")]
    pub(crate) confirm: Option<String>,
    /// Another policy. It can only add restrictions to [reclaim] policy of the configuration
    #[arg(long, env = "BOXSEAT_POLICY", value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}
