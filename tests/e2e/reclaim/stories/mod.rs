//! Problems between a plan and its end, one scenario each, with the real binary.
//!
//! At the end of every scenario the checker reads what happened in Box, and not boxseat's output.

mod adopting;
mod approvals;
mod beginning;
mod content_available;
mod crashes;
mod forgery;
mod inactive;
mod later;
mod leavers;
mod leaving;
mod logins;
mod nights;
mod refusals;
mod remedies;
mod taking_back;

use std::process::Command;

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::{Act, Config};
use chrono::TimeDelta;

use super::stage::{Stage, small};
use crate::support::{Done, finish, hold};

/// A store, a snapshot, and provably idle users without an obstacle: their content is not shared.
fn staged(intent: Intent) -> (Stage, Vec<String>) {
    staged_with(small(7), intent)
}

fn staged_with(config: Config, intent: Intent) -> (Stage, Vec<String>) {
    let stage = Stage::new(config, intent);
    let idle = stage.idle(91);
    for user_id in &idle {
        stage.give(user_id, 3, 0);
    }
    assert!(idle.len() >= 2, "{idle:?}");
    (stage, idle)
}

/// Reads a snapshot after we deleted a third of a tiny enterprise.
fn accept_a_smaller_list(stage: &Stage) {
    let file = stage.world.directory().join("boxseat.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{text}[sync]\nshrink_guard_percent = 90.0\n")).unwrap();
}

/// The same, two weeks after all idle users were suspended by a plan; also returns its name.
fn suspended(config: Config, intent: Intent) -> (Stage, Vec<String>, String) {
    let (mut stage, idle) = staged_with(config, intent);
    stage.night();
    let plan = stage.go().remove(0);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.later(15);
    (stage, idle, plan)
}

/// The status of a user at Box.
fn status(stage: &Stage, user_id: &str) -> String {
    let truth = stage.simulator().truth_without_events();
    let user = truth.users.iter().find(|user| user.user_id == user_id);
    user.map_or_else(|| "gone".to_owned(), |user| user.status.clone())
}

/// Column `n` of the line about a user.
fn cell(done: &Done, user_id: &str, n: usize) -> String {
    let line = done.stdout.lines().find(|line| line.contains(user_id));
    let line = line.unwrap_or_else(|| panic!("{user_id} is not in\n{}\n{}", done.stdout, done.stderr));
    line.split('┆').nth(n).unwrap_or_default().trim_end_matches('│').trim().to_owned()
}

/// The outcome of a user.
fn outcome(done: &Done, user_id: &str) -> String {
    cell(done, user_id, 2)
}

/// Why.
fn detail(done: &Done, user_id: &str) -> String {
    cell(done, user_id, 3)
}

/// The plan of a stage among new plans.
#[track_caller]
fn plan_of(stage: &Stage, what: &str) -> String {
    let plans = stage.plan();
    plans.iter().find(|plan| plan.contains(what)).unwrap_or_else(|| panic!("no {what} in {plans:?}")).clone()
}

/// Approves and applies a plan.
#[track_caller]
fn apply(stage: &Stage, plan: &str, codes: &[i32]) -> Done {
    stage.expect(&[0], &["reclaim", "approve", plan]);
    stage.expect(codes, &["reclaim", "apply", plan, "--yes"])
}

/// A user signs in.
fn login(stage: &Stage, user_id: &str) {
    stage.simulator().act(&Act::Login { user_id: user_id.to_owned() });
}

/// The binary with acting credentials, this many minutes after the simulated now.
fn command(stage: &Stage, minutes: i64, args: &[&str]) -> Command {
    let config = stage.simulator().config();
    let mut command = stage.world.command(args);
    let now = stage.simulator().now() + TimeDelta::minutes(minutes);
    command
        .env("BOXSEAT_ACTIONS_CLIENT_ID", &config.actions_client_id)
        .env("BOXSEAT_ACTIONS_CLIENT_SECRET", &config.actions_client_secret)
        .env("BOXSEAT_NOW", now.to_rfc3339());
    command
}

#[track_caller]
fn killed_at(stage: &Stage, args: &[&str], step: &str) {
    let done = command(stage, 0, args).env("BOXSEAT_FAILPOINT", step).output().unwrap();
    assert!(done.status.code().is_none(), "{step} was never reached");
}

fn run_later(stage: &Stage, minutes: i64, args: &[&str]) -> Done {
    finish(command(stage, minutes, args).output().unwrap())
}
