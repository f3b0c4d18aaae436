//! An admin-log event. <https://developer.box.com/reference/resources/event/>
//!
//! Real payloads differ from the spec: group-level sources have neither `type` nor `id`, `created_by` may be the pseudo user
//! `2` or `box_support`, and some sources map to no documented resource. `source` is therefore read leniently.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Extra, lenient};

/// One event, texts borrowed from the page where they can be.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// The same id in the history and the live stream: what de-duplication goes by.
    #[serde(deserialize_with = "lenient::id")]
    pub event_id: String,
    /// `event`.
    #[serde(rename = "type", default, deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    /// Open text: names drift.
    #[serde(deserialize_with = "lenient::id")]
    pub event_type: String,
    /// When it happened.
    #[serde(deserialize_with = "time_required")]
    pub created_at: DateTime<Utc>,
    /// When Box stored it; missing in most real payloads.
    #[serde(default, deserialize_with = "lenient::time")]
    pub recorded_at: Option<DateTime<Utc>>,
    /// The actor.
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub created_by: Option<Party>,
    /// What it happened to; see [`Event::source`].
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
    /// What else Box sent, `action_by` and `accessible_by` among it.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The actor of an event.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct Party {
    #[serde(default, deserialize_with = "lenient::text")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub login: Option<String>,
}

/// What an event happened to, in the fields of all its shapes.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct Source {
    #[serde(rename = "type", default, deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub login: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub group_id: Option<String>,
}

/// Fields that real events carry beyond the spec: known, kept in `extra`, not counted as unknown.
pub const KNOWN_EXTRA: &[&str] = &["action_by", "accessible_by"];

/// The id Box gives an actor it does not know.
const UNKNOWN_USER: &str = "2";

impl Event<'_> {
    /// The source, empty when null or of a shape that names neither user nor group.
    pub fn source(&self) -> Source {
        self.source.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// The actor's id; the unknown user `2` is `None`.
    pub fn actor_id(&self) -> Option<&str> {
        self.created_by.as_ref().and_then(|by| by.id.as_deref()).filter(|id| *id != UNKNOWN_USER)
    }

    /// The user the event is about, as (id, login); either may be unknown.
    ///
    /// `source.id` when the source is a user, else whoever `source.login` names; for LOGIN and EMAIL_ALIAS_* alone a source that names nobody falls back to the
    /// actor, because there a person acts on himself. Everywhere else the actor is somebody else.
    pub fn affected_user<'s>(&'s self, source: &'s Source) -> (Option<&'s str>, Option<&'s str>) {
        let actor = (self.actor_id(), self.created_by.as_ref().and_then(|by| by.login.as_deref()));
        let named = source.login.as_deref();
        let is_user = source.kind.as_deref() == Some("user");
        if let Some(id) = source.id.as_deref().filter(|id| is_user && *id != UNKNOWN_USER) {
            // A source without login is the actor when the ids agree.
            return (Some(id), named.or(actor.1.filter(|_| actor.0 == Some(id))));
        }
        if let Some(named) = named {
            // When the actor carries the same login, his id says more: logins move from person to person.
            let same = actor.1.is_some_and(|login| login.eq_ignore_ascii_case(named));
            return (actor.0.filter(|_| same), Some(named));
        }
        let acts_on_himself =
            self.event_type == crate::event_types::LOGIN || self.event_type.starts_with("EMAIL_ALIAS_");
        if acts_on_himself { actor } else { (None, None) }
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
    ];

    #[test]
    fn who_did_what_to_whom() {
        for (json, user_id, user_login, actor_id, group_id) in CASES {
            let json = json.replacen('{', r#"{"event_id":"e","created_at":"2026-03-02T08:14:05-08:00","#, 1);
            let event: Event<'_> = serde_json::from_str(&json).unwrap();
            let source = event.source();
            assert_eq!(event.affected_user(&source), (*user_id, *user_login), "{json}");
            assert_eq!(event.actor_id(), *actor_id, "{json}");
            assert_eq!(event.group_id(&source).as_deref(), *group_id, "{json}");
        }
    }
}
