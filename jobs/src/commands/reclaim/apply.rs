//! `boxseat reclaim apply PLAN`: without `--yes` it shows what it would do and changes nothing.

use std::path::Path;

use boxseat_reclaim::engine::{ApplyEnv, Task, admit, apply, is_done};
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::journal::{Journal, StreamMark};
use boxseat_reclaim::rules::figures::people;
use boxseat_reclaim::rules::stuck::stuck;
use boxseat_reclaim::rules::waiting::waiting;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use serde_json::json;

use super::{exit_code_of, note_changed_files, show_applied};
use crate::cli::{ApplyArgs, Global};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim_context::apply_context::{ApplyContext, Connection, crash};
use crate::stop::Stop;

pub(crate) async fn run(
    global: &Global,
    policy: Option<&Path>,
    args: &ApplyArgs,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let acting = ApplyContext::open(global, policy)?;
    let file = PlanFile::open(acting.context.store.root(), &args.plan)?;
    let required = acting.required(&file.plan)?;
    let snapshot = acting.context.snapshot()?;
    acting.refuse_evidence_that_waits(&file.plan, &snapshot)?;
    let admit = |file: &PlanFile, journal: &Journal| {
        admit(file, journal.past(), &required, &snapshot, acting.context.store.id(), (acting.clock)())
    };
    if !args.yes {
        let journal = acting.context.journal()?;
        admit(&file, &journal)?;
        return rehearse(printer, &file, &journal);
    }
    let mut journal = acting.context.journal_to_write()?;
    admit(&file, &journal)?;
    let file = file.without_bytes();
    let mark = acting.mark(&snapshot)?;
    let connection = acting.connect(&stop)?;
    let task = task(&acting, &file, &snapshot, mark.as_ref());
    let applied = apply(task, env(&acting, &connection), &mut journal).await;
    acting.commit_actions(&journal);
    let applied = applied?;
    show_applied(printer, "apply", &file.plan, &applied, &journal)?;
    note_changed_files(printer, &acting.inputs, &file.plan, &journal);
    if let Some(policy) = acting.policy.as_ref().filter(|_| applied.stopped.is_none()) {
        let now = (acting.clock)();
        let stuck = stuck(journal.past(), &snapshot, Some(policy), &acting.inputs, now);
        let ids = stuck.iter().map(|user| user.user_id.as_str()).collect();
        let (waiting, _) = waiting(journal.past(), &snapshot, policy, &acting.inputs, &ids, now);
        for waiting in waiting {
            printer.note(format!("Next, for {}: {}.", people(waiting.users), waiting.sentence(now)));
        }
    }
    let code = exit_code_of(&applied);
    if let Some(e) = &applied.stopped {
        printer.error(e);
    }
    Ok(code)
}

/// The task of one plan on one snapshot.
pub(crate) fn task<'a>(
    acting: &'a ApplyContext,
    file: &'a PlanFile,
    snapshot: &'a boxseat_reclaim::rules::snapshot::Snapshot,
    mark: Option<&'a StreamMark>,
) -> Task<'a> {
    Task {
        plan: &file.plan,
        policy: acting.policy.as_ref(),
        snapshot,
        inputs: &acting.inputs,
        mark,
        leavers_per_day: acting.context.settings.leavers_per_day,
    }
}

/// The environment in which a session acts.
pub(crate) fn env<'a>(acting: &'a ApplyContext, connection: &'a Connection) -> ApplyEnv<'a> {
    ApplyEnv {
        reader: &connection.reader,
        actor: &connection.actor,
        clock: &acting.clock,
        by: &acting.by,
        concurrency: acting.context.settings.concurrency,
        check_clock: acting.context.settings.rehearsed_now.is_none(),
        anchors: &acting.context,
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
