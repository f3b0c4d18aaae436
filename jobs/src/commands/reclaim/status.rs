//! `boxseat reclaim status`: plans, people, unknown outcomes, and what is due next. No call, no lock.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::head;
use crate::cli::{Format, Global};
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim::Journal;
use crate::reclaim::apply::{is_done, is_due};
use crate::reclaim::approval::Required;
use crate::reclaim::journal::Seals;
use crate::reclaim::offboarding::{Progress, leavers};
use crate::reclaim::past::{Past, PastPlan};
use crate::reclaim::plans::PlanFile;
use crate::store::Store;

pub(crate) fn run(global: &Global, printer: &Printer) -> Result<u8, CommandError> {
    let settings = Settings::load(global)?;
    let store = Store::open(&settings.store, &settings.access)?;
    let journal = Journal::read(store.root(), store.id(), settings.journal_key.as_ref(), Seals::Last)?;
    let past = journal.past();
    let now = data_clock(settings.rehearsed_now)();
    let columns =
        ["plan_id", "stage", "state", "people", "done", "left_alone", "unknown", "next"].map(str::to_owned);
    let rows: Vec<Vec<Value>> = past
        .plans
        .iter()
        .map(|(id, plan)| {
            let file = PlanFile::open(store.root(), id).ok().filter(|file| file.digest == plan.digest);
            row(past, id, plan, file.as_ref(), now)
        })
        .collect();
    let leavers: Vec<Progress> = past
        .open_plans()
        .filter(|(_, plan)| plan.policy_digest.is_none())
        .filter_map(|(id, plan)| {
            PlanFile::open(store.root(), id).ok().filter(|file| file.digest == plan.digest)
        })
        .flat_map(|file| leavers(past, &file.plan, now).collect::<Vec<_>>())
        .collect();
    let unknown: Vec<Vec<Value>> = past
        .unfinished()
        .map(|open| {
            vec![
                json!(open.attempt.plan_id),
                json!(open.attempt.login),
                json!(open.attempt.action.as_str()),
                json!(open.asked_at),
                json!(open.reason),
            ]
        })
        .collect();
    let unknown_columns = ["plan_id", "login", "action", "asked_at", "reason"].map(str::to_owned);
    if printer.format() == Format::Json {
        let objects = |columns: &[String], rows: &[Vec<Value>]| -> Vec<Value> {
            let object = |row: &Vec<Value>| columns.iter().cloned().zip(row.iter().cloned()).collect();
            rows.iter().map(|row| Value::Object(object(row))).collect()
        };
        printer.json(json!({ "status": {
            "plans": objects(&columns, &rows),
            "unknown": objects(&unknown_columns, &unknown),
            "leavers": leavers,
            "entries": journal.sequence(),
            "head": journal.head(),
        }}))?;
        return Ok(0);
    }
    printer.grid("plans", &Grid { columns: columns.to_vec(), rows })?;
    for leaver in &leavers {
        printer.note(format!("{}: {}", leaver.login, leaver.steps()));
    }
    if !unknown.is_empty() {
        printer.note("Of these nobody knows yet what Box did; `boxseat reclaim nightly` reads and says:");
        printer.grid("unknown", &Grid { columns: unknown_columns.to_vec(), rows: unknown })?;
    }
    printer.note(head(&journal));
    Ok(0)
}

fn row(
    past: &Past,
    id: &str,
    known: &PastPlan,
    file: Option<&PlanFile>,
    now: chrono::DateTime<chrono::Utc>,
) -> Vec<Value> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for user_id in &known.user_ids {
        let person = past.people.get(user_id);
        let skipped = person.is_some_and(|person| person.final_skip(id).is_some());
        let unknown = person.is_some_and(|person| person.by_plan(id).any(|past| past.is_unfinished()));
        let done = file.is_some_and(|file| {
            let plan = &file.plan;
            plan.people.iter().any(|planned| planned.user_id == *user_id && is_done(past, plan, planned))
        });
        let word = match (unknown, skipped, done) {
            (true, ..) => "unknown",
            (_, true, _) => "left_alone",
            (.., true) => "done",
            _ => "waiting",
        };
        *counts.entry(word).or_default() += 1;
    }
    let count = |word| counts.get(word).copied().unwrap_or(0);
    let state = |state: &str, next: &str| (state.to_owned(), next.to_owned());
    let (state, next) = match (&known.closed, file) {
        (Some(closed), _) => (closed.because.clone(), String::new()),
        (None, None) => state("file gone or edited", "make a new plan"),
        (None, Some(file)) if now >= file.plan.expires_at => state("expired", "plan again"),
        (None, Some(file)) => {
            // What the configured policy demands in addition, `apply` says.
            let required = Required::of(&file.plan, None);
            let (found, _) = required.count(known, file);
            match found {
                _ if found >= required.approvers() && is_due(&file.plan.origin, now.date_naive()) => {
                    state("approved", "apply")
                }
                _ if found >= required.approvers() => state("approved", "waits for its day"),
                0 => state("open", "approve"),
                _ => (format!("approved by {found} of {}", required.approvers()), "approve".to_owned()),
            }
        }
    };
    vec![
        json!(id),
        json!(known.stage.as_str()),
        json!(state),
        json!(known.user_ids.len()),
        json!(count("done")),
        json!(count("left_alone")),
        json!(count("unknown")),
        json!(next),
    ]
}
