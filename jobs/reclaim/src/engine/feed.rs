//! R11: what happened since the snapshot, from the live stream and from the history.
//!
//! The live stream is read from its position before the snapshot's first listing, so no event between the snapshot and now is
//! missed. The history is read over the snapshot's own overlap, because events arrive late there, and a sign-in from before the
//! snapshot may appear after it. Both carry the same event ids. A walk that fails, that begins too long ago, or that has no events
//! or no sign-ins where many are usual, proves nothing: then no user is changed.

use std::collections::{BTreeMap, HashMap, HashSet};

use boxseat_pipeline::client::{BoxReader, EventQuery};
use boxseat_pipeline::normalise::{DayCounts, EventDays, KnownDays, Silence};
use boxseat_pipeline::paginate::{Next, StreamWalk, Summary};
use boxseat_schemas::box_api::{Event, NotAPage, Page, StreamPosition, read};
use boxseat_schemas::event_types;
use boxseat_schemas::reclaim::Record;
use boxseat_schemas::spool::Request;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::error::Error;
use crate::journal::StreamMark;

/// Box drops positions of its live stream after 14 days, and then returns no events and no error.
const OLDEST_POSITION: TimeDelta = TimeDelta::days(13);
/// How long a span without events must be to be suspicious.
const SILENCE: TimeDelta = TimeDelta::hours(24);
/// How far before the snapshot the history is read: events reach it hours late.
const LATE: TimeDelta = TimeDelta::hours(48);
/// How far back later walks of one run read the history again.
const AGAIN: TimeDelta = TimeDelta::hours(1);
/// Maximum age of a walk (R11).
pub(crate) const FRESH: TimeDelta = TimeDelta::minutes(5);

/// One event about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// Its type.
    pub(crate) event_type: String,
    /// When it happened.
    pub(crate) at: DateTime<Utc>,
    /// The actor; `None`: unknown.
    pub(crate) actor_id: Option<String>,
}

/// What the feed has returned so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Feed {
    by_id: BTreeMap<String, Vec<News>>,
    by_login: HashMap<String, Vec<News>>,
    known: HashSet<String>,
    /// Different events on each UTC day.
    by_day: EventDays,
    /// Where the next walk continues; `None` before the first.
    position: Option<String>,
    /// How far the last walk reached.
    pub(crate) read_to: Option<DateTime<Utc>>,
}

/// The inputs with which a feed is read.
pub(crate) struct FeedBrief<'a> {
    /// The stream position before the snapshot's first listing.
    pub(crate) mark: &'a StreamMark,
    /// The `now` of the snapshot.
    pub(crate) snapshot_time: DateTime<Utc>,
    /// Event types that show use, in addition to LOGIN.
    pub(crate) activity: &'a [String],
    /// Events on each UTC day of the four weeks before the snapshot.
    pub(crate) events_by_day: &'a EventDays,
    /// `[sync] quiet_dates`: days on which no events are expected.
    pub(crate) quiet_dates: &'a [NaiveDate],
}

impl Feed {
    /// Reads up to the present, at first from the snapshot's position; returns the journal entry.
    ///
    /// # Errors
    /// `Refused` for any doubt; `TryLater` when Box is down, `Interrupted` when interrupted.
    pub(crate) async fn walk(
        &mut self,
        reader: &BoxReader,
        brief: &FeedBrief<'_>,
        now: DateTime<Utc>,
    ) -> Result<Record, Error> {
        let from_at = self.read_to.unwrap_or(brief.mark.asked_at);
        if now - brief.mark.asked_at > OLDEST_POSITION {
            return Err(Error::refused(format!(
                "the admin log was last read {} days ago, and Box keeps a position for 14 days",
                (now - brief.mark.asked_at).num_days()
            ))
            .hint("run `boxseat sync`, then make a new plan"));
        }
        let mut types = event_types::all();
        types.extend(brief.activity.iter().cloned());
        let heard = self.stream(reader, brief, &types).await?;
        let since = self.read_to.map_or(brief.snapshot_time - LATE, |read_to| read_to - AGAIN);
        self.history(reader, &types, since, now).await?;
        if self.read_to.is_none() {
            self.refuse_missing_events(brief)?;
        }
        refuse_silence(heard, brief, from_at, now)?;
        self.read_to = Some(now);
        let stream_position = self.position.clone().unwrap_or_else(|| brief.mark.position.clone());
        Ok(Record::FeedRead { stream_position, from_at, to_at: now })
    }

    /// The history reaches over the whole day before the snapshot's, and the snapshot has events of it. A log that returns fewer now has
    /// lost some, and may have lost sign-ins.
    fn refuse_missing_events(&self, brief: &FeedBrief<'_>) -> Result<(), Error> {
        let day = brief.snapshot_time.date_naive().pred_opt().unwrap_or_default();
        let kinds = [
            ("events", &self.by_day.all, &brief.events_by_day.all),
            ("LOGIN events", &self.by_day.logins, &brief.events_by_day.logins),
        ];
        for (kind, read, known) in kinds {
            let of_day = |counts: &DayCounts| counts.get(&day).copied().unwrap_or(0);
            let (read, known) = (of_day(read), of_day(known));
            if read < known {
                return Err(Error::refused(format!(
                    "the admin log returns {read} {kind} of {day} now, and the snapshot has {known}"
                ))
                .hint("missing events hide sign-ins: check Box's status page, then run `boxseat sync`"));
            }
        }
        Ok(())
    }

    /// Whether the last walk is too old to act on.
    pub(crate) fn is_stale(&self, now: DateTime<Utc>) -> bool {
        self.read_to.is_none_or(|read_to| now - read_to >= FRESH)
    }

    /// All events about a user, by id or by login.
    pub(crate) fn of<'a>(&'a self, user_id: &str, login: &str) -> impl Iterator<Item = &'a News> {
        let by_login = self.by_login.get(&login.to_lowercase());
        self.by_id.get(user_id).into_iter().chain(by_login).flatten()
    }

    async fn stream(
        &mut self,
        reader: &BoxReader,
        brief: &FeedBrief<'_>,
        types: &[String],
    ) -> Result<Heard, Error> {
        let mut walk = StreamWalk::default();
        let mut at = self.position.clone().unwrap_or_else(|| brief.mark.position.clone());
        let mut heard = Heard::default();
        loop {
            let body = reader.stream(&at, types).await.map_err(failed)?;
            let (page, next) = self.take(&body, brief.activity).map_err(failed)?;
            heard.events += page.events;
            heard.logins += page.logins;
            let sent = StreamPosition::from(at.as_str());
            let page = Summary { count: page.events, next_stream_position: next, ..Summary::default() };
            match walk.next(Some(&sent), &page) {
                Next::Page(next) => at = next.as_str().to_owned(),
                Next::End => break,
                Next::Incomplete(reason) => return Err(incomplete(&reason)),
            }
        }
        self.position = Some(at);
        Ok(heard)
    }

    async fn history(
        &mut self,
        reader: &BoxReader,
        types: &[String],
        created_after: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let query = EventQuery { created_after, created_before: now, event_types: types.to_vec() };
        let mut walk = StreamWalk::default();
        let mut position: Option<StreamPosition> = None;
        let activity: Vec<String> = types[event_types::all().len()..].to_vec();
        loop {
            let request = Request::Events { slice: 0, login_only: false, position: position.clone() };
            let answer = reader.ask_and_note(&request, Some(&query)).await.map_err(failed)?;
            self.take(&answer.body, &activity).map_err(failed)?;
            match walk.next(position.as_ref(), &answer.summary) {
                Next::Page(next) => position = Some(next),
                Next::End => return Ok(()),
                Next::Incomplete(reason) => return Err(incomplete(&reason)),
            }
        }
    }

    /// Takes a page in; an event that cannot be read could be about any user.
    fn take(
        &mut self,
        body: &[u8],
        activity: &[String],
    ) -> Result<(Heard, Option<StreamPosition>), FeedError> {
        let page = Page::parse_events(body)?;
        let mut heard = Heard { events: page.entries.len() as u64, logins: 0 };
        for raw in &page.entries {
            let event = read::<Event<'_>>(raw.get()).map_err(NotAPage::from)?.record;
            heard.logins += u64::from(event.event_type == event_types::LOGIN);
            if !self.known.insert(event.event_id.clone()) {
                continue;
            }
            self.by_day.add(event.created_at.date_naive(), &event.event_type);
            let source = event.source();
            let news = News {
                event_type: event.event_type.clone(),
                at: event.created_at,
                actor_id: event.actor_id().map(str::to_owned),
            };
            // An activity is evidence about its actor, whatever its target.
            let (id, login) = if activity.contains(&event.event_type) {
                (event.actor_id(), event.created_by.as_ref().and_then(|by| by.login.as_deref()))
            } else {
                event.affected_user(&source)
            };
            match (id, login) {
                (Some(id), _) => self.by_id.entry(id.to_owned()).or_default().push(news),
                (None, Some(login)) => self.by_login.entry(login.to_lowercase()).or_default().push(news),
                (None, None) if event.event_type == event_types::LOGIN => {
                    return Err(FeedError::Unattributed(event.created_at));
                }
                (None, None) => {}
            }
        }
        Ok((heard, page.next_stream_position))
    }
}

/// Number of events in pages of the admin log, duplicates included.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Heard {
    /// Of all types.
    events: u64,
    /// Of LOGIN.
    logins: u64,
}

/// A failure after which no user may be changed.
fn failed(error: impl Into<FeedError>) -> Error {
    match error.into() {
        FeedError::Box(e)
            if matches!(
                e.kind(),
                boxseat_pipeline::ErrorKind::TryLater
                    | boxseat_pipeline::ErrorKind::Interrupted
                    | boxseat_pipeline::ErrorKind::Disk
            ) =>
        {
            e.into()
        }
        FeedError::Box(e) => Error::refused(format!("the admin log cannot be read: {e}"))
            .hint("no account is changed while sign-ins cannot be read; the reading application needs \"Manage enterprise properties\""),
        FeedError::Unreadable(e) => Error::refused("an event of the admin log cannot be understood")
            .because(e)
            .hint("no account is changed while sign-ins cannot be read"),
        FeedError::Unattributed(at) => {
            let at = at.format("%F %H:%M:%S UTC");
            Error::refused(format!("a sign-in at {at} names no user, so it may be of any user"))
                .hint("run `boxseat sync`, then make a new plan: idleness counts again from that sign-in on")
        }
    }
}

#[derive(Debug)]
enum FeedError {
    Box(boxseat_pipeline::Error),
    Unreadable(NotAPage),
    /// A sign-in at this time names no user.
    Unattributed(DateTime<Utc>),
}

impl From<boxseat_pipeline::Error> for FeedError {
    fn from(e: boxseat_pipeline::Error) -> Self {
        Self::Box(e)
    }
}

impl From<NotAPage> for FeedError {
    fn from(e: NotAPage) -> Self {
        Self::Unreadable(e)
    }
}

fn incomplete(reason: &str) -> Error {
    Error::refused(format!("the admin log could not be read to its end: {reason}"))
        .hint("no account is changed while sign-ins cannot be read; run the command again")
}

/// Refuses a span in which the live stream had no event, or no LOGIN, although many are usual.
fn refuse_silence(
    heard: Heard,
    brief: &FeedBrief<'_>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<(), Error> {
    let kinds = [
        ("event", heard.events, &brief.events_by_day.all),
        ("LOGIN event", heard.logins, &brief.events_by_day.logins),
    ];
    for (kind, heard, events_by_day) in kinds {
        if heard == 0
            && let Some(silence) = suspicious_silence(events_by_day, brief.quiet_dates, from, to)
        {
            return Err(Error::refused(format!(
                "the admin log has no {kind} since {}, and {} are usual in that time",
                from.format("%F %H:%M UTC"),
                silence.usual_events
            ))
            .hint("missing events hide sign-ins: check Box's status page, then run `boxseat sync`; for a holiday add the date \
                to [sync] quiet_dates"));
        }
    }
    Ok(())
}

/// The silence of a span without events, if it is long enough and improbable ([`KnownDays`], as in `sync`). A day counts if half of it is
/// in the span.
fn suspicious_silence(
    events_by_day: &DayCounts,
    quiet_dates: &[NaiveDate],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Option<Silence> {
    if to - from < SILENCE {
        return None;
    }
    let half_a_day = SILENCE / 2;
    let first_silent = (from + half_a_day).date_naive();
    let end = (to + half_a_day).date_naive();
    // The events of the snapshot's own day came before the span.
    let before: DayCounts = events_by_day.range(..first_silent).map(|(day, count)| (*day, *count)).collect();
    let first = before.keys().next().copied().unwrap_or(first_silent);
    let known = KnownDays { counts: &[&before], first, end, quiet_dates };
    known.improbable_silences(first_silent).pop()
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The days of a span of weeks, from a Monday on, with so many events on working days and on weekends.
    fn days(count: usize, working: u64, weekend: u64) -> DayCounts {
        let days = at("2026-02-02T00:00:00Z").date_naive().iter_days().take(count);
        days.map(|day| (day, if day.weekday().number_from_monday() > 5 { weekend } else { working }))
            .collect()
    }

    /// R11: a feed without events for a day, where that weekday always has some, proves nothing.
    #[test]
    fn r11_a_silent_working_day_is_suspicious_and_a_silent_weekend_is_not() {
        let usual = |until: usize, from, to| {
            suspicious_silence(&days(until, 400, 3), &[], from, to).map(|silence| silence.usual_events)
        };
        // Monday, 2 March 2026, 06:00.
        let (monday, hours) = (at("2026-03-02T06:00:00Z"), TimeDelta::hours);
        assert_eq!(usual(28, monday, monday + hours(23)), None, "too short to say");
        assert_eq!(usual(28, monday, monday + hours(24)), Some(400));
        let saturday = at("2026-03-07T06:00:00Z");
        assert_eq!(usual(33, saturday, saturday + hours(47)), None);
        assert_eq!(usual(33, saturday, saturday + hours(60)), Some(406), "Monday had begun long ago");
    }

    /// Why: a small enterprise has less than fifty events a day, so no silence of its log was ever found.
    #[test]
    fn r11_silence_of_a_small_enterprise_is_suspicious_after_some_days() {
        let wednesday = at("2026-03-04T06:00:00Z");
        let (few, hours) = (days(28, 20, 0), TimeDelta::hours);
        assert_eq!(
            suspicious_silence(&few, &[], wednesday, wednesday + hours(36))
                .map(|silence| silence.usual_events),
            Some(80)
        );
        let busy_until_then = days(30, 20, 0);
        assert_eq!(suspicious_silence(&busy_until_then, &[], wednesday, wednesday + hours(36)), None);
    }

    /// Why: `sync` knew the holiday, and `apply` refused to act on it.
    #[test]
    fn r11_silence_on_a_quiet_date_is_expected() {
        let days = days(28, 60, 60);
        let monday = at("2026-03-02T06:00:00Z");
        let until = monday + TimeDelta::hours(30);
        let first = |quiet: &[NaiveDate]| {
            suspicious_silence(&days, quiet, monday, until).map(|silence| silence.first)
        };
        assert_eq!(first(&[]), Some(monday.date_naive()));
        assert_eq!(first(&[monday.date_naive()]), Some(until.date_naive()), "the day after is none");
        assert_eq!(first(&[monday.date_naive(), until.date_naive()]), None);
    }

    /// Why: a log that hid every sign-in since the plan and returned changes only was not silent.
    #[test]
    fn r11_silence_of_logins_stops_although_other_events_arrive() {
        let monday = at("2026-03-02T06:00:00Z");
        let mark = StreamMark { position: "7".to_owned(), asked_at: monday };
        let result = |logins_a_day: u64, heard: Heard, quiet_dates: &[NaiveDate]| {
            let events_by_day = EventDays { all: days(28, 400, 3), logins: days(28, logins_a_day, 0) };
            let brief = FeedBrief {
                mark: &mark,
                snapshot_time: monday,
                activity: &[],
                events_by_day: &events_by_day,
                quiet_dates,
            };
            refuse_silence(heard, &brief, monday, monday + TimeDelta::hours(24))
                .map_err(|e| e.lines().join(": "))
        };
        let changes_only = Heard { events: 9, logins: 0 };
        let refusal = result(50, changes_only, &[]).unwrap_err();
        assert!(refusal.contains("no LOGIN event since 2026-03-02 06:00 UTC, and 50 are usual"), "{refusal}");
        assert!(result(50, Heard { events: 9, logins: 1 }, &[]).is_ok());
        assert!(result(49, changes_only, &[]).is_ok());
        assert!(result(50, changes_only, &[monday.date_naive()]).is_ok());
    }

    #[test]
    fn r11_an_event_is_matched_to_its_user_by_id_login_or_actor() {
        let mut feed = Feed::default();
        let events = r#"{"next_stream_position":"9","entries":[
            {"event_id":"a","event_type":"LOGIN","created_at":"2026-03-02T08:00:00Z","source":{"type":"user","id":"1","login":"a@b.test"}},
            {"event_id":"a","event_type":"LOGIN","created_at":"2026-03-02T08:00:00Z","source":{"type":"user","id":"1","login":"a@b.test"}},
            {"event_id":"b","event_type":"LOGIN","created_at":"2026-03-02T08:00:00Z","source":{"login":"C@b.test"}},
            {"event_id":"c","event_type":"DOWNLOAD","created_at":"2026-03-02T08:00:00Z","created_by":{"id":"5"},"source":{"type":"file","id":"77"}}]}"#;
        let (heard, next) = feed.take(events.as_bytes(), &["DOWNLOAD".to_owned()]).unwrap();
        assert_eq!((heard, next.unwrap().as_str()), (Heard { events: 4, logins: 3 }, "9"));
        assert_eq!(feed.of("1", "a@b.test").count(), 1, "the same event twice is one");
        assert_eq!(feed.of("3", "c@B.test").count(), 1);
        assert_eq!(
            feed.of("5", "e@b.test").map(|news| news.event_type.as_str()).collect::<Vec<_>>(),
            ["DOWNLOAD"]
        );
        assert!(
            feed.take(br#"{"chunk_size":1,"entries":[{"event_id":"z"}]}"#, &[]).is_err(),
            "it may be of any user"
        );
    }

    /// Why: a log that returned nothing hid the sign-ins since the plan.
    #[test]
    fn r11_a_log_with_fewer_events_than_the_snapshot_stops_everything() {
        let at = |text: &str| -> DateTime<Utc> { text.parse().unwrap() };
        let snapshot_time = at("2026-03-03T02:00:00Z");
        let mark = StreamMark { position: "7".to_owned(), asked_at: snapshot_time };
        let day = at("2026-03-02T00:00:00Z").date_naive();
        let known = EventDays { all: [(day, 2)].into(), logins: [(day, 2)].into() };
        let brief =
            FeedBrief { mark: &mark, snapshot_time, activity: &[], events_by_day: &known, quiet_dates: &[] };
        let mut feed = Feed::default();
        let mut has_all = |id: &str, event_type: &str| {
            let page = format!(
                r#"{{"chunk_size":1,"entries":[{{"event_id":"{id}","event_type":"{event_type}","created_at":"2026-03-02T08:00:00Z","source":{{"id":"1"}}}}]}}"#
            );
            feed.take(page.as_bytes(), &[]).unwrap();
            feed.refuse_missing_events(&brief).is_ok()
        };
        assert!(!has_all("a", "LOGIN"));
        assert!(!has_all("a", "LOGIN"), "the same event twice is one");
        assert!(!has_all("b", "EDIT_USER"), "another event replaces no sign-in");
        assert!(has_all("c", "LOGIN"));
        assert!(feed.take(br#"{"chunk_size":0}"#, &[]).is_err());
    }

    #[test]
    fn r11_a_sign_in_that_names_no_user_stops_everything() {
        let login = |parties: &str| {
            format!(
                r#"{{"chunk_size":1,"entries":[{{"event_id":"a","event_type":"LOGIN","created_at":"2026-03-02T08:00:00Z"{parties}}}]}}"#
            )
        };
        let take = |parties: &str| Feed::default().take(login(parties).as_bytes(), &[]);
        assert!(take(r#","source":{"id":"1"}"#).is_ok());
        assert!(take(r#","created_by":{"id":"2","login":""},"source":null"#).is_err());
        assert!(take("").is_err());
    }
}
