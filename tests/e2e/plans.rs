//! Plans: the result of the policy, who reads it, who approves, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use boxseat_simulator::Config;
use chrono::TimeDelta;
use serde_json::Value;
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};

use crate::support::{Done, World, finish};

/// Some users with so few sign-ins that many are idle, without other changes.
fn small() -> Config {
    Config { users: 60, groups: 5, logins: Some(260), change_scale: 0.0, seed: 11, ..Config::plain() }
}

/// A world with a policy and one snapshot.
fn world(policy: &str) -> World {
    let world = World::new(small());
    write_policy(&world, policy);
    world.ok(&["sync"]);
    world
}

fn write_policy(world: &World, policy: &str) {
    std::fs::write(world.directory().join("policy.toml"), policy).unwrap();
    std::fs::write(world.directory().join("boxseat.toml"), "[reclaim]\npolicy = \"policy.toml\"\n").unwrap();
}

const POLICY: &str = "evidence = \"login_only\"\n[caps]\nseats_percent = 100.0\n";

#[track_caller]
fn refused(done: &Done, code: i32, told: &str) {
    assert_eq!(done.code, code, "{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains(told), "{told}\n{}", done.stderr);
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.stdout))
}

/// Plans a suspension; the plan's id.
#[track_caller]
fn plan(world: &World) -> String {
    let done = json(&world.ok(&["reclaim", "plan", "--format", "json"]));
    let plans = done["plans"].as_array().unwrap();
    assert_eq!((plans.len(), plans[0]["stage"].as_str()), (1, Some("suspend")), "{done}");
    plans[0]["plan"].as_str().unwrap().to_owned()
}

fn file_of(world: &World, plan_id: &str) -> PathBuf {
    world.store().join("state/reclaim/plans").join(format!("{plan_id}.json"))
}

fn people_in(world: &World, plan_id: &str) -> Vec<String> {
    let shown = json(&world.ok(&["reclaim", "show", plan_id, "--format", "json"]));
    let ids = |person: &Value| person["user_id"].as_str().unwrap().to_owned();
    let mut people: Vec<String> = shown["plan"]["people"].as_array().unwrap().iter().map(ids).collect();
    people.sort();
    people
}

/// Later by the data clock, with the same snapshot.
fn at(world: &World, hours: i64, args: &[&str]) -> Done {
    let mut command = world.command(args);
    command.env("BOXSEAT_NOW", (world.simulator.now() + TimeDelta::hours(hours)).to_rfc3339());
    finish(command.output().unwrap())
}

/// Why: the view for analysts, the count in the lake, and the plan for the approver must agree.
#[test]
fn the_snapshot_and_the_plan_agree() {
    let world = world(POLICY);
    let plan_id = plan(&world);
    let people = people_in(&world, &plan_id);
    assert!(people.len() > 5, "{people:?}");
    let rows = world.rows("SELECT user_id, stage FROM reclaimable_seats ORDER BY user_id");
    assert_eq!(
        rows.iter().map(|row| row["user_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        people
    );
    let counted = |world: &World| {
        world.value("SELECT reclaimable_count FROM seat_usage_daily ORDER BY run_number DESC LIMIT 1")
    };
    assert_eq!(counted(&world), people.len() as u64);
    let digest = world.value("SELECT policy_digest FROM seat_usage_daily");
    assert!(digest.as_str().unwrap().starts_with("sha256:"), "{digest}");
    // Every user in it is an ordinary user with 90 proven days.
    assert_eq!(world.value("SELECT count(*) FROM reclaimable_seats JOIN accounts USING (user_id) WHERE accounts.role <> 'user' \
        OR accounts.proven_idle_days < 90 OR accounts.seat_kind <> 'managed_user' OR box_status <> 'active'"), 0);
    let judged = world.value("SELECT count(*) FROM reclaim_candidates WHERE left_out_reason IS NULL");
    assert_eq!(judged, people.len() as u64);
    // An open plan without an approval changes none of it; a snapshot that is replayed, or not published, counts the same.
    world.ok(&["publish"]);
    assert_eq!(counted(&world), people.len() as u64);
    world.ok(&["replay", "--from", "1"]);
    assert_eq!(counted(&world), people.len() as u64);
    world.simulator.step_days(1);
    world.ok(&["sync", "--no-publish"]);
    world.ok(&["publish"]);
    assert!(counted(&world).as_u64() >= Some(5));
}

/// R7: a plan is a file that only its owner can read, shown in three formats.
#[test]
fn r7_a_plan_is_shown_before_it_is_approved() {
    let world = world(POLICY);
    let plan_id = plan(&world);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file_of(&world, &plan_id)), 0o600);
    assert_eq!(mode(file_of(&world, &plan_id).parent().unwrap()), 0o700);
    let table = world.ok(&["reclaim", "show", &plan_id]).stdout;
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("open, not approved") && table.contains("all of them proved"), "{table}");
    let page = world.ok(&["reclaim", "show", &plan_id, "--format", "markdown"]).stdout;
    assert!(page.starts_with("# Plan ") && page.contains("\n| | who | why |"), "{page}");
    let shown = json(&world.ok(&["reclaim", "show", &plan_id, "--format", "json"]));
    assert_eq!((shown["schema_version"].as_u64(), shown["plan"]["format"].as_u64()), (Some(1), Some(2)));
    assert_eq!(
        shown["plan"]["left_out"].as_array().unwrap().len() as u64,
        shown["left_out_counts"]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum::<u64>()
    );
    let differences = json(&world.ok(&["reclaim", "diff", &plan_id, "--format", "json"]));
    assert_eq!(differences["differences"], serde_json::json!([]));
    // One user signs in and another is made an admin: a new plan would exclude them.
    let people = people_in(&world, &plan_id);
    world.simulator.act(&boxseat_simulator::Act::Login { user_id: people[0].clone() });
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let differences = json(&world.ok(&["reclaim", "diff", &plan_id, "--format", "json"]));
    let left: Vec<&Value> =
        differences["differences"].as_array().unwrap().iter().filter(|one| one["change"] == "left").collect();
    assert!(left.iter().any(|one| one["user_id"] == people[0].as_str()), "{differences}");
}

/// R7, R9: a plan that was edited, is another store's, expired or was replaced cannot be approved.
#[test]
fn r9_only_the_plan_as_it_was_made_is_approved() {
    let world = world(POLICY);
    let plan_id = plan(&world);
    let path = file_of(&world, &plan_id);
    let own = std::fs::read_to_string(&path).unwrap();
    refused(&at(&world, 24 * 8, &["reclaim", "approve", &plan_id]), 3, "expired");
    std::fs::write(&path, own.replacen("Not used", "Really not used", 1)).unwrap();
    refused(&world.run(&["reclaim", "approve", &plan_id]), 3, "as it was made");
    assert_eq!(world.run(&["reclaim", "show", &plan_id]).code, 3, "and it is shown as what it is");
    std::fs::write(&path, &own).unwrap();
    // The same plan, copied into another store.
    let other = World::new(Config { seed: 12, ..small() });
    write_policy(&other, POLICY);
    other.ok(&["sync"]);
    refused(&other.run(&["reclaim", "approve", path.to_str().unwrap()]), 3, "another store");
    refused(&world.run(&["reclaim", "approve", "2026-01-01-suspend-000000"]), 2, "there is no plan");
    let approved = json(&world.ok(&["reclaim", "approve", &plan_id, "--format", "json"]));
    assert!(approved["approval"]["approved_by"].as_str().is_some_and(|name| !name.is_empty()), "{approved}");
    assert!(world.ok(&["reclaim", "show", &plan_id]).stdout.contains("open, approved"));
    // It is approved now: a new plan must wait, while a plan without an approval would have been replaced.
    refused(&world.run(&["reclaim", "plan", "--stage", "suspend"]), 3, "is open and approved");
}

/// R8: the next plan replaces a plan without an approval, which cannot be used any more.
#[test]
fn r8_a_new_plan_replaces_one_without_approval() {
    let world = world(POLICY);
    let first = plan(&world);
    let second = json(&at(&world, 1, &["reclaim", "plan", "--format", "json"]))["plans"][0]["plan"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(first, second);
    refused(&world.run(&["reclaim", "approve", &first]), 3, "closed: withdrawn");
    assert_eq!(people_in(&world, &first), people_in(&world, &second));
    // R8: the caps are counted over all of them.
    write_policy(&world, &POLICY.replace("[caps]", "[caps]\npeople = 3"));
    let third = json(&at(&world, 2, &["reclaim", "plan", "--format", "json"]));
    assert_eq!(third["plans"][0]["people"], 3);
}

/// R9: two operators, or a signature, where the policy requires them.
#[test]
fn r9_the_policy_says_who_may_approve() {
    let world = world(&format!("{POLICY}[approval]\ntwo_person = true\n"));
    let plan_id = plan(&world);
    refused(&world.run(&["reclaim", "approve", &plan_id]), 3, "another user");

    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
    let signers = format!("chief@acme.test {}\n", key.public_key().to_openssh().unwrap());
    std::fs::write(world.directory().join("signers"), signers).unwrap();
    write_policy(&world, &format!("{POLICY}[approval]\nkind = \"signed\"\nallowed_signers = \"signers\"\n"));
    // The required approval is that of the policy from which the plan was made.
    refused(&world.run(&["reclaim", "approve", &plan_id]), 2, "ssh-keygen -Y sign");
    let plan_id = plan(&world);
    refused(&world.run(&["reclaim", "approve", &plan_id]), 2, "ssh-keygen -Y sign");
    let plan = std::fs::read(file_of(&world, &plan_id)).unwrap();
    let sign = |message: &[u8], namespace: &str| {
        let path = world.directory().join("plan.sig");
        std::fs::write(
            &path,
            key.sign(namespace, HashAlg::Sha512, message).unwrap().to_pem(LineEnding::LF).unwrap(),
        )
        .unwrap();
        path.display().to_string()
    };
    let approve = |signature: &str| {
        world.run(&["reclaim", "approve", &plan_id, "--signature", signature, "--format", "json"])
    };
    refused(&approve(&sign(b"another plan", "boxseat-plan")), 3, "not a signature of this plan");
    refused(&approve(&sign(&plan, "file")), 3, "-n boxseat-plan");
    let done = approve(&sign(&plan, "boxseat-plan"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(json(&done)["approval"]["signed_by"], "chief@acme.test");

    // A signature made by OpenSSH counts the same.
    let private = world.directory().join("id");
    std::fs::write(&private, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    let copy = world.directory().join("plan.json");
    std::fs::write(&copy, &plan).unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", "boxseat-plan", "-f"])
        .arg(&private)
        .arg(&copy)
        .output();
    match made {
        Err(e) => println!("not tried with OpenSSH, which is not here: {e}"),
        Ok(made) => {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let done = approve(&format!("{}.sig", copy.display()));
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
    }
}

/// R4, R10: a refused plan names the rule and the remedy, and `policy --check` reports all of it before.
#[test]
fn missing_input_is_reported_before_a_plan_is_made() {
    let world = world(POLICY);
    let check = world.ok(&["reclaim", "policy", "--check"]).stdout;
    assert!(
        check.contains("After 90 proven idle days") && check.contains("A plan to suspend would contain"),
        "{check}"
    );
    refused(&at(&world, 41, &["reclaim", "plan"]), 3, "R10: the published snapshot is 40 hours old");
    let login = world.value("SELECT login FROM reclaimable_seats ORDER BY user_id LIMIT 1");
    let login = login.as_str().unwrap();
    write_policy(
        &world,
        &format!("{POLICY}[protect]\nlogins = [\"{}\", \"nobody@acme.test\"]\n", login.to_uppercase()),
    );
    let check = world.run(&["reclaim", "policy", "--check"]);
    assert_eq!(check.code, 3, "{}", check.stdout);
    assert!(
        check.stdout.contains(&format!("[protect] login {} protects 1 user", login.to_lowercase())),
        "{}",
        check.stdout
    );
    assert!(
        check.stdout.contains("R4: [protect] login nobody@acme.test matches no user"),
        "{}",
        check.stdout
    );
    refused(&world.run(&["reclaim", "plan"]), 3, "R4: [protect] login nobody@acme.test matches no user");
    write_policy(&world, &format!("{POLICY}[protect]\nlogins = [\"{login}\"]\n"));
    let protected = world.value(&format!("SELECT user_id FROM accounts WHERE login = '{login}'"));
    let plan_id = plan(&world);
    assert!(!people_in(&world, &plan_id).contains(&protected.as_str().unwrap().to_owned()));
    refused(&World::new(small()).run(&["reclaim", "plan"]), 2, "is not a boxseat store");
    write_policy(&world, "evidence = \"login_only\"\nfurthest_stage = \"delete\"\n");
    refused(&world.run(&["reclaim", "plan"]), 2, "policy.toml, line 2: furthest_stage");
}

/// Why: the policy is the licence manager's file; an error in it must not cost the operator the snapshot.
#[test]
fn a_broken_policy_costs_no_snapshot() {
    let world = World::new(small());
    write_policy(&world, "evidence = \"login\"\n");
    let done = world.ok(&["sync"]);
    assert!(done.stderr.contains("policy_usable") && done.stderr.contains("policy.toml"), "{}", done.stderr);
    assert_eq!(world.value("SELECT reclaimable_count FROM seat_usage_daily"), Value::Null);
    assert!(world.ok(&["status"]).stdout.contains("policy_usable"));
    write_policy(&world, POLICY);
    world.ok(&["publish"]);
    assert!(world.value("SELECT count(*) FROM reclaimable_seats").as_u64() > Some(0));
    assert_eq!(
        world.value("SELECT reclaimable_count FROM seat_usage_daily"),
        Value::Null,
        "as it was known then"
    );
}
