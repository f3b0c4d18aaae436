//! From the reservation to the seal: survey, plan, the rest of the pages, guards.

use std::sync::Arc;

use boxseat_pipeline::Error;
use boxseat_pipeline::client::BoxReader;
use boxseat_pipeline::extract::{Brief, Crawl, ExtractSettings, Meter, extract};
use boxseat_pipeline::guard::{self, Refusal, Sizes};
use boxseat_pipeline::normalise::Normaliser;
use boxseat_pipeline::plan::{self, Inputs, PlanSettings, Survey};
use boxseat_pipeline::spool::{SpoolDir, SpoolWriter};
use boxseat_reclaim::journal::Seals;
use boxseat_reclaim::journal::{Journal, StreamMark};
use boxseat_schemas::plan::{RunPlan, Which};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::{FILE_HEADER_LEN, Frame};
use chrono::{DateTime, TimeDelta, Utc};

use super::base::LakeBase;
use super::start::unreadable;
use super::{SyncJob, known_events};
use crate::config::Settings;
use crate::error::CommandError;
use crate::failpoint::reach;
use crate::ledger::Month;
use crate::shared_pace::SharedPace;
use crate::store::Store;

impl SyncJob<'_> {
    /// Reads a run and seals it. With `--plan` it stops after the plan is made, and returns it.
    ///
    /// # Errors
    /// By exit code. Pages that were read stay in the spool.
    pub(super) async fn read(
        &self,
        store: &mut Store,
        reservation: &Reservation,
    ) -> Result<Option<RunPlan>, CommandError> {
        let mut walks = Crawl::new(brief(reservation, store.enterprise_id()));
        let spool = open_spool(store, reservation, &mut walks, &self.meter, (self.clock)())?;
        let credentials = self.credentials.fingerprint();
        walks.begin_session(&credentials);
        spool.append(&Frame::Session { credentials }, b"")?;
        let journal = boxseat_pipeline::extract::journal_to(spool.clone(), Arc::clone(&self.clock));
        let reader = BoxReader::new(
            &self.settings.endpoints.client,
            self.credentials.clone(),
            journal,
            Arc::clone(&self.clock),
            self.stop.reading().clone(),
        )?;
        // R17: while reclamation runs at the same time, each uses half of the request rate.
        let _pace = SharedPace::for_reader(reader.clone(), SharedPace::lock_of_reclaim(store.root()));
        let base = tokio::task::block_in_place(|| LakeBase::of(store, reservation))?;
        let is_full = |plan: &RunPlan| plan.reads.aliases == Which::All && plan.reads.groups == Which::All;
        let planned = walks.plan().is_some_and(|plan| !self.full || is_full(plan));
        if walks.plan().is_none() {
            StreamMark::keep(store.root(), reservation.run_number, &reader, (self.clock)()).await?;
            self.extract(store, reservation, &reader, &spool, &mut walks).await?;
            reach("surveyed");
        }
        if !planned {
            let plan = tokio::task::block_in_place(|| self.plan(store, reservation, base.as_ref(), &spool))?;
            let body = serde_json::to_vec(&plan).expect("plain data");
            spool.append(&Frame::Plan { calls: plan.calls() }, &body)?;
            spool.sync()?;
            walks.follow(plan);
            reach("planned");
        }
        if self.plan_only {
            return Ok(walks.plan().cloned());
        }
        walks.plan().iter().flat_map(|plan| &plan.notes).for_each(|note| tracing::warn!("{note}"));
        self.extract(store, reservation, &reader, &spool, &mut walks).await?;
        tokio::task::block_in_place(|| {
            let (plan, accepted) = (walks.plan(), self.accept_shrink_percent);
            let shrink = guards(store, self.settings, reservation, base.as_ref(), plan, accepted)?;
            if let Err(refusal) = shrink {
                spool.refuse(&refusal)?;
                return Err(Error::Guard(refusal).into());
            }
            reach("read");
            spool.seal((self.clock)())?;
            store.note_spool(reservation.run_number)?;
            Ok(None)
        })
    }

    /// Reads the pages that the walks need. Marks a run that a guard or unusable pages of Box refuse.
    async fn extract(
        &self,
        store: &mut Store,
        reservation: &Reservation,
        reader: &BoxReader,
        spool: &SpoolWriter,
        walks: &mut Crawl,
    ) -> Result<(), CommandError> {
        let how = ExtractSettings {
            concurrency: self.settings.concurrency,
            check_clock: self.settings.rehearsed_now.is_none(),
            privacy: self.settings.privacy,
        };
        let extracted = extract(reader, spool, walks, &how, &self.meter, self.stop.reading()).await;
        if let Some(caller) = walks.caller() {
            store.bind(&caller.enterprise_id)?;
        }
        match extracted {
            Ok(()) => Ok(()),
            Err(Error::Guard(refusal)) => {
                if refusal.is_about_the_run() {
                    spool.refuse(&refusal)?;
                }
                Err(Error::Guard(refusal).into())
            }
            Err(e) => Err(refuse(&store.spool(reservation.run_number), e)),
        }
    }

    /// Plans what the rest of the run reads, from the survey.
    fn plan(
        &self,
        store: &Store,
        reservation: &Reservation,
        base: Option<&LakeBase>,
        spool: &SpoolWriter,
    ) -> Result<RunPlan, CommandError> {
        spool.sync()?;
        let runs = store.lake().sync_runs()?;
        let known = known_events(store, reservation, &runs)?;
        let dir = store.spool(reservation.run_number);
        let mut survey = Survey::read(&dir, reservation, &known, base.is_some())?;
        survey.announce_deleted(own_deletions(store, self.settings));
        let quiet_dates = &self.settings.quiet_dates;
        if base.is_some()
            && let Err(refusal) = plan::silence(&survey, reservation, &known, quiet_dates)
        {
            spool.refuse(&refusal)?;
            return Err(Error::Guard(refusal).into());
        }
        let overlap = self.settings.overlap;
        let feed_failure = plan::failure(&survey, reservation, &known, overlap, quiet_dates);
        let base_run = runs.iter().find(|run| Some(run.run_number) == reservation.base_run_number);
        let budget = match self.settings.monthly_calls {
            Some(allowed) => Some(Month::of(store, &runs, reservation.started_at)?.budget(allowed)),
            None => None,
        };
        Ok(plan::plan(&Inputs {
            survey: &survey,
            base: base.map(LakeBase::times),
            since_base: base_run.map_or(TimeDelta::zero(), |run| reservation.started_at - run.started_at),
            feed_failure: feed_failure.as_deref(),
            now: reservation.started_at,
            budget,
            settings: &PlanSettings { everything: self.full, ..self.settings.plan.clone() },
        }))
    }
}

/// Users that boxseat has deleted, from the journal of reclamation. The shrink guards do not count them as missing.
fn own_deletions(store: &Store, settings: &Settings) -> Vec<String> {
    let journal = Journal::read(store.root(), store.id(), &settings.journal_key, Seals::Last);
    match journal {
        Ok(journal) => journal.past().deleted().map(str::to_owned).collect(),
        // The next `reclaim` command refuses the journal. Without it the guards are stricter.
        Err(e) => {
            tracing::warn!(
                "cannot read from the journal which users boxseat has deleted: {}",
                e.lines().join(": ")
            );
            Vec::new()
        }
    }
}

/// The parameters of the requests of a run.
fn brief(reservation: &Reservation, bound_enterprise: Option<&str>) -> Brief {
    Brief {
        slices: reservation.slices(),
        event_types: reservation.event_types.clone(),
        activity: reservation.activity.clone(),
        bound_enterprise: bound_enterprise.map(str::to_owned),
    }
}

/// The run's spool: a new one, or the one of an earlier start, which is replayed into the walks.
fn open_spool(
    store: &Store,
    reservation: &Reservation,
    walks: &mut Crawl,
    meter: &Meter,
    now: DateTime<Utc>,
) -> Result<SpoolWriter, CommandError> {
    let (dir, number) = (store.spool(reservation.run_number), reservation.run_number.0);
    let length = match std::fs::metadata(dir.pages()) {
        Ok(file) => Some(file.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(unreadable(&dir.pages(), e)),
    };
    if length.is_none_or(|length| length < FILE_HEADER_LEN as u64) {
        // A full disk or a kill may leave a file without a complete header: nothing was read yet. If the file cannot be removed, the
        // creation of the new one fails.
        let _ = std::fs::remove_file(dir.pages());
        return Ok(SpoolWriter::create(dir, number)?);
    }
    let mut pages = 0u64;
    let replayed = SpoolWriter::resume(dir.clone(), number, |frame, body| {
        walks.replay(frame, body)?;
        if let Frame::Page { request, .. } = frame {
            pages += 1;
            meter.count(request, 0, walks);
        }
        Ok(())
    });
    let spool = replayed.map_err(|e| refuse(&dir, e))?;
    walks.forget_old_markers(now);
    tracing::info!(run = number, pages, "continuing an interrupted run");
    Ok(spool)
}

/// Marks a spool that cannot be continued, so that the next start reads from the beginning.
fn refuse(dir: &SpoolDir, error: Error) -> CommandError {
    let marked = match &error {
        Error::Guard(_) | Error::IncompleteWalk { .. } | Error::Page { .. } => dir.refuse(&error.to_string()),
        _ => Ok(()),
    };
    marked.map_or_else(CommandError::from, |()| CommandError::from(error))
}

/// Seals a run that only the shrink guards refused, if `percent` covers the loss.
pub(super) fn accept_shrink(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    percent: f64,
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    let mut walks = Crawl::new(brief(reservation, store.enterprise_id()));
    walks.end();
    let dir = store.spool(reservation.run_number);
    let spool = SpoolWriter::resume(dir, reservation.run_number.0, |frame, body| walks.replay(frame, body))?;
    walks.check_complete()?;
    let base = LakeBase::of(store, reservation)?;
    guards(store, settings, reservation, base.as_ref(), walks.plan(), Some(percent))?
        .map_err(|refusal| CommandError::from(Error::from(refusal)))?;
    spool.seal(now)?;
    store.note_spool(reservation.run_number)
}

/// The guards against an incomplete listing: how many users are gone without an event, and how much smaller the snapshot is. Records
/// that could not be read count as missing.
fn guards(
    store: &Store,
    settings: &Settings,
    reservation: &Reservation,
    base: Option<&LakeBase>,
    plan: Option<&RunPlan>,
    accepted_percent: Option<f64>,
) -> Result<Result<(), Refusal>, CommandError> {
    let Some(base) = base else { return Ok(Ok(())) };
    let before = base.times().sizes();
    let number = reservation.run_number;
    let enterprise_id = store.enterprise_id().unwrap_or_default();
    let dir = store.spool(number);
    let mut snapshot =
        Normaliser::open(&dir, number, reservation, enterprise_id, settings.privacy, Some(base))?;
    let users = snapshot.users()?.exhaust()?;
    let groups = snapshot.groups()?.exhaust()?;
    let now = Sizes {
        // Carried rows were not listed.
        users: users.rows() - users.carried,
        groups: groups.rows() - groups.carried,
        memberships: snapshot.memberships()?.exhaust()?.rows(),
    };
    let percent = accepted_percent.unwrap_or(settings.shrink_guard_percent);
    let gone = plan.map_or(0, |plan| plan.unannounced_departures);
    let announced = snapshot.announced_losses()?;
    Ok(guard::shrink(before, now, announced, percent)
        .and_then(|()| guard::gone(gone, before.users, accepted_percent)))
}
