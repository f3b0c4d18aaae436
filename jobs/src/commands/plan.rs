//! Output of `sync --plan`: the choice, the reason and the API calls of each stream.

use boxseat_schemas::plan::{RunPlan, Which};
use boxseat_schemas::run::Reservation;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::{Grid, Printer};

/// Prints a plan.
pub(crate) fn print(
    printer: &Printer,
    settings: &Settings,
    reservation: &Reservation,
    plan: &RunPlan,
) -> Result<(), CommandError> {
    let promise = promise(settings);
    if printer.format() == Format::Json {
        let streams: Vec<Value> = plan
            .streams
            .iter()
            .map(|s| json!({ "stream": s.stream, "choice": s.choice, "calls": s.calls, "reason": s.reason }))
            .collect();
        return printer.json(json!({ "plan": {
            "run_number": reservation.run_number,
            "base_run_number": reservation.base_run_number,
            "window_from": reservation.window_from_at,
            "window_to": reservation.window_to_at,
            "streams": streams,
            "calls": plan.calls(),
            "calls_left": plan.calls_left,
            "calls_tonight": plan.calls_tonight,
            "alias_users": count(&plan.reads.aliases),
            "membership_groups": count(&plan.reads.groups),
            "membership_users": count(&plan.reads.user_side),
            "notes": plan.notes,
            "promise": promise,
        }}));
    }
    let columns = ["stream", "choice", "calls", "reason"].map(str::to_owned).to_vec();
    let mut rows: Vec<Vec<Value>> = plan
        .streams
        .iter()
        .map(|s| vec![json!(s.stream.as_str()), json!(s.choice.as_str()), json!(s.calls), json!(s.reason)])
        .collect();
    rows.push(vec![json!("total"), Value::Null, json!(plan.calls()), json!(allowance(plan))]);
    printer.grid("plan", &Grid { columns, rows })?;
    plan.notes.iter().for_each(|note| printer.note(note));
    printer.note(promise);
    printer.note(format!(
        "Run {} keeps what it has read; the next `boxseat sync` within {} hours continues from there.",
        reservation.run_number,
        settings.resume.num_hours()
    ));
    Ok(())
}

fn allowance(plan: &RunPlan) -> String {
    match (plan.calls_tonight, plan.calls_left) {
        (Some(share), Some(left)) => format!("the share of this run is {share}, {left} are left this month"),
        _ => "no [rate] monthly_calls is set".to_owned(),
    }
}

fn promise(settings: &Settings) -> String {
    format!(
        "Changes that Box reports as events are in the next snapshot. Other changes are found within {} days (aliases, and members of groups of over 10,000) or {} days (other memberships). read_at, aliases_read_at and memberships_read_at say when each row was last read from Box.",
        settings.plan.alias_sweep.num_days(),
        settings.plan.membership_resync.num_days()
    )
}

/// The number of ids; `None` means all.
fn count(which: &Which) -> Option<usize> {
    match which {
        Which::All => None,
        Which::Only(ids) => Some(ids.len()),
    }
}
