//! Runs that are killed at any time, repeatedly, not only at commit steps.

#![expect(clippy::print_stdout, reason = "the long forms print what they measured")]

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use boxseat_simulator::Config;

use crate::support::World;
use crate::truth::assert_equal_to_truth;

/// Calls in flight at once, unless configured otherwise: the most that a kill may cost.
const CONCURRENCY: u64 = 16;

/// Why: machines are switched off at any time. No data is lost, no partial snapshot is visible, and only calls in flight are
/// repeated.
#[test]
fn a_dozen_kills_at_any_moment_lose_nothing_and_show_no_partial_snapshot() {
    assert_survives(12, 13);
}

#[test]
#[ignore = "takes minutes: make soak"]
fn a_hundred_kills_at_any_moment_lose_nothing_and_show_no_partial_snapshot() {
    assert_survives(100, 14);
}

/// Slow enough that a good part of a run is reading. Late events appear in a later snapshot than the day on which they happened.
fn enterprise(seed: u64) -> Config {
    Config {
        users: 300,
        groups: 20,
        logins: Some(4_000),
        seed,
        late_events: 0.0,
        latency_ms: 15,
        record_requests: 1_000_000,
        ..Config::default()
    }
}

/// The state when the process died.
#[derive(Default, Debug)]
struct Stages {
    before_reading: u32,
    reading: u32,
    sealed: u32,
    visible: u32,
    published: u32,
}

fn assert_survives(kills: u32, seed: u64) {
    let (world, untouched) = (World::new(enterprise(seed)), World::new(enterprise(seed)));
    let mut chance = Chance(seed);
    let (mut stages, mut starts, mut nights, mut killed) = (Stages::default(), 0, 0, 0);
    while killed < kills {
        if nights > 0 {
            world.simulator.step_days(1);
            untouched.simulator.step_days(1);
        }
        nights += 1;
        let (begun, calls) = (Instant::now(), untouched.simulator.counts().calls);
        assert!(sync(&untouched).wait().unwrap().success());
        let whole = begun.elapsed();
        let calls = untouched.simulator.counts().calls - calls;
        let (before, night_begun_at) = (published(&world), world.simulator.counts().calls);
        loop {
            let mut child = sync(&world);
            starts += 1;
            let sealed = world.store().join(format!("spool/{nights}/SEALED"));
            let aim = chance.share();
            if killed == kills {
                child.wait().unwrap();
            } else if sealed.exists() || aim < 0.3 {
                std::thread::sleep(whole.mul_f64(chance.share()));
            } else {
                // Most are aimed at the reading, which is short where Box is on the same machine.
                let made = world.simulator.counts().calls;
                let left = (night_begun_at + calls).saturating_sub(made) as f64;
                let until = made + (left * chance.share()) as u64;
                wait_for(&mut child, || world.simulator.counts().calls >= until || sealed.exists());
            }
            let is_killed = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            let ended = child.wait().unwrap();
            let shown = published(&world);
            let is_shown = shown != before;
            if is_killed && !ended.success() {
                killed += 1;
                stages.count(&world, nights, is_shown);
            } else {
                assert!(ended.success() && is_shown, "an uninterrupted start ended with {ended}");
            }
            // Until then readers have the old snapshot, byte for byte.
            if is_shown {
                assert_equal_to_truth(&world);
                break;
            }
        }
    }
    assert_eq!(world.value("SELECT count(*) FROM sync_runs WHERE status <> 'complete'"), 0);
    assert_eq!(world.value("SELECT count(*) FROM sync_runs"), nights);
    let (asked, once) = (questions(&world), questions(&untouched));
    let twice: u64 =
        asked.iter().map(|(question, count)| count.saturating_sub(*once.get(question).unwrap_or(&0))).sum();
    let allowed = u64::from(stages.reading + stages.before_reading) * CONCURRENCY;
    assert!(twice <= allowed, "{twice} calls were made twice, {allowed} may have been in flight");
    assert!(once.keys().all(|question| asked.contains_key(question)), "a request was never made");
    let tokens = world.simulator.counts().by_endpoint["POST /oauth2/token"].calls;
    assert!(tokens <= starts, "{tokens} tokens for {starts} starts");
    let counted = world.value("SELECT sum(calls_count)::BIGINT FROM run_calls").as_u64().unwrap();
    let made = world.simulator.counts().calls;
    assert!(
        counted <= made && made <= counted + u64::from(kills) * (CONCURRENCY + 1),
        "{counted} calls in the ledger, {made} made"
    );
    println!(
        "{kills} kills in {nights} nights and {starts} starts: {stages:?}; {made} calls, {twice} of them twice, {tokens} for tokens, {counted} in the ledger"
    );
}

impl Stages {
    fn count(&mut self, world: &World, run: u32, is_shown: bool) {
        let spool = world.store().join(format!("spool/{run}"));
        let stage = match () {
            () if is_shown => &mut self.published,
            () if is_visible(world, run) => &mut self.visible,
            () if spool.join("SEALED").exists() => &mut self.sealed,
            () if spool.join("pages.spool").exists() => &mut self.reading,
            () => &mut self.before_reading,
        };
        *stage += 1;
    }
}

/// Whether the lake has the run's row.
fn is_visible(world: &World, run: u32) -> bool {
    let lake = boxseat_output::lake::Lake::open(&world.store().join("lake"), 0o640);
    let runs = lake.and_then(|lake| lake.sync_runs()).unwrap_or_default();
    runs.iter().any(|ended| ended.run_number.0 == u64::from(run))
}

/// Waits until the condition is true, or the process has ended.
fn wait_for(child: &mut Child, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it reads no further");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A run in which all aliases are read, because some of them change without an event and would only be right days later.
fn sync(world: &World) -> Child {
    let mut command = world.command(&["sync"]);
    command.env("BOXSEAT_SYNC_ALIAS_SWEEP_DAYS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The file as readers have it.
fn published(world: &World) -> Option<Vec<u8>> {
    std::fs::read(world.store().join("boxseat.duckdb")).ok()
}

/// How often each request was made. A marker contains the time at which it was issued, so it is excluded.
fn questions(world: &World) -> BTreeMap<String, u64> {
    let mut questions = BTreeMap::new();
    for request in world.simulator.requests() {
        if !request.path.contains("oauth2") {
            let query =
                request.query.split('&').filter(|part| !part.starts_with("marker=")).collect::<Vec<_>>();
            *questions.entry(format!("{} {}", request.path, query.join("&"))).or_default() += 1;
        }
    }
    questions
}

/// Random times from a seed.
struct Chance(u64);

impl Chance {
    /// From 0 to 1; the generator is splitmix64.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
    }
}
