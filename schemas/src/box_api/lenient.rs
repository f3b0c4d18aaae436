//! Field readers for values that Box writes in more than one form.

use std::fmt;

use chrono::{DateTime, Datelike, Utc};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Text that may arrive as a string, a number or a boolean; null, missing and empty are `None`.
///
/// Unset text arrives as `""`, and `phone` sometimes arrives as a number (fixtures of the vendor's Java SDK).
///
/// # Errors
/// An array or an object.
pub fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    d.deserialize_any(Text { takes_any_shape: false })
}

/// Text that Box always sends as a string; null, missing and empty are `None`.
///
/// # Errors
/// Any other shape. A number in the place of a name or a status is not a name or a status.
pub fn string<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.filter(|text| !text.is_empty()))
}

/// As [`text`], but an array or an object is `None`: an unexpected value next to an id must not hide the id.
///
/// # Errors
/// None of its own.
pub fn text_or_nothing<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    d.deserialize_any(Text { takes_any_shape: true })
}

struct Text {
    takes_any_shape: bool,
}

impl<'de> Visitor<'de> for Text {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a boolean or null")
    }
    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok((!v.is_empty()).then(|| v.to_owned()))
    }
    fn visit_string<E>(self, v: String) -> Result<Self::Value, E> {
        Ok((!v.is_empty()).then_some(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Some(v.to_string()))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Some(v.to_string()))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Some(v.to_string()))
    }
    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Some(v.to_string()))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        if !self.takes_any_shape {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        if !self.takes_any_shape {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A required id. See [`optional_id`].
///
/// # Errors
/// Missing, null, empty, and every value that [`optional_id`] rejects.
pub fn id<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    optional_id(d)?.ok_or_else(|| de::Error::custom("an id is missing or empty"))
}

/// Every id is read by this function. An id is a text or a whole number (some official samples have numbers); null, missing and empty are
/// `None`.
///
/// # Errors
/// Any other shape, and a text with a damaged character: the repair must not produce the id of another object.
pub fn optional_id<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    struct Id;
    impl Visitor<'_> for Id {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an id as text or whole number, or null")
        }
        fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
            if v.contains(|c: char| c == super::json::REPLACEMENT || c.is_control()) {
                return Err(E::custom(format!("the id {v:?} has a damaged character")));
            }
            Ok((!v.is_empty()).then(|| v.to_owned()))
        }
        fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
            Ok(Some(v.to_string()))
        }
        fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
            Ok(Some(v.to_string()))
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    d.deserialize_any(Id)
}

/// As [`optional_id`], but every value that it rejects is `None`. For objects that are useful without the id.
///
/// # Errors
/// None of its own.
pub fn id_or_nothing<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let raw = <&RawValue>::deserialize(d)?;
    Ok(optional_id(raw).unwrap_or_default())
}

/// A byte count or another whole number. Box may write very large numbers with an exponent (`1.23e+31`). A number beyond the range of `i64`
/// saturates. <https://developer.box.com/guides/api-calls/types-and-formats/>
///
/// # Errors
/// A text that is not a number; a fraction; an array; an object.
pub fn whole<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    struct Whole;
    impl<'de> Visitor<'de> for Whole {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number or null")
        }
        fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
            Ok(Some(i64::try_from(v).unwrap_or(i64::MAX)))
        }
        fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
            Ok(Some(v))
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "`as` saturates, which is the rule for numbers beyond 2^63"
        )]
        fn visit_f64<E: de::Error>(self, v: f64) -> Result<Self::Value, E> {
            if v.fract() == 0.0 {
                Ok(Some(v as i64))
            } else {
                Err(E::custom(format!("{v} is not a whole number")))
            }
        }
        fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
            if v.is_empty() {
                return Ok(None);
            }
            if let Ok(whole) = v.parse::<i64>() {
                return Ok(Some(whole));
            }
            v.parse::<f64>()
                .map_err(|_| E::custom(format!("{v:?} is not a number")))
                .and_then(|f| self.visit_f64(f))
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    d.deserialize_any(Whole)
}

/// True, false or unknown. The texts `"true"` and `"false"` are accepted.
///
/// # Errors
/// Any other value.
pub fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
    match text(d)?.as_deref() {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(other) => Err(de::Error::custom(format!("{other:?} is neither true nor false"))),
    }
}

/// A time with an offset, converted to UTC; null, missing and empty are `None`.
///
/// # Errors
/// Text that is not an RFC 3339 time.
pub fn time<'de, D: Deserializer<'de>>(d: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    text(d)?.map(|t| parse_time(&t).map_err(de::Error::custom)).transpose()
}

/// Reads one RFC 3339 time. Offsets differ by row and season, so times are never compared as text.
///
/// # Errors
/// Text that is not an RFC 3339 time; the message contains it. A year outside 1 to 9999, because clients of the warehouse cannot read it.
pub fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text)
        // An offset without its colon is not RFC 3339, but it has only one possible meaning.
        .or_else(|reason| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").map_err(|_| reason))
        .map(|t| t.with_timezone(&Utc))
        .map_err(|e| format!("{text:?} is not an RFC 3339 time: {e}"))?;
    if (1..=9999).contains(&time.year()) {
        Ok(time)
    } else {
        Err(format!("{text:?} is not in the years 1 to 9999"))
    }
}

/// An object that Box may write as `[]`, `""` or null when it is unset. These are `None`. `{}` is an object without fields.
///
/// # Errors
/// An object that does not fit `T`, and every other value.
pub fn object_or_nothing<'de, D, T>(d: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    struct Maybe<T>(std::marker::PhantomData<T>);
    impl<'de, T: serde::Deserialize<'de>> Visitor<'de> for Maybe<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object, an empty array or null")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
            if v.is_empty() { Ok(None) } else { Err(E::invalid_type(de::Unexpected::Str(v), &self)) }
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            match seq.next_element::<IgnoredAny>()? {
                None => Ok(None),
                Some(_) => Err(de::Error::custom("an array with entries instead of an object")),
            }
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Some)
        }
    }
    d.deserialize_any(Maybe(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_text_or_whole_numbers() {
        let read = |json: &str| optional_id(&mut serde_json::Deserializer::from_str(json)).ok();
        for (json, id) in [
            (r#""box_support""#, Some(Some("box_support"))),
            ("9007199254740993", Some(Some("9007199254740993"))),
            ("\"\"", Some(None)),
            ("null", Some(None)),
            ("\"70\u{fffd}1\"", None),
            ("\"70\\n1\"", None),
            ("7.5", None),
            ("true", None),
            ("[]", None),
            ("{}", None),
        ] {
            assert_eq!(read(json), id.map(|id| id.map(str::to_owned)), "{json}");
        }
    }

    #[test]
    fn times_are_in_the_years_1_to_9999() {
        for (text, is_time) in [
            ("2026-03-02T08:14:05-08:00", true),
            ("2026-03-02T08:14:05.123+0000", true),
            ("0001-01-01T00:00:00Z", true),
            ("9999-12-31T23:59:59Z", true),
            ("0000-12-31T00:00:00Z", false),
            ("9999-12-31T23:59:59-08:00", false),
            ("0001-01-01T00:00:00+08:00", false),
            ("-0001-11-30T00:00:00-07:52", false),
            ("2026-03-02", false),
        ] {
            assert_eq!(parse_time(text).is_ok(), is_time, "{text}");
        }
    }
}
