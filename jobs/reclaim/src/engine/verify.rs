//! R15: checks in every run whether content has moved, until two readings 20 hours apart show none.
//!
//! The same readings settle a transfer with unknown outcome: Box has no call that returns the state of a transfer.

use std::collections::HashSet;

use boxseat_pipeline::client::{Found, Item};
use boxseat_schemas::reclaim::{Ability, Outcome, Record};
use chrono::TimeDelta;

use super::confirm::Canaries;
use super::content::{Content, items};
use super::recheck::fails_for_one;
use super::{ApplyEnv, CallResult, Run};
use crate::error::Error;
use crate::journal::Journal;
use crate::journal::state::{ActionState, JournalState, Reading};
use crate::rules::emptiness::{APART, Emptiness, emptiness};
use crate::rules::snapshot::Snapshot;

/// A transfer that has moved nothing after this time never began: Box answers within ten minutes, and the slowest reported
/// transfers took a day.
const NEVER_BEGUN_AFTER: TimeDelta = TimeDelta::hours(48);

/// Reads all users of the snapshot again whose content was moved and is not yet proved gone.
///
/// # Errors
/// The journal's, and what ends the run.
pub async fn verify_transfers(
    env: ApplyEnv<'_>,
    journal: &mut Journal,
    canaries: &Canaries,
    snapshot: &Snapshot,
) -> Result<(), Error> {
    let now = (env.clock)();
    let waiting: Vec<ActionState> = journal
        .past()
        .people
        .values()
        .filter(|person| person.deletion().is_none())
        .filter_map(|person| Some((person, person.transfer()?)))
        .filter(|(person, transfer)| {
            let is_due = |proved: Emptiness| match proved {
                Emptiness::Empty(_) => false,
                Emptiness::NotYet(at) => at <= now,
                Emptiness::StillMoving(_) | Emptiness::NotEmpty(_) | Emptiness::Unverifiable(_) => true,
            };
            let is_listed = snapshot
                .person(&transfer.attempt.user_id)
                .is_some_and(|now| now.listing.as_deref() == Some("listed"));
            transfer.is_unfinished() || is_listed && is_due(emptiness(person, transfer, now))
        })
        .map(|(_, transfer)| transfer.clone())
        .collect();
    for transfer in waiting {
        look_at(env, journal, canaries, &transfer).await?;
    }
    Ok(())
}

/// One reading of source and destination, and what it says about an unknown outcome.
pub(super) async fn look_at(
    env: ApplyEnv<'_>,
    journal: &mut Journal,
    canaries: &Canaries,
    transfer: &ActionState,
) -> Result<(), Error> {
    let attempt = &transfer.attempt;
    let now = || (env.clock)();
    let found = match env.actor.user(&attempt.user_id).await {
        // The next run reads again, and this run continues with the others.
        Err(e) if fails_for_one(&e, env.actor, canaries).await? => {
            tracing::warn!("{}: {e}", attempt.login);
            return Ok(());
        }
        found => found?,
    };
    let user = match found {
        Found::Is(user) => user,
        Found::Gone if transfer.is_unfinished() && canaries.one_answers(env.actor).await? => {
            let came = CallResult::new(Outcome::Done).because(
                "the account is gone, and it is not known what was moved before; the transfer counts as done",
            );
            return journal.append(now(), came.record(&attempt.action_id)).map(drop);
        }
        Found::Gone | Found::Closed(_) => return Ok(()),
    };
    let allows = journal.past().allows(Ability::ReadInactive, now());
    let reading = Content::of(env.actor, &user, allows, canaries).await?;
    if let Some(learned) = reading.learned {
        journal.append(now(), learned)?;
    }
    let content = reading.content;
    let receiver = attempt.receiver_user_id.as_deref().unwrap_or_default();
    let is_settled_now = transfer.is_unfinished() && now() - transfer.asked_at >= NEVER_BEGUN_AFTER;
    let mut destination = transfer.destination_folder_id.clone();
    let mut trace = Trace::Seen;
    if destination.is_none() && (content.shows_nothing() || is_settled_now) {
        // The response with the folder's id was lost. Exactly one folder was created since then with the source's name.
        let root = items(env.actor, receiver, "0").await?;
        trace = root.as_ref().map_or(Trace::Unknown, |root| trace_of(root, transfer, journal.past()));
        destination = candidate(&root.unwrap_or_default(), transfer, user.name.as_deref(), journal.past());
    }
    if let Some(folder) = &destination {
        let found = items(env.actor, receiver, folder).await?;
        journal.append(
            now(),
            Record::DestinationRead {
                plan_id: attempt.plan_id.clone(),
                user_id: attempt.user_id.clone(),
                receiver_user_id: receiver.to_owned(),
                folder_id: folder.clone(),
                items: found.map(|items| items.len() as u64),
            },
        )?;
    }
    journal.append(now(), content.record(&attempt.plan_id, &attempt.user_id))?;
    if !transfer.is_unfinished() {
        return Ok(());
    }
    let before = journal.past().people[&attempt.user_id]
        .readings
        .iter()
        .rev()
        .find(|reading| reading.at <= transfer.asked_at)
        .cloned();
    let came = if content.shows_nothing() && has_moved(before.as_ref(), &content) {
        CallResult { destination_folder_id: destination, ..CallResult::new(Outcome::Done) }
            .because("nothing is left at the source")
    } else if is_settled_now {
        let (outcome, why) = after_two_days(before.as_ref(), &content, trace);
        CallResult { destination_folder_id: destination, ..CallResult::new(outcome) }.because(why)
    } else if transfer.outcome.is_none() {
        CallResult::unknown(None, "the run ended before or during the transfer".to_owned())
    } else {
        return Ok(());
    };
    journal.append(now(), came.record(&attempt.action_id)).map(drop)
}

/// Whether a source that shows nothing proves that its content has moved: no items are visible, or there were bytes before.
fn has_moved(before: Option<&Reading>, content: &Content) -> bool {
    content.owned_items.is_some()
        || before.and_then(|before| before.space_used_bytes).is_some_and(|bytes| bytes > 0)
}

/// The outcome of a transfer that did not empty the account: two days later no content is moving any more. In doubt it counts as
/// done: then it is never made again, and an account that is not proved empty is never deleted.
fn after_two_days(before: Option<&Reading>, content: &Content, trace: Trace) -> (Outcome, String) {
    let less = |was: Option<i64>, is: Option<i64>| was.zip(is).map(|(was, is)| is < was);
    let count = |items: Option<u64>| items.and_then(|items| i64::try_from(items).ok());
    let items = less(before.and_then(|before| count(before.owned_items)), count(content.owned_items));
    let bytes_before = before.and_then(|before| before.space_used_bytes);
    let bytes = less(bytes_before, content.space_used_bytes);
    let are_bytes_as_before =
        bytes_before.is_some_and(|was| was > 0 && content.space_used_bytes == Some(was));
    match (items, bytes) {
        (Some(true), _) | (_, Some(true)) => {
            let left =
                content.owned_items.map_or_else(|| "something".to_owned(), |items| format!("{items} items"));
            (
                Outcome::Done,
                format!(
                    "a part was moved: two days later {left} and {} bytes are still at the source",
                    content.space_used_bytes.unwrap_or(0)
                ),
            )
        }
        // The same amount as before proves nothing by itself: all of it may be new.
        (Some(false), Some(false)) if trace == Trace::None => (
            Outcome::NotDone,
            "two days later everything is still at the source, and nothing of it at the receiver".to_owned(),
        ),
        // An inactive account is closed to As-User. The same number of bytes as before proves as much.
        (None, Some(false)) if trace == Trace::None && are_bytes_as_before => (
            Outcome::NotDone,
            "two days later as many bytes as before are at the source, and nothing of it is at the receiver"
                .to_owned(),
        ),
        (Some(false), Some(false)) if trace == Trace::Seen => (
            Outcome::Done,
            "the receiver has a folder for the content; what is at the source may be new".to_owned(),
        ),
        _ => (
            Outcome::Done,
            "the outcome is not known: a root folder could not be read before and after; the transfer is not made again"
                .to_owned(),
        ),
    }
}

/// What the receiver's root folder shows about a transfer whose response was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// A folder that may be its destination.
    Seen,
    /// No such folder.
    None,
    /// The folder could not be read.
    Unknown,
}

/// Any folder of the form that transfers create counts, whatever the name of the source is now. Of the folders created since, those
/// of other transfers are excluded.
fn trace_of(root: &[Item], transfer: &ActionState, past: &JournalState) -> Trace {
    let since = transfer.asked_at - TimeDelta::minutes(5);
    let of_others = of_others(past);
    let is_trace = |item: &Item| {
        item.is_folder
            && item.created_at.is_none_or(|at| at >= since)
            && (item.name.contains("Files and Folders") || item.name.contains(&transfer.attempt.login))
            && !of_others.contains(item.id.as_str())
    };
    if root.iter().any(is_trace) { Trace::Seen } else { Trace::None }
}

/// Folders that transfers are known to have created.
fn of_others(past: &JournalState) -> HashSet<&str> {
    let attempts = past.people.values().flat_map(|person| &person.attempts);
    attempts.filter_map(|attempt| attempt.destination_folder_id.as_deref()).collect()
}

/// R15: the destination folder when its id was lost with the response: the only one that was created since and has the source's
/// name or login.
fn candidate(
    root: &[Item],
    transfer: &ActionState,
    name: Option<&str>,
    past: &JournalState,
) -> Option<String> {
    let since = transfer.asked_at - TimeDelta::minutes(5);
    let of_others = of_others(past);
    let mut fitting = root.iter().filter(|item| {
        item.is_folder
            && item.created_at.is_some_and(|at| at >= since)
            && !of_others.contains(item.id.as_str())
            && (item.name.contains(&transfer.attempt.login)
                || name.is_some_and(|name| !name.is_empty() && item.name.contains(name)))
    });
    let first = fitting.next()?;
    fitting.next().is_none().then(|| first.id.clone())
}

impl Run<'_> {
    /// The first reading after a transfer that Box reported as done.
    pub(super) async fn read_moved(&self, user_id: &str) -> Result<(), Error> {
        let transfer =
            self.with_past(|past| past.people.get(user_id).and_then(|person| person.transfer()).cloned());
        let Some(transfer) = transfer else { return Ok(()) };
        if let Found::Is(user) = self.env.actor.user(user_id).await? {
            if let (Some(folder), Some(receiver)) =
                (&transfer.destination_folder_id, &transfer.attempt.receiver_user_id)
            {
                let found = items(self.env.actor, receiver, folder).await?;
                self.write(Record::DestinationRead {
                    plan_id: transfer.attempt.plan_id.clone(),
                    user_id: user_id.to_owned(),
                    receiver_user_id: receiver.clone(),
                    folder_id: folder.clone(),
                    items: found.map(|items| items.len() as u64),
                })?;
            }
            self.count_content(&user).await?;
        }
        Ok(())
    }
}

const _: () = assert!(APART.num_hours() == 20, "R15");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::day;

    /// R13, R14: every intent gets a final outcome in the end, and only a transfer that certainly moved nothing may be made again.
    #[test]
    fn r14_an_unknown_transfer_is_settled_after_two_days() {
        let outcome = |before: (Option<u64>, i64), after: (Option<u64>, i64)| {
            let reading = Reading {
                at: day(0),
                plan_id: "p".to_owned(),
                owned_items: before.0,
                shared_items: Some(0),
                space_used_bytes: Some(before.1),
            };
            let content =
                Content { owned_items: after.0, shared_items: Some(0), space_used_bytes: Some(after.1) };
            [Trace::None, Trace::Seen, Trace::Unknown]
                .map(|trace| after_two_days(Some(&reading), &content, trace).0)
        };
        use Outcome::{Done, NotDone};
        assert_eq!(outcome((Some(3), 30), (Some(3), 30)), [NotDone, Done, Done]);
        // Why: seven items moved and 140 new ones arrived before the next reading, and the transfer was recorded as not done.
        assert_eq!(outcome((Some(3), 30), (Some(5), 50)), [NotDone, Done, Done], "more content was added");
        assert_eq!(outcome((Some(3), 30), (Some(1), 10)), [Done; 3]);
        assert_eq!(outcome((Some(3), 30), (Some(3), 10)), [Done; 3]);
        assert_eq!(
            outcome((Some(3), 30), (None, 0)),
            [Done; 3],
            "the items are not visible, and the bytes are gone"
        );
        assert_eq!(outcome((None, 30), (None, 30)), [NotDone, Done, Done], "closed to As-User");
        assert_eq!(outcome((Some(3), 30), (None, 31)), [Done; 3], "the outcome is not known");
        assert_eq!(outcome((Some(3), 0), (None, 0)), [Done; 3], "the outcome is not known");
    }
}
