//! R8: the distance of the stages, and the caps.

use super::*;

/// R8: the stages have a distance, and a user is in at most one open plan.
#[test]
fn r8_each_stage_waits_for_its_day() {
    assert_eq!(ours(13).says("1"), "R8 waiting");
    assert_eq!(ours(14).says("1"), "transfer");
    let planned = |done: bool| {
        let mut records = vec![(99, created("p", Stage::Suspend, &["1"], &[]))];
        if done {
            records.push((
                99,
                Record::Skipped {
                    plan_id: "p".into(),
                    user_id: "1".into(),
                    reason: ReasonCode::Changed.into(),
                    detail: String::new(),
                    is_final: true,
                    used_at: None,
                },
            ));
        }
        World::of(SUSPEND, [idler("1")]).with(&records)
    };
    assert_eq!(planned(false).says("1"), "R8 in_open_plan");
    assert_eq!(planned(true).says("1"), "suspend");
    let world = planned(false);
    let evaluator =
        Evaluator::new(&world.policy, &world.snapshot, &world.past, &world.inputs, snapshot_time(), ["p"])
            .unwrap();
    assert!(
        matches!(evaluator.verdict(&world.snapshot.people["1"]), Verdict::Goes(_)),
        "for the plan itself it is open"
    );
    // The snapshot is older than our action.
    let late = World::of(SUSPEND, [idler("1")]).with(&of_ours("1", 101));
    assert_eq!(late.says("1"), "R8 suspended_since");
}

/// R8: users and percent over a rolling 30 days, counted from the journal, longest idle first.
#[test]
fn r8_caps_count_over_all_plans() {
    let people = || (1..=6).map(|n| Person { proven_idle_days: Some(100 + n), ..idler(&n.to_string()) });
    let taken = |caps: &str, records: &[(i64, Record)]| {
        let mut world = World::of(&format!("{SUSPEND}[caps]\n{caps}\n"), people()).with(records);
        world.snapshot.seats_assigned = 100;
        let judged = world.evaluator().unwrap().everybody();
        assert!(
            judged
                .left_out
                .values()
                .all(|(_, no)| matches!(no.word, ReasonCode::OverCap | ReasonCode::InOpenPlan)),
            "{:?}",
            judged.left_out
        );
        judged
            .going
            .get(&Stage::Suspend)
            .map_or_else(String::new, |going| going.iter().map(|(id, _)| id.as_str()).collect())
    };
    assert_eq!(taken("people = 100\nseats_percent = 100.0", &[]), "654321");
    assert_eq!(taken("people = 4\nseats_percent = 100.0", &[]), "6543");
    assert_eq!(taken("people = 100\nseats_percent = 2.9", &[]), "65", "rounded down");
    let before =
        |at| [(at, intent("o", "70", Action::Suspend, 1)), (at, outcome("o", "70", 1, Outcome::Done))];
    assert_eq!(taken("people = 3\nseats_percent = 100.0", &before(71)), "65");
    assert_eq!(taken("people = 3\nseats_percent = 100.0", &before(69)), "654");
    assert_eq!(
        taken("people = 3\nseats_percent = 100.0", &[(99, created("p", Stage::Suspend, &["6", "5"], &[]))]),
        "4"
    );
    // A user that the last plan could not act on takes no place of another user.
    let stuck = |reason: ReasonCode| {
        let skip = Record::Skipped {
            plan_id: "p".into(),
            user_id: "6".into(),
            reason: reason.into(),
            detail: String::new(),
            is_final: false,
            used_at: None,
        };
        [(99, created("p", Stage::Suspend, &["6"], &[])), (99, skip)]
    };
    let one = "people = 1\nseats_percent = 100.0";
    assert_eq!(taken(one, &stuck(ReasonCode::OverCap)), "");
    assert_eq!(taken(one, &stuck(ReasonCode::ReceiverUnfit)), "5", "in an open plan");
    let closed = |reason| {
        let closed = Record::PlanClosed { plan_id: "p".into(), because: PlanEnd::Expired.into(), by: None };
        [stuck(reason).to_vec(), vec![(100, closed)]].concat()
    };
    assert_eq!(taken(one, &closed(ReasonCode::OverCap)), "6");
    assert_eq!(taken(one, &closed(ReasonCode::ReceiverUnfit)), "5", "in a new plan");
    assert_eq!(taken("people = 6\nseats_percent = 100.0", &closed(ReasonCode::ReceiverUnfit)), "543216");
    // A user that was changed within the window is not counted twice.
    let mut records = of_ours("1", 80);
    records.extend(of_ours("2", 80));
    let mut world = World::of(
        &TO_DELETE.replace("[holds]", "[caps]\npeople = 2\nseats_percent = 100.0\n[holds]"),
        [suspended("1"), suspended("2"), idler("3")],
    )
    .with(&records);
    world.snapshot.people.get_mut("9").unwrap().has_unlimited_space = Some(true);
    let judged = world.evaluator().unwrap().everybody();
    assert_eq!(judged.going[&Stage::Transfer].len(), 2);
    assert_eq!(judged.left_out["3"].1.word, ReasonCode::OverCap);
}
