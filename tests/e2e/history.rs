//! The differences between snapshots: joiners, movers, leavers, and changes without an event.

use std::collections::BTreeSet;

use boxseat_simulator::{Act, Config, Truth};

use crate::support::World;

type Pairs = BTreeSet<(String, String)>;

fn people(truth: &Truth) -> BTreeSet<String> {
    truth.users.iter().map(|user| user.user_id.clone()).collect()
}

/// Memberships of users that are in both snapshots.
fn members(truth: &Truth, staying: &BTreeSet<String>) -> Pairs {
    let of_staying = truth.memberships.iter().filter(|membership| staying.contains(&membership.user_id));
    of_staying.map(|membership| (membership.user_id.clone(), membership.group_id.clone())).collect()
}

fn told(world: &World, change: &str) -> Pairs {
    let night = "run_number = (SELECT run_number FROM report_settings)";
    let sql = format!("SELECT user_id, object_id FROM user_changes WHERE change = '{change}' AND {night}");
    let text = |row: &serde_json::Map<String, serde_json::Value>, column: &str| {
        row[column].as_str().unwrap_or_default().to_owned()
    };
    world.rows(&sql).iter().map(|row| (text(row, "user_id"), text(row, "object_id"))).collect()
}

/// Why: the facts for auditors and licence managers must be those that happened, and no user may disappear from the tables.
#[test]
fn changes_between_two_snapshots_are_recorded_as_they_happened() {
    let world =
        World::new(Config { users: 250, groups: 15, logins: Some(3_000), seed: 31, ..Config::default() });
    world.ok(&["sync"]);
    assert_eq!(world.value("SELECT count(*) FROM user_changes"), 0, "a first snapshot has no joiners");
    let before = world.simulator.truth();

    let announced = world.simulator.act(&Act::DeleteUsers { count: 2, announced: true });
    let silent = world.simulator.act(&Act::DeleteUsers { count: 1, announced: false });
    let suspended = before.users.iter().find(|user| {
        user.status == "active" && !announced.contains(&user.user_id) && !silent.contains(&user.user_id)
    });
    let suspended = suspended.unwrap().user_id.clone();
    world.simulator.act(&Act::SetStatus {
        user_id: suspended.clone(),
        status: "inactive".to_owned(),
        announced: true,
    });
    world.simulator.step_days(1);
    world.ok(&["sync"]);
    let after = world.simulator.truth();

    let (old, new) = (people(&before), people(&after));
    let ids = |pairs: Pairs| pairs.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
    assert_eq!(ids(told(&world, "left")), &old - &new);
    assert_eq!(ids(told(&world, "joined")), &new - &old);
    let staying = &old & &new;
    let (old_members, new_members) = (members(&before, &staying), members(&after, &staying));
    let added: Pairs =
        told(&world, "group_added").into_iter().filter(|(id, _)| staying.contains(id)).collect();
    assert_eq!(added, &new_members - &old_members);
    assert_eq!(told(&world, "group_removed"), &old_members - &new_members);

    let quoted = |ids: &[String]| ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let left = |ids: &[String], event: &str| {
        world.value(&format!("SELECT count(*) FROM user_changes WHERE change = 'left' AND event_at IS {event} AND user_id IN ({})", quoted(ids)))
    };
    assert_eq!((left(&announced, "NOT NULL"), left(&silent, "NULL")), (2.into(), 1.into()));
    let drift =
        world.value("SELECT drift_count FROM sync_runs ORDER BY run_number DESC LIMIT 1").as_i64().unwrap();
    let unannounced =
        world.value("SELECT count(*) FROM user_changes WHERE event_at IS NULL").as_i64().unwrap();
    assert!(drift >= 1 && drift <= unannounced, "drift {drift}, without an event {unannounced}");
    let in_lake =
        boxseat_output::lake::Lake::open(&world.store().join("lake"), 0o640).unwrap().sync_runs().unwrap();
    assert_eq!(in_lake.last().unwrap().drift_count, Some(drift));

    let everybody = i64::try_from((&old | &new).len()).unwrap();
    assert_eq!(world.value("SELECT count(*) FROM accounts"), everybody);
    let since = format!(
        "SELECT suspended_since < now_at - INTERVAL 20 HOUR FROM accounts, report_settings WHERE user_id = '{suspended}'"
    );
    assert_eq!(world.value(&since), true, "since the event, not since the snapshot");
    world.ok(&["verify"]);
}
