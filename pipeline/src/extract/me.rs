//! The caller according to `GET /users/me`.

use boxseat_schemas::box_api::{Enterprise, lenient};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The account whose credentials are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Box user id.
    pub id: String,
    /// Login, or the id if there is none.
    pub login: String,
    /// The enterprise.
    pub enterprise_id: String,
    /// See [`Me::may_be_alone`].
    pub may_be_alone: bool,
}

/// The required parts of the body. Other fields may have any value.
#[derive(Deserialize)]
pub struct Me {
    #[serde(deserialize_with = "lenient::id")]
    id: String,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    login: Option<String>,
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    enterprise: Option<Enterprise>,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    role: Option<String>,
    #[serde(default)]
    is_platform_access_only: Option<Box<RawValue>>,
}

impl Me {
    /// Reads the body.
    ///
    /// # Errors
    /// The body is not a JSON object with an id. No other field is required.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// Box user id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Login, or the id if there is none.
    pub fn login(&self) -> &str {
        self.login.as_deref().unwrap_or(&self.id)
    }

    /// The enterprise; `None` for a free account.
    pub fn enterprise_id(&self) -> Option<&str> {
        self.enterprise.as_ref()?.id.as_deref()
    }

    /// Whether a listing with only the caller may be the whole enterprise: the caller is its primary admin, for example with a developer
    /// token in a developer enterprise of one user.
    ///
    /// An application with "App Access Only" lists only its own users, and its service account has no admin role. An enterprise
    /// always has a primary admin, so a co-admin is never the only user. <https://developer.box.com/platform/user-types/>
    pub fn may_be_alone(&self) -> bool {
        // Any value except `false` may mean an app user.
        let is_app = self.is_platform_access_only.as_ref().is_some_and(|flag| flag.get() != "false")
            || self.login().to_lowercase().ends_with("@boxdevedition.com");
        self.role.as_deref() == Some("admin") && !is_app
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn me(patch: &Value) -> Me {
        let mut me = json!({ "type": "user", "id": "7", "login": "jo@acme.test", "role": "admin", "is_platform_access_only": false,
            "enterprise": { "type": "enterprise", "id": "9" } });
        me.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        Me::parse(me.to_string().as_bytes()).unwrap()
    }

    /// Why: an application that lists only its own users must be refused. An enterprise with one user must not be refused.
    #[test]
    fn only_the_primary_admin_may_be_alone() {
        for (patch, may_be_alone) in [
            (json!({}), true),
            (json!({ "login": null }), true),
            (json!({ "role": "coadmin" }), false),
            (json!({ "role": "user" }), false),
            (json!({ "role": null }), false),
            (json!({ "role": {} }), false),
            (json!({ "is_platform_access_only": true }), false),
            (json!({ "is_platform_access_only": "yes" }), false),
            (json!({ "login": "AutomationUser_12_aB@boxdevedition.com" }), false),
            (json!({ "login": "AppUser_12_aB@boxdevedition.com" }), false),
        ] {
            assert_eq!(me(&patch).may_be_alone(), may_be_alone, "{patch}");
        }
    }

    #[test]
    fn unexpected_fields_are_ignored() {
        let odd = me(
            &json!({ "id": 9001, "login": null, "phone": {}, "tracking_codes": [null], "created_at": "-0001-11-30" }),
        );
        assert_eq!((odd.id(), odd.login(), odd.enterprise_id()), ("9001", "9001", Some("9")));
        assert_eq!(me(&json!({ "enterprise": null })).enterprise_id(), None);
        assert!(Me::parse(b"{}").is_err() && Me::parse(b"<html>").is_err());
    }
}
