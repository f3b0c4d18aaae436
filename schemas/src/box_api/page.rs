//! The envelope around a page of records, for all three paginations of Box.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::lenient;

/// One page as Box sent it. Records stay raw text, so that one bad record affects only itself.
///
/// `entries` may be an array, an object keyed by index, null or missing: all of them occur in practice (box/box-python-sdk#76,
/// box/box-windows-sdk-v2#948).
#[derive(Debug, Default)]
pub struct Page<'a> {
    /// The records, in the order Box sent them.
    pub entries: Vec<&'a RawValue>,
    /// Marker of the next page; null, empty and missing all mean the end.
    pub next_marker: Option<String>,
    /// The page size Box applied, which may be smaller than the requested one.
    pub limit: Option<i64>,
    /// "One greater than the offset of the last entry": it may exceed the real count.
    pub total_count: Option<i64>,
    /// The position at which the next page of events starts.
    pub next_stream_position: Option<StreamPosition>,
}

/// Why a body is not a page.
#[derive(Debug, thiserror::Error)]
pub enum NotAPage {
    /// The body is not JSON, or a field of the envelope has an unknown shape.
    #[error("it cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// The body is a JSON object, but not the requested one: an error object, or an object without any paging field.
    #[error("{0}")]
    OtherObject(String),
}

/// Maximum number of records on one page: twenty times the largest page that boxseat requests. A longer list is not a page of Box.
const MAX_ENTRIES: usize = 20_000;

impl<'a> Page<'a> {
    /// Reads a page. A body is a page only if it has `entries` or a paging field and is not an error object. Otherwise an error with status
    /// 200 would be read as the last page, and would end a listing early.
    ///
    /// # Errors
    /// Any other body.
    pub fn parse(body: &'a [u8]) -> Result<Self, NotAPage> {
        Self::parse_envelope(body).map(|envelope| envelope.page)
    }

    /// Reads a page of events. The body must have `entries`, and `chunk_size` or `next_stream_position`. Box sends all three
    /// (<https://developer.box.com/reference/get-events/>). An empty page proves that there are no events, so a body that lost its list, or
    /// everything except its list, is rejected.
    ///
    /// # Errors
    /// Any other body.
    pub fn parse_events(body: &'a [u8]) -> Result<Self, NotAPage> {
        let Envelope { page, has_entries, has_stream_field, .. } = Self::parse_envelope(body)?;
        let missing = match (has_entries, has_stream_field) {
            (true, true) => return Ok(page),
            (false, _) => "entries",
            (true, false) => "chunk_size and next_stream_position",
        };
        Err(NotAPage::OtherObject(format!("it is no page of events: it has no {missing}")))
    }

    /// Reads the page at `offset` of a listing that Box counts: groups, memberships, aliases. The body must have `entries`, or a
    /// `total_count` of at most `offset`, as the empty page after a full last page has. Without this check, a body that lost its list would
    /// prove that a user is in no protected group.
    ///
    /// # Errors
    /// Any other body.
    pub fn parse_counted(body: &'a [u8], offset: u64) -> Result<Self, NotAPage> {
        let Envelope { page, has_entries, .. } = Self::parse_envelope(body)?;
        let total = page.total_count.and_then(|total| u64::try_from(total).ok());
        if has_entries || total.is_some_and(|total| total <= offset) {
            return Ok(page);
        }
        Err(NotAPage::OtherObject("it is no page: it has no entries".to_owned()))
    }

    fn parse_envelope(body: &'a [u8]) -> Result<Envelope<'a>, NotAPage> {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let envelope = deserializer.deserialize_map(EnvelopeVisitor)?;
        deserializer.end()?;
        if let Some(error) = &envelope.error {
            return Err(NotAPage::OtherObject(format!("it is an error object: {error}")));
        }
        if !envelope.is_page {
            return Err(NotAPage::OtherObject("it has neither entries nor a paging field".to_owned()));
        }
        Ok(envelope)
    }
}

struct Envelope<'a> {
    page: Page<'a>,
    is_page: bool,
    has_entries: bool,
    /// Whether it has `chunk_size` or `next_stream_position`, which only pages of events have.
    has_stream_field: bool,
    error: Option<String>,
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut page, mut is_page, mut error) = (Page::default(), false, None);
        let (mut has_entries, mut has_stream_field, mut chunk_size) = (false, false, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "entries" if has_entries => return Err(de::Error::duplicate_field("entries")),
                "entries" => {
                    page.entries = map.next_value_seed(Entries)?;
                    has_entries = true;
                }
                "next_marker" => page.next_marker = map.next_value_seed(With(lenient::text))?,
                "limit" => page.limit = map.next_value_seed(With(lenient::whole))?,
                "total_count" => page.total_count = map.next_value_seed(With(lenient::whole))?,
                "next_stream_position" => {
                    page.next_stream_position = map.next_value_seed(With(position))?;
                    has_stream_field = true;
                }
                "chunk_size" => {
                    chunk_size = map.next_value_seed(With(lenient::whole))?;
                    has_stream_field = true;
                }
                "offset" | "order" => _ = map.next_value::<IgnoredAny>()?,
                "type" => {
                    let kind = map.next_value_seed(With(lenient::text_or_nothing))?;
                    error = error.or(kind.filter(|kind| kind == "error").map(|_| "of type error".to_owned()));
                    continue;
                }
                "error" => {
                    let value = map.next_value::<&RawValue>()?.get();
                    let is_set = !matches!(value, "null" | "false" | "\"\"" | "{}" | "[]");
                    error = error.or(is_set.then(|| value.chars().take(200).collect()));
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            }
            is_page = true;
        }
        // The spec: "the number of events returned in this response".
        if let Some(size) =
            chunk_size.filter(|size| i64::try_from(page.entries.len()).is_ok_and(|n| n < *size))
        {
            let message = format!("it has {} events, but chunk_size is {size}", page.entries.len());
            return Err(de::Error::custom(message));
        }
        Ok(Envelope { page, is_page, has_entries, has_stream_field, error })
    }
}

/// A field that is read by a function of [`lenient`].
struct With<F>(F);

impl<'de, T, F> DeserializeSeed<'de> for With<F>
where
    F: FnOnce(&'de RawValue) -> Result<T, serde_json::Error>,
{
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        (self.0)(raw).map_err(de::Error::custom)
    }
}

/// A position in the event stream, as opaque text. Box sends it as a string or as an integer above 2^53. boxseat never converts it to a
/// float.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamPosition(String);

impl StreamPosition {
    /// The text to send back.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In a response without entries, `0` means "no events" and is not a position. Continuing from it would read a year of history again
    /// (box/box-windows-sdk-v2#371).
    pub fn is_zero(&self) -> bool {
        self.0 == "0"
    }
}

impl From<&str> for StreamPosition {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

fn position<'de, D: Deserializer<'de>>(d: D) -> Result<Option<StreamPosition>, D::Error> {
    let raw = <&RawValue>::deserialize(d)?.get();
    match raw.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(raw).map_err(de::Error::custom)?;
            Ok((!text.is_empty()).then_some(StreamPosition(text)))
        }
        Some(b'0'..=b'9' | b'-') => Ok(Some(StreamPosition(raw.to_owned()))),
        Some(b'n') => Ok(None),
        _ => Err(de::Error::custom(format!("next_stream_position is neither text nor number: {raw:.40}"))),
    }
}

struct Entries;

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records, an object of records or null")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element()? {
            push(&mut records, record)?;
        }
        Ok(records)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some((_, record)) = map.next_entry::<IgnoredAny, _>()? {
            push(&mut records, record)?;
        }
        Ok(records)
    }
}

fn push<'de, E: de::Error>(records: &mut Vec<&'de RawValue>, record: &'de RawValue) -> Result<(), E> {
    if records.len() >= MAX_ENTRIES {
        return Err(E::custom(format!("it has more than {MAX_ENTRIES} records")));
    }
    records.push(record);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_may_be_array_object_null_or_missing() {
        for (body, count) in [
            (r#"{"entries":[{"id":"1"},{"id":"2"}]}"#, 2),
            (r#"{"entries":{"0":{"id":"1"},"4":{"id":"2"}}}"#, 2),
            (r#"{"entries":null}"#, 0),
            (r#"{"limit":100}"#, 0),
        ] {
            assert_eq!(Page::parse(body.as_bytes()).unwrap().entries.len(), count, "{body}");
        }
    }

    /// Why: a page of aliases or memberships that lost its list proved that a user has none, so no protected group was seen.
    #[test]
    fn a_counted_page_without_its_list_is_rejected() {
        for body in [
            r#"{"chunk_size":0}"#,
            r#"{"limit":100,"offset":0}"#,
            r#"{"next_marker":null}"#,
            r#"{"total_count":2,"Entries":[]}"#,
        ] {
            let page = Page::parse_counted(body.as_bytes(), 0);
            assert!(matches!(page, Err(NotAPage::OtherObject(_))), "{body}");
        }
        for body in [r#"{"total_count":0}"#, r#"{"entries":null}"#, r#"{"entries":[]}"#] {
            assert!(Page::parse_counted(body.as_bytes(), 0).unwrap().entries.is_empty(), "{body}");
        }
        // Why: a listing of exactly 1,000 groups ends with an empty page, and Box may omit its list.
        let after_the_end = br#"{"total_count":1000,"limit":1000,"offset":1000}"#;
        assert!(Page::parse_counted(after_the_end, 1_000).is_ok());
        assert!(Page::parse_counted(after_the_end, 999).is_err());
    }

    #[test]
    fn the_end_of_a_marker_listing_has_three_spellings() {
        for body in [r#"{"entries":[],"next_marker":null}"#, r#"{"next_marker":""}"#, r#"{"entries":[]}"#] {
            assert_eq!(Page::parse(body.as_bytes()).unwrap().next_marker, None, "{body}");
        }
        assert_eq!(Page::parse(br#"{"next_marker":"JV9"}"#).unwrap().next_marker.as_deref(), Some("JV9"));
    }

    /// An error object with status 200 was read as the last page: 20 of 40 users were lost.
    #[test]
    fn object_without_page_fields_is_not_the_last_page() {
        for body in [
            "{}",
            r#"{"type":"error","status":503,"code":"unavailable","message":"down"}"#,
            r#"{"type":"error","entries":[],"limit":100}"#,
            r#"{"error":{"code":429,"message":"slow down"}}"#,
            r#"{"error":"invalid_grant","error_description":"no"}"#,
            r#"{"message":"maintenance"}"#,
            r#"{"errors":[]}"#,
            r#"{"id":"7","type":"user"}"#,
        ] {
            assert!(matches!(Page::parse(body.as_bytes()), Err(NotAPage::OtherObject(_))), "{body}");
        }
        assert!(Page::parse(br#"{"error":null,"entries":[]}"#).is_ok());
    }

    /// Without this check, the time span of a page that lost an event would count as covered.
    #[test]
    fn page_with_fewer_events_than_chunk_size_is_rejected() {
        assert!(Page::parse(br#"{"chunk_size":2,"entries":[{}],"next_stream_position":"7"}"#).is_err());
        assert!(Page::parse(br#"{"chunk_size":1,"entries":[{},{}],"next_stream_position":"7"}"#).is_ok());
    }

    /// Without this check, a page that lost its list of events proved that there were no sign-ins.
    #[test]
    fn page_of_events_without_its_list_is_rejected() {
        for body in [
            r#"{"next_stream_position":null}"#,
            r#"{"next_stream_position":"1"}"#,
            r#"{"chunk_size":0}"#,
            r#"{"chunk_size":0,"next_stream_position":"7"}"#,
            r#"{"entries":[]}"#,
            r#"{"entries":[],"limit":100,"total_count":0}"#,
        ] {
            assert!(matches!(Page::parse_events(body.as_bytes()), Err(NotAPage::OtherObject(_))), "{body}");
        }
        for body in [
            r#"{"chunk_size":0,"next_stream_position":"7","entries":[]}"#,
            r#"{"entries":[],"next_stream_position":0}"#,
            r#"{"entries":null,"chunk_size":0}"#,
        ] {
            assert_eq!(Page::parse_events(body.as_bytes()).unwrap().entries.len(), 0, "{body}");
        }
    }

    #[test]
    fn list_with_too_many_records_is_not_a_page() {
        let body = format!(r#"{{"entries":[{}0]}}"#, "0,".repeat(MAX_ENTRIES));
        assert!(Page::parse(body.as_bytes()).is_err());
    }

    #[test]
    fn stream_positions_keep_every_digit() {
        for body in [
            r#"{"next_stream_position":"1152922986252290886"}"#,
            r#"{"next_stream_position":1152922986252290886}"#,
            r#"{"next_stream_position": 1152922986252290886 }"#,
        ] {
            let position = Page::parse(body.as_bytes()).unwrap().next_stream_position.unwrap();
            assert_eq!(position.as_str(), "1152922986252290886", "{body}");
        }
        assert!(
            Page::parse(br#"{"next_stream_position":0}"#).unwrap().next_stream_position.unwrap().is_zero()
        );
    }

    #[test]
    fn body_that_is_not_an_object_is_refused() {
        for body in ["<html>502</html>", "[]", "\"ok\"", "", r#"{"entries":[{"id":"1"}"#, r#"{"entries":7}"#]
        {
            assert!(matches!(Page::parse(body.as_bytes()), Err(NotAPage::Unreadable(_))), "{body}");
        }
    }
}
