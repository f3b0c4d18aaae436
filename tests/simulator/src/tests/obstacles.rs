//! Restrictions on actions, and changes between two actions.

use serde_json::{Value, json};

use super::writing::{is_ordinary, plain, three, user};
use super::{Client, entries};
use crate::{Act, App, Config, Effect, Fault, Hold, Running, Scopes, Verb, start};

fn receive(running: &Running, user_id: &str) {
    let body = json!({"space_amount": -1});
    running.act(&Act::EditUser { user_id: user_id.to_owned(), body, announced: false });
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn transfers_that_are_refused() {
    let running = start(Config { keeps_to_quota: true, ..plain() }).await.unwrap();
    let client = Client::of(&running).await;
    let [from, to, third] = three(&running);
    receive(&running, &to);
    let path = format!("/users/{from}/folders/0");
    let body = || json!({"owned_by": {"id": to}});
    running.act(&Act::LockUser { user_id: from.clone(), days: 0, calls: 1 });
    let (status, locked) = client.send("PUT", &path, body()).await;
    assert_eq!((status, &locked["message"]), (403, &json!("User is locked")));
    running.act(&Act::LockUser { user_id: to.clone(), days: 1, calls: 0 });
    assert_eq!(client.send("PUT", &path, body()).await.1["message"], "User is locked");
    running.step_days(1);
    running.act(&Act::RefuseContent { user_id: to.clone(), refuses: true });
    assert_eq!(
        client.code("PUT", &path, body()).await,
        refused(403, "access_denied_insufficient_permissions")
    );
    running.act(&Act::RefuseContent { user_id: to.clone(), refuses: false });
    running.act(&Act::BarUser { user_id: from.clone(), barred: true });
    assert_eq!(client.code("PUT", &path, body()).await, refused(403, "forbidden_by_policy"));
    let edit = client.code("PUT", &format!("/users/{from}"), json!({"phone": "1"})).await;
    assert_eq!(edit, refused(403, "denied_by_policy"));
    running.act(&Act::BarUser { user_id: from.clone(), barred: false });
    let room = json!({"space_amount": 1});
    running.act(&Act::EditUser { user_id: third.clone(), body: room, announced: false });
    let full = client.code("PUT", &path, json!({"owned_by": {"id": third}})).await;
    assert_eq!(full, refused(403, "storage_limit_exceeded"));
    assert_eq!(client.send("PUT", &path, body()).await.0, 200, "nothing is left in the way");
}

#[tokio::test]
async fn transfers_that_take_their_time() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let [from, to, third] = three(&running);
    receive(&running, &to);
    running.act(&Act::SetContent { user_id: from.clone(), items: 8, bytes: 80, shared: 0 });
    running.act(&Act::SetTransfers { days: 2, share: 1.0 });
    let path = format!("/users/{from}/folders/0");
    assert_eq!(client.send("PUT", &path, json!({"owned_by": {"id": to}})).await.0, 200);
    running.step_days(1);
    assert_eq!(running.content(&from).unwrap().owned_items, 8, "answered with 200, and still at work");
    running.step_days(1);
    assert_eq!(running.content(&from).unwrap().owned_items, 0);
    let ended = running.deeds().into_iter().find(|deed| deed.verb == Verb::FinishTransfer).unwrap();
    assert_eq!(ended.at, running.truth().now);

    running.act(&Act::SetTransfers { days: 0, share: 0.25 });
    running.act(&Act::SetContent { user_id: third.clone(), items: 8, bytes: 80, shared: 0 });
    running.add_fault(Fault::once("/2.0/users/*/folders/0", 1, Effect::HtmlAnswer { status: 504 }));
    let path = format!("/users/{third}/folders/0");
    assert_eq!(client.send("PUT", &path, json!({"owned_by": {"id": to}})).await, (504, Value::Null));
    let left = running.content(&third).unwrap();
    assert_eq!((left.owned_items, left.owned_bytes), (6, 60), "a quarter arrived, whatever the gateway said");
    running.act(&Act::AddContent { user_id: third.clone(), items: 2, bytes: 5, shared: 1 });
    let more = running.content(&third).unwrap();
    assert_eq!((more.owned_items, more.owned_bytes, more.shared_items), (8, 65, 1));
    let as_source = client.send_as(
        Some(&third),
        "GET",
        "/folders/0/items?fields=owned_by,has_collaborations",
        Value::Null,
    );
    let items = entries(&as_source.await.1);
    let mine: Vec<_> = items.iter().filter(|item| item["owned_by"]["id"] == *third).collect();
    assert_eq!((mine.len(), mine.iter().filter(|item| item["has_collaborations"] == true).count()), (8, 1));
}

#[tokio::test]
async fn deletions_that_a_hold_refuses() {
    for holds_refuse_unforced in [false, true] {
        let running = start(Config { holds_refuse_unforced, ..plain() }).await.unwrap();
        let client = Client::of(&running).await;
        let [person, ..] = three(&running);
        running.act(&Act::SetContent { user_id: person.clone(), items: 0, bytes: 0, shared: 0 });
        let path = format!("/users/{person}");
        for (hold, text) in [(Hold::Retention, "retention policies"), (Hold::Legal, "legal hold policies")] {
            running.act(&Act::HoldContent { user_id: person.clone(), hold });
            let (status, body) = client.send("DELETE", &format!("{path}?force=true"), Value::Null).await;
            assert_eq!((status, &body["code"]), (403, &json!("forbidden")));
            let text = format!("User cannot be deleted due to {text}");
            assert!(body["message"].as_str().unwrap().starts_with(&text), "{body}");
        }
        let expected = if holds_refuse_unforced { 403 } else { 204 };
        assert_eq!(client.send("DELETE", &path, Value::Null).await.0, expected);
    }
}

#[tokio::test]
async fn scopes_and_reach_are_lost() {
    let running = start(plain()).await.unwrap();
    let (reading, acting) = (Client::of(&running).await, Client::acting(&running).await);
    let truth = running.truth_without_events();
    let person = user(&truth.users, is_ordinary).user_id.clone();
    let set = |app, scopes| _ = running.act(&Act::SetScopes { app, scopes });
    let full = Scopes::default();
    let closed = refused(403, "insufficient_scope");
    for (scopes, method, path) in [
        (Scopes { manage_managed_users: false, ..full }, "PUT", format!("/users/{person}")),
        (Scopes { manage_managed_users: false, ..full }, "GET", "/users?usemarker=true".to_owned()),
        (Scopes { manage_groups: false, ..full }, "GET", "/groups".to_owned()),
        (
            Scopes { manage_enterprise_properties: false, ..full },
            "GET",
            "/events?stream_type=admin_logs".to_owned(),
        ),
        (Scopes { root_readwrite: false, ..full }, "PUT", format!("/users/{person}/folders/0")),
    ] {
        set(App::Acting, scopes);
        assert_eq!(acting.code(method, &path, Value::Null).await, closed, "{method} {path}");
        assert_ne!(
            reading.code(method, &path, Value::Null).await,
            closed,
            "the other application keeps its own"
        );
    }
    set(App::Acting, Scopes { as_user: false, ..full });
    assert_eq!(acting.send_as(Some(&person), "GET", "/folders/0", Value::Null).await.0, 403);
    assert_eq!(reading.send_as(Some(&person), "GET", "/folders/0", Value::Null).await.0, 200);

    set(App::Reading, Scopes { whole_enterprise: false, ..full });
    let listed = reading.users().await;
    assert!(
        listed.len() < truth.users.len() / 4 && !listed.contains_key(&person),
        "the list shrinks without a word"
    );
    let path = format!("/users/{person}");
    assert_eq!(reading.code("GET", &path, Value::Null).await, refused(404, "not_found"));
    assert_eq!(reading.code("PUT", &path, json!({"status": "inactive"})).await, refused(404, "not_found"));
    assert_eq!(reading.send_as(Some(&person), "GET", "/folders/0", Value::Null).await.0, 403);
    set(App::Reading, full);
    assert_eq!(reading.users().await.len(), truth.users.len());
    set(App::Acting, full);
    assert_eq!(acting.get("/users/me").await["id"], "7700000002");
    assert!(running.deeds().iter().all(|deed| !deed.is_applied), "nothing of this changed anybody");

    let running = start(Config { out_of_reach_status: 403, app_access_only: true, ..plain() }).await.unwrap();
    let client = Client::of(&running).await;
    assert_eq!(
        client.code("GET", &path, Value::Null).await,
        refused(403, "access_denied_insufficient_permissions")
    );
}

#[tokio::test]
async fn names_and_accounts_that_come_back() {
    let running = start(Config { directory_recreates_after_days: Some(2), ..plain() }).await.unwrap();
    let client = Client::acting(&running).await;
    let [gone, other, third] = three(&running);
    let login_of = |id: &str| {
        let users = running.truth_without_events().users;
        users.into_iter().find(|user| user.user_id == id).map(|user| user.login.unwrap())
    };
    let login = login_of(&gone).unwrap();
    let recreate = || running.act(&Act::Recreate { user_id: gone.clone(), announced: true });
    assert!(recreate().is_empty(), "a listed user is not made again");
    running.act(&Act::SetContent { user_id: gone.clone(), items: 0, bytes: 0, shared: 0 });
    assert_eq!(client.send("DELETE", &format!("/users/{gone}"), Value::Null).await.0, 204);
    running.act(&Act::SetChangeScale { scale: 0.0 });
    running.step_days(1);
    assert!(
        login_of(&gone).is_none()
            && running.truth_without_events().users.iter().all(|u| u.login.as_ref() != Some(&login))
    );
    running.step_days(1);
    let users = running.truth_without_events().users;
    let again =
        users.iter().find(|user| user.login.as_ref() == Some(&login)).expect("the directory made it again");
    assert_ne!(again.user_id, gone);
    let told =
        running.truth().other_events.into_iter().rev().find(|event| event.event_type == "NEW_USER").unwrap();
    assert_eq!((told.user_id.as_ref(), told.actor_id.as_deref()), (Some(&again.user_id), Some("7700000003")));
    assert!(recreate().is_empty(), "the login is in use");

    running.act(&Act::ReassignLogin { user_id: other.clone(), to_user_id: third.clone(), announced: true });
    let given = login_of(&third).unwrap();
    assert_eq!(login_of(&other), Some(format!("former.{given}")));
    let account = running.deeds().pop().unwrap();
    assert_eq!(
        (account.before.unwrap().login, account.after.unwrap().login),
        (given.clone(), format!("former.{given}"))
    );
}

#[tokio::test]
async fn a_suspended_owner_takes_the_shared_folders_along() {
    // The rule about owners of shared content depends on this behaviour.
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let users = running.truth_without_events().users;
    let sees = async |viewer: &str| {
        let page = client
            .send_as(Some(viewer), "GET", "/folders/0/items?limit=1000&fields=owned_by", Value::Null)
            .await
            .1;
        entries(&page).into_iter().filter(|item| item["owned_by"]["id"] != *viewer).collect::<Vec<_>>()
    };
    for viewer in users.iter().filter(|user| is_ordinary(user)) {
        let Some(item) = sees(&viewer.user_id).await.into_iter().next() else { continue };
        let owner = item["owned_by"]["id"].as_str().unwrap().to_owned();
        assert!(running.content(&owner).unwrap().shared_items > 0);
        let act = |status: &str| Act::SetStatus {
            user_id: owner.clone(),
            status: status.to_owned(),
            announced: true,
        };
        running.act(&act("inactive"));
        assert!(sees(&viewer.user_id).await.iter().all(|item| item["owned_by"]["id"] != *owner));
        let body = json!({ "is_collaborated_content_available_when_owner_inactive": true });
        running.act(&Act::EditUser { user_id: owner.clone(), body, announced: true });
        assert!(sees(&viewer.user_id).await.iter().any(|item| item["owned_by"]["id"] == *owner));
        running.act(&act("active"));
        assert!(sees(&viewer.user_id).await.iter().any(|item| item["owned_by"]["id"] == *owner));
        return;
    }
    panic!("no user works in a folder of others");
}
