//! The runs of an enterprise after its first one, with licence terms: what a cron job does every day. Then `boxseat publish` of the last
//! snapshot, with the terms and without them.

use std::path::Path;
use std::process::Command;

use boxseat_simulator::Counts;
use chrono::TimeDelta;

use super::Bench;
use crate::Result;
use crate::child;
use crate::report::{Findings, Row, Sample, mib, seconds, whole};
use crate::stand::{Stand, enterprise};

/// The share of the first run's time that a later run may take.
const LIMIT_SHARE: f64 = 0.5;
/// How much longer a publish with licence terms may take.
const LIMIT_LICENCES: f64 = 1.1;

/// Terms of each kind. Every user matches one of them, and the users of the first one match two.
const LICENCES: &str = r#"
[[licence]]
plan_id = "suite"
match_rule = "tracking_code:Department=IT"
seats_purchased = 1000
cost_per_seat_monthly = "47.50"
currency = "EUR"

[[licence]]
plan_id = "enterprise"
match_rule = "all"
seats_purchased = 100000
cost_per_seat_monthly = "35.00"
currency = "EUR"
"#;

pub(super) fn measure(bench: &Bench) -> Result<Findings> {
    let size = bench.large();
    let home = bench.new_directory("daily")?;
    let (with_terms, without_terms) = (home.join("boxseat.toml"), home.join("without_terms.toml"));
    std::fs::write(&with_terms, LICENCES)?;
    std::fs::write(&without_terms, "")?;
    let stand = Stand::start(enterprise(size.users, size.users / 100, u64::from(size.logins)))?;
    let boxseat = |command: &str, day: i64, config: &Path| -> Command {
        let now = stand.config.now + TimeDelta::days(day);
        let mut boxseat = stand.command(&bench.boxseat, &home.join("store"), &["--quiet", command]);
        // By the flag: a variable that names other terms than the last run read is refused.
        boxseat.env("BOXSEAT_NOW", now.to_rfc3339()).arg("--config").arg(config);
        boxseat
    };
    let post = |path, body| bench.runtime.block_on(stand.post(&bench.http, path, body));

    let first = child::run(boxseat("sync", 0, &with_terms), &bench.log())?;
    let first_seconds = first.wall.as_secs_f64();
    let (mut walls, mut cpus, mut peaks, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut day = 0;
    for _ in 0..bench.often() {
        day += 1;
        post("step?days=1", "")?;
        post("reset", "")?;
        let done = child::run(boxseat("sync", day, &with_terms), &bench.log())?;
        let counts: Counts = bench.runtime.block_on(stand.counts(&bench.http))?;
        walls.push(done.wall.as_secs_f64());
        cpus.push(done.cpu.as_secs_f64());
        peaks.push(done.peak_bytes as f64);
        calls.push(counts.calls as f64);
    }
    // In turns, because the speed of shared machines changes within minutes.
    let (mut publishes_with, mut publishes_without) = (Vec::new(), Vec::new());
    for _ in 0..bench.often() {
        for (config, publishes) in
            [(&with_terms, &mut publishes_with), (&without_terms, &mut publishes_without)]
        {
            let done = child::run(boxseat("publish", day, config), &bench.log())?;
            publishes.push(done.cpu.as_secs_f64());
        }
    }

    let (walls, publishes_with, publishes_without) =
        (Sample::new(walls), Sample::new(publishes_with), Sample::new(publishes_without));
    let (share, longer) =
        (walls.median() / first_seconds, publishes_with.median() / publishes_without.median());
    let rows = vec![
        Row::new(
            "daily: `sync` after a day of changes, 100,000 users, with licence terms",
            "at most half of the first run",
            walls.show(seconds),
            format!("{share:.2} × first run ({})", seconds(first_seconds)),
            share <= LIMIT_SHARE,
        ),
        Row::new(
            "daily: CPU time of `publish` with licence terms",
            "at most 1.1 × without terms",
            publishes_with.show(seconds),
            format!("{longer:.2} × without ({})", publishes_without.show(seconds)),
            longer <= LIMIT_LICENCES,
        ),
    ];
    let notes = vec![
        format!(
            "`boxseat sync` of the days after the first run, one day of the simulator's usual changes before each, process start to end. \
             {} calls, CPU time {}, peak memory {}.",
            Sample::new(calls).show(whole),
            Sample::new(cpus).show(seconds),
            Sample::new(peaks).show(mib)
        ),
        "Two plans: one by tracking code, and one for all users. `boxseat publish` of the last snapshot with and without them, in turns."
            .to_owned(),
    ];
    Ok(Findings { rows, notes })
}
