//! The life of two stores, with a copy of every stage.
//!
//! Each day has its own simulator that stays at that day, so that a command can run again at any stage.

use std::path::{Path, PathBuf};
use std::process::Command;

use boxseat_simulator::{Config, Running, spawn_in_thread};
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::command::accounts;
use crate::support::{Done, bare, finish};

/// A store at one point in time.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) store: PathBuf,
    /// The day on which the next command runs.
    pub(super) day: usize,
}

/// Two stores of one enterprise, the days of its Box, and the stages of the stores.
pub(super) struct Life {
    directory: TempDir,
    days: Vec<Running>,
    /// The store that is damaged, in order.
    pub(super) stages: Vec<Stage>,
    /// Another store of the same enterprise, which knows less of the past.
    pub(super) others: Vec<Stage>,
}

/// Two snapshots and two spools are kept, so that the stages also show what retention removes.
const SETTINGS: &str = "[sync]\nshrink_guard_percent = 90.0\nraw_retention_runs = 3\n[retention]\nnights_daily_days = 2\n[reclaim]\npolicy = \"policy.toml\"\n";
const OTHER_SETTINGS: &str =
    "[sync]\nshrink_guard_percent = 90.0\nlogin_window_days = 100\n[reclaim]\npolicy = \"policy.toml\"\n";
const POLICY: &str = "evidence = \"login_only\"\n[caps]\nseats_percent = 100.0\n";

impl Life {
    /// Creates both stores; `more` is the number of plain days at the end of the first one.
    pub(super) fn live(more: usize) -> Self {
        let config = Config {
            users: 20,
            groups: 3,
            logins: Some(110),
            seed: 11,
            calls_per_minute: None,
            ..Config::plain()
        };
        let days = (0..7 + more).map(|day| {
            let simulator = spawn_in_thread(config.clone()).unwrap();
            // One by one, so that every simulator has the same days.
            (0..day).for_each(|_| _ = simulator.step_days(1));
            simulator
        });
        let mut life = Self {
            days: days.collect(),
            directory: tempfile::tempdir().unwrap(),
            stages: Vec::new(),
            others: Vec::new(),
        };
        for (home, settings) in [("home", SETTINGS), ("other-home", OTHER_SETTINGS)] {
            let home = life.directory.path().join(home);
            std::fs::create_dir(&home).unwrap();
            std::fs::write(home.join("boxseat.toml"), settings).unwrap();
            std::fs::write(home.join("policy.toml"), POLICY).unwrap();
        }
        life.live_first(more);
        life.live_other();
        life
    }

    fn live_first(&mut self, more: usize) {
        let store = self.directory.path().join("store");
        self.ok("home", &store, 0, &["sync"]);
        self.keep("first run", &store, 1);
        self.dies(&store, 1, "read");
        self.keep("killed while reading", &store, 1);
        self.dies(&store, 1, "after groups");
        self.keep("killed after the seal", &store, 1);
        self.ok("home", &store, 1, &["sync"]);
        self.keep("second run", &store, 2);
        self.ok("home", &store, 2, &["sync", "--no-publish"]);
        self.keep("not published", &store, 3);
        let report = self.report(&store, 2);
        self.ok("home", &store, 2, &["import", report.to_str().unwrap(), "--time-zone", "UTC"]);
        self.keep("import waits", &store, 3);
        self.ok("home", &store, 3, &["sync"]);
        self.keep("import taken in", &store, 4);
        self.ok("home", &store, 3, &["replay", "--from", "3"]);
        self.keep("replayed", &store, 4);
        self.dies(&store, 4, "visible");
        self.keep("killed before the publish", &store, 4);
        self.ok("home", &store, 4, &["sync"]);
        self.ok("home", &store, 5, &["sync"]);
        self.ok("home", &store, 5, &["reclaim", "plan"]);
        self.keep("planned", &store, 6);
        for day in 6..6 + more {
            self.ok("home", &store, day, &["sync"]);
        }
        if more > 0 {
            self.keep("after many runs", &store, 6 + more);
        }
    }

    fn live_other(&mut self) {
        let store = self.directory.path().join("other");
        for day in [2, 3, 5] {
            self.ok("other-home", &store, day, &["sync"]);
            let kept = self.directory.path().join(format!("other-{day}"));
            copy(&store, &kept);
            self.others.push(Stage { name: "other", store: kept, day });
        }
    }

    fn keep(&mut self, name: &'static str, store: &Path, day: usize) {
        let kept = self.directory.path().join(format!("stage-{}", self.stages.len()));
        copy(store, &kept);
        self.stages.push(Stage { name, store: kept, day });
    }

    /// A report of the admin console: a user without sign-ins was active three days ago.
    fn report(&self, store: &Path, day: usize) -> PathBuf {
        let idle =
            accounts(store).unwrap().into_iter().max_by_key(|account| account.proven_idle_days).unwrap();
        let date = (self.days[day].now() - TimeDelta::days(3)).date_naive();
        let report = self.directory.path().join("report.csv");
        std::fs::write(&report, format!("User ID,Last Activity\n{},{date}\n", idle.user_id)).unwrap();
        report
    }

    pub(super) fn now(&self, day: usize) -> DateTime<Utc> {
        self.days[day].now()
    }

    /// A command on a store, on a day.
    pub(super) fn command(&self, store: &Path, day: usize, args: &[&str]) -> Command {
        self.command_of("home", store, day, args)
    }

    fn command_of(&self, home: &str, store: &Path, day: usize, args: &[&str]) -> Command {
        let simulator = &self.days[day];
        let config = simulator.config();
        let mut command = bare(args, &self.directory.path().join(home));
        command
            .env("BOXSEAT_STORE", store)
            .env("BOXSEAT_API_URL", simulator.api_url())
            .env("BOXSEAT_TOKEN_URL", simulator.token_url())
            .env("BOXSEAT_CLIENT_ID", &config.client_id)
            .env("BOXSEAT_CLIENT_SECRET", &config.client_secret)
            .env("BOXSEAT_ENTERPRISE_ID", &config.enterprise_id)
            .env("BOXSEAT_NOW", simulator.now().to_rfc3339())
            .env("BOXSEAT_RATE_CALLS_PER_MINUTE", "100000000");
        command
    }

    #[track_caller]
    fn ok(&self, home: &str, store: &Path, day: usize, args: &[&str]) -> Done {
        let done = finish(self.command_of(home, store, day, args).output().unwrap());
        assert_eq!(done.code, 0, "day {day}: boxseat {args:?}\n{}\n{}", done.stdout, done.stderr);
        done
    }

    #[track_caller]
    fn dies(&self, store: &Path, day: usize, step: &str) {
        let done = self.command(store, day, &["sync"]).env("BOXSEAT_FAILPOINT", step).output().unwrap();
        assert!(done.status.code().is_none(), "{step}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Copies a store without hard links: a link changes the ctime, by which a running command detects concurrent changes.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, &copied).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}

/// Every file of a store, by its path below it, sorted.
pub(super) fn files(store: &Path) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), vec![store.to_owned()]);
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                found.push(super::below(store, &entry.path()));
            }
        }
    }
    found.sort();
    found
}
