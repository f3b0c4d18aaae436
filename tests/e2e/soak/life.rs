//! One run: the trouble, what must hold right after it, and the start that completes the snapshot.

use std::fs::File;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use boxseat_output::lake::Lake;
use boxseat_schemas::run::{RunKind, RunStatus};
use boxseat_simulator::{Act, Config, Drift, Effect, Fault, RateLimitStyle, UNHEARD_STATUS};
use chrono::TimeDelta;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::checks::{assert_published_is_whole, assert_whole_life};
use super::report::{Report, count};
use super::trouble::Trouble;
use crate::cost::stale_rows;
use crate::interruption::STEPS;
use crate::support::{Done, World, finish};
use crate::truth::{assert_equal_but_for_what_waits_its_turn, assert_equal_to_truth};

/// A Box, a store, and their history.
pub(super) struct Life {
    world: World,
    rng: ChaCha8Rng,
    report: Report,
    /// The run that the published file shows.
    shown: Option<i64>,
    /// The duration of a start without trouble.
    whole_night: Duration,
    /// Calls that a killed process may have made and not recorded.
    may_be_lost: u64,
    drifting_nights: u32,
    /// Users, groups and memberships of the last good snapshot.
    sizes: [usize; 3],
}

impl Life {
    pub(super) fn new(config: Config) -> Self {
        let (seed, users) = (config.seed, config.users);
        let quiet: Vec<String> =
            config.holidays.iter().map(|date| format!("{:?}", date.to_string())).collect();
        let world = World::new(config);
        let settings = format!("[sync]\nquiet_dates = [{}]\n", quiet.join(", "));
        std::fs::write(world.directory().join("boxseat.toml"), settings).unwrap();
        Self {
            world,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x50a4),
            report: Report::new(seed, users),
            shown: None,
            whole_night: Duration::from_secs(1),
            may_be_lost: 0,
            drifting_nights: 0,
            sizes: [0; 3],
        }
    }

    pub(super) fn report(&mut self) -> &Report {
        self.report.calls = self.world.simulator.counts().calls;
        &self.report
    }

    /// Copies the store to a directory that remains after the test; returns the path.
    pub(super) fn keep_store(&self, name: &str) -> String {
        let kept = format!("{}/{name}-broken", env!("CARGO_TARGET_TMPDIR"));
        let _ = std::fs::remove_dir_all(&kept);
        let copied = Command::new("cp").arg("-a").arg(self.world.directory()).arg(&kept).status();
        copied.map_or_else(|e| format!("nowhere ({e})"), |_| kept)
    }

    /// The last run, a full read, and what must hold over all of them.
    pub(super) fn end(mut self) -> Report {
        self.world.simulator.act(&Act::SetDrift { drift: Drift::default() });
        self.good(&["sync", "--full"]);
        self.assert_truth(Extent::Whole);
        self.report.calls_lost = assert_whole_life(&self.world, self.may_be_lost);
        self.report();
        self.report.ended()
    }

    /// A day passes, and then the troubles of its run occur, one after the other.
    pub(super) fn night(&mut self, troubles: &[Trouble]) {
        if self.report.nights > 0 {
            self.step(1);
        }
        self.report.nights += 1;
        if self.drifting_nights > 0 {
            self.drifting_nights -= 1;
            if self.drifting_nights == 0 {
                self.world.simulator.act(&Act::SetDrift { drift: Drift::default() });
            }
        }
        for trouble in troubles {
            count(&mut self.report.troubles, &format!("{trouble:?}"), 1);
            self.live(*trouble);
        }
    }

    fn live(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Quiet => self.good_night(&["sync"]),
            Trouble::Full => self.good_night(&["sync", "--full"]),
            Trouble::Faults => self.with_faults(),
            Trouble::Unhealable => self.with_a_broken_box(),
            Trouble::Passing => self.with_people_vanishing(),
            Trouble::Kill => self.killed(),
            Trouble::Terminate => self.terminated(),
            Trouble::Die => {
                self.dies();
                self.good_night(&["sync"]);
            }
            Trouble::DiesAndIsLeft => self.dies(),
            Trouble::Throttle => self.throttled(),
            Trouble::Missed => {
                let nights = self.rng.random_range(1..=7);
                self.step(nights);
                count(&mut self.report.notes, "nights that cron missed", nights);
                self.good_night(&["sync"]);
            }
            Trouble::FullDisk => self.on_a_full_disk(),
            Trouble::TwoWriters => self.with_two_writers(),
            Trouble::Drift => self.drifts(),
            Trouble::NoPublish => self.kept_and_published_later(),
            Trouble::Replay => self.replayed(),
        }
    }

    // Troubles.

    fn with_faults(&mut self) {
        let kinds = Fault::healable();
        let chosen: Vec<_> = kinds.choose_multiple(&mut self.rng, 4).cloned().collect();
        for (_, fault) in &chosen {
            // A small enterprise makes few calls: with a share of one in a hundred none may be hit.
            let share = self.rng.random_range(0.01..0.3);
            self.world.simulator.add_fault(fault.clone().at(share, self.rng.random()));
        }
        self.good(&["sync"]);
        for ((name, _), hits) in chosen.iter().zip(self.world.simulator.fault_hits()) {
            count(&mut self.report.faults, name, hits);
        }
        self.world.simulator.clear_faults();
        self.assert_truth(Extent::ButForSilence);
    }

    fn with_a_broken_box(&mut self) {
        // A repeated marker needs several pages, and a wrong `Date` has no effect on a start whose time is given.
        let untold = ["same_marker", "clock_skew"];
        let is_silent_anyway = self.is_holiday();
        let mut kinds = Fault::unhealable();
        kinds.retain(|(name, _)| !untold.contains(name) && (!is_silent_anyway || *name != "silent_feed"));
        // Missing records are detected by comparison with an earlier snapshot.
        kinds.retain(|(name, _)| {
            self.sizes[0] > 0 || !(name.starts_with("partial") || *name == "silent_feed")
        });
        let (name, fault) = kinds.choose(&mut self.rng).expect("there are many").clone();
        self.world.simulator.add_fault(fault);
        // Without a deadline, a start waits a quarter of an hour for a Box that is down.
        let is_down = matches!(name, "unavailable_for_good" | "malformed_for_good");
        let done = self.start(if is_down { &["sync", "--deadline", "3s"] } else { &["sync"] });
        count(&mut self.report.faults, name, self.world.simulator.fault_hits()[0]);
        self.world.simulator.clear_faults();
        let expected = match name {
            _ if is_down => 75,
            "no_users" | "partial_users" | "partial_groups" | "silent_feed" => 3,
            _ => 2,
        };
        assert_eq!(done.code, expected, "{name}: {}", done.stderr);
        self.good_night(&["sync"]);
    }

    /// A user that disappears between the listing and its read is reported by the next snapshot.
    fn with_people_vanishing(&mut self) {
        let (name, fault) = Fault::passing().choose(&mut self.rng).expect("there are some").clone();
        // Only a few, or the shrink guards refuse the run.
        let fault = Fault { times: Some(self.rng.random_range(1..=3)), ..fault };
        self.world.simulator.add_fault(fault.at(0.5, self.rng.random()));
        let done = self.start(&["sync"]);
        count(&mut self.report.faults, name, self.world.simulator.fault_hits()[0]);
        self.world.simulator.clear_faults();
        assert!(matches!(done.code, 0 | 3 | 4), "{name}: {}", done.stderr);
        self.good_night(&["sync"]);
    }

    fn killed(&mut self) {
        for _ in 0..self.rng.random_range(1..=3) {
            let mut child = self.spawn_and_wait_a_while();
            let _ = child.kill();
            let code = child.wait().unwrap().code();
            self.died(code, "SIGKILL");
            self.may_be_lost += CALLS_IN_FLIGHT;
        }
        self.world.simulator.clear_faults();
        self.good_night(&["sync"]);
    }

    /// Starts a run and waits for a part of it: for some calls, slowed down because reading is a small part of the run of a small
    /// enterprise, or for any part of the time of a run.
    fn spawn_and_wait_a_while(&mut self) -> Child {
        let (calls, share) = (self.rng.random_range(1..60), self.rng.random_range(0.0..1.1));
        if self.rng.random_bool(0.5) {
            let child = self.spawn(&["sync"]);
            std::thread::sleep(self.whole_night.mul_f64(share));
            return child;
        }
        self.world.simulator.clear_faults();
        self.world.simulator.add_fault(Fault { delay_ms: 40, ..Fault::default() });
        let mut child = self.spawn(&["sync"]);
        self.wait_for_calls(&mut child, calls);
        child
    }

    /// Waits until this many more calls were made, or the child has ended.
    fn wait_for_calls(&self, child: &mut Child, calls: u64) {
        let (before, patience) = (self.world.simulator.counts().calls, Instant::now());
        while self.world.simulator.counts().calls < before + calls && child.try_wait().unwrap().is_none() {
            assert!(
                patience.elapsed() < Duration::from_secs(60),
                "the start makes no calls: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn terminated(&mut self) {
        let mut child = self.spawn_and_wait_a_while();
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 130) | None), "{code:?}: {}", self.said());
        self.died(code, "SIGTERM");
        self.may_be_lost += if code.is_none() { CALLS_IN_FLIGHT } else { 0 };
        self.world.simulator.clear_faults();
        self.good_night(&["sync"]);
    }

    /// Dies at a step; a start with less to do may not reach it.
    fn dies(&mut self) {
        let step = STEPS.choose(&mut self.rng).expect("there are many");
        let mut command = self.world.command(&["sync"]);
        command.env("BOXSEAT_FAILPOINT", step);
        let mut child = self.spawn_command(command);
        let code = child.wait().unwrap().code();
        assert!(matches!(code, None | Some(0)), "at {step:?}: {code:?}: {}", self.said());
        self.died(code, &format!("step {step:?}"));
    }

    fn throttled(&mut self) {
        let (calls_per_minute, burst) = (self.rng.random_range(2_400..6_000), self.rng.random_range(5..20));
        self.world.simulator.set_rate_limit(Some(calls_per_minute), RateLimitStyle::TokenBucket { burst });
        let before = self.world.simulator.counts().throttled;
        self.good(&["sync"]);
        let throttled = self.world.simulator.counts().throttled - before;
        count(&mut self.report.faults, "throttled by a token bucket", u32::try_from(throttled).unwrap());
        self.world.simulator.set_rate_limit(None, RateLimitStyle::Sliding);
        self.assert_truth(Extent::ButForSilence);
    }

    fn on_a_full_disk(&mut self) {
        // From a file that ends within the first page to one that only the DuckDB file outgrows: 4 KiB to 4 MiB.
        let blocks = 2f64.powf(self.rng.random_range(3.0..13.0)) as u64;
        let sync = self.world.command(&["sync"]);
        let mut limited = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" sync");
        limited.args(["-c", &script]).arg(sync.get_program()).env_clear().current_dir(self.world.directory());
        for (name, value) in sync.get_envs() {
            limited.env(name, value.unwrap());
        }
        let done = self.start_command(limited);
        assert!(matches!(done.code, 0 | 1), "{blocks} blocks: {}", done.stderr);
        let places = ["pages.spool", "duckdb", "_delta_log", "/lake/"];
        let place = places.into_iter().find(|place| done.stderr.contains(place));
        let said = || done.stderr.lines().find(|line| line.starts_with("error")).unwrap_or_default();
        let place = if done.code == 0 { "nowhere" } else { place.unwrap_or_else(said) };
        self.report.note(&format!("a full disk struck at {place}"));
        self.may_be_lost += if done.code == 0 { 0 } else { CALLS_IN_FLIGHT };
        self.good_night(&["sync"]);
    }

    fn with_two_writers(&mut self) {
        // Slow responses, so that the first is still running when the second starts.
        self.world.simulator.add_fault(Fault { delay_ms: 20, effect: Effect::None, ..Fault::default() });
        let mut first = self.spawn(&["sync"]);
        self.wait_for_calls(&mut first, 2);
        let second = finish(self.world.command(&["sync"]).output().unwrap());
        let is_at_work = first.try_wait().unwrap().is_none();
        let code = first.wait().unwrap().code();
        self.ended(code, &self.said());
        self.ended(Some(second.code), &second.stderr);
        if is_at_work {
            assert_eq!(second.code, 75, "{}", second.stderr);
            self.report.note("second writers turned away");
        }
        self.world.simulator.clear_faults();
        self.good_night(&["sync"]);
    }

    fn drifts(&mut self) {
        let drift = Drift {
            new_field_share: self.rng.random_range(0.05..0.9),
            new_status_share: self.rng.random_range(0.01..0.1),
            new_events_per_day: self.rng.random_range(1..20),
            shows_unasked_events: self.rng.random_bool(0.7),
        };
        self.world.simulator.act(&Act::SetDrift { drift });
        self.drifting_nights = 2;
        self.good(&["sync"]);
        self.assert_truth(Extent::ButForSilence);
        let truth = self.world.simulator.truth_without_events();
        let fields: usize = truth.users.iter().map(|user| user.extra.len()).sum::<usize>()
            + truth.groups.iter().map(|group| group.extra.len()).sum::<usize>();
        let counted = "SELECT unknown_fields_count FROM sync_runs WHERE run_number = (SELECT run_number FROM report_settings)";
        let counted = self.world.value(counted).as_u64().unwrap();
        assert!(counted >= fields as u64 && fields > 0, "{counted} unknown fields counted, {fields} sent");
        let with_status = truth.users.iter().filter(|user| user.status == UNHEARD_STATUS).count();
        let kept = format!(
            "SELECT count(*) FROM accounts WHERE box_status = '{UNHEARD_STATUS}' AND account_status = 'unknown'"
        );
        assert_eq!(self.world.value(&kept).as_u64(), Some(with_status as u64));
        self.report.note("nights on which Box had drifted");
    }

    fn kept_and_published_later(&mut self) {
        let before = self.shown;
        self.good(&["sync", "--no-publish"]);
        let file = self.world.store().join("boxseat.duckdb");
        if before.is_some() || file.exists() {
            assert_eq!(Some(assert_published_is_whole(&self.world)), before, "a kept night is not published");
        }
        if self.rng.random_bool(0.5) {
            self.good(&["publish"]);
            self.assert_truth(Extent::ButForSilence);
        }
    }

    fn replayed(&mut self) {
        self.good_night(&["sync"]);
        let runs = Lake::open(&self.world.store().join("lake"), 0o640).unwrap().sync_runs().unwrap();
        let mut read: Vec<u64> = runs
            .iter()
            .filter(|run| run.kind == RunKind::Sync && run.status == RunStatus::Complete)
            .map(|run| run.run_number.0)
            .collect();
        read.sort_unstable();
        let back = self.rng.random_range(1..=3usize).min(read.len());
        let from = read[read.len() - back].to_string();
        let calls = self.world.simulator.counts().calls;
        self.good(&["replay", "--from", &from]);
        assert_eq!(self.world.simulator.counts().calls, calls, "a replay makes no call");
        self.assert_truth(Extent::ButForSilence);
        count(&mut self.report.notes, "runs replayed", u32::try_from(back).unwrap());
    }

    // Starts.

    fn step(&mut self, days: u32) {
        self.world.simulator.step_days(days);
        self.report.days += days;
    }

    fn good_night(&mut self, args: &[&str]) {
        self.good(args);
        let is_full = args.contains(&"--full");
        self.assert_truth(if is_full { Extent::Whole } else { Extent::ButForSilence });
    }

    /// A start that must succeed. If a shrink guard refuses it because so much is really gone, it is accepted, as an operator would
    /// do.
    fn good(&mut self, args: &[&str]) {
        let begun = Instant::now();
        let mut done = self.start(args);
        if done.code == 3 && done.stderr.contains("--accept-shrink") {
            let now = self.true_sizes();
            let has_shrunk = now.iter().zip(self.sizes).any(|(now, before)| now * 100 < before * 93);
            assert!(has_shrunk, "refused although only {:?} became {now:?}: {}", self.sizes, done.stderr);
            self.report.note("nights accepted although much was gone");
            done = self.start(&[args, &["--accept-shrink", "90%"]].concat());
        }
        assert_eq!(done.code, 0, "boxseat {args:?}: {}", done.stderr);
        if args == ["sync"] {
            self.whole_night = begun.elapsed();
        }
        self.sizes = self.true_sizes();
    }

    fn start(&mut self, args: &[&str]) -> Done {
        let command = self.world.command(args);
        self.start_command(command)
    }

    fn start_command(&mut self, mut command: Command) -> Done {
        let done = finish(command.output().unwrap());
        self.ended(Some(done.code).filter(|code| *code >= 0), &done.stderr);
        done
    }

    fn spawn(&mut self, args: &[&str]) -> Child {
        let command = self.world.command(args);
        self.spawn_command(command)
    }

    /// The output of the child goes to a file, because there may be no reader for a pipe.
    fn spawn_command(&mut self, mut command: Command) -> Child {
        let said = File::create(self.world.directory().join("said")).unwrap();
        command.stdout(std::process::Stdio::null()).stderr(said).spawn().unwrap()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.world.directory().join("said")).unwrap_or_default()
    }

    fn died(&mut self, code: Option<i32>, of: &str) {
        self.ended(code, &self.said());
        let place = if code == Some(0) { "after the end" } else { self.progress() };
        count(&mut self.report.kills, &format!("{of}: {place}"), 1);
    }

    /// After any start: no internal error, and readers see a complete snapshot, the old one or a newer one.
    fn ended(&mut self, code: Option<i32>, stderr: &str) {
        self.report.starts += 1;
        let word = code.map_or("killed".to_owned(), |code| code.to_string());
        count(&mut self.report.exit_codes, &word, 1);
        assert!(!stderr.contains("panicked at") && code != Some(101), "{stderr}");
        if self.world.store().join("boxseat.duckdb").exists() {
            let night = assert_published_is_whole(&self.world);
            assert!(self.shown.is_none_or(|shown| shown <= night), "back from {:?} to {night}", self.shown);
            self.shown = Some(night);
        } else {
            assert_eq!(self.shown, None, "the published file is gone");
        }
    }

    /// The progress of the newest run, by the files on disk.
    fn progress(&self) -> &'static str {
        let lake = Lake::open(&self.world.store().join("lake"), 0o640).unwrap();
        let Some(newest) = lake.reservations().unwrap().last().map(|run| run.run_number) else {
            return "before the first run";
        };
        let spool = self.world.store().join("spool").join(newest.to_string());
        let is_visible = lake.sync_runs().unwrap().iter().any(|run| run.run_number == newest);
        let is_shown = self.shown == Some(newest.as_i64());
        match (is_shown, is_visible, spool.join("SEALED").exists(), spool.join("pages.spool").exists()) {
            (true, ..) => "between two runs",
            (_, true, ..) => "visible, not published",
            (_, _, true, _) => "sealed, loading or building",
            (_, _, _, true) => "reading",
            _ => "reserved",
        }
    }

    // Truth.

    fn assert_truth(&mut self, extent: Extent) {
        assert_published_is_whole(&self.world);
        match extent {
            Extent::Whole => {
                assert_equal_to_truth(&self.world);
                self.report.equal += 1;
            }
            Extent::ButForSilence => {
                assert_equal_but_for_what_waits_its_turn(&self.world);
                let settled = self.world.simulator.now() - TimeDelta::minutes(15);
                self.report.stale_rows += stale_rows(&self.world, settled);
                self.report.equal_but_for_silence += 1;
            }
        }
    }

    fn true_sizes(&self) -> [usize; 3] {
        let truth = self.world.simulator.truth_without_events();
        [truth.users.len(), truth.groups.len(), truth.memberships.len()]
    }

    /// Whether the admin log of the last two days is empty for a good reason.
    fn is_holiday(&self) -> bool {
        let today = self.world.simulator.now().date_naive();
        let holidays = &self.world.simulator.config().holidays;
        holidays.iter().any(|day| (-1..=3).contains(&(today - *day).num_days()))
    }
}

/// How much of a snapshot must equal the truth.
enum Extent {
    Whole,
    /// Everything that each run reads; silent changes may wait for their turn.
    ButForSilence,
}

/// Calls in flight when a process dies: its concurrency, and a token request.
const CALLS_IN_FLIGHT: u64 = 17;
