//! The data of a page that paging and planning need. The records stay in the spool.

use boxseat_schemas::box_api::{ALL_USERS_GROUP, NotAPage, Page, StreamPosition, lenient};
use boxseat_schemas::spool::Request;
use serde::Deserialize;

/// A page without its records.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// Records on the page, including unreadable ones.
    pub count: u64,
    /// See [`Page::next_marker`].
    pub next_marker: Option<String>,
    /// See [`Page::limit`].
    pub limit: Option<u64>,
    /// See [`Page::total_count`].
    pub total_count: Option<u64>,
    /// See [`Page::next_stream_position`].
    pub next_stream_position: Option<StreamPosition>,
    /// The listed ids: of users, of groups, or of the users of memberships. Records without an id are skipped; the normaliser rejects
    /// them with the reason.
    pub listed: Vec<Listed>,
}

/// One listed id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The id.
    pub id: Box<str>,
    /// Whether it is the group of all users, whose members are never read.
    pub is_all_users_group: bool,
}

impl Summary {
    /// Reads the data for the walk, and checks that the body is what was requested.
    ///
    /// # Errors
    /// The body is something else.
    pub fn of(request: &Request, body: &[u8]) -> Result<Self, NotAPage> {
        if let Request::Me | Request::User { .. } = request {
            return about_user(request, body).map(|()| Self::default());
        }
        let page = match request {
            Request::Events { .. } => Page::parse_events(body)?,
            Request::Users { .. } => Page::parse(body)?,
            Request::Groups { offset }
            | Request::GroupMemberships { offset, .. }
            | Request::UserMemberships { offset, .. } => Page::parse_counted(body, *offset)?,
            _ => Page::parse_counted(body, 0)?,
        };
        let summary = Self::of_page(&page);
        let listed = match request {
            Request::Users { .. } | Request::Groups { .. } => ids(&page, |record: Record| Some(record)),
            Request::GroupMemberships { .. } => ids(&page, |membership: MembershipRecord| membership.user),
            _ => Vec::new(),
        };
        if let Request::Groups { offset: 0 }
        | Request::GroupMemberships { offset: 0, .. }
        | Request::UserMemberships { offset: 0, .. } = request
        {
            summary.check_first_page()?;
        }
        Ok(Self { listed, ..summary })
    }

    /// What a page states about its listing, without the listed ids.
    pub fn of_page(page: &Page<'_>) -> Self {
        let whole = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        Self {
            count: page.entries.len() as u64,
            limit: whole(page.limit),
            total_count: whole(page.total_count),
            next_marker: page.next_marker.clone(),
            next_stream_position: page.next_stream_position.clone(),
            listed: Vec::new(),
        }
    }

    /// Whether a page at `offset` announces records and has none.
    pub fn is_short_at(&self, offset: u64) -> bool {
        self.count == 0 && self.total_count.is_some_and(|total| total > offset)
    }

    /// Refuses the first page of a listing if it announces records and has none: it is not the end.
    ///
    /// # Errors
    /// [`NotAPage::Unreadable`].
    pub fn check_first_page(&self) -> Result<(), NotAPage> {
        if !self.is_short_at(0) {
            return Ok(());
        }
        let message = format!("it has no record, but announces {}", self.total_count.unwrap_or_default());
        Err(<serde_json::Error as serde::de::Error>::custom(message).into())
    }
}

/// Checks that a body is the requested user.
fn about_user(request: &Request, body: &[u8]) -> Result<(), NotAPage> {
    #[derive(Deserialize)]
    struct User {
        #[serde(default, deserialize_with = "lenient::id_or_nothing")]
        id: Option<String>,
    }
    let User { id } = serde_json::from_slice(body)?;
    let id = id.ok_or_else(|| NotAPage::OtherObject("it is not a user".to_owned()))?;
    match request {
        Request::User { user_id } if *user_id != id => {
            Err(NotAPage::OtherObject(format!("it is about user {id}, not {user_id}")))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct Record {
    #[serde(deserialize_with = "lenient::id")]
    id: String,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    group_type: Option<String>,
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
        .map(|r| Listed {
            id: r.id.into(),
            is_all_users_group: r.group_type.as_deref() == Some(ALL_USERS_GROUP),
        })
        .collect()
}
