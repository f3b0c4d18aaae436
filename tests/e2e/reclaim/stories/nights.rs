//! `boxseat reclaim nightly`.

use super::*;

/// R9: a run does nothing without an approval, and continues what an operator approved.
#[test]
fn r9_nightly_plans_and_applies_only_approved_plans() {
    let (mut stage, idle) = staged(Intent::default());
    // No group or profile changes on the day between: every planned user stays as planned.
    stage.simulator().act(&Act::SetChangeScale { scale: 0.0 });
    let first = stage.expect(&[0], &["reclaim", "nightly"]);
    assert!(first.stdout.contains("planned"), "{}", first.stdout);
    let plan = stage.plans().remove(0);
    stage.later(1);
    stage.expect(&[0], &["reclaim", "nightly"]);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    // The user may have signed in since.
    let idle: Vec<String> = stage.idle(92).into_iter().filter(|user_id| idle.contains(user_id)).collect();
    // The user may also have created and shared content: then the account would be skipped (R6).
    for user_id in &idle {
        stage.give(user_id, 3, 0);
    }
    let plan = stage.plans().into_iter().rfind(|id| id.contains("suspend")).unwrap_or(plan);
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let done = stage.expect(&[0, 4], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("applied"), "{}", done.stdout);
    for user_id in &idle {
        assert_eq!(status(&stage, user_id), "inactive", "{user_id} of {idle:?}: {}", done.stdout);
    }
    stage.judge();
}

/// R17: a plan that is too old starts nothing.
#[test]
fn r17_an_expired_plan_begins_nothing() {
    let (mut stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    stage.later(8);
    stage.expect(&[4], &["reclaim", "apply", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    let refused = stage.expect(&[3], &["reclaim", "apply", &plan, "--yes"]);
    assert!(refused.stderr.contains("is closed: expired"), "{}", refused.stderr);
    stage.judge();
}

/// R3, R4: Why: a protection that was added to the policy during `apply` was not noticed, and neither was a hold of a user that was
/// being read at that time.
#[test]
fn r4_a_policy_or_list_that_is_changed_while_a_plan_is_applied_stops_the_run() {
    for file in ["policy.toml", "holds.csv"] {
        let holds = file == "holds.csv";
        let (stage, idle) = staged(Intent::default());
        let plan = plan_of(&stage, "suspend");
        stage.expect(&[0], &["reclaim", "approve", &plan]);
        // The first user was read, and so were the others that are read at the same time.
        let apply = command(&stage, 0, &["reclaim", "apply", &plan, "--yes"]);
        let mut held = hold(apply, "intended suspend");
        let path = stage.world.directory().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let added = if holds {
            idle.iter().map(|user_id| format!("{user_id},suit\n")).collect()
        } else {
            "\n# A comment changes the file, too.\n".to_owned()
        };
        std::fs::write(&path, format!("{text}{added}")).unwrap();
        drop(held.stdin.take());
        let done = finish(held.wait_with_output().unwrap());
        assert_eq!(done.code, 3, "{file}: {}", done.stderr);
        assert!(done.stderr.contains("was changed after this command read it"), "{file}: {}", done.stderr);
        assert!(done.stderr.contains("changed during this command"), "{file}: {}", done.stderr);
        assert!(done.stderr.contains(&format!("reclaim undo {plan}")), "{file}: {}", done.stderr);
        let suspended = idle.iter().filter(|user_id| status(&stage, user_id) == "inactive").count();
        assert_eq!(suspended, 1, "{file}: the one whose intent was written");
        let done = run_later(&stage, 10, &["reclaim", "apply", &plan, "--yes"]);
        let suspended = idle.iter().filter(|user_id| status(&stage, user_id) == "inactive").count();
        if holds {
            assert_eq!(suspended, 1, "the other users are held now: {}", done.stderr);
        } else {
            assert_eq!((done.code, suspended), (0, idle.len()), "the next start continues: {}", done.stderr);
        }
    }
}

/// R10: `--now` is accepted only against a stand-in.
#[test]
fn r10_now_is_refused_against_a_box_that_is_not_here() {
    let (stage, _) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let mut apply = command(&stage, 0, &["reclaim", "apply", &plan, "--yes"]);
    apply
        .env("BOXSEAT_API_URL", "https://api.box.com/2.0")
        .env("BOXSEAT_TOKEN_URL", "https://api.box.com/oauth2/token");
    let refused = finish(apply.output().unwrap());
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--now"), "{}", refused.stderr);
}

/// R10: Why: `boxseat --now 2026-03-01T00:00:00Z repair` dated a repair into the past, and evidence that it could not prove counted as
/// covered.
#[test]
fn r10_only_commands_that_show_data_accept_now_for_a_box_that_is_not_here() {
    let (stage, _) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let far = |args: &[&str]| {
        let mut command = command(&stage, 0, args);
        command.env_remove("BOXSEAT_API_URL").env_remove("BOXSEAT_TOKEN_URL");
        finish(command.output().unwrap())
    };
    let directory = stage.world.directory().join("copy");
    let directory = directory.to_str().unwrap();
    for args in [
        &["sync"][..],
        &["sync", "--plan"],
        &["publish"],
        &["repair"],
        &["verify"],
        &["check"],
        &["import", "report.csv"],
        &["backup", directory],
        &["restore", directory],
        &["replay", "--from", "1"],
        &["reclaim", "policy", "--check"],
        &["reclaim", "plan"],
        &["reclaim", "show", &plan],
        &["reclaim", "approve", &plan],
        &["reclaim", "apply", &plan],
        &["reclaim", "undo", &plan],
        &["reclaim", "status"],
        &["reclaim", "verify"],
        &["reclaim", "nightly"],
        &["reclaim", "adopt"],
    ] {
        let refused = far(args);
        assert_eq!(refused.code, 2, "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("--now is accepted only"), "{args:?}: {}", refused.stderr);
    }
    for args in [&["report", "idle"][..], &["query", "SELECT 1"], &["status"]] {
        let done = far(args);
        assert!(!done.stderr.contains("--now"), "{args:?}: {}", done.stderr);
        assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
    }
}

/// R22: the scheduled job signs in with the reading application alone, whatever acting credentials exist.
#[test]
fn r22_sync_never_signs_in_to_act() {
    let (stage, _) = staged(Intent::default());
    stage.simulator().reset_counts();
    let deeds = stage.simulator().deeds().len();
    let mut sync = command(&stage, 0, &["sync"]);
    let done = finish(sync.env("BOXSEAT_ACTIONS_CLIENT_SECRET", "wrong").output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.simulator().deeds().len(), deeds, "sync changes no user");
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    let mut apply = command(&stage, 1, &["reclaim", "apply", &plan, "--yes"]);
    let refused = finish(apply.env("BOXSEAT_ACTIONS_CLIENT_SECRET", "wrong").output().unwrap());
    assert_eq!(refused.code, 2, "acting wants its own credentials: {}", refused.stderr);
    assert_eq!(stage.simulator().deeds().len(), deeds);
}
