//! `boxseat reclaim plan`: who goes which stage tonight, written down once and for all.
//!
//! A plan of a stage that nobody has agreed to gives way to the new one; one that was approved or begun does not, because somebody
//! counts on it. *Killed* between the two, the old one is closed and there is no new one: the command makes it when it is run again.

use std::path::Path;

use boxseat_output::durable::{self, Access};
use boxseat_schemas::reclaim::Stage;
use serde_json::json;

use crate::cli::{Global, ReclaimPlanArgs, StageName};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim::desk::{Desk, refused};
use crate::reclaim::judge::{Judge, Judged};
use crate::reclaim::operator::operator;
use crate::reclaim::past::Past;
use crate::reclaim::plan::{Making, fit, make};
use crate::reclaim::plans::PlanFile;
use crate::reclaim::policy::Policy;

pub(crate) fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ReclaimPlanArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let desk = Desk::open(global)?;
    let policy = desk.policy(policy)?;
    let (rows, judged) = plan_stages(&desk, &policy, args, &mut |note| printer.note(note))?;
    report(printer, rows, &judged)
}

/// Makes the plans of every stage that has somebody, or of the one that is asked for; gives a row for each.
///
/// # Errors
/// Exit 3 for a night that nobody may be judged on; the journal's and the disk's.
pub(super) fn plan_stages(
    desk: &Desk,
    policy: &Policy,
    args: &ReclaimPlanArgs,
    note: &mut dyn FnMut(String),
) -> Result<(Vec<Vec<serde_json::Value>>, Judged), CommandError> {
    let beside = desk.beside(policy)?;
    let ground = desk.ground()?;
    fit(&ground, desk.now).map_err(|refusal| refused(&[refusal]))?;
    let mut journal = desk.journal_to_write()?;
    let past = journal.past().clone();
    let expired = desk.expired_plans(&past);
    let replaceable: Vec<&str> = past.replaceable_plans().collect();
    let asked = args.stage.map(Stage::from);
    let mut stages = Vec::new();
    for stage in [Stage::Suspend, Stage::Transfer, Stage::Delete] {
        match counted_on(&past, stage, &replaceable, &expired) {
            _ if asked.is_some_and(|asked| asked != stage) => {}
            None => stages.push(stage),
            Some(plan_id) if asked.is_some() => {
                return Err(CommandError::refused(format!(
                    "plan {plan_id} of this stage is open, and somebody has approved it"
                ))
                .hint(format!("`boxseat reclaim apply {plan_id}` ends it, and so does its last day")));
            }
            Some(plan_id) => {
                note(format!("No new plan to {}: plan {plan_id} is approved and open.", stage.as_str()));
            }
        }
    }
    // What a plan of another stage holds stays held.
    let gives_way = |id: &&str| past.plans.get(*id).is_some_and(|plan| stages.contains(&plan.stage));
    let set_aside: Vec<&str> =
        replaceable.iter().copied().filter(gives_way).chain(expired.iter().map(String::as_str)).collect();
    let judge = Judge::new(policy, &ground, &past, &beside, desk.now, set_aside.iter().copied())
        .map_err(|refusals| refused(&refusals))?;
    let judged = judge.everybody();
    let mut rows = Vec::new();
    for stage in stages {
        if judged.going.get(&stage).is_none_or(Vec::is_empty) {
            continue;
        }
        let making = Making {
            stage,
            ticket: args.ticket.clone(),
            by: operator(),
            now: desk.now,
            policy,
            ground: &ground,
            beside: &beside,
        };
        let plan = make(making, &judged);
        for plan_id in &set_aside {
            let Some(old) = past
                .plans
                .get(*plan_id)
                .filter(|old| old.stage == stage && replaceable.contains(plan_id) && old.is_open())
            else {
                continue;
            };
            let because = if expired.iter().any(|id| id == plan_id) { "expired" } else { "withdrawn" };
            desk.close(&mut journal, plan_id, because)?;
            note(format!("Plan {plan_id} of {} gives way to a new one.", old.night.snapshot_date));
        }
        let file = PlanFile::create(desk.store.root(), plan)?;
        journal.append(desk.now, file.record())?;
        if let Some(copy) = &args.output {
            durable::write_file(copy, &file.bytes, &Access::from(0o600))?;
        }
        let plan = &file.plan;
        rows.push(vec![
            json!(plan.plan_id),
            json!(plan.stage.as_str()),
            json!(plan.people.len()),
            json!(plan.left_out.len()),
            json!(plan.expires_at.format("%F %H:%M").to_string()),
        ]);
    }
    Ok((rows, judged))
}

fn report(printer: &Printer, rows: Vec<Vec<serde_json::Value>>, judged: &Judged) -> Result<u8, CommandError> {
    let first = rows.first().and_then(|row| row[0].as_str().map(str::to_owned));
    let columns = ["plan", "stage", "people", "left_out", "until_utc"].map(str::to_owned).to_vec();
    printer.grid("plans", &Grid { columns, rows })?;
    match first {
        None => printer.note(format!(
            "Nobody goes a stage tonight; {} were looked at and left out.",
            judged.left_out.len()
        )),
        Some(plan_id) => {
            printer.note(format!("Nothing is done yet. Read it: boxseat reclaim show {plan_id}"))
        }
    }
    Ok(0)
}

/// The open plan of a stage that somebody counts on.
fn counted_on<'a>(past: &'a Past, stage: Stage, replaceable: &[&str], expired: &[String]) -> Option<&'a str> {
    past.open_plans()
        .filter(|(plan_id, plan)| {
            plan.stage == stage && plan.policy_digest.is_some() && !replaceable.contains(plan_id)
        })
        .map(|(plan_id, _)| plan_id)
        .find(|plan_id| !expired.iter().any(|id| id == plan_id))
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
