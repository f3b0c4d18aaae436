//! `boxseat reclaim show PLAN`: shows a plan to the approver.

use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_schemas::reclaim::Plan;
use boxseat_schemas::reclaim::plan::LeftOut;
use serde_json::json;

use super::note_imports_waiting;
use super::plan_text::{self, Standing, Totals, markdown, results, state, table};
use crate::cli::{Format, Global, ReclaimShowArgs};
use crate::error::{CommandError, REFUSED};
use crate::printer::{Grid, Printer};
use crate::reclaim_context::context::ReclaimContext;

pub(crate) fn run(global: &Global, args: &ReclaimShowArgs, printer: &Printer) -> Result<u8, CommandError> {
    let context = ReclaimContext::open(global)?;
    let file = PlanFile::open(context.store.root(), &args.plan)?;
    let journal = context.journal()?;
    let past = journal.past();
    let renewals: Vec<_> =
        context.settings.report.licence.iter().filter_map(|terms| terms.renewal_date).collect();
    let known = file.owned(context.store.id(), context.store.enterprise_id(), past);
    let standing = Standing {
        state: match &known {
            Ok(known) => state(known, file.plan.expires_at, context.now),
            Err(e) => format!("not usable: {}", e.lines().join(": ")),
        },
        totals: Totals::of(&file.plan, past, &renewals, context.now),
        results: results(&file.plan, past),
        digest: &file.digest,
    };
    match printer.format() {
        _ if args.left_out => left_out(printer, &file.plan)?,
        Format::Json => printer.json(plan_text::json(&file.plan, &standing))?,
        Format::Markdown => printer.out(&markdown(&file.plan, &standing))?,
        Format::Csv => {
            return Err(CommandError::usage("a plan is not a single table").hint(
                "--format table, json or markdown; `boxseat report reclaimable --format csv` lists users, and `--left-out \
                    --format csv` the users that the plan skips",
            ));
        }
        _ => printer.out(&table(&file.plan, &standing))?,
    }
    let is_ours = |user_id: &String| {
        past.people.get(user_id).is_some_and(|known| known.suspension_by(&file.plan.plan_id).is_some())
    };
    if file.plan.people.iter().any(|planned| is_ours(&planned.user_id)) {
        let id = &file.plan.plan_id;
        printer.note(format!(
            "To see what can be given back: boxseat reclaim undo {id}; one user: boxseat reclaim undo {id} --user LOGIN"
        ));
    }
    note_imports_waiting(printer, &context.store)?;
    // A file that only looks like a plan is shown, with the note that it is none.
    match known {
        Ok(_) => Ok(0),
        Err(e) => {
            printer.error(&e);
            Ok(REFUSED)
        }
    }
}

/// Users that the plan excludes, by reason code and login.
fn left_out(printer: &Printer, plan: &Plan) -> Result<(), CommandError> {
    let columns = ["user_id", "login", "name", "reason_code", "reason"].map(str::to_owned).to_vec();
    let mut users: Vec<_> = plan.left_out.iter().collect();
    users.sort_by_key(|user| (user.reason.as_str(), &user.login, &user.user_id));
    let row = |user: &LeftOut| {
        vec![json!(user.user_id), json!(user.login), json!(user.name), json!(user.reason), json!(user.detail)]
    };
    printer.grid("left_out", &Grid { columns, rows: users.into_iter().map(row).collect() })
}
