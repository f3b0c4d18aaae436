//! What an operator can do for one stuck user: commands that act on this user alone and can work.

use boxseat_schemas::reclaim::{ReasonCode, Recorded};

use super::evaluator::never;
use super::restore::{Preview, moved};
use super::snapshot::{Person, Snapshot};
use crate::journal::state::{JournalState, REFUSAL_HOLDS, UserState};

/// The next step for a reason code, as a sentence with its command.
pub(crate) fn next_step(
    word: &Recorded<ReasonCode>,
    past: &JournalState,
    snapshot: &Snapshot,
    known: &UserState,
    person: &Person,
) -> String {
    let login = person.called();
    let user = User { past, snapshot, known, person };
    let offboarding = past.offboarding_in_force(&person.user_id).map(|(_, plan)| plan);
    let is_offboarding = offboarding.is_some();
    let is_ended = offboarding.is_some_and(|plan| !plan.is_open());
    match word.known() {
        Some(ReasonCode::Unverifiable) => format!(
            "check in Box that the receiver has all content{}, then: boxseat reclaim confirm {login} --i-have-checked \"...\"",
            user.where_it_went()
        ),
        Some(ReasonCode::NotEmpty) => format!(
            "move what is left in the Box console, or empty the trash{}; or, if nothing is left, confirm: boxseat reclaim confirm {login} --i-have-checked \"...\"",
            user.where_it_went()
        ),
        Some(ReasonCode::Unfinished) => "boxseat reclaim nightly".to_owned(),
        Some(ReasonCode::EndedEarly) => {
            format!("to continue: {}; to end it: {}", user.offboard(), user.end_offboarding())
        }
        Some(ReasonCode::ListsUnsure) if !is_ended => {
            "correct the list, or write the statement again; `boxseat reclaim nightly` then continues"
                .to_owned()
        }
        Some(ReasonCode::NoReceiver | ReasonCode::ReceiverUnfit | ReasonCode::ReceiverChanged)
            if is_offboarding =>
        {
            format!(
                "correct the receiver in Box (`boxseat reclaim nightly` tries again until the plan expires), or name another: {}",
                user.offboard()
            )
        }
        Some(ReasonCode::NoReceiver | ReasonCode::ReceiverUnfit | ReasonCode::ReceiverChanged) => {
            "correct the receiver in Box, or [receiver] in the policy; `boxseat reclaim nightly` tries again"
                .to_owned()
        }
        Some(ReasonCode::TransferRefused) => format!(
            "set [transfer] when_refused = \"reactivate\" in the policy, then `boxseat reclaim nightly` {}{}",
            if is_offboarding { "tries again" } else { "plans the transfer again" },
            user.or_give_back()
        ),
        Some(ReasonCode::RefusedByBox) if is_offboarding && !is_ended => {
            "remove the cause in Box; `boxseat reclaim nightly` tries again until the plan expires".to_owned()
        }
        Some(ReasonCode::RefusedByBox) => {
            format!(
                "remove the cause in Box; {}, or at once: {}{}",
                user.tries_again(is_offboarding),
                user.offboard(),
                user.or_give_back()
            )
        }
        Some(ReasonCode::LateLogin) => user.give_back().unwrap_or_else(|| user.decide()),
        Some(code) if code.is_intended() && is_ended => {
            format!("nothing while this applies; afterwards: {}{}", user.offboard(), user.or_give_back())
        }
        Some(code) if code.is_intended() && is_offboarding => format!(
            "nothing while this applies; `boxseat reclaim nightly` then continues until the plan expires{}",
            user.or_give_back()
        ),
        Some(code) if code.is_intended() => {
            format!("nothing while this applies{}", user.or_give_back())
        }
        Some(ReasonCode::EditedByOther) if !is_offboarding => format!(
            "look at the account in Box: if it is active again, `boxseat sync` ends this; if it is still inactive, {}",
            user.decide()
        ),
        Some(ReasonCode::Changed) if !is_offboarding => {
            format!(
                "undo that change in Box, and the next plan takes the user again; if that cannot be done, {}",
                user.decide()
            )
        }
        _ if is_ended => format!("remove the reason, then: {}{}", user.offboard(), user.or_give_back()),
        _ => user.decide(),
    }
}

struct User<'a> {
    past: &'a JournalState,
    snapshot: &'a Snapshot,
    known: &'a UserState,
    person: &'a Person,
}

impl User<'_> {
    /// The command that moves the content, if it has not moved, and deletes the account. It does not depend on the policy.
    fn offboard(&self) -> String {
        let receiver = self.known.last_transfer().and_then(|past| past.attempt.receiver_user_id.as_deref());
        let receiver = receiver.and_then(|id| self.snapshot.person(id)).map_or("RECEIVER", Person::called);
        format!("boxseat offboard {} --transfer-to {receiver}", self.person.called())
    }

    /// Gives the account back, if `undo` will do that by the latest snapshot.
    fn give_back(&self) -> Option<String> {
        let plan_id = &self.known.suspension()?.attempt.plan_id;
        let preview = Preview::of(self.past, self.snapshot, plan_id, &self.person.user_id);
        let Preview::Restored { remains, .. } = preview else { return None };
        let without = remains.map_or_else(String::new, |what| format!(" without its content ({what})"));
        let login = self.person.called();
        Some(format!("to give the account back{without}: boxseat reclaim undo {plan_id} --user {login}"))
    }

    /// Takes the user out of the list. The account is given back only if it is still as boxseat left it.
    fn end_offboarding(&self) -> String {
        let plan = self.past.offboarding_in_force(&self.person.user_id);
        plan.map_or_else(String::new, |(plan_id, _)| format!("boxseat reclaim undo {plan_id}"))
    }

    fn or_give_back(&self) -> String {
        self.give_back().map_or_else(String::new, |undo| format!("; or {undo}"))
    }

    /// No plan of the policy continues with the user. The operator chooses between giving back and offboarding.
    fn decide(&self) -> String {
        let moved = self.known.transfer().map(|transfer| moved(transfer, self.snapshot));
        let keep = self.give_back().unwrap_or_else(|| {
            let without = moved.map_or_else(String::new, |what| format!(" ({what})"));
            format!("to give the account back, set it to active in the Box console{without}")
        });
        if let Err(no) = never(self.person, &self.snapshot.enterprise_id) {
            return format!(
                "decide: {keep}; to free the seat: change that in Box ({}), then {}",
                no.detail,
                self.offboard()
            );
        }
        format!("decide: {keep}; to free the seat: {}", self.offboard())
    }

    /// The receiver and the folder, in brackets.
    fn where_it_went(&self) -> String {
        self.known
            .transfer()
            .map_or_else(String::new, |transfer| format!(" ({})", moved(transfer, self.snapshot)))
    }

    fn tries_again(&self, is_offboarding: bool) -> String {
        if is_offboarding {
            return "`boxseat reclaim nightly` tries again until the plan expires".to_owned();
        }
        let at = self.known.attempts.last().map(|last| last.asked_at + REFUSAL_HOLDS);
        at.map_or_else(String::new, |at| format!("boxseat tries again after {}", at.format("%F")))
    }
}
