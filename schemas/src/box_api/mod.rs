//! The data that Box sends, as types that accept every legal deviation.
//!
//! [`read`] returns a record together with the fields that its type does not know, so no field that Box adds is lost. The shapes follow the
//! official spec (API version 2024.0) and the deviations in the vendor's own fixtures and client issues. Each lenient rule names its
//! source.

mod error;
mod event;
mod extra;
mod group;
pub mod json;
pub mod lenient;
mod members;
mod page;
mod record;
mod user;

pub use error::{ApiError, OAuthError};
pub use event::{Event, KNOWN_EXTRA, Party, Source};
pub use extra::Extra;
pub use group::{ALL_USERS_GROUP, EmailAlias, Group, Membership, Mini};
pub use members::Members;
pub use page::{NotAPage, Page, StreamPosition};
pub use record::{Read, Record, read};
pub use user::{Enterprise, NotificationEmail, TrackingCode, User};

/// The `fields` parameter for users. It contains every base, mini, standard and full name of the spec except `my_tags` and
/// [`CONTENT_AVAILABLE_FIELD`]. The values of `my_tags` belong to the requesting user. A `fields` parameter disables the standard set, so
/// the list is complete.
/// <https://developer.box.com/guides/api-calls/request-extra-fields/>
pub const USER_FIELDS: &str = "id,type,name,login,created_at,modified_at,language,timezone,space_amount,space_used,\
max_upload_size,status,job_title,phone,address,avatar_url,notification_email,role,tracking_codes,can_see_managed_users,\
is_sync_enabled,is_external_collab_restricted,is_exempt_from_device_limits,is_exempt_from_login_verification,enterprise,\
hostname,is_platform_access_only,external_app_user_id";

/// A field of users that Box added in August 2026 (box/box-openapi#613). It is not in [`USER_FIELDS`], because Box may respond with 400
/// where the field does not exist yet.
pub const CONTENT_AVAILABLE_FIELD: &str = "is_collaborated_content_available_when_owner_inactive";

/// The `fields` parameter for groups. It contains every field except `permissions`, which describes the caller and not the group.
pub const GROUP_FIELDS: &str = "id,type,name,group_type,created_at,modified_at,provenance,external_sync_identifier,\
description,invitability_level,member_viewability_level";
