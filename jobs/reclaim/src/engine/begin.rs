//! What must hold before any user is read: the plan, the store, the snapshot, the clock, and the acting account.

use boxseat_pipeline::guard;
use boxseat_schemas::reclaim::plan::Origin;
use boxseat_schemas::reclaim::{Plan, Record};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use super::{ApplyEnv, Task};
use crate::error::Error;
use crate::journal::Journal;
use crate::journal::approval::Required;
use crate::journal::plans::PlanFile;
use crate::journal::state::{JournalState, PlanState};
use crate::rules::snapshot::Snapshot;

/// Maximum age of the snapshot on which the policy is evaluated again (R10).
pub const SNAPSHOT_MAX_AGE: TimeDelta = TimeDelta::hours(36);

/// R7, R9, R10: whether a plan may be applied at all.
///
/// # Errors
/// `Refused` with the rule that forbids it.
pub fn admit(
    file: &PlanFile,
    past: &JournalState,
    required: &Required,
    snapshot: &Snapshot,
    store_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let plan = &file.plan;
    let known = ours(plan, &file.digest, past, snapshot, store_id)?;
    let id = &plan.plan_id;
    if let Some(closed) = &known.closed {
        return Err(Error::refused(format!("plan {id} is closed: {}", closed.because))
            .hint("a plan is used once; `boxseat reclaim plan` makes another"));
    }
    required.admit(known, file)?;
    if plan.created_at > now + TimeDelta::minutes(5) {
        return Err(Error::refused(format!(
            "plan {id} was made {}, which is in the future",
            plan.created_at.format("%F %H:%M UTC")
        ))
        .hint("it was made in a rehearsal, or by a clock that was wrong: make a new plan"));
    }
    if let Origin::Offboard { on: Some(day) } = &plan.origin
        && now.date_naive() < *day
    {
        return Err(Error::refused(format!("plan {id} is for {day}"))
            .hint("`boxseat reclaim nightly` applies it on that day"));
    }
    if snapshot.age(now) > SNAPSHOT_MAX_AGE {
        return Err(Error::refused(format!(
            "the latest snapshot is {} hours old, and the limit is {} hours",
            snapshot.age(now).num_hours(),
            SNAPSHOT_MAX_AGE.num_hours()
        ))
        .hint("run `boxseat sync` first"));
    }
    if snapshot.night.run_number < plan.night.run_number {
        return Err(Error::refused(format!(
            "the plan was made from run {}, and the published snapshot is run {}",
            plan.night.run_number, snapshot.night.run_number
        )));
    }
    Ok(())
}

/// R7: whether a plan belongs to this store and is unedited.
///
/// # Errors
/// `Refused`.
pub fn ours<'p>(
    plan: &Plan,
    digest: &str,
    past: &'p JournalState,
    snapshot: &Snapshot,
    store_id: Uuid,
) -> Result<&'p PlanState, Error> {
    let id = &plan.plan_id;
    if plan.store_id != store_id {
        return Err(Error::refused(format!("plan {id} was made from another store ({})", plan.store_id))
            .hint("a plan is applied where it was made: --store names that store"));
    }
    if plan.enterprise_id != snapshot.enterprise_id {
        return Err(Error::refused(format!("plan {id} is for enterprise {}", plan.enterprise_id)));
    }
    let Some(known) = past.plans.get(id) else {
        return Err(Error::refused(format!("the store's journal does not know plan {id}"))
            .hint("`boxseat reclaim plan` makes plans and records them in the journal"));
    };
    if known.digest != digest {
        return Err(Error::refused(format!("the file of plan {id} is not the one that was made"))
            .hint("it was edited or damaged: make a new plan"));
    }
    Ok(known)
}

/// Determines the acting account, and compares the clocks.
///
/// # Errors
/// `Refused` for another enterprise or a clock that is off; the error of the sign-in.
pub(super) async fn who_acts(task: Task<'_>, env: ApplyEnv<'_>) -> Result<String, Error> {
    let me = env.actor.me().await?;
    let enterprise = me.enterprise.as_ref().and_then(|enterprise| enterprise.id.as_deref());
    if enterprise != Some(task.plan.enterprise_id.as_str()) {
        return Err(Error::refused(format!(
            "the acting account belongs to enterprise {}, the plan to {}",
            enterprise.unwrap_or("none"),
            task.plan.enterprise_id
        ))
        .hint("BOXSEAT_ACTIONS_CLIENT_ID and _SECRET, or BOXSEAT_ACTIONS_JWT_CONFIG, must be of an app of this enterprise"));
    }
    if env.check_clock {
        // R10: ages, coverage and the 20 hours between two readings all depend on this clock.
        if env.actor.skew_secs().is_none() {
            return Err(Error::refused("Box's response has no Date header, so the clock cannot be checked")
                .hint("a program between boxseat and Box removes the header"));
        }
        guard::clock(env.actor.skew_secs())
            .map_err(|refusal| Error::refused(refusal.to_string()).hint(refusal.hint().to_owned()))?;
    }
    Ok(me.id)
}

/// Records that the apply began, who started it, and on which snapshot the policy is evaluated again.
pub(super) fn note(
    task: Task<'_>,
    env: ApplyEnv<'_>,
    journal: &mut Journal,
    actor_user_id: &str,
) -> Result<(), Error> {
    let record = Record::ApplyStarted {
        plan_id: task.plan.plan_id.clone(),
        by: env.by.clone(),
        actor_user_id: actor_user_id.to_owned(),
        night: task.snapshot.night,
    };
    journal.append((env.clock)(), record)?;
    // If the command is killed later, only the journal has its entries. The anchor proves that it began.
    env.anchors.anchor(journal)
}

/// Whether the day of an offboarding has come.
pub fn is_due(origin: &Origin, today: NaiveDate) -> bool {
    match origin {
        Origin::Policy { .. } => true,
        Origin::Offboard { on } => on.is_none_or(|day| day <= today),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use boxseat_schemas::reclaim::plan::{Operator, PLAN_FORMAT};
    use boxseat_schemas::reclaim::{ApprovalTerms, PlanEnd, Stage};

    use super::*;
    use crate::error::ErrorKind;
    use crate::testing::{created, day, idler, operator, past, snapshot, snapshot_time};

    fn plan() -> Plan {
        let snapshot = snapshot([idler("1")]);
        Plan {
            format: PLAN_FORMAT,
            plan_id: "p".to_owned(),
            store_id: snapshot.store_id,
            enterprise_id: snapshot.enterprise_id,
            night: snapshot.night,
            created_at: snapshot_time(),
            expires_at: snapshot_time() + TimeDelta::days(7),
            planned_by: operator("planner"),
            origin: Origin::Policy {
                policy_digest: "sha256:0".to_owned(),
                is_signed: false,
                is_two_person: false,
            },
            stage: Stage::Suspend,
            approval: Some(ApprovalTerms::os_user()),
            ticket: None,
            evidence_sources: Vec::new(),
            warnings: Vec::new(),
            people: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn approved(by: Operator) -> Record {
        let (signed_by, signature) = (None, None);
        Record::Approved { plan_id: "p".into(), digest: "d1".into(), by, signed_by, signature }
    }

    fn why(plan: &Plan, digest: &str, past: &JournalState, configured: &ApprovalTerms, hours: i64) -> String {
        let snapshot = snapshot([idler("1")]);
        let now = snapshot_time() + TimeDelta::hours(hours);
        let file = PlanFile {
            plan: plan.clone(),
            digest: digest.to_owned(),
            path: PathBuf::new(),
            bytes: Vec::new(),
        };
        match admit(&file, past, &Required::of(plan, Some(configured)), &snapshot, snapshot.store_id, now) {
            Ok(()) => String::new(),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Refused);
                e.lines().join(" ")
            }
        }
    }

    /// R7, R9, R10: every precondition alone is enough to refuse the plan.
    #[test]
    fn r7_r9_r10_only_an_unchanged_approved_plan_on_a_recent_snapshot_is_admitted() {
        let plain = &ApprovalTerms::os_user();
        let made = || (99, created("p", Stage::Suspend, &["1"], &[]));
        let good = past(&[made(), (100, approved(operator("boss")))]);
        assert_eq!(why(&plan(), "d1", &good, plain, 1), "");
        assert!(why(&plan(), "d2", &good, plain, 1).contains("not the one that was made"));
        assert!(why(&plan(), "d1", &good, plain, 37).contains("hours old"));
        assert!(why(&plan(), "d1", &past(&[made()]), plain, 1).contains("not approved"));
        assert!(why(&plan(), "d1", &past(&[]), plain, 1).contains("does not know"));
        let other = Plan { store_id: Uuid::from_u128(8), ..plan() };
        assert!(why(&other, "d1", &good, plain, 1).contains("another store"));
        let other = Plan { enterprise_id: "43".to_owned(), ..plan() };
        assert!(why(&other, "d1", &good, plain, 1).contains("enterprise 43"));
        let mut newer = plan();
        newer.night.run_number = boxseat_schemas::RunNumber(10);
        assert!(why(&newer, "d1", &good, plain, 1).contains("run 10"));
        let closed = Record::PlanClosed { plan_id: "p".into(), because: PlanEnd::Undone.into(), by: None };
        let undone = past(&[made(), (100, approved(operator("boss"))), (101, closed)]);
        assert!(why(&plan(), "d1", &undone, plain, 1).contains("is closed: undone"));
    }

    /// R9: another user, and as many approvers as the stricter of plan and policy requires.
    #[test]
    fn r9_the_approvals_must_satisfy_plan_and_policy() {
        let by = |names: &[&str]| {
            let made = [(99, created("p", Stage::Suspend, &["1"], &[]))];
            let approvals = names.iter().map(|name| (100, approved(operator(name))));
            past(&made.into_iter().chain(approvals).collect::<Vec<_>>())
        };
        let plain = ApprovalTerms::os_user();
        let two = ApprovalTerms { is_two_person: true, ..plain.clone() };
        let twice = ApprovalTerms { approvers: 2, ..plain.clone() };
        let pinned = |terms: &ApprovalTerms| Plan { approval: Some(terms.clone()), ..plan() };
        for (terms, other) in [(&plain, &two), (&two, &plain)] {
            let wrong = why(&pinned(terms), "d1", &by(&["planner"]), other, 1);
            assert!(wrong.contains("another user"), "{wrong}");
            assert_eq!(why(&pinned(terms), "d1", &by(&["boss"]), other, 1), "");
        }
        for (terms, other) in [(&plain, &twice), (&twice, &plain)] {
            let wrong = why(&pinned(terms), "d1", &by(&["boss", "boss"]), other, 1);
            assert!(wrong.contains("1 of 2 users"), "{wrong}");
            assert_eq!(why(&pinned(terms), "d1", &by(&["boss", "chief"]), other, 1), "");
        }
        let signed = ApprovalTerms { signers: vec!["jo ssh-ed25519 AAAA".to_owned()], ..plain };
        let wrong = why(&plan(), "d1", &by(&["boss"]), &signed, 1);
        assert!(wrong.contains("no signature"), "{wrong}");
    }

    /// R19: not before its day.
    #[test]
    fn r19_an_offboarding_waits_for_its_day() {
        let on = (snapshot_time() + TimeDelta::days(1)).date_naive();
        let origin = Origin::Offboard { on: Some(on) };
        assert!(!is_due(&origin, snapshot_time().date_naive()) && is_due(&origin, on));
        assert!(is_due(&Origin::Offboard { on: None }, day(0).date_naive()));
    }
}
