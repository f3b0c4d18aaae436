//! R18: what `reclaim undo` may do with a user. Pure: `engine/undo.rs` calls it with the values that Box shows; the rehearsal and
//! the list of stuck users call it with the journal and the latest snapshot.

use boxseat_schemas::reclaim::{Action, Outcome, ReasonCode};
use chrono::{DateTime, Utc};

use super::evaluator::edited_by_other;
use super::snapshot::Snapshot;
use crate::journal::state::{ActionState, JournalState, UserState, unfinished};

/// What is known of an account that `undo` is to restore.
pub(crate) struct Account<'a> {
    pub(crate) status: Option<&'a str>,
    pub(crate) login: Option<&'a str>,
    /// Whether every edit since the suspension is known.
    pub(crate) are_edits_known: bool,
    /// The first edit by another actor since the suspension.
    pub(crate) edited_by_other_at: Option<DateTime<Utc>>,
}

/// Why a suspension is not undone: reason code and sentence. `None`: it may be undone.
pub(crate) fn obstacle(ours: &ActionState, account: &Account<'_>) -> Option<(ReasonCode, String)> {
    let before = ours.attempt.before.status.as_deref();
    if before == Some("inactive") {
        return Some((ReasonCode::Stays, "the account was suspended before this plan".to_owned()));
    }
    if account.status != Some("inactive") {
        let status = account.status.unwrap_or("none");
        return Some((
            ReasonCode::RevertedByOther,
            format!("the status is {status}: another actor has changed it"),
        ));
    }
    let lower = |login: Option<&str>| login.map(str::to_lowercase);
    let after = ours.after.as_ref().unwrap_or(&ours.attempt.before);
    if lower(account.login) != lower(after.login.as_deref()) {
        let detail = "the login is not the one that boxseat suspended".to_owned();
        return Some((ReasonCode::LoginChanged, detail));
    }
    if !account.are_edits_known {
        let since = ours.asked_at.format("%F");
        let detail = format!("it is not known without a gap who edited the account since {since}");
        return Some((ReasonCode::EditsNotWatched, detail));
    }
    if let Some(at) = account.edited_by_other_at {
        let at = at.format("%F %H:%M UTC");
        let detail = format!("another actor edited the account {at}, after the suspension by boxseat");
        return Some((ReasonCode::EditedByOther, detail));
    }
    before
        .is_none()
        .then(|| (ReasonCode::UnknownStatus, "the status before the suspension is not known".to_owned()))
}

/// What `undo` would do with one user of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// The plan changed nothing that is still in force.
    Nothing,
    /// The account gets its earlier status back.
    Restored {
        /// The earlier status.
        status: String,
        /// What does not come back.
        remains: Option<String>,
    },
    /// The account stays as it is, and why.
    Unchanged(String),
    /// The result of the last call must be read first.
    Unknown(String),
}

impl Preview {
    /// By the journal and the latest snapshot. Box may show something else when `undo` runs.
    pub fn of(past: &JournalState, snapshot: &Snapshot, plan_id: &str, user_id: &str) -> Self {
        let Some(known) = past.people.get(user_id) else { return Self::Nothing };
        if !past.has_touched(plan_id, user_id) {
            return Self::Nothing;
        }
        if let Some(open) = known.unfinished_status(plan_id) {
            return Self::Unknown(unfinished(open));
        }
        let suspended = known.by_plan(plan_id).rfind(|past| past.attempt.action == Action::Suspend);
        if suspended.is_some_and(|ours| known.restored_at().is_some_and(|at| at >= ours.asked_at)) {
            return Self::Unchanged("the account was given back already".to_owned());
        }
        let is_listed = snapshot.person(user_id).is_some_and(|person| person.listing.is_some());
        let was_gone = known.seen_gone_at().any(|at| at > snapshot.night.now_at);
        if known.deletion().is_none() && (!is_listed || was_gone) {
            return Self::Unchanged("the account is gone: Box no longer has it".to_owned());
        }
        let remains = remains(known, plan_id, snapshot);
        let Some(ours) = known.suspension_by(plan_id) else {
            let by = known.suspension().map(|ours| &ours.attempt.plan_id);
            let by = by.map(|by| {
                format!("plan {by} suspended the account: `boxseat reclaim undo {by}` gives it back")
            });
            let why: Vec<String> = by.into_iter().chain(remains).collect();
            return if why.is_empty() { Self::Nothing } else { Self::Unchanged(why.join("; ")) };
        };
        let person = snapshot.person(user_id);
        // A snapshot that was read before the suspension does not show it.
        let is_newer = ours.asked_at > snapshot.night.now_at;
        let after = ours.after.as_ref().filter(|_| is_newer);
        let account = Account {
            status: after
                .map_or_else(|| person.and_then(|person| person.box_status.as_deref()), |_| Some("inactive")),
            login: after.map_or_else(
                || person.and_then(|person| person.login.as_deref()),
                |after| after.login.as_deref(),
            ),
            are_edits_known: is_newer || snapshot.knows_edits_since(ours.asked_at),
            edited_by_other_at: edited_by_other(past, user_id, person, ours).map(|edit| edit.at),
        };
        match obstacle(ours, &account) {
            Some((_, why)) => Self::Unchanged(why),
            None => {
                let status = ours.attempt.before.status.clone().unwrap_or_default();
                Self::Restored { status, remains }
            }
        }
    }
}

/// What an undo of the plan does not bring back: a deleted account, content that has moved, a suspension that is no longer the
/// plan's.
pub(crate) fn remains(known: &UserState, plan_id: &str, snapshot: &Snapshot) -> Option<String> {
    if known.deletion().is_some() {
        return Some("the account was deleted, and cannot be brought back".to_owned());
    }
    // Content that another plan has moved does not come back either.
    if let Some(transfer) = known.last_transfer() {
        return Some(moved(transfer, snapshot));
    }
    if known.suspension_by(plan_id).is_some() {
        return None;
    }
    let left =
        known.by_plan(plan_id).rfind(|past| past.attempt.action == Action::Suspend && past.was_done)?;
    left_suspended(known, left)
}

/// The destination of content that does not come back.
pub(crate) fn moved(transfer: &ActionState, snapshot: &Snapshot) -> String {
    let receiver = transfer.attempt.receiver_user_id.as_deref();
    let name = receiver.and_then(|id| snapshot.person(id));
    let name = name.map_or_else(String::new, |person| format!("{}, ", person.called()));
    let receiver = format!("{name}user {}", receiver.unwrap_or("unknown"));
    match &transfer.destination_folder_id {
        Some(folder) => format!("the content stays with {receiver}, in folder {folder}"),
        None => format!("the content is with {receiver}, or on its way there"),
    }
}

/// Why this plan cannot undo a suspension that it made, unless it is already undone.
fn left_suspended(person: &UserState, left: &ActionState) -> Option<String> {
    if left.outcome == Some(Outcome::RevertedByOther) {
        let why = left.reason.as_deref().unwrap_or("another actor undid it");
        return Some(format!("nothing is undone: {why}"));
    }
    let since =
        person.attempts.iter().rev().take_while(|past| past.attempt.action_id != left.attempt.action_id);
    let by =
        since.filter(|past| past.attempt.action == Action::Suspend && past.may_have_happened()).last()?;
    Some(format!("plan {} suspended the account again", by.attempt.plan_id))
}
