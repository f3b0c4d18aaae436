//! The enterprise, its policy, and what happens between two commands: all random, from the seed.

use std::collections::BTreeMap;

use boxseat_simulator::{Act, App, Config, Effect, Fault, Hand, Hold, Running, Scopes, TrueUser};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use boxseat_reclaim_checker::Intent;

/// A small enterprise without changes of its own.
pub(super) fn config(rng: &mut ChaCha8Rng, seed: u64) -> Config {
    Config {
        seed,
        users: rng.random_range(12..=25),
        groups: rng.random_range(3..=5),
        logins: Some(rng.random_range(20..120)),
        idle_share: 0.5,
        change_scale: 0.0,
        calls_per_minute: None,
        gzip: false,
        record_requests: 0,
        owned_content_status: [400, 403, 409][rng.random_range(0..3)],
        out_of_reach_status: if rng.random_bool(0.5) { 404 } else { 403 },
        as_user_when_inactive: rng.random_bool(0.4),
        inactive_transfer_status: rng.random_bool(0.4).then(|| [400, 403][rng.random_range(0..2)]),
        keeps_to_quota: rng.random_bool(0.5),
        holds_refuse_unforced: rng.random_bool(0.5),
        has_retention_policies: rng.random_bool(0.2),
        directory_recreates_after_days: rng.random_bool(0.2).then(|| rng.random_range(1..5)),
        repeated_events: if rng.random_bool(0.3) { 0.3 } else { 0.0 },
        late_events: 0.0,
        ..Config::plain()
    }
}

/// Users of role `user`, as they are now.
pub(super) fn ordinary(simulator: &Running) -> Vec<TrueUser> {
    let mut users = simulator.truth_without_events().users;
    users.retain(|user| user.role == "user" && !user.is_platform_access_only);
    users
}

/// The content of each user at the beginning: items, and the shared ones among them.
pub(super) fn furnish(rng: &mut ChaCha8Rng, simulator: &Running) -> BTreeMap<String, (u32, u32)> {
    let mut content = BTreeMap::new();
    for user in ordinary(simulator) {
        let items = [0, 1, 3, 7][rng.random_range(0..4)];
        let shared = if rng.random_bool(0.25) { rng.random_range(0..=items) } else { 0 };
        let bytes = if items == 0 { 0 } else { rng.random_range(0..5) * 1_000 };
        content.insert(user.user_id.clone(), (items, shared));
        simulator.act(&Act::SetContent { user_id: user.user_id, items, bytes, shared });
    }
    content
}

/// A policy for this enterprise. The receiver is a user with room.
pub(super) fn intent(rng: &mut ChaCha8Rng, simulator: &Running) -> Intent {
    let truth = simulator.truth_without_events();
    let people = ordinary(simulator);
    let active: Vec<&TrueUser> = people.iter().filter(|user| user.status == "active").collect();
    let some_user = |rng: &mut ChaCha8Rng| active[rng.random_range(0..active.len())];
    let receiver = some_user(rng).user_id.clone();
    let body = json!({"space_amount": if rng.random_bool(0.8) { -1 } else { 100_000_000_000i64 }});
    simulator.act(&Act::EditUser { user_id: receiver.clone(), body, announced: true });
    let transfer_after_days = rng.random_range(0..6);
    let mut intent = Intent {
        furthest_stage: ["suspend", "transfer", "delete", "delete", "delete"][rng.random_range(0..5)],
        suspend_after_idle_days: [60, 90, 120][rng.random_range(0..3)],
        transfer_after_days,
        delete_after_days: rng.random_range(transfer_after_days + 2..12),
        shared_content: ["leave_out", "transfer_first", "suspend_anyway"][rng.random_range(0..3)],
        notify: rng.random_bool(0.3),
        when_refused: if rng.random_bool(0.6) { "reactivate" } else { "stop" },
        receiver: Some(receiver),
        new_user_grace_days: 30,
        returned_grace_days: 20,
        ..Intent::default()
    };
    if rng.random_bool(0.3) {
        intent.cap_people = rng.random_range(1..4);
    }
    if rng.random_bool(0.4) {
        intent.protected_ids.insert(some_user(rng).user_id.clone());
    }
    if rng.random_bool(0.6) {
        intent.protected_logins.extend(some_user(rng).login.as_deref().map(str::to_lowercase));
    }
    if rng.random_bool(0.3) {
        let alias =
            truth.email_aliases.iter().find(|alias| active.iter().any(|user| user.user_id == alias.user_id));
        intent.protected_logins.extend(alias.map(|alias| alias.email.to_lowercase()));
    }
    if rng.random_bool(0.4) {
        let used = truth.memberships.iter().map(|member| &member.group_id).max();
        intent.protected_groups.extend(used.cloned());
    }
    if rng.random_bool(0.4) {
        intent.held.insert(some_user(rng).user_id.clone());
    }
    if rng.random_bool(0.4) {
        let to = ["2026-03-05", "2026-03-20", "2026-12-31"][rng.random_range(0..3)];
        intent.leaves.push((some_user(rng).user_id.clone(), "2026-02-01".to_owned(), to.to_owned()));
    }
    intent
}

/// One thing happens, mostly to a user in a plan. A second or a few hours pass first, so that before and after can be
/// distinguished.
pub(super) fn happens(rng: &mut ChaCha8Rng, simulator: &Running, planned: &[String], intent: &Intent) {
    simulator.advance_secs(rng.random_range(1..600));
    let truth = simulator.truth_without_events();
    let everybody = ordinary(simulator);
    let anybody = |rng: &mut ChaCha8Rng| everybody[rng.random_range(0..everybody.len())].user_id.clone();
    let planned: Vec<&String> =
        planned.iter().filter(|id| everybody.iter().any(|user| user.user_id == **id)).collect();
    let user_id = match planned.len() {
        0 => anybody(rng),
        count if rng.random_bool(0.7) => planned[rng.random_range(0..count)].clone(),
        _ => anybody(rng),
    };
    let receiver = intent.receiver.clone().expect("every policy here names one");
    let login = everybody
        .iter()
        .find(|user| user.user_id == user_id)
        .and_then(|user| user.login.clone())
        .unwrap_or_default();
    let group_id = truth
        .groups
        .iter()
        .filter(|group| group.group_type == "managed_group")
        .map(|group| &group.group_id)
        .max();
    let group_id = group_id.cloned().unwrap_or_default();
    let edit = |body: Value, announced: bool| Act::EditUser { user_id: user_id.clone(), body, announced };
    let status = |status: &str, announced: bool| Act::SetStatus {
        user_id: user_id.clone(),
        status: status.to_owned(),
        announced,
    };
    let act = match rng.random_range(0..34) {
        0..4 => Act::Login { user_id: user_id.clone() },
        4..6 => Act::LateLogin { user_id: user_id.clone(), arrives_in_hours: rng.random_range(1..40) },
        6 => edit(json!({"job_title": "Cook"}), true),
        7 => edit(json!({"role": "coadmin"}), rng.random_bool(0.5)),
        8 => status("inactive", true),
        9..11 => status("active", rng.random_bool(0.5)),
        11 => status("cannot_delete_edit", true),
        12 => {
            edit(json!({"login": format!("n{}.{login}", rng.random_range(0..1_000))}), rng.random_bool(0.5))
        }
        13 => Act::AddMember { user_id: user_id.clone(), group_id, announced: true },
        14 => Act::RemoveMember { user_id: user_id.clone(), group_id, announced: rng.random_bool(0.5) },
        15..17 => {
            Act::AddContent { user_id: user_id.clone(), items: 2, bytes: 50, shared: rng.random_range(0..2) }
        }
        17 => Act::DeleteUser { user_id: user_id.clone(), announced: true },
        18 => Act::ReassignLogin { user_id: user_id.clone(), to_user_id: anybody(rng), announced: true },
        19 => Act::LockUser {
            user_id: user_id.clone(),
            days: rng.random_range(0..2),
            calls: rng.random_range(0..2),
        },
        20 => Act::HoldContent { user_id: user_id.clone(), hold: Hold::Legal },
        21 => Act::BarUser { user_id: user_id.clone(), barred: rng.random_bool(0.5) },
        22 => Act::RefuseContent { user_id: receiver, refuses: rng.random_bool(0.5) },
        23 => Act::SetStatus { user_id: receiver, status: "inactive".to_owned(), announced: true },
        24 => Act::SetStatus { user_id: receiver, status: "active".to_owned(), announced: true },
        25 => Act::EditUser { user_id: receiver, body: json!({"space_amount": 1_000}), announced: true },
        26 => Act::DeleteUser { user_id: receiver, announced: true },
        27 => Act::SetTransfers {
            days: rng.random_range(0..2),
            share: if rng.random_bool(0.7) { 1.0 } else { 0.5 },
        },
        28 => Act::SetScopes { app: App::Acting, scopes: lost(rng) },
        29 => Act::PushDirectory { share: 0.3 },
        30 => Act::As { hand: Hand::App(App::Directory), act: Box::new(status("active", true)) },
        31 => Act::AddAlias {
            user_id: user_id.clone(),
            email: format!("a{}@acme.test", rng.random_range(0..10_000)),
            is_confirmed: true,
        },
        // The earlier scopes, so that trouble also ends.
        _ => Act::SetScopes { app: App::Acting, scopes: Scopes::default() },
    };
    simulator.act(&act);
}

fn lost(rng: &mut ChaCha8Rng) -> Scopes {
    let all = Scopes::default();
    match rng.random_range(0..4) {
        0 => Scopes { manage_managed_users: false, ..all },
        1 => Scopes { root_readwrite: false, ..all },
        2 => Scopes { as_user: false, ..all },
        _ => Scopes { whole_enterprise: false, ..all },
    }
}

/// The response to a writing call is lost, though the call takes place. Only where the client does not repeat: repeating takes real
/// time.
pub(super) fn loses_an_answer(rng: &mut ChaCha8Rng, simulator: &Running) {
    let effect =
        if rng.random_bool(0.5) { Effect::HtmlAnswer { status: 504 } } else { Effect::DroppedAnswer };
    let (path, method) =
        if rng.random_bool(0.6) { ("/2.0/users/*/folders/0", "PUT") } else { ("/2.0/users/*$", "DELETE") };
    simulator.add_fault(Fault {
        path: path.to_owned(),
        method: method.to_owned(),
        times: Some(1),
        effect,
        ..Fault::default()
    });
}

/// The admin log cannot be read by the next command.
pub(super) fn closes_the_log(simulator: &Running) {
    let effect = Effect::Status { status: 403, retry_after: None, code: None, body: None };
    simulator.add_fault(Fault { path: "/2.0/events".to_owned(), times: Some(1), effect, ..Fault::default() });
}
