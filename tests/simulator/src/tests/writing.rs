//! Writing calls over real HTTP: the response, the resulting truth, and the events in the admin log.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, assert_true, entries, quick};
use crate::{Act, Config, Fault, Running, TrueUser, start};

/// A response: the status and the body, or null without a body.
pub(super) type Answered = (u16, Value);

impl Client {
    pub(super) async fn send(&self, method: &str, path: &str, body: Value) -> Answered {
        self.send_as(None, method, path, body).await
    }

    pub(super) async fn send_as(
        &self,
        user: Option<&str>,
        method: &str,
        path: &str,
        body: Value,
    ) -> Answered {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(user) = user {
            request = request.header("As-User", user);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    pub(super) async fn code(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, body) = self.send(method, path, body).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    /// A client of the primary admin in place of the application.
    pub(super) fn admin(mut self) -> Client {
        self.token = "simulated-developer-token".to_owned();
        self
    }
}

pub(super) fn plain() -> Config {
    Config { users: 80, groups: 8, logins: Some(200), calls_per_minute: None, ..Config::plain() }
}

pub(super) fn user(users: &[TrueUser], test: impl Fn(&TrueUser) -> bool) -> &TrueUser {
    users.iter().find(|user| test(user)).expect("a user like that")
}

pub(super) fn is_ordinary(user: &TrueUser) -> bool {
    user.role == "user" && user.status == "active" && !user.is_platform_access_only
}

/// Ids of three active users who own content.
pub(super) fn three(running: &Running) -> [String; 3] {
    let users = running.truth_without_events().users;
    let mut found = users.iter().filter(|user| is_ordinary(user) && user.space_used_bytes > 0);
    std::array::from_fn(|_| found.next().unwrap().user_id.clone())
}

/// Types of the newest events. The actor of each must be the application.
fn told(running: &Running, since: usize) -> Vec<String> {
    let events = running.truth().other_events;
    let mine =
        events[since..].iter().inspect(|event| assert_eq!(event.actor_id.as_deref(), Some("7700000001")));
    mine.map(|event| event.event_type.clone()).collect()
}

#[tokio::test]
async fn a_life_in_seven_calls() {
    let running = start(Config { late_events: 0.0, ..quick() }).await.unwrap();
    let client = Client::of(&running).await;
    let since = running.truth().other_events.len();
    let body = json!({"name": "Ada Byte", "login": "ada.byte.new@acme.test", "space_amount": -1, "job_title": "Cook"});
    let (status, made) = client.send("POST", "/users?fields=status,role,space_amount,enterprise", body).await;
    assert_eq!((status, made["status"].as_str(), made["role"].as_str()), (201, Some("active"), Some("user")));
    let id = super::text(&made["id"]).unwrap();
    let path = format!("/users/{id}");

    let alias = json!({"email": "ada.old@acme.test", "is_confirmed": true});
    assert_eq!(client.send("POST", &format!("{path}/email_aliases"), alias).await.0, 201);
    let (status, changed) = client.send("PUT", &path, json!({"login": "ada.old@acme.test"})).await;
    assert_eq!((status, changed["login"].as_str()), (200, Some("ada.old@acme.test")));
    let aliases = client.get(&format!("{path}/email_aliases")).await;
    assert_eq!(entries(&aliases)[0]["email"], "ada.byte.new@acme.test");
    let alias_id = entries(&aliases)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.send("DELETE", &format!("{path}/email_aliases/{alias_id}"), Value::Null).await.0, 204);
    assert_eq!(client.send("PUT", &path, json!({"status": "inactive"})).await.0, 200);
    let names = json!({"user_ids": [id], "user_logins": ["ada.old@acme.test"]});
    assert_eq!(client.send("POST", "/users/terminate_sessions", names).await.0, 202);
    assert_true(&client, &running.truth()).await;
    assert_eq!(client.send("DELETE", &format!("{path}?force=false&notify=false"), Value::Null).await.0, 204);
    assert_eq!(client.refusal(&path).await.0, 404);

    let expected = "NEW_USER EMAIL_ALIAS_PRIMARY EDIT_USER EMAIL_ALIAS_REMOVE EDIT_USER DELETE_USER";
    assert_eq!(told(&running, since).join(" "), expected);
    running.step_days(2);
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn refusals_of_writing() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let truth = running.truth_without_events();
    let [person, other, _] = three(&running);
    let admin = &user(&truth.users, |user| user.role == "admin").user_id;
    let coadmin = &user(&truth.users, |user| user.role == "coadmin").user_id;
    let taken = &user(&truth.users, |user| user.user_id == other).login;
    let to = |id: &str| json!({"owned_by": {"id": id}});
    let refused = (403, "access_denied_insufficient_permissions");
    for (method, path, body, expected) in [
        ("POST", "/users".to_owned(), json!({"name": "A", "login": taken}), (409, "user_login_already_used")),
        ("POST", "/users".to_owned(), json!({"name": "A"}), (400, "invalid_parameter")),
        ("POST", "/users".to_owned(), json!([]), (400, "bad_request")),
        (
            "POST",
            "/users".to_owned(),
            json!({"name": "A", "login": "a@acme.test", "role": "coadmin"}),
            refused,
        ),
        ("PUT", format!("/users/{person}"), json!({"status": "gone"}), (400, "invalid_parameter")),
        ("PUT", format!("/users/{person}"), json!({"role": "admin"}), (400, "invalid_parameter")),
        ("PUT", format!("/users/{person}"), json!({"login": taken}), (409, "user_login_already_used")),
        (
            "PUT",
            format!("/users/{person}"),
            json!({"login": "a@elsewhere.example"}),
            (403, "user_email_confirmation_required"),
        ),
        ("PUT", format!("/users/{coadmin}"), json!({"status": "inactive"}), refused),
        ("PUT", format!("/users/{admin}"), json!({"status": "inactive"}), refused),
        ("PUT", "/users/7700000001".to_owned(), json!({"status": "inactive"}), refused),
        ("PUT", "/users/12345".to_owned(), json!({"status": "inactive"}), (404, "not_found")),
        ("DELETE", format!("/users/{person}"), Value::Null, (400, "bad_request")),
        ("DELETE", format!("/users/{person}?force=yes"), Value::Null, (400, "invalid_parameter")),
        ("DELETE", format!("/users/{admin}?force=true"), Value::Null, refused),
        ("PUT", format!("/users/{person}/folders/0"), json!({}), (400, "bad_request")),
        ("PUT", format!("/users/{person}/folders/0"), to(&person), (400, "bad_request")),
        ("PUT", format!("/users/{person}/folders/0"), to("12345"), (404, "not_found")),
        ("PUT", format!("/users/{person}/folders/0"), to(admin), (403, "forbidden")),
        ("PUT", format!("/users/{coadmin}/folders/0"), to(&person), (403, "forbidden")),
        ("PUT", format!("/users/{person}/folders/1"), to(&other), (404, "not_found")),
        (
            "POST",
            format!("/users/{person}/email_aliases"),
            json!({"email": taken}),
            (409, "user_login_already_used"),
        ),
        (
            "POST",
            format!("/users/{person}/email_aliases"),
            json!({"email": "a@b.example"}),
            (400, "invalid_parameter"),
        ),
        ("DELETE", format!("/users/{person}/email_aliases/1"), Value::Null, (404, "not_found")),
        ("GET", format!("/users/{person}/avatar"), Value::Null, (404, "not_found")),
        ("POST", format!("/users/{person}/avatar"), json!({}), (400, "bad_request")),
        ("POST", "/users/terminate_sessions".to_owned(), json!({"user_ids": [person]}), (400, "bad_request")),
    ] {
        let (status, code) = client.code(method, &path, body.clone()).await;
        assert_eq!((status, code.as_str()), expected, "{method} {path} {body}");
    }
    for (body, message) in [
        (json!({"user_ids": [person], "user_logins": []}), "Users can not be NULL or EMPTY"),
        (json!({"user_ids": [7], "user_logins": [taken]}), "User id format is string"),
    ] {
        assert_eq!(client.send("POST", "/users/terminate_sessions", body).await.1["message"], message);
    }
    assert_eq!(running.truth_without_events(), truth, "nothing of this changed anything");
}

#[tokio::test]
async fn the_primary_admin_may_more() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await.admin();
    let truth = running.truth_without_events();
    let coadmin = user(&truth.users, |user| user.role == "coadmin").user_id.clone();
    let me = client.get("/users/me").await["id"].as_str().unwrap().to_owned();
    let [person, ..] = three(&running);
    assert_eq!(client.send("PUT", &format!("/users/{coadmin}"), json!({"role": "user"})).await.0, 200);
    assert_eq!(client.send("PUT", &format!("/users/{person}"), json!({"role": "coadmin"})).await.0, 200);
    for body in [json!({"role": "user"}), json!({"status": "inactive"}), json!({"enterprise": null})] {
        assert_eq!(client.send("PUT", &format!("/users/{me}"), body).await.0, 403);
    }
    let rolled =
        client.send("PUT", &format!("/users/{coadmin}"), json!({"enterprise": null, "notify": false})).await;
    assert_eq!((rolled.0, &rolled.1["status"]), (200, &Value::Null));
    assert!(running.truth_without_events().users.iter().all(|user| user.user_id != coadmin));
}

#[tokio::test]
async fn empty_then_delete() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let [from, to, _] = three(&running);
    let before = running.content(&from).unwrap();
    let page = "/folders/0/items?limit=3&fields=owned_by,has_collaborations&offset=";
    let mut owned = Vec::new();
    for offset in (0..).step_by(3) {
        let (status, page) =
            client.send_as(Some(&from), "GET", &format!("{page}{offset}"), Value::Null).await;
        assert_eq!(status, 200);
        let rows = entries(&page);
        if rows.is_empty() {
            break;
        }
        owned.extend(rows.into_iter().filter(|item| item["owned_by"]["id"] == *from));
    }
    assert!(before.owned_items > 0 && owned.len() == before.owned_items);
    assert!(owned.iter().all(|item| item["has_collaborations"].is_boolean()));

    let body = json!({"owned_by": {"id": to}});
    let (status, folder) = client.send("PUT", &format!("/users/{from}/folders/0?notify=false"), body).await;
    assert_eq!((status, &folder["owned_by"]["id"]), (200, &Value::String(to.clone())));
    assert!(folder["name"].as_str().unwrap().ends_with("'s Files and Folders"));
    assert_eq!(running.content(&from).unwrap().owned_items, 0);
    let path = format!("/folders/{}/items", folder["id"].as_str().unwrap());
    let inside = client.send_as(Some(&to), "GET", &path, Value::Null).await.1;
    assert_eq!(inside["total_count"], before.owned_items);
    assert_eq!(client.send("GET", &path, Value::Null).await.0, 404, "the application itself does not see it");
    assert_eq!(client.send("DELETE", &format!("/users/{from}?notify=false"), Value::Null).await.0, 204);
    assert_true(&client, &running.truth()).await;
}

#[tokio::test]
async fn a_slow_transfer_answers_early_and_goes_on() {
    let slow = Config { transfer_ms: 400, transfer_answer_ms: 50, ..plain() };
    let running = start(slow).await.unwrap();
    let client = Client::of(&running).await;
    let [from, to, third] = three(&running);
    let path = format!("/users/{from}/folders/0");
    let (status, folder) = client.send("PUT", &path, json!({"owned_by": {"id": to}})).await;
    assert_eq!((status, &folder["item_collection"]["total_count"]), (200, &json!(0)));
    assert!(running.content(&from).unwrap().is_moving);
    let again = client.code("PUT", &path, json!({"owned_by": {"id": third}})).await;
    assert_eq!(again, (409, "operation_blocked_temporary".to_owned()));
    assert_eq!(client.send("DELETE", &format!("/users/{from}"), Value::Null).await.0, 400, "still full");
    while running.content(&from).unwrap().is_moving {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.send("DELETE", &format!("/users/{from}"), Value::Null).await.0, 204);

    running.add_fault(Fault::once(&format!("/2.0/users/{third}/folders/0"), 1, crate::Effect::DroppedAnswer));
    let request =
        client.http.put(format!("{}/users/{third}/folders/0", client.base)).bearer_auth(&client.token);
    assert!(request.body(json!({"owned_by": {"id": to}}).to_string()).send().await.is_err());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(running.content(&third).unwrap().owned_bytes, 0, "a lost answer stops nothing");
}

#[tokio::test]
async fn policies_and_force() {
    let running = start(plain()).await.unwrap();
    let [person, barred, _] = three(&running);
    running.shutdown().await;
    let strict = Config {
        has_retention_policies: true,
        owned_content_status: 409,
        barred_user_ids: vec![barred.clone()],
        as_user_when_inactive: false,
        ..plain()
    };
    let running = start(strict).await.unwrap();
    let client = Client::of(&running).await;
    assert_eq!(client.send("DELETE", &format!("/users/{person}"), Value::Null).await.0, 409);
    let forced = client.code("DELETE", &format!("/users/{person}?force=true"), Value::Null).await;
    assert_eq!(forced, (403, "forbidden".to_owned()));
    let put = client.code("PUT", &format!("/users/{barred}"), json!({"phone": "1"})).await;
    assert_eq!(put, (403, "denied_by_policy".to_owned()));
    let body = json!({"owned_by": {"id": barred}});
    let moved = client.code("PUT", &format!("/users/{person}/folders/0"), body).await;
    assert_eq!(moved, (403, "forbidden_by_policy".to_owned()));
    running.act(&Act::SetStatus { user_id: person.clone(), status: "inactive".to_owned(), announced: false });
    assert_eq!(client.send_as(Some(&person), "GET", "/folders/0", Value::Null).await.0, 403);
}

#[tokio::test]
async fn folders_as_their_owners_see_them() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let [person, ..] = three(&running);
    let get = async |path: &str| client.send_as(Some(&person), "GET", path, Value::Null).await;
    let (_, root) = get("/folders/0").await;
    assert_eq!((&root["name"], &root["parent"]), (&json!("All Files"), &Value::Null));
    let (_, items) = get("/folders/0/items?sort=size&direction=DESC&fields=size,path_collection").await;
    assert_eq!(items["order"][1], json!({"by": "size", "direction": "DESC"}));
    assert!(
        entries(&items).is_sorted_by_key(|item| (item["type"] == "file", -item["size"].as_i64().unwrap()))
    );
    for (path, status) in [("/folders/none", 405), ("/folders/12", 404), ("/folders/0/items?sort=mood", 400)]
    {
        assert_eq!(get(path).await.0, status, "{path}");
    }
    let (_, page) = get("/folders/0/items?usemarker=true&limit=1").await;
    assert_eq!(entries(&page).len(), 1);
    assert_eq!(client.send("GET", "/users/me", Value::Null).await.1["id"], "7700000001");
    assert_eq!(get("/users/me").await.1["id"], *person);
    assert_eq!(get("/users").await.0, 403, "an ordinary user lists no user");
    let mut folder = Value::Null;
    for user in running.truth_without_events().users.iter().filter(|user| is_ordinary(user)) {
        let items = client.send_as(Some(&user.user_id), "GET", "/folders/0/items", Value::Null).await.1;
        folder = entries(&items).first().filter(|item| item["type"] == "folder").cloned().unwrap_or_default();
        if !folder.is_null() {
            let path = format!("/folders/{}", folder["id"].as_str().unwrap());
            let (status, whole) = client.send_as(Some(&user.user_id), "GET", &path, Value::Null).await;
            assert_eq!((status, &whole["path_collection"]["entries"][0]["id"]), (200, &json!("0")));
            assert_eq!(client.send("GET", &path, Value::Null).await.0, 404);
            break;
        }
    }
    assert!(!folder.is_null(), "one user has a folder");
    let unknown = client.send_as(Some("7700000001"), "GET", "/folders/0", Value::Null).await;
    assert_eq!(unknown.0, 403);
}

#[tokio::test]
async fn sessions_end_and_servers_are_named() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let truth = running.truth_without_events();
    let person = user(&truth.users, is_ordinary);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
        ("box_subject_type", "user"),
        ("box_subject_id", &person.user_id),
    ];
    let answer = client.http.post(running.token_url()).form(&form).send().await.unwrap();
    let token: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let theirs = Client {
        http: client.http.clone(),
        base: client.base.clone(),
        token: token["access_token"].as_str().unwrap().to_owned(),
    };
    assert_eq!(theirs.get("/users/me").await["id"], *person.user_id);
    assert_eq!(theirs.send("DELETE", &format!("/users/{}", person.user_id), Value::Null).await.0, 403);
    let names = json!({"user_ids": [person.user_id], "user_logins": [person.login]});
    assert_eq!(client.send("POST", "/users/terminate_sessions", names).await.0, 202);
    assert_eq!(theirs.send("GET", "/users/me", Value::Null).await.0, 401);
    let (status, servers) = client.send("OPTIONS", "/events", Value::Null).await;
    assert_eq!((status, &servers["chunk_size"]), (200, &json!(1)));
    assert_eq!(entries(&servers)[0]["type"], "realtime_server");
}
