//! The spans of the event feed that are proved to have no gap.
//!
//! A walk that reached its end proves its window, with one exception: the feed is known to return nothing for days without any error
//! (box/box-java-sdk#849). UTC days without any event are a hole if many events are usual on such days. UTC days without a LOGIN are a hole
//! of LOGIN if many LOGIN events are usual on such days.

use std::collections::BTreeSet;

use boxseat_schemas::event_types::LOGIN;
use boxseat_schemas::run::Reservation;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::silence::{DayCounts, EventDays, KnownDays};

/// An interval of one event type: `from` inclusive, `to` exclusive.
pub(super) type Interval = (String, DateTime<Utc>, DateTime<Utc>);

/// Length of the hole that a sign-in without a user leaves in the proved span. A user is proved idle only after the latest such sign-in, so
/// the length does not matter.
const MOMENT: TimeDelta = TimeDelta::seconds(1);
/// Sign-ins without a user share one hole if they are closer to each other than this.
const ONE_DAY: TimeDelta = TimeDelta::days(1);

/// What a run read completely.
pub(super) struct Coverage<'a> {
    /// The run, with its window and types.
    pub reservation: &'a Reservation,
    /// Per slice, whether Box refused the list of types and only LOGIN was read.
    pub login_only: &'a [bool],
    /// Whether Box refused the types of [`Reservation::activity`].
    pub activity_refused: bool,
    /// Events that could not be read.
    pub unread: &'a [UnreadEvent],
    /// Sign-ins without a user. Each may belong to any user, so no user is proved idle at that time.
    pub unattributed: &'a BTreeSet<DateTime<Utc>>,
}

/// An event that could not be read: its slice may have a login that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadEvent {
    /// The slice of the event.
    pub slice: u32,
    /// Its type, if the type could be read; `None` may be any type.
    pub event_type: Option<String>,
}

impl Coverage<'_> {
    /// The proved intervals per type, oldest first. `counts` are the window's events per day, `earlier` those of days before it. No run has
    /// read an event of a day that is in neither.
    pub(super) fn intervals(
        &self,
        counts: &EventDays,
        earlier: &EventDays,
        quiet_dates: &[NaiveDate],
    ) -> Vec<Interval> {
        let slices = self.reservation.slices();
        let without_logins = holes(self.reservation, &counts.logins, &earlier.logins, quiet_dates);
        let holes = holes(self.reservation, &counts.all, &earlier.all, quiet_dates);
        let login_holes = self.login_holes(&[&holes[..], &without_logins].concat());
        let mut intervals = Vec::new();
        for event_type in &self.reservation.event_types {
            let mut proved: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
            for (slice, span) in slices.iter().enumerate() {
                if event_type != LOGIN && self.login_only.get(slice).copied().unwrap_or(false) {
                    continue;
                }
                if self.has_unread(slice, event_type) {
                    continue;
                }
                let holes = if event_type == LOGIN { &login_holes } else { &holes };
                for (from, to) in without(*span, holes) {
                    match proved.last_mut() {
                        Some(last) if last.1 == from => last.1 = to,
                        _ => proved.push((from, to)),
                    }
                }
            }
            intervals.extend(proved.into_iter().map(|(from, to)| (event_type.clone(), from, to)));
        }
        let (slice, to) = (self.reservation.activity_slice() as usize, self.reservation.window_to_at);
        for activity in self.reservation.activity.iter().filter(|_| !self.activity_refused) {
            for event_type in activity.event_types.iter().filter(|kind| !self.has_unread(slice, kind)) {
                let spans = without((activity.from_at, to), &holes);
                intervals.extend(spans.into_iter().map(|(from, to)| (event_type.clone(), from, to)));
            }
        }
        intervals
    }

    /// The holes, and the times of sign-ins without a user, oldest first.
    fn login_holes(&self, holes: &[(DateTime<Utc>, DateTime<Utc>)]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut moments: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for at in self.unattributed {
            match moments.last_mut() {
                // Thousands of such sign-ins must not create thousands of intervals.
                Some((_, end)) if *at <= *end + ONE_DAY => *end = *at + MOMENT,
                _ => moments.push((*at, *at + MOMENT)),
            }
        }
        moments.extend(holes);
        moments.sort_unstable();
        moments
    }

    /// Whether an event of this type may be among the events of the slice that could not be read.
    fn has_unread(&self, slice: usize, event_type: &str) -> bool {
        let may_be = |unread: &UnreadEvent| unread.event_type.as_ref().is_none_or(|kind| kind == event_type);
        self.unread.iter().any(|unread| unread.slice as usize == slice && may_be(unread))
    }
}

/// An admin log without a single event for this time proves nothing, and one without a single LOGIN proves nothing about sign-ins: an
/// enterprise that is in use has some.
const SILENT_START: TimeDelta = TimeDelta::days(7);

/// Improbable silences ([`KnownDays`]) that end in the window, as spans of whole days. `counts` and `earlier` have the events. The day in
/// which the window starts is included: an earlier run read its first hours and could not evaluate the whole day. A later window must find
/// the same hole.
pub fn holes(
    reservation: &Reservation,
    counts: &DayCounts,
    earlier: &DayCounts,
    quiet_dates: &[NaiveDate],
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let (from, to) = (reservation.window_from_at, reservation.window_to_at);
    // The first run has no earlier day to compare with.
    if counts.values().chain(earlier.values()).all(|events| *events == 0) && to - from >= SILENT_START {
        return vec![(from, to)];
    }
    let first = earlier.keys().next().copied().unwrap_or(from.date_naive()).min(from.date_naive());
    let known = KnownDays { counts: &[counts, earlier], first, end: to.date_naive(), quiet_dates };
    let silences = known.improbable_silences(from.date_naive()).into_iter();
    silences.map(|silence| (midnight(silence.first), midnight(silence.end))).collect()
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The remaining spans after the holes are removed.
fn without(
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    holes: &[(DateTime<Utc>, DateTime<Utc>)],
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut rest = Vec::new();
    let mut start = from;
    for (hole_from, hole_to) in holes.iter().filter(|(hole_from, hole_to)| *hole_to > from && *hole_from < to)
    {
        if *hole_from > start {
            rest.push((start, *hole_from));
        }
        start = start.max(*hole_to);
    }
    if start < to {
        rest.push((start, to));
    }
    rest
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::RunNumber;
    use boxseat_schemas::run::{RESERVATION_FORMAT, RunKind};
    use chrono::{Datelike, Days};

    use super::*;

    static NONE: BTreeSet<DateTime<Utc>> = BTreeSet::new();

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn reservation(event_slices: u32) -> Reservation {
        Reservation {
            format: RESERVATION_FORMAT,
            run_number: RunNumber(1),
            run_id: uuid::Uuid::nil(),
            kind: RunKind::Sync,
            started_at: at("2026-03-30T02:00:00Z"),
            snapshot_date: at("2026-03-30T02:00:00Z").date_naive(),
            window_from_at: at("2026-02-01T12:00:00Z"),
            window_to_at: at("2026-03-30T01:45:00Z"),
            event_types: vec!["LOGIN".into(), "NEW_USER".into()],
            event_slices,
            activity: None,
            base_run_number: None,
            replaces_run_number: None,
            store_id: uuid::Uuid::nil(),
            record: None,
            host: String::new(),
            version: String::new(),
        }
    }

    /// 60 events a working day, none at weekends.
    fn working_days() -> DayCounts {
        let first = at("2026-02-01T00:00:00Z").date_naive();
        (0..58)
            .map(|d| first + Days::new(d))
            .filter(|d| d.weekday().number_from_monday() < 6)
            .map(|d| (d, 60))
            .collect()
    }

    /// Events of which each is a LOGIN.
    fn all_logins(counts: &DayCounts) -> EventDays {
        EventDays { all: counts.clone(), logins: counts.clone() }
    }

    fn logins(login_only: &[bool], counts: &DayCounts, quiet: &[NaiveDate]) -> Vec<(String, String)> {
        spans("LOGIN", login_only, &all_logins(counts), quiet)
    }

    fn spans(
        event_type: &str,
        login_only: &[bool],
        counts: &EventDays,
        quiet: &[NaiveDate],
    ) -> Vec<(String, String)> {
        let reservation = reservation(3);
        let coverage = Coverage {
            reservation: &reservation,
            login_only,
            activity_refused: false,
            unread: &[],
            unattributed: &NONE,
        };
        let intervals = coverage.intervals(counts, &EventDays::default(), quiet);
        intervals
            .into_iter()
            .filter(|i| i.0 == event_type)
            .map(|i| (i.1.to_rfc3339(), i.2.to_rfc3339()))
            .collect()
    }

    #[test]
    fn complete_walk_proves_its_window_including_weekends() {
        let whole = [("2026-02-01T12:00:00+00:00".to_owned(), "2026-03-30T01:45:00+00:00".to_owned())];
        assert_eq!(logins(&[false; 3], &working_days(), &[]), whole);
    }

    /// Why: an empty log made every user of a first run idle for the whole window.
    #[test]
    fn log_without_any_event_on_the_first_run_proves_nothing() {
        let nothing: [(String, String); 0] = [];
        assert_eq!(logins(&[false; 3], &DayCounts::new(), &[]), nothing);
        let one_event = DayCounts::from([(at("2026-02-03T00:00:00Z").date_naive(), 1)]);
        assert_eq!(logins(&[false; 3], &one_event, &[]).len(), 1, "a small enterprise has few events");
    }

    #[test]
    fn a_silent_working_day_is_a_hole_unless_it_is_a_holiday() {
        let mut counts = working_days();
        let tuesday = at("2026-03-17T00:00:00Z").date_naive();
        counts.remove(&tuesday);
        let intervals = logins(&[false; 3], &counts, &[]);
        assert_eq!(intervals.len(), 2);
        assert_eq!(
            (intervals[0].1.as_str(), intervals[1].0.as_str()),
            ("2026-03-17T00:00:00+00:00", "2026-03-18T00:00:00+00:00")
        );
        assert_eq!(logins(&[false; 3], &counts, &[tuesday]).len(), 1);
    }

    /// Why: one slice of a first run returned nothing. Sign-ins of two weeks were missing, and the span was proved.
    #[test]
    fn lost_slice_of_a_small_enterprise_is_a_hole() {
        let few: DayCounts = working_days().into_keys().map(|day| (day, 5)).collect();
        let (from, to) = (at("2026-03-02T00:00:00Z"), at("2026-03-17T00:00:00Z"));
        let lost: DayCounts = few
            .clone()
            .into_iter()
            .filter(|(day, _)| *day < from.date_naive() || *day >= to.date_naive())
            .collect();
        assert_eq!(logins(&[false; 3], &few, &[]).len(), 1);
        let intervals = logins(&[false; 3], &lost, &[]);
        assert_eq!(intervals.len(), 2);
        assert_eq!(
            (intervals[0].1.as_str(), intervals[1].0.as_str()),
            (from.to_rfc3339().as_str(), to.to_rfc3339().as_str())
        );
    }

    /// Why: a log that lacked every sign-in of some days and still had other events proved those days, and all users were idle in them.
    #[test]
    fn days_without_a_login_are_a_hole_of_login_alone_if_many_are_usual() {
        let (first, end) = (at("2026-03-16T00:00:00Z"), at("2026-03-18T00:00:00Z"));
        let lost = [first.date_naive(), first.date_naive() + Days::new(1)];
        let counts = |logins_a_day: u64| {
            let all = working_days();
            let logins =
                all.keys().map(|day| (*day, if lost.contains(day) { 0 } else { logins_a_day })).collect();
            EventDays { all, logins }
        };
        let spans = |event_type: &str, logins_a_day: u64, quiet: &[NaiveDate]| {
            spans(event_type, &[false; 3], &counts(logins_a_day), quiet)
        };
        let logins = spans("LOGIN", 25, &[]);
        assert_eq!(logins.len(), 2);
        assert_eq!((&logins[0].1, &logins[1].0), (&first.to_rfc3339(), &end.to_rfc3339()));
        assert_eq!(spans("NEW_USER", 25, &[]).len(), 1, "changes are known");
        assert_eq!(spans("LOGIN", 24, &[]).len(), 1, "48 sign-ins are usual");
        assert_eq!(spans("LOGIN", 25, &lost).len(), 1);
        assert!(spans("LOGIN", 0, &[]).is_empty(), "a first run without any sign-in");
    }

    /// Why: three days after a lost day the overlap starts in that day. The rest of the day was reported as covered, which closed the
    /// gap, so users were idle because of a day that was never read.
    #[test]
    fn hole_remains_for_the_window_that_starts_in_it() {
        let mut earlier = working_days();
        let tuesday = at("2026-03-17T00:00:00Z").date_naive();
        let counts = earlier.split_off(&tuesday);
        let mut lost = counts.clone();
        lost.remove(&tuesday);
        let window = Reservation { window_from_at: at("2026-03-17T05:45:00Z"), ..reservation(1) };
        let from = |counts: &DayCounts, earlier: &DayCounts| {
            let coverage = Coverage {
                reservation: &window,
                login_only: &[false],
                activity_refused: false,
                unread: &[],
                unattributed: &NONE,
            };
            coverage.intervals(&all_logins(counts), &all_logins(earlier), &[])[0].1.to_rfc3339()
        };
        assert_eq!(from(&lost, &earlier), "2026-03-18T00:00:00+00:00");
        assert_eq!(from(&counts, &earlier), "2026-03-17T05:45:00+00:00");
        // The events of that day came before the window.
        earlier.insert(tuesday, 60);
        assert_eq!(from(&lost, &earlier), "2026-03-17T05:45:00+00:00");
    }

    #[test]
    fn refused_types_have_no_coverage_in_that_slice() {
        let reservation = reservation(3);
        let coverage = Coverage {
            reservation: &reservation,
            login_only: &[false, true, false],
            activity_refused: false,
            unread: &[],
            unattributed: &NONE,
        };
        let intervals = coverage.intervals(&all_logins(&working_days()), &EventDays::default(), &[]);
        let count = |wanted: &str| intervals.iter().filter(|i| i.0 == wanted).count();
        assert_eq!((count("LOGIN"), count("NEW_USER")), (1, 2));
    }

    #[test]
    fn unreadable_event_may_have_been_a_login() {
        let reservation = reservation(3);
        let count = |event_type: Option<&str>, wanted: &str| {
            let unread = [UnreadEvent { slice: 1, event_type: event_type.map(str::to_owned) }];
            let coverage = Coverage {
                reservation: &reservation,
                login_only: &[false; 3],
                activity_refused: false,
                unread: &unread,
                unattributed: &NONE,
            };
            let intervals = coverage.intervals(&all_logins(&working_days()), &EventDays::default(), &[]);
            intervals.iter().filter(|interval| interval.0 == wanted).count()
        };
        assert_eq!((count(None, "LOGIN"), count(None, "NEW_USER")), (2, 2));
        assert_eq!((count(Some("NEW_USER"), "LOGIN"), count(Some("NEW_USER"), "NEW_USER")), (1, 2));
    }

    /// Why: a sign-in of an unknown user was stored without a user. All users without another sign-in at that time were proved idle.
    #[test]
    fn sign_in_without_a_user_ends_the_proved_span() {
        let reservation = reservation(3);
        let unattributed =
            ["2026-03-03T09:00:00Z", "2026-03-03T21:00:00Z", "2026-03-20T09:00:00Z"].map(at).into();
        let coverage = Coverage {
            reservation: &reservation,
            login_only: &[false; 3],
            activity_refused: false,
            unread: &[],
            unattributed: &unattributed,
        };
        let intervals = coverage.intervals(&all_logins(&working_days()), &EventDays::default(), &[]);
        let spans = |wanted: &str| -> Vec<_> {
            let of = intervals.iter().filter(|interval| interval.0 == wanted);
            of.map(|interval| (interval.1.to_rfc3339(), interval.2.to_rfc3339())).collect()
        };
        let texts = |pairs: &[(&str, &str)]| -> Vec<_> {
            pairs.iter().map(|(from, to)| (at(from).to_rfc3339(), at(to).to_rfc3339())).collect()
        };
        let expected = [
            ("2026-02-01T12:00:00Z", "2026-03-03T09:00:00Z"),
            ("2026-03-03T21:00:01Z", "2026-03-20T09:00:00Z"),
            ("2026-03-20T09:00:01Z", "2026-03-30T01:45:00Z"),
        ];
        assert_eq!(spans("LOGIN"), texts(&expected));
        assert_eq!(spans("NEW_USER").len(), 1);
    }
}
