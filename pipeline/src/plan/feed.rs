//! Whether the admin log of this window is sufficient to find changes.

use boxseat_schemas::run::Reservation;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::Survey;
use crate::guard::Refusal;
use crate::normalise::{KnownEvents, holes};

/// Refuses a feed without any event if the overlap has known events, or if the silence is improbable for this enterprise.
///
/// The feed is known to return nothing for days without any error (box/box-java-sdk#849).
///
/// # Errors
/// [`Refusal::SilentFeed`].
pub fn silence(
    survey: &Survey,
    reservation: &Reservation,
    known: &KnownEvents,
    quiet_dates: &[NaiveDate],
) -> Result<(), Refusal> {
    if survey.events() > 0 {
        return Ok(());
    }
    let silent_days = holes(reservation, survey.day_counts(), &known.earlier_days.all, quiet_dates);
    let reason = match (known.ids.len(), silent_days.first()) {
        (0, None) => return Ok(()),
        (0, Some((day, _))) => format!("and many are usual from {} on", day.format("%A, %F")),
        (count, _) => format!("although earlier runs read {count} there"),
    };
    let time = |at: DateTime<Utc>| at.format("%F %H:%M UTC").to_string();
    Err(Refusal::SilentFeed {
        from: time(reservation.window_from_at),
        to: time(reservation.window_to_at),
        reason,
    })
}

/// Why the feed is not reliable for changes; then everything is read. `None` if it is reliable.
pub fn failure(
    survey: &Survey,
    reservation: &Reservation,
    known: &KnownEvents,
    overlap: TimeDelta,
    quiet_dates: &[NaiveDate],
) -> Option<String> {
    if survey.feed.login_only {
        return Some("Box refused the list of event types, so changes are unknown".to_owned());
    }
    let overlapping = known.previous_window_to.map(|to| to - reservation.window_from_at);
    if let Some(overlapping) = overlapping.filter(|hours| *hours < overlap) {
        return Some(format!(
            "the admin log overlaps the last run by {} h instead of {} h",
            overlapping.num_hours(),
            overlap.num_hours()
        ));
    }
    // If the last run already knew that the day was silent, it read everything.
    let silent = holes(reservation, survey.day_counts(), &known.earlier_days.all, quiet_dates);
    let (day, _) = silent.iter().find(|(_, end)| known.previous_window_to.is_none_or(|to| *end > to))?;
    Some(format!("the admin log has no event on {}", day.format("%F")))
}
