//! A JSON object, written field by field into the bytes of the response.
//!
//! It is written by hand and not derived, because many rows exist to test how a value is written: `1.0e+15`, an id as a number,
//! `[]` for an object.

/// An object being written; [`Object::end`] closes it.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Object { out, is_empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    /// Writes the key. The caller writes the value. The keys are constants here and need no escaping.
    pub(crate) fn value(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a value that is already JSON.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        self.value(key).extend_from_slice(json.as_bytes());
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        write_text(self.value(key), text);
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    pub(crate) fn int(&mut self, key: &str, value: i64) {
        self.raw(key, &value.to_string());
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.raw(key, "null");
    }

    pub(crate) fn object(&mut self, key: &str) -> Object<'_> {
        Object::new(self.value(key))
    }

    /// Writes an array. `write` writes the items; the commas are added here.
    pub(crate) fn array<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) {
        let out = self.value(key);
        out.push(b'[');
        for (n, item) in items.into_iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            write(out, item);
        }
        out.push(b']');
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string always becomes JSON, and a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_serde_reads() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.text("text", "a \"quoted\"\n\u{202e}name");
        object.raw("number", "1.23e+31");
        let mut inner = object.object("inner");
        inner.bool("yes", true);
        inner.null("none");
        inner.end();
        object.array("list", [1, 2], |out, n| out.extend_from_slice(n.to_string().as_bytes()));
        object.end();
        let value: serde_json::Value = serde_json::from_slice(&out).expect("valid JSON");
        assert_eq!(value["text"], "a \"quoted\"\n\u{202e}name");
        assert_eq!(value["number"], 1.23e31);
        assert_eq!(value["inner"]["yes"], true);
        assert_eq!(value["list"][1], 2);
    }
}
