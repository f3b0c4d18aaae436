//! `boxseat offboard` (R19).

use serde_json::json;

use super::*;

pub(super) fn login_of(stage: &Stage, user_id: &str) -> String {
    let truth = stage.simulator().truth_without_events();
    truth.users.iter().find(|user| user.user_id == user_id).unwrap().login.clone().unwrap()
}

/// Offboards a user at once, the login repeated.
#[track_caller]
pub(super) fn offboard(stage: &Stage, login: &str, to: &str, code: i32) -> Done {
    stage.expect(&[code], &["offboard", login, "--transfer-to", to, "--yes", "--confirm", login])
}

/// A user in use, who is neither idle nor the receiver.
pub(super) fn worker(stage: &Stage) -> String {
    let idle = stage.idle(60);
    let receiver = stage.intent.receiver.clone();
    let truth = stage.simulator().truth_without_events();
    let is_plain = |user: &&boxseat_simulator::TrueUser| {
        user.role == "user" && user.status == "active" && !user.is_platform_access_only
    };
    let mut workers = truth.users.iter().filter(is_plain).map(|user| user.user_id.clone());
    workers.find(|id| !idle.contains(id) && Some(id) != receiver.as_ref()).expect("a user works")
}

/// R19: idleness is waived, the login is repeated, suspension and sign-out come first, and nothing is deleted before it is proved
/// empty.
#[test]
fn r19_a_leaver_is_suspended_signed_out_moved_and_deleted_when_empty() {
    let mut stage = Stage::new(small(7), Intent::default());
    let leaver = worker(&stage);
    stage.give(&leaver, 5, 2);
    let (login, receiver) =
        (login_of(&stage, &leaver), login_of(&stage, stage.intent.receiver.as_ref().unwrap()));
    let offboard = ["offboard", &login, "--transfer-to", &receiver, "--ticket", "HR-7"];
    let shown = stage.expect(&[0], &offboard);
    assert!(shown.stdout.contains("shared items") && shown.stdout.contains("HR-7"), "{}", shown.stdout);
    assert_eq!(status(&stage, &leaver), "active");
    let unsure = stage.expect(&[2], &[&offboard[..], &["--yes"]].concat());
    assert!(unsure.stderr.contains("must be repeated"), "{}", unsure.stderr);
    stage.expect(&[2], &[&offboard[..], &["--yes", "--confirm", "other@acme.test"]].concat());
    assert_eq!(status(&stage, &leaver), "active");
    // Everything that is due is done; the deletion is due on a later day.
    let done = stage.expect(&[0], &[&offboard[..], &["--yes", "--confirm", &login]].concat());
    assert!(
        done.stderr.contains("locked out") && done.stderr.contains("deletion not before"),
        "{}",
        done.stderr
    );
    assert_eq!(status(&stage, &leaver), "inactive");
    assert_eq!(stage.simulator().content(&leaver).unwrap().owned_items, 0);
    for _ in 0..4 {
        stage.later(1);
        stage.expect(&[0], &["reclaim", "nightly"]);
    }
    assert_eq!(status(&stage, &leaver), "gone");
    stage.later(1);
    let tickets = format!(
        "SELECT count(DISTINCT action) FROM seat_actions WHERE user_id = '{leaver}' AND ticket = 'HR-7'"
    );
    assert_eq!(stage.world.value(&tickets), 4);
}

/// R1, R4: administrators and protected users are not offboarded by any operator.
#[test]
fn r1_administrators_and_protected_users_are_never_offboarded() {
    let mut stage = Stage::new(small(7), Intent::default());
    let leaver = worker(&stage);
    stage.intent.protected_ids.insert(leaver.clone());
    stage.write_policy();
    let receiver = login_of(&stage, stage.intent.receiver.as_ref().unwrap());
    let truth = stage.simulator().truth_without_events();
    let admin = truth.users.iter().find(|user| user.role != "user").expect("an admin").login.clone().unwrap();
    for (login, why) in [(login_of(&stage, &leaver), "protected"), (admin, "R1")] {
        let done = stage
            .expect(&[3], &["offboard", &login, "--transfer-to", &receiver, "--yes", "--confirm", &login]);
        assert!(done.stderr.contains(why), "{}", done.stderr);
    }
    assert_eq!(status(&stage, &leaver), "active");
}

/// R19: on a later day, after new reads; the receiver's room is checked then, and the suspension does not wait for it.
#[test]
fn r19_on_its_day_the_suspension_does_not_wait_for_the_receiver() {
    let mut stage = Stage::new(small(7), Intent::default());
    let leaver = worker(&stage);
    stage.give(&leaver, 5, 0);
    let (login, receiver) = (login_of(&stage, &leaver), stage.intent.receiver.clone().unwrap());
    let to = login_of(&stage, &receiver);
    let day = (stage.simulator().now() + TimeDelta::days(2)).date_naive().to_string();
    stage.expect(
        &[0],
        &["offboard", &login, "--transfer-to", &to, "--on", &day, "--yes", "--confirm", &login],
    );
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    assert_eq!(status(&stage, &leaver), "active", "its day is later");
    let body = json!({"space_amount": 1});
    stage.simulator().act(&Act::EditUser { user_id: receiver.clone(), body, announced: true });
    stage.later(1);
    stage.expect(&[4], &["reclaim", "nightly"]);
    assert_eq!(status(&stage, &leaver), "inactive");
    assert_eq!(stage.simulator().content(&leaver).unwrap().owned_items, 5);
}

/// R12, R20: a user that was set active again while the content waited keeps the content.
#[test]
fn r20_a_leaver_that_was_set_active_again_is_not_moved() {
    let mut stage = Stage::new(small(7), Intent::default());
    let leaver = worker(&stage);
    stage.give(&leaver, 5, 0);
    let receiver = stage.intent.receiver.clone().unwrap();
    let (login, to) = (login_of(&stage, &leaver), login_of(&stage, &receiver));
    stage.simulator().act(&Act::LockUser { user_id: leaver.clone(), days: 0, calls: 1 });
    offboard(&stage, &login, &to, 4);
    assert_eq!(status(&stage, &leaver), "inactive");
    stage.simulator().advance_secs(600);
    let on = Act::SetStatus { user_id: leaver.clone(), status: "active".to_owned(), announced: true };
    stage.simulator().act(&on);
    stage.later(1);
    let done = stage.expect(&[4], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("1 reverted_by_other"), "{}", done.stdout);
    assert_eq!(
        (status(&stage, &leaver).as_str(), stage.simulator().content(&leaver).unwrap().owned_items),
        ("active", 5)
    );
}

/// R19: a login names only the account that has it now.
#[test]
fn r19_a_login_that_was_reassigned_since_the_snapshot_is_refused() {
    let stage = Stage::new(small(7), Intent::default());
    let leaver = worker(&stage);
    let receiver = stage.intent.receiver.clone().unwrap();
    let (login, to) = (login_of(&stage, &leaver), login_of(&stage, &receiver));
    let other = stage.idle(60)[0].clone();
    let reassign = |user_id: &String| {
        stage.simulator().act(&Act::ReassignLogin {
            user_id: user_id.clone(),
            to_user_id: other.clone(),
            announced: true,
        });
    };
    reassign(&receiver);
    let refused = offboard(&stage, &login, &to, 3);
    assert!(refused.stderr.contains("that had the login"), "{}", refused.stderr);
    reassign(&leaver);
    let refused = offboard(&stage, &login, &to, 3);
    assert!(
        refused.stderr.contains(&format!("the account that had the login {login}")),
        "{}",
        refused.stderr
    );
    assert_eq!(status(&stage, &leaver), "active");
}

/// R3, R4: receivers stay, and a list of holds with an unknown user proves nothing about any user.
#[test]
fn r4_receivers_stay_and_lists_with_an_error_stop_an_offboarding() {
    let mut stage = Stage::new(small(7), Intent::default());
    let leaver = worker(&stage);
    let receiver = stage.intent.receiver.clone().unwrap();
    let (login, to) = (login_of(&stage, &leaver), login_of(&stage, &receiver));
    stage.intent.held.insert("999".to_owned());
    stage.write_policy();
    let refused = offboard(&stage, &login, &to, 3);
    assert!(refused.stderr.contains("names 999"), "{}", refused.stderr);
    assert_eq!(status(&stage, &leaver), "active");
    stage.intent.held.clear();
    stage.write_policy();
    offboard(&stage, &login, &to, 0);
    assert_eq!(status(&stage, &leaver), "inactive");
    let third = login_of(&stage, &worker(&stage));
    let refused = offboard(&stage, &to, &third, 3);
    assert!(refused.stderr.contains("receives content of others"), "{}", refused.stderr);
    assert_eq!(status(&stage, &receiver), "active");
}
