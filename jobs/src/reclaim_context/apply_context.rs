//! What every acting command opens: settings, store, policy, snapshot, and the two clients for Box.

use std::path::Path;
use std::sync::Arc;

use boxseat_pipeline::Clock;
use boxseat_pipeline::client::{BoxActor, BoxReader};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::StreamMark;
use boxseat_reclaim::journal::approval::Required;
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::rules::policy::Policy;
use boxseat_reclaim::rules::policy_inputs::{InputFile, PolicyInputs};
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_schemas::reclaim::Plan;
use boxseat_schemas::reclaim::plan::{Operator, Origin};
use boxseat_schemas::run::root;

use super::context::ReclaimContext;
use super::seat_actions;
use crate::calls::CommandCalls;
use crate::cli::Global;
use crate::clock::data_clock;
use crate::config::{actions_credentials, credentials};
use crate::error::{CommandError, Error};
use crate::failpoint;
use crate::imports::refuse_evidence_that_waits;
use crate::shared_pace::SharedPace;
use crate::stop::Stop;

/// The context of an acting command.
pub(crate) struct ApplyContext {
    pub(crate) context: ReclaimContext,
    /// `None`: none is configured.
    pub(crate) policy: Option<Policy>,
    pub(crate) inputs: PolicyInputs,
    pub(crate) clock: Clock,
    pub(crate) by: Operator,
}

/// The two clients for Box, with one shared rate; the rate is halved while `sync` uses the store (R17).
pub(crate) struct Connection {
    pub(crate) reader: BoxReader,
    pub(crate) actor: BoxActor,
    _pace: SharedPace,
}

impl ApplyContext {
    /// Opens everything but Box.
    ///
    /// # Errors
    /// Exit 2 for usage and configuration; R10: `--now` against a Box that is not on this machine.
    pub(crate) fn open(global: &Global, policy_file: Option<&Path>) -> Result<Self, CommandError> {
        let context = ReclaimContext::open(global)?;
        let clock = data_clock(context.settings.rehearsed_now);
        let policy_files = context.policy_files(policy_file);
        let policy = context.policy_if_any(policy_file)?;
        let policy_files = policy_files.into_iter().map(InputFile::after_reading);
        let mut inputs = match &policy {
            Some(policy) => context.readable_inputs(policy),
            None => PolicyInputs {
                activity_events: context.settings.activity_events.clone(),
                quiet_dates: context.settings.quiet_dates.clone(),
                ..PolicyInputs::default()
            },
        };
        inputs.files.extend(policy_files);
        Ok(Self { context, policy, inputs, clock, by: operator() })
    }

    /// The live stream position before a snapshot; for a replay, before the run whose pages it has.
    ///
    /// # Errors
    /// The disk's, the lake's.
    pub(crate) fn mark(&self, snapshot: &Snapshot) -> Result<Option<StreamMark>, CommandError> {
        let runs = self.context.store.lake().sync_runs()?;
        let number = runs
            .iter()
            .find(|run| run.run_number == snapshot.night.run_number)
            .map_or(snapshot.night.run_number, |run| root(&runs, run));
        Ok(StreamMark::of(self.context.store.root(), number)?)
    }

    /// Refuses to act by a policy as long as imported evidence of use is not in the published snapshot. An offboarding does not
    /// depend on use.
    ///
    /// # Errors
    /// Exit 3; disk.
    pub(crate) fn refuse_evidence_that_waits(
        &self,
        plan: &Plan,
        snapshot: &Snapshot,
    ) -> Result<(), CommandError> {
        match plan.origin {
            Origin::Policy { .. } => {
                refuse_evidence_that_waits(&self.context.store, snapshot.night.run_number)
            }
            _ => Ok(()),
        }
    }

    /// R9: what the approvals of a plan must be.
    ///
    /// # Errors
    /// As [`ReclaimContext::required`]; exit 3 if different users of the operating system are required, and this process runs in a
    /// user namespace.
    pub(crate) fn required(&self, plan: &Plan) -> Result<Required, CommandError> {
        let required = self.context.required(plan, self.policy.as_ref())?;
        required.os_user_counts().check_namespace()?;
        Ok(required)
    }

    /// Connects to Box.
    ///
    /// # Errors
    /// Exit 2 for credentials.
    pub(crate) fn connect(&self, stop: &Stop) -> Result<Connection, CommandError> {
        let reading = credentials()?;
        let acting = actions_credentials(&reading)?;
        let calls = CommandCalls::begin(self.context.store.root(), &self.clock)?;
        let reader = BoxReader::new(
            &self.context.settings.endpoints.client,
            reading,
            calls,
            Arc::clone(&self.clock),
            stop.reading().clone(),
        )?;
        let actor = BoxActor::sharing_pace(&reader, acting)?;
        let pace = SharedPace::for_reader(reader.clone(), self.context.store.root().join("state/lock"));
        Ok(Connection { reader, actor, _pace: pace })
    }

    /// Commits final outcomes to the lake's `seat_actions`, and anchors the heads of journal and record. A failure is reported and
    /// does no harm: the next command does it.
    pub(crate) fn commit_actions(&self, journal: &Journal) {
        if let Err(e) = self.context.anchor(journal) {
            tracing::warn!("the head of the journal could not be anchored ({})", e.lines().join(": "));
        }
        let enterprise_id = self.context.store.enterprise_id().unwrap_or_default();
        if let Err(e) =
            seat_actions::commit(self.context.store.root(), self.context.store.lake(), journal, enterprise_id)
        {
            tracing::warn!(
                "seat_actions could not be written ({}); the next command or sync writes it",
                e.lines().join(": ")
            );
        }
        if let Err(e) = self.context.store.anchor_record(&self.context.settings) {
            tracing::warn!("the head of the lake's record could not be anchored ({})", e.lines().join(": "));
        }
    }
}

/// A point at which tests kill the process.
pub(crate) fn crash(step: &str) -> Result<(), Error> {
    failpoint::reach(step);
    Ok(())
}
