//! Which parts of the admin log are stored on disk.

use boxseat_simulator::{Act, Config};

use crate::bytes::places_of;
use crate::support::{World, finish};

/// Addresses that the simulator sends: two networks of IPv4 and one of IPv6.
const ADDRESSES: [&str; 3] = ["203.0.113.", "198.51.100.", "2001:db8:"];

fn world() -> World {
    World::new(Config { users: 60, groups: 6, seed: 416, awkward: true, ..Config::default() })
}

/// Why: the README said that IP addresses are not stored, and the raw pages of seven runs held them.
#[test]
fn no_byte_of_a_store_holds_an_ip_address_or_a_session_id() {
    let world = world();
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert!(world.value("SELECT count(*) FROM login_events").as_u64() > Some(50));
    assert_eq!(places_of(&world, &[&ADDRESSES[..], &["\"session_id\":\""]].concat()), [""; 0]);
    // A replay uses the scrubbed pages, with the same result.
    let before = world.rows("SELECT * FROM login_events ORDER BY event_id");
    world.ok(&["replay", "--from", "1"]);
    let after = world.rows("SELECT * FROM login_events ORDER BY event_id");
    assert_eq!(before, after);
    world.ok(&["verify"]);
}

#[test]
fn truncated_addresses_are_networks_in_spool_and_tables() {
    let world = world();
    let truncated = world.command(&["sync"]).env("BOXSEAT_PRIVACY_IP", "truncate").output().unwrap();
    assert!(truncated.status.success(), "{}", String::from_utf8_lossy(&truncated.stderr));
    let whole = world.value(
        "SELECT count(*) FROM login_events
         WHERE NOT regexp_matches(ip_address, '^(203\\.0\\.113\\.0|198\\.51\\.100\\.0|2001:db8::)$')",
    );
    assert_eq!(whole, 0);
    assert!(world.value("SELECT count(ip_address) FROM login_events").as_u64() > Some(50));
    let hosts: Vec<String> = (1..10).map(|digit| format!("203.0.113.{digit}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    assert_eq!(places_of(&world, &hosts), [""; 0]);
}

/// Why: the pages of a store of an earlier version hold addresses; a replay must not carry them into the tables.
#[test]
fn a_replay_of_pages_with_addresses_drops_them() {
    let world = world();
    let kept = world.command(&["sync"]).env("BOXSEAT_PRIVACY_IP", "keep").output().unwrap();
    assert!(kept.status.success());
    assert!(world.value("SELECT count(ip_address) FROM login_events").as_u64() > Some(50));
    world.ok(&["replay", "--from", "1"]);
    assert_eq!(world.value("SELECT count(ip_address) FROM login_events"), 0);
}

const PROVED: &str =
    "SELECT user_id, last_login_at, days_since_login, proven_idle_days, login_coverage_from, inactivity_band,
        seat_state, account_status, logins_30d
     FROM accounts ORDER BY user_id";

/// Why: half a year of sign-ins of every user is more than idleness needs. Proofs must stay, and no count may become too small.
#[test]
fn thinned_sign_ins_prove_the_same_and_counts_over_them_are_unknown() {
    let old = "created_at < (SELECT now_at FROM report_settings) - INTERVAL 70 DAY AND user_id IS NOT NULL";
    let rows = |world: &World| world.value("SELECT count(*) FROM login_events").as_u64().unwrap();
    let mut left = Vec::new();
    for (login_events, key) in
        [("daily", "user_id, CAST(created_at AT TIME ZONE 'UTC' AS DATE)"), ("last_only", "user_id")]
    {
        let world = world();
        let sync = || {
            let mut command = world.command(&["sync"]);
            let done = command.env("BOXSEAT_PRIVACY_LOGIN_EVENTS", login_events).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        sync();
        world.simulator.step_days(1);
        sync();
        // The file is built before old rows are removed, and built again from the remaining ones.
        let (before, proved) = (rows(&world), world.rows(PROVED));
        assert!(world.value("SELECT count(logins_90d) FROM accounts").as_u64() > Some(50));
        world.ok(&["publish"]);
        assert!(rows(&world) < before, "{login_events} removed nothing");
        assert_eq!(world.rows(PROVED), proved);
        let double = format!(
            "SELECT count(*) FROM (SELECT 1 FROM login_events WHERE {old} GROUP BY {key} HAVING count(*) > 1)"
        );
        assert_eq!(world.value(&double), 0);
        assert_eq!(world.value("SELECT count(logins_90d) + count(logins_183d) FROM accounts"), 0);
        left.push(rows(&world));
        world.ok(&["verify"]);
        world.simulator.step_days(1);
        sync();
        world.ok(&["verify"]);
    }
    assert!(left[1] < left[0], "{left:?}");
}

/// Why: users who left years ago stayed in the history permanently.
#[test]
fn history_of_a_user_who_is_gone_is_removed_when_retention_says_so() {
    let world = World::new(Config { users: 30, groups: 3, seed: 9, change_scale: 0.0, ..Config::default() });
    let sync = || {
        let mut command = world.command(&["sync"]);
        command
            .env("BOXSEAT_RETENTION_EVENTS_DAYS", "183")
            .env("BOXSEAT_RETENTION_USERS_HISTORY_DAYS", "190");
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    sync();
    let gone = world.simulator.act(&Act::DeleteUsers { count: 1, announced: true }).remove(0);
    world.simulator.step_days(1);
    sync();
    let versions = format!(
        "SELECT (SELECT count(*) FROM users_history WHERE user_id = '{gone}')
              + (SELECT count(*) FROM user_changes WHERE user_id = '{gone}')"
    );
    assert_eq!(world.value(&versions), 3);
    let others = format!("SELECT count(*) FROM users_history WHERE user_id <> '{gone}'");
    let before = world.value(&others);
    for _ in 0..4 {
        world.simulator.step_days(60);
        sync();
    }
    world.ok(&["publish"]);
    assert_eq!(world.value(&versions), 0);
    assert_eq!(world.value(&others), before);
    world.ok(&["verify"]);
    world.simulator.step_days(1);
    sync();
    world.ok(&["verify"]);
    let short = world.command(&["status"]).env("BOXSEAT_RETENTION_USER_CHANGES_DAYS", "30").output().unwrap();
    let short = finish(short);
    assert!(short.code == 2 && short.stderr.contains("events_days"), "{}", short.stderr);
}
