//! R19: which actions belong to an offboarding.

use boxseat_schemas::reclaim::{Action, Attempt, Entry, Record};
use boxseat_simulator::{Deed, Verb};

use super::{Judge, Leaver, at};

impl<'a> Judge<'a> {
    /// The last offboarding of a user before an action. An action of a policy on an active account does not belong to it: the
    /// offboarding was undone or withdrawn, or a restored journal lacks it.
    pub(super) fn leaver(&self, deed: &Deed) -> Option<&'a Leaver> {
        let is_active = deed.before.as_ref().is_some_and(|before| before.status == "active");
        if is_active && self.is_by_policy(deed) {
            return None;
        }
        let is_of = |leaver: &&Leaver| leaver.user_id == deed.user_id && leaver.at <= at(&deed.at);
        self.case.leavers.iter().rfind(is_of)
    }

    fn is_by_policy(&self, deed: &Deed) -> bool {
        let Some(attempt) = self.attempt_of(deed) else { return false };
        let is_of_policy = |entry: &Entry| {
            matches!(&entry.record, Record::PlanCreated { plan_id, policy_digest, .. }
                if *plan_id == attempt.plan_id && policy_digest.is_some())
        };
        self.case.journal.iter().any(is_of_policy)
    }

    /// The intent that was written nearest to the action.
    fn attempt_of(&self, deed: &Deed) -> Option<&'a Attempt> {
        let is_of = |action| match deed.verb {
            Verb::BeginTransfer => action == Action::Transfer,
            Verb::Delete => action == Action::Delete,
            Verb::EndSessions => action == Action::TerminateSessions,
            _ => matches!(
                action,
                Action::Suspend | Action::SuspendAgain | Action::Reactivate | Action::Restore
            ),
        };
        let intents = self.case.journal.iter().filter_map(|entry| match &entry.record {
            Record::Intent(attempt) if attempt.user_id == deed.user_id && is_of(attempt.action) => {
                Some((entry.at, attempt))
            }
            _ => None,
        });
        intents.min_by_key(|(written_at, _)| (*written_at - at(&deed.at)).abs()).map(|(_, attempt)| attempt)
    }
}
