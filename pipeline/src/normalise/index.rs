//! The positions of each table's pages in a sealed spool, and the data of the frames without their bodies: call counts, reading times.

use std::borrow::Cow;
use std::collections::BTreeMap;

use boxseat_schemas::spool::{CallOutcome, Frame, Request};
use chrono::{DateTime, NaiveDate, Utc};

use crate::Error;
use crate::ids::{IdMap, IdSet};
use crate::spool::SpoolReader;

/// The index of one spool. Pages of a listing that was started again later are excluded.
#[derive(Debug, Default)]
pub struct Index {
    users: Walk,
    groups: Walk,
    group_walks: IdMap<Walk>,
    memberships: Vec<u64>,
    user_side: Vec<u64>,
    user_side_read_at: IdMap<DateTime<Utc>>,
    aliases: Vec<u64>,
    aliases_read_at: IdMap<DateTime<Utc>>,
    slices: Vec<Vec<u64>>,
    login_only: Vec<bool>,
    events: Vec<u64>,
    /// Pages of the walk after the slices, and whether Box refused its types.
    activity: Vec<u64>,
    activity_refused: bool,
    all: Vec<u64>,
    groups_read_at: Option<DateTime<Utc>>,
    /// The last response about each single user.
    asked: IdMap<u64>,
    planned_calls: Option<u64>,
    /// Position of the last plan.
    plan: Option<u64>,
    calls: BTreeMap<(NaiveDate, String), EndpointCalls>,
    waited_seconds: u64,
    damaged_characters: u64,
    frames: u64,
    /// Refusals of one user or group that no later response replaced, by endpoint and id.
    closed: BTreeMap<(&'static str, String), u64>,
    /// Of these, the groups and users whose memberships were requested.
    half_closed_groups: IdSet,
    half_closed_users: IdSet,
}

/// The pages of one listing's latest walk.
#[derive(Debug, Default)]
struct Walk {
    number: u32,
    pages: Vec<u64>,
    /// When its first page arrived: the minimum age of the listing.
    read_at: Option<DateTime<Utc>>,
}

/// Calls to one endpoint on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointCalls {
    /// All calls.
    pub calls: u64,
    /// Repeats of a failed call.
    pub retries: u64,
    /// Calls with a 429 response.
    pub throttled: u64,
    /// Calls that failed in another way.
    pub errors: u64,
}

impl EndpointCalls {
    /// Counts a call without a page.
    pub fn count(&mut self, outcome: CallOutcome) {
        self.calls += 1;
        match outcome {
            CallOutcome::Done => {}
            CallOutcome::Throttled => self.throttled += 1,
            CallOutcome::Retried | CallOutcome::Failed => self.errors += 1,
        }
        // The call after a refused or failed one repeats it.
        self.retries += u64::from(matches!(outcome, CallOutcome::Throttled | CallOutcome::Retried));
    }
}

impl Walk {
    fn take(&mut self, number: u32, offset: u64, read_at: Option<DateTime<Utc>>) {
        if number > self.number {
            *self = Self { number, ..Self::default() };
        }
        if number == self.number {
            self.pages.push(offset);
            self.read_at = self.read_at.or(read_at);
        }
    }
}

impl Index {
    /// Reads all frame headers.
    ///
    /// # Errors
    /// `Disk` or `Damaged`.
    pub fn read(spool: &SpoolReader, slices: u32) -> Result<Self, Error> {
        let slices = slices.max(1) as usize;
        let mut index =
            Self { slices: vec![Vec::new(); slices], login_only: vec![false; slices], ..Self::default() };
        let mut frames = spool.frames()?;
        loop {
            let offset = frames.offset();
            let Some(frame) = frames.next_header()? else { break };
            index.take(offset, frame);
        }
        index.finish();
        Ok(index)
    }

    fn take(&mut self, offset: u64, frame: Frame) {
        self.frames += 1;
        let (request, received_at, status, walk, damaged) = match frame {
            Frame::Unread { request, .. } => {
                self.take_closed(&request, offset);
                return;
            }
            Frame::Call { endpoint, at, outcome, waited_seconds } => {
                self.waited_seconds += waited_seconds;
                self.calls.entry((at.date_naive(), endpoint)).or_default().count(outcome);
                return;
            }
            Frame::Session { .. } => return,
            Frame::Plan { calls } => {
                self.planned_calls = Some(calls);
                self.plan = Some(offset);
                return;
            }
            Frame::Page { request, received_at, status, walk, damaged_characters, .. } => {
                (request, received_at, status, walk, damaged_characters)
            }
        };
        self.damaged_characters += damaged;
        let read_at = (status == 200).then_some(received_at);
        let calls = self.calls.entry((received_at.date_naive(), request.endpoint().to_owned())).or_default();
        calls.calls += 1;
        calls.errors += u64::from(status != 200);
        if status == 403 && self.take_closed(&request, offset) {
            return;
        }
        if let Some(id) = asked_of(&request) {
            self.closed.remove(&(request.endpoint(), id.to_owned()));
        }
        match &request {
            Request::Me => {}
            Request::User { user_id } => {
                self.asked.insert(user_id, offset);
            }
            Request::Users { .. } => self.users.take(walk, offset, read_at),
            Request::Groups { .. } => self.groups.take(walk, offset, read_at),
            Request::GroupMemberships { group_id, .. } => {
                self.group_walks.entry(group_id).take(walk, offset, read_at)
            }
            Request::UserMemberships { user_id, .. } => {
                self.user_side.push(offset);
                if let (Some(at), None) = (read_at, self.user_side_read_at.get(user_id)) {
                    self.user_side_read_at.insert(user_id, at);
                }
            }
            Request::EmailAliases { user_id } => {
                self.aliases.push(offset);
                if let Some(at) = read_at {
                    self.aliases_read_at.insert(user_id, at);
                }
            }
            Request::Events { slice, login_only, .. } => match self.slices.get_mut(*slice as usize) {
                Some(pages) => {
                    pages.push(offset);
                    self.login_only[*slice as usize] |= *login_only;
                }
                None => {
                    self.activity.push(offset);
                    self.activity_refused |= *login_only;
                }
            },
        }
    }

    /// Records that the record of one user or group could not be read. Returns false for any other request.
    fn take_closed(&mut self, request: &Request, offset: u64) -> bool {
        let Some(id) = asked_of(request) else { return false };
        self.closed.insert((request.endpoint(), id.to_owned()), offset);
        true
    }

    fn finish(&mut self) {
        self.memberships = self.group_walks.values().flat_map(|walk| walk.pages.iter().copied()).collect();
        self.memberships.sort_unstable();
        self.memberships.append(&mut self.user_side);
        for ((endpoint, id), offset) in std::mem::take(&mut self.closed) {
            match endpoint {
                "GET /users/{id}/email_aliases" => self.aliases.push(offset),
                _ => {
                    match endpoint {
                        "GET /groups/{id}/memberships" => self.half_closed_groups.insert(&id),
                        _ => self.half_closed_users.insert(&id),
                    };
                    self.memberships.push(offset);
                }
            }
        }
        self.events = self.slices.iter().flatten().copied().collect();
        self.groups_read_at = self.groups.read_at;
        let parts = [
            &self.users.pages,
            &self.groups.pages,
            &self.memberships,
            &self.aliases,
            &self.events,
            &self.activity,
        ];
        self.all = parts.into_iter().flatten().copied().collect();
    }

    pub(crate) fn users(&self) -> &[u64] {
        &self.users.pages
    }

    pub(crate) fn groups(&self) -> &[u64] {
        &self.groups.pages
    }

    /// Group side first, so that a membership that both sides show counts as read from the group.
    pub(super) fn memberships(&self) -> &[u64] {
        &self.memberships
    }

    pub(super) fn email_aliases(&self) -> &[u64] {
        &self.aliases
    }

    /// Slice by slice, oldest first: events are de-duplicated within a slice.
    pub(crate) fn events(&self) -> &[u64] {
        &self.events
    }

    /// The other evidence of use.
    pub(super) fn activity(&self) -> &[u64] {
        &self.activity
    }

    /// Whether Box refused the event types of the other evidence of use. Then its pages have other events.
    pub(super) fn is_activity_refused(&self) -> bool {
        self.activity_refused
    }

    pub(super) fn all_pages(&self) -> &[u64] {
        &self.all
    }

    pub(crate) fn login_only_slices(&self) -> &[bool] {
        &self.login_only
    }

    pub(super) fn aliases_read_at(&self, user_id: &str) -> Option<DateTime<Utc>> {
        self.aliases_read_at.get(user_id).copied()
    }

    pub(super) fn members_read_at(&self, group_id: &str) -> Option<DateTime<Utc>> {
        self.group_walks.get(group_id)?.read_at.filter(|_| !self.half_closed_groups.contains(group_id))
    }

    /// Whether Box responded that a group does not exist: its members were requested, and the response was 404.
    pub(super) fn is_group_gone(&self, group_id: &str) -> bool {
        let walk = self.group_walks.get(group_id);
        walk.is_some_and(|walk| walk.read_at.is_none()) && !self.half_closed_groups.contains(group_id)
    }

    /// Groups whose members were listed to the end, with the positions of their pages. Box may show fewer members than the group has.
    pub(super) fn group_walks(&self) -> impl Iterator<Item = (Cow<'_, str>, &[u64])> {
        let answered = self.group_walks.iter().filter(|(_, walk)| walk.read_at.is_some());
        let whole = answered.filter(|(id, _)| !self.half_closed_groups.contains(id));
        whole.map(|(id, walk)| (id, walk.pages.as_slice()))
    }

    pub(super) fn user_side_read_at(&self, user_id: &str) -> Option<DateTime<Utc>> {
        self.user_side_read_at.get(user_id).copied().filter(|_| !self.half_closed_users.contains(user_id))
    }

    pub(super) fn groups_read_at(&self) -> Option<DateTime<Utc>> {
        self.groups_read_at
    }

    /// Positions of the responses about single users.
    pub(super) fn asked(&self) -> &IdMap<u64> {
        &self.asked
    }

    /// Position of the plan that was followed.
    pub(super) fn plan(&self) -> Option<u64> {
        self.plan
    }

    /// Calls that the plan predicted for the whole run; `None` for a run without a plan.
    pub fn planned_calls(&self) -> Option<u64> {
        self.planned_calls
    }

    /// Calls per UTC day and endpoint.
    pub fn calls(&self) -> &BTreeMap<(NaiveDate, String), EndpointCalls> {
        &self.calls
    }

    /// All calls, including retries.
    pub fn calls_total(&self) -> EndpointCalls {
        self.calls.values().fold(EndpointCalls::default(), |sum, calls| EndpointCalls {
            calls: sum.calls + calls.calls,
            retries: sum.retries + calls.retries,
            throttled: sum.throttled + calls.throttled,
            errors: sum.errors + calls.errors,
        })
    }

    /// Frames in the spool.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Damaged characters from Box that were replaced.
    pub fn damaged_characters(&self) -> u64 {
        self.damaged_characters
    }

    /// Seconds for which all tasks waited because Box required it.
    pub fn waited_seconds(&self) -> u64 {
        self.waited_seconds
    }
}

/// The user or group whose memberships or aliases a request reads. For a user read by id see [`Index::asked`].
fn asked_of(request: &Request) -> Option<&str> {
    request.subject_id().filter(|_| !matches!(request, Request::User { .. }))
}
