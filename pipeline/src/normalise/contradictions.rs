//! Users that Box listed more than once with different values.
//!
//! A user that is edited while the listing is read can appear on two pages with different values. If values that decide about an account
//! contradict each other, none of them is used: the records are rejected, and the user is carried from the base run as not confirmed.

use std::hash::{DefaultHasher, Hash, Hasher};

use boxseat_schemas::box_api::{User, read};

use super::Index;
use crate::Error;
use crate::ids::{IdMap, IdSet};
use crate::plan::Pages;
use crate::spool::SpoolReader;

/// Why such a record has no row.
pub(super) const REASON: &str = "the user is listed more than once, with another type, login, status, role, enterprise, kind of app user or time of creation";

/// The users whose records contradict each other.
pub(super) fn contradictory_users(spool: &SpoolReader, index: &Index) -> Result<IdSet, Error> {
    let mut seen = Seen::default();
    Pages { frames: spool.frames()? }.each(index.users(), |_, page| {
        page.entries
            .iter()
            .filter_map(|raw| read::<User>(raw.get()).ok())
            .for_each(|user| seen.take(&user.record));
    })?;
    Ok(seen.contradictory)
}

/// The records so far.
#[derive(Default)]
struct Seen {
    hashes: IdMap<u64>,
    contradictory: IdSet,
}

impl Seen {
    fn take(&mut self, user: &User) {
        let hash = hash(user);
        if self.hashes.insert(&user.id, hash).is_some_and(|earlier| earlier != hash) {
            self.contradictory.insert(&user.id);
        }
    }
}

/// A hash of the fields that decide whether an account may be changed.
fn hash(user: &User) -> u64 {
    let login = user.login.as_ref().map(|login| login.to_lowercase());
    let enterprise = user.enterprise.as_ref().and_then(|enterprise| enterprise.id.as_deref());
    let mut hasher = DefaultHasher::new();
    (&user.kind, login, &user.status, &user.role, enterprise).hash(&mut hasher);
    (user.is_platform_access_only, &user.external_app_user_id, user.created_at).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why: if a user had two records, the first one was used. An admin according to the second page was an ordinary user.
    #[test]
    fn user_that_is_listed_with_different_values_is_contradictory() {
        let is_contradictory = |one: &str, other: &str| {
            let mut seen = Seen::default();
            for fields in [one, other] {
                let raw = format!(r#"{{"type":"user","id":"7"{fields}}}"#);
                seen.take(&read::<User>(&raw).unwrap().record);
            }
            seen.contradictory.contains("7")
        };
        let user = r#","login":"Jo@acme.test","status":"active","role":"user","space_used":1"#;
        assert!(!is_contradictory(user, user));
        let moved = r#","login":"jo@acme.test","status":"active","role":"user","space_used":2"#;
        assert!(!is_contradictory(user, moved), "the bytes in use decide nothing");
        for (was, is) in
            [("Jo@", "ann@"), ("active", "inactive"), ("\"user\"", "\"coadmin\""), ("\"user\"", "{}")]
        {
            assert!(is_contradictory(user, &user.replace(was, is)), "{is}");
        }
    }
}
