//! The admin-log event types that `sync` requests: logins and the changes of users, groups and aliases, in one feed.
//!
//! boxseat requests only names in the enum of the spec's `event_type` filter. The longer enum of `Event.event_type` also has GROUP_ADMIN_*
//! and MASTER_INVITE_ACCEPT, but the documentation does not state whether Box filters by them. The list is sent as one comma-separated
//! filter. If Box refuses it with 400, the run requests [`LOGIN`] alone and leaves the others uncovered.

/// A sign-in: the evidence of use.
pub const LOGIN: &str = "LOGIN";

/// Changes of users, aliases and groups.
pub const CHANGES: &[&str] = &[
    "NEW_USER",
    "EDIT_USER",
    "DELETE_USER",
    "CHANGE_ADMIN_ROLE",
    "EMAIL_ALIAS_CONFIRM",
    "EMAIL_ALIAS_PRIMARY",
    "EMAIL_ALIAS_REMOVE",
    "GROUP_CREATION",
    "GROUP_EDITED",
    "GROUP_DELETION",
    "GROUP_ADD_USER",
    "GROUP_REMOVE_USER",
];

/// Every type of the feed, [`LOGIN`] first.
pub fn all() -> Vec<String> {
    std::iter::once(LOGIN).chain(CHANGES.iter().copied()).map(str::to_owned).collect()
}
