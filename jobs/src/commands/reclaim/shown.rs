//! The outcomes of the users of a plan, as a table, and the run's summary line.

use boxseat_reclaim::engine::{Applied, UserOutcome};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::rules::policy_inputs::PolicyInputs;
use boxseat_schemas::reclaim::Plan;
use serde_json::json;

use crate::error::{CommandError, REJECTS, exit_code};
use crate::printer::{Grid, Printer};
use crate::store::Store;

/// Prints one apply or undo; the caller prints the reason for a stop as an error.
pub(crate) fn show_applied(
    printer: &Printer,
    verb: &str,
    plan: &Plan,
    applied: &Applied,
    journal: &Journal,
) -> Result<(), CommandError> {
    let columns = ["user_id", "login", "outcome", "detail"].map(str::to_owned).to_vec();
    let rows = plan.people.iter().filter_map(|planned| {
        let fate = applied.people.get(&planned.user_id)?;
        Some(vec![json!(planned.user_id), json!(planned.login), json!(fate.word()), json!(fate.detail())])
    });
    printer.grid(verb, &Grid { columns, rows: rows.collect() })?;
    printer.note(summary(verb, plan, applied, journal));
    Ok(())
}

/// The exit code of an apply or undo: 4 if an action that was due was not done.
pub(crate) fn exit_code_of(applied: &Applied) -> u8 {
    match &applied.stopped {
        Some(e) => exit_code(e.kind()),
        None if applied.is_complete() => 0,
        None => REJECTS,
    }
}

/// What an operator must look at if a list or the policy was changed while a plan was applied: users that were acted on before.
pub(crate) fn note_changed_files(printer: &Printer, inputs: &PolicyInputs, plan: &Plan, journal: &Journal) {
    let plan_id = &plan.plan_id;
    let is_touched = |user_id: &str| journal.past().has_touched(plan_id, user_id);
    if let Some(path) = inputs.changed_file()
        && plan.people.iter().any(|planned| is_touched(&planned.user_id))
    {
        printer.note(format!(
            "{} changed during this command: check whether it names a user that the plan has already changed; `boxseat reclaim undo \
                {plan_id} --user LOGIN` undoes a suspension.",
            path.display()
        ));
    }
}

/// R9: `reclaim verify` compares with the head in this line, also years later by cron's mail.
fn summary(verb: &str, plan: &Plan, applied: &Applied, journal: &Journal) -> String {
    let people = plan.people.len();
    let done = applied.count(UserOutcome::is_done);
    let state = plan_state(plan, journal);
    let unchanged = applied.count(UserOutcome::is_untouched);
    let with_nothing = match unchanged {
        0 => String::new(),
        _ => format!(", {unchanged} with nothing to undo"),
    };
    format!(
        "{verb} {}: {done} of {people} users done, {} skipped or waiting{with_nothing}; the plan is {state}. {}",
        plan.plan_id,
        people - done - unchanged,
        head(journal),
    )
}

/// `open`, or why the plan is closed, as the journal has it at the end of a command.
pub(super) fn plan_state(plan: &Plan, journal: &Journal) -> String {
    let known = journal.past().plans.get(&plan.plan_id);
    match known.and_then(|known| known.closed.as_ref()) {
        Some(closed) => format!("closed ({})", closed.because),
        None => "open".to_owned(),
    }
}

/// The head of the journal, as printed by every command that writes to it.
pub(crate) fn head(journal: &Journal) -> String {
    format!("Journal entry {}, head {}", journal.sequence(), journal.head())
}

/// Reports that imported evidence of use is not in the plans yet.
///
/// # Errors
/// Disk.
pub(crate) fn note_imports_waiting(printer: &Printer, store: &Store) -> Result<(), CommandError> {
    match store.imports_waiting()?.len() {
        0 => {}
        count => printer.note(format!(
            "Imported reports that wait for their run: {count}. Nothing is planned or applied by a policy before `boxseat \
                sync` has loaded them."
        )),
    }
    Ok(())
}
