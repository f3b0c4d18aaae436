//! The call ledger of commands that call Box and are not runs: `check`, `verify --live`, `forget`, `reclaim`, `offboard`. Box counts
//! their calls as well.
//!
//! Each command writes one file in `<store>/state/calls/` ([`boxseat_schemas::call_ledger`]). It writes each call before it makes
//! the next one, and locks the file while it runs. The next run commits the files of ended commands, each with the `run_id` of its
//! command, and removes them. *Killed* between the commit and the removal: the `run_id` is in the lake's `run_calls`, so the file is
//! removed and not counted again.
//!
//! A damaged file is refused before a run makes its first call, because the counts would be too low without it. A file without an
//! end is counted and reported.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use boxseat_pipeline::client::{CallJournal, CallNote};
use boxseat_pipeline::normalise::EndpointCalls;
use boxseat_pipeline::{Clock, Error};
use boxseat_schemas::call_ledger::{self, Call, Calls, End};
use boxseat_schemas::framed::DamagedAt;
use boxseat_schemas::spool::{CallOutcome, Damage};
use boxseat_schemas::table::{RUN_CALLS, Rows};
use chrono::NaiveDate;
use uuid::{NoContext, Timestamp, Uuid};

use arrow::array::RecordBatch;

use crate::error::CommandError;

/// Records the calls of one command.
pub(crate) struct CommandCalls {
    run_id: Uuid,
    path: PathBuf,
    clock: Clock,
    /// Absent before the first call.
    ledger: Mutex<Option<OpenLedger>>,
}

struct OpenLedger {
    /// Locked as long as the command runs.
    file: File,
    len: u64,
    calls: u64,
}

impl CommandCalls {
    /// Prepares the file of a command. The first call creates it.
    pub(crate) fn begin(store: &Path, clock: &Clock) -> Result<Arc<Self>, CommandError> {
        let directory = directory(store);
        std::fs::create_dir_all(&directory)
            .map_err(|e| CommandError::failed(format!("cannot create {}", directory.display()), e))?;
        let now = clock();
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let run_id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
        Ok(Arc::new(Self {
            run_id,
            path: directory.join(format!("{run_id}.{ENDING}")),
            clock: Arc::clone(clock),
            ledger: Mutex::new(None),
        }))
    }

    /// Records a call that got a response.
    pub(crate) fn answered(&self, endpoint: &'static str) -> Result<(), Error> {
        self.record(CallNote { endpoint, outcome: CallOutcome::Done, waited_seconds: 0 })
    }
}

impl CallJournal for CommandCalls {
    fn record(&self, note: CallNote) -> Result<(), Error> {
        let call = Call { endpoint: note.endpoint.to_owned(), at: (self.clock)(), outcome: note.outcome };
        let mut ledger = self.ledger.lock().expect("no holder panics");
        let mut append = || {
            let ledger = match &mut *ledger {
                Some(ledger) => ledger,
                none => none.insert(OpenLedger::create(&self.path)?),
            };
            let header = call_ledger::encode_header(self.run_id);
            let start = if ledger.len == 0 { &header[..] } else { &[] };
            ledger.append(&[start, &call_ledger::encode_call(ledger.calls + 1, &call)].concat())?;
            ledger.calls += 1;
            Ok(())
        };
        append().map_err(|source| Error::Io { action: "append to", path: self.path.clone(), source })
    }
}

impl OpenLedger {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.lock()?;
        Ok(Self { file, len: 0, calls: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Err(e) = self.file.write_all(bytes) {
            // If the truncation fails as well, the torn entry is reported when the file is read.
            let _ = self.file.set_len(self.len);
            return Err(e);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for CommandCalls {
    /// Writes the end of the file. A file without an end is still counted, so a failure is only a warning.
    fn drop(&mut self) {
        if let Ok(Some(ledger)) = self.ledger.get_mut().map(Option::as_mut)
            && let Err(e) = ledger.append(&call_ledger::encode_end(ledger.calls))
        {
            tracing::warn!("cannot end {}: {e}", self.path.display());
        }
    }
}

/// Calls of commands that no run has committed yet.
#[derive(Debug, Default)]
pub(crate) struct Uncommitted {
    /// Files of ended commands.
    files: Vec<EndedFile>,
    calls: BTreeMap<(String, NaiveDate, String), EndpointCalls>,
    /// The `run_id`s of commands that are still running. A later run commits their calls.
    running: HashSet<String>,
    /// Messages about files that may lack calls at their end.
    missing_ends: Vec<String>,
}

/// The file of a command that has ended.
#[derive(Debug)]
struct EndedFile {
    run_id: String,
    path: PathBuf,
    /// An earlier run committed the calls and could not remove the file.
    is_committed: bool,
}

impl Uncommitted {
    /// Whether a command has left a file.
    ///
    /// # Errors
    /// Disk.
    pub(crate) fn has_files(store: &Path) -> Result<bool, CommandError> {
        match std::fs::read_dir(directory(store)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(CommandError::failed("cannot read the calls of other commands", e)),
            Ok(mut entries) => Ok(entries.next().is_some()),
        }
    }

    /// Reads all files. Files whose `run_id` is in `known` are committed and only need removal.
    ///
    /// # Errors
    /// Exit 3 for a damaged file; exit 1 for the disk.
    pub(crate) fn read(store: &Path, known: &HashSet<String>) -> Result<Self, CommandError> {
        let mut all = Self::default();
        let unreadable = |e| CommandError::failed("cannot read the calls of other commands", e);
        let entries = match std::fs::read_dir(directory(store)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if let Some(Ledger { run_id, calls, is_running }) = Ledger::read(&path, known)? {
                all.take(path, run_id.to_string(), calls, is_running);
            }
        }
        Ok(all)
    }

    fn take(&mut self, path: PathBuf, run_id: String, calls: Option<Calls>, is_running: bool) {
        let is_committed = calls.is_none();
        let Calls { calls, end } = calls.unwrap_or(Calls { calls: Vec::new(), end: End::Closed });
        match end {
            _ if is_running => {}
            End::Closed => {}
            _ if calls.is_empty() => self.missing_ends.push(format!(
                "{} has no entry, because its command was killed or the file was cut; it can be removed",
                path.display()
            )),
            End::Open => self.missing_ends.push(format!(
                "{} has no end, because its command was killed or the file was cut; its {} calls are counted",
                path.display(),
                calls.len()
            )),
            End::Torn(offset) => self.missing_ends.push(format!(
                "the last entry of {} is torn at byte {offset}; the {} calls before it are counted",
                path.display(),
                calls.len()
            )),
        }
        for call in calls {
            self.calls
                .entry((run_id.clone(), call.at.date_naive(), call.endpoint))
                .or_default()
                .count(call.outcome);
        }
        if is_running {
            self.running.insert(run_id);
        } else {
            self.files.push(EndedFile { run_id, path, is_committed });
        }
    }

    /// Logs the files that may have lost calls at their end.
    pub(crate) fn warn_of_missing_ends(&self) {
        self.missing_ends.iter().for_each(|what| tracing::warn!("call ledger: {what}"));
    }

    /// The number of calls on days that `counts` accepts.
    pub(crate) fn calls(&self, counts: impl Fn(NaiveDate) -> bool) -> u64 {
        self.calls.iter().filter(|((_, day, _), _)| counts(*day)).map(|(_, calls)| calls.calls).sum()
    }

    /// The calls as rows of the run that commits them.
    pub(crate) fn rows(&self, run_number: i64, enterprise_id: &str) -> RecordBatch {
        let mut rows = Rows::new(RUN_CALLS.lake_schema());
        let big = |n: u64| i64::try_from(n).ok();
        for ((run_id, date, endpoint), calls) in
            self.calls.iter().filter(|((run_id, _, _), _)| !self.running.contains(run_id))
        {
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

    /// Removes the files that an earlier run committed, and those whose `run_id` is in `committed`. A file that was written after this
    /// run's commit stays for the next run.
    pub(crate) fn remove(&self, committed: &HashSet<String>) -> Result<(), CommandError> {
        let is_unneeded = |file: &&EndedFile| file.is_committed || committed.contains(&file.run_id);
        for EndedFile { path, .. } in self.files.iter().filter(is_unneeded) {
            std::fs::remove_file(path)
                .map_err(|e| CommandError::failed(format!("cannot remove {}", path.display()), e))?;
        }
        Ok(())
    }
}

/// The content of one file.
struct Ledger {
    run_id: Uuid,
    /// `None`: the lake has these calls.
    calls: Option<Calls>,
    is_running: bool,
}

impl Ledger {
    /// Reads a file; `None` if it is not a ledger or was just removed by another run.
    fn read(path: &Path, known: &HashSet<String>) -> Result<Option<Self>, CommandError> {
        let has_frames = match path.extension().and_then(|ending| ending.to_str()) {
            Some(ENDING) => true,
            Some("jsonl") => false,
            _ => {
                tracing::warn!("{} is not a call ledger and is not counted", path.display());
                return Ok(None);
            }
        };
        let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let run_id: Uuid = name.ok_or_else(|| damaged(path, "its name is not a run_id"))?;
        let unreadable = |e| CommandError::failed(format!("cannot read {}", path.display()), e);
        let mut file = match File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(unreadable)?,
        };
        let is_running = match file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(e)) => return Err(unreadable(e)),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        let calls =
            if has_frames { call_ledger::read(run_id, &bytes) } else { call_ledger::read_lines(&bytes) };
        match calls {
            Err(e @ DamagedAt { damage: Damage::OtherOwner, .. }) => Err(damaged(path, &e.to_string())),
            _ if known.contains(&run_id.to_string()) => Ok(Some(Self { run_id, calls: None, is_running })),
            Ok(calls) => Ok(Some(Self { run_id, calls: Some(calls), is_running })),
            Err(e) => Err(damaged(path, &e.to_string())),
        }
    }
}

fn damaged(path: &Path, what: &str) -> CommandError {
    CommandError::refused(format!("the call ledger {} is damaged: {what}", path.display())).hint(
        format!(
            "restore it from a backup, or move it out of {}: its calls are then missing in run_calls and in the calls of this month",
            path.parent().unwrap_or(path).display()
        ),
    )
}

const ENDING: &str = "calls";

fn directory(store: &Path) -> PathBuf {
    store.join("state/calls")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    /// Why: the file of a command that still ran was committed and removed, and its later calls were never counted.
    #[test]
    fn calls_of_a_running_command_count_but_a_later_run_commits_them() {
        let temp = tempfile::tempdir().unwrap();
        let clock: Clock = Arc::new(|| DateTime::from_timestamp(1_772_500_000, 0).unwrap());
        let calls = CommandCalls::begin(temp.path(), &clock).unwrap();
        calls.answered("GET /users/me").unwrap();
        let read = || Uncommitted::read(temp.path(), &HashSet::new()).unwrap();
        let running = read();
        assert_eq!((running.calls(|_| true), running.rows(1, "900").num_rows()), (1, 0));
        assert!(running.missing_ends.is_empty());
        let id = calls.run_id.to_string();
        running.remove(&HashSet::from([id.clone()])).unwrap();
        calls.answered("GET /users/{id}").unwrap();
        drop(calls);
        let ended = read();
        assert_eq!((ended.calls(|_| true), ended.rows(1, "900").num_rows()), (2, 2));
        assert!(ended.missing_ends.is_empty());
        ended.remove(&HashSet::from([id])).unwrap();
        assert_eq!(read().files.len(), 0);
    }
}
