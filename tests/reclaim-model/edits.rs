//! R9, R10: policy and lists change while a plan waits or is applied.

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::Act;
use chrono::TimeDelta;
use rand::Rng;
use serde_json::json;

use crate::life;
use crate::story::{World, inputs, policy};

impl World {
    /// One change of the policy or of a list, mostly about a user of a plan.
    pub(super) fn edit_policy(&mut self) {
        let Some(user) = self.some_user() else { return };
        let today = self.now().date_naive();
        let mut intent = self.intent.clone();
        let rng = &mut self.areas.rng;
        match rng.random_range(0..16) {
            0 | 1 => _ = intent.protected_ids.insert(user.user_id),
            2 => intent.protected_logins.extend(user.login.map(|login| login.to_lowercase())),
            3 => {
                let truth = self.simulator.truth_without_events();
                let mut groups = truth.memberships.iter().filter(|member| member.user_id == user.user_id);
                intent.protected_groups.extend(groups.next().map(|member| member.group_id.clone()));
            }
            4 | 5 => _ = intent.held.insert(user.user_id),
            6 | 7 => {
                let to = today + TimeDelta::days(rng.random_range(0..20));
                intent.leaves.push((user.user_id, today.to_string(), to.to_string()));
            }
            8 => {
                intent.shared_content =
                    ["leave_out", "transfer_first", "suspend_anyway"][rng.random_range(0..3)];
            }
            9 => intent.when_refused = if intent.when_refused == "stop" { "reactivate" } else { "stop" },
            10 => intent.furthest_stage = ["suspend", "transfer", "delete"][rng.random_range(0..3)],
            11 => intent.cap_people = [1, 2, 4, 1_000][rng.random_range(0..4)],
            12 | 13 => {
                let body = json!({"space_amount": -1});
                let mut users = life::ordinary(&self.simulator);
                users.retain(|user| user.status == "active");
                if !users.is_empty() {
                    let receiver = users.swap_remove(rng.random_range(0..users.len())).user_id;
                    self.simulator.act(&Act::EditUser { user_id: receiver.clone(), body, announced: true });
                    intent.receiver = Some(receiver);
                }
            }
            14 => {
                intent.suspend_after_idle_days = [60, 90, 120][rng.random_range(0..3)];
                intent.transfer_after_days = rng.random_range(0..6);
                intent.delete_after_days = intent.transfer_after_days + rng.random_range(2..8);
                intent.notify = rng.random_bool(0.5);
            }
            _ => loosen(&mut intent),
        }
        if intent == self.intent {
            return;
        }
        // So that an action is clearly before or after it.
        self.simulator.advance_secs(1);
        let earlier = std::mem::replace(&mut self.intent, intent);
        self.earlier.push((self.now(), earlier));
        (self.policy, self.inputs) = (policy(&self.intent), inputs(&self.intent));
        self.told.edits += 1;
        self.simulator.advance_secs(1);
    }
}

/// Removes a restriction. No plan gets a user by it.
fn loosen(intent: &mut Intent) {
    intent.protected_ids.pop_first();
    intent.protected_logins.pop_first();
    intent.protected_groups.pop_first();
    intent.held.pop_first();
    intent.leaves.pop();
}
