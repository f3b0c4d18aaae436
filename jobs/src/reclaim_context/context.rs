//! What every reclamation command opens first: configuration, store, policy, journal, and the published snapshot.

use std::path::Path;

use boxseat_output::query::CheckedReader;
use boxseat_reclaim::engine::Anchors;
use boxseat_reclaim::journal::Witness;
use boxseat_reclaim::journal::approval::{Required, terms};
use boxseat_reclaim::journal::operator::operator;
use boxseat_reclaim::journal::place;
use boxseat_reclaim::journal::plans::expired_plans;
use boxseat_reclaim::journal::state::{JournalState, UserState};
use boxseat_reclaim::journal::{Journal, ReclaimLock, Seals};
use boxseat_reclaim::rules::policy::Policy;
use boxseat_reclaim::rules::policy_inputs::{InputFile, PolicyInputs};
use boxseat_reclaim::rules::snapshot::Snapshot;
use boxseat_schemas::reclaim::plan::Origin;
use boxseat_schemas::reclaim::{Place, Plan};
use chrono::{DateTime, Utc};

use super::columns::Unreadable;
use super::{policy_lists, seat_actions, snapshot_rows};
use crate::cli::Global;
use crate::clock::data_clock;
use crate::config::Settings;
use crate::error::{CommandError, Error};
use crate::imports::refuse_evidence_that_waits;
use crate::store::Store;

/// How often a file that changes during the read is read again.
const READS: u32 = 5;

/// A store, and the time at which a command began.
pub(crate) struct ReclaimContext {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) now: DateTime<Utc>,
}

impl ReclaimContext {
    /// Opens the store that the flags name.
    ///
    /// # Errors
    /// Exit 2.
    pub(crate) fn open(global: &Global) -> Result<Self, CommandError> {
        let context = Self::open_to_adopt(global)?;
        context.store.check_witness(&context.settings)?;
        Ok(context)
    }

    /// Like [`ReclaimContext::open`], for `boxseat status`: it only shows data, so `--now` is accepted for every Box.
    ///
    /// # Errors
    /// As [`ReclaimContext::open`].
    pub(crate) fn open_to_read(global: &Global) -> Result<Self, CommandError> {
        let context = Self::with(Settings::load_to_read(global)?)?;
        context.store.check_witness(&context.settings)?;
        Ok(context)
    }

    /// Like [`ReclaimContext::open`]; the lake may be older than what the witness has of it.
    ///
    /// # Errors
    /// As [`ReclaimContext::open`].
    pub(crate) fn open_to_adopt(global: &Global) -> Result<Self, CommandError> {
        Self::with(Settings::load(global)?)
    }

    fn with(settings: Settings) -> Result<Self, CommandError> {
        let store = Store::open(&settings.store, &settings.access, &settings.journal_key)?;
        store.refuse_foreign_lake()?;
        let now = data_clock(settings.rehearsed_now)();
        Ok(Self { settings, store, now })
    }

    /// The files of [`ReclaimContext::policy_if_any`], as they are before they are read.
    pub(crate) fn policy_files(&self, named: Option<&Path>) -> Vec<InputFile> {
        [self.settings.policy_file.as_deref(), named].into_iter().flatten().map(InputFile::of).collect()
    }

    /// The configured policy, restricted by the one that `--policy` names (R9). Without a configured policy, the named one.
    ///
    /// # Errors
    /// Exit 2 if there is none, or if it is invalid.
    pub(crate) fn policy(&self, named: Option<&Path>) -> Result<Policy, CommandError> {
        match (self.settings.policy_file.as_deref(), named) {
            (Some(configured), Some(named)) => {
                Ok(Policy::load(configured)?.restricted_by(Policy::load(named)?)?)
            }
            (None, Some(path)) | (Some(path), None) => Ok(Policy::load(path)?),
            (None, None) => Err(CommandError::usage("there is no reclamation policy")
                .hint("[reclaim] policy = \"policy.toml\" in boxseat.toml, or --policy FILE; boxseat.example-policy.toml shows every key")),
        }
    }

    /// Like [`ReclaimContext::policy`]; `None` if neither the configuration nor `--policy` names one.
    ///
    /// # Errors
    /// Exit 2 if one is invalid.
    pub(crate) fn policy_if_any(&self, named: Option<&Path>) -> Result<Option<Policy>, CommandError> {
        let is_any = named.is_some() || self.settings.policy_file.is_some();
        is_any.then(|| self.policy(named)).transpose()
    }

    /// The policy that `--policy` names, by itself, to review a draft. Without one, the configured policy.
    ///
    /// # Errors
    /// As [`ReclaimContext::policy`].
    pub(crate) fn draft(&self, named: Option<&Path>) -> Result<Policy, CommandError> {
        named.map_or_else(|| self.policy(None), |path| Ok(Policy::load(path)?))
    }

    /// R9: what the approvals of a plan must be. A plan that follows a policy is approved and applied by the configured policy.
    ///
    /// # Errors
    /// Exit 2 if such a plan finds no configured policy, or the list of signers cannot be read.
    pub(crate) fn required(&self, plan: &Plan, policy: Option<&Policy>) -> Result<Required, CommandError> {
        if matches!(plan.origin, Origin::Policy { .. }) && self.settings.policy_file.is_none() {
            return Err(CommandError::usage(format!(
                "plan {} follows a policy, and the configuration names none",
                plan.plan_id
            ))
            .hint("approve and apply use [reclaim] policy of boxseat.toml; --policy can only add restrictions to it"));
        }
        let configured = policy.map(|policy| terms(&policy.approval)).transpose()?;
        Ok(Required::of(plan, configured.as_ref()))
    }

    /// The lists next to a policy.
    ///
    /// # Errors
    /// Exit 2.
    pub(crate) fn inputs(&self, policy: &Policy) -> Result<PolicyInputs, CommandError> {
        let settings = &self.settings;
        let inputs =
            policy_lists::read(policy, settings.leave_file.as_deref(), &settings.activity_events, self.now)?;
        Ok(PolicyInputs { quiet_dates: settings.quiet_dates.clone(), ..inputs })
    }

    /// The same, as far as the lists can be read: each unreadable list is a refusal to evaluate the policy.
    pub(crate) fn readable_inputs(&self, policy: &Policy) -> PolicyInputs {
        let settings = &self.settings;
        let leave_file = settings.leave_file.as_deref();
        let inputs = policy_lists::read_readable(policy, leave_file, &settings.activity_events, self.now);
        PolicyInputs { quiet_dates: settings.quiet_dates.clone(), ..inputs }
    }

    /// The published snapshot.
    ///
    /// # Errors
    /// Exit 2 if nothing is published; exit 3 if the file is not the one that was published, or another store's.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, CommandError> {
        self.store.require_record()?;
        self.store.lake().check_tables()?;
        let mut tries = 0;
        let snapshot = loop {
            let file = self.store.published_to_act()?;
            let snapshot = CheckedReader::open(&file, &self.settings.resources)
                .map_err(CommandError::from)
                .and_then(|reader| snapshot_rows::read(&reader, &self.store));
            // If another snapshot was published meanwhile, the file is read again.
            if file.is_unchanged()? {
                break snapshot?;
            }
            tries += 1;
            if tries == READS {
                return Err(CommandError::refused(format!(
                    "{} was changed {READS} times while it was read",
                    file.path().display()
                ))
                .hint("another program writes to it: stop that program, then run `boxseat publish`"));
            }
        };
        if snapshot.store_id != self.store.id() {
            return Err(CommandError::refused(format!(
                "the published file is of store {}, and this is {}",
                snapshot.store_id,
                self.store.id()
            ))
            .hint("`boxseat publish` builds the file of this store"));
        }
        Ok(snapshot)
    }

    /// The lists next to a policy and the published snapshot, to make plans from. The snapshot must have all imported evidence.
    ///
    /// # Errors
    /// As [`ReclaimContext::inputs`] and [`ReclaimContext::snapshot`]; exit 3 for evidence that the snapshot lacks.
    pub(crate) fn planning_inputs(&self, policy: &Policy) -> Result<(PolicyInputs, Snapshot), CommandError> {
        let (inputs, snapshot) = (self.inputs(policy)?, self.snapshot()?);
        refuse_evidence_that_waits(&self.store, snapshot.night.run_number)?;
        Ok((inputs, snapshot))
    }

    /// The journal, for reading only.
    ///
    /// # Errors
    /// Exit 3 if it is corrupt.
    pub(crate) fn journal(&self) -> Result<Journal, CommandError> {
        Ok(Journal::read(self.store.root(), self.store.id(), &self.settings.journal_key, Seals::Last)?)
    }

    /// The journal, for appending.
    ///
    /// # Errors
    /// Exit 75 if another process has it; exit 3 if it is corrupt, or ends before what the lake knows (R9).
    pub(crate) fn journal_to_write(&self) -> Result<Journal, CommandError> {
        let lock = ReclaimLock::take(self.store.root())?;
        let key = &self.settings.journal_key;
        let mut journal = Journal::open(self.store.root(), self.store.id(), key, lock)?;
        seat_actions::reaches(self.store.lake(), &journal)?;
        let here = self.place()?;
        place::check(journal.past(), &here)?;
        if let Some(witness) = self.witness() {
            witness.check(&journal)?;
            witness.probe()?;
        }
        if journal.past().bound.is_none() {
            journal.bind(here, operator());
        }
        Ok(journal)
    }

    /// The journal, to adopt it: it may be bound to another place, and be older than the lake.
    ///
    /// # Errors
    /// As [`ReclaimContext::journal_to_write`].
    pub(crate) fn journal_to_adopt(&self) -> Result<Journal, CommandError> {
        let lock = ReclaimLock::take(self.store.root())?;
        let key = &self.settings.journal_key;
        let journal = Journal::open_as(self.store.root(), self.store.id(), key, Seals::Older, lock)?;
        seat_actions::refuse_older_lake(self.store.lake(), &journal)?;
        if let Some(witness) = self.witness() {
            witness.probe()?;
        }
        Ok(journal)
    }

    /// Where this command runs.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn place(&self) -> Result<Place, CommandError> {
        Ok(place::here(self.store.root(), self.store.id(), self.settings.reclaim_host.as_deref())?)
    }

    /// Writes the head of the journal into the lake and, if one is configured, to the witness (R9). A command that wrote entries
    /// does so at its end; after a kill the next command does it.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn anchor(&self, journal: &Journal) -> Result<(), CommandError> {
        journal.anchor()?;
        Ok(self.witness().map_or(Ok(()), |witness| witness.note(journal, self.now))?)
    }

    /// `[reclaim] witness`.
    pub(crate) fn witness(&self) -> Option<Witness<'_>> {
        self.settings.witness_of(self.store.id())
    }

    /// Open plans that have expired.
    pub(crate) fn expired_plans(&self, past: &JournalState) -> Vec<String> {
        expired_plans(self.store.root(), past, self.now)
    }
}

impl From<Unreadable> for CommandError {
    fn from(unreadable: Unreadable) -> Self {
        Self::usage(unreadable.to_string())
            .hint("the published file is of another version: `boxseat publish` builds it again")
    }
}

impl Anchors for ReclaimContext {
    fn anchor(&self, journal: &Journal) -> Result<(), Error> {
        Ok(Self::anchor(self, journal)?)
    }
}

/// What is wrong where no policy is configured, although plans of a policy wait or have suspended users. Most often the configuration file
/// was not found. `None`: a policy has nothing to continue.
pub(crate) fn missing_policy(past: &JournalState) -> Option<CommandError> {
    let is_of_policy =
        |plan_id: &str| past.plans.get(plan_id).is_some_and(|plan| plan.policy_digest.is_some());
    let is_waiting = |known: &&UserState| {
        let is_gone = known.deletion().is_some() || known.seen_gone_at().next().is_some();
        let ours = known.suspension().filter(|_| !is_gone);
        ours.is_some_and(|ours| is_of_policy(&ours.attempt.plan_id))
    };
    let users = past.people.values().filter(is_waiting).count();
    let plans = past.open_plans().filter(|(_, plan)| plan.policy_digest.is_some()).count();
    if users + plans == 0 {
        return None;
    }
    let what = format!(
        "no policy is configured, but {} suspended by plans of a policy and {plans} of its plans are open: nothing continues for them",
        if users == 1 { "1 user is".to_owned() } else { format!("{users} users are") }
    );
    Some(CommandError::usage(what).hint(
        "[reclaim] policy in boxseat.toml names the policy; boxseat reads boxseat.toml of the working directory, or the file of --config",
    ))
}

#[cfg(test)]
mod tests {
    use boxseat_reclaim::testing::{created, intent, outcome, past};
    use boxseat_schemas::reclaim::{Action, Outcome, PlanEnd, Record, Stage};

    use super::*;

    /// Why: a cron line that lost its configuration file reported that nothing was open.
    #[test]
    fn missing_policy_is_an_error_while_its_plans_have_work() {
        let records = |action, last| {
            let closed =
                Record::PlanClosed { plan_id: "p".into(), because: PlanEnd::Applied.into(), by: None };
            vec![
                (0, created("p", Stage::Suspend, &["1"], &[])),
                (1, intent("p", "1", action, 1)),
                (1, outcome("p", "1", 1, last)),
                (2, closed),
            ]
        };
        let says = |records: &[(i64, Record)]| missing_policy(&past(records)).map(|e| e.lines().join(" "));
        assert_eq!(says(&[]), None);
        let open = says(&records(Action::Suspend, Outcome::Done)[..1]).unwrap();
        assert!(open.contains("1 of its plans"), "{open}");
        let suspended = says(&records(Action::Suspend, Outcome::Done)).unwrap();
        assert!(suspended.contains("1 user is suspended"), "{suspended}");
        assert_eq!(says(&records(Action::Suspend, Outcome::Refused)), None, "nothing was done");
        assert_eq!(says(&records(Action::Delete, Outcome::Done)), None, "the seat is free");
    }
}
