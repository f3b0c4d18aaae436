//! How the last starts of `sync` ended: `state/last_sync.json`, so that `status` can say why there is no newer snapshot.
//!
//! The file is a note for operators and no evidence: no rule reads it, so it is neither sealed nor in the record of the lake. A backup
//! does not contain it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use boxseat_storage::durable::{self, Access};
use boxseat_storage::json;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{CommandError, INTERRUPTED, REFUSED};
use crate::store::Store;

/// How the last start ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastSync {
    /// When it ended.
    pub(crate) ended_at: DateTime<Utc>,
    /// Its exit code.
    pub(crate) exit_code: u8,
    /// The error and its causes; empty after a success.
    #[serde(default)]
    pub(crate) lines: Vec<String>,
    /// What to do about it.
    #[serde(default)]
    pub(crate) hints: Vec<String>,
    /// How many starts in a row have failed, this one included. An interruption by an operator is no failure and no success.
    #[serde(default)]
    pub(crate) failures: u32,
    /// When the first of them ended.
    #[serde(default)]
    pub(crate) failing_since: Option<DateTime<Utc>>,
}

impl LastSync {
    /// Reads the note. A damaged one counts as none, with a warning.
    pub(crate) fn read(root: &Path) -> Option<Self> {
        let path = path(root);
        let bytes = match durable::read_regular_file(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return None,
            Err(e) => {
                tracing::warn!("cannot read {}: {e}", path.display());
                return None;
            }
        };
        json::parse(&bytes)
            .inspect_err(|e| {
                tracing::warn!("{} cannot be read ({e}); the next `sync` replaces it", path.display())
            })
            .ok()
    }

    /// The note about one more end, after an earlier one.
    fn after(earlier: Option<Self>, ended_at: DateTime<Utc>, ended: &Result<u8, CommandError>) -> Self {
        let (failures, failing_since) =
            earlier.map_or((0, None), |earlier| (earlier.failures, earlier.failing_since));
        match ended {
            Ok(exit_code) => Self {
                ended_at,
                exit_code: *exit_code,
                lines: Vec::new(),
                hints: Vec::new(),
                failures: 0,
                failing_since: None,
            },
            Err(e) => {
                let is_failure = e.exit_code() != INTERRUPTED;
                Self {
                    ended_at,
                    exit_code: e.exit_code(),
                    lines: e.lines(),
                    hints: e.hints().to_vec(),
                    failures: failures.saturating_add(u32::from(is_failure)),
                    failing_since: if is_failure { failing_since.or(Some(ended_at)) } else { failing_since },
                }
            }
        }
    }

    /// Whether a guard refused the run, so that an operator must look at it.
    pub(crate) fn is_refused(&self) -> bool {
        self.exit_code == REFUSED
    }

    /// `complete`, or the error with its causes.
    pub(crate) fn result(&self) -> String {
        if self.lines.is_empty() { "complete".to_owned() } else { self.lines.join(": ") }
    }
}

/// Writes how a start ended. Nothing is written where there is no store yet, or while another process writes to the store. A note that
/// cannot be written does not change the result of the start.
pub(crate) fn note(root: &Path, ended_at: DateTime<Utc>, ended: &Result<u8, CommandError>) {
    if !root.join("state/store.json").exists() || Store::holder(root).is_some() {
        return;
    }
    let note = LastSync::after(LastSync::read(root), ended_at, ended);
    let json = serde_json::to_vec_pretty(&note).expect("plain data");
    if let Err(e) = durable::write_file(&path(root), &json, &Access::from(0o600)) {
        tracing::warn!("how this run ended could not be noted for `boxseat status`: {e}");
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("state/last_sync.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u32) -> DateTime<Utc> {
        format!("2026-03-02T{hour:02}:00:00Z").parse().unwrap()
    }

    #[test]
    fn failures_in_a_row_are_counted_from_the_first_one() {
        let denied = || Err(CommandError::usage("Box refused the sign-in").hint("check the secret"));
        let first = LastSync::after(None, at(1), &denied());
        let second = LastSync::after(Some(first), at(2), &denied());
        assert_eq!((second.failures, second.failing_since, second.exit_code), (2, Some(at(1)), 2));
        assert_eq!((second.result().as_str(), second.hints.len()), ("Box refused the sign-in", 1));
        let stopped = LastSync::after(Some(second), at(3), &Err(CommandError::interrupted("stopped")));
        assert_eq!((stopped.failures, stopped.failing_since), (2, Some(at(1))), "neither failed nor done");
        let done = LastSync::after(Some(stopped), at(4), &Ok(4));
        assert_eq!((done.failures, done.failing_since, done.result().as_str()), (0, None, "complete"));
    }
}
