//! What became of each person of a plan in one apply, and of the run.

use std::collections::BTreeMap;

use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Outcome, Plan};

use super::super::past::Past;
use crate::error::{CommandError, REJECTS};

/// What became of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Everything the plan says was done, now or before.
    Done,
    /// Everything that was due was done. What is left of a leaver's plan is due on a later day: the steps (R19).
    NotDue(String),
    /// Left alone for good: the rule's word and a sentence.
    Skipped(&'static str, String),
    /// Left alone by an earlier apply, for good.
    SkippedBefore(String, String),
    /// Not now; a later apply looks again.
    Waiting(&'static str, String),
    /// Nobody knows yet what Box did; a later apply reads.
    Unknown(String),
    /// Box refused.
    Refused(String),
    /// The run stopped first.
    NotAttempted,
}

impl Fate {
    /// One word, for tables.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Done => "done",
            Self::NotDue(_) => "not_due",
            Self::Skipped(word, _) | Self::Waiting(word, _) => word,
            Self::SkippedBefore(word, _) => word,
            Self::Unknown(_) => "unknown",
            Self::Refused(_) => "refused",
            Self::NotAttempted => "not_attempted",
        }
    }

    /// The sentence.
    pub(crate) fn detail(&self) -> &str {
        match self {
            Self::Done => "",
            Self::Skipped(_, detail) | Self::Waiting(_, detail) | Self::SkippedBefore(_, detail) => detail,
            Self::NotDue(detail) | Self::Unknown(detail) | Self::Refused(detail) => detail,
            Self::NotAttempted => "the run stopped before",
        }
    }
}

/// What one apply came to.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// By user id.
    pub(crate) people: BTreeMap<String, Fate>,
    /// What stopped the run before its end.
    pub(crate) stopped: Option<CommandError>,
    /// Whether the plan is done.
    pub(crate) is_closed: bool,
}

impl Applied {
    /// Notes the outcome of a step for a user. A later step does not replace the outcome of an earlier one that is not done.
    pub(super) fn set(&mut self, planned: &PlannedPerson, fate: Fate) {
        match self.people.get(&planned.user_id) {
            Some(earlier) if *earlier != Fate::Done => {}
            _ => _ = self.people.insert(planned.user_id.clone(), fate),
        }
    }

    /// How many had this word.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.people.values().filter(|fate| fate.word() == word).count()
    }

    /// How many were not done, by word, the commonest first: `57 owns_shared_content, 1 login`.
    pub(crate) fn others(&self) -> String {
        let mut counts = BTreeMap::<&str, usize>::new();
        for fate in self.people.values().filter(|fate| **fate != Fate::Done) {
            *counts.entry(fate.word()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }

    /// 4 if anything that was due was not done.
    pub(crate) fn exit_code(&self) -> u8 {
        match &self.stopped {
            Some(e) => e.exit_code(),
            None if self.people.values().all(|fate| matches!(fate, Fate::Done | Fate::NotDue(_))) => 0,
            None => REJECTS,
        }
    }
}

/// What the journal says became of somebody this run did not come to.
pub(super) fn of(past: &Past, plan: &Plan, planned: &PlannedPerson) -> Fate {
    let person = past.people.get(&planned.user_id);
    if let Some(skip) = person.and_then(|person| person.final_skip(&plan.plan_id)) {
        return Fate::SkippedBefore(skip.reason.clone(), skip.detail.clone());
    }
    if super::is_done(past, plan, planned) {
        return Fate::Done;
    }
    let last = person.and_then(|person| person.by_plan(&plan.plan_id).next_back());
    let reason = |text: &Option<String>| text.clone().unwrap_or_default();
    match last.map(|last| (last.outcome, last)) {
        Some((None | Some(Outcome::Unknown), last)) => Fate::Unknown(reason(&last.reason)),
        Some((Some(Outcome::Refused), last)) => Fate::Refused(reason(&last.reason)),
        _ => Fate::NotAttempted,
    }
}
