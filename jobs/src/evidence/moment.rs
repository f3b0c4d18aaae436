//! When a report says something happened, as late as its words allow.
//!
//! The console writes the local time of whoever ran the report and does not say which that is
//! (<https://support.box.com/hc/en-us/articles/4415011447443-User-Details-Report>). What is imported may only ever move a person
//! towards "used", so a stamp is taken as the latest moment it can mean anywhere: with the zone given, exactly; without it, in
//! the zone that is furthest behind UTC; a bare day, as its end.

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// What a cell says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stamp {
    /// No use at all: empty, or a word such as Never.
    Nothing,
    /// A moment, with its offset from UTC.
    Instant(DateTime<Utc>),
    /// A time of day somewhere.
    Local(NaiveDateTime),
    /// A day somewhere.
    Day(NaiveDate),
    /// Three numbers of which the first two may be day and month or month and day, and a time of day if there is one.
    Slashed { first: u32, second: u32, year: i32, time: Option<NaiveTime> },
}

/// In which order a file writes day and month, as far as its cells tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Order {
    day_first: bool,
    month_first: bool,
}

impl Stamp {
    /// Reads a cell; `None` when it is no stamp of any form known.
    pub(super) fn read(cell: &str) -> Option<Self> {
        let cell = cell.trim();
        if ["", "-", "never", "n/a", "na", "none", "null"].contains(&cell.to_ascii_lowercase().as_str()) {
            return Some(Self::Nothing);
        }
        if let Ok(at) = DateTime::parse_from_rfc3339(cell) {
            return Some(Self::Instant(at.to_utc()));
        }
        let offsets = ["%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M %z"];
        if let Some(at) = offsets.iter().find_map(|form| DateTime::parse_from_str(cell, form).ok()) {
            return Some(Self::Instant(at.to_utc()));
        }
        if let Some(text) = ["UTC", "GMT", "Z"].iter().find_map(|zone| cell.strip_suffix(zone)) {
            return match Self::read(text.trim_end())? {
                Self::Local(at) => Some(Self::Instant(at.and_utc())),
                day @ Self::Day(_) => Some(day),
                _ => None,
            };
        }
        let local = TIMES.iter().find_map(|form| NaiveDateTime::parse_from_str(cell, form).ok());
        let day = || DAYS.iter().find_map(|form| NaiveDate::parse_from_str(cell, form).ok());
        local.map(Self::Local).or_else(|| day().map(Self::Day)).or_else(|| slashed(cell))
    }

    /// What this cell tells of the file's order of day and month.
    pub(super) fn tells(&self, order: &mut Order) {
        if let Self::Slashed { first, second, .. } = self {
            order.day_first |= *first > 12;
            order.month_first |= *second > 12;
        }
    }

    /// The latest moment it can mean; `None` for [`Stamp::Nothing`] and for a day that no calendar has.
    pub(super) fn latest(&self, order: Order, zone: Option<Tz>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Nothing => None,
            Self::Instant(at) => Some(*at),
            Self::Local(at) => latest_local(*at, zone),
            Self::Day(day) => latest_local(end_of(*day)?, zone),
            Self::Slashed { first, second, year, time } => {
                let read = |month: u32, day: u32| {
                    let day = NaiveDate::from_ymd_opt(*year, month, day)?;
                    latest_local(time.map_or_else(|| end_of(day), |time| Some(day.and_time(time)))?, zone)
                };
                let (month_first, day_first) = (read(*first, *second), read(*second, *first));
                match (order.month_first, order.day_first) {
                    (true, _) => month_first,
                    (false, true) => day_first,
                    // Nothing in the file decides: the later of the two that has been.
                    (false, false) => {
                        let has_been = |at: &DateTime<Utc>| *at < now + TimeDelta::days(2);
                        let both = || [month_first, day_first].into_iter().flatten();
                        both().filter(has_been).max().or_else(|| both().min())
                    }
                }
            }
        }
    }
}

impl Order {
    /// Whether the cells contradict each other.
    pub(super) fn is_mixed(self) -> bool {
        self.day_first && self.month_first
    }
}

/// `3/14/2026`, `14.3.2026`, `3-14-26`, with a time of day or without.
fn slashed(cell: &str) -> Option<Stamp> {
    let (date, time) = cell
        .split_once([' ', ','])
        .map_or((cell, ""), |(date, time)| (date, time.trim_start_matches([' ', ','])));
    let mut parts = date.split(['/', '.', '-']);
    let mut number = || parts.next()?.parse::<u32>().ok();
    let (first, second, year) = (number()?, number()?, number()?);
    if parts.next().is_some() || first == 0 || second == 0 || first > 31 || second > 31 {
        return None;
    }
    let year = i32::try_from(if year < 100 { year + 2000 } else { year }).ok()?;
    let time = match time {
        "" => None,
        text => Some(CLOCKS.iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())?),
    };
    Some(Stamp::Slashed { first, second, year, time })
}

fn end_of(day: NaiveDate) -> Option<NaiveDateTime> {
    Some(day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN) - TimeDelta::seconds(1))
}

fn latest_local(at: NaiveDateTime, zone: Option<Tz>) -> Option<DateTime<Utc>> {
    let Some(zone) = zone else { return Some(at.and_utc() + FURTHEST_BEHIND) };
    match zone.from_local_datetime(&at) {
        LocalResult::Single(at) => Some(at.to_utc()),
        LocalResult::Ambiguous(_, later) => Some(later.to_utc()),
        // An hour that the clocks skipped: nobody's clock showed it, and the hour after it is the latest it can mean.
        LocalResult::None => {
            zone.from_local_datetime(&(at + TimeDelta::hours(1))).latest().map(|at| at.to_utc())
        }
    }
}

/// No clock on earth is further behind UTC.
const FURTHEST_BEHIND: TimeDelta = TimeDelta::hours(12);

const TIMES: &[&str] = &[
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%B %d, %Y %I:%M:%S %p",
    "%B %d, %Y %I:%M %p",
    "%B %d, %Y, %I:%M %p",
    "%B %d, %Y %H:%M",
    "%d %B %Y %H:%M",
    "%a %B %d, %Y %I:%M %p",
];
const DAYS: &[&str] = &["%Y-%m-%d", "%B %d, %Y", "%B %d %Y", "%d %B %Y", "%a %B %d, %Y"];
const CLOCKS: &[&str] = &["%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p"];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn a_stamp_is_the_latest_moment_it_can_mean() {
        let (now, berlin, none) = (at("2026-06-30T00:00:00Z"), Some(Tz::Europe__Berlin), None);
        for (cell, zone, latest) in [
            ("2026-03-02T08:14:05-08:00", none, "2026-03-02T16:14:05Z"),
            ("2026-03-02 08:14:05 UTC", none, "2026-03-02T08:14:05Z"),
            ("2026-03-02 08:14:05", none, "2026-03-02T20:14:05Z"),
            ("2026-03-02 08:14:05", berlin, "2026-03-02T07:14:05Z"),
            ("2026-07-02 08:14", berlin, "2026-07-02T06:14:00Z"),
            ("Mar 2, 2026 8:14 AM", none, "2026-03-02T20:14:00Z"),
            ("March 2, 2026", berlin, "2026-03-02T22:59:59Z"),
            ("2026-03-02", none, "2026-03-03T11:59:59Z"),
            // The clock that was turned back showed it twice, the one turned on never did.
            ("2026-10-25 02:30:00", berlin, "2026-10-25T01:30:00Z"),
            ("2026-03-29 02:30:00", berlin, "2026-03-29T01:30:00Z"),
            // February or March: what has been, and of two that have been the later.
            ("2/3/2026", berlin, "2026-03-02T22:59:59Z"),
            ("7/3/2026 08:00", berlin, "2026-03-07T07:00:00Z"),
        ] {
            let stamp = Stamp::read(cell).expect(cell);
            assert_eq!(stamp.latest(Order::default(), zone, now), Some(at(latest)), "{cell} in {zone:?}");
        }
        for cell in ["", " - ", "Never", "N/A"] {
            assert_eq!(Stamp::read(cell), Some(Stamp::Nothing), "{cell}");
        }
        for cell in ["yesterday", "32/1/2026", "2026", "1/2/3/4", "0/1/2026", "12:30"] {
            assert_eq!(Stamp::read(cell), None, "{cell}");
        }
    }

    #[test]
    fn one_cell_decides_for_all() {
        let now = at("2026-06-30T00:00:00Z");
        let stamps = ["5/4/2026", "13/4/2026"].map(|cell| Stamp::read(cell).expect(cell));
        let mut order = Order::default();
        stamps.iter().for_each(|stamp| stamp.tells(&mut order));
        assert_eq!(stamps[0].latest(order, Some(Tz::UTC), now), Some(at("2026-04-05T23:59:59Z")));
        Stamp::read("4/13/2026").expect("a stamp").tells(&mut order);
        assert!(order.is_mixed());
    }
}
