//! Places where a test stops the process dead, to see what the next start makes of it, or holds it, to see what a signal does.
//!
//! `BOXSEAT_FAILPOINT=<step>` aborts at that step, as a power cut would but for what the kernel still holds.
//! `BOXSEAT_HOLDPOINT=<step>` says that the step is reached and waits there until standard input ends. Without the variables
//! nothing happens; they change no result, so they need not be kept out of a release.

use crate::config::variable;

/// Aborts, or waits, when a test has named this step.
pub(crate) fn reach(step: &str) {
    if variable("BOXSEAT_FAILPOINT").as_deref() == Some(step) {
        std::process::abort();
    }
    if variable("BOXSEAT_HOLDPOINT").as_deref() == Some(step) {
        tracing::warn!("holding at {step:?} until standard input ends");
        // An input that cannot be read has ended, too.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    }
}
