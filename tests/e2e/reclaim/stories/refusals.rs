//! What Box refuses for one user, and what it refuses to our application (R16).

use boxseat_simulator::{Effect, Fault, Verb};

use super::later::moved;
use super::*;

fn refuses(method: &str, path: &str, times: u32, status: u16, code: &str, message: &str) -> Fault {
    let body = format!(
        r#"{{"type":"error","status":{status},"code":"{code}","message":"{message}","request_id":"r1"}}"#
    );
    let effect = Effect::Status { status, retry_after: None, code: None, body: Some(body) };
    Fault { method: method.to_owned(), ..Fault::once(path, times, effect) }
}

/// Why: three refusals in a row stopped the run, though each was about its user. While Box shows an ordinary account, the run
/// continues, and the users leave plans, caps and the reported savings.
#[test]
fn r16_refusals_in_a_row_are_about_their_users_while_an_ordinary_account_answers() {
    let (mut stage, idle) = staged(Intent { cap_people: 2, ..Intent::default() });
    let plan = plan_of(&stage, "suspend");
    let message = "User cannot be edited";
    stage.simulator().add_fault(refuses("PUT", "/2.0/users/*$", 50, 403, "forbidden", message));
    let done = apply(&stage, &plan, &[4]);
    let refused: Vec<&String> = idle.iter().filter(|user_id| done.stdout.contains(*user_id)).collect();
    assert_eq!(refused.len(), 2, "{}", done.stdout);
    for user_id in &refused {
        assert_eq!(outcome(&done, user_id), "refused");
        assert!(detail(&done, user_id).contains(message), "{}", done.stdout);
    }
    assert!(done.stderr.contains("the plan is closed"), "{}", done.stderr);
    stage.simulator().clear_faults();
    stage.later(1);
    let next = plan_of(&stage, "suspend");
    let shown = stage.expect(&[0], &["reclaim", "show", &next, "--format", "json"]).stdout;
    assert!(shown.contains("refused_by_box") && shown.contains(message), "{shown}");
    let done = apply(&stage, &next, &[0, 4]);
    assert!(refused.iter().all(|user_id| !done.stdout.contains(*user_id)), "{}", done.stdout);
    assert!(done.stdout.contains("done"), "others take the places in the cap: {}", done.stdout);
    stage.later(1);
    for user_id in refused {
        let promised = format!("SELECT count(*) FROM reclaimable_seats WHERE user_id = '{user_id}'");
        assert_eq!(stage.world.value(&promised), 0);
    }
    stage.judge();
}

/// R16: a refusal for lack of a scope is about our application. No user is excluded for it.
#[test]
fn r16_a_missing_scope_is_held_against_no_user() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.simulator().add_fault(refuses("PUT", "/2.0/users/*$", 50, 403, "insufficient_scope", "no"));
    let done = apply(&stage, &plan, &[4]);
    assert!(idle.iter().all(|user_id| outcome(&done, user_id) == "not_permitted"), "{}", done.stdout);
    stage.simulator().clear_faults();
    let done = stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| outcome(&done, user_id) == "done"), "{}", done.stdout);
    stage.judge();
}

/// R16: "recently active" ends by itself. The same plan tries again, and the others are deleted at once.
#[test]
fn r16_a_user_who_was_recently_active_is_deleted_later() {
    let (mut stage, idle) = moved(small(7));
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    let path = format!("/2.0/users/{}$", idle[0]);
    stage.simulator().add_fault(refuses(
        "DELETE",
        &path,
        1,
        400,
        "bad_request",
        "The user was recently active",
    ));
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "recently_active", "{}", done.stdout);
    assert_eq!((status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()), ("inactive", "gone"));
    accept_a_smaller_list(&stage);
    stage.later(1);
    stage.expect(&[0], &["reclaim", "nightly"]);
    assert_eq!(status(&stage, &idle[0]), "gone");
    stage.judge();
}

/// Why: one user that Box does not know caused the refusal of the whole call, and each of the others was excluded for 30 days.
#[test]
fn r16_a_refused_call_for_many_users_is_held_against_none_of_them() {
    let (mut stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let path = "/2.0/users/terminate_sessions";
    stage.simulator().add_fault(refuses("POST", path, 1, 400, "bad_request", "User id format is string"));
    let done = apply(&stage, &plan, &[0]);
    assert!(idle.iter().all(|user_id| outcome(&done, user_id) == "done"), "{}", done.stdout);
    let deeds = stage.simulator().deeds();
    let ended = deeds.iter().filter(|deed| deed.verb == Verb::EndSessions && deed.is_applied).count();
    assert_eq!(ended, idle.len());
    stage.later(15);
    let done = apply(&stage, &plan_of(&stage, "transfer"), &[0]);
    assert!(idle.iter().all(|user_id| outcome(&done, user_id) == "done"), "{}", done.stdout);
    stage.judge();
}

/// Why: one user whose memberships Box never returned stopped every apply of the plan, and no other user was reached.
#[test]
fn r16_an_account_that_cannot_be_read_stops_no_other() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let path = format!("/2.0/users/{}/memberships", idle[0]);
    stage.simulator().add_fault(Fault::once(&path, 50, Effect::MalformedJson));
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "closed", "{}", done.stdout);
    assert!(detail(&done, &idle[0]).contains("cannot be read"), "{}", done.stdout);
    assert!(idle[1..].iter().all(|user_id| outcome(&done, user_id) == "done"), "{}", done.stdout);
    assert_eq!(status(&stage, &idle[0]), "active");
    stage.judge();
}
