//! The log of true changes, applied to an earlier truth, must give the later one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Client, quick};
use crate::{Act, Config, TrueChange, TrueUser, Truth, start};

/// Columns without history, and columns with the same value for all users.
const UNTRACKED: &[&str] = &[
    "user_id",
    "avatar_url",
    "space_used_bytes",
    "hostname",
    "enterprise_id",
    "enterprise_name",
    "created_at",
    "modified_at",
    "extra",
];

type Columns = BTreeMap<String, Option<String>>;

/// The part of a truth that the changes cover. For users who joined later, only the columns changed since then are known.
#[derive(Debug, Default, PartialEq)]
struct Rows {
    users: BTreeMap<String, Columns>,
    memberships: BTreeMap<(String, String), String>,
    aliases: BTreeMap<String, (String, String, bool)>,
}

impl Rows {
    fn of(truth: &Truth) -> Rows {
        let membership =
            |m: &crate::TrueMembership| ((m.user_id.clone(), m.group_id.clone()), m.role.clone());
        let alias =
            |a: &crate::TrueAlias| (a.alias_id.clone(), (a.user_id.clone(), a.email.clone(), a.is_confirmed));
        Rows {
            users: truth.users.iter().map(|user| (user.user_id.clone(), columns(user))).collect(),
            memberships: truth.memberships.iter().map(membership).collect(),
            aliases: truth.email_aliases.iter().map(alias).collect(),
        }
    }

    /// Applies one change, and checks that its old value is the current one.
    fn take(&mut self, change: &TrueChange) {
        let user_id = change.user_id.clone();
        let object_id = || change.object_id.clone().expect("an object");
        let old = || change.old_value.clone().expect("an old value");
        let new = || change.new_value.clone().expect("a new value");
        match change.change.as_str() {
            "joined" | "returned" => {
                assert!(self.users.insert(user_id, Columns::new()).is_none(), "{change:?}")
            }
            "left" => assert!(self.users.remove(&user_id).is_some(), "{change:?}"),
            "attribute_changed" if change.attribute.as_deref() == Some("is_confirmed") => {
                self.aliases.get_mut(&object_id()).expect("a listed alias").2 = true;
            }
            "suspended" | "reactivated" => self.set(change, "status"),
            "role_changed" => self.set(change, "role"),
            "attribute_changed" => self.set(change, change.attribute.as_deref().expect("a column")),
            "group_added" => {
                assert_eq!(self.memberships.insert((user_id, object_id()), new()), None, "{change:?}");
            }
            "group_removed" => {
                assert_eq!(self.memberships.remove(&(user_id, object_id())), Some(old()), "{change:?}");
            }
            "role_in_group_changed" => {
                assert_eq!(self.memberships.insert((user_id, object_id()), new()), Some(old()), "{change:?}");
            }
            "alias_added" => _ = self.aliases.insert(object_id(), (user_id, new(), true)),
            "alias_removed" => {
                assert_eq!(self.aliases.remove(&object_id()).map(|alias| alias.1), Some(old()), "{change:?}");
            }
            other => panic!("no such change: {other}"),
        }
    }

    fn set(&mut self, change: &TrueChange, column: &str) {
        assert_ne!(change.old_value, change.new_value, "{change:?}");
        let columns = self.users.get_mut(&change.user_id).expect("a listed user");
        let was = columns.insert(column.to_owned(), change.new_value.clone());
        assert!(was.is_none_or(|was| was == change.old_value), "{change:?}");
    }
}

fn columns(user: &TrueUser) -> Columns {
    let row = serde_json::to_value(user).unwrap();
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(codes) => {
            let code = |code: &Value| json!({"name": code[0], "value": code[1]});
            Some(Value::Array(codes.iter().map(code).collect()).to_string())
        }
        other => Some(other.to_string()),
    };
    let tracked = row.as_object().unwrap().iter().filter(|(name, _)| !UNTRACKED.contains(&name.as_str()));
    tracked.map(|(name, value)| (name.clone(), text(value))).collect()
}

fn assert_explained(before: &Truth, changes: &[TrueChange], after: &Truth) {
    let mut rows = Rows::of(before);
    changes.iter().for_each(|change| rows.take(change));
    let mut wanted = Rows::of(after);
    assert!(rows.users.keys().eq(wanted.users.keys()));
    for (user_id, columns) in &rows.users {
        let all = wanted.users.get_mut(user_id).unwrap();
        all.retain(|column, _| columns.contains_key(column));
        assert_eq!(all, columns, "{user_id}");
    }
    // The log does not record whether an alias was confirmed when it was added.
    rows.aliases.values_mut().chain(wanted.aliases.values_mut()).for_each(|alias| alias.2 = true);
    assert_eq!(rows, wanted);
}

/// Every named event is about the same user or group, and every event of these types has a change.
fn assert_announced(changes: &[TrueChange], truth: &Truth, since: usize) {
    let events: BTreeMap<&str, _> =
        truth.other_events[since..].iter().map(|event| (event.event_id.as_str(), event)).collect();
    let mut named = BTreeSet::new();
    for change in changes {
        let Some(event_id) = change.event_id.as_deref() else { continue };
        let event = events[event_id];
        assert_eq!(change.at, event.created_at);
        match event.event_type.as_str() {
            "GROUP_DELETION" => assert_eq!(change.object_id, event.group_id),
            _ => assert_eq!(Some(&change.user_id), event.user_id.as_ref(), "{change:?} {event:?}"),
        }
        named.insert(event_id);
    }
    const TELLING: &str =
        "NEW_USER DELETE_USER GROUP_ADD_USER GROUP_REMOVE_USER EMAIL_ALIAS_PRIMARY EMAIL_ALIAS_REMOVE";
    for event in events.values().filter(|event| TELLING.contains(&event.event_type)) {
        assert!(named.contains(event.event_id.as_str()), "{event:?}");
    }
}

#[tokio::test]
async fn changes_explain_the_truth() {
    for seed in 1..4 {
        let busy = Config {
            users: 1500,
            groups: 60,
            seed,
            late_events: 0.0,
            directory_push_every_days: Some(5),
            ..quick()
        };
        let running = start(busy).await.unwrap();
        let client = Client::of(&running).await;
        let first = running.truth();
        assert!(running.changes().is_empty());
        running.step_days(20);
        let middle = running.truth();
        let so_far = running.changes().len();
        assert_explained(&first, &running.changes(), &middle);

        let left = [
            running.act(&Act::DeleteUsers { count: 3, announced: true }),
            running.act(&Act::RollOutUsers { count: 3 }),
        ];
        running.act(&Act::DeleteGroups { count: 2, announced: seed == 1 });
        running.act(&Act::PushDirectory { share: 0.5 });
        running.act(&Act::ReturnUsers { user_ids: left.concat(), announced: seed == 2 });
        let body = json!({"name": "New Name", "login": "new.login@acme.test", "status": "inactive", "space_amount": -1,
            "tracking_codes": [{"name": "Department", "value": "Bridge"}], "phone": "1"});
        let (status, _) = client.send("PUT", &format!("/users/{}", left[0][0]), body).await;
        assert_eq!(status, 200);
        running.step_days(20);
        let last = running.truth();
        let changes = running.changes();
        assert_explained(&middle, &changes[so_far..], &last);
        assert_explained(&first, &changes, &last);
        assert_announced(&changes, &last, first.other_events.len());
        let kinds: BTreeSet<&str> = changes.iter().map(|change| change.change.as_str()).collect();
        assert!(kinds.len() > 10, "{kinds:?}");
        assert!(changes.iter().any(|change| change.event_id.is_none()));
        let over_http = client.http.get(format!("{}/changes", running.control_url())).send().await.unwrap();
        let over_http: Vec<TrueChange> = serde_json::from_slice(&over_http.bytes().await.unwrap()).unwrap();
        assert!(over_http == changes);
    }
}
