//! The judge must see what is wrong, or its silence says nothing.

use boxseat_schemas::reclaim::{Action, Attempt, Entry, Outcome, Record, Stage, Standing};
use boxseat_simulator::{Account, App, Deed, Doer, TrueLogin, TrueUser, Truth, Verb};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::intent::Intent;
use super::judge::{Case, broken, left_suspended};

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

/// A reclamation as it should be, from day 0 to day 31, with the journal that belongs to it.
struct Story {
    intent: Intent,
    deeds: Vec<Deed>,
    nights: Vec<Truth>,
    end: Truth,
    journal: Vec<Entry>,
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
        let mut story = Story {
            intent: Intent { receiver: Some(RECEIVER.to_owned()), ..Intent::default() },
            deeds,
            nights: vec![night],
            end: Truth { now: text(day(32)), ..Truth::default() },
            journal: Vec::new(),
        };
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
        let Story { intent, deeds, nights, end, journal } = &*self;
        judge(&Case { intent, deeds, nights, end, journal, leavers: &[] })
    }

    /// Puts in an act of somebody else before the deed at a place.
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

/// Why: a property test is worth as much as its judge; each way to be wrong is tried on it.
#[test]
fn each_rule_is_seen_to_be_broken() {
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
        ("R11: a login came to light", |s| s.logins(&[2])),
        ("R3: under legal hold", |s| _ = s.intent.held.insert(ID.to_owned())),
        ("R3: not suspended by boxseat", |s| s.deeds[0].by = Doer::Person),
        ("R3: edited by somebody else", |s| {
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
        ("R6: the person owns shared", |s| s.deeds[0].before.as_mut().unwrap().shared_items = 1),
        ("R8: too soon", |s| s.deeds[2].at = text(day(13))),
        ("R8: more people", |s| s.intent.cap_seats_percent = 49.0),
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
        ("R13: delete of 9 happened 1", |s| s.journal.truncate(8)),
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

#[test]
fn an_undo_must_give_back_whom_it_may_and_nobody_else() {
    let mut story = Story::good();
    story.deeds.truncate(2);
    story.journal.truncate(4);
    story.end.users = vec![TrueUser {
        status: "inactive".to_owned(),
        login: Some("u9@acme.test".to_owned()),
        user_id: ID.to_owned(),
        ..TrueUser::default()
    }];
    assert_eq!(story.case(|case| left_suspended(case, "p")).len(), 1);
    story.end.users[0].login = Some("else@acme.test".to_owned());
    assert_eq!(
        story.case(|case| left_suspended(case, "p")),
        [""; 0],
        "whoever was renamed stays as they are"
    );
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
