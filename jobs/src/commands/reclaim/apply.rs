//! `boxseat reclaim apply PLAN`: without `--yes` it shows what it would do and changes nothing.

use std::path::Path;

use boxseat_schemas::reclaim::plan::PlannedPerson;
use serde_json::json;

use super::show_applied;
use crate::cli::{ApplyArgs, Global};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim::apply::{Hands, Task, admit, apply, is_done};
use crate::reclaim::figures::people;
use crate::reclaim::plans::PlanFile;
use crate::reclaim::session::{Connection, Session, crash};
use crate::reclaim::stuck::stuck;
use crate::reclaim::waiting::waiting;
use crate::reclaim::{Journal, StreamMark};
use crate::stop::Stop;

pub(crate) async fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ApplyArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let session = Session::open(global, policy)?;
    let file = PlanFile::open(session.desk.store.root(), &args.plan)?;
    let required = session.required(&file.plan)?;
    let ground = session.desk.ground()?;
    session.refuse_evidence_that_waits(&file.plan, &ground)?;
    let admit = |file: &PlanFile, journal: &Journal| {
        admit(file, journal.past(), &required, &ground, session.desk.store.id(), (session.clock)())
    };
    if !args.yes {
        let journal = session.desk.journal()?;
        admit(&file, &journal)?;
        return rehearse(printer, &file, &journal);
    }
    let mut journal = session.desk.journal_to_write()?;
    admit(&file, &journal)?;
    let file = file.without_bytes();
    let mark = session.mark(&ground)?;
    let connection = session.connect(&stop)?;
    let task = task(&session, &file, &ground, mark.as_ref());
    let applied = apply(task, hands(&session, &connection), &mut journal).await;
    session.commit_actions(&journal);
    let applied = applied?;
    show_applied(printer, "apply", &file.plan, &applied, &journal)?;
    if let Some(policy) = session.policy.as_ref().filter(|_| applied.stopped.is_none()) {
        let now = (session.clock)();
        let stuck = stuck(journal.past(), &ground, Some(policy), &session.beside, now);
        let ids = stuck.iter().map(|user| user.user_id.as_str()).collect();
        let (waiting, _) = waiting(journal.past(), &ground, policy, &session.beside, &ids, now);
        for waiting in waiting {
            printer.note(format!("Next, for {}: {}.", people(waiting.users), waiting.sentence(now)));
        }
    }
    let code = applied.exit_code();
    if let Some(e) = &applied.stopped {
        printer.error(e);
    }
    Ok(code)
}

/// The task of one plan on one snapshot.
pub(crate) fn task<'a>(
    session: &'a Session,
    file: &'a PlanFile,
    ground: &'a crate::reclaim::Ground,
    mark: Option<&'a StreamMark>,
) -> Task<'a> {
    Task {
        plan: &file.plan,
        policy: session.policy.as_ref(),
        ground,
        beside: &session.beside,
        mark,
        leavers_per_day: session.desk.settings.leavers_per_day,
    }
}

/// The environment in which a session acts.
pub(crate) fn hands<'a>(session: &'a Session, connection: &'a Connection) -> Hands<'a> {
    Hands {
        reader: &connection.reader,
        actor: &connection.actor,
        clock: &session.clock,
        by: &session.by,
        concurrency: session.desk.settings.concurrency,
        check_clock: session.desk.settings.rehearsed_now.is_none(),
        anchors: &session.desk,
        crash: &crash,
    }
}

fn rehearse(printer: &Printer, file: &PlanFile, journal: &Journal) -> Result<u8, CommandError> {
    let plan = &file.plan;
    let columns = ["user_id", "login", "would", "because"].map(str::to_owned).to_vec();
    let what = |planned: &PlannedPerson| {
        let actions: Vec<&str> = planned.actions.iter().map(|action| action.as_str()).collect();
        actions.join(", ")
    };
    let waiting = plan.people.iter().filter(|planned| !is_done(journal.past(), plan, planned));
    let rows: Vec<_> = waiting
        .map(|planned| {
            vec![json!(planned.user_id), json!(planned.login), json!(what(planned)), json!(planned.sentence)]
        })
        .collect();
    let count = rows.len();
    printer.grid("apply", &Grid { columns, rows })?;
    printer.note(format!(
        "Nothing was done. With --yes each of these {count} users is read again, and the users that still qualify are changed."
    ));
    Ok(0)
}
