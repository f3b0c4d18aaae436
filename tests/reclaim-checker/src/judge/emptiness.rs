//! R15: what must be known about the content of an account that is deleted.

use std::collections::BTreeSet;

use boxseat_schemas::reclaim::{Action, Entry, Record};
use boxseat_simulator::{Deed, Verb};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Judge, at};

const APART: TimeDelta = TimeDelta::hours(20);

/// When an account was read, its items and its bytes.
type Reading = (DateTime<Utc>, Option<u64>, Option<i64>);

impl Judge<'_> {
    /// R11, R19: a leaver's account is not deleted within 48 hours after any suspension.
    pub(super) fn watched(&mut self, deed: &Deed) {
        let is_suspension = |other: &&Deed| {
            other.user_id == deed.user_id
                && other.sequence < deed.sequence
                && other.is_applied
                && other.after.as_ref().is_some_and(|after| after.status == "inactive")
                && other.before.as_ref().is_some_and(|before| before.status != "inactive")
                && self.opened_before(other).is_none()
        };
        let suspended_at = self.case.deeds.iter().rfind(is_suspension).map(|other| at(&other.at));
        let is_watched = suspended_at.is_none_or(|then| at(&deed.at) - then >= TimeDelta::hours(48));
        self.require(deed, is_watched, "R11: deleted within 48 hours after the suspension");
    }

    /// R15, by the journal: at least two empty readings, the first and the last of them 20 hours apart.
    pub(super) fn proven_empty(&mut self, deed: &Deed) {
        let is_before = |other: &&Deed| other.user_id == deed.user_id && other.sequence < deed.sequence;
        let begun = self.applied(Verb::BeginTransfer).filter(is_before).last();
        // A user that owned nothing when suspended may be found empty although nothing has moved.
        let had_nothing = |ours: &&Deed| {
            ours.after.as_ref().is_some_and(|after| (after.owned_items, after.owned_bytes) == (0, 0))
        };
        let begun = begun.or_else(|| self.our_suspension(&deed.user_id, deed.sequence).filter(had_nothing));
        let since = begun.map(|deed| at(&deed.at)).or_else(|| self.left_at(deed));
        // The simulated time does not move while a command runs, and the command's clock does.
        let until = at(&deed.at) + TimeDelta::hours(1);
        self.require(deed, since.is_some(), "R15: deleted without a transfer");
        let trash = deed.before.as_ref().map_or(0, |before| before.trash_bytes);
        let known = self.known_to_deletion(deed, until);
        let readings = known.iter().rev().filter_map(|entry| match &entry.record {
            Record::ContentRead { user_id, owned_items, space_used_bytes, .. }
                if *user_id == deed.user_id && Some(entry.at) >= since && entry.at <= until =>
            {
                Some((entry.at, *owned_items, *space_used_bytes))
            }
            _ => None,
        });
        let readings: Vec<Reading> = readings.collect();
        let is_empty = |(_, items, bytes): &&Reading| matches!((items, bytes), (None | Some(0), Some(0)));
        let empty = readings.iter().rev().take_while(is_empty).map(|(at, ..)| *at);
        let (last, first) = (empty.clone().next(), empty.last());
        let apart = last.zip(first).map_or(TimeDelta::zero(), |(last, first)| last - first);
        let is_proven = apart >= APART && trash == 0 || self.is_confirmed(deed, &readings);
        self.require(deed, is_proven, "R15: not seen empty twice, 20 hours apart");
    }

    /// The first offboarding of a leaver since the account was last active.
    fn left_at(&self, deed: &Deed) -> Option<DateTime<Utc>> {
        let leaver = self.leaver(deed)?;
        let was_active = |other: &&Deed| {
            other.user_id == deed.user_id
                && other.sequence < deed.sequence
                && other.after.as_ref().is_some_and(|after| after.status != "inactive")
        };
        let active_at = self.case.deeds.iter().rfind(was_active).map(|other| at(&other.at));
        let of_user = self.case.leavers.iter().filter(|other| other.user_id == leaver.user_id);
        of_user.map(|other| other.at).filter(|left_at| active_at.is_none_or(|at| *left_at >= at)).min()
    }

    /// The entries of the journal that had the intent to delete an account, newest first. A journal that was restored before it lacks
    /// entries that were written after the backup: their numbers were given a second time.
    fn known_to_deletion(&self, deed: &Deed, until: DateTime<Utc>) -> Vec<&Entry> {
        let is_intent = |entry: &&Entry| {
            matches!(&entry.record, Record::Intent(attempt)
                if attempt.user_id == deed.user_id && attempt.action == Action::Delete && entry.at <= until)
        };
        let mut number = u64::MAX;
        let is_kept = |entry: &&Entry| {
            let is_kept = entry.sequence < number;
            number = number.min(entry.sequence);
            is_kept
        };
        let entries = self.case.journal.iter().rev();
        entries.skip_while(|entry| !is_intent(entry)).filter(is_kept).collect()
    }

    /// R15: operators have confirmed the transfer, as many as the policy requires. A reading 20 hours later shows no more than
    /// then, and so does the last one.
    fn is_confirmed(&self, deed: &Deed, readings: &[Reading]) -> bool {
        let (mut operators, mut needed, mut last) = (BTreeSet::new(), 0, None);
        for entry in self.case.journal.iter().filter(|entry| entry.at <= at(&deed.at)) {
            if let Record::ContentConfirmed {
                user_id,
                by,
                operators_needed,
                owned_items,
                space_used_bytes,
                ..
            } = &entry.record
                && *user_id == deed.user_id
            {
                operators.insert(&by.os_user);
                needed = needed.max(*operators_needed);
                last = Some((entry.at, owned_items.unwrap_or(0), *space_used_bytes));
            }
        }
        let Some((confirmed_at, items, bytes)) = last else { return false };
        let holds_no_more = |(_, read_items, read_bytes): &Reading| {
            read_items.unwrap_or(0) <= items && read_bytes.is_some_and(|read| read <= bytes)
        };
        let is_read = readings.iter().any(|(at, ..)| *at - confirmed_at >= APART);
        operators.len() >= needed as usize && is_read && readings.last().is_some_and(holds_no_more)
    }
}
