//! The truth: a small enterprise on two days, and its legal responses.

use boxseat_schemas::spool::Request;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::client::EventQuery;

/// Page sizes of users, of groups and memberships, and of events. They are small, so that every listing has several pages.
const USERS_A_PAGE: usize = 5;
const ROWS_A_PAGE: usize = 4;
const EVENTS_A_PAGE: usize = 12;
pub(super) const ENTERPRISE: &str = "900";
/// The reading account.
const READER: &str = "9001";

/// An enterprise on one day.
#[derive(Debug, Clone)]
pub(super) struct World {
    /// When the run starts.
    pub(super) now: DateTime<Utc>,
    /// User id, status.
    pub(super) users: Vec<(u32, &'static str)>,
    pub(super) groups: Vec<u32>,
    /// Group and user.
    pub(super) members: Vec<(u32, u32)>,
    /// Groups that also list a member without a user.
    pub(super) nameless_members: Vec<u32>,
    /// User and number of the alias.
    pub(super) aliases: Vec<(u32, u32)>,
    /// Time, type, user, group; sorted by time.
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) at: DateTime<Utc>,
    pub(super) kind: &'static str,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
}

fn start() -> DateTime<Utc> {
    "2026-03-02T02:00:00Z".parse().expect("a time")
}

impl World {
    /// The first day: 24 users, 5 groups, sign-ins of four months. Every third user never signs in.
    pub(super) fn first() -> Self {
        let users: Vec<_> =
            (0..24).map(|i| (100 + i, if i % 7 == 6 { "inactive" } else { "active" })).collect();
        let members = users.iter().flat_map(|(id, _)| [(500 + id % 5, *id), (500 + (id / 2) % 5, *id)]);
        let mut members: Vec<_> = members.collect();
        members.sort_unstable();
        members.dedup();
        let aliases =
            users.iter().filter(|(id, _)| id % 3 == 0).flat_map(|(id, _)| [(*id, 1), (*id, 2)]).collect();
        let mut events = Vec::new();
        for day in 0..110 {
            for (id, _) in users.iter().filter(|(id, _)| id % 3 != 0 && (id + day) % 5 == 0) {
                let at = start() - TimeDelta::days(i64::from(day)) - TimeDelta::minutes(i64::from(*id));
                events.push(Event { at, kind: "LOGIN", user: Some(*id), group: None });
            }
        }
        events.sort();
        let nameless_members = Vec::new();
        Self { nameless_members, now: start(), users, groups: (500..505).collect(), members, aliases, events }
    }

    /// The next day. A user was deleted, one was suspended, one is new. A group was deleted, one is new. Members and aliases were added
    /// and removed. Some users signed in, one of them for the first time.
    pub(super) fn second() -> Self {
        let mut world = Self::first();
        world.now += TimeDelta::days(1);
        let happened = |minutes: i64| world.now - TimeDelta::minutes(600) + TimeDelta::minutes(minutes);
        let event = |minutes, kind, user, group| Event { at: happened(minutes), kind, user, group };
        let mut news = vec![
            event(1, "DELETE_USER", Some(107), None),
            event(2, "EDIT_USER", Some(108), None),
            event(3, "NEW_USER", Some(130), None),
            event(4, "GROUP_DELETION", None, Some(504)),
            event(5, "GROUP_CREATION", None, Some(505)),
            event(6, "GROUP_REMOVE_USER", Some(105), Some(500)),
            event(7, "GROUP_ADD_USER", Some(103), Some(501)),
            event(8, "GROUP_ADD_USER", Some(130), Some(505)),
            event(9, "EMAIL_ALIAS_REMOVE", Some(102), None),
            event(10, "EMAIL_ALIAS_CONFIRM", Some(104), None),
        ];
        news.extend([102, 104, 110, 113, 119].map(|user| event(i64::from(user), "LOGIN", Some(user), None)));
        world.users.retain(|(id, _)| *id != 107);
        world.users.iter_mut().filter(|(id, _)| *id == 108).for_each(|(_, status)| *status = "inactive");
        world.users.push((130, "active"));
        world.groups.retain(|id| *id != 504);
        world.groups.push(505);
        world.members.retain(|(group, user)| *group != 504 && *user != 107 && (*group, *user) != (500, 105));
        world.members.extend([(501, 103), (505, 130)]);
        world.members.sort_unstable();
        world.members.dedup();
        world.aliases.retain(|alias| alias.0 != 107 && *alias != (102, 1));
        world.aliases.push((104, 1));
        world.events.extend(news);
        world.events.sort();
        world
    }

    /// The legal response: status and body.
    pub(super) fn respond(&self, request: &Request, query: Option<&EventQuery>) -> (u16, Value) {
        let id = |text: &str| text.parse::<u32>().unwrap_or_default();
        match request {
            Request::Me => (200, user(id(READER), "active")),
            Request::User { user_id } => match self.users.iter().find(|(user, _)| *user == id(user_id)) {
                Some((user_id, status)) => (200, user(*user_id, status)),
                None => not_found(),
            },
            Request::Users { marker } => {
                let from = marker.as_deref().map_or(0, |marker| id(marker) as usize);
                let page: Vec<_> = self
                    .users
                    .iter()
                    .skip(from)
                    .take(USERS_A_PAGE)
                    .map(|(id, status)| user(*id, status))
                    .collect();
                let next = from + page.len();
                let marker = (next < self.users.len()).then(|| next.to_string());
                (200, json!({ "limit": USERS_A_PAGE, "next_marker": marker, "entries": page }))
            }
            Request::Groups { offset } => offset_page(
                &self.groups,
                *offset,
                |group| json!({ "type": "group", "id": group.to_string(), "name": format!("Group {group}"), "group_type": "managed_group" }),
            ),
            Request::GroupMemberships { group_id, offset } => {
                let members = self.members.iter().filter(|(group, _)| *group == id(group_id));
                let nameless = self.nameless_members.iter().filter(|group| **group == id(group_id));
                let records: Vec<_> = members
                    .map(|(group, user)| membership(*group, *user))
                    .chain(nameless.map(|group| json!({ "type": "group_membership", "id": format!("{group}0"), "user": null })))
                    .collect();
                offset_page(&records, *offset, Value::clone)
            }
            Request::UserMemberships { user_id, offset } => {
                let members: Vec<_> = self.members.iter().filter(|(_, user)| *user == id(user_id)).collect();
                offset_page(&members, *offset, |(group, user)| membership(*group, *user))
            }
            Request::EmailAliases { user_id } => {
                let aliases: Vec<_> = self.aliases.iter().filter(|(user, _)| *user == id(user_id)).collect();
                let entries: Vec<_> = aliases
                    .iter()
                    .map(|(user, n)| {
                        json!({ "type": "email_alias", "id": alias_id(*user, *n), "email": format!("a{n}.{user}@acme.test"), "is_confirmed": true })
                    })
                    .collect();
                (200, json!({ "total_count": entries.len(), "entries": entries }))
            }
            Request::Events { position, .. } => {
                let query = query.expect("a request for events has its query");
                let events: Vec<_> = self.events_of(query).collect();
                let from = position.as_ref().map_or(0, |position| id(position.as_str()) as usize);
                let page: Vec<_> =
                    events.iter().skip(from).take(EVENTS_A_PAGE).map(|event| event.json()).collect();
                let next = (from + page.len()).to_string();
                (200, json!({ "chunk_size": page.len(), "next_stream_position": next, "entries": page }))
            }
        }
    }

    fn events_of<'w>(&'w self, query: &'w EventQuery) -> impl Iterator<Item = &'w Event> {
        let is_requested = |event: &&Event| {
            (query.created_after..=query.created_before).contains(&event.at)
                && query.event_types.iter().any(|kind| kind == event.kind)
        };
        self.events.iter().filter(is_requested)
    }

    /// The latest sign-in of a user before `to`.
    pub(super) fn last_login(&self, user: &str, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let of_user = |event: &&Event| event.user.is_some_and(|id| id.to_string() == user) && event.at < to;
        self.events.iter().filter(|event| event.kind == "LOGIN").filter(of_user).map(|event| event.at).max()
    }
}

impl Event {
    fn json(&self) -> Value {
        let party = |id: u32| json!({ "type": "user", "id": id.to_string(), "name": format!("User {id}"), "login": format!("u{id}@acme.test") });
        let admin = party(100);
        let by = match (self.kind, self.user) {
            ("LOGIN", Some(user)) => party(user),
            ("LOGIN", None) => json!({ "type": "user", "id": null, "name": "Unknown User", "login": null }),
            _ => admin,
        };
        let group =
            self.group.map(|id| json!({ "group_id": id.to_string(), "group_name": format!("Group {id}") }));
        let (source, details) = match self.user {
            Some(user) => (party(user), group),
            None => (group.unwrap_or_default(), None),
        };
        json!({
            "type": "event",
            "event_id": format!("{}-{}-{:?}", self.kind, self.at.timestamp(), self.user.or(self.group)),
            "event_type": self.kind,
            "created_at": self.at.to_rfc3339(),
            "created_by": by,
            "source": source,
            "session_id": null,
            "ip_address": "203.0.113.9",
            "action_by": null,
            "additional_details": details,
        })
    }
}

pub(super) fn alias_id(user: u32, number: u32) -> String {
    format!("8{user}{number}")
}

pub(super) fn membership_id(group: u32, user: u32) -> String {
    format!("{group}{user}")
}

fn user(id: u32, status: &str) -> Value {
    json!({
        "type": "user",
        "id": id.to_string(),
        "name": format!("User {id}"),
        "login": format!("u{id}@acme.test"),
        "status": status,
        "role": "user",
        "created_at": "2020-03-02T02:00:00-08:00",
        "modified_at": "2025-03-02T02:00:00-08:00",
        "space_used": 1000 * u64::from(id),
        "space_amount": 10_737_418_240_u64,
        "phone": "",
        "notification_email": [],
        "tracking_codes": [{ "type": "tracking_code", "name": "Department", "value": "Sales" }],
        "enterprise": { "type": "enterprise", "id": ENTERPRISE, "name": "Acme" },
        "is_platform_access_only": false,
    })
}

fn membership(group: u32, user: u32) -> Value {
    json!({
        "type": "group_membership",
        "id": membership_id(group, user),
        "role": "member",
        "user": { "type": "user", "id": user.to_string(), "name": format!("User {user}"), "login": format!("u{user}@acme.test") },
        "group": { "type": "group", "id": group.to_string(), "name": format!("Group {group}"), "group_type": "managed_group" },
    })
}

fn not_found() -> (u16, Value) {
    (404, json!({ "type": "error", "status": 404, "code": "not_found", "message": "Not Found" }))
}

fn offset_page<T>(rows: &[T], offset: u64, record: impl Fn(&T) -> Value) -> (u16, Value) {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let entries: Vec<_> = rows.iter().skip(from).take(ROWS_A_PAGE).map(record).collect();
    (200, json!({ "total_count": rows.len(), "limit": ROWS_A_PAGE, "offset": offset, "entries": entries }))
}
