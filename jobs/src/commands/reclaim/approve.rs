//! `boxseat reclaim approve PLAN`: records an approval with user, time and digest in the journal (R9).

use std::path::Path;

use boxseat_reclaim::journal::approval::{Given, Required};
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::journal::signature::NAMESPACE;
use boxseat_schemas::reclaim::Record;
use chrono::TimeDelta;
use serde_json::json;

use super::head;
use crate::cli::{Global, ReclaimApproveArgs};
use crate::error::CommandError;
use crate::printer::Printer;
use crate::reclaim_context::context::ReclaimContext;

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ReclaimApproveArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let context = ReclaimContext::open(global)?;
    let file = PlanFile::open(context.store.root(), &args.plan)?;
    let plan = &file.plan;
    let mut journal = context.journal_to_write()?;
    let known = file.owned(context.store.id(), context.store.enterprise_id(), journal.past())?;
    if let Some(closed) = &known.closed {
        return Err(CommandError::refused(format!("plan {} is closed: {}", plan.plan_id, closed.because))
            .hint("a plan is used once; `boxseat reclaim plan` makes another plan"));
    }
    if context.now < plan.created_at - TimeDelta::minutes(5) {
        return Err(CommandError::refused(format!(
            "plan {} was made {}, and the clock shows {}",
            plan.plan_id,
            plan.created_at.format("%F %H:%M UTC"),
            context.now.format("%F %H:%M UTC")
        ))
        .hint("check the clock; in a rehearsal with a simulator, give --now"));
    }
    if context.now >= plan.expires_at {
        return Err(CommandError::refused(format!(
            "plan {} expired {}",
            plan.plan_id,
            plan.expires_at.format("%F %H:%M UTC")
        ))
        .hint("users may have changed since; `boxseat reclaim plan` makes another plan"));
    }
    let policy = context.policy_if_any(policy)?;
    let (required, by) = (context.required(plan, policy.as_ref())?, operator());
    required.os_user_counts().check_namespace()?;
    let signature = signature(args.signature.as_deref(), &required, &file)?;
    let given =
        Given { os_user: &by.os_user, signature: signature.as_deref().map(str::as_bytes), at: context.now };
    let approver = required.check(given, &known.by.os_user, &file.bytes).map_err(|reason| {
        CommandError::refused(format!("this approval of plan {} does not count: {reason}", plan.plan_id))
            .hint("[approval] of the policy says who may approve, and so does the plan (`boxseat reclaim show`)")
    })?;
    let signed_by = approver.principal;
    let is_known = known.approvals().any(|earlier| {
        // Of a signer with a new key, only the new signature counts.
        earlier.by == by && earlier.signed_by == signed_by && earlier.signature == signature
    });
    if is_known {
        printer.note("It was approved by you before; nothing changes.");
    } else {
        let record = Record::Approved {
            plan_id: plan.plan_id.clone(),
            digest: file.digest.clone(),
            by: by.clone(),
            signed_by: signed_by.clone(),
            signature,
        };
        journal.append(context.now, record)?;
        context.anchor(&journal)?;
    }
    let known = file.owned(context.store.id(), context.store.enterprise_id(), journal.past())?;
    let (found, _) = required.count(known, &file);
    let facts = [
        ("plan", json!(plan.plan_id)),
        ("stage", json!(plan.stage.as_str())),
        ("people", json!(plan.people.len())),
        ("digest", json!(file.digest)),
        ("approved_by", json!(by.os_user)),
        ("host", json!(by.host)),
        ("signed_by", json!(signed_by)),
        ("approvals", json!(found)),
        ("approvals_needed", json!(required.approvers())),
    ];
    printer.facts("approval", &facts)?;
    let until = plan.expires_at.format("%F %H:%M UTC");
    if found < required.approvers() {
        printer
            .note(format!("It needs {} approvals by different users, until {until}.", required.approvers()));
    } else {
        printer
            .note(format!(
                "`boxseat reclaim nightly` applies it in its next run, if that is before {until}. To apply it now: boxseat reclaim apply {} --yes.",
                plan.plan_id
            ));
    }
    printer.note(head(&journal));
    Ok(0)
}

/// The signature that the approval needs.
fn signature(
    path: Option<&Path>,
    required: &Required,
    file: &PlanFile,
) -> Result<Option<String>, CommandError> {
    match (path, required.is_signed()) {
        (None, false) => Ok(None),
        (Some(_), false) => {
            Err(CommandError::usage("the policy requires no signature, so this signature cannot be verified")
                .hint("[approval] kind = \"signed\" and allowed_signers state who may sign"))
        }
        (None, true) => {
            Err(CommandError::usage("the policy requires a signed approval, and there is no --signature")
                .hint(format!(
                    "ssh-keygen -Y sign -n {NAMESPACE} -f KEY {} makes {}.sig",
                    file.path.display(),
                    file.path.display()
                )))
        }
        (Some(path), true) => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|e| CommandError::usage(format!("cannot read {}", path.display())).because(e)),
    }
}
