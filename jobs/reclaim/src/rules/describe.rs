//! A policy in sentences, and its result on a snapshot, for the licence manager.

use boxseat_schemas::reclaim::{ReasonCode, Stage};

use super::evaluator::{Evaluator, Refusal};
use super::figures::{people, size};
use super::plan::no_receiver;
use super::policy::{Evidence, Holds, Policy, Receiver, SharedContent, WhenRefused};
use super::receivers::{room, unfit_account};
use super::snapshot::Snapshot;

/// What a policy does, independent of the snapshot.
pub fn told(policy: &Policy) -> Vec<String> {
    let mut says =
        vec![format!("After {} proven idle days an account is suspended.", policy.suspend_after_idle_days)];
    if policy.furthest_stage >= Stage::Transfer {
        says.push(format!(
            "{} days after that its content moves to {}.",
            policy.transfer_after_days,
            receiver(policy)
        ));
    }
    if policy.furthest_stage >= Stage::Transfer {
        says.push(match policy.when_refused {
            WhenRefused::Stop => "If this Box moves no content of inactive accounts, users who own content keep their seat, and are in no plan.",
            WhenRefused::Reactivate => "If this Box moves no content of inactive accounts, an account is set to active for its transfer, and is suspended and signed out again right after it.",
        }.to_owned());
    }
    says.push(match policy.furthest_stage {
        Stage::Delete => format!(
            "{} days after the suspension, and after two empty readings, it is deleted.",
            policy.delete_after_days
        ),
        _ => "The policy deletes no account, so it frees no seat.".to_owned(),
    });
    says.push(match policy.evidence {
        Evidence::Activity => {
            "Sign-ins and activity events count as use. A day is proven idle only if both are covered."
                .to_owned()
        }
        Evidence::LoginOnly { may_delete: false } => {
            "Only sign-ins count as use, so accounts are only suspended.".to_owned()
        }
        Evidence::LoginOnly { may_delete: true } => {
            "Only sign-ins count as use, and the policy still allows stages after the \
            suspension. A user of an application that stays signed in looks idle."
                .to_owned()
        }
    });
    says.push(match policy.shared_content {
        SharedContent::LeaveOut => {
            "Owners of shared folders are skipped, unless Box keeps the folders open.".to_owned()
        }
        SharedContent::TransferFirst => format!(
            "Owners of shared folders are suspended after the folders have moved to {}, or at once if Box keeps the folders open.",
            receiver(policy)
        ),
        SharedContent::SuspendAnyway => {
            "Owners of shared folders are suspended. The folders close for all collaborators, unless Box keeps them open."
                .to_owned()
        }
    });
    says.push(match &policy.holds {
        None => "The policy says nothing about legal holds.".to_owned(),
        Some(Holds::File(path)) => {
            format!("Users in {} are under legal hold and are skipped.", path.display())
        }
        Some(Holds::NoneStated { by, on }) => {
            format!("{by} stated on {on} that there are no legal holds; that counts for 7 days.")
        }
    });
    let who = &policy.who;
    let narrowed = [
        (!who.groups.is_empty()).then(|| format!("in one of the groups {}", listed(who.groups.iter()))),
        (!who.tracking_codes.is_empty()).then(|| {
            format!(
                "with one of the tracking codes {}",
                listed(who.tracking_codes.iter().map(|code| format!("{}={}", code.name, code.value)))
            )
        }),
        (!who.seat_states.is_empty()).then(|| format!("whose seat is {}", listed(who.seat_states.iter()))),
    ];
    let narrowed: Vec<String> = narrowed.into_iter().flatten().collect();
    if !narrowed.is_empty() {
        says.push(format!("The policy applies only to users {}.", narrowed.join(" and ")));
    }
    says.push(format!(
        "In any 30 days the policy affects at most {} users and {} % of the assigned seats.",
        policy.caps.people, policy.caps.seats_percent
    ));
    says.push(format!("A plan may be applied for {} hours.", policy.plan_max_age.num_hours()));
    let other = if policy.approval.is_two_person { "; the user who planned it may not" } else { "" };
    if policy.approval.approvers > 1 {
        says.push(format!("A plan needs {} approvals by different users.", policy.approval.approvers));
    }
    says.push(match &policy.approval.allowed_signers {
        None => format!("A user of this machine approves it{other}."),
        Some(path) => format!("One of the signers in {} signs it{other}.", path.display()),
    });
    says.push(
        if policy.notify { "Box notifies the affected users." } else { "Box notifies no user." }.to_owned(),
    );
    says
}

/// The result on the latest snapshot.
pub fn found(evaluator: &Evaluator<'_>, snapshot: &Snapshot, refusals: &[Refusal]) -> Vec<String> {
    let mut lines = vec![format!(
        "The latest snapshot is of {} (run {}), with {} assigned seats.",
        snapshot.night.snapshot_date, snapshot.night.run_number, snapshot.seats_assigned
    )];
    for entry in &evaluator.protected.entries {
        let ids: Vec<&str> = entry.user_ids.iter().take(5).map(String::as_str).collect();
        let more = entry.user_ids.len().saturating_sub(ids.len());
        let ids = if more > 0 { format!("{} and {more} more", ids.join(", ")) } else { ids.join(", ") };
        let users = if entry.user_ids.is_empty() {
            "no user".to_owned()
        } else {
            format!("{}: {ids}", people(entry.user_ids.len()))
        };
        lines.push(format!("[protect] {} protects {users}.", entry.text));
    }
    if let Some(receiver) = evaluator.receivers.everybodys() {
        let can = match (unfit_account(receiver), room(receiver)) {
            (Some(why), _) => format!("cannot receive now, because {why}"),
            (None, Some(i64::MAX)) => "has unlimited room".to_owned(),
            (None, Some(..=0)) => "has no room".to_owned(),
            (None, Some(bytes)) => format!("has room for {}", size(bytes)),
            (None, None) => "has an unknown amount of room".to_owned(),
        };
        lines.push(format!(
            "{} ({}) is to receive the content of all users, {can}, and is protected.",
            receiver.called(),
            receiver.user_id
        ));
    }
    if !refusals.is_empty() {
        return lines;
    }
    let judged = evaluator.everybody();
    for stage in [Stage::Suspend, Stage::Transfer, Stage::Delete] {
        let count = judged.going.get(&stage).map_or(0, Vec::len);
        if count > 0 {
            lines.push(format!("A plan to {} would contain {}.", stage.as_str(), people(count)));
        }
    }
    lines.extend(no_receiver(&judged));
    if evaluator.policy.caps.most(snapshot.seats_assigned) == 0 {
        let (percent, seats) = (evaluator.policy.caps.seats_percent, snapshot.seats_assigned);
        lines.push(format!(
            "[caps] allow no user at all: {percent} % of {seats} seats is less than one. Raise seats_percent."
        ));
    }
    if judged.going.is_empty() {
        lines.push("No user enters a stage.".to_owned());
    }
    let mut reasons: Vec<(ReasonCode, usize)> = Vec::new();
    for (_, no) in judged.left_out.values() {
        match reasons.iter_mut().find(|(word, _)| *word == no.word) {
            Some((_, count)) => *count += 1,
            None => reasons.push((no.word, 1)),
        }
    }
    reasons.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.as_str()));
    let reason = |(word, count): (ReasonCode, usize)| {
        format!("{} skipped as {word}: {}.", people(count), word.meaning())
    };
    lines.extend(reasons.into_iter().map(reason));
    lines
}

fn receiver(policy: &Policy) -> String {
    match &policy.receiver {
        None => "no receiver".to_owned(),
        Some(Receiver::Account(account)) => account.clone(),
        Some(Receiver::ManagerTrackingCode(name)) => format!("the user in the tracking code {name}"),
        Some(Receiver::File(path)) => format!("the user that {} names", path.display()),
    }
}

fn listed(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
