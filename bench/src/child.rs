//! A child process and its resource usage.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use wait4::{ResUse, Wait4};

use crate::Result;

/// The resource usage and the output of a finished child.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) wall: Duration,
    /// User and system time of the child and the children it waited for.
    pub(crate) cpu: Duration,
    /// Largest resident size of the child, or of one of the children it waited for.
    pub(crate) peak_bytes: u64,
    pub(crate) stdout: String,
}

/// Runs a child until it ends. Its stderr goes to `log`; an error quotes the end of it.
///
/// The peak is the kernel's count (`wait4`). A process starts with the peak of its parent, so this process must stay smaller. A
/// child that is not larger than this process is an error, not a measurement.
pub(crate) fn run(mut command: Command, log: &Path) -> Result<Done> {
    let ours = own_usage()?.peak_bytes;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
    let begin = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let mut stdout = String::new();
    child.stdout.take().expect("asked for above").read_to_string(&mut stdout)?;
    let ResUse { status, rusage } = child.wait4()?;
    let wall = begin.elapsed();
    if !status.success() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let end: Vec<&str> = said.lines().rev().take(12).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        return Err(format!("{} {status}:\n{}", command.get_program().display(), end.join("\n")).into());
    }
    if rusage.maxrss <= ours {
        return Err("this process is larger than the child whose memory it was to measure".into());
    }
    Ok(Done { wall, cpu: rusage.utime + rusage.stime, peak_bytes: rusage.maxrss, stdout })
}

/// CPU time and peak memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_bytes: u64,
}

/// Resource usage of this process so far, for all its threads.
pub(crate) fn own_usage() -> Result<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = |at: TimeVal| {
        let micros = at.tv_sec() * 1_000_000 + at.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    // Linux counts in KiB, Apple in bytes.
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    Ok(Usage {
        cpu: time(usage.user_time()) + time(usage.system_time()),
        peak_bytes: u64::try_from(usage.max_rss()).unwrap_or(0) * unit,
    })
}
