//! A child process and what it cost.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// What a finished child cost, and what it said.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) wall: Duration,
    /// User and system time of the child and the children it waited for.
    pub(crate) cpu: Duration,
    /// Largest resident size of the child, or of one of the children it waited for.
    pub(crate) peak_bytes: u64,
    pub(crate) stdout: String,
}

/// Runs a child to its end. What it writes to stderr goes to `log`, whose end a failure quotes.
///
/// The peak is the kernel's own account (`wait4`). A process begins with the peak of the one that started it, so ours has to
/// stay the smaller one: a child that comes out no larger is an error and no measurement.
pub(crate) fn run(mut command: Command, log: &Path) -> Result<Done> {
    let ours = own_usage().peak_bytes;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
    let begin = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let mut stdout = String::new();
    child.stdout.take().expect("asked for above").read_to_string(&mut stdout)?;
    let (status, usage) = wait(child.id())?;
    let wall = begin.elapsed();
    if !status.success() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let end: Vec<&str> = said.lines().rev().take(12).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        return Err(format!("{} {status}:\n{}", command.get_program().display(), end.join("\n")).into());
    }
    if usage.peak_bytes <= ours {
        return Err("this process is larger than the child whose memory it was to measure".into());
    }
    Ok(Done { wall, cpu: usage.cpu, peak_bytes: usage.peak_bytes, stdout })
}

/// CPU time and peak memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_bytes: u64,
}

/// What this process used so far, all threads together.
#[expect(unsafe_code, reason = "the standard library does not ask for usage")]
pub(crate) fn own_usage() -> Usage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is good for one `rusage`; zeroes are one too, should the call fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    Usage::of(&usage)
}

/// Waits for a child that nobody else waits for.
#[expect(unsafe_code, reason = "the standard library waits without asking for usage")]
fn wait(pid: u32) -> Result<(ExitStatus, Usage)> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let mut status = 0;
    // SAFETY: both pointers are good for one value each; zeroes are an `rusage`, should the call fail.
    let (waited, usage) = unsafe {
        let waited = libc::wait4(pid.cast_signed(), &raw mut status, 0, usage.as_mut_ptr());
        (waited, usage.assume_init())
    };
    if waited < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok((ExitStatus::from_raw(status), Usage::of(&usage)))
}

impl Usage {
    fn of(usage: &libc::rusage) -> Self {
        let time = |at: libc::timeval| {
            let micros = at.tv_sec * 1_000_000 + libc::time_t::from(at.tv_usec);
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        };
        // Linux counts in KiB, Apple in bytes.
        let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        Self {
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
        }
    }
}
