//! Steps at which a test aborts the process, to check the next start, or holds it, to check a signal.
//!
//! `BOXSEAT_FAILPOINT=<step>` aborts at that step. Unlike a power cut, data in the kernel's cache survives.
//! `BOXSEAT_HOLDPOINT=<step>` logs that the step is reached and waits there until standard input ends. Without the variables nothing
//! happens. They change no result, so release builds have them too.

use crate::config::variable;

/// Aborts or waits if a test has set this step.
pub(crate) fn reach(step: &str) {
    if variable("BOXSEAT_FAILPOINT").as_deref() == Some(step) {
        std::process::abort();
    }
    if variable("BOXSEAT_HOLDPOINT").as_deref() == Some(step) {
        tracing::warn!("holding at {step:?} until standard input ends");
        // An input that cannot be read counts as ended.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    }
}
