//! The envelope around a page of records, whichever of Box's three paginations it belongs to.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::lenient;

/// One page as Box answered it, records left as raw text so that one bad record spoils only itself.
///
/// `entries` may be an array, an object keyed by index, null or missing: all have been seen in the wild
/// (box/box-python-sdk#76, box/box-windows-sdk-v2#948).
#[derive(Debug, Deserialize)]
pub struct Page<'a> {
    /// The records, in the order Box sent them.
    #[serde(borrow, default, deserialize_with = "entries")]
    pub entries: Vec<&'a RawValue>,
    /// Marker of the next page; null, empty and missing all mean the end.
    #[serde(default, deserialize_with = "lenient::text")]
    pub next_marker: Option<String>,
    /// The page size Box applied, which may be smaller than the one asked for.
    #[serde(default, deserialize_with = "lenient::whole")]
    pub limit: Option<i64>,
    /// "One greater than the offset of the last entry": may exceed the real count.
    #[serde(default, deserialize_with = "lenient::whole")]
    pub total_count: Option<i64>,
    /// Where the next page of events starts.
    #[serde(default, deserialize_with = "position")]
    pub next_stream_position: Option<StreamPosition>,
}

impl<'a> Page<'a> {
    /// Reads a page.
    ///
    /// # Errors
    /// The body is no JSON object, or the envelope's own fields have a shape that means nothing.
    pub fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        // serde would also read a struct from an array, field by field.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(de::Error::custom("the body is not a JSON object"));
        }
        serde_json::from_slice(body)
    }
}

/// A place in the event stream: an opaque text. Box sends it as a string or as an integer above 2^53; it never becomes a float.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamPosition(String);

impl StreamPosition {
    /// The text to send back.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `0` in an answer without entries is "nothing here", not a place: adopting it would restart a year of history
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

fn entries<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<&'de RawValue>, D::Error> {
    struct Entries;
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
                records.push(record);
            }
            Ok(records)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut records = Vec::new();
            while let Some((_, record)) = map.next_entry::<de::IgnoredAny, _>()? {
                records.push(record);
            }
            Ok(records)
        }
    }
    d.deserialize_any(Entries)
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

    #[test]
    fn three_ends_of_a_marker_walk() {
        for body in [r#"{"next_marker":null}"#, r#"{"next_marker":""}"#, "{}"] {
            assert_eq!(Page::parse(body.as_bytes()).unwrap().next_marker, None, "{body}");
        }
        assert_eq!(Page::parse(br#"{"next_marker":"JV9"}"#).unwrap().next_marker.as_deref(), Some("JV9"));
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
    fn a_body_that_is_no_object_is_refused() {
        for body in ["<html>502</html>", "[]", "\"ok\"", "", r#"{"entries":[{"id":"1"}"#, r#"{"entries":7}"#]
        {
            assert!(Page::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
