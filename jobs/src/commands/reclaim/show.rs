//! `boxseat reclaim show PLAN`: what whoever agrees to it agrees to.

use super::note_imports_waiting;
use crate::cli::{Format, Global, ReclaimShowArgs};
use crate::error::{CommandError, REFUSED};
use crate::printer::Printer;
use crate::reclaim::desk::Desk;
use crate::reclaim::plans::PlanFile;
use crate::reclaim::show::{Standing, Totals, json, markdown, state, table};

pub(crate) fn run(global: &Global, args: &ReclaimShowArgs, printer: &Printer) -> Result<u8, CommandError> {
    let desk = Desk::open(global)?;
    let file = PlanFile::open(desk.store.root(), &args.plan)?;
    let journal = desk.journal()?;
    let past = journal.past();
    let renewals: Vec<_> =
        desk.settings.report.licence.iter().filter_map(|terms| terms.renewal_date).collect();
    let known = file.owned(desk.store.id(), desk.store.enterprise_id(), past);
    let standing = Standing {
        state: match &known {
            Ok(known) => state(known, file.plan.expires_at, desk.now),
            Err(e) => format!("of no use: {}", e.lines().join(": ")),
        },
        totals: Totals::of(&file.plan, past, &renewals, desk.now),
        digest: &file.digest,
    };
    match printer.format() {
        Format::Json => printer.json(json(&file.plan, &standing))?,
        Format::Markdown => printer.out(&markdown(&file.plan, &standing))?,
        Format::Csv => {
            return Err(CommandError::usage("a plan is no table of one kind").hint(
                "--format table, json or markdown; `boxseat report reclaimable --format csv` lists people",
            ));
        }
        _ => printer.out(&table(&file.plan, &standing))?,
    }
    note_imports_waiting(printer, &desk.store)?;
    // A file that only looks like a plan is shown, and said to be none.
    match known {
        Ok(_) => Ok(0),
        Err(e) => {
            printer.error(&e);
            Ok(REFUSED)
        }
    }
}
