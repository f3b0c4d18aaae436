//! Tokens: who gets one, whom it stands for, and when it stops working.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use crate::chance::{self, About};
use crate::config::Config;
use crate::people::Role;
use crate::shared::unpoisoned;
use crate::world::World;

/// Whom a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// The application's service account, which ranks like a co-admin.
    Service,
    /// The person in this slot.
    Person(u32),
}

impl Caller {
    /// Whether this caller may read the whole enterprise.
    pub(crate) fn may_administrate(self, world: &World) -> bool {
        match self {
            Caller::Service => true,
            Caller::Person(slot) => world.people[slot as usize].role != Role::User,
        }
    }
}

/// Tokens given out so far.
#[derive(Default)]
pub(crate) struct Tokens {
    issued: RwLock<Issued>,
}

#[derive(Default)]
struct Issued {
    live: HashMap<String, (Caller, Instant)>,
    count: u64,
}

/// A client-credentials request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: &'a str,
    pub(crate) subject_type: &'a str,
    pub(crate) subject_id: &'a str,
}

impl Credentials<'_> {
    /// Whom these credentials may act as; Box folds every other case into one refusal.
    pub(crate) fn caller(&self, world: &World) -> Option<Caller> {
        let config = &world.config;
        if self.client_id != config.client_id || self.client_secret != config.client_secret {
            return None;
        }
        match self.subject_type {
            "enterprise" if self.subject_id == config.enterprise_id => Some(Caller::Service),
            "user" if self.subject_id == world.service.id.to_string() => Some(Caller::Service),
            "user" => {
                let slot = world.slot_by_id(self.subject_id.parse().ok()?)?;
                world.people[slot].is_managed().then_some(Caller::Person(slot as u32))
            }
            _ => None,
        }
    }
}

impl Tokens {
    /// A new token for `caller`, good for the configured time.
    pub(crate) fn issue(&self, config: &Config, caller: Caller, now: Instant) -> String {
        let mut issued = unpoisoned(self.issued.write());
        issued.live.retain(|_, (_, expires)| *expires > now);
        issued.count += 1;
        let word = |n: u64| chance::mix(config.seed, About::Token, issued.count * 4 + n);
        let token = format!("T1{:016x}{:016x}{:016x}", word(0), word(1), word(2));
        let expires = now + Duration::from_secs(config.token_lifetime_secs.into());
        issued.live.insert(token.clone(), (caller, expires));
        token
    }

    /// Whom an `Authorization` header stands for.
    pub(crate) fn caller(&self, world: &World, token: &str, now: Instant) -> Option<Caller> {
        if world.config.developer_token.as_deref() == Some(token) {
            let admin = world.managed().find(|(_, person)| person.role == Role::Admin);
            return Some(admin.map_or(Caller::Service, |(slot, _)| Caller::Person(slot as u32)));
        }
        let issued = unpoisoned(self.issued.read());
        let (caller, expires) = *issued.live.get(token)?;
        (expires > now).then_some(caller)
    }

    pub(crate) fn revoke(&self, token: &str) {
        unpoisoned(self.issued.write()).live.remove(token);
    }

    /// Makes the tokens of these callers useless.
    pub(crate) fn revoke_of(&self, callers: &[Caller]) {
        unpoisoned(self.issued.write()).live.retain(|_, (caller, _)| !callers.contains(caller));
    }

    /// Makes every token given out so far useless.
    pub(crate) fn revoke_all(&self) {
        unpoisoned(self.issued.write()).live.clear();
    }
}

/// The token of an `Authorization: Bearer …` header.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_expire() {
        let world = World::new(Config { users: 5, token_lifetime_secs: 10, ..Config::default() });
        let tokens = Tokens::default();
        let now = crate::clock::instant();
        let token = tokens.issue(&world.config, Caller::Service, now);
        assert_eq!(tokens.caller(&world, &token, now + Duration::from_secs(9)), Some(Caller::Service));
        assert_eq!(tokens.caller(&world, &token, now + Duration::from_secs(10)), None);
        assert_eq!(tokens.caller(&world, "guess", now), None);
        assert_eq!(tokens.caller(&world, "simulated-developer-token", now), Some(Caller::Person(0)));
    }

    #[test]
    fn credentials_must_fit_entirely() {
        let world = World::new(Config { users: 5, ..Config::default() });
        let id = world.people[0].id.to_string();
        let good = Credentials {
            client_id: "simulated-client",
            client_secret: "simulated-secret",
            subject_type: "enterprise",
            subject_id: "900000001",
        };
        assert_eq!(good.caller(&world), Some(Caller::Service));
        let user = Credentials { subject_type: "user", subject_id: &id, ..good };
        assert_eq!(user.caller(&world), Some(Caller::Person(0)));
        for bad in [
            Credentials { client_secret: "x", ..good },
            Credentials { subject_id: "1", ..good },
            Credentials { subject_type: "user", ..good },
            Credentials { subject_type: "", ..good },
        ] {
            assert_eq!(bad.caller(&world), None);
        }
    }
}
