//! Freeing seats: scenarios, and a checker that reads what happened in Box.

mod judging;
#[allow(dead_code, reason = "the stories that use all of it follow")]
pub(crate) mod stage;
mod stories;

use boxseat_reclaim_checker::Intent;
use stage::{Stage, small};

/// Why: every scenario begins with a user who is provably idle, and one snapshot must be enough to prove it.
#[test]
fn one_snapshot_proves_which_users_are_idle() {
    let stage = Stage::new(small(7), Intent::default());
    let idle = stage.idle(91);
    assert!((3..12).contains(&idle.len()), "{idle:?}");
    for user_id in &idle {
        let proven = format!("SELECT proven_idle_days FROM accounts WHERE user_id = '{user_id}'");
        assert!(stage.world.value(&proven).as_i64() >= Some(91), "{user_id}");
    }
    stage.judge();
}
