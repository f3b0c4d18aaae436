use boxseat_schemas::reclaim::{Attempt, Record, Stage, Standing};

use super::*;
use crate::rules::policy_inputs::Hold;
use crate::testing::{
    TO_DELETE, created, day, idler, inputs, intent, night, operator, outcome, past, policy, read, snapshot,
    snapshot_time, suspended,
};

fn destination(items: u64) -> Record {
    Record::DestinationRead {
        plan_id: "p".into(),
        user_id: "1".into(),
        receiver_user_id: "77".into(),
        folder_id: "f".into(),
        items: Some(items),
    }
}

fn skip(reason: ReasonCode) -> Record {
    Record::Skipped {
        plan_id: "p".into(),
        user_id: "1".into(),
        reason: reason.into(),
        detail: format!("a sentence about {reason}"),
        is_final: true,
        used_at: None,
    }
}

/// The result for user 1 after the suspension of day 1 and these entries.
fn after(records: &[(i64, Record)]) -> Option<Stuck> {
    of(suspended("1"), records)
}

fn of(one: Person, records: &[(i64, Record)]) -> Option<Stuck> {
    let Record::Intent(attempt) = intent("p", "1", Action::Suspend, 1) else { unreachable!() };
    let before = Standing {
        login: Some("u1@acme.test".to_owned()),
        status: Some("active".to_owned()),
        ..attempt.before.clone()
    };
    let mut all = vec![
        (0, created("p", Stage::Suspend, &["1", "2"], &[])),
        (1, read(Some(3), 30)),
        (1, Record::Intent(Attempt { before, ..attempt })),
        (
            1,
            Record::Outcome {
                action_id: "p/1/1".into(),
                outcome: Outcome::Done,
                http_status: Some(200),
                request_id: None,
                after: Some(suspended("1").standing(&[])),
                destination_folder_id: None,
                reason: None,
            },
        ),
    ];
    all.extend_from_slice(records);
    let snapshot = snapshot([one, idler("77"), idler("9")]);
    let mut stuck = stuck(&past(&all), &snapshot, Some(&policy(TO_DELETE)), &inputs(), snapshot_time());
    assert!(stuck.len() <= 1);
    stuck.pop()
}

/// Why: `undo` of the whole plan gave three other accounts back, and left the stuck one as it was.
#[test]
fn r18_every_next_step_names_the_one_user() {
    let edit = crate::rules::snapshot::Edit { actor_id: Some("99".to_owned()), at: day(5) };
    let edited = || Person { edits: vec![edit.clone()], ..suspended("1") };
    let stuck = of(edited(), &[]).unwrap();
    assert_eq!(stuck.word, ReasonCode::EditedByOther);
    assert!(
        !stuck.next.contains("undo"),
        "undo refuses an account that another actor edited: {}",
        stuck.next
    );
    for said in ["active in the Box console", "boxseat offboard u1@acme.test --transfer-to RECEIVER"] {
        assert!(stuck.next.contains(said), "{}", stuck.next);
    }
    let transfer = intent("p", "1", Action::Transfer, 2);
    let moved = [
        (15, transfer),
        (15, outcome("p", "1", 2, Outcome::Done)),
        (16, read(Some(0), 0)),
        (17, read(Some(0), 0)),
        (17, destination(3)),
    ];
    let stuck = of(edited(), &moved).unwrap();
    assert_eq!(stuck.word, ReasonCode::EditedByOther);
    for said in ["the content is with u77@acme.test", "offboard u1@acme.test --transfer-to u77@acme.test"] {
        assert!(stuck.next.contains(said), "{}", stuck.next);
    }
    let in_group = Person { group_ids: vec!["g1".to_owned()], ..suspended("1") };
    let stuck = of(in_group, &[]).unwrap();
    assert_eq!(stuck.word, ReasonCode::Changed);
    assert!(stuck.next.contains("reclaim undo p --user u1@acme.test"), "{}", stuck.next);
}

/// The plan of leaver 1, and its approval.
fn offboarding() -> [Record; 2] {
    let leaves = Record::PlanCreated {
        plan_id: "o".into(),
        digest: "d1".into(),
        stage: Stage::Delete,
        policy_digest: None,
        night: night(0),
        by: operator("boss"),
        user_ids: vec!["1".into()],
        receiver_user_ids: vec!["77".into()],
        due_on: None,
    };
    let approved = Record::Approved {
        plan_id: "o".into(),
        digest: "d1".into(),
        by: operator("boss"),
        signed_by: None,
        signature: None,
    };
    [leaves, approved]
}

/// Why: a leaver was locked out, the plan expired, and no list had the user from then on.
#[test]
fn r19_a_leaver_whose_plan_expired_is_in_the_list() {
    let [leaves, approved] = offboarding();
    let closed = Record::PlanClosed { plan_id: "o".into(), because: PlanEnd::Expired.into(), by: None };
    let locked = [
        (2, leaves.clone()),
        (2, approved),
        (2, intent("o", "1", Action::Suspend, 1)),
        (2, outcome("o", "1", 1, Outcome::Done)),
        (9, closed.clone()),
    ];
    let stuck = after(&locked).unwrap();
    assert_eq!((stuck.word.as_str(), stuck.since), ("ended_early", day(9)));
    assert!(stuck.reason.contains("locked out, and its content has not moved"), "{}", stuck.reason);
    assert!(stuck.next.contains("boxseat offboard u1@acme.test --transfer-to RECEIVER"), "{}", stuck.next);
    let again = Record::PlanClosed { plan_id: "o".into(), because: PlanEnd::Undone.into(), by: None };
    assert_ne!(
        after(&[&locked[..], &[(10, again)]].concat()).map(|stuck| stuck.word),
        Some(ReasonCode::EndedEarly.into())
    );
    let never_approved = after(&[(2, leaves), (9, closed)]);
    assert_ne!(
        never_approved.map(|stuck| stuck.word),
        Some(ReasonCode::EndedEarly.into()),
        "nothing has begun"
    );
}

/// Why: after `when_refused` was set to "reactivate", a leaver whose plan had expired was in no list.
#[test]
fn r19_an_expired_plan_is_reported_whatever_the_policy_says_about_the_refusal() {
    let [leaves, approved] = offboarding();
    let refused = Record::BoxAllows {
        ability: Ability::TransferFromInactive,
        is_allowed: false,
        user_id: "1".into(),
        detail: None,
    };
    let records = [
        (2, leaves),
        (2, approved),
        (2, intent("o", "1", Action::Suspend, 1)),
        (2, outcome("o", "1", 1, Outcome::Done)),
        (80, intent("o", "1", Action::Transfer, 2)),
        (80, outcome("o", "1", 2, Outcome::Refused)),
        (80, refused),
        (81, Record::PlanClosed { plan_id: "o".into(), because: PlanEnd::Expired.into(), by: None }),
    ];
    let snapshot = snapshot([suspended("1"), idler("77"), idler("9")]);
    let reactivate = policy(&format!("{TO_DELETE}[transfer]\nwhen_refused = \"reactivate\"\n"));
    let stuck = stuck(&past(&records), &snapshot, Some(&reactivate), &inputs(), snapshot_time());
    assert_eq!(stuck.len(), 1);
    assert_eq!(stuck[0].word, ReasonCode::EndedEarly);
}

/// Why: a legal hold on a leaver was reported on the day of the deletion, and not before.
#[test]
fn r19_a_hold_on_a_leaver_is_reported_the_next_day() {
    let [leaves, approved] = offboarding();
    let records = [
        (2, leaves),
        (2, approved),
        (2, intent("o", "1", Action::Suspend, 1)),
        (2, outcome("o", "1", 1, Outcome::Done)),
    ];
    let said = |held: &[&str]| {
        let hold = |id: &&str| Hold { who: (*id).to_owned(), reason: "litigation".to_owned(), line: 2 };
        let mut lists = inputs();
        lists.holds.as_mut().unwrap().rows = held.iter().map(hold).collect();
        let snapshot = snapshot([suspended("1"), idler("77"), idler("9")]);
        stuck(&past(&records), &snapshot, Some(&policy(TO_DELETE)), &lists, snapshot_time())
    };
    assert_eq!(said(&[]), []);
    let held = said(&["1"]);
    assert_eq!(held.len(), 1);
    assert!(held[0].word == ReasonCode::OnHold && held[0].is_intended(), "{held:?}");
}

/// Why: with a list of holds that was too old, the list of stuck users was empty.
#[test]
fn r3_an_old_list_of_holds_hides_no_stuck_user() {
    let refused = [(4, intent("p", "1", Action::Transfer, 2)), (4, outcome("p", "1", 2, Outcome::Done))];
    let mut old = inputs();
    old.holds.as_mut().unwrap().age = TimeDelta::days(8);
    let past = past(
        &[
            &[(0, created("p", Stage::Suspend, &["1"], &[]))][..],
            &[(1, intent("p", "1", Action::Suspend, 1)), (1, outcome("p", "1", 1, Outcome::Done))],
            &refused,
        ]
        .concat(),
    );
    let snapshot = snapshot([Person { role: Some("coadmin".to_owned()), ..suspended("1") }, idler("77")]);
    let words = |inputs: &PolicyInputs| -> Vec<Recorded<ReasonCode>> {
        let stuck = stuck(&past, &snapshot, Some(&policy(TO_DELETE)), inputs, snapshot_time());
        stuck.into_iter().map(|stuck| stuck.word).collect()
    };
    assert_eq!(words(&inputs()), words(&old));
    assert_eq!(words(&old).len(), 1);
}

#[test]
fn r11_a_late_sign_in_names_the_user_and_the_undo() {
    assert_eq!(after(&[]), None, "a suspended user waits");
    let late = after(&[(3, skip(ReasonCode::LateLogin))]).unwrap();
    assert!(late.is_late_login() && !late.is_intended());
    assert_eq!(
        (late.since, late.next.as_str()),
        (day(3), "to give the account back: boxseat reclaim undo p --user u1@acme.test")
    );
}

#[test]
fn r15_a_transfer_that_no_reading_proves_names_the_confirmation() {
    let moved = |last: Record| {
        let transfer = intent("p", "1", Action::Transfer, 2);
        after(&[(3, transfer), (3, outcome("p", "1", 2, Outcome::Done)), (5, last)]).unwrap()
    };
    let partial = moved(read(Some(2), 20));
    assert_eq!(partial.word, ReasonCode::NotEmpty);
    assert!(partial.next.contains("reclaim confirm") && !partial.reason.contains("trash"), "{partial:?}");
    assert!(partial.next.contains("the content is with u77@acme.test, user 77"), "{partial:?}");
    let bytes = moved(read(Some(0), 7));
    assert!(bytes.reason.contains("trash"), "{bytes:?}");
}

#[test]
fn r16_a_refusal_is_reported_with_the_text_of_box() {
    let refused = outcome("p", "1", 2, Outcome::Refused);
    let at = |days| after(&[(days, intent("p", "1", Action::Transfer, 2)), (days, refused.clone())]);
    let stuck = at(80).unwrap();
    assert_eq!((stuck.word.as_str(), stuck.since), ("refused_by_box", day(80)));
    assert!(stuck.next.contains("tries again after"), "{}", stuck.next);
    assert_eq!(at(4), None, "it is tried again now");
}
