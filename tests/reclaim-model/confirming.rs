//! R15: bytes that remain after the content has moved. Each such account is reported to operators, who confirm it where the content
//! has really moved.

use boxseat_pipeline::client::Found;
use boxseat_reclaim::engine::{Canaries, Content};
use boxseat_reclaim::rules::confirmation::to_confirm;
use boxseat_reclaim::rules::stuck::{Stuck, stuck};
use boxseat_schemas::reclaim::{Ability, ReasonCode, Record};
use chrono::TimeDelta;
use rand::Rng;

use crate::story::{World, operator};

/// Whether no reading proves that the account is empty.
fn is_unproven(stuck: &Stuck) -> bool {
    matches!(stuck.word.known(), Some(ReasonCode::NotEmpty | ReasonCode::Unverifiable))
}

impl World {
    /// Like `reclaim confirm`: an operator has checked, and everything but the trash has arrived.
    pub(super) async fn confirm(&mut self) {
        if !self.areas.has_trash || !self.areas.rng.random_bool(0.5) {
            return;
        }
        let operators = ["jo", "kim"];
        let by = operator(operators[self.areas.rng.random_range(0..operators.len())]);
        for stuck in self.stuck().into_iter().filter(is_unproven) {
            let is_moved = self.simulator.content(&stuck.user_id).is_some_and(|content| {
                (content.owned_items, content.owned_bytes, content.is_moving) == (0, 0, false)
            });
            let transfer = to_confirm(self.journal.past(), &stuck.user_id, &stuck.login, self.now());
            let (true, Ok(transfer)) = (is_moved, transfer) else { continue };
            let Ok(Found::Is(user)) = self.actor.user(&stuck.user_id).await else { continue };
            let Some((snapshot, _)) = &self.snapshot else { continue };
            let allows = self.journal.past().allows(Ability::ReadInactive, self.now());
            let read = Content::of(&self.actor, &user, allows, &Canaries::of(snapshot, &[])).await;
            let Ok(content) = read.map(|reading| reading.content) else { continue };
            let (None | Some(0), Some(space_used_bytes)) = (content.owned_items, content.space_used_bytes)
            else {
                continue;
            };
            let record = Record::ContentConfirmed {
                user_id: stuck.user_id,
                action_id: transfer.attempt.action_id,
                statement: "everything is with the receiver".to_owned(),
                by: by.clone(),
                operators_needed: self.areas.operators_needed,
                owned_items: content.owned_items,
                space_used_bytes,
            };
            self.journal.append(self.now(), record).expect("a journal in memory accepts entries");
            self.told.confirmations += 1;
        }
    }

    /// R15: an account that still holds bytes two days after its transfer is reported to an operator.
    pub(super) fn untold(&mut self) -> Vec<String> {
        let Some((snapshot, _)) = &self.snapshot else { return Vec::new() };
        let (stuck, now) = (self.stuck(), self.now());
        let (mut found, mut told) = (Vec::new(), 0);
        for (user_id, known) in &self.journal.past().people {
            let Some(transfer) = known.transfer().filter(|transfer| !transfer.is_unfinished()) else {
                continue;
            };
            let in_use_since = known.restored_at().max(known.reverted_at());
            let is_over = known.deletion().is_some()
                || in_use_since.is_some_and(|at| at > transfer.asked_at)
                || known.confirmation(&transfer.attempt.action_id).is_some()
                || snapshot.person(user_id).is_none_or(|person| person.listing.is_none());
            let last = known.readings.last().filter(|last| last.at > transfer.asked_at);
            let has_trash = last.is_some_and(|last| {
                matches!((last.owned_items, last.space_used_bytes), (None | Some(0), Some(1..)))
            });
            if is_over || !has_trash || now - transfer.asked_at < TimeDelta::hours(48) {
                continue;
            }
            match stuck.iter().find(|stuck| stuck.user_id == *user_id) {
                None => found.push(format!("R15: no command reports {user_id}, which still holds bytes")),
                Some(stuck) if is_unproven(stuck) && !stuck.reason.contains("trash") => {
                    found.push(format!("R15: {user_id} is reported without the trash: {}", stuck.reason));
                }
                Some(_) => told += 1,
            }
        }
        self.told.told_of_bytes += told;
        found
    }

    fn stuck(&self) -> Vec<Stuck> {
        let Some((snapshot, _)) = &self.snapshot else { return Vec::new() };
        stuck(self.journal.past(), snapshot, Some(&self.policy), &self.inputs, self.now())
    }
}
