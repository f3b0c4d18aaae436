//! What must hold before anybody is looked at: the plan, the store, the night, the clock, and who acts.

use boxseat_pipeline::guard;
use boxseat_schemas::reclaim::plan::Origin;
use boxseat_schemas::reclaim::{Plan, Record};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use super::super::ground::Ground;
use super::super::journal::Journal;
use super::super::past::{Past, PastPlan};
use super::super::policy::Policy;
use super::{Hands, Task};
use crate::error::CommandError;

/// How old the night may be that people are judged on again (R10).
pub(crate) const NIGHT_MAX_AGE: TimeDelta = TimeDelta::hours(36);

/// R7, R9, R10: whether a plan may be applied at all.
///
/// # Errors
/// Exit 3 with the rule that says no.
pub(crate) fn admit<'p>(
    plan: &Plan,
    digest: &str,
    past: &'p Past,
    policy: Option<&Policy>,
    ground: &Ground,
    store_id: Uuid,
    now: DateTime<Utc>,
) -> Result<&'p PastPlan, CommandError> {
    let known = ours(plan, digest, past, ground, store_id)?;
    let id = &plan.plan_id;
    if let Some(closed) = &known.closed {
        return Err(CommandError::refused(format!("plan {id} is closed: {}", closed.because))
            .hint("a plan is used once; `boxseat reclaim plan` makes another"));
    }
    let Some(approval) = known.approval() else {
        return Err(CommandError::refused(format!("plan {id} is not approved"))
            .hint(format!("read it with `boxseat reclaim show {id}`, then `boxseat reclaim approve {id}`")));
    };
    if let Origin::Policy { is_signed, is_two_person, .. } = plan.origin {
        let wants = policy.map(|policy| &policy.approval);
        if (is_signed || wants.is_some_and(|wants| wants.allowed_signers.is_some()))
            && approval.signed_by.is_none()
        {
            return Err(CommandError::refused(format!("plan {id} is approved without a signature"))
                .hint("the policy wants a signed approval: `boxseat reclaim approve --signature FILE`"));
        }
        if (is_two_person || wants.is_some_and(|wants| wants.is_two_person))
            && approval.by.os_user == known.by.os_user
        {
            return Err(CommandError::refused(format!(
                "plan {id} was planned and approved by {}, and the policy wants two people",
                known.by.os_user
            )));
        }
    }
    if plan.created_at > now + TimeDelta::minutes(5) {
        return Err(CommandError::refused(format!(
            "plan {id} was made {}, which is yet to come",
            plan.created_at.format("%F %H:%M UTC")
        ))
        .hint("it was made in a rehearsal, or by a clock that was wrong: make a new plan"));
    }
    if let Origin::Offboard { on: Some(day) } = &plan.origin
        && now.date_naive() < *day
    {
        return Err(CommandError::refused(format!("plan {id} is for {day}"))
            .hint("`boxseat reclaim nightly` applies it on that day"));
    }
    if ground.age(now) > NIGHT_MAX_AGE {
        return Err(CommandError::refused(format!(
            "the newest night is {} hours old, and people are judged on one of at most {}",
            ground.age(now).num_hours(),
            NIGHT_MAX_AGE.num_hours()
        ))
        .hint("run `boxseat sync` first"));
    }
    if ground.night.run_number < plan.night.run_number {
        return Err(CommandError::refused(format!(
            "the plan was made from run {}, and the published night is run {}",
            plan.night.run_number, ground.night.run_number
        )));
    }
    Ok(known)
}

/// R7: whether a plan is this store's own, unedited.
///
/// # Errors
/// Exit 3.
pub(crate) fn ours<'p>(
    plan: &Plan,
    digest: &str,
    past: &'p Past,
    ground: &Ground,
    store_id: Uuid,
) -> Result<&'p PastPlan, CommandError> {
    let id = &plan.plan_id;
    if plan.store_id != store_id {
        return Err(CommandError::refused(format!(
            "plan {id} was made from another store ({})",
            plan.store_id
        ))
        .hint("a plan is applied where it was made: --store names that store"));
    }
    if plan.enterprise_id != ground.enterprise_id {
        return Err(CommandError::refused(format!("plan {id} is for enterprise {}", plan.enterprise_id)));
    }
    let Some(known) = past.plans.get(id) else {
        return Err(CommandError::refused(format!("the store's journal does not know plan {id}"))
            .hint("`boxseat reclaim plan` makes plans and writes them down"));
    };
    if known.digest != digest {
        return Err(CommandError::refused(format!("the file of plan {id} is not the one that was made"))
            .hint("it was edited or damaged: make a new plan"));
    }
    Ok(known)
}

/// Learns who acts, and compares the clocks.
///
/// # Errors
/// Exit 3 for another enterprise or a clock that is off; what signing in says.
pub(super) async fn who_acts(task: Task<'_>, hands: Hands<'_>) -> Result<String, CommandError> {
    let me = hands.actor.me().await?;
    let enterprise = me.enterprise.as_ref().and_then(|enterprise| enterprise.id.as_deref());
    if enterprise != Some(task.plan.enterprise_id.as_str()) {
        return Err(CommandError::refused(format!(
            "the acting account belongs to enterprise {}, the plan to {}",
            enterprise.unwrap_or("none"),
            task.plan.enterprise_id
        ))
        .hint("BOXSEAT_ACTIONS_CLIENT_ID and _SECRET must be of an app of this enterprise"));
    }
    if hands.check_clock {
        // R10: ages, coverage and the 20 hours between two readings are all by this clock.
        if hands.actor.skew_secs().is_none() {
            return Err(CommandError::refused(
                "Box's answer has no Date, so nobody can tell whether our clock is right",
            )
            .hint("something between boxseat and Box takes the header away"));
        }
        guard::clock(hands.actor.skew_secs())
            .map_err(|refusal| CommandError::refused(refusal.to_string()).hint(refusal.hint().to_owned()))?;
    }
    Ok(me.id)
}

/// Writes down that the apply began, by whom, and on which night the rules are looked at again.
pub(super) fn note(
    task: Task<'_>,
    hands: Hands<'_>,
    journal: &mut Journal,
    actor_user_id: &str,
) -> Result<(), CommandError> {
    let record = Record::ApplyStarted {
        plan_id: task.plan.plan_id.clone(),
        by: hands.by.clone(),
        actor_user_id: actor_user_id.to_owned(),
        night: task.ground.night.clone(),
    };
    journal.append((hands.clock)(), record).map(drop)
}

/// Whether an offboarding's day has come.
pub(crate) fn is_due(origin: &Origin, today: NaiveDate) -> bool {
    match origin {
        Origin::Policy { .. } => true,
        Origin::Offboard { on } => on.is_none_or(|day| day <= today),
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::Stage;
    use boxseat_schemas::reclaim::plan::{Operator, PLAN_FORMAT};

    use super::*;
    use crate::reclaim::past::tests::{created, day, operator, past};
    use crate::reclaim::testing::{ground, idler, night_at, policy};

    fn plan() -> Plan {
        let ground = ground([idler("1")]);
        Plan {
            format: PLAN_FORMAT,
            plan_id: "p".to_owned(),
            store_id: ground.store_id,
            enterprise_id: ground.enterprise_id,
            night: ground.night,
            created_at: night_at(),
            expires_at: night_at() + TimeDelta::days(7),
            planned_by: operator("planner"),
            origin: Origin::Policy {
                policy_digest: "sha256:0".to_owned(),
                is_signed: false,
                is_two_person: false,
            },
            stage: Stage::Suspend,
            ticket: None,
            evidence_sources: Vec::new(),
            warnings: Vec::new(),
            people: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn approved(by: Operator, signed_by: Option<&str>) -> Record {
        let signed_by = signed_by.map(str::to_owned);
        Record::Approved { plan_id: "p".into(), digest: "d1".into(), by, signed_by }
    }

    fn why(plan: &Plan, digest: &str, past: &Past, policy_text: &str, hours: i64) -> String {
        let ground = ground([idler("1")]);
        let policy = policy(policy_text);
        let now = night_at() + TimeDelta::hours(hours);
        match admit(plan, digest, past, Some(&policy), &ground, ground.store_id, now) {
            Ok(_) => String::new(),
            Err(e) => {
                assert_eq!(e.exit_code(), 3);
                e.lines().join(" ")
            }
        }
    }

    /// R7, R9, R10: what must hold before anybody is looked at; each of them alone says no.
    #[test]
    fn r7_r9_r10_a_plan_is_admitted_only_whole_approved_and_on_a_fresh_night() {
        const PLAIN: &str = "evidence = \"activity\"\n";
        let made = || (99, created("p", Stage::Suspend, &["1"], &[]));
        let good = past(&[made(), (100, approved(operator("boss"), None))]);
        assert_eq!(why(&plan(), "d1", &good, PLAIN, 1), "");
        assert!(why(&plan(), "d2", &good, PLAIN, 1).contains("not the one that was made"));
        assert!(why(&plan(), "d1", &good, PLAIN, 37).contains("hours old"));
        assert!(why(&plan(), "d1", &past(&[made()]), PLAIN, 1).contains("not approved"));
        assert!(why(&plan(), "d1", &past(&[]), PLAIN, 1).contains("does not know"));
        let other = Plan { store_id: Uuid::from_u128(8), ..plan() };
        assert!(why(&other, "d1", &good, PLAIN, 1).contains("another store"));
        let other = Plan { enterprise_id: "43".to_owned(), ..plan() };
        assert!(why(&other, "d1", &good, PLAIN, 1).contains("enterprise 43"));
        let mut newer = plan();
        newer.night.run_number = boxseat_schemas::RunNumber(10);
        assert!(why(&newer, "d1", &good, PLAIN, 1).contains("run 10"));
        let closed = Record::PlanClosed { plan_id: "p".into(), because: "undone".into(), by: None };
        let undone = past(&[made(), (100, approved(operator("boss"), None)), (101, closed)]);
        assert!(why(&plan(), "d1", &undone, PLAIN, 1).contains("is closed: undone"));
    }

    /// R9: two people, and a signature, where the policy wants them.
    #[test]
    fn r9_the_approval_must_be_what_the_policy_wants() {
        let by = |name: &str, signed: Option<&str>| {
            past(&[(99, created("p", Stage::Suspend, &["1"], &[])), (100, approved(operator(name), signed))])
        };
        let two = "evidence = \"activity\"\n[approval]\ntwo_person = true\n";
        assert!(why(&plan(), "d1", &by("planner", None), two, 1).contains("two people"));
        assert_eq!(why(&plan(), "d1", &by("boss", None), two, 1), "");
        let signed =
            "evidence = \"activity\"\n[approval]\nkind = \"signed\"\nallowed_signers = \"signers\"\n";
        assert!(why(&plan(), "d1", &by("boss", None), signed, 1).contains("without a signature"));
        assert_eq!(why(&plan(), "d1", &by("boss", Some("jo@acme.test")), signed, 1), "");
    }

    /// R19: not before its day.
    #[test]
    fn r19_an_offboarding_waits_for_its_day() {
        let on = (night_at() + TimeDelta::days(1)).date_naive();
        let origin = Origin::Offboard { on: Some(on) };
        assert!(!is_due(&origin, night_at().date_naive()) && is_due(&origin, on));
        assert!(is_due(&Origin::Offboard { on: None }, day(0).date_naive()));
    }
}
