//! `boxseat reclaim diff PLAN [PLAN]`: compares with another plan, or with a new plan of the latest snapshot.

use std::path::Path;

use boxseat_schemas::reclaim::Plan;
use serde_json::json;

use crate::cli::{Global, ReclaimDiffArgs};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim::approval::terms;
use crate::reclaim::desk::{Desk, refused};
use crate::reclaim::diff::diff;
use crate::reclaim::judge::Judge;
use crate::reclaim::operator::operator;
use crate::reclaim::plan::{Making, make};
use crate::reclaim::plans::PlanFile;

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ReclaimDiffArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let desk = Desk::open(global)?;
    let before = PlanFile::open(desk.store.root(), &args.plan)?.plan;
    let after = match &args.other {
        Some(other) => PlanFile::open(desk.store.root(), other)?.plan,
        None => tonights(&desk, policy, &before)?,
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

fn tonights(desk: &Desk, policy: Option<&Path>, before: &Plan) -> Result<Plan, CommandError> {
    let policy = desk.policy(policy)?;
    let (beside, ground, journal) = (desk.beside(&policy)?, desk.ground()?, desk.journal()?);
    let past = journal.past();
    let expired = desk.expired_plans(past);
    // As if neither the plan itself existed, nor the plans that a new one would replace.
    let set_aside =
        past.replaceable_plans().chain(expired.iter().map(String::as_str)).chain([before.plan_id.as_str()]);
    let judge = Judge::new(&policy, &ground, past, &beside, desk.now, set_aside)
        .map_err(|refusals| refused(&refusals))?;
    let making = Making {
        stage: before.stage,
        ticket: None,
        by: operator(),
        now: desk.now,
        policy: &policy,
        approval: &terms(&policy.approval)?,
        ground: &ground,
        beside: &beside,
        past,
    };
    Ok(make(making, &judge.everybody()))
}
