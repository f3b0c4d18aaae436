//! One HTTP exchange: connection reuse, gzip, timeouts, and a limit on the size of a response. Redirects are never followed, because
//! they would send the token to another address.

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

/// Largest response that is read, decompressed: 1,000 users with long fields take about 2 MB.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The address of Box, and the limits of calls.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The API; the default is `https://api.box.com/2.0`.
    pub api_url: Url,
    /// The token endpoint; the default is `https://api.box.com/oauth2/token`.
    pub token_url: Url,
    /// Calls per minute; the default is 950 of Box's 1,000.
    pub calls_per_minute: std::num::NonZeroU32,
    /// Time limit of one call: all its failed attempts and waits together; see [`ClientSettings::PATIENCE`].
    pub patience: Duration,
    /// Timeouts of a single attempt.
    pub timeouts: Timeouts,
    /// Certificate authorities in addition to the system's.
    pub authorities: Authorities,
}

/// Timeouts of one exchange. An exchange that exceeds one of them is abandoned and repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Time to get a connection.
    pub connect: Duration,
    /// Silence on a connection, before the first byte of the response or between two bytes.
    pub silence: Duration,
    /// Time of the whole exchange, even if its bytes arrive steadily.
    pub total: Duration,
    /// Time that an exchange in flight still gets after the run was asked to stop.
    pub grace: Duration,
}

impl Default for Timeouts {
    /// Box needs some seconds for its largest pages. A page of 2 MB arrives within `total` at 60 kbit/s. `grace` is long enough for the
    /// exchanges that an ordinary run has in flight. It is half of ten seconds, the shortest time that common service managers allow before
    /// a kill.
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
    /// For a scheduled run: it survives an outage of Box of a quarter of an hour, and cron does not hang longer.
    pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

    /// For commands that a user waits for.
    pub fn impatient(mut self) -> Self {
        self.patience = Duration::from_secs(20);
        let secs = Duration::from_secs;
        self.timeouts = Timeouts { connect: secs(5), silence: secs(10), total: secs(30), ..self.timeouts };
        self
    }
}

/// The result of one exchange.
#[derive(Debug)]
pub(super) enum Exchange {
    /// Box or a system between us and Box responded.
    Reply(Reply),
    /// There was no connection, so Box received nothing. The text has the reason.
    NotSent(String),
    /// No complete response arrived. The text has the reason.
    NoAnswer(String),
    /// A success status with a body that cannot be read. The text has the reason.
    Garbled(String),
    /// Box received nothing, and every further attempt fails in the same way. The text has the reason.
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

/// A response, read to its end.
#[derive(Debug, Default, Clone)]
pub(super) struct Reply {
    pub status: u16,
    /// Decompressed, with damaged characters replaced ([`boxseat_schemas::box_api::json`]).
    pub body: Bytes,
    /// Number of damaged characters.
    pub damaged_characters: u64,
    pub retry_after_secs: Option<u64>,
    /// Box's own time in Unix seconds.
    pub date: Option<i64>,
    pub content_type: String,
}

#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    stop: CancellationToken,
    grace: Duration,
    secrets: Secrets,
}

impl Transport {
    /// Builds the client; no connection is made yet. After `stop` fires, exchanges in flight only get their grace period. Plain http needs
    /// no certificate authorities, so the system's are not read: that saves 15 ms per client. A loopback address is not reached through a
    /// proxy, because a proxy on another machine would connect to itself.
    ///
    /// # Errors
    /// [`Error::Address`] if TLS cannot be set up.
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
            // Calls share one HTTP/2 connection. If it is dead without an error, every retry would use it again, because a call that
            // times out closes its stream and not the connection. A ping without a response closes the connection.
            .http2_keep_alive_interval(silence / 3)
            .http2_keep_alive_timeout(silence / 3)
            .build()
            .map(|http| Self { http, stop, grace, secrets })
            .map_err(failed)
    }

    /// Sends a request with a token.
    pub(super) async fn authorised(
        &self,
        build: &(dyn Fn(&reqwest::Client) -> reqwest::RequestBuilder + Sync),
        token: &SecretString,
    ) -> Exchange {
        self.send(build(&self.http).bearer_auth(token.expose_secret())).await
    }

    /// Sends a form without a token, to the token endpoint.
    pub(super) async fn post_form(&self, url: Url, form: &[(&str, &str)]) -> Exchange {
        self.send(self.http.post(url).form(form)).await
    }

    /// Sends the request. If the run must stop, the result is `NoAnswer`, because a call that was sent counts, whatever its outcome is.
    async fn send(&self, request: reqwest::RequestBuilder) -> Exchange {
        let out_of_grace = async {
            self.stop.cancelled().await;
            sleep(self.grace).await;
        };
        let exchange = tokio::select! {
            biased;
            exchange = Self::exchange(request) => exchange,
            () = out_of_grace => Exchange::NoAnswer("the run stopped before the response arrived".to_owned()),
        };
        self.secrets.redact(exchange)
    }

    /// The secrets to remove from texts about failed exchanges.
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
                        "the response is longer than {} MiB",
                        MAX_BODY_BYTES >> 20
                    ));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(e) => {
                    return Exchange::NoAnswer(format!(
                        "the response ended early: {}",
                        chain(&e.without_url())
                    ));
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

    /// The result of an exchange without a response. Without a connection nothing was sent, which matters for calls that must not be
    /// made twice.
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

/// Seconds to wait from `now`: a number, rounded up, or a date. Anything else, including a past date, counts as absent, and our own
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

/// Unix seconds of a date in one of the three HTTP formats, or in the e-mail format (RFC 2822).
fn http_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let http = httpdate::parse_http_date(text).ok().and_then(|date| date.duration_since(UNIX_EPOCH).ok());
    http.and_then(|since| i64::try_from(since.as_secs()).ok())
        .or_else(|| chrono::DateTime::parse_from_rfc2822(text).ok().map(|date| date.timestamp()))
}

/// The system's time, to compare it with Box's time. The data clock is not suitable: in a rehearsal it has another time.
#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads the system clock, to compare it with Box's"
)]
pub(super) fn system_seconds() -> i64 {
    chrono::Utc::now().timestamp()
}

/// An error with its causes on one line: reqwest puts the most specific part last.
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

    /// Why: some gateways write `Retry-After` as a date, which was ignored.
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
