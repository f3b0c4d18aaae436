//! `boxseat reclaim …`: one file per verb.

mod approve;
mod diff;
mod plan;
mod policy;
mod show;

use crate::cli::{Global, ReclaimArgs, ReclaimCommand};
use crate::error::CommandError;
use crate::printer::Printer;

pub(crate) fn run(global: &Global, args: &ReclaimArgs, printer: &Printer) -> Result<u8, CommandError> {
    let policy = args.policy.as_deref();
    match &args.command {
        ReclaimCommand::Policy(own) => policy::run(global, policy, own, printer),
        ReclaimCommand::Plan(own) => plan::run(global, policy, own, printer),
        ReclaimCommand::Show(own) => show::run(global, own, printer),
        ReclaimCommand::Diff(own) => diff::run(global, policy, own, printer),
        ReclaimCommand::Approve(own) => approve::run(global, policy, own, printer),
    }
}
