//! Stream-position paging: events in history mode, bounded by `created_before`.
//!
//! Public clients disagree on what ends the stream (some stop at a short page and lose data). These rules stop only where every client
//! stops.

use std::collections::HashSet;

use boxseat_schemas::box_api::StreamPosition;

use super::{MAX_EMPTY_PAGES, Next, Summary};
use crate::ids::fingerprint;

/// Follows `next_stream_position`.
#[derive(Debug, Default)]
pub struct StreamWalk {
    seen: HashSet<u128>,
    empty_in_a_row: u32,
}

impl StreamWalk {
    /// Accepts the page of the request at `sent` (`None`: from the start of the window).
    ///
    /// The end is a next position equal to the one sent, or an empty page whose next position is missing or `0`: using that 0 would
    /// restart a year of history. An empty page with another position is followed. A page with events and without a next position, and a
    /// position that repeats, are not ends.
    pub fn next(&mut self, sent: Option<&StreamPosition>, page: &Summary) -> Next<StreamPosition> {
        let next = page.next_stream_position.as_ref();
        if next.is_some() && next == sent {
            return Next::End;
        }
        let empty = page.count == 0;
        self.empty_in_a_row = if empty { self.empty_in_a_row + 1 } else { 0 };
        match next.filter(|position| !position.is_zero()) {
            None if empty => Next::End,
            None => Next::Incomplete("a page with events has no next stream position".into()),
            Some(position) if !self.seen.insert(fingerprint(position.as_str())) => {
                Next::Incomplete(format!("stream position {} was repeated", position.as_str()))
            }
            Some(_) if self.empty_in_a_row >= MAX_EMPTY_PAGES => {
                Next::Incomplete(format!("{MAX_EMPTY_PAGES} empty pages in a row"))
            }
            Some(position) => Next::Page(position.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(count: u64, next: Option<&str>) -> Summary {
        Summary { count, next_stream_position: next.map(StreamPosition::from), ..Summary::default() }
    }

    #[test]
    fn every_trap_of_the_event_stream() {
        use Next::{End, Incomplete, Page};
        let incomplete = || Incomplete(String::new());
        // pages in order; the next position of each is sent for the next one
        let big = "1152922986252290886";
        for (name, pages, last) in [
            ("next equals sent", vec![page(500, Some(big)), page(0, Some(big))], End),
            ("next equals sent on a page with events", vec![page(500, Some(big)), page(3, Some(big))], End),
            ("a short page is not the end", vec![page(3, Some(big))], Page(big.into())),
            (
                "an empty page with a moving position is followed",
                vec![page(5, Some("7")), page(0, Some("8"))],
                Page("8".into()),
            ),
            (
                "0 after an empty page is the end, not a position",
                vec![page(5, Some("7")), page(0, Some("0"))],
                End,
            ),
            ("missing after an empty page", vec![page(5, Some("7")), page(0, None)], End),
            ("nothing at all", vec![page(0, None)], End),
            ("events without a next position", vec![page(5, None)], incomplete()),
            (
                "events with 0 would restart the year",
                vec![page(5, Some("7")), page(5, Some("0"))],
                incomplete(),
            ),
            (
                "a position that returns",
                vec![page(5, Some("7")), page(5, Some("8")), page(5, Some("7"))],
                incomplete(),
            ),
        ] {
            let mut walk = StreamWalk::default();
            let mut sent = None;
            let mut next = End;
            for page in &pages {
                next = walk.next(sent.as_ref(), page);
                sent = page.next_stream_position.clone();
            }
            match (&next, &last) {
                (Incomplete(_), Incomplete(_)) => {}
                _ => assert_eq!(next, last, "{name}"),
            }
        }
    }

    #[test]
    fn fifty_empty_pages_are_an_error() {
        let mut walk = StreamWalk::default();
        let mut sent = None;
        let mut next = Next::End;
        for i in 1..=MAX_EMPTY_PAGES {
            let page = page(0, Some(&i.to_string()));
            next = walk.next(sent.as_ref(), &page);
            sent = page.next_stream_position;
        }
        assert!(matches!(next, Next::Incomplete(_)));
    }
}
