//! One HTTP exchange: connection reuse, gzip, timeouts, a limit on what is read, and redirects that are never followed, because
//! a followed redirect would carry the token to wherever it points.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::Error;

/// Largest answer that is read, decompressed: 1,000 users with long fields take about 2 MB.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Longest silence on a connection before the call counts as failed.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time to get a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time of one exchange altogether.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(300);

/// Where Box is and how fast it may be asked.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The API, `https://api.box.com/2.0` unless told otherwise.
    pub api_url: Url,
    /// The token endpoint, `https://api.box.com/oauth2/token` unless told otherwise.
    pub token_url: Url,
    /// Calls a minute; 950 of Box's 1,000 unless told otherwise.
    pub calls_per_minute: std::num::NonZeroU32,
    /// Longest time one call may spend waiting over all its attempts; see [`ClientSettings::PATIENCE`].
    pub patience: Duration,
}

impl ClientSettings {
    /// A nightly run's patience: Box may be down for a quarter of an hour without costing the night, and not hang cron longer.
    pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

    /// For commands a person waits for.
    pub fn impatient(mut self) -> Self {
        self.patience = Duration::from_secs(20);
        self
    }
}

/// What came of one exchange.
#[derive(Debug)]
pub(super) enum Exchange {
    /// Box, or something on the way, answered.
    Reply(Reply),
    /// Nothing whole came back; the text says how.
    NoAnswer(String),
    /// A good status with a body that cannot be read; the text says why.
    Garbled(String),
}

impl std::fmt::Display for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exchange::Reply(reply) => write!(f, "status {}", reply.status),
            Exchange::NoAnswer(reason) | Exchange::Garbled(reason) => f.write_str(reason),
        }
    }
}

/// An answer, read to its end.
#[derive(Debug, Default, Clone)]
pub(super) struct Reply {
    pub status: u16,
    pub body: Bytes,
    pub retry_after_secs: Option<u64>,
    /// Box's own time, Unix seconds.
    pub date: Option<i64>,
    pub content_type: String,
}

/// The HTTP client.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
}

impl Transport {
    /// Builds the client; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Address`] when TLS cannot be set up.
    pub(super) fn new() -> Result<Self, Error> {
        reqwest::Client::builder()
            .user_agent(concat!("boxseat/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .build()
            .map(|http| Self { http })
            .map_err(|e| Error::Address { url: "Box".into(), reason: chain(&e) })
    }

    /// A GET with a token.
    pub(super) async fn get(&self, url: Url, token: &SecretString) -> Exchange {
        self.send(self.http.get(url).bearer_auth(token.expose_secret())).await
    }

    /// A form POST without a token: the token endpoint.
    pub(super) async fn post_form(&self, url: Url, form: &[(&str, &str)]) -> Exchange {
        self.send(self.http.post(url).form(form)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Exchange {
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(e) => return Exchange::NoAnswer(chain(&e.without_url())),
        };
        let mut reply = Reply {
            status: response.status().as_u16(),
            retry_after_secs: header(response.headers(), &RETRY_AFTER).and_then(whole_seconds),
            date: header(response.headers(), &DATE).and_then(http_date),
            content_type: header(response.headers(), &CONTENT_TYPE).unwrap_or("no content type").to_owned(),
            body: Bytes::new(),
        };
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY_BYTES => {
                    return Exchange::Garbled(format!(
                        "the answer is longer than {} MiB",
                        MAX_BODY_BYTES >> 20
                    ));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(e) => {
                    return Exchange::NoAnswer(format!("the answer broke off: {}", chain(&e.without_url())));
                }
            }
        }
        reply.body = body.freeze();
        Exchange::Reply(reply)
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Seconds, rounded up; anything else (a date, words) counts as absent, and our own backoff applies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be finite and not negative; `as` saturates"
)]
fn whole_seconds(text: &str) -> Option<u64> {
    text.trim()
        .parse::<f64>()
        .ok()
        .filter(|secs| secs.is_finite() && *secs >= 0.0)
        .map(|secs| secs.ceil() as u64)
}

fn http_date(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc2822(text).ok().map(|t| t.timestamp())
}

/// An error with its causes on one line; reqwest puts the telling part last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
