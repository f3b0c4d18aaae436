//! `boxseat reclaim plan`: makes plans from the latest snapshot.

use std::path::Path;

use boxseat_reclaim::engine::planning::{ALL_STAGES, Planned, Planning, Waiting, plan_stages};
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::rules::figures::people;
use boxseat_schemas::reclaim::Stage;
use boxseat_storage::durable::{self, Access};
use serde_json::json;

use super::head;
use crate::cli::{Global, ReclaimPlanArgs, StageName};
use crate::error::CommandError;
use crate::output_target::check_output;
use crate::printer::{Grid, Printer};
use crate::reclaim_context::context::ReclaimContext;

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ReclaimPlanArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let context = ReclaimContext::open(global)?;
    if let Some(copy) = &args.output {
        check_output(copy, &context.settings)?;
    }
    let policy = context.policy(policy)?;
    // The planner is one of two users.
    policy.approval.os_user_counts().check_namespace()?;
    let mut journal = context.journal_to_write()?;
    let stages = args.stage.map_or_else(|| ALL_STAGES.to_vec(), |stage| vec![stage.into()]);
    let (inputs, snapshot) = context.planning_inputs(&policy)?;
    let planning = Planning {
        root: context.store.root(),
        policy: &policy,
        inputs: &inputs,
        snapshot: &snapshot,
        now: context.now,
        by: &operator(),
        ticket: args.ticket.as_deref(),
        stages: &stages,
        waiting: Waiting::GivesWay,
    };
    let planned = plan_stages(&planning, &mut journal)?;
    context.anchor(&journal)?;
    if let (Some(_), Some((_, plan_id))) = (args.stage, planned.standing.first()) {
        return Err(CommandError::refused(format!("plan {plan_id} of this stage is open and approved"))
            .hint(format!(
                "`boxseat reclaim apply {plan_id} --yes` applies it; else it ends on its last day"
            )));
    }
    if let (Some(copy), Some(file)) = (&args.output, planned.made.first()) {
        durable::write_file(copy, &file.bytes, &Access::from(0o600))?;
    }
    let code = report(printer, &planned)?;
    printer.note(head(&journal));
    Ok(code)
}

fn report(printer: &Printer, planned: &Planned) -> Result<u8, CommandError> {
    for (plan_id, because) in &planned.closed {
        printer.note(format!("A new plan replaces plan {plan_id} ({because})."));
    }
    for (stage, plan_id) in &planned.standing {
        printer.note(format!(
            "No new plan to {}: {plan_id} is approved and open. `boxseat reclaim apply {plan_id} --yes` applies it; else it ends on its last day.",
            stage.as_str()
        ));
    }
    let row = |file: &boxseat_reclaim::journal::plans::PlanFile| {
        let plan = &file.plan;
        vec![
            json!(plan.plan_id),
            json!(plan.stage.as_str()),
            json!(plan.people.len()),
            json!(plan.left_out.len()),
            json!(plan.expires_at.format("%F %H:%M").to_string()),
        ]
    };
    let columns = ["plan", "stage", "people", "left_out", "until_utc"].map(str::to_owned).to_vec();
    printer.grid("plans", &Grid { columns, rows: planned.made.iter().map(row).collect() })?;
    match planned.made.first() {
        None if !planned.standing.is_empty() => {}
        None => printer.note(format!(
            "No plan is made: no user qualifies for a stage. {} are skipped; `boxseat query \"FROM \
                reclaim_candidates\"` lists them with the reason of the latest run.",
            people(planned.left_out)
        )),
        Some(file) => {
            let id = &file.plan.plan_id;
            let it = if planned.made.len() == 1 { "it" } else { "each plan" };
            printer.note(format!("Nothing is done yet. Read {it}: boxseat reclaim show {id}; then, if you agree: boxseat reclaim approve {id}"));
            let listed: usize = planned.made.iter().map(|file| file.plan.left_out.len()).sum();
            if planned.left_out > listed {
                printer.note(format!(
                    "Skipped in the other stages: {}. With a reason code, by the policy of the last run: boxseat query \"FROM \
                        reclaim_candidates\"",
                    people(planned.left_out - listed)
                ));
            }
            if !file.plan.left_out.is_empty() {
                printer.note(format!("Skipped users and reasons: boxseat reclaim show {id} --left-out"));
            }
        }
    }
    Ok(0)
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Self {
        match name {
            StageName::Suspend => Self::Suspend,
            StageName::Transfer => Self::Transfer,
            StageName::Delete => Self::Delete,
        }
    }
}
