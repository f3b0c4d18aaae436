//! The record of actions: what was done, by which actor, and the state before and after.

use serde_json::{Value, json};

use super::writing::{plain, three, user};
use super::{Client, text};
use crate::{Act, App, Deed, Doer, Effect, Fault, Hand, Running, Verb, start};

impl Client {
    /// A client of the application that changes users.
    pub(super) async fn acting(running: &Running) -> Client {
        let http = reqwest::Client::new();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "simulated-actions-client"),
            ("client_secret", "simulated-actions-secret"),
            ("box_subject_type", "enterprise"),
            ("box_subject_id", "900000001"),
        ];
        let answer = http.post(running.token_url()).form(&form).send().await.unwrap();
        let token: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        Client { http, base: running.api_url(), token: token["access_token"].as_str().unwrap().to_owned() }
    }
}

fn verbs(deeds: &[Deed]) -> Vec<Verb> {
    deeds.iter().map(|deed| deed.verb).collect()
}

#[tokio::test]
async fn a_reclaim_from_suspension_to_deletion() {
    let running = start(plain()).await.unwrap();
    let client = Client::acting(&running).await;
    let [from, to, _] = three(&running);
    running.act(&Act::SetContent { user_id: from.clone(), items: 7, bytes: 7_000, shared: 2 });
    running.act(&Act::EditUser { user_id: to.clone(), body: json!({"space_amount": -1}), announced: false });
    let staged = running.deeds();
    assert_eq!(verbs(&staged), [Verb::Act, Verb::Act]);
    assert_eq!((staged[0].by, staged[0].body["set_content"]["items"].as_i64()), (Doer::Stage, Some(7)));

    let path = format!("/users/{from}");
    let login = running.truth_without_events().users;
    let login = user(&login, |user| user.user_id == from).login.clone().unwrap();
    assert_eq!(client.send("PUT", &path, json!({"status": "inactive", "notify": false})).await.0, 200);
    let both = json!({"user_ids": [from], "user_logins": [login]});
    assert_eq!(client.send("POST", "/users/terminate_sessions", both).await.0, 202);
    let (_, folder) =
        client.send("PUT", &format!("{path}/folders/0?notify=false"), json!({"owned_by": {"id": to}})).await;
    assert_eq!(client.send("DELETE", &format!("{path}?force=false&notify=false"), Value::Null).await.0, 204);
    assert_eq!(client.send("DELETE", &path, Value::Null).await.0, 404);

    let deeds = running.deeds().split_off(2);
    let done = [Verb::Edit, Verb::EndSessions, Verb::BeginTransfer, Verb::FinishTransfer, Verb::Delete];
    assert_eq!(verbs(&deeds)[..5], done);
    for deed in &deeds {
        assert_eq!((deed.by, deed.actor_id.as_str()), (Doer::App(App::Acting), "7700000002"));
        assert_eq!((deed.user_id.as_str(), deed.at.as_str()), (from.as_str(), &*running.truth().now));
        assert_eq!(deed.before.as_ref().unwrap().login, login);
    }
    assert!(deeds[0].suspends() && !deeds[1].suspends());
    assert_eq!((deeds[0].notify, deeds[0].force, deeds[0].http_status), (Some(false), None, 200));
    let begun = &deeds[2];
    let before = begun.before.as_ref().unwrap();
    assert_eq!((before.owned_items, before.shared_items, before.owned_bytes), (7, 2, 7_000));
    assert_eq!(begun.receiver_user_id.as_ref(), Some(&to));
    assert_eq!(begun.destination_folder_id, text(&folder["id"]));
    let ended = &deeds[3];
    assert_eq!((ended.after.as_ref().unwrap().owned_items, ended.http_status), (0, 0));
    let [was, is] = [&ended.receiver_before, &ended.receiver_after].map(|account| account.clone().unwrap());
    assert_eq!((is.owned_bytes - was.owned_bytes, is.owned_items), (7_000, was.owned_items));
    let deleted = &deeds[4];
    assert_eq!((deleted.force, deleted.notify, deleted.lost_items), (Some(false), Some(false), 0));
    assert!(!deleted.after.as_ref().unwrap().is_managed);
    let refused = &deeds[5];
    assert_eq!(
        (refused.is_applied, refused.http_status, refused.code.as_deref()),
        (false, 404, Some("not_found"))
    );
    assert_eq!(refused.sequence, 8);
}

#[tokio::test]
async fn what_force_destroys_is_told() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await.admin();
    let [person, ..] = three(&running);
    running.act(&Act::SetContent { user_id: person.clone(), items: 3, bytes: 90, shared: 0 });
    let refused = client.send("DELETE", &format!("/users/{person}"), Value::Null).await;
    assert_eq!(refused.0, 400);
    assert_eq!(client.send("DELETE", &format!("/users/{person}?force=true"), Value::Null).await.0, 204);
    let deeds = running.deeds();
    let (kept, lost) = (&deeds[1], &deeds[2]);
    assert_eq!((kept.is_applied, kept.lost_items, kept.lost_bytes), (false, 0, 0));
    assert_eq!((lost.by, lost.force, lost.lost_items, lost.lost_bytes), (Doer::Person, Some(true), 3, 90));
}

#[tokio::test]
async fn calls_that_never_reach_a_route_are_refused_deeds() {
    let running = start(plain()).await.unwrap();
    let mut client = Client::acting(&running).await;
    let [person, ..] = three(&running);
    let path = format!("/users/{person}");
    running.add_fault(Fault::once(&format!("/2.0{path}"), 1, Effect::HtmlAnswer { status: 503 }));
    assert_eq!(client.send("PUT", &path, json!({"status": "inactive"})).await, (503, Value::Null));
    client.token = "none".to_owned();
    assert_eq!(client.send("PUT", &path, json!({"status": "active"})).await.0, 401);
    let deeds = running.deeds();
    assert!(deeds[0].suspends(), "a gateway's error may hide a change that took place");
    assert_eq!((deeds[1].by, deeds[1].http_status, deeds[1].is_applied), (Doer::Unauthenticated, 401, false));
    assert_eq!(deeds[1].after.as_ref().unwrap().status, "inactive");
}

#[tokio::test]
async fn events_name_the_account_that_acted() {
    let running = start(plain()).await.unwrap();
    let [person, other, third] = three(&running);
    let reading = Client::of(&running).await;
    let live = "/events?stream_type=admin_logs_streaming&limit=500&stream_position=";
    let page = reading.get(&format!("{live}now")).await;
    let position = text(&page["next_stream_position"]).unwrap();
    assert!(super::entries(&page).is_empty());

    let acting = Client::acting(&running).await;
    assert_eq!(acting.send("PUT", &format!("/users/{person}"), json!({"status": "inactive"})).await.0, 200);
    let edit = |user_id: &String| {
        Box::new(Act::EditUser {
            user_id: user_id.clone(),
            body: json!({"job_title": "Cook"}),
            announced: true,
        })
    };
    running.act(&Act::As { hand: Hand::App(App::Directory), act: edit(&person) });
    running.act(&Act::As { hand: Hand::Person(other.clone()), act: edit(&person) });
    running.act(&Act::Login { user_id: third.clone() });
    running.act(&Act::Login { user_id: person.clone() });

    for stream in [
        format!("{live}{position}"),
        "/events?stream_type=admin_logs&limit=500&created_after=2026-03-02T06:00:00Z".to_owned(),
    ] {
        let events = super::entries(&reading.get(&stream).await);
        let told = |event: &Value| {
            let id = |key: &str| text(&event[key]["id"]).unwrap();
            (text(&event["event_type"]).unwrap(), id("source"), id("created_by"))
        };
        let told: Vec<_> = events.iter().map(told).collect();
        let event =
            |kind: &str, source: &str, actor: &str| (kind.to_owned(), source.to_owned(), actor.to_owned());
        assert_eq!(
            told,
            [
                event("EDIT_USER", &person, "7700000002"),
                event("EDIT_USER", &person, "7700000003"),
                event("EDIT_USER", &person, &other),
                event("LOGIN", &third, &third),
                event("FAILED_LOGIN", &person, "2"),
            ],
            "{stream}"
        );
    }
    assert_eq!(running.deeds().last().unwrap().user_id, third, "a suspended user does not sign in");
}

#[tokio::test]
async fn a_login_may_be_told_of_late() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let [person, ..] = three(&running);
    let live = "/events?stream_type=admin_logs_streaming&event_type=LOGIN&stream_position=";
    let position = text(&client.get(&format!("{live}now")).await["next_stream_position"]).unwrap();
    let streams = [
        format!("{live}{position}"),
        "/events?stream_type=admin_logs&event_type=LOGIN&created_after=2026-03-02T05:59:59Z".to_owned(),
    ];
    running.act(&Act::LateLogin { user_id: person.clone(), arrives_in_hours: 30 });
    let happened_at = running.truth().now;
    running.act(&Act::SetStatus { user_id: person.clone(), status: "inactive".to_owned(), announced: true });
    for (hours, is_told) in [(0, false), (29, false), (1, true)] {
        running.advance_secs(hours * 3600);
        for stream in &streams {
            let events = super::entries(&client.get(stream).await);
            let mine = events.iter().find(|event| event["source"]["id"] == *person);
            assert_eq!(mine.is_some(), is_told, "{stream} after {hours} h more");
            if let Some(event) = mine {
                assert_eq!(super::utc(&event["created_at"]), happened_at);
            }
        }
    }
    let account = running.deeds().pop().unwrap().after.unwrap();
    assert_eq!(account.last_login_at.as_ref(), Some(&happened_at), "the record knows at once");
}

#[tokio::test]
async fn the_record_over_http() {
    let running = start(plain()).await.unwrap();
    let client = Client::of(&running).await;
    let [person, other, _] = three(&running);
    for id in [&person, &other] {
        client.send("PUT", &format!("/users/{id}"), json!({"phone": "1"})).await;
    }
    let get = async |query: &str| {
        let url = format!("{}/deeds{query}", running.control_url());
        let body = client.http.get(url).send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice::<Vec<Deed>>(&body).unwrap()
    };
    assert_eq!(get("").await, running.deeds());
    assert_eq!(get("?since=1").await[0].user_id, other);
    assert!(get("?since=9").await.is_empty());
    let advance = format!("{}/advance?secs=90", running.control_url());
    let before = running.now();
    assert!(client.http.post(advance).send().await.unwrap().status().is_success());
    assert_eq!((running.now() - before).num_seconds(), 90);
}
