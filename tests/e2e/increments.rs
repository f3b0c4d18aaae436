//! Runs that read only changes, and what they do when that is not enough.

use boxseat_simulator::{Act, Config, Effect, Fault};
use serde_json::Value;

use crate::support::World;
use crate::truth::assert_equal_to_truth;

/// Groups cost more than the hundred calls that are always allowed, so they are read in turns.
fn enterprise() -> Config {
    Config {
        users: 400,
        groups: 140,
        logins: Some(4_000),
        seed: 9,
        change_scale: 0.0,
        late_events: 0.0,
        ..Config::default()
    }
}

fn plan(world: &World, flags: &[&str]) -> Value {
    let done = world.ok(&[&["sync", "--plan", "--format", "json"], flags].concat());
    let mut plan: Value = serde_json::from_str(&done.stdout).unwrap();
    plan["plan"].take()
}

fn choice<'a>(plan: &'a Value, stream: &str) -> &'a str {
    let streams = plan["streams"].as_array().unwrap();
    let found = streams.iter().find(|planned| planned["stream"] == stream);
    found.and_then(|planned| planned["choice"].as_str()).unwrap()
}

fn members_of(world: &World, group_id: &str) -> Value {
    world.value(&format!("SELECT count(*) FROM memberships WHERE group_id = '{group_id}'"))
}

/// Why: `--plan` must not cost its calls twice, and must show what the next sync does.
#[test]
fn a_plan_is_printed_and_the_next_sync_continues_from_it() {
    let world = World::new(enterprise());
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.simulator.reset_counts();
    let first = plan(&world, &[]);
    assert_eq!(
        (choice(&first, "memberships"), choice(&first, "email_aliases")),
        ("changed_only", "changed_only")
    );
    let surveyed = world.simulator.counts().calls;
    let again = world.ok(&["sync", "--plan"]);
    assert!(again.stdout.contains("read longest ago"), "{}", again.stdout);
    assert!(
        again.stderr.contains("Changes that Box reports as events are in the next snapshot."),
        "{}",
        again.stderr
    );
    assert_eq!(world.simulator.counts().calls, surveyed, "a plan that is made is only printed again");
    world.ok(&["sync"]);
    let made = world.simulator.counts().calls;
    let planned = first["calls"].as_u64().unwrap();
    assert!(planned.abs_diff(made) <= 1, "{planned} planned, {made} made");
    assert_equal_to_truth(&world);
}

/// Why: an operator can request a full read, also if a plan was already made.
#[test]
fn full_reads_everything() {
    let world = World::new(enterprise());
    world.ok(&["sync"]);
    let user_id = world.value("SELECT min(user_id) FROM users");
    let user_id = user_id.as_str().unwrap();
    let alias =
        Act::AddAlias { user_id: user_id.into(), email: "silent@acme.test".into(), is_confirmed: true };
    world.simulator.act(&alias);
    world.simulator.step_days(1);
    assert_eq!(choice(&plan(&world, &[]), "email_aliases"), "changed_only");
    let full = plan(&world, &["--full"]);
    assert_eq!((choice(&full, "memberships"), choice(&full, "email_aliases")), ("full", "full"));
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);
}

/// Why: the promise. Announced changes of memberships and aliases are right in the next snapshot, silent ones are carried.
#[test]
fn users_in_events_are_read_and_the_rest_is_carried() {
    let world = World::new(enterprise());
    world.ok(&["sync"]);
    // Not yet due: groups and users outside this run's turns.
    let groups = world.rows(
        "SELECT group_id, min(user_id) AS user_id FROM memberships GROUP BY group_id HAVING count(*) BETWEEN 3 AND 50 ORDER BY group_id",
    );
    let text = |row: usize, name: &str| groups[row][name].as_str().unwrap().to_owned();
    let (announced, silent) = (0..groups.len()).partition::<Vec<usize>, _>(|row| row % 2 == 0);
    for row in announced.iter().chain(&silent) {
        let (group_id, user_id) = (text(*row, "group_id"), text(*row, "user_id"));
        world.simulator.act(&Act::RemoveMember { user_id, group_id, announced: row % 2 == 0 });
    }
    let before: Vec<Value> =
        (0..groups.len()).map(|row| members_of(&world, &text(row, "group_id"))).collect();
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let lost = |row: usize| {
        before[row].as_i64().unwrap() - members_of(&world, &text(row, "group_id")).as_i64().unwrap()
    };
    assert!(announced.iter().all(|row| lost(*row) == 1), "an announced change is missing");
    let noticed = silent.iter().filter(|row| lost(**row) == 1).count();
    assert!(
        noticed < silent.len() / 2,
        "{noticed} of {} silent changes noticed: everything was read",
        silent.len()
    );
    // Carried rows are marked as carried.
    let honest = "SELECT count(*) FROM memberships JOIN groups USING (group_id) WHERE memberships.read_at <> groups.memberships_read_at";
    assert_eq!(world.value(honest), 0);
    let carried = world.value("SELECT rows_carried FROM run_rows JOIN sync_runs USING (run_id) WHERE run_number = 2 AND table_name = 'memberships'");
    assert!(carried.as_i64().unwrap() > 100, "{carried}");
    // A week later every group has been read.
    for _ in 0..7 {
        world.simulator.step_days(1);
        world.ok(&["sync", "--no-publish"]);
    }
    world.ok(&["publish"]);
    assert!(silent.iter().all(|row| lost(*row) == 1), "a silent change outlived the promise");
}

/// Why: a feed without events would leave every change unread and make all users idle.
#[test]
fn a_silent_feed_is_refused() {
    let world = World::new(enterprise());
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.simulator.act(&Act::SilenceFeed { silent: true });
    let refused = world.run(&["sync"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("the admin log is silent: no event between"), "{}", refused.stderr);
    assert!(refused.stderr.contains("although earlier runs read"), "{}", refused.stderr);
    assert_eq!(world.run(&["sync", "--accept-shrink", "12%"]).code, 2, "nothing has shrunk");
    world.simulator.act(&Act::SilenceFeed { silent: false });
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_eq!(world.value("SELECT count(*) FROM sync_runs WHERE status = 'abandoned'"), 1);
    crate::truth::assert_logins_equal_to_truth(&world);
}

/// Why: without the change events it is unknown what changed.
#[test]
fn a_refused_list_of_event_types_reads_everything() {
    let world = World::new(enterprise());
    world.ok(&["sync"]);
    let groups = world.rows("SELECT group_id, min(user_id) AS user_id FROM memberships GROUP BY group_id HAVING count(*) BETWEEN 3 AND 50");
    for row in &groups {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        world.simulator.act(&Act::RemoveMember {
            user_id: text("user_id"),
            group_id: text("group_id"),
            announced: true,
        });
    }
    world.simulator.step_days(1);
    world.simulator.add_fault(Fault {
        path: "/2.0/events".into(),
        query: "NEW_USER".into(),
        effect: Effect::Status { status: 400, retry_after: None, code: None, body: None },
        ..Fault::default()
    });
    let plan = plan(&world, &[]);
    assert_eq!((choice(&plan, "memberships"), choice(&plan, "email_aliases")), ("full", "full"), "{plan}");
    world.ok(&["sync"]);
    let truth = world.simulator.truth();
    assert_eq!(
        world.value("SELECT count(*) FROM memberships"),
        i64::try_from(truth.memberships.len()).unwrap()
    );
}

/// Why: users that are not listed are read one by one, and only an unambiguous response removes them.
#[test]
fn users_that_vanish_are_gone_only_when_box_confirms_it() {
    let world = World::new(enterprise());
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    let deleted = world.simulator.act(&Act::DeleteUsers { count: 2, announced: true });
    let rolled_out = world.simulator.act(&Act::RollOutUsers { count: 1 });
    let unclear = world.simulator.act(&Act::DeleteUsers { count: 1, announced: false });
    world.simulator.add_fault(Fault {
        path: format!("/2.0/users/{}", unclear[0]),
        effect: Effect::Status { status: 403, retry_after: None, code: None, body: None },
        ..Fault::default()
    });
    let done = world.ok(&["sync"]);
    assert!(done.stderr.contains("1 users were not listed, and Box does not report"), "{}", done.stderr);
    let listing = |id: &str| world.rows(&format!("SELECT listing FROM users WHERE user_id = '{id}'"));
    assert_eq!(listing(&unclear[0])[0]["listing"], "missing_unconfirmed");
    assert!(listing(&deleted[0]).is_empty() && listing(&rolled_out[0]).is_empty());
    let orphans = "SELECT count(*) FROM memberships ANTI JOIN users USING (user_id)";
    assert_eq!(world.value(orphans), 0);
    // The next run reads them again, when Box responds.
    world.simulator.clear_faults();
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert!(listing(&unclear[0]).is_empty());
    assert_equal_to_truth(&world);
}

/// Why: if Box does not return listed users either, a missing response proves nothing.
#[test]
fn a_canary_that_does_not_answer_keeps_all_users() {
    let world = World::new(enterprise());
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    let deleted = world.simulator.act(&Act::DeleteUsers { count: 2, announced: true });
    // Every request for a single user answers 404; the listings do not.
    world.simulator.add_fault(Fault {
        path: "/2.0/users/".into(),
        query: "fields=".into(),
        after: 1,
        effect: Effect::Status { status: 404, retry_after: None, code: None, body: None },
        ..Fault::default()
    });
    world.ok(&["sync"]);
    for id in deleted {
        let listing = world.value(&format!("SELECT listing FROM users WHERE user_id = '{id}'"));
        assert_eq!(listing, "missing_unconfirmed");
    }
}

/// Why: after a week without runs everything is caught up, and nothing of it is lost.
#[test]
fn missed_runs_are_made_up_for() {
    let world = World::new(Config { change_scale: 1.0, ..enterprise() });
    world.ok(&["sync"]);
    world.simulator.step_days(9);
    world.ok(&["sync"]);
    // Memberships are one week's turn and all due; the announced rest is present, too.
    crate::truth::assert_logins_equal_to_truth(&world);
    let truth = world.simulator.truth();
    assert_eq!(
        world.value("SELECT count(*) FROM memberships"),
        i64::try_from(truth.memberships.len()).unwrap()
    );
}

/// Why: a month of snapshots is stored before the first publish, and no file may be published meanwhile.
#[test]
fn a_run_without_publishing_is_only_in_the_lake() {
    let world = World::new(enterprise());
    let done = world.ok(&["sync", "--no-publish"]);
    assert!(!done.stderr.contains("published"), "{}", done.stderr);
    assert!(!world.store().join("boxseat.duckdb").exists());
    world.simulator.step_days(1);
    // This must not look like an interrupted publish: the next start reads a new snapshot.
    world.ok(&["sync"]);
    let runs = world.rows("SELECT run_number, max(rows_in_warehouse) AS shown FROM run_rows JOIN sync_runs USING (run_id) WHERE table_name = 'users' GROUP BY ALL ORDER BY ALL");
    assert_eq!((runs.len(), &runs[0]["shown"]), (2, &Value::Null));
    assert!(runs[1]["shown"].as_i64().unwrap() > 0);
    assert_equal_to_truth(&world);
}

/// Why: a crash between two reads must not lose the plan.
#[test]
fn a_run_that_dies_after_its_plan_requests_only_what_is_missing() {
    let world = World::new(Config { change_scale: 1.0, ..enterprise() });
    world.ok(&["sync"]);
    world.simulator.step_days(3);
    world.simulator.reset_counts();
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "read").output().unwrap();
    assert!(died.status.code().is_none());
    let calls = world.simulator.counts().calls;
    world.ok(&["sync"]);
    assert!(world.simulator.counts().calls <= calls + 1);
    assert_eq!(
        world
            .value("SELECT planned_calls_count FROM sync_runs ORDER BY run_number DESC LIMIT 1")
            .as_u64()
            .unwrap(),
        calls
    );
}
