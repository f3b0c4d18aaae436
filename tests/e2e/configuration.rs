//! Which configuration file a command reads, and what it does if it is another one than that of the last run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use boxseat_simulator::Config;
use serde_json::Value;

use crate::support::{Done, World, finish};

const TERMS: &str = "[[licence]]\nplan_id = \"enterprise\"\nseats_purchased = 80\ncost_per_seat_monthly = 35\ncurrency = \"EUR\"\n";

fn small() -> Config {
    Config { users: 30, groups: 3, logins: Some(200), ..Config::default() }
}

/// A world whose first run read `boxseat.toml` with this text, and an empty folder.
fn configured(text: &str) -> (World, PathBuf) {
    let world = World::new(small());
    fs::write(world.directory().join("boxseat.toml"), text).unwrap();
    world.ok(&["sync"]);
    let elsewhere = world.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    (world, elsewhere)
}

/// A command that is started in another folder.
fn in_folder(world: &World, folder: &Path, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.current_dir(folder);
    command
}

fn run_in(world: &World, folder: &Path, args: &[&str]) -> Done {
    finish(in_folder(world, folder, args).output().unwrap())
}

#[track_caller]
fn ok_in(world: &World, folder: &Path, args: &[&str]) -> Done {
    let done = run_in(world, folder, args);
    assert_eq!(done.code, 0, "{args:?}\n{}", done.stderr);
    done
}

fn record_of(world: &World) -> PathBuf {
    world.store().join("state/configuration.json")
}

/// Asserts that the first line of stderr is this warning, and that the command ended with this error.
#[track_caller]
fn assert_refused(done: &Done, warning: &str, error: &str) {
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    let first = done.stderr.lines().next().unwrap_or_default();
    assert!(first.contains("WARN") && first.contains(warning), "{}", done.stderr);
    assert!(done.stderr.contains(&format!("error: {error}")), "{error}\n{}", done.stderr);
    assert!(done.stderr.contains("hint: to accept the change: --"), "{}", done.stderr);
    assert_eq!(done.stdout, "", "nothing is reported");
}

/// Why: a command that was started from another folder reported and published without the licence terms.
#[test]
fn a_command_that_does_not_find_the_licence_terms_is_refused() {
    let (world, elsewhere) = configured(TERMS);
    let calls = world.simulator.counts().calls;
    let file = world.directory().join("boxseat.toml");
    let warning = format!("no configuration file is found; the last run read {}", file.display());
    for args in [
        &["report", "licences"][..],
        &["query", "SELECT 1"],
        &["status"],
        &["publish"],
        &["verify"],
        &["check"],
        &["reclaim", "status"],
        &["sync"],
    ] {
        let done = run_in(&world, &elsewhere, args);
        let error = "no configuration file is found, and the licence terms would change; the last run read";
        assert_refused(&done, &warning, error);
        assert_eq!(done.stderr.matches("WARN").count(), 1, "{}", done.stderr);
        assert!(done.stderr.contains(&format!("--config {}", file.display())), "{}", done.stderr);
        assert!(done.stderr.contains("state/configuration.json"), "{}", done.stderr);
    }
    assert_eq!(world.simulator.counts().calls, calls);
    // The reason is in the store, for the operator who looks from the right folder.
    let status = world.run(&["status"]);
    assert_eq!(status.code, 1, "{}", status.stdout);
    assert!(status.stdout.contains("the licence terms would change"), "{}", status.stdout);
    // Terms change nothing in a copy.
    let copy = world.directory().join("copy");
    let backup = ok_in(&world, &elsewhere, &["backup", copy.to_str().unwrap()]);
    assert!(backup.stderr.contains(&warning), "{}", backup.stderr);
    for args in [&["schema", "users"][..], &["completions", "bash"]] {
        assert_eq!(ok_in(&world, &elsewhere, args).stderr, "");
    }
}

#[test]
fn a_choice_on_the_command_line_is_accepted_and_recorded_by_the_next_run() {
    let (world, elsewhere) = configured(TERMS);
    let file = world.directory().join("boxseat.toml");
    let file = file.to_str().unwrap();
    assert_eq!(ok_in(&world, &elsewhere, &["--config", file, "query", "SELECT 1"]).stderr, "");
    assert_eq!(ok_in(&world, &elsewhere, &["query", "SELECT 1", "--no-config"]).stderr, "");
    assert_eq!(run_in(&world, &elsewhere, &["--no-config", "--config", file, "status"]).code, 2);
    assert_eq!(run_in(&world, &elsewhere, &["query", "SELECT 1"]).code, 2, "only a run records the choice");

    world.simulator.step_days(1);
    // A run that fails, and one that only plans, record nothing.
    let mut failed = in_folder(&world, &elsewhere, &["--no-config", "sync"]);
    assert_eq!(finish(failed.env("BOXSEAT_CLIENT_SECRET", "wrong").output().unwrap()).code, 2);
    ok_in(&world, &elsewhere, &["--no-config", "sync", "--plan"]);
    assert_eq!(run_in(&world, &elsewhere, &["query", "SELECT 1"]).code, 2);
    ok_in(&world, &elsewhere, &["--no-config", "sync"]);
    assert_eq!(ok_in(&world, &elsewhere, &["query", "SELECT 1"]).stderr, "");
    assert_eq!(world.value("SELECT count(*) FROM licence_terms"), 0);
    // The first configuration of a store is no reason to refuse.
    let first = world.ok(&["query", "SELECT 1"]);
    assert!(first.stderr.lines().next().unwrap().contains("the last run read none"), "{}", first.stderr);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_eq!(world.ok(&["query", "SELECT 1"]).stderr, "");
    assert_eq!(world.value("SELECT count(*) FROM licence_terms"), 1);
}

#[test]
fn an_edited_file_and_another_name_of_the_file_are_no_other_configuration() {
    let (world, elsewhere) = configured(TERMS);
    let file = world.directory().join("boxseat.toml");
    fs::write(&file, "[idle]\nidle_after_days = 30\n").unwrap();
    assert_eq!(world.ok(&["query", "SELECT 1"]).stderr, "");
    std::os::unix::fs::symlink(&file, elsewhere.join("boxseat.toml")).unwrap();
    assert_eq!(ok_in(&world, &elsewhere, &["query", "SELECT 1"]).stderr, "");
    // A mounted ConfigMap: the name stays, and its target is another file after each change.
    fs::remove_file(elsewhere.join("boxseat.toml")).unwrap();
    fs::rename(&file, elsewhere.join("target.toml")).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("target.toml"), &file).unwrap();
    assert_eq!(world.ok(&["query", "SELECT 1"]).stderr, "");
    // An earlier version recorded nothing.
    fs::remove_file(record_of(&world)).unwrap();
    let empty = elsewhere.join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(ok_in(&world, &empty, &["query", "SELECT 1"]).stderr, "");
}

#[test]
fn another_file_is_refused_only_if_it_changes_terms_thresholds_or_policy() {
    let policy = "[reclaim]\npolicy = \"policy.toml\"\n";
    let world = World::new(small());
    fs::write(world.directory().join("policy.toml"), "evidence = \"login_only\"\n").unwrap();
    fs::write(world.directory().join("boxseat.toml"), format!("{policy}{TERMS}")).unwrap();
    world.ok(&["sync"]);
    let elsewhere = world.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let file = elsewhere.join("boxseat.toml");
    let here = world.directory().join("policy.toml");
    let absolute = format!("[reclaim]\npolicy = {:?}\n", here.to_str().unwrap());
    // The policy is edited in its place, which is no other policy.
    fs::write(&here, "evidence = \"login_only\"\nsuspend_after_idle_days = 100\n").unwrap();
    let (other, old) = ("[sync]\nsettle_minutes = 60\n", TERMS.replace("= 35", "= \"35.00\""));
    for (text, change) in [
        (format!("{absolute}{TERMS}"), None),
        (format!("{absolute}{other}[idle]\nidle_after_days = 90\n{old}"), None),
        (format!("{absolute}{}", TERMS.replace("80", "81")), Some("the licence terms")),
        (format!("{absolute}{TERMS}[idle]\nidle_after_days = 89\n"), Some("[idle]")),
        (format!("{absolute}{TERMS}[idle]\nservice_accounts = [\"7\"]\n"), Some("[idle]")),
        (TERMS.to_owned(), Some("the reclamation policy")),
        (format!("{policy}{TERMS}"), Some("the reclamation policy")),
        (String::new(), Some("the licence terms and the reclamation policy")),
    ] {
        fs::write(&file, &text).unwrap();
        let warning = format!("the configuration is {}; the last run read", file.display());
        // A variable can be left over from another shell: it is no choice.
        let mut named = world.command(&["query", "SELECT 1"]);
        let named = finish(named.env("BOXSEAT_CONFIG", &file).output().unwrap());
        for done in [run_in(&world, &elsewhere, &["query", "SELECT 1"]), named] {
            match change {
                Some(change) => {
                    let error = format!(
                        "{} is not the configuration of the last run, and {change} would change",
                        file.display()
                    );
                    assert_refused(&done, &warning, &error);
                }
                None => {
                    assert_eq!(done.code, 0, "{text}\n{}", done.stderr);
                    assert!(done.stderr.lines().next().unwrap().contains(&warning), "{}", done.stderr);
                }
            }
        }
    }
}

/// A damaged record is no reason to stop a job that finds its configuration.
#[test]
fn a_damaged_record_refuses_only_a_command_that_finds_no_configuration() {
    let (world, elsewhere) = configured(TERMS);
    let whole = fs::read(record_of(&world)).unwrap();
    let of_another_file = fs::read(world.store().join("state/last_sync.json")).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", &of_another_file] {
        fs::write(record_of(&world), damaged).unwrap();
        let done = world.ok(&["query", "SELECT 1"]);
        let first = done.stderr.lines().next().unwrap();
        assert!(first.contains("configuration.json does not tell"), "{}", done.stderr);
        let done = run_in(&world, &elsewhere, &["query", "SELECT 1"]);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains("configuration.json does not tell"), "{}", done.stderr);
        assert!(
            done.stderr.contains("hint: --config FILE names the configuration; --no-config"),
            "{}",
            done.stderr
        );
        assert_eq!(ok_in(&world, &elsewhere, &["--no-config", "query", "SELECT 1"]).stderr, "");
    }
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_eq!(world.ok(&["query", "SELECT 1"]).stderr, "");
    assert_eq!(run_in(&world, &elsewhere, &["status"]).code, 2);
}

#[test]
fn status_and_check_name_the_file_in_use() {
    let (world, _) = configured(TERMS);
    let file = world.directory().join("boxseat.toml").to_str().unwrap().to_owned();
    let json = |args: &[&str]| -> Value { serde_json::from_str(&world.ok(args).stdout).unwrap() };
    let status = json(&["--format", "json", "status"]);
    assert_eq!(status["status"]["config_file"], *file);
    assert_eq!(status["status"]["last_sync_config_file"], *file);
    assert!(
        world
            .ok(&["status"])
            .stdout
            .lines()
            .any(|line| line.starts_with("config file ") && line.ends_with(&file))
    );
    let configuration = |check: &Value| {
        let findings = check["check"].as_array().unwrap().iter();
        findings.clone().find(|finding| finding["name"] == "configuration").unwrap()["detail"].clone()
    };
    let check = json(&["--format", "json", "check"]);
    assert_eq!(check["config_file"], *file);
    assert_eq!(configuration(&check), format!("{file}: every key is known"));

    let none = json(&["--no-config", "--format", "json", "status"]);
    assert_eq!(
        (&none["status"]["config_file"], &none["status"]["last_sync_config_file"]),
        (&Value::Null, &file.into())
    );
    let none = json(&["--no-config", "--format", "json", "check"]);
    assert_eq!(none["config_file"], Value::Null);
    assert_eq!(configuration(&none), "no file is read; BOXSEAT_* in the environment: every key is known");
}
