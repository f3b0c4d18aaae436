//! `boxseat reclaim status`: plans and their results, stuck users, and actions with unknown outcome. No call to Box, no lock.

use std::collections::BTreeMap;

use boxseat_output::warehouse;
use boxseat_reclaim::engine::{SNAPSHOT_MAX_AGE, is_done, is_due};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::place;
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::journal::state::{CAPS_WINDOW, JournalState, PlanState};
use boxseat_reclaim::rules::evaluator::Evaluator;
use boxseat_reclaim::rules::figures::people;
use boxseat_reclaim::rules::offboarding::leavers;
use boxseat_reclaim::rules::plan::fit;
use boxseat_reclaim::rules::policy::Policy;
use boxseat_reclaim::rules::policy_inputs::PolicyInputs;
use boxseat_reclaim::rules::stuck::{Stuck, stuck};
use boxseat_reclaim::rules::waiting::{Waiting, waiting};
use boxseat_schemas::reclaim::PlanEnd;
use serde_json::{Value, json};

use super::{head, note_imports_waiting};
use crate::cli::{Format, Global};
use crate::error::CommandError;
use crate::printer::{Grid, Printer};
use crate::reclaim_context::context::{ReclaimContext, missing_policy};

pub(crate) fn run(global: &Global, printer: &Printer) -> Result<u8, CommandError> {
    let context = ReclaimContext::open(global)?;
    let journal = context.journal()?;
    let past = journal.past();
    let columns = ["plan_id", "stage", "state", "people", "done", "undone", "left_alone", "unknown", "next"]
        .map(str::to_owned);
    // A policy that cannot be read stops every plan, and is named where a plan waits for it.
    let policy = context.policy_if_any(None).map_err(|e| e.lines().join(": "));
    let rows: Vec<Vec<Value>> = past
        .plans
        .iter()
        .map(|(id, plan)| {
            let file =
                PlanFile::open(context.store.root(), id).ok().filter(|file| file.digest == plan.digest);
            row(&context, past, policy.as_ref().map(Option::as_ref), id, plan, file.as_ref())
        })
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
    let usable = policy.as_ref().ok().and_then(Option::as_ref);
    let (refusals, stuck, waiting) = needs_operator(&context, &journal, usable, printer);
    let leavers = leavers(context.store.root(), past, &stuck, context.now - CAPS_WINDOW, context.now);
    let refusals: Vec<String> = policy.as_ref().err().cloned().into_iter().chain(refusals).collect();
    let stuck_columns =
        ["user_id", "login", "name", "since", "reason_code", "reason", "next"].map(str::to_owned);
    let stuck: Vec<Vec<Value>> = stuck
        .iter()
        .map(|user| {
            let since = user.since.format("%F").to_string();
            vec![
                json!(user.user_id),
                json!(user.login),
                json!(user.name),
                json!(since),
                json!(user.word),
                json!(user.reason),
                json!(user.next),
            ]
        })
        .collect();
    if printer.format() == Format::Json {
        let objects = |columns: &[String], rows: &[Vec<Value>]| -> Vec<Value> {
            let object = |row: &Vec<Value>| columns.iter().cloned().zip(row.iter().cloned()).collect();
            rows.iter().map(|row| Value::Object(object(row))).collect()
        };
        printer.json(json!({ "status": {
            "plans": objects(&columns, &rows),
            "policy_refusals": refusals,
            "stuck": objects(&stuck_columns, &stuck),
            "unknown": objects(&unknown_columns, &unknown),
            "waiting": waiting.iter().map(|one| json!({
                "stage": one.stage.as_str(), "users": one.users, "from": one.from, "reason_code": one.reason,
            })).collect::<Vec<_>>(),
            "leavers": leavers,
            "entries": journal.sequence(),
            "head": journal.head(),
        }}))?;
        return Ok(0);
    }
    for refusal in &refusals {
        printer.note(format!("No plan of the policy is made or applied. {refusal}"));
    }
    printer.grid("plans", &Grid { columns: columns.to_vec(), rows })?;
    for leaver in &leavers {
        printer.note(format!("{}: {}", leaver.login, leaver.steps()));
    }
    for waiting in &waiting {
        printer.note(format!("Next, for {}: {}.", people(waiting.users), waiting.sentence(context.now)));
    }
    if !stuck.is_empty() {
        printer.note("These users need an operator:");
        printer.paragraphs("stuck", 5, &Grid { columns: stuck_columns.to_vec(), rows: stuck })?;
    }
    if !unknown.is_empty() {
        printer.note("The outcome of these calls is unknown; `boxseat reclaim nightly` settles it by reads:");
        printer.grid("unknown", &Grid { columns: unknown_columns.to_vec(), rows: unknown })?;
    }
    if past.bound.is_some()
        && let Err(e) = context.place().and_then(|here| Ok(place::check(past, &here)?))
    {
        printer.note(e.lines().into_iter().chain(e.hints().iter().cloned()).collect::<Vec<_>>().join(". "));
    }
    note_imports_waiting(printer, &context.store)?;
    printer.note(head(&journal));
    Ok(0)
}

/// What `boxseat status` says about reclamation.
#[derive(Default)]
pub(crate) struct Attention {
    /// How many users are stuck; `None`: no plan was ever made, or the state of reclamation cannot be read.
    pub(crate) stuck_users: Option<usize>,
    /// What an operator must know or do, as sentences.
    pub(crate) notes: Vec<String>,
}

impl Attention {
    /// Reads journal, policy and published snapshot.
    pub(crate) fn of(global: &Global, printer: &Printer) -> Self {
        let read = || {
            let context = ReclaimContext::open_to_read(global)?;
            let journal = context.journal()?;
            let policy = context.policy_if_any(None)?;
            Ok::<_, CommandError>((context, journal, policy))
        };
        let (context, journal, policy) = match read() {
            Ok(read) => read,
            Err(e) => {
                let note = format!("the state of reclamation cannot be read: {}", e.lines().join(": "));
                return Self { stuck_users: None, notes: vec![note] };
            }
        };
        let past = journal.past();
        if past.plans.is_empty() {
            return Self::default();
        }
        let (refusals, stuck, _) = needs_operator(&context, &journal, policy.as_ref(), printer);
        let mut notes: Vec<String> = refusals
            .iter()
            .map(|refusal| format!("no plan of the policy is made or applied: {refusal}"))
            .collect();
        let unapproved = past.open_plans().filter(|(_, plan)| plan.approval().is_none()).count();
        if unapproved > 0 {
            let plans = if unapproved == 1 { "1 plan waits" } else { &format!("{unapproved} plans wait") };
            notes.push(format!("{plans} for approval: see `boxseat reclaim status`"));
        }
        if !stuck.is_empty() {
            let who = if stuck.len() == 1 { "1 user is" } else { &format!("{} users are", stuck.len()) };
            notes.push(format!("{who} stuck: `boxseat reclaim status` says why, and what to do"));
        }
        Self { stuck_users: Some(stuck.len()), notes }
    }
}

/// What stops every plan of the policy, stuck users, and users who wait for a later day, by the published snapshot. Without a
/// readable snapshot there is a note.
fn needs_operator(
    context: &ReclaimContext,
    journal: &Journal,
    policy: Option<&Policy>,
    printer: &Printer,
) -> (Vec<String>, Vec<Stuck>, Vec<Waiting>) {
    if journal.past().plans.is_empty() {
        return Default::default();
    }
    let snapshot = match context.snapshot() {
        Ok(snapshot) => snapshot,
        Err(e) => {
            printer.note(format!("Stuck users cannot be listed: {}", e.lines().join(": ")));
            return Default::default();
        }
    };
    let Some(policy) = policy else {
        let missing =
            missing_policy(journal.past()).map(|e| [e.lines(), e.hints().to_vec()].concat().join(". "));
        let stuck = stuck(journal.past(), &snapshot, None, &PolicyInputs::default(), context.now);
        return (missing.into_iter().collect(), stuck, Vec::new());
    };
    let (inputs, past) = (context.readable_inputs(policy), journal.past());
    let (_, mut refusals) =
        Evaluator::look(policy, &snapshot, past, &inputs, context.now, past.replaceable_plans());
    refusals.extend(fit(&snapshot, context.now).err());
    let refusals = refusals.iter().map(ToString::to_string).collect();
    let stuck = stuck(past, &snapshot, Some(policy), &inputs, context.now);
    if let Some(until) = inputs.holds_count_until(context.now) {
        printer.note(format!("[holds] counts until {until}: write it again before that."));
    }
    let ids = stuck.iter().map(|user| user.user_id.as_str()).collect();
    let (waiting, _) = waiting(past, &snapshot, policy, &inputs, &ids, context.now);
    (refusals, stuck, waiting)
}

/// How far a plan is with a user.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Unknown,
    Undone,
    LeftAlone,
    Done,
    Waiting,
}

fn row(
    context: &ReclaimContext,
    past: &JournalState,
    policy: Result<Option<&Policy>, &String>,
    id: &str,
    known: &PlanState,
    file: Option<&PlanFile>,
) -> Vec<Value> {
    let mut counts: BTreeMap<Progress, usize> = BTreeMap::new();
    for user_id in &known.user_ids {
        let person = past.people.get(user_id);
        let skipped = person.is_some_and(|person| person.final_skip(id).is_some());
        let unknown = person.is_some_and(|person| person.by_plan(id).any(|past| past.is_unfinished()));
        let done = file.is_some_and(|file| {
            let plan = &file.plan;
            plan.people.iter().any(|planned| planned.user_id == *user_id && is_done(past, plan, planned))
        });
        let undone = person.is_some_and(|person| person.was_restored_after(id));
        let progress = match (unknown, undone, skipped, done) {
            (true, ..) => Progress::Unknown,
            (_, true, ..) => Progress::Undone,
            (_, _, true, _) => Progress::LeftAlone,
            (.., true) => Progress::Done,
            _ => Progress::Waiting,
        };
        *counts.entry(progress).or_default() += 1;
    }
    let count = |progress| counts.get(&progress).copied().unwrap_or(0);
    let (state, next) = match (&known.closed, file) {
        (Some(closed), _)
            if closed.because == PlanEnd::Applied
                && !known.user_ids.iter().any(|user_id| past.has_touched(id, user_id)) =>
        {
            ("applied: nothing was done".to_owned(), String::new())
        }
        (Some(closed), _) => (closed.because.to_string(), String::new()),
        (None, None) => ("file gone or edited".to_owned(), "make a new plan".to_owned()),
        (None, Some(file)) if context.now >= file.plan.expires_at => {
            (PlanEnd::Expired.to_string(), "make a new plan".to_owned())
        }
        (None, Some(_)) if count(Progress::Waiting) + count(Progress::Unknown) == 0 => {
            ("nothing left to do".to_owned(), String::new())
        }
        (None, Some(file)) => next(context, policy, known, file),
    };
    vec![
        json!(id),
        json!(known.stage.as_str()),
        json!(state),
        json!(known.user_ids.len()),
        json!(count(Progress::Done)),
        json!(count(Progress::Undone)),
        json!(count(Progress::LeftAlone)),
        json!(count(Progress::Unknown)),
        json!(next),
    ]
}

/// State and next step of a plan that is valid. A step is named only if it can work.
fn next(
    context: &ReclaimContext,
    policy: Result<Option<&Policy>, &String>,
    known: &PlanState,
    file: &PlanFile,
) -> (String, String) {
    let required = policy
        .map_err(Clone::clone)
        .and_then(|policy| context.required(&file.plan, policy).map_err(|e| e.lines().join(": ")));
    let required = match required {
        Ok(required) => required,
        Err(why) => return ("open".to_owned(), format!("correct the policy: {why}")),
    };
    let (found, reasons) = required.count(known, file);
    let needed = required.approvers();
    if found < needed {
        let state = if found == 0 { "open".to_owned() } else { format!("approved by {found} of {needed}") };
        let by = if required.is_two_person() {
            format!(" by another user than {}", known.by.os_user)
        } else {
            String::new()
        };
        let reasons: String = reasons.iter().map(|reason| format!("; {reason}")).collect();
        return (state, format!("approve{by}{reasons}"));
    }
    let approved = "approved".to_owned();
    if !is_due(&file.plan.origin, context.now.date_naive()) {
        return (approved, "waits for its day".to_owned());
    }
    let is_fresh = warehouse::published(context.store.root()).ok().flatten().is_some_and(|night| {
        context.now - night.now_at <= SNAPSHOT_MAX_AGE && night.run_number >= file.plan.night.run_number
    });
    (approved, if is_fresh { "apply" } else { "sync, then apply" }.to_owned())
}
