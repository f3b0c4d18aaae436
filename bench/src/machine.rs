//! The machine and the versions of a measurement.

use std::fmt;
use std::process::Command;

/// Cores, processor, memory, versions, day. Unknown facts are omitted.
pub(crate) struct Machine {
    facts: Vec<(&'static str, String)>,
}

impl Machine {
    pub(crate) fn look(boxseat: &std::path::Path, rival: Option<&str>) -> Self {
        let cores = std::thread::available_parallelism().ok().map(|n| n.to_string());
        let facts = [
            ("date (UTC)", Some(today())),
            ("cores", cores),
            ("processor", line_of("/proc/cpuinfo", "model name")),
            ("memory", line_of("/proc/meminfo", "MemTotal").and_then(|text| gib(&text))),
            ("system", said("uname", &["-sr"])),
            ("boxseat", said(boxseat, &["--version"])),
            ("commit", said("git", &["describe", "--always", "--dirty"])),
            ("rustc", said("rustc", &["--version"])),
            ("DuckDB in boxseat", linked_duckdb()),
            ("against", rival.map(str::to_owned)),
        ];
        Self { facts: facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))).collect() }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n| --- | --- |")?;
        self.facts.iter().try_for_each(|(name, fact)| writeln!(f, "| {name} | {fact} |"))
    }
}

/// Average number of processes that wanted a core over the last minute.
pub(crate) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "the day a report is written is the system's")]
fn today() -> String {
    chrono::Utc::now().format("%F").to_string()
}

fn line_of(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let (_, value) = text.lines().find_map(|line| line.split_once(':').filter(|(k, _)| k.trim() == key))?;
    Some(value.trim().to_owned())
}

fn gib(kib: &str) -> Option<String> {
    let kib: f64 = kib.split(' ').next()?.parse().ok()?;
    Some(format!("{:.1} GiB", kib / f64::from(1 << 20)))
}

fn said(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn linked_duckdb() -> Option<String> {
    let connection = duckdb::Connection::open_in_memory().ok()?;
    connection.query_row("SELECT version()", [], |row| row.get(0)).ok()
}
