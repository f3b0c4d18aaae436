//! Every fault of the simulator during a run: a fault that heals leaves no trace in the warehouse, any other keeps the old
//! snapshot, and in both cases the next snapshot is right.

#![expect(clippy::print_stdout, reason = "the long forms print what they measured")]

use std::sync::Mutex;
use std::time::Instant;

use boxseat_simulator::{Config, Fault};
use chrono::{DateTime, Utc};

use crate::support::{Done, World, finish};
use crate::truth::assert_equal_to_truth;

/// Worlds that run at the same time: they mostly wait for a backoff.
const WORLDS: usize = 6;

/// One kind of fault, and an enterprise in which it occurs.
struct Case {
    name: &'static str,
    faults: Vec<Fault>,
    config: Config,
}

/// The result of two runs with the fault.
struct Row {
    name: &'static str,
    calls: u64,
    faulted: u64,
    retries: i64,
    waited_seconds: i64,
    seconds: f64,
}

/// The smallest enterprise with a bit of everything. Every change on its second day is announced, so that a run that reads only
/// announced changes can equal the truth.
fn small(seed: u64) -> Config {
    Config { users: 120, groups: 10, logins: Some(2_000), seed, late_events: 0.0, ..Config::default() }
}

/// Kinds that occur only where a listing has several pages, or on the few pages of a feed, and would miss at one in twenty.
fn share(name: &str) -> f64 {
    match name {
        "refused_marker" | "empty_user_pages" | "token_clock_skew" => 1.0,
        "empty_event_pages"
        | "repeated_event_pages"
        | "zero_position"
        | "odd_entries"
        | "ghosts_in_totals" => 0.3,
        _ => 0.05,
    }
}

fn needs_several_pages_of_users(name: &str) -> bool {
    matches!(name, "refused_marker" | "empty_user_pages" | "same_marker")
}

/// A listing of several pages.
fn larger(config: Config) -> Config {
    Config { users: 1_100, short_pages: 0.6, change_scale: 0.3, ..config }
}

/// All healable kinds, in compatible families: a world costs seconds, and there are two dozen kinds. `make soak` runs each of them
/// alone.
fn families(seed: u64) -> Vec<Case> {
    let family = |name: &str| match name {
        "throttled" | "throttled_without_a_hint" | "unavailable_for_a_second" => "pauses",
        "internal_error" | "bad_gateway" | "unavailable" | "gateway_timeout" => "outages",
        "dropped_connection" | "dropped_answer" | "truncated_body" | "malformed_json" | "trickle" => {
            "answers"
        }
        "expired_token" | "token_clock_skew" => "tokens",
        "refused_marker" | "empty_user_pages" => "users",
        _ => "pages",
    };
    let mut cases: Vec<Case> = Vec::new();
    for (n, (name, fault)) in (0..).zip(Fault::healable()) {
        let fault = fault.at(share(name), seed * 100 + n);
        match cases.iter_mut().find(|case| case.name == family(name)) {
            Some(case) => case.faults.push(fault),
            None => {
                let config =
                    if needs_several_pages_of_users(name) { larger(small(seed)) } else { small(seed) };
                cases.push(Case { name: family(name), faults: vec![fault], config });
            }
        }
    }
    cases
}

/// One call in a hundred, for each of the kinds. Each has its own seed: with a common one all would hit the same requests.
fn all_at_once(seed: u64, config: Config) -> Case {
    let seeds = seed * 100..;
    let faults = Fault::healable().into_iter().zip(seeds).map(|((_, fault), seed)| fault.at(0.01, seed));
    Case { name: "all_at_once", faults: faults.collect(), config }
}

/// Why: a fault that a repeat, a renewed token or a continued listing repairs must not show in the warehouse, nor be missing from
/// the ledger.
#[test]
fn every_healable_fault_leaves_the_truth() {
    let mut cases = families(SEEDS[0]);
    cases.push(all_at_once(SEEDS[0], small(SEEDS[0])));
    print(&side_by_side(cases, two_nights));
}

/// The same, each kind alone, in larger enterprises and by several seeds.
#[test]
#[ignore = "takes minutes: make soak"]
fn every_healable_fault_alone_leaves_the_truth() {
    for seed in SEEDS {
        let big = |name: &str| {
            let config = Config { users: 1_000, groups: 60, logins: Some(20_000), ..small(seed) };
            let users = if needs_several_pages_of_users(name) { 2_500 } else { config.users };
            Config { users, short_pages: 0.3, change_scale: 0.2, ..config }
        };
        let mut cases = vec![Case { name: "none", faults: Vec::new(), config: big("none") }];
        cases.extend(Fault::healable().into_iter().map(|(name, fault)| Case {
            name,
            faults: vec![fault.at(share(name), seed)],
            config: big(name),
        }));
        cases.push(all_at_once(seed, big("all_at_once")));
        println!("seed {seed}");
        print(&side_by_side(cases, two_nights));
    }
}

const SEEDS: [u64; 3] = [31, 32, 33];

/// A first run and one that reads only changes, both with the fault.
fn two_nights(case: Case) -> Row {
    let begun = Instant::now();
    let world = World::new(case.config);
    let is_calm = case.faults.is_empty();
    case.faults.into_iter().for_each(|fault| world.simulator.add_fault(fault));
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
    assert_ledger(&world);
    let counts = world.simulator.counts();
    assert!(counts.faulted > 0 || is_calm, "no fault ever had an effect");
    Row::of(case.name, &world, begun)
}

impl Row {
    fn of(name: &'static str, world: &World, begun: Instant) -> Self {
        let totals = "SELECT sum(retries_count)::BIGINT AS retries, sum(waited_seconds)::BIGINT AS waited FROM sync_runs";
        let totals = world.rows(totals).remove(0);
        let counts = world.simulator.counts();
        Row {
            name,
            calls: counts.calls,
            faulted: counts.faulted,
            retries: totals["retries"].as_i64().unwrap(),
            waited_seconds: totals["waited"].as_i64().unwrap(),
            seconds: begun.elapsed().as_secs_f64(),
        }
    }
}

/// The ledger of all runs equals what Box counted, whatever the outcome of the calls.
#[track_caller]
fn assert_ledger(world: &World) {
    let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
    assert_eq!(counted, world.simulator.counts().calls);
}

/// The result of a run with a lasting fault: exit code, and words of its message or its hint.
fn verdict(name: &str) -> (i32, &'static str) {
    match name {
        "refused_credentials" => (2, "check BOXSEAT_CLIENT_ID"),
        "tokens_never_good" | "closed_users" => (2, "tick \"Manage users\""),
        "closed_groups" => (2, "tick \"Manage groups\""),
        "unavailable_for_good" => (75, "the deadline has passed"),
        // The response may not be from Box, and waiting rarely helps: an operator must check it.
        "malformed_for_good" => (1, "a proxy or gateway may have answered in place of Box"),
        "same_marker" => (3, "Box repeated a marker"),
        "no_users" => (3, "Box listed no user at all"),
        "partial_users" => (3, "users shrank from"),
        "partial_groups" => (3, "groups shrank from"),
        "silent_feed" => (3, "the admin log is silent"),
        "clock_skew" => (3, "set the clock (NTP)"),
        other => panic!("the expected result of {other} is not defined"),
    }
}

/// Why: a lasting fault must be reported with a remedy, and cost neither the old snapshot nor the next good one.
#[test]
fn every_unhealable_fault_keeps_the_old_snapshot() {
    // A few kinds share a world, with one bad and one good run each.
    let (clock, others): (Vec<_>, Vec<_>) =
        Fault::unhealable().into_iter().partition(|(name, _)| *name == "clock_skew");
    let (larger_ones, small_ones): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|(name, _)| needs_several_pages_of_users(name));
    // The clock is checked only where the time is not given, so this enterprise is at the present time.
    let now = DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap();
    let mut worlds = vec![(larger(small(34)), larger_ones), (Config { now, ..small(34) }, clock)];
    worlds.extend(small_ones.chunks(4).map(|kinds| (small(34), kinds.to_vec())));
    std::thread::scope(|scope| {
        for (config, kinds) in worlds {
            scope.spawn(move || bad_and_good_nights(config, kinds));
        }
    });
}

fn bad_and_good_nights(config: Config, kinds: Vec<(&'static str, Fault)>) {
    let world = World::new(config);
    world.ok(&["sync"]);
    for (name, fault) in kinds {
        world.simulator.step_days(1);
        let published = digest(&world);
        world.simulator.add_fault(fault);
        let done = bad_night(name, &world);
        let (code, words) = verdict(name);
        assert_eq!(done.code, code, "{name}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{name}: no {words:?} in {}", done.stderr);
        assert!(done.stderr.contains("hint:") || code == 75, "{name}: {}", done.stderr);
        assert!(digest(&world) == published, "{name}: the old snapshot was changed");
        world.simulator.clear_faults();
        world.simulator.step_days(1);
        // All aliases, because some of them change without an event and would only be right days later.
        let mut good = world.command(&["sync"]);
        let good = finish(good.env("BOXSEAT_SYNC_ALIAS_SWEEP_DAYS", "1").output().unwrap());
        assert_eq!(good.code, 0, "the snapshot after {name}: {}", good.stderr);
        assert_equal_to_truth(&world);
        assert_ledger(&world);
    }
}

fn bad_night(name: &str, world: &World) -> Done {
    match name {
        // Without a deadline it would wait for a quarter of an hour.
        "unavailable_for_good" => world.run(&["sync", "--deadline", "2s"]),
        "clock_skew" => finish(world.command(&["sync"]).env_remove("BOXSEAT_NOW").output().unwrap()),
        _ => world.run(&["sync"]),
    }
}

/// The published file, byte for byte.
fn digest(world: &World) -> Vec<u8> {
    std::fs::read(world.store().join("boxseat.duckdb")).unwrap()
}

/// Why: a record that disappears between the listing and its read is no error. The snapshot is published, and the next one is
/// right.
#[test]
fn users_that_vanish_during_a_run_are_right_in_the_next_snapshot() {
    std::thread::scope(|scope| {
        for (name, fault) in Fault::passing() {
            let night = move || {
                let world = World::new(Config { groups: 60, ..small(35) });
                // Few enough for the guard against users that leave unannounced.
                world.simulator.add_fault(Fault { times: Some(4), ..fault.at(0.2, 35) });
                let done = world.run(&["sync"]);
                assert!([0, 4].contains(&done.code), "{}: {}", done.code, done.stderr);
                assert!(world.simulator.counts().faulted > 0, "no user vanished");
                world.simulator.clear_faults();
                world.simulator.step_days(1);
                world.ok(&["sync"]);
                assert_equal_to_truth(&world);
                assert_ledger(&world);
            };
            std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, night).unwrap();
        }
    });
}

/// Runs all cases, a few at a time, each on a thread with its name.
fn side_by_side<R: Send>(cases: Vec<Case>, night: impl Fn(Case) -> R + Sync) -> Vec<R> {
    let (cases, rows) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORLDS {
            scope.spawn(|| {
                loop {
                    let Some(case) = cases.lock().unwrap().next() else { break };
                    let name = case.name;
                    let worker =
                        std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, || night(case));
                    let row = worker.unwrap().join().unwrap_or_else(|_| panic!("{name} failed"));
                    rows.lock().unwrap().push(row);
                }
            });
        }
    });
    rows.into_inner().unwrap()
}

fn print(rows: &[Row]) {
    println!(
        "{:<26} {:>7} {:>7} {:>7} {:>14} {:>7}",
        "kind", "calls", "faulted", "retries", "waited_seconds", "seconds"
    );
    for row in rows {
        let Row { name, calls, faulted, retries, waited_seconds, seconds } = row;
        println!("{name:<26} {calls:>7} {faulted:>7} {retries:>7} {waited_seconds:>14} {seconds:>7.1}");
    }
}
