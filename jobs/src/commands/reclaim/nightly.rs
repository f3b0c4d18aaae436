//! `boxseat reclaim nightly`: the scheduled job after `sync`. It does nothing without an approval.
//!
//! ```text
//! reversals by others ─▶ unknown outcomes ─▶ apply what is approved and due ─▶ verify transfers ─▶ plan the next stages ─▶ report
//! ```

use std::path::Path;

use boxseat_reclaim::engine::planning::{ALL_STAGES, Planning, Waiting, plan_stages};
use boxseat_reclaim::engine::{
    Canaries, UserOutcome, admit, apply, close_windows, is_due, reconcile, verify_transfers,
};
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::journal::state::{JournalState, UserState, unfinished};
use boxseat_reclaim::rules::figures::people;
use boxseat_reclaim::rules::offboarding::{is_offboarding, leavers};
use boxseat_reclaim::rules::policy::Policy;
use boxseat_reclaim::rules::reversals;
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_reclaim::rules::stuck::stuck;
use boxseat_reclaim::rules::waiting::waiting;
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Outcome, PlanEnd, ReasonCode, Record};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::apply::{env, task};
use super::{exit_code_of, head, note_changed_files};
use crate::cli::{Format, Global};
use crate::error::{CommandError, Error, REJECTS, exit_code};
use crate::printer::{Grid, Printer};
use crate::reclaim_context::apply_context::ApplyContext;
use crate::reclaim_context::context::missing_policy;
use crate::stop::Stop;

pub(crate) async fn run(
    global: &Global,
    policy: Option<&Path>,
    printer: &Printer,
) -> Result<u8, CommandError> {
    let stop = Stop::on_signals()?;
    let acting = ApplyContext::open(global, policy)?;
    let snapshot = acting.context.snapshot()?;
    let mut journal = acting.context.journal_to_write()?;
    let mark = acting.mark(&snapshot)?;
    let now = (acting.clock)();
    let mut report = Report::default();
    if acting.policy.is_none()
        && let Some(e) = missing_policy(journal.past())
    {
        report.refuse("policy", &e);
    }
    for record in reversals::noticed(&snapshot, journal.past()) {
        report.say_noticed(&record, journal.past());
        journal.append(now, record)?;
    }
    // R19: leavers first. A problem that stops a plan of the policy does not delay the lock-out of a leaver.
    let mut open: Vec<_> = journal.past().open_plans().collect();
    open.sort_by_key(|(_, plan)| plan.policy_digest.is_some());
    let open: Vec<String> = open.into_iter().map(|(id, _)| id.to_owned()).collect();
    let is_moving = |person: &UserState| {
        person.transfer().is_some() && person.deletion().is_none() || person.open_window().is_some()
    };
    let has_work = !open.is_empty() || journal.past().people.values().any(is_moving);
    if !has_work && journal.past().unfinished().next().is_none() {
        acting.commit_actions(&journal);
        drop(journal);
        return conclude(report, &acting, &snapshot, now, printer);
    }
    let connection = acting.connect(&stop)?;
    let env = env(&acting, &connection);
    let worked = async {
        let code_names = acting.policy.as_ref().map(Policy::code_names).unwrap_or_default();
        let canaries = Canaries::of(&snapshot, &[]);
        close_windows(env, &mut journal, &canaries).await?;
        match reconcile(env, &mut journal, &canaries, &code_names, |_| true).await {
            // One account that Box returns no data for does not delay the lock-out of a leaver (R19).
            Err(e) if !e.is_external_failure() => report.refuse("journal", &e),
            settled => _ = settled?,
        }
        for open in journal.past().unfinished() {
            report.say(&open.attempt.login, Outcome::Unknown.as_str(), unfinished(open), REJECTS);
        }
        for id in &open {
            let file = match PlanFile::open(acting.context.store.root(), id) {
                Ok(file) => file,
                Err(e) => {
                    report.refuse(id, &e);
                    continue;
                }
            };
            let required = match acting.required(&file.plan) {
                Ok(required) => required,
                Err(e) => {
                    report.refuse(id, &e);
                    continue;
                }
            };
            let known = journal.past().plans.get(id);
            let (found, reasons) = known.map(|known| required.count(known, &file)).unwrap_or_default();
            let is_expired = now >= file.plan.expires_at;
            if found < required.approvers() && reasons.is_empty() {
                if is_expired {
                    close_expired(&mut journal, id, now)?;
                    report.say(id, PlanEnd::Expired.as_str(), "it was not approved in time", 0);
                } else {
                    let wants = required.approvers();
                    let count = file.plan.people.len();
                    let detail = format!(
                        "no approval yet for {} ({found} of {wants}): boxseat reclaim show {id}, then {}",
                        people(count),
                        required.command(id)
                    );
                    report.say(id, "not_approved", detail, 0);
                }
                continue;
            }
            if !is_due(&file.plan.origin, now.date_naive()) {
                let logins: Vec<&str> =
                    file.plan.people.iter().map(|planned| planned.login.as_str()).collect();
                let day = known.map_or_else(String::new, |known| known.due_on.to_string());
                report.say(id, ReasonCode::NotDue.as_str(), format!("{} on {day}", logins.join(", ")), 0);
                continue;
            }
            let store_id = acting.context.store.id();
            let admitted = acting
                .refuse_evidence_that_waits(&file.plan, &snapshot)
                .and_then(|()| Ok(admit(&file, journal.past(), &required, &snapshot, store_id, now)?));
            if let Err(e) = admitted {
                report.refuse(id, &e);
                continue;
            }
            let file = file.without_bytes();
            let task = task(&acting, &file, &snapshot, mark.as_ref());
            let applied = match apply(task, env, &mut journal).await {
                // The other leavers follow (R19).
                Err(e) if is_offboarding(&file.plan) && !e.is_external_failure() => {
                    report.refuse(id, &e);
                    continue;
                }
                applied => applied?,
            };
            note_changed_files(printer, &acting.inputs, &file.plan, &journal);
            let done = applied.count(UserOutcome::is_done);
            let mut said = format!("{done} of {} users done", file.plan.people.len());
            let freed = |planned: &PlannedPerson| {
                journal.past().people.get(&planned.user_id).is_some_and(|known| known.freed().is_some())
            };
            match file.plan.people.iter().filter(|planned| freed(planned)).count() {
                0 => {}
                1 => said += "; 1 seat is free",
                seats => said += &format!("; {seats} seats are free"),
            }
            if applied.people.len() > done {
                said += &format!("; {}", applied.others(&file.plan));
            }
            let closed = journal.past().plans.get(id).and_then(|plan| plan.closed.as_ref());
            let state = closed.map_or("open", |closed| closed.because.as_str());
            report.say(id, state, said, exit_code_of(&applied));
            if let Some(e) = &applied.stopped {
                report.refuse(id, e);
                // A problem that stops one plan (lost rights, a silent admin log) stops all of them.
                return Ok(());
            }
        }
        verify_transfers(env, &mut journal, &canaries, &snapshot).await?;
        Ok::<_, CommandError>(())
    }
    .await;
    acting.commit_actions(&journal);
    worked?;
    drop(journal);
    conclude(report, &acting, &snapshot, now, printer)
}

/// Plans the next stages, lists the users, and prints the report with the head of the journal.
fn conclude(
    mut report: Report,
    acting: &ApplyContext,
    snapshot: &Snapshot,
    began_at: DateTime<Utc>,
    printer: &Printer,
) -> Result<u8, CommandError> {
    plan_next(acting, &mut report);
    let journal = acting.context.journal()?;
    report.list_users(acting, journal.past(), snapshot, began_at);
    report.print(printer)?;
    printer.note(head(&journal));
    Ok(report.code)
}

/// Plans every stage that has users and no plan yet. A plan that waits for an approval stays, because an operator may be reading
/// it. No plan is applied before its approval.
fn plan_next(acting: &ApplyContext, report: &mut Report) {
    let Some(policy) = &acting.policy else { return };
    let context = &acting.context;
    let is_planner_known = policy.approval.os_user_counts().check_namespace().map_err(CommandError::from);
    let planned = is_planner_known.and_then(|()| context.journal_to_write()).and_then(|mut journal| {
        let (inputs, snapshot) = &context.planning_inputs(policy)?;
        let planning = Planning {
            root: context.store.root(),
            policy,
            inputs,
            snapshot,
            now: context.now,
            by: &acting.by,
            ticket: None,
            stages: &ALL_STAGES,
            waiting: Waiting::Stays,
        };
        let planned = plan_stages(&planning, &mut journal)?;
        context.anchor(&journal)?;
        Ok(planned)
    });
    match planned {
        Ok(planned) => {
            for file in &planned.made {
                let id = &file.plan.plan_id;
                report.say(
                    id,
                    "planned",
                    format!(
                        "{} users; read it: boxseat reclaim show {id}; to agree: boxseat reclaim approve {id}",
                        file.plan.people.len()
                    ),
                    0,
                );
            }
            for (id, because) in &planned.closed {
                report.say(id, because.as_str(), "a new plan replaces it", 0);
            }
        }
        // What stops every plan comes before the results of single ones.
        Err(e) => {
            report.refuse("plan", &e);
            report.rows.rotate_right(1);
        }
    }
}

fn close_expired(
    journal: &mut boxseat_reclaim::journal::Journal,
    plan_id: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let because = PlanEnd::Expired.into();
    journal.append(now, Record::PlanClosed { plan_id: plan_id.to_owned(), because, by: None }).map(drop)
}

/// The results of the run, line by line.
#[derive(Default)]
struct Report {
    rows: Vec<Vec<serde_json::Value>>,
    code: u8,
}

impl Report {
    fn say(&mut self, what: &str, outcome: &str, detail: impl Into<String>, code: u8) {
        self.rows.push(vec![json!(what), json!(outcome), json!(detail.into())]);
        // A guard's refusal outranks skipped users; a later "try again" outranks neither.
        let rank = |code: u8| match code {
            0 => 0,
            4 => 1,
            75 => 2,
            3 => 3,
            _ => 4,
        };
        if rank(code) > rank(self.code) {
            self.code = code;
        }
    }

    /// What other actors did to accounts after us (R20).
    fn say_noticed(&mut self, record: &Record, past: &JournalState) {
        if let Record::Skipped { user_id, detail, .. } = record {
            let login = past.people.get(user_id).and_then(|known| known.attempts.last());
            let login = login.map_or(user_id.as_str(), |last| last.attempt.login.as_str());
            return self.say(login, ReasonCode::Gone.as_str(), detail, 0);
        }
        let Record::Outcome { action_id, outcome, reason, .. } = record else { return };
        let Some(known) = past.attempt(action_id) else { return };
        let reason = reason.as_deref().unwrap_or_default();
        let then = match outcome {
            Outcome::RevertedByOther => {
                "no plan takes the user for 90 days; `boxseat offboard` frees the seat before"
            }
            Outcome::ReProvisioned => {
                "the seat is taken again; remove the assignment at the identity provider"
            }
            _ => return,
        };
        self.say(&known.attempt.login, outcome.as_str(), format!("{reason}: {then}"), 0);
    }

    /// Every user who cannot continue without an operator, the steps of every leaver, and how many users wait for a later day. Late
    /// sign-ins are the first lines: these users may be at work.
    fn list_users(
        &mut self,
        acting: &ApplyContext,
        past: &JournalState,
        snapshot: &Snapshot,
        began_at: DateTime<Utc>,
    ) {
        let now = (acting.clock)();
        let stuck = stuck(past, snapshot, acting.policy.as_ref(), &acting.inputs, now);
        let first = self.rows.len();
        for user in &stuck {
            let detail = format!("{}: {}; next: {}", user.since(), user.reason, user.next);
            self.say(
                &user.called(),
                user.word.as_str(),
                detail,
                if user.is_intended() { 0 } else { REJECTS },
            );
        }
        let late = stuck.iter().take_while(|user| user.is_late_login()).count();
        self.rows[..first + late].rotate_right(late);
        for leaver in leavers(acting.context.store.root(), past, &stuck, began_at, now) {
            self.say(&leaver.login, "leaver", leaver.steps(), 0);
        }
        if let Some(policy) = &acting.policy {
            let ids = stuck.iter().map(|user| user.user_id.as_str()).collect();
            let (waiting, over_cap) = waiting(past, snapshot, policy, &acting.inputs, &ids, now);
            for waiting in waiting {
                self.say(&people(waiting.users), ReasonCode::Waiting.as_str(), waiting.sentence(now), 0);
            }
            if let Some(over) = over_cap {
                self.say(&people(over.users), ReasonCode::OverCap.as_str(), over.sentence(), 0);
            }
            if let Some(until) = acting.inputs.holds_count_until(now) {
                let detail = format!("[holds] counts until {until}: write it again before that");
                self.say("[holds]", "ends_soon", detail, 0);
            }
        }
    }

    fn refuse(&mut self, what: &str, error: &Error) {
        let detail = error.lines().iter().chain(error.hints()).cloned().collect::<Vec<_>>().join("; ");
        self.say(what, Outcome::Refused.as_str(), detail, exit_code(error.kind()));
    }

    fn print(&self, printer: &Printer) -> Result<(), CommandError> {
        let columns = ["what", "outcome", "detail"].map(str::to_owned).to_vec();
        if self.rows.is_empty() {
            printer.note("Nothing is open, no user waits, and nothing was done.");
        }
        // Cron mails every line; a program that requests JSON gets a document each time.
        if self.rows.is_empty() && printer.format() != Format::Json {
            return Ok(());
        }
        printer.paragraphs("nightly", 2, &Grid { columns, rows: self.rows.clone() })
    }
}
