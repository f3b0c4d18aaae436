//! The actions of the journal as rows of the lake's `seat_actions`, and the comparison of both.
//!
//! There is one row per action, written once its outcome is final. The journal entry of that outcome decides in which commit, so an
//! interrupted commit is made again with the same rows, and no action appears twice. An action with unknown outcome waits until
//! reads settle it. If another actor undoes an action later, that is a row of its own: `<action_id>/reverted_by_other`,
//! `<action_id>/re_provisioned`.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use boxseat_schemas::RunNumber;
use boxseat_schemas::reclaim::plan::{Operator, SnapshotId};
use boxseat_schemas::reclaim::{Attempt, Entry, Outcome, Record, Standing};
use boxseat_schemas::table::{Rows, SEAT_ACTIONS};
use boxseat_storage::durable;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::log::{Journal, directory};
use crate::error::Error;

/// The rows of all outcomes that became final after an entry.
pub fn rows_after(after: u64, root: &Path, journal: &Journal, enterprise_id: &str) -> RecordBatch {
    let is_new = |entry: &&Entry| journal.past().lake_number(entry.sequence) > after;
    Story::of(journal.entries()).rows(root, journal.entries().iter().filter(is_new), enterprise_id)
}

/// R9: whether the journal has the entries that the lake has taken in, up to a number.
///
/// # Errors
/// `Refused` if the lake knows of later entries: the journal was cut, put back from a backup, or is gone.
pub fn refuse_older_journal(taken_in: u64, journal: &Journal) -> Result<(), Error> {
    if taken_in > journal.past().lake_number(journal.sequence()) {
        return Err(Error::refused(format!(
            "the journal ends with entry {}, and the lake has taken in {taken_in}",
            journal.sequence()
        ))
        .hint("entries were cut off, or an older journal was put back: put the newest one back")
        .hint("if the newest one is lost, `boxseat reclaim adopt` takes in the actions of the lake"));
    }
    Ok(())
}

/// R9: whether the lake reaches the runs that plans were made on. `newest` is its newest run.
///
/// # Errors
/// `Refused` for a lake that was put back to an older state.
pub fn refuse_older_lake(newest: Option<RunNumber>, journal: &Journal) -> Result<(), Error> {
    let planned = journal.past().plans.values().map(|plan| plan.night.run_number).max();
    if planned > newest {
        return Err(Error::refused(format!(
            "the journal has a plan that was made on run {}, and the newest run of the lake is {}",
            planned.unwrap_or(RunNumber(0)),
            newest.unwrap_or(RunNumber(0))
        ))
        .hint("an older lake was put back: restore the newest one together with the journal (`boxseat restore`)"));
    }
    Ok(())
}

/// R9: refuses a journal that does not know actions of the lake: entries were cut off or rewritten.
///
/// # Errors
/// `Refused` naming the first action.
pub fn refuse_lost(lost: &[LostAction]) -> Result<(), Error> {
    lost.first().map_or(Ok(()), |first| Err(differs(first.row_id())))
}

/// An action that the lake has and the journal does not.
#[derive(Debug, Clone, PartialEq)]
pub struct LostAction(Record);

impl LostAction {
    fn row_id(&self) -> &str {
        match &self.0 {
            Record::ActionTakenIn { row_id, .. } => row_id,
            _ => "",
        }
    }

    /// Its columns for a table: user, login, action, outcome, time.
    pub fn columns(&self) -> Vec<serde_json::Value> {
        let Record::ActionTakenIn { attempt, outcome, asked_at, .. } = &self.0 else { return Vec::new() };
        vec![
            serde_json::json!(attempt.user_id),
            serde_json::json!(attempt.login),
            serde_json::json!(attempt.action.as_str()),
            serde_json::json!(outcome.as_str()),
            serde_json::json!(asked_at),
            serde_json::json!(attempt.plan_id),
        ]
    }

    /// The journal's entry that takes it in.
    pub fn record(self) -> Record {
        self.0
    }
}

/// How many rows the lake has, and those that the journal does not know, oldest first.
///
/// # Errors
/// `Refused` if the lake and the journal differ about an action; the errors of the rows.
pub fn compare_rows(
    batches: impl Iterator<Item = Result<RecordBatch, Error>>,
    journal: &Journal,
) -> Result<(u64, Vec<LostAction>), Error> {
    let known: HashMap<String, (&str, &str)> = journal
        .entries()
        .iter()
        .filter_map(|entry| match &entry.record {
            // The lake has no row of an outcome that was not known yet.
            Record::Outcome { action_id, outcome, .. } if outcome.is_final() => {
                Some((row_id(action_id, *outcome), (entry.prev_hash.as_str(), outcome.as_str())))
            }
            Record::ActionTakenIn { row_id, prev_hash, outcome, .. } => {
                Some((row_id.clone(), (prev_hash.as_str(), outcome.as_str())))
            }
            _ => None,
        })
        .collect();
    let (mut rows, mut lost) = (0, Vec::new());
    for batch in batches {
        let batch = batch?;
        let row = Row::of(&batch)?;
        for index in 0..batch.num_rows() {
            rows += 1;
            let (id, hash) = (row.text("action_id", index), row.text("prev_hash", index));
            let outcome = row.text("outcome", index);
            match known.get(id.as_deref().unwrap_or_default()) {
                Some(known) if (hash.as_deref(), outcome.as_deref()) == (Some(known.0), Some(known.1)) => {}
                Some(_) => return Err(differs(&id.unwrap_or_default())),
                None => lost.push(row.lost(index)?),
            }
        }
    }
    // In the order in which Box was asked: a transfer that was settled after an undo came before it.
    lost.sort_by_key(|one| match &one.0 {
        Record::ActionTakenIn { asked_at, row_id, .. } => (*asked_at, row_id.clone()),
        _ => (DateTime::UNIX_EPOCH, String::new()),
    });
    Ok((rows, lost))
}

fn differs(row_id: &str) -> Error {
    Error::refused(format!(
        "the lake has action {row_id}, and the journal does not have it or has other values"
    ))
    .hint("entries were cut off or written again: compare the journal with a backup")
    .hint("if entries are lost, `boxseat reclaim adopt` takes in the actions of the lake")
}

/// Rows of `seat_actions` as they are in the lake.
struct Row<'a> {
    batch: &'a RecordBatch,
}

impl<'a> Row<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, Error> {
        let missing = SEAT_ACTIONS.columns.iter().find(|column| batch.column_by_name(column.name).is_none());
        match missing {
            None => Ok(Self { batch }),
            Some(column) => Err(Error::refused(format!("seat_actions has no column {}", column.name))),
        }
    }

    fn text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    fn time(&self, name: &str, row: usize) -> Option<DateTime<Utc>> {
        let column = self.batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.is_valid(row).then(|| DateTime::from_timestamp_micros(column.value(row))).flatten()
    }

    /// A reason code or other enum value.
    fn word<T: serde::de::DeserializeOwned>(&self, name: &str, row: usize) -> Result<T, Error> {
        let text = self.text(name, row).unwrap_or_default();
        serde_json::from_value(serde_json::Value::String(text.clone())).map_err(|e| {
            Error::refused(format!("seat_actions.{name} has the unknown value {text:?}")).because(e)
        })
    }

    fn lost(&self, row: usize) -> Result<LostAction, Error> {
        let (id, outcome) = (self.text("action_id", row).unwrap_or_default(), self.word("outcome", row)?);
        let user_id = self.text("user_id", row).unwrap_or_default();
        let login = self.text("login", row);
        let requested_at = self.time("requested_at", row);
        let asked_at = requested_at
            .ok_or_else(|| Error::refused(format!("seat_actions has no time for action {id}")))?;
        let status = self.batch.column_by_name("http_status").and_then(|column| {
            let column = column.as_primitive_opt::<Int32Type>()?;
            column.is_valid(row).then(|| u16::try_from(column.value(row)).ok()).flatten()
        });
        let attempt = Attempt {
            action_id: action_of(&id, outcome),
            plan_id: self.text("plan_id", row).unwrap_or_default(),
            stage: self.word("stage", row)?,
            user_id: user_id.clone(),
            login: login.clone().unwrap_or_default(),
            action: self.word("action", row)?,
            before: Standing {
                user_id,
                login,
                status: self.text("status_before", row),
                ..Standing::default()
            },
            receiver_user_id: self.text("receiver_user_id", row),
            last_activity_at: self.text("evidence", row).and_then(|text| {
                serde_json::from_str::<serde_json::Value>(&text)
                    .ok()?
                    .get("last_activity_at")?
                    .as_str()?
                    .parse()
                    .ok()
            }),
        };
        Ok(LostAction(Record::ActionTakenIn {
            row_id: id,
            prev_hash: self.text("prev_hash", row).unwrap_or_default(),
            attempt,
            actor_user_id: self.text("actor_user_id", row),
            asked_at,
            finished_at: self.time("finished_at", row),
            outcome,
            http_status: status,
            status_after: self.text("status_after", row),
            destination_folder_id: self.text("destination_folder_id", row),
            reason: self.text("reason", row),
        }))
    }
}

/// Context of an entry's row: plans, approvals and starts come before the actions that follow from them.
#[derive(Default)]
struct Story<'a> {
    plans: BTreeMap<&'a str, Told<'a>>,
    attempts: HashMap<&'a str, (&'a Attempt, DateTime<Utc>)>,
}

struct Told<'a> {
    digest: &'a str,
    policy_digest: Option<&'a str>,
    night: &'a SnapshotId,
    by: &'a Operator,
    /// Approvals and starts, by entry.
    approvals: Vec<(u64, DateTime<Utc>, String)>,
    starts: Vec<(u64, String, &'a str)>,
}

/// Values of a plan's file that the journal does not have.
#[derive(Default, Deserialize)]
struct Excerpt {
    ticket: Option<String>,
    people: Vec<Evidence>,
}

#[derive(Deserialize, Serialize)]
struct Evidence {
    #[serde(skip_serializing)]
    user_id: String,
    last_activity_at: Option<DateTime<Utc>>,
    last_activity_source: Option<String>,
    proven_idle_days: Option<i64>,
    suspended_at: Option<DateTime<Utc>>,
}

/// Ticket and evidence of a plan, the evidence by user.
struct Background {
    ticket: Option<String>,
    evidence: HashMap<String, String>,
}

impl Background {
    /// A missing or damaged file leaves its columns empty: the journal has the actions.
    fn of(root: &Path, plan_id: &str) -> Self {
        let file = durable::open_regular_file(&directory(root).join(format!("plans/{plan_id}.json"))).ok();
        let excerpt: Excerpt =
            file.and_then(|file| serde_json::from_reader(BufReader::new(file)).ok()).unwrap_or_default();
        let text = |evidence: &Evidence| serde_json::to_string(evidence).expect("plain data");
        let evidence = excerpt.people.into_iter().map(|person| (text(&person), person.user_id));
        Self { ticket: excerpt.ticket, evidence: evidence.map(|(text, user_id)| (user_id, text)).collect() }
    }
}

impl<'a> Story<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let mut story = Self::default();
        for entry in entries {
            match &entry.record {
                Record::PlanCreated { plan_id, digest, policy_digest, night, by, .. } => {
                    let (approvals, starts) = (Vec::new(), Vec::new());
                    let policy_digest = policy_digest.as_deref();
                    story.plans.insert(plan_id, Told { digest, policy_digest, night, by, approvals, starts });
                }
                Record::Approved { plan_id, by, signed_by, .. } => {
                    let who = signed_by.clone().unwrap_or_else(|| name(by));
                    if let Some(plan) = story.plans.get_mut(plan_id.as_str()) {
                        plan.approvals.push((entry.sequence, entry.at, who));
                    }
                }
                Record::ApplyStarted { plan_id, by, actor_user_id, .. } => {
                    if let Some(plan) = story.plans.get_mut(plan_id.as_str()) {
                        plan.starts.push((entry.sequence, name(by), actor_user_id));
                    }
                }
                Record::Intent(attempt) => {
                    story.attempts.insert(&attempt.action_id, (attempt, entry.at));
                }
                _ => {}
            }
        }
        story
    }

    fn rows<'e>(
        &self,
        root: &Path,
        entries: impl Iterator<Item = &'e Entry>,
        enterprise_id: &str,
    ) -> RecordBatch {
        let mut rows = Rows::new(SEAT_ACTIONS.lake_schema());
        let mut backgrounds: HashMap<&str, Background> = HashMap::new();
        for entry in entries {
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
            let Some((attempt, asked_at)) =
                self.attempts.get(action_id.as_str()).filter(|_| outcome.is_final())
            else {
                continue;
            };
            let plan_id = attempt.plan_id.as_str();
            let Some(plan) = self.plans.get(plan_id) else { continue };
            let approval = plan.approvals.iter().rev().find(|(sequence, ..)| *sequence < entry.sequence);
            let start = plan.starts.iter().rev().find(|(sequence, ..)| *sequence < entry.sequence);
            let background = backgrounds.entry(plan_id).or_insert_with(|| Background::of(root, plan_id));
            rows.text(Some(&row_id(action_id, *outcome)))
                .text(Some(&attempt.plan_id))
                .text(Some(plan.digest))
                .text(plan.policy_digest)
                .date(Some(plan.night.snapshot_date))
                .text(Some(&attempt.user_id))
                .text(Some(&attempt.login))
                .text(Some(attempt.action.as_str()))
                .text(Some(attempt.stage.as_str()))
                .text(Some(&name(plan.by)))
                .text(approval.map(|(_, _, who)| who.as_str()))
                .time(approval.map(|(_, at, _)| *at))
                .text(start.map(|(_, who, _)| who.as_str()))
                .text(start.map(|(_, _, actor)| *actor))
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
                .text(background.evidence.get(&attempt.user_id).map(String::as_str))
                .text(background.ticket.as_deref())
                .text(Some(&entry.prev_hash))
                .text(Some(enterprise_id))
                .big(Some(plan.night.run_number.as_i64()))
                .end();
        }
        rows.take_batch()
    }
}

/// The name of an outcome's row: an action that another actor undid was done first, and that row stays.
fn row_id(action_id: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::RevertedByOther | Outcome::ReProvisioned => format!("{action_id}/{}", outcome.as_str()),
        _ => action_id.to_owned(),
    }
}

/// The action of a row: the reverse of [`row_id`].
fn action_of(row_id: &str, outcome: Outcome) -> String {
    row_id.strip_suffix(&format!("/{}", outcome.as_str())).unwrap_or(row_id).to_owned()
}

fn name(operator: &Operator) -> String {
    format!("{}@{}", operator.os_user, operator.host)
}
