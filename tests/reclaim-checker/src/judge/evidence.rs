//! R2, R3, R11, R18: what must be known about the admin log. Days of which nothing is known prove nothing.

use boxseat_simulator::{Deed, Verb};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Judge, Known, at};

/// How old the end of a span may be.
const FRESH: TimeDelta = TimeDelta::hours(48);

type Span = Option<(DateTime<Utc>, DateTime<Utc>)>;

impl<'a> Judge<'a> {
    pub(super) fn evidence(&mut self) {
        let is_change = |deed: &&Deed| {
            deed.suspends() || deed.reactivates() || matches!(deed.verb, Verb::BeginTransfer | Verb::Delete)
        };
        let changes: Vec<&Deed> = self.ours().filter(|deed| deed.is_applied).filter(is_change).collect();
        for deed in changes {
            let Some(known) = self.known_at(at(&deed.at)) else { continue };
            let window = self.opened_before(deed);
            let is_leaver = self.leaver(deed).is_some();
            // Neither a lock-out nor the end of a window waits for the log.
            if deed.suspends() && (window.is_some() || is_leaver) {
                continue;
            }
            self.require(deed, known.has_position, "R11: no position of the admin log is known");
            let ours = self.our_suspension(&deed.user_id, deed.sequence);
            let is_undo = deed.reactivates() && !self.is_window_opening(deed);
            if is_undo {
                let knows = ours.is_none_or(|ours| knows_since(known, known.edits, at(&ours.at)));
                self.require(deed, knows, "R18: edits are not known without a gap");
                continue;
            }
            if !is_leaver {
                let wanted = TimeDelta::days(self.policy(deed).suspend_after_idle_days);
                let knows = knows_since(known, known.logins, known.at - wanted);
                self.require(deed, knows, "R2: sign-ins are not known for the idle days");
                let knows = ours.is_none_or(|ours| knows_since(known, known.edits, at(&ours.at)));
                self.require(deed, knows, "R3: edits are not known without a gap");
            }
            if deed.verb == Verb::Delete {
                let is_watched = ours.is_none_or(|ours| {
                    let (from, to) = (at(&ours.at), at(&ours.at) + FRESH);
                    known.logins.is_some_and(|span| span.0 <= from && span.1 >= to)
                });
                self.require(deed, is_watched, "R11: sign-ins after the suspension are not known");
            }
        }
    }

    /// R18: whether every edit since a suspension is known at a time.
    pub(super) fn knows_edits(&self, moment: DateTime<Utc>, ours: &Deed) -> bool {
        self.known_at(moment).is_none_or(|known| knows_since(known, known.edits, at(&ours.at)))
    }

    /// What the latest snapshot knows.
    fn known_at(&self, moment: DateTime<Utc>) -> Option<&'a Known> {
        self.case.known.iter().rfind(|known| known.at <= moment)
    }
}

fn knows_since(known: &Known, span: Span, since: DateTime<Utc>) -> bool {
    span.is_some_and(|(from, to)| from <= since && to >= known.at - FRESH)
}
