//! The result of the survey of a run: the listed users and groups, and the changes in the admin log.

use std::collections::HashSet;

use boxseat_schemas::box_api::{ALL_USERS_GROUP, Event, NotAPage, Page, Read, lenient, read};
use boxseat_schemas::plan::Announced;
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::{Frame, Request};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::login_hash;
use crate::Error;
use crate::ids::{IdMap, IdSet, fingerprint};
use crate::normalise::{DayCounts, Index, KnownEvents};
use crate::spool::{Frames, SpoolDir, SpoolReader};

/// The listings and the admin log of one run.
#[derive(Debug, Default)]
pub struct Survey {
    /// Users in listing order, each once.
    pub(crate) users: Vec<ListedUser>,
    pub(crate) listed: IdSet,
    /// Groups whose members can be read, in listing order, each once.
    pub(crate) groups: Vec<Box<str>>,
    /// Groups of all users, whose members are never read.
    pub(crate) all_users_groups: Vec<Box<str>>,
    pub(crate) feed: Feed,
    /// Calls made so far, by endpoint.
    pub(crate) calls: Vec<(String, u64)>,
}

#[derive(Debug, Clone)]
pub(crate) struct ListedUser {
    pub(crate) id: Box<str>,
    pub(crate) login_hash: u64,
    pub(crate) modified_at: Option<DateTime<Utc>>,
}

/// The content of the admin log.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    /// Events in the window, duplicates included.
    pub(crate) events: u64,
    /// Per UTC day, duplicates included.
    pub(crate) day_counts: DayCounts,
    /// Whether Box refused the list of event types in some part of the window.
    pub(crate) login_only: bool,
    /// Events that could not be read: any change may be among them.
    pub(crate) unread: u64,
    pub(crate) users: IdMap<UserNews>,
    pub(crate) groups: IdMap<News>,
    /// Membership changes as (group, user).
    pub(crate) members: Vec<(Box<str>, Box<str>)>,
    /// Users that a DELETE_USER event names.
    pub(crate) deleted: IdSet,
    /// All losses that events announce.
    pub(crate) announced: Announced,
    /// New events that do not name what they change: membership events without a group, and user events without a listed user.
    pub(crate) unresolved_memberships: u64,
    pub(crate) unresolved_users: u64,
}

/// What happened to a user.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct UserNews {
    /// A new EDIT_USER event, which an identity provider may have caused for all users.
    pub(crate) edited: bool,
    /// Any other event that may change aliases.
    pub(crate) other: News,
}

/// A change, possibly known already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct News {
    /// Whether one of its events is in no current run yet.
    pub(crate) is_new: bool,
    /// When the latest of its events occurred.
    pub(crate) at: Option<DateTime<Utc>>,
}

impl News {
    fn take(&mut self, is_new: bool, at: DateTime<Utc>) {
        self.is_new |= is_new;
        self.at = self.at.max(Some(at));
    }
}

impl Survey {
    /// Counts these users as announced, as if each had a DELETE_USER event.
    pub fn announce_deleted(&mut self, user_ids: impl IntoIterator<Item = String>) {
        let feed = &mut self.feed;
        for user_id in user_ids {
            if feed.deleted.insert(&user_id) {
                feed.announced.users.push(user_id);
            }
        }
    }

    /// Reads the survey from the spool of an unsealed run. `events` states whether the admin log is needed: a first run reads everything
    /// anyway.
    ///
    /// # Errors
    /// `Disk` or `Damaged`.
    pub fn read(
        dir: &SpoolDir,
        reservation: &Reservation,
        known: &KnownEvents,
        events: bool,
    ) -> Result<Self, Error> {
        let spool = SpoolReader::open(dir, reservation.run_number.0)?;
        let index = Index::read(&spool, reservation.event_slices)?;
        let mut survey = Self::default();
        for ((_, endpoint), calls) in index.calls() {
            survey.calls.push((endpoint.clone(), calls.calls));
        }
        survey.feed.login_only = index.login_only_slices().contains(&true);
        let mut pages = Pages { frames: spool.frames()? };
        pages.each(index.users(), |_, page| survey.take_users(page))?;
        let mut groups = IdSet::default();
        pages.each(index.groups(), |_, page| survey.take_groups(page, &mut groups))?;
        if events {
            let (from, to) = (reservation.window_from_at, reservation.window_to_at);
            let mut seen = HashSet::new();
            pages.each(index.events(), |_, page| {
                for raw in &page.entries {
                    match read::<Event<'_>>(raw.get()) {
                        Ok(Read { record: event, .. }) if (from..to).contains(&event.created_at) => {
                            survey.take_event(&event, known, &mut seen);
                        }
                        Ok(_) => {}
                        Err(_) => survey.feed.unread += 1,
                    }
                }
            })?;
        }
        Ok(survey)
    }

    /// Events in the window.
    pub(super) fn events(&self) -> u64 {
        self.feed.events
    }

    /// Events per UTC day of the window.
    pub(super) fn day_counts(&self) -> &DayCounts {
        &self.feed.day_counts
    }

    fn take_users(&mut self, page: &Page<'_>) {
        for user in page.entries.iter().filter_map(|raw| serde_json::from_str::<Listing>(raw.get()).ok()) {
            if self.listed.insert(&user.id) {
                self.users.push(ListedUser {
                    id: user.id.into(),
                    login_hash: login_hash(user.login.as_deref()),
                    modified_at: user.modified_at.and_then(|at| lenient::parse_time(&at).ok()),
                });
            }
        }
    }

    fn take_groups(&mut self, page: &Page<'_>, seen: &mut IdSet) {
        for group in page.entries.iter().filter_map(|raw| serde_json::from_str::<Listing>(raw.get()).ok()) {
            if !seen.insert(&group.id) {
                continue;
            }
            if group.group_type.as_deref() == Some(ALL_USERS_GROUP) {
                self.all_users_groups.push(group.id.into());
            } else {
                self.groups.push(group.id.into());
            }
        }
    }

    fn take_event(&mut self, event: &Event<'_>, known: &KnownEvents, seen: &mut HashSet<u128>) {
        let feed = &mut self.feed;
        feed.events += 1;
        *feed.day_counts.entry(event.created_at.date_naive()).or_default() += 1;
        let kind = event.event_type.as_str();
        let about_members = matches!(kind, "GROUP_ADD_USER" | "GROUP_REMOVE_USER");
        let about_group = about_members || matches!(kind, "GROUP_CREATION" | "GROUP_EDITED");
        let about_user = matches!(kind, "NEW_USER" | "EDIT_USER") || kind.starts_with("EMAIL_ALIAS_");
        if !about_group && !about_user && !matches!(kind, "DELETE_USER" | "GROUP_DELETION") {
            return;
        }
        let id = fingerprint(&event.event_id);
        if !seen.insert(id) {
            return;
        }
        let (is_new, at) = (!known.ids.contains(&id), event.created_at);
        let source = event.source();
        let user_id = match event.affected_user(&source) {
            (Some(id), _) => Some(id.into()),
            (None, Some(login)) => self.id_of(login),
            (None, None) => None,
        };
        let feed = &mut self.feed;
        if kind == "GROUP_DELETION" {
            feed.announced.groups.extend(event.group_id(&source));
            return;
        }
        if about_group {
            match event.group_id(&source) {
                Some(group_id) => {
                    if let ("GROUP_REMOVE_USER", Some(user_id)) = (kind, &user_id) {
                        feed.announced.members.push((group_id.clone(), user_id.to_string()));
                    }
                    feed.groups.entry(&group_id).take(is_new, at);
                    if let (true, Some(user_id)) = (about_members && is_new, user_id) {
                        feed.members.push((group_id.into(), user_id));
                    }
                }
                None => feed.unresolved_memberships += u64::from(is_new && about_members),
            }
            return;
        }
        match (user_id, kind) {
            (None, _) => feed.unresolved_users += u64::from(is_new),
            (Some(user_id), "DELETE_USER") => {
                if feed.deleted.insert(&user_id) {
                    feed.announced.users.push(user_id.to_string());
                }
            }
            (Some(user_id), "EDIT_USER") => feed.users.entry(&user_id).edited |= is_new,
            (Some(user_id), _) => feed.users.entry(&user_id).other.take(is_new, at),
        }
    }

    // Rarely needed, so the listing is searched and not indexed.
    fn id_of(&self, login: &str) -> Option<Box<str>> {
        let wanted = login_hash(Some(login));
        self.users.iter().find(|user| user.login_hash == wanted).map(|user| user.id.clone())
    }
}

/// The required fields of a listed user or group. Other fields may have any value.
#[derive(Deserialize)]
struct Listing {
    #[serde(deserialize_with = "lenient::id")]
    id: String,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    login: Option<String>,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    modified_at: Option<String>,
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    group_type: Option<String>,
}

/// Pages that are read back one by one.
pub(crate) struct Pages {
    pub(crate) frames: Frames,
}

impl Pages {
    /// Passes on every page with status 200 at these offsets.
    pub(crate) fn each(
        &mut self,
        offsets: &[u64],
        mut take: impl FnMut(&Request, &Page<'_>),
    ) -> Result<(), Error> {
        self.each_body(offsets, |request, body| Page::parse(body).map(|page| take(request, &page)))
    }

    /// Passes on the body of every page with status 200 at these offsets.
    pub(crate) fn each_body(
        &mut self,
        offsets: &[u64],
        mut take: impl FnMut(&Request, &[u8]) -> Result<(), NotAPage>,
    ) -> Result<(), Error> {
        for offset in offsets {
            let (frame, body) = self.frames.frame_at(*offset)?;
            if let Frame::Page { request, status: 200, .. } = &frame {
                take(request, &body)
                    .map_err(|source| Error::Page { walk: request.endpoint().to_owned(), source })?;
            }
        }
        Ok(())
    }
}
