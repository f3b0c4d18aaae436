//! Groups, their memberships, and email aliases.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Extra, lenient};

/// A group. <https://developer.box.com/reference/resources/group--full/>
#[derive(Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "fields are Box's own; their meaning stands once, in the `groups` table contract"
)]
pub struct Group {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub group_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub provenance: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub external_sync_identifier: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub invitability_level: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub member_viewability_level: Option<String>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub modified_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// The `group_type` of the group of everybody, whose membership says nothing and is never walked.
pub const ALL_USERS_GROUP: &str = "all_users_group";

/// A membership; group side and user side give the same object with the same id.
/// <https://developer.box.com/reference/resources/group-membership/>
#[derive(Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "fields are Box's own; their meaning stands once, in the `memberships` table contract"
)]
pub struct Membership {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub user: Option<Mini>,
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    pub group: Option<Mini>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub role: Option<String>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub modified_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub extra: Extra,
}

/// The part of a mini user or mini group that a membership needs.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "Box's own field names")]
pub struct Mini {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub group_type: Option<String>,
}

/// A further address of a user; the primary login is not among them. <https://developer.box.com/reference/resources/email-alias/>
#[derive(Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "fields are Box's own; their meaning stands once, in the `email_aliases` table contract"
)]
pub struct EmailAlias {
    #[serde(deserialize_with = "lenient::id")]
    pub id: String,
    #[serde(rename = "type", default, deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub email: Option<String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_confirmed: Option<bool>,
    #[serde(flatten)]
    pub extra: Extra,
}
