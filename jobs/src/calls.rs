//! The ledger of commands that call Box and are no runs: `check`, `verify --live`. Box counts their calls like any other.
//!
//! Each command writes one file of lines under `<store>/state/calls/`, every call before the next one is made. The next run
//! commits them under the command's own `run_id` and removes the files. *Killed* between the commit and the removal: the
//! `run_id` is found in the lake's `run_calls`, and the file is removed without being counted again.

use std::collections::{BTreeMap, HashSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boxseat_pipeline::client::{CallJournal, CallNote};
use boxseat_pipeline::normalise::EndpointCalls;
use boxseat_pipeline::{Clock, Error};
use boxseat_schemas::spool::CallOutcome;
use boxseat_schemas::table::{RUN_CALLS, Rows};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

use arrow::array::RecordBatch;

use crate::error::CommandError;

/// One call.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    endpoint: String,
    at: DateTime<Utc>,
    outcome: CallOutcome,
}

/// Writes down the calls of one command.
pub(crate) struct CommandCalls {
    path: PathBuf,
    clock: Clock,
}

impl CommandCalls {
    /// A new command's file; nothing is written before the first call.
    pub(crate) fn begin(store: &Path, clock: &Clock) -> Result<Arc<Self>, CommandError> {
        let directory = directory(store);
        std::fs::create_dir_all(&directory)
            .map_err(|e| CommandError::failed(format!("cannot create {}", directory.display()), e))?;
        let now = clock();
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let run_id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
        Ok(Arc::new(Self { path: directory.join(format!("{run_id}.jsonl")), clock: Arc::clone(clock) }))
    }

    /// Notes a call that was answered.
    pub(crate) fn answered(&self, endpoint: &'static str) -> Result<(), Error> {
        self.record(CallNote { endpoint, outcome: CallOutcome::Done, waited_seconds: 0 })
    }
}

impl CallJournal for CommandCalls {
    fn record(&self, note: CallNote) -> Result<(), Error> {
        let line = Line { endpoint: note.endpoint.to_owned(), at: (self.clock)(), outcome: note.outcome };
        let text = serde_json::to_string(&line).expect("plain data") + "\n";
        let append =
            || OpenOptions::new().append(true).create(true).open(&self.path)?.write_all(text.as_bytes());
        append().map_err(|source| Error::Io { action: "append to", path: self.path.clone(), source })
    }
}

/// Calls of commands that no run has committed yet.
#[derive(Debug, Default)]
pub(crate) struct Uncommitted {
    /// Files by the `run_id` of their command.
    files: Vec<(String, PathBuf)>,
    calls: BTreeMap<(String, NaiveDate, String), EndpointCalls>,
}

impl Uncommitted {
    /// Reads all files; those whose `run_id` the ledger knows are only to be removed.
    pub(crate) fn read(store: &Path, known: &HashSet<String>) -> Result<Self, CommandError> {
        let mut all = Self::default();
        let entries = match std::fs::read_dir(directory(store)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            Err(e) => return Err(CommandError::failed("cannot read the calls of other commands", e)),
            Ok(entries) => entries,
        };
        for entry in entries {
            let path =
                entry.map_err(|e| CommandError::failed("cannot read the calls of other commands", e))?.path();
            let Some(run_id) = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned) else {
                continue;
            };
            if !known.contains(&run_id) {
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| CommandError::failed(format!("cannot read {}", path.display()), e))?;
                // A torn last line is a call that was being noted when the command was killed.
                for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
                    all.calls
                        .entry((run_id.clone(), line.at.date_naive(), line.endpoint))
                        .or_default()
                        .count(line.outcome);
                }
            }
            all.files.push((run_id, path));
        }
        Ok(all)
    }

    /// How many calls were made on days that count.
    pub(crate) fn calls(&self, counts: impl Fn(NaiveDate) -> bool) -> u64 {
        self.calls.iter().filter(|((_, day, _), _)| counts(*day)).map(|(_, calls)| calls.calls).sum()
    }

    /// The calls as rows of the run that commits them.
    pub(crate) fn rows(&self, run_number: i64, enterprise_id: &str) -> RecordBatch {
        let mut rows = Rows::new(RUN_CALLS.lake_schema());
        let big = |n: u64| i64::try_from(n).ok();
        for ((run_id, date, endpoint), calls) in &self.calls {
            rows.text(Some(run_id))
                .date(Some(*date))
                .text(Some(endpoint))
                .big(big(calls.calls))
                .big(big(calls.retries))
                .big(big(calls.throttled))
                .big(big(calls.errors))
                .text(Some(enterprise_id))
                .big(Some(run_number))
                .end();
        }
        rows.take_batch()
    }

    /// Removes the files whose calls the ledger has; `committed` are the `run_id`s in it. A file that came too late for this
    /// run's commit waits for the next.
    pub(crate) fn remove(&self, committed: &HashSet<String>) -> Result<(), CommandError> {
        for (_, path) in self.files.iter().filter(|(run_id, _)| committed.contains(run_id)) {
            std::fs::remove_file(path)
                .map_err(|e| CommandError::failed(format!("cannot remove {}", path.display()), e))?;
        }
        Ok(())
    }
}

fn directory(store: &Path) -> PathBuf {
    store.join("state/calls")
}
