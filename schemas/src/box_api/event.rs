//! An admin-log event. <https://developer.box.com/reference/resources/event/>
//!
//! Real payloads differ from the spec: group-level sources have neither `type` nor `id`, `created_by` may be the pseudo user
//! `2` or `box_support`, and some sources map to no documented resource. `source` is therefore read leniently.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Record, lenient};

/// One event. `source` and `additional_details` are borrowed from the page.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// The event has the same id in the history and in the live stream. De-duplication uses this id.
    #[serde(deserialize_with = "lenient::id")]
    pub event_id: String,
    /// Box's `type`: `event`.
    #[serde(rename = "type", default, deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    /// Open text: Box changes the names over time.
    #[serde(deserialize_with = "type_name")]
    pub event_type: String,
    /// When the event happened.
    #[serde(deserialize_with = "time_required")]
    pub created_at: DateTime<Utc>,
    /// When Box stored the event; missing in most real payloads.
    #[serde(default, deserialize_with = "lenient::time")]
    pub recorded_at: Option<DateTime<Utc>>,
    /// The actor.
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub created_by: Option<Party>,
    /// The object of the event; see [`Event::source`].
    #[serde(borrow, default)]
    pub source: Option<&'a RawValue>,
    /// The session, mostly null.
    #[serde(default, deserialize_with = "lenient::text")]
    pub session_id: Option<String>,
    /// May be the text `Unknown IP`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub ip_address: Option<String>,
    /// Free-form JSON, or null.
    #[serde(borrow, default)]
    pub additional_details: Option<&'a RawValue>,
}

impl<'de> Record<'de> for Event<'de> {
    const REQUIRED: &'static [&'static str] = &["event_id", "event_type", "created_at"];
}

/// The actor of an event.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct Party {
    #[serde(default, deserialize_with = "lenient::id_or_nothing")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "login")]
    pub login: Option<String>,
}

/// The object of an event, with the fields of all its shapes.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct Source {
    #[serde(rename = "type", default, deserialize_with = "lenient::text_or_nothing")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::id_or_nothing")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "login")]
    pub login: Option<String>,
    #[serde(default, deserialize_with = "lenient::id_or_nothing")]
    pub group_id: Option<String>,
}

/// Fields that real events have in addition to the spec. They are known, are kept in `extra`, and do not count as unknown.
pub const KNOWN_EXTRA: &[&str] = &["action_by", "accessible_by"];

/// The id that Box gives to an actor it does not know.
const UNKNOWN_USER: &str = "2";

/// Whether an id can be the id of a user: `0`, the unknown user and `box_support` cannot.
fn is_user_id(id: &str) -> bool {
    id != UNKNOWN_USER && id != "0" && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Types whose source is a user, in addition to LOGIN and EMAIL_ALIAS_* (AppOmni's event maturity matrix).
const ABOUT_A_USER: &[&str] = &[
    "ADMIN_LOGIN",
    "CHANGE_ADMIN_ROLE",
    "DELETE_USER",
    "EDIT_USER",
    "FAILED_LOGIN",
    "GROUP_ADD_USER",
    "GROUP_REMOVE_USER",
    "NEW_USER",
];

impl Event<'_> {
    /// The source. It is empty when it is null or has a shape that names neither user nor group.
    pub fn source(&self) -> Source {
        self.source.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// The actor's id; the unknown user `2` is `None`.
    pub fn actor_id(&self) -> Option<&str> {
        self.created_by.as_ref().and_then(|by| by.id.as_deref()).filter(|id| *id != UNKNOWN_USER)
    }

    /// The user the event is about, as (id, login); either may be unknown.
    ///
    /// `source.id` if the source is a user, else the user that `source.login` names. Only for LOGIN and EMAIL_ALIAS_*, the actor replaces a
    /// source that names no user, because the user is the actor of these events. A source without a type is a user if the event is about a
    /// user.
    pub fn affected_user<'s>(&'s self, source: &'s Source) -> (Option<&'s str>, Option<&'s str>) {
        let actor = (self.actor_id(), self.created_by.as_ref().and_then(|by| by.login.as_deref()));
        let named = source.login.as_deref();
        let acts_on_own_account =
            self.event_type == crate::event_types::LOGIN || self.event_type.starts_with("EMAIL_ALIAS_");
        let is_user = match source.kind.as_deref() {
            Some(kind) => kind.eq_ignore_ascii_case("user"),
            None => acts_on_own_account || ABOUT_A_USER.contains(&self.event_type.as_str()),
        };
        if let Some(id) = source.id.as_deref().filter(|id| is_user && is_user_id(id)) {
            // A source without login is the actor if both have the same id.
            return (Some(id), named.or(actor.1.filter(|_| actor.0 == Some(id))));
        }
        if let Some(named) = named {
            // If the actor has the same login, the actor's id is more reliable: logins move between accounts.
            let same = actor.1.is_some_and(|login| login.eq_ignore_ascii_case(named));
            return (actor.0.filter(|_| same), Some(named));
        }
        if acts_on_own_account { (actor.0.filter(|id| is_user_id(id)), actor.1) } else { (None, None) }
    }

    /// The group the event is about: inside `source` for group-level events, in `additional_details` for membership events.
    pub fn group_id(&self, source: &Source) -> Option<String> {
        if source.group_id.is_some() {
            return source.group_id.clone();
        }
        if source.kind.as_deref() == Some("group") {
            return source.id.clone();
        }
        let details: Source = serde_json::from_str(self.additional_details?.get()).ok()?;
        details.group_id
    }
}

/// An event type. It must contain a letter: a number would be accepted as a type that boxseat never requested, and would hide a LOGIN.
fn type_name<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let name = lenient::id(d)?;
    match name.contains(|c: char| c.is_ascii_alphabetic()) {
        true => Ok(name),
        false => Err(serde::de::Error::custom(format!("{name:?} is not an event type"))),
    }
}

/// A login. A login with a damaged character belongs to no account.
fn login<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(lenient::text_or_nothing(d)?.filter(|login| !login.contains(super::json::REPLACEMENT)))
}

fn time_required<'de, D: serde::Deserializer<'de>>(d: D) -> Result<DateTime<Utc>, D::Error> {
    lenient::time(d)?.ok_or_else(|| serde::de::Error::custom("created_at is missing or empty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (event JSON, user id, user login, actor, group): the samples of AppOmni's event maturity matrix, values invented.
    type Case = (
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
        Option<&'static str>,
        Option<&'static str>,
    );
    const CASES: &[Case] = &[
        (
            r#"{"event_type":"LOGIN","created_by":{"type":"user","id":"900100","login":"ada@acme.test"},"source":{"type":"user","id":"900100","login":"ada@acme.test"}}"#,
            Some("900100"),
            Some("ada@acme.test"),
            Some("900100"),
            None,
        ),
        (
            r#"{"event_type":"FAILED_LOGIN","created_by":{"type":"user","id":"2","login":""},"source":{"type":"user","id":"900100","login":"ada@acme.test"}}"#,
            Some("900100"),
            Some("ada@acme.test"),
            None,
            None,
        ),
        (
            r#"{"event_type":"GROUP_ADD_USER","created_by":{"type":"user","id":"900001"},"source":{"type":"user","id":"900100"},"additional_details":{"group_id":"77001","group_name":"Design"}}"#,
            Some("900100"),
            None,
            Some("900001"),
            Some("77001"),
        ),
        (
            r#"{"event_type":"GROUP_DELETION","created_by":{"type":"user","id":"900001"},"source":{"group_id":"77001","group_name":"Design"},"additional_details":null}"#,
            None,
            None,
            Some("900001"),
            Some("77001"),
        ),
        (
            r#"{"event_type":"EMAIL_ALIAS_CONFIRM","created_by":{"type":"user","id":"900100","login":"ada@acme.test"},"source":null}"#,
            Some("900100"),
            Some("ada@acme.test"),
            Some("900100"),
            None,
        ),
        (
            r#"{"event_type":"LOGIN","created_by":{"id":"900100","login":"Ada@acme.test"},"source":{"login":"ada@acme.test"}}"#,
            Some("900100"),
            Some("ada@acme.test"),
            Some("900100"),
            None,
        ),
        (
            r#"{"event_type":"EMAIL_ALIAS_REMOVE","created_by":{"type":"user","id":"900001"},"source":{"login":"ada@acme.test"}}"#,
            None,
            Some("ada@acme.test"),
            Some("900001"),
            None,
        ),
        (
            r#"{"event_type":"EDIT_USER","created_by":{"id":"900001"},"source":null}"#,
            None,
            None,
            Some("900001"),
            None,
        ),
        (
            r#"{"event_type":"DELETE_USER","created_by":{"id":"box_support"},"source":{"type":"user","id":900222}}"#,
            Some("900222"),
            None,
            Some("box_support"),
            None,
        ),
        (r#"{"event_type":"LOGIN","created_by":{"id":"2"},"source":"odd"}"#, None, None, None, None),
        // Without a type, the source is a user if the event is about a user.
        (r#"{"event_type":"LOGIN","source":{"id":900100}}"#, Some("900100"), None, None, None),
        (r#"{"event_type":"EDIT_USER","source":{"id":"900100"}}"#, Some("900100"), None, None, None),
        (
            r#"{"event_type":"DOWNLOAD","created_by":{"id":7},"source":{"id":"5"}}"#,
            None,
            None,
            Some("7"),
            None,
        ),
        (r#"{"event_type":"LOGIN","source":{"type":"user","id":"0"}}"#, None, None, None, None),
        (
            r#"{"event_type":"LOGIN","created_by":{"id":"box_support"},"source":null}"#,
            None,
            None,
            Some("box_support"),
            None,
        ),
        // One unexpected field does not hide the others.
        (
            r#"{"event_type":"LOGIN","source":{"type":["user"],"id":"900100","login":{}}}"#,
            Some("900100"),
            None,
            None,
            None,
        ),
        (
            "{\"event_type\":\"LOGIN\",\"source\":{\"id\":\"9\u{fffd}1\",\"login\":\"ada@acme.test\"}}",
            None,
            Some("ada@acme.test"),
            None,
            None,
        ),
    ];

    #[test]
    fn user_actor_and_group_of_each_event_sample() {
        for (json, user_id, user_login, actor_id, group_id) in CASES {
            let json = json.replacen('{', r#"{"event_id":"e","created_at":"2026-03-02T08:14:05-08:00","#, 1);
            let event: Event<'_> = crate::box_api::read(&json).unwrap().record;
            let source = event.source();
            assert_eq!(event.affected_user(&source), (*user_id, *user_login), "{json}");
            assert_eq!(event.actor_id(), *actor_id, "{json}");
            assert_eq!(event.group_id(&source).as_deref(), *group_id, "{json}");
        }
    }
}
