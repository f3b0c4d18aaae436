//! Offset paging: groups and memberships. <https://developer.box.com/guides/api-calls/pagination/offset-based/>

use super::Summary;

/// Rows that offset paging can reach. The spec refuses offsets above 10,000, and the guide states 9,999 as the highest. A page with rows
/// beyond that is not requested, so pages of 1,000 stay at or below offset 9,000.
pub const REACH: u64 = 10_000;

/// The step after an offset page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetNext {
    /// Request the page at this offset.
    Page(u64),
    /// The walk is complete.
    End,
    /// More may follow, but Box does not return rows beyond its offset cap.
    Capped,
}

/// The page after the one that was requested at `offset` with `limit`.
///
/// The step is the limit that Box *applied*, never the number of rows: filtered rows make pages short. If Box does not state the applied
/// limit, the number of rows is the only step that skips none. `total_count` may be larger than the real count, and was wrong in some
/// cases, so it can only prolong a walk: after a full page, one more page is always requested.
pub fn next_offset(offset: u64, limit: u64, page: &Summary) -> OffsetNext {
    let step = match page.limit {
        Some(applied) if (1..=limit).contains(&applied) => applied,
        _ if page.count == 0 || page.total_count.is_none_or(|total| total <= offset + page.count) => limit,
        _ => page.count.min(limit),
    };
    let next = offset + step;
    let more = match page.total_count {
        Some(total) => total > next || page.count >= step,
        None => page.count > 0,
    };
    match more {
        false => OffsetNext::End,
        true if next + step > REACH => OffsetNext::Capped,
        true => OffsetNext::Page(next),
    }
}

/// Whether Box can have more rows than it lists, as `total_count` announces: there were rows on the last readable page, or on most pages
/// before it. A `total_count` of thousands is wrong if only a few rows arrived.
pub fn hides_more(offset: u64, page: &Summary, seen: usize) -> bool {
    page.count > 0 || seen as u64 > offset / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_of_offset_paging() {
        use OffsetNext::{Capped, End, Page};
        // (offset, rows, applied limit, total_count) → next
        for (offset, count, limit, total_count, next) in [
            (0, 1000, Some(1000), Some(2500), Page(1000)),
            // filtered rows: the step stays the limit (a real case: 306 of 361 at limit 1000)
            (0, 306, Some(1000), Some(2500), Page(1000)),
            (2000, 500, Some(1000), Some(2500), End),
            // Box applied a smaller limit than requested
            (0, 100, Some(100), Some(250), Page(100)),
            // total_count is larger than the real count: empty pages until it is reached
            (1000, 0, Some(1000), Some(2500), Page(2000)),
            (2000, 0, Some(1000), Some(2500), End),
            // total_count too low: a full page proves there may be more
            (0, 1000, Some(1000), Some(500), Page(1000)),
            (0, 1000, Some(1000), Some(1000), Page(1000)),
            (1000, 0, Some(1000), Some(1000), End),
            // no total_count: until an empty page
            (0, 7, Some(1000), None, Page(1000)),
            (1000, 0, None, None, End),
            (0, 0, None, Some(0), End),
            // the applied limit is unknown: 4 of 5 rows arrived, so the fifth follows
            (0, 4, None, Some(5), Page(4)),
            (4, 1, None, Some(5), End),
            // implausible limits are ignored
            (0, 1000, Some(0), Some(2500), Page(1000)),
            (0, 1000, Some(5000), Some(2500), Page(1000)),
            // the cap
            (9000, 1000, Some(1000), Some(12_345), Capped),
            (9000, 1000, Some(1000), Some(10_000), Capped),
            (9000, 400, Some(1000), Some(9_400), End),
            (9000, 100, Some(100), Some(12_345), Page(9_100)),
            (9900, 100, Some(100), Some(12_345), Capped),
        ] {
            let page = Summary { count, limit, total_count, ..Summary::default() };
            assert_eq!(next_offset(offset, 1000, &page), next, "{offset} {count} {limit:?} {total_count:?}");
        }
    }
}
