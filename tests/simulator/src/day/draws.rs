//! Random draws of a day: how often a change happens, when and to which user, and whether the day is a holiday.

use chrono::{DateTime, NaiveDate};
use rand::Rng;

use super::Day;
use crate::history::{an_admin, working_time};
use crate::people::DAY_SECS;
use crate::world::News;

impl Day<'_> {
    /// Number of changes today, for this share of users per weekday (and this floor).
    pub(super) fn times(&mut self, share: f64, floor: f64) -> u32 {
        // The scale is external input and can have any value.
        let expected = self.expected(share, floor) * self.world.change_scale.clamp(0.0, 1000.0);
        self.whole(if expected.is_nan() { 0.0 } else { expected })
    }

    pub(super) fn expected(&self, share: f64, floor: f64) -> f64 {
        if self.live < 1.0 { 0.0 } else { (share * self.live + floor) * self.busy }
    }

    pub(super) fn whole(&mut self, expected: f64) -> u32 {
        expected as u32 + u32::from(self.rng.random_bool(expected.fract()))
    }

    pub(super) fn moment(&mut self) -> i64 {
        working_time(&mut self.rng, self.start + 1200, self.end)
    }

    pub(super) fn announced(&mut self) -> News {
        News::By(an_admin(&mut self.rng, &self.admins))
    }

    /// Applies a change to an ordinary user who existed at the start of the day.
    pub(super) fn with_somebody(&mut self, act: impl FnOnce(&mut Self, usize, i64)) {
        let at = self.moment();
        for _ in 0..32 {
            if at >= self.rest_from {
                return;
            }
            let slot = self.rng.random_range(0..self.world.people.len());
            let person = &self.world.people[slot];
            if person.is_ordinary() && person.created_at <= self.start {
                return act(self, slot, at);
            }
        }
    }

    pub(super) fn a_group(&mut self) -> Option<usize> {
        let count = self.world.groups.len();
        (0..8).find_map(|_| {
            let index = self.rng.random_range(0..count.max(1));
            self.world.groups.get(index).filter(|group| group.is_walkable()).map(|_| index)
        })
    }

    pub(super) fn a_membership(&mut self, slot: usize) -> Option<usize> {
        let mine = &self.world.people[slot].memberships;
        if mine.is_empty() {
            return None;
        }
        let index = mine[self.rng.random_range(0..mine.len())] as usize;
        (!self.world.memberships[index].is_removed).then_some(index)
    }

    pub(super) fn new_address(&mut self, slot: usize) -> String {
        let local = self.world.people[slot].login.split('@').next().unwrap_or_default().to_owned();
        format!("{local}+{}@{}", self.rng.random_range(100..1_000_000), self.world.config.login_domain)
    }
}

/// Start of the holiday within the day that begins at `start`: at once, at midnight, or never.
pub(super) fn rest_from(holidays: &[NaiveDate], start: i64) -> i64 {
    let is_holiday = |at: i64| {
        let date = DateTime::from_timestamp(at, 0).map(|time| time.date_naive());
        date.is_some_and(|date| holidays.contains(&date))
    };
    let midnight = (start.div_euclid(DAY_SECS) + 1) * DAY_SECS;
    match (is_holiday(start), is_holiday(midnight)) {
        (true, _) => start,
        (_, true) => midnight,
        _ => i64::MAX,
    }
}
