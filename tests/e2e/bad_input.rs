//! Errors by Box, the network, the disk and operators: each has a message and a remedy, and loses no data.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use boxseat_simulator::{Config, Effect, EndMarker, EventEnd, Fault, PositionForm};

use crate::support::{Done, World, finish};
use crate::truth::assert_equal_to_truth;

fn small() -> Config {
    Config { users: 200, groups: 12, logins: Some(3_000), seed: 17, ..Config::default() }
}

fn answer(body: &str) -> Effect {
    Effect::Status { status: 200, retry_after: None, code: None, body: Some(body.to_owned()) }
}

#[track_caller]
fn assert_refused(done: &Done, code: i32, sentence: &str) {
    assert_eq!(done.code, code, "{}", done.stderr);
    assert!(done.stderr.contains(sentence), "no {sentence:?} in\n{}", done.stderr);
}

/// Why: one invalid record must not cost a run, and must not be dropped silently either.
#[test]
fn an_unreadable_record_goes_to_rejects_and_the_rest_is_loaded() {
    let world = World::new(small());
    world.simulator.add_fault(Fault::once(
        "/2.0/groups",
        1,
        answer(
            r#"{"total_count":3,"limit":1000,"offset":0,"entries":[
                {"type":"group","id":"77","name":"Good","group_type":"managed_group"},
                {"type":"group","id":{"no":"id"},"name":"Bad","ip_address":"203.0.113.9"},
                {"type":"group","id":"78","name":"Worse","created_at":"yesterday"}]}"#,
        ),
    ));
    let done = world.run(&["sync"]);
    assert_refused(&done, 4, "1 records could not be understood");
    // An invalid field costs the field, an invalid id the record.
    assert_eq!(world.value("SELECT string_agg(group_id, ',' ORDER BY group_id) FROM groups"), "77,78");
    assert_eq!(
        world.value("SELECT extra FROM groups WHERE group_id = '78'"),
        r#"{"created_at_unreadable":"yesterday"}"#
    );
    let rejects = world.rows("SELECT stream, reason, raw FROM rejects ORDER BY raw");
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0]["stream"], "groups");
    assert!(
        rejects.iter().any(|r| r["reason"].as_str().unwrap().contains("invalid type: map")),
        "{rejects:?}"
    );
    assert!(rejects.iter().all(|r| !r["raw"].as_str().unwrap().contains("203.0.113.9")), "{rejects:?}");
    assert_eq!(world.value("SELECT rows_rejected FROM run_rows WHERE table_name = 'groups'"), 1);
}

/// Why: every response envelope of the API notes at once, in every combination that Box has been seen to send.
#[test]
fn odd_empty_short_and_repeated_pages_come_out_the_same() {
    for (end_marker, positions, event_end) in [
        (EndMarker::Null, PositionForm::Text, EventEnd::Same),
        (EndMarker::Empty, PositionForm::Number, EventEnd::Zero),
        (EndMarker::Absent, PositionForm::Varied, EventEnd::Zero),
    ] {
        let config = Config {
            users: 2_500,
            logins: Some(20_000),
            odd_envelopes: 0.4,
            short_pages: 0.6,
            repeated_rows: 0.6,
            end_marker,
            positions,
            event_end,
            ..small()
        };
        let world = World::new(config);
        world.ok(&["sync"]);
        assert_equal_to_truth(&world);
        assert!(world.value("SELECT sum(rows_duplicate)::BIGINT FROM run_rows").as_i64().unwrap() > 0);
    }
}

/// Why: Box does not accept the published list of event types everywhere.
#[test]
fn a_refused_list_of_event_types_leaves_the_others_uncovered() {
    let world = World::new(Config { refused_event_types: vec!["EMAIL_ALIAS_PRIMARY".into()], ..small() });
    world.ok(&["sync"]);
    assert_eq!(world.value("SELECT string_agg(DISTINCT event_type, ',') FROM event_coverage"), "LOGIN");
    assert!(world.value("SELECT count(*) FROM login_events").as_i64().unwrap() > 1_000);
    assert_eq!(world.value("SELECT count(*) FROM admin_events"), 0);
}

/// Why: cron must get "try later", and data already read must still be there then.
#[test]
fn a_box_that_goes_down_means_try_later_and_nothing_is_read_twice() {
    let world = World::new(small());
    world.simulator.add_fault(Fault {
        path: "/2.0/events".into(),
        effect: Effect::Html { status: 502 },
        ..Fault::default()
    });
    // Without a deadline it would wait for a quarter of an hour.
    let done = world.run(&["sync", "--deadline", "3s"]);
    assert_refused(&done, 75, "the deadline has passed; the next start continues from here");
    world.simulator.clear_faults();
    let aliases =
        |world: &World| world.simulator.counts().by_endpoint["GET /users/{user_id}/email_aliases"].calls;
    world.ok(&["sync"]);
    assert_eq!(aliases(&world), 200);
    assert_equal_to_truth(&world);
}

/// Why: a Retry-After of an hour must not block cron until noon.
#[test]
fn a_throttle_beyond_the_retry_budget_means_try_later_at_once() {
    let world = World::new(small());
    world.simulator.add_fault(Fault::throttle("/2.0/users", 1, 3600));
    assert_refused(
        &world.run(&["sync"]),
        75,
        "Box requires a wait of another 3600 s, longer than a run waits",
    );
}

/// Why: a wrong clock makes the snapshot wrong by the same amount.
#[test]
fn a_clock_off_by_an_hour_is_refused() {
    let world = World::new(Config { date_skew_secs: 3_600, ..small() });
    let done = finish(world.command(&["sync"]).env_remove("BOXSEAT_NOW").output().unwrap());
    assert_refused(&done, 3, "this machine's clock is");
    assert!(done.stderr.contains("NTP"), "{}", done.stderr);
}

/// A run that died while reading, and its spool.
fn half_read() -> (World, PathBuf) {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "read").output().unwrap();
    assert!(died.status.code().is_none());
    let spool = world.store().join("spool/1/pages.spool");
    (world, spool)
}

#[test]
fn a_torn_last_page_is_requested_again() {
    let (world, spool) = half_read();
    let bytes = std::fs::read(&spool).unwrap();
    std::fs::write(&spool, &bytes[..bytes.len() - 7]).unwrap();
    let done = world.ok(&["sync"]);
    assert!(done.stderr.contains("the last frame of the spool is torn"), "{}", done.stderr);
    assert_equal_to_truth(&world);
}

#[test]
fn a_spool_of_another_version_or_damaged_is_named_with_the_remedy() {
    for (byte, sentence) in [(4, "it has format version"), (40, "is damaged at byte 16")] {
        let (world, spool) = half_read();
        let mut bytes = std::fs::read(&spool).unwrap();
        bytes[byte] ^= 0x40;
        std::fs::write(&spool, bytes).unwrap();
        let done = world.run(&["sync"]);
        assert_refused(&done, 1, sentence);
        assert!(done.stderr.contains("pages.spool") && done.stderr.contains("move"), "{}", done.stderr);
        std::fs::rename(spool.parent().unwrap(), world.directory().join("evidence")).unwrap();
        world.ok(&["sync"]);
        assert_equal_to_truth(&world);
    }
}

/// Why: the disk of a scheduled job can fill up.
#[test]
fn a_full_disk_is_reported_and_the_run_continues_when_there_is_room() {
    let world = World::new(small());
    let sync = world.command(&["sync"]);
    // A limit on file sizes simulates a full disk without a mount: writes beyond it fail instead of killing the process.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$0\" sync"]).arg(sync.get_program()).env_clear();
    for (name, value) in sync.get_envs() {
        limited.env(name, value.unwrap());
    }
    let done = finish(limited.output().unwrap());
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("pages.spool") && done.stderr.contains("File too large"), "{}", done.stderr);
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}

/// Why: cron runs as another user than the operator who tested the program.
#[test]
fn a_store_that_may_not_be_written_is_named() {
    let world = World::new(small());
    let store = world.store();
    std::fs::create_dir(&store).unwrap();
    std::fs::set_permissions(&store, PermissionsExt::from_mode(0o555)).unwrap();
    let mut sync = world.command(&["sync"]);
    // Root can write everywhere, so root switches to the user `nobody`, with a copy of the program where that user can reach it.
    let is_root =
        std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let program = if is_root { reachable_copy(&world) } else { PathBuf::from(sync.get_program()) };
    let mut limited = Command::new(&program);
    limited.arg("sync").env_clear();
    for (name, value) in sync.env("LD_LIBRARY_PATH", program.parent().unwrap()).get_envs() {
        limited.env(name, value.unwrap());
    }
    if is_root {
        limited.uid(65_534).gid(65_534);
    }
    let done = finish(limited.current_dir("/").output().unwrap());
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains(store.to_str().unwrap()) && done.stderr.contains("Permission denied"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("hint:"), "{}", done.stderr);
}

fn reachable_copy(world: &World) -> PathBuf {
    let directory = world.directory().join("program");
    std::fs::create_dir(&directory).unwrap();
    for path in [world.directory(), &directory] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let program = directory.join("boxseat");
    std::fs::copy(env!("CARGO_BIN_EXE_boxseat"), &program).unwrap();
    if let Some(libraries) = option_env!("DUCKDB_LIB_DIR") {
        for library in
            std::fs::read_dir(libraries).unwrap().map(Result::unwrap).filter(|f| f.path().is_file())
        {
            let copy = directory.join(library.file_name());
            std::fs::copy(library.path(), &copy).unwrap();
            std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
    program
}

/// Why: a spool cut short after its seal would load as a snapshot in which most users left.
#[test]
fn a_sealed_spool_that_was_cut_is_not_loaded() {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    let spool = world.store().join("spool/1/pages.spool");
    let bytes = std::fs::read(&spool).unwrap();
    std::fs::write(&spool, &bytes[..bytes.len() / 2]).unwrap();
    let done = world.run(&["sync"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("spool/1/pages.spool has another content"), "{}", done.stderr);
    assert!(!world.store().join("boxseat.duckdb").exists());
    std::fs::write(&spool, bytes).unwrap();
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}

/// Why: one user's aliases may be closed to a service account; that must cost those aliases and not the run.
#[test]
fn one_closed_user_is_reported_and_all_closed_users_mean_a_missing_scope() {
    let world = World::new(small());
    let user = world.simulator.truth().users[3].user_id.clone();
    let path = format!("/2.0/users/{user}/email_aliases");
    world.simulator.add_fault(Fault::status(&path, 9, 403));
    let done = world.run(&["sync"]);
    assert_refused(&done, 4, "1 records could not be understood");
    let reason = format!("the aliases of user {user} could not be read: Box responded with 403");
    assert_eq!(world.value("SELECT reason FROM rejects"), reason);
    assert_eq!(
        world.value(&format!(
            "SELECT count(*) FROM users WHERE user_id = '{user}' AND aliases_read_at IS NULL"
        )),
        1
    );

    let world = World::new(small());
    let closed = Effect::Status { status: 403, retry_after: None, code: None, body: None };
    world.simulator.add_fault(Fault { path: "/2.0/groups/".into(), effect: closed, ..Fault::default() });
    for _ in 0..4 {
        assert_refused(&world.run(&["sync"]), 2, "\"Manage groups\"");
    }
    // The scope is granted: the refused aliases are requested again, and nothing is missing.
    world.simulator.clear_faults();
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}

/// Why: an event that could not be read may have been the sign-in that keeps a user's seat.
#[test]
fn events_that_cannot_be_read_take_their_coverage_with_them() {
    let world = World::new(small());
    let body = r#"{"chunk_size":1,"next_stream_position":"7","entries":[{"event_type":"LOGIN","event_id":{},"created_at":"2026-01-01T00:00:00Z"}]}"#;
    // The requests for the history, not the one for the live stream's position.
    let query = "stream_type=admin_logs&".to_owned();
    world.simulator.add_fault(Fault { query, ..Fault::once("/2.0/events", 1, answer(body)) });
    // The second response has the position as if it were the end.
    let end = r#"{"chunk_size":0,"next_stream_position":"7","entries":[]}"#;
    world
        .simulator
        .add_fault(Fault { query: "stream_position=7".into(), ..Fault::once("/2.0/events", 9, answer(end)) });
    let done = world.run(&["sync"]);
    assert_refused(&done, 4, "1 records could not be understood");
    let spans = world.value("SELECT count(*) FROM event_coverage WHERE event_type = 'LOGIN'");
    let whole = world.value("SELECT count(*) FROM event_coverage WHERE event_type = 'NEW_USER'");
    let hours = "SELECT sum(epoch(covered_to_at - covered_from_at))::BIGINT // 3600 FROM event_coverage WHERE event_type = ";
    let (login, other) =
        (world.value(&format!("{hours}'LOGIN'")), world.value(&format!("{hours}'NEW_USER'")));
    assert!(login.as_i64() < other.as_i64(), "{spans} spans of {login} h, {whole} of {other} h");
}

/// Why: Box's documentation allows any token lifetime.
#[test]
fn tokens_that_live_two_seconds_work() {
    let world = World::new(Config { token_lifetime_secs: 2, ..small() });
    let sync = world.command(&["sync"]).env("BOXSEAT_RATE_CALLS_PER_MINUTE", "2400").output().unwrap();
    assert!(sync.status.success(), "{}", String::from_utf8_lossy(&sync.stderr));
    assert_equal_to_truth(&world);
    let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
    assert_eq!(counted, world.simulator.counts().calls);
}
