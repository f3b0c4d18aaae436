//! `boxseat reclaim`: one file per verb.

mod apply;
mod approve;
mod diff;
mod nightly;
mod plan;
mod policy;
mod show;
mod shown;
mod status;
mod undo;
mod verify;

pub(crate) use shown::show_applied;

use crate::cli::{Global, ReclaimArgs, ReclaimVerb};
use crate::error::CommandError;
use crate::on_runtime;
use crate::printer::Printer;

pub(crate) fn run(global: &Global, args: &ReclaimArgs, printer: &Printer) -> Result<u8, CommandError> {
    let policy = args.policy.as_deref();
    match &args.verb {
        ReclaimVerb::Policy(args) => policy::run(global, policy, args, printer),
        ReclaimVerb::Plan(args) => plan::run(global, policy, args, printer),
        ReclaimVerb::Show(args) => show::run(global, args, printer),
        ReclaimVerb::Diff(args) => diff::run(global, policy, args, printer),
        ReclaimVerb::Approve(args) => approve::run(global, policy, args, printer),
        ReclaimVerb::Apply(args) => on_runtime(apply::run(global, policy, args, printer)),
        ReclaimVerb::Undo(args) => on_runtime(undo::run(global, policy, args, printer)),
        ReclaimVerb::Status => status::run(global, printer),
        ReclaimVerb::Verify => verify::run(global, printer),
        ReclaimVerb::Nightly(args) => on_runtime(nightly::run(global, policy, args, printer)),
    }
}
