//! The checker must find every violation, else a passed check proves nothing.

use boxseat_reclaim_checker::{Case, Intent, Known, broken, left_suspended};
use boxseat_schemas::RunNumber;
use boxseat_schemas::reclaim::plan::{Operator, SnapshotId};
use boxseat_schemas::reclaim::{Action, Attempt, Entry, Outcome, Record, Stage, Standing};
use boxseat_simulator::{Account, App, Deed, Doer, TrueLogin, TrueUser, Truth, Verb};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

const ID: &str = "9";
const RECEIVER: &str = "77";

fn day(days: i64) -> DateTime<Utc> {
    "2026-03-02T06:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(days)
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn account(user_id: &str, status: &str) -> Account {
    Account {
        user_id: user_id.to_owned(),
        login: format!("u{user_id}@acme.test"),
        status: status.to_owned(),
        role: "user".to_owned(),
        is_managed: true,
        created_at: text(day(-400)),
        ..Account::default()
    }
}

fn full(status: &str) -> Account {
    Account { owned_items: 3, owned_bytes: 30, ..account(ID, status) }
}

/// A correct reclamation, from day 0 to day 31, with its journal.
struct Story {
    intent: Intent,
    earlier: Vec<(DateTime<Utc>, Intent)>,
    deeds: Vec<Deed>,
    nights: Vec<Truth>,
    end: Truth,
    known: Vec<Known>,
    journal: Vec<Entry>,
}

fn operator() -> Operator {
    Operator { os_user: "jo".to_owned(), host: "h".to_owned() }
}

fn created() -> Record {
    Record::PlanCreated {
        plan_id: "p".to_owned(),
        digest: "d".to_owned(),
        stage: Stage::Suspend,
        policy_digest: Some("sha256:0".to_owned()),
        night: SnapshotId { run_number: RunNumber(1), snapshot_date: day(0).date_naive(), now_at: day(0) },
        by: operator(),
        user_ids: vec![ID.to_owned()],
        receiver_user_ids: vec![RECEIVER.to_owned()],
        due_on: None,
    }
}

fn approved(digest: &str) -> Record {
    Record::Approved {
        plan_id: "p".to_owned(),
        digest: digest.to_owned(),
        by: operator(),
        signed_by: None,
        signature: None,
    }
}

fn deed(days: i64, verb: Verb, before: Account, after: Account) -> Deed {
    Deed {
        at: text(day(days)),
        by: Doer::App(App::Acting),
        verb,
        user_id: before.user_id.clone(),
        http_status: 200,
        is_applied: true,
        notify: Some(false),
        before: Some(before),
        after: Some(after),
        ..Deed::default()
    }
}

impl Story {
    fn good() -> Self {
        let receiver = Some(account(RECEIVER, "active"));
        let moved = Deed {
            receiver_user_id: Some(RECEIVER.to_owned()),
            receiver_before: receiver,
            ..deed(15, Verb::BeginTransfer, full("inactive"), account(ID, "inactive"))
        };
        let gone = Account { is_managed: false, ..account(ID, "inactive") };
        let deeds = vec![
            Deed {
                body: json!({"status": "inactive"}),
                ..deed(0, Verb::Edit, full("active"), full("inactive"))
            },
            deed(0, Verb::EndSessions, full("inactive"), full("inactive")),
            moved,
            deed(31, Verb::Delete, account(ID, "inactive"), gone),
        ];
        let user = |user_id: &str| TrueUser {
            user_id: user_id.to_owned(),
            login: Some(format!("u{user_id}@acme.test")),
            status: "active".to_owned(),
            ..TrueUser::default()
        };
        let night = Truth { now: text(day(0)), users: vec![user(ID), user(RECEIVER)], ..Truth::default() };
        let all = (day(-180), day(40));
        let mut story = Story {
            intent: Intent { receiver: Some(RECEIVER.to_owned()), ..Intent::default() },
            earlier: Vec::new(),
            deeds,
            nights: vec![night],
            end: Truth { now: text(day(32)), ..Truth::default() },
            known: vec![Known { at: day(0), logins: Some(all), edits: Some(all), has_position: true }],
            journal: Vec::new(),
        };
        story.note(0, created());
        story.note(0, approved("d"));
        story.tell(0, Action::Suspend);
        story.tell(0, Action::TerminateSessions);
        story.tell(15, Action::Transfer);
        for days in [16, 17] {
            story.note(
                days,
                Record::ContentRead {
                    plan_id: "p".to_owned(),
                    user_id: ID.to_owned(),
                    owned_items: Some(0),
                    shared_items: Some(0),
                    space_used_bytes: Some(0),
                },
            );
        }
        story.tell(31, Action::Delete);
        story
    }

    fn note(&mut self, days: i64, record: Record) {
        let sequence = self.journal.len() as u64 + 1;
        self.journal.push(Entry::new(sequence, day(days), String::new(), record));
    }

    fn tell(&mut self, days: i64, action: Action) {
        let (stream_position, from_at, to_at) = ("1".to_owned(), day(days), day(days));
        self.note(days, Record::FeedRead { stream_position, from_at, to_at });
        let action_id = format!("p-{ID}-{}", self.journal.len());
        self.note(
            days,
            Record::Intent(Attempt {
                action_id: action_id.clone(),
                plan_id: "p".to_owned(),
                stage: Stage::Suspend,
                user_id: ID.to_owned(),
                login: format!("u{ID}@acme.test"),
                action,
                before: Standing::default(),
                receiver_user_id: None,
                last_activity_at: None,
            }),
        );
        self.note(
            days,
            Record::Outcome {
                action_id,
                outcome: Outcome::Done,
                http_status: Some(200),
                request_id: None,
                after: None,
                destination_folder_id: None,
                reason: None,
            },
        );
    }

    fn case<T>(&mut self, judge: impl FnOnce(&Case<'_>) -> T) -> T {
        for (place, deed) in self.deeds.iter_mut().enumerate() {
            deed.sequence = place as u64 + 1;
        }
        let Story { intent, earlier, deeds, nights, end, known, journal } = &*self;
        let kept = journal;
        judge(&Case { intent, earlier, deeds, nights, end, known, journal, kept, leavers: &[] })
    }

    /// Inserts an act of another actor before the action at a place.
    fn meanwhile(
        &mut self,
        place: usize,
        days: i64,
        body: serde_json::Value,
        before: Account,
        after: Account,
    ) {
        let act = Deed {
            by: Doer::Stage,
            http_status: 0,
            body,
            notify: None,
            ..deed(days, Verb::Act, before, after)
        };
        self.deeds.insert(place, act);
    }
}

#[test]
fn a_good_reclamation_passes() {
    assert_eq!(Story::good().case(broken), [""; 0]);
}

/// Why: a property test is only as good as its checker; each kind of violation is tried on it.
#[test]
fn each_broken_rule_is_found() {
    type Spoil = fn(&mut Story);
    let spoilt: &[(&str, Spoil)] = &[
        ("R1: boxseat never", |s| s.deeds[1].verb = Verb::Create),
        ("R1: by force", |s| s.deeds[3].force = Some(true)),
        ("R1: an edit of something else", |s| {
            s.deeds[0].body = json!({"status": "inactive", "role": "user"})
        }),
        ("R1: not a managed user", |s| s.deeds[0].before.as_mut().unwrap().role = "coadmin".to_owned()),
        ("R1: a program", |s| s.deeds[2].before.as_mut().unwrap().is_platform_access_only = true),
        ("R1: the status was not", |s| {
            s.deeds[0].before.as_mut().unwrap().status = "cannot_delete_edit".to_owned()
        }),
        ("R13: notify", |s| s.deeds[2].notify = None),
        ("R2: signed in lately", |s| s.logins(&[-3])),
        ("R2: sign-ins are not known", |s| s.known[0].logins = Some((day(-89), day(40)))),
        ("R3: edits are not known", |s| s.known[0].edits = Some((day(1), day(40)))),
        ("R11: sign-ins after the suspension", |s| s.known[0].logins = Some((day(-180), day(1)))),
        ("R11: no position of the admin log", |s| s.known[0].has_position = false),
        ("R11: the admin log was not read", |s| {
            s.journal.retain(|entry| !matches!(entry.record, Record::FeedRead { .. }));
        }),
        ("R7: no plan", |s| _ = s.journal.remove(0)),
        ("R9: the plan is not approved", |s| s.journal[1].record = approved("another")),
        ("R10: further than the policy goes", |s| s.intent.furthest_stage = "transfer"),
        ("R11: a login came to light", |s| s.logins(&[2])),
        ("R3: under legal hold", |s| _ = s.intent.held.insert(ID.to_owned())),
        ("R3: not suspended by boxseat", |s| s.deeds[0].by = Doer::Person),
        ("R3: edited by another actor", |s| {
            let edit = json!({"edit_user": {"announced": true}});
            s.meanwhile(2, 3, edit, full("inactive"), full("inactive"));
        }),
        ("R4: protected by id", |s| _ = s.intent.protected_ids.insert(ID.to_owned())),
        ("R4: protected by an address", |s| _ = s.intent.protected_logins.insert("u9@acme.test".to_owned())),
        ("R4: protected by a group", |s| {
            s.deeds[0].before.as_mut().unwrap().group_ids.push("g".to_owned());
            s.intent.protected_groups.insert("g".to_owned());
        }),
        ("R4: the receiver is not fit", |s| {
            s.deeds[2].receiver_before.as_mut().unwrap().status = "inactive".to_owned()
        }),
        ("R4: the receiver has no room", |s| {
            s.deeds[2].receiver_before.as_mut().unwrap().space_amount_bytes = Some(29)
        }),
        ("R5: on leave", |s| {
            s.intent.leaves.push((ID.to_owned(), "2026-03-01".to_owned(), "2026-03-31".to_owned()))
        }),
        ("R5: new", |s| s.deeds[0].before.as_mut().unwrap().created_at = text(day(-20))),
        ("R5: new to the store", |s| {
            let mut before = s.nights[0].clone();
            (before.now, before.users[0].status) = (text(day(-9)), "inactive".to_owned());
            s.nights.insert(0, before);
        }),
        ("R5: given back by an undo", |s| {
            let [before, left] = ["active", "inactive"].map(full);
            s.deeds.insert(0, deed(-2, Verb::Edit, before.clone(), left.clone()));
            s.deeds.insert(1, deed(-1, Verb::Edit, left, before));
        }),
        ("R6: the user owns shared", |s| s.deeds[0].before.as_mut().unwrap().shared_items = 1),
        ("R8: too soon", |s| s.deeds[2].at = text(day(13))),
        ("R8: more users", |s| s.intent.cap_seats_percent = 49.0),
        ("R12: not as the suspension", |s| {
            s.deeds[3].before.as_mut().unwrap().login = "else@acme.test".to_owned()
        }),
        ("R14: a second transfer", |s| {
            let again = s.deeds[2].clone();
            s.deeds.insert(3, again);
        }),
        ("R15: 2 items", |s| s.deeds[3].lost_items = 2),
        ("R15: not seen empty", |s| s.journal.retain(|entry| entry.at != day(16))),
        ("R15: deleted without", |s| _ = s.deeds.remove(2)),
        ("R13: intent", |s| _ = s.journal.pop()),
        ("R13: delete of 9 happened 1", |s| s.journal.truncate(13)),
        ("R18: reactivated", |s| {
            s.deeds.push(deed(40, Verb::Edit, account("5", "inactive"), account("5", "active")))
        }),
    ];
    for (rule, spoil) in spoilt {
        let mut story = Story::good();
        spoil(&mut story);
        let found = story.case(broken);
        assert!(found.iter().any(|sentence| sentence.contains(rule)), "{rule} is not among {found:#?}");
    }
}

/// R9, R10: each action is checked against the policy in force at its time.
#[test]
fn a_later_policy_does_not_apply_to_earlier_actions() {
    let mut story = Story::good();
    story.intent.held.insert(ID.to_owned());
    story.earlier.push((day(32), Intent { receiver: story.intent.receiver.clone(), ..Intent::default() }));
    assert_eq!(story.case(broken), [""; 0]);
    story.earlier[0].0 = day(31);
    assert!(story.case(broken).iter().any(|sentence| sentence.contains("R3: under legal hold")));
}

/// R15: bytes in the trash stay, and operators confirm that the rest has moved.
#[test]
fn a_deletion_with_trash_needs_a_confirmation() {
    let mut story = Story::good();
    story.deeds[3].before.as_mut().unwrap().trash_bytes = 7;
    for entry in &mut story.journal {
        if let Record::ContentRead { space_used_bytes, .. } = &mut entry.record {
            *space_used_bytes = Some(7);
        }
    }
    let is_unproven = |story: &mut Story| {
        story.case(broken).iter().any(|sentence| sentence.contains("R15: not seen empty twice"))
    };
    assert!(is_unproven(&mut story));
    let delete = story.journal.split_off(story.journal.len() - 3);
    let confirmed = |bytes| Record::ContentConfirmed {
        user_id: ID.to_owned(),
        action_id: "p".to_owned(),
        statement: "it has arrived".to_owned(),
        by: operator(),
        operators_needed: 1,
        owned_items: Some(0),
        space_used_bytes: bytes,
    };
    story.note(15, confirmed(7));
    story.journal.extend(delete);
    assert_eq!(story.case(broken), [""; 0]);
    let place = story.journal.len() - 4;
    story.journal[place].record = confirmed(6);
    assert!(is_unproven(&mut story), "it holds more than at the confirmation");
}

#[test]
fn an_undo_must_give_back_exactly_the_allowed_users() {
    let mut story = Story::good();
    story.deeds.truncate(2);
    story.journal.truncate(8);
    story.end.users = vec![TrueUser {
        status: "inactive".to_owned(),
        login: Some("u9@acme.test".to_owned()),
        user_id: ID.to_owned(),
        ..TrueUser::default()
    }];
    assert_eq!(story.case(|case| left_suspended(case, "p")).len(), 1);
    story.end.users[0].login = Some("else@acme.test".to_owned());
    assert_eq!(story.case(|case| left_suspended(case, "p")), [""; 0], "a renamed user stays unchanged");
    let restored = |after: &str| Deed {
        body: json!({"status": after}),
        ..deed(1, Verb::Edit, full("inactive"), full(after))
    };
    story.deeds.push(restored("active"));
    story.tell(1, Action::Restore);
    assert_eq!(story.case(broken), [""; 0]);
    story.deeds.pop();
    story.deeds.push(restored("cannot_delete_edit"));
    assert!(story.case(broken)[0].contains("R18: another status"));
}

impl Story {
    fn logins(&mut self, days: &[i64]) {
        let login = |days: &i64| TrueLogin {
            user_id: ID.to_owned(),
            created_at: text(day(*days)),
            ..TrueLogin::default()
        };
        self.end.logins = days.iter().map(login).collect();
    }
}
