//! When data was last read: in this run, or in an earlier run whose rows are carried.

use boxseat_schemas::box_api::{ALL_USERS_GROUP, Group, read};
use boxseat_schemas::spool::Request;
use chrono::{DateTime, Utc};

use super::Index;
use super::carry::Base;
use crate::Error;
use crate::client::PAGE_LIMIT;
use crate::ids::IdSet;
use crate::paginate::{OffsetNext, Summary, hides_more, next_offset};
use crate::plan::Pages;
use crate::spool::SpoolReader;

/// Reading times of users and groups.
#[derive(Clone, Copy)]
pub(super) struct Readings<'a> {
    index: &'a Index,
    pub(super) base: Option<&'a dyn Base>,
    /// When the members of a group were read, of the group that was read longest ago. Groups that were never read do not count.
    oldest_members_read_at: Option<DateTime<Utc>>,
}

impl<'a> Readings<'a> {
    pub(super) fn of(index: &'a Index, base: Option<&'a dyn Base>) -> Self {
        Self { index, base, oldest_members_read_at: None }
    }

    /// Searches the group listing for the group whose members were read longest ago; the rows of users need that time. If there is no group
    /// to read, the listing itself shows that there is no membership.
    pub(super) fn with_oldest_walk(mut self, spool: &SpoolReader) -> Result<Self, Error> {
        let index = self.index;
        let (mut oldest, mut any): (Option<DateTime<Utc>>, bool) = (None, false);
        Pages { frames: spool.frames()? }.each(index.groups(), |_, page| {
            for group in
                page.entries.iter().filter_map(|raw| read::<Group>(raw.get()).ok()).map(|read| read.record)
            {
                if group.group_type.as_deref() == Some(ALL_USERS_GROUP) {
                    continue;
                }
                any = true;
                let read_at = self.members_read_at(&group.id);
                oldest = match (oldest, read_at) {
                    (Some(oldest), Some(read_at)) => Some(oldest.min(read_at)),
                    (oldest, read_at) => oldest.or(read_at),
                };
            }
        })?;
        self.oldest_members_read_at = if any { oldest } else { index.groups_read_at() };
        Ok(self)
    }

    pub(super) fn aliases_read_at(&self, user_id: &str) -> Option<DateTime<Utc>> {
        let then = || self.base?.night().users.get(user_id)?.aliases_read_at;
        self.index.aliases_read_at(user_id).or_else(then)
    }

    pub(super) fn members_read_at(&self, group_id: &str) -> Option<DateTime<Utc>> {
        let then = || self.base?.night().groups.get(group_id)?.memberships_read_at;
        self.index.members_read_at(group_id).or_else(then)
    }

    /// The newer of the user-side walk and the oldest group-side walk. A group that was read before the user was listed proves nothing
    /// about the user. So for a user without an earlier reading time, every group must have been read in this run, which began at
    /// `started_at`.
    pub(super) fn memberships_read_at(
        &self,
        user_id: &str,
        started_at: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let then = self.base.and_then(|base| base.night().users.get(user_id)?.memberships_read_at);
        let by_groups = self.oldest_members_read_at.filter(|at| then.is_some() || *at >= started_at);
        self.index.user_side_read_at(user_id).max(by_groups).max(then)
    }
}

/// The users and groups whose memberships this run read completely.
pub(super) struct Members<'a> {
    index: &'a Index,
    /// Groups of which Box showed every member.
    whole: IdSet,
}

impl<'a> Members<'a> {
    pub(super) fn of(spool: &SpoolReader, index: &'a Index) -> Result<Self, Error> {
        let mut whole = IdSet::default();
        let mut pages = Pages { frames: spool.frames()? };
        for (group_id, offsets) in index.group_walks() {
            let mut hides = false;
            let mut seen = IdSet::default();
            // Only a walk of many pages can have reached the cap.
            for offset in offsets.iter().filter(|_| offsets.len() > 1) {
                pages.each_body(std::slice::from_ref(offset), |request, body| {
                    let Request::GroupMemberships { offset, .. } = request else { return Ok(()) };
                    let page = Summary::of(request, body)?;
                    page.listed.iter().for_each(|member| _ = seen.insert(&member.id));
                    hides = next_offset(*offset, PAGE_LIMIT, &page) == OffsetNext::Capped
                        && hides_more(*offset, &page, seen.len());
                    Ok(())
                })?;
            }
            if !hides {
                whole.insert(&group_id);
            }
        }
        Ok(Self { index, whole })
    }

    /// Whether the group was read and does not show all its members.
    pub(super) fn is_partial(&self, group_id: &str) -> bool {
        !self.whole.contains(group_id) && self.index.members_read_at(group_id).is_some()
    }

    /// Whether the group was read and no member is beyond the offset cap.
    pub(super) fn group_shows_all(&self, group_id: &str) -> bool {
        self.whole.contains(group_id)
    }

    /// Whether the user's memberships were read.
    pub(super) fn user_shows_all(&self, user_id: &str) -> bool {
        self.index.user_side_read_at(user_id).is_some()
    }
}
