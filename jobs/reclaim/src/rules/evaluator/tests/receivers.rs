//! R4: who may receive content, and how much.

use super::*;

/// R4: a receiver is managed, active, unrestricted, of role `user`, with room, and enters no stage itself.
#[test]
fn r4_an_unfit_receiver_receives_nothing() {
    let of = |change: fn(&mut Person)| {
        let mut world = ours(20);
        change(world.snapshot.people.get_mut("9").unwrap());
        world.says("1")
    };
    assert_eq!(of(|_| {}), "transfer");
    assert_eq!(of(|p| p.role = text("coadmin")), "R4 no_receiver");
    assert_eq!(of(|p| p.box_status = text("inactive")), "R4 no_receiver");
    assert_eq!(of(|p| p.box_status = text("cannot_delete_edit")), "R4 no_receiver");
    assert_eq!(of(|p| p.seat_kind = "app_user".to_owned()), "R4 no_receiver");
    assert_eq!(of(|p| p.listing = text("missing_unconfirmed")), "R4 no_receiver");
    assert_eq!(of(|p| (p.has_unlimited_space, p.space_amount_bytes) = (None, None)), "R4 no_receiver");
    let full = |p: &mut Person| {
        (p.has_unlimited_space, p.space_amount_bytes, p.space_used_bytes) =
            (Some(false), Some(5_000), Some(4_001))
    };
    assert_eq!(of(full), "R4 no_receiver");
    let mut world = ours(20);
    world.snapshot.people.get_mut("1").unwrap().space_used_bytes = None;
    assert_eq!(world.says("1"), "R4 no_receiver", "the number of bytes is not known");
    world.snapshot.people.remove("9");
    assert_eq!(world.refusals(), ["R4"]);
}

/// R4: a user that received content, or is to receive it, keeps the seat.
#[test]
fn r4_receivers_keep_their_seats() {
    let transfer =
        |at: i64| [(at, intent("p", "5", Action::Transfer, 1)), (at, outcome("p", "5", 1, Outcome::Done))];
    let world = |at| World::of(SUSPEND, [idler("77")]).with(&transfer(at));
    assert_eq!(world(10).says("77"), "R4 receiver");
    assert_eq!(world(-264).says("77"), "R4 receiver");
    assert_eq!(world(-266).says("77"), "suspend");
    let planned = [(99, created("p", Stage::Transfer, &["5"], &["77"]))];
    assert_eq!(World::of(SUSPEND, [idler("77")]).with(&planned).says("77"), "R4 receiver");
    // The receiver of the policy is idle itself: an archive account always is.
    let mut world = World::of(TO_DELETE, [idler("1")]);
    world.snapshot.people.insert("9".to_owned(), idler("9"));
    assert_eq!(world.says("9"), "R4 receiver");
}

/// R4: users who are to be suspended share the room of their receiver with users whose transfer comes first.
#[test]
fn r4_a_receiver_without_room_is_reported_before_the_suspension() {
    let without = |room: i64, policy: &str| {
        let receiver = Person { space_amount_bytes: Some(1_000 + room), ..worker("9") };
        let mut world = World::of(policy, [idler("1"), idler("2")]);
        world.snapshot.people.insert("9".to_owned(), receiver);
        let judged = world.evaluator().unwrap().everybody();
        let goes = judged.going.get(&Stage::Suspend).map_or(0, Vec::len);
        (goes, judged.without_receiver.into_keys().collect::<Vec<_>>())
    };
    assert_eq!(without(2_000, TO_DELETE), (2, vec![]));
    assert_eq!(without(1_999, TO_DELETE), (2, vec!["2".to_owned()]), "each has 1,000 bytes");
    assert_eq!(without(0, TO_DELETE).1.len(), 2);
    assert_eq!(without(0, SUSPEND), (2, vec![]), "the policy moves nothing");
}

/// R4: a user in a plan receives nothing, and two users do not receive from each other.
#[test]
fn r4_sources_receive_nothing() {
    let to_manager = "evidence = \"activity\"\nshared_content = \"transfer_first\"\n[holds]\nfile = \"h.csv\"\n[receiver]\nmanager_tracking_code = \"Manager\"\n";
    let led_by = |id: &str, manager: &str| Person {
        tracking_codes: vec![("Manager".to_owned(), format!("u{manager}@acme.test"))],
        ..idler(id)
    };
    let shares = |id: &str| {
        (
            95,
            Record::ContentRead {
                plan_id: "o".into(),
                user_id: id.into(),
                owned_items: Some(4),
                shared_items: Some(2),
                space_used_bytes: Some(9),
            },
        )
    };
    let both = World::of(to_manager, [led_by("1", "2"), led_by("2", "1")]).with(&[shares("1"), shares("2")]);
    assert_eq!(
        (both.says("1"), both.says("2")),
        ("transfer".to_owned(), "transfer".to_owned()),
        "each alone could go"
    );
    let judged = both.evaluator().unwrap().everybody();
    assert!(judged.going.is_empty());
    assert_eq!(judged.left_out["1"].1.word, ReasonCode::Receiver);
    let planned = World::of(to_manager, [led_by("1", "2"), worker("2")])
        .with(&[shares("1"), (99, created("p", Stage::Suspend, &["2"], &[]))]);
    assert_eq!(planned.says("1"), "R4 no_receiver");
    for manager in ["u77@acme.test", "", "u1@acme.test"] {
        let mut world = World::of(to_manager, [led_by("1", "1")]).with(&[shares("1")]);
        world.snapshot.people.get_mut("1").unwrap().tracking_codes[0].1 = manager.to_owned();
        assert_eq!(world.says("1"), "R4 no_receiver", "{manager}");
    }
    let mut listed = ours(20);
    listed.policy = policy(
        "evidence = \"activity\"\nfurthest_stage = \"delete\"\n[holds]\nfile = \"h.csv\"\n[receiver]\nfile = \"r.csv\"\n",
    );
    assert_eq!(listed.says("1"), "R4 no_receiver");
    listed.inputs.receivers = vec![("1".to_owned(), "u9@acme.test".to_owned())];
    assert_eq!(listed.says("1"), "transfer");
    listed.inputs.receivers.push(("9".to_owned(), "1".to_owned()));
    assert_eq!(listed.refusals(), ["R4"]);
    listed.inputs.receivers = vec![("1".to_owned(), "nobody@acme.test".to_owned())];
    assert_eq!(listed.refusals(), ["R4"]);
}

/// R4: the content of all users that go to one receiver must fit together.
#[test]
fn r4_the_quota_is_counted_over_the_whole_plan() {
    let mut records = of_ours("1", 80);
    records.extend(of_ours("2", 80));
    let mut world = World::of(TO_DELETE, [suspended("1"), suspended("2")]).with(&records);
    let receiver = world.snapshot.people.get_mut("9").unwrap();
    (receiver.has_unlimited_space, receiver.space_amount_bytes, receiver.space_used_bytes) =
        (Some(false), Some(3_500), Some(2_000));
    let judged = world.evaluator().unwrap().everybody();
    assert_eq!(judged.going[&Stage::Transfer].len(), 1);
    assert_eq!(judged.left_out["2"].1.word, ReasonCode::NoReceiver);
}
