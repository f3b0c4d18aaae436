//! A record with an unreadable field is still that person, group or event.
//!
//! Only what a record cannot be without (its id, the time of an event) decides whether it is rejected. Any other field that
//! has a shape nobody knows is set aside under `<field>_unreadable`: the column is NULL, the value stays in `extra`, and it is
//! counted as an unknown field.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The record with its unreadable fields set aside, or `None` when it cannot be read even so.
///
/// `reads` says whether a JSON text can be read as the record's type; `required` are the fields it cannot be without.
pub(super) fn repair(raw: &str, required: &[&str], reads: impl Fn(&str) -> bool) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw).ok()?;
    let core: BTreeMap<&str, &RawValue> =
        required.iter().filter_map(|name| Some((*name, *fields.get(*name)?))).collect();
    let text = |fields: &BTreeMap<&str, &RawValue>| serde_json::to_string(fields).expect("JSON of JSON");
    if !reads(&text(&core)) {
        return None;
    }
    let mut repaired: BTreeMap<String, &RawValue> = BTreeMap::new();
    for (name, value) in &fields {
        let mut probe = core.clone();
        probe.insert(name, value);
        let name = if reads(&text(&probe)) { name.clone() } else { format!("{name}_unreadable") };
        repaired.insert(name, value);
    }
    serde_json::to_string(&repaired).ok().filter(|text| reads(text))
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::box_api::User;

    use super::*;

    fn user(raw: &str) -> Option<User> {
        let reads = |text: &str| serde_json::from_str::<User>(text).is_ok();
        repair(raw, &["id"], reads).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn one_odd_field_does_not_cost_the_person() {
        let user =
            user(r#"{"id":"7","login":"a@b.c","tracking_codes":{},"created_at":"yesterday"}"#).unwrap();
        assert_eq!((user.id.as_str(), user.login.as_deref()), ("7", Some("a@b.c")));
        assert!(user.tracking_codes.is_none() && user.created_at.is_none());
        assert_eq!(
            serde_json::to_string(&user.extra).unwrap(),
            r#"{"created_at_unreadable":"yesterday","tracking_codes_unreadable":{}}"#
        );
    }

    #[test]
    fn nobody_is_nobody() {
        for raw in [r#"{"id":{},"login":"a@b.c"}"#, r#"{"login":"a@b.c"}"#, "[]", "7", "null"] {
            assert!(user(raw).is_none(), "{raw}");
        }
    }
}
