//! `boxseat reclaim undo PLAN` (R18).

use std::path::Path;

use boxseat_schemas::reclaim::Action;
use serde_json::json;

use super::apply::{hands, task};
use super::show_applied;
use crate::cli::{Global, UndoArgs};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim::Journal;
use crate::reclaim::apply::{ours, undo};
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
    Ok(undone.exit_code())
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
