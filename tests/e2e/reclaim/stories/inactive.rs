//! What Box does not do with inactive accounts: show their folders As-User, and perhaps move their content.

use boxseat_schemas::reclaim::{Ability, Action, Record};
use boxseat_simulator::{Deed, Verb};

use super::*;

/// A Box that moves no content of inactive accounts.
fn refusing(status: u16) -> Config {
    Config { inactive_transfer_status: Some(status), ..small(7) }
}

fn reactivating() -> Intent {
    Intent { when_refused: "reactivate", ..Intent::default() }
}

/// Applies the transfer plan, waits until the proof is complete, and applies the deletion plan.
fn transfer_and_delete(stage: &mut Stage) {
    let plan = plan_of(stage, "transfer");
    apply(stage, &plan, &[0]);
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    stage.later(16);
    let plan = plan_of(stage, "delete");
    apply(stage, &plan, &[0]);
}

fn learned(stage: &Stage, what: Ability) -> Vec<bool> {
    let news = stage.journal().into_iter().filter_map(|entry| match entry.record {
        Record::BoxAllows { ability, is_allowed, .. } if ability == what => Some(is_allowed),
        _ => None,
    });
    news.collect()
}

/// R15: the items are counted before the suspension, so a Box that closes inactive accounts to As-User still frees every seat.
#[test]
fn r15_every_seat_is_freed_whether_or_not_box_shows_inactive_accounts() {
    for shows in [false, true] {
        let config = Config { as_user_when_inactive: shows, ..small(7) };
        let (mut stage, idle, _) = suspended(config, Intent::default());
        transfer_and_delete(&mut stage);
        for user_id in &idle {
            assert_eq!(status(&stage, user_id), "gone", "shows: {shows}");
        }
        assert_eq!(learned(&stage, Ability::ReadInactive), [shows]);
        stage.judge();
    }
}

/// R15: a partial transfer is no proof, although Box shows no inactive account.
#[test]
fn r15_a_partial_transfer_from_a_closed_account_is_not_deleted() {
    let (mut stage, idle, _) = suspended(small(7), Intent::default());
    stage.simulator().act(&Act::SetTransfers { days: 0, share: 0.5 });
    let plan = plan_of(&stage, "transfer");
    apply(&stage, &plan, &[0, 4]);
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    for days in [3, 16] {
        stage.later(days);
        stage.expect(&[4], &["reclaim", "nightly"]);
    }
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.judge();
}

/// R14: with "stop" the content and the seat stay, the refusal is reported at once, and users without content are freed.
#[test]
fn r14_a_refused_transfer_stops_and_is_reported() {
    for code in [400, 403] {
        let (mut stage, idle) = staged_with(refusing(code), Intent::default());
        stage.give(&idle[0], 0, 0);
        stage.night();
        stage.go();
        stage.later(15);
        let plan = plan_of(&stage, "transfer");
        let done = apply(&stage, &plan, &[4]);
        assert_eq!(outcome(&done, &idle[0]), "done", "{}", done.stdout);
        // One refusal is about this Box, and no other user is tried.
        let mut outcomes: Vec<String> = idle[1..].iter().map(|user_id| outcome(&done, user_id)).collect();
        outcomes.sort();
        assert_eq!(outcomes[0], "refused", "{}", done.stdout);
        assert!(outcomes[1..].iter().all(|word| word == "transfer_refused"), "{}", done.stdout);
        for user_id in &idle[1..] {
            assert!(detail(&done, user_id).contains("when_refused"), "{}", detail(&done, user_id));
            assert_eq!(stage.simulator().content(user_id).unwrap().owned_items, 3);
        }
        assert_eq!(learned(&stage, Ability::TransferFromInactive), [false]);
        let calls = |stage: &Stage| {
            let is_transfer = |deed: &&Deed| deed.verb == Verb::BeginTransfer;
            stage.simulator().deeds().iter().filter(is_transfer).count()
        };
        let before = calls(&stage);
        assert_eq!(before, 1);
        stage.later(1);
        stage.expect(&[0, 4], &["reclaim", "nightly"]);
        assert_eq!(calls(&stage), before, "asked again");
        assert!(stage.plan().iter().all(|plan| !plan.contains("transfer")), "planned again");
        stage.later(16);
        let plan = plan_of(&stage, "delete");
        apply(&stage, &plan, &[0]);
        assert_eq!(status(&stage, &idle[0]), "gone");
        assert!(idle[1..].iter().all(|user_id| status(&stage, user_id) == "inactive"));
        stage.judge();
    }
}

/// R14: with "reactivate" the account is active for the transfer alone, and every seat is freed.
#[test]
fn r14_an_account_is_active_for_its_transfer_and_suspended_again() {
    let (mut stage, idle, _) = suspended(refusing(403), reactivating());
    transfer_and_delete(&mut stage);
    for user_id in &idle {
        assert_eq!(status(&stage, user_id), "gone");
    }
    assert_eq!(learned(&stage, Ability::TransferFromInactive), [false]);
    stage.expect(&[0], &["reclaim", "verify"]);
    accept_a_smaller_list(&stage);
    stage.later(1);
    let actions =
        "SELECT string_agg(DISTINCT action, ' ' ORDER BY action) FROM seat_actions WHERE outcome = 'done'";
    let all = "delete reactivate suspend suspend_again terminate_sessions transfer";
    assert_eq!(stage.world.value(actions), all);
    let unexplained = "SELECT coalesce(sum(failing_rows_count), 0)::BIGINT FROM data_checks WHERE check_name = 'unexplained_action'";
    assert_eq!(stage.world.value(unexplained), 0);
    stage.judge();
}

/// R14: killed at any step of the window, the next start suspends the account again and ends its sessions first.
#[test]
fn r14_a_window_that_a_kill_left_open_is_closed_first() {
    for step in [
        "intended reactivate",
        "before transfer",
        "intended transfer",
        "before suspend_again",
        "intended suspend_again",
    ] {
        let (mut stage, idle, _) = suspended(refusing(403), reactivating());
        let plan = plan_of(&stage, "transfer");
        stage.expect(&[0], &["reclaim", "approve", &plan]);
        // The first attempt on the inactive account is refused, and the window follows.
        killed_at(&stage, &["reclaim", "apply", &plan, "--yes"], step);
        let done = run_later(&stage, 10, &["reclaim", "nightly"]);
        assert!(matches!(done.code, 0 | 4), "{step}: {}\n{}", done.stdout, done.stderr);
        for user_id in &idle {
            assert_eq!(status(&stage, user_id), "inactive", "{step}");
        }
        for _ in 0..3 {
            stage.later(1);
            stage.expect(&[0, 4], &["reclaim", "nightly"]);
        }
        stage.judge();
    }
}

/// R3, R14: a hold or a policy that is written while the account is active stops the transfer, and the account is suspended again.
#[test]
fn r14_a_window_is_closed_although_the_policy_was_changed_inside_it() {
    let (stage, idle, _) = suspended(refusing(403), reactivating());
    let plan = plan_of(&stage, "transfer");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let apply = command(&stage, 0, &["reclaim", "apply", &plan, "--yes"]);
    let mut held = hold(apply, "intended reactivate");
    let policy = stage.world.directory().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, format!("{text}\n# A comment.\n")).unwrap();
    drop(held.stdin.take());
    let done = finish(held.wait_with_output().unwrap());
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("was changed after this command read it"), "{}", done.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    let begun = |action: Action| {
        let is_of = |record: &Record| matches!(record, Record::Intent(attempt) if attempt.action == action);
        stage.journal().iter().filter(|entry| is_of(&entry.record)).count()
    };
    // The first transfer, of the inactive account, was refused.
    assert_eq!((begun(Action::Transfer), begun(Action::Reactivate), begun(Action::SuspendAgain)), (1, 1, 1));
    stage.judge();
}

/// R2, R14: a user who signs in while the account is active for its transfer keeps the account.
#[test]
fn r14_a_sign_in_inside_the_window_is_use() {
    let (mut stage, idle, _) = suspended(refusing(403), reactivating());
    let plan = plan_of(&stage, "transfer");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    killed_at(&stage, &["reclaim", "apply", &plan, "--yes"], "before suspend_again");
    let active = idle.iter().find(|user_id| status(&stage, user_id) == "active").unwrap().clone();
    stage.simulator().advance_secs(60);
    login(&stage, &active);
    run_later(&stage, 10, &["reclaim", "nightly"]);
    assert_eq!(status(&stage, &active), "inactive");
    for days in [1, 1, 16] {
        stage.later(days);
        stage.expect(&[0, 3, 4], &["reclaim", "nightly"]);
    }
    // The plans of the last `nightly`.
    for plan in stage.plans().iter().filter(|plan| plan.contains("delete")) {
        apply(&stage, plan, &[0, 3, 4]);
    }
    assert_eq!(status(&stage, &active), "inactive", "it was deleted in spite of the sign-in");
    stage.judge();
}

/// R14: an account that cannot be suspended again stops everything, and is named.
#[test]
fn r14_an_account_that_cannot_be_suspended_again_is_named() {
    let (stage, idle, _) = suspended(refusing(403), reactivating());
    let plan = plan_of(&stage, "transfer");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    killed_at(&stage, &["reclaim", "apply", &plan, "--yes"], "before suspend_again");
    let active = idle.iter().find(|user_id| status(&stage, user_id) == "active").unwrap().clone();
    stage.simulator().act(&Act::BarUser { user_id: active.clone(), barred: true });
    let refused = run_later(&stage, 10, &["reclaim", "nightly"]);
    assert_eq!(refused.code, 3, "{}\n{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains(&active) && refused.stderr.contains("inactive"), "{}", refused.stderr);
    stage.simulator().act(&Act::BarUser { user_id: active.clone(), barred: false });
    run_later(&stage, 20, &["reclaim", "nightly"]);
    assert_eq!(status(&stage, &active), "inactive");
    stage.judge();
}

/// R14: once it is known that the seats cannot be freed, no plan suspends these users and no report counts their seats as savings.
#[test]
fn r14_users_whose_seat_cannot_be_freed_are_neither_planned_nor_promised() {
    let mut intent = Intent { cap_people: 1, ..Intent::default() };
    let (mut stage, idle) = staged_with(refusing(403), intent.clone());
    stage.night();
    stage.go();
    stage.later(15);
    let plan = plan_of(&stage, "transfer");
    apply(&stage, &plan, &[4]);
    intent = Intent { cap_people: 1_000, ..stage.intent.clone() };
    stage.intent = intent;
    stage.write_policy();
    stage.later(1);
    let plans = stage.plan();
    assert_eq!(plans, Vec::<String>::new(), "the other users own content, too");
    let active = idle.iter().filter(|user_id| status(&stage, user_id) == "active").count();
    assert_eq!(active, idle.len() - 1);
    let left_out = "SELECT count(*) FROM reclaim_candidates WHERE left_out_reason = 'transfer_refused'";
    assert_eq!(stage.world.value(left_out), active);
    assert_eq!(stage.world.value("SELECT count(*) FROM reclaimable_seats"), 0);
    stage.judge();
}

/// R15: `check` learns by two reads whether this Box shows inactive accounts, and the next reading makes no such call.
#[test]
fn r15_check_learns_whether_inactive_accounts_are_shown() {
    for shows in [false, true] {
        let config = Config { as_user_when_inactive: shows, ..small(7) };
        let (stage, idle) = staged_with(config, Intent::default());
        let act = Act::SetStatus { user_id: idle[0].clone(), status: "inactive".to_owned(), announced: true };
        stage.simulator().act(&act);
        let said = stage.expect(&[0], &["check", "--format", "json"]);
        assert!(said.stdout.contains("As-User on inactive accounts"), "{}", said.stdout);
        assert_eq!(learned(&stage, Ability::ReadInactive), [shows]);
        stage.expect(&[0], &["check"]);
        assert_eq!(learned(&stage, Ability::ReadInactive), [shows], "it was known");
    }
}
