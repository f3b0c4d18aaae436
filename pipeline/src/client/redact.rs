//! Removes boxseat's secrets from text that comes from outside.
//!
//! A token endpoint may repeat the request in its error, and a gateway may print the received headers. That would put a secret into
//! messages, logs, the journal and the lake. Every failed exchange passes through here before it becomes a message.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::transport::{Exchange, Reply};

/// The secrets in use: credentials and tokens. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    held: Arc<RwLock<Vec<SecretString>>>,
}

impl Secrets {
    /// Adds a secret. A very short secret is skipped, because its characters occur in ordinary text.
    pub(super) fn hold(&self, secret: &SecretString) {
        let secret = secret.expose_secret();
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        for text in [secret, &encoded] {
            if text.len() >= SHORTEST && held.iter().all(|other| other.expose_secret() != text) {
                held.push(text.into());
            }
        }
    }

    /// The exchange without secrets. The body of a response changes only if the response is an error.
    pub(super) fn redact(&self, exchange: Exchange) -> Exchange {
        match exchange {
            Exchange::Reply(reply) if reply.status < 300 => Exchange::Reply(reply),
            Exchange::Reply(reply) => Exchange::Reply(Reply {
                body: self.body(&reply.body),
                content_type: self.text(&reply.content_type),
                ..reply
            }),
            Exchange::NotSent(reason) => Exchange::NotSent(self.text(&reason)),
            Exchange::NoAnswer(reason) => Exchange::NoAnswer(self.text(&reason)),
            Exchange::Garbled(reason) => Exchange::Garbled(self.text(&reason)),
            Exchange::Misconfigured(fault, reason) => Exchange::Misconfigured(fault, self.text(&reason)),
        }
    }

    /// JSON has several spellings of a character, so its strings are checked after parsing.
    fn body(&self, body: &Bytes) -> Bytes {
        let text = String::from_utf8_lossy(body);
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            return Bytes::from(self.text(&text));
        };
        let mut redacted = value.clone();
        self.value(&mut redacted);
        if redacted == value { body.clone() } else { Bytes::from(redacted.to_string()) }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(fields) => {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, mut value)| {
                        self.value(&mut value);
                        (self.text(&name), value)
                    })
                    .collect();
            }
            _ => {}
        }
    }

    fn text(&self, text: &str) -> String {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), REDACTED))
    }
}

const REDACTED: &str = "[redacted]";

/// Shorter secrets are skipped. Box's secrets and tokens have 32 characters.
const SHORTEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let secrets = Secrets::default();
        for secret in ["s3cr&t/+\"x", "token-of-32-characters", "abc", ""] {
            secrets.hold(&secret.into());
        }
        secrets
    }

    fn redacted(exchange: Exchange) -> String {
        match secrets().redact(exchange) {
            Exchange::Reply(reply) => {
                format!("{} {}", String::from_utf8_lossy(&reply.body), reply.content_type)
            }
            other => other.to_string(),
        }
    }

    #[test]
    fn error_shows_no_secret_in_any_spelling() {
        for body in [
            r#"{"error":"invalid_grant","error_description":"got client_secret=s3cr%26t%2F%2B%22x&grant_type"}"#,
            r#"{"error":"s3cr&t/+\"x"}"#,
            r#"{"error":"\u0073\u00333cr\u0026t\/+\u0022x","s3cr&t/+\"x":[{"a":"s3cr&t\/+\"x"}]}"#,
            r#"["token-of-32-characters"]"#,
            "<p>Authorization: Bearer token-of-32-characters</p>",
            "client_secret=s3cr%26t%2F%2B%22x",
        ] {
            let reply = Reply { status: 400, body: body.into(), ..Reply::default() };
            let shown = redacted(Exchange::Reply(reply));
            assert!(shown.contains(REDACTED), "{shown}");
            assert!(!shown.contains("s3cr") && !shown.contains("32"), "{shown}");
        }
        let reply = Reply { status: 502, content_type: "token-of-32-characters".into(), ..Reply::default() };
        assert!(!redacted(Exchange::Reply(reply)).contains("32"));
        for exchange in [Exchange::Garbled, Exchange::NoAnswer, Exchange::NotSent] {
            let shown =
                redacted(exchange("invalid type: string \"token-of-32-characters\" at line 1".into()));
            assert_eq!(shown, "invalid type: string \"[redacted]\" at line 1");
        }
    }

    #[test]
    fn other_text_stays() {
        let body = r#"{"code":"forbidden","message":"abc"}"#;
        let reply = Reply { status: 403, body: body.into(), ..Reply::default() };
        assert_eq!(redacted(Exchange::Reply(reply)), format!("{body} "));
        let reply = Reply { status: 200, body: "token-of-32-characters".into(), ..Reply::default() };
        assert_eq!(
            redacted(Exchange::Reply(reply)),
            "token-of-32-characters ",
            "the requested data is unchanged"
        );
    }
}
