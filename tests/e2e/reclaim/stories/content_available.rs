//! R6 and `is_collaborated_content_available_when_owner_inactive`: Box keeps folders of an inactive owner open to collaborators.

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::{Act, Config};
use serde_json::json;

use super::{apply, detail, outcome, plan_of, staged_with, status};
use crate::reclaim::stage::{Stage, small};

fn set_available(stage: &Stage, user_id: &str, is_available: bool) {
    let body = json!({ "is_collaborated_content_available_when_owner_inactive": is_available });
    stage.simulator().act(&Act::EditUser { user_id: user_id.to_owned(), body, announced: true });
}

/// A snapshot in which the first of two idle owners of shared content keeps the folders open, if Box says so at all.
fn owners(config: Config, is_available: bool, intent: Intent) -> (Stage, Vec<String>) {
    let (mut stage, idle) = staged_with(config, intent);
    for user_id in &idle[..2] {
        stage.give(user_id, 4, 2);
    }
    set_available(&stage, &idle[0], is_available);
    stage.night();
    (stage, idle)
}

/// Requests for users that Box refused with 400.
fn refused_for_users(stage: &Stage) -> usize {
    let is_refused = |path: &str, status: u16| path.contains("/users") && status == 400;
    stage.simulator().requests().iter().filter(|request| is_refused(&request.path, request.status)).count()
}

#[test]
fn r6_an_owner_whose_folders_stay_open_is_suspended_and_another_is_not() {
    let (stage, idle) = owners(small(7), true, Intent::default());
    let plan = plan_of(&stage, "suspend");
    let shown = stage.expect(&[0], &["reclaim", "show", &plan]);
    assert!(shown.stdout.contains("stay open to their collaborators"), "{}", shown.stdout);
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "done");
    assert_eq!(outcome(&done, &idle[1]), "owns_shared_content");
    assert_eq!(
        (status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()),
        ("inactive", "active")
    );
    stage.judge();
}

#[test]
fn r6_the_field_at_apply_counts_when_it_was_withdrawn_since_the_snapshot() {
    let (stage, idle) = owners(small(7), true, Intent::default());
    let plan = plan_of(&stage, "suspend");
    set_available(&stage, &idle[0], false);
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "owns_shared_content");
    assert!(detail(&done, &idle[0]).contains("root folder: 2"), "{}", detail(&done, &idle[0]));
    assert_eq!(status(&stage, &idle[0]), "active");
    stage.judge();
}

#[test]
fn r6_the_field_at_apply_counts_when_it_was_set_since_the_snapshot() {
    let (stage, idle) = owners(small(7), false, Intent::default());
    let plan = plan_of(&stage, "suspend");
    set_available(&stage, &idle[0], true);
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(
        (outcome(&done, &idle[0]).as_str(), outcome(&done, &idle[1]).as_str()),
        ("done", "owns_shared_content")
    );
    stage.judge();
}

/// Why: the content needs no transfer before the suspension if no collaborator loses access to it.
#[test]
fn r6_transfer_first_suspends_at_once_where_the_folders_stay_open() {
    let intent = Intent { shared_content: "transfer_first", ..Intent::default() };
    let (stage, idle) = owners(small(7), true, intent);
    let plan = plan_of(&stage, "suspend");
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(
        (outcome(&done, &idle[0]).as_str(), outcome(&done, &idle[1]).as_str()),
        ("done", "owns_shared_content")
    );
    let next = stage.plan();
    assert!(next.iter().any(|plan| plan.contains("transfer")), "{next:?}");
    stage.judge();
}

/// Why: an older Box may answer 400 to the field; then R6 holds for every user.
#[test]
fn r6_on_a_box_without_the_field_the_rule_holds_and_each_process_makes_one_call_more() {
    let config = Config { refuses_content_available: true, ..small(7) };
    let (stage, idle) = owners(config, true, Intent::default());
    let known = "SELECT count(is_collaborated_content_available_when_owner_inactive) FROM users";
    assert_eq!(stage.world.value(known), 0);
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    stage.simulator().reset_counts();
    let done = stage.expect(&[4], &["reclaim", "apply", &plan, "--yes"]);
    assert_eq!(refused_for_users(&stage), 1, "the reader and the actor share what is known");
    assert_eq!(
        (outcome(&done, &idle[0]).as_str(), outcome(&done, &idle[1]).as_str()),
        ("owns_shared_content", "owns_shared_content")
    );
    for user_id in &idle[2..] {
        assert_eq!(outcome(&done, user_id), "done");
    }
    stage.judge();
}
