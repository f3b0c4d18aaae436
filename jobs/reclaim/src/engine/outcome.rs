//! The outcome of each user of a plan in one apply, and of the run.

use std::collections::BTreeMap;

use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Outcome, Plan, ReasonCode, Recorded};

use crate::error::Error;
use crate::journal::state::JournalState;

/// The outcome of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserOutcome {
    /// Every action of the plan was done, now or before.
    Done,
    /// Undone, but something does not come back: what, as a sentence (R18).
    DoneInPart(String),
    /// Everything that was due was done. The rest of a leaver's plan is due on a later day: the steps (R19).
    NotDue(String),
    /// Skipped for good: the reason code and a sentence.
    Skipped(ReasonCode, String),
    /// Skipped for good by an earlier apply.
    SkippedBefore(Recorded<ReasonCode>, String),
    /// Not now; a later apply tries again.
    Waiting(ReasonCode, String),
    /// The result of a call is unknown; a later apply reads the account.
    Unknown(String),
    /// Box refused.
    Refused(String),
    /// The run stopped first.
    NotAttempted,
}

impl UserOutcome {
    /// The reason code, for tables.
    pub fn word(&self) -> &str {
        match self {
            Self::Done | Self::DoneInPart(_) => Outcome::Done.as_str(),
            Self::NotDue(_) => ReasonCode::NotDue.as_str(),
            Self::Skipped(word, _) | Self::Waiting(word, _) => word.as_str(),
            Self::SkippedBefore(word, _) => word.as_str(),
            Self::Unknown(_) => Outcome::Unknown.as_str(),
            Self::Refused(_) => Outcome::Refused.as_str(),
            Self::NotAttempted => Outcome::NotAttempted.as_str(),
        }
    }

    /// Whether every action was done, now or before.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::DoneInPart(_))
    }

    /// Whether there was nothing to undo.
    pub fn is_untouched(&self) -> bool {
        matches!(self, Self::Skipped(ReasonCode::NothingToUndo, _))
    }

    /// Whether everything that was due and allowed was done. A leaver under hold waits on purpose.
    fn is_as_planned(&self) -> bool {
        match self {
            Self::Done | Self::NotDue(_) => true,
            Self::Waiting(word, _) => word.is_intended(),
            _ => false,
        }
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        match self {
            Self::Done => "",
            Self::Skipped(_, detail) | Self::Waiting(_, detail) | Self::SkippedBefore(_, detail) => detail,
            Self::DoneInPart(detail)
            | Self::NotDue(detail)
            | Self::Unknown(detail)
            | Self::Refused(detail) => detail,
            Self::NotAttempted => "the run stopped before this user",
        }
    }
}

/// The result of one apply.
#[derive(Debug, Default)]
pub struct Applied {
    /// By user id.
    pub people: BTreeMap<String, UserOutcome>,
    /// What stopped the run before its end.
    pub stopped: Option<Error>,
    /// Whether the plan is done.
    pub(crate) is_closed: bool,
}

impl Applied {
    /// Sets the outcome of a step for a user.
    pub(super) fn set(&mut self, planned: &PlannedPerson, fate: UserOutcome) {
        self.people.insert(planned.user_id.clone(), fate);
    }

    /// Merges the outcomes of a later step. They do not replace an outcome of an earlier step that is not done.
    pub(super) fn then(&mut self, step: Self) {
        for (user_id, fate) in step.people {
            if self.people.get(&user_id).is_none_or(|earlier| *earlier == UserOutcome::Done) {
                self.people.insert(user_id, fate);
            }
        }
        self.stopped = self.stopped.take().or(step.stopped);
    }

    /// How many users have such an outcome.
    pub fn count(&self, is_counted: impl Fn(&UserOutcome) -> bool) -> usize {
        self.people.values().filter(|fate| is_counted(fate)).count()
    }

    /// How many users were not done, by reason code, the most frequent first, with logins if they are few: `57 owns_shared_content,
    /// 1 locked (jo@acme.test)`.
    pub fn others(&self, plan: &Plan) -> String {
        let mut by_word = BTreeMap::<&str, Vec<&str>>::new();
        for (user_id, fate) in self.people.iter().filter(|(_, fate)| !fate.is_done()) {
            let planned = plan.people.iter().find(|planned| planned.user_id == *user_id);
            let login = planned.map_or(user_id.as_str(), |planned| planned.login.as_str());
            by_word.entry(fate.word()).or_default().push(login);
        }
        let mut by_word: Vec<_> = by_word.into_iter().collect();
        by_word.sort_by_key(|(_, logins)| std::cmp::Reverse(logins.len()));
        let told = by_word.iter().map(|(word, logins)| match logins.len() {
            count @ ..=3 if plan.people.len() > 1 => format!("{count} {word} ({})", logins.join(", ")),
            count => format!("{count} {word}"),
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Whether the run reached its end and every action that was due and allowed was done.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.people.values().all(UserOutcome::is_as_planned)
    }
}

/// The outcome of a user that this run did not reach, by the journal.
pub(super) fn of(past: &JournalState, plan: &Plan, planned: &PlannedPerson) -> UserOutcome {
    let person = past.people.get(&planned.user_id);
    if let Some(skip) = person.and_then(|person| person.final_skip(&plan.plan_id)) {
        return UserOutcome::SkippedBefore(skip.reason.clone(), skip.detail.clone());
    }
    if super::is_done(past, plan, planned) {
        return UserOutcome::Done;
    }
    let last = person.and_then(|person| person.by_plan(&plan.plan_id).next_back());
    let reason = |text: &Option<String>| text.clone().unwrap_or_default();
    match last.map(|last| (last.outcome, last)) {
        Some((None | Some(Outcome::Unknown), last)) => UserOutcome::Unknown(reason(&last.reason)),
        Some((Some(Outcome::Refused), last)) => UserOutcome::Refused(reason(&last.reason)),
        _ => UserOutcome::NotAttempted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why: a transfer that was done hid that the sessions of the user may still be open.
    #[test]
    fn a_later_step_keeps_what_an_earlier_one_left_open() {
        let step = |fates: &[(&str, UserOutcome)]| Applied {
            people: fates.iter().map(|(user_id, fate)| ((*user_id).to_owned(), fate.clone())).collect(),
            ..Applied::default()
        };
        let unknown = UserOutcome::Unknown("no response".to_owned());
        let mut applied = step(&[("1", UserOutcome::Done), ("2", unknown.clone())]);
        applied.then(step(&[
            ("1", UserOutcome::NotAttempted),
            ("2", UserOutcome::Done),
            ("3", UserOutcome::Done),
        ]));
        assert_eq!(
            applied.people,
            step(&[("1", UserOutcome::NotAttempted), ("2", unknown), ("3", UserOutcome::Done)]).people
        );
        assert!(!applied.is_complete());
    }
}
