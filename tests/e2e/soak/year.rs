//! A year of quiet runs: how a store grows.
//!
//! Snapshot tables keep ninety daily snapshots and one a month; everything else may grow only with events and changes. The snapshot
//! tables are asserted. The rest is printed, by month, with the events and changes that explain the growth.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use boxseat_simulator::Config;

use super::{argument, assert_histories_chain, say};
use crate::support::World;
use crate::truth::assert_equal_to_truth;

/// Why: a program that runs daily for years must not need a larger machine every year.
#[test]
#[ignore = "a year of two thousand users takes many minutes: `make soak YEAR_NIGHTS=…`"]
fn a_year_of_two_thousand_users_grows_by_changes_and_one_snapshot_a_month() {
    let nights = argument("BOXSEAT_SOAK_YEAR_NIGHTS", 365);
    let world = World::new(Config {
        users: 2_000,
        groups: 100,
        logins: Some(60_000),
        login_days: 183,
        seed: 77,
        ..Config::default()
    });
    let (report, mut table) =
        (format!("{}/soak-year-report.md", env!("CARGO_TARGET_TMPDIR")), String::from(HEAD));
    let mut biggest_night = 0;
    say(HEAD);
    for night in 1..=nights {
        if night > 1 {
            world.simulator.step_days(1);
        }
        let (wall, peak_bytes) = measured_sync(&world);
        let size = Size::of(&world.store());
        biggest_night = biggest_night.max(size.newest_night_bytes());
        assert_nights_are_bounded(&world, night, &size, biggest_night);
        if night == 1 || night.is_multiple_of(30) || night == nights {
            let line = line(&world, night, &size, wall, peak_bytes);
            say(&line);
            table.push_str(&line);
            fs::write(&report, &table).unwrap();
        }
    }
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);
    assert_histories_chain(&world);
}

/// Daily snapshots that are kept, and the days until files removed from the lake are removed from the disk, too.
const DAILY_NIGHTS: u64 = 90;
const REMOVED_AFTER_NIGHTS: u64 = 8;

/// At most one snapshot a month beyond the daily ones, in number and in bytes.
#[track_caller]
fn assert_nights_are_bounded(world: &World, night: u64, size: &Size, biggest_night: u64) {
    let today = world.simulator.now().date_naive();
    let is_old = |date: &str| {
        let date: chrono::NaiveDate = date.parse().unwrap();
        (today - date).num_days() > i64::try_from(DAILY_NIGHTS + REMOVED_AFTER_NIGHTS).unwrap()
    };
    let mut by_month: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for date in size.nights.keys().filter(|date| is_old(date)) {
        by_month.entry(&date[..7]).or_default().push(date);
    }
    if let Some((_, kept)) = by_month.iter().find(|(_, kept)| kept.len() > 1) {
        panic!("night {night}: {} nights of one month are kept: {kept:?}", kept.len());
    }
    let kept = DAILY_NIGHTS + REMOVED_AFTER_NIGHTS + night / 28 + 1;
    let (bytes, limit) = (size.night_bytes(), kept * biggest_night);
    assert!(bytes <= limit, "night {night}: {bytes} bytes of nights, {kept} of the biggest are {limit}");
}

/// The content of a store.
#[derive(Default)]
struct Size {
    /// Bytes of the snapshot tables by date.
    nights: BTreeMap<String, u64>,
    /// Bytes of the other tables.
    appended_bytes: u64,
    delta_log_bytes: u64,
    spool_bytes: u64,
    duckdb_bytes: u64,
    lake_files: u64,
}

impl Size {
    fn of(store: &Path) -> Self {
        let mut size = Self::default();
        size.add(store);
        size
    }

    fn add(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                self.add(&path);
                continue;
            }
            let (bytes, text) = (entry.metadata().unwrap().len(), path.to_string_lossy());
            self.lake_files += u64::from(text.contains("/lake/"));
            let night = text.split("snapshot_date=").nth(1).and_then(|rest| rest.split('/').next());
            match night {
                Some(date) => *self.nights.entry(date.to_owned()).or_default() += bytes,
                None if text.contains("/_delta_log/") => self.delta_log_bytes += bytes,
                None if text.contains("/lake/") => self.appended_bytes += bytes,
                None if text.contains("/spool/") => self.spool_bytes += bytes,
                None if text.ends_with(".duckdb") => self.duckdb_bytes += bytes,
                None => {}
            }
        }
    }

    fn night_bytes(&self) -> u64 {
        self.nights.values().sum()
    }

    fn newest_night_bytes(&self) -> u64 {
        self.nights.last_key_value().map_or(0, |(_, bytes)| *bytes)
    }
}

const HEAD: &str = "\
| night | users | events | changes | nights kept | their MB | other tables MB | logs of tables MB | files in the lake | spool MB | DuckDB MB | sync s | publish s | peak MB |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

fn line(world: &World, night: u64, size: &Size, sync: Duration, peak_bytes: Option<u64>) -> String {
    let count = |table: &str| world.value(&format!("SELECT count(*) FROM {table}"));
    let events = "(SELECT event_id FROM login_events UNION ALL SELECT event_id FROM admin_events)";
    let begun = Instant::now();
    world.ok(&["publish"]);
    let publish = begun.elapsed();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let mut line = String::new();
    write!(
        line,
        "| {night} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
        count("users"),
        count(events),
        count("user_changes"),
        size.nights.len(),
        megabytes(size.night_bytes()),
        megabytes(size.appended_bytes),
        megabytes(size.delta_log_bytes),
        size.lake_files,
        megabytes(size.spool_bytes),
        megabytes(size.duckdb_bytes),
        sync.as_secs_f64(),
        publish.as_secs_f64(),
        peak_bytes.map_or("?".to_owned(), |bytes| format!("{:.0}", megabytes(bytes))),
    )
    .unwrap();
    line + "\n"
}

/// Syncs; returns the duration, and the peak memory, where the kernel reports it.
fn measured_sync(world: &World) -> (Duration, Option<u64>) {
    let said = fs::File::create(world.directory().join("said")).unwrap();
    let begun = Instant::now();
    let mut child =
        world.command(&["sync"]).stdout(std::process::Stdio::null()).stderr(said).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_bytes = None;
    let ended = loop {
        // The peak never falls, so only its last few milliseconds can be missed.
        peak_bytes = peak_bytes.max(fs::read_to_string(&status).ok().and_then(|text| peak_of(&text)));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let said = fs::read_to_string(world.directory().join("said")).unwrap();
    assert!(ended.success(), "{said}");
    (begun.elapsed(), peak_bytes)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
