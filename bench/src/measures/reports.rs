//! `boxseat report`: each report from the start of the process to the last byte, as a table and in its slowest format.

use std::process::Command;

use super::Bench;
use crate::Result;
use crate::child;
use crate::report::{Findings, Row, Sample, mib, seconds};

const LIMIT_SECONDS: f64 = 1.0;
const REPORTS: [(&str, &str); 7] = [
    ("licences", "report licences: 100,000 users"),
    ("idle", "report idle: 100,000 users"),
    ("suspended", "report suspended: 100,000 users"),
    ("reclaimable", "report reclaimable: 100,000 users"),
    ("access", "report access: 100,000 users"),
    ("movers", "report movers: 100,000 users"),
    ("runs", "report runs: 100,000 users"),
];

pub(super) fn measure(bench: &mut Bench) -> Result<Findings> {
    let store = bench.night(bench.large())?;
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    let mut peak = 0;
    for (report, measure) in REPORTS {
        let mut medians = Vec::new();
        for format in ["table", "csv", "json"] {
            let mut walls = Vec::new();
            for _ in 0..bench.often() {
                let mut command = Command::new(&bench.boxseat);
                command
                    .args(["--quiet", "--format", format, "report", report, "-o"])
                    .arg(bench.scratch.join("report"))
                    .env_clear()
                    .env("HOME", &bench.scratch)
                    .env("BOXSEAT_STORE", &store);
                let done = child::run(command, &bench.log())?;
                walls.push(done.wall.as_secs_f64());
                peak = peak.max(done.peak_bytes);
            }
            medians.push(Sample::new(walls));
        }
        let slowest = medians.iter().map(Sample::median).fold(0.0, f64::max);
        rows.push(Row::new(
            measure,
            "under 1 s",
            medians[0].show(seconds),
            format!("{slowest:.2} s in its slowest format"),
            slowest < LIMIT_SECONDS,
        ));
    }
    notes.push(format!(
        "`boxseat report NAME -o FILE`, process start to end, as table, CSV and JSON; the figure is the table's. Peak memory of all {}.",
        mib(peak as f64)
    ));
    Ok(Findings { rows, notes })
}
