//! R19: an operator offboards users of a world.

use std::path::PathBuf;

use boxseat_reclaim::engine::leaver_plan::{Leaving, gives_way};
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::rules::offboarding;
use boxseat_reclaim::rules::snapshot::Person;
use boxseat_reclaim_checker::Leaver;
use boxseat_schemas::reclaim::plan::Plan;
use boxseat_schemas::reclaim::{ApprovalTerms, ReasonCode};
use boxseat_storage::digest::sha256_hex;
use chrono::TimeDelta;
use rand::Rng;

use crate::acting::Verb;
use crate::story::{BY, World, operator};

impl World {
    /// R19: an operator offboards a user, at once or on a later day. Afterwards the user is locked out, whatever the obstacles.
    pub(super) async fn offboard(&mut self) -> Result<(), String> {
        let Some((snapshot, _)) = &self.snapshot else { return Ok(()) };
        let listed: Vec<&Person> = snapshot
            .people
            .values()
            .filter(|person| person.listing.is_some() && person.seat_kind == "managed_user")
            .collect();
        let person = listed[self.rng.random_range(0..listed.len())];
        let usual = self.intent.receiver.as_deref().and_then(|id| snapshot.person(id));
        let receiver = match usual.filter(|_| self.rng.random_bool(0.7)) {
            Some(usual) => usual,
            None => listed[self.rng.random_range(0..listed.len())],
        };
        let (Some(login), Some(transfer_to)) = (&person.login, &receiver.login) else { return Ok(()) };
        let (by, now, past) = (operator(BY), self.now(), self.journal.past().clone());
        let on = self
            .rng
            .random_bool(0.3)
            .then(|| now.date_naive() + TimeDelta::days(self.rng.random_range(0..4)));
        let leaving = Leaving {
            policy: Some(&self.policy),
            snapshot,
            past: &past,
            inputs: &self.inputs,
            person,
            receiver,
            login,
            transfer_to,
            on,
            ticket: None,
            by: &by,
            now,
        };
        let Ok(gives_way) = gives_way(&past, person, &by) else { return Ok(()) };
        // A refusal is a valid result, too: an administrator, a protected user, a login that is now another account's.
        let looked =
            if person.user_id == receiver.user_id { return Ok(()) } else { leaving.look(&self.actor).await };
        let Ok(looked) = looked else { return Ok(()) };
        let plan = Plan { approval: Some(ApprovalTerms::os_user()), ..leaving.plan(&looked) };
        if past.plans.contains_key(&plan.plan_id) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&plan).expect("plain data");
        let file = PlanFile { digest: sha256_hex(&bytes), plan, path: PathBuf::new(), bytes };
        let user_id = person.user_id.clone();
        self.leavers.push(Leaver {
            user_id: user_id.clone(),
            receiver_user_id: receiver.user_id.clone(),
            at: now,
        });
        for record in gives_way.into_iter().chain([file.record()]) {
            self.journal.append(now, record).expect("a journal in memory accepts entries");
        }
        self.plans.push(file);
        let index = self.plans.len() - 1;
        self.approve(index);
        self.told.offboarded += 1;
        if on.is_some_and(|day| day > now.date_naive()) {
            return Ok(());
        }
        let done = self.run(index, i64::MAX, Verb::Apply).await;
        let truth = self.simulator.truth_without_events();
        let still = truth.users.iter().find(|user| user.user_id == user_id && user.status == "active");
        match (done, still) {
            (Ok(Some(refused)), Some(_)) if !refused.contains(&user_id) => {
                let plan_id = &self.plans[index].plan.plan_id;
                let skip = self.journal.past().people.get(&user_id).and_then(|known| known.skips.last());
                // Only these reasons may keep a leaver signed in.
                if let Some(
                    ReasonCode::Protected
                    | ReasonCode::OnHold
                    | ReasonCode::Receiver
                    | ReasonCode::Admin
                    | ReasonCode::NoPerson
                    | ReasonCode::LoginOfOther
                    | ReasonCode::Closed,
                ) = skip.and_then(|skip| skip.reason.known())
                {
                    return Ok(());
                }
                let reason = skip.map_or("none", |skip| skip.reason.as_str());
                Err(self
                    .describe(&[format!("{user_id} is active after the offboarding {plan_id}: {reason}")]))
            }
            _ => Ok(()),
        }
    }

    /// The places of offboardings that are open.
    pub(super) fn open_offboardings(&self) -> Vec<usize> {
        let open = self.open_plans().into_iter();
        open.filter(|index| offboarding::is_offboarding(&self.plans[*index].plan)).collect()
    }
}
