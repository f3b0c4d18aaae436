//! A token endpoint that records every assertion, and a client that signs in with its private key.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use boxseat_schemas::spool::{CallOutcome, Request};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::jwt::tests::{file, verified};
use super::tests::{Client, client_of};
use super::transport::system_seconds;
use super::{Credentials, JwtApplication, JwtRefusal, SignInFault};
use crate::Error;

/// A response of the token endpoint.
#[derive(Clone)]
struct Response {
    status: &'static str,
    /// Box's time minus ours.
    ahead_secs: i64,
    body: String,
}

fn token() -> Response {
    Response {
        status: "200 OK",
        ahead_secs: 0,
        body: r#"{"access_token":"t1","expires_in":3600}"#.to_owned(),
    }
}

fn refusal(ahead_secs: i64, error: &str, description: &str) -> Response {
    let body = serde_json::json!({"error": error, "error_description": description}).to_string();
    Response { status: "400 Bad Request", ahead_secs, body }
}

/// Box's text for an expired assertion.
const EXPIRED: &str = "Current date/time MUST be before the expiration date/time listed in the 'exp' claim";

/// A server that sends these responses to token requests, then tokens, and `{}` to all other requests. Returns its URL and the forms that
/// it received.
async fn serve(responses: Vec<Response>) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/2.0", listener.local_addr().unwrap()).parse().unwrap();
    let (forms, responses) = (Arc::default(), Arc::new(Mutex::new(VecDeque::from(responses))));
    let received = Arc::clone(&forms);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(respond(stream, Arc::clone(&responses), Arc::clone(&received)));
        }
    });
    (url, forms)
}

async fn respond(
    stream: TcpStream,
    responses: Arc<Mutex<VecDeque<Response>>>,
    forms: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut form = vec![0; length];
    stream.read_exact(&mut form).await.unwrap();
    let response = if length == 0 {
        Response { body: r#"{"type":"user","id":"7"}"#.to_owned(), ..token() }
    } else {
        forms.lock().unwrap().push(String::from_utf8(form).unwrap());
        responses.lock().unwrap().pop_front().unwrap_or_else(token)
    };
    let Response { status, ahead_secs, body } = response;
    let date = chrono::DateTime::from_timestamp(system_seconds() + ahead_secs, 0).unwrap();
    let date = date.format("%a, %d %b %Y %H:%M:%S GMT");
    let text = format!(
        "HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

fn application() -> JwtApplication {
    JwtApplication::from_json(file().to_string().as_bytes(), None).unwrap()
}

fn client(url: &Url) -> Client {
    client_of(Credentials::Jwt(application()), url, url)
}

/// The claims of all assertions, after a check of their signatures.
fn claims(forms: &Mutex<Vec<String>>) -> Vec<Value> {
    let application = application();
    let field = |form: &str, name: &str| {
        let mut fields = url::form_urlencoded::parse(form.as_bytes());
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
    };
    let forms = forms.lock().unwrap();
    forms
        .iter()
        .map(|form| {
            assert_eq!(field(form, "grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
            assert_eq!(field(form, "client_id"), "client");
            assert_eq!(field(form, "client_secret"), "s3cret-of-client");
            verified(&application, &field(form, "assertion")).1
        })
        .collect()
}

fn assert_all_differ(claims: &[Value]) {
    let jtis: std::collections::HashSet<&str> =
        claims.iter().map(|claims| claims["jti"].as_str().unwrap()).collect();
    assert_eq!(jtis.len(), claims.len(), "{claims:?}");
}

#[tokio::test]
async fn assertion_is_exchanged_for_a_token_once() {
    let (url, forms) = serve(Vec::new()).await;
    let client = client(&url);
    for _ in 0..3 {
        client.reader.ask(&Request::Me, None).await.unwrap();
    }
    let claims = claims(&forms);
    assert_eq!(claims.len(), 1);
    let lifetime = claims[0]["exp"].as_i64().unwrap() - system_seconds();
    assert!((20..=30).contains(&lifetime), "{lifetime}");
}

/// Why: Box refuses every assertion of a machine whose clock is more than a minute off, and its error has the correct time.
#[tokio::test]
async fn refused_time_is_corrected_by_the_time_of_box() {
    for ahead_secs in [-3600, 3600] {
        let (url, forms) = serve(vec![refusal(ahead_secs, "invalid_grant", EXPIRED)]).await;
        let client = client(&url);
        client.reader.ask(&Request::Me, None).await.unwrap();
        let claims = claims(&forms);
        assert_eq!(claims.len(), 2);
        assert_all_differ(&claims);
        let lifetime = claims[1]["exp"].as_i64().unwrap() - system_seconds() - ahead_secs;
        assert!((20..=30).contains(&lifetime), "{lifetime}");
        let outcomes = [CallOutcome::Retried, CallOutcome::Done].map(|outcome| client.notes.of(outcome));
        assert_eq!(outcomes, [1, 1], "both token requests are in the ledger");
    }
}

#[tokio::test]
async fn a_second_refusal_of_the_time_is_final() {
    let refusals = vec![refusal(90, "invalid_grant", EXPIRED); 3];
    let (url, forms) = serve(refusals).await;
    let refused = client(&url).reader.ask(&Request::Me, None).await.unwrap_err();
    assert!(
        matches!(refused, Error::SignIn { fault: SignInFault::Jwt(JwtRefusal::Clock), .. }),
        "{refused:?}"
    );
    assert_eq!(claims(&forms).len(), 2);
}

/// Why: Box accepts a `jti` once. A repeated request with the same assertion fails even if the first one was lost on its way.
#[tokio::test]
async fn no_assertion_is_sent_twice() {
    let down = |status| Response { status, ahead_secs: 0, body: String::new() };
    let reused = "Please check the 'jti' claim. A unique 'jti' value is required.";
    let (url, forms) = serve(vec![
        down("503 Service Unavailable"),
        down("429 Too Many Requests"),
        refusal(0, "invalid_grant", reused),
        down("502 Bad Gateway"),
    ])
    .await;
    client(&url).reader.ask(&Request::Me, None).await.unwrap();
    let claims = claims(&forms);
    assert_eq!(claims.len(), 5);
    assert_all_differ(&claims);
}

#[tokio::test]
async fn a_refusal_is_named_and_shows_no_secret() {
    let echo = "client_secret=s3cret-of-client is not known";
    let (url, forms) = serve(vec![refusal(0, "invalid_client", echo)]).await;
    let refused = client(&url).reader.ask(&Request::Me, None).await.unwrap_err();
    let shown = format!("{refused} {refused:?}");
    assert!(shown.contains("invalid_client") && !shown.contains("s3cret"), "{shown}");
    assert!(matches!(refused, Error::SignIn { fault: SignInFault::Jwt(JwtRefusal::Client), .. }));
    assert_eq!(claims(&forms).len(), 1, "a refusal is not repeated");
}
