//! What boxseat reports to an operator when a user cannot continue, and the commands that help.

use boxseat_simulator::Fault;
use serde_json::{Value, json};

use super::*;

/// The output of `reclaim status`, as JSON.
fn status_json(stage: &Stage) -> Value {
    let done = stage.expect(&[0], &["reclaim", "status", "--format", "json"]);
    let mut status: Value = serde_json::from_str(&done.stdout).unwrap();
    status["status"].take()
}

/// The stuck user of this id, by `reclaim status`.
fn stuck(stage: &Stage, user_id: &str) -> Option<Value> {
    let status = status_json(stage);
    let stuck = status["stuck"].as_array().unwrap();
    stuck.iter().find(|user| user["user_id"] == user_id).cloned()
}

/// R18: `undo` of a plan that changed no account says so, and does not count users as undone.
#[test]
fn r18_undo_of_a_plan_that_was_never_applied_undoes_no_user() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let done = stage.expect(&[0], &["reclaim", "undo", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| outcome(&done, user_id) == "nothing_to_undo"), "{}", done.stdout);
    assert!(done.stderr.contains("no user was undone"), "{}", done.stderr);
    assert_eq!(status_json(&stage)["plans"][0]["state"], "undone");
    stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    stage.judge();
}

/// R8: an expired plan is not open, and no output suggests to approve or apply it.
#[test]
fn r8_an_expired_plan_is_not_called_open() {
    let (mut stage, _) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    stage.later(8);
    let before = status_json(&stage)["plans"][0].clone();
    assert_eq!((&before["state"], &before["next"]), (&json!("expired"), &json!("make a new plan")));
    let done = stage.expect(&[3, 4], &["reclaim", "apply", &plan, "--yes"]);
    assert!(done.stderr.contains("the plan is closed (expired)"), "{}", done.stderr);
}

/// R11: a sign-in from before the suspension that arrives after it is the first line of `nightly`, with the user and the command.
#[test]
fn r11_a_late_sign_in_is_the_first_line_of_nightly() {
    let (mut stage, idle) = staged(Intent::default());
    stage.simulator().act(&Act::LateLogin { user_id: idle[1].clone(), arrives_in_hours: 20 });
    stage.simulator().advance_secs(3_600);
    let plan = stage.go().remove(0);
    assert_eq!(super::status(&stage, &idle[1]), "inactive");
    stage.later(1);
    let done = stage.expect(&[4], &["reclaim", "nightly", "--format", "json"]);
    let said: Value = serde_json::from_str(&done.stdout).unwrap();
    let rows = said.as_object().unwrap().values().find_map(Value::as_array).unwrap();
    let login = stage
        .simulator()
        .truth()
        .users
        .iter()
        .find(|user| user.user_id == idle[1])
        .unwrap()
        .login
        .clone()
        .unwrap();
    assert!(rows[0]["what"].as_str().unwrap().contains(&login), "{}", rows[0]);
    assert_eq!(rows[0]["outcome"], "late_login");
    assert!(
        rows[0]["detail"].as_str().unwrap().contains(&format!("boxseat reclaim undo {plan}")),
        "{}",
        rows[0]
    );
    assert_eq!(stuck(&stage, &idle[1]).unwrap()["reason_code"], "late_login");
    assert_eq!(stuck(&stage, &idle[0]), None, "the others wait");
    stage.judge();
}

/// R15: a partial transfer is reported with the next command; once an operator has moved the rest and confirms it, the seat is
/// freed.
#[test]
fn r15_a_partial_transfer_is_confirmed_by_an_operator() {
    let config = Config { as_user_when_inactive: true, ..small(7) };
    let (mut stage, idle, _) = suspended(config, Intent::default());
    let plan = plan_of(&stage, "transfer");
    stage.simulator().act(&Act::SetTransfers { days: 0, share: 0.4 });
    apply(&stage, &plan, &[0, 4]);
    for _ in 0..3 {
        stage.later(1);
        stage.run(&["reclaim", "nightly"]);
    }
    let user = stuck(&stage, &idle[0]).unwrap();
    assert_eq!(user["reason_code"], "not_empty", "{user}");
    assert!(user["next"].as_str().unwrap().contains("boxseat reclaim confirm"), "{user}");
    let nightly = stage.expect(&[4], &["reclaim", "nightly"]);
    assert!(!nightly.stderr.contains("Nothing was open"), "{}", nightly.stderr);
    let confirm =
        ["reclaim", "confirm", idle[0].as_str(), "--i-have-checked", "all folders are in the archive"];
    let refused = stage.expect(&[3], &confirm);
    assert!(refused.stderr.contains("items are still in the account"), "{}", refused.stderr);
    // The operator moves the rest.
    stage.simulator().act(&Act::SetContent { user_id: idle[0].clone(), items: 0, bytes: 0, shared: 0 });
    stage.expect(&[0], &confirm);
    stage.later(1);
    stage.run(&["reclaim", "nightly"]);
    assert_eq!(stuck(&stage, &idle[0]), None);
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    let done = apply(&stage, &plan, &[0, 4]);
    assert_eq!(
        (outcome(&done, &idle[0]).as_str(), super::status(&stage, &idle[0]).as_str()),
        ("done", "gone")
    );
}

/// R15: Box does not show what is in an inactive account. An operator confirms by mistake, and the deletion without force is refused.
#[test]
fn r15_a_mistaken_confirmation_loses_no_content() {
    let (mut stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    apply(&stage, &plan, &[0, 4]);
    stage.simulator().act(&Act::AddContent { user_id: idle[0].clone(), items: 1, bytes: 7, shared: 0 });
    for _ in 0..3 {
        stage.later(1);
        stage.run(&["reclaim", "nightly"]);
    }
    let user = stuck(&stage, &idle[0]).unwrap();
    assert_eq!(user["reason_code"], "not_empty", "{user}");
    assert!(user["reason"].as_str().unwrap().contains("trash"), "{user}");
    assert_eq!(stuck(&stage, &idle[1]), None);
    stage.expect(&[0], &["reclaim", "confirm", idle[0].as_str(), "--i-have-checked", "only trash is left"]);
    stage.later(1);
    stage.run(&["reclaim", "nightly"]);
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    let shown = stage.expect(&[0], &["reclaim", "show", &plan]);
    assert!(shown.stdout.contains("only trash is left"), "{}", shown.stdout);
    let done = apply(&stage, &plan, &[4]);
    assert_ne!(outcome(&done, &idle[0]), "done", "{}", done.stdout);
    assert_eq!(super::status(&stage, &idle[0]), "inactive");
    assert_eq!(stage.simulator().content(&idle[0]).unwrap().owned_items, 1);
    assert_eq!(super::status(&stage, &idle[1]), "gone");
    assert!(stuck(&stage, &idle[0]).is_some());
}

/// Why: boxseat deleted a fifth of a small enterprise, its events could not be read, and the next run was refused as shrunk.
#[test]
fn r16_own_deletions_do_not_trigger_the_shrink_guards() {
    let (mut stage, idle) = super::later::moved(small(7));
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    apply(&stage, &plan, &[0]);
    stage.simulator().step_days(1);
    // The position of the stream, then the list of event types: the run reads only sign-ins.
    stage.simulator().add_fault(Fault::status("/2.0/events", 2, 400));
    let done = stage.run(&["sync"]);
    assert!(matches!(done.code, 0 | 4), "{}", done.stderr);
    assert!(done.stderr.contains("Box refused the list of event types"), "{}", done.stderr);
    let listed = format!("SELECT count(*) FROM users WHERE user_id = '{}' AND listing = 'listed'", idle[0]);
    assert_eq!(stage.world.value(&listed), 0);
}
