//! The command lines of what acts.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;

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
    /// Only this user of the plan, by login or Box id; can be given several times. The plan stays open for its other users
    #[arg(long = "user", value_name = "USER")]
    pub(crate) users: Vec<String>,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// Do it: from now on the journal is kept at this place
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// The login or the Box id of the user
    pub(crate) user: String,
    /// What was checked in Box, for the journal: that nothing of the user is left, and where the content is
    #[arg(long, value_name = "TEXT")]
    pub(crate) i_have_checked: String,
}

/// `boxseat offboard`.
#[derive(Debug, Args)]
pub(crate) struct OffboardArgs {
    /// The login of whoever leaves
    pub(crate) login: String,
    /// The login of whoever gets the content
    #[arg(long, value_name = "LOGIN")]
    pub(crate) transfer_to: String,
    /// Do it on that day, by `boxseat reclaim nightly` [default: at once]
    #[arg(long, value_name = "DATE", value_parser = super::date)]
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
    /// Another policy. It can only add restrictions to [reclaim] policy of the configuration
    #[arg(long, env = "BOXSEAT_POLICY", value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}
