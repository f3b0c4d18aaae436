//! Transfer and deletion, weeks after the suspension.

use boxseat_simulator::{Effect, Fault, Hold};
use serde_json::json;

use super::*;

/// Two weeks later: the content has moved, and the run after that has made two empty readings.
pub(super) fn moved(config: Config) -> (Stage, Vec<String>) {
    let (mut stage, idle, _) = suspended(config, Intent::default());
    let plan = plan_of(&stage, "transfer");
    apply(&stage, &plan, &[0]);
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    (stage, idle)
}

/// R8, R14, R15, R16: all stages, each with its own plan, and no content lost.
#[test]
fn r8_suspend_transfer_and_delete_are_three_plans_weeks_apart() {
    let (mut stage, idle) = moved(small(7));
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    let done = apply(&stage, &plan, &[0]);
    for user_id in &idle {
        assert_eq!((outcome(&done, user_id).as_str(), status(&stage, user_id).as_str()), ("done", "gone"));
    }
    stage.expect(&[0], &["reclaim", "verify"]);
    accept_a_smaller_list(&stage);
    stage.later(1);
    let actions =
        "SELECT string_agg(DISTINCT action, ' ' ORDER BY action) FROM seat_actions WHERE outcome = 'done'";
    assert_eq!(stage.world.value(actions), "delete suspend terminate_sessions transfer");
    let twice = "SELECT count(*) - count(DISTINCT action_id) FROM seat_actions";
    assert_eq!(stage.world.value(twice), 0);
    stage.judge();
}

/// R4: a receiver that is gone, full, or about to lose the seat receives nothing.
#[test]
fn r4_a_receiver_who_is_full_suspended_or_gone_receives_nothing() {
    let (stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let receiver = stage.intent.receiver.clone().unwrap();
    let is_untouched = |why: &str| {
        let done = stage.expect(&[4], &["reclaim", "apply", &plan, "--yes"]);
        assert_eq!(outcome(&done, &idle[0]), "receiver_unfit", "{why}: {}", done.stdout);
        assert!(detail(&done, &idle[0]).contains(why), "{}", detail(&done, &idle[0]));
        assert_eq!(stage.simulator().content(&idle[0]).unwrap().owned_items, 3, "{why}");
    };
    let edit =
        |body| stage.simulator().act(&Act::EditUser { user_id: receiver.clone(), body, announced: true });
    edit(json!({"space_amount": 10}));
    is_untouched("room");
    edit(json!({"space_amount": -1, "status": "inactive"}));
    is_untouched("inactive");
    stage.simulator().act(&Act::DeleteUser { user_id: receiver.clone(), announced: true });
    is_untouched("gone");
    stage.judge();
}

/// R14: a gateway times out while the transfer continues: no call is repeated, and reads determine when it is done.
#[test]
fn r14_a_transfer_that_continues_after_504_is_never_repeated() {
    let (mut stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    stage.simulator().act(&Act::SetTransfers { days: 1, share: 1.0 });
    let gives_up = Fault::once("/2.0/users/*/folders/0", 1, Effect::HtmlAnswer { status: 504 });
    stage.simulator().add_fault(Fault { method: "PUT".to_owned(), ..gives_up });
    let done = apply(&stage, &plan, &[4]);
    let unknown = idle.iter().find(|user_id| outcome(&done, user_id) == "unknown").unwrap().clone();
    let again = stage.expect(&[4], &["reclaim", "apply", &plan, "--yes"]);
    assert_eq!(outcome(&again, &unknown), "unknown");
    for _ in 0..3 {
        stage.later(1);
        stage.expect(&[0, 4], &["reclaim", "nightly"]);
    }
    assert_eq!(stage.simulator().content(&unknown).unwrap().owned_items, 0);
    let status = stage.expect(&[0], &["reclaim", "status", "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["status"]["unknown"], json!([]), "{status}");
    stage.later(14);
    let plan = plan_of(&stage, "delete");
    apply(&stage, &plan, &[0, 4]);
    stage.judge();
}

/// R15: content that arrives between the second empty reading and the deletion is found by the last check.
#[test]
fn r15_content_added_before_the_deletion_keeps_the_account() {
    let (mut stage, idle) = moved(small(7));
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    stage.simulator().act(&Act::AddContent { user_id: idle[0].clone(), items: 1, bytes: 5, shared: 0 });
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "not_empty");
    assert_eq!((status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()), ("inactive", "gone"));
    stage.judge();
}

/// R16: retention and legal hold refuse, and the refusal is reported.
#[test]
fn r16_a_legal_hold_refuses_the_deletion_and_is_reported() {
    let config = Config { holds_refuse_unforced: true, ..small(7) };
    let (mut stage, idle) = moved(config);
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    stage.simulator().act(&Act::HoldContent { user_id: idle[0].clone(), hold: Hold::Legal });
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "refused");
    assert!(
        detail(&done, &idle[0]).contains("retention policy or legal hold"),
        "{}",
        detail(&done, &idle[0])
    );
    assert_eq!(status(&stage, &idle[0]), "inactive");
    stage.judge();
}

/// R3, R20: a user that another actor set active again is skipped.
#[test]
fn r20_a_user_reactivated_by_others_is_skipped() {
    let (mut stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    let act = |status: &str| Act::SetStatus {
        user_id: idle[0].clone(),
        status: status.to_owned(),
        announced: true,
    };
    stage.simulator().act(&act("active"));
    let done = apply(&stage, &plan, &[4]);
    assert!(
        matches!(outcome(&done, &idle[0]).as_str(), "reverted_by_other" | "edited_by_other"),
        "{}",
        done.stdout
    );
    // A suspension by another actor may be for legal hold.
    stage.simulator().act(&act("inactive"));
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    stage.later(20);
    for plan in stage.plan() {
        apply(&stage, &plan, &[0, 4]);
    }
    assert_eq!(status(&stage, &idle[0]), "inactive");
    stage.judge();
}

/// R20: a login that returns within thirty days was no saving, and the new account is another user's.
#[test]
fn r20_a_re_hire_with_the_same_login_is_a_new_user() {
    let (mut stage, idle) = moved(small(7));
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    apply(&stage, &plan, &[0]);
    accept_a_smaller_list(&stage);
    let new = stage.simulator().act(&Act::Recreate { user_id: idle[0].clone(), announced: true }).remove(0);
    stage.later(2);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    stage.later(1);
    let outcomes = format!(
        "SELECT count(*) FROM seat_actions WHERE user_id = '{}' AND outcome = 're_provisioned'",
        idle[0]
    );
    assert_eq!(stage.world.value(&outcomes), 1);
    assert_eq!(status(&stage, &new), "active");
    stage.judge();
}

/// R6: with "transfer_first" the account of an owner of shared content stays active until the content has a new owner and is proved
/// gone.
#[test]
fn r6_transfer_first_moves_shared_content_before_it_suspends() {
    let (mut stage, idle) =
        staged(Intent { shared_content: "transfer_first", delete_after_days: 20, ..Intent::default() });
    let owner = idle[0].clone();
    stage.give(&owner, 3, 1);
    stage.night();
    // Shared items are known only after the count: the plan to suspend excludes the owner, with the reason.
    let plan = plan_of(&stage, "suspend");
    let done = apply(&stage, &plan, &[0, 4]);
    assert_eq!(status(&stage, &owner), "active", "{}", done.stdout);
    stage.later(1);
    let plan = plan_of(&stage, "transfer");
    let done = apply(&stage, &plan, &[0]);
    assert_eq!(outcome(&done, &owner), "done");
    assert_eq!(
        (status(&stage, &owner).as_str(), stage.simulator().content(&owner).unwrap().owned_items),
        ("active", 0)
    );
    for _ in 0..2 {
        stage.later(1);
        stage.expect(&[0, 4], &["reclaim", "nightly"]);
    }
    let plan = stage.plans().into_iter().rfind(|plan| plan.contains("suspend")).unwrap();
    apply(&stage, &plan, &[0]);
    assert_eq!(status(&stage, &owner), "inactive");
    stage.judge();
}

/// R4, R10: no content goes to a user that the policy no longer names.
#[test]
fn r4_another_receiver_in_the_policy_stops_an_approved_transfer() {
    let (mut stage, idle, _) = suspended(small(7), Intent::default());
    let plan = plan_of(&stage, "transfer");
    let old = stage.intent.receiver.clone().unwrap();
    let truth = stage.simulator().truth_without_events();
    let fits = truth.users.iter().find(|user| {
        user.role == "user" && user.status == "active" && !user.is_platform_access_only && user.user_id != old
    });
    let new = fits.unwrap().user_id.clone();
    let body = json!({"space_amount": -1});
    stage.simulator().act(&Act::EditUser { user_id: new.clone(), body, announced: true });
    stage.night();
    stage.intent.receiver = Some(new);
    stage.write_policy();
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "receiver_changed", "{}", done.stdout);
    assert_eq!(stage.simulator().content(&idle[0]).unwrap().owned_items, 3);
}

/// R2, R11: sign-ins that arrive days late are only in the live stream; later plans remember what one apply has read.
#[test]
fn r11_a_sign_in_heard_while_applying_is_not_forgotten_by_the_next_plan() {
    let (mut stage, idle) = staged(Intent::default());
    // It arrives four days late: no snapshot reads back so far.
    stage.simulator().act(&Act::LateLogin { user_id: idle[0].clone(), arrives_in_hours: 96 });
    stage.later(3);
    let plan = plan_of(&stage, "suspend");
    stage.simulator().advance_secs(26 * 3_600);
    stage.simulator().act(&Act::Login { user_id: idle[1].clone() });
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "logged_in", "{}", done.stdout);
    stage.night();
    stage.run(&["reclaim", "plan"]);
    let known = format!(
        "SELECT count(*) FROM login_events WHERE user_id = '{}' AND created_at > TIMESTAMPTZ '2026-03-01'",
        idle[0]
    );
    assert_eq!(stage.world.value(&known), 0, "a snapshot has the event, so the test proves nothing");
    assert_eq!(status(&stage, &idle[0]), "active");
    let candidate = format!("SELECT count(*) FROM reclaimable_seats WHERE user_id = '{}'", idle[0]);
    assert_eq!(stage.world.value(&candidate), 0);
    stage.judge();
}

/// R16: a run that no longer sees three ordinary users deletes no further user.
#[test]
fn r16_canaries_that_are_gone_stop_the_deletions() {
    let (mut stage, idle) = moved(small(7));
    stage.later(16);
    let plan = plan_of(&stage, "delete");
    let blind = Fault { method: "GET".to_owned(), ..Fault::status("/2.0/users/*$", 500, 404) };
    // The acting account, and the check of the first user; after that Box shows no user.
    stage.simulator().add_fault(Fault { after: 2, ..blind });
    let done = apply(&stage, &plan, &[3]);
    assert!(done.stderr.contains("does not show"), "{}", done.stderr);
    stage.simulator().clear_faults();
    assert_eq!(idle.iter().filter(|user_id| status(&stage, user_id) == "gone").count(), 1);
    let done = stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| outcome(&done, user_id) == "done"), "{}", done.stdout);
    stage.judge();
}
