//! The requested fields of a user, and whether this Box knows the newest of them.
//!
//! Box added `is_collaborated_content_available_when_owner_inactive` in August 2026 (box/box-openapi#613). An older Box may respond to
//! it with 400. The first 400 of a process is therefore repeated without the field. If that call succeeds, the field is not requested
//! again. Otherwise the second response counts.

use std::sync::OnceLock;

use boxseat_schemas::box_api::{CONTENT_AVAILABLE_FIELD, USER_FIELDS};
use url::Url;

use super::api_client::{ApiClient, CallOptions, Judged};
use super::transport::{Exchange, Reply};
use crate::Error;

/// The known facts about this Box; shared by the reader and the actor of a process.
#[derive(Debug, Default)]
pub(super) struct UserFields {
    /// Whether Box accepts [`CONTENT_AVAILABLE_FIELD`]; empty before the first response.
    is_accepted: OnceLock<bool>,
}

impl UserFields {
    /// The value of `fields`, with the newest field unless Box refused it.
    fn list(&self) -> String {
        match self.is_accepted.get() {
            Some(false) => USER_FIELDS.to_owned(),
            Some(true) | None => format!("{USER_FIELDS},{CONTENT_AVAILABLE_FIELD}"),
        }
    }

    /// The first response decides for the whole process.
    fn learn(&self, is_accepted: bool) {
        self.is_accepted.get_or_init(|| is_accepted);
    }
}

impl ApiClient {
    /// As [`ApiClient::call`], for a read of users: `url` receives the value of `fields`.
    pub(super) async fn call_for_users<T>(
        &self,
        options: CallOptions,
        url: &(dyn Fn(&str) -> Url + Sync),
        build: &(dyn Fn(&reqwest::Client, Url) -> reqwest::RequestBuilder + Sync),
        judge: &(dyn Fn(&Reply) -> Judged<T> + Sync),
    ) -> Result<Result<T, Exchange>, Error> {
        let known = &self.user_fields;
        let is_unknown = known.is_accepted.get().is_none();
        let whole = url(&known.list());
        let judge_first = |reply: &Reply| {
            let judged = judge(reply);
            // A 404 proves nothing: Box may look for the user before it checks `fields`.
            if is_unknown && matches!((&judged, reply.status), (Judged::Good(_), 200..300)) {
                known.learn(true);
            }
            judged
        };
        let first =
            self.call(options, &self.transport, &|http| build(http, whole.clone()), &judge_first).await?;
        match first {
            Err(Exchange::Reply(reply)) if is_unknown && reply.status == 400 => {
                let older = url(USER_FIELDS);
                let again =
                    self.call(options, &self.transport, &|http| build(http, older.clone()), judge).await?;
                if again.is_ok() {
                    tracing::info!(
                        "Box does not know the user field {CONTENT_AVAILABLE_FIELD}; it is not requested"
                    );
                    known.learn(false);
                }
                Ok(again)
            }
            first => Ok(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use boxseat_schemas::spool::{CallOutcome, Request};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use url::Url;

    use super::super::tests::{Client, quick_client};
    use super::*;

    /// The requests that the server refuses with 400, by their request line.
    type Refuses = fn(&str) -> bool;

    /// A server on loopback, and the request lines that it received. User 404 does not exist.
    async fn serve(refuses: Refuses) -> (Url, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/2.0", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 8192];
                let length = stream.read(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let line = text.lines().next().unwrap_or_default().to_owned();
                let id = if line.contains("/users/8?") { 8 } else { 7 };
                let (status, body) = if line.starts_with("POST") {
                    (200, r#"{"access_token":"t","expires_in":3600}"#.to_owned())
                } else if line.contains("/users/404?") {
                    (404, r#"{"type":"error","status":404,"code":"not_found"}"#.to_owned())
                } else if refuses(&line) {
                    (400, r#"{"type":"error","status":400,"code":"bad_request","message":"no"}"#.to_owned())
                } else {
                    (200, format!(r#"{{"type":"user","id":"{id}"}}"#))
                };
                if !line.starts_with("POST") {
                    lines.lock().unwrap().push(line);
                }
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
        (url, seen)
    }

    /// Reads `/users/me` and users by id; returns the result of each call, and whether each request had the field.
    async fn read(refuses: Refuses, ids: &[&str]) -> (Vec<String>, Vec<bool>, usize) {
        let (url, seen) = serve(refuses).await;
        let Client { reader, notes, .. } = quick_client(&url);
        let mut came = Vec::new();
        for id in ids {
            let request = match *id {
                "me" => Request::Me,
                id => Request::User { user_id: id.to_owned() },
            };
            came.push(match reader.ask(&request, None).await {
                Ok(answer) => answer.status.to_string(),
                Err(Error::Rejected { status, message, .. }) => format!("{status} {message}"),
                Err(e) => panic!("{e}"),
            });
        }
        let named = seen.lock().unwrap().iter().map(|line| line.contains(CONTENT_AVAILABLE_FIELD)).collect();
        let failed = notes.of(CallOutcome::Failed);
        (came, named, failed)
    }

    #[tokio::test]
    async fn older_box_gets_one_repeated_request_and_no_further_one_for_the_field() {
        let names_field: Refuses = |line| line.contains(CONTENT_AVAILABLE_FIELD);
        for (refuses, ids, came, named, failed) in [
            // A Box that knows the field.
            ((|_| false) as Refuses, &["me", "8"][..], &["200", "200"][..], &[true, true][..], 0),
            // An older Box: one more call, which the ledger counts.
            (names_field, &["me", "8", "8"], &["200", "200", "200"], &[true, false, false, false], 1),
            // A 400 with another cause is reported unchanged.
            (|_| true, &["me"], &["400 no"], &[true, false], 2),
            // After the field was accepted, a 400 has another cause.
            (
                |line| line.contains("/users/8?"),
                &["me", "8", "8"],
                &["200", "400 no", "400 no"],
                &[true, true, true],
                2,
            ),
            // A user that does not exist proves nothing about the field.
            (names_field, &["404", "me"], &["404", "200"], &[true, true, false], 1),
        ] {
            let case = format!("{ids:?} {came:?}");
            let (got, requests, notes) = read(refuses, ids).await;
            assert_eq!(got, came, "{case}");
            assert_eq!((requests.as_slice(), notes), (named, failed), "{case}");
        }
    }
}
