//! `boxseat forget`: what is refused, and that no byte of the store identifies the user afterwards.

use boxseat_reclaim_checker::Intent;
use boxseat_simulator::{Act, Config, TrueUser};
use serde_json::json;

use crate::bytes::places_of;
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
    // The refused command above has made the key, so the pseudonym is known.
    let becomes = shown.stdout.lines().find_map(|line| line.strip_prefix("becomes")).unwrap().trim();
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
    assert_eq!(
        world.rows(&format!("SELECT 1 FROM users_history WHERE user_id = '{becomes}' LIMIT 1")).len(),
        1
    );
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
    records_are_compared_with_the_journal(&stage);
    // An entry that was not changed with this store's key is refused.
    std::fs::write(stage.world.store().join("state/erasure/key"), "0".repeat(64)).unwrap();
    let refused = stage.run(&["reclaim", "verify"]);
    assert!(refused.code == 3 && refused.stderr.contains("not by `boxseat forget`"), "{}", refused.stderr);
}

/// Why: the file of the records could be emptied, cut or edited, and no command noticed.
fn records_are_compared_with_the_journal(stage: &Stage) {
    let commands: [&[&str]; 3] = [&["reclaim", "verify"], &["verify"], &["verify", "--deep"]];
    let file = stage.world.store().join("state/erasure/records.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    for command in commands {
        stage.expect(&[0], command);
    }
    for other in [String::new(), text[..text.len() / 2].to_owned(), text.replace("not in", "was in")] {
        assert_ne!(other, text);
        std::fs::write(&file, other).unwrap();
        for command in commands {
            let refused = stage.expect(&[3], command);
            assert!(
                refused.stderr.contains("records.jsonl") && refused.stderr.contains("restore the file"),
                "{}",
                refused.stderr
            );
        }
    }
    std::fs::remove_file(&file).unwrap();
    stage.expect(&[3], &["reclaim", "verify"]);
    std::fs::write(&file, text).unwrap();
    stage.expect(&[0], &["reclaim", "verify"]);
}

/// Why: names are free text. A user named like the id of a colleague removed the colleague from the plan of both, a user named like an
/// operator removed the operator, and a user named `done` made the lake unreadable.
#[test]
fn a_name_that_equals_other_data_of_the_store_changes_only_the_name() {
    let mut stage = Stage::new(small(7), Intent::default());
    let plan = stage.go().remove(0);
    stage.later(1);
    let suspended = stage.world.rows(
        "SELECT user_id, planned_by FROM seat_actions WHERE action = 'suspend' AND outcome = 'done' ORDER BY user_id",
    );
    // The simulator makes the ids of aliases from the id of their user, and the search below would find it in them.
    let with_alias = stage.world.rows("SELECT DISTINCT user_id FROM email_aliases");
    let mut ids: Vec<&serde_json::Value> = suspended.iter().map(|row| &row["user_id"]).collect();
    ids.sort_by_key(|id| with_alias.iter().any(|row| row["user_id"] == **id));
    let [user_id, colleague] = [ids[0], ids[1]].map(|id| id.as_str().unwrap().to_owned());
    let (os_user, host) = suspended[0]["planned_by"].as_str().unwrap().split_once('@').unwrap();
    for name in [&colleague, "done", "2027", "LOGIN", "active", os_user, host] {
        let act = Act::EditUser { user_id: user_id.clone(), body: json!({ "name": name }), announced: true };
        stage.simulator().act(&act);
        stage.later(1);
    }
    let truth = stage.simulator().truth_without_events();
    let login = truth.users.iter().find(|user| user.user_id == user_id).unwrap().login.clone().unwrap();
    stage.simulator().act(&Act::DeleteUser { user_id: user_id.clone(), announced: true });
    stage.later(1);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    stage.later(4);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    let others = format!("SELECT * FROM seat_actions WHERE user_id = '{colleague}' ORDER BY action_id");
    let fields = "SELECT plan_id, action, stage, outcome, planned_by, approved_by, applied_by, prev_hash FROM seat_actions \
        ORDER BY prev_hash, action";
    let logins = "SELECT count(*) FROM login_events";
    let read = |stage: &Stage| {
        (stage.world.rows(&others), stage.world.rows(fields), stage.world.value(logins), counts(&stage.world))
    };
    let users_of = |stage: &Stage| {
        let created = stage.journal().into_iter().map(|entry| serde_json::to_value(entry.record).unwrap());
        created.filter(|record| record["record"] == "plan_created").collect::<Vec<_>>()
    };
    let undo = ["reclaim", "undo", &plan, "--user", &colleague];
    let would_undo = stage.expect(&[0], &undo).stdout;
    assert!(would_undo.contains(&colleague), "{would_undo}");
    let (before, created) = (read(&stage), users_of(&stage));
    stage.world.ok(&["forget", &user_id, "--yes"]);
    assert_eq!(read(&stage), before);
    let after = users_of(&stage);
    for (before, after) in created.iter().zip(&after) {
        assert_eq!(before["by"], after["by"]);
        let has = |record: &serde_json::Value| {
            record["user_ids"].as_array().unwrap().iter().any(|id| *id == json!(colleague))
        };
        assert_eq!(has(before), has(after), "{after}");
    }
    assert_eq!(places(&stage.world, &[user_id.clone(), login]), [""; 0]);
    for command in [&["reclaim", "verify"] as &[&str], &["verify"], &["verify", "--deep"]] {
        stage.expect(&[0], command);
    }
    assert_eq!(stage.expect(&[0], &undo).stdout, would_undo);
}

/// Why: the key of erasures is in the store. An unfinished erasure that another program wrote decided which rows were rewritten.
#[test]
fn an_unfinished_erasure_that_was_forged_is_refused() {
    let world = World::new(Config { users: 40, groups: 4, seed: 78, ..Config::plain() });
    world.ok(&["sync"]);
    let (gone, _) = some_user(&world, |_| true);
    // The simulator makes the ids of aliases from the id of their user, and the search below would find it in them.
    let with_alias = world.rows("SELECT DISTINCT user_id FROM email_aliases");
    let has_alias = |user: &TrueUser| with_alias.iter().any(|row| row["user_id"] == json!(user.user_id));
    let (user, texts) = some_user(&world, |user| user.user_id != gone.user_id && !has_alias(user));
    for user_id in [&gone.user_id, &user.user_id] {
        world.simulator.act(&Act::DeleteUser { user_id: user_id.clone(), announced: true });
    }
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    world.simulator.step_days(3);
    world.ok(&["sync"]);
    let died = world
        .command(&["forget", &user.user_id, "--yes"])
        .env("BOXSEAT_FAILPOINT", "erasure begun")
        .output()
        .unwrap();
    assert!(died.status.code().is_none(), "the erasure never began");
    let file = world.store().join("state/erasure/pending.json");
    let written = std::fs::read_to_string(&file).unwrap();
    let forged = |field: &str, text: &str| {
        let mut file: serde_json::Value = serde_json::from_str(&written).unwrap();
        file["pending"]["identity"][field].as_array_mut().unwrap().push(json!(text));
        file.to_string()
    };
    let gone_login = gone.login.clone().unwrap().to_lowercase();
    let earlier = {
        let mut file: serde_json::Value = serde_json::from_str(&written).unwrap();
        let pending = file["pending"].take();
        json!({ "pending": pending, "mac": "0".repeat(64) }).to_string()
    };
    let history =
        format!("SELECT * FROM users_history WHERE user_id = '{}' ORDER BY version_no", gone.user_id);
    let before = world.rows(&history);
    for text in [forged("names", "done"), forged("addresses", &gone_login), earlier] {
        std::fs::write(&file, text).unwrap();
        let refused = world.run(&["forget", &user.user_id, "--yes"]);
        assert!(
            refused.code == 3
                && refused.stderr.contains("pending.json")
                && refused.stderr.contains("remove it"),
            "{}",
            refused.stderr
        );
    }
    // The remedy: what is left of the user is found by the id.
    std::fs::remove_file(&file).unwrap();
    world.ok(&["forget", &user.user_id, "--yes"]);
    assert_eq!(places(&world, &texts), [""; 0]);
    assert_eq!(world.rows(&history), before);
    world.ok(&["verify"]);
}

/// Why: an address passes from a user who is gone to another one. The rows of the first user are data of the first user.
#[test]
fn an_address_of_another_gone_user_stays_in_the_rows_of_that_user() {
    let world = World::new(Config { users: 40, groups: 4, seed: 79, ..Config::plain() });
    world.ok(&["sync"]);
    let (first, _) = some_user(&world, |_| true);
    let (user, _) = some_user(&world, |user| user.user_id != first.user_id);
    let login = first.login.clone().unwrap();
    world.simulator.act(&Act::DeleteUser { user_id: first.user_id.clone(), announced: true });
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let (user_id, to_user_id) = (first.user_id.clone(), user.user_id.clone());
    world.simulator.act(&Act::ReassignLogin { user_id, to_user_id, announced: true });
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    world.simulator.act(&Act::DeleteUser { user_id: user.user_id.clone(), announced: true });
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    world.simulator.step_days(3);
    world.ok(&["sync"]);
    let of = |id: &str| {
        format!(
            "SELECT count(*) FROM users_history WHERE user_id = '{id}' AND lower(login) = lower('{login}')"
        )
    };
    let before = world.value(&of(&first.user_id));
    assert_ne!(before, json!(0));
    assert_ne!(world.value(&of(&user.user_id)), json!(0));
    world.ok(&["forget", &user.user_id, "--yes"]);
    assert_eq!(world.value(&of(&first.user_id)), before);
    let left = format!("SELECT count(*) FROM users_history WHERE lower(login) = lower('{login}')");
    assert_eq!(world.value(&left), before, "the erased user's rows have no address");
    world.ok(&["verify"]);
}
