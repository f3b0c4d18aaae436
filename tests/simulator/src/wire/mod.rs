//! How facts are written in the API: field selection, times with changing offsets, and Box's unusual notations.

pub(crate) mod events;
pub(crate) mod folders;
pub(crate) mod groups;
pub(crate) mod users;

mod json;

use chrono::{DateTime, FixedOffset, SecondsFormat, TimeZone, Utc};
use chrono_tz::America::Los_Angeles;
use chrono_tz::Europe::Berlin;

use crate::chance::{self, About};

pub(crate) use json::Object;

/// A time in Box's format: RFC 3339 with the offset of the enterprise's zone on that day. A few rows (`n`) use another zone.
pub(crate) fn time(at: i64, seed: u64, n: u64, awkward: bool) -> String {
    let utc: DateTime<Utc> = Utc.timestamp_opt(at, 0).single().unwrap_or_default();
    let zone = if awkward { chance::below(seed, About::OffsetZone, n, 40) } else { 0 };
    let local: DateTime<FixedOffset> = match zone {
        1 => utc.with_timezone(&Berlin).fixed_offset(),
        2 => utc.fixed_offset(),
        _ => utc.with_timezone(&Los_Angeles).fixed_offset(),
    };
    local.to_rfc3339_opts(SecondsFormat::Secs, zone == 2)
}

/// A set of fields that a `fields` parameter can request, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields(u64);

impl Fields {
    /// The fields of an object if no `fields` is sent.
    pub(crate) fn standard(names: &[&str], standard: &[&str]) -> Fields {
        Fields::of(names, |name| standard.contains(&name))
    }

    /// The fields of `?fields=a,b`: these, the base fields, and (by configuration) the mini fields. Unknown names are ignored.
    pub(crate) fn named(names: &[&str], always: &[&str], list: &str) -> Fields {
        let asked: Vec<&str> = list.split(',').map(str::trim).collect();
        Fields::of(names, |name| always.contains(&name) || asked.contains(&name))
    }

    fn of(names: &[&str], wanted: impl Fn(&str) -> bool) -> Fields {
        let bits =
            names.iter().enumerate().filter(|(_, name)| wanted(name)).fold(0, |bits, (n, _)| bits | 1 << n);
        Fields(bits)
    }

    pub(crate) fn has(self, n: usize) -> bool {
        self.0 >> n & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_follow_the_season() {
        assert_eq!(time(1_767_261_600, 1, 0, false), "2026-01-01T02:00:00-08:00");
        assert_eq!(time(1_782_900_000, 1, 0, false), "2026-07-01T03:00:00-07:00");
    }

    #[test]
    fn some_rows_use_another_zone() {
        let ends: std::collections::HashSet<String> =
            (0..500).map(|n| time(1_767_261_600, 1, n, true)[19..].to_owned()).collect();
        assert_eq!(ends.len(), 3, "{ends:?}");
    }
}
