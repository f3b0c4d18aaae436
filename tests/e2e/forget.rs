//! `boxseat forget`: what is refused, and that no byte of the store identifies the user afterwards.

use boxseat_simulator::{Act, Config, TrueUser};

use crate::bytes::places_of;
use crate::reclaim::intent::Intent;
use crate::reclaim::stage::{Stage, small};
use crate::support::World;

/// A user with a unique name, and the texts that identify the user.
fn some_user(world: &World, is_suitable: impl Fn(&TrueUser) -> bool) -> (TrueUser, Vec<String>) {
    let truth = world.simulator.truth_without_events();
    let is_alone = |user: &&TrueUser| {
        let name = user.name.as_deref().unwrap_or_default();
        let namesakes =
            truth.users.iter().filter(|other| other.name.as_deref().unwrap_or_default().contains(name));
        name.contains(' ') && namesakes.count() == 1 && user.login.is_some()
    };
    let is_plain = |user: &&TrueUser| {
        user.role == "user" && user.status == "active" && !user.is_platform_access_only && is_suitable(user)
    };
    let user = truth.users.iter().filter(is_plain).find(is_alone).expect("a name of one user").clone();
    let aliases = format!("SELECT email FROM email_aliases WHERE user_id = '{}'", user.user_id);
    let aliases = world.rows(&aliases).into_iter().map(|row| row["email"].as_str().unwrap().to_owned());
    let texts = [&Some(user.user_id.clone()), &user.login, &user.name, &user.notification_email];
    let texts = texts.into_iter().flatten().cloned().chain(aliases).collect();
    (user, texts)
}

fn places(world: &World, texts: &[String]) -> Vec<String> {
    places_of(world, &texts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn counts(world: &World) -> Vec<serde_json::Map<String, serde_json::Value>> {
    world.rows(
        "SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM login_events) AS logins,
            (SELECT count(*) FROM users_history) AS versions, (SELECT count(*) FROM user_changes) AS changes,
            (SELECT count(*) FROM accounts WHERE account_status = 'deprovisioned') AS gone,
            (SELECT sum(seats_assigned) FROM seat_usage_daily) AS seats",
    )
}

/// Why: a store that keeps the data of a user for years could not erase it. A kill may come after every step.
#[test]
fn a_user_is_erased_wherever_a_kill_interrupts() {
    let world = World::new(Config { users: 40, groups: 4, seed: 77, awkward: true, ..Config::default() });
    world.ok(&["sync"]);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let (user, texts) = some_user(&world, |_| true);
    let login = user.login.clone().unwrap();
    let listed = world.run(&["forget", &login, "--yes"]);
    assert_eq!(listed.code, 3, "{}", listed.stderr);
    assert!(
        listed.stderr.contains(&user.user_id) && listed.stderr.contains("has an account"),
        "{}",
        listed.stderr
    );
    world.simulator.act(&Act::DeleteUser { user_id: user.user_id.clone(), announced: true });
    assert_eq!(world.run(&["forget", &user.user_id, "--yes"]).code, 3, "the snapshot lists the user");
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    // The admin log still has the user's last hours; the run after next does not read them again.
    world.simulator.step_days(3);
    world.ok(&["sync"]);
    let before = counts(&world);
    let found = places(&world, &texts);
    assert!(
        found.iter().any(|place| place.contains("spool")) && found.iter().any(|p| p.contains("lake")),
        "{found:?}"
    );
    let shown = world.ok(&["forget", &login]);
    assert!(
        shown.stdout.contains(&user.user_id) && shown.stderr.contains("Nothing was erased"),
        "{}",
        shown.stderr
    );
    assert_eq!(places(&world, &texts), found);
    for step in
        ["erasure begun", "erased a table", "erased lake", "erased spools", "erased journal", "erased file"]
    {
        let died =
            world.command(&["forget", &login, "--yes"]).env("BOXSEAT_FAILPOINT", step).output().unwrap();
        assert!(died.status.code().is_none(), "{step} was never reached");
    }
    let other = world.run(&["forget", "999999", "--yes"]);
    assert!(other.code == 3 && other.stderr.contains("unfinished"), "{}", other.stderr);
    let done = world.ok(&["forget", &login, "--yes"]);
    assert!(done.stderr.contains("backups"), "{}", done.stderr);
    assert_eq!(places(&world, &texts), [""; 0]);
    assert_eq!(counts(&world), before);
    world.ok(&["verify"]);
    assert!(world.ok(&["forget", &user.user_id, "--yes"]).stderr.contains("erased before"));
    world.ok(&["replay", "--from", "1"]);
    world.ok(&["verify"]);
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_eq!(places(&world, &texts), [""; 0]);
    let names = std::fs::read_to_string(world.store().join("state/erasure/records.jsonl")).unwrap();
    assert_eq!(names.lines().count(), 1);
}

/// The journal, the plans and the imports name a user who was offboarded.
#[test]
fn a_user_is_erased_from_journal_plans_and_imports_and_the_chain_holds() {
    let mut stage = Stage::new(small(7), Intent::default());
    let receiver = stage.intent.receiver.clone().unwrap();
    let idle = stage.idle(60);
    let is_leaver = |user: &TrueUser| user.user_id != receiver && !idle.contains(&user.user_id);
    let (leaver, texts) = some_user(&stage.world, is_leaver);
    stage.give(&leaver.user_id, 5, 0);
    let truth = stage.simulator().truth_without_events();
    let to = truth.users.iter().find(|user| user.user_id == receiver).unwrap().login.clone().unwrap();
    let login = leaver.login.clone().unwrap();
    stage.expect(&[0, 4], &["offboard", &login, "--transfer-to", &to, "--yes", "--confirm", &login]);
    for _ in 0..4 {
        stage.later(1);
        stage.expect(&[0, 4], &["reclaim", "nightly"]);
    }
    stage.later(4);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    let report = stage.world.directory().join("report.csv");
    let day = stage.simulator().now().date_naive();
    std::fs::write(&report, format!("Email,Last Login\n{login},{day}\n")).unwrap();
    stage.world.run(&["import", report.to_str().unwrap(), "--time-zone", "UTC"]);
    let found = places(&stage.world, &texts);
    for place in ["state/reclaim/journal", "state/reclaim/plans"] {
        assert!(found.iter().any(|found| found.contains(place)), "{place} is not in {found:#?}");
    }
    let head = |stage: &Stage| stage.expect(&[0], &["reclaim", "verify"]).stdout;
    head(&stage);
    let first = stage.journal()[1].prev_hash.clone();
    stage.world.ok(&["forget", &leaver.user_id, "--yes"]);
    assert_eq!(places(&stage.world, &texts), [""; 0]);
    head(&stage);
    assert_eq!(stage.journal()[1].prev_hash, first, "the chain is the one that was written");
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    // An entry that was not changed with this store's key is refused.
    std::fs::write(stage.world.store().join("state/erasure/key"), "0".repeat(64)).unwrap();
    let refused = stage.run(&["reclaim", "verify"]);
    assert!(refused.code == 3 && refused.stderr.contains("not by `boxseat forget`"), "{}", refused.stderr);
}
