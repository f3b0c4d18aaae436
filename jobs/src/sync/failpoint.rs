//! Places where a test stops the process dead, to see what the next start makes of it.
//!
//! `BOXSEAT_FAILPOINT=<step>` aborts at that step, as a power cut would but for what the kernel still holds. Without the variable
//! nothing happens; it changes no result, so it need not be kept out of a release.

use crate::config::variable;

/// Aborts when a test has named this step.
pub(super) fn reach(step: &str) {
    if variable("BOXSEAT_FAILPOINT").as_deref() == Some(step) {
        std::process::abort();
    }
}
