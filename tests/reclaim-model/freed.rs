//! The opposite check: in a world where nothing else happens, every seat that the rules allow to be freed is free in the end, or
//! boxseat reports a reason that is true there. The expectation uses the simulator's truth alone.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_reclaim::rules::evaluator::Evaluator;
use boxseat_reclaim::rules::stuck::stuck;
use boxseat_schemas::reclaim::{Ability, Action, Record};
use boxseat_simulator::{TrueUser, Truth, Verb};
use chrono::TimeDelta;

use crate::areas::Areas;
use crate::night::at;
use crate::story::World;
use crate::told::Told;

/// Rounds of two simulated days: enough for a suspension, a transfer, two readings and a deletion after a new plan for each. After
/// 30 days a refusal of Box and a count of shares have expired, and the user is planned again.
const ROUNDS: u32 = 12;
/// Users that became eligible less than this before the end may still be in progress.
const WAY: TimeDelta = TimeDelta::days(26);

/// Runs a calm world, with kills and lost responses; returns the violations.
pub(super) async fn live_calmly(seed: u64) -> Result<Told, String> {
    let of_box = &BOXES[(seed % BOXES.len() as u64) as usize];
    let mut world = World::adapted(seed, Areas::none(seed), |config, intent| {
        if let Some(config) = config {
            config.as_user_when_inactive = of_box.as_user_when_inactive;
            config.inactive_transfer_status =
                of_box.refuses_transfer.then(|| [400, 403][(seed / 7 % 2) as usize]);
        }
        if let Some(intent) = intent {
            intent.furthest_stage = "delete";
            intent.cap_people = 1_000;
            intent.when_refused = of_box.when_refused;
        }
    })
    .await;
    world.unrest = 0.0;
    world.concurrency = 1 + (seed / 6 % 4) as usize;
    let first = world.simulator.truth();
    for _ in 0..ROUNDS {
        world.night().await;
        for index in world.plan() {
            world.approve(index);
        }
        for index in world.open_plans() {
            world.apply(index).await;
        }
        world.simulator.step_days(2);
    }
    world.settle().await;
    let told = told(&world);
    let end = world.simulator.truth();
    let mut found = world.with_case(boxseat_reclaim_checker::broken);
    for user in &first.users {
        let Some(now) = end.users.iter().find(|now| now.user_id == user.user_id) else { continue };
        let Some(reasons) = true_reasons(&world, &first, &end, user, now) else { continue };
        let reason = told.get(&user.user_id).map_or("no reason", String::as_str);
        if !reasons.contains(&reason) {
            let id = &user.user_id;
            found.push(format!(
                "{id} is not free; true reasons are {reasons:?}, and boxseat reports: {reason}"
            ));
        }
    }
    found.extend(suspended_in_vain(&world));
    world.told.freed_on.insert(of_box.name, world.told.deleted);
    if found.is_empty() { Ok(world.told) } else { Err(world.describe(&found)) }
}

/// What a Box allows, and the policy's setting for a refusal.
pub(super) struct CalmBox {
    pub(super) name: &'static str,
    as_user_when_inactive: bool,
    refuses_transfer: bool,
    when_refused: &'static str,
}

/// Every combination, each in one world of six.
pub(super) const BOXES: [CalmBox; 6] = [
    of_box("denied, moves", false, false, "stop"),
    of_box("allowed, moves", true, false, "stop"),
    of_box("denied, refuses, reactivate", false, true, "reactivate"),
    of_box("allowed, refuses, reactivate", true, true, "reactivate"),
    of_box("denied, refuses, stop", false, true, "stop"),
    of_box("allowed, refuses, stop", true, true, "stop"),
];

const fn of_box(
    name: &'static str,
    as_user_when_inactive: bool,
    refuses_transfer: bool,
    when_refused: &'static str,
) -> CalmBox {
    CalmBox { name, as_user_when_inactive, refuses_transfer, when_refused }
}

/// R14: once it is known that this Box moves no content of inactive accounts, and the policy says `stop`, no later plan suspends a
/// user who owns content: the seat would not become free.
fn suspended_in_vain(world: &World) -> Vec<String> {
    if world.intent.when_refused != "stop" {
        return Vec::new();
    }
    let entries = world.journal.entries();
    let learned = entries.iter().position(|entry| {
        matches!(
            entry.record,
            Record::BoxAllows { ability: Ability::TransferFromInactive, is_allowed: false, .. }
        )
    });
    let Some(learned) = learned else { return Vec::new() };
    let created_later: BTreeSet<&str> = entries[learned..]
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::PlanCreated { plan_id, .. } => Some(plan_id.as_str()),
            _ => None,
        })
        .collect();
    let suspended = entries[learned..].iter().filter_map(|entry| match &entry.record {
        Record::Intent(attempt) if attempt.action == Action::Suspend => Some(attempt),
        _ => None,
    });
    let in_vain = suspended.filter(|attempt| {
        let bytes = world.simulator.content(&attempt.user_id).map_or(0, |content| content.owned_bytes);
        created_later.contains(attempt.plan_id.as_str()) && bytes > 0
    });
    in_vain.map(|attempt| format!("{} was suspended in vain (R14)", attempt.user_id)).collect()
}

/// The reason code that is reported for each user, from the list of stuck users, else from the users that the next plan excludes.
fn told(world: &World) -> BTreeMap<String, String> {
    let (snapshot, _) = world.snapshot.as_ref().expect("a snapshot was read");
    let (past, now) = (world.journal.past(), world.now());
    let evaluator =
        Evaluator::new(&world.policy, snapshot, past, &world.inputs, now, past.replaceable_plans());
    let judged = evaluator.unwrap_or_else(|refusals| panic!("{refusals:?}")).everybody();
    let mut told: BTreeMap<String, String> =
        judged.left_out.into_iter().map(|(user_id, (_, no))| (user_id, no.word.to_string())).collect();
    for (stage, going) in judged.going {
        told.extend(
            going.into_iter().map(|(user_id, _)| (user_id, format!("is planned: {}", stage.as_str()))),
        );
    }
    let stuck = stuck(past, snapshot, Some(&world.policy), &world.inputs, now);
    for stuck in stuck {
        assert!(!stuck.reason.is_empty() && !stuck.next.is_empty(), "{stuck:?}");
        told.insert(stuck.user_id, stuck.word.to_string());
    }
    told
}

/// Reason codes that are true for a user whose seat is not free, derived from the truth. `None`: excluded by a list or a role, not
/// idle for long enough, or owner of new content.
fn true_reasons(
    world: &World,
    first: &Truth,
    end: &Truth,
    user: &TrueUser,
    now: &TrueUser,
) -> Option<Vec<&'static str>> {
    let (intent, config) = (&world.intent, world.simulator.config());
    let is_own = |id: &str| id == user.user_id;
    let aliases = first.email_aliases.iter().filter(|alias| is_own(&alias.user_id)).map(|alias| &alias.email);
    let mut addresses = user.login.iter().chain(aliases).map(|address| address.to_lowercase());
    let groups = first.memberships.iter().filter(|member| is_own(&member.user_id));
    let is_protected = intent.protected_ids.contains(&user.user_id)
        || addresses.any(|address| intent.protected_logins.contains(&address))
        || groups.map(|member| &member.group_id).any(|id| intent.protected_groups.contains(id));
    let is_listed = intent.held.contains(&user.user_id)
        || intent.leaves.iter().any(|(id, ..)| is_own(id))
        || intent.receiver.as_deref().is_some_and(is_own);
    let is_ordinary = user.role == "user" && !user.is_platform_access_only && user.status == "active";
    if is_protected || is_listed || !is_ordinary {
        return None;
    }
    let by = at(&end.now) - WAY;
    let logins = end.logins.iter().filter(|login| is_own(&login.user_id));
    let last = logins.map(|login| at(&login.created_at)).max();
    let idle_since = last.unwrap_or(at(&user.created_at)).max(at(&first.now) - TimeDelta::days(183));
    let is_idle = by - idle_since >= TimeDelta::days(intent.suspend_after_idle_days);
    let is_old = by - at(&user.created_at) >= TimeDelta::days(intent.new_user_grace_days);
    // Active users get new content, and the truth does not say whether it is shared.
    let is_unchanged = [0, user.space_used_bytes].contains(&now.space_used_bytes)
        && (now.status != "active" || !world.intended(&user.user_id, Action::Transfer));
    if !is_idle || !is_old || !is_unchanged {
        return None;
    }
    let (items, shared) = world.content.get(&user.user_id).copied().unwrap_or_default();
    let stays_open = user.is_collaborated_content_available_when_owner_inactive == Some(true);
    let mut reasons = Vec::new();
    if shared > 0 && intent.shared_content == "leave_out" && !stays_open {
        reasons.push("owns_shared_content");
    }
    if items > 0 && config.inactive_transfer_status.is_some() && intent.when_refused == "stop" {
        reasons.push("transfer_refused");
        // If Box refused the user's own transfer, that refusal is reported.
        if world.intended(&user.user_id, Action::Transfer) {
            reasons.push("refused_by_box");
        }
    }
    // Items without bytes: no reading shows whether a transfer without a response has moved them.
    let was_moved = world
        .simulator
        .deeds()
        .iter()
        .any(|deed| deed.user_id == user.user_id && deed.verb == Verb::FinishTransfer);
    if items > 0
        && now.space_used_bytes == 0
        && !config.as_user_when_inactive
        && !was_moved
        && world.intended(&user.user_id, Action::Transfer)
    {
        reasons.push("unverifiable");
    }
    // Box keeps an account whose files are under a retention policy.
    if config.has_retention_policies && world.intended(&user.user_id, Action::Delete) {
        reasons.push("refused_by_box");
    }
    Some(reasons)
}

impl World {
    /// Whether an action on a user was intended.
    fn intended(&self, user_id: &str, action: Action) -> bool {
        self.journal.entries().iter().any(|entry| {
            matches!(&entry.record, Record::Intent(attempt) if attempt.user_id == user_id && attempt.action == action)
        })
    }
}
