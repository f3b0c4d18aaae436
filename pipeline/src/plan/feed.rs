//! Whether the admin log of this window can say what changed.

use boxseat_schemas::run::Reservation;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::Survey;
use crate::guard::Refusal;
use crate::normalise::{KnownEvents, holes};

/// Refuses a feed without any event, where the overlap holds known ones or the weekday usually has many.
///
/// A feed has been known to return nothing for days without any error (box/box-java-sdk#849).
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
    let silent_days = holes(reservation, survey.day_counts(), &known.earlier_days, quiet_dates);
    let reason = match (known.ids.len(), silent_days.first()) {
        (0, None) => return Ok(()),
        (0, Some((day, _))) => format!("and a {} usually has many", day.format("%A")),
        (count, _) => format!("although {count} were read there before"),
    };
    let time = |at: DateTime<Utc>| at.format("%F %H:%M UTC").to_string();
    Err(Refusal::SilentFeed {
        from: time(reservation.window_from_at),
        to: time(reservation.window_to_at),
        reason,
    })
}

/// Why the feed cannot be relied on for what changed, if it cannot: then everything is read.
pub fn failure(
    survey: &Survey,
    reservation: &Reservation,
    known: &KnownEvents,
    overlap: TimeDelta,
    quiet_dates: &[NaiveDate],
) -> Option<String> {
    if survey.feed.login_only {
        return Some("Box refused the list of event types, so nothing says what changed".to_owned());
    }
    let overlapping = known.previous_window_to.map(|to| to - reservation.window_from_at);
    if let Some(overlapping) = overlapping.filter(|hours| *hours < overlap) {
        return Some(format!(
            "the admin log overlaps the last night by {} h and not by {} h",
            overlapping.num_hours(),
            overlap.num_hours()
        ));
    }
    // A day that the last night knew to be silent was made good then.
    let silent = holes(reservation, survey.day_counts(), &known.earlier_days, quiet_dates);
    let (day, _) = silent.iter().find(|(_, end)| known.previous_window_to.is_none_or(|to| *end > to))?;
    Some(format!("the admin log says nothing about {}", day.format("%F")))
}
