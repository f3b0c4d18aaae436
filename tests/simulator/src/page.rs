//! The two kinds of paged lists, as pure functions: the rows of a page and the start of the next one.

use crate::chance::{self, About};
use crate::config::Config;
use crate::faults::Twist;

/// Rows on a page if `limit` is not sent, and the maximum.
pub(crate) const DEFAULT_LIMIT: usize = 100;
pub(crate) const MAX_LIMIT: usize = 1000;
/// Offsets beyond this are refused.
pub(crate) const MAX_OFFSET: usize = 10_000;

/// The position in a marker listing: the next row, and whether an empty page was just returned here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) start: usize,
    pub(crate) after_empty: bool,
}

/// A page of a marker listing. No next mark means the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MarkerPage {
    pub(crate) rows: Vec<usize>,
    pub(crate) next: Option<Mark>,
}

impl MarkerPage {
    /// A page without rows. The next page has the rows of this position.
    fn empty_at(mark: Mark) -> MarkerPage {
        MarkerPage { rows: Vec::new(), next: Some(Mark { after_empty: true, ..mark }) }
    }

    /// Applies a fault to the page. The same position is not empty twice, or a listing would never end.
    pub(crate) fn twisted(self, twist: Option<Twist>, mark: Mark) -> MarkerPage {
        match twist {
            Some(Twist::Empty) if !mark.after_empty && !self.rows.is_empty() => MarkerPage::empty_at(mark),
            _ => self,
        }
    }
}

/// The rows below `count` that pass `keep`, starting at `mark`.
pub(crate) fn marker_page(
    config: &Config,
    count: usize,
    keep: impl Fn(usize) -> bool,
    mark: Mark,
    limit: usize,
) -> MarkerPage {
    let odd = |about, share| chance::happens(config.seed, about, (mark.start as u64) << 1, share);
    let first = (mark.start..count).find(|row| keep(*row));
    let Some(first) = first else {
        return MarkerPage { rows: Vec::new(), next: None };
    };
    if !mark.after_empty && odd(About::EmptyPage, config.short_pages / 3.0) {
        return MarkerPage::empty_at(mark);
    }
    let mut room = limit;
    if odd(About::ShortPage, config.short_pages) {
        room = 1 + chance::below(config.seed, About::ShortPage, (mark.start as u64) << 1 | 1, limit as u64)
            as usize;
    }
    let mut rows = Vec::with_capacity(room.min(MAX_LIMIT));
    if limit > 1 && odd(About::RepeatedRow, config.repeated_rows) {
        rows.extend((0..first).rev().find(|row| keep(*row)));
    }
    // A repeated row does not replace a new one.
    let room = room.max(rows.len() + 1);
    let mut start = first;
    while start < count && rows.len() < room {
        if keep(start) {
            rows.push(start);
        }
        start += 1;
    }
    let more = (start..count).any(&keep);
    // Sometimes the end is an extra empty page.
    let trails = odd(About::TrailingPage, config.short_pages);
    let next = (more || trails).then_some(Mark { start, after_empty: false });
    MarkerPage { rows, next }
}

/// A page of an offset listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetPage {
    pub(crate) rows: Vec<usize>,
    pub(crate) total_count: usize,
}

/// The rows from `offset` on. A candidate that is not shown is a row that Box filters out after paging: with short pages on, it
/// counts in offsets and in `total_count` and leaves a gap.
pub(crate) fn offset_page(
    config: &Config,
    candidates: impl Iterator<Item = (usize, bool)>,
    offset: usize,
    limit: usize,
) -> OffsetPage {
    let mut page = OffsetPage { rows: Vec::new(), total_count: 0 };
    let mut before = None;
    for (row, is_shown) in candidates.filter(|(_, is_shown)| *is_shown || config.short_pages > 0.0) {
        let place = page.total_count;
        page.total_count += 1;
        if !is_shown {
            continue;
        }
        if place < offset {
            before = Some(row);
        } else if place < offset + limit {
            page.rows.push(row);
        }
    }
    let repeats = chance::happens(config.seed, About::RepeatedRow, offset as u64, config.repeated_rows);
    if let Some(row) = before.filter(|_| repeats && page.rows.len() < limit && !page.rows.is_empty()) {
        page.rows.insert(0, row);
    }
    page
}

/// The marker is invalid or too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadMarker;

/// Encodes a mark as text: opaque, valid only for this enterprise, with its time of issue.
pub(crate) fn write_marker(config: &Config, mark: Mark, age_secs: u32) -> String {
    let place = (mark.start as u64) << 1 | u64::from(mark.after_empty);
    format!("JV9{place:010x}{age_secs:08x}{:08x}", check(config, place, age_secs))
}

/// Decodes a marker. `age_secs` is the time since the simulator started.
pub(crate) fn read_marker(config: &Config, text: &str, age_secs: u32) -> Result<Mark, BadMarker> {
    if text.is_empty() || text == "0" {
        return Ok(Mark::default());
    }
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|_| text.len() == 29);
        digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(BadMarker)
    };
    let (place, issued, sum) = (hex(3, 13)?, hex(13, 21)? as u32, hex(21, 29)? as u32);
    let is_stale = config.marker_lifetime_secs.is_some_and(|life| age_secs.saturating_sub(issued) > life);
    if sum != check(config, place, issued) || is_stale {
        return Err(BadMarker);
    }
    Ok(Mark { start: (place >> 1) as usize, after_empty: place & 1 == 1 })
}

fn check(config: &Config, place: u64, issued: u32) -> u32 {
    chance::mix(config.seed, About::Marker, place << 20 ^ u64::from(issued)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(config: &Config, count: usize, limit: usize) -> Vec<MarkerPage> {
        let mut pages = Vec::new();
        let mut mark = Mark::default();
        loop {
            let page = marker_page(config, count, |row| row % 7 != 3, mark, limit);
            let next = page.next;
            pages.push(page);
            match next {
                None => return pages,
                Some(next) => {
                    assert_ne!(next, mark, "a marker never repeats");
                    mark = next;
                }
            }
        }
    }

    #[test]
    fn plain_listings_are_full_pages() {
        let pages = walk(&Config::plain(), 1000, 100);
        assert_eq!(pages.len(), 9);
        assert!(pages[..8].iter().all(|page| page.rows.len() == 100));
    }

    #[test]
    fn odd_listings_are_complete() {
        let config = Config { short_pages: 0.5, repeated_rows: 0.5, ..Config::default() };
        for limit in [1, 2, 10, 100] {
            let pages = walk(&config, 2000, limit);
            let all: Vec<usize> = pages.iter().flat_map(|page| page.rows.clone()).collect();
            let mut distinct = all.clone();
            distinct.dedup();
            assert_eq!(distinct, (0..2000).filter(|row| row % 7 != 3).collect::<Vec<_>>(), "limit {limit}");
            assert!(pages.iter().all(|page| page.rows.len() <= limit.max(2)));
            assert!(
                pages[..pages.len() - 1].iter().any(|page| page.rows.is_empty()),
                "an empty page with more to come"
            );
            assert_eq!(all.len() > distinct.len(), limit > 1, "repeated rows");
        }
    }

    #[test]
    fn filtered_rows_keep_their_offsets() {
        let candidates = || (0..250).map(|row| (row, row % 10 != 0));
        let odd = Config { repeated_rows: 0.0, ..Config::default() };
        let page = offset_page(&odd, candidates(), 100, 100);
        assert_eq!((page.rows.len(), page.total_count, page.rows[0]), (90, 250, 101));
        let page = offset_page(&Config::plain(), candidates(), 100, 100);
        assert_eq!((page.rows.len(), page.total_count), (100, 225));
    }

    #[test]
    fn markers_are_ours_and_age() {
        let config = Config { marker_lifetime_secs: Some(600), ..Config::default() };
        let mark = Mark { start: 77, after_empty: true };
        let text = write_marker(&config, mark, 50);
        assert_eq!(read_marker(&config, &text, 650), Ok(mark));
        assert_eq!(read_marker(&config, &text, 651), Err(BadMarker));
        assert_eq!(read_marker(&config, "0", 9999), Ok(Mark::default()));
        assert_eq!(read_marker(&config, &text.replace("JV94", "JV95"), 50).is_ok(), !text.contains("JV94"));
        assert_eq!(read_marker(&config, "JV9-not-a-marker-at-all-really", 50), Err(BadMarker));
        assert_eq!(read_marker(&Config { seed: 2, ..config }, &text, 50), Err(BadMarker));
    }
}
