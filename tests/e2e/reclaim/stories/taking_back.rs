//! Undo (R18).

use boxseat_simulator::Fault;
use serde_json::json;

use super::leaving::login_of;
use super::*;

/// R18: every suspension still in force is undone exactly, and the plan is closed.
#[test]
fn r18_undo_gives_back_suspended_accounts_and_closes_the_plan() {
    let (stage, idle) = staged(Intent::default());
    let plan = stage.go().remove(0);
    let shown = stage.expect(&[0], &["reclaim", "undo", &plan]);
    assert!(shown.stdout.contains("be active again"), "{}", shown.stdout);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.expect(&[0], &["reclaim", "undo", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    stage.judge_undo(&plan);
    let again = stage.expect(&[3], &["reclaim", "undo", &plan, "--yes"]);
    assert!(again.stderr.contains("is already undone"), "{}", again.stderr);
}

/// R7, R18: an undo that cannot read the admin log gives no user back and reports it; the plan is closed in any case, and the same
/// command continues.
#[test]
fn r18_an_undo_that_stopped_is_continued() {
    let (stage, idle) = staged(Intent::default());
    let plan = stage.go().remove(0);
    stage.simulator().add_fault(Fault::status("/2.0/events", 50, 403));
    let stopped = stage.expect(&[3], &["reclaim", "undo", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| outcome(&stopped, user_id) == "not_attempted"), "{}", stopped.stdout);
    let applied = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(applied.stderr.contains("closed: undone"), "{}", applied.stderr);
    stage.simulator().clear_faults();
    stage.expect(&[0], &["reclaim", "undo", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    stage.judge_undo(&plan);
}

/// R18: a login that now belongs to another account, and an account that others have edited, are not given back.
#[test]
fn r18_a_reassigned_login_and_an_edited_account_stay_unchanged() {
    let (stage, idle) = staged(Intent::default());
    let plan = stage.go().remove(0);
    let edit = |user_id: &str, body| {
        stage.simulator().act(&Act::EditUser { user_id: user_id.to_owned(), body, announced: true });
    };
    let receiver = stage.intent.receiver.clone().unwrap();
    stage.simulator().advance_secs(600);
    stage.simulator().act(&Act::ReassignLogin {
        user_id: idle[0].clone(),
        to_user_id: receiver,
        announced: false,
    });
    edit(&idle[1], json!({"job_title": "On hold"}));
    stage.simulator().advance_secs(60);
    let done = stage.expect(&[4], &["reclaim", "undo", &plan, "--yes"]);
    assert_eq!(outcome(&done, &idle[0]), "login_changed", "{}", done.stdout);
    assert_eq!(outcome(&done, &idle[1]), "edited_by_other", "{}", done.stdout);
    assert_eq!(
        (status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()),
        ("inactive", "inactive")
    );
    assert!(idle[2..].iter().all(|user_id| status(&stage, user_id) == "active"));
    stage.judge_undo(&plan);
}

/// R18: moved content stays at its destination, which is named.
#[test]
fn r18_undo_of_a_transfer_moves_nothing_and_names_the_destination() {
    let (stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    apply(&stage, &plan, &[0]);
    let done = stage.expect(&[4], &["reclaim", "undo", &plan, "--yes"]);
    assert_eq!(outcome(&done, &idle[0]), "stays");
    assert!(detail(&done, &idle[0]).contains("in folder"), "{}", detail(&done, &idle[0]));
    assert_eq!(stage.simulator().content(&idle[0]).unwrap().owned_items, 0);
    stage.judge();
}

/// R18: a suspension is undone after a later plan has moved the content, and the destination is reported.
#[test]
fn r18_undo_of_a_suspension_names_the_destination_of_the_content() {
    let (stage, idle, first) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    apply(&stage, &plan, &[0]);
    let done = stage.expect(&[4], &["reclaim", "undo", &first, "--yes"]);
    assert_eq!(outcome(&done, &idle[0]), "done");
    let detail = detail(&done, &idle[0]);
    assert!(detail.contains("active again") && detail.contains("in folder"), "{detail}");
    assert_eq!(status(&stage, &idle[0]), "active");
    stage.judge_undo(&first);
}

/// R18: one user is given back and the others stay as they are; the rehearsal names the users that an undo cannot restore. A
/// list that cannot be read stops no undo.
#[test]
fn r18_an_undo_of_one_user_changes_no_other() {
    let (mut stage, idle) = staged(Intent::default());
    let plan = stage.go().remove(0);
    stage.simulator().advance_secs(600);
    let body = json!({"job_title": "On hold"});
    stage.simulator().act(&Act::EditUser { user_id: idle[1].clone(), body, announced: true });
    stage.later(1);
    let would = |user_id: &str| {
        let shown = stage.expect(&[0], &["reclaim", "undo", &plan]);
        cell(&shown, user_id, 2)
    };
    assert_eq!(would(&idle[0]), "be active again");
    assert!(
        would(&idle[1]).starts_with("not change: another actor edited the account"),
        "{}",
        would(&idle[1])
    );
    let stuck = stage.expect(&[0], &["reclaim", "status", "--format", "json"]);
    let stuck: serde_json::Value = serde_json::from_str(&stuck.stdout).unwrap();
    let stuck = &stuck["status"]["stuck"][0];
    assert_eq!((&stuck["user_id"], &stuck["reason_code"]), (&json!(idle[1]), &json!("edited_by_other")));
    let next = stuck["next"].as_str().unwrap();
    assert!(next.contains("boxseat offboard") && !next.contains("undo"), "{next}");
    let wrong = stage.expect(&[2], &["reclaim", "undo", &plan, "--user", "none@acme.test"]);
    assert!(wrong.stderr.contains("has no user none@acme.test"), "{}", wrong.stderr);
    std::fs::remove_file(stage.world.directory().join("holds.csv")).unwrap();
    let login = login_of(&stage, &idle[0]);
    let done = stage.expect(&[0], &["reclaim", "undo", &plan, "--user", &login, "--yes"]);
    assert_eq!(outcome(&done, &idle[0]), "done");
    assert!(!done.stdout.contains(&idle[1]), "{}", done.stdout);
    assert_eq!(status(&stage, &idle[0]), "active");
    assert!(idle[1..].iter().all(|user_id| status(&stage, user_id) == "inactive"));
    let again = stage.expect(&[0], &["reclaim", "undo", &plan, "--user", &idle[1]]);
    assert!(again.stdout.contains("not change"), "{}", again.stdout);
}
