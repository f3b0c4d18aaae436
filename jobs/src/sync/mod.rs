//! One run: from Box to the published file.
//!
//! ```text
//! start ─▶ Unsealed ──extract, guards──▶ Sealed ──load──▶ Loaded ──build, check──▶ Checked ──▶ Visible ──▶ Published
//! ```

mod base;
mod evidence;
mod expire;
mod finish;
mod load;
mod read;
mod replay;
mod retain;
mod start;
mod thin;

use std::sync::Arc;

use boxseat_output::warehouse::Purpose;
use boxseat_pipeline::Clock;
use boxseat_pipeline::client::Credentials;
use boxseat_pipeline::extract::Meter;
use boxseat_schemas::plan::RunPlan;
use boxseat_schemas::run::Reservation;

use crate::calls::Uncommitted;
use crate::config::Settings;
use crate::error::CommandError;
use crate::ledger::ledger_ids;
use crate::stop::Stop;
use crate::store::Store;

pub(crate) use base::LakeBase;
pub(crate) use finish::{Outcome, build_as_of, publish_latest};
pub(crate) use load::{commit_row, known_events};
pub(crate) use replay::replay;
pub(crate) use start::open_runs;

/// One start of `sync`.
pub(crate) struct SyncJob<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) credentials: Credentials,
    pub(crate) clock: Clock,
    pub(crate) accept_shrink_percent: Option<f64>,
    /// Stop after the plan is made.
    pub(crate) plan_only: bool,
    /// Read everything, even if nothing has changed.
    pub(crate) full: bool,
    /// Whether the snapshot is published or only stored in the lake.
    pub(crate) purpose: Purpose,
    pub(crate) meter: Arc<Meter>,
    pub(crate) stop: Stop,
}

/// How a start ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// A run is complete and in the lake.
    Complete(Box<Outcome>),
    /// The run stays open. The next start reads by this plan.
    Planned(Box<Reservation>, Box<RunPlan>),
}

impl SyncJob<'_> {
    /// Finishes, resumes or publishes an earlier run, or does a new one.
    ///
    /// # Errors
    /// By exit code. Pages that were read stay in the spool.
    pub(crate) async fn run(&self, store: &mut Store) -> Result<Ended, CommandError> {
        store.begin_record(self.settings)?;
        // Before the first call: a run whose ledger is damaged cannot be committed.
        let runs = store.lake().sync_runs()?;
        let known = ledger_ids(store, runs.iter().map(|run| run.run_number))?;
        Uncommitted::read(store.root(), &known)?.warn_of_missing_ends();
        let mut accept_shrink = self.accept_shrink_percent;
        loop {
            self.stop.check()?;
            let mut was_sealed = false;
            let reservation =
                match start::decide(store, self.settings, &self.clock, accept_shrink, self.purpose)? {
                    start::Start::Finish(reservation) => {
                        was_sealed = true;
                        reservation
                    }
                    start::Start::AcceptShrink(reservation, percent) => {
                        read::accept_shrink(store, self.settings, &reservation, percent, (self.clock)())?;
                        reservation
                    }
                    start::Start::Publish(run) => {
                        tracing::info!(
                            run = run.run_number.0,
                            "the last run is complete but was not published; publishing it"
                        );
                        let outcome =
                            tokio::task::block_in_place(|| finish::publish_latest(store, self.settings))?;
                        return Ok(Ended::Complete(Box::new(outcome)));
                    }
                    start::Start::Read(reservation) => {
                        if let Some(plan) = self.read(store, &reservation).await? {
                            return Ok(Ended::Planned(Box::new(reservation), Box::new(plan)));
                        }
                        reservation
                    }
                    start::Start::GiveUp(reservation, status) => {
                        tracing::warn!(
                            run = reservation.run_number.0,
                            status = status.as_str(),
                            "gave up an earlier run"
                        );
                        let now = (self.clock)();
                        tokio::task::block_in_place(|| {
                            load::end(store, self.settings, &reservation, status, now)
                        })?;
                        continue;
                    }
                };
            let outcome = self.finish(store, &reservation)?;
            // A sealed run older than `resume_hours` does not replace the run of this start.
            if !was_sealed || (self.clock)() - reservation.started_at < self.settings.resume {
                return Ok(Ended::Complete(Box::new(outcome)));
            }
            accept_shrink = None;
            tracing::info!(run = reservation.run_number.0, "finished an earlier run; starting a new run");
        }
    }

    fn finish(&self, store: &mut Store, reservation: &Reservation) -> Result<Outcome, CommandError> {
        tokio::task::block_in_place(|| {
            finish::finish(store, self.settings, reservation, &self.clock, self.purpose, &self.stop)
        })
    }
}
