//! Conversion of raw pages to rows.
//!
//! ```text
//! spool ─▶ [`Index`] ─▶ users ─▶ groups ─▶ memberships ─▶ email_aliases ─▶ events ─▶ event_coverage, run_calls, rejects
//! ```
//!
//! Every table is an iterator of Arrow batches over its frames, so memory does not depend on the size of the enterprise. Only the ids of
//! this snapshot and the event ids of one slice of the window stay in memory. Each record is a row, a duplicate, rejected or dropped,
//! and [`Tally`] has the count of each.

mod activity;
mod carry;
mod contradictions;
mod coverage;
mod events;
mod index;
mod losses;
mod readings;
mod rejects;
mod silence;
mod snapshot;
mod stage;
mod vanished;

pub use activity::Activity;
pub use carry::{Base, BaseError, BaseRows, with_column};
use coverage::Coverage;
pub use coverage::{UnreadEvent, holes};
pub use index::{EndpointCalls, Index};
pub use silence::{DayCounts, EventDays, KnownDays, Silence};
pub use stage::{Batches, PageOf, Stage, Tally};
pub use vanished::departure;

use std::collections::{BTreeSet, HashSet};
use std::fs::File;

use arrow::array::RecordBatch;
use boxseat_schemas::RunNumber;
use boxseat_schemas::plan::{Announced, RunPlan};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::table::{EMAIL_ALIASES, EVENT_COVERAGE, GROUPS, MEMBERSHIPS, RUN_CALLS, Rows, USERS};
use chrono::{DateTime, Utc};
use readings::{Members, Readings};
use vanished::Verdicts;

use crate::ids::IdSet;
use crate::spool::{SpoolDir, SpoolReader};
use crate::{Error, Privacy};

/// Converts one sealed run to batches, table by table, in the order of the public methods.
pub struct Normaliser<'a> {
    spool: SpoolReader,
    index: Index,
    reservation: &'a Reservation,
    enterprise_id: String,
    privacy: Privacy,
    base: Option<&'a dyn Base>,
    /// Listed users that are requested together with missing users, to prove that Box returns users.
    canaries: Vec<String>,
    /// Losses that the admin log announces.
    announced: Announced,
    deleted_groups: IdSet,
    /// The ids of this snapshot; filled by users and groups, used by the tables that refer to them.
    users: IdSet,
    unlisted: IdSet,
    groups: IdSet,
    /// Users that were listed with different values.
    contradictory: IdSet,
}

/// Events that earlier runs stored, so that the overlap is not stored twice.
#[derive(Debug, Default)]
pub struct KnownEvents {
    /// Fingerprints ([`crate::ids::fingerprint`]) of the event ids that current runs have inside the window.
    pub ids: HashSet<u128>,
    /// Of these, sign-ins without a user.
    pub unattributed: HashSet<u128>,
    /// End of the base run's window. A new event that is older arrived late.
    pub previous_window_to: Option<DateTime<Utc>>,
    /// Events per UTC day before the window, for the weekday's median.
    pub earlier_days: EventDays,
}

impl<'a> Normaliser<'a> {
    /// Opens the spool that run `read_as` wrote, and indexes its frames. `reservation` is the run that stores the rows: the same run, or
    /// its replay. `base` is the run whose rows are used for data that this run did not read.
    ///
    /// # Errors
    /// `Disk` or `Damaged`.
    pub fn open(
        dir: &SpoolDir,
        read_as: RunNumber,
        reservation: &'a Reservation,
        enterprise_id: &str,
        privacy: Privacy,
        base: Option<&'a dyn Base>,
    ) -> Result<Self, Error> {
        let spool = SpoolReader::open(dir, read_as.0)?;
        let index = Index::read(&spool, reservation.event_slices)?;
        // A run has no seal before the guards have passed. With a seal, every byte must be there.
        if let Some(seal) = dir.seal_record()? {
            spool.check_seal(&seal, index.frames())?;
        }
        let plan = match index.plan() {
            Some(offset) => {
                let (_, body) = spool.frames()?.frame_at(offset)?;
                serde_json::from_slice(&body)
                    .map_err(|e| Error::Page { walk: "the plan".to_owned(), source: e.into() })?
            }
            None => RunPlan::default(),
        };
        let mut deleted_groups = IdSet::default();
        plan.announced.groups.iter().for_each(|id| _ = deleted_groups.insert(id));
        Ok(Self {
            canaries: plan.reads.canaries,
            announced: plan.announced,
            deleted_groups,
            spool,
            index,
            reservation,
            enterprise_id: enterprise_id.to_owned(),
            privacy,
            base,
            users: IdSet::default(),
            unlisted: IdSet::default(),
            groups: IdSet::default(),
            contradictory: IdSet::default(),
        })
    }

    /// The open file of raw pages, for a comparison.
    pub fn pages(&self) -> &File {
        self.spool.file()
    }

    /// Call counts and reading times from the frames.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Users, one row each even if Box listed them more than once, and users of the base run who are not known to be gone. A user that was
    /// listed with different values is rejected.
    ///
    /// # Errors
    /// `Disk` or `Damaged`, here and from the iterator.
    pub fn users(&mut self) -> Result<Batches<'_, snapshot::Users<'_>>, Error> {
        let Self { spool, index, users, unlisted, base, contradictory, .. } = self;
        *contradictory = contradictions::contradictory_users(spool, index)?;
        let readings = Readings::of(index, *base).with_oldest_walk(spool)?;
        let verdicts = Verdicts::read(spool, index, &self.canaries, &self.enterprise_id)?;
        let known = snapshot::KnownUsers { listed: users, unlisted, contradictory };
        let stage = snapshot::Users::new(known, readings, verdicts, self.reservation, &self.enterprise_id);
        Ok(Batches::new(spool, index.users(), stage)?.carrying(*base, &USERS))
    }

    /// Groups.
    ///
    /// # Errors
    /// As [`Normaliser::users`].
    pub fn groups(&mut self) -> Result<Batches<'_, snapshot::Groups<'_>>, Error> {
        let Self { spool, index, groups, base, deleted_groups, .. } = self;
        let readings = Readings::of(index, *base);
        let stage = snapshot::Groups::new(
            groups,
            readings,
            index,
            deleted_groups,
            self.reservation,
            &self.enterprise_id,
        );
        Ok(Batches::new(spool, index.groups(), stage)?.carrying(*base, &GROUPS))
    }

    /// Memberships of the snapshot's users in its groups; requires users and groups first.
    ///
    /// # Errors
    /// As [`Normaliser::users`].
    pub fn memberships(&self) -> Result<Batches<'_, snapshot::Memberships<'_>>, Error> {
        let read = Members::of(&self.spool, &self.index)?;
        let stage = snapshot::Memberships::new(
            &self.users,
            &self.unlisted,
            &self.groups,
            read,
            self.reservation,
            &self.enterprise_id,
        );
        let batches = Batches::new(&self.spool, self.index.memberships(), stage)?;
        Ok(batches.carrying(self.base, &MEMBERSHIPS))
    }

    /// Email aliases of the snapshot's users; requires users first.
    ///
    /// # Errors
    /// As [`Normaliser::users`].
    pub fn email_aliases(&self) -> Result<Batches<'_, snapshot::EmailAliases<'_>>, Error> {
        let stage =
            snapshot::EmailAliases::new(&self.users, &self.index, self.reservation, &self.enterprise_id);
        let batches = Batches::new(&self.spool, self.index.email_aliases(), stage)?;
        Ok(batches.carrying(self.base, &EMAIL_ALIASES))
    }

    /// Events of the window that no current run has yet; requires users first.
    ///
    /// # Errors
    /// As [`Normaliser::users`].
    pub fn events(&self, known: &'a KnownEvents) -> Result<Batches<'_, events::Events<'_>>, Error> {
        let stage = events::Events::new(self, known);
        Batches::new(&self.spool, self.index.events(), stage)
    }

    /// Activity of the snapshot's users by day; requires users first.
    ///
    /// # Errors
    /// As [`Normaliser::users`].
    pub fn activity(&self) -> Result<Activity, Error> {
        Activity::read(self)
    }

    /// The spans of the window that are proved to have no gap, from the events that were just read. Where an event could not be read or
    /// attributed, nothing is proved.
    pub fn coverage(
        &self,
        counts: &EventDays,
        unread: &[UnreadEvent],
        unattributed: &BTreeSet<DateTime<Utc>>,
        known: &KnownEvents,
        quiet_dates: &[chrono::NaiveDate],
    ) -> RecordBatch {
        let mut rows = Rows::new(EVENT_COVERAGE.lake_schema());
        let proved = Coverage {
            reservation: self.reservation,
            login_only: self.index.login_only_slices(),
            activity_refused: self.index.is_activity_refused(),
            unread,
            unattributed,
        };
        for (event_type, from, to) in proved.intervals(counts, &known.earlier_days, quiet_dates) {
            rows.text(Some(&event_type))
                .time(Some(from))
                .time(Some(to))
                .big(Some(self.reservation.run_number.as_i64()))
                .text(Some(&self.enterprise_id))
                .end();
        }
        rows.take_batch()
    }

    /// The call ledger of the run.
    pub fn run_calls(&self) -> RecordBatch {
        let mut rows = Rows::new(RUN_CALLS.lake_schema());
        let big = |n: u64| i64::try_from(n).ok();
        for ((date, endpoint), calls) in self.index.calls() {
            rows.text(Some(&self.reservation.run_id.to_string()))
                .date(Some(*date))
                .text(Some(endpoint))
                .big(big(calls.calls))
                .big(big(calls.retries))
                .big(big(calls.throttled))
                .big(big(calls.errors))
                .text(Some(&self.enterprise_id))
                .big(Some(self.reservation.run_number.as_i64()))
                .end();
        }
        rows.take_batch()
    }

    /// Records that could not be parsed or contradict each other; requires users first. This is a separate pass, which is only useful if a
    /// tally counted rejected records.
    ///
    /// # Errors
    /// As [`Normaliser::users`].
    pub fn rejects(&self) -> Result<Batches<'_, rejects::Rejects<'_>>, Error> {
        let contradictory = &self.contradictory;
        let stage = rejects::Rejects::new(self.privacy, self.reservation, &self.enterprise_id, contradictory);
        Batches::new(&self.spool, self.index.all_pages(), stage)
    }
}
