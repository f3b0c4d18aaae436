//! Stores, configurations and results with names that programs often handle wrongly.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use boxseat_simulator::Config;

use crate::support::{Done, World, finish};

fn world() -> World {
    World::new(Config { users: 30, groups: 3, logins: Some(100), seed: 3, ..Config::default() })
}

const NAMES: [&str; 8] = [
    "percent%20",
    "back\\slash",
    "new\nline",
    "hash#12 'quoted' \"twice\" \t 100% ",
    "-dash.",
    "~",
    "sqlite:store",
    "Ümläut 日本 *[a-z]{b}$(touch pwned);&|",
];

/// Runs a command on a store, named relative to the directory above it.
fn on(world: &World, places: &Path, store: &OsStr, args: &[&str]) -> Done {
    let mut command = world.command(args);
    finish(command.current_dir(places).env("BOXSEAT_STORE", store).output().unwrap())
}

/// Why: a store in `percent%20` or in `back\slash` failed after its calls were made.
#[test]
fn a_store_works_under_every_name() {
    let world = world();
    let places = world.directory().join("places");
    std::fs::create_dir(&places).unwrap();
    for name in NAMES {
        let every: [&[&str]; 8] = [
            &["sync"],
            &["query", "SELECT count(*) FROM users"],
            &["verify"],
            // A second run reads the first one's tables.
            &["sync", "--full"],
            &["report", "idle", "--as-of", "2026-03-02"],
            &["status"],
            &["publish"],
            &["replay", "--from", "1"],
        ];
        // The first names are those that failed.
        let commands = if NAMES[..3].contains(&name) { &every[..] } else { &every[..3] };
        for args in commands {
            let done = on(&world, &places, OsStr::new(name), args);
            assert_eq!(done.code, 0, "{name:?} {args:?}: {}{}", done.stdout, done.stderr);
        }
        assert!(places.join(name).join("boxseat.duckdb").exists(), "{name:?}");
    }
    let mut made: Vec<_> =
        std::fs::read_dir(&places).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    made.sort();
    let mut wanted: Vec<_> = NAMES.iter().map(std::ffi::OsString::from).collect();
    wanted.sort();
    assert_eq!(made, wanted, "nothing lands elsewhere");
}

#[test]
fn a_store_behind_a_link_and_with_dots_in_its_path_works() {
    let world = world();
    let places = world.directory().join("places");
    std::fs::create_dir_all(places.join("real%20")).unwrap();
    std::os::unix::fs::symlink("real%20", places.join("link")).unwrap();
    for store in ["link", "real%20/../dots/"] {
        for args in [&["sync"][..], &["query", "SELECT 1"], &["verify"]] {
            let done = on(&world, &places, OsStr::new(store), args);
            assert_eq!(done.code, 0, "{store:?} {args:?}: {}", done.stderr);
        }
    }
}

#[test]
fn a_store_whose_path_duckdb_cannot_take_is_refused_before_the_first_call() {
    let world = world();
    let places = world.directory().join("places");
    std::fs::create_dir(&places).unwrap();
    for (name, reason) in [(&b"latin-\xe9"[..], "is not UTF-8"), (b"what?", "contains a question mark")] {
        let name = OsStr::from_bytes(name);
        for command in ["sync", "check", "demo"] {
            let done = on(&world, &places, name, &[command]);
            assert_eq!(done.code, 2, "{command}: {}", done.stderr);
            assert!(done.stderr.contains(reason), "{command}: {}", done.stderr);
        }
        // A directory above the store may not have such a name either.
        let inside = places.join(name);
        std::fs::create_dir(&inside).unwrap();
        assert_eq!(on(&world, &inside, OsStr::new("store"), &["sync"]).code, 2);
        assert_eq!(world.simulator.counts().calls, 0);
        // DuckDB follows links.
        std::os::unix::fs::symlink(&inside, places.join("link")).unwrap();
        assert_eq!(on(&world, &places, OsStr::new("link"), &["sync"]).code, 2);
        assert_eq!(on(&world, &places, OsStr::new("link/store"), &["sync"]).code, 2);
        std::fs::remove_file(places.join("link")).unwrap();
    }
}

#[test]
fn configurations_and_results_work_under_every_name() {
    let world = world();
    world.ok(&["sync"]);
    for name in NAMES {
        let directory = world.directory().join("out").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let config = directory.join("boxseat.toml");
        std::fs::write(&config, "[idle]\nidle_after_days = 90\n").unwrap();
        let config = config.to_str().unwrap();
        let page = directory.join(format!("{name}.html"));
        let rows = directory.join(format!("{name}.parquet"));
        let done = world.run(&["--config", config, "report", "idle", "-o", page.to_str().unwrap()]);
        assert_eq!(done.code, 0, "{name:?}: {}", done.stderr);
        let done =
            world.run(&["--config", config, "query", "SELECT 1 AS a", "--save", rows.to_str().unwrap()]);
        assert_eq!(done.code, 0, "{name:?}: {}", done.stderr);
        assert!(page.exists() && rows.exists(), "{name:?}");
    }
}
