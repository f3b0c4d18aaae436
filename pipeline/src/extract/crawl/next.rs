//! The next request of a crawl, and its number and query.

use super::*;

impl Crawl {
    /// The next request; `None` if none can be made before the next response, or if everything was read.
    pub fn next_request(&mut self) -> Option<Request> {
        if !self.identified {
            return if self.queue.front() == Some(&Request::Me) { self.queue.pop_front() } else { None };
        }
        if let Some(request) = self.queue.pop_front() {
            return Some(request);
        }
        let aliases_of = self.aliases_of.as_ref().unwrap_or(&self.users.ids);
        while let Some(user_id) = aliases_of.get(self.aliases_cursor) {
            self.aliases_cursor += 1;
            if self.aliases_asked.insert(user_id) {
                return Some(Request::EmailAliases { user_id: user_id.to_string() });
            }
        }
        // The users that capped groups hide are known only after the readable pages of these groups were read.
        if self.user_side_of.is_none() && self.membership_walks_open > 0 {
            return None;
        }
        let user_side_of = self.user_side_of.as_ref().unwrap_or(&self.users.ids);
        while let Some(user_id) = user_side_of.get(self.user_side_cursor) {
            self.user_side_cursor += 1;
            let hides = |seen: &IdSet| !seen.contains(user_id);
            let is_wanted = self.user_side_of.is_some() || self.groups.capped.iter().any(hides);
            if is_wanted && self.user_side_asked.insert(user_id) {
                return Some(Request::UserMemberships { user_id: user_id.to_string(), offset: 0 });
            }
        }
        None
    }

    /// The number of the walk that a page of this request belongs to.
    pub fn walk_number(&mut self, request: &Request) -> u32 {
        match request {
            Request::Users { .. } => self.users.number,
            Request::Groups { .. } => self.groups.number,
            Request::GroupMemberships { group_id, .. } => self.groups.walks.entry(group_id).number,
            _ => 0,
        }
    }

    /// The part of the admin log that a request is about.
    pub fn event_query(&self, request: &Request) -> Option<EventQuery> {
        let Request::Events { slice, login_only, .. } = request else { return None };
        let slices = &self.brief.slices;
        let last = slices.last().expect("a window has a slice");
        let (from, to, wanted) = match (slices.get(*slice as usize), &self.brief.activity) {
            (Some(slice), _) => (slice.0, slice.1, &self.brief.event_types),
            (None, Some(activity)) => (activity.from_at, last.1, &activity.event_types),
            (None, None) => return None,
        };
        let event_types = match login_only {
            true => vec![boxseat_schemas::event_types::LOGIN.to_owned()],
            false => wanted.clone(),
        };
        Some(EventQuery {
            created_after: from - EDGE,
            created_before: if to == last.1 { to } else { to + EDGE },
            event_types,
        })
    }
}
