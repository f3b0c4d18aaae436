//! Times in a report, read as the latest time that they can mean.
//!
//! The console writes the local time of the admin who ran the report and does not name the zone
//! (<https://docs.box.com/en/box-admin-tools/reporting-and-insights/user-details-report>). An import must never make a user look less
//! used. So a time counts as the latest instant that it can mean: with a zone, exactly; without a zone, in the zone that is furthest
//! behind UTC; a date without a time, as the end of the day.

use chrono::{
    DateTime, Datelike, Days, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;

use boxseat_schemas::text::{is_hidden, quoted};

use super::rules::{Reads, ZoneLetters, words, zone};

/// A date, with a time of day and a zone if the cell has them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stamp {
    date: Date,
    weekday: Option<Weekday>,
    time: Option<NaiveTime>,
    zone: Option<Zone>,
    cell: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Date {
    Day(NaiveDate),
    /// The first two numbers are day and month, or month and day.
    Either {
        first: u32,
        second: u32,
        year: i32,
    },
    /// The same with a year of two digits, which may also come first.
    Short {
        first: u32,
        second: u32,
        third: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Zone {
    Fixed(FixedOffset),
    Named(Tz),
}

/// Why a cell cannot be read. Display names the cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("{} is not a date or time", quoted(.0))]
    NoStamp(String),
    #[error("{} is not a day of the calendar", quoted(.0))]
    NoSuchDay(String),
    #[error("{}: {} is not a known time zone", quoted(.cell), quoted(.zone))]
    UnknownZone { cell: String, zone: String },
    #[error("{}: {} means several time zones", quoted(.cell), quoted(.zone))]
    AmbiguousZone { cell: String, zone: String },
}

/// The order of day and month in a file, as far as its cells show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Order {
    day_first: bool,
    month_first: bool,
}

impl Stamp {
    /// Reads a cell; `None` if it means no use.
    ///
    /// # Errors
    /// [`Unread`] with the cell.
    pub(super) fn read(cell: &str) -> Result<Option<Self>, Unread> {
        let cell = named(cell);
        // Browsers write direction marks between the parts of a date.
        let seen: String = cell.chars().filter(|c| !is_hidden(*c)).collect();
        let lower = seen.to_lowercase();
        if words(Reads::NoUse).any(|word| word == lower) {
            return Ok(None);
        }
        let no_stamp = || Unread::NoStamp(cell.clone());
        let (weekday, rest) = weekday(&seen);
        // The hour begins with the digits before the first colon.
        let (day, clock) = match rest.find(':') {
            None => (rest, None),
            Some(colon) => {
                let hour = rest[..colon].trim_end_matches(|c: char| c.is_ascii_digit()).len();
                (&rest[..hour], Some(&rest[hour..]))
            }
        };
        let (time, zone, date) = match clock {
            Some(clock) => {
                let (time, letters) = time_of_day(clock).ok_or_else(no_stamp)?;
                let day = day.trim_end();
                let is_iso = |day: &&str| day.ends_with(|c: char| c.is_ascii_digit());
                let iso = day.strip_suffix(['T', 't']).filter(is_iso);
                let day = iso.or(day.strip_suffix(" at")).unwrap_or(day);
                // Mon Oct 5 08:14:05 PDT 2026
                let (letters, year) = match letters.rsplit_once(' ').unwrap_or(("", letters)) {
                    (letters, year) if is_year(year) => (letters, year),
                    _ => (letters, ""),
                };
                let date = date(&format!("{day} {year}")).ok_or_else(no_stamp)?;
                (Some(time), zone_of(&cell, letters)?, date)
            }
            None => match date(day) {
                Some(date) => (None, None, date),
                // A day with zone letters, such as 2026-10-05 UTC.
                None => {
                    let head = day.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                    let date = date(head.trim_end()).ok_or_else(no_stamp)?;
                    (None, zone_of(&cell, &day[head.len()..])?, date)
                }
            },
        };
        Ok(Some(Self { date, weekday, time, zone, cell }))
    }

    /// Adds what this cell shows about the file's order of day and month.
    pub(super) fn add_to(&self, order: &mut Order) {
        match self.date {
            Date::Day(_) => {}
            Date::Either { first, second, .. } => {
                order.day_first |= first > 12;
                order.month_first |= second > 12;
            }
            // A first number above 12 may be the year.
            Date::Short { second, .. } => order.month_first |= second > 12,
        }
    }

    /// Whether the cell has a time zone.
    pub(super) fn has_zone(&self) -> bool {
        self.zone.is_some()
    }

    /// Whether it can mean more than one day.
    pub(super) fn is_ambiguous(&self, order: Order) -> bool {
        let days = self.days(order);
        days.iter().any(|day| *day != days[0])
    }

    /// The latest past instant that it can mean. `zone` is used if the cell has no zone.
    ///
    /// # Errors
    /// A day that is not in the calendar, or does not have the weekday of the cell.
    pub(super) fn latest(
        &self,
        order: Order,
        zone: Option<Tz>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Unread> {
        let zone = self.zone.or(zone.map(Zone::Named));
        let moment = |day: &NaiveDate| {
            latest_local(self.time.map_or_else(|| end_of(*day), |time| Some(day.and_time(time)))?, zone)
        };
        let moments: Vec<DateTime<Utc>> = self.days(order).iter().filter_map(moment).collect();
        let has_been = |at: &&DateTime<Utc>| **at < now + TimeDelta::days(2);
        let latest = moments.iter().filter(has_been).max().or_else(|| moments.iter().min());
        latest.copied().ok_or_else(|| Unread::NoSuchDay(self.cell.clone()))
    }

    /// The days that it can mean: several if the file does not show the order.
    fn days(&self, order: Order) -> Vec<NaiveDate> {
        let date = NaiveDate::from_ymd_opt;
        let (month_first, day_first, year_first) = match self.date {
            Date::Day(day) => (Some(day), None, None),
            Date::Either { first, second, year } => {
                (date(year, first, second), date(year, second, first), None)
            }
            Date::Short { first, second, third } => {
                let year = |number: u32| 2000 + i32::try_from(number).expect("two digits");
                (
                    date(year(third), first, second),
                    date(year(third), second, first),
                    date(year(first), second, third),
                )
            }
        };
        let days = match (self.date, order.month_first, order.day_first) {
            (Date::Day(_), ..) | (_, true, _) => [month_first, None, None],
            (_, false, true) => [day_first, None, None],
            (_, false, false) => [month_first, day_first, year_first],
        };
        let is_weekday = |day: &NaiveDate| self.weekday.is_none_or(|weekday| weekday == day.weekday());
        days.into_iter().flatten().filter(is_weekday).collect()
    }
}

impl Order {
    /// Whether the cells contradict each other.
    pub(super) fn is_mixed(self) -> bool {
        self.day_first && self.month_first
    }
}

/// A cell for messages: in one line, and shortened.
fn named(cell: &str) -> String {
    let text = cell.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST_STAMP) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The weekday at the start of a cell such as `Mon, Oct 5, 2026`, and the rest.
fn weekday(text: &str) -> (Option<Weekday>, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    match text[..end].parse() {
        Ok(weekday) => (Some(weekday), text[end..].trim_start_matches(['.', ',', ' '])),
        Err(_) => (None, text),
    }
}

fn date(text: &str) -> Option<Date> {
    let spaced = text.replace(',', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    // Chrono's pattern for a year of four digits reads `5-Oct-26` as the year 26.
    let read = |form| NaiveDate::parse_from_str(&spaced, form).ok().filter(|date| date.year() >= 1000);
    words(Reads::Date).find_map(read).map(Date::Day).or_else(|| either(&spaced))
}

/// `3/14/2026`, `14.3.2026`, `3-14-26`.
fn either(text: &str) -> Option<Date> {
    let separator = words(Reads::DateSeparator).find(|separator| text.contains(separator))?;
    let parts: Vec<&str> = text.split(separator).collect();
    let [first, second, year] = parts[..] else { return None };
    let number = |text: &str, most: usize| {
        let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten()
    };
    let (first, second) = (number(first, 2)?, number(second, 2)?);
    let is_day = |number: u32| (1..=31).contains(&number);
    match year.len() {
        4 if is_day(first) && is_day(second) => {
            Some(Date::Either { first, second, year: i32::try_from(number(year, 4)?).ok()? })
        }
        2 => Some(Date::Short { first, second, third: number(year, 2)? }),
        _ => None,
    }
}

/// A time of day, and the rest of the text.
fn time_of_day(text: &str) -> Option<(NaiveTime, &str)> {
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(text.len());
    let (digits, rest) = (text[..end].replace(',', "."), text[end..].trim_start());
    let half = ["am", "pm", "a.m.", "p.m."].into_iter().find(|half| {
        rest.get(..half.len()).is_some_and(|start| start.eq_ignore_ascii_case(half))
            && !rest[half.len()..].starts_with(|c: char| c.is_alphanumeric())
    });
    let (clock, rest) = match half {
        Some(half) => (format!("{digits} {}m", &half[..1]), rest[half.len()..].trim_start()),
        None => (digits, rest),
    };
    let time = words(Reads::Clock).find_map(|form| NaiveTime::parse_from_str(&clock, form).ok())?;
    Some((time, rest))
}

/// `PDT`, `+02:00`, `-0700`, `GMT+2`, `(UTC)`, `+0000 (UTC)`, `+0200 CEST`, `Europe/Berlin`.
fn zone_of(cell: &str, text: &str) -> Result<Option<Zone>, Unread> {
    let unknown = || Unread::UnknownZone { cell: cell.to_owned(), zone: text.to_owned() };
    // A comment repeats the offset before it.
    let text = match text.split_once(['(', '[']) {
        Some(("", inner)) => inner.trim_end_matches([')', ']']),
        Some((offset, _)) => offset.trim_end(),
        None => text,
    };
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(named) = text.contains('/').then(|| text.parse::<Tz>().ok()).flatten() {
        return Ok(Some(Zone::Named(named)));
    }
    let (letters, offset) = text.split_at(text.find(['+', '-', '−']).unwrap_or(text.len()));
    let letters = letters.trim_end();
    if offset.is_empty() {
        return match zone(letters) {
            ZoneLetters::Fixed(offset) => Ok(Some(Zone::Fixed(offset))),
            ZoneLetters::Ambiguous => {
                Err(Unread::AmbiguousZone { cell: cell.to_owned(), zone: letters.to_owned() })
            }
            ZoneLetters::Unknown => Err(unknown()),
        };
    }
    let is_base =
        letters.is_empty() || zone(letters) == ZoneLetters::Fixed(FixedOffset::east_opt(0).expect("UTC"));
    // Letters after an offset repeat it.
    let offset = match offset.split_once(' ') {
        Some((offset, letters)) if letters.bytes().all(|byte| byte.is_ascii_alphabetic()) => offset,
        _ => offset,
    };
    let offset = offset_seconds(offset).and_then(FixedOffset::east_opt).filter(|_| is_base);
    offset.map(|offset| Some(Zone::Fixed(offset))).ok_or_else(unknown)
}

/// `+2`, `+02`, `-0700`, `-07:00`.
fn offset_seconds(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('+') {
        Some(digits) => (1, digits),
        None => (-1, text.strip_prefix('-').or_else(|| text.strip_prefix('−'))?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => digits
            .split_at_checked(digits.len().saturating_sub(2))
            .filter(|(hours, _)| !hours.is_empty())
            .unwrap_or((digits, "0")),
    };
    let number = |text: &str, most: i32| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|number| is_number && *number <= most)
    };
    // No zone is further from UTC than 14 hours.
    Some(sign * (number(hours, 14)? * 60 + number(minutes, 59)?) * 60)
}

fn end_of(day: NaiveDate) -> Option<NaiveDateTime> {
    Some(day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN) - TimeDelta::seconds(1))
}

fn latest_local(at: NaiveDateTime, zone: Option<Zone>) -> Option<DateTime<Utc>> {
    let zone = match zone {
        None => return at.and_utc().checked_add_signed(FURTHEST_BEHIND),
        Some(Zone::Fixed(offset)) => return at.checked_sub_offset(offset).map(|at| at.and_utc()),
        Some(Zone::Named(zone)) => zone,
    };
    match zone.from_local_datetime(&at) {
        LocalResult::Single(at) => Some(at.to_utc()),
        LocalResult::Ambiguous(_, later) => Some(later.to_utc()),
        // The local time was skipped. The latest time that it can mean is in the next hour.
        LocalResult::None => {
            zone.from_local_datetime(&(at + TimeDelta::hours(1))).latest().map(|at| at.to_utc())
        }
    }
}

/// No form of a date with time and zone is longer.
const LONGEST_STAMP: usize = 80;

/// No zone is further behind UTC.
const FURTHEST_BEHIND: TimeDelta = TimeDelta::hours(12);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn latest(cell: &str, zone: Option<Tz>) -> DateTime<Utc> {
        let stamp = Stamp::read(cell).expect(cell).expect(cell);
        stamp.latest(Order::default(), zone, at("2026-11-28T00:00:00Z")).expect(cell)
    }

    #[test]
    fn stamp_is_the_latest_instant_that_it_can_mean() {
        let (berlin, none) = (Some(Tz::Europe__Berlin), None);
        for (cell, zone, wanted) in [
            ("2026-03-02 08:14:05", none, "2026-03-02T20:14:05Z"),
            ("2026-03-02 08:14:05", berlin, "2026-03-02T07:14:05Z"),
            ("2026-07-02 08:14", berlin, "2026-07-02T06:14:00Z"),
            ("Mar 2, 2026 8:14 AM", none, "2026-03-02T20:14:00Z"),
            ("March 2, 2026", berlin, "2026-03-02T22:59:59Z"),
            ("2026-03-02", none, "2026-03-03T11:59:59Z"),
            // The first time exists twice (clock set back), the second never (clock set forward).
            ("2026-10-25 02:30:00", berlin, "2026-10-25T01:30:00Z"),
            ("2026-03-29 02:30:00", berlin, "2026-03-29T01:30:00Z"),
            // February or March: the later past day.
            ("2/3/2026", berlin, "2026-03-02T22:59:59Z"),
            ("7/12/2026 08:00", berlin, "2026-07-12T06:00:00Z"),
            // Only one order has this weekday.
            ("Fri 2/6/2026", berlin, "2026-02-06T22:59:59Z"),
        ] {
            assert_eq!(latest(cell, zone), at(wanted), "{cell} in {zone:?}");
        }
    }

    #[test]
    fn every_form_of_date_time_and_zone_is_read() {
        for (cell, wanted) in [
            ("2026-10-05 08:14:05.123", "2026-10-05T08:14:05.123Z"),
            ("2026-10-05T08:14:05.123", "2026-10-05T08:14:05.123Z"),
            ("2026-10-05 08:14:05,123", "2026-10-05T08:14:05.123Z"),
            ("2026/10/05 08:14:05", "2026-10-05T08:14:05Z"),
            ("2026/10/5 8:14", "2026-10-05T08:14:00Z"),
            ("2026.10.05", "2026-10-05T23:59:59Z"),
            ("2026-10-05T08:14:05Z", "2026-10-05T08:14:05Z"),
            ("2026-10-05T08:14:05-08:00", "2026-10-05T16:14:05Z"),
            ("2026-10-05T08:14:05-0700", "2026-10-05T15:14:05Z"),
            ("2026-10-05 08:14:05 +02", "2026-10-05T06:14:05Z"),
            ("2026-10-05 08:14:05 GMT+2", "2026-10-05T06:14:05Z"),
            ("2026-10-05 08:14:05 UTC-07:30", "2026-10-05T15:44:05Z"),
            ("2026-10-05 08:14:05 (PDT)", "2026-10-05T15:14:05Z"),
            ("2026-10-05 08:14:05 Europe/Berlin", "2026-10-05T06:14:05Z"),
            ("2026-10-05T08:14:05+02:00[Europe/Berlin]", "2026-10-05T06:14:05Z"),
            ("2026-10-05 PDT", "2026-10-06T06:59:59Z"),
            ("Oct 5, 2026 8:14:05 AM PDT", "2026-10-05T15:14:05Z"),
            ("Oct 5, 2026, 8:14\u{202f}PM", "2026-10-05T20:14:00Z"),
            ("Oct 5, 2026 8:14 p.m.", "2026-10-05T20:14:00Z"),
            ("October 5, 2026 at 8:14 AM", "2026-10-05T08:14:00Z"),
            ("Mon, 05 Oct 2026 08:14:05 +0000 (UTC)", "2026-10-05T08:14:05Z"),
            ("Monday, October 5, 2026 8:14am", "2026-10-05T08:14:00Z"),
            ("Mon Oct  5 08:14:05 PDT 2026", "2026-10-05T15:14:05Z"),
            ("2026-10-05 08:14:05 +0200 CEST", "2026-10-05T06:14:05Z"),
            ("\u{200e}10\u{200e}/\u{200e}15\u{200e}/\u{200e}2026", "2026-10-15T23:59:59Z"),
            ("05-Oct-2026 08:14:05", "2026-10-05T08:14:05Z"),
            ("05-Oct-26", "2026-10-05T23:59:59Z"),
            ("2026-Oct-05", "2026-10-05T23:59:59Z"),
            ("5 October 2026", "2026-10-05T23:59:59Z"),
            ("10/15/2026 8:14:05 am EST", "2026-10-15T13:14:05Z"),
            ("15.10.26 08:14", "2026-10-15T08:14:00Z"),
            // Why: with the day first it is in 2005, and the user looks idle.
            ("26-10-05", "2026-10-05T23:59:59Z"),
            // 2028 is in the future.
            ("28/10/26", "2026-10-28T23:59:59Z"),
        ] {
            assert_eq!(latest(cell, Some(Tz::UTC)), at(wanted), "{cell}");
        }
        for cell in words(Reads::NoUse).chain([" - ", "Never", "N/A", "Never logged in"]) {
            assert_eq!(Stamp::read(cell), Ok(None), "{cell}");
        }
    }

    /// Why: a misread time makes a user look idle, or another user look used.
    #[test]
    fn unclear_cell_is_an_error_that_names_the_cell() {
        for cell in [
            "yesterday",
            "32/1/2026",
            "2026",
            "1/2/3/4",
            "0/1/2026",
            "12:30",
            "46300.34",
            "2026-10-05 25:00",
            "2026-10-05 14:00 PM",
            "2026/10-05",
            "5/10/202",
        ] {
            assert_eq!(Stamp::read(cell), Err(Unread::NoStamp(cell.to_owned())), "{cell}");
        }
        let zone = |cell: &str, zone: &str| (cell.to_owned(), zone.to_owned());
        for (cell, letters) in [
            ("2026-10-05 08:14:05 XYZ", "XYZ"),
            ("2026-10-05 08:14:05 PDT+2", "PDT+2"),
            ("2026-10-05 08:14:05 +25", "+25"),
            ("2026-10-05 QQ", "QQ"),
        ] {
            let (cell, zone) = zone(cell, letters);
            assert_eq!(Stamp::read(&cell), Err(Unread::UnknownZone { cell: cell.clone(), zone }));
        }
        let (cell, zone) = zone("2026-10-05 08:14:05 IST", "IST");
        assert_eq!(Stamp::read(&cell), Err(Unread::AmbiguousZone { cell: cell.clone(), zone }));
        for cell in ["30/2/2026", "Tue, Oct 5, 2026 8:14 AM"] {
            let stamp = Stamp::read(cell).expect(cell).expect(cell);
            let read = stamp.latest(Order::default(), None, at("2026-11-28T00:00:00Z"));
            assert_eq!(read, Err(Unread::NoSuchDay(cell.to_owned())));
        }
    }

    #[test]
    fn one_cell_sets_the_order_of_all_cells() {
        let now = at("2026-06-30T00:00:00Z");
        let stamps = ["5/4/2026", "13/4/2026"].map(|cell| Stamp::read(cell).expect(cell).expect(cell));
        let mut order = Order::default();
        assert!(stamps[0].is_ambiguous(order) && !stamps[1].is_ambiguous(order));
        stamps.iter().for_each(|stamp| stamp.add_to(&mut order));
        assert!(!stamps[0].is_ambiguous(order));
        assert_eq!(stamps[0].latest(order, Some(Tz::UTC), now), Ok(at("2026-04-05T23:59:59Z")));
        Stamp::read("4/13/2026").expect("read").expect("a stamp").add_to(&mut order);
        assert!(order.is_mixed());
    }
}
