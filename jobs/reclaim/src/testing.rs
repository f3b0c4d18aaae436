//! Values for tests of this crate and of the program: a user that every rule admits, which a test changes in one place, and entries of
//! a journal.

use std::path::Path;

use boxseat_schemas::RunNumber;
use boxseat_schemas::reclaim::plan::{Operator, SnapshotId};
use boxseat_schemas::reclaim::{Action, Attempt, Entry, Outcome, Record, Stage, Standing};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::journal::state::JournalState;
use crate::rules::policy::Policy;
use crate::rules::policy_inputs::{List, PolicyInputs};
use crate::rules::snapshot::{Person, Snapshot};

/// The time of the snapshot in these tests: the hundredth day of [`day`].
pub fn snapshot_time() -> DateTime<Utc> {
    day(100)
}

/// A user of role `user`, one year old, 120 proven days idle.
pub fn idler(user_id: &str) -> Person {
    Person {
        user_id: user_id.to_owned(),
        login: Some(format!("u{user_id}@acme.test")),
        name: Some(format!("Person {user_id}")),
        role: Some("user".to_owned()),
        box_status: Some("active".to_owned()),
        account_status: "active".to_owned(),
        listing: Some("listed".to_owned()),
        seat_kind: "managed_user".to_owned(),
        consumes_seat: true,
        seat_state: Some("idle".to_owned()),
        enterprise_id: Some("42".to_owned()),
        created_at: Some(day(-400)),
        first_seen_at: Some(day(-300)),
        last_activity_at: Some(day(-20)),
        last_activity_source: Some("LOGIN".to_owned()),
        proven_idle_days: Some(120),
        are_groups_known: true,
        are_aliases_known: true,
        space_used_bytes: Some(1_000),
        space_amount_bytes: Some(1_000_000),
        has_unlimited_space: Some(false),
        monthly_cost: "35".parse().ok(),
        currency: Some("EUR".to_owned()),
        ..Person::default()
    }
}

/// The same, suspended.
pub fn suspended(user_id: &str) -> Person {
    Person {
        box_status: Some("inactive".to_owned()),
        account_status: "suspended".to_owned(),
        seat_state: Some("suspended".to_owned()),
        ..idler(user_id)
    }
}

/// The same, in use.
pub fn worker(user_id: &str) -> Person {
    Person {
        last_activity_at: Some(day(99)),
        proven_idle_days: Some(1),
        seat_state: Some("used".to_owned()),
        ..idler(user_id)
    }
}

/// A snapshot with these users, everything watched for 200 days.
pub fn snapshot(people: impl IntoIterator<Item = Person>) -> Snapshot {
    let people: std::collections::BTreeMap<String, Person> =
        people.into_iter().map(|person| (person.user_id.clone(), person)).collect();
    let watched = (day(-100), snapshot_time());
    Snapshot {
        store_id: Uuid::from_u128(7),
        enterprise_id: "42".to_owned(),
        night: SnapshotId {
            run_number: RunNumber(9),
            snapshot_date: snapshot_time().date_naive(),
            now_at: snapshot_time(),
        },
        first_snapshot_time: Some(day(-300)),
        login_coverage: Some(watched),
        activity_coverage: [("DOWNLOAD".to_owned(), watched), ("EDIT_USER".to_owned(), watched)].into(),
        evidence_sources: vec!["LOGIN".to_owned(), "DOWNLOAD".to_owned()],
        new_user_grace_days: 45,
        returned_grace_days: 60,
        seats_assigned: 1_000,
        seats_purchased: Some(1_100),
        renewal_date: None,
        events_by_day: Default::default(),
        groups: [("g1".to_owned(), "Board".to_owned())].into(),
        unread_groups: [].into(),
        people,
    }
}

/// A policy from the text of its file; the receiver is `u9@acme.test` unless the text names one.
pub fn policy(text: &str) -> Policy {
    Policy::parse("policy.toml", text, Path::new("")).unwrap_or_else(|e| panic!("{:?}", e.lines()))
}

/// Includes the deletion, on the evidence of activity.
pub const TO_DELETE: &str = "evidence = \"activity\"\nfurthest_stage = \"delete\"\n\
    [holds]\nfile = \"holds.csv\"\n[receiver]\naccount = \"u9@acme.test\"\n";

/// Activity is watched, and the list of holds is of today and empty.
pub fn inputs() -> PolicyInputs {
    let holds = Some(List { rows: Vec::new(), age: TimeDelta::zero() });
    PolicyInputs { holds, activity_events: vec!["DOWNLOAD".to_owned()], ..PolicyInputs::default() }
}

/// A time in these tests: so many days after March 2026 began.
pub fn day(day: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_772_500_000) + TimeDelta::days(day)
}

/// An operator of this name.
pub fn operator(name: &str) -> Operator {
    Operator { os_user: name.into(), host: "night".into() }
}

/// A snapshot of a day.
pub fn night(of: i64) -> SnapshotId {
    SnapshotId { run_number: RunNumber(7), snapshot_date: day(of).date_naive(), now_at: day(of) }
}

/// The entry of a new plan for users and receivers.
pub fn created(plan_id: &str, stage: Stage, users: &[&str], receivers: &[&str]) -> Record {
    let strings = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Record::PlanCreated {
        plan_id: plan_id.into(),
        digest: "d1".into(),
        stage,
        policy_digest: Some("sha256:0".into()),
        night: night(0),
        by: operator("planner"),
        user_ids: strings(users),
        receiver_user_ids: strings(receivers),
        due_on: None,
    }
}

/// The entry before a call: the action of this number on a user, by a plan.
pub fn intent(plan_id: &str, user_id: &str, action: Action, count: u32) -> Record {
    Record::Intent(Attempt {
        action_id: format!("{plan_id}/{user_id}/{count}"),
        plan_id: plan_id.into(),
        stage: Stage::Suspend,
        user_id: user_id.into(),
        login: "a@b.test".into(),
        action,
        before: Standing { user_id: user_id.into(), ..Standing::default() },
        receiver_user_id: (action == Action::Transfer).then(|| "77".to_owned()),
        last_activity_at: Some(day(-20)),
    })
}

/// A reading of the content of user 1 for plan `p`.
pub fn read(items: Option<u64>, bytes: i64) -> Record {
    Record::ContentRead {
        plan_id: "p".into(),
        user_id: "1".into(),
        owned_items: items,
        shared_items: Some(0),
        space_used_bytes: Some(bytes),
    }
}

/// The outcome of the action of this number.
pub fn outcome(plan_id: &str, user_id: &str, count: u32, outcome: Outcome) -> Record {
    Record::Outcome {
        action_id: format!("{plan_id}/{user_id}/{count}"),
        outcome,
        http_status: Some(200),
        request_id: None,
        after: None,
        destination_folder_id: None,
        reason: None,
    }
}

/// The state that follows from entries, each with its day.
pub fn past(records: &[(i64, Record)]) -> JournalState {
    let entries: Vec<Entry> = records
        .iter()
        .enumerate()
        .map(|(n, (at, record))| Entry::new(n as u64 + 1, day(*at), String::new(), record.clone()))
        .collect();
    JournalState::of(&entries)
}
