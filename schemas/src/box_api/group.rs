//! Groups, their memberships, and email aliases.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Record, lenient};

/// A group. <https://developer.box.com/reference/resources/group--full/>
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the table contract `groups` describes the fields")]
pub struct Group {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "lenient::string")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub group_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub provenance: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub external_sync_identifier: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub invitability_level: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub member_viewability_level: Option<String>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub modified_at: Option<DateTime<Utc>>,
}

impl Record<'_> for Group {
    const REQUIRED: &'static [&'static str] = &["id"];
}

/// The `group_type` of the group of all users. Membership in it carries no information, and it is never read.
pub const ALL_USERS_GROUP: &str = "all_users_group";

/// A membership. The group side and the user side return the same object with the same id.
/// <https://developer.box.com/reference/resources/group-membership/>
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the table contract `memberships` describes the fields")]
pub struct Membership {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "lenient::string")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub user: Option<Mini>,
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub group: Option<Mini>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub role: Option<String>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub modified_at: Option<DateTime<Utc>>,
}

impl Record<'_> for Membership {
    const REQUIRED: &'static [&'static str] = &["id"];
}

/// The part of a mini user or mini group that a membership needs. A user who was deleted may be listed without an id.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct Mini {
    #[serde(default, deserialize_with = "lenient::optional_id")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    pub group_type: Option<String>,
}

/// An additional address of a user. The primary login is not an alias. <https://developer.box.com/reference/resources/email-alias/>
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the table contract `email_aliases` describes the fields")]
pub struct EmailAlias {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "lenient::string")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::string")]
    pub email: Option<String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_confirmed: Option<bool>,
}

impl Record<'_> for EmailAlias {
    const REQUIRED: &'static [&'static str] = &["id"];
}
