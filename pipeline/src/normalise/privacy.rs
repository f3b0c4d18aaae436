//! What of an event may be kept: addresses and sessions are dropped unless the operator decides otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use boxseat_schemas::box_api::Extra;

/// `[privacy]` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// IP addresses.
    pub ip: IpPrivacy,
    /// Session ids.
    pub session_id: SessionPrivacy,
}

/// What becomes of IP addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPrivacy {
    /// Not kept.
    #[default]
    Drop,
    /// The network alone: /24 of IPv4, /48 of IPv6.
    Truncate,
    /// Kept as sent.
    Keep,
}

/// What becomes of session ids.
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
    pub(super) fn ip(self, address: Option<&str>) -> Option<String> {
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
            // "Unknown IP" and the like are no address; nothing to truncate is nothing to keep.
            (IpPrivacy::Truncate, Err(_)) => None,
        }
    }

    pub(super) fn session(self, session_id: Option<&str>) -> Option<&str> {
        session_id.filter(|_| self.session_id == SessionPrivacy::Keep)
    }

    /// The raw text of a rejected record without what may not be kept, at any depth. Text that is no JSON comes from a gateway
    /// and not from Box's log; it is kept as it is. Of JSON that is too long or too deep to look through, only the length is kept.
    pub(super) fn scrub(self, raw: &str) -> String {
        let is_json = raw.starts_with(['{', '[', '"']);
        match serde_json::from_str::<Value>(raw) {
            Ok(mut record) if raw.len() <= MAX_RAW_BYTES => {
                self.scrub_value(&mut record);
                record.to_string()
            }
            Err(_) if !is_json && raw.len() <= MAX_RAW_BYTES => raw.to_owned(),
            _ => format!("({} bytes, not kept)", raw.len()),
        }
    }

    /// Fields without a column, without what may not be kept; `None` when nothing is left.
    pub(super) fn scrub_extra(self, extra: &Extra) -> Option<String> {
        let mut fields = serde_json::Map::new();
        for (name, text) in extra.iter() {
            let too_deep = |_| Value::from(format!("({} bytes, not kept)", text.len()));
            fields.insert(name.to_owned(), serde_json::from_str(text).unwrap_or_else(too_deep));
        }
        let mut extra = Value::Object(fields);
        self.scrub_value(&mut extra);
        let has_any = extra.as_object().is_some_and(|extra| extra.values().any(|value| !value.is_null()));
        has_any.then(|| extra.to_string())
    }

    fn scrub_value(self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| match name.as_str() {
                    "ip_address" | "ip_address_unreadable" => self.ip == IpPrivacy::Keep,
                    "session_id" | "session_id_unreadable" => self.session_id == SessionPrivacy::Keep,
                    _ => true,
                });
                fields.values_mut().for_each(|value| self.scrub_value(value));
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.scrub_value(value)),
            _ => {}
        }
    }
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
    fn rejects_do_not_leak_what_is_dropped_elsewhere() {
        let raw = r#"{"event_id":null,"ip_address":"203.0.113.9","session_id":"s","more":[{"ip_address":"203.0.113.9"}]}"#;
        assert_eq!(Privacy::default().scrub(raw), r#"{"event_id":null,"more":[{}]}"#);
        let mut extra = Extra::default();
        let address: Box<serde_json::value::RawValue> = serde_json::from_str(r#"["203.0.113.9"]"#).unwrap();
        extra.insert("ip_address_unreadable".into(), &address);
        extra.insert("session_id_unreadable".into(), &address);
        assert_eq!(Privacy::default().scrub_extra(&extra), None);
        // What cannot be looked through is not kept.
        let deep = format!(r#"{{"ip_address":"203.0.113.9","deep":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(!Privacy::default().scrub(&deep).contains("203"));
    }
}
