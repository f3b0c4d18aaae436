//! How the event log is read: the two admin streams, their positions and their ends.
//!
//! `admin_logs` is the log in the order of time. Its position contains the index k of the next event and the time of the event
//! before k. So a position that a float has rounded is refused, as at Box. Later appends do not change a position.
//! `admin_logs_streaming` is in the order of processing: each event is some seconds late, and some are delivered twice.

use crate::chance::{self, About};
use crate::config::{Config, EventEnd};
use crate::events::{Kinds, Log, lag_secs};
use crate::faults::Twist;
use crate::people::DAY_SECS;

/// `admin_logs` goes back one year, the live stream two weeks.
const HISTORY_SECS: i64 = 365 * DAY_SECS;
const LIVE_SECS: i64 = 14 * DAY_SECS;

/// Low bits of a position: 30 for the index, and one for "this position already returned an empty or repeated page".
const INDEX_BITS: u32 = 31;
const LOW: u64 = (1 << INDEX_BITS) - 1;

/// Maximum delay of the live stream, and maximum delay of a second delivery.
const DELIVERY_SECS: i64 = 12;
const SECOND_DELIVERY_SECS: i64 = 60;

/// The parameters of a request to the feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) kinds: Kinds,
    pub(crate) limit: usize,
    /// Inclusive; only for `admin_logs`.
    pub(crate) after: Option<i64>,
    /// Exclusive; only for `admin_logs`.
    pub(crate) before: Option<i64>,
    pub(crate) position: Position,
    /// The change that a fault makes to the page.
    pub(crate) twist: Option<Twist>,
}

/// `stream_position` as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Absent, empty, `0` or `null`.
    Oldest,
    Now,
    At(u64),
}

/// One page: indexes into the log, and the next position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeedPage {
    pub(crate) indexes: Vec<usize>,
    pub(crate) next: u64,
}

/// The simulator never issued this position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPosition;

/// The log at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Feed<'a> {
    pub(crate) log: &'a Log,
    pub(crate) config: &'a Config,
    pub(crate) now: i64,
    /// Returns no events and no error.
    pub(crate) is_silent: bool,
}

impl Feed<'_> {
    /// Whether `admin_logs` already shows the event at `index`.
    pub(crate) fn has_arrived(&self, index: usize) -> bool {
        if let Some(at) = self.log.held_back(index) {
            return at <= self.now;
        }
        let lag = lag_secs(self.config.seed, self.config.late_events, index);
        i64::from(self.log.all()[index].at) + lag <= self.now
    }

    /// A page of `admin_logs`.
    pub(crate) fn history(&self, ask: &Ask) -> Result<FeedPage, BadPosition> {
        let events = self.log.all();
        let oldest = ask.after.unwrap_or(i64::MIN).max(self.now - HISTORY_SECS);
        let first = self.log.first_from(oldest);
        let end = self.log.first_from(ask.before.unwrap_or(i64::MAX).min(self.now + 1));
        let (start, after_empty) = match ask.position {
            Position::At(position) => self.resume(position)?,
            Position::Oldest => (first, false),
            Position::Now => return Err(BadPosition),
        };
        let indexes: Vec<usize> = (start.max(first)..end)
            .filter(|index| {
                !self.is_silent(ask) && ask.kinds.has(events[*index].kind) && self.has_arrived(*index)
            })
            .take(self.page_len(start, ask.limit))
            .collect();
        let Some(last) = indexes.last() else {
            let next = match (ask.position, self.config.event_end) {
                (Position::At(position), EventEnd::Same) if ask.twist != Some(Twist::ZeroPosition) => {
                    position
                }
                _ => 0,
            };
            return Ok(FeedPage { indexes, next });
        };
        let here_again = self.at_index(start, true);
        match ask.twist {
            _ if after_empty => {}
            Some(Twist::Repeated) => return Ok(FeedPage { indexes, next: here_again }),
            Some(Twist::Empty) => return Ok(FeedPage { indexes: Vec::new(), next: here_again }),
            _ if self.serves_empty(start) => return Ok(FeedPage { indexes: Vec::new(), next: here_again }),
            _ => {}
        }
        let next = self.at_index(last + 1, false);
        Ok(FeedPage { indexes, next })
    }

    /// A page of `admin_logs_streaming`.
    pub(crate) fn live(&self, ask: &Ask) -> FeedPage {
        // After every event so far, and before further events of the same second.
        let newest = position(self.now, (self.log.all().len() as u64).saturating_sub(1));
        let from = match ask.position {
            Position::Now => newest,
            Position::Oldest => position(self.now - LIVE_SECS, 0),
            // An expired position is not an error: the page is empty and has a fresh position.
            Position::At(old) if time_of(old) < self.now - LIVE_SECS => newest,
            Position::At(position) => position,
        };
        let mut deliveries = self.deliveries(from, ask);
        deliveries.sort_unstable();
        deliveries.truncate(self.page_len((from & LOW) as usize, ask.limit));
        let next = deliveries.last().copied().unwrap_or(from);
        FeedPage { indexes: deliveries.iter().map(|delivery| (delivery & LOW) as usize).collect(), next }
    }

    /// Enough deliveries after `from` to include the first `limit` of them, not sorted.
    fn deliveries(&self, from: u64, ask: &Ask) -> Vec<u64> {
        let seed = self.config.seed;
        let mut found = Vec::new();
        let mut enough_at = i64::MAX;
        let start = self.log.first_from(time_of(from) - DELIVERY_SECS - SECOND_DELIVERY_SECS);
        for (index, event) in self.log.all().iter().enumerate().skip(start) {
            let at = i64::from(event.at);
            if at > self.now || at > enough_at || self.is_silent(ask) {
                break;
            }
            if !ask.kinds.has(event.kind) || self.log.held_back(index).is_some() {
                continue;
            }
            let n = index as u64;
            let lag = chance::below(seed, About::Delivery, n, DELIVERY_SECS as u64) as i64;
            let delivered = if self.log.is_prompt(index) { at } else { at + lag };
            let mut times = vec![delivered];
            if chance::happens(seed, About::SecondDelivery, n, self.config.repeated_events) {
                times.push(delivered + 1 + chance::below(seed, About::SecondDelivery, n ^ 1, 59) as i64);
            }
            let mine = times.into_iter().filter(|time| *time <= self.now).map(|time| position(time, n));
            found.extend(mine.filter(|delivery| *delivery > from));
            if found.len() >= ask.limit && enough_at == i64::MAX {
                // An event after this time cannot be delivered before those already found.
                enough_at = at + DELIVERY_SECS + SECOND_DELIVERY_SECS;
            }
        }
        let late = self.log.all_held_back().filter(|(_, until)| *until <= self.now && !self.is_silent(ask));
        let late = late.filter(|(index, _)| ask.kinds.has(self.log.all()[*index].kind));
        let late = late.map(|(index, until)| position(until, index as u64));
        found.extend(late.filter(|delivery| *delivery > from));
        found
    }

    fn is_silent(&self, ask: &Ask) -> bool {
        self.is_silent || ask.twist == Some(Twist::Silent)
    }

    fn page_len(&self, start: usize, limit: usize) -> usize {
        let (seed, n) = (self.config.seed, start as u64);
        if chance::happens(seed, About::ShortPage, n, self.config.short_pages) {
            1 + chance::below(seed, About::ShortPage, n ^ 1, limit as u64) as usize
        } else {
            limit
        }
    }

    fn serves_empty(&self, start: usize) -> bool {
        chance::happens(self.config.seed, About::EmptyPage, start as u64, self.config.short_pages / 3.0)
    }

    /// The position that continues at `index`.
    fn at_index(&self, index: usize, after_empty: bool) -> u64 {
        position(self.time_before(index), (index as u64) << 1 | u64::from(after_empty))
    }

    fn resume(&self, sent: u64) -> Result<(usize, bool), BadPosition> {
        let index = ((sent & LOW) >> 1) as usize;
        let known = index <= self.log.all().len() && time_of(sent) == self.time_before(index);
        if known { Ok((index, sent & 1 == 1)) } else { Err(BadPosition) }
    }

    fn time_before(&self, index: usize) -> i64 {
        self.log.all().get(index.saturating_sub(1)).map_or(0, |event| i64::from(event.at))
    }
}

fn position(time: i64, low: u64) -> u64 {
    (time.max(0) as u64) << INDEX_BITS | low
}

fn time_of(position: u64) -> i64 {
    (position >> INDEX_BITS) as i64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::events::{Actor, Event, Form, Kind, NO_GROUP};

    fn log(count: u32, now: i64) -> Log {
        let event = |n: u32| Event {
            at: (now as u32) - (count - n) * 37,
            kind: if n.is_multiple_of(5) { Kind::NewUser } else { Kind::Login },
            form: Form::Full,
            subject: n,
            actor: Actor::Person(n),
            group: NO_GROUP,
        };
        let mut log = Log::default();
        log.append((0..count).map(event).collect());
        log
    }

    fn ask(position: Position) -> Ask {
        Ask { kinds: Kinds::EVERY, limit: 100, after: None, before: None, position, twist: None }
    }

    fn config() -> Config {
        Config { short_pages: 0.3, late_events: 0.0, repeated_events: 0.05, ..Config::default() }
    }

    #[test]
    fn history_is_complete_in_order_and_ends_where_it_was_asked() {
        let config = config();
        let log = log(3000, config.now_secs());
        let feed = Feed { log: &log, config: &config, now: config.now_secs(), is_silent: false };
        let (mut seen, mut sent, mut empty, mut short) = (Vec::<usize>::new(), Position::Oldest, 0, 0);
        loop {
            let page = feed.history(&ask(sent)).expect("a position of ours");
            seen.extend(&page.indexes);
            if sent == Position::At(page.next) {
                assert!(page.indexes.is_empty());
                break;
            }
            assert!(page.next > 1 << 53, "positions must be too big for a float");
            empty += usize::from(page.indexes.is_empty());
            short += usize::from(!page.indexes.is_empty() && page.indexes.len() < 100);
            sent = Position::At(page.next);
        }
        assert_eq!(seen, (0..3000).collect::<Vec<_>>());
        assert!(empty > 0 && short > 0, "{empty} empty and {short} short pages");
    }

    #[test]
    fn positions_survive_appends_and_not_floats() {
        let config = Config { short_pages: 0.0, ..config() };
        let now = config.now_secs();
        let mut log = log(1000, now);
        let next = Feed { log: &log, config: &config, now, is_silent: false }
            .history(&ask(Position::Oldest))
            .expect("a page")
            .next;
        log.append(vec![Event { at: now as u32, ..log.all()[0] }]);
        let feed = Feed { log: &log, config: &config, now, is_silent: false };
        assert_eq!(feed.history(&ask(Position::At(next))).expect("a page").indexes[0], 100);
        assert_eq!(feed.history(&ask(Position::At(next as f64 as u64))), Err(BadPosition));
        assert_eq!(feed.history(&ask(Position::Now)), Err(BadPosition));
    }

    #[test]
    fn an_empty_window_answers_zero() {
        let config = config();
        let log = log(10, config.now_secs());
        let feed = Feed { log: &log, config: &config, now: config.now_secs(), is_silent: false };
        let page = feed.history(&Ask { before: Some(5), ..ask(Position::Oldest) }).expect("a page");
        assert_eq!(page, FeedPage { indexes: vec![], next: 0 });
    }

    #[test]
    fn the_live_stream_repeats_some_and_loses_none() {
        let config = Config { short_pages: 0.0, ..config() };
        let now = config.now_secs();
        let log = log(3000, now - 200);
        let feed = Feed { log: &log, config: &config, now, is_silent: false };
        let (mut seen, mut sent) = (Vec::<usize>::new(), Position::Oldest);
        loop {
            let page = feed.live(&ask(sent));
            if sent == Position::At(page.next) {
                break;
            }
            seen.extend(page.indexes);
            sent = Position::At(page.next);
        }
        let distinct: HashSet<usize> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), 3000);
        assert!(seen.len() > 3050, "{} deliveries", seen.len());
        assert!(!seen.is_sorted(), "processing order is not the order of time");
    }

    #[test]
    fn old_live_positions_are_silent_and_fresh() {
        let config = config();
        let now = config.now_secs();
        let log = log(100, now);
        let feed = Feed { log: &log, config: &config, now, is_silent: false };
        let page = feed.live(&ask(Position::At(position(now - 15 * DAY_SECS, 5))));
        assert_eq!(page, FeedPage { indexes: vec![], next: position(now, 99) });
        assert_eq!(feed.live(&ask(Position::Now)), page);
    }
}
