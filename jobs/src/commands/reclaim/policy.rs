//! `boxseat reclaim policy --check`: describes the policy in sentences, with its result on the latest snapshot.

use std::path::Path;

use boxseat_reclaim::rules::describe::{found, told};
use boxseat_reclaim::rules::evaluator::Evaluator;
use serde_json::json;

use crate::cli::{Format, Global, ReclaimPolicyArgs};
use crate::error::{CommandError, REFUSED};
use crate::printer::Printer;
use crate::reclaim_context::context::ReclaimContext;

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ReclaimPolicyArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let context = ReclaimContext::open(global)?;
    let policy = context.draft(policy)?;
    let says = told(&policy);
    if !args.check {
        return print(printer, &policy.digest, &says, &[], &[]).map(|()| 0);
    }
    let (inputs, snapshot, journal) = (context.inputs(&policy)?, context.snapshot()?, context.journal()?);
    let past = journal.past();
    let expired = context.expired_plans(past);
    let set_aside = past.replaceable_plans().chain(expired.iter().map(String::as_str));
    let (evaluator, refusals) = Evaluator::look(&policy, &snapshot, past, &inputs, context.now, set_aside);
    let latest = found(&evaluator, &snapshot, &refusals);
    let missing: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    print(printer, &policy.digest, &says, &latest, &missing)?;
    Ok(if missing.is_empty() { 0 } else { REFUSED })
}

fn print(
    printer: &Printer,
    digest: &str,
    says: &[String],
    latest: &[String],
    missing: &[String],
) -> Result<(), CommandError> {
    if printer.format() == Format::Json {
        let body =
            json!({ "policy": { "digest": digest, "says": says, "tonight": latest, "missing": missing } });
        return printer.json(body);
    }
    let mut text = format!("policy {digest}\n");
    for (head, sentences) in [
        ("The policy:", says),
        ("The latest snapshot:", latest),
        ("Missing, so no user is in a plan:", missing),
    ] {
        if !sentences.is_empty() {
            text.push_str(&format!("\n{head}\n"));
            for sentence in sentences {
                text.push_str(&format!("- {}\n", super::plan_text::one_line(sentence)));
            }
        }
    }
    printer.out(&text)
}
