//! R16: what a refusal means: a problem with one user, or that our application has lost its rights.
//!
//! An ordinary account, the canary, decides. While Box shows it, a refusal is about the user, and the run continues however many
//! follow each other. When Box does not show it either, the run stops, and nothing is recorded against the user.

use boxseat_pipeline::client::{Refusal, RefusalKind};
use boxseat_schemas::reclaim::plan::PlannedPerson;
use boxseat_schemas::reclaim::{Action, Outcome, ReasonCode};

use super::{CallResult, Run, Skip, UserOutcome};
use crate::error::Error;

impl Run<'_> {
    /// A read was refused: stops the run if the canary is refused, too.
    pub(super) async fn denied(&self, refusal: &Refusal) -> Result<(), Error> {
        if !self.canaries.one_answers(self.env.actor).await? {
            self.lost_rights(refusal);
        }
        Ok(())
    }

    /// A write was refused: records the outcome of the action, and returns the user's outcome.
    pub(super) async fn refused(
        &self,
        planned: &PlannedPerson,
        action: Action,
        action_id: &str,
        refusal: &Refusal,
    ) -> Result<UserOutcome, Error> {
        let waits = |word| {
            // Nothing happened, and the user is not the reason: the same plan tries again.
            self.conclude(
                action_id,
                CallResult { outcome: Outcome::NotDone, ..CallResult::refused(refusal) },
            )?;
            Ok(UserOutcome::Waiting(word, refusal.to_string()))
        };
        if matches!(refusal.status, 401 | 403 | 404) {
            match self.canaries.one_answers(self.env.actor).await {
                Ok(true) => {}
                Ok(false) => {
                    self.lost_rights(refusal);
                    return waits(ReasonCode::NotPermitted);
                }
                Err(e) => return waits(ReasonCode::NotPermitted).and(Err(e)),
            }
        }
        if refusal.is_about_us() {
            return waits(ReasonCode::NotPermitted);
        }
        if let Some(word) = waiting_word(refusal.kind) {
            return waits(word);
        }
        self.conclude(action_id, CallResult::refused(refusal))?;
        // A leaver's plan tries again until its last day (R19). Ending sessions and `undo` are never given up.
        let is_final = matches!(action, Action::Suspend | Action::Transfer | Action::Delete);
        if is_final && !self.is_offboarding() {
            let detail = format!("Box refused {}: {refusal}", action.as_str());
            self.skip(planned, Skip::finally(ReasonCode::RefusedByBox, detail))?;
        }
        Ok(UserOutcome::Refused(refusal.to_string()))
    }

    fn lost_rights(&self, refusal: &Refusal) {
        let lost = format!("Box refused ({refusal}), and does not show an ordinary account either");
        self.halt(Error::refused(lost).hint(
            "the acting application has lost rights: check its scopes and its \
            authorisation in the Box console; no other account was changed, and the same command continues",
        ));
    }
}

/// The reason code of a refusal that ends by itself.
fn waiting_word(kind: RefusalKind) -> Option<ReasonCode> {
    match kind {
        RefusalKind::Locked => Some(ReasonCode::Locked),
        RefusalKind::RecentlyActive => Some(ReasonCode::RecentlyActive),
        RefusalKind::Quota => Some(ReasonCode::NoRoom),
        RefusalKind::Retention
        | RefusalKind::Privileged
        | RefusalKind::Policy
        | RefusalKind::Scope
        | RefusalKind::NotFound
        | RefusalKind::Other => None,
    }
}
