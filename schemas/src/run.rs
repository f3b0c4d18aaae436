//! The run record: the values that are fixed when a run's number is reserved, and how a run ended.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};

use crate::RunNumber;
use crate::table::{Rows, SYNC_RUNS};

/// The file `lake/_runs/<number>.json`. Creating it reserves the number. Its content does not change when the run is interrupted and
/// resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Version of this file's format: [`RESERVATION_FORMAT`].
    pub format: u32,
    /// The reserved number.
    pub run_number: RunNumber,
    /// UUIDv7 of the run.
    pub run_id: Uuid,
    /// What kind of run it is.
    pub kind: RunKind,
    /// When the run started: the time of the snapshot.
    pub started_at: DateTime<Utc>,
    /// UTC date of the start.
    pub snapshot_date: NaiveDate,
    /// Start of the event window.
    pub window_from_at: DateTime<Utc>,
    /// End of the event window: `settle_minutes` before the start.
    pub window_to_at: DateTime<Utc>,
    /// Requested event types.
    pub event_types: Vec<String>,
    /// The number of parallel reads into which the event window is split.
    pub event_slices: u32,
    /// The activity events that are read as further evidence of use; `None` when none are configured.
    #[serde(default)]
    pub activity: Option<ActivityWindow>,
    /// The base run: rows are carried forward from it, and the snapshot is compared with it.
    pub base_run_number: Option<RunNumber>,
    /// The run that this run replaces.
    pub replaces_run_number: Option<RunNumber>,
    /// UUID of the store.
    pub store_id: Uuid,
    /// The newest line of the lake's record when the number was reserved. A lake without this line was rolled back. `None` in a reservation
    /// of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordHead>,
    /// The host whose disk holds the spool.
    pub host: String,
    /// The boxseat version that reserved the number.
    pub version: String,
}

/// A line of the lake's record, `lake/_runs/files.log`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordHead {
    /// Number of the line, from 1; 0 for an empty record.
    pub sequence: u64,
    /// Hash of the line. It covers all earlier lines.
    pub hash: String,
}

/// Event types of `[sync] activity_events`, and their time range. They are read separately from the slices of the event window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityWindow {
    /// The types.
    pub event_types: Vec<String>,
    /// Start of the time range: a UTC midnight, so that every day except the last is complete. The range ends with the event window.
    pub from_at: DateTime<Utc>,
}

/// The [`Reservation`] format this version writes and reads.
pub const RESERVATION_FORMAT: u32 = 1;

impl Reservation {
    /// The number of the read for [`Reservation::activity`]: the number after the window's slices.
    pub fn activity_slice(&self) -> u32 {
        self.event_slices.max(1)
    }

    /// Rejects values that no version of boxseat writes and that a reader cannot handle.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        let years = 1970..=9999;
        let times = [self.started_at, self.window_from_at, self.window_to_at];
        if times.iter().any(|at| !years.contains(&at.year())) {
            return Err("a time in it is out of range".to_owned());
        }
        if self.window_from_at > self.window_to_at {
            return Err("its event window ends before it begins".to_owned());
        }
        if self.event_slices > MAX_EVENT_SLICES {
            return Err(format!("{} event slices: the maximum is {MAX_EVENT_SLICES}", self.event_slices));
        }
        Ok(())
    }

    /// The event window cut into `event_slices` adjoining spans of whole seconds, oldest first.
    pub fn slices(&self) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let (from, to) = (self.window_from_at.timestamp(), self.window_to_at.timestamp());
        let count = i64::from(self.event_slices.max(1));
        let edge = |index: i64| {
            DateTime::from_timestamp(from + (to - from) * index / count, 0).expect("between two valid times")
        };
        (0..count).map(|i| (edge(i), edge(i + 1))).collect()
    }
}

/// A run plans at most 12 slices. A larger number can only come from a damaged file, and each slice uses memory.
const MAX_EVENT_SLICES: u32 = 1_000;

/// The command that created a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// `boxseat sync`.
    Sync,
    /// `boxseat replay`.
    Replay,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// All rows are in the lake. The snapshot is valid.
    Complete,
    /// Abandoned before it was sealed. Its spool may be kept, and its number is not reused.
    Abandoned,
    /// Sealed, but loading failed twice; the spool is kept.
    Failed,
}

/// One row of `sync_runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns of the `sync_runs` table contract")]
pub struct SyncRun {
    pub run_number: RunNumber,
    pub run_id: Uuid,
    pub kind: RunKind,
    pub status: RunStatus,
    pub snapshot_date: NaiveDate,
    pub base_run_number: Option<RunNumber>,
    pub replaces_run_number: Option<RunNumber>,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub window_from_at: DateTime<Utc>,
    pub window_to_at: DateTime<Utc>,
    pub planned_calls_count: Option<i64>,
    pub calls_count: i64,
    pub retries_count: i64,
    pub waited_seconds: i64,
    pub late_events_count: i64,
    pub drift_count: Option<i64>,
    pub unknown_fields_count: i64,
    pub rejects_count: i64,
    pub store_id: Uuid,
    pub version: String,
}

impl SyncRun {
    /// The row of a run that ended without loading anything.
    pub fn ended(reservation: &Reservation, status: RunStatus, finished_at: DateTime<Utc>) -> Self {
        Self {
            run_number: reservation.run_number,
            run_id: reservation.run_id,
            kind: reservation.kind,
            status,
            snapshot_date: reservation.snapshot_date,
            base_run_number: reservation.base_run_number,
            replaces_run_number: reservation.replaces_run_number,
            started_at: reservation.started_at,
            finished_at,
            window_from_at: reservation.window_from_at,
            window_to_at: reservation.window_to_at,
            planned_calls_count: None,
            calls_count: 0,
            retries_count: 0,
            waited_seconds: 0,
            late_events_count: 0,
            drift_count: None,
            unknown_fields_count: 0,
            rejects_count: 0,
            store_id: reservation.store_id,
            version: reservation.version.clone(),
        }
    }

    /// Rows for the lake's `sync_runs`. Each row has the store's enterprise id.
    pub fn to_batch(runs: &[Self], enterprise_id: &str) -> RecordBatch {
        let mut rows = Rows::new(SYNC_RUNS.lake_schema());
        for run in runs {
            rows.big(Some(run.run_number.as_i64()))
                .text(Some(&run.run_id.to_string()))
                .text(Some(run.kind.as_str()))
                .text(Some(run.status.as_str()))
                .date(Some(run.snapshot_date))
                .big(run.base_run_number.map(RunNumber::as_i64))
                .big(run.replaces_run_number.map(RunNumber::as_i64))
                .time(Some(run.started_at))
                .time(Some(run.finished_at))
                .time(Some(run.window_from_at))
                .time(Some(run.window_to_at))
                .big(run.planned_calls_count)
                .big(Some(run.calls_count))
                .big(Some(run.retries_count))
                .big(Some(run.waited_seconds))
                .big(Some(run.late_events_count))
                .big(run.drift_count)
                .big(Some(run.unknown_fields_count))
                .big(Some(run.rejects_count))
                .text(Some(&run.store_id.to_string()))
                .text(Some(&run.version))
                .text(Some(enterprise_id))
                .end();
        }
        rows.take_batch()
    }

    /// Reads rows by column name, so that columns of later versions are ignored.
    ///
    /// # Errors
    /// A column is missing, has another type, or has a value that this version does not know. The error names the column.
    pub fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let column =
            |name: &str| batch.column_by_name(name).ok_or_else(|| format!("sync_runs has no column {name}"));
        let text = |name: &str, row: usize| -> Result<String, String> {
            let array = column(name)?
                .as_string_opt::<i32>()
                .ok_or_else(|| format!("sync_runs.{name} is not text"))?;
            Ok(array.value(row).to_owned())
        };
        let big = |name: &str, row: usize| -> Result<Option<i64>, String> {
            let array = column(name)?
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| format!("sync_runs.{name} is not BIGINT"))?;
            Ok((!array.is_null(row)).then(|| array.value(row)))
        };
        let count = |name: &str, row: usize| big(name, row).map(Option::unwrap_or_default);
        let number = |name: &str, row: usize| -> Result<Option<RunNumber>, String> {
            big(name, row)?
                .map(|n| {
                    u64::try_from(n).map(RunNumber).map_err(|_| format!("sync_runs.{name} is negative: {n}"))
                })
                .transpose()
        };
        let time = |name: &str, row: usize| -> Result<DateTime<Utc>, String> {
            let array = column(name)?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| format!("sync_runs.{name} is not a time"))?;
            DateTime::from_timestamp_micros(array.value(row))
                .ok_or_else(|| format!("sync_runs.{name} is out of range"))
        };
        let date = |name: &str, row: usize| -> Result<NaiveDate, String> {
            let array = column(name)?
                .as_primitive_opt::<Date32Type>()
                .ok_or_else(|| format!("sync_runs.{name} is not a date"))?;
            Date32Type::to_naive_date_opt(array.value(row))
                .ok_or_else(|| format!("sync_runs.{name} is out of range"))
        };
        let uuid = |name: &str, row: usize| -> Result<Uuid, String> {
            let value = text(name, row)?;
            value.parse().map_err(|_| format!("sync_runs.{name} is not a UUID: {value:?}"))
        };
        (0..batch.num_rows())
            .map(|row| {
                Ok(Self {
                    run_number: number("run_number", row)?.ok_or("sync_runs.run_number is NULL")?,
                    run_id: uuid("run_id", row)?,
                    kind: RunKind::parse(&text("kind", row)?)?,
                    status: RunStatus::parse(&text("status", row)?)?,
                    snapshot_date: date("snapshot_date", row)?,
                    base_run_number: number("base_run_number", row)?,
                    replaces_run_number: number("replaces_run_number", row)?,
                    started_at: time("started_at", row)?,
                    finished_at: time("finished_at", row)?,
                    window_from_at: time("window_from_at", row)?,
                    window_to_at: time("window_to_at", row)?,
                    planned_calls_count: big("planned_calls_count", row)?,
                    calls_count: count("calls_count", row)?,
                    retries_count: count("retries_count", row)?,
                    waited_seconds: count("waited_seconds", row)?,
                    late_events_count: count("late_events_count", row)?,
                    drift_count: big("drift_count", row)?,
                    unknown_fields_count: count("unknown_fields_count", row)?,
                    rejects_count: count("rejects_count", row)?,
                    store_id: uuid("store_id", row)?,
                    version: text("version", row)?,
                })
            })
            .collect()
    }
}

/// The run whose spool a run was read from: itself, or the first run of its chain of replays.
pub fn root(runs: &[SyncRun], run: &SyncRun) -> RunNumber {
    let mut number = run.run_number;
    while let Some(replaced) =
        runs.iter().find(|run| run.run_number == number).and_then(|run| run.replaces_run_number)
    {
        number = replaced;
    }
    number
}

/// The current runs among all rows of `sync_runs`: complete runs that no later complete run replaces. Sorted by number.
pub fn current(runs: &[SyncRun]) -> Vec<&SyncRun> {
    let complete = || runs.iter().filter(|r| r.status == RunStatus::Complete);
    let mut current: Vec<&SyncRun> = complete()
        .filter(|run| {
            !complete().any(|later| {
                later.run_number > run.run_number && later.replaces_run_number == Some(run.run_number)
            })
        })
        .collect();
    current.sort_by_key(|run| run.run_number);
    current
}

/// The runs whose calls form the ledger: every run that ended, with any status. Two kinds are excluded: runs that a complete replay
/// replaces, because the replay includes their calls, and replays that are not complete.
pub fn ledger(runs: &[SyncRun]) -> Vec<RunNumber> {
    let complete = |run: &&SyncRun| run.status == RunStatus::Complete;
    let replaced: Vec<RunNumber> =
        runs.iter().filter(complete).filter_map(|run| run.replaces_run_number).collect();
    runs.iter()
        .filter(|run| run.kind == RunKind::Sync || run.status == RunStatus::Complete)
        .map(|run| run.run_number)
        .filter(|run| !replaced.contains(run))
        .collect()
}

/// Names a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotId {
    /// Its run.
    pub run_number: RunNumber,
    /// Its UTC date.
    pub snapshot_date: NaiveDate,
    /// The time from which days are counted back: the start of the run.
    pub now_at: DateTime<Utc>,
}

/// The snapshots: for each date, the current run with the highest number. Sorted by date.
pub fn snapshots(runs: &[SyncRun]) -> Vec<&SyncRun> {
    // Sorted by number, so that the last run of a date stays.
    let by_date: BTreeMap<NaiveDate, &SyncRun> =
        current(runs).into_iter().map(|run| (run.snapshot_date, run)).collect();
    by_date.into_values().collect()
}

/// The latest snapshot: for the newest date, the current run with the highest number.
pub fn latest_snapshot(runs: &[SyncRun]) -> Option<&SyncRun> {
    snapshots(runs).pop()
}

/// The runs that form the history of a snapshot, newest first: its own run, the base of that run, the base of the base, and so on.
///
/// A base stays in the history when a replay replaces it later, because the snapshot was compared with the base and not with the replay.
/// After a replay of all runs up to the newest snapshot, the bases are the replays. A base is an older run, so a base that is not older
/// ends the chain.
pub fn chain(runs: &[SyncRun], snapshot: RunNumber) -> Vec<RunNumber> {
    let bases: HashMap<RunNumber, Option<RunNumber>> =
        runs.iter().map(|run| (run.run_number, run.base_run_number)).collect();
    let base_of = |run: &RunNumber| bases.get(run).copied().flatten().filter(|base| base < run);
    std::iter::successors(Some(snapshot), base_of).filter(|run| bases.contains_key(run)).collect()
}

impl RunKind {
    /// The text in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Replay => "replay",
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "sync" => Ok(Self::Sync),
            "replay" => Ok(Self::Replay),
            other => Err(format!("sync_runs.kind {other:?} is not known to this version")),
        }
    }
}

impl RunStatus {
    /// The text in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "complete" => Ok(Self::Complete),
            "abandoned" => Ok(Self::Abandoned),
            "failed" => Ok(Self::Failed),
            other => Err(format!("sync_runs.status {other:?} is not known to this version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reservation(number: u64) -> Reservation {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        Reservation {
            format: RESERVATION_FORMAT,
            run_number: RunNumber(number),
            run_id: Uuid::from_u128(u128::from(number)),
            kind: RunKind::Sync,
            started_at: at("2026-03-02T02:00:00.123456Z"),
            snapshot_date: NaiveDate::from_ymd_opt(2026, 3, 2).unwrap(),
            window_from_at: at("2026-02-27T01:45:00Z"),
            window_to_at: at("2026-03-02T01:45:00Z"),
            event_types: crate::event_types::all(),
            event_slices: 3,
            activity: None,
            base_run_number: None,
            replaces_run_number: None,
            store_id: Uuid::from_u128(7),
            record: None,
            host: "host".into(),
            version: "0.1.0".into(),
        }
    }

    fn run(number: u64, status: RunStatus, replaces: Option<u64>) -> SyncRun {
        let mut run =
            SyncRun::ended(&reservation(number), status, DateTime::from_timestamp(1_772_500_000, 0).unwrap());
        run.replaces_run_number = replaces.map(RunNumber);
        run
    }

    #[test]
    fn rows_survive_the_round_trip() {
        let mut written = vec![run(1, RunStatus::Abandoned, None), run(2, RunStatus::Complete, Some(1))];
        written[1].drift_count = Some(3);
        assert_eq!(SyncRun::from_batch(&SyncRun::to_batch(&written, "900")).unwrap(), written);
    }

    #[test]
    fn a_replaced_run_is_current_until_its_replacement_is_complete() {
        let numbers = |runs: &[SyncRun]| current(runs).iter().map(|r| r.run_number.0).collect::<Vec<_>>();
        let mut runs = vec![
            run(1, RunStatus::Complete, None),
            run(2, RunStatus::Abandoned, None),
            run(3, RunStatus::Failed, Some(1)),
        ];
        assert_eq!(numbers(&runs), [1]);
        runs.push(run(4, RunStatus::Complete, Some(1)));
        assert_eq!(numbers(&runs), [4]);
        assert_eq!(latest_snapshot(&runs).unwrap().run_number.0, 4);
        assert!(latest_snapshot(&runs[1..2]).is_none());
    }

    #[test]
    fn chain_follows_only_base_runs() {
        let on = |number: u64, base: u64| {
            let base_run_number = Some(base).filter(|base| *base > 0).map(RunNumber);
            SyncRun { base_run_number, ..run(number, RunStatus::Complete, None) }
        };
        let numbers = |runs: &[SyncRun], snapshot: u64| {
            chain(runs, RunNumber(snapshot)).iter().map(|run| run.0).collect::<Vec<_>>()
        };
        // 4 was abandoned; 5 and 6 replay 2 and 3.
        let mut runs = vec![on(1, 0), on(2, 1), on(3, 2), on(5, 1), on(6, 5), on(7, 6)];
        assert_eq!(numbers(&runs, 3), [3, 2, 1], "whatever replaced it");
        assert_eq!(numbers(&runs, 7), [7, 6, 5, 1]);
        assert_eq!(numbers(&runs, 1), [1]);
        assert_eq!(numbers(&runs, 9), [0; 0]);
        // Values that no version of boxseat writes.
        runs.extend([on(8, 8), on(10, 11), on(11, 10), on(12, 9)]);
        assert_eq!(numbers(&runs, 8), [8]);
        assert_eq!(numbers(&runs, 11), [11, 10]);
        assert_eq!(numbers(&runs, 12), [12]);
    }

    #[test]
    fn slices_adjoin_and_span_the_window() {
        let slices = reservation(1).slices();
        assert_eq!(slices.len(), 3);
        assert!(slices.windows(2).all(|pair| pair[0].1 == pair[1].0));
        assert_eq!((slices[0].0, slices[2].1), (reservation(1).window_from_at, reservation(1).window_to_at));
    }
}
