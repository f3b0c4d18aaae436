//! Events between the plan and the suspension.

use boxseat_simulator::{App, Fault, Hand};
use serde_json::json;

use super::*;

/// R7, R13: suspended, signed out, recorded; a plan is used once, and not before its approval.
#[test]
fn r13_users_that_still_qualify_are_suspended_and_signed_out_and_a_plan_is_used_once() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let refused = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(refused.stderr.contains("is not approved"), "{}", refused.stderr);
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let shown = stage.expect(&[0], &["reclaim", "apply", &plan]);
    assert!(shown.stderr.contains("Nothing was done"), "{}", shown.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    let done = stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    for user_id in &idle {
        assert_eq!(
            (outcome(&done, user_id).as_str(), status(&stage, user_id).as_str()),
            ("done", "inactive")
        );
    }
    assert!(done.stderr.contains("head "), "{}", done.stderr);
    let again = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(again.stderr.contains("is closed: applied"), "{}", again.stderr);
    stage.expect(&[0], &["reclaim", "verify"]);
    assert!(stage.expect(&[0], &["reclaim", "status"]).stdout.contains("applied"));
    stage.judge();
}

/// R11: a sign-in that no snapshot has keeps the seat.
#[test]
fn r11_a_login_after_the_plan_cancels_the_person() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    login(&stage, &idle[0]);
    stage.simulator().advance_secs(60);
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "logged_in");
    assert_eq!(
        (status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()),
        ("active", "inactive")
    );
    stage.judge();
}

/// R11: a feed that is silent or fails hides sign-ins, so no user is changed.
#[test]
fn r11_without_the_admin_log_no_account_is_changed() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let fault = Fault::status("/2.0/events", 50, 403);
    stage.simulator().add_fault(fault);
    let refused = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(refused.stderr.contains("the admin log cannot be read"), "{}", refused.stderr);
    stage.simulator().clear_faults();
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    let positions = stage.world.store().join("state/positions");
    std::fs::remove_dir_all(positions).unwrap();
    let refused = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(refused.stderr.contains("has no position of the admin log"), "{}", refused.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    stage.judge();
}

/// R5: the leave list counts on the day of the apply; for a user back from leave the idle days start again.
#[test]
fn r5_leave_counts_at_apply_and_idle_days_start_again_after_it() {
    let (mut stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let day = |days: i64| (stage.simulator().now() + TimeDelta::days(days)).date_naive().to_string();
    let (back, away) = (idle[0].clone(), idle[1].clone());
    let leaves = vec![(back.clone(), day(-80), day(-20)), (away.clone(), day(-1), day(30))];
    stage.intent.leaves = leaves;
    stage.write_policy();
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &away), "on_leave", "{}", done.stdout);
    assert!(status(&stage, &back) == "active", "{}", detail(&done, &back));
    assert!(status(&stage, &away) == "active");
    stage.judge();
}

/// R4: a protected login stays protected under another name, before the plan and after it.
#[test]
fn r4_a_protected_login_that_is_renamed_stays_protected() {
    let (mut stage, idle) = staged(Intent::default());
    let login_of = |stage: &Stage, id: &str| {
        let truth = stage.simulator().truth_without_events();
        truth.users.iter().find(|user| user.user_id == id).unwrap().login.clone().unwrap().to_lowercase()
    };
    let (first, second) = (idle[0].clone(), idle[1].clone());
    stage.intent.protected_logins.insert(login_of(&stage, &first));
    stage.write_policy();
    let rename = |stage: &Stage, id: &str, to: &str| {
        let body = json!({"login": to});
        stage.simulator().act(&Act::EditUser { user_id: id.to_owned(), body, announced: true });
    };
    rename(&stage, &first, "renamed.one@acme.test");
    stage.night();
    let plan = plan_of(&stage, "suspend");
    let shown = stage.expect(&[0], &["reclaim", "show", &plan, "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert!(shown.to_string().contains("\"protected\""), "{shown}");
    // Renamed after the plan: no longer as approved.
    rename(&stage, &second, "renamed.two@acme.test");
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &second), "changed");
    assert_eq!((status(&stage, &first).as_str(), status(&stage, &second).as_str()), ("active", "active"));
    stage.judge();
}

/// R12: a suspension by another actor meanwhile is not ours; an update by the identity provider alone is no change.
#[test]
fn r12_changes_by_others_are_skipped_and_a_push_is_no_change() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let act = Act::SetStatus { user_id: idle[0].clone(), status: "inactive".to_owned(), announced: true };
    stage.simulator().act(&act);
    stage.simulator().act(&Act::PushDirectory { share: 1.0 });
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "done_by_others");
    assert_eq!(outcome(&done, &idle[1]), "done");
    stage.judge();
}

/// R6: suspending an owner hides shared folders from collaborators, so owners of shared content are excluded.
#[test]
fn r6_owners_of_shared_content_are_counted_and_skipped() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.give(&idle[0], 4, 2);
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "owns_shared_content");
    assert!(detail(&done, &idle[0]).contains("root folder: 2"), "{}", detail(&done, &idle[0]));
    assert_eq!(status(&stage, &idle[0]), "active");
    stage.judge();
}

/// R7: an edited plan is another plan, and a copy in another store is not valid.
#[test]
fn r7_a_plan_that_was_edited_or_copied_to_another_store_is_refused() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let file = stage.state().join(format!("plans/{plan}.json"));
    let text = std::fs::read_to_string(&file).unwrap();
    let copy = stage.world.directory().join("copy.json");
    std::fs::write(&copy, text.replacen(&idle[0], &idle[1], 1)).unwrap();
    let refused = stage.expect(&[3], &["reclaim", "apply", copy.to_str().unwrap(), "--yes"]);
    assert!(refused.stderr.contains("is not the one that was made"), "{}", refused.stderr);
    let (other, _) = staged_with(small(8), Intent::default());
    std::fs::write(&copy, text).unwrap();
    let refused = other.expect(&[3], &["reclaim", "apply", copy.to_str().unwrap(), "--yes"]);
    assert!(refused.stderr.contains("another store"), "{}", refused.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}

/// R10: an old snapshot, and a clock that is off, prove nothing.
#[test]
fn r10_an_old_snapshot_and_a_list_shrunk_by_a_lost_scope_stop_everything() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let scopes = boxseat_simulator::Scopes { whole_enterprise: false, ..Default::default() };
    stage.simulator().act(&Act::SetScopes { app: App::Reading, scopes });
    stage.simulator().step_days(2);
    let refused = stage.world.run(&["sync"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    let refused = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(refused.stderr.contains("hours old"), "{}", refused.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    stage.judge();
}

/// R10: ages and the 20 hours between two readings are by our clock, so it must agree with Box's.
#[test]
#[expect(clippy::disallowed_methods, reason = "this story is about the machine's own clock")]
fn r10_a_clock_five_minutes_off_stops_everything() {
    let config = Config { now: chrono::Utc::now(), ..small(7) };
    let (stage, idle) = staged_with(config, Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let effect = boxseat_simulator::Effect::DateSkew { secs: 400 };
    stage.simulator().add_fault(boxseat_simulator::Fault::once("/2.0/", 1_000, effect));
    let mut apply = command(&stage, 0, &["reclaim", "apply", &plan, "--yes"]);
    let refused = finish(apply.env_remove("BOXSEAT_NOW").output().unwrap());
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("clock"), "{}", refused.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}

/// R16: rights lost during the run stop it, and the same command continues when they are back.
#[test]
fn r16_rights_lost_during_a_run_stop_it_and_it_continues_later() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let code = Some("insufficient_scope".to_owned());
    let effect = boxseat_simulator::Effect::Status { status: 403, retry_after: None, code, body: None };
    let fault = boxseat_simulator::Fault {
        after: 9,
        ..boxseat_simulator::Fault::once("/2.0/users/9", 1_000, effect)
    };
    stage.simulator().add_fault(fault);
    let stopped = apply(&stage, &plan, &[3]);
    assert!(stopped.stderr.contains("lost rights"), "{}", stopped.stderr);
    stage.simulator().clear_faults();
    let done = run_later(&stage, 10, &["reclaim", "apply", &plan, "--yes"]);
    assert!(matches!(done.code, 0 | 4), "{}", done.stderr);
    let suspended = idle.iter().filter(|user_id| status(&stage, user_id) == "inactive").count();
    assert!(suspended >= idle.len() - 3, "{}", done.stdout);
    stage.judge();
}

/// R21: an action of our account that the journal does not have is reported by the next run.
#[test]
fn r21_an_action_of_our_account_that_no_plan_explains_is_found() {
    let (mut stage, idle) = staged(Intent::default());
    stage.go();
    stage.later(1);
    let found = "SELECT coalesce(sum(failing_rows_count), 0)::BIGINT FROM data_checks WHERE check_name = 'unexplained_action'";
    assert_eq!(stage.world.value(found), 0);
    assert_eq!(stage.world.value("SELECT count(*) FROM seat_actions"), json!(idle.len() * 2));
    let act = Act::EditUser { user_id: idle[0].clone(), body: json!({"job_title": "Cook"}), announced: true };
    stage.simulator().act(&Act::As { hand: Hand::App(App::Acting), act: Box::new(act) });
    stage.later(1);
    assert_eq!(stage.world.value(found), 1);
}

/// R9: Why: `unshare -U --map-user=1 boxseat reclaim approve` made two approvers of one user.
#[test]
fn r9_a_process_in_a_user_namespace_is_no_second_user() {
    let unshare = |command: Command| {
        let mut unshared = Command::new("unshare");
        unshared.args(["--user", "--map-user=1", "--map-group=1"]).arg(command.get_program());
        unshared.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).env_clear();
        unshared.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        unshared.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        unshared
    };
    let two = Intent { more: "[approval]\ntwo_person = true\n".to_owned(), ..Intent::default() };
    let (stage, idle) = staged(two);
    let plan = plan_of(&stage, "suspend");
    let probe = unshare(command(&stage, 0, &["--version"])).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("this system allows no user namespaces");
        return;
    }
    for args in [
        &["reclaim", "approve", &plan][..],
        &["reclaim", "apply", &plan, "--yes"],
        &["reclaim", "undo", &plan, "--yes"],
        &["reclaim", "plan"],
        &["reclaim", "adopt"],
    ] {
        let refused = finish(unshare(command(&stage, 0, args)).output().unwrap());
        assert_eq!(refused.code, 3, "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("runs in a user namespace"), "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("allowed_signers"), "{args:?}: {}", refused.stderr);
    }
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));

    let (stage, _) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let approved = finish(unshare(command(&stage, 0, &["reclaim", "approve", &plan])).output().unwrap());
    assert_eq!(approved.code, 0, "one user approves: {}", approved.stderr);
    assert!(approved.stderr.contains("proves nothing"), "{}", approved.stderr);
}

/// R9: the required approval is that of the policy from which the plan was made, whatever policy is named later.
#[test]
fn r9_another_policy_does_not_waive_the_second_person() {
    let two = Intent { more: "[approval]\ntwo_person = true\n".to_owned(), ..Intent::default() };
    let (stage, idle) = staged(two);
    let plan = plan_of(&stage, "suspend");
    let weak = stage.world.directory().join("weak.toml");
    std::fs::write(&weak, "evidence = \"login_only\"\n").unwrap();
    let weak = weak.to_str().unwrap();
    let refused = stage.expect(&[3], &["reclaim", "--policy", weak, "approve", &plan]);
    assert!(refused.stderr.contains("another user"), "{}", refused.stderr);
    let refused = stage.expect(&[3], &["reclaim", "--policy", weak, "apply", &plan, "--yes"]);
    assert!(refused.stderr.contains("not approved"), "{}", refused.stderr);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}
