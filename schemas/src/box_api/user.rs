//! A user as `GET /users` and `GET /users/{id}` return it. <https://developer.box.com/reference/resources/user--full/>

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Record, lenient};

/// A Box user with every field of the spec except `my_tags`.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the table contract `users` describes the fields")]
pub struct User {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "lenient::string")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub login: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub role: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub language: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub timezone: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub job_title: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub phone: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub address: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub avatar_url: Option<String>,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub space_amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub space_used: Option<i64>,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub max_upload_size: Option<i64>,
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub notification_email: Option<NotificationEmail>,
    #[serde(default)]
    pub tracking_codes: Option<Vec<TrackingCode>>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub can_see_managed_users: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_sync_enabled: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_external_collab_restricted: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_exempt_from_device_limits: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_exempt_from_login_verification: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_collaborated_content_available_when_owner_inactive: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_platform_access_only: Option<bool>,
    #[serde(default, deserialize_with = "lenient::optional_id")]
    pub external_app_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub hostname: Option<String>,
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub enterprise: Option<Enterprise>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub modified_at: Option<DateTime<Utc>>,
}

impl Record<'_> for User {
    const REQUIRED: &'static [&'static str] = &["id"];
}

impl User {
    /// Whether the storage quota is unlimited. Box receives -1 for it, and returns 1e15 or more in the vendor's fixtures.
    pub fn has_unlimited_space(&self) -> Option<bool> {
        self.space_amount.map(|bytes| !(0..UNLIMITED_FROM_BYTES).contains(&bytes))
    }

    /// Whether folders that other users work in stay open to them while the user is inactive. Unknown counts as no.
    pub fn keeps_folders_open(&self) -> bool {
        self.is_collaborated_content_available_when_owner_inactive == Some(true)
    }
}

/// Box writes "unlimited" as a quota of this size or more (JAVA4 and NODE3 fixtures show exactly 1e15).
const UNLIMITED_FROM_BYTES: i64 = 1_000_000_000_000_000;

/// The address for the user's notifications if it is not the login.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct NotificationEmail {
    #[serde(default, deserialize_with = "lenient::string")]
    pub email: Option<String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_confirmed: Option<bool>,
}

/// A name and a value that an administrator attached to a user.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct TrackingCode {
    #[serde(default, deserialize_with = "lenient::string")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub value: Option<String>,
}

/// The enterprise that a managed user belongs to; null for a free account.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct Enterprise {
    #[serde(default, deserialize_with = "lenient::optional_id")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(fields: &str) -> User {
        serde_json::from_str(&format!(r#"{{"type":"user","id":"1"{fields}}}"#)).unwrap()
    }

    #[test]
    fn unset_notification_email_has_four_spellings() {
        for spelling in ["", r#","notification_email":[]"#, r#","notification_email":null"#] {
            assert!(user(spelling).notification_email.is_none(), "{spelling}");
        }
        assert!(user(r#","notification_email":{}"#).notification_email.unwrap().email.is_none());
        let set = user(r#","notification_email":{"email":"a@b.c","is_confirmed":true}"#)
            .notification_email
            .unwrap();
        assert_eq!((set.email.as_deref(), set.is_confirmed), (Some("a@b.c"), Some(true)));
    }

    #[test]
    fn scalars_become_text_and_empty_text_is_unset() {
        let user = user(r#","phone":6509241374,"job_title":"","language":null"#);
        assert_eq!(user.phone.as_deref(), Some("6509241374"));
        assert_eq!((user.job_title, user.language), (None, None));
        let numeric: User = serde_json::from_str(r#"{"id":9007199254740993}"#).unwrap();
        assert_eq!(numeric.id, "9007199254740993");
    }

    #[test]
    fn unlimited_space_has_three_spellings() {
        for (amount, unlimited) in [
            ("-1", true),
            ("1e15", true),
            ("1.23e+31", true),
            ("1000000000000000", true),
            ("10737418240", false),
        ] {
            assert_eq!(
                user(&format!(r#","space_amount":{amount}"#)).has_unlimited_space(),
                Some(unlimited),
                "{amount}"
            );
        }
        assert_eq!(user("").has_unlimited_space(), None);
    }

    #[test]
    fn times_with_offsets_become_utc() {
        let user = user(r#","created_at":"2015-12-02T09:41:31-08:00""#);
        assert_eq!(user.created_at.unwrap().to_rfc3339(), "2015-12-02T17:41:31+00:00");
    }

    #[test]
    fn unusable_record_is_refused_with_the_reason() {
        for (body, reason) in [
            (r#"{"id":null}"#, "an id is missing or empty"),
            (r#"{"login":"a@b.c"}"#, "missing field `id`"),
            (r#"{"id":"1","created_at":"yesterday"}"#, "not an RFC 3339 time"),
            (r#"{"id":"1","space_used":"lots"}"#, "is not a number"),
            (r#"{"id":"1","login":{"a":1}}"#, "invalid type: map"),
        ] {
            let error = serde_json::from_str::<User>(body).unwrap_err().to_string();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }
}
