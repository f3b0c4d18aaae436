//! A night: from Box to the published file.
//!
//! ```text
//! start ─▶ Unsealed ──extract, guards──▶ Sealed ──load──▶ Loaded ──build, check──▶ Checked ──▶ Visible ──▶ Published
//! ```

mod failpoint;
mod finish;
mod load;
mod read;
mod replay;
mod start;

use std::sync::Arc;

use boxseat_pipeline::Clock;
use boxseat_pipeline::client::{BoxReader, Credentials};
use boxseat_pipeline::extract::{Meter, Walks};
use boxseat_schemas::run::Reservation;
use boxseat_schemas::spool::Frame;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::error::CommandError;
use crate::store::Store;

pub(crate) use finish::{Outcome, publish_latest, root};
pub(crate) use load::known_events;
pub(crate) use replay::replay;
pub(crate) use start::open_runs;

/// What one start is asked to do.
pub(crate) struct Night<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) credentials: Credentials,
    pub(crate) clock: Clock,
    pub(crate) accept_shrink_percent: Option<f64>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) stop: CancellationToken,
}

impl Night<'_> {
    /// Does whatever this start is for: finish, resume, publish, or begin a run.
    ///
    /// # Errors
    /// By exit code; whatever was read is kept.
    pub(crate) async fn run(&self, store: &mut Store) -> Result<Outcome, CommandError> {
        let mut accept_shrink = self.accept_shrink_percent;
        loop {
            let mut was_sealed = false;
            let reservation = match start::decide(store, self.settings, &self.clock, accept_shrink)? {
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
                    return tokio::task::block_in_place(|| finish::publish_latest(store, self.settings));
                }
                start::Start::Read(reservation) => {
                    self.read(store, &reservation).await?;
                    reservation
                }
                start::Start::GiveUp(reservation, status) => {
                    tracing::warn!(
                        run = reservation.run_number.0,
                        status = status.as_str(),
                        "an earlier run is given up"
                    );
                    let now = (self.clock)();
                    tokio::task::block_in_place(|| {
                        load::end(store, self.settings, &reservation, status, now)
                    })?;
                    continue;
                }
            };
            let outcome = self.finish(store, &reservation)?;
            // An earlier night that had only to be finished is not tonight's.
            if !was_sealed || (self.clock)() - reservation.started_at < self.settings.resume {
                return Ok(outcome);
            }
            accept_shrink = None;
            tracing::info!(run = reservation.run_number.0, "an earlier night is finished; now tonight's");
        }
    }

    async fn read(&self, store: &mut Store, reservation: &Reservation) -> Result<(), CommandError> {
        let mut walks = Walks::new(read::plan(reservation, store.enterprise_id()));
        let spool = read::open_spool(store, reservation, &mut walks, &self.meter, (self.clock)())?;
        let credentials = self.credentials.fingerprint();
        walks.begin_session(&credentials);
        spool.append(&Frame::Session { credentials }, b"")?;
        let shrink_percent = self.accept_shrink_percent.unwrap_or(self.settings.shrink_guard_percent);
        let journal = boxseat_pipeline::extract::journal_to(spool.clone(), Arc::clone(&self.clock));
        let reader = BoxReader::new(
            &self.settings.endpoints.client,
            self.credentials.clone(),
            journal,
            Arc::clone(&self.clock),
            self.stop.clone(),
        )?;
        read::read(
            store,
            self.settings,
            reservation,
            &reader,
            spool,
            &mut walks,
            &self.meter,
            &self.stop,
            &self.clock,
            shrink_percent,
        )
        .await
    }

    fn finish(&self, store: &mut Store, reservation: &Reservation) -> Result<Outcome, CommandError> {
        tokio::task::block_in_place(|| finish::finish(store, self.settings, reservation, &self.clock))
    }
}
