//! The policy while a snapshot is published: `reclaim_candidates`, and with it `reclaimable_seats` and the snapshot's count.
//!
//! Everything is as of the snapshot. The journal is read up to its time, so a replay counts what was reclaimable then. The policy
//! and its lists are the present ones, like thresholds and licence terms of a replay; `policy_digest` says which policy it was.
//!
//! The policy is read here, late, and not with the configuration: it is the licence manager's file, and an error in it must not
//! cost the operator the snapshot. The leave list differs: its rows are stored in the lake, so an invalid list stops the run.

use std::path::Path;

use boxseat_output::warehouse::{Candidate, Candidates, SnapshotRows};
use boxseat_reclaim::journal::Journal;
use boxseat_reclaim::journal::Seals;
use boxseat_reclaim::journal::plans::expired_plans;
use boxseat_reclaim::journal::state::JournalState;
use boxseat_reclaim::rules::evaluator::Evaluator;
use boxseat_reclaim::rules::policy::Policy;
use boxseat_schemas::reclaim::Entry;

use super::columns::Unreadable;
use super::{policy_lists, snapshot_rows};
use crate::config::Settings;
use crate::error::{CommandError, Error};

/// The configuration with which a snapshot is evaluated.
#[derive(Debug)]
pub(crate) struct PublishCandidates<'a> {
    settings: &'a Settings,
    policy_file: &'a Path,
}

impl<'a> PublishCandidates<'a> {
    /// By the configured policy; `None` without one.
    pub(crate) fn of(settings: &'a Settings) -> Option<Self> {
        Some(Self { settings, policy_file: settings.policy_file.as_deref()? })
    }
}

impl Candidates for PublishCandidates<'_> {
    fn policy_digest(&self) -> Option<String> {
        Policy::load(self.policy_file).ok().map(|policy| policy.digest)
    }

    fn evaluate(&self, night: &SnapshotRows<'_>) -> Result<Vec<Candidate>, String> {
        let Settings { store, leave_file, activity_events, journal_key, .. } = self.settings;
        let told = |e: Error| e.lines().join(": ");
        let policy = Policy::load(self.policy_file).map_err(told)?;
        let snapshot =
            snapshot_rows::load(|sql| night.ask(sql).map_err(Asked::Refused)).map_err(|e| match e {
                Asked::Refused(e) => told(CommandError::from(e).into()),
                Asked::Unreadable(e) => e.to_string(),
            })?;
        let now = snapshot.night.now_at;
        let journal = Journal::read(store, snapshot.store_id, journal_key, Seals::Last).map_err(told)?;
        let known: Vec<Entry> = journal.entries().iter().filter(|entry| entry.at <= now).cloned().collect();
        let past = JournalState::of(&known);
        let inputs = policy_lists::read(&policy, leave_file.as_deref(), activity_events, now)
            .map_err(|e| told(e.into()))?;
        // A plan without an approval would be made again, and an expired one is not open.
        let expired = expired_plans(store, &past, now);
        let set_aside = past.replaceable_plans().chain(expired.iter().map(String::as_str));
        let evaluator =
            Evaluator::new(&policy, &snapshot, &past, &inputs, now, set_aside).map_err(|refusals| {
                refusals.into_iter().map(|refusal| refusal.sentence).collect::<Vec<_>>().join("; ")
            })?;
        let judged = evaluator.everybody();
        let going = judged.going.iter().flat_map(|(stage, people)| {
            people.iter().map(|(id, _)| Candidate {
                user_id: id.clone(),
                stage: stage.as_str(),
                left_out_reason: None,
            })
        });
        let left_out = judged.left_out.iter().map(|(id, (stage, no))| Candidate {
            user_id: id.clone(),
            stage: stage.as_str(),
            left_out_reason: Some(no.word.as_str()),
        });
        let mut candidates: Vec<Candidate> = going.chain(left_out).collect();
        candidates.sort_by(|one, other| one.user_id.cmp(&other.user_id));
        Ok(candidates)
    }
}

/// Why a snapshot could not be evaluated.
enum Asked {
    Refused(boxseat_output::Error),
    Unreadable(Unreadable),
}

impl From<Unreadable> for Asked {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}
