//! Spool to lake: normalise events and commit them as Parquet, on one core.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use boxseat_output::lake::Lake;
use boxseat_pipeline::Privacy;
use boxseat_pipeline::normalise::{KnownEvents, Normaliser};
use boxseat_pipeline::spool::SpoolDir;
use boxseat_schemas::table::EVENTS;
use serde::{Deserialize, Serialize};

use super::{Bench, bytes_below};
use crate::Result;
use crate::child::{self, own_usage};
use crate::report::{Findings, Row, Sample, mib, seconds, whole};

/// The output of a child that loads the events.
#[derive(Debug, Serialize, Deserialize)]
struct Loaded {
    /// Indexing the frames of the spool, for all tables.
    index_seconds: f64,
    /// Reading the users that events refer to.
    users_seconds: f64,
    /// From the spool to the committed table, events only.
    events_seconds: f64,
    /// The same in CPU time of all threads.
    events_cpu_seconds: f64,
    events: u64,
    /// Bytes of the table in the lake.
    lake_bytes: u64,
}

pub(super) fn measure(bench: &mut Bench) -> Result<Findings> {
    let size = bench.large();
    let store = bench.night(size)?;
    let pinned =
        Command::new("taskset").args(["--cpu-list", "0", "true"]).status().is_ok_and(|s| s.success());
    let mut runs = Vec::new();
    for _ in 0..bench.often() {
        let _ = std::fs::remove_dir_all(store.join(AGAIN));
        let mut command = match pinned {
            true => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", "0"]).arg(std::env::current_exe()?);
                command
            }
            false => Command::new(std::env::current_exe()?),
        };
        command.arg("--load").arg(&store);
        let done = child::run(command, &bench.log())?;
        runs.push(serde_json::from_str::<Loaded>(&done.stdout)?);
    }
    std::fs::remove_dir_all(store.join(AGAIN))?;
    let of = |figure: fn(&Loaded) -> f64| Sample::new(runs.iter().map(figure).collect());
    let rate = of(|run| run.events as f64 / run.events_seconds);
    let cpu_rate = of(|run| run.events as f64 / run.events_cpu_seconds);
    let a_second = |rate| format!("{}/s", whole(rate));
    let row = Row::new(
        "lake: login events, spool to lake, one core",
        "at least 250,000/s",
        rate.show(a_second),
        format!("{:.2} × target", rate.median() / 250_000.0),
        rate.median() >= 250_000.0,
    );
    let notes = vec![
        format!(
            "{} events of a night's spool, normalised and committed to a new lake, {}. Per second of CPU time, which another \
             process on that core does not lengthen: {}.",
            whole(runs[0].events as f64),
            if pinned { "pinned to one core by `taskset`" } else { "not pinned, for there is no `taskset`" },
            cpu_rate.show(a_second)
        ),
        format!(
            "Not in it: indexing the spool's frames for all tables ({}), and reading the {} users ({}). The table takes {}.",
            of(|run| run.index_seconds).show(seconds),
            whole(f64::from(size.users)),
            of(|run| run.users_seconds).show(seconds),
            mib(runs[0].lake_bytes as f64)
        ),
    ];
    Ok(Findings { rows: vec![row], notes })
}

/// In a separate process: loads the events of a store's first run into a second lake next to the store's own, and prints
/// [`Loaded`].
pub(crate) fn load_events(store: &Path) -> Result<()> {
    let reservations = Lake::open(&store.join("lake"), 0o640)?.reservations()?;
    let reservation = reservations.first().ok_or("the store has no run")?;
    let number = reservation.run_number;
    let again = store.join(AGAIN);
    let lake = Lake::open(&again, 0o640)?;

    let begin = Instant::now();
    let spool = SpoolDir::of(&store.join("spool"), number.0);
    let mut night = Normaliser::open(&spool, number, reservation, "900000001", Privacy::default(), None)?;
    let index_seconds = begin.elapsed().as_secs_f64();

    let begin = Instant::now();
    for batch in night.users()? {
        batch?;
    }
    let users_seconds = begin.elapsed().as_secs_f64();

    let (begin, cpu) = (Instant::now(), own_usage()?.cpu);
    let known = KnownEvents::default();
    let committed = lake.commit(&EVENTS, number, &mut night.events(&known)?)?;
    let loaded = Loaded {
        index_seconds,
        users_seconds,
        events_seconds: begin.elapsed().as_secs_f64(),
        events_cpu_seconds: (own_usage()?.cpu - cpu).as_secs_f64(),
        events: committed.rows,
        lake_bytes: bytes_below(&again.join(EVENTS.name))?,
    };
    println!("{}", serde_json::to_string(&loaded)?);
    Ok(())
}

/// Name of the second lake in the directory of the store.
const AGAIN: &str = "lake-again";
