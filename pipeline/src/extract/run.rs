//! Sends requests with a limit of calls in flight, until none is left. Every page is in the spool before it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use boxseat_schemas::spool::{CallOutcome, Frame, Request};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Crawl;
use crate::client::{Answer, BoxReader, CallJournal, CallNote};
use crate::spool::SpoolWriter;
use crate::{Clock, Error, Privacy, guard};

/// The options of a run.
#[derive(Debug, Clone)]
pub struct ExtractSettings {
    /// Requests in flight at once; the default is 16.
    pub concurrency: usize,
    /// Whether the machine's clock must agree with Box's. A rehearsal with `--now` does not need this.
    pub check_clock: bool,
    /// The parts of a page that are stored.
    pub privacy: Privacy,
}

/// The progress of a run, for the display. All numbers except `left` only grow.
#[derive(Debug, Default)]
pub struct Meter {
    /// The user listing.
    pub users: StreamMeter,
    /// The group listing.
    pub groups: StreamMeter,
    /// Memberships, both sides.
    pub memberships: StreamMeter,
    /// Email aliases.
    pub aliases: StreamMeter,
    /// Events.
    pub events: StreamMeter,
}

/// The progress of one stream.
#[derive(Debug, Default)]
pub struct StreamMeter {
    /// Pages read, including those of an earlier process of the same run.
    pub calls: AtomicU64,
    /// Records read.
    pub rows: AtomicU64,
    /// Requests that are left, as far as they are known.
    pub left: AtomicU64,
}

/// Protects against a bug in the reader: after `wind_down`, the reader ends within its own grace period.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);
/// How often the spool is synced.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Reads everything that the walks request.
///
/// A crash leaves the counted pages in the spool. Pages in flight were not counted and are requested again. There is no other state. When
/// `stop` fires, pages in flight are read, the spool is synced, and [`Error::Interrupted`] is returned.
///
/// # Errors
/// The error that ended the run first. Pages that arrived in the meantime are kept.
pub async fn extract(
    reader: &BoxReader,
    spool: &SpoolWriter,
    crawl: &mut Crawl,
    settings: &ExtractSettings,
    meter: &Meter,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let mut in_flight: JoinSet<(Request, Result<Answer, Error>)> = JoinSet::new();
    let mut check_clock = settings.check_clock;
    let mut sync_tick = interval(SYNC_INTERVAL);
    sync_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let failure = loop {
        while in_flight.len() < settings.concurrency {
            let Some(request) = crawl.next_request() else { break };
            let (reader, query) = (reader.clone(), crawl.event_query(&request));
            in_flight.spawn(async move {
                let answer = reader.ask_patiently(&request, query.as_ref()).await;
                (request, answer)
            });
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break Some(Error::Interrupted),
            _ = sync_tick.tick() => {
                let spool = spool.clone();
                if let Err(e) = blocking(move || spool.sync()).await {
                    break Some(e);
                }
            }
            joined = in_flight.join_next() => match joined {
                None => break None,
                Some(joined) => {
                    let (request, answer) = joined.expect("the request task does not panic and is not aborted here");
                    if let Err(e) = take_in(spool, crawl, meter, settings.privacy, &request, answer) {
                        break Some(e);
                    }
                    // Once in every process, whatever its first request is.
                    if std::mem::take(&mut check_clock)
                        && let Err(refusal) = guard::clock(reader.skew_secs())
                    {
                        break Some(refusal.into());
                    }
                }
            },
        }
    };
    if failure.is_some() {
        // No request may start while the run ends, in particular not if Box has just required a pause.
        reader.wind_down();
        let drained = timeout(DRAIN_PATIENCE, async {
            while let Some(joined) = in_flight.join_next().await {
                let (request, answer) =
                    joined.expect("the request task does not panic and is not aborted here");
                // A second failure is not reported. Only the pages matter here.
                let _ = take_in(spool, crawl, meter, settings.privacy, &request, answer);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                pages = in_flight.len(),
                "pages in flight did not arrive in time; they will be requested again"
            );
            in_flight.shutdown().await;
        }
    }
    let last_sync = {
        let spool = spool.clone();
        blocking(move || spool.sync()).await
    };
    match failure {
        Some(e) => Err(e),
        None => last_sync.and_then(|()| crawl.check_complete()),
    }
}

/// Spools a page without the data that `privacy` does not store, then passes it to the walks. A request that was refused with 400 may
/// have an alternative.
pub(crate) fn take_in(
    spool: &SpoolWriter,
    crawl: &mut Crawl,
    meter: &Meter,
    privacy: Privacy,
    request: &Request,
    answer: Result<Answer, Error>,
) -> Result<(), Error> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Error::Rejected { status: 400, .. }) if crawl.refused(request) => return Ok(()),
        Err(e @ (Error::Rejected { .. } | Error::GaveUp { .. })) if request.is_about_one() => {
            return pass_over(spool, crawl, request, &e);
        }
        Err(e) => return Err(e),
    };
    // The walks report whether the page is the last one of its walk, and the frame records it. A page that the walks refuse is stored, too.
    let walk = crawl.walk_number(request);
    let absorbed = crawl.absorb(request, &answer.summary, &answer.body, answer.received_at);
    if let (Request::Me, Err(Error::Guard(_))) = (request, &absorbed) {
        // A user of another enterprise must not be in this spool. Only the call is recorded.
        let (endpoint, at) = (request.endpoint().to_owned(), answer.received_at);
        spool.append(&Frame::Call { endpoint, at, outcome: CallOutcome::Done, waited_seconds: 0 }, b"")?;
        return absorbed.map(drop);
    }
    let frame = Frame::Page {
        request: request.clone(),
        received_at: answer.received_at,
        status: answer.status,
        walk,
        last: matches!(absorbed, Ok(true)),
        damaged_characters: answer.damaged_characters,
    };
    spool.append(&frame, &privacy.scrub_page(request, &answer.body))?;
    if !crawl.may_be_closed(request, answer.status) {
        return Err(Error::closed(request.endpoint()));
    }
    meter.count(request, answer.summary.count, crawl);
    match absorbed {
        Err(e @ Error::IncompleteWalk { .. }) if request.is_about_one() => {
            pass_over(spool, crawl, request, &e)
        }
        absorbed => absorbed.map(drop),
    }
}

/// Records that the record of one user or group could not be read, and continues with the others.
fn pass_over(spool: &SpoolWriter, crawl: &mut Crawl, request: &Request, error: &Error) -> Result<(), Error> {
    // A user who is not listed any more and cannot be read by id stays unconfirmed. No other data is lost.
    if matches!(request, Request::User { .. }) {
        tracing::warn!("{} is not listed and could not be read by id: {error}", request.subject());
        return Ok(());
    }
    let reason = format!("{} could not be read: {error}", request.subject());
    tracing::warn!("{reason}; the state of the base run is used, and the next run requests it again");
    spool.append(&Frame::Unread { request: request.clone(), reason: reason.clone() }, b"")?;
    crawl.give_up(request, reason)
}

impl Meter {
    /// Counts a page.
    pub fn count(&self, request: &Request, rows: u64, crawl: &Crawl) {
        let stream = match request {
            Request::Me | Request::User { .. } => return,
            Request::Users { .. } => &self.users,
            Request::Groups { .. } => &self.groups,
            Request::GroupMemberships { .. } | Request::UserMemberships { .. } => &self.memberships,
            Request::EmailAliases { .. } => &self.aliases,
            Request::Events { .. } => &self.events,
        };
        stream.calls.fetch_add(1, Ordering::Relaxed);
        stream.rows.fetch_add(rows, Ordering::Relaxed);
        self.aliases.left.store(crawl.aliases_left(), Ordering::Relaxed);
        self.memberships.left.store(crawl.membership_walks_left(), Ordering::Relaxed);
        self.events.left.store(crawl.slices_left(), Ordering::Relaxed);
    }
}

/// A journal that writes calls without a page into the run's spool.
pub fn journal_to(spool: SpoolWriter, clock: Clock) -> Arc<dyn CallJournal> {
    struct Journal {
        spool: SpoolWriter,
        clock: Clock,
    }
    impl CallJournal for Journal {
        fn record(&self, note: CallNote) -> Result<(), Error> {
            let frame = Frame::Call {
                endpoint: note.endpoint.to_owned(),
                at: (self.clock)(),
                outcome: note.outcome,
                waited_seconds: note.waited_seconds,
            };
            self.spool.append(&frame, b"")
        }
    }
    Arc::new(Journal { spool, clock })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("disk work does not panic")
}
