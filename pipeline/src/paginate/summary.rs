//! What paging and planning need to know of a page; the records themselves stay in the spool.

use boxseat_schemas::box_api::{ALL_USERS_GROUP, Page, StreamPosition, lenient};
use boxseat_schemas::spool::Request;
use serde::Deserialize;

/// A page without its records.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// Records on the page, bad ones included.
    pub count: u64,
    /// See [`Page::next_marker`].
    pub next_marker: Option<String>,
    /// See [`Page::limit`].
    pub limit: Option<u64>,
    /// See [`Page::total_count`].
    pub total_count: Option<u64>,
    /// See [`Page::next_stream_position`].
    pub next_stream_position: Option<StreamPosition>,
    /// What the page lists: users, groups, or the users of memberships. Records without an id are left out; normalising
    /// rejects them with their reason.
    pub listed: Vec<Listed>,
}

/// One listed id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The id.
    pub id: Box<str>,
    /// Whether it is the group of everybody, whose members are never walked.
    pub is_all_users_group: bool,
}

impl Summary {
    /// Reads what the walk needs.
    ///
    /// # Errors
    /// The body is no page.
    pub fn of(request: &Request, body: &[u8]) -> Result<Self, serde_json::Error> {
        let page = Page::parse(body)?;
        let listed = match request {
            Request::Users { .. } | Request::Groups { .. } => ids(&page, |record: Record| Some(record)),
            Request::GroupMemberships { .. } => ids(&page, |membership: MembershipRecord| membership.user),
            _ => Vec::new(),
        };
        let whole = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        Ok(Self {
            count: page.entries.len() as u64,
            limit: whole(page.limit),
            total_count: whole(page.total_count),
            next_marker: page.next_marker,
            next_stream_position: page.next_stream_position,
            listed,
        })
    }
}

#[derive(Deserialize)]
struct Record {
    #[serde(deserialize_with = "lenient::id")]
    id: String,
    /// Whatever shape it has: an odd one must not hide the group.
    #[serde(default)]
    group_type: serde_json::Value,
}

#[derive(Deserialize)]
struct MembershipRecord {
    #[serde(default, deserialize_with = "lenient::object_or_nothing")]
    user: Option<Record>,
}

fn ids<'a, T: Deserialize<'a>>(page: &Page<'a>, record: impl Fn(T) -> Option<Record>) -> Vec<Listed> {
    page.entries
        .iter()
        .filter_map(|raw| serde_json::from_str(raw.get()).ok().and_then(&record))
        .map(|r| Listed { id: r.id.into(), is_all_users_group: r.group_type == ALL_USERS_GROUP })
        .collect()
}
