//! `boxseat reclaim approve PLAN`: somebody agrees, and the journal says who, when and to which digest (R9).

use std::path::Path;

use boxseat_schemas::reclaim::Record;
use boxseat_schemas::reclaim::plan::Origin;
use serde_json::json;

use crate::cli::{Global, ReclaimApproveArgs};
use crate::error::CommandError;
use crate::printer::Printer;
use crate::reclaim::desk::Desk;
use crate::reclaim::operator::operator;
use crate::reclaim::plans::PlanFile;
use crate::reclaim::policy::{Approval, Policy};
use crate::reclaim::signature::{NAMESPACE, signer};

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ReclaimApproveArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let desk = Desk::open(global)?;
    // A signature is valid at a time, and the journal says when.
    desk.settings.refuse_rehearsal_against_box()?;
    let file = PlanFile::open(desk.store.root(), &args.plan)?;
    let plan = &file.plan;
    let mut journal = desk.journal_to_write()?;
    let known = file.owned(desk.store.id(), desk.store.enterprise_id(), journal.past())?;
    if let Some(closed) = &known.closed {
        return Err(CommandError::refused(format!("plan {} is closed: {}", plan.plan_id, closed.because))
            .hint("a plan is used once; `boxseat reclaim plan` makes another"));
    }
    if desk.now >= plan.expires_at {
        return Err(CommandError::refused(format!(
            "plan {} expired {}",
            plan.plan_id,
            plan.expires_at.format("%F %H:%M UTC")
        ))
        .hint("people have changed since; `boxseat reclaim plan` makes another"));
    }
    let (mut approval, by) = (approval(&desk, policy, known.policy_digest.is_some())?, operator());
    if let Origin::Policy { is_signed, is_two_person, .. } = plan.origin {
        approval.is_two_person |= is_two_person;
        if is_signed && approval.allowed_signers.is_none() {
            return Err(CommandError::refused(format!(
                "plan {} was made by a policy that wants a signed approval, and this one does not say who may sign",
                plan.plan_id
            ))
            .hint("name that policy, or make a new plan"));
        }
    }
    if approval.is_two_person && by.os_user == known.by.os_user {
        return Err(CommandError::refused(format!(
            "{} made plan {}, and the policy wants somebody else to approve it",
            by.os_user, plan.plan_id
        ))
        .hint("[approval] two_person = true: ask a colleague"));
    }
    let signed_by = signed(&approval, args.signature.as_deref(), &file, &desk)?;
    let is_said = known
        .approvals
        .iter()
        .any(|said| said.digest == file.digest && said.by == by && said.signed_by == signed_by);
    if is_said {
        printer.note("It was approved by you before; nothing changes.");
    } else {
        let record = Record::Approved {
            plan_id: plan.plan_id.clone(),
            digest: file.digest.clone(),
            by: by.clone(),
            signed_by: signed_by.clone(),
        };
        journal.append(desk.now, record)?;
    }
    let facts = [
        ("plan", json!(plan.plan_id)),
        ("stage", json!(plan.stage.as_str())),
        ("people", json!(plan.people.len())),
        ("digest", json!(file.digest)),
        ("approved_by", json!(by.os_user)),
        ("host", json!(by.host)),
        ("signed_by", json!(signed_by)),
    ];
    printer.facts("approval", &facts)?;
    printer.note(format!(
        "It may be applied until {}: boxseat reclaim apply {} --yes",
        plan.expires_at.format("%F %H:%M UTC"),
        plan.plan_id
    ));
    Ok(0)
}

/// What the policy wants of an approval; of an offboarding, where no policy is configured, the operating system's user vouches.
fn approval(desk: &Desk, policy: Option<&Path>, by_policy: bool) -> Result<Approval, CommandError> {
    if !by_policy && policy.is_none() && desk.settings.policy_file.is_none() {
        return Ok(Approval::default());
    }
    let Policy { approval, .. } = desk.policy(policy)?;
    Ok(approval)
}

fn signed(
    approval: &Approval,
    signature: Option<&Path>,
    file: &PlanFile,
    desk: &Desk,
) -> Result<Option<String>, CommandError> {
    let Some(list) = &approval.allowed_signers else {
        return match signature {
            None => Ok(None),
            Some(_) => Err(CommandError::usage(
                "the policy wants no signature, so nobody could say whose this may be",
            )
            .hint("[approval] kind = \"signed\" and allowed_signers say who may sign")),
        };
    };
    let signature = signature.ok_or_else(|| {
        CommandError::usage("the policy wants a signed approval, and there is no --signature").hint(format!(
            "ssh-keygen -Y sign -n {NAMESPACE} -f KEY {} makes {}.sig",
            file.path.display(),
            file.path.display()
        ))
    })?;
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|e| CommandError::usage(format!("cannot read {}", path.display())).because(e))
    };
    let allowed = String::from_utf8(read(list)?)
        .map_err(|e| CommandError::usage(format!("{} is no text", list.display())).because(e))?;
    signer(&allowed, &read(signature)?, &file.bytes, desk.now)
        .map(Some)
        .map_err(|reason| CommandError::refused(format!("{} does not count: {reason}", signature.display())))
}
