//! `boxseat reclaim …`: one file per verb.

mod adopt;
mod apply;
mod approve;
mod confirm;
mod diff;
mod nightly;
mod plan;
mod plan_text;
mod policy;
mod show;
mod shown;
mod status;
mod undo;
mod verify;

pub(crate) use apply::{env, task};
pub(crate) use shown::{exit_code_of, head, note_changed_files, note_imports_waiting, show_applied};
pub(crate) use status::Attention;

use crate::cli::{Global, ReclaimArgs, ReclaimCommand};
use crate::error::CommandError;
use crate::on_runtime;
use crate::printer::Printer;

pub(crate) fn run(global: &Global, args: &ReclaimArgs, printer: &Printer) -> Result<u8, CommandError> {
    let policy = args.policy.as_deref();
    match &args.command {
        ReclaimCommand::Policy(own) => policy::run(global, policy, own, printer),
        ReclaimCommand::Plan(own) => plan::run(global, policy, own, printer),
        ReclaimCommand::Show(own) => show::run(global, own, printer),
        ReclaimCommand::Diff(own) => diff::run(global, policy, own, printer),
        ReclaimCommand::Approve(own) => approve::run(global, policy, own, printer),
        ReclaimCommand::Apply(own) => on_runtime(apply::run(global, policy, own, printer)),
        ReclaimCommand::Undo(own) => on_runtime(undo::run(global, policy, own, printer)),
        ReclaimCommand::Adopt(own) => adopt::run(global, own, printer),
        ReclaimCommand::Confirm(own) => confirm::run(global, policy, own, printer),
        ReclaimCommand::Status => status::run(global, printer),
        ReclaimCommand::Verify => verify::run(global, printer),
        ReclaimCommand::Nightly => on_runtime(nightly::run(global, policy, printer)),
    }
}
