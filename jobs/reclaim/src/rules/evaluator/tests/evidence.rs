//! R2, R3, R6, R11, R12, R15: what must be proved about a user.

use super::*;

/// R2: only proven days count.
#[test]
fn r2_a_gap_proves_no_idle_day() {
    let of = |change: fn(&mut Person)| after(SUSPEND, change);
    assert_eq!(of(|p| p.proven_idle_days = None), "R2 unproven");
    assert_eq!(of(|p| p.proven_idle_days = Some(89)), "R2 not_long_enough");
    assert_eq!(of(|p| p.proven_idle_days = Some(90)), "suspend");
    assert_eq!(of(|p| p.last_activity_at = None), "suspend", "no sign of use is what idle means");
    assert_eq!(of(|p| p.last_activity_at = Some(day(11))), "not asked", "used 89 days ago");
    let mut world = World::of(SUSPEND, [idler("1")]);
    world.snapshot.login_coverage = Some((day(-100), day(97)));
    assert_eq!(world.refusals(), ["R2"]);
    world.snapshot.login_coverage = None;
    assert_eq!(world.refusals(), ["R2"]);
}

/// R2: a policy that counts activity needs activity to be watched for as long.
#[test]
fn r2_activity_counts_only_where_it_is_covered() {
    let mut world = World::of(SUSPEND, [idler("1")]);
    world.snapshot.activity_coverage.insert("DOWNLOAD".to_owned(), (day(11), snapshot_time()));
    assert_eq!(world.says("1"), "R2 activity_not_watched");
    world.snapshot.activity_coverage.insert("DOWNLOAD".to_owned(), (day(10), snapshot_time()));
    assert_eq!(world.says("1"), "suspend");
    world.inputs.activity_events.push("UPLOAD".to_owned());
    assert_eq!(world.refusals(), ["R2"], "one of two types is not watched");
    world.inputs.activity_events.clear();
    assert_eq!(world.refusals(), ["R2"]);
    world.policy = policy("evidence = \"login_only\"\n");
    assert_eq!(world.says("1"), "suspend");
}

/// R3: only users whose present suspension is ours may be transferred or deleted.
#[test]
fn r3_a_suspension_by_another_actor_is_skipped() {
    assert_eq!(World::of(TO_DELETE, [suspended("1")]).says("1"), "R3 suspended_by_other");
    assert_eq!(World::of(SUSPEND, [suspended("1")]).says("1"), "not asked");
    assert_eq!(ours(20).says("1"), "transfer");
}

/// R3: a user that was edited since is skipped.
#[test]
fn r3_the_account_must_be_as_the_suspension_left_it() {
    let of = |change: fn(&mut Person)| {
        let mut world = ours(20);
        change(world.snapshot.people.get_mut("1").unwrap());
        world.says("1")
    };
    assert_eq!(of(|p| p.login = text("new@acme.test")), "R3 changed");
    assert_eq!(of(|p| p.group_ids.push("g7".to_owned())), "R3 changed");
    assert_eq!(of(|p| p.external_app_user_id = text("x")), "R3 changed");
    assert_eq!(of(|p| p.is_platform_access_only = Some(true)), "R3 changed");
    assert_eq!(of(|p| p.aliases.push("more@acme.test".to_owned())), "transfer");
    let edit = |actor: Option<&str>, at| Edit { actor_id: actor.map(str::to_owned), at: day(at) };
    let edited = |edit: Edit| {
        let mut world = ours(20);
        world.snapshot.people.get_mut("1").unwrap().edits.push(edit);
        world.says("1")
    };
    assert_eq!(edited(edit(Some("5000"), 81)), "transfer", "boxseat made the edit");
    assert_eq!(edited(edit(Some("77"), 81)), "R3 edited_by_other");
    assert_eq!(edited(edit(None, 81)), "R3 edited_by_other");
    assert_eq!(edited(edit(Some("77"), 79)), "transfer", "before the suspension");
    assert_eq!(of(|p| p.last_activity_at = Some(day(81))), "R2 active_since");
    // Why: an administrator gave the account back and suspended it again for a hold, in snapshots that covered only sign-ins.
    let mut world = ours(20);
    world.snapshot.activity_coverage.insert("EDIT_USER".to_owned(), (day(82), snapshot_time()));
    assert_eq!(world.says("1"), "R3 edits_not_watched");
    world.snapshot.activity_coverage.remove("EDIT_USER");
    assert_eq!(world.says("1"), "R3 edits_not_watched");
    let mut world = ours(20);
    world.past.people.get_mut("1").unwrap().attempts[0].after = None;
    assert_eq!(world.says("1"), "R3 changed", "the state after the suspension is not known");
}

/// R6: an owner whose folders Box keeps open is suspended; unknown and false change nothing, and a transfer that began is verified.
#[test]
fn r6_owners_whose_folders_stay_open() {
    let first = "shared_content = \"transfer_first\"\n[holds]\nfile = \"h.csv\"\n[receiver]\naccount = \"u9@acme.test\"\n";
    let of = |tail: &str, is_available, shared_items, moves: bool| {
        let person = Person { is_content_available_when_inactive: is_available, ..idler("1") };
        let read = Record::ContentRead {
            plan_id: "p".into(),
            user_id: "1".into(),
            owned_items: Some(3),
            shared_items,
            space_used_bytes: Some(9),
        };
        let mut records = vec![(90, read)];
        if moves {
            records.push((91, intent("p", "1", Action::Transfer, 1)));
            records.push((91, outcome("p", "1", 1, Outcome::Done)));
        }
        World::of(&format!("{SUSPEND}{tail}"), [person]).with(&records).says("1")
    };
    for (is_available, shared, left_out, moved_first) in [
        (Some(true), Some(2), "suspend", "suspend"),
        (Some(true), None, "suspend", "suspend"),
        (Some(false), Some(2), "R6 owns_shared_content", "transfer"),
        (None, Some(2), "R6 owns_shared_content", "transfer"),
        (None, Some(0), "suspend", "suspend"),
    ] {
        assert_eq!(of("", is_available, shared, false), left_out, "{is_available:?} {shared:?}");
        assert_eq!(of(first, is_available, shared, false), moved_first, "{is_available:?} {shared:?}");
    }
    assert_eq!(of(first, Some(true), Some(2), true), "R15 not_verified");
}

/// R6: a user that was seen to own shared content is excluded, moved first, or suspended anyway, as the policy says.
#[test]
fn r6_owners_of_shared_content() {
    let first = "shared_content = \"transfer_first\"\n[holds]\nfile = \"h.csv\"\n[receiver]\naccount = \"u9@acme.test\"\n";
    let read = |shared: Option<u64>, at| {
        (
            at,
            Record::ContentRead {
                plan_id: "p".into(),
                user_id: "1".into(),
                owned_items: Some(3),
                shared_items: shared,
                space_used_bytes: Some(9),
            },
        )
    };
    let of = |tail: &str, shared, at| {
        World::of(&format!("{SUSPEND}{tail}"), [idler("1")]).with(&[read(shared, at)]).says("1")
    };
    assert_eq!(of("", Some(2), 90), "R6 owns_shared_content");
    assert_eq!(of("", None, 90), "R6 owns_shared_content", "what cannot be seen may be shared");
    assert_eq!(of("", Some(0), 90), "suspend");
    assert_eq!(of("", Some(2), 69), "suspend", "counted again before anything is done");
    assert_eq!(of("shared_content = \"suspend_anyway\"\n", Some(2), 90), "suspend");
    assert_eq!(of(first, Some(2), 90), "transfer");
    assert_eq!(of(first, Some(0), 90), "suspend");
    // Moved, and empty in two readings: now the suspension is allowed.
    let moved = |second: i64| {
        let gone = |at| {
            (
                at,
                Record::ContentRead {
                    plan_id: "p".into(),
                    user_id: "1".into(),
                    owned_items: Some(0),
                    shared_items: Some(0),
                    space_used_bytes: Some(0),
                },
            )
        };
        let there = (
            94,
            Record::DestinationRead {
                plan_id: "p".into(),
                user_id: "1".into(),
                receiver_user_id: "9".into(),
                folder_id: "f".into(),
                items: Some(3),
            },
        );
        let records = [
            read(Some(2), 90),
            (91, intent("p", "1", Action::Transfer, 1)),
            (91, outcome("p", "1", 1, Outcome::Done)),
            there,
            gone(94),
            gone(second),
        ];
        World::of(&format!("{SUSPEND}{first}"), [idler("1")]).with(&records).says("1")
    };
    assert_eq!(moved(94), "R15 not_verified");
    assert_eq!(moved(95), "suspend");
}

/// R11: a sign-in from before the suspension that became known after it counts as use, however old it is.
#[test]
fn r11_a_late_login_in_a_snapshot_keeps_the_account() {
    let mut world = ours(20);
    world.snapshot.people.get_mut("1").unwrap().last_activity_at = Some(day(79));
    assert_eq!(world.says("1"), "R11 late_login");
    assert_eq!(ours(20).says("1"), "transfer");
}

/// R11: use that the admin log showed while a plan was applied counts, although no snapshot has it: it arrived too late for that.
#[test]
fn r11_a_login_that_only_the_admin_log_has_is_not_forgotten() {
    let told = |mut world: World, at: i64, reason: ReasonCode| {
        let skipped = Record::Skipped {
            plan_id: "p".into(),
            user_id: "1".into(),
            reason: reason.into(),
            detail: "told".into(),
            is_final: true,
            used_at: (reason != ReasonCode::EditedByOther).then(|| day(at)),
        };
        world.past.take(&boxseat_schemas::reclaim::Entry::new(99, day(99), String::new(), skipped));
        world.says("1")
    };
    let idle = || World::of(SUSPEND, [idler("1")]);
    assert_eq!(told(idle(), 95, ReasonCode::LoggedIn), "not asked", "it is in use");
    assert_eq!(told(ours(20), 79, ReasonCode::LateLogin), "R11 late_login");
    assert_eq!(told(ours(20), 81, ReasonCode::LoggedIn), "R2 active_since");
    assert_eq!(told(ours(20), -30, ReasonCode::LoggedIn), "transfer", "known before");
    assert_eq!(told(ours(20), 0, ReasonCode::EditedByOther), "R3 edited_by_other");
}

/// R11: a deletion needs sign-ins watched up to 48 hours after the suspension.
#[test]
fn r11_late_logins_are_waited_for() {
    let mut world = emptied();
    assert_eq!(world.says("1"), "delete");
    world.snapshot.login_coverage = Some((day(61), snapshot_time()));
    assert_eq!(world.says("1"), "R11 late_logins_not_watched");
}

/// R15: no user is deleted whose content was not absent in two readings.
#[test]
fn r15_only_the_empty_are_deleted() {
    let mut world = ours(40);
    world.past = past(
        &[
            of_ours("1", 60),
            vec![(70, intent("p", "1", Action::Transfer, 3)), (70, outcome("p", "1", 3, Outcome::Done))],
        ]
        .concat(),
    );
    assert_eq!(world.says("1"), "R15 unverifiable", "the content was not read before");
    assert_eq!(emptied().says("1"), "delete");
    let mut early = emptied();
    early.policy = policy(&TO_DELETE.replace("furthest", "delete_after_days = 41\nfurthest"));
    assert_eq!(early.says("1"), "R8 waiting");
    let mut far = emptied();
    far.policy = policy(&TO_DELETE.replace("\"delete\"", "\"transfer\""));
    assert_eq!(far.says("1"), "not asked", "this policy ends before");
}

/// R12: a changed membership is reported with the names of the groups.
#[test]
fn r12_a_changed_membership_names_the_groups() {
    let of = |ids: &[&str]| Standing {
        group_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..Standing::default()
    };
    let told = |before: &[&str], now: &[&str]| changed(&of(before), &of(now), |id| format!("group {id}"));
    assert_eq!(told(&["a", "b"], &["a", "b"]), None);
    let expected = "membership of groups (left: group a, group b; joined: group c)";
    assert_eq!(told(&["a", "b", "d"], &["c", "d"]).unwrap(), expected);
}
