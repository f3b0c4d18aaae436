//! What people did themselves, by day: evidence of use for those whose applications stay signed in.

use std::collections::{BTreeMap, HashSet};

use boxseat_schemas::box_api::Event;
use boxseat_schemas::table::{ACTIVITY_DAILY, Rows};
use chrono::NaiveDate;
use serde_json::Value;

use arrow::array::RecordBatch;

use super::events::{read_event, type_alone};
use super::stage::Tally;
use super::{Normaliser, UnreadEvent};
use crate::Error;
use crate::ids::fingerprint;
use crate::plan::Pages;

/// Events per user, UTC day and type. Memory follows users times the days of the walk, which are a few.
#[derive(Debug, Default)]
pub struct Activity {
    counts: BTreeMap<(NaiveDate, String, String), u64>,
    /// Where the events went. Rows are counted as they are kept: one for many events.
    pub tally: Tally,
    /// Events that could not be read.
    pub unread: Vec<UnreadEvent>,
}

impl Activity {
    pub(super) fn read(night: &Normaliser<'_>) -> Result<Self, Error> {
        let mut activity = Self::default();
        if night.reservation.activity.is_none() || night.index.is_activity_refused() {
            return Ok(activity);
        }
        let mut seen = HashSet::new();
        Pages { frames: night.spool.frames()? }.each(night.index.activity(), |_, page| {
            activity.tally.from_box += page.entries.len() as u64;
            for raw in &page.entries {
                if read_event(raw.get(), |event| activity.take(night, event, &mut seen)).is_err() {
                    activity.tally.rejected += 1;
                    let slice = night.reservation.activity_slice();
                    activity.unread.push(UnreadEvent { slice, event_type: type_alone(raw.get()) });
                }
            }
        })?;
        Ok(activity)
    }

    fn take(&mut self, night: &Normaliser<'_>, event: &Event<'_>, seen: &mut HashSet<u128>) {
        let Some(window) = &night.reservation.activity else { return };
        let is_asked = (window.from_at..night.reservation.window_to_at).contains(&event.created_at)
            && window.event_types.contains(&event.event_type);
        let Some(user_id) = by_itself(event).filter(|id| is_asked && night.users.contains(id)) else {
            self.tally.dropped += 1;
            return;
        };
        if !seen.insert(fingerprint(&event.event_id)) {
            self.tally.duplicate += 1;
            return;
        }
        let key = (event.created_at.date_naive(), event.event_type.clone(), user_id.to_owned());
        *self.counts.entry(key).or_default() += 1;
    }

    /// The rows of the table `activity_daily`.
    pub fn rows(&self, night: &Normaliser<'_>) -> RecordBatch {
        let mut rows = Rows::new(ACTIVITY_DAILY.lake_schema());
        for ((day, event_type, user_id), count) in &self.counts {
            rows.text(Some(user_id))
                .date(Some(*day))
                .text(Some(event_type))
                .big(i64::try_from(*count).ok())
                .text(Some(&night.enterprise_id))
                .big(Some(night.reservation.run_number.as_i64()))
                .end();
        }
        rows.take_batch()
    }
}

/// Who did it, when nobody else did it in his name: `created_by` is the actor, and `action_by` an administrator or Box's support
/// behind him (changelog of 2018-08-21).
fn by_itself<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    let actor = event.actor_id()?;
    let behind = event.extra.get("action_by").and_then(|by| by.get("id")).and_then(Value::as_str);
    behind.is_none_or(|id| id == actor).then_some(actor)
}
