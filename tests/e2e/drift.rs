//! Box sends values that are not documented yet.

use boxseat_simulator::{Act, Config, Drift, UNHEARD_EVENT_TYPE, UNHEARD_FIELD, UNHEARD_STATUS};

use crate::support::World;
use crate::truth::assert_equal_to_truth;

/// Why: a new field, status or event type comes without notice; it must neither stop a run nor be dropped, and must be reported.
#[test]
fn undocumented_values_are_kept_and_counted_and_do_not_stop_a_run() {
    let world =
        World::new(Config { users: 150, groups: 12, logins: Some(2_000), seed: 37, ..Config::default() });
    world.ok(&["sync"]);
    let counted = "SELECT unknown_fields_count FROM sync_runs ORDER BY run_number DESC LIMIT 1";
    let usual = world.value(counted).as_u64().unwrap();
    let drift = Drift {
        new_field_share: 0.5,
        new_status_share: 0.1,
        new_events_per_day: 12,
        shows_unasked_events: true,
    };
    let restated = world.simulator.act(&Act::SetDrift { drift }).len();
    world.simulator.step_days(1);
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);

    let kept_in = |table: &str| {
        let sql =
            format!("SELECT count(*) FROM {table} WHERE extra LIKE '%\"{UNHEARD_FIELD}\":{{\"level\":2%'");
        world.value(&sql).as_u64().unwrap()
    };
    let kept: u64 = ["users", "groups", "login_events", "admin_events"].map(kept_in).iter().sum();
    assert!(kept_in("users") > 50 && kept_in("groups") > 2 && kept_in("admin_events") > 2);
    // Memberships and aliases have no column for extra fields, so there they are only counted.
    let told = world.value(counted).as_u64().unwrap();
    assert!(told > kept + 50 && kept > usual, "{told} counted, {kept} kept, {usual} before");

    let status = format!(
        "SELECT count(*) FROM accounts WHERE account_status = 'unknown' AND box_status = '{UNHEARD_STATUS}'"
    );
    let with_status = world.value(&status).as_u64().unwrap();
    assert!(with_status > 5 && with_status <= restated as u64, "{with_status} of {restated}");
    let changes = format!(
        "SELECT count(*) FROM user_changes WHERE new_value = '{UNHEARD_STATUS}' AND change = 'attribute_changed'"
    );
    assert!(world.value(&changes).as_u64().unwrap() >= with_status);
    let events = format!("SELECT count(*) FROM admin_events WHERE event_type = '{UNHEARD_EVENT_TYPE}'");
    assert!(world.value(&events).as_u64().unwrap() > 5);
    let covered = format!("SELECT count(*) FROM event_coverage WHERE event_type = '{UNHEARD_EVENT_TYPE}'");
    assert_eq!(world.value(&covered), 0, "what was not requested is not covered");

    let versions = "SELECT count(*) FROM users_history WHERE NOT is_current";
    world.simulator.act(&Act::SetChangeScale { scale: 0.0 });
    let before = world.value(versions);
    // A field that appears or disappears makes no new version of a user; a status does. (A share of zero leaves users that already
    // have the field unchanged.)
    let only_fields = Drift { new_field_share: 0.0, ..drift };
    world.simulator.act(&Act::SetDrift { drift: Drift { new_status_share: 1e-9, ..only_fields } });
    world.simulator.step_days(1);
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);
    assert_eq!(world.value(versions), before);
    world.simulator.act(&Act::SetDrift { drift: Drift::default() });
    world.simulator.step_days(1);
    world.ok(&["sync", "--full"]);
    assert_equal_to_truth(&world);
    assert!(world.value(versions).as_u64() > before.as_u64());
    world.ok(&["verify"]);
}
