//! The listings of users, groups and members: what a page adds, and when a listing starts again.

use super::*;

impl Crawl {
    pub(super) fn absorb_groups(
        &mut self,
        offset: u64,
        page: &Summary,
        received_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        for group in &page.listed {
            let walk = self.groups.walks.entry(&group.id);
            if !std::mem::replace(&mut walk.listed, true) && !group.is_all_users_group {
                self.groups.walkable.push(group.id.clone());
            }
        }
        self.groups.last_page_at = Some(received_at);
        match next_offset(offset, PAGE_LIMIT, page) {
            OffsetNext::Page(offset) => {
                self.queue.push_front(Request::Groups { offset });
                Ok(false)
            }
            // A total_count that is larger than the real count must not stop the run: the last readable page decides.
            OffsetNext::Capped if hides_more(offset, page, self.groups.walks.len()) => {
                Err(Refusal::TooManyGroups.into())
            }
            OffsetNext::End | OffsetNext::Capped => {
                self.groups.done = true;
                Ok(true)
            }
        }
    }

    pub(super) fn absorb_members(
        &mut self,
        group_id: &str,
        offset: u64,
        page: &Summary,
        received_at: DateTime<Utc>,
    ) -> bool {
        let walk = self.groups.walks.entry(group_id);
        walk.last_page_at = Some(received_at);
        for member in &page.listed {
            walk.seen.insert(&member.id);
        }
        let next = next_offset(offset, PAGE_LIMIT, page);
        if let OffsetNext::Page(offset) = next {
            self.queue.push_front(Request::GroupMemberships { group_id: group_id.to_owned(), offset });
            return false;
        }
        let is_capped = next == OffsetNext::Capped && hides_more(offset, page, walk.seen.len());
        let seen = self.close_members(group_id);
        if is_capped {
            self.groups.capped.push(seen);
        }
        true
    }

    /// Ends the walk of a group, and returns the members that it has seen.
    pub(super) fn close_members(&mut self, group_id: &str) -> IdSet {
        let walk = self.groups.walks.entry(group_id);
        if std::mem::replace(&mut walk.open, false) {
            self.membership_walks_open -= 1;
        }
        std::mem::take(&mut walk.seen)
    }

    pub(super) fn restart_users(&mut self) {
        self.queue.retain(|request| !matches!(request, Request::Users { .. }));
        self.users = UserListing { number: self.users.number + 1, ..UserListing::default() };
        self.queue.push_front(Request::Users { marker: None });
    }

    /// A replayed page of a later walk means that its listing was started again.
    pub(super) fn open_walk(&mut self, request: &Request, walk: u32) {
        match request {
            Request::Users { .. } if walk > self.users.number => {
                self.users = UserListing { number: walk, ..UserListing::default() };
                self.queue.retain(|request| !matches!(request, Request::Users { .. }));
            }
            Request::Groups { .. } if walk > self.groups.number => {
                self.groups.number = walk;
                self.queue.retain(|request| !matches!(request, Request::Groups { .. }));
            }
            Request::GroupMemberships { group_id, .. } => {
                let known = self.groups.walks.entry(group_id);
                if walk > known.number {
                    known.number = walk;
                    known.seen = IdSet::default();
                    self.queue.retain(
                        |r| !matches!(r, Request::GroupMemberships { group_id: id, .. } if id == group_id),
                    );
                }
            }
            Request::Events { slice, login_only: true, position: None } => {
                let first = Request::Events { slice: *slice, login_only: false, position: None };
                self.queue.retain(|request| *request != first);
            }
            _ => {}
        }
    }
}
