//! Erases one user from raw pages of Box and from other JSON without a type of ours.
//!
//! An object with an id or a login is about that user, group or event. An object without one belongs to the object around it.

use boxseat_schemas::box_api::Members;
use serde_json::Value;
use serde_json::value::RawValue;

use super::eraser::{About, Eraser, NAME};

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
/// Codes, positions, and ids that are not of a user.
const KEPT: &[&str] = &[
    "type",
    "status",
    "role",
    "language",
    "timezone",
    "event_type",
    "event_id",
    "group_id",
    "group_type",
    "enterprise_id",
    "file_digest",
    "next_stream_position",
];
/// Lists of an object that has the user's id as `user_id`.
const EMPTIED: &[&str] = &["tracking_codes", "groups"];
/// Deeper values are removed.
const MAX_DEPTH: usize = 64;

/// The values of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Kept,
    /// An id, or the name of another object.
    Id,
    Address,
    Text,
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            _ if KEPT.contains(&name) || name.ends_with("_at") => Self::Kept,
            "id" | "group_name" | "enterprise_name" => Self::Id,
            _ if name.ends_with("_id") => Self::Id,
            "login" | "email" => Self::Address,
            _ => Self::Text,
        }
    }
}

impl Eraser<'_> {
    /// A page of records, a record, or any other JSON without the user; `None` if nothing changes or it is not JSON.
    pub(super) fn json(&self, raw: &str) -> Option<String> {
        if !self.is_named_in_json(raw) {
            return None;
        }
        let value: &RawValue = serde_json::from_str(raw).ok()?;
        let mut out = String::with_capacity(raw.len());
        match serde_json::from_str::<Members<'_>>(value.get()) {
            Ok(page) if page.0.iter().any(|(name, _)| name == "entries") => self.page(&page, &mut out),
            _ => self.value(value.get(), Field::Text, About::Others, 0, &mut out),
        }
        (out != raw).then_some(out)
    }

    /// A file without the user: JSON, JSON lines or other text.
    pub(super) fn document(&self, text: &str) -> Option<String> {
        if !self.is_named_in_json(text) {
            return None;
        }
        if serde_json::from_str::<&RawValue>(text).is_ok() {
            return self.json(text);
        }
        let line = |line: &str| {
            self.json(line).unwrap_or_else(|| {
                let mut new = line.to_owned();
                self.sentence(&mut new, About::Others);
                new
            })
        };
        let new: String = text.split_inclusive('\n').map(line).collect();
        (new != text).then_some(new)
    }

    /// A text that may be JSON.
    pub(super) fn cell(&self, text: &mut String, about: About) {
        let is_json = text.starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(text).is_ok();
        if !is_json {
            return self.sentence(text, about);
        }
        if about != About::Others || self.is_named_in_json(text) {
            let mut out = String::with_capacity(text.len());
            self.value(text, Field::Text, about, 0, &mut out);
            *text = out;
        }
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
                        self.value(record, Field::Text, About::Mention, 0, out);
                    } else {
                        out.push_str(record);
                    }
                }),
                _ => self.value(value.get(), Field::of(name), About::Others, 0, out),
            },
        );
    }

    /// The name of a field. An object that is keyed by user id has ids as names.
    fn key(&self, name: &str) -> String {
        let mut key = name.to_owned();
        self.id(&mut key);
        self.address(&mut key, About::Others);
        key
    }

    fn value(&self, raw: &str, field: Field, about: About, depth: usize, out: &mut String) {
        if depth > MAX_DEPTH {
            return out.push_str("null");
        }
        match raw.as_bytes().first() {
            Some(b'{') => match serde_json::from_str::<Members<'_>>(raw) {
                Ok(members) => self.object(&members, about, depth, out),
                Err(_) => out.push_str("null"),
            },
            Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(raw) {
                Ok(values) => {
                    list(out, &values, |value, out| self.value(value, field, about, depth + 1, out))
                }
                Err(_) => out.push_str("null"),
            },
            Some(b'"') => match serde_json::from_str::<String>(raw) {
                Ok(text) => {
                    let mut new = text.clone();
                    match field {
                        Field::Kept => {}
                        Field::Id => self.sentence(&mut new, About::Others),
                        Field::Address if about == About::User => self.address(&mut new, about),
                        Field::Address => self.sentence(&mut new, About::Others),
                        Field::Text => self.cell(&mut new, about),
                    }
                    if new == text {
                        out.push_str(raw);
                    } else {
                        out.push_str(&Value::from(new).to_string());
                    }
                }
                Err(_) => out.push_str("null"),
            },
            _ if raw == self.identity.user_id && field == Field::Id => {
                out.push_str(&Value::from(self.identity.pseudonym.as_str()).to_string());
            }
            _ => out.push_str(raw),
        }
    }

    fn object(&self, Members(members): &Members<'_>, around: About, depth: usize, out: &mut String) {
        let field = |wanted: &str| {
            let value = members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.get());
            value.filter(|value| *value != "null").map(|value| value.trim_matches('"').to_owned())
        };
        let is_this = |id: &Option<String>| id.as_ref() == Some(&self.identity.user_id);
        let (id, user_id) = (field("id"), field("user_id"));
        let is_of_a_user = field("type").is_none_or(|kind| kind.eq_ignore_ascii_case("user"));
        let has_the_login = id.is_none()
            && is_of_a_user
            && field("login").is_some_and(|login| self.identity.addresses.contains(&login.to_lowercase()));
        let is_user = (is_this(&id) && is_of_a_user) || has_the_login;
        let is_of_user = is_this(&user_id);
        let about = match () {
            () if is_user || is_of_user => About::User,
            () if id.is_some() || user_id.is_some() => About::Others,
            () => around,
        };
        let is_mention = around != About::Others || about == About::User;
        let kept = members.iter().filter(|(name, _)| {
            let is_person = is_user && !KEPT_OF_A_USER.contains(&name.as_str());
            let is_of_a_session = is_mention && ["ip_address", "session_id"].contains(&name.as_str());
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
                    // The id of a group or a file may equal the id of the user.
                    "id" if !is_of_a_user => out.push_str(value.get()),
                    name if is_of_user && EMPTIED.contains(&name) && value.get().starts_with('[') => {
                        out.push_str("[]");
                    }
                    _ => self.value(value.get(), Field::of(name), about, depth + 1, out),
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

#[cfg(test)]
mod tests {
    use super::super::eraser::tests::{ann, named};
    use super::*;

    fn json(raw: &str) -> Option<String> {
        Eraser { identity: &ann() }.json(raw)
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

    /// Why: a user may choose a name that equals a code, or the id or the name of another object.
    #[test]
    fn a_name_that_equals_other_data_changes_only_the_user_s_own_name() {
        let identity = named(&["LOGIN", "active", "777", "Desk"]);
        let page = r#"{"entries":[{"event_id":"777","event_type":"LOGIN","created_by":{"id":"777","name":"Desk"},"source":{"type":"user","id":"12345","name":"LOGIN","status":"active"},"about":{"user_id":"12345","group_name":"Desk"},"group":{"type":"group","id":"12345","name":"Desk"},"size":12345}]}"#;
        let erased = Eraser { identity: &identity }.json(page).unwrap();
        let expected = r#"{"entries":[{"event_id":"777","event_type":"LOGIN","created_by":{"id":"777","name":"Desk"},"source":{"type":"user","id":"900000000000000000000007","name":"(erased)","status":"active"},"about":{"user_id":"900000000000000000000007","group_name":"Desk"},"group":{"type":"group","id":"12345","name":"Desk"},"size":12345}]}"#;
        assert_eq!(erased, expected);
    }
}
