//! Sign-in with JWT: the configuration files of the applications, and the check of an assertion.
//!
//! Box checks an assertion in an order that it does not document. The texts of the errors are from Box's documentation, from the issues
//! of its SDKs and from its samples; a comment marks those that are assumed.

use std::collections::HashMap;
use std::sync::Mutex;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::apps::App;
use crate::auth::{Session, Subject};
use crate::config::Config;
use crate::shared::unpoisoned;
use crate::world::World;

/// An error of the token endpoint: `error` and `error_description`.
pub(crate) type Refused = (&'static str, &'static str);

/// The assertions that were accepted, by application and `jti`, with their `exp`.
#[derive(Debug, Default)]
pub(crate) struct Assertions(Mutex<HashMap<(App, String), i64>>);

impl Assertions {
    /// The session that an assertion stands for. `client` is the application of the form's client id and secret, and `now` Box's time
    /// in Unix seconds.
    pub(crate) fn session(
        &self,
        assertion: &str,
        client: App,
        world: &World,
        now: i64,
    ) -> Result<Session, Refused> {
        let claims = verified(assertion, client)?;
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        if Some(text("iss")) != client_id(&world.config, client) {
            return Err(("invalid_grant", "Please check the 'iss' claim."));
        }
        if text("aud") != "https://api.box.com/oauth2/token" {
            return Err(("invalid_grant", "Please check the 'aud' claim."));
        }
        let subject = Subject { kind: text("box_sub_type"), id: text("sub") };
        let session = subject.session(client, world).ok_or(match subject.kind {
            "user" => (
                "invalid_request",
                "Cannot obtain user token based on the enterprise configuration for your app",
            ),
            _ => ("invalid_grant", "Please check the 'sub' claim. The 'sub' specified is invalid."),
        })?;
        let exp = in_time(&claims, now)?;
        self.first_use(client, text("jti"), exp, now)?;
        Ok(session)
    }

    fn first_use(&self, client: App, jti: &str, exp: i64, now: i64) -> Result<(), Refused> {
        let mut used = unpoisoned(self.0.lock());
        used.retain(|_, exp| *exp >= now);
        let is_new = (16..=128).contains(&jti.len()) && used.insert((client, jti.to_owned()), exp).is_none();
        is_new
            .then_some(())
            .ok_or(("invalid_grant", "Please check the 'jti' claim. A unique 'jti' value is required."))
    }
}

/// The claims of an assertion whose signature is correct.
fn verified(assertion: &str, client: App) -> Result<Value, Refused> {
    // Assumed.
    const MALFORMED: Refused = ("invalid_grant", "The assertion is not a JSON Web Token");
    const UNVERIFIED: Refused = ("invalid_grant", "OpenSSL unable to verify data: ");
    let json = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let (signed, signature) = assertion.rsplit_once('.').ok_or(MALFORMED)?;
    let (header, claims) = signed.split_once('.').ok_or(MALFORMED)?;
    let (header, claims) = (json(header).ok_or(MALFORMED)?, json(claims).ok_or(MALFORMED)?);
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| MALFORMED)?;
    let algorithm: &'static RsaParameters = match header["alg"].as_str() {
        Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
        Some("RS384") => &RSA_PKCS1_2048_8192_SHA384,
        Some("RS512") => &RSA_PKCS1_2048_8192_SHA512,
        // Assumed.
        _ => return Err(("invalid_grant", "Please check the 'alg' header.")),
    };
    let key = keys(client).filter(|key| header["kid"] == key.id).ok_or(UNVERIFIED)?;
    UnparsedPublicKey::new(algorithm, der(key.public))
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| UNVERIFIED)?;
    Ok(claims)
}

/// `exp` of an assertion that is valid at `now`. `nbf` and `iat` are optional.
fn in_time(claims: &Value, now: i64) -> Result<i64, Refused> {
    const LONGEST_SECS: i64 = 60;
    let Some(exp) = claims["exp"].as_i64() else {
        return Err(("invalid_grant", "Please check the 'exp' claim. Should be an integer"));
    };
    if exp <= now {
        return Err((
            "invalid_grant",
            "Current date/time MUST be before the expiration date/time listed in the 'exp' claim",
        ));
    }
    if exp > now + LONGEST_SECS {
        return Err((
            "invalid_grant",
            "Please check the 'exp' claim. The 'exp' value exceeds the maximum value of 60 seconds beyond the issue time.",
        ));
    }
    // Assumed.
    for (name, refused) in [
        ("nbf", ("invalid_grant", "Please check the 'nbf' claim.")),
        ("iat", ("invalid_grant", "Please check the 'iat' claim.")),
    ] {
        if claims.get(name).is_some_and(|at| at.as_i64().is_none_or(|at| at > now)) {
            return Err(refused);
        }
    }
    Ok(exp)
}

/// The key pair of an application.
struct Key {
    /// As the developer console shows it.
    id: &'static str,
    public: &'static str,
    private: &'static str,
}

/// `None` for the identity provider, which does not sign in.
fn keys(app: App) -> Option<Key> {
    match app {
        App::Reading => Some(Key {
            id: "readkey1",
            public: include_str!("../keys/reading.pub.pem"),
            private: include_str!("../keys/reading.pem"),
        }),
        App::Acting => Some(Key {
            id: "actkey01",
            public: include_str!("../keys/acting.pub.pem"),
            private: include_str!("../keys/acting.pem"),
        }),
        App::Directory => None,
    }
}

fn client_id(config: &Config, app: App) -> Option<&str> {
    match app {
        App::Reading => Some(&config.client_id),
        App::Acting => Some(&config.actions_client_id),
        App::Directory => None,
    }
}

/// The bytes of a PEM text that is part of this program.
fn der(pem: &str) -> Vec<u8> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(base64).expect("a key in keys/ is valid PEM")
}

impl Config {
    /// The JWT configuration file of an application, as Box's developer console offers it for download. Empty for
    /// [`App::Directory`], which no client signs in as.
    pub fn jwt_config(&self, app: App) -> String {
        let (client_id, client_secret) = match app {
            App::Reading => (&self.client_id, &self.client_secret),
            App::Acting => (&self.actions_client_id, &self.actions_client_secret),
            App::Directory => return String::new(),
        };
        let Some(key) = keys(app) else { return String::new() };
        let file = json!({
            "boxAppSettings": {
                "clientID": client_id,
                "clientSecret": client_secret,
                "appAuth": {
                    "publicKeyID": key.id,
                    "privateKey": key.private,
                    "passphrase": "simulated-passphrase",
                },
            },
            "enterpriseID": self.enterprise_id,
        });
        format!("{file:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    use super::*;
    use crate::auth::Caller;

    const NOW: i64 = 1_772_431_200;

    #[test]
    fn claims_in_time_are_accepted() {
        let check = |claims: &Value| in_time(claims, NOW).map_err(|(_, text)| text);
        assert_eq!(check(&json!({"exp": NOW + 60})), Ok(NOW + 60));
        assert_eq!(check(&json!({"exp": NOW + 30, "iat": NOW, "nbf": NOW - 5})), Ok(NOW + 30));
        for claims in [
            json!({}),
            json!({"exp": "1772431230"}),
            json!({"exp": NOW as f64 + 30.5}),
            json!({"exp": NOW}),
            json!({"exp": NOW + 61}),
        ] {
            assert!(check(&claims).is_err_and(|text| text.contains("'exp'")), "{claims}");
        }
        for name in ["iat", "nbf"] {
            let claims = json!({"exp": NOW + 30, name: NOW + 1});
            assert!(check(&claims).is_err_and(|text| text.contains(name)), "{claims}");
        }
    }

    #[test]
    fn each_jti_is_accepted_once_per_application() {
        let used = Assertions::default();
        let accepts = |app, jti: &str| used.first_use(app, jti, NOW + 30, NOW).is_ok();
        let jti = "0123456789abcdef";
        assert!(accepts(App::Reading, jti) && accepts(App::Acting, jti));
        assert!(!accepts(App::Reading, jti) && !accepts(App::Reading, "short"));
        assert!(!accepts(App::Reading, &"x".repeat(129)));
    }

    #[test]
    fn signatures_of_other_keys_are_refused() {
        let other = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({"alg": "RS256", "kid": "readkey1"})), part(json!({})));
        let mut signature = vec![0; other.public_modulus_len()];
        other
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .expect("a signature");
        let assertion = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert!(verified(&assertion, App::Reading).is_err_and(|(_, text)| text.contains("unable to verify")));
        assert!(!der(keys(App::Reading).expect("a key").public).ends_with(other.public_key().as_ref()));
        let none = format!("{}.{}.", part(json!({"alg": "none", "kid": "readkey1"})), part(json!({})));
        assert!(verified(&none, App::Reading).is_err_and(|(_, text)| text.contains("'alg'")));
        for malformed in ["", "a", "a.b", "a.b.c", ".."] {
            assert!(verified(malformed, App::Reading).is_err(), "{malformed}");
        }
    }

    #[test]
    fn subjects_are_the_enterprise_and_its_users() {
        let world = World::new(Config { users: 5, ..Config::default() });
        let id = world.people[0].id.to_string();
        let caller = |kind: &str, id: &str| {
            Subject { kind, id }.session(App::Acting, &world).map(|session| session.caller)
        };
        assert_eq!(caller("enterprise", "900000001"), Some(Caller::App(App::Acting)));
        assert_eq!(caller("user", &id), Some(Caller::Person(0)));
        assert_eq!(caller("user", "1"), None);
        assert_eq!(caller("enterprise", "1"), None);
    }
}
