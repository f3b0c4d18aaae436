//! Removes IP addresses and session ids from JSON. Everything else keeps its text: numbers, order, duplicate fields.
//!
//! A field is recognised by its name, at any depth: `ip_address`, `ip_info`, `clientIp`, `session_id`, `sessionId`. Box documents
//! `ip_info` inside the `additional_details` of Shield alerts. In events, a text that is only an address is recognised as well, whatever
//! the name of its field is, and JSON inside a text is searched.

use std::net::{IpAddr, SocketAddr};

use boxseat_schemas::box_api::Members;
use serde_json::value::RawValue;

use super::{IpPrivacy, Privacy, SessionPrivacy};

/// JSON text without the data that is not stored; `None` if `raw` is not JSON.
pub(super) fn scrub(privacy: Privacy, raw: &str, texts: Texts) -> Option<String> {
    let value: &RawValue = serde_json::from_str(raw).ok()?;
    let mut scrubber = Scrubber { privacy, texts, out: String::with_capacity(raw.len()) };
    scrubber.value(value.get(), Place::Anywhere, 0);
    Some(scrubber.out)
}

/// Which texts are searched for addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Only texts of fields whose name indicates an address.
    Named,
    /// Every text; for events.
    All,
}

struct Scrubber {
    privacy: Privacy,
    texts: Texts,
    out: String,
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a field whose name indicates an address.
    Address,
    Anywhere,
}

/// What a field's name indicates about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Address,
    Session,
    Other,
}

/// Nesting beyond this is not followed. Box nests about six levels.
const MAX_DEPTH: usize = 64;

impl Scrubber {
    fn value(&mut self, raw: &str, place: Place, depth: usize) {
        if depth > MAX_DEPTH {
            return self.not_stored(raw);
        }
        match raw.as_bytes().first() {
            Some(b'{') => match serde_json::from_str::<Members<'_>>(raw) {
                Ok(members) => self.object(&members, place, depth),
                Err(_) => self.not_stored(raw),
            },
            Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(raw) {
                Ok(values) => self.array(&values, place, depth),
                Err(_) => self.not_stored(raw),
            },
            Some(b'"') => self.text(raw, place, depth),
            // Box does not write addresses as numbers, but a number in such a field may be an address.
            Some(b'-' | b'0'..=b'9') if place == Place::Address => self.out.push_str("null"),
            _ => self.out.push_str(raw),
        }
    }

    fn object(&mut self, Members(members): &Members<'_>, place: Place, depth: usize) {
        self.out.push('{');
        let mut is_first = true;
        for (name, value) in members {
            let place = match (named(name), self.privacy.ip, self.privacy.session_id) {
                (Named::Address, IpPrivacy::Drop, _) | (Named::Session, _, SessionPrivacy::Drop) => continue,
                (Named::Address, IpPrivacy::Truncate, _) => Place::Address,
                _ => place,
            };
            if !std::mem::take(&mut is_first) {
                self.out.push(',');
            }
            self.out.push_str(&serde_json::Value::from(name.as_str()).to_string());
            self.out.push(':');
            self.value(value.get(), place, depth + 1);
        }
        self.out.push('}');
    }

    fn array(&mut self, values: &[&RawValue], place: Place, depth: usize) {
        self.out.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.value(value.get(), place, depth + 1);
        }
        self.out.push(']');
    }

    fn text(&mut self, raw: &str, place: Place, depth: usize) {
        let is_read = place == Place::Address || self.texts == Texts::All;
        let Some(text) = is_read.then(|| serde_json::from_str::<String>(raw).ok()).flatten() else {
            return if place == Place::Address { self.out.push_str("null") } else { self.out.push_str(raw) };
        };
        if self.privacy.ip != IpPrivacy::Keep && (place == Place::Address || address_in(&text).is_some()) {
            let kept = address_in(&text).and_then(|address| self.privacy.ip(Some(&address.to_string())));
            self.out.push_str(&serde_json::Value::from(kept).to_string());
            return;
        }
        let nested = text
            .trim_start()
            .starts_with(['{', '['])
            .then(|| serde_json::from_str(&text))
            .and_then(Result::ok);
        let Some(nested): Option<&RawValue> = nested else { return self.out.push_str(raw) };
        let mut inner =
            Self { privacy: self.privacy, texts: self.texts, out: String::with_capacity(text.len()) };
        inner.value(nested.get(), place, depth + 1);
        self.out.push_str(&serde_json::Value::from(inner.out).to_string());
    }

    /// Values that cannot be searched are not stored.
    fn not_stored(&mut self, raw: &str) {
        self.out.push_str(&serde_json::Value::from(super::not_stored(raw)).to_string());
    }
}

/// The address, if the text is only an address, with or without a port or the length of a network.
fn address_in(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let network = || text.split_once('/').filter(|(_, length)| length.parse::<u8>().is_ok());
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| network().and_then(|(address, _)| address.parse().ok()))
}

/// Names are split into words: `membership` and `zip` do not match `ip`.
fn named(name: &str) -> Named {
    let mut words: Vec<String> = vec![String::new()];
    let mut was_lower = false;
    for character in name.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if character.is_alphanumeric() {
            words.last_mut().expect("there is always one").extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    if has(&[
        "ip",
        "ips",
        "ipv4",
        "ipv6",
        "ipaddress",
        "ipaddresses",
        "ipaddr",
        "ipinfo",
        "clientip",
        "remoteip",
        "sourceip",
    ]) {
        Named::Address
    } else if has(&["sessionid", "sessionids"])
        || (has(&["session", "sessions"])
            && (words.len() == 1 || has(&["id", "ids", "identifier", "key", "token", "uuid"])))
    {
        Named::Session
    } else {
        Named::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop_all(raw: &str) -> String {
        scrub(Privacy::default(), raw, Texts::All).unwrap()
    }

    #[test]
    fn addresses_and_sessions_are_removed_everywhere() {
        for (raw, expected) in [
            (r#"{"ip_address":"203.0.113.9","session_id":null,"a":1}"#, r#"{"a":1}"#),
            (
                r#"{"additional_details":{"ip_info":{"ip":"203.0.113.9","city_name":"X"},"b":2}}"#,
                r#"{"additional_details":{"b":2}}"#,
            ),
            (r#"{"clientIp":"203.0.113.9","sessionId":"s","x":[{"remote_ip":1}]}"#, r#"{"x":[{}]}"#),
            (
                r#"{"note":"203.0.113.9","peer":"203.0.113.9:443","net":"2001:db8::/48"}"#,
                r#"{"note":null,"peer":null,"net":null}"#,
            ),
            (r#"{"a":"{\"ip_address\":\"203.0.113.9\",\"b\":1}"}"#, r#"{"a":"{\"b\":1}"}"#),
            (r#"{"a":"[broken","time":"12:30:45"}"#, r#"{"a":"[broken","time":"12:30:45"}"#),
        ] {
            assert_eq!(drop_all(raw), expected);
        }
    }

    #[test]
    fn everything_else_keeps_its_text() {
        for raw in [
            r#"{"entries":[{"event_id":"1","event_id":"2","n":1e400}],"next_stream_position":1152922986252290886123}"#,
            r#"{"type":"membership","zip":"12345","ownership":"x","session_length":5,"description":"\u00e9 \ud83d\ude00"}"#,
        ] {
            assert_eq!(drop_all(raw), raw);
        }
        let users = r#"{"name":"203.0.113.9"}"#;
        assert_eq!(scrub(Privacy::default(), users, Texts::Named).unwrap(), users);
        assert_eq!(scrub(Privacy::default(), "<html>203.0.113.9</html>", Texts::All), None);
    }

    #[test]
    fn truncated_addresses_stay_the_same_when_scrubbed_again() {
        let privacy = Privacy { ip: IpPrivacy::Truncate, ..Privacy::default() };
        let raw = r#"{"ip_address":"203.0.113.9","details":{"ip_info":{"ip":"2001:db8:1:2::5"},"note":"203.0.113.9"},"ip":"Unknown IP"}"#;
        let once = scrub(privacy, raw, Texts::All).unwrap();
        assert_eq!(
            once,
            r#"{"ip_address":"203.0.113.0","details":{"ip_info":{"ip":"2001:db8:1::"},"note":"203.0.113.0"},"ip":null}"#
        );
        assert_eq!(scrub(privacy, &once, Texts::All).unwrap(), once);
    }

    #[test]
    fn nesting_that_is_not_followed_is_not_stored() {
        let deep = format!(r#"{}{{"ip":"203.0.113.9"}}{}"#, "[".repeat(500), "]".repeat(500));
        let scrubbed = drop_all(&deep);
        assert!(!scrubbed.contains("203.0") && scrubbed.contains("bytes, not kept"), "{scrubbed}");
    }
}
