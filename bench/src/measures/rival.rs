//! The first run of 2,000 users, compared with dlt. dlt makes the same calls to the same simulator and loads Parquet.

use std::path::Path;
use std::process::Command;

use boxseat_output::lake::Lake;
use boxseat_schemas::box_api::{GROUP_FIELDS, USER_FIELDS};
use boxseat_simulator::Config;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Bench;
use crate::Result;
use crate::child;
use crate::report::{Findings, Row, Sample, mib, seconds, whole};
use crate::stand::{Stand, enterprise};

/// The settings of dlt. For time, the fastest counts. For memory, the smallest with one process counts, because the kernel
/// reports the peak of the largest process and not of all together.
const SETTINGS: [Settings; 4] = [
    Settings { destination: "duckdb", extract_workers: 16, normalize_workers: 1 },
    Settings { destination: "duckdb", extract_workers: 4, normalize_workers: 1 },
    Settings { destination: "duckdb", extract_workers: 16, normalize_workers: 2 },
    Settings { destination: "filesystem", extract_workers: 16, normalize_workers: 1 },
];

#[derive(Clone, Copy)]
struct Settings {
    destination: &'static str,
    extract_workers: u32,
    normalize_workers: u32,
}

/// The output of the script.
#[derive(Deserialize)]
struct Said {
    pipeline_seconds: f64,
    rows: Value,
    versions: Versions,
}

#[derive(Deserialize)]
struct Versions {
    dlt: String,
    duckdb: String,
    python: String,
}

/// Measurements of boxseat or of dlt.
#[derive(Default)]
struct Runs {
    walls: Vec<f64>,
    cpus: Vec<f64>,
    peaks: Vec<f64>,
}

pub(super) fn measure(bench: &mut Bench) -> Result<Findings> {
    let python = bench.python.clone().ok_or("no Python with dlt; --python names one")?;
    let users = if bench.quick { 500 } else { 2_000 };
    // Plain data, because dlt stops at the numbers above 64 bits in the unusual data.
    let awkward = enterprise(users, users / 20, u64::from(users) * 15);
    let config = Config {
        awkward: false,
        short_pages: 0.0,
        repeated_rows: 0.0,
        late_events: 0.0,
        repeated_events: 0.0,
        end_marker: Config::plain().end_marker,
        positions: Config::plain().positions,
        ..awkward
    };
    let stand = Stand::start(config)?;
    let calls = |bench: &Bench| bench.runtime.block_on(stand.counts(&bench.http)).map(|counts| counts.calls);

    let mut ours = Runs::default();
    let mut theirs: [Runs; SETTINGS.len()] = Default::default();
    let (mut our_calls, mut their_calls, mut said) = (0, 0, None);
    let mut inside = Vec::new();
    for round in 0..=bench.often() {
        let before = calls(bench)?;
        let store = bench.new_directory("rival-ours")?;
        let done = child::run(stand.command(&bench.boxseat, &store, &["--quiet", "sync"]), &bench.log())?;
        our_calls = calls(bench)? - before;
        // The first round warms the simulator and Python's caches.
        if round > 0 {
            ours.push(&done);
        }
        for (settings, runs) in SETTINGS.iter().zip(&mut theirs) {
            let directory = bench.new_directory("rival-dlt")?;
            let job = directory.join("job.json");
            std::fs::write(&job, serde_json::to_vec(&job_of(&stand, &store, &directory, *settings)?)?)?;
            let mut command = Command::new(&python);
            command.arg(&bench.dlt_job).arg(&job).env_clear().env("HOME", &directory);
            command.env("PATH", "/usr/bin:/bin");
            let before = calls(bench)?;
            let done = child::run(command, &bench.log())?;
            their_calls = calls(bench)? - before;
            let line = done.stdout.lines().last().unwrap_or_default();
            let this: Said = serde_json::from_str(line).map_err(|e| format!("dlt_job.py: {e}: {line}"))?;
            if round > 0 {
                runs.push(&done);
                inside.push(this.pipeline_seconds / done.wall.as_secs_f64());
            }
            said = Some(this);
        }
    }
    let said = said.ok_or("dlt did not run")?;
    let Versions { dlt, duckdb, python } = &said.versions;
    bench.rival = Some(format!("dlt {dlt} with DuckDB {duckdb}, Python {python}"));
    if their_calls.abs_diff(our_calls) * 50 > our_calls {
        return Err(format!("the calls are not the same: {our_calls} of ours, {their_calls} of dlt's").into());
    }

    let our_wall = Sample::new(ours.walls);
    let our_peak = Sample::new(ours.peaks);
    let mut notes = vec![format!(
        "{} users, {} logins, plain data (dlt stops at the numbers beyond 64 bits that the awkward enterprise has), no rate \
         limit: {} calls of ours, {} of dlt's; rows in dlt: {}. Whole processes, in turns; ours took {} of CPU time. \
         boxseat fsyncs, checks and writes both a lake and a DuckDB file; dlt writes one of the two. {} % of dlt's time is \
         inside the pipeline, the rest is Python's start.",
        whole(f64::from(users)),
        whole(f64::from(users) * 15.0),
        our_calls,
        their_calls,
        said.rows,
        Sample::new(ours.cpus).show(seconds),
        whole(Sample::new(inside).median() * 100.0)
    )];
    let (mut fastest, mut leanest): (Option<Sample>, Option<Sample>) = (None, None);
    for (settings, runs) in SETTINGS.iter().zip(theirs) {
        let (wall, peak) = (Sample::new(runs.walls), Sample::new(runs.peaks));
        notes.push(format!(
            "dlt into {}, {} extract workers, {} to normalise: {}, CPU {}, peak of its largest process {}",
            settings.destination,
            settings.extract_workers,
            settings.normalize_workers,
            wall.show(seconds),
            Sample::new(runs.cpus).show(seconds),
            peak.show(mib)
        ));
        let less =
            |than: &Option<Sample>, new: &Sample| than.as_ref().is_none_or(|old| new.median() < old.median());
        if less(&fastest, &wall) {
            fastest = Some(wall);
        }
        if settings.normalize_workers == 1 && less(&leanest, &peak) {
            leanest = Some(peak);
        }
    }
    let (fastest, leanest) = fastest.zip(leanest).ok_or("dlt did not run")?;
    let faster = fastest.median() / our_wall.median();
    let share = our_peak.median() / leanest.median();
    let rows = vec![
        Row::new(
            "dlt: first night of 2,000 users, time",
            "at least 10 × faster",
            format!("{} against {}", our_wall.show(seconds), fastest.show(seconds)),
            format!("{faster:.1} ×"),
            faster >= 10.0,
        ),
        Row::new(
            "dlt: first night of 2,000 users, peak memory",
            "at most half",
            format!("{} against {}", our_peak.show(mib), leanest.show(mib)),
            format!("{share:.2}"),
            share <= 0.5,
        ),
    ];
    Ok(Findings { rows, notes })
}

impl Runs {
    fn push(&mut self, done: &child::Done) {
        self.walls.push(done.wall.as_secs_f64());
        self.cpus.push(done.cpu.as_secs_f64());
        self.peaks.push(done.peak_bytes as f64);
    }
}

/// The same requests as in the run just read, from the record of that run.
fn job_of(stand: &Stand, store: &Path, directory: &Path, settings: Settings) -> Result<Value> {
    let reservations = Lake::open(&store.join("lake"), 0o640)?.reservations()?;
    let reservation = reservations.first().ok_or("the store has no run")?;
    let spans = reservation.slices();
    let last = spans.len() - 1;
    let edge = TimeDelta::seconds(1);
    let text = |at: chrono::DateTime<chrono::Utc>| at.format("%FT%T+00:00").to_string();
    let slices: Vec<[String; 2]> = spans
        .iter()
        .enumerate()
        .map(|(i, (from, to))| [text(*from - edge), text(if i == last { *to } else { *to + edge })])
        .collect();
    Ok(json!({
        "api_url": stand.at.api_url,
        "token_url": stand.at.token_url,
        "client_id": stand.config.client_id,
        "client_secret": stand.config.client_secret,
        "enterprise_id": stand.config.enterprise_id,
        "directory": directory,
        "destination": settings.destination,
        "extract_workers": settings.extract_workers,
        "normalize_workers": settings.normalize_workers,
        "user_fields": USER_FIELDS,
        "group_fields": GROUP_FIELDS,
        "event_types": reservation.event_types,
        "slices": slices,
    }))
}
