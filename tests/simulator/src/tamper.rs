//! Applies faults to the JSON of a list. The list is parsed and written again, and every value keeps its spelling. Other bodies
//! stay unchanged.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::chance::{self, About};
use crate::faults::Effect;

const ENTRIES: &str = "entries";
const TOTAL: &str = "total_count";

/// The fields of a list response by key.
type List<'a> = BTreeMap<&'a str, &'a RawValue>;

/// The list with the effect applied; `None` if the effect does not apply to the body.
pub(crate) fn tampered(effect: &Effect, seed: u64, body: &[u8]) -> Option<Vec<u8>> {
    if !matches!(effect, Effect::OddEntries | Effect::GhostTotal { .. } | Effect::PartialList { .. }) {
        return None;
    }
    let mut list: List<'_> = serde_json::from_slice(body).ok()?;
    let (key, value) = match effect {
        Effect::OddEntries => (ENTRIES, by_index(&rows(&list)?)?),
        Effect::PartialList { share } => (ENTRIES, to_raw_value(&kept(rows(&list)?, seed, *share)).ok()?),
        // An empty list with a positive total would be a different fault: a client cannot read it.
        Effect::GhostTotal { .. } if rows(&list)?.is_empty() => return None,
        Effect::GhostTotal { rows } => (TOTAL, to_raw_value(&(total(&list)? + rows)).ok()?),
        _ => return None,
    };
    list.insert(key, &value);
    serde_json::to_vec(&list).ok()
}

fn rows<'a>(list: &List<'a>) -> Option<Vec<&'a RawValue>> {
    serde_json::from_str(list.get(ENTRIES)?.get()).ok()
}

fn total(list: &List<'_>) -> Option<u64> {
    serde_json::from_str(list.get(TOTAL)?.get()).ok()
}

fn by_index(rows: &[&RawValue]) -> Option<Box<RawValue>> {
    let by_index: BTreeMap<usize, &&RawValue> = rows.iter().enumerate().collect();
    to_raw_value(&Some(by_index).filter(|rows| !rows.is_empty())).ok()
}

/// Removes a share of the rows. The choice follows from the ids, so the same rows are missing in every response.
fn kept(mut rows: Vec<&RawValue>, seed: u64, share: f64) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    let is_missing = |row: &&RawValue| {
        let id = serde_json::from_str(row.get()).ok().map(|row: Row<'_>| row.id.get());
        id.is_some_and(|id| {
            let id = chance::of_text(seed, About::MissingRow, id.trim_matches('"'));
            chance::happens(seed, About::MissingRow, id, share)
        })
    };
    rows.retain(|row| !is_missing(row));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(effect: &Effect, body: &str) -> String {
        let bytes = tampered(effect, 1, body.as_bytes()).expect("something to do");
        String::from_utf8(bytes).expect("JSON is text")
    }

    #[test]
    fn values_keep_their_spelling() {
        let list = r#"{"total_count":2,"entries":[{"id":"7","space":1.23e+31},{"id":8}],"limit":100}"#;
        let odd = r#"{"entries":{"0":{"id":"7","space":1.23e+31},"1":{"id":8}},"limit":100,"total_count":2}"#;
        assert_eq!(text(&Effect::OddEntries, list), odd);
        assert_eq!(text(&Effect::OddEntries, r#"{"entries":[]}"#), r#"{"entries":null}"#);
        assert!(text(&Effect::GhostTotal { rows: 40 }, list).ends_with(r#""total_count":42}"#));
        assert!(text(&Effect::PartialList { share: 1.0 }, list).starts_with(r#"{"entries":[],"#));
    }

    #[test]
    fn what_is_no_list_passes() {
        for body in ["", "<html>", "[]", r#"{"id":"7"}"#] {
            for effect in [Effect::None, Effect::OddEntries, Effect::GhostTotal { rows: 1 }] {
                assert_eq!(tampered(&effect, 1, body.as_bytes()), None, "{body}");
            }
        }
    }
}
