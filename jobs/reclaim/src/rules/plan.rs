//! Makes a plan from the result of the evaluation: pure, from values and `now`.

use boxseat_schemas::reclaim::plan::{LeftOut, Operator, Origin, PLAN_FORMAT, Plan, PlannedPerson, Stage};
use boxseat_schemas::reclaim::{Ability, Action, ApprovalTerms};
use boxseat_storage::digest::sha256_hex;
use chrono::{DateTime, TimeDelta, Utc};

use super::evaluator::{Goes, Judged, Refusal, Subject};
use super::figures::people;
use super::policy::{Evidence, Holds, Policy, SharedContent, WhenRefused};
use super::policy_inputs::PolicyInputs;
use super::snapshot::{Person, Snapshot};
use crate::journal::state::JournalState;

/// The inputs of a plan other than the verdicts.
pub struct Making<'a> {
    /// The stage of the plan.
    pub stage: Stage,
    /// A ticket of the service desk.
    pub ticket: Option<String>,
    /// Who plans.
    pub by: Operator,
    /// When.
    pub now: DateTime<Utc>,
    /// The policy.
    pub policy: &'a Policy,
    /// The policy's terms of approval, with its signers.
    pub approval: &'a ApprovalTerms,
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// The lists next to the policy.
    pub inputs: &'a PolicyInputs,
    /// The journal's state.
    pub past: &'a JournalState,
}

/// Whether a plan may be made from a snapshot.
///
/// # Errors
/// R10: the snapshot is too old. R2: too much of it is unknown. If 20 % of the seats are unknown, evidence was lost, and the values
/// of the other users are not reliable either. From 5 % on, the plan carries a warning, as reports do.
pub fn fit(snapshot: &Snapshot, now: DateTime<Utc>) -> Result<(), Refusal> {
    let age = snapshot.age(now);
    if age < -TimeDelta::minutes(5) {
        let sentence = format!(
            "the published snapshot is of {}, and the clock shows {}: check the clock",
            snapshot.night.now_at.format("%F %H:%M UTC"),
            now.format("%F %H:%M UTC")
        );
        return Err(Refusal { subject: Subject::SnapshotAge, sentence });
    }
    if age > SNAPSHOT_MAX_AGE {
        let sentence = format!(
            "the published snapshot is {} hours old, and the limit is 36 hours: run `boxseat sync` first",
            age.num_hours()
        );
        return Err(Refusal { subject: Subject::SnapshotAge, sentence });
    }
    let (unknown, percent) = unknown(snapshot);
    if percent > UNKNOWN_REFUSED_PERCENT {
        let sentence = format!(
            "the use of {unknown} seats ({percent} %) is not known, and the limit is {UNKNOWN_REFUSED_PERCENT} %: `boxseat \
                status` says what is not covered"
        );
        return Err(Refusal { subject: Subject::UnknownSeats, sentence });
    }
    Ok(())
}

/// Makes the plan of a stage. It may have no users; callers do not store empty plans.
pub fn make(making: Making<'_>, judged: &Judged) -> Plan {
    let Making { stage, ticket, by, now, policy, snapshot, .. } = &making;
    let going = judged.going.get(stage).map(Vec::as_slice).unwrap_or_default();
    let people = going.iter().filter_map(|(id, goes)| {
        let mut planned = planned(&making, snapshot.person(id)?, goes);
        let why = judged.without_receiver.get(id).filter(|_| *stage == Stage::Suspend);
        planned.warnings.extend(why.map(|why| format!("The content cannot move as of now: {why}.")));
        Some(planned)
    });
    let people: Vec<PlannedPerson> = people.collect();
    let left_out = judged.left_out.iter().filter(|(_, (of, _))| of == stage).map(|(id, (_, no))| {
        let person = snapshot.person(id);
        LeftOut {
            user_id: id.clone(),
            login: person.and_then(|person| person.login.clone()),
            name: person.and_then(|person| person.name.clone()),
            reason: no.word.into(),
            detail: no.detail.clone(),
        }
    });
    let mut plan = Plan {
        format: PLAN_FORMAT,
        plan_id: String::new(),
        store_id: snapshot.store_id,
        enterprise_id: snapshot.enterprise_id.clone(),
        night: snapshot.night,
        created_at: *now,
        expires_at: *now + policy.plan_max_age,
        planned_by: by.clone(),
        origin: Origin::Policy {
            policy_digest: policy.digest.clone(),
            is_signed: false,
            is_two_person: false,
        },
        stage: *stage,
        approval: Some(making.approval.clone()),
        ticket: ticket.clone(),
        evidence_sources: snapshot.evidence_sources.clone(),
        warnings: warnings(&making, judged),
        people,
        left_out: left_out.collect(),
    };
    plan.plan_id = name(&plan);
    plan
}

/// Date, stage and some digits of the content's digest: the same plan has the same name, and two plans of a day have different
/// names.
pub(crate) fn name(plan: &Plan) -> String {
    let nameless = Plan { plan_id: String::new(), ..plan.clone() };
    let digits = sha256_hex(&serde_json::to_vec(&nameless).expect("a plan is plain data"));
    format!("{}-{}-{}", plan.created_at.format("%F"), plan.stage.as_str(), &digits[..6])
}

/// The actions of a stage, in order (R13).
pub(crate) fn actions(stage: Stage) -> Vec<Action> {
    match stage {
        Stage::Suspend => vec![Action::Suspend, Action::TerminateSessions],
        Stage::Transfer => vec![Action::Transfer],
        Stage::Delete => vec![Action::Delete],
    }
}

fn planned(making: &Making<'_>, person: &Person, goes: &Goes) -> PlannedPerson {
    let receiver = goes.receiver_user_id.as_deref().and_then(|id| making.snapshot.person(id));
    let groups = person.group_ids.iter().map(|id| making.snapshot.groups.get(id).unwrap_or(id).clone());
    PlannedPerson {
        user_id: person.user_id.clone(),
        login: person.login.clone().unwrap_or_default(),
        name: person.name.clone(),
        actions: actions(goes.stage),
        baseline: goes.baseline.clone(),
        sentence: sentence(person, goes, receiver, making.past),
        last_activity_at: person.last_activity_at,
        last_activity_source: person.last_activity_source.clone(),
        proven_idle_days: person.proven_idle_days,
        suspended_at: goes.suspended_at,
        groups: groups.collect(),
        space_used_bytes: person.space_used_bytes,
        // They are counted with the acting account's rights, before any action.
        owned_items: None,
        shared_items: None,
        receiver_user_id: goes.receiver_user_id.clone(),
        receiver_login: receiver.and_then(|receiver| receiver.login.clone()),
        monthly_cost: person.monthly_cost.map(|cost| cost.to_string()),
        currency: person.currency.clone(),
        warnings: person_warnings(making, person, goes.stage),
    }
}

/// The reason, as a sentence for a licence manager.
fn sentence(person: &Person, goes: &Goes, receiver: Option<&Person>, past: &JournalState) -> String {
    let days = person.proven_idle_days.unwrap_or(0);
    let last = match (person.last_activity_at, person.last_activity_source.as_deref()) {
        (Some(at), Some(source)) => format!("last used {} ({source})", at.format("%F")),
        (Some(at), None) => format!("last used {}", at.format("%F")),
        (None, _) => "no use was ever seen".to_owned(),
    };
    let suspended = goes.suspended_at.map(|at| at.format("%F").to_string()).unwrap_or_default();
    match goes.stage {
        Stage::Suspend => format!("Not used for {days} days, all of them proved; {last}."),
        Stage::Transfer if suspended.is_empty() => {
            format!(
                "Not used for {days} days; {last}. Owns shared folders, which move to {} first.",
                receiver.map_or("the receiver", Person::called)
            )
        }
        Stage::Transfer => {
            format!(
                "Suspended {suspended} and not used since; {last}. All content moves to {}.",
                receiver.map_or("the receiver", Person::called)
            )
        }
        Stage::Delete => {
            format!("Suspended {suspended}, content moved and {}; {last}.", proof(&person.user_id, past))
        }
    }
}

/// What proves that the account is empty (R15).
fn proof(user_id: &str, past: &JournalState) -> String {
    let known = past.people.get(user_id);
    let transfer = known.and_then(|known| Some((known, known.transfer()?)));
    match transfer.and_then(|(known, transfer)| known.confirmation(&transfer.attempt.action_id)) {
        None => "read as empty twice".to_owned(),
        Some(confirmed) => format!(
            "the move confirmed by {} on {} ({:?})",
            confirmed.by.os_user,
            confirmed.at.format("%F"),
            confirmed.statement
        ),
    }
}

fn person_warnings(making: &Making<'_>, person: &Person, stage: Stage) -> Vec<String> {
    let mut warnings = Vec::new();
    if person.space_used_bytes.is_none() {
        warnings.push("It is not known how many bytes the account owns.".to_owned());
    }
    if stage == Stage::Suspend && person.space_used_bytes != Some(0) {
        match (person.keeps_folders_open(), making.policy.shared_content) {
            (true, SharedContent::SuspendAnyway) => warnings
                .push(format!("{KEEPS_FOLDERS_OPEN} They close if it no longer says so when the account is suspended.")),
            (true, _) => warnings.push(format!(
                "{KEEPS_FOLDERS_OPEN} The field is read again before the suspension; without it, an owner of shared items is skipped."
            )),
            (false, SharedContent::SuspendAnyway) => warnings
                .push("Folders that the account owns close for all collaborators.".to_owned()),
            (false, _) => {}
        }
    }
    if making.policy.evidence != Evidence::Activity && person.last_activity_at.is_none() {
        warnings.push("No sign-in is known, and other use is not evaluated.".to_owned());
    }
    warnings
}

const KEEPS_FOLDERS_OPEN: &str = "Folders that the account owns stay open to their collaborators, as its field is_collaborated_content_available_when_owner_inactive says.";

/// What the approver must know (R3, R6, R7, R20).
fn warnings(making: &Making<'_>, judged: &Judged) -> Vec<String> {
    let Making { stage, policy, snapshot, inputs, .. } = making;
    let moves_inactive = making.past.allows(Ability::TransferFromInactive, making.now);
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(text);
    match &policy.holds {
        None => warn(
            "boxseat cannot read legal holds and retention policies; ask the team that manages them."
                .to_owned(),
        ),
        Some(Holds::NoneStated { by, on }) => {
            warn(format!("boxseat cannot read legal holds. {by} stated on {on} that there are none."))
        }
        Some(Holds::File(_)) => {
            let rows = inputs.holds.as_ref().map_or(0, |list| list.rows.len());
            let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
            warn(format!("boxseat cannot read legal holds. The list of holds has {rows}."));
        }
    }
    match stage {
        Stage::Suspend => {
            warn("A suspended account still takes its seat. Only its deletion frees the seat.".to_owned());
            if let Some(sentence) = no_receiver(judged) {
                warn(sentence);
            }
            if policy.furthest_stage > Stage::Suspend && moves_inactive != Some(true) {
                let known = match moves_inactive {
                    None => {
                        "Whether this Box moves content of inactive accounts is not known before the first transfer. If it refuses"
                    }
                    Some(_) => "This Box moves no content of inactive accounts",
                };
                let then = match policy.when_refused {
                    WhenRefused::Stop => "the seats of users with content stay taken",
                    WhenRefused::Reactivate => "each account is set to active for its transfer",
                };
                warn(format!("{known}: {then} ([transfer] when_refused)."));
            }
            warn("Folders that a suspended account owns are closed for all collaborators, unless the field \
                is_collaborated_content_available_when_owner_inactive of the account is true. Items in its root folder are \
                counted before the suspension. Shares in deeper folders are not visible.".to_owned());
            if policy.shared_content == SharedContent::LeaveOut {
                warn("An owner of shared items in the root folder is skipped (owns_shared_content). Which users own any is \
                    only known when the plan is applied, so that fewer users may be suspended than it has.".to_owned());
            }
        }
        Stage::Transfer => {
            if policy.when_refused == WhenRefused::Stop && moves_inactive.is_none() {
                warn("Whether this Box moves content of inactive accounts is not known before the first transfer. If it refuses, the content and the seats stay ([transfer] when_refused).".to_owned());
            }
            if policy.when_refused == WhenRefused::Reactivate && moves_inactive != Some(true) {
                warn("Where Box moves no content of an inactive account, the account is active during its transfer. A sign-in in that time counts as use.".to_owned());
            }
            warn("A transfer cannot be undone. Workflows move only where the receiver has Relay and access to their files.".to_owned());
            warn(
                "Invitations to single files move with the content, and end when the account is deleted."
                    .to_owned(),
            );
            warn(
                "Box mails the administrators when a transfer succeeds. It sends no mail when a transfer fails."
                    .to_owned(),
            );
        }
        Stage::Delete => {
            warn("A deletion cannot be undone. Invitations to single files that the account owned end with it.".to_owned());
        }
    }
    warn("Remove the assignment at the identity provider first. Otherwise the identity provider may set the account to \
        active, or create it again.".to_owned());
    if policy.evidence != Evidence::Activity {
        warn(
            "Only sign-ins count as use. Installed applications stay signed in for months without a new sign-in."
                .to_owned(),
        );
    }
    if let Some(bought) = snapshot
        .seats_purchased
        .filter(|bought| u64::try_from(*bought).is_ok_and(|bought| bought > snapshot.seats_assigned))
    {
        let renewal = snapshot
            .renewal_date
            .map_or_else(|| "at renewal".to_owned(), |date| format!("at the renewal of {date}"));
        warn(format!(
            "{bought} seats are bought and {} are assigned. A freed seat saves nothing before fewer seats are bought {renewal}.",
            snapshot.seats_assigned
        ));
    }
    if inputs.leave.is_none() {
        warn("There is no leave list. Users on leave look idle.".to_owned());
    }
    if policy.notify {
        warn("Box notifies the affected users.".to_owned());
    }
    let (unknown, percent) = unknown(snapshot);
    if percent > UNKNOWN_WARNED_PERCENT {
        warn(format!("The use of {unknown} seats ({percent} %) is not known. Their users are skipped."));
    }
    for entry in &policy.who.groups {
        if super::protect::groups_named(snapshot, entry).is_empty() {
            warn(format!("[who] groups: there is no group {entry:?}."));
        }
    }
    warnings
}

/// R4: users who are to be suspended and whose content no receiver can take now.
pub(crate) fn no_receiver(judged: &Judged) -> Option<String> {
    let (user_id, why) = judged.without_receiver.first_key_value()?;
    let users = people(judged.without_receiver.len());
    Some(format!(
        "No receiver can take the content of {users} as of now, for example of user {user_id}: {why}. Their transfer waits until one can, and their seats stay taken."
    ))
}

/// Seats of which nothing is known, and their share in percent.
fn unknown(snapshot: &Snapshot) -> (u64, u64) {
    let is_unknown =
        |person: &&Person| person.consumes_seat && person.seat_state.as_deref() == Some("unknown");
    let unknown = snapshot.people.values().filter(is_unknown).count() as u64;
    (unknown, (unknown * 100).checked_div(snapshot.seats_assigned).unwrap_or(0))
}

/// Maximum age of a snapshot from which a plan is made (R10).
const SNAPSHOT_MAX_AGE: TimeDelta = TimeDelta::hours(36);
const UNKNOWN_WARNED_PERCENT: u64 = 5;
const UNKNOWN_REFUSED_PERCENT: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::evaluator::Evaluator;
    use crate::testing::{day, idler, inputs, operator, policy, snapshot, snapshot_time, worker};

    fn plan_of(snapshot: &Snapshot, text: &str, now: DateTime<Utc>) -> Plan {
        let (policy, inputs, past) = (policy(text), inputs(), JournalState::default());
        let judged = Evaluator::new(&policy, snapshot, &past, &inputs, now, []).unwrap().everybody();
        let making = Making {
            stage: Stage::Suspend,
            ticket: Some("CHG-7".to_owned()),
            by: operator("jo"),
            now,
            policy: &policy,
            approval: &ApprovalTerms::os_user(),
            snapshot,
            inputs: &inputs,
            past: &past,
        };
        make(making, &judged)
    }

    /// R7: a plan carries its inputs, every user in it, and every excluded user.
    #[test]
    fn r7_a_plan_has_its_inputs_and_reasons() {
        let mut snapshot =
            snapshot([idler("1"), Person { role: Some("coadmin".to_owned()), ..idler("2") }, worker("3")]);
        snapshot.seats_purchased = Some(2_000);
        let plan = plan_of(&snapshot, "evidence = \"activity\"\n", snapshot_time());
        assert_eq!(
            (plan.store_id, plan.enterprise_id.as_str(), plan.night.run_number.0),
            (snapshot.store_id, "42", 9)
        );
        assert_eq!(plan.expires_at - plan.created_at, TimeDelta::hours(168));
        assert!(
            matches!(&plan.origin, Origin::Policy { policy_digest, .. } if policy_digest.starts_with("sha256:"))
        );
        assert_eq!(plan.evidence_sources, ["LOGIN", "DOWNLOAD"]);
        let person = &plan.people[0];
        assert_eq!((person.user_id.as_str(), person.monthly_cost.as_deref()), ("1", Some("35.0000")));
        assert_eq!(
            person.sentence,
            format!(
                "Not used for 120 days, all of them proved; last used {} (LOGIN).",
                day(-20).format("%F")
            )
        );
        assert_eq!(person.actions, [Action::Suspend, Action::TerminateSessions]);
        assert_eq!(
            (plan.left_out.len(), plan.left_out[0].reason.as_str()),
            (1, "admin"),
            "a user in use is not listed as skipped"
        );
        let warnings = plan.warnings.join("\n");
        for told in [
            "cannot read legal holds",
            "identity provider",
            "saves nothing before",
            "deeper folders",
            "fewer users may be suspended",
            "leave list",
        ] {
            assert!(warnings.contains(told), "{told}: {warnings}");
        }
        assert!(plan.plan_id.contains("-suspend-") && plan.plan_id == name(&plan));
        let later = plan_of(&snapshot, "evidence = \"activity\"\n", snapshot_time() + TimeDelta::minutes(1));
        assert_ne!(later.plan_id, plan.plan_id);
    }

    /// R6: what a plan says about shared folders is true for each user.
    #[test]
    fn r6_a_plan_names_the_users_whose_folders_stay_open() {
        let known = |is_available| Person { is_content_available_when_inactive: is_available, ..idler("1") };
        for (policy, is_available, says) in [
            ("", Some(true), Some("without it, an owner of shared items is skipped")),
            ("", Some(false), None),
            ("", None, None),
            ("shared_content = \"suspend_anyway\"\n", Some(true), Some("They close if it no longer says so")),
            ("shared_content = \"suspend_anyway\"\n", Some(false), Some("close for all collaborators")),
            ("shared_content = \"suspend_anyway\"\n", None, Some("close for all collaborators")),
        ] {
            let plan = plan_of(
                &snapshot([known(is_available), worker("2")]),
                &format!("evidence = \"activity\"\n{policy}"),
                snapshot_time(),
            );
            let warnings = plan.people[0].warnings.join("\n");
            match says {
                Some(says) => assert!(warnings.contains(says), "{policy}{is_available:?}: {warnings}"),
                None => assert_eq!(warnings, "", "{is_available:?}"),
            }
        }
    }

    /// R10: no plan is made from a snapshot of last week. R2: nor from one with too many unknown seats.
    #[test]
    fn r10_an_old_or_unknown_snapshot_makes_no_plan() {
        let snapshot = snapshot((1..=10).map(|n| worker(&n.to_string())));
        let rule = |snapshot: &Snapshot, hours: i64| {
            fit(snapshot, snapshot_time() + TimeDelta::hours(hours)).err().map(|no| no.subject.rule())
        };
        assert_eq!(
            (rule(&snapshot, 36), rule(&snapshot, 37), rule(&snapshot, -1)),
            (None, Some("R10"), Some("R10"))
        );
        let mut dark = snapshot.clone();
        dark.seats_assigned = 10;
        for id in ["1", "2"] {
            dark.people.get_mut(id).unwrap().seat_state = Some("unknown".to_owned());
        }
        assert_eq!(rule(&dark, 0), None);
        dark.people.get_mut("3").unwrap().seat_state = Some("unknown".to_owned());
        assert_eq!(rule(&dark, 0), Some("R2"));
    }
}
