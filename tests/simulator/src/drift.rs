//! What Box begins to send before anybody documents it: a new field, a new status, a new type of event.
//!
//! Its changelog announces some of it and its clients meet the rest at night. [`crate::Act::SetDrift`] switches it on and off
//! while the stand-in runs; the truth follows.

use serde::{Deserialize, Serialize};

use crate::chance::{self, About};
use crate::config::Config;
use crate::wire::Object;

/// The field that [`Drift::new_field_share`] adds, whatever `fields` asks for.
pub const UNHEARD_FIELD: &str = "trust_tier";
/// The status that [`Drift::new_status_share`] gives.
pub const UNHEARD_STATUS: &str = "held_for_review";
/// The type of the events that [`Drift::new_events_per_day`] brings.
pub const UNHEARD_EVENT_TYPE: &str = "SIGN_IN_PASSKEY";

/// An object, because a reader that expects text or nothing must not stumble either.
const UNHEARD_VALUE: &str = r#"{"level":2,"reviewed":null}"#;

/// How far Box has drifted from what is documented. The default is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drift {
    /// Share of users, groups, memberships, aliases and events (0.0 to 1.0) that carry [`UNHEARD_FIELD`], by their ids.
    pub new_field_share: f64,
    /// Share of active ordinary people whose status becomes [`UNHEARD_STATUS`], of which no event tells. 0.0 makes those who
    /// have it active again.
    pub new_status_share: f64,
    /// Events of type [`UNHEARD_EVENT_TYPE`] on every stepped day from now on, of people who sign in.
    pub new_events_per_day: u32,
    /// Whether `GET /events` shows them to callers whose `event_type` asks for other types only.
    pub shows_unasked_events: bool,
}

impl Drift {
    /// The new field of the object with this id, if it carries one.
    pub(crate) fn field(&self, config: &Config, id: u64) -> Option<(&'static str, &'static str)> {
        let carries = chance::happens(config.seed, About::DriftedField, id, self.new_field_share);
        carries.then_some((UNHEARD_FIELD, UNHEARD_VALUE))
    }

    pub(crate) fn write_field(&self, object: &mut Object<'_>, config: &Config, id: u64) {
        if let Some((key, json)) = self.field(config, id) {
            object.raw(key, json);
        }
    }
}
