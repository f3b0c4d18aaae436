//! What goes wrong between a plan and the end of it, one story each, told to the real binary.
//!
//! Every story ends before the judge, who looks at what happened in the world and not at what boxseat says of it.

mod beginning;

use boxseat_simulator::Act;

use super::intent::Intent;
use super::stage::{Stage, small};
use crate::support::Done;

/// A store, a night, and somebody provably idle for whom nothing speaks; everybody else's content is private.
pub(super) fn staged(intent: Intent) -> (Stage, String) {
    let stage = Stage::new(small(7), intent);
    let idle = stage.idle(91);
    for user_id in &idle {
        stage.give(user_id, 3, 0);
    }
    let first = idle.first().expect("somebody is idle").clone();
    (stage, first)
}

/// The status of a person at Box.
pub(super) fn status(stage: &Stage, user_id: &str) -> String {
    let truth = stage.simulator().truth_without_events();
    let user = truth.users.iter().find(|user| user.user_id == user_id);
    user.map_or_else(|| "gone".to_owned(), |user| user.status.clone())
}

/// What the table of an apply says of a person.
pub(super) fn outcome(done: &Done, user_id: &str) -> String {
    let line = done.stdout.lines().find(|line| line.contains(user_id));
    let line = line.unwrap_or_else(|| panic!("{user_id} is not in\n{}\n{}", done.stdout, done.stderr));
    line.split('┆').nth(2).unwrap_or_default().trim().to_owned()
}

/// Approves and applies the one plan there is.
pub(super) fn apply(stage: &Stage, plan: &str, codes: &[i32]) -> Done {
    stage.expect(&[0], &["reclaim", "approve", plan]);
    stage.expect(codes, &["reclaim", "apply", plan, "--yes"])
}

/// Somebody signs in.
pub(super) fn login(stage: &Stage, user_id: &str) {
    stage.simulator().act(&Act::Login { user_id: user_id.to_owned() });
}
