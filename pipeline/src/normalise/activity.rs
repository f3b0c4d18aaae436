//! The users' own activity by day: evidence of use for users whose applications stay signed in.

use std::collections::{BTreeMap, HashSet};

use boxseat_schemas::box_api::{Event, Party, Read, lenient, read};
use boxseat_schemas::table::{ACTIVITY_DAILY, Rows};
use chrono::NaiveDate;
use serde::Deserialize;

use arrow::array::RecordBatch;

use super::events::type_alone;
use super::stage::Tally;
use super::{Normaliser, UnreadEvent};
use crate::Error;
use crate::ids::fingerprint;
use crate::plan::Pages;

/// Events per user, UTC day and type. Memory depends on users times the days of the walk, which are few.
#[derive(Debug, Default)]
pub struct Activity {
    counts: BTreeMap<(NaiveDate, String, String), u64>,
    /// The outcomes of the events. The rows are the stored rows, each of which counts many events.
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
                match read::<Event<'_>>(raw.get()) {
                    Ok(event) => activity.take(night, &event, &mut seen),
                    Err(_) => {
                        activity.tally.rejected += 1;
                        let slice = night.reservation.activity_slice();
                        activity.unread.push(UnreadEvent { slice, event_type: type_alone(raw.get()) });
                    }
                }
            }
        })?;
        Ok(activity)
    }

    fn take(&mut self, night: &Normaliser<'_>, read: &Read<Event<'_>>, seen: &mut HashSet<u128>) {
        let Some(window) = &night.reservation.activity else { return };
        let event = &read.record;
        let is_asked = (window.from_at..night.reservation.window_to_at).contains(&event.created_at)
            && window.event_types.contains(&event.event_type);
        let Some(user_id) = by_own_hand(read).filter(|id| is_asked && night.users.contains(id)) else {
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

/// The user who acted, if no other actor acted in the user's name: `created_by` is the user, and `action_by` an administrator or Box's
/// support who acted instead (changelog of 2018-08-21). An `action_by` that cannot be read, or has no id, is another actor.
fn by_own_hand<'e>(read: &'e Read<Event<'_>>) -> Option<&'e str> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct ActionBy(#[serde(deserialize_with = "lenient::object_or_nothing")] Option<Party>);

    let user_id = read.record.actor_id()?;
    let is_own = match read.extra.get("action_by") {
        None | Some("{}") => true,
        Some(raw) => match serde_json::from_str(raw) {
            Ok(ActionBy(None)) => true,
            Ok(ActionBy(Some(other))) => other.id.as_deref() == Some(user_id),
            Err(_) => false,
        },
    };
    is_own.then_some(user_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why: an event by another actor, whose id was numeric or missing, counted as the user's own use.
    #[test]
    fn activity_of_another_actor_is_not_the_users_use() {
        for (action_by, is_own) in [
            ("", true),
            (r#","action_by":null"#, true),
            (r#","action_by":[]"#, true),
            (r#","action_by":{}"#, true),
            (r#","action_by":{"type":"user","id":"7"}"#, true),
            (r#","action_by":{"id":7}"#, true),
            (r#","action_by":{"id":8}"#, false),
            (r#","action_by":{"id":"8"}"#, false),
            (r#","action_by":{"id":"box_support"}"#, false),
            (r#","action_by":{"id":null,"name":"Support"}"#, false),
            (r#","action_by":{"id":{}}"#, false),
            (r#","action_by":"box_support""#, false),
            (r#","action_by":[{"id":"7"}]"#, false),
        ] {
            let raw = format!(
                r#"{{"event_id":"e","event_type":"DOWNLOAD","created_at":"2026-03-02T08:14:05Z","created_by":{{"id":"7"}}{action_by}}}"#
            );
            let read: Read<Event<'_>> = read(&raw).unwrap();
            assert_eq!(by_own_hand(&read), is_own.then_some("7"), "{action_by}");
        }
    }
}
