//! What `sync` did not read of the admin log: events that it could not read in time, and events that stay unread until a later run
//! reads them again.

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

type Span = (DateTime<Utc>, DateTime<Utc>);

/// What was not read, by kind of event.
#[derive(Default)]
pub(super) struct Gaps {
    pub(super) logins: Unread,
    pub(super) edits: Unread,
}

impl Gaps {
    /// One more snapshot, which reads up to a given time.
    pub(super) fn pass(&mut self, rng: &mut ChaCha8Rng, until: DateTime<Utc>) {
        if self.logins.read_to.is_none() && rng.random_bool(0.4) {
            self.logins.begin(rng, until);
        }
        self.logins.pass(rng, until);
        self.edits.pass(rng, until);
    }
}

/// What was not read of one kind of event.
#[derive(Default)]
pub(super) struct Unread {
    gaps: Vec<Span>,
    /// From here on nothing is read yet.
    waits_from: Option<DateTime<Utc>>,
    read_to: Option<DateTime<Utc>>,
}

impl Unread {
    /// A gap in the half year that the first snapshot reads back.
    fn begin(&mut self, rng: &mut ChaCha8Rng, until: DateTime<Utc>) {
        let from = until - TimeDelta::days(rng.random_range(20..183));
        let to = from + TimeDelta::days(rng.random_range(1..100));
        self.gaps.push((from, to.min(until)));
    }

    fn pass(&mut self, rng: &mut ChaCha8Rng, until: DateTime<Utc>) {
        match self.waits_from.take() {
            // The next run reads from the end of the last one, does not read either, or never will.
            Some(from) => match rng.random_range(0..10) {
                0..5 => {}
                5..8 => self.waits_from = Some(from),
                _ => self.gaps.push((from, until)),
            },
            None if rng.random_bool(0.15) => self.waits_from = self.read_to,
            None => {}
        }
        if !self.gaps.is_empty() && rng.random_bool(0.2) {
            self.gaps.swap_remove(rng.random_range(0..self.gaps.len()));
        }
        self.read_to = Some(until);
    }

    /// The newest span without a gap, of everything between two times.
    pub(super) fn newest_span(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<Span> {
        let from = self.gaps.iter().map(|gap| gap.1).max().unwrap_or(from).max(from);
        let to = self.waits_from.unwrap_or(until);
        (from < to).then_some((from, to))
    }

    /// Whether the events of a time were read.
    pub(super) fn knows(&self, moment: DateTime<Utc>) -> bool {
        self.waits_from.is_none_or(|from| moment < from)
            && !self.gaps.iter().any(|gap| (gap.0..gap.1).contains(&moment))
    }
}
