//! `boxseat reclaim diff PLAN [PLAN]`: compares with another plan, or with a new plan of the latest snapshot.

use std::path::Path;

use boxseat_reclaim::journal::approval::terms;
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::rules::diff::diff;
use boxseat_reclaim::rules::evaluator::{Evaluator, refused};
use boxseat_reclaim::rules::plan::{Making, make};
use boxseat_schemas::reclaim::Plan;
use serde_json::json;

use crate::cli::{Global, ReclaimDiffArgs};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim_context::context::ReclaimContext;

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ReclaimDiffArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let context = ReclaimContext::open(global)?;
    let before = PlanFile::open(context.store.root(), &args.plan)?.plan;
    let after = match &args.other {
        Some(other) => PlanFile::open(context.store.root(), other)?.plan,
        None => tonights(&context, policy, &before)?,
    };
    if before.stage != after.stage || before.store_id != after.store_id {
        return Err(CommandError::usage(format!(
            "{} and {} are not of one store and stage",
            before.plan_id, after.plan_id
        ))
        .hint("users go from stage to stage; only plans of the same stage can be compared"));
    }
    let differences = diff(&before, &after);
    let rows = differences
        .iter()
        .map(|one| vec![json!(one.change), json!(one.user_id), json!(one.login), json!(one.detail)]);
    let columns = ["change", "user_id", "login", "detail"].map(str::to_owned).to_vec();
    printer.grid("differences", &Grid { columns, rows: rows.collect() })?;
    printer.note(format!(
        "{} users in {}, {} in {}; {} differ.",
        before.people.len(),
        before.plan_id,
        after.people.len(),
        if args.other.is_some() { after.plan_id.as_str() } else { "a new plan of the latest snapshot" },
        differences.len()
    ));
    Ok(0)
}

fn tonights(context: &ReclaimContext, policy: Option<&Path>, before: &Plan) -> Result<Plan, CommandError> {
    let policy = context.policy(policy)?;
    let (inputs, snapshot, journal) = (context.inputs(&policy)?, context.snapshot()?, context.journal()?);
    let past = journal.past();
    let expired = context.expired_plans(past);
    // As if neither the plan itself existed, nor the plans that a new one would replace.
    let set_aside =
        past.replaceable_plans().chain(expired.iter().map(String::as_str)).chain([before.plan_id.as_str()]);
    let evaluator = Evaluator::new(&policy, &snapshot, past, &inputs, context.now, set_aside)
        .map_err(|refusals| refused(&refusals))?;
    let making = Making {
        stage: before.stage,
        ticket: None,
        by: operator(),
        now: context.now,
        policy: &policy,
        approval: &terms(&policy.approval)?,
        snapshot: &snapshot,
        inputs: &inputs,
        past,
    };
    Ok(make(making, &evaluator.everybody()))
}
