//! What retention removes from a store, and what it never removes.

use std::collections::BTreeSet;
use std::path::Path;

use boxseat_output::lake::Lake;
use boxseat_schemas::table::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, USERS};
use boxseat_simulator::Config;
use chrono::{Datelike, NaiveDate, TimeDelta};

use crate::support::World;
use crate::truth::{assert_logins_equal_to_truth, assert_users_equal_to_truth};

/// Why: a year of snapshots must not fill the disk, nor cost a user the seat because evidence of use was removed.
#[test]
fn old_snapshots_and_events_are_removed_and_no_user_looks_idle_by_it() {
    let world = World::new(Config {
        users: 60,
        groups: 5,
        logins: Some(900),
        login_days: 10,
        seed: 41,
        ..Config::default()
    });
    let settings = "[sync]\nlogin_window_days = 10\nraw_retention_runs = 2\n[idle]\nidle_after_days = 10\nnew_user_grace_days = 3\n\
        [retention]\nevents_days = 10\nnights_daily_days = 5\n";
    std::fs::write(world.directory().join("boxseat.toml"), settings).unwrap();
    // Runs that die during the retention: their file is published, and the next run removes the rest.
    let dies = |night| match night {
        10 => Some("removed"),
        13 | 16 => Some("merged"),
        12 | 17 => Some("unneeded"),
        _ => None,
    };
    for night in 1..=18 {
        match dies(night) {
            None => drop(world.ok(&["sync"])),
            Some(step) => {
                let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", step).output().unwrap();
                assert!(died.status.code().is_none(), "{step} was never reached in night {night}");
            }
        }
        assert_users_equal_to_truth(&world);
        if night < 18 {
            world.simulator.step_days(3);
        }
    }
    world.ok(&["verify"]);
    assert_eq!(world.value("SELECT count(*) FROM sync_runs WHERE status = 'complete'"), 18);

    let lake = Lake::open(&world.store().join("lake"), 0o640).unwrap();
    let runs = lake.sync_runs().unwrap();
    let newest = runs.last().unwrap().snapshot_date;
    let is_last_of_month = |date: NaiveDate| {
        !runs.iter().any(|run| {
            (run.snapshot_date.year(), run.snapshot_date.month()) == (date.year(), date.month())
                && run.snapshot_date > date
        })
    };
    // Two spools are kept, and the older of them is compared with the snapshot before it.
    let expected: BTreeSet<_> = runs
        .iter()
        .rev()
        .enumerate()
        .filter(|(age, run)| {
            *age < 3 || newest - run.snapshot_date < TimeDelta::days(5) || is_last_of_month(run.snapshot_date)
        })
        .map(|(_, run)| run.run_number)
        .collect();
    assert!(expected.len() > 3 && expected.len() < 6, "{expected:?}");
    for table in [&USERS, &GROUPS, &MEMBERSHIPS, &EMAIL_ALIASES] {
        assert_eq!(lake.snapshots(table).unwrap(), expected, "{}", table.name);
    }

    // The disk has the files that the lake names, and those removed from it within a week, which is three snapshots.
    let on_disk = parquet_files(&world.store().join("lake/users"));
    assert!(on_disk >= expected.len() && on_disk <= expected.len() + 3, "{on_disk} files of users");
    let histories = parquet_files(&world.store().join("lake/users_history"));
    assert!(histories < 16 + 16, "{histories} files of users_history: nothing was merged");

    // Events are removed in whole months, and the rest proves nothing about the time before.
    let from = lake.events_kept_from().unwrap().expect("a month was removed");
    assert_eq!(from.day(), 1);
    assert!(newest - from >= TimeDelta::days(10), "{from} is too young to be the limit");
    let earlier = format!(
        "SELECT (SELECT count(*) FROM login_events WHERE created_at < '{from}T00:00:00Z')
              + (SELECT count(*) FROM event_coverage WHERE covered_from_at < '{from}T00:00:00Z')"
    );
    assert_eq!(world.value(&earlier), 0);
    assert_logins_equal_to_truth(&world);
    assert_eq!(world.value("SELECT count(DISTINCT login_coverage_from) FROM accounts"), 1);
    let truth = world.simulator.truth();
    let ever: BTreeSet<&str> = truth.logins.iter().map(|login| login.user_id.as_str()).collect();
    let never = world.rows("SELECT user_id FROM accounts WHERE inactivity_band = 'never_since_created'");
    for account in never {
        let id = account["user_id"].as_str().unwrap();
        assert!(!ever.contains(id), "{id} has signed in, and the events of it were removed");
    }
}

fn parquet_files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("_delta_log"))
        .map(|path| match path.is_dir() {
            true => parquet_files(&path),
            false => usize::from(path.extension().is_some_and(|ending| ending == "parquet")),
        })
        .sum()
}
