//! `boxseat reclaim undo PLAN` (R18).

use std::path::Path;

use boxseat_schemas::reclaim::Action;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use serde_json::json;

use super::apply::{hands, task};
use super::{head, show_applied};
use crate::cli::{Global, UndoArgs};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim::Journal;
use crate::reclaim::apply::{Fate, NOTHING_TO_UNDO, ours, undo};
use crate::reclaim::past::unfinished;
use crate::reclaim::plans::PlanFile;
use crate::reclaim::session::Session;
use crate::stop::Stop;

pub(crate) async fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &UndoArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let session = Session::open(global, policy)?;
    let file = PlanFile::open(session.desk.store.root(), &args.plan)?.without_bytes();
    let ground = session.desk.ground()?;
    let admit = |journal: &Journal| -> Result<(), CommandError> {
        let known = ours(&file.plan, &file.digest, journal.past(), &ground, session.desk.store.id())?;
        let plan_id = &file.plan.plan_id;
        let is_left = |id: &String| {
            journal.past().people.get(id).is_some_and(|person| {
                person.suspension_by(plan_id).or(person.unfinished_status(plan_id)).is_some()
            })
        };
        if known.is_undone() && !known.user_ids.iter().any(is_left) {
            return Err(CommandError::refused(format!("plan {plan_id} is undone already")));
        }
        Ok(())
    };
    if !args.yes {
        let journal = session.desk.journal()?;
        admit(&journal)?;
        return rehearse(printer, &file, &journal);
    }
    let mut journal = session.desk.journal_to_write()?;
    admit(&journal)?;
    if !file.plan.people.iter().any(|one| journal.past().has_touched(&file.plan.plan_id, &one.user_id)) {
        return close_untouched(printer, &session, &file, &mut journal);
    }
    let mark = session.mark(&ground)?;
    let connection = session.connect(&stop)?;
    let undone =
        undo(task(&session, &file, &ground, mark.as_ref()), hands(&session, &connection), &mut journal).await;
    session.commit_actions(&journal);
    let undone = undone?;
    show_applied(printer, "undo", &file.plan, &undone, &journal)?;
    if let Some(e) = &undone.stopped {
        printer.error(e);
    }
    let is_open = |fate: &Fate| *fate != Fate::Done && fate.word() != NOTHING_TO_UNDO;
    let has_open = undone.people.values().any(is_open);
    Ok(if undone.stopped.is_some() || has_open { undone.exit_code() } else { 0 })
}

/// Closes a plan that changed no account. Nothing is to be read or written in Box.
fn close_untouched(
    printer: &Printer,
    session: &Session,
    file: &PlanFile,
    journal: &mut Journal,
) -> Result<u8, CommandError> {
    let plan_id = &file.plan.plan_id;
    session.desk.close(journal, plan_id, "undone")?;
    session.commit_actions(journal);
    let columns = ["user_id", "login", "outcome", "detail"].map(str::to_owned).to_vec();
    let row = |planned: &PlannedPerson| {
        let detail = "the plan changed nothing in this account";
        vec![json!(planned.user_id), json!(planned.login), json!(NOTHING_TO_UNDO), json!(detail)]
    };
    printer.grid("undo", &Grid { columns, rows: file.plan.people.iter().map(row).collect() })?;
    printer.note(format!(
        "Plan {plan_id} changed no account, so no user was undone. The plan is closed. {}",
        head(journal)
    ));
    Ok(0)
}

fn rehearse(printer: &Printer, file: &PlanFile, journal: &Journal) -> Result<u8, CommandError> {
    let plan = &file.plan;
    let columns = ["user_id", "login", "would"].map(str::to_owned).to_vec();
    let rows: Vec<_> = plan
        .people
        .iter()
        .filter_map(|planned| {
            let person = journal.past().people.get(&planned.user_id)?;
            let done = |action| {
                person.by_plan(&plan.plan_id).any(|past| past.attempt.action == action && past.was_done)
            };
            let would = match (person.suspension_by(&plan.plan_id), person.unfinished_status(&plan.plan_id)) {
                _ if done(Action::Delete) => "stay deleted".to_owned(),
                (Some(ours), _) => {
                    format!("be {} again", ours.attempt.before.status.as_deref().unwrap_or("unknown"))
                }
                (None, Some(open)) => format!("be looked at: {}", unfinished(open)),
                (None, None) => return None,
            };
            let content = if done(Action::Transfer) { "; the content stays where it went" } else { "" };
            Some(vec![json!(planned.user_id), json!(planned.login), json!(format!("{would}{content}"))])
        })
        .collect();
    printer.grid("undo", &Grid { columns, rows })?;
    printer.note("Nothing was done. With --yes it is, wherever nobody else has touched the account since.");
    Ok(0)
}
