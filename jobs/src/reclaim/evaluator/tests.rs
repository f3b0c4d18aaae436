//! One table per rule: a user that every rule admits, changed in one place, and the reason code that excludes it.

use boxseat_schemas::reclaim::{Action, Outcome, Record};

use super::*;
use crate::evidence::Leave as LeaveRow;
use crate::reclaim::journal_state::tests::{created, day, intent, outcome, past};
use crate::reclaim::policy_inputs::{Hold, List};
use crate::reclaim::snapshot::{Edit, OnLeave};
use crate::reclaim::testing::{TO_DELETE, idler, inputs, night_at, policy, snapshot, suspended, worker};

/// A scenario of which a test changes one thing.
struct World {
    policy: Policy,
    snapshot: Snapshot,
    past: JournalState,
    inputs: PolicyInputs,
}

impl World {
    fn of(text: &str, people: impl IntoIterator<Item = Person>) -> Self {
        let receiver = Person { has_unlimited_space: Some(true), ..worker("9") };
        let people = people.into_iter().chain([receiver]);
        Self {
            policy: policy(text),
            snapshot: snapshot(people),
            past: JournalState::default(),
            inputs: inputs(),
        }
    }

    fn with(mut self, records: &[(i64, Record)]) -> Self {
        self.past = past(records);
        self
    }

    fn evaluator(&self) -> Result<Evaluator<'_>, Vec<Refusal>> {
        Evaluator::new(&self.policy, &self.snapshot, &self.past, &self.inputs, night_at(), [])
    }

    #[track_caller]
    fn verdict(&self, id: &str) -> Verdict {
        self.evaluator().unwrap_or_else(|e| panic!("{e:?}")).verdict(&self.snapshot.people[id])
    }

    /// The stage that the user enters, or the rule and reason code of the denial.
    #[track_caller]
    fn says(&self, id: &str) -> String {
        match self.verdict(id) {
            Verdict::NotAsked => "not asked".to_owned(),
            Verdict::Goes(goes) => goes.stage.as_str().to_owned(),
            Verdict::LeftOut(_, no) => format!("{} {}", no.rule, no.word),
        }
    }

    fn refusals(&self) -> Vec<&'static str> {
        self.evaluator().err().unwrap_or_default().iter().map(|refusal| refusal.rule).collect()
    }
}

const SUSPEND: &str = "evidence = \"activity\"\n";

/// The result for an idle user after one change.
#[track_caller]
fn after(text: &str, change: impl FnOnce(&mut Person)) -> String {
    let mut person = idler("1");
    change(&mut person);
    World::of(text, [person]).says("1")
}

fn text(word: &str) -> Option<String> {
    Some(word.to_owned())
}

#[test]
fn a_user_that_no_rule_denies_is_suspended() {
    assert_eq!(after(SUSPEND, |_| {}), "suspend");
    assert_eq!(World::of(SUSPEND, []).says("9"), "not asked", "a user in use is not evaluated");
}

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
    world.snapshot.activity_coverage.insert("DOWNLOAD".to_owned(), (day(11), night_at()));
    assert_eq!(world.says("1"), "R2 activity_not_watched");
    world.snapshot.activity_coverage.insert("DOWNLOAD".to_owned(), (day(10), night_at()));
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
    world.snapshot.activity_coverage.insert("EDIT_USER".to_owned(), (day(82), night_at()));
    assert_eq!(world.says("1"), "R3 edits_not_watched");
    world.snapshot.activity_coverage.remove("EDIT_USER");
    assert_eq!(world.says("1"), "R3 edits_not_watched");
    let mut world = ours(20);
    world.past.people.get_mut("1").unwrap().attempts[0].after = None;
    assert_eq!(world.says("1"), "R3 changed", "the state after the suspension is not known");
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
    assert_eq!(judged.left_out["1"].1.word, "receiver");
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
    assert_eq!(judged.left_out["2"].1.word, "no_receiver");
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
    world.snapshot.first_night_at = Some(day(90));
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
                    reason: "changed".into(),
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
        Evaluator::new(&world.policy, &world.snapshot, &world.past, &world.inputs, night_at(), ["p"])
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
            judged.left_out.values().all(|(_, no)| no.word == "over_cap" || no.word == "in_open_plan"),
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
    let stuck = |reason: &str| {
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
    assert_eq!(taken(one, &stuck("over_cap")), "");
    assert_eq!(taken(one, &stuck("receiver_unfit")), "5", "in an open plan");
    let closed = |reason| {
        let closed = Record::PlanClosed { plan_id: "p".into(), because: "expired".into(), by: None };
        [stuck(reason).to_vec(), vec![(100, closed)]].concat()
    };
    assert_eq!(taken(one, &closed("over_cap")), "6");
    assert_eq!(taken(one, &closed("receiver_unfit")), "5", "in a new plan");
    assert_eq!(taken("people = 6\nseats_percent = 100.0", &closed("receiver_unfit")), "543216");
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
    assert_eq!(judged.left_out["3"].1.word, "over_cap");
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
    let told = |mut world: World, at: i64, reason: &str| {
        let skipped = Record::Skipped {
            plan_id: "p".into(),
            user_id: "1".into(),
            reason: reason.into(),
            detail: "told".into(),
            is_final: true,
            used_at: (reason != "edited_by_other").then(|| day(at)),
        };
        world.past.take(&boxseat_schemas::reclaim::Entry::new(99, day(99), String::new(), skipped));
        world.says("1")
    };
    let idle = || World::of(SUSPEND, [idler("1")]);
    assert_eq!(told(idle(), 95, "logged_in"), "not asked", "it is in use");
    assert_eq!(told(ours(20), 79, "late_login"), "R11 late_login");
    assert_eq!(told(ours(20), 81, "logged_in"), "R2 active_since");
    assert_eq!(told(ours(20), -30, "logged_in"), "transfer", "known before");
    assert_eq!(told(ours(20), 0, "edited_by_other"), "R3 edited_by_other");
}

/// R11: a deletion needs sign-ins watched up to 48 hours after the suspension.
#[test]
fn r11_late_logins_are_waited_for() {
    let mut world = emptied();
    assert_eq!(world.says("1"), "delete");
    world.snapshot.login_coverage = Some((day(61), night_at()));
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

/// R1: a plan found the account gone after the snapshot was read.
#[test]
fn r1_an_account_that_is_gone_since_the_snapshot_is_not_planned() {
    let gone_at = |at: i64| {
        let gone = Record::Skipped {
            plan_id: "q".into(),
            user_id: "1".into(),
            reason: "gone".into(),
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

#[test]
fn a_policy_of_some_users_applies_only_to_them() {
    let who = |entry: &str| {
        World::of(
            &format!("{SUSPEND}[who]\n{entry}\n"),
            [
                Person {
                    group_ids: vec!["g1".to_owned()],
                    tracking_codes: vec![("Department".to_owned(), "Sales".to_owned())],
                    ..idler("1")
                },
                idler("2"),
                Person { seat_state: text("no_login_seen"), ..idler("3") },
            ],
        )
    };
    for (entry, asked) in [
        ("groups = [\"Board\"]", ["suspend", "not asked", "not asked"]),
        ("tracking_codes = [\"Department=Sales\"]", ["suspend", "not asked", "not asked"]),
        ("groups = [\"Board\"]\ntracking_codes = [\"Department=Law\"]", ["not asked"; 3]),
        ("seat_states = [\"no_login_seen\"]", ["not asked", "not asked", "suspend"]),
        ("groups = [\"no such group\"]", ["not asked"; 3]),
    ] {
        assert_eq!(["1", "2", "3"].map(|id| who(entry).says(id)), asked, "{entry}");
    }
}

/// Why: the evaluation must not dominate the time of a run. `--nocapture` shows how long it took; no test asserts it.
#[test]
fn a_hundred_thousand_users_are_evaluated_at_once() {
    let people =
        (0..100_000).map(|n| if n % 3 == 0 { idler(&n.to_string()) } else { worker(&n.to_string()) });
    let mut world = World::of(&format!("{TO_DELETE}[caps]\npeople = 1000\n"), people);
    world.snapshot.seats_assigned = 100_000;
    let begun = std::time::Instant::now();
    let judged = world.evaluator().unwrap().everybody();
    let took = begun.elapsed();
    assert_eq!(judged.going[&Stage::Suspend].len(), 1000);
    println!("100,000 users evaluated in {took:?}");
}

/// A user that we suspended this many days before the snapshot.
fn ours(days: i64) -> World {
    World::of(TO_DELETE, [suspended("1")]).with(&of_ours("1", 100 - days))
}

/// A suspension of ours with the post-image of [`suspended`].
fn of_ours(id: &str, at: i64) -> Vec<(i64, Record)> {
    let done = Record::Outcome {
        action_id: format!("p/{id}/1"),
        outcome: Outcome::Done,
        http_status: Some(200),
        request_id: None,
        after: Some(suspended(id).standing(&[])),
        destination_folder_id: None,
        reason: None,
    };
    let started = Record::ApplyStarted {
        plan_id: "p".into(),
        by: crate::reclaim::journal_state::tests::operator("op"),
        actor_user_id: "5000".into(),
        night: crate::reclaim::journal_state::tests::night(at),
    };
    vec![(at, started), (at, intent("p", id, Action::Suspend, 1)), (at, done)]
}

/// Suspended 40 days ago, moved 30 days ago, empty in two readings.
fn emptied() -> World {
    let read = |at, items| {
        (
            at,
            Record::ContentRead {
                plan_id: "q".into(),
                user_id: "1".into(),
                owned_items: Some(items),
                shared_items: Some(0),
                space_used_bytes: Some(if items > 0 { 9 } else { 0 }),
            },
        )
    };
    let there = |at| {
        (
            at,
            Record::DestinationRead {
                plan_id: "q".into(),
                user_id: "1".into(),
                receiver_user_id: "9".into(),
                folder_id: "f".into(),
                items: Some(3),
            },
        )
    };
    let moved = vec![
        read(69, 3),
        (70, intent("q", "1", Action::Transfer, 1)),
        (70, outcome("q", "1", 1, Outcome::Done)),
        read(71, 0),
        read(72, 0),
        there(72),
    ];
    World::of(TO_DELETE, [suspended("1")]).with(&[of_ours("1", 60), moved].concat())
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
