//! Offset paging: groups and memberships. <https://developer.box.com/guides/api-calls/pagination/offset-based/>

use super::Summary;

/// Rows that offset paging can reach. The spec refuses offsets above 10,000, the guide says the highest is 9,999: a page whose
/// rows would lie beyond is not asked for, so pages of 1,000 stay at or below offset 9,000.
pub const REACH: u64 = 10_000;

/// What follows an offset page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetNext {
    /// Ask for the page at this offset.
    Page(u64),
    /// The walk is done.
    End,
    /// More may follow, but Box does not answer beyond its offset cap.
    Capped,
}

/// The page after the one asked for at `offset` with `limit`.
///
/// The step is the limit Box *applied*, never the rows received: filtered rows leave short pages. Where Box does not say which limit
/// it applied, the rows received are the only step that passes over none. `total_count` may exceed the real count, and was plainly
/// wrong in places, so it can only prolong a walk: a full page always asks for one more.
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

/// Whether a `total_count` that promises more than Box will list can be true: rows came on the last readable page, or on most
/// pages before it. One that promises thousands where a handful came is wrong.
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
            // rows filtered out: the step stays the limit (a real case: 306 of 361 at limit 1000)
            (0, 306, Some(1000), Some(2500), Page(1000)),
            (2000, 500, Some(1000), Some(2500), End),
            // Box applied a smaller limit than asked for
            (0, 100, Some(100), Some(250), Page(100)),
            // total_count exceeds the real count: empty pages until it is reached
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
            // which limit was applied is not known: 4 of 5 rows came, so the fifth follows
            (0, 4, None, Some(5), Page(4)),
            (4, 1, None, Some(5), End),
            // nonsense limits are not believed
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
