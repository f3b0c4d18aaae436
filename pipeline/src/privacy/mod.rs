//! The parts of an event that are stored: IP addresses and session ids are removed from every page before it reaches the spool, unless
//! `[privacy]` keeps them. The normaliser removes them again, from pages that an earlier version spooled.

mod scrub;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use boxseat_schemas::box_api::Extra;
use boxseat_schemas::spool::Request;

use scrub::Texts;

/// `[privacy]` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// IP addresses.
    pub ip: IpPrivacy,
    /// Session ids.
    pub session_id: SessionPrivacy,
    /// Sign-ins older than five weeks.
    pub login_events: LoginEvents,
}

/// How sign-ins older than five weeks are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginEvents {
    /// Every one is kept.
    #[default]
    Keep,
    /// The newest of each user and UTC day is kept.
    Daily,
    /// The newest of each user is kept.
    LastOnly,
}

/// How IP addresses are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPrivacy {
    /// Not kept.
    #[default]
    Drop,
    /// Only the network: /24 of IPv4, /48 of IPv6.
    Truncate,
    /// Kept as sent.
    Keep,
}

/// How session ids are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionPrivacy {
    /// Not kept.
    #[default]
    Drop,
    /// Kept as sent.
    Keep,
}

/// Bytes kept of a record that was rejected.
const MAX_RAW_BYTES: usize = 64 * 1024;

impl Privacy {
    pub(crate) fn ip(self, address: Option<&str>) -> Option<String> {
        let address = address?;
        match (self.ip, address.parse()) {
            (IpPrivacy::Drop, _) => None,
            (IpPrivacy::Keep, _) => Some(address.to_owned()),
            (IpPrivacy::Truncate, Ok(IpAddr::V4(v4))) => {
                Some(Ipv4Addr::from(u32::from(v4) & 0xffff_ff00).to_string())
            }
            (IpPrivacy::Truncate, Ok(IpAddr::V6(v6))) => {
                Some(Ipv6Addr::from(u128::from(v6) & (!0 << 80)).to_string())
            }
            // "Unknown IP" and similar texts are not addresses, so there is nothing to keep.
            (IpPrivacy::Truncate, Err(_)) => None,
        }
    }

    pub(crate) fn session(self, session_id: Option<&str>) -> Option<&str> {
        session_id.filter(|_| self.session_id == SessionPrivacy::Keep)
    }

    /// A page as it is stored in the spool. A page that is not JSON comes from a gateway and not from Box. It is stored unchanged.
    pub(crate) fn scrub_page<'b>(self, request: &Request, body: &'b [u8]) -> Cow<'b, [u8]> {
        if self.stores_everything() {
            return Cow::Borrowed(body);
        }
        let text = std::str::from_utf8(body).ok();
        let scrubbed = text.and_then(|text| scrub::scrub(self, text, texts_of(request)));
        scrubbed.map_or(Cow::Borrowed(body), |text| Cow::Owned(text.into_bytes()))
    }

    /// The raw text of a rejected record. A record that is not JSON is not from Box's log and is stored unchanged. JSON that cannot be
    /// read, or is too long, is replaced by its length.
    pub(crate) fn scrub_record(self, request: &Request, raw: &str) -> String {
        let is_json = raw.starts_with(['{', '[', '"']);
        match scrub::scrub(self, raw, texts_of(request)) {
            Some(record) if raw.len() <= MAX_RAW_BYTES => record,
            None if !is_json && raw.len() <= MAX_RAW_BYTES => raw.to_owned(),
            _ => not_stored(raw),
        }
    }

    /// `additional_details` of an event.
    pub(crate) fn scrub_details(self, raw: &str) -> String {
        scrub::scrub(self, raw, Texts::All).unwrap_or_else(|| not_stored(raw))
    }

    /// Fields of an event without a column; `None` when nothing is left.
    pub(crate) fn scrub_extra(self, extra: &Extra) -> Option<String> {
        let mut fields = serde_json::Map::new();
        for (name, text) in extra.iter() {
            let too_deep = |_| Value::from(not_stored(text));
            fields.insert(name.to_owned(), serde_json::from_str(text).unwrap_or_else(too_deep));
        }
        let text = self.scrub_details(&Value::Object(fields).to_string());
        let extra: serde_json::Map<String, Value> = serde_json::from_str(&text).ok()?;
        extra.values().any(|value| !value.is_null()).then_some(text)
    }

    fn stores_everything(self) -> bool {
        self.ip == IpPrivacy::Keep && self.session_id == SessionPrivacy::Keep
    }
}

/// Only the admin log has addresses under arbitrary names.
fn texts_of(request: &Request) -> Texts {
    if matches!(request, Request::Events { .. }) { Texts::All } else { Texts::Named }
}

fn not_stored(raw: &str) -> String {
    format!("({} bytes, not kept)", raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_dropped_truncated_or_kept() {
        let ip = |ip, address| Privacy { ip, ..Privacy::default() }.ip(Some(address));
        assert_eq!(ip(IpPrivacy::Drop, "203.0.113.9"), None);
        assert_eq!(ip(IpPrivacy::Truncate, "203.0.113.9").as_deref(), Some("203.0.113.0"));
        assert_eq!(ip(IpPrivacy::Truncate, "2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1::"));
        assert_eq!(ip(IpPrivacy::Truncate, "Unknown IP"), None);
        assert_eq!(ip(IpPrivacy::Keep, "Unknown IP").as_deref(), Some("Unknown IP"));
    }

    #[test]
    fn rejects_do_not_leak_dropped_data() {
        let events = Request::Events { slice: 0, login_only: false, position: None };
        let raw = r#"{"event_id":null,"ip_address":"203.0.113.9","session_id":"s","more":[{"ip_address":"203.0.113.9"}]}"#;
        let scrubbed = Privacy::default().scrub_record(&events, raw);
        assert_eq!(scrubbed, r#"{"event_id":null,"more":[{}]}"#);
        let mut extra = Extra::default();
        let address: Box<serde_json::value::RawValue> = serde_json::from_str(r#"["203.0.113.9"]"#).unwrap();
        extra.insert("ip_address_unreadable".into(), &address);
        extra.insert("session_id_unreadable".into(), &address);
        assert_eq!(Privacy::default().scrub_extra(&extra), None);
        let half = r#"{"ip_address":"203.0.113.9","#;
        assert!(!Privacy::default().scrub_record(&events, half).contains("203"));
        assert_eq!(Privacy::default().scrub_record(&events, "<html>"), "<html>");
    }

    #[test]
    fn a_page_is_stored_as_sent_where_everything_is_kept() {
        let privacy = Privacy { ip: IpPrivacy::Keep, session_id: SessionPrivacy::Keep, ..Privacy::default() };
        let body = br#"{ "entries": [ {"ip_address":"203.0.113.9"} ] }"#.as_slice();
        assert_eq!(privacy.scrub_page(&Request::Me, body).as_ref(), body);
    }
}
