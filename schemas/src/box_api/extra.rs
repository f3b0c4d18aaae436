//! Fields that Box sent and that a wire type does not know. They are kept as raw JSON, within limits.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Fields that a wire type does not know, as the JSON text that Box sent.
///
/// The size per record is limited, so that a very large unknown field cannot exhaust the memory of a run. A field beyond the limits keeps
/// its name, and its value becomes a text that states its length. Fields beyond [`MAX_FIELDS`] are only counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Extra {
    fields: BTreeMap<String, String>,
    bytes: usize,
    not_kept: u64,
}

/// Maximum JSON kept per record, in bytes. The unknown fields of one record in the vendor's own fixtures take a few hundred bytes.
const MAX_BYTES: usize = 8 * 1024;
/// Maximum number of unknown fields kept per record.
const MAX_FIELDS: usize = 64;
/// Longest name that is kept, in bytes.
const MAX_NAME: usize = 128;

impl Extra {
    /// Adds a field, or replaces the field with this name.
    pub fn insert(&mut self, mut name: String, value: &RawValue) {
        if name.len() > MAX_NAME {
            name.truncate(name.floor_char_boundary(MAX_NAME));
        }
        if self.fields.len() >= MAX_FIELDS && !self.fields.contains_key(&name) {
            self.not_kept += 1;
            return;
        }
        let raw = value.get();
        let text = if self.bytes + raw.len() > MAX_BYTES {
            format!("\"({} bytes, not kept)\"", raw.len())
        } else {
            raw.to_owned()
        };
        self.bytes += text.len();
        if let Some(earlier) = self.fields.insert(name, text) {
            self.bytes -= earlier.len();
        }
    }

    /// The JSON text of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Names and JSON texts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Number of fields, including those that were only counted.
    pub fn len(&self) -> u64 {
        self.fields.len() as u64 + self.not_kept
    }

    /// Whether there was no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All fields as one JSON object; `None` when there are none.
    pub fn to_json(&self) -> Option<String> {
        if self.fields.is_empty() {
            return None;
        }
        let fields: Vec<String> =
            self.iter().map(|(name, text)| format!("{}:{text}", serde_json::Value::from(name))).collect();
        Some(format!("{{{}}}", fields.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn fields_are_kept_as_they_were_sent() {
        let mut extra = Extra::default();
        extra.insert("shiny".into(), &raw(r#"{"new":[1,2.50]}"#));
        extra.insert("a\"b".into(), &raw("null"));
        assert_eq!(extra.to_json().unwrap(), r#"{"a\"b":null,"shiny":{"new":[1,2.50]}}"#);
        assert_eq!(extra.len(), 2);
    }

    #[test]
    fn kept_size_of_one_record_is_limited() {
        let mut extra = Extra::default();
        let long = format!("[{}0]", "0,".repeat(1_000_000));
        let long = raw(&long);
        for i in 0..1_000 {
            extra.insert(format!("field {i}"), &long);
        }
        assert_eq!(extra.len(), 1_000);
        let json = extra.to_json().unwrap();
        assert!(json.len() < 2 * MAX_BYTES, "{}", json.len());
        assert_eq!(extra.get("field 0"), Some("\"(2000003 bytes, not kept)\""));
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
