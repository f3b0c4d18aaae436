//! Undocumented data that Box starts to send: a new field, a new status, a new event type.
//!
//! Box's changelog announces some of it. Clients meet the rest in a run. [`crate::Act::SetDrift`] switches it on and off while
//! the simulator runs, and the truth includes it.

use serde::{Deserialize, Serialize};

use crate::chance::{self, About};
use crate::config::Config;
use crate::wire::Object;

/// The field that [`Drift::new_field_share`] adds, whatever `fields` requests.
pub const UNHEARD_FIELD: &str = "trust_tier";
/// The status that [`Drift::new_status_share`] sets.
pub const UNHEARD_STATUS: &str = "held_for_review";
/// The type of the events that [`Drift::new_events_per_day`] adds.
pub const UNHEARD_EVENT_TYPE: &str = "SIGN_IN_PASSKEY";

/// An object, because a reader that expects text or null must not fail on it either.
const UNHEARD_VALUE: &str = r#"{"level":2,"reviewed":null}"#;

/// How far Box deviates from its documentation. The default is no deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drift {
    /// Share of users, groups, memberships, aliases and events (0.0 to 1.0) that have [`UNHEARD_FIELD`], by their ids.
    pub new_field_share: f64,
    /// Share of active ordinary users whose status becomes [`UNHEARD_STATUS`]. No event announces it. 0.0 makes users with this
    /// status active again.
    pub new_status_share: f64,
    /// Events of type [`UNHEARD_EVENT_TYPE`] on every stepped day from now on, with users as actors.
    pub new_events_per_day: u32,
    /// Whether `GET /events` also returns them to callers whose `event_type` requests only other types.
    pub shows_unasked_events: bool,
}

impl Drift {
    /// The new field of the object with this id, if the object has it.
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
