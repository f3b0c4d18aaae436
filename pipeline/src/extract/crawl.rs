//! Which pages were read, and what to request next.

use std::collections::{HashMap, HashSet, VecDeque};

use boxseat_schemas::box_api::NotAPage;
use boxseat_schemas::plan::{RunPlan, Which};
use boxseat_schemas::run::ActivityWindow;
use boxseat_schemas::spool::{Frame, Request};
use chrono::{DateTime, TimeDelta, Utc};

use super::me::{Caller, Me};
use crate::Error;
use crate::client::{EventQuery, PAGE_LIMIT};
use crate::guard::Refusal;
use crate::ids::{IdMap, IdSet};
use crate::paginate::{MarkerWalk, Next, OffsetNext, StreamWalk, Summary, hides_more, next_offset};

mod listings;
mod next;

/// The input of a run before its first request.
#[derive(Debug, Clone)]
pub struct Brief {
    /// The event window's slices, oldest first: `from` inclusive, `to` exclusive.
    pub slices: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// Requested event types.
    pub event_types: Vec<String>,
    /// Which other evidence of use to read, and from when. It has its own walk after the slices.
    pub activity: Option<ActivityWindow>,
    /// The enterprise of the store; `None` before its first sync.
    pub bound_enterprise: Option<String>,
}

/// The state of all walks of a run.
///
/// First the survey: the caller, users, groups and events, completely. Then, after [`Crawl::follow`] has received the plan, everything
/// else.
pub struct Crawl {
    brief: Brief,
    is_ended: bool,
    /// The plan, once there is one.
    plan: Option<RunPlan>,
    queue: VecDeque<Request>,
    caller: Option<Caller>,
    /// Credentials of the reading process, or of the process that read the replayed frames.
    session: Option<String>,
    /// Credentials that [`Crawl::caller`] belongs to.
    caller_session: Option<String>,
    /// Whether the owner of the current credentials is known. Until then, only the owner is requested.
    identified: bool,
    /// Requests that were sent twice, because their page announced records and had none.
    asked_twice: HashSet<Request>,
    /// Per endpoint, for requests about a single user or group.
    records: HashMap<&'static str, Records>,
    users: UserListing,
    /// Users whose aliases are read; `None`: all users.
    aliases_of: Option<Vec<Box<str>>>,
    aliases_asked: IdSet,
    aliases_cursor: usize,
    groups: GroupListing,
    slices: Vec<StreamWalk>,
    slices_open: usize,
    membership_walks_open: usize,
    /// Whether the plan requests the members of every group.
    asked_all_groups: bool,
    /// Users whose memberships are read per user; `None`: all users that capped groups do not show.
    user_side_of: Option<Vec<Box<str>>>,
    user_side_asked: IdSet,
    user_side_cursor: usize,
}

/// Results of the requests for single records at one endpoint.
#[derive(Default)]
struct Records {
    answered: u64,
    /// Refused with 403.
    refused: u64,
    /// Not readable.
    failed: u64,
    /// The reason of the last failure.
    last_failure: String,
}

impl Records {
    fn failure(&self, endpoint: &'static str) -> Error {
        let Records { answered, refused, failed, last_failure } = self;
        let (requested, last) = (answered + refused + failed, last_failure.clone());
        Error::Unread { endpoint, failed: *failed, requested, last }
    }
}

#[derive(Default)]
struct UserListing {
    ids: Vec<Box<str>>,
    known: IdSet,
    walk: MarkerWalk,
    number: u32,
    done: bool,
    last_page_at: Option<DateTime<Utc>>,
}

#[derive(Default)]
struct GroupListing {
    walks: IdMap<GroupWalk>,
    /// Groups whose members can be read, in listing order.
    walkable: Vec<Box<str>>,
    number: u32,
    done: bool,
    last_page_at: Option<DateTime<Utc>>,
    /// For each group beyond the offset cap, the users of its readable pages.
    capped: Vec<IdSet>,
}

/// The walk of one group's members.
#[derive(Default)]
struct GroupWalk {
    number: u32,
    /// Whether pages of this walk are left.
    open: bool,
    listed: bool,
    /// Whether a plan requested its members.
    wanted: bool,
    last_page_at: Option<DateTime<Utc>>,
    /// Members seen so far, kept while the group may still exceed the offset cap.
    seen: IdSet,
}

/// Maximum age of the last page of a listing that is continued. Markers are not meant to be stored for long
/// (<https://developer.box.com/guides/api-calls/pagination/marker-based/>), and offsets drift.
const MAX_LISTING_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// Endpoints at which a refusal of one record is distinguished from a missing scope.
const ALIASES: &str = "GET /users/{id}/email_aliases";
const MEMBERS: &str = "GET /groups/{id}/memberships";
/// This number of refusals without a success means that a scope is missing.
const ALL_CLOSED: u64 = 5;
/// This number of records may fail, however many others succeed.
const A_FEW_FAIL: u64 = 5;
/// Beyond that, at most one in this number may fail: each failure costs half a minute, and a Box that fails more often cannot be read
/// reliably.
const FAILING_SHARE: u64 = 5;
/// How often a listing may start again because Box refused its marker.
const MAX_RESTARTS: u32 = 3;
/// Slices are requested with a second more on both sides, because Box does not document whether its bounds are inclusive.
pub(crate) const EDGE: TimeDelta = TimeDelta::seconds(1);

impl Crawl {
    /// Nothing is read yet. The first request is for the caller.
    pub fn new(brief: Brief) -> Self {
        let walks = brief.slices.len() + usize::from(brief.activity.is_some());
        let slices: Vec<_> = (0..walks).map(|_| StreamWalk::default()).collect();
        Self {
            queue: VecDeque::from([Request::Me]),
            caller: None,
            session: None,
            caller_session: None,
            identified: false,
            asked_twice: HashSet::new(),
            records: HashMap::new(),
            users: UserListing::default(),
            is_ended: false,
            plan: None,
            aliases_of: Some(Vec::new()),
            aliases_asked: IdSet::default(),
            aliases_cursor: 0,
            groups: GroupListing::default(),
            slices_open: slices.len(),
            slices,
            membership_walks_open: 0,
            asked_all_groups: false,
            user_side_of: Some(Vec::new()),
            user_side_asked: IdSet::default(),
            user_side_cursor: 0,
            brief,
        }
    }

    /// Accepts a frame of the spool, written by this process or by one that was killed.
    ///
    /// # Errors
    /// The errors of [`Crawl::absorb`]; [`Error::Page`] if a stored page cannot be read.
    pub fn replay(&mut self, frame: &Frame, body: &[u8]) -> Result<(), Error> {
        let (request, received_at, status, walk) = match frame {
            Frame::Session { credentials } => {
                self.session = Some(credentials.clone());
                return Ok(());
            }
            Frame::Plan { .. } => {
                let plan: RunPlan = serde_json::from_slice(body)
                    .map_err(|e| Error::Page { walk: "the plan".to_owned(), source: NotAPage::from(e) })?;
                self.follow(plan);
                return Ok(());
            }
            Frame::Call { .. } => return Ok(()),
            // A record that was refused or failed in an earlier process is requested again: the scope may have been granted since.
            Frame::Page { status: 403, .. } | Frame::Unread { .. } if !self.is_ended => return Ok(()),
            Frame::Unread { request, reason } => {
                self.begin_replay(request, 0);
                return self.give_up(request, reason.clone());
            }
            Frame::Page { request, received_at, status, walk, .. } => (request, received_at, status, walk),
        };
        let summary = match status {
            200 => Summary::of(request, body)
                .map_err(|source| Error::Page { walk: request.endpoint().to_owned(), source })?,
            _ => Summary::default(),
        };
        self.begin_replay(request, *walk);
        // Counts the response: whether a refusal may be skipped depends on the earlier responses.
        self.may_be_closed(request, *status);
        match self.absorb(request, &summary, body, *received_at) {
            // The next frame records that this one record was skipped.
            Err(Error::IncompleteWalk { .. }) if request.is_about_one() => Ok(()),
            absorbed => absorbed.map(drop),
        }
    }

    /// The request of a stored frame was made, so it is removed from the queue.
    fn begin_replay(&mut self, request: &Request, walk: u32) {
        self.open_walk(request, walk);
        if let Some(place) = self.queue.iter().position(|asked| asked == request) {
            self.queue.remove(place);
        }
        match request {
            Request::EmailAliases { user_id } => _ = self.aliases_asked.insert(user_id),
            Request::UserMemberships { user_id, .. } => _ = self.user_side_asked.insert(user_id),
            _ => {}
        }
    }

    /// Continues with the plan, after the survey is complete. A later plan replaces an earlier one; requests that were made are not
    /// repeated.
    pub fn follow(&mut self, plan: RunPlan) {
        let reads = &plan.reads;
        for user_id in reads.canaries.iter().chain(&reads.confirm) {
            let request = Request::User { user_id: user_id.clone() };
            if !self.queue.contains(&request) {
                self.queue.push_back(request);
            }
        }
        let groups: Vec<Box<str>> = match &reads.groups {
            Which::All => self.groups.walkable.clone(),
            Which::Only(ids) => ids.iter().map(|id| id.as_str().into()).collect(),
        };
        let listed = groups.into_iter().map(|id| (id, false));
        let missing = reads.confirm_groups.iter().map(|id| (id.as_str().into(), true));
        for (group_id, is_missing) in listed.chain(missing) {
            let walk = self.groups.walks.entry(&group_id);
            // Skips a group that an earlier plan has requested. A group that is not listed is requested only to confirm that it is gone.
            if (walk.listed || is_missing) && !std::mem::replace(&mut walk.wanted, true) {
                walk.open = true;
                self.membership_walks_open += 1;
                self.queue.push_back(Request::GroupMemberships { group_id: group_id.into(), offset: 0 });
            }
        }
        self.asked_all_groups = reads.groups == Which::All;
        self.aliases_of = ids_of(&reads.aliases);
        self.user_side_of = ids_of(&reads.user_side);
        (self.aliases_cursor, self.user_side_cursor) = (0, 0);
        self.plan = Some(plan);
    }

    /// No more requests are made: the replayed frames are final, including refusals.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// A process starts to read. If the pages so far were read with other credentials, the new ones must be identified first.
    pub fn begin_session(&mut self, credentials: &str) {
        self.session = Some(credentials.to_owned());
        if self.caller.is_some() && self.caller_session.as_deref() != Some(credentials) {
            self.identified = false;
            self.queue.push_front(Request::Me);
        }
    }

    /// Starts listings again whose last page is too old to continue. Called after a replay.
    pub fn forget_old_markers(&mut self, now: DateTime<Utc>) {
        let old = |at: Option<DateTime<Utc>>| at.is_some_and(|at| now - at > MAX_LISTING_PAUSE);
        if !self.users.done && old(self.users.last_page_at) {
            self.restart_users();
        }
        if !self.groups.done && old(self.groups.last_page_at) {
            self.queue.retain(|request| !matches!(request, Request::Groups { .. }));
            self.groups.number += 1;
            self.groups.last_page_at = None;
            self.queue.push_front(Request::Groups { offset: 0 });
        }
        for request in &mut self.queue {
            let Request::GroupMemberships { group_id, offset } = request else { continue };
            let walk = self.groups.walks.entry(group_id);
            if *offset > 0 && old(walk.last_page_at) {
                *offset = 0;
                walk.number += 1;
                walk.seen = IdSet::default();
            }
        }
    }

    /// Accepts a page. Follow-up requests are added to the queue. Returns whether the page was the last of its walk.
    ///
    /// # Errors
    /// [`Error::Guard`] if the caller does not belong to the store, [`Error::IncompleteWalk`] if a listing failed.
    pub fn absorb(
        &mut self,
        request: &Request,
        page: &Summary,
        body: &[u8],
        received_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        // Box may announce more records than it lists, so an empty page can be the end. A single empty page may also be an error, so
        // it is requested twice. If the members of a group end with such a page, they may be incomplete.
        if let Some(offset) = offset_of(request).filter(|offset| page.is_short_at(*offset)) {
            if self.asked_twice.insert(request.clone()) {
                self.queue.push_front(request.clone());
                return Ok(false);
            }
            if matches!(request, Request::GroupMemberships { .. } | Request::UserMemberships { .. }) {
                let announced = page.total_count.unwrap_or_default();
                let reason =
                    format!("Box announces {announced} records and lists none from offset {offset} on");
                return Err(Error::IncompleteWalk { walk: request.subject(), reason });
            }
        }
        match request {
            Request::Me => {
                let caller = self.caller_of(body)?;
                if let Some(before) =
                    self.caller.as_ref().filter(|before| before.enterprise_id != caller.enterprise_id)
                {
                    let (found, bound) = (caller.enterprise_id, before.enterprise_id.clone());
                    return Err(Refusal::OtherEnterprise { found, bound }.into());
                }
                self.identified = true;
                self.caller_session = self.session.clone();
                if self.caller.replace(caller).is_some() {
                    return Ok(true);
                }
                self.queue.push_back(Request::Users { marker: None });
                self.queue.push_back(Request::Groups { offset: 0 });
                for slice in 0..self.slices.len() {
                    let slice = u32::try_from(slice).expect("a window has few slices");
                    self.queue.push_back(Request::Events { slice, login_only: false, position: None });
                }
                Ok(true)
            }
            Request::Users { .. } => {
                for user in &page.listed {
                    if self.users.known.insert(&user.id) {
                        self.users.ids.push(user.id.clone());
                    }
                }
                self.users.last_page_at = Some(received_at);
                match self.users.walk.next(page) {
                    Next::Page(marker) => {
                        self.queue.push_front(Request::Users { marker: Some(marker) });
                        Ok(false)
                    }
                    Next::End => {
                        self.users.done = true;
                        Ok(true)
                    }
                    Next::Incomplete(reason) => Err(Error::IncompleteWalk { walk: "users".into(), reason }),
                }
            }
            Request::Groups { offset } => self.absorb_groups(*offset, page, received_at),
            Request::GroupMemberships { group_id, offset } => {
                Ok(self.absorb_members(group_id, *offset, page, received_at))
            }
            Request::UserMemberships { user_id, offset } => match next_offset(*offset, PAGE_LIMIT, page) {
                OffsetNext::Page(offset) => {
                    self.queue.push_front(Request::UserMemberships { user_id: user_id.clone(), offset });
                    Ok(false)
                }
                OffsetNext::End => Ok(true),
                OffsetNext::Capped => Err(Error::IncompleteWalk {
                    walk: format!("memberships of user {user_id}"),
                    reason: "the user is in more than 10,000 groups, and Box lists only 10,000".into(),
                }),
            },
            Request::EmailAliases { .. } | Request::User { .. } => Ok(true),
            Request::Events { slice, login_only, position } => {
                let Some(walk) = self.slices.get_mut(*slice as usize) else {
                    return Err(Error::IncompleteWalk {
                        walk: format!("part {slice} of the events"),
                        reason: "the raw pages are from a run with another window".into(),
                    });
                };
                match walk.next(position.as_ref(), page) {
                    Next::Page(position) => {
                        let (slice, login_only) = (*slice, *login_only);
                        self.queue.push_front(Request::Events {
                            slice,
                            login_only,
                            position: Some(position),
                        });
                        Ok(false)
                    }
                    Next::End => {
                        self.slices_open -= 1;
                        Ok(true)
                    }
                    Next::Incomplete(reason) => {
                        Err(Error::IncompleteWalk { walk: format!("events, slice {}", slice + 1), reason })
                    }
                }
            }
        }
    }

    /// Handles a request that Box refused with 400: a listing with an old marker starts again, and a list of event types that Box does
    /// not know is reduced to LOGIN. Returns false if there is no alternative.
    pub fn refused(&mut self, request: &Request) -> bool {
        match request {
            Request::Users { marker: Some(_) } if self.users.number < MAX_RESTARTS => {
                tracing::warn!("Box refused the marker of the user listing; the listing starts again");
                self.restart_users();
                true
            }
            Request::Events { slice, login_only: false, position: None } => {
                tracing::warn!(
                    "Box refused the list of event types; this window is read for LOGIN only, and the other types have no coverage"
                );
                self.queue.push_front(Request::Events { slice: *slice, login_only: true, position: None });
                true
            }
            _ => false,
        }
    }

    /// Whether a request about one user or group that Box refused with 403 may be skipped: the caller may lack access to a single user (for
    /// example to the aliases of a co-admin). If all users are refused, a scope is missing.
    pub fn may_be_closed(&mut self, request: &Request, status: u16) -> bool {
        // A missing user may be in another enterprise by now.
        if matches!(request, Request::User { .. }) {
            return true;
        }
        let records = self.records.entry(request.endpoint()).or_default();
        match status {
            403 => records.refused += 1,
            200 => records.answered += 1,
            // A user who is gone proves nothing about scopes.
            _ => {}
        }
        records.answered > 0 || records.refused < ALL_CLOSED
    }

    /// The record of one user or group could not be read: its walk ends, and the data of the base run stays.
    ///
    /// # Errors
    /// [`Error::Unread`] if so many fail that the cause is not single records.
    pub fn give_up(&mut self, request: &Request, reason: String) -> Result<(), Error> {
        if let Request::GroupMemberships { group_id, .. } = request {
            self.close_members(group_id);
        }
        let records = self.records.entry(request.endpoint()).or_default();
        records.failed += 1;
        records.last_failure = reason;
        if records.failed >= A_FEW_FAIL && records.failed * FAILING_SHARE > records.answered && !self.is_ended
        {
            return Err(records.failure(request.endpoint()));
        }
        Ok(())
    }

    /// The owner of the credentials, once Box has returned it.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// The plan. Before there is one, only the survey is read.
    pub fn plan(&self) -> Option<&RunPlan> {
        self.plan.as_ref()
    }

    /// Aliases that are left to request, as far as the plan is known.
    pub fn aliases_left(&self) -> u64 {
        (self.aliases_of.as_ref().unwrap_or(&self.users.ids).len() - self.aliases_cursor) as u64
    }

    /// Group memberships that are left to read, as far as they are listed.
    pub fn membership_walks_left(&self) -> u64 {
        self.membership_walks_open as u64
    }

    /// Walks of the event window that have not reached their end.
    pub fn slices_left(&self) -> u64 {
        self.slices_open as u64
    }

    /// Checks that every started walk has reached its end, and that the listing has a user besides the caller (see [`Me::may_be_alone`]).
    ///
    /// # Errors
    /// [`Error::IncompleteWalk`] or [`Error::Guard`].
    pub fn check_complete(&self) -> Result<(), Error> {
        let open = [
            ("users", !self.users.done),
            ("groups", !self.groups.done),
            ("memberships", self.membership_walks_open > 0),
            ("events", self.slices_open > 0),
        ];
        if let Some((walk, _)) = open.into_iter().find(|(_, open)| *open) {
            return Err(Error::IncompleteWalk {
                walk: walk.into(),
                reason: "no request is left, but the listing did not reach its end".into(),
            });
        }
        if self.users.ids.is_empty() {
            return Err(Refusal::EmptyList.into());
        }
        // A plan may name only a user that the caller may not read. If all users were requested and none was returned, a scope is missing.
        for (endpoint, records) in self.records.iter().filter(|(_, records)| records.answered == 0) {
            let requested_all = match *endpoint {
                ALIASES => self.aliases_of.is_none(),
                MEMBERS => self.asked_all_groups,
                _ => false,
            };
            let enough = if requested_all { 1 } else { ALL_CLOSED };
            if records.refused >= enough {
                return Err(Error::closed(endpoint));
            }
            if records.failed >= enough {
                return Err(records.failure(endpoint));
            }
        }
        match &self.caller {
            Some(caller)
                if self.users.ids.len() == 1 && *self.users.ids[0] == *caller.id && !caller.may_be_alone =>
            {
                Err(Refusal::SelfOnly { login: caller.login.clone() }.into())
            }
            _ => Ok(()),
        }
    }

    fn caller_of(&self, body: &[u8]) -> Result<Caller, Error> {
        let me = Me::parse(body)
            .map_err(|e| Error::Page { walk: "GET /users/me".into(), source: NotAPage::from(e) })?;
        let found = me.enterprise_id().ok_or(Refusal::NoEnterprise)?.to_owned();
        match &self.brief.bound_enterprise {
            Some(bound) if *bound != found => {
                Err(Refusal::OtherEnterprise { found, bound: bound.clone() }.into())
            }
            _ => Ok(Caller {
                id: me.id().to_owned(),
                login: me.login().to_owned(),
                enterprise_id: found,
                may_be_alone: me.may_be_alone(),
            }),
        }
    }
}

/// The offset of a request, for listings that announce their number of records.
fn offset_of(request: &Request) -> Option<u64> {
    match request {
        Request::Groups { offset }
        | Request::GroupMemberships { offset, .. }
        | Request::UserMemberships { offset, .. } => Some(*offset),
        Request::EmailAliases { .. } => Some(0),
        _ => None,
    }
}

fn ids_of(which: &Which) -> Option<Vec<Box<str>>> {
    match which {
        Which::All => None,
        Which::Only(ids) => Some(ids.iter().map(|id| id.as_str().into()).collect()),
    }
}
