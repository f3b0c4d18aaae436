//! Admin-log events: each once, attributed to the affected user.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use boxseat_schemas::box_api::{Event, KNOWN_EXTRA, Page, Read, Source, User, read};
use boxseat_schemas::event_types::LOGIN;
use boxseat_schemas::spool::{Frame, Request};
use boxseat_schemas::table::{EVENTS, Rows};
use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::stage::{PageOf, Stage, Tally};
use super::{EventDays, KnownEvents, Normaliser, UnreadEvent};
use crate::extract::EDGE;
use crate::ids::fingerprint;

/// Events of the window, slice by slice.
///
/// Slices overlap by a second on both sides, because Box does not document whether its bounds are inclusive. An event belongs to the
/// slice whose half-open span has its time, so only the ids of one slice stay in memory.
pub struct Events<'a> {
    night: &'a Normaliser<'a>,
    known: &'a KnownEvents,
    slices: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    slice: Option<u32>,
    /// Ids of the slice's events, with a hash of the content of each.
    seen: HashMap<u128, u64>,
    user_by_login: Option<HashMap<u128, Box<str>>>,
    /// Events per UTC day of the window, including known events: the input of the coverage.
    pub day_counts: EventDays,
    /// New events older than the previous window's end.
    pub late_events: u64,
    /// Events that could not be read: their slices prove nothing.
    pub unread: Vec<UnreadEvent>,
    /// Times of sign-ins without a user. Each may be of any user.
    pub unattributed: BTreeSet<DateTime<Utc>>,
}

impl<'a> Events<'a> {
    pub(super) fn new(night: &'a Normaliser<'a>, known: &'a KnownEvents) -> Self {
        Self {
            slices: night.reservation.slices(),
            night,
            known,
            slice: None,
            seen: HashMap::new(),
            user_by_login: None,
            day_counts: EventDays::default(),
            late_events: 0,
            unread: Vec::new(),
            unattributed: BTreeSet::new(),
        }
    }

    /// Whether the event belongs to this slice. Otherwise it is counted elsewhere.
    fn is_ours(&mut self, slice: u32, event: &Event<'_>, source: &Source, tally: &mut Tally) -> bool {
        if self.slice.replace(slice) != Some(slice) {
            self.seen.clear();
        }
        let at = event.created_at;
        let (from, to) = self.slices[slice as usize];
        let (window_from, window_to) = (self.slices[0].0, self.slices[self.slices.len() - 1].1);
        if at < from - EDGE || at > to + EDGE {
            // Outside the requested span, so the date or the response is wrong. The real event may belong to this slice.
            tally.rejected += 1;
            self.unread.push(UnreadEvent { slice, event_type: Some(event.event_type.clone()) });
            return false;
        }
        if at < window_from || at >= window_to {
            // In the extra second at an end of the window. The next run reads an event after the end.
            tally.dropped += 1;
            return false;
        }
        if at < from || at >= to {
            // The event belongs to the adjacent slice, whose own walk returns it.
            tally.duplicate += 1;
            return false;
        }
        let id = fingerprint(&event.event_id);
        let content = content_hash(event, source);
        if let Some(earlier) = self.seen.insert(id, content) {
            if earlier == content {
                tally.duplicate += 1;
            } else {
                // One id with two events: one of them is wrong.
                tally.rejected += 1;
                self.unread.push(UnreadEvent { slice, event_type: None });
            }
            return false;
        }
        self.day_counts.add(at.date_naive(), &event.event_type);
        if self.known.ids.contains(&id) {
            if self.known.unattributed.contains(&id) {
                self.unattributed.insert(at);
            }
            tally.duplicate += 1;
            return false;
        }
        self.late_events += u64::from(self.known.previous_window_to.is_some_and(|to| at < to));
        true
    }

    fn take(&mut self, slice: u32, read: &Read<Event<'_>>, rows: &mut Rows, tally: &mut Tally) {
        let Read { record: event, extra } = read;
        let source = event.source();
        if !self.is_ours(slice, event, &source, tally) {
            return;
        }
        let known = extra.iter().filter(|(name, _)| KNOWN_EXTRA.contains(name)).count() as u64;
        tally.unknown_fields += extra.len() - known;
        let (user_id, user_login) = event.affected_user(&source);
        let found = match (user_id, user_login) {
            (None, Some(login)) => self.user_id_of(login).or_else(|| self_acting(event)),
            _ => None,
        };
        if event.event_type == LOGIN && user_id.is_none() && found.is_none() {
            self.unattributed.insert(event.created_at);
        }
        let privacy = self.night.privacy;
        let details = event.additional_details.map(|raw| raw.get()).filter(|raw| *raw != "null");
        let details = details.map(|raw| privacy.scrub_details(raw));
        rows.text(Some(&event.event_id))
            .text(Some(&event.event_type))
            .text(user_id.or(found.as_deref()))
            .text(user_login)
            .time(Some(event.created_at))
            .time(event.recorded_at)
            .text(privacy.ip(event.ip_address.as_deref()).as_deref())
            .text(privacy.session(event.session_id.as_deref()))
            .text(event.actor_id())
            .text(source.kind.as_deref())
            .text(source.id.as_deref())
            .text(event.group_id(&source).as_deref())
            .text(details.as_deref())
            .text(privacy.scrub_extra(extra).as_deref())
            .text(Some(&self.night.enterprise_id))
            .big(Some(self.night.reservation.run_number.as_i64()))
            .date(Some(month_of(event.created_at)))
            .end();
    }

    /// The id of a login, from this run's listing. The listing is read once, for the first event that names no user by id.
    fn user_id_of(&mut self, login: &str) -> Option<Box<str>> {
        if self.user_by_login.is_none() {
            self.user_by_login = Some(self.logins());
        }
        self.user_by_login.as_ref()?.get(&fingerprint(&login.to_lowercase())).cloned()
    }

    fn logins(&self) -> HashMap<u128, Box<str>> {
        let mut logins = HashMap::new();
        // The same pages were just read for the users table, which reported any damage.
        let Ok(mut frames) = self.night.spool.frames() else { return logins };
        for offset in self.night.index.users() {
            let Ok((Frame::Page { .. }, body)) = frames.frame_at(*offset) else { continue };
            let Ok(page) = Page::parse(&body) else { continue };
            for Read { record: user, .. } in
                page.entries.iter().filter_map(|raw| read::<User>(raw.get()).ok())
            {
                if let Some(login) = user.login {
                    logins.insert(fingerprint(&login.to_lowercase()), user.id.into());
                }
            }
        }
        logins
    }
}

impl Stage for Events<'_> {
    fn rows(&self) -> Rows {
        Rows::new(EVENTS.lake_schema())
    }

    fn page(&mut self, page: &PageOf<'_>, rows: &mut Rows, tally: &mut Tally) {
        let Request::Events { slice, .. } = page.request else {
            unreachable!("the index has only event pages")
        };
        for raw in &page.entries {
            match tally.take(read(raw.get())) {
                Some(event) => self.take(*slice, &event, rows, tally),
                None => self.unread.push(UnreadEvent { slice: *slice, event_type: type_alone(raw.get()) }),
            }
        }
    }

    fn closed(&mut self, _: &Request, _: &str, _: &[u8], _: &mut Rows, _: &mut Tally) {
        unreachable!("an event page that cannot be read ends the run")
    }
}

/// Distinguishes two events with one id.
fn content_hash(event: &Event<'_>, source: &Source) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&event.event_type, event.created_at, event.affected_user(source), event.actor_id()).hash(&mut hasher);
    hasher.finish()
}

/// The type of an event whose other fields may be unreadable.
pub(super) fn type_alone(raw: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct TypeAlone {
        event_type: String,
    }
    let event: TypeAlone = serde_json::from_str(raw).ok()?;
    // A damaged name may be any type.
    Some(event.event_type)
        .filter(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'))
}

/// In a LOGIN event the actor is the user. The actor is known even if no user has that login any more.
fn self_acting(event: &Event<'_>) -> Option<Box<str>> {
    event.actor_id().filter(|_| event.event_type == LOGIN).map(Into::into)
}

fn month_of(at: DateTime<Utc>) -> NaiveDate {
    at.date_naive().with_day(1).expect("every month has a first day")
}
