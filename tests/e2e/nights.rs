//! Several runs, and runs that a guard refuses.

use boxseat_simulator::{Config, Effect, Fault};

use crate::support::{World, finish};

fn small() -> Config {
    Config { users: 300, groups: 20, logins: Some(4_000), seed: 5, ..Config::default() }
}

/// Why: the overlap of two windows must not double a sign-in, and the second snapshot must replace the first.
#[test]
fn a_second_snapshot_adds_changes_and_doubles_nothing() {
    let world = World::new(Config { late_events: 0.0, ..small() });
    world.ok(&["sync"]);
    let before = world.value("SELECT count(*) FROM login_events").as_i64().unwrap();
    world.simulator.step_days(3);
    world.ok(&["sync"]);
    assert_eq!(world.value("SELECT count(*) FROM sync_runs WHERE status = 'complete'"), 2);
    assert_eq!(world.value("SELECT count(*) - count(DISTINCT event_id) FROM login_events"), 0);
    assert!(world.value("SELECT count(*) FROM login_events").as_i64().unwrap() > before);
    let listed = i64::try_from(world.simulator.truth().users.len()).unwrap();
    assert_eq!(world.value("SELECT count(*) FROM users"), listed);
    let balanced = "SELECT count(*) FROM run_rows WHERE rows_from_box + rows_carried - rows_duplicate - rows_rejected - rows_dropped <> rows_in_lake OR rows_in_lake <> rows_in_warehouse AND run_id = (SELECT run_id FROM sync_runs ORDER BY run_number DESC LIMIT 1)";
    assert_eq!(world.value(balanced), 0);
}

/// Why: an incomplete list would make all missing users look deprovisioned.
#[test]
fn a_list_that_shrank_is_refused_until_an_operator_accepts_it() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let published = std::fs::read(world.store().join("boxseat.duckdb")).unwrap();
    world.simulator.step_days(1);
    world.simulator.act(&boxseat_simulator::Act::HideUsers { share: 0.2 });
    let refused = world.run(&["sync"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("users shrank from 300"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--accept-shrink"), "{}", refused.stderr);
    assert!(
        published == std::fs::read(world.store().join("boxseat.duckdb")).unwrap(),
        "the old snapshot must stay"
    );
    let too_little = world.run(&["sync", "--accept-shrink", "12%"]);
    assert_eq!(too_little.code, 3, "{}", too_little.stderr);
    let calls = world.simulator.counts().calls;
    let accepted = world.ok(&["sync", "--accept-shrink", "30%"]);
    assert_eq!(world.simulator.counts().calls, calls, "nothing is read again");
    // They were read one by one before the guard refused: Box still has them, so no user is removed.
    assert!(accepted.stderr.contains("the listing was incomplete"), "{}", accepted.stderr);
    assert!(world.value("SELECT count(*) FROM users WHERE listing = 'carried'").as_i64().unwrap() > 40);
    assert_eq!(
        world.value("SELECT count(*) FROM users"),
        i64::try_from(world.simulator.truth().users.len()).unwrap()
    );
}

/// Why: so many users gone at once, without an event in the admin log, count as a broken list until an operator accepts it.
#[test]
fn users_gone_without_an_event_are_refused_until_an_operator_accepts_it() {
    let world = World::new(small());
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.simulator.act(&boxseat_simulator::Act::DeleteUsers { count: 12, announced: false });
    let refused = world.run(&["sync"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("users are gone without a DELETE_USER event"), "{}", refused.stderr);
    let calls = world.simulator.counts().calls;
    world.ok(&["sync", "--accept-shrink", "6%"]);
    assert_eq!(world.simulator.counts().calls, calls, "nothing is read again");
    assert_eq!(
        world.value("SELECT count(*) FROM users"),
        i64::try_from(world.simulator.truth().users.len()).unwrap()
    );
}

/// Why: another enterprise's users must never get into this store.
#[test]
fn another_enterprise_s_credentials_are_refused() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let other = World::new(Config { enterprise_id: "900000002".into(), ..small() });
    let refused = other.command(&["sync"]).env("BOXSEAT_STORE", world.store()).output().unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains("belong to enterprise 900000002, this store to enterprise 900000001"),
        "{stderr}"
    );
    world.simulator.step_days(1);
    world.ok(&["sync"]);
}

/// Why: App Access Only, the most common wrong setting.
#[test]
fn an_app_that_sees_only_itself_is_told_what_to_tick() {
    let world = World::new(Config { users: 0, ..small() });
    let refused = world.run(&["sync"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("App + Enterprise Access"), "{}", refused.stderr);
}

/// Why: Box throttles, gateways return HTML, connections break; the snapshot must be the same.
#[test]
fn faults_on_the_way_change_nothing_but_the_ledger() {
    let world = World::new(small());
    for fault in [
        Fault::throttle("/2.0/users", 2, 1),
        Fault::status("/2.0/events", 2, 503),
        Fault::once("/2.0/groups", 1, Effect::Html { status: 502 }),
        Fault::once("/2.0/users", 1, Effect::TruncatedBody),
        Fault::once("/2.0/users", 1, Effect::MalformedJson),
        Fault::once("/2.0/users", 1, Effect::DroppedConnection),
    ] {
        world.simulator.add_fault(fault);
    }
    world.simulator.revoke_tokens();
    world.ok(&["sync"]);
    crate::truth::assert_equal_to_truth(&world);
    let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
    assert_eq!(counted, world.simulator.counts().calls, "the ledger equals what Box counted");
    assert_eq!(world.value("SELECT calls_count FROM sync_runs").as_u64().unwrap(), counted);
    assert!(world.value("SELECT sum(throttled_count)::BIGINT FROM run_calls").as_i64().unwrap() >= 2);
}

/// Why: wrong credentials are a configuration error, and the message must not contain them.
#[test]
fn refused_credentials_are_named_without_the_secret() {
    let world = World::new(small());
    world
        .simulator
        .add_fault(Fault { path: "/oauth2/token".into(), ..Fault::status("/oauth2/token", 1, 400) });
    let refused = world.run(&["sync"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("Box refused to sign in"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("simulated-secret"), "{}", refused.stderr);
}

/// Why: a run begun with one enterprise's credentials and resumed with another's would publish a mixture of both.
#[test]
fn a_run_is_not_resumed_with_another_enterprise_s_credentials() {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "read").output().unwrap();
    assert!(died.status.code().is_none());
    let other = World::new(Config { enterprise_id: "900000002".into(), ..small() });
    let refused = other.command(&["sync"]).env("BOXSEAT_STORE", world.store()).output().unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("belong to enterprise 900000002"), "{stderr}");
    // With the right credentials the run continues: no read page is lost.
    world.simulator.reset_counts();
    world.ok(&["sync"]);
    assert!(world.simulator.counts().calls <= 1, "{:?}", world.simulator.counts());
    crate::truth::assert_equal_to_truth(&world);
}

/// Why: a resumed run that only had to be finished may be a week old; cron requested a new snapshot.
#[test]
fn an_old_sealed_run_is_finished_and_a_new_run_is_started() {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    world.simulator.step_days(3);
    world.ok(&["sync"]);
    let nights = "SELECT string_agg(snapshot_date::VARCHAR, ',' ORDER BY run_number) FROM sync_runs WHERE status = 'complete'";
    assert_eq!(world.value(nights), "2026-03-02,2026-03-05");
}

/// Why: an overwritten file must not stop the job that would replace it.
#[test]
fn a_damaged_published_file_is_replaced() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let file = world.store().join("boxseat.duckdb");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "not a database").unwrap();
    let status = world.run(&["status"]);
    assert!(status.code == 1 && status.stderr.contains("cannot be read"), "{}", status.stderr);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    world.ok(&["sync"]);
    assert_eq!(
        world.value("SELECT count(*) FROM users"),
        i64::try_from(world.simulator.truth().users.len()).unwrap()
    );
}

/// Why: a listing that is read again from its first page must count once, and an abandoned run's calls must stay in the ledger.
#[test]
fn a_group_listing_that_grew_old_restarts_and_every_call_stays_counted() {
    let world = World::new(Config {
        users: 60,
        groups: 1_200,
        logins: Some(500),
        seed: 5,
        short_pages: 0.0,
        ..Config::default()
    });
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    let closed = Effect::Status { status: 400, retry_after: None, code: None, body: None };
    world.simulator.add_fault(Fault {
        path: "/2.0/groups".into(),
        query: "offset=1000".into(),
        effect: closed,
        ..Fault::default()
    });
    assert_eq!(world.run(&["sync"]).code, 1);
    world.simulator.clear_faults();
    let later = world.simulator.now() + chrono::TimeDelta::minutes(30);
    let done = crate::support::finish(
        world.command(&["sync"]).env("BOXSEAT_NOW", later.to_rfc3339()).output().unwrap(),
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        world.value("SELECT count(*) FROM groups"),
        i64::try_from(world.simulator.truth().groups.len()).unwrap()
    );

    // And one that is given up.
    world.simulator.step_days(1);
    // The first 400 may be about a user field, so the call is repeated once without it.
    world.simulator.add_fault(Fault {
        path: "/2.0/users".into(),
        times: Some(2),
        effect: Effect::Status { status: 400, retry_after: None, code: None, body: None },
        ..Fault::default()
    });
    assert_eq!(world.run(&["sync"]).code, 1);
    world.simulator.step_days(2);
    world.ok(&["sync"]);
    assert_eq!(
        world.value("SELECT count(*) FROM sync_runs WHERE status = 'abandoned' AND calls_count > 0"),
        1
    );
    for counted in
        ["SELECT sum(calls_count)::BIGINT FROM run_calls", "SELECT sum(calls_count)::BIGINT FROM sync_runs"]
    {
        assert_eq!(world.value(counted).as_u64().unwrap(), world.simulator.counts().calls, "{counted}");
    }
}

/// Why: `status` could not say why there was no newer snapshot, and ended with 0.
#[test]
fn status_says_why_the_last_sync_failed() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let status = world.ok(&["status"]).stdout;
    let verdict: Vec<_> = status.lines().next().into_iter().flat_map(str::split_whitespace).collect();
    assert_eq!(verdict, ["verdict", "healthy"], "{status}");
    world.simulator.step_days(1);
    let wrong = finish(world.command(&["sync"]).env("BOXSEAT_CLIENT_SECRET", "wrong").output().unwrap());
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    let status = world.run(&["status"]);
    assert_eq!(status.code, 1, "{}", status.stdout);
    for said in ["failing", "the last `sync` failed", "BOXSEAT_CLIENT_SECRET", "2026-03-02"] {
        assert!(status.stdout.contains(said), "{said}: {}", status.stdout);
    }
    world.ok(&["sync"]);
    world.ok(&["status"]);
    world.simulator.step_days(1);
    world.ok(&["status"]);
    assert_eq!(world.run(&["status", "--max-age", "20h"]).code, 1);
    std::fs::write(world.store().join("state/last_sync.json"), "{").unwrap();
    assert!(world.ok(&["status"]).stderr.contains("last_sync.json cannot be read"));
}
