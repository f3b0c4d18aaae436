//! The engine's commands in a world: approve, apply, undo, each with a crash at any point.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use boxseat_pipeline::Clock;
use boxseat_pipeline::client::{BoxActor, BoxReader};
use boxseat_reclaim::engine::{Anchors, ApplyEnv, Scope, Task, UserOutcome, admit, apply, ours, undo};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::approval::Required;
use boxseat_reclaim::journal::plans::PlanFile;
use boxseat_reclaim::{Error, ErrorKind};
use boxseat_reclaim_checker::left_suspended;
use boxseat_schemas::reclaim::Record;
use boxseat_schemas::reclaim::plan::Operator;
use rand::Rng;

use crate::story::{BY, World, operator};
use crate::{life, night};

impl World {
    pub(super) fn approve(&mut self, index: usize) {
        let PlanFile { plan, digest, .. } = &self.plans[index];
        let record = Record::Approved {
            plan_id: plan.plan_id.clone(),
            digest: digest.clone(),
            by: operator("approver"),
            signed_by: None,
            signature: None,
        };
        self.journal.append((self.clock)(), record).expect("a journal in memory accepts entries");
    }

    /// Applies a plan until it ends: the process dies at a random step, or a response is lost, and the next start continues.
    pub(super) async fn apply(&mut self, index: usize) {
        if self.rng.random_bool(0.2) {
            life::loses_an_answer(&mut self.rng, &self.simulator);
        }
        if self.areas.has_gaps && self.areas.rng.random_bool(0.15) {
            life::closes_the_log(&self.simulator);
        }
        for attempt in 0..3 {
            // The last attempt does not die.
            let dies = attempt < 2 && self.rng.random_bool(0.5);
            let steps = if dies { self.rng.random_range(1..25) } else { i64::MAX };
            if self.run(index, steps, Verb::Apply).await.is_ok() {
                break;
            }
            if self.rng.random_bool(0.5) {
                self.happen(1, 0.5);
            }
            self.meanwhile(0.3);
        }
        self.simulator.clear_faults();
    }

    /// Undoes a plan, possibly in two starts; every user that may be given back must be given back.
    pub(super) async fn undo(&mut self, index: usize) -> Result<(), String> {
        let dies = if self.rng.random_bool(0.3) { self.rng.random_range(1..8) } else { i64::MAX };
        let mut done = self.run(index, dies, Verb::Undo).await;
        if done.is_err() {
            done = self.run(index, i64::MAX, Verb::Undo).await;
        }
        let Ok(Some(refused)) = done else { return Ok(()) };
        let plan_id = self.plans[index].plan.plan_id.clone();
        let mut left = self.with_case(|case| left_suspended(case, &plan_id));
        left.retain(|sentence| !refused.iter().any(|user_id| sentence.starts_with(user_id.as_str())));
        if left.is_empty() { Ok(()) } else { Err(self.describe(&left)) }
    }

    /// One start of a command. `Err`: it died. `Ok(None)`: it was refused, or stopped early. `Ok(Some)`: it ended; returns the
    /// users that Box refused or whose state is unknown.
    pub(super) async fn run(
        &mut self,
        index: usize,
        dies_after: i64,
        verb: Verb,
    ) -> Result<Option<Vec<String>>, ()> {
        self.simulator.advance_secs(self.rng.random_range(1..120));
        let Some((snapshot, mark)) = &self.snapshot else { return Ok(None) };
        let file = &self.plans[index];
        let plan = &file.plan;
        let steps = AtomicI64::new(dies_after);
        let simulator = Arc::clone(&self.simulator);
        let crash = move |step: &str| {
            simulator.advance_secs(1);
            if steps.fetch_sub(1, Ordering::Relaxed) == 0 {
                return Err(Error::refused(format!("died at {step}")));
            }
            Ok(())
        };
        let by = operator(BY);
        let env = env(&self.reader, &self.actor, &self.clock, &by, &crash);
        let env = ApplyEnv { concurrency: self.concurrency, ..env };
        let (policy, inputs) = (Some(&self.policy), &self.inputs);
        let task = Task { plan, policy, snapshot, inputs, mark: mark.as_ref(), leavers_per_day: usize::MAX };
        let past = self.journal.past().clone();
        let done = match verb {
            Verb::Apply => {
                let required = Required::of(plan, None);
                if admit(file, &past, &required, snapshot, night::STORE, (self.clock)()).is_err() {
                    return Ok(None);
                }
                self.told.applies += 1;
                apply(task, env, &mut self.journal).await
            }
            // The journal may be one from a backup, which does not know the plan.
            Verb::Undo if ours(plan, &file.digest, &past, snapshot, night::STORE).is_err() => {
                return Ok(None);
            }
            Verb::Undo => undo(task, Scope::WholePlan, env, &mut self.journal).await,
        };
        if let Ok(applied) = &done {
            self.told.count_words(self.lacks_logins(), applied.people.values().map(UserOutcome::word));
            if self.earlier.last().is_some_and(|(at, _)| *at > plan.created_at) {
                self.told.count_kept_by_edit(applied.people.values().map(UserOutcome::word));
            }
            self.commit();
        }
        match done {
            Ok(applied) if applied.stopped.is_some() => {
                self.told.stopped += 1;
                Ok(None)
            }
            Ok(applied) => {
                let is_refused = |fate: &UserOutcome| {
                    matches!(
                        fate,
                        UserOutcome::Refused(_) | UserOutcome::Unknown(_) | UserOutcome::NotAttempted
                    )
                };
                let refused = applied.people.iter().filter(|(_, fate)| is_refused(fate));
                Ok(Some(refused.map(|(user_id, _)| user_id.clone()).collect()))
            }
            Err(_) => {
                self.told.crashes += 1;
                Err(())
            }
        }
    }
}

/// The inputs of a run.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    Apply,
    Undo,
}

pub(super) fn env<'a>(
    reader: &'a BoxReader,
    actor: &'a BoxActor,
    clock: &'a Clock,
    by: &'a Operator,
    crash: &'a (dyn Fn(&str) -> Result<(), Error> + Sync),
) -> ApplyEnv<'a> {
    // One at a time: the result of a world must not depend on how tasks interleave.
    ApplyEnv { reader, actor, clock, by, concurrency: 1, check_clock: false, anchors: &NoAnchor, crash }
}

struct NoAnchor;

impl Anchors for NoAnchor {
    fn anchor(&self, _: &Journal) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use boxseat_reclaim::rules::policy_inputs::InputFile;
    use boxseat_schemas::reclaim::ReasonCode;
    use boxseat_schemas::reclaim::plan::Stage;
    use boxseat_simulator::Act;

    use super::*;

    /// The first world that suspends more than two users, with its approved plan.
    async fn with_plan() -> (World, usize) {
        let mut seeds = 1..;
        loop {
            let mut world = World::new(seeds.next().expect("one of many")).await;
            world.night().await;
            let made = world.plan();
            let long = made.into_iter().find(|index| {
                let plan = &world.plans[*index].plan;
                plan.stage == Stage::Suspend && plan.people.len() > 2
            });
            if let Some(index) = long {
                world.approve(index);
                return (world, index);
            }
        }
    }

    /// Why: a process that was stopped for minutes between the readings and the calls suspended users who had signed in meanwhile.
    #[tokio::test]
    async fn r12_a_call_that_would_come_minutes_after_its_reading_is_not_made() {
        let (mut world, index) = with_plan().await;
        let simulator = Arc::clone(&world.simulator);
        for pause in [121, 1] {
            let stops = |step: &str| {
                if step == "intended suspend" {
                    simulator.advance_secs(pause);
                }
                Ok(())
            };
            let (snapshot, mark) = world.snapshot.as_ref().expect("a snapshot was read");
            let by = operator(BY);
            let (policy, inputs) = (Some(&world.policy), &world.inputs);
            let plan = &world.plans[index].plan;
            let task =
                Task { plan, policy, snapshot, inputs, mark: mark.as_ref(), leavers_per_day: usize::MAX };
            let env = env(&world.reader, &world.actor, &world.clock, &by, &stops);
            let applied = apply(task, env, &mut world.journal).await.expect("nothing dies here");
            let suspended = simulator.deeds().iter().filter(|deed| deed.suspends()).count();
            let is_outdated =
                |fate: &UserOutcome| matches!(fate, UserOutcome::Waiting(ReasonCode::ReadingOutdated, _));
            if pause > 120 {
                assert_eq!((applied.count(is_outdated), suspended), (plan.people.len(), 0));
            } else {
                assert_eq!(
                    (applied.count(UserOutcome::is_done), suspended),
                    (plan.people.len(), plan.people.len())
                );
            }
        }
    }

    /// R3: a hold that is added while a plan is applied stops the run before the next user.
    #[tokio::test]
    async fn r3_a_list_that_is_written_while_a_plan_is_applied_stops_the_run() {
        let (mut world, index) = with_plan().await;
        let directory = tempfile::tempdir().expect("a directory");
        let list = directory.path().join("holds.csv");
        std::fs::write(&list, "user_id,reason\n").expect("a file");
        world.inputs.files = vec![InputFile::of(&list)];
        let adds_a_hold = |step: &str| {
            if step == "intended suspend" {
                std::fs::write(&list, "user_id,reason\n1,suit\n").expect("a file");
            }
            Ok(())
        };
        let (snapshot, mark) = world.snapshot.as_ref().expect("a snapshot was read");
        let by = operator(BY);
        let (policy, inputs) = (Some(&world.policy), &world.inputs);
        let plan = &world.plans[index].plan;
        let task = Task { plan, policy, snapshot, inputs, mark: mark.as_ref(), leavers_per_day: usize::MAX };
        let env = env(&world.reader, &world.actor, &world.clock, &by, &adds_a_hold);
        let applied = apply(task, env, &mut world.journal).await.expect("nothing dies here");
        let stopped = applied.stopped.as_ref().expect("the run stopped");
        assert!(
            stopped.lines()[0].contains("was changed after this command read it"),
            "{:?}",
            stopped.lines()
        );
        assert_eq!(world.simulator.deeds().iter().filter(|deed| deed.suspends()).count(), 1);
    }

    /// R3: Why: the list was compared when the turn of a user began, and many users were read at once, so a hold written during these
    /// readings stopped none of them, and not even the user it named.
    #[tokio::test]
    async fn r3_a_hold_that_is_written_while_users_are_read_stops_every_call_after_it() {
        let (mut world, index) = with_plan().await;
        let directory = tempfile::tempdir().expect("a directory");
        let list = directory.path().join("holds.csv");
        std::fs::write(&list, "user_id,reason\n").expect("a file");
        world.inputs.files = vec![InputFile::of(&list).after_reading()];
        let plan = &world.plans[index].plan;
        // All turns begin before the first call.
        let text: String = plan.people.iter().map(|planned| format!("{},suit\n", planned.user_id)).collect();
        let adds_holds = |step: &str| {
            if step == "intended suspend" {
                std::fs::write(&list, format!("user_id,reason\n{text}")).expect("a file");
            }
            Ok(())
        };
        let (snapshot, mark) = world.snapshot.as_ref().expect("a snapshot was read");
        let by = operator(BY);
        let (policy, inputs) = (Some(&world.policy), &world.inputs);
        let task = Task { plan, policy, snapshot, inputs, mark: mark.as_ref(), leavers_per_day: usize::MAX };
        let env = env(&world.reader, &world.actor, &world.clock, &by, &adds_holds);
        let env = ApplyEnv { concurrency: 16, ..env };
        let applied = apply(task, env, &mut world.journal).await.expect("nothing dies here");
        assert_eq!(applied.stopped.as_ref().expect("the run stopped").kind(), ErrorKind::Refused);
        let deeds = world.simulator.deeds();
        assert_eq!(deeds.iter().filter(|deed| deed.suspends()).count(), 1);
        assert_eq!(applied.count(UserOutcome::is_done), 1, "the suspended user is signed out");
        assert_eq!(applied.count(|fate| *fate == UserOutcome::NotAttempted), plan.people.len() - 1);
    }

    /// R11: a sign-in while a plan is applied is found by the walk of the admin log every five minutes, and not before.
    #[tokio::test]
    async fn r11_the_admin_log_is_read_again_every_five_minutes() {
        for (secs, is_heard) in [(1, false), (301, true)] {
            let (mut world, index) = with_plan().await;
            let plan = &world.plans[index].plan;
            let user_id = plan.people.last().expect("more than two").user_id.clone();
            let (simulator, is_first) = (Arc::clone(&world.simulator), AtomicI64::new(1));
            let signs_in = |_: &str| {
                if is_first.fetch_sub(1, Ordering::Relaxed) == 1 {
                    simulator.act(&Act::Login { user_id: user_id.clone() });
                    simulator.advance_secs(secs);
                }
                Ok(())
            };
            let (snapshot, mark) = world.snapshot.as_ref().expect("a snapshot was read");
            let by = operator(BY);
            let (policy, inputs) = (Some(&world.policy), &world.inputs);
            let task =
                Task { plan, policy, snapshot, inputs, mark: mark.as_ref(), leavers_per_day: usize::MAX };
            let env = env(&world.reader, &world.actor, &world.clock, &by, &signs_in);
            let applied = apply(task, env, &mut world.journal).await.expect("nothing dies here");
            let fate = &applied.people[&user_id];
            assert_eq!(fate.is_done(), !is_heard, "{secs} seconds later: {}", fate.word());
        }
    }
}
