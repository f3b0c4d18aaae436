//! Logins that move from one account to another between two steps.

use boxseat_simulator::{Effect, Fault, Verb};
use serde_json::json;

use super::leaving::{login_of, worker};
use super::*;

/// Suspends the users of a plan and stops before their sessions are ended. Then the first user's login becomes another user's.
/// Returns the plan, the suspended user, the old login and its new owner.
fn renamed_before_sign_out(stage: &Stage, idle: &[String]) -> (String, String, String, String) {
    let plan = plan_of(stage, "suspend");
    stage.expect(&[0], &["reclaim", "approve", &plan]);
    killed_at(stage, &["reclaim", "apply", &plan, "--yes"], "before terminate_sessions");
    let (suspended, other) = (idle[0].clone(), worker(stage));
    let login = login_of(stage, &suspended);
    stage.simulator().act(&Act::ReassignLogin {
        user_id: suspended.clone(),
        to_user_id: other.clone(),
        announced: true,
    });
    (plan, suspended, login, other)
}

/// Users whose sessions were ended.
fn signed_out(stage: &Stage) -> Vec<String> {
    let deeds = stage.simulator().deeds();
    let ended = deeds.into_iter().filter(|deed| deed.verb == Verb::EndSessions && deed.is_applied);
    ended.map(|deed| deed.user_id).collect()
}

/// Why: the call named the login of the day of the suspension. By then it was another user's, who was signed out.
#[test]
fn r13_sessions_are_ended_for_the_login_that_the_account_has_now() {
    let (stage, idle) = staged(Intent::default());
    let (plan, suspended, _, other) = renamed_before_sign_out(&stage, &idle);
    let done = run_later(&stage, 10, &["reclaim", "apply", &plan, "--yes"]);
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    let signed_out = signed_out(&stage);
    assert!(signed_out.contains(&suspended), "{signed_out:?}");
    assert!(!signed_out.contains(&other), "{signed_out:?}");
    stage.judge();
}

/// R13: a response of Box that still shows the old login does not sign out the login's new owner.
#[test]
fn r13_no_sessions_are_ended_while_the_login_belongs_to_another_account() {
    let (mut stage, idle) = staged(Intent::default());
    let (plan, suspended, login, other) = renamed_before_sign_out(&stage, &idle);
    stage.night();
    let stale = json!({"type": "user", "id": suspended, "login": login, "status": "inactive"}).to_string();
    let effect = Effect::Status { status: 200, retry_after: None, code: None, body: Some(stale) };
    let path = format!("/2.0/users/{suspended}$");
    stage.simulator().add_fault(Fault { method: "GET".to_owned(), ..Fault::once(&path, 50, effect) });
    let done = run_later(&stage, 10, &["reclaim", "apply", &plan, "--yes"]);
    assert_eq!(done.code, 4, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(outcome(&done, &suspended), "login_of_other", "{}", done.stdout);
    assert!(detail(&done, &suspended).contains(&other), "{}", done.stdout);
    assert!(signed_out(&stage).iter().all(|user_id| *user_id != other && *user_id != suspended));
    stage.simulator().clear_faults();
    let done = run_later(&stage, 20, &["reclaim", "apply", &plan, "--yes"]);
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    assert!(signed_out(&stage).contains(&suspended));
    stage.judge();
}

/// R3: an account that got an address of the list of holds after the snapshot is on hold.
#[test]
fn r3_an_address_on_the_list_of_holds_protects_its_new_account() {
    let (mut stage, idle) = staged(Intent::default());
    let held = worker(&stage);
    let address = "held@acme.test".to_owned();
    let rename =
        |login: &str| Act::EditUser { user_id: held.clone(), body: json!({"login": login}), announced: true };
    stage.simulator().act(&rename(&address));
    stage.intent.held.insert(address.clone());
    stage.write_policy();
    stage.night();
    let plan = plan_of(&stage, "suspend");
    stage.simulator().act(&rename("renamed@acme.test"));
    let alias = Act::AddAlias { user_id: idle[0].clone(), email: address, is_confirmed: true };
    stage.simulator().act(&alias);
    let done = apply(&stage, &plan, &[4]);
    assert_eq!(outcome(&done, &idle[0]), "on_hold", "{}", done.stdout);
    assert_eq!(
        (status(&stage, &idle[0]).as_str(), status(&stage, &idle[1]).as_str()),
        ("active", "inactive")
    );
}
