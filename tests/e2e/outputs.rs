//! Outputs that are full or closed: only the text that cannot be written there is lost.

use std::fs::File;
use std::process::{Command, Stdio};

use boxseat_simulator::{Config, Fault};

use crate::support::{Done, World, finish};
use crate::truth::assert_equal_to_truth;

fn small() -> Config {
    Config { users: 200, groups: 12, logins: Some(3_000), seed: 17, ..Config::default() }
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// The writing end of a pipe without a reader.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// Why: the first warning of a run whose stderr was full or closed was a panic, and nothing was published.
#[test]
fn a_log_that_cannot_be_written_ends_no_run() {
    for verbosity in ["--no-progress", "-v", "-vv", "-vvv"] {
        for stderr in [full, closed] {
            let world = World::new(small());
            // A cause for a warning.
            world.simulator.add_fault(Fault::throttle("/2.0/groups", 1, 1));
            let mut sync = world.command(&[verbosity, "sync"]);
            let done = finish(sync.stdout(stderr()).stderr(stderr()).output().unwrap());
            assert_eq!(done.code, 0, "{verbosity}");
            assert_equal_to_truth(&world);
        }
    }
}

#[test]
fn errors_without_a_stderr_keep_their_exit_code() {
    let world = World::new(small());
    for stderr in [full, closed] {
        for (args, code) in
            [(&["query", "SELECT 1"][..], 2), (&["sync", "--nonsense"], 2), (&["report", "idle"], 2)]
        {
            let mut command = world.command(args);
            assert_eq!(finish(command.stderr(stderr()).output().unwrap()).code, code, "{args:?}");
        }
    }
}

/// As ripgrep does it: a reader that has closed the pipe has what it needs, and a full disk is an error.
#[test]
fn a_result_is_dropped_when_the_reader_left_and_an_error_when_the_disk_is_full() {
    let world = World::new(small());
    world.ok(&["sync"]);
    for args in [
        &["query", "SELECT * FROM login_events"][..],
        &["query", "--format", "csv", "SELECT * FROM login_events"],
        &["report", "idle", "--format", "json"],
        &["completions", "bash"],
        &["schema"],
        &["status"],
        &["--help"],
    ] {
        let mut command = world.command(args);
        let done = finish(command.stdout(closed()).output().unwrap());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        let done = finish(world.command(args).stdout(full()).output().unwrap());
        // clap prints the help, and does not report whether that failed.
        if args != ["--help"] {
            assert_eq!(done.code, 1, "{args:?}: {}", done.stderr);
            assert!(done.stderr.contains("cannot write to stdout"), "{args:?}: {}", done.stderr);
        }
    }
}

/// A limit on file sizes simulates a full disk without a mount: writes beyond it fail.
fn limited(world: &World, blocks: u32, args: &[&str]) -> Done {
    let command = world.command(args);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")])
        .arg(command.get_program());
    limited.args(args).env_clear();
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap());
    }
    finish(limited.output().unwrap())
}

/// Why: a full disk under the lake counted as damage. After two such loads a sealed run was discarded, and all its calls were made
/// and paid again.
#[test]
fn a_sealed_run_outlives_a_full_disk_however_often_it_is_loaded() {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    let calls = world.simulator.counts().calls;
    let mut failures = 0;
    // From a disk without any room to one on which only the DuckDB file has none.
    for blocks in [0, 1, 4, 8, 16, 32, 64, 128, 256, 512, 1024] {
        let done = limited(&world, blocks, &["sync"]);
        if done.code == 0 {
            break;
        }
        failures += 1;
        assert_eq!(done.code, 1, "{blocks}: {}", done.stderr);
        assert!(done.stderr.contains("what was read is kept"), "{blocks}: {}", done.stderr);
        assert!(!world.store().join("spool/1/ATTEMPTS").exists(), "{blocks}: {}", done.stderr);
    }
    assert!(failures > 5, "{failures}");
    world.ok(&["sync"]);
    assert_eq!(world.value("SELECT run_number FROM sync_runs"), 1);
    assert_eq!(world.simulator.counts().calls, calls, "nothing was read again");
    assert_equal_to_truth(&world);
}

/// Why: each retry on a full disk left the same number of data files again, which filled the disk further.
#[test]
fn a_load_that_fails_on_a_full_disk_leaves_no_data_files_of_the_table() {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    let events = world.store().join("lake/events");
    let files = || {
        let months = std::fs::read_dir(&events).into_iter().flatten().map(|entry| entry.unwrap().path());
        months.flat_map(|month| std::fs::read_dir(month).into_iter().flatten()).count()
    };
    let mut left = Vec::new();
    for _ in 0..3 {
        assert_eq!(limited(&world, 32, &["sync"]).code, 1);
        left.push(files());
    }
    assert!(left[0] == left[2], "{left:?}");
}

/// Why: an inaccessible file counted as missing, so a sealed run was read again.
#[test]
fn a_spool_that_cannot_be_read_is_an_error_and_no_reason_to_read_again() {
    let world = World::new(small());
    let died = world.command(&["sync"]).env("BOXSEAT_FAILPOINT", "sealed").output().unwrap();
    assert!(died.status.code().is_none());
    let (spool, aside) = (world.store().join("spool/1"), world.directory().join("aside"));
    let calls = world.simulator.counts().calls;
    std::fs::rename(&spool, &aside).unwrap();
    // A loop of links is an error for every user, root included.
    std::os::unix::fs::symlink(&spool, &spool).unwrap();
    for _ in 0..3 {
        let done = world.run(&["sync"]);
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(
            done.stderr.contains("cannot read") && done.stderr.contains("what was read is kept"),
            "{}",
            done.stderr
        );
    }
    std::fs::remove_file(&spool).unwrap();
    std::fs::rename(&aside, &spool).unwrap();
    world.ok(&["sync"]);
    assert_eq!(world.simulator.counts().calls, calls);
    assert_equal_to_truth(&world);
}
