//! The base run, as far as planning and carrying forward need it: when its data was last read.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, Utc};

use super::login_hash;
use crate::guard::Sizes;
use crate::ids::{IdMap, IdSet};
use crate::paginate::REACH;

/// The known data of the base run. It is filled batch by batch from its snapshot tables in the lake.
#[derive(Debug, Default)]
pub struct BaseRun {
    pub(crate) users: IdMap<BaseUser>,
    pub(crate) groups: IdMap<BaseGroup>,
    /// For each group beyond the offset cap, the users of its readable pages.
    pub(crate) capped: IdMap<IdSet>,
    sizes: Sizes,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct BaseUser {
    /// Listed in the base run; otherwise it was carried into that run.
    pub(crate) is_listed: bool,
    pub(crate) login_hash: u64,
    pub(crate) modified_at: Option<DateTime<Utc>>,
    pub(crate) aliases_read_at: Option<DateTime<Utc>>,
    pub(crate) memberships_read_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct BaseGroup {
    pub(crate) memberships_read_at: Option<DateTime<Utc>>,
    /// Memberships known from the group's side.
    pub(crate) group_side: u64,
    /// Memberships known from the users' side: those that the group's side hides.
    pub(crate) user_side: u64,
}

impl BaseGroup {
    /// Whether offset paging cannot reach all of its members.
    pub(crate) fn is_capped(self) -> bool {
        // A walk from the user's side shows the small groups, too.
        self.group_side + self.user_side >= REACH
    }
}

/// Columns of `users` that [`BaseRun::take_users`] reads.
pub const USER_COLUMNS: &[&str] =
    &["user_id", "listing", "login", "modified_at", "aliases_read_at", "memberships_read_at"];
/// Columns of `groups` that [`BaseRun::take_groups`] reads.
pub const GROUP_COLUMNS: &[&str] = &["group_id", "memberships_read_at"];
/// Columns of `memberships` that [`BaseRun::take_memberships`] and [`BaseRun::take_capped`] read.
pub const MEMBERSHIP_COLUMNS: &[&str] = &["user_id", "group_id", "read_from"];

impl BaseRun {
    /// Accepts rows of `users`, with [`USER_COLUMNS`].
    pub fn take_users(&mut self, batch: &RecordBatch) {
        let (ids, listings, logins) = (text(batch, "user_id"), text(batch, "listing"), text(batch, "login"));
        let (modified, aliases) = (times(batch, "modified_at"), times(batch, "aliases_read_at"));
        let memberships = times(batch, "memberships_read_at");
        for row in 0..batch.num_rows() {
            let is_listed = listings.value(row) == LISTED;
            self.sizes.users += u64::from(is_listed);
            let user = BaseUser {
                is_listed,
                login_hash: login_hash((!logins.is_null(row)).then(|| logins.value(row))),
                modified_at: time(modified, row),
                aliases_read_at: time(aliases, row),
                memberships_read_at: time(memberships, row),
            };
            self.users.insert(ids.value(row), user);
        }
    }

    /// Accepts rows of `groups`, with [`GROUP_COLUMNS`].
    pub fn take_groups(&mut self, batch: &RecordBatch) {
        let (ids, read) = (text(batch, "group_id"), times(batch, "memberships_read_at"));
        for row in 0..batch.num_rows() {
            self.sizes.groups += 1;
            self.groups.entry(ids.value(row)).memberships_read_at = time(read, row);
        }
    }

    /// Counts rows of `memberships`, with [`MEMBERSHIP_COLUMNS`].
    pub fn take_memberships(&mut self, batch: &RecordBatch) {
        let (groups, sides) = (text(batch, "group_id"), text(batch, "read_from"));
        for row in 0..batch.num_rows() {
            self.sizes.memberships += 1;
            let group = self.groups.entry(groups.value(row));
            match sides.value(row) {
                FROM_GROUP => group.group_side += 1,
                _ => group.user_side += 1,
            }
        }
    }

    /// Whether a second pass over `memberships` with [`BaseRun::take_capped`] is useful.
    pub fn has_capped_groups(&self) -> bool {
        self.groups.values().any(|group| group.is_capped())
    }

    /// Records the users of the readable pages of capped groups. It must follow all calls of [`BaseRun::take_memberships`].
    pub fn take_capped(&mut self, batch: &RecordBatch) {
        let (users, groups, sides) =
            (text(batch, "user_id"), text(batch, "group_id"), text(batch, "read_from"));
        for row in 0..batch.num_rows() {
            let group_id = groups.value(row);
            if sides.value(row) == FROM_GROUP && self.groups.get(group_id).is_some_and(|g| g.is_capped()) {
                self.capped.entry(group_id).insert(users.value(row));
            }
        }
    }

    /// The size of the snapshot: listed users, and all rows of the other tables.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }
}

/// `users.listing` of a user that Box listed.
pub(crate) const LISTED: &str = "listed";
/// `memberships.read_from` of a row from the group's side.
pub(crate) const FROM_GROUP: &str = "group";

/// `memberships.read_from` of a row from the user's side.
pub(crate) const FROM_USER: &str = "user";

/// A text column of a table contract.
pub(crate) fn text<'a>(batch: &'a RecordBatch, name: &str) -> &'a StringArray {
    column(batch, name).as_string()
}

fn times<'a>(batch: &'a RecordBatch, name: &str) -> &'a TimestampMicrosecondArray {
    column(batch, name).as_primitive::<TimestampMicrosecondType>()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).expect("a scan returns the requested columns, in the contract's types")
}

fn time(array: &TimestampMicrosecondArray, row: usize) -> Option<DateTime<Utc>> {
    (!array.is_null(row)).then(|| DateTime::from_timestamp_micros(array.value(row))).flatten()
}
