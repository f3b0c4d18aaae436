use boxseat_schemas::reclaim::PlanEnd;

use super::*;
use crate::testing::{created, day, intent, operator, outcome, past};

/// R3: only a suspension that is ours and in force allows the later stages.
#[test]
fn r3_a_suspension_is_ours_until_it_is_undone_reverted_or_was_never_done() {
    use Outcome::{Done, NotDone, Refused, RevertedByOther, Unknown};
    let ours = |records: &[(i64, Record)]| past(records).people["1"].suspension().is_some();
    let suspend = || (0, intent("p", "1", Action::Suspend, 1));
    assert!(!ours(&[suspend()]), "the outcome is not known yet");
    assert!(!ours(&[suspend(), (0, outcome("p", "1", 1, Unknown))]));
    assert!(!ours(&[suspend(), (0, outcome("p", "1", 1, Refused))]));
    let done = || [suspend(), (0, outcome("p", "1", 1, Done))];
    assert!(ours(&done()));
    let [a, b] = done();
    assert!(!ours(&[a, b, (3, outcome("p", "1", 1, RevertedByOther))]));
    let [a, b] = done();
    let restore = (4, intent("p", "1", Action::Restore, 2));
    assert!(ours(&[a.clone(), b.clone(), restore.clone(), (4, outcome("p", "1", 2, NotDone))]));
    assert!(!ours(&[a.clone(), b.clone(), restore, (4, outcome("p", "1", 2, Done))]));
    let transfer = (5, intent("p", "1", Action::Transfer, 2));
    assert!(ours(&[a, b, transfer]), "moving content leaves the suspension standing");
}

/// R9: a plan that was approved before `reclaim adopt` is approved again, or never applied. A closed plan keeps its history.
#[test]
fn r9_an_adoption_takes_back_the_approvals_of_open_plans() {
    let made = |plan_id: &str| (0, created(plan_id, Stage::Suspend, &["1"], &[]));
    let approved = |plan_id: &str| Record::Approved {
        plan_id: plan_id.into(),
        digest: "d1".into(),
        by: operator("boss"),
        signed_by: None,
        signature: None,
    };
    let closed = Record::PlanClosed { plan_id: "q".into(), because: PlanEnd::Applied.into(), by: None };
    let bound = |adoption: Option<Adoption>| Record::Bound {
        place: Place { host: None, inode: 1, created_at: None },
        by: operator("boss"),
        adoption,
    };
    let adoption = Adoption { kept_entries: 5, lake_entries: 5, actions: 0 };
    let records = |bound| {
        [made("p"), made("q"), (1, approved("p")), (1, approved("q")), (2, closed.clone()), (3, bound)]
    };
    let count = |records: &[(i64, Record)]| {
        ["p", "q"].map(|plan_id| past(records).plans[plan_id].approvals().count())
    };
    assert_eq!(count(&records(bound(None))), [1, 1], "the first entry of a command names the place");
    assert_eq!(count(&records(bound(Some(adoption.clone())))), [0, 1]);
    let again = [&records(bound(Some(adoption)))[..], &[(4, approved("p"))]].concat();
    assert_eq!(count(&again), [1, 1]);
}

/// R14: content that arrived after an undo was never moved. The transfer before it moved other content.
#[test]
fn r14_an_undo_ends_the_transfer_before_it() {
    let done = |action, count, at| {
        [(at, intent("p", "1", action, count)), (at, outcome("p", "1", count, Outcome::Done))]
    };
    let known = |records: &[(i64, Record)]| past(records).people["1"].clone();
    let moved = [done(Action::Suspend, 1, 0), done(Action::Transfer, 2, 5)].concat();
    assert!(known(&moved).transfer().is_some());
    let restored = known(&[&moved[..], &done(Action::Restore, 3, 6)].concat());
    assert!(restored.transfer().is_none() && restored.last_transfer().is_some());
    let reverted = (7, outcome("p", "1", 1, Outcome::RevertedByOther));
    assert!(known(&[&moved[..], &[reverted]].concat()).transfer().is_none());
    let again = [&moved[..], &done(Action::Restore, 3, 6), &done(Action::Suspend, 4, 200)].concat();
    assert!(known(&again).transfer().is_none());
    let second = known(&[&again[..], &done(Action::Transfer, 5, 215)].concat());
    assert_eq!(second.transfer().map(|transfer| transfer.asked_at), Some(day(215)));
    // The receiver of each of them keeps its seat for a year.
    let other = |count, at| {
        let Record::Intent(attempt) = intent("q", "1", Action::Transfer, count) else { unreachable!() };
        let attempt = Attempt { receiver_user_id: Some("88".to_owned()), ..attempt };
        [(at, Record::Intent(attempt)), (at, outcome("q", "1", count, Outcome::Done))]
    };
    let two = past(&[&moved[..], &done(Action::Restore, 3, 6), &other(4, 300)].concat());
    assert_eq!(two.receivers(&HashSet::new(), day(301)).into_iter().collect::<Vec<_>>(), ["77", "88"]);
    assert_eq!(two.receivers(&HashSet::new(), day(400)).into_iter().collect::<Vec<_>>(), ["88"]);
    // Without an outcome it may still be moving.
    let open = [&done(Action::Suspend, 1, 0)[..], &[(5, intent("p", "1", Action::Transfer, 2))]].concat();
    assert!(known(&[&open[..], &done(Action::Restore, 3, 6)].concat()).transfer().is_some());
}

/// R8: the caps count users over all plans, whatever the outcome, except for a plain refusal.
#[test]
fn r8_caps_count_each_user_once_in_the_window() {
    let past = past(&[
        (0, intent("p", "1", Action::Suspend, 1)),
        (0, outcome("p", "1", 1, Outcome::Done)),
        (20, intent("p", "2", Action::Suspend, 1)),
        (20, outcome("p", "2", 1, Outcome::Refused)),
        (21, intent("q", "3", Action::Suspend, 1)),
        (22, intent("q", "3", Action::TerminateSessions, 2)),
        (23, intent("q", "1", Action::Delete, 1)),
        (23, intent("q", "4", Action::TerminateSessions, 1)),
    ]);
    let touched = |since| past.touched_since(day(since)).into_iter().collect::<Vec<_>>();
    assert_eq!(touched(0), ["1", "3"]);
    assert_eq!(touched(22), ["1"]);
    assert!(touched(24).is_empty());
}

#[test]
fn r9_an_approval_counts_only_for_its_digest() {
    let approved = |digest: &str| Record::Approved {
        plan_id: "p".into(),
        digest: digest.into(),
        by: operator("boss"),
        signed_by: None,
        signature: None,
    };
    let of = |digest| past(&[(0, created("p", Stage::Suspend, &["1"], &[])), (1, approved(digest))]);
    assert!(of("d1").plans["p"].approval().is_some());
    assert!(of("d2").plans["p"].approval().is_none());
}

/// Why: a kill before the reactivation and another one after it left a suspension that nothing settled, and the plan stayed open.
#[test]
fn r14_a_suspension_without_outcome_keeps_the_window_open() {
    let never_opened =
        [(0, intent("p", "1", Action::Reactivate, 1)), (0, outcome("p", "1", 1, Outcome::NotDone))];
    let is_open = |records: &[(i64, Record)]| past(records).people["1"].open_window().is_some();
    assert!(!is_open(&never_opened));
    let suspending = [&never_opened[..], &[(0, intent("p", "1", Action::SuspendAgain, 2))]].concat();
    assert!(is_open(&suspending));
    assert!(!is_open(&[&suspending[..], &[(0, outcome("p", "1", 2, Outcome::Done))]].concat()));
}

#[test]
fn r13_an_intent_without_an_outcome_is_unfinished() {
    let past = past(&[
        (0, intent("p", "1", Action::Suspend, 1)),
        (0, intent("p", "2", Action::Suspend, 1)),
        (0, outcome("p", "2", 1, Outcome::Unknown)),
        (0, intent("p", "3", Action::Suspend, 1)),
        (0, outcome("p", "3", 1, Outcome::NotAttempted)),
    ]);
    let open: Vec<&str> = past.unfinished().map(|past| past.attempt.user_id.as_str()).collect();
    assert_eq!(open, ["1", "2"]);
    assert_eq!(past.next_action_id("p", "1"), "p/1/2");
}
