//! The history of users: versions of their records, and the single changes that led to a new version.

use super::night::USERS_COLUMNS;
use super::{Column, Kind, Layout, Table, column};

/// Versions of users (SCD2).
///
/// A row of the lake is written once, by the run that saw the version, and never changed. Columns that depend on later rows (`version_no`,
/// `valid_to`, `is_current`) are derived when the file is built.
pub static USERS_HISTORY: Table = Table {
    name: "users_history",
    layout: Layout::Chain,
    key: &["user_id", "version_no"],
    comment: "One row per version of a user (SCD2): the first night it was listed, each night a tracked column differed from the night before, and a last row (is_deleted) once it is gone. As of a moment: valid_from <= moment and (valid_to IS NULL or moment < valid_to).",
    columns: &COLUMNS,
};

/// Joiners, movers and leavers.
pub static USER_CHANGES: Table = Table {
    name: "user_changes",
    layout: Layout::Chain,
    key: &["change_id"],
    comment: "One row per difference between a night and the one it was compared with. The store's first night has no joiners; what is read of somebody for the first time is newly known, not new.",
    columns: &[
        column("change_id", Kind::Text, "Run number and a number within the run.").required(),
        column("observed_at", Kind::Timestamp, "When it was seen: when the run started.").required(),
        column("event_at", Kind::Timestamp, "When it happened, as the admin log tells; NULL when no event announced it."),
        column("event_id", Kind::Text, "The newest event that announced it; NULL when none did."),
        column("run_number", Kind::BigInt, "The run that saw it; its base_run_number is the night it was compared with.").required(),
        column("user_id", Kind::Text, "The user it is about.").required(),
        column("change", Kind::Text, "joined, left, returned, suspended, reactivated, role_changed, attribute_changed, group_added, group_removed, role_in_group_changed, alias_added or alias_removed.").required(),
        column("attribute", Kind::Text, "The column of users that changed; NULL where the change is of none."),
        column("object_id", Kind::Text, "The group_id or alias_id of a change of groups or aliases."),
        column("old_value", Kind::Text, "Before: the column's value, the role in the group, the alias's address, a leaver's last status.").personal(),
        column("new_value", Kind::Text, "After, likewise; of a joiner the status, of a leaver why the account is gone (deleted, left_enterprise; NULL when not known).").personal(),
    ],
};

/// The columns of [`super::USERS`] whose change creates a new version, in their order.
pub const fn tracked() -> &'static [Column] {
    &TRACKED
}

const HEAD: [Column; 8] = [
    column("user_id", Kind::Text, "Box user id.").required(),
    column("version_no", Kind::Integer, "1, 2, 3, … per user.").required().derived(),
    column("valid_from", Kind::Timestamp, "When it was first seen (observed, not when it happened): when the run started; never before the version it follows.").required(),
    column("valid_to", Kind::Timestamp, "valid_from of the version that followed, exclusive; NULL = current.").derived(),
    column("is_current", Kind::Bool, "Whether no version followed.").required().derived(),
    column("is_deleted", Kind::Bool, "Whether Box no longer lists the user: status is NULL then, the other tracked columns are as last known.").required(),
    column("deprovision_reason", Kind::Text, "Why it is gone: deleted or left_enterprise; NULL when not known, and for who is not gone."),
    column("run_number", Kind::BigInt, "The run that saw it.").required(),
];

/// Columns that change by themselves, that describe how the row was read, or whose history has no use. The availability of content is one
/// of them: on the day that a Box introduces the field, every user would change from NULL.
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

/// The key is not an attribute.
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
    fn every_column_of_users_is_tracked_or_named_as_not() {
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
    fn the_lake_holds_nothing_that_a_later_row_would_change() {
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
