//! Marker paging: users. <https://developer.box.com/guides/api-calls/pagination/marker-based/>

use std::collections::HashSet;

use super::{MAX_EMPTY_PAGES, Next, Summary};
use crate::ids::fingerprint;

/// Follows `next_marker` until it is null, empty or absent. Nothing else ends the walk.
#[derive(Debug, Default)]
pub struct MarkerWalk {
    seen: HashSet<u128>,
    empty_in_a_row: u32,
}

impl MarkerWalk {
    /// Accepts a page.
    pub fn next(&mut self, page: &Summary) -> Next<String> {
        self.empty_in_a_row = if page.count == 0 { self.empty_in_a_row + 1 } else { 0 };
        let Some(marker) = &page.next_marker else { return Next::End };
        if !self.seen.insert(fingerprint(marker)) {
            return Next::Incomplete("Box repeated a marker".into());
        }
        if self.empty_in_a_row >= MAX_EMPTY_PAGES {
            return Next::Incomplete(format!("{MAX_EMPTY_PAGES} empty pages in a row"));
        }
        Next::Page(marker.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(count: u64, marker: Option<&str>) -> Summary {
        Summary { count, next_marker: marker.map(str::to_owned), ..Summary::default() }
    }

    #[test]
    fn only_a_missing_marker_ends_the_walk() {
        let mut walk = MarkerWalk::default();
        for (page, next) in [
            (page(1000, Some("a")), Next::Page("a".into())),
            (page(3, Some("b")), Next::Page("b".into())),
            (page(0, Some("c")), Next::Page("c".into())),
            (page(1000, None), Next::End),
        ] {
            assert_eq!(walk.next(&page), next);
        }
    }

    #[test]
    fn a_repeated_marker_is_not_an_end() {
        let mut walk = MarkerWalk::default();
        walk.next(&page(10, Some("a")));
        walk.next(&page(10, Some("b")));
        assert!(matches!(walk.next(&page(10, Some("a"))), Next::Incomplete(_)));
    }

    #[test]
    fn an_endless_run_of_empty_pages_is_not_an_end() {
        let mut walk = MarkerWalk::default();
        let last = (0..MAX_EMPTY_PAGES).map(|i| walk.next(&page(0, Some(&i.to_string())))).last().unwrap();
        assert!(matches!(last, Next::Incomplete(_)));
    }
}
