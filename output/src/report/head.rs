//! Facts that a reader must know before the first figure.

use chrono::{DateTime, Utc};

use super::ask::Scope;
use super::model::Notice;
use super::source::Source;
use super::{note, warning};
use crate::Result;

/// If the snapshot is older than this, a sentence at the top states it: a run is missing.
const STALE_AFTER_HOURS: i64 = 36;
/// If a larger share of the seats is unknown, a sentence at the top states it.
const MUCH_UNKNOWN_PERCENT: i64 = 5;

pub(super) fn notices(source: &Source, scope: &Scope, now: DateTime<Utc>) -> Result<Vec<Notice>> {
    let night = source.night();
    let mut notices = Vec::new();
    let age_hours = (now - night.now_at).num_hours();
    if night.is_as_of {
        notices.push(note(format!(
            "Looked back on: the night of {}, from what was known then, with today's thresholds, licence terms and policy.",
            night.snapshot_date
        )));
    } else if now - night.now_at > chrono::TimeDelta::hours(STALE_AFTER_HOURS) {
        notices.push(warning(format!(
            "This night is {age_hours} hours old, and no later one is published: what has happened since is missing."
        )));
    }
    let seats = source.count("SELECT count(*) FROM accounts WHERE consumes_seat")?.unwrap_or(0);
    let unknown = source
        .count("SELECT count(*) FROM accounts WHERE consumes_seat AND seat_state = 'unknown'")?
        .unwrap_or(0);
    if unknown * 100 > seats * MUCH_UNKNOWN_PERCENT {
        notices.push(warning(format!(
            "Of {unknown} of {seats} seats nothing is claimed: the record of sign-ins is too short or has a gap. \
             What is idle may be more than it says here."
        )));
    }
    if !scope.left_out.is_empty() {
        notices.push(warning(format!(
            "This report has no {}: it is about everybody and all nights.",
            scope.left_out.join(", ")
        )));
    }
    Ok(notices)
}
