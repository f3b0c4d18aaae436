//! Undocumented data: shown while it is switched on, with the same data in the truth, and gone afterwards.

use serde_json::Value;

use super::{Client, assert_true, entries, quick};
use crate::{Act, Config, Drift, UNHEARD_EVENT_TYPE, UNHEARD_FIELD, UNHEARD_STATUS, start};

fn carriers(rows: &[Value]) -> usize {
    rows.iter().filter(|row| row.get(UNHEARD_FIELD).is_some()).count()
}

fn of_new_type(rows: &[Value]) -> usize {
    rows.iter().filter(|row| row["event_type"] == UNHEARD_EVENT_TYPE).count()
}

/// Reason: drift tests a reader only if the truth includes it and if it ends again.
#[tokio::test]
async fn everything_drifts_and_comes_back() {
    let running = start(Config { late_events: 0.0, ..quick() }).await.unwrap();
    let client = Client::of(&running).await;
    let before = running.truth();
    let drift = Drift {
        new_field_share: 0.5,
        new_status_share: 0.1,
        new_events_per_day: 9,
        shows_unasked_events: true,
    };
    let restated = running.act(&Act::SetDrift { drift });
    running.step_days(2);
    let truth = running.truth();
    assert_true(&client, &truth).await;

    let users: Vec<Value> = client.users().await.into_values().collect();
    assert!((users.len() / 4..users.len() * 3 / 4).contains(&carriers(&users)));
    let with_status = truth.users.iter().filter(|user| user.status == UNHEARD_STATUS).count();
    assert!(with_status > 0 && with_status <= restated.len(), "{with_status} of {restated:?}");
    let groups = client.offset_pages("/groups?fields=name", 20).await;
    let group = truth.memberships[0].group_id.clone();
    let members = client.offset_pages(&format!("/groups/{group}/memberships"), 100).await;
    assert!(carriers(&groups) > 0 && carriers(&members) > 0);
    let mut aliases = Vec::new();
    for owner in truth.email_aliases.iter().take(20).map(|alias| &alias.user_id) {
        aliases.extend(entries(&client.get(&format!("/users/{owner}/email_aliases")).await));
    }
    assert!(carriers(&aliases) > 0 && carriers(&aliases) < aliases.len());

    let asked = client.events("&event_type=LOGIN").await;
    assert!(of_new_type(&asked) > 0 && carriers(&asked) > asked.len() / 4);
    let by_name = Drift { shows_unasked_events: false, new_status_share: 0.0, new_field_share: 0.0, ..drift };
    running.act(&Act::SetDrift { drift: by_name });
    assert_eq!(of_new_type(&client.events("&event_type=LOGIN").await), 0);
    let named = client.events(&format!("&event_type=LOGIN,{UNHEARD_EVENT_TYPE}")).await;
    assert_eq!(of_new_type(&named), of_new_type(&asked));

    running.act(&Act::SetDrift { drift: Drift::default() });
    let after = running.truth();
    assert_true(&client, &after).await;
    assert!(after.users.iter().all(|user| user.status != UNHEARD_STATUS));
    assert_eq!(carriers(&client.users().await.into_values().collect::<Vec<_>>()), 0);
    let statuses = |change: &&crate::TrueChange| {
        change.attribute.as_deref() == Some("status") && change.event_id.is_none()
    };
    assert_eq!(running.changes().iter().filter(statuses).count(), restated.len() + with_status);
    assert!(before.users.iter().all(|user| !user.extra.contains_key(UNHEARD_FIELD)));
}
