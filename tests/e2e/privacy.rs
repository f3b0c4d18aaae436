//! What of the admin log reaches the disk.

use boxseat_simulator::Config;

use crate::bytes::places_of;
use crate::support::World;

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
    // A replay works on the scrubbed pages, and finds the same.
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
