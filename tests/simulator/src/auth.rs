//! Tokens: who gets one, which account it represents, and when it expires.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use crate::apps::App;
use crate::chance::{self, About};
use crate::config::Config;
use crate::people::Role;
use crate::shared::unpoisoned;
use crate::world::World;

/// The account that a token represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// The account of an application, which has the rank of a co-admin.
    App(App),
    /// The user in this slot.
    Person(u32),
}

impl Caller {
    /// Whether this caller may read the whole enterprise.
    pub(crate) fn may_administrate(self, world: &World) -> bool {
        match self {
            Caller::App(_) => true,
            Caller::Person(slot) => world.people[slot as usize].role != Role::User,
        }
    }
}

/// What a token represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) caller: Caller,
    /// The application that received the token and whose scopes limit it. A developer token has no application and no such
    /// limit.
    pub(crate) app: Option<App>,
}

/// Tokens issued so far.
#[derive(Default)]
pub(crate) struct Tokens {
    issued: RwLock<Issued>,
}

#[derive(Default)]
struct Issued {
    live: HashMap<String, (Session, Instant)>,
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

/// The account that a token is requested for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// `enterprise` or `user`.
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
}

impl Subject<'_> {
    /// The session of an application for this account, if the application may act as it.
    pub(crate) fn session(&self, app: App, world: &World) -> Option<Session> {
        let caller = match self.kind {
            "enterprise" if self.id == world.config.enterprise_id => Caller::App(app),
            "user" => {
                let id = self.id.parse().ok()?;
                let person = world.slot_by_id(id).filter(|slot| world.people[*slot].is_managed());
                let own = || (world.apps.by_account(id) == Some(app)).then_some(Caller::App(app));
                person.map(|slot| Caller::Person(slot as u32)).or_else(own)?
            }
            _ => return None,
        };
        Some(Session { caller, app: Some(app) })
    }
}

impl Credentials<'_> {
    /// The account that these credentials may act as. Box returns the same error in every other case.
    pub(crate) fn session(&self, world: &World) -> Option<Session> {
        let app = self.app(&world.config)?;
        Subject { kind: self.subject_type, id: self.subject_id }.session(app, world)
    }

    /// The application that this id and secret belong to.
    pub(crate) fn app(&self, config: &Config) -> Option<App> {
        let known = [
            (App::Reading, &config.client_id, &config.client_secret),
            (App::Acting, &config.actions_client_id, &config.actions_client_secret),
        ];
        let is_it = |id: &str, secret: &str| self.client_id == id && self.client_secret == secret;
        known.into_iter().find(|(_, id, secret)| is_it(id, secret)).map(|(app, ..)| app)
    }
}

impl Tokens {
    /// Issues a new token, valid for the configured time.
    pub(crate) fn issue(&self, config: &Config, session: Session, now: Instant) -> String {
        let mut issued = unpoisoned(self.issued.write());
        issued.live.retain(|_, (_, expires)| *expires > now);
        issued.count += 1;
        let word = |n: u64| chance::mix(config.seed, About::Token, issued.count * 4 + n);
        let token = format!("T1{:016x}{:016x}{:016x}", word(0), word(1), word(2));
        let expires = now + Duration::from_secs(config.token_lifetime_secs.into());
        issued.live.insert(token.clone(), (session, expires));
        token
    }

    /// The session of the token in an `Authorization` header.
    pub(crate) fn session(&self, world: &World, token: &str, now: Instant) -> Option<Session> {
        if world.config.developer_token.as_deref() == Some(token) {
            let admin = world.managed().find(|(_, person)| person.role == Role::Admin);
            let caller = admin.map_or(Caller::App(App::Reading), |(slot, _)| Caller::Person(slot as u32));
            return Some(Session { caller, app: None });
        }
        let issued = unpoisoned(self.issued.read());
        let (session, expires) = *issued.live.get(token)?;
        (expires > now).then_some(session)
    }

    pub(crate) fn revoke(&self, token: &str) {
        unpoisoned(self.issued.write()).live.remove(token);
    }

    /// Revokes the tokens of these callers.
    pub(crate) fn revoke_of(&self, callers: &[Caller]) {
        unpoisoned(self.issued.write()).live.retain(|_, (session, _)| !callers.contains(&session.caller));
    }

    /// Revokes every token issued so far.
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
        let session = Session { caller: Caller::App(App::Acting), app: Some(App::Acting) };
        let token = tokens.issue(&world.config, session, now);
        assert_eq!(tokens.session(&world, &token, now + Duration::from_secs(9)), Some(session));
        assert_eq!(tokens.session(&world, &token, now + Duration::from_secs(10)), None);
        assert_eq!(tokens.session(&world, "guess", now), None);
        let admin = tokens.session(&world, "simulated-developer-token", now);
        assert_eq!(admin, Some(Session { caller: Caller::Person(0), app: None }));
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
        let caller = |credentials: Credentials<'_>| credentials.session(&world).map(|session| session.caller);
        assert_eq!(caller(good), Some(Caller::App(App::Reading)));
        let user = Credentials { subject_type: "user", subject_id: &id, ..good };
        assert_eq!(caller(user), Some(Caller::Person(0)));
        let (client_id, client_secret) = ("simulated-actions-client", "simulated-actions-secret");
        let acting = Credentials { client_id, client_secret, ..good };
        assert_eq!(caller(acting), Some(Caller::App(App::Acting)));
        let its_own = Credentials { subject_type: "user", subject_id: "7700000002", ..acting };
        assert_eq!(caller(its_own), Some(Caller::App(App::Acting)));
        for bad in [
            Credentials { client_secret: "x", ..good },
            Credentials { client_secret, ..good },
            Credentials { client_id: good.client_id, ..its_own },
            Credentials { subject_id: "7700000001", ..its_own },
            Credentials { subject_id: "1", ..good },
            Credentials { subject_type: "user", ..good },
            Credentials { subject_type: "", ..good },
        ] {
            assert_eq!(caller(bad), None);
        }
    }
}
