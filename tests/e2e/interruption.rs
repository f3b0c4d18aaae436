//! A run that is stopped resumes where it stopped.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use boxseat_output::lake::Lake;
use boxseat_schemas::run::current;
use boxseat_schemas::table::{EMAIL_ALIASES, EVENTS, GROUPS, MEMBERSHIPS, RUN_ROWS, USERS};
use boxseat_simulator::Config;

use crate::support::{World, finish, terminate};
use crate::truth::assert_equal_to_truth;

const CONCURRENCY: u64 = 16;

fn enterprise() -> Config {
    // Slow enough to be interrupted in the middle, and without 404s or faults, so that every call is a page.
    Config { users: 1_500, groups: 80, logins: Some(30_000), seed: 3, latency_ms: 4, ..Config::default() }
}

fn api_calls(world: &World) -> u64 {
    let counts = world.simulator.counts();
    let tokens = counts
        .by_endpoint
        .iter()
        .filter(|(name, _)| name.contains("oauth2"))
        .map(|(_, c)| c.calls)
        .sum::<u64>();
    counts.calls - tokens
}

fn wait_for_calls(world: &World, calls: u64) {
    let patience = Instant::now();
    while api_calls(world) < calls {
        assert!(patience.elapsed() < Duration::from_secs(60), "the run never made {calls} calls");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Why: the spool's promise. A page that was counted is never requested again.
#[test]
fn a_killed_run_requests_again_only_calls_in_flight() {
    let untouched = World::new(enterprise());
    untouched.ok(&["sync"]);
    let whole = api_calls(&untouched);

    for share in [10, 50, 90] {
        let world = World::new(enterprise());
        let mut child = world.start(&["sync"]);
        wait_for_calls(&world, whole * share / 100);
        child.kill().unwrap();
        child.wait().unwrap();
        world.ok(&["sync"]);
        let made = api_calls(&world);
        assert!(
            made >= whole && made <= whole + CONCURRENCY,
            "killed at {share} %: {made} calls instead of {whole}"
        );
        assert_eq!(world.value("SELECT count(*) FROM sync_runs"), 1);
        assert_equal_to_truth(&world);
    }
}

/// Why: the machine may shut down during a run; SIGTERM must not cost a page.
#[test]
fn a_terminated_run_exits_130_and_continues_without_a_repeated_request() {
    let untouched = World::new(enterprise());
    untouched.ok(&["sync"]);

    let world = World::new(enterprise());
    let child = world.command(&["sync"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for_calls(&world, 400);
    terminate(&child);
    let done = finish(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert!(done.stderr.contains("the next start continues from here"), "{}", done.stderr);
    assert!(!world.store().join("boxseat.duckdb").exists());
    world.ok(&["sync"]);
    assert_eq!(api_calls(&world), api_calls(&untouched));
    assert_equal_to_truth(&world);
}

/// Why: two cron lines, or an operator at the same time as cron.
#[test]
fn a_second_sync_at_the_same_time_exits_75() {
    let world = World::new(enterprise());
    let mut first = world.start(&["sync"]);
    wait_for_calls(&world, 50);
    let second = world.run(&["sync"]);
    assert_eq!(second.code, 75, "{}", second.stderr);
    assert!(second.stderr.contains("another boxseat process is using this store: pid"), "{}", second.stderr);
    assert!(first.wait().unwrap().success());
}

/// Steps of a run, in order; the process dies at each of them once.
pub(crate) const STEPS: &[&str] = &[
    "before reserving",
    "reserved",
    "surveyed",
    "planned",
    "read",
    "sealed",
    "before users",
    "after users",
    "before groups",
    "after groups",
    "before memberships",
    "after memberships",
    "before email_aliases",
    "after email_aliases",
    "before events",
    "after events",
    "before event_coverage",
    "before run_calls",
    "before rejects",
    "loaded",
    "checked",
    "before users_history",
    "after users_history",
    "before user_changes",
    "after user_changes",
    "before seat_usage_daily",
    "after seat_usage_daily",
    "before run_rows",
    "after run_rows",
    "accounted",
    "before sync_runs",
    "visible",
    "published",
];

/// Why: the commit protocol. Wherever a run is killed, readers see the old snapshot or the new one, and the next start completes it
/// without requesting read pages from Box again.
#[test]
fn a_run_that_dies_at_any_step_is_completed_by_the_next_start() {
    let config = || Config {
        users: 120,
        groups: 10,
        logins: Some(2_000),
        seed: 11,
        late_events: 0.0,
        ..Config::default()
    };
    for step in STEPS {
        let world = World::new(config());
        world.ok(&["sync"]);
        let first_night = world.value("SELECT run_number FROM report_settings");
        world.simulator.step_days(1);
        world.simulator.reset_counts();
        let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", step).output().unwrap();
        assert!(died.status.code().is_none(), "{step}: {}", String::from_utf8_lossy(&died.stderr));
        let calls = world.simulator.counts().calls;
        let shown = world.value("SELECT run_number FROM report_settings");
        assert_eq!(shown == first_night, *step != "published", "{step}: readers see snapshot {shown}");
        world.ok(&["sync"]);
        let again = world.simulator.counts().calls - calls;
        // After a kill at the last step nothing is left to do, so the next start is a new run.
        let expected_runs = if *step == "published" { 3 } else { 2 };
        match *step {
            "before reserving" | "reserved" => {
                assert!(calls == 0 && again > 20, "{step}: {calls} then {again}")
            }
            // What the plan names must still be requested.
            "surveyed" | "planned" => assert!(calls < again + 12, "{step}: {calls} then {again}"),
            "published" => assert!(again > 10, "{step}: {again}"),
            // A start that only has to seal requests at most a token.
            "read" => assert!(again <= 1, "{step}: {again} calls"),
            _ => assert_eq!(again, 0, "{step}: what was read is requested again"),
        }
        assert_eq!(
            world.value("SELECT count(*) FROM sync_runs WHERE status = 'complete'"),
            expected_runs,
            "{step}"
        );
        assert_eq!(world.value("SELECT count(*) - count(DISTINCT event_id) FROM login_events"), 0, "{step}");
        let unbalanced = "SELECT count(*) FROM run_rows WHERE rows_from_box + rows_carried - rows_duplicate - rows_rejected - rows_dropped <> rows_in_lake";
        assert_eq!(world.value(unbalanced), 0, "{step}");
        let listed = i64::try_from(world.simulator.truth().users.len()).unwrap();
        assert_eq!(world.value("SELECT count(*) FROM users"), listed, "{step}");
    }
}

/// Why: analysts query while cron publishes. A reader sees one snapshot or the next, complete.
#[test]
fn a_reader_sees_only_whole_snapshots() {
    let world = World::new(Config {
        users: 300,
        groups: 15,
        logins: Some(4_000),
        seed: 19,
        late_events: 0.0,
        ..Config::default()
    });
    world.ok(&["sync"]);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        world.simulator.step_days(1);
        let mut writer = world.start(&["sync"]);
        while writer.try_wait().unwrap().is_none() {
            let whole = "SELECT (SELECT run_number FROM report_settings) AS night, (SELECT max(run_number) FROM sync_runs WHERE status = 'complete') AS newest, \
                (SELECT rows_in_warehouse FROM run_rows r JOIN sync_runs s USING (run_id) WHERE s.run_number = (SELECT run_number FROM report_settings) AND table_name = 'users') AS counted, \
                (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM accounts) AS accounts";
            let row = world.rows(whole).remove(0);
            assert_eq!(
                (&row["night"], &row["counted"], &row["users"]),
                (&row["newest"], &row["users"], &row["accounts"]),
                "{row:?}"
            );
            seen.insert(row["night"].as_i64().unwrap());
            assert_lake_is_whole(&world);
        }
        assert!(writer.wait().unwrap().success());
    }
    assert!(seen.len() >= 3, "the reader saw snapshots {seen:?}");
}

/// What a reader of the lake sees that uses only current runs, whatever is being written at the same time.
fn assert_lake_is_whole(world: &World) {
    let lake = Lake::open(&world.store().join("lake"), 0o640).unwrap();
    let runs = lake.sync_runs().unwrap();
    for run in current(&runs) {
        let mut accounted = std::collections::BTreeMap::new();
        for batch in lake
            .scan(&RUN_ROWS, &[run.run_number], Some(&["table_name", "rows_in_lake"]))
            .unwrap()
            .map(Result::unwrap)
        {
            let rows = batch.column(1).as_primitive::<Int64Type>();
            accounted.extend(
                batch
                    .column(0)
                    .as_string::<i32>()
                    .iter()
                    .flatten()
                    .map(str::to_owned)
                    .zip(rows.values().iter().copied()),
            );
        }
        assert_eq!(accounted.len(), 5, "run {} has no record of its rows", run.run_number);
        for table in [&USERS, &GROUPS, &MEMBERSHIPS, &EMAIL_ALIASES, &EVENTS] {
            let batches = lake.scan(table, &[run.run_number], Some(&["run_number"])).unwrap();
            let rows: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
            assert_eq!(
                i64::try_from(rows).unwrap(),
                accounted[table.name],
                "run {}: {}",
                run.run_number,
                table.name
            );
        }
    }
}

/// Why: a second host writes to the same lake. The slower one must stop and leave the existing snapshot.
#[test]
fn a_lake_that_another_host_has_written_is_not_changed() {
    let world =
        World::new(Config { users: 100, groups: 5, logins: Some(1_000), seed: 29, ..Config::default() });
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    // The other host has its own disk and the same lake: it knows the reservation, not the spool.
    let other = world.directory().join("other");
    std::fs::create_dir_all(other.join("state")).unwrap();
    std::fs::copy(world.store().join("state/store.json"), other.join("state/store.json")).unwrap();
    std::os::unix::fs::symlink(world.store().join("lake"), other.join("lake")).unwrap();
    let key = "state/reclaim/journal_key";
    std::fs::create_dir(other.join("state/reclaim")).unwrap();
    std::fs::copy(world.store().join(key), other.join(key)).unwrap();
    // A lake without a record of its files, like one of a version before the record: there the test may change the host.
    for file in ["lake/_runs/files.log", "state/lake.json"] {
        std::fs::remove_file(world.store().join(file)).unwrap();
    }
    let identity = other.join("state/store.json");
    let text =
        std::fs::read_to_string(&identity).unwrap().replace("\"has_record\": true", "\"has_record\": false");
    std::fs::write(&identity, text).unwrap();
    for number in [1, 2] {
        let path = world.store().join(format!("lake/_runs/{number}.json"));
        let mut reservation: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        reservation.as_object_mut().unwrap().remove("record");
        reservation["host"] = "elsewhere".into();
        std::fs::write(&path, reservation.to_string()).unwrap();
    }
    let waits = world.command(&["sync"]).env("BOXSEAT_STORE", &other).output().unwrap();
    let stderr = String::from_utf8_lossy(&waits.stderr);
    assert_eq!(waits.status.code(), Some(75), "{stderr}");
    assert!(stderr.contains("run 2 was started on host elsewhere"), "{stderr}");
    // Half a day later the other host continues without us.
    let later = (world.simulator.now() + chrono::TimeDelta::hours(13)).to_rfc3339();
    let passed =
        world.command(&["sync"]).env("BOXSEAT_STORE", &other).env("BOXSEAT_NOW", later).output().unwrap();
    assert!(passed.status.success(), "{}", String::from_utf8_lossy(&passed.stderr));
    std::fs::copy(other.join("state/lake.json"), world.store().join("state/lake.json")).unwrap();
    // The other host gave up our sealed run; finishing it now would write into a lake that has moved on.
    assert_eq!(world.run(&["publish"]).code, 0);
    assert_eq!(
        world.value("SELECT string_agg(run_number || ' ' || status, ',' ORDER BY run_number) FROM sync_runs"),
        "1 complete,2 abandoned,3 complete"
    );
    assert_eq!(world.value("SELECT count(*) - count(DISTINCT event_id) FROM login_events"), 0);
}
