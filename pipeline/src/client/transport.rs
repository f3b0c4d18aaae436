//! One HTTP exchange: connection reuse, gzip, timeouts, a limit on what is read, and redirects that are never followed, because
//! a followed redirect would carry the token to wherever it points.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use boxseat_schemas::box_api::json;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::connection::{self, Authorities, ConnectionFault, is_loopback};
use super::redact::Secrets;
use crate::Error;

/// Largest answer that is read, decompressed: 1,000 users with long fields take about 2 MB.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Where Box is and how fast it may be asked.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The API, `https://api.box.com/2.0` unless told otherwise.
    pub api_url: Url,
    /// The token endpoint, `https://api.box.com/oauth2/token` unless told otherwise.
    pub token_url: Url,
    /// Calls a minute; 950 of Box's 1,000 unless told otherwise.
    pub calls_per_minute: std::num::NonZeroU32,
    /// Longest time one call may keep a run over all its attempts, its waits and the attempts that came to nothing together;
    /// see [`ClientSettings::PATIENCE`].
    pub patience: Duration,
    /// Bounds of a single attempt.
    pub timeouts: Timeouts,
    /// Certificate authorities beside the system's.
    pub authorities: Authorities,
}

/// How long one exchange may take. Whatever hangs is given up and asked again within these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To get a connection.
    pub connect: Duration,
    /// Silence on a connection, before the first byte of the answer or between two.
    pub silence: Duration,
    /// The exchange altogether, however steadily its bytes come in.
    pub total: Duration,
    /// What an exchange in flight still gets once the run was asked to stop.
    pub grace: Duration,
}

impl Default for Timeouts {
    /// Box's largest pages take it some seconds. A page of 2 MB comes in within `total` over 60 kbit/s. `grace` lets in what an
    /// ordinary night has in flight, and leaves half of the ten seconds that the hastiest service managers give before they kill.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(60),
            total: Duration::from_secs(300),
            grace: Duration::from_secs(5),
        }
    }
}

impl ClientSettings {
    /// A nightly run's patience: Box may be down for a quarter of an hour without costing the night, and not hang cron longer.
    pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

    /// For commands a person waits for.
    pub fn impatient(mut self) -> Self {
        self.patience = Duration::from_secs(20);
        let secs = Duration::from_secs;
        self.timeouts = Timeouts { connect: secs(5), silence: secs(10), total: secs(30), ..self.timeouts };
        self
    }
}

/// What came of one exchange.
#[derive(Debug)]
pub(super) enum Exchange {
    /// Box, or something on the way, answered.
    Reply(Reply),
    /// There was no connection, so Box has seen nothing of it; the text says why.
    NotSent(String),
    /// Nothing whole came back; the text says how.
    NoAnswer(String),
    /// A good status with a body that cannot be read; the text says why.
    Garbled(String),
    /// Box has seen nothing of it, and every further try fails the same way; the text says why.
    Misconfigured(ConnectionFault, String),
}

impl std::fmt::Display for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exchange::Reply(reply) => write!(f, "status {}", reply.status),
            Exchange::NotSent(reason)
            | Exchange::NoAnswer(reason)
            | Exchange::Garbled(reason)
            | Exchange::Misconfigured(_, reason) => f.write_str(reason),
        }
    }
}

/// An answer, read to its end.
#[derive(Debug, Default, Clone)]
pub(super) struct Reply {
    pub status: u16,
    /// Decompressed; damaged characters are replaced ([`boxseat_schemas::box_api::json`]).
    pub body: Bytes,
    /// How many were.
    pub damaged_characters: u64,
    pub retry_after_secs: Option<u64>,
    /// Box's own time, Unix seconds.
    pub date: Option<i64>,
    pub content_type: String,
}

/// The HTTP client.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    stop: CancellationToken,
    grace: Duration,
    secrets: Secrets,
}

impl Transport {
    /// Builds the client; no connection is made yet. Once `stop` fires, what is in flight has its grace and no more. Plain http
    /// needs no certificate authorities, so the system's are not read: that costs 15 ms per client. An address on this machine
    /// is not reached through a proxy: the proxy is another machine, and its own loopback is not ours.
    ///
    /// # Errors
    /// [`Error::Address`] when TLS cannot be set up.
    pub(super) fn new(
        settings: &ClientSettings,
        timeouts: Timeouts,
        stop: CancellationToken,
        secrets: Secrets,
    ) -> Result<Self, Error> {
        let Timeouts { connect, silence, total, grace } = timeouts;
        let urls = [&settings.api_url, &settings.token_url];
        let failed = |e: reqwest::Error| Error::Address { url: "Box".into(), reason: chain(&e) };
        let builder = reqwest::Client::builder();
        let builder = if urls.iter().all(|url| url.scheme() == "http") {
            builder.tls_certs_only([])
        } else {
            builder.tls_certs_merge(settings.authorities.certificates().map_err(failed)?)
        };
        let builder = if urls.iter().all(|url| is_loopback(url)) { builder.no_proxy() } else { builder };
        builder
            .user_agent(concat!("boxseat/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect)
            .read_timeout(silence)
            .timeout(total)
            // Calls share one HTTP/2 connection. One that died without a word would be used again by every retry, for a call
            // that times out closes its stream and not the connection; an unanswered ping does.
            .http2_keep_alive_interval(silence / 3)
            .http2_keep_alive_timeout(silence / 3)
            .build()
            .map(|http| Self { http, stop, grace, secrets })
            .map_err(failed)
    }

    /// A request with a token.
    pub(super) async fn authorised(
        &self,
        build: &(dyn Fn(&reqwest::Client) -> reqwest::RequestBuilder + Sync),
        token: &SecretString,
    ) -> Exchange {
        self.send(build(&self.http).bearer_auth(token.expose_secret())).await
    }

    /// A form POST without a token: the token endpoint.
    pub(super) async fn post_form(&self, url: Url, form: &[(&str, &str)]) -> Exchange {
        self.send(self.http.post(url).form(form)).await
    }

    /// The exchange, or what is left of it when the run has to stop: a call that was sent is a call, whatever became of it.
    async fn send(&self, request: reqwest::RequestBuilder) -> Exchange {
        let out_of_grace = async {
            self.stop.cancelled().await;
            sleep(self.grace).await;
        };
        let exchange = tokio::select! {
            biased;
            exchange = Self::exchange(request) => exchange,
            () = out_of_grace => Exchange::NoAnswer("the run had to stop before the answer came".to_owned()),
        };
        self.secrets.redact(exchange)
    }

    /// The secrets that no text of a failed exchange shows.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    async fn exchange(request: reqwest::RequestBuilder) -> Exchange {
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(e) => return Self::unanswered(e),
        };
        let date = header(response.headers(), &DATE).and_then(http_date);
        let mut reply = Reply {
            status: response.status().as_u16(),
            retry_after_secs: header(response.headers(), &RETRY_AFTER)
                .and_then(|text| retry_after(text, date.unwrap_or_else(system_seconds))),
            date,
            content_type: header(response.headers(), &CONTENT_TYPE).unwrap_or("no content type").to_owned(),
            body: Bytes::new(),
            damaged_characters: 0,
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
        let (text, damaged_characters) = json::repaired(&body);
        reply.damaged_characters = damaged_characters;
        reply.body = match text {
            Cow::Borrowed(text) if text.len() == body.len() => body.freeze(),
            text => Bytes::from(text.into_owned()),
        };
        Exchange::Reply(reply)
    }

    /// What an exchange without a response is. Without a connection nothing was sent, which matters to calls that must not be made
    /// twice.
    fn unanswered(error: reqwest::Error) -> Exchange {
        if let Some((fault, reason)) = connection::fault(&error) {
            return Exchange::Misconfigured(fault, reason);
        }
        let (is_connect, is_tunnel) = (error.is_connect(), connection::is_tunnel_failure(&error));
        let reason = chain(&error.without_url());
        match (is_connect, is_tunnel) {
            (_, true) => Exchange::NotSent(format!("no connection through the proxy: {reason}")),
            (true, false) => Exchange::NotSent(reason),
            (false, false) => Exchange::NoAnswer(reason),
        }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Seconds to wait from `now`: a number, rounded up, or a date. Anything else, a past date included, counts as absent, and our own
/// backoff applies. <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
fn retry_after(text: &str, now: i64) -> Option<u64> {
    whole_seconds(text)
        .or_else(|| u64::try_from(http_date(text)?.saturating_sub(now)).ok().filter(|secs| *secs > 0))
}

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

/// Unix seconds of a date in one of the three forms of HTTP, or as e-mail writes it.
fn http_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let http = httpdate::parse_http_date(text).ok().and_then(|date| date.duration_since(UNIX_EPOCH).ok());
    http.and_then(|since| i64::try_from(since.as_secs()).ok())
        .or_else(|| chrono::DateTime::parse_from_rfc2822(text).ok().map(|date| date.timestamp()))
}

/// This machine's own time, to compare with Box's; the data clock may be a rehearsal's.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock beside Box's")]
pub(super) fn system_seconds() -> i64 {
    chrono::Utc::now().timestamp()
}

/// An error with its causes on one line; reqwest puts the telling part last.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Why: gateways write `Retry-After` as a date, and it was ignored.
    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT
        for (text, secs) in [
            ("17", Some(17)),
            (" 13.2 ", Some(14)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:51 GMT", Some(14)),
            ("Sunday, 06-Nov-94 08:49:51 GMT", Some(14)),
            ("Sun Nov  6 08:49:51 1994", Some(14)),
            ("Sun, 6 Nov 1994 09:49:51 +0100", Some(14)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:00:00 GMT", None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("inf", None),
        ] {
            assert_eq!(retry_after(text, now), secs, "{text:?}");
        }
        assert_eq!(retry_after("99999999999999999999999", now), Some(u64::MAX));
    }
}
