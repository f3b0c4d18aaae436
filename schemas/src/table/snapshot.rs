//! The listings of Box. Every snapshot has a full copy of these tables.

use super::{Column, Kind, Layout, Table, column};

/// Users as Box lists them.
pub static USERS: Table = Table {
    name: "users",
    layout: Layout::Snapshot,
    key: &["user_id"],
    comment: "One row per managed user in the latest snapshot, as Box lists it. Suspended users are included, because they still take a seat.",
    columns: USERS_COLUMNS,
};

/// Separate from [`USERS`], because the history of users tracks most of the columns.
pub(super) const USERS_COLUMNS: &[Column] = &[
    column("user_id", Kind::Text, "Box user id.").required(),
    column("listing", Kind::Text, "Origin of the row in this snapshot: listed, carried (from the base run; the user still exists at Box), or missing_unconfirmed.").required(),
    column("login", Kind::Text, "Primary email address. It can change, and an alias can become the primary address."),
    column("name", Kind::Text, "Display name, free text; can contain any character."),
    column("status", Kind::Text, "Box's status: active, inactive (suspended), cannot_delete_edit, cannot_delete_edit_upload; other values are kept as sent."),
    column("role", Kind::Text, "admin (the primary admin), coadmin or user."),
    column("language", Kind::Text, "Language code."),
    column("timezone", Kind::Text, "Time zone name."),
    column("job_title", Kind::Text, "Job title, free text.").personal(),
    column("phone", Kind::Text, "Phone number as text.").personal(),
    column("address", Kind::Text, "Postal address.").personal(),
    column("avatar_url", Kind::Text, "Address of the avatar picture.").personal(),
    column("space_amount_bytes", Kind::BigInt, "Storage quota in bytes; NULL when unlimited or not sent."),
    column("has_unlimited_space", Kind::Bool, "Whether the quota is unlimited (Box writes -1 or 1e15 and more)."),
    column("space_used_bytes", Kind::BigInt, "Storage used in bytes."),
    column("max_upload_size_bytes", Kind::BigInt, "Largest single file in bytes."),
    column("notification_email", Kind::Text, "Address for notifications when it is not the login.").personal(),
    column("notification_email_confirmed", Kind::Bool, "Whether that address is confirmed; NULL without one.").personal(),
    column("tracking_codes", Kind::NameValues, "Tracking codes an administrator set, in Box's order.").personal(),
    column("can_see_managed_users", Kind::Bool, "Whether the user sees other enterprise users in the contact list."),
    column("is_sync_enabled", Kind::Bool, "Whether Box Sync is allowed."),
    column("is_external_collab_restricted", Kind::Bool, "Whether collaboration outside the enterprise is forbidden."),
    column("is_exempt_from_device_limits", Kind::Bool, "Whether device limits are waived."),
    column("is_exempt_from_login_verification", Kind::Bool, "Whether two-factor sign-in is waived."),
    column("is_collaborated_content_available_when_owner_inactive", Kind::Bool, "Whether collaborators keep access to the user's folders while the user is inactive; NULL when Box does not know the field."),
    column("is_platform_access_only", Kind::Bool, "True for app users, which use no managed seat."),
    column("external_app_user_id", Kind::Text, "The app's own id for an app user.").personal(),
    column("hostname", Kind::Text, "Host name of the enterprise's Box address.").personal(),
    column("enterprise_id", Kind::Text, "The user's enterprise according to Box.").in_lake("user_enterprise_id"),
    column("enterprise_name", Kind::Text, "Name of that enterprise."),
    column("created_at", Kind::Timestamp, "When Box created the account."),
    column("modified_at", Kind::Timestamp, "When Box last modified the account."),
    column("extra", Kind::Text, "JSON object of the fields that Box sent and that have no column; NULL when there were none.").personal(),
    column("read_at", Kind::Timestamp, "When the row was last read from Box (not carried forward).").required(),
    column("aliases_read_at", Kind::Timestamp, "When the user's aliases were last read from Box (not carried forward); NULL = never."),
    column("memberships_read_at", Kind::Timestamp, "The newer of: the last read from the user side, and the oldest memberships_read_at of the groups that are read; NULL = never."),
];

/// Groups as Box lists them.
pub static GROUPS: Table = Table {
    name: "groups",
    layout: Layout::Snapshot,
    key: &["group_id"],
    comment: "One row per group in the latest snapshot.",
    columns: &[
        column("group_id", Kind::Text, "Box group id.").required(),
        column("name", Kind::Text, "Group name."),
        column("group_type", Kind::Text, "managed_group, or all_users_group, whose members are never read."),
        column("description", Kind::Text, "Description."),
        column(
            "provenance",
            Kind::Text,
            "Origin of the group, such as Active Directory. Box forbids manual changes of such groups.",
        ),
        column(
            "external_sync_identifier",
            Kind::Text,
            "Key of the group in the directory or identity provider.",
        ),
        column(
            "invitability_level",
            Kind::Text,
            "Who may invite the group: admins_only, admins_and_members, all_managed_users.",
        ),
        column(
            "member_viewability_level",
            Kind::Text,
            "Who may see its members: the same values as invitability_level.",
        ),
        column("created_at", Kind::Timestamp, "When the group was created."),
        column("modified_at", Kind::Timestamp, "When the group was last modified."),
        column(
            "extra",
            Kind::Text,
            "JSON object of the fields that Box sent and that have no column; NULL when there were none.",
        ),
        column("read_at", Kind::Timestamp, "When the row was last read from Box (not carried forward).")
            .required(),
        column(
            "memberships_read_at",
            Kind::Timestamp,
            "When the group's members were last read from the group side (not carried forward); NULL = never.",
        ),
    ],
};

/// The members of each group.
pub static MEMBERSHIPS: Table = Table {
    name: "memberships",
    layout: Layout::Snapshot,
    key: &["membership_id"],
    comment: "One row per group membership in the latest snapshot. The group of all users (all_users_group) is excluded.",
    columns: &[
        column(
            "membership_id",
            Kind::Text,
            "Box membership id; the same from the group side and the user side.",
        )
        .required(),
        column("user_id", Kind::Text, "The member, a user.").required(),
        column("group_id", Kind::Text, "The group that the user is in.").required(),
        column("role", Kind::Text, "member or admin (of the group)."),
        column(
            "created_at",
            Kind::Timestamp,
            "When the membership was created; often NULL, because Box's lists do not always have it.",
        ),
        column(
            "modified_at",
            Kind::Timestamp,
            "When the membership was last modified; often NULL, because Box's lists do not always have it.",
        ),
        column("read_from", Kind::Text, "The list that the row comes from: group or user.").required(),
        column("read_at", Kind::Timestamp, "When the row was last read from Box (not carried forward).")
            .required(),
    ],
};

/// Further email addresses of users.
pub static EMAIL_ALIASES: Table = Table {
    name: "email_aliases",
    layout: Layout::Snapshot,
    key: &["alias_id"],
    comment: "One row per email alias in the latest snapshot. The primary login is not an alias. Join by user_id, never by address.",
    columns: &[
        column("alias_id", Kind::Text, "Box alias id.").required(),
        column("user_id", Kind::Text, "The user that the alias belongs to.").required(),
        column("email", Kind::Text, "The address."),
        column(
            "is_confirmed",
            Kind::Bool,
            "Whether the alias is confirmed. Box may not list unconfirmed aliases.",
        ),
        column("read_at", Kind::Timestamp, "When the row was last read from Box (not carried forward).")
            .required(),
    ],
};
