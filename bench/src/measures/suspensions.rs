//! Suspensions at the rate that Box allows: `boxseat reclaim apply` of one plan. It reads each user again before it changes the
//! user.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use boxseat_simulator::{Config, Counts};

use super::Bench;
use crate::Result;
use crate::child;
use crate::report::{Findings, Row, mib, percent, whole};
use crate::stand::{Stand, enterprise};

/// The default of boxseat.
const CALLS_PER_MINUTE: u32 = 950;
/// Duration of a response. Box is not on loopback.
const LATENCY_MS: u64 = 100;
const LIMIT_BYTES: u64 = 200 << 20;
/// The simulator's clock does not move by itself; the clock of boxseat does.
const TICK: Duration = Duration::from_secs(10);

pub(super) fn measure(bench: &Bench) -> Result<Findings> {
    let people: u32 = if bench.quick { 100 } else { 5_000 };
    let home = bench.new_directory("suspensions")?;
    std::fs::write(home.join("boxseat.toml"), "[reclaim]\npolicy = \"policy.toml\"\n")?;
    std::fs::write(home.join("policy.toml"), policy(people))?;
    let config = Config {
        idle_share: 0.5,
        awkward: false,
        change_scale: 0.0,
        latency_ms: LATENCY_MS,
        ..enterprise(people * 5 / 2, 50, u64::from(people) * 10)
    };
    let stand = Stand::start(config)?;
    let boxseat = |args: &[&str]| {
        let mut command = stand.command(&bench.boxseat, &home.join("store"), args);
        command
            .current_dir(&home)
            .env("BOXSEAT_ACTIONS_CLIENT_ID", &stand.config.actions_client_id)
            .env("BOXSEAT_ACTIONS_CLIENT_SECRET", &stand.config.actions_client_secret);
        command
    };
    for args in [["sync"].as_slice(), &["reclaim", "plan"]] {
        child::run(boxseat(args), &bench.log())?;
    }
    let plan = only_plan(&home.join("store/state/reclaim/plans"))?;
    child::run(boxseat(&["reclaim", "approve", &plan]), &bench.log())?;

    let post = |path, body| bench.runtime.block_on(stand.post(&bench.http, path, body));
    post("rate_limit", r#"{"calls_per_minute": 1000}"#)?;
    post("reset", "")?;
    let mut apply = boxseat(&["reclaim", "apply", &plan, "--yes"]);
    apply.env("BOXSEAT_RATE_CALLS_PER_MINUTE", CALLS_PER_MINUTE.to_string());
    let (ends, ended) = channel::<()>();
    let done = std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                // A lost request is ten seconds of drift. The run ends with an error only at five minutes of drift.
                _ = post("advance?secs=10", "");
            }
        });
        let done = child::run(apply, &bench.log());
        drop(ends);
        done
    })?;
    let counts: Counts = bench.runtime.block_on(stand.counts(&bench.http))?;
    let suspended = counts.by_endpoint.get("PUT /users/{user_id}").map_or(0, |calls| calls.ok);
    if suspended != u64::from(people) {
        return Err(format!("{suspended} of {people} were suspended").into());
    }
    let allowed = f64::from(CALLS_PER_MINUTE) * done.wall.as_secs_f64() / 60.0;
    let share = counts.calls as f64 / allowed;
    let rows = vec![
        Row::new(
            "suspensions: calls at 950 a minute",
            "at least 97 % of the allowed, no 429",
            format!("{} of {}, {} × 429", whole(counts.calls as f64), whole(allowed), counts.throttled),
            percent(share),
            share >= 0.97 && counts.throttled == 0,
        ),
        Row::new(
            "suspensions: peak memory",
            "at most 200 MiB",
            format!("{} (once)", mib(done.peak_bytes as f64)),
            format!("{:.2} × target", done.peak_bytes as f64 / LIMIT_BYTES as f64),
            done.peak_bytes <= LIMIT_BYTES,
        ),
    ];
    let note = format!(
        "`boxseat reclaim apply` of a plan of {} people, process start to end in {:.0} s: {:.2} calls for each of them, \
         every answer after {LATENCY_MS} ms, CPU time {:.1} s.",
        whole(f64::from(people)),
        done.wall.as_secs_f64(),
        counts.calls as f64 / f64::from(people),
        done.cpu.as_secs_f64(),
    );
    Ok(Findings { rows, notes: vec![note] })
}

/// Suspends this many idle users, whatever they own: only the rate is measured.
fn policy(people: u32) -> String {
    format!(
        "evidence = \"login_only\"\nshared_content = \"suspend_anyway\"\n\
         [caps]\npeople = {people}\nseats_percent = 100.0\n"
    )
}

fn only_plan(directory: &Path) -> Result<String> {
    let mut files = std::fs::read_dir(directory)?;
    let file = files.next().ok_or("no user is planned")??;
    let name = file.file_name().into_string().map_err(|name| format!("{} is no plan", name.display()))?;
    Ok(name.trim_end_matches(".json").to_owned())
}
