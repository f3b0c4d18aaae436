//! Approvals that cannot be bypassed (R9, R19): each scenario is an attack or an error, and checks the accounts concerned.

use std::path::Path;

use serde_json::json;
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};

use super::leaving::{login_of, worker};
use super::*;

const SIGNED: &str = "[approval]\nkind = \"signed\"\nallowed_signers = \"signers\"\n";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// Writes a list of allowed signers next to the policy.
fn write_signers(stage: &Stage, file: &str, signers: &[(&str, &PrivateKey)]) {
    let line = |(name, key): &(&str, &PrivateKey)| {
        format!("{name}@acme.test {}\n", key.public_key().to_openssh().unwrap())
    };
    std::fs::write(stage.world.directory().join(file), signers.iter().map(line).collect::<String>()).unwrap();
}

/// Signs the file of a plan; the path of the signature.
fn sign(stage: &Stage, plan: &str, key: &PrivateKey) -> String {
    let bytes = std::fs::read(stage.state().join("plans").join(format!("{plan}.json"))).unwrap();
    let signature = key.sign("boxseat-plan", HashAlg::Sha512, &bytes).unwrap();
    let path = stage.world.directory().join(format!("{plan}.sig"));
    std::fs::write(&path, signature.to_pem(LineEnding::LF).unwrap()).unwrap();
    path.display().to_string()
}

/// Writes another policy file; its path.
fn write_other(stage: &Stage, name: &str, text: &str) -> String {
    let path = stage.world.directory().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn signed_stage(signers: &[(&str, &PrivateKey)]) -> (Stage, Vec<String>) {
    let (stage, idle) = staged(Intent { more: SIGNED.to_owned(), ..Intent::default() });
    write_signers(&stage, "signers", signers);
    (stage, idle)
}

#[track_caller]
fn refused(stage: &Stage, code: i32, args: &[&str], told: &str) {
    let done = stage.expect(&[code], args);
    assert!(done.stderr.contains(told), "{told}\n{}", done.stderr);
}

/// R9: `approve --policy` with a list of signers of its own was enough to approve a plan.
#[test]
fn r9_signers_that_another_policy_brings_approve_nothing() {
    let (chief, mallory) = (key(1), key(2));
    let (stage, idle) = signed_stage(&[("chief", &chief)]);
    let plan = plan_of(&stage, "suspend");
    write_signers(&stage, "others", &[("mallory", &mallory)]);
    let other = stage.intent.toml().replace("\"signers\"", "\"others\"");
    let other = write_other(&stage, "other.toml", &other);
    let signature = sign(&stage, &plan, &mallory);
    let approve = ["reclaim", "approve", &plan, "--signature", &signature];
    refused(
        &stage,
        2,
        &[&["reclaim", "--policy", &other], &approve[1..]].concat(),
        "allowed_signers differs",
    );
    refused(&stage, 3, &approve, "no entry of the list of allowed signers");
    // Another configuration does not help either: the plan pins its signers.
    let config = write_other(&stage, "other-boxseat.toml", "[reclaim]\npolicy = \"other.toml\"\n");
    refused(
        &stage,
        3,
        &[&["--config", &config], &approve[..]].concat(),
        "no entry of the list of allowed signers",
    );
    refused(&stage, 3, &["--config", &config, "reclaim", "apply", &plan, "--yes"], "is not approved");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    let signature = sign(&stage, &plan, &chief);
    stage.expect(&[0], &["reclaim", "approve", &plan, "--signature", &signature]);
    stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.judge();
}

/// R9: `apply --policy` with the policy of last month lacked a protection added since.
#[test]
fn r9_an_older_policy_does_not_waive_a_protection_added_since() {
    let (mut stage, idle) = staged(Intent::default());
    let old = write_other(&stage, "old.toml", &stage.intent.toml());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    stage.intent.protected_ids.insert(idle[0].clone());
    stage.write_policy();
    let done = stage.expect(&[4], &["reclaim", "--policy", &old, "apply", &plan, "--yes"]);
    assert_eq!(outcome(&done, &idle[0]), "protected");
    assert_eq!(
        (status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()),
        ("active", "inactive")
    );
    stage.judge();
}

/// R9: the approval in the journal named a principal, without proof that there had been a signature.
#[test]
fn r9_the_signature_is_verified_again_by_apply() {
    let (chief, deputy) = (key(1), key(2));
    let (stage, idle) = signed_stage(&[("chief", &chief), ("deputy", &deputy)]);
    let plan = plan_of(&stage, "suspend");
    let signature = sign(&stage, &plan, &chief);
    stage.expect(&[0], &["reclaim", "approve", &plan, "--signature", &signature]);
    write_signers(&stage, "signers", &[("deputy", &deputy)]);
    refused(&stage, 3, &["reclaim", "apply", &plan, "--yes"], "no entry of the list of allowed signers");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    let signature = sign(&stage, &plan, &deputy);
    stage.expect(&[0], &["reclaim", "approve", &plan, "--signature", &signature]);
    stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    stage.judge();
}

/// R9: a policy that named a file with a secret as its list of signers stored the lines of that file in the plan, and `show` printed them.
#[test]
fn r9_a_file_that_is_no_list_of_signers_is_neither_stored_nor_shown() {
    let (stage, _) = staged(Intent::default());
    plan_of(&stage, "suspend");
    let plans = stage.plans();
    let secret = stage.state().join("journal_key");
    let text = std::fs::read_to_string(&secret).unwrap();
    let signed = |file: &Path| {
        let policy = stage.intent.toml();
        format!("{policy}[approval]\nkind = \"signed\"\nallowed_signers = \"{}\"\n", file.display())
    };
    let other = write_other(&stage, "other.toml", &signed(&secret));
    let done = stage.expect(&[2], &["reclaim", "--policy", &other, "plan"]);
    assert!(done.stderr.contains("journal_key: line 1 is no entry of such a list"), "{}", done.stderr);
    for line in text.lines().filter(|line| line.len() > 4) {
        assert!(!done.stderr.contains(line) && !done.stdout.contains(line), "{}{}", done.stdout, done.stderr);
    }
    assert_eq!(stage.plans(), plans);
    let public = key(1).public_key().to_openssh().unwrap();
    write_other(&stage, "signers", &format!("# a comment\nchief@acme.test {public} of the chief\n"));
    let other = write_other(&stage, "other.toml", &signed(&stage.world.directory().join("signers")));
    stage.expect(&[0, 4], &["reclaim", "--policy", &other, "plan"]);
    let plan =
        stage.plans().into_iter().find(|plan| plan.contains("suspend") && !plans.contains(plan)).unwrap();
    let shown = stage.expect(&[0], &["reclaim", "show", &plan, "--format", "json"]).stdout;
    assert!(shown.contains("chief@acme.test ssh-ed25519 AAAA"), "{shown}");
    assert!(!shown.contains("of the chief") && !shown.contains("a comment"), "{shown}");
}

/// R9: an approval that was enough when it was given is no longer enough when the policy demands more; nightly reports it, too.
#[test]
fn r9_a_later_policy_demands_more_of_an_earlier_approval() {
    let (mut stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    for (more, told) in [
        ("[approval]\ntwo_person = true\n", "requires another user to approve it"),
        ("[approval]\napprovers = 2\n", "is approved by 1 of 2 users"),
        (SIGNED, "there is no signature"),
    ] {
        write_signers(&stage, "signers", &[("chief", &key(1))]);
        stage.intent.more = more.to_owned();
        stage.write_policy();
        refused(&stage, 3, &["reclaim", "apply", &plan, "--yes"], told);
        stage.expect(&[0, 3], &["reclaim", "nightly"]);
        assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"), "{more}");
    }
}

/// R9: two keys are two approvers; the same key twice is one.
#[test]
fn r9_two_approvers_are_two_keys() {
    let (chief, deputy) = (key(1), key(2));
    let more = format!("{SIGNED}approvers = 2\n");
    let (stage, idle) = staged(Intent { more, ..Intent::default() });
    write_signers(&stage, "signers", &[("chief", &chief), ("deputy", &deputy)]);
    let plan = plan_of(&stage, "suspend");
    let shown = stage.expect(&[0], &["reclaim", "show", &plan]).stdout;
    assert!(shown.contains("approval by 2 of 2 allowed signers (signed)"), "{shown}");
    let approve = |key: &PrivateKey| {
        let signature = sign(&stage, &plan, key);
        stage.expect(&[0], &["reclaim", "approve", &plan, "--signature", &signature])
    };
    let done = approve(&chief);
    assert!(done.stderr.contains("needs 2 approvals"), "{}", done.stderr);
    approve(&chief);
    assert!(stage.expect(&[0], &["reclaim", "status"]).stdout.contains("approved by 1 of 2"));
    let done = stage.expect(&[0], &["reclaim", "nightly"]);
    assert!(done.stdout.contains("not_approved"), "{}", done.stdout);
    refused(&stage, 3, &["reclaim", "apply", &plan, "--yes"], "is approved by 1 of 2 users");
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
    approve(&deputy);
    stage.expect(&[0], &["reclaim", "apply", &plan, "--yes"]);
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "inactive"));
    stage.judge();
}

/// R9: a policy that only `--policy` names can be planned with, and approves nothing.
#[test]
fn r9_without_a_configured_policy_nothing_is_approved_or_applied() {
    let (stage, idle) = staged(Intent::default());
    let plan = plan_of(&stage, "suspend");
    let policy = stage.world.directory().join("policy.toml").display().to_string();
    let config = write_other(&stage, "empty.toml", "");
    for verb in [&["approve", &plan][..], &["apply", &plan, "--yes"]] {
        let args = [&["--config", &config, "reclaim", "--policy", &policy], verb].concat();
        refused(&stage, 2, &args, "[reclaim] policy of boxseat.toml");
    }
    assert!(idle.iter().all(|user_id| status(&stage, user_id) == "active"));
}

/// R19: `offboard` approved itself, whatever `[approval]` said. After the approval the leaver is locked out, even if the login was
/// changed or a list became invalid meanwhile; the content stays then.
#[test]
fn r19_an_offboarding_waits_for_the_signature_and_then_always_locks_out() {
    let chief = key(1);
    let slips = [("login", 4, "1 changed"), ("list", 3, "1 lists_unsure"), ("no list", 2, "1 lists_unsure")];
    for (slip, code, told) in slips {
        let (mut stage, _) = signed_stage(&[("chief", &chief)]);
        let leaver = worker(&stage);
        stage.give(&leaver, 5, 0);
        let (login, to) =
            (login_of(&stage, &leaver), login_of(&stage, stage.intent.receiver.as_ref().unwrap()));
        let done =
            stage.expect(&[0], &["offboard", &login, "--transfer-to", &to, "--yes", "--confirm", &login]);
        assert!(done.stderr.contains("ssh-keygen -Y sign"), "{}", done.stderr);
        let plan = stage.plans().into_iter().find(|plan| plan.contains("offboard")).unwrap();
        refused(&stage, 3, &["reclaim", "apply", &plan, "--yes"], "is not approved");
        stage.expect(&[0, 4], &["reclaim", "nightly"]);
        assert_eq!(status(&stage, &leaver), "active");
        let signature = sign(&stage, &plan, &chief);
        stage.expect(&[0], &["reclaim", "approve", &plan, "--signature", &signature]);
        if slip == "login" {
            let body = json!({"login": "left@acme.test"});
            stage.simulator().act(&Act::EditUser { user_id: leaver.clone(), body, announced: true });
        } else if slip == "list" {
            stage.intent.held.insert("999".to_owned());
            stage.write_policy();
        } else {
            std::fs::remove_file(stage.world.directory().join("holds.csv")).unwrap();
        }
        let done = stage.expect(&[code], &["reclaim", "nightly"]);
        assert!(done.stdout.contains(told), "{}", done.stdout);
        assert_eq!(status(&stage, &leaver), "inactive", "{slip}");
        assert_eq!(stage.simulator().content(&leaver).unwrap().owned_items, 5, "{slip}");
    }
}

/// R19: a leaver that an administrator has suspended since the plan is signed out, and the content still moves.
#[test]
fn r19_a_leaver_that_another_actor_suspended_is_signed_out_and_moved() {
    let chief = key(1);
    let (stage, _) = signed_stage(&[("chief", &chief)]);
    let leaver = worker(&stage);
    stage.give(&leaver, 5, 0);
    let (login, to) = (login_of(&stage, &leaver), login_of(&stage, stage.intent.receiver.as_ref().unwrap()));
    stage.expect(&[0], &["offboard", &login, "--transfer-to", &to, "--yes", "--confirm", &login]);
    let plan = stage.plans().into_iter().find(|plan| plan.contains("offboard")).unwrap();
    let signature = sign(&stage, &plan, &chief);
    stage.expect(&[0], &["reclaim", "approve", &plan, "--signature", &signature]);
    let off = Act::SetStatus { user_id: leaver.clone(), status: "inactive".to_owned(), announced: true };
    stage.simulator().act(&off);
    // The items of an inactive account could not be counted, so it is not deleted, and the reason is shown.
    let done = stage.expect(&[4], &["reclaim", "apply", &plan, "--yes"]);
    assert_eq!(outcome(&done, &leaver), "unverifiable", "{}", done.stdout);
    assert_eq!(status(&stage, &leaver), "inactive");
    assert_eq!(stage.simulator().content(&leaver).unwrap().owned_items, 0);
}

/// R19: without a limit of its own, `offboard` in a loop locks out the enterprise.
#[test]
fn r19_offboardings_have_a_limit_a_day() {
    let (mut stage, idle) = staged(Intent::default());
    let file = stage.world.directory().join("boxseat.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{text}[offboard]\npeople_per_day = 1\n")).unwrap();
    let to = login_of(&stage, stage.intent.receiver.as_ref().unwrap());
    let offboard = |stage: &Stage, user_id: &str, more: &[&str], code: i32| {
        let login = login_of(stage, user_id);
        let args = ["offboard", &login, "--transfer-to", &to, "--yes", "--confirm", &login];
        stage.expect(&[code], &[&args, more].concat())
    };
    offboard(&stage, &idle[0], &[], 0);
    let done = offboard(&stage, &idle[1], &[], 3);
    assert!(done.stderr.contains("[offboard] people_per_day = 1"), "{}", done.stderr);
    assert_eq!(
        (status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()),
        ("inactive", "active")
    );
    let day = (stage.simulator().now() + TimeDelta::days(1)).date_naive().to_string();
    offboard(&stage, &idle[1], &["--on", &day], 0);
    stage.later(2);
    stage.expect(&[0, 4], &["reclaim", "nightly"]);
    assert_eq!(status(&stage, &idle[1]), "inactive");
}
