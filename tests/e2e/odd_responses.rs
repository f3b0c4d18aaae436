//! Responses that were not requested: an error with status 200, a page of a gateway, a record that never arrives. Each costs at
//! most its own object, is named, and is never read as "there is nothing".

use boxseat_simulator::{Act, Config, Effect, Fault};
use serde_json::{Value, json};

use crate::support::{Done, World};
use crate::truth::assert_equal_to_truth;

fn small() -> Config {
    Config { users: 120, groups: 14, logins: Some(2_000), seed: 23, late_events: 0.0, ..Config::default() }
}

fn body(status: u16, body: &str) -> Effect {
    Effect::Status { status, retry_after: None, code: None, body: Some(body.to_owned()) }
}

fn permanent(path: &str, effect: Effect) -> Fault {
    Fault { path: path.to_owned(), effect, ..Fault::default() }
}

#[track_caller]
fn assert_done(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, code, "{}", done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "no {word:?} in\n{}", done.stderr);
    }
}

/// An error object with status 200 was taken for the last page of its listing: 40 users became 20.
#[test]
fn an_error_with_status_200_is_no_last_page() {
    let errors = [
        r#"{"type":"error","status":503,"code":"unavailable","message":"down"}"#,
        r#"{"error":{"code":429,"message":"slow down"}}"#,
        "{}",
        r#"{"message":"maintenance"}"#,
    ];
    let aliases = "/2.0/users/*/email_aliases";
    for (place, error) in ["/2.0/users", "/2.0/groups", "/2.0/groups/", aliases, "/2.0/events"]
        .iter()
        .zip(errors.iter().cycle())
    {
        let world = World::new(small());
        world.simulator.add_fault(Fault::once(place, 1, body(200, error)));
        world.ok(&["sync"]);
        assert_eq!(world.simulator.fault_hits(), [1], "{place}");
        assert_equal_to_truth(&world);
    }
}

/// A page that announces groups and has none ended the listing.
#[test]
fn an_empty_page_that_announces_records_is_no_end() {
    let world = World::new(small());
    let empty = r#"{"total_count":8,"entries":[],"offset":0,"limit":1000}"#;
    world.simulator.add_fault(Fault::once("/2.0/groups", 1, body(200, empty)));
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}

/// One user's or group's record that always failed cost every run, and was not named.
#[test]
fn a_record_that_always_fails_is_named_and_requested_again() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let truth = world.simulator.truth();
    let user = truth.email_aliases[0].user_id.clone();
    let group = truth.memberships[0].group_id.clone();
    let (aliases, members) =
        (format!("/2.0/users/{user}/email_aliases"), format!("/2.0/groups/{group}/memberships"));
    world.simulator.step_days(1);
    world
        .simulator
        .add_fault(permanent(&aliases, body(400, r#"{"type":"error","status":400,"code":"bad_request"}"#)));
    world.simulator.add_fault(permanent(&members, Effect::MalformedJson));
    let done = world.run(&["sync", "--full"]);
    let subjects = [format!("the aliases of user {user}"), format!("the members of group {group}")];
    assert_done(&done, 4, &[&subjects[0], &subjects[1], "the next run requests it again"]);
    let reasons = world.rows("SELECT reason FROM rejects ORDER BY stream");
    assert!(
        reasons.len() == 2
            && reasons.iter().zip(&subjects).all(|(row, s)| row["reason"].as_str().unwrap().starts_with(s)),
        "{reasons:?}"
    );
    // The rows of the last run stay, and no user is reported as removed from a group.
    let kept = format!("SELECT count(*) FROM memberships WHERE group_id = '{group}'");
    let members_then = truth.memberships.iter().filter(|membership| membership.group_id == group).count();
    assert_eq!(world.value(&kept), json!(members_then));
    let removed =
        format!("SELECT count(*) FROM user_changes WHERE object_id = '{group}' AND change = 'group_removed'");
    assert_eq!(world.value(&removed), 0);
    world.simulator.clear_faults();
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}

/// A Box that fails with every record is down; its records are not invalid.
#[test]
fn many_records_that_fail_end_the_run() {
    let world = World::new(small());
    let broken = body(400, r#"{"type":"error","status":400,"code":"bad_request"}"#);
    // Not for the users themselves: a first 400 there is taken for a user field that this Box does not know.
    let path = "/2.0/users/*/email_aliases".into();
    let fault = Fault { path, effect: broken, share: 0.5, seed: Some(3), ..Fault::default() };
    world.simulator.add_fault(fault);
    let done = world.run(&["sync"]);
    assert_done(&done, 75, &["records could not be read", "the aliases of user"]);
    world.simulator.clear_faults();
    world.ok(&["sync"]);
    assert_equal_to_truth(&world);
}

/// A gateway's 404 about one group or user was taken for Box's response that there is nothing.
#[test]
fn a_page_of_a_gateway_proves_nothing_about_users_and_groups() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let truth = world.simulator.truth();
    let user = truth.email_aliases[0].user_id.clone();
    let group = truth.memberships[0].group_id.clone();
    for (path, effect) in [
        (format!("/2.0/users/{user}/email_aliases"), Effect::Html { status: 404 }),
        (format!("/2.0/groups/{group}/memberships"), body(404, r#"{"message":"no Route matched"}"#)),
    ] {
        world.simulator.add_fault(permanent(&path, effect));
    }
    let done = world.run(&["sync", "--full"]);
    assert_done(&done, 4, &["is not an error of Box"]);
    let counts = "SELECT (SELECT count(*) FROM memberships) AS memberships, (SELECT count(*) FROM email_aliases) AS aliases, (SELECT count(*) FROM user_changes) AS changes";
    let expected =
        json!({ "memberships": truth.memberships.len(), "aliases": truth.email_aliases.len(), "changes": 0 });
    assert_eq!(Value::Object(world.rows(counts).remove(0)), expected);
}

/// One byte that is not UTF-8, half an emoji or a raw control character cost a user, a page or the run.
#[test]
fn a_damaged_character_costs_one_character() {
    let world = World::new(small());
    let groups = r#"{"total_count":2,"limit":1000,"offset":0,"entries":[
        {"type":"group","id":"77","name":"Caf\ud83d","group_type":"managed_group"},
        {"type":"group","id":"78","name":"a	b","group_type":"managed_group"}]}"#;
    world.simulator.add_fault(Fault::once("/2.0/groups", 1, body(200, groups)));
    let done = world.run(&["sync"]);
    assert_done(&done, 0, &["2 characters that Box sent are damaged"]);
    let names = world.value("SELECT string_agg(name, '|' ORDER BY group_id) FROM groups");
    assert_eq!(names, "Caf\u{fffd}|a\u{fffd}b");
}

/// The deletion of one large group refused the whole run, although the admin log announced it.
#[test]
fn a_group_that_an_event_announces_as_deleted_is_no_shrinking() {
    let world = World::new(small());
    world.ok(&["sync"]);
    let largest = "SELECT group_id FROM memberships GROUP BY group_id ORDER BY count(*) DESC LIMIT 1";
    let group_id = world.value(largest).as_str().unwrap().to_owned();
    let share = "SELECT max(n) > sum(n) / 9 FROM (SELECT count(*) AS n FROM memberships GROUP BY group_id)";
    assert_eq!(world.value(share), true);
    world.simulator.step_days(1);
    world.simulator.act(&Act::DeleteGroup { group_id: group_id.clone(), announced: true });
    world.simulator.advance_secs(3_600);
    world.ok(&["sync"]);
    assert_eq!(world.value(&format!("SELECT count(*) FROM memberships WHERE group_id = '{group_id}'")), 0);

    let world = World::new(small());
    world.ok(&["sync"]);
    let group_id = world.value(largest).as_str().unwrap().to_owned();
    world.simulator.step_days(1);
    world.simulator.act(&Act::DeleteGroup { group_id, announced: false });
    assert_done(&world.run(&["sync"]), 3, &["memberships shrank", "gone without an event"]);
}
