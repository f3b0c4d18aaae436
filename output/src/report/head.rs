//! Facts that a reader must know before the first figure.

use chrono::{DateTime, Utc};

use super::ask::Scope;
use super::model::Notice;
use super::source::Source;
use super::{note, warning};
use crate::Result;

/// If the snapshot is older than this, a run is missing, and a warning at the top states it.
const STALE_AFTER_HOURS: i64 = 36;
/// If the state of a larger share of the seats is unknown, a warning at the top states it.
const MUCH_UNKNOWN_PERCENT: i64 = 5;

pub(super) fn notices(source: &Source, scope: &Scope, now: DateTime<Utc>) -> Result<Vec<Notice>> {
    let snapshot = source.snapshot();
    let mut notices = Vec::new();
    let age_hours = (now - snapshot.now_at).num_hours();
    if snapshot.is_as_of {
        notices.push(note(format!(
            "Past snapshot of {}, with the data of that time and the current thresholds, licence terms and policy.",
            snapshot.snapshot_date
        )));
    } else if now - snapshot.now_at > chrono::TimeDelta::hours(STALE_AFTER_HOURS) {
        notices.push(warning(format!(
            "This snapshot is {age_hours} hours old, and no later one is published. Later changes are missing."
        )));
    }
    let seats = source.count("SELECT count(*) FROM accounts WHERE consumes_seat")?.unwrap_or(0);
    let unknown = source
        .count("SELECT count(*) FROM accounts WHERE consumes_seat AND seat_state = 'unknown'")?
        .unwrap_or(0);
    if unknown * 100 > seats * MUCH_UNKNOWN_PERCENT {
        notices.push(warning(format!(
            "The state of {unknown} of {seats} seats is unknown, because the record of sign-ins is too short or has a gap. \
             More seats may be idle than this report shows."
        )));
    }
    if !scope.left_out.is_empty() {
        notices.push(warning(format!(
            "This report ignores {} and covers all users and all snapshots.",
            scope.left_out.join(", ")
        )));
    }
    Ok(notices)
}
