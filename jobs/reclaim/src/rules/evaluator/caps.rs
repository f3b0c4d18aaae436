//! R4, R8: how many more users the caps allow, and how much a receiver can take.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use boxseat_schemas::reclaim::{ReasonCode, Stage};

use super::super::receivers::room;
use super::super::snapshot::Person;
use super::{Denial, Evaluator, Goes, Judged};
use crate::journal::state::{CAPS_WINDOW, UserState};

impl<'a> Evaluator<'a> {
    /// R4: a receiver enters no stage, and two users do not receive from each other.
    pub(super) fn part_receivers(&self, going: &mut Vec<(&Person, Goes)>, judged: &mut Judged) {
        let receiving: HashMap<String, String> = going
            .iter()
            .filter_map(|(person, goes)| Some((goes.receiver_user_id.clone()?, person.called().to_owned())))
            .collect();
        going.retain(|(person, goes)| match receiving.get(&person.user_id) {
            None => true,
            Some(source) => {
                let no = Denial::new(
                    ReasonCode::Receiver,
                    format!("receives the content of {source} by the latest snapshot"),
                );
                judged.left_out.insert(person.user_id.clone(), (goes.stage, no));
                false
            }
        });
    }

    /// R4: the content of all users that go to one receiver must fit together.
    pub(super) fn quota(
        &self,
        person: &Person,
        receiver_user_id: Option<&str>,
        full: &mut HashMap<String, i64>,
    ) -> Result<(), Denial> {
        let receiver = receiver_user_id.and_then(|id| self.snapshot.person(id));
        let Some((receiver, bytes)) = receiver.zip(person.space_used_bytes) else { return Ok(()) };
        let taken = full.entry(receiver.user_id.clone()).or_default();
        let room = room(receiver).unwrap_or(0);
        if bytes > room.saturating_sub(*taken) {
            return Err(Denial::new(
                ReasonCode::NoReceiver,
                format!("the quota of {} has no room after the earlier transfers", receiver.called()),
            ));
        }
        *taken = taken.saturating_add(bytes);
        Ok(())
    }

    /// R4: why no receiver could take the content of users who are to be suspended, if their transfer were due now. Users who wait for
    /// their transfer come first.
    pub(crate) fn without_receiver(&self, judged: &Judged) -> BTreeMap<String, String> {
        let mut without = BTreeMap::new();
        if self.policy.furthest_stage == Stage::Suspend {
            return without;
        }
        let goes =
            |stage| judged.going.get(&stage).into_iter().flatten().map(|(user_id, _)| user_id.as_str());
        let is_waiting = |known: &UserState| known.suspension().is_some() && known.transfer().is_none();
        let waiting =
            self.past.people.iter().filter(|(_, known)| is_waiting(known)).map(|(id, _)| id.as_str());
        let to_suspend: BTreeSet<&str> = goes(Stage::Suspend).collect();
        let before: BTreeSet<&str> = waiting.chain(goes(Stage::Transfer)).collect();
        let mut full = HashMap::new();
        for user_id in before.into_iter().chain(to_suspend.iter().copied()) {
            let Some(person) = self.snapshot.person(user_id) else { continue };
            let receiver = self.receivers.of(person);
            let fits = receiver.and_then(|receiver| self.quota(person, Some(&receiver.user_id), &mut full));
            if let Some(no) = fits.err().filter(|_| to_suspend.contains(user_id)) {
                without.insert(user_id.to_owned(), no.detail);
            }
        }
        without
    }

    /// R8: whether the last plan could do nothing for the user. Such a user takes no place that another user could have: the place is
    /// free in open plans, and in a new plan the user comes last. `apply` counts all users again before it acts.
    pub(super) fn is_stuck(&self, user_id: &str) -> bool {
        let Some(past) = self.past.people.get(user_id) else { return false };
        let Some(skip) = past.skips.last() else { return false };
        // Reasons that stay until an operator removes them.
        let stays = matches!(
            skip.reason.known(),
            Some(
                ReasonCode::Closed
                    | ReasonCode::ContentUnreadable
                    | ReasonCode::NotEmpty
                    | ReasonCode::ReceiverUnfit
                    | ReasonCode::RefusedByBox
                    | ReasonCode::Unverifiable
            )
        );
        stays && !past.attempts[skip.attempts_before..].iter().any(|attempt| attempt.was_done)
    }

    /// R8: what the caps leave for this snapshot.
    pub(crate) fn room_left(&self) -> Room<'a> {
        let caps = self.policy.caps;
        let most = caps.most(self.snapshot.seats_assigned);
        let mut counted: HashSet<&str> =
            self.past.touched_since(self.now - CAPS_WINDOW).into_iter().collect();
        for (plan_id, plan) in self.past.open_plans().filter(|(plan_id, _)| !self.set_aside.contains(plan_id))
        {
            let waiting =
                plan.user_ids.iter().filter(|id| !self.is_done_with(id, plan_id) && !self.is_stuck(id));
            counted.extend(waiting.map(String::as_str));
        }
        Room {
            most,
            taken: counted.len() as u64,
            counted,
            caps: format!(
                "{} users, {} % of {} seats",
                caps.people, caps.seats_percent, self.snapshot.seats_assigned
            ),
        }
    }
}

/// How many more users the caps allow.
pub(crate) struct Room<'a> {
    /// Users that may count in any 30 days.
    pub(crate) most: u64,
    /// Users that count.
    pub(crate) taken: u64,
    counted: HashSet<&'a str>,
    caps: String,
}

impl Room<'_> {
    /// A user that was counted before is not counted again.
    pub(super) fn take(&mut self, user_id: &str) -> Result<(), Denial> {
        if self.counted.contains(user_id) {
            return Ok(());
        }
        if self.taken >= self.most {
            let detail = match self.most {
                0 => format!("the caps allow no user at all ({}): raise [caps] seats_percent", self.caps),
                most => format!("the cap is {most} in any 30 days ({})", self.caps),
            };
            return Err(Denial::new(ReasonCode::OverCap, detail));
        }
        self.taken += 1;
        Ok(())
    }
}
