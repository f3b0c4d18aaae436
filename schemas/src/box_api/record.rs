//! Reads one record of a page. If the record cannot be read whole, it is read field by field.
//!
//! Only the required fields of a record decide whether the record is rejected. Any other field with an unknown shape is stored as
//! `<field>_unreadable` in [`Extra`]: its column is NULL and it counts as an unknown field.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;

use super::Extra;

/// A wire type and its required fields.
pub trait Record<'de>: Deserialize<'de> {
    /// Names of the required fields on the wire.
    const REQUIRED: &'static [&'static str];
}

/// A record, and the fields that Box sent in addition to those of its type.
#[derive(Debug)]
pub struct Read<T> {
    /// The record.
    pub record: T,
    /// Fields without a name in `T`, and fields that could not be read.
    pub extra: Extra,
}

/// Reads one record.
///
/// # Errors
/// The text is not a JSON object, or a required field is missing or unreadable.
pub fn read<'de, T: Record<'de>>(raw: &'de str) -> Result<Read<T>, serde_json::Error> {
    let names = field_names::<T>();
    let Fields { known, mut extra } = Fields::parse(raw, names, T::REQUIRED)?;
    match from_fields::<T>(&known, |_| true) {
        Ok(record) => Ok(Read { record, extra }),
        Err(_) => {
            let is_required = |name: &str| T::REQUIRED.contains(&name);
            from_fields::<T>(&known, is_required)?;
            let is_readable = |name: &str| {
                is_required(name)
                    || from_fields::<T>(&known, |other| is_required(other) || other == name).is_ok()
            };
            let record = from_fields::<T>(&known, is_readable)?;
            for (name, value) in known.iter().filter(|(name, _)| !is_readable(name)) {
                extra.insert(format!("{name}_unreadable"), value);
            }
            Ok(Read { record, extra })
        }
    }
}

fn from_fields<'de, T: Deserialize<'de>>(
    fields: &[(&'static str, &'de RawValue)],
    take: impl Fn(&str) -> bool,
) -> Result<T, serde_json::Error> {
    let taken = fields.iter().filter(|(name, _)| take(name)).map(|(name, value)| (*name, *value));
    T::deserialize(MapDeserializer::new(taken))
}

/// The fields of one JSON object. If a name occurs twice, the last value counts, as in most parsers. Both values of a required field must
/// be equal.
struct Fields<'de> {
    known: Vec<(&'static str, &'de RawValue)>,
    extra: Extra,
}

impl<'de> Fields<'de> {
    fn parse(
        raw: &'de str,
        names: &'static [&'static str],
        required: &'static [&'static str],
    ) -> Result<Self, serde_json::Error> {
        struct Object(&'static [&'static str], &'static [&'static str]);
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields { known: Vec::with_capacity(self.0.len()), extra: Extra::default() };
                while let Some(Name(name)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    let Some(known) = self.0.iter().find(|known| **known == name) else {
                        fields.extra.insert(name.into_owned(), value);
                        continue;
                    };
                    match fields.known.iter_mut().find(|(other, _)| other == known) {
                        // boxseat cannot determine which of two ids is the id of the record.
                        Some(earlier) if self.1.contains(known) && earlier.1.get() != value.get() => {
                            return Err(de::Error::duplicate_field(known));
                        }
                        Some(earlier) => earlier.1 = value,
                        None => fields.known.push((known, value)),
                    }
                }
                Ok(fields)
            }
        }
        let mut deserializer = serde_json::Deserializer::from_str(raw);
        let fields = deserializer.deserialize_map(Object(names, required))?;
        deserializer.end()?;
        Ok(fields)
    }
}

/// The name of a field. It is borrowed unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The field names that the derived `Deserialize` of a struct requests.
fn field_names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Names<'n>(&'n mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("only the names are wanted"))
        }
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }
        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut names: &'static [&'static str] = &[];
    // The error is expected. Only the names are needed.
    let _ = T::deserialize(Names(&mut names));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::box_api::User;

    fn user(raw: &str) -> Result<Read<User>, serde_json::Error> {
        read(raw)
    }

    #[test]
    fn one_unexpected_field_does_not_lose_the_record() {
        let Read { record, extra } =
            user(r#"{"id":"7","login":"a@b.c","tracking_codes":{},"created_at":"yesterday"}"#).unwrap();
        assert_eq!((record.id.as_str(), record.login.as_deref()), ("7", Some("a@b.c")));
        assert!(record.tracking_codes.is_none() && record.created_at.is_none());
        assert_eq!(
            extra.to_json().unwrap(),
            r#"{"created_at_unreadable":"yesterday","tracking_codes_unreadable":{}}"#
        );
    }

    #[test]
    fn a_record_without_its_id_is_refused() {
        for raw in [
            r#"{"id":{},"login":"a@b.c"}"#,
            r#"{"login":"a@b.c"}"#,
            "{\"id\":\"70\u{fffd}0\"}",
            "[]",
            "7",
            "null",
            r#"{"id":"7"}x"#,
        ] {
            assert!(user(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        assert_eq!(user(r#"{"id":"7","name":"a","name":"b"}"#).unwrap().record.name.as_deref(), Some("b"));
        assert!(user(r#"{"id":"7","id":"8"}"#).is_err(), "the id of another record");
        assert!(user(r#"{"id":"7","id":"7"}"#).is_ok());
    }

    /// A field that was nested more deeply than the limit of a parser made the whole record unreadable.
    #[test]
    fn unknown_field_may_be_nested_to_any_depth() {
        let raw = format!(r#"{{"id":"7","deep":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        let Read { record, extra } = user(&raw).unwrap();
        assert_eq!((record.id.as_str(), extra.len()), ("7", 1));
    }
}
