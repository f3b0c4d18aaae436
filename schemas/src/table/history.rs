//! The history of users: versions of their records, and the single changes that led to a new version.

use super::snapshot::USERS_COLUMNS;
use super::{Column, Kind, Layout, Table, column};

/// Versions of users (SCD2).
///
/// A row of the lake is written once, by the run that saw the version, and never changed. Columns that depend on later rows (`version_no`,
/// `valid_to`, `is_current`) are derived when the file is built.
pub static USERS_HISTORY: Table = Table {
    name: "users_history",
    layout: Layout::Chain,
    key: &["user_id", "version_no"],
    comment: "One row per version of a user (SCD2): one for the first snapshot that lists the user, one for each snapshot in which a tracked column differs from the base, and one (is_deleted) when the user is gone. To select the versions at a time: valid_from <= time and (valid_to IS NULL or time < valid_to).",
    columns: &COLUMNS,
};

/// Joiners, movers and leavers.
pub static USER_CHANGES: Table = Table {
    name: "user_changes",
    layout: Layout::Chain,
    key: &["change_id"],
    comment: "One row per difference between a snapshot and its base. The store's first snapshot has no joiners. Groups and aliases of a user that are read for the first time are not reported as changes.",
    columns: &[
        column("change_id", Kind::Text, "Run number and a sequence number within the run.").required(),
        column("observed_at", Kind::Timestamp, "When the change was seen: the start of the run.").required(),
        column("event_at", Kind::Timestamp, "When the change happened according to the admin log; NULL when no event announced it."),
        column("event_id", Kind::Text, "The newest event that announced the change; NULL when none did."),
        column("run_number", Kind::BigInt, "The run that saw the change. Its base_run_number is the run it was compared with.").required(),
        column("user_id", Kind::Text, "The user that changed.").required(),
        column("change", Kind::Text, "joined, left, returned, suspended, reactivated, role_changed, attribute_changed, group_added, group_removed, role_in_group_changed, alias_added or alias_removed.").required(),
        column("attribute", Kind::Text, "The column of users that changed; NULL when the change is not about a column."),
        column("object_id", Kind::Text, "The group_id or alias_id when the change is about a group or an alias."),
        column("old_value", Kind::Text, "Value before the change: of the column, the role in the group, the address of the alias, or the last status of a leaver.").personal(),
        column("new_value", Kind::Text, "Value after the change, of the same kind. For a joiner: the status. For a leaver: why the account is gone (deleted, left_enterprise; NULL when unknown).").personal(),
    ],
};

/// The columns of [`super::USERS`] whose change creates a new version, in their order.
pub const fn tracked() -> &'static [Column] {
    &TRACKED
}

const HEAD: [Column; 8] = [
    column("user_id", Kind::Text, "Box user id.").required(),
    column("version_no", Kind::Integer, "1, 2, 3, … per user.").required().derived(),
    column("valid_from", Kind::Timestamp, "When the version was first seen: the start of the run, not the time of the change. Never before valid_from of the previous version.").required(),
    column("valid_to", Kind::Timestamp, "valid_from of the next version, exclusive; NULL = current.").derived(),
    column("is_current", Kind::Bool, "Whether there is no later version.").required().derived(),
    column("is_deleted", Kind::Bool, "Whether Box no longer lists the user. Then status is NULL and the other tracked columns have the last known values.").required(),
    column("deprovision_reason", Kind::Text, "Why the user is gone: deleted or left_enterprise; NULL when the reason is unknown, and when the user is not gone."),
    column("run_number", Kind::BigInt, "The run that saw the version.").required(),
];

/// Columns that change by themselves, that describe how the row was read, or whose history has no use.
/// `is_collaborated_content_available_when_owner_inactive` is one of them: when Box introduces the field, the value of every user changes
/// from NULL.
const UNTRACKED: [&str; 8] = [
    "avatar_url",
    "is_collaborated_content_available_when_owner_inactive",
    "space_used_bytes",
    "modified_at",
    "extra",
    "read_at",
    "aliases_read_at",
    "memberships_read_at",
];

/// Without `user_id`: the key is never tracked.
const TRACKED: [Column; USERS_COLUMNS.len() - UNTRACKED.len() - 1] = {
    let mut kept = [USERS_COLUMNS[0]; USERS_COLUMNS.len() - UNTRACKED.len() - 1];
    let (mut from, mut to) = (1, 0);
    while from < USERS_COLUMNS.len() {
        if !is_untracked(USERS_COLUMNS[from].name) {
            kept[to] = USERS_COLUMNS[from];
            to += 1;
        }
        from += 1;
    }
    assert!(to == kept.len(), "every untracked name is a column of users");
    kept
};

const COLUMNS: [Column; HEAD.len() + TRACKED.len()] = {
    let mut all = [HEAD[0]; HEAD.len() + TRACKED.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = if index < HEAD.len() { HEAD[index] } else { TRACKED[index - HEAD.len()] };
        index += 1;
    }
    all
};

const fn is_untracked(name: &str) -> bool {
    let mut index = 0;
    while index < UNTRACKED.len() {
        if same(name.as_bytes(), UNTRACKED[index].as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

/// `==` on text is not available in constants yet.
const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::USERS;
    use super::*;

    #[test]
    fn every_column_of_users_is_tracked_or_listed_as_untracked() {
        let names: Vec<&str> = tracked().iter().map(|column| column.name).collect();
        let expected: Vec<&str> = USERS
            .columns
            .iter()
            .map(|column| column.name)
            .filter(|name| *name != "user_id" && !UNTRACKED.contains(name))
            .collect();
        assert_eq!(names, expected);
        assert!(names.contains(&"listing") && names.contains(&"enterprise_id"), "{names:?}");
    }

    #[test]
    fn lake_has_no_column_that_depends_on_later_rows() {
        let schema = USERS_HISTORY.lake_schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(
            names[..6],
            ["user_id", "valid_from", "is_deleted", "deprovision_reason", "run_number", "listing"]
        );
        assert!(names.contains(&"user_enterprise_id"));
        assert_eq!(names.last(), Some(&"enterprise_id"));
        for derived in ["version_no", "valid_to", "is_current"] {
            assert!(!names.contains(&derived), "{derived}");
        }
    }
}
