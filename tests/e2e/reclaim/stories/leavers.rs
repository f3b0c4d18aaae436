//! What must not delay the lock-out of a leaver, and how the content still reaches the receiver (R19).

use boxseat_simulator::{Fault, Verb};
use serde_json::{Value, json};

use super::leaving::{login_of, offboard, worker};
use super::*;

/// A leaver with five items, planned for tomorrow, and the receiver.
fn scheduled() -> (Stage, String, String) {
    scheduled_with(small(7))
}

fn scheduled_with(config: Config) -> (Stage, String, String) {
    let stage = Stage::new(config, Intent::default());
    let (leaver, receiver) = (worker(&stage), stage.intent.receiver.clone().unwrap());
    stage.give(&leaver, 5, 1);
    let (login, to) = (login_of(&stage, &leaver), login_of(&stage, &receiver));
    let day = (stage.simulator().now() + TimeDelta::days(1)).date_naive().to_string();
    let args = ["offboard", &login, "--transfer-to", &to, "--on", &day, "--yes", "--confirm", &login];
    stage.expect(&[0], &args);
    (stage, leaver, receiver)
}

fn edit(stage: &Stage, user_id: &str, body: Value) {
    stage.simulator().act(&Act::EditUser { user_id: user_id.to_owned(), body, announced: true });
}

fn owned(stage: &Stage, user_id: &str) -> usize {
    stage.simulator().content(user_id).unwrap().owned_items
}

/// Whether the account is inactive and its sessions were ended.
fn is_locked_out(stage: &Stage, user_id: &str) -> bool {
    let deeds = stage.simulator().deeds();
    let is_end = |deed: &boxseat_simulator::Deed| {
        deed.verb == Verb::EndSessions && deed.user_id == user_id && deed.is_applied
    };
    status(stage, user_id) == "inactive" && deeds.iter().any(is_end)
}

/// Runs `nightly` until the account is gone; each ends with 0.
fn until_gone(stage: &mut Stage, user_id: &str) {
    for _ in 0..4 {
        stage.later(1);
        stage.expect(&[0], &["reclaim", "nightly"]);
    }
    assert_eq!(status(stage, user_id), "gone");
}

/// Why: an edit by the identity provider after the suspension ended the plan, and the content never moved.
#[test]
fn r19_edits_of_the_identity_provider_stop_neither_lockout_nor_transfer() {
    // The items can be counted although the account is inactive.
    let (mut stage, leaver, _) = scheduled_with(Config { as_user_when_inactive: true, ..small(7) });
    let off = Act::SetStatus { user_id: leaver.clone(), status: "inactive".to_owned(), announced: true };
    stage.simulator().act(&off);
    edit(&stage, &leaver, json!({"job_title": "former"}));
    stage.simulator().act(&Act::LockUser { user_id: leaver.clone(), days: 0, calls: 1 });
    stage.later(1);
    let done = stage.expect(&[4], &["reclaim", "nightly"]);
    assert!(
        done.stdout.contains("locked out") && done.stdout.contains("content not moving"),
        "{}",
        done.stdout
    );
    assert!(is_locked_out(&stage, &leaver));
    stage.simulator().advance_secs(600);
    edit(&stage, &leaver, json!({"job_title": "former employee"}));
    stage.later(1);
    let done = stage.expect(&[0], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("content moving since"), "{}", done.stdout);
    assert_eq!(owned(&stage, &leaver), 0);
    // Groups are taken from leavers, too.
    let truth = stage.simulator().truth_without_events();
    for membership in truth.memberships.iter().filter(|membership| membership.user_id == leaver) {
        let (user_id, group_id) = (leaver.clone(), membership.group_id.clone());
        stage.simulator().act(&Act::RemoveMember { user_id, group_id, announced: true });
    }
    let status = stage.expect(&[0], &["reclaim", "status", "--format", "json"]).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    let progress = &status["status"]["leavers"][0];
    for known in ["suspended_at", "locked_out_at", "content_moving_since", "deletion_from"] {
        assert!(progress[known].is_string(), "{known}: {progress}");
    }
    assert!(progress["seat_free_at"].is_null() && progress["waits"].is_null(), "{progress}");
    until_gone(&mut stage, &leaver);
}

/// R15, R19: on a Box that closes inactive accounts, the items of a leaver that the identity provider has suspended cannot be
/// counted. The content moves. The seat stays, and every run reports why.
#[test]
fn r19_content_that_could_not_be_counted_moves_and_the_reason_is_shown() {
    let (mut stage, leaver, _) = scheduled();
    let off = Act::SetStatus { user_id: leaver.clone(), status: "inactive".to_owned(), announced: true };
    stage.simulator().act(&off);
    stage.later(1);
    let done = stage.expect(&[4], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("could not be counted before the suspension"), "{}", done.stdout);
    assert!(is_locked_out(&stage, &leaver));
    assert_eq!(owned(&stage, &leaver), 0);
    stage.later(3);
    let done = stage.expect(&[4], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("could not be counted before the suspension"), "{}", done.stdout);
    assert_eq!(status(&stage, &leaver), "inactive");
}

/// R12, R19: another login stops only the transfer. The named command does not lock out twice, and moves the content.
#[test]
fn r19_a_renamed_leaver_is_locked_out_and_offboarded_again_by_the_new_login() {
    let (mut stage, leaver, receiver) = scheduled();
    edit(&stage, &leaver, json!({"login": "left@acme.test"}));
    stage.later(1);
    let done = stage.expect(&[4], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("boxseat offboard left@acme.test"), "{}", done.stdout);
    assert!(is_locked_out(&stage, &leaver));
    assert_eq!(owned(&stage, &leaver), 5);
    // Each command's clock begins at the simulated time: the second command must not begin before the first ended.
    stage.simulator().advance_secs(600);
    let before = stage.simulator().deeds().len();
    offboard(&stage, "left@acme.test", &login_of(&stage, &receiver), 0);
    let deeds = stage.simulator().deeds();
    assert!(deeds[before..].iter().all(|deed| deed.verb != Verb::Edit), "it is suspended already");
    assert_eq!(owned(&stage, &leaver), 0);
    until_gone(&mut stage, &leaver);
}

/// Why: 48 hours after the suspension the delete step closed the plan of a leaver whose content still waited.
#[test]
fn r19_content_that_waits_for_room_is_moved_by_a_later_run_of_the_plan() {
    let (mut stage, leaver, receiver) = scheduled();
    edit(&stage, &receiver, json!({"space_amount": 1}));
    for _ in 0..4 {
        stage.later(1);
        let done = stage.expect(&[4], &["reclaim", "nightly"]);
        assert!(done.stdout.contains("has no room"), "{}", done.stdout);
        assert!(is_locked_out(&stage, &leaver));
    }
    edit(&stage, &receiver, json!({"space_amount": -1}));
    stage.later(1);
    stage.expect(&[0], &["reclaim", "nightly"]);
    assert_eq!(owned(&stage, &leaver), 0);
    stage.later(1);
    stage.expect(&[0], &["reclaim", "nightly"]);
    stage.later(1);
    stage.expect(&[0], &["reclaim", "nightly"]);
    assert_eq!(status(&stage, &leaver), "gone");
}

/// R19: a receiver that is gone does not delay the lock-out, and another one can be named without giving the account back.
#[test]
fn r19_another_receiver_is_named_while_the_leaver_stays_locked_out() {
    let (mut stage, leaver, receiver) = scheduled();
    stage.simulator().act(&Act::DeleteUser { user_id: receiver.clone(), announced: true });
    stage.intent.receiver = Some(leaver.clone());
    let other = worker(&stage);
    edit(&stage, &other, json!({"space_amount": -1}));
    stage.intent.receiver = Some(other.clone());
    stage.write_policy();
    stage.later(1);
    let done = stage.expect(&[4], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("is gone"), "{}", done.stdout);
    assert!(is_locked_out(&stage, &leaver));
    stage.simulator().advance_secs(600);
    offboard(&stage, &login_of(&stage, &leaver), &login_of(&stage, &other), 0);
    assert_eq!((status(&stage, &leaver).as_str(), owned(&stage, &leaver)), ("inactive", 0));
    until_gone(&mut stage, &leaver);
}

/// R11, R19: without the admin log, plans of the policy stop. Leavers come first and are locked out.
#[test]
fn r19_leavers_come_before_plans_that_the_admin_log_stops() {
    let (mut stage, leaver, _) = scheduled();
    let idle: Vec<String> = stage.idle(93).into_iter().filter(|user_id| *user_id != leaver).collect();
    for user_id in &idle {
        stage.give(user_id, 3, 0);
    }
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    stage.later(1);
    stage.simulator().add_fault(Fault::status("/2.0/events", 500, 403));
    let done = stage.expect(&[3], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("the admin log cannot be read"), "{}", done.stdout);
    assert!(is_locked_out(&stage, &leaver), "{}", done.stdout);
    assert_eq!(owned(&stage, &leaver), 5, "the transfer needs the log");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    stage.simulator().clear_faults();
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    assert_eq!(owned(&stage, &leaver), 0);
}

/// R8, R19: a leaver who is in an open plan of the policy leaves that plan.
#[test]
fn r19_an_open_plan_does_not_keep_a_leaver_signed_in() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let to = login_of(&stage, stage.intent.receiver.as_ref().unwrap());
    offboard(&stage, &login_of(&stage, &idle[0]), &to, 0);
    assert!(is_locked_out(&stage, &idle[0]));
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(
        (outcome(&done, &idle[0]).as_str(), outcome(&done, &idle[1]).as_str()),
        ("offboarded", "done")
    );
}
