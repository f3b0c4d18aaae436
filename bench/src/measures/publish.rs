//! `boxseat publish`: from the lake to the checked DuckDB file, the whole process.

use std::process::Command;

use super::{Bench, bytes_below};
use crate::Result;
use crate::child;
use crate::report::{Findings, Row, Sample, mib, seconds};

const LIMIT_SECONDS: f64 = 10.0;

pub(super) fn measure(bench: &mut Bench) -> Result<Findings> {
    let store = bench.night(bench.large())?;
    let (mut walls, mut cpus, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.often() {
        let mut command = Command::new(&bench.boxseat);
        command
            .args(["--quiet", "publish"])
            .env_clear()
            .env("HOME", &bench.scratch)
            .env("BOXSEAT_STORE", &store);
        let done = child::run(command, &bench.log())?;
        walls.push(done.wall.as_secs_f64());
        cpus.push(done.cpu.as_secs_f64());
        peaks.push(done.peak_bytes as f64);
    }
    let walls = Sample::new(walls);
    let row = Row::new(
        "publish: 100,000 users and 1,000,000 logins",
        "under 10 s",
        walls.show(seconds),
        format!("{:.2} × target", walls.median() / LIMIT_SECONDS),
        walls.median() < LIMIT_SECONDS,
    );
    let note = format!(
        "`boxseat publish`, process start to end. CPU time {}, peak memory {}; the lake takes {}, the file {}.",
        Sample::new(cpus).show(seconds),
        Sample::new(peaks).show(mib),
        mib(bytes_below(&store.join("lake"))? as f64),
        mib(std::fs::metadata(store.join(boxseat_output::warehouse::FILE_NAME))?.len() as f64)
    );
    Ok(Findings { rows: vec![row], notes: vec![note] })
}
