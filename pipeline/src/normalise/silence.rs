//! Whether a span without any event is improbable for this enterprise.
//!
//! Box's admin log is known to return nothing for days without any error (box/box-java-sdk#849). One rule detects this at `sync` and at
//! `apply`: a silent span is a hole if [`IMPROBABLE`] events or more are usual in it. So a hole is detected after a day in a large
//! enterprise, and after weeks in a small one. The usual number of events of a day is the median of the same weekday in the four weeks
//! before the span, so weekends and holidays of other weeks do not count as losses.
//!
//! The rule applies to the events of all types and, for the proof of sign-ins, to LOGIN events alone: a log may lack all LOGIN events and
//! still have other events.

use std::collections::BTreeMap;

use boxseat_schemas::event_types::LOGIN;
use chrono::{Days, NaiveDate};

/// Events per UTC day.
pub type DayCounts = BTreeMap<NaiveDate, u64>;

/// Events per UTC day, of all types and of LOGIN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventDays {
    /// Events of all types.
    pub all: DayCounts,
    /// LOGIN events. A day that has only events of other types is included with zero, so both maps start at the same day.
    pub logins: DayCounts,
}

impl EventDays {
    /// Adds one event.
    pub fn add(&mut self, day: NaiveDate, event_type: &str) {
        *self.all.entry(day).or_default() += 1;
        *self.logins.entry(day).or_default() += u64::from(event_type == LOGIN);
    }
}

/// If this many events are usual in a silent span, the silence is not chance. With fewer usual events, the span may be a holiday.
const IMPROBABLE: u64 = 50;
/// Number of weeks of the median.
const WEEKS: usize = 4;

/// The events of an enterprise, by day.
#[derive(Debug, Clone, Copy)]
pub struct KnownDays<'a> {
    /// Events per day. The events of one day may be divided among several maps. A day in no map had no event.
    pub counts: &'a [&'a DayCounts],
    /// The first day. Only a part of it may be known, so it is not compared with other days.
    pub first: NaiveDate,
    /// The day after the last known day.
    pub end: NaiveDate,
    /// `[sync] quiet_dates`: days on which no events are expected.
    pub quiet_dates: &'a [NaiveDate],
}

/// An improbable span without any event. Days at its ends on which no event is usual do not belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Its first day.
    pub first: NaiveDate,
    /// The day after its last day.
    pub end: NaiveDate,
    /// Number of events that are usual in the span and in the silent days before it.
    pub usual_events: u64,
}

impl KnownDays<'_> {
    /// The improbable silences in the known days from `from` on, oldest first. Silent days before `from` count for the sum, because a run
    /// reads only the last days.
    pub fn improbable_silences(&self, from: NaiveDate) -> Vec<Silence> {
        let mut silences = Vec::new();
        let mut days = self.days().skip_while(|day| *day < from).peekable();
        while let Some(day) = days.next() {
            if self.count(day) > 0 {
                continue;
            }
            let mut end = next(day);
            while days.next_if(|day| self.count(*day) == 0).is_some() {
                end = next(end);
            }
            silences.extend(self.improbable(day, end));
        }
        silences
    }

    /// The silence of these days, if it is improbable.
    fn improbable(&self, from: NaiveDate, end: NaiveDate) -> Option<Silence> {
        let mut start = from;
        while let Some(before) = start.pred_opt().filter(|day| *day > self.first && self.count(*day) == 0) {
            start = before;
        }
        let silent = start.iter_days().take_while(|day| *day < end);
        let expected = silent.filter(|day| !self.quiet_dates.contains(day));
        let usual: Vec<(NaiveDate, u64)> = expected
            .map(|day| (day, self.usual(day, start, end)))
            .filter(|(_, events)| *events > 0)
            .collect();
        let usual_events = usual.iter().map(|(_, events)| events).sum();
        let first = usual.iter().map(|(day, _)| *day).find(|day| *day >= from)?;
        let end = next(usual.last()?.0);
        (usual_events >= IMPROBABLE).then_some(Silence { first, end, usual_events })
    }

    /// Usual events of a day in the silent days from `start` to `end`: the median of the same weekday in the weeks before `start`. If no
    /// week before is known, the weeks from `end` on are used.
    fn usual(&self, day: NaiveDate, start: NaiveDate, end: NaiveDate) -> u64 {
        let week = |count: usize| Days::new(7 * count as u64);
        let earlier = (1..).map_while(|count| day.checked_sub_days(week(count)));
        let earlier = earlier.take_while(|day| *day > self.first).filter(|day| *day < start);
        let earlier: Vec<u64> = earlier.take(WEEKS).map(|day| self.count(day)).collect();
        median(earlier)
            .or_else(|| {
                let later = (1..).map_while(|count| day.checked_add_days(week(count)));
                let later = later.take_while(|day| *day < self.end).filter(|day| *day >= end);
                median(later.take(WEEKS).map(|day| self.count(day)).collect())
            })
            .unwrap_or(0)
    }

    /// The days that are known as a whole.
    fn days(&self) -> impl Iterator<Item = NaiveDate> {
        let end = self.end;
        self.first.iter_days().skip(1).take_while(move |day| *day < end)
    }

    fn count(&self, day: NaiveDate) -> u64 {
        self.counts.iter().filter_map(|days| days.get(&day)).sum()
    }
}

fn next(day: NaiveDate) -> NaiveDate {
    day.succ_opt().unwrap_or(day)
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(u64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;

    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// 84 days from a Sunday on, with this number of events on each working day.
    fn working_days(events: u64) -> DayCounts {
        let days = date("2026-02-01").iter_days().take(84);
        days.filter(|day| day.weekday().number_from_monday() < 6).map(|day| (day, events)).collect()
    }

    fn silences(counts: &DayCounts, from: &str, quiet_dates: &[NaiveDate]) -> Vec<(String, String, u64)> {
        let known =
            KnownDays { counts: &[counts], first: date("2026-02-01"), end: date("2026-04-26"), quiet_dates };
        let silences = known.improbable_silences(date(from)).into_iter();
        silences.map(|one| (one.first.to_string(), one.end.to_string(), one.usual_events)).collect()
    }

    fn without(mut counts: DayCounts, from: &str, end: &str) -> DayCounts {
        counts.retain(|day, _| *day < date(from) || *day >= date(end));
        counts
    }

    fn hole(first: &str, end: &str, usual_events: u64) -> [(String, String, u64); 1] {
        [(first.to_owned(), end.to_owned(), usual_events)]
    }

    /// Why: the log of a small enterprise returned nothing for weeks, and all users were proved idle.
    #[test]
    fn silence_of_a_small_enterprise_is_a_hole_once_it_is_improbable() {
        for (events, end, days) in [(50, "2026-03-18", 1), (10, "2026-03-24", 5), (3, "2026-04-09", 17)] {
            let lost = without(working_days(events), "2026-03-17", end);
            assert_eq!(
                silences(&lost, "2026-02-01", &[]),
                hole("2026-03-17", end, events * days),
                "{events}"
            );
            let last = date(end).pred_opt().unwrap().to_string();
            let shorter = without(working_days(events), "2026-03-17", &last);
            assert!(silences(&shorter, "2026-02-01", &[]).is_empty(), "{events}");
        }
        assert!(silences(&working_days(1_000), "2026-02-01", &[]).is_empty(), "weekends are silent");
        let rare = without(working_days(1), "2026-03-01", "2026-04-26");
        assert!(silences(&rare, "2026-02-01", &[]).is_empty(), "a month off is possible");
    }

    /// A run reads only the last days, and the silence began before them.
    #[test]
    fn silent_days_before_the_window_count() {
        let lost = without(working_days(10), "2026-03-17", "2026-03-24");
        assert_eq!(silences(&lost, "2026-03-21", &[]), hole("2026-03-23", "2026-03-24", 50));
        assert!(silences(&lost, "2026-03-24", &[]).is_empty());
    }

    #[test]
    fn quiet_dates_are_not_expected_to_have_events() {
        let lost = without(working_days(10), "2026-03-17", "2026-03-24");
        assert!(silences(&lost, "2026-02-01", &[date("2026-03-19")]).is_empty());
    }

    /// The first slice of a first run has no weeks before it.
    #[test]
    fn silence_at_the_beginning_is_compared_with_the_weeks_after_it() {
        let lost = without(working_days(10), "2026-02-01", "2026-02-17");
        assert_eq!(silences(&lost, "2026-02-01", &[]), hole("2026-02-02", "2026-02-17", 110));
    }

    #[test]
    fn medians() {
        for (values, median_of) in
            [(vec![], None), (vec![7], Some(7)), (vec![0, 100], Some(50)), (vec![9, 1, 5], Some(5))]
        {
            assert_eq!(median(values), median_of);
        }
    }
}
