//! `boxseat reclaim undo PLAN` (R18): for all users of the plan, or for those of `--user`.

use std::path::Path;

use boxseat_reclaim::engine::{Scope, UserOutcome, ours, take_out, undo};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::approval::Required;
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::rules::restore::Preview;
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Plan, PlanEnd, ReasonCode};
use serde_json::json;

use super::apply::{env, task};
use super::{exit_code_of, head, show_applied};
use crate::cli::{Global, UndoArgs};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim_context::apply_context::ApplyContext;
use crate::stop::Stop;

pub(crate) async fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &UndoArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let acting = ApplyContext::open(global, policy)?;
    let file = PlanFile::open(acting.context.store.root(), &args.plan)?.without_bytes();
    Required::of(&file.plan, None).os_user_counts().check_namespace()?;
    if let Some(policy) = &acting.policy {
        policy.approval.os_user_counts().check_namespace()?;
    }
    let snapshot = acting.context.snapshot()?;
    let (file, scope) = narrowed(file, &snapshot, &args.users)?;
    let admit = |journal: &Journal| -> Result<(), CommandError> {
        let known = ours(&file.plan, &file.digest, journal.past(), &snapshot, acting.context.store.id())?;
        let plan_id = &file.plan.plan_id;
        let is_left = |planned: &PlannedPerson| {
            journal.past().people.get(&planned.user_id).is_some_and(|person| {
                person.suspension_by(plan_id).or(person.unfinished_status(plan_id)).is_some()
            })
        };
        if known.is_undone() && !file.plan.people.iter().any(is_left) {
            return Err(CommandError::refused(format!("plan {plan_id} is already undone")));
        }
        Ok(())
    };
    if !args.yes {
        let journal = acting.context.journal()?;
        admit(&journal)?;
        return rehearse(printer, &file.plan, &snapshot, &journal);
    }
    let mut journal = acting.context.journal_to_write()?;
    admit(&journal)?;
    if !file.plan.people.iter().any(|one| journal.past().has_touched(&file.plan.plan_id, &one.user_id)) {
        return close_untouched(printer, &acting, &file.plan, scope, &mut journal);
    }
    let mark = acting.mark(&snapshot)?;
    let connection = acting.connect(&stop)?;
    let task = task(&acting, &file, &snapshot, mark.as_ref());
    let undone = undo(task, scope, env(&acting, &connection), &mut journal).await;
    acting.commit_actions(&journal);
    let undone = undone?;
    show_applied(printer, "undo", &file.plan, &undone, &journal)?;
    if let Some(e) = &undone.stopped {
        printer.error(e);
    }
    let is_open = |fate: &UserOutcome| *fate != UserOutcome::Done && !fate.is_untouched();
    let has_open = undone.people.values().any(is_open);
    Ok(if undone.stopped.is_some() || has_open { exit_code_of(&undone) } else { 0 })
}

/// The plan with only the users of `--user`.
fn narrowed(
    file: PlanFile,
    snapshot: &Snapshot,
    users: &[String],
) -> Result<(PlanFile, Scope), CommandError> {
    let mut chosen = Vec::new();
    for user in users {
        let is_meant = |planned: &&PlannedPerson| {
            let now = snapshot.person(&planned.user_id).and_then(|person| person.login.as_deref());
            planned.user_id == *user
                || [Some(planned.login.as_str()), now]
                    .iter()
                    .flatten()
                    .any(|login| login.eq_ignore_ascii_case(user))
        };
        let mut found = file.plan.people.iter().filter(is_meant);
        let plan_id = &file.plan.plan_id;
        match (found.next(), found.next()) {
            (Some(planned), None) => chosen.push(planned.user_id.clone()),
            (None, _) => {
                return Err(CommandError::usage(format!("plan {plan_id} has no user {user}"))
                    .hint(format!("`boxseat reclaim show {plan_id}` lists its users")));
            }
            (Some(_), Some(_)) => {
                return Err(CommandError::refused(format!("plan {plan_id} has two users for {user}"))
                    .hint("name the user by the Box id; `boxseat reclaim status` shows it"));
            }
        }
    }
    if users.is_empty() || file.plan.people.iter().all(|planned| chosen.contains(&planned.user_id)) {
        return Ok((file, Scope::WholePlan));
    }
    let mut file = file;
    file.plan.people.retain(|planned| chosen.contains(&planned.user_id));
    Ok((file, Scope::SomeUsers))
}

/// Ends a plan, or its part for some users, that changed no account. No call to Box is needed.
fn close_untouched(
    printer: &Printer,
    acting: &ApplyContext,
    plan: &Plan,
    scope: Scope,
    journal: &mut Journal,
) -> Result<u8, CommandError> {
    let plan_id = &plan.plan_id;
    let result = match scope {
        Scope::WholePlan => {
            journal.close_plan(plan_id, PlanEnd::Undone, &acting.by, acting.context.now)?;
            "The plan is closed."
        }
        Scope::SomeUsers => {
            let records: Vec<_> = plan
                .people
                .iter()
                .filter_map(|one| take_out(journal.past(), plan_id, &one.user_id))
                .collect();
            for record in records {
                journal.append((acting.clock)(), record)?;
            }
            "It does nothing more for these users."
        }
    };
    acting.commit_actions(journal);
    let columns = ["user_id", "login", "outcome", "detail"].map(str::to_owned).to_vec();
    let row = |planned: &PlannedPerson| {
        let detail = "the plan changed nothing in this account";
        vec![json!(planned.user_id), json!(planned.login), json!(ReasonCode::NothingToUndo), json!(detail)]
    };
    printer.grid("undo", &Grid { columns, rows: plan.people.iter().map(row).collect() })?;
    printer.note(format!(
        "Plan {plan_id} changed no account, so no user was undone. {result} {}",
        head(journal)
    ));
    Ok(0)
}

fn rehearse(
    printer: &Printer,
    plan: &Plan,
    snapshot: &Snapshot,
    journal: &Journal,
) -> Result<u8, CommandError> {
    let columns = ["user_id", "login", "would"].map(str::to_owned).to_vec();
    let rows: Vec<_> = plan
        .people
        .iter()
        .filter_map(|planned| {
            let would = match Preview::of(journal.past(), snapshot, &plan.plan_id, &planned.user_id) {
                Preview::Nothing => return None,
                Preview::Restored { status, remains: None } => format!("be {status} again"),
                Preview::Restored { status, remains: Some(remains) } => {
                    format!("be {status} again, WITHOUT the content: {remains}")
                }
                Preview::Unchanged(why) => format!("not change: {why}"),
                Preview::Unknown(why) => format!("be read again: {why}"),
            };
            Some(vec![json!(planned.user_id), json!(planned.login), json!(would)])
        })
        .collect();
    let is_untouched = rows.is_empty();
    printer.grid("undo", &Grid { columns, rows })?;
    if is_untouched {
        printer.note("The plan changed no account that could be given back. With --yes the plan is cancelled and does nothing more.");
        return Ok(0);
    }
    printer.note(
        "Nothing was done. This is the result by the latest snapshot. With --yes each account is read again before it is changed.",
    );
    Ok(0)
}
