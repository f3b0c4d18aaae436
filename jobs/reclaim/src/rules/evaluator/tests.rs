//! One table per rule: a user that every rule admits, changed in one place, and the reason code that excludes it.

use boxseat_schemas::reclaim::{Action, Outcome, PlanEnd, Record};

use super::*;
use crate::rules::policy_inputs::{Hold, Leave as LeaveRow, List};
use crate::rules::snapshot::{Edit, OnLeave};
use crate::testing::{
    TO_DELETE, created, day, idler, inputs, intent, outcome, past, policy, snapshot, snapshot_time,
    suspended, worker,
};

mod caps;
mod evidence;
mod protection;
mod receivers;

/// A scenario of which a test changes one thing.
struct World {
    policy: Policy,
    snapshot: Snapshot,
    past: JournalState,
    inputs: PolicyInputs,
}

impl World {
    fn of(text: &str, people: impl IntoIterator<Item = Person>) -> Self {
        let receiver = Person { has_unlimited_space: Some(true), ..worker("9") };
        let people = people.into_iter().chain([receiver]);
        Self {
            policy: policy(text),
            snapshot: snapshot(people),
            past: JournalState::default(),
            inputs: inputs(),
        }
    }

    fn with(mut self, records: &[(i64, Record)]) -> Self {
        self.past = past(records);
        self
    }

    fn evaluator(&self) -> Result<Evaluator<'_>, Vec<Refusal>> {
        Evaluator::new(&self.policy, &self.snapshot, &self.past, &self.inputs, snapshot_time(), [])
    }

    #[track_caller]
    fn verdict(&self, id: &str) -> Verdict {
        self.evaluator().unwrap_or_else(|e| panic!("{e:?}")).verdict(&self.snapshot.people[id])
    }

    /// The stage that the user enters, or the rule and reason code of the denial.
    #[track_caller]
    fn says(&self, id: &str) -> String {
        match self.verdict(id) {
            Verdict::NotAsked => "not asked".to_owned(),
            Verdict::Goes(goes) => goes.stage.as_str().to_owned(),
            Verdict::LeftOut(_, no) => format!("{} {}", no.rule, no.word),
        }
    }

    fn refusals(&self) -> Vec<&'static str> {
        self.evaluator().err().unwrap_or_default().iter().map(|refusal| refusal.subject.rule()).collect()
    }
}

const SUSPEND: &str = "evidence = \"activity\"\n";

/// The result for an idle user after one change.
#[track_caller]
fn after(text: &str, change: impl FnOnce(&mut Person)) -> String {
    let mut person = idler("1");
    change(&mut person);
    World::of(text, [person]).says("1")
}

fn text(word: &str) -> Option<String> {
    Some(word.to_owned())
}

#[test]
fn a_user_that_no_rule_denies_is_suspended() {
    assert_eq!(after(SUSPEND, |_| {}), "suspend");
    assert_eq!(World::of(SUSPEND, []).says("9"), "not asked", "a user in use is not evaluated");
}

#[test]
fn a_policy_of_some_users_applies_only_to_them() {
    let who = |entry: &str| {
        World::of(
            &format!("{SUSPEND}[who]\n{entry}\n"),
            [
                Person {
                    group_ids: vec!["g1".to_owned()],
                    tracking_codes: vec![("Department".to_owned(), "Sales".to_owned())],
                    ..idler("1")
                },
                idler("2"),
                Person { seat_state: text("no_login_seen"), ..idler("3") },
            ],
        )
    };
    for (entry, asked) in [
        ("groups = [\"Board\"]", ["suspend", "not asked", "not asked"]),
        ("tracking_codes = [\"Department=Sales\"]", ["suspend", "not asked", "not asked"]),
        ("groups = [\"Board\"]\ntracking_codes = [\"Department=Law\"]", ["not asked"; 3]),
        ("seat_states = [\"no_login_seen\"]", ["not asked", "not asked", "suspend"]),
        ("groups = [\"no such group\"]", ["not asked"; 3]),
    ] {
        assert_eq!(["1", "2", "3"].map(|id| who(entry).says(id)), asked, "{entry}");
    }
}

/// Why: the evaluation must not dominate the time of a run. `--nocapture` shows how long it took; no test asserts it.
#[test]
fn a_hundred_thousand_users_are_evaluated_at_once() {
    let people =
        (0..100_000).map(|n| if n % 3 == 0 { idler(&n.to_string()) } else { worker(&n.to_string()) });
    let mut world = World::of(&format!("{TO_DELETE}[caps]\npeople = 1000\n"), people);
    world.snapshot.seats_assigned = 100_000;
    let begun = std::time::Instant::now();
    let judged = world.evaluator().unwrap().everybody();
    let took = begun.elapsed();
    assert_eq!(judged.going[&Stage::Suspend].len(), 1000);
    println!("100,000 users evaluated in {took:?}");
}

/// A user that we suspended this many days before the snapshot.
fn ours(days: i64) -> World {
    World::of(TO_DELETE, [suspended("1")]).with(&of_ours("1", 100 - days))
}

/// A suspension of ours with the post-image of [`suspended`].
fn of_ours(id: &str, at: i64) -> Vec<(i64, Record)> {
    let done = Record::Outcome {
        action_id: format!("p/{id}/1"),
        outcome: Outcome::Done,
        http_status: Some(200),
        request_id: None,
        after: Some(suspended(id).standing(&[])),
        destination_folder_id: None,
        reason: None,
    };
    let started = Record::ApplyStarted {
        plan_id: "p".into(),
        by: crate::testing::operator("op"),
        actor_user_id: "5000".into(),
        night: crate::testing::night(at),
    };
    vec![(at, started), (at, intent("p", id, Action::Suspend, 1)), (at, done)]
}

/// Suspended 40 days ago, moved 30 days ago, empty in two readings.
fn emptied() -> World {
    let read = |at, items| {
        (
            at,
            Record::ContentRead {
                plan_id: "q".into(),
                user_id: "1".into(),
                owned_items: Some(items),
                shared_items: Some(0),
                space_used_bytes: Some(if items > 0 { 9 } else { 0 }),
            },
        )
    };
    let there = |at| {
        (
            at,
            Record::DestinationRead {
                plan_id: "q".into(),
                user_id: "1".into(),
                receiver_user_id: "9".into(),
                folder_id: "f".into(),
                items: Some(3),
            },
        )
    };
    let moved = vec![
        read(69, 3),
        (70, intent("q", "1", Action::Transfer, 1)),
        (70, outcome("q", "1", 1, Outcome::Done)),
        read(71, 0),
        read(72, 0),
        there(72),
    ];
    World::of(TO_DELETE, [suspended("1")]).with(&[of_ours("1", 60), moved].concat())
}
