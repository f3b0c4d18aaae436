//! R1, R3, R4, R5, R13, R16, R20: users that are excluded whatever the evidence says.

use super::*;

/// R1: admins, machines, restricted and unknown accounts, and users missing in the latest listing.
#[test]
fn r1_nothing_is_ever_done_to_them() {
    let of = |change: fn(&mut Person)| after(SUSPEND, change);
    assert_eq!(of(|p| p.role = text("admin")), "R1 admin");
    assert_eq!(of(|p| p.role = text("coadmin")), "R1 admin");
    assert_eq!(of(|p| p.role = None), "R1 unknown_role");
    assert_eq!(of(|p| p.role = text("superuser")), "R1 unknown_role");
    assert_eq!(of(|p| p.seat_kind = "likely_machine".to_owned()), "R1 no_person");
    for kind in ["app_user", "service_account", "system"] {
        let person = |p: &mut Person| {
            p.seat_kind = kind.to_owned();
            p.consumes_seat = false;
        };
        assert_eq!(after(SUSPEND, person), "not asked");
    }
    assert_eq!(of(|p| p.box_status = text("cannot_delete_edit")), "R1 restricted");
    assert_eq!(of(|p| p.box_status = text("cannot_delete_edit_upload")), "R1 restricted");
    assert_eq!(of(|p| p.box_status = None), "R1 unknown_status");
    assert_eq!(of(|p| p.account_status = "unknown".to_owned()), "R1 unknown_status");
    assert_eq!(of(|p| p.listing = text("carried")), "R1 not_listed");
    assert_eq!(of(|p| p.listing = text("missing_unconfirmed")), "R1 not_listed");
    assert_eq!(of(|p| p.listing = None), "R1 not_listed");
    assert_eq!(of(|p| p.enterprise_id = text("43")), "R1 other_enterprise");
    assert_eq!(of(|p| p.enterprise_id = None), "R1 other_enterprise");
    assert_eq!(of(|p| p.login = None), "R1 no_login");
}

/// R3: the list of holds is at most seven days old, and every row matches a user.
#[test]
fn r3_an_old_list_of_holds_or_one_with_an_unknown_user_stops_everything() {
    let held = |who: &str, age: i64| {
        let mut world = World::of(
            TO_DELETE,
            [Person { former_addresses: vec!["old@acme.test".to_owned()], ..idler("1") }],
        );
        let rows = vec![Hold { who: who.to_owned(), reason: "a suit".to_owned(), line: 2 }];
        world.inputs.holds = Some(List { rows, age: TimeDelta::days(age) });
        world
    };
    for who in ["1", "u1@acme.test", "old@acme.test"] {
        assert_eq!(held(who, 7).says("1"), "R3 on_hold", "{who}");
    }
    assert_eq!(held("9", 0).says("1"), "suspend");
    assert_eq!(held("9", 8).refusals(), ["R3"]);
    assert_eq!(held("9", -2).refusals(), ["R3"], "a statement of the day after tomorrow never gets old");
    assert_eq!(held("nobody@acme.test", 0).refusals(), ["R3"]);
}

/// R4: by id, login, alias and every earlier address; by group and tracking code.
#[test]
fn r4_protected_is_protected_under_every_name() {
    let person = || Person {
        login: text("New@acme.test"),
        aliases: vec!["alias@acme.test".to_owned()],
        former_addresses: vec!["chief@acme.test".to_owned()],
        group_ids: vec!["g1".to_owned()],
        tracking_codes: vec![("Kind".to_owned(), "VIP".to_owned())],
        ..idler("1")
    };
    let of = |entry: &str| World::of(&format!("{SUSPEND}[protect]\n{entry}\n"), [person(), idler("2")]);
    for entry in [
        "ids = [\"1\"]",
        "logins = [\"new@ACME.test\"]",
        "logins = [\"alias@acme.test\"]",
        "logins = [\"chief@acme.test\"]",
        "groups = [\"g1\"]",
        "groups = [\"Board\"]",
        "tracking_codes = [\"Kind=VIP\"]",
    ] {
        assert_eq!(
            (of(entry).says("1"), of(entry).says("2")),
            ("R4 protected".to_owned(), "suspend".to_owned()),
            "{entry}"
        );
    }
    for entry in [
        "ids = [\"77\"]",
        "logins = [\"chef@acme.test\"]",
        "groups = [\"board\"]",
        "tracking_codes = [\"Kind=vip\"]",
    ] {
        assert_eq!(
            of(entry).refusals(),
            ["R4"],
            "{entry} protects no user, and the policy expects that it does"
        );
    }
    let unread = |change: fn(&mut Person), entry: &str| {
        let mut world = of(entry);
        change(world.snapshot.people.get_mut("2").unwrap());
        world.says("2")
    };
    assert_eq!(unread(|p| p.are_aliases_known = false, "logins = [\"new@acme.test\"]"), "R4 aliases_unknown");
    assert_eq!(unread(|p| p.are_groups_known = false, "groups = [\"g1\"]"), "R4 groups_unknown");
    assert_eq!(unread(|p| p.are_groups_known = false, "ids = [\"1\"]"), "suspend");
    // A group of which only some members could be read.
    let half_read = |entry: &str| {
        let mut world = of(entry);
        world.snapshot.unread_groups.insert("g1".to_owned());
        world.says("2")
    };
    assert_eq!(half_read("groups = [\"g1\"]"), "R4 groups_unknown");
    assert_eq!(half_read("ids = [\"1\"]"), "suspend");
}

/// R5: new, newly seen and returned users, and users on leave.
#[test]
fn r5_new_returned_and_absent_users_are_not_evaluated() {
    let of = |change: fn(&mut Person)| after(SUSPEND, change);
    assert_eq!(of(|p| p.created_at = Some(day(56))), "R5 young");
    assert_eq!(of(|p| p.created_at = None), "R5 young");
    assert_eq!(of(|p| p.first_seen_at = Some(day(56))), "R5 young");
    assert_eq!(of(|p| p.first_seen_at = Some(day(55))), "suspend");
    assert_eq!(of(|p| p.first_seen_at = None), "R5 young");
    assert_eq!(of(|p| p.returned_at = Some(day(41))), "R5 returned");
    assert_eq!(of(|p| p.returned_at = Some(day(40))), "suspend");
    assert_eq!(of(|p| p.leave = Some(OnLeave { until: None })), "R5 on_leave");
    assert_eq!(of(|p| p.seat_state = text("paused")), "R5 on_leave");
    // Users of the store's first snapshot may have existed for years.
    let mut world = World::of(SUSPEND, [Person { first_seen_at: Some(day(90)), ..idler("1") }]);
    world.snapshot.first_snapshot_time = Some(day(90));
    assert_eq!(world.says("1"), "suspend");
}

/// R5: the present leave list counts, too, and an old or invalid one stops everything.
#[test]
fn r5_an_old_leave_list_or_one_with_an_unknown_user_is_refused() {
    let row = |id: &str, from: i64, to: Option<i64>| LeaveRow {
        line: 2,
        user_id: id.to_owned(),
        login: None,
        from: day(from).date_naive(),
        to: to.map(|to| day(to).date_naive()),
    };
    let world = |rows: Vec<LeaveRow>, age| {
        let mut world = World::of(SUSPEND, [idler("1")]);
        world.inputs.leave = Some(List { rows, age: TimeDelta::days(age) });
        world
    };
    assert_eq!(world(vec![row("1", 90, None)], 0).says("1"), "R5 on_leave");
    assert_eq!(world(vec![row("1", 90, Some(100))], 0).says("1"), "R5 on_leave");
    assert_eq!(
        world(vec![row("1", 90, Some(99))], 0).says("1"),
        "R5 not_long_enough",
        "the clock did not move"
    );
    assert_eq!(world(vec![row("1", -30, Some(5))], 0).says("1"), "suspend");
    assert_eq!(world(vec![row("1", 101, None)], 7).says("1"), "suspend");
    assert_eq!(world(vec![], 8).refusals(), ["R5"]);
    assert_eq!(world(vec![row("55", 90, None)], 0).refusals(), ["R5"]);
}

/// Why: only the id of a row counted. After an account was made again, the row named the account that is gone.
#[test]
fn r5_a_row_with_an_id_and_a_login_is_about_both_accounts() {
    let row = |login: &str| LeaveRow {
        line: 2,
        user_id: "2".to_owned(),
        login: Some(login.to_owned()),
        from: day(90).date_naive(),
        to: None,
    };
    let world = |login: &str| {
        let gone = Person { listing: None, account_status: "deprovisioned".to_owned(), ..idler("2") };
        let mut world = World::of(SUSPEND, [idler("1"), gone]);
        world.inputs.leave = Some(List { rows: vec![row(login)], age: TimeDelta::zero() });
        world
    };
    assert_eq!(world("u1@acme.test").says("1"), "R5 on_leave");
    assert_eq!(world("u2@acme.test").says("1"), "suspend");
    assert_eq!(world("none@acme.test").refusals(), ["R5"]);
}

/// R1: a plan found the account gone after the snapshot was read.
#[test]
fn r1_an_account_that_is_gone_since_the_snapshot_is_not_planned() {
    let gone_at = |at: i64| {
        let gone = Record::Skipped {
            plan_id: "q".into(),
            user_id: "1".into(),
            reason: ReasonCode::Gone.into(),
            detail: String::new(),
            is_final: true,
            used_at: None,
        };
        World::of(SUSPEND, [idler("1")]).with(&[(at, gone)]).says("1")
    };
    assert_eq!(gone_at(101), "R1 not_listed");
    assert_eq!(gone_at(99), "suspend", "a later listing has the account");
}

/// R13, R16, R20: a user with an action in progress, refused, or undone by another actor is skipped.
#[test]
fn r20_a_user_reactivated_by_another_actor_is_skipped_for_90_days() {
    let suspended_at = |at: i64, last: Outcome, known: i64| {
        let records = [(at, intent("p", "1", Action::Suspend, 1)), (known, outcome("p", "1", 1, last))];
        World::of(SUSPEND, [idler("1")]).with(&records).says("1")
    };
    assert_eq!(suspended_at(5, Outcome::RevertedByOther, 11), "R20 reverted_by_other");
    assert_eq!(suspended_at(5, Outcome::RevertedByOther, 9), "suspend");
    assert_eq!(
        suspended_at(50, Outcome::Done, 50),
        "R20 reverted_by_other",
        "the snapshot shows it before the journal does"
    );
    assert_eq!(suspended_at(99, Outcome::Unknown, 99), "R13 unfinished");
    assert_eq!(suspended_at(90, Outcome::Refused, 90), "R16 refused_by_box");
    // An action that was refused and done later was not refused.
    let ended = |n: u32, last| {
        [(80, intent("p", "1", Action::TerminateSessions, n)), (80, outcome("p", "1", n, last))]
    };
    let mut records = of_ours("1", 80);
    records.extend(ended(8, Outcome::Refused));
    let says = |records: &[(i64, Record)]| World::of(TO_DELETE, [suspended("1")]).with(records).says("1");
    assert_eq!(says(&records), "R16 refused_by_box");
    records.extend(ended(9, Outcome::Done));
    assert_eq!(says(&records), "transfer");
    assert_eq!(suspended_at(69, Outcome::Refused, 69), "suspend");
    assert_eq!(suspended_at(90, Outcome::NotDone, 90), "suspend");
}

/// R5: a user that an undo gave back is excluded for a time, although no snapshot showed the account suspended.
#[test]
fn r5_a_user_that_undo_gave_back_is_skipped() {
    let restored_at = |at: i64| {
        let records = [
            (at, intent("p", "1", Action::Suspend, 1)),
            (at, outcome("p", "1", 1, Outcome::Done)),
            (at, intent("p", "1", Action::Restore, 2)),
            (at, outcome("p", "1", 2, Outcome::Done)),
        ];
        World::of(SUSPEND, [idler("1")]).with(&records).says("1")
    };
    assert_eq!(restored_at(98), "R5 undone");
    assert_eq!(restored_at(39), "suspend");
}
