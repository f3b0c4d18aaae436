//! R12: another account can have the id of a user of the snapshot.

use boxseat_schemas::box_api::User;
use boxseat_schemas::reclaim::ReasonCode;
use boxseat_schemas::text::excerpt;
use chrono::{DateTime, Utc};

use super::Skip;
use crate::rules::snapshot::Person;

/// R12: whether the record that Box returned is not the user of the snapshot: it is of another type, or was created at another time, so
/// another account has the id. A time that is missing stops everything but the lock-out of a leaver (R19).
pub(super) fn other_account(known: Option<&Person>, now: &User, is_lockout: bool) -> Option<Skip> {
    if let Some(kind) = now.kind.as_deref().filter(|kind| *kind != "user") {
        return Some(Skip::finally(
            ReasonCode::Changed,
            format!("Box returns an object of the type {}", excerpt(kind)),
        ));
    }
    let was = known?.created_at?;
    let time = |at: DateTime<Utc>| at.format("%F %H:%M:%S UTC").to_string();
    match now.created_at {
        // Seconds are what Box returns. A fraction in one of its responses would make every account another one.
        Some(is) if is.timestamp() == was.timestamp() => None,
        Some(is) => Some(Skip::finally(
            ReasonCode::Changed,
            format!(
                "the account that Box returns was created {}, and that of the snapshot {}: it is another account with the same id",
                time(is),
                time(was)
            ),
        )),
        None if is_lockout => None,
        None => Some(Skip::for_now(
            ReasonCode::Changed,
            format!(
                "Box does not say when the account was created, and that of the snapshot was created {}",
                time(was)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::idler;

    /// Why: the fresh reading was compared in nothing that an account keeps for life. Another account under the same id was suspended.
    #[test]
    fn r12_another_account_under_the_same_id_is_not_acted_on() {
        let known = idler("1");
        let created_at = known.created_at.unwrap();
        let read = |kind: &str, created_at: Option<DateTime<Utc>>| -> User {
            let created_at = created_at.map(|at| at.to_rfc3339());
            serde_json::from_value(serde_json::json!({"type": kind, "id": "1", "created_at": created_at}))
                .unwrap()
        };
        let detail = |user: &User, is_lockout| {
            other_account(Some(&known), user, is_lockout).map_or_else(String::new, |skip| skip.detail)
        };
        for is_lockout in [false, true] {
            assert_eq!(detail(&read("user", Some(created_at)), is_lockout), "");
            assert!(detail(&read("group", Some(created_at)), is_lockout).contains("the type group"));
            let later = read("user", Some(created_at + TimeDelta::seconds(1)));
            assert!(detail(&later, is_lockout).contains("another account with the same id"));
        }
        let unknown = read("user", None);
        assert!(detail(&unknown, false).contains("does not say when"));
        assert_eq!(detail(&unknown, true), "", "R19: a leaver is locked out");
        assert!(other_account(None, &unknown, false).is_none());
    }
}
