//! Erases one user from text and JSON.
//!
//! The id becomes the pseudonym, and addresses become an address of the pseudonym, so related rows and records stay related. A name is
//! replaced only if the same record names the user by id or address, because other users may have the same name.

use boxseat_schemas::box_api::Members;
use serde_json::Value;
use serde_json::value::RawValue;

use super::identity::Identity;

/// Replaces a name.
pub(crate) const NAME: &str = "(erased)";

/// Erases one user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eraser<'a> {
    pub(crate) identity: &'a Identity,
}

/// The record that a text is in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context {
    /// The record names the user, so names are replaced.
    pub(crate) is_about: bool,
    /// The record is the user's own, so addresses that another user has now are replaced too.
    pub(crate) is_own: bool,
}

/// Fields of a user in Box's API that describe the account and are not personal data.
const KEPT_OF_A_USER: &[&str] = &[
    "type",
    "id",
    "login",
    "name",
    "status",
    "role",
    "language",
    "timezone",
    "created_at",
    "modified_at",
    "space_amount",
    "space_used",
    "max_upload_size",
    "can_see_managed_users",
    "is_sync_enabled",
    "is_external_collab_restricted",
    "is_exempt_from_device_limits",
    "is_exempt_from_login_verification",
    "is_collaborated_content_available_when_owner_inactive",
    "is_platform_access_only",
    "enterprise",
];
/// Lists of an object that has the user's id as `user_id`.
const EMPTIED: &[&str] = &["tracking_codes", "groups"];
/// Deeper values are removed.
const MAX_DEPTH: usize = 64;

impl Eraser<'_> {
    /// Whether a text names the user by id or address.
    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let has = |token: &str, is_part: fn(&str, usize, usize) -> bool| {
            lower.match_indices(token).any(|(start, _)| !is_part(&lower, start, start + token.len()))
        };
        has(&self.identity.user_id, is_in_a_word)
            || self.identity.addresses.iter().any(|address| has(address, is_in_an_address))
    }

    /// Whether JSON names the user.
    pub(crate) fn is_named_in_json(&self, raw: &str) -> bool {
        if self.is_named_in(raw) {
            return true;
        }
        // The text may have escaped characters.
        raw.contains('\\')
            && serde_json::from_str::<Value>(raw).is_ok_and(|value| self.is_named_in(&value.to_string()))
    }

    /// A text without the user; `None` if nothing changes.
    pub(crate) fn text(&self, text: &str, context: Context) -> Option<String> {
        let identity = self.identity;
        let address = identity.address();
        let reused = identity.reused.iter().filter(|_| context.is_own);
        let mut new = replace(text, &identity.user_id, &identity.pseudonym, is_in_a_word);
        for token in identity.addresses.iter().chain(reused) {
            new = replace(&new, token, &address, is_in_an_address);
        }
        if context.is_about {
            for name in &identity.names {
                new = replace(&new, &name.to_ascii_lowercase(), NAME, is_in_a_word);
            }
        }
        (new != text).then_some(new)
    }

    /// A page of records, a record, or any other JSON without the user; `None` if nothing changes or it is not JSON.
    pub(crate) fn json(&self, raw: &str) -> Option<String> {
        if !self.is_named_in_json(raw) {
            return None;
        }
        let value: &RawValue = serde_json::from_str(raw).ok()?;
        let mut out = String::with_capacity(raw.len());
        let context = Context::default();
        match serde_json::from_str::<Members<'_>>(value.get()) {
            Ok(page) if page.0.iter().any(|(name, _)| name == "entries") => self.page(&page, &mut out),
            _ => self.value(value.get(), Context { is_about: true, ..context }, 0, &mut out),
        }
        (out != raw).then_some(out)
    }

    /// A file without the user: JSON, JSON lines or other text.
    pub(crate) fn document(&self, text: &str) -> Option<String> {
        if !self.is_named_in_json(text) {
            return None;
        }
        if serde_json::from_str::<&RawValue>(text).is_ok() {
            return self.json(text);
        }
        let context = Context { is_about: true, is_own: false };
        let line = |line: &str| {
            let changed = self.json(line).or_else(|| self.text(line, context));
            changed.unwrap_or_else(|| line.to_owned())
        };
        let new: String = text.split_inclusive('\n').map(line).collect();
        (new != text).then_some(new)
    }

    /// A cell of a row, JSON or other text, without the user.
    pub(crate) fn cell(&self, text: &str, context: Context) -> Option<String> {
        let is_json = text.starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(text).is_ok();
        if !is_json {
            return self.text(text, context);
        }
        let mut out = String::with_capacity(text.len());
        self.value(text, context, 0, &mut out);
        (out != text && (context.is_about || self.is_named_in_json(text))).then_some(out)
    }

    /// Writes a page. Records that do not name the user keep their text.
    fn page(&self, Members(members): &Members<'_>, out: &mut String) {
        object(
            out,
            members.iter().map(|(name, value)| (name.as_str(), *value)),
            |name| self.key(name),
            |name, value, out| match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
                Ok(records) if name == "entries" => list(out, &records, |record, out| {
                    if self.is_named_in_json(record) {
                        self.value(record, Context { is_about: true, is_own: false }, 0, out);
                    } else {
                        out.push_str(record);
                    }
                }),
                _ => self.value(value.get(), Context::default(), 0, out),
            },
        );
    }

    /// The name of a field. An object that is keyed by user id has ids as names.
    fn key(&self, name: &str) -> String {
        self.text(name, Context::default()).unwrap_or_else(|| name.to_owned())
    }

    fn value(&self, raw: &str, context: Context, depth: usize, out: &mut String) {
        if depth > MAX_DEPTH {
            return out.push_str("null");
        }
        match raw.as_bytes().first() {
            Some(b'{') => match serde_json::from_str::<Members<'_>>(raw) {
                Ok(members) => self.object(&members, context, depth, out),
                Err(_) => out.push_str("null"),
            },
            Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(raw) {
                Ok(values) => list(out, &values, |value, out| self.value(value, context, depth + 1, out)),
                Err(_) => out.push_str("null"),
            },
            Some(b'"') => match serde_json::from_str::<String>(raw) {
                Ok(text) => match self.cell(&text, context) {
                    Some(new) => out.push_str(&Value::from(new).to_string()),
                    None => out.push_str(raw),
                },
                Err(_) => out.push_str("null"),
            },
            _ if raw == self.identity.user_id => {
                out.push_str(&Value::from(self.identity.pseudonym.as_str()).to_string());
            }
            _ => out.push_str(raw),
        }
    }

    fn object(&self, Members(members): &Members<'_>, context: Context, depth: usize, out: &mut String) {
        let is_this = |value: &RawValue| value.get().trim_matches('"') == self.identity.user_id;
        let has = |key: &str| members.iter().any(|(name, value)| name == key && is_this(value));
        let (is_user, is_of_user) = (has("id"), has("user_id"));
        let context = Context { is_own: is_user || is_of_user, ..context };
        let kept = members.iter().filter(|(name, _)| {
            let is_person = is_user && !KEPT_OF_A_USER.contains(&name.as_str());
            let is_of_a_session = context.is_about && ["ip_address", "session_id"].contains(&name.as_str());
            !is_person && !is_of_a_session
        });
        object(
            out,
            kept.map(|(name, value)| (name.as_str(), *value)),
            |name| self.key(name),
            |name, value, out| {
                let is_text = value.get().starts_with('"');
                match name {
                    "name" if is_user && is_text => out.push_str(&Value::from(NAME).to_string()),
                    "login" if is_user && is_text => {
                        out.push_str(&Value::from(self.identity.address()).to_string());
                    }
                    name if is_of_user && EMPTIED.contains(&name) && value.get().starts_with('[') => {
                        out.push_str("[]");
                    }
                    _ => self.value(value.get(), context, depth + 1, out),
                }
            },
        );
    }
}

fn object<'m>(
    out: &mut String,
    members: impl Iterator<Item = (&'m str, &'m RawValue)>,
    key: impl Fn(&str) -> String,
    mut write: impl FnMut(&str, &RawValue, &mut String),
) {
    out.push('{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(key(name)).to_string());
        out.push(':');
        write(name, value, out);
    }
    out.push('}');
}

fn list(out: &mut String, values: &[&RawValue], mut write: impl FnMut(&str, &mut String)) {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(value.get(), out);
    }
    out.push(']');
}

/// Replaces a lower-case token, unless it is part of a longer word or address.
fn replace(text: &str, token: &str, by: &str, is_part: fn(&str, usize, usize) -> bool) -> String {
    if token.is_empty() {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let (mut new, mut done) = (String::with_capacity(text.len()), 0);
    for (start, found) in lower.match_indices(token) {
        let end = start + found.len();
        if !is_part(&lower, start, end) {
            new.push_str(&text[done..start]);
            new.push_str(by);
            done = end;
        }
    }
    new.push_str(&text[done..]);
    new
}

/// Whether the match is part of a longer number or word.
fn is_in_a_word(text: &str, start: usize, end: usize) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    is_word(text[..start].chars().next_back()) || is_word(text[end..].chars().next())
}

/// Whether the match is part of a longer address.
fn is_in_an_address(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back();
    let mut after = text[end..].chars();
    let is_before = before.is_some_and(|c| c.is_alphanumeric() || "._%+-".contains(c));
    let is_after = match after.next() {
        Some('.') => after.next().is_some_and(char::is_alphanumeric),
        Some(c) => c.is_alphanumeric() || c == '-' || c == '_',
        None => false,
    };
    is_before || is_after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Identity {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Identity {
            user_id: "12345".into(),
            pseudonym: "900000000000000000000007".into(),
            addresses: set(&["ann@acme.test", "a.l@acme.test"]),
            reused: set(&["desk@acme.test"]),
            names: set(&["Ann Lee"]),
        }
    }

    fn json(raw: &str) -> Option<String> {
        Eraser { identity: &ann() }.json(raw)
    }

    #[test]
    fn user_is_erased_from_a_text_and_others_stay() {
        let identity = ann();
        let eraser = Eraser { identity: &identity };
        let about = Context { is_about: true, is_own: false };
        let text = |text: &str| eraser.text(text, about);
        assert_eq!(text("plan-12345-1").as_deref(), Some("plan-900000000000000000000007-1"));
        assert_eq!(
            text("ANN@acme.test, <a.l@acme.test>.").as_deref(),
            Some("900000000000000000000007@erased.invalid, <900000000000000000000007@erased.invalid>.")
        );
        assert_eq!(text("user Ann Lee left").as_deref(), Some("user (erased) left"));
        for other in [
            "112345",
            "123456",
            "joann@acme.test",
            "ann@acme.test.au",
            "ann@acme.tests",
            "desk@acme.test",
            "Joann Lee",
            "Ann Leeds",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        assert_eq!(eraser.text("Ann Lee", Context::default()), None);
        let own = Context { is_about: true, is_own: true };
        assert!(eraser.text("desk@acme.test", own).is_some());
    }

    #[test]
    fn only_the_records_of_the_user_change() {
        let page = r#"{"entries":[{"id":"9","name":"Ann Lee", "n":1e400},{"type":"user","id":"12345","name":"Ann L","login":"old@acme.test","phone":"1","status":"active"}],"next_marker":null}"#;
        let expected = r#"{"entries":[{"id":"9","name":"Ann Lee", "n":1e400},{"type":"user","id":"900000000000000000000007","name":"(erased)","login":"900000000000000000000007@erased.invalid","status":"active"}],"next_marker":null}"#;
        assert_eq!(json(page).as_deref(), Some(expected));
        assert_eq!(json(r#"{"entries":[{"id":"9"}]}"#), None);
        let event = r#"{"entries":[{"event_id":"e","created_by":{"id":"8","login":"b@x.test"},"source":{"type":"user","login":"ann@acme.test","name":"Ann Lee"},"ip_address":"203.0.113.9","additional_details":"{\"by\":\"Ann Lee\"}"}]}"#;
        let erased = json(event).unwrap();
        assert!(
            !erased.contains("Ann") && !erased.contains("203.0") && erased.contains("b@x.test"),
            "{erased}"
        );
        // An escaped address, an id as a number, an id as a key.
        for raw in
            [r#"{"x":"ann\u0040acme.test"}"#, r#"{"id":12345}"#, r#"{"evidence":{"12345":"2026-01-01"}}"#]
        {
            let erased = json(raw).unwrap();
            assert!(!erased.contains("12345") && !erased.contains("ann"), "{erased}");
        }
    }
}
