//! Sign-in with a JWT: the configuration file of Box's developer console, and the assertions that are signed with its key.
//!
//! An assertion is exchanged for a token. Box accepts an assertion once (`jti`) and for at most 60 seconds (`exp`), so every attempt has
//! its own. <https://developer.box.com/guides/authentication/jwt/without-sdk/>

mod private_key;

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

pub use private_key::KeyFault;

/// An application of Box that signs in with its private key.
#[derive(Clone)]
pub struct JwtApplication {
    client_id: String,
    client_secret: SecretString,
    key_id: String,
    key: Arc<KeyPair>,
    enterprise_id: Option<String>,
    subject: Subject,
}

/// The account that a token represents.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// The service account of the application, in this enterprise.
    Enterprise(String),
    /// A user. The application needs "Generate user access tokens".
    User(String),
}

/// Why a configuration file cannot be used. No text contains a value of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtConfigFault {
    /// Not JSON, or a field has another type than in Box's file.
    #[error("it is not the JSON file of Box's developer console (line {line}, column {column})")]
    NotTheFile {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// A field is missing or empty.
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    /// A field has blanks, control characters or characters that are not ASCII.
    #[error("{0} contains a blank, a control character or a character that is not ASCII")]
    Unusable(&'static str),
    /// The private key cannot be used.
    #[error("boxAppSettings.appAuth.privateKey cannot be used: {0}")]
    Key(#[from] KeyFault),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    box_app_settings: Option<AppSettings>,
    #[serde(rename = "enterpriseID")]
    enterprise_id: Option<Id>,
    /// Box's console does not write this field, but Box's SDKs read it.
    #[serde(rename = "userID")]
    user_id: Option<Id>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppSettings {
    #[serde(rename = "clientID")]
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    app_auth: Option<AppAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppAuth {
    #[serde(rename = "publicKeyID")]
    public_key_id: Option<String>,
    private_key: Option<SecretString>,
    passphrase: Option<SecretString>,
}

/// An id of Box: text, or a number in files that were edited.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

impl JwtApplication {
    /// Reads the configuration file that the developer console offers for download (JSON, UTF-8). `user_id`: the user to sign in as, in
    /// place of the subject that the file names.
    ///
    /// As in Box's SDKs, the subject of a file is its `enterpriseID`, or its `userID` if there is no enterprise.
    ///
    /// # Errors
    /// [`JwtConfigFault`].
    pub fn from_json(json: &[u8], user_id: Option<&str>) -> Result<Self, JwtConfigFault> {
        let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
        // The message of the parser may contain a value of the file, so only its position is kept.
        let file: ConfigFile = serde_json::from_slice(json)
            .map_err(|e| JwtConfigFault::NotTheFile { line: e.line(), column: e.column() })?;
        let settings = file.box_app_settings.ok_or(JwtConfigFault::Missing("boxAppSettings"))?;
        let auth = settings.app_auth.ok_or(JwtConfigFault::Missing(APP_AUTH))?;
        let client_id = usable("boxAppSettings.clientID", settings.client_id)?;
        let client_secret = usable(
            "boxAppSettings.clientSecret",
            settings.client_secret.map(|secret| secret.expose_secret().to_owned()),
        )?;
        let key_id = usable("boxAppSettings.appAuth.publicKeyID", auth.public_key_id)?;
        let private_key = auth
            .private_key
            .filter(|key| !key.expose_secret().trim().is_empty())
            .ok_or(JwtConfigFault::Missing(PRIVATE_KEY))?;
        let passphrase = auth.passphrase.as_ref().map(ExposeSecret::expose_secret);
        let key = Arc::new(private_key::read(private_key.expose_secret(), passphrase)?);
        let enterprise_id = id("enterpriseID", file.enterprise_id)?;
        let subject = match (user_id, &enterprise_id, id("userID", file.user_id)?) {
            (Some(user_id), ..) => Subject::User(user_id.to_owned()),
            (None, Some(enterprise_id), _) => Subject::Enterprise(enterprise_id.clone()),
            (None, None, Some(user_id)) => Subject::User(user_id),
            (None, None, None) => return Err(JwtConfigFault::Missing("enterpriseID")),
        };
        let client_secret = SecretString::from(client_secret);
        Ok(Self { client_id, client_secret, key_id, key, enterprise_id, subject })
    }

    /// Client id of the application.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Id of the public key, as the developer console shows it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The enterprise that the file names. For a user subject, the file may name none.
    pub fn enterprise_id(&self) -> Option<&str> {
        self.enterprise_id.as_deref()
    }

    /// The account that the tokens represent, such as `enterprise 1234567` or `user 11446498`.
    pub fn subject(&self) -> String {
        let (kind, id) = self.subject.parts();
        format!("{kind} {id}")
    }

    pub(super) fn client_secret(&self) -> &SecretString {
        &self.client_secret
    }

    /// Signs an assertion with a new random `jti`. `now` is Box's time in Unix seconds.
    ///
    /// # Errors
    /// The reason, if the system returns no random numbers or the key cannot sign.
    pub(super) fn assertion(&self, now: i64) -> Result<SecretString, &'static str> {
        let mut jti = [0; JTI_BYTES];
        aws_lc_rs::rand::fill(&mut jti).map_err(|_| "the system returned no random numbers")?;
        let (kind, id) = self.subject.parts();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.client_id,
            "sub": id,
            "box_sub_type": kind,
            "aud": AUDIENCE,
            "jti": URL_SAFE_NO_PAD.encode(jti),
            "exp": now.saturating_add(LIFETIME_SECS),
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| "the private key cannot sign")?;
        Ok(SecretString::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl std::fmt::Debug for JwtApplication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtApplication")
            .field("client_id", &self.client_id)
            .field("key_id", &self.key_id)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl Subject {
    /// `box_sub_type` and `sub`.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Enterprise(id) => ("enterprise", id),
            Self::User(id) => ("user", id),
        }
    }
}

/// Why Box refused an assertion, according to Box's error. Each reason requires another step in the developer console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtRefusal {
    /// An administrator has not authorised the application.
    NotAuthorised,
    /// The application was not created for JWT.
    NotForJwt,
    /// Client id and secret do not belong together.
    Client,
    /// The application may not sign in to this enterprise or as this user.
    Subject,
    /// The public key is unknown, or belongs to another private key.
    Key,
    /// The time of the assertion was wrong, even after a correction with Box's time.
    Clock,
    /// The assertion was used before.
    Reused,
    /// Something else.
    Other,
}

impl JwtRefusal {
    /// Classifies an error of the token endpoint. Box documents only some of the texts; the others are from its SDKs and samples
    /// (box/samples, "Troubleshooting").
    pub(super) fn of(status: u16, error: &str, description: &str) -> Self {
        let text = description.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match error {
            "unauthorized_client" => Self::NotAuthorised,
            "invalid_client" => Self::Client,
            "unsupported_grant_type" => Self::NotForJwt,
            _ if says(&["not authorized by"]) => Self::NotAuthorised,
            _ if says(&["grant type is unauthorized"]) => Self::NotForJwt,
            _ if says(&["'exp'", "'iat'", "'nbf'"]) => Self::Clock,
            _ if says(&["'jti'"]) => Self::Reused,
            _ if says(&["'sub'", "'box_sub_type'", "enterprise configuration"]) => Self::Subject,
            _ if says(&["'iss'", "client credentials"]) => Self::Client,
            _ if says(&["unable to verify", "'kid'", "signature", "public key"]) => Self::Key,
            _ if status == 401 => Self::Client,
            _ => Self::Other,
        }
    }

    /// Whether a new assertion with Box's time may be accepted.
    pub(super) fn is_repaired_by_a_new_assertion(self) -> bool {
        matches!(self, Self::Clock | Self::Reused)
    }
}

/// A value that goes into a form or a claim.
fn usable(field: &'static str, value: Option<String>) -> Result<String, JwtConfigFault> {
    let value = value.unwrap_or_default();
    let value = value.trim();
    if value.is_empty() {
        return Err(JwtConfigFault::Missing(field));
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(JwtConfigFault::Unusable(field));
    }
    Ok(value.to_owned())
}

/// An id; `None`: missing, empty, or `0`, which Box writes for an account without an enterprise.
fn id(field: &'static str, id: Option<Id>) -> Result<Option<String>, JwtConfigFault> {
    let text = match id {
        None => return Ok(None),
        Some(Id::Text(text)) => text,
        Some(Id::Number(number)) => number.to_string(),
    };
    match text.trim() {
        "" | "0" => Ok(None),
        text => usable(field, Some(text.to_owned())).map(Some),
    }
}

/// The audience is constant, even if the token endpoint has another address. Box's SDKs do the same.
const AUDIENCE: &str = "https://api.box.com/oauth2/token";

/// Box allows 60 seconds. With 30, as in Box's SDKs, the clock of this machine may be half a minute ahead or behind.
const LIFETIME_SECS: i64 = 30;

/// 32 characters of base64; Box requires 16 to 128.
const JTI_BYTES: usize = 24;

const APP_AUTH: &str = "boxAppSettings.appAuth";
const PRIVATE_KEY: &str = "boxAppSettings.appAuth.privateKey";

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    const PASSPHRASE: &str = "test-passphrase-0123";

    /// A file as the console offers it, with a test key.
    pub(in crate::client) fn file() -> Value {
        json!({
            "boxAppSettings": {
                "clientID": "client",
                "clientSecret": "s3cret-of-client",
                "appAuth": {
                    "publicKeyID": "key12345",
                    "privateKey": include_str!("jwt/test_keys/pkcs8_3des_sha1.pem"),
                    "passphrase": PASSPHRASE,
                },
            },
            "enterpriseID": "1234567",
        })
    }

    fn read(file: &Value, user_id: Option<&str>) -> Result<JwtApplication, JwtConfigFault> {
        JwtApplication::from_json(file.to_string().as_bytes(), user_id)
    }

    /// Header and claims of an assertion whose signature is correct.
    pub(in crate::client) fn verified(application: &JwtApplication, assertion: &str) -> (Value, Value) {
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let public = application.key.public_key().as_ref();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        (json(header), json(claims))
    }

    #[test]
    fn assertion_has_the_claims_that_box_requires() {
        let application = read(&file(), None).unwrap();
        let assertion = application.assertion(1_772_431_200).unwrap();
        let (header, mut claims) = verified(&application, assertion.expose_secret());
        assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "key12345"}));
        let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert!((16..=128).contains(&jti.as_str().unwrap().len()), "{jti}");
        assert_eq!(
            claims,
            json!({
                "iss": "client",
                "sub": "1234567",
                "box_sub_type": "enterprise",
                "aud": "https://api.box.com/oauth2/token",
                "exp": 1_772_431_230,
            })
        );
        let (_, again) =
            verified(&application, application.assertion(1_772_431_200).unwrap().expose_secret());
        assert_ne!(again["jti"], jti);
    }

    #[test]
    fn subject_is_the_enterprise_or_a_user() {
        let subject = |change: &dyn Fn(&mut Value), user_id| {
            let mut file = file();
            change(&mut file);
            read(&file, user_id).map(|application| application.subject())
        };
        assert_eq!(subject(&|_| {}, None).unwrap(), "enterprise 1234567");
        assert_eq!(subject(&|_| {}, Some("77")).unwrap(), "user 77");
        assert_eq!(subject(&|file| file["userID"] = "88".into(), None).unwrap(), "enterprise 1234567");
        assert_eq!(
            subject(&|file| file["enterpriseID"] = 1_234_567.into(), None).unwrap(),
            "enterprise 1234567"
        );
        for none in [Value::Null, "".into(), "0".into(), 0.into()] {
            let without = |file: &mut Value| file["enterpriseID"] = none.clone();
            assert_eq!(subject(&without, None), Err(JwtConfigFault::Missing("enterpriseID")));
            let user = |file: &mut Value| {
                file["enterpriseID"] = none.clone();
                file["userID"] = "88".into();
            };
            assert_eq!(subject(&user, None).unwrap(), "user 88");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_by_its_field() {
        let settings = |name: &str, value: Value| {
            let mut file = file();
            file["boxAppSettings"][name] = value;
            read(&file, None).unwrap_err()
        };
        let auth = |name: &str, value: Value| {
            let mut file = file();
            file["boxAppSettings"]["appAuth"][name] = value;
            read(&file, None).unwrap_err()
        };
        for empty in [Value::Null, "".into(), " ".into()] {
            assert_eq!(
                settings("clientID", empty.clone()),
                JwtConfigFault::Missing("boxAppSettings.clientID")
            );
            assert_eq!(
                settings("clientSecret", empty.clone()),
                JwtConfigFault::Missing("boxAppSettings.clientSecret")
            );
            assert_eq!(
                auth("publicKeyID", empty.clone()),
                JwtConfigFault::Missing("boxAppSettings.appAuth.publicKeyID")
            );
            assert_eq!(auth("privateKey", empty), JwtConfigFault::Missing(PRIVATE_KEY));
        }
        assert_eq!(settings("appAuth", Value::Null), JwtConfigFault::Missing(APP_AUTH));
        assert_eq!(
            settings("clientSecret", "s3 cret".into()),
            JwtConfigFault::Unusable("boxAppSettings.clientSecret")
        );
        assert_eq!(auth("passphrase", Value::Null), JwtConfigFault::Key(KeyFault::NoPassphrase));
        assert_eq!(auth("passphrase", "s3cret".into()), JwtConfigFault::Key(KeyFault::Passphrase));
        assert_eq!(read(&json!({}), None).unwrap_err(), JwtConfigFault::Missing("boxAppSettings"));
        for other in ["", "[]", "{", "s3cret", "{\"boxAppSettings\":\"s3cret\"}"] {
            let fault = JwtApplication::from_json(other.as_bytes(), None).unwrap_err();
            assert!(matches!(fault, JwtConfigFault::NotTheFile { .. }), "{other}: {fault}");
        }
    }

    #[test]
    fn no_text_shows_a_secret() {
        let application = read(&file(), None).unwrap();
        let shown = format!("{application:?}");
        assert!(shown.contains("key12345") && !shown.contains("s3cret"), "{shown}");
        for field in ["clientID", "clientSecret", "appAuth"] {
            let mut file = file();
            file["boxAppSettings"][field] = json!(["s3cret"]);
            let fault = read(&file, None).unwrap_err();
            assert!(!format!("{fault} {fault:?}").contains("s3cret"), "{field}: {fault:?}");
        }
        for field in ["privateKey", "passphrase", "publicKeyID"] {
            for value in
                [json!({"s3cret": 1}), json!("-----BEGIN s3cret-----\ns3cret"), json!("s3cret s3cret")]
            {
                let mut file = file();
                file["boxAppSettings"]["appAuth"][field] = value;
                let fault = read(&file, None).unwrap_err();
                assert!(!format!("{fault} {fault:?}").contains("s3cret"), "{field}: {fault:?}");
            }
        }
    }

    #[test]
    fn byte_order_mark_is_skipped() {
        let text = format!("\u{feff}{}", file());
        assert!(JwtApplication::from_json(text.as_bytes(), None).is_ok());
    }

    #[test]
    fn refusals_have_their_step_in_the_console() {
        for (status, error, description, refusal) in [
            (
                400,
                "unauthorized_client",
                "This app is not authorized by the enterprise admin",
                JwtRefusal::NotAuthorised,
            ),
            (
                400,
                "invalid_request",
                "The grant type is unauthorized for this client_id.",
                JwtRefusal::NotForJwt,
            ),
            (400, "unsupported_grant_type", "", JwtRefusal::NotForJwt),
            (400, "invalid_client", "The client credentials are invalid", JwtRefusal::Client),
            (400, "invalid_grant", "Please check the 'iss' claim.", JwtRefusal::Client),
            (401, "", "", JwtRefusal::Client),
            (
                400,
                "invalid_grant",
                "Please check the 'sub' claim. The 'sub' specified is invalid.",
                JwtRefusal::Subject,
            ),
            (
                400,
                "invalid_request",
                "Cannot obtain user token based on the enterprise configuration for your app",
                JwtRefusal::Subject,
            ),
            (400, "invalid_grant", "OpenSSL unable to verify data: ", JwtRefusal::Key),
            (
                400,
                "invalid_grant",
                "Current date/time MUST be before the expiration date/time listed in the 'exp' claim",
                JwtRefusal::Clock,
            ),
            (
                400,
                "invalid_grant",
                "Please check the 'exp' claim. The 'exp' value exceeds the maximum value of 60 seconds beyond the issue time.",
                JwtRefusal::Clock,
            ),
            (
                400,
                "invalid_grant",
                "Please check the 'jti' claim. A unique 'jti' value is required.",
                JwtRefusal::Reused,
            ),
            (400, "invalid_grant", "Grant credentials are invalid", JwtRefusal::Other),
            (400, "", "", JwtRefusal::Other),
        ] {
            assert_eq!(JwtRefusal::of(status, error, description), refusal, "{error} {description}");
        }
    }
}
