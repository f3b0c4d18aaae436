//! What was tried on people's accounts, from the journal into the lake's `seat_actions`.
//!
//! One row per action, written once its outcome is final: the journal's entry of that outcome decides in which commit, so a commit
//! that was cut off is made again with the same rows, and no action comes twice. An outcome nobody knows yet waits for the one
//! that reads find. That somebody else undid an action later is a row of its own: `<action_id>/reverted_by_other`,
//! `<action_id>/re_provisioned`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use boxseat_output::lake::Lake;
use boxseat_schemas::RunNumber;
use boxseat_schemas::reclaim::plan::{Operator, PlanNight, PlannedPerson};
use boxseat_schemas::reclaim::{Attempt, Entry, Outcome, Plan, Record};
use boxseat_schemas::table::{Rows, SEAT_ACTIONS};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::journal::{Journal, directory};
use crate::error::CommandError;
use crate::store::Store;

/// Commits everything that became final since the last commit; gives how many rows that were.
///
/// # Errors
/// The lake's. The journal has everything all the same, and the next command or `sync` commits it.
pub(crate) fn commit(
    root: &Path,
    lake: &Lake,
    journal: &Journal,
    enterprise_id: &str,
) -> Result<u64, CommandError> {
    if journal.sequence() == 0 {
        return Ok(0);
    }
    let story = Story::of(root, journal.entries());
    let rows = |after: u64| story.rows(journal.entries(), after, enterprise_id);
    Ok(lake.commit_actions(&SEAT_ACTIONS, journal.sequence(), rows)?)
}

/// What an acting command could not commit is committed by the next night. It costs no night: a journal that cannot be read is
/// the next `reclaim` command's to refuse.
pub(crate) fn catch_up(store: &Store, enterprise_id: &str) {
    let done = Journal::read(store.root(), store.id())
        .and_then(|journal| commit(store.root(), store.lake(), &journal, enterprise_id));
    if let Err(e) = done {
        tracing::warn!("the action journal could not be taken into the lake: {}", e.lines().join(": "));
    }
}

/// R9: whether the journal reaches as far as the lake, which has taken in its entries up to a number.
///
/// # Errors
/// Exit 3 when the lake knows of later entries: the journal was cut, put back from a backup, or is gone.
pub(crate) fn reaches(lake: &Lake, journal: &Journal) -> Result<(), CommandError> {
    let taken_in = lake.actions_sequence(&SEAT_ACTIONS)?;
    if taken_in > journal.sequence() {
        return Err(CommandError::refused(format!(
            "the journal ends with entry {}, and the lake has taken in {taken_in}",
            journal.sequence()
        ))
        .hint("entries were cut off, or an older journal was put back: nothing is done to anybody before the whole one is there"));
    }
    Ok(())
}

/// R9: whether the lake's rows are the journal's: what was cut off at its end, or written anew, shows here.
///
/// # Errors
/// Exit 3 naming the first action the journal does not know.
pub(crate) fn agree(lake: &Lake, journal: &Journal, runs: &[RunNumber]) -> Result<u64, CommandError> {
    let known: HashMap<String, &str> = journal
        .entries()
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Outcome { action_id, outcome, .. } => {
                Some((row_id(action_id, *outcome), entry.prev_hash.as_str()))
            }
            _ => None,
        })
        .collect();
    reaches(lake, journal)?;
    let mut rows = 0;
    for batch in lake.scan(&SEAT_ACTIONS, runs, Some(&["action_id", "prev_hash"]))? {
        let batch = batch?;
        let (ids, hashes) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for (id, hash) in ids.iter().flatten().zip(hashes.iter().flatten()) {
            if known.get(id) != Some(&hash) {
                return Err(CommandError::refused(format!("the lake knows of action {id}, and the journal does not, or tells it otherwise"))
                    .hint("entries were cut off or written anew: compare the journal with a backup before anything else is done"));
            }
            rows += 1;
        }
    }
    Ok(rows)
}

/// What an entry's row says beside the entry: plans, approvals and starts come before what they lead to.
#[derive(Default)]
struct Story {
    plans: BTreeMap<String, Told>,
    attempts: HashMap<String, (Attempt, DateTime<Utc>)>,
}

struct Told {
    digest: String,
    policy_digest: Option<String>,
    night: PlanNight,
    by: Operator,
    /// Approvals and starts, by entry.
    approvals: Vec<(u64, DateTime<Utc>, String)>,
    starts: Vec<(u64, String, String)>,
    /// Its file, for what the journal does not repeat.
    file: Option<Plan>,
}

impl Story {
    fn of(root: &Path, entries: &[Entry]) -> Self {
        let mut story = Self::default();
        for entry in entries {
            match &entry.record {
                Record::PlanCreated { plan_id, digest, policy_digest, night, by, .. } => {
                    let file = std::fs::read(directory(root).join(format!("plans/{plan_id}.json")));
                    story.plans.insert(
                        plan_id.clone(),
                        Told {
                            digest: digest.clone(),
                            policy_digest: policy_digest.clone(),
                            night: night.clone(),
                            by: by.clone(),
                            approvals: Vec::new(),
                            starts: Vec::new(),
                            file: file.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()),
                        },
                    );
                }
                Record::Approved { plan_id, by, signed_by, .. } => {
                    let who = signed_by.clone().unwrap_or_else(|| name(by));
                    if let Some(plan) = story.plans.get_mut(plan_id) {
                        plan.approvals.push((entry.sequence, entry.at, who));
                    }
                }
                Record::ApplyStarted { plan_id, by, actor_user_id, .. } => {
                    if let Some(plan) = story.plans.get_mut(plan_id) {
                        plan.starts.push((entry.sequence, name(by), actor_user_id.clone()));
                    }
                }
                Record::Intent(attempt) => {
                    story.attempts.insert(attempt.action_id.clone(), (attempt.clone(), entry.at));
                }
                _ => {}
            }
        }
        story
    }

    fn rows(&self, entries: &[Entry], after: u64, enterprise_id: &str) -> RecordBatch {
        let mut rows = Rows::new(SEAT_ACTIONS.lake_schema());
        for entry in entries.iter().filter(|entry| entry.sequence > after) {
            let Record::Outcome {
                action_id,
                outcome,
                http_status,
                request_id,
                after,
                destination_folder_id,
                reason,
            } = &entry.record
            else {
                continue;
            };
            let Some((attempt, asked_at)) = self.attempts.get(action_id).filter(|_| outcome.is_final())
            else {
                continue;
            };
            let Some(plan) = self.plans.get(&attempt.plan_id) else { continue };
            let approval = plan.approvals.iter().rev().find(|(sequence, ..)| *sequence < entry.sequence);
            let start = plan.starts.iter().rev().find(|(sequence, ..)| *sequence < entry.sequence);
            let planned = plan
                .file
                .as_ref()
                .and_then(|file| file.people.iter().find(|planned| planned.user_id == attempt.user_id));
            rows.text(Some(&row_id(action_id, *outcome)))
                .text(Some(&attempt.plan_id))
                .text(Some(&plan.digest))
                .text(plan.policy_digest.as_deref())
                .date(Some(plan.night.snapshot_date))
                .text(Some(&attempt.user_id))
                .text(Some(&attempt.login))
                .text(Some(attempt.action.as_str()))
                .text(Some(attempt.stage.as_str()))
                .text(Some(&name(&plan.by)))
                .text(approval.map(|(_, _, who)| who.as_str()))
                .time(approval.map(|(_, at, _)| *at))
                .text(start.map(|(_, who, _)| who.as_str()))
                .text(start.map(|(_, _, actor)| actor.as_str()))
                .time(Some(*asked_at))
                .time(Some(entry.at))
                .text(Some(outcome.as_str()))
                .integer(http_status.map(i32::from))
                .text(request_id.as_deref())
                .text(attempt.before.status.as_deref())
                .text(after.as_ref().and_then(|after| after.status.as_deref()))
                .text(attempt.receiver_user_id.as_deref())
                .text(destination_folder_id.as_deref())
                .text(reason.as_deref())
                .text(planned.map(evidence).as_deref())
                .text(plan.file.as_ref().and_then(|file| file.ticket.as_deref()))
                .text(Some(&entry.prev_hash))
                .text(Some(enterprise_id))
                .big(Some(plan.night.run_number.as_i64()))
                .end();
        }
        rows.take_batch()
    }
}

/// The name of an outcome's row: what somebody else undid was done first, and that row stays.
fn row_id(action_id: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::RevertedByOther | Outcome::ReProvisioned => format!("{action_id}/{}", outcome.as_str()),
        _ => action_id.to_owned(),
    }
}

fn name(operator: &Operator) -> String {
    format!("{}@{}", operator.os_user, operator.host)
}

fn evidence(planned: &PlannedPerson) -> String {
    json!({
        "last_activity_at": planned.last_activity_at,
        "last_activity_source": planned.last_activity_source,
        "proven_idle_days": planned.proven_idle_days,
        "suspended_at": planned.suspended_at,
    })
    .to_string()
}
