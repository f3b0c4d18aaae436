//! Single acts, as the API and the logs show them.

use serde_json::json;

use super::{Client, assert_true, entries, quick};
use crate::{Act, Config, Fault, Running, TrueChange, Truth, start};

fn calm() -> Config {
    Config { late_events: 0.0, ..quick() }
}

/// Plays an act. Returns the ids it touched, the changes, and the types of its events.
fn play(running: &Running, act: &Act) -> (Vec<String>, Vec<TrueChange>, Vec<String>) {
    let (changes, events) = (running.changes().len(), running.truth().other_events.len());
    let touched = running.act(act);
    let told = running.truth().other_events.split_off(events);
    (touched, running.changes().split_off(changes), told.into_iter().map(|event| event.event_type).collect())
}

/// Kinds of changes, with a mark on announced ones.
fn kinds(changes: &[TrueChange]) -> String {
    let kind = |change: &TrueChange| {
        let attribute = change.attribute.as_deref().map(|name| format!("({name})")).unwrap_or_default();
        let told = if change.event_id.is_some() { "!" } else { "" };
        format!("{}{attribute}{told}", change.change)
    };
    changes.iter().map(kind).collect::<Vec<_>>().join(" ")
}

/// A user with one confirmed alias and a group, and a group without this user.
fn a_member(truth: &Truth) -> (String, String, String) {
    let users = truth.users.iter().filter(|user| user.role == "user" && user.status == "active");
    let confirmed = |id: &str| {
        truth.email_aliases.iter().filter(|alias| alias.user_id == id && alias.is_confirmed).count()
    };
    let groups_of =
        |id: &str| truth.memberships.iter().filter(|m| m.user_id == id).map(|m| m.group_id.clone()).collect();
    let found = users.map(|user| &user.user_id).find_map(|id| {
        let mine: Vec<String> = groups_of(id);
        let other =
            truth.groups.iter().find(|g| g.group_type == "managed_group" && !mine.contains(&g.group_id));
        (confirmed(id) == 1 && !mine.is_empty())
            .then(|| (id.clone(), mine[0].clone(), other.unwrap().group_id.clone()))
    });
    found.unwrap()
}

#[tokio::test]
async fn an_edit_silent_or_announced() {
    let running = start(calm()).await.unwrap();
    let client = Client::of(&running).await;
    let (user_id, ..) = a_member(&running.truth_without_events());
    let edit = |body, announced| Act::EditUser { user_id: user_id.clone(), body, announced };
    running.step_days(1);

    let (touched, changes, told) =
        play(&running, &edit(json!({"name": "New Name", "job_title": "Cook"}), false));
    assert_eq!((touched.len(), told.len()), (1, 0));
    assert_eq!(kinds(&changes), "attribute_changed(name) attribute_changed(job_title)");
    assert_eq!(changes[1].new_value.as_deref(), Some("Cook"));
    let shown = client.get(&format!("/users/{user_id}?fields=name,job_title,modified_at")).await;
    assert_eq!((shown["name"].as_str(), shown["job_title"].as_str()), (Some("New Name"), Some("Cook")));
    assert_eq!(super::utc(&shown["modified_at"]), changes[0].at);
    assert_eq!(changes[0].at, running.truth_without_events().now);

    let (_, changes, told) = play(&running, &edit(json!({"role": "coadmin", "status": "inactive"}), true));
    assert_eq!(
        (kinds(&changes).as_str(), told.join(" ").as_str()),
        ("suspended! role_changed!", "CHANGE_ADMIN_ROLE EDIT_USER")
    );
    let (_, changes, told) = play(&running, &edit(json!({"status": "active"}), true));
    assert_eq!((kinds(&changes).as_str(), told.len()), ("reactivated!", 1));
    let (_, changes, told) = play(&running, &edit(json!({"status": "active"}), true));
    assert_eq!((changes.len(), told.len()), (0, 1), "an edit without effect is told of, and changes nothing");
    let (touched, ..) = play(&running, &edit(json!({"status": "asleep"}), true));
    assert!(touched.is_empty());
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn in_and_out_of_groups() {
    let running = start(calm()).await.unwrap();
    let client = Client::of(&running).await;
    let (user_id, old_group, new_group) = a_member(&running.truth_without_events());
    let all_users = running.truth_without_events().groups.swap_remove(0).group_id;
    let (user, group) = (|| user_id.clone(), |announced| (user_id.clone(), new_group.clone(), announced));
    let add = |(user_id, group_id, announced)| Act::AddMember { user_id, group_id, announced };
    let rank = |is_admin, (user_id, group_id, announced)| Act::SetGroupAdmin {
        user_id,
        group_id,
        is_admin,
        announced,
    };
    for (act, changed, told) in [
        (add(group(true)), "group_added!", "GROUP_ADD_USER"),
        (add(group(true)), "", ""),
        (add((user(), all_users, true)), "", ""),
        (rank(true, group(false)), "role_in_group_changed", ""),
        (rank(true, group(true)), "", ""),
        (rank(false, group(true)), "role_in_group_changed!", "GROUP_ADMIN_DELETED"),
        (
            Act::RemoveMember { user_id: user(), group_id: old_group.clone(), announced: true },
            "group_removed!",
            "GROUP_REMOVE_USER",
        ),
        (Act::RemoveMember { user_id: user(), group_id: old_group, announced: true }, "", ""),
        (
            Act::RemoveMember { user_id: user(), group_id: new_group.clone(), announced: false },
            "group_removed",
            "",
        ),
        (add(group(false)), "group_added", ""),
        (add(("1".to_owned(), new_group.clone(), true)), "", ""),
    ] {
        let (touched, changes, events) = play(&running, &act);
        assert_eq!((kinds(&changes).as_str(), events.join(" ").as_str()), (changed, told), "{act:?}");
        assert_eq!(touched.is_empty(), changes.is_empty(), "{act:?}");
    }
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn the_life_of_an_alias() {
    let running = start(calm()).await.unwrap();
    let client = Client::of(&running).await;
    let (user_id, ..) = a_member(&running.truth_without_events());
    let aliases = async || entries(&client.get(&format!("/users/{user_id}/email_aliases")).await);
    let user = || user_id.clone();
    running.act(&Act::AddAlias { user_id: user(), email: "later@acme.test".to_owned(), is_confirmed: false });
    let id_of = async |email: &str| {
        let found = aliases().await.into_iter().find(|alias| alias["email"] == email);
        super::text(&found.unwrap()["id"]).unwrap()
    };
    let alias_id = id_of("later@acme.test").await;
    let primary =
        |announced| Act::MakeAliasPrimary { user_id: user(), alias_id: alias_id.clone(), announced };
    let confirm = |announced| Act::ConfirmAlias { user_id: user(), alias_id: alias_id.clone(), announced };
    assert!(play(&running, &primary(true)).0.is_empty(), "an unconfirmed address does not become the login");
    let (_, changes, told) = play(&running, &confirm(true));
    assert_eq!(
        (kinds(&changes).as_str(), told.join(" ").as_str()),
        ("attribute_changed(is_confirmed)!", "EMAIL_ALIAS_CONFIRM")
    );
    assert!(play(&running, &confirm(true)).0.is_empty());
    let (_, changes, told) = play(&running, &primary(true));
    assert_eq!(kinds(&changes), "alias_removed! alias_added! attribute_changed(login)!");
    assert_eq!(told.join(" "), "EMAIL_ALIAS_PRIMARY EDIT_USER");
    let old_login = changes[2].old_value.clone().unwrap();
    let (alias_id, of) = (id_of(&old_login).await, user());
    let (_, changes, told) = play(&running, &Act::RemoveAlias { user_id: of, alias_id, announced: false });
    assert_eq!((kinds(&changes).as_str(), told.len()), ("alias_removed", 0));
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn gone_and_back() {
    let running = start(calm()).await.unwrap();
    let client = Client::of(&running).await;
    let deleted = running.act(&Act::DeleteUsers { count: 1, announced: true }).remove(0);
    let free = running.act(&Act::RollOutUsers { count: 1 }).remove(0);
    let listed = client.users().await;
    assert!(!listed.contains_key(&deleted) && !listed.contains_key(&free));
    assert_eq!(client.refusal(&format!("/users/{deleted}?fields=enterprise")).await.0, 404);
    let outsider = client.get(&format!("/users/{free}?fields=login,enterprise")).await;
    assert!(outsider["login"].is_string() && outsider["enterprise"].is_null());
    assert!(outsider.as_object().unwrap().contains_key("enterprise"));
    assert!(!client.get(&format!("/users/{free}")).await.as_object().unwrap().contains_key("enterprise"));
    for (path, status) in [("memberships", 403), ("email_aliases", 403)] {
        assert_eq!(client.refusal(&format!("/users/{free}/{path}")).await.0, status);
        assert_eq!(client.refusal(&format!("/users/{deleted}/{path}")).await.0, 404);
    }
    running.step_days(3);
    let back = |user_id: &String, announced| Act::ReturnUsers {
        user_ids: vec![user_id.clone(), "1".to_owned()],
        announced,
    };
    let (touched, changes, told) = play(&running, &back(&deleted, true));
    assert_eq!((touched, told.join(" ").as_str()), (vec![deleted.clone()], "NEW_USER"));
    assert!(kinds(&changes).starts_with("returned!"));
    let (_, changes, told) = play(&running, &back(&free, false));
    assert!(kinds(&changes).starts_with("returned") && told.is_empty());
    assert!(play(&running, &back(&free, false)).0.is_empty(), "a listed user does not return");
    let user = client.get(&format!("/users/{free}?fields=enterprise")).await;
    assert_eq!(user["enterprise"]["id"], "900000001");
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn an_address_given_away_keeps_its_owner_out() {
    let running = start(calm()).await.unwrap();
    let client = Client::of(&running).await;
    let logins = running.truth_without_events().users;
    let gone = running.act(&Act::DeleteUsers { count: 1, announced: true });
    let login = logins.into_iter().find(|user| user.user_id == gone[0]).unwrap().login;
    let (status, _) = client.send("POST", "/users", json!({"name": "Heir", "login": login})).await;
    assert_eq!(status, 201);
    assert!(running.act(&Act::ReturnUsers { user_ids: gone, announced: true }).is_empty());
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn a_push_from_the_directory_moves_modified_at_and_nothing_else() {
    let running =
        start(Config { directory_push_every_days: Some(2), change_scale: 0.0, ..calm() }).await.unwrap();
    running.step_days(1);
    let (touched, changes, told) = play(&running, &Act::PushDirectory { share: 0.4 });
    assert!(touched.len() == 140 && told.len() == 140 && told.iter().all(|kind| kind == "EDIT_USER"));
    assert!(changes.is_empty());
    let truth = running.truth_without_events();
    let moved = truth.users.iter().filter(|user| user.modified_at == truth.now);
    assert!(moved.map(|user| &user.user_id).eq(&touched));

    let told = running.step_days(1).other_events;
    let pushed = running.truth_without_events().users;
    let pushed = pushed.iter().filter(|user| user.modified_at > truth.now).count();
    assert!(pushed > 100 && told >= pushed as u64 && running.changes().is_empty(), "{pushed} of {told}");
}

#[tokio::test]
async fn a_fault_on_one_person_alone() {
    let running = start(calm()).await.unwrap();
    let client = Client::of(&running).await;
    let users = running.truth_without_events().users;
    running.add_fault(Fault::status(&format!("/2.0/users/{}", users[8].user_id), 2, 403));
    assert_eq!(client.refusal(&format!("/users/{}?fields=enterprise", users[8].user_id)).await.0, 403);
    client.get(&format!("/users/{}", users[9].user_id)).await;
    assert_eq!(client.users().await.len(), 350);
    assert_eq!(client.refusal(&format!("/users/{}", users[8].user_id)).await.0, 403);
    client.get(&format!("/users/{}", users[8].user_id)).await;
}
