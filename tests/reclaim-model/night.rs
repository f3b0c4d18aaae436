//! A snapshot made from the truth: what `sync` and the warehouse would store at a time, in the engine's types.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_reclaim::rules::snapshot::{Edit, OnLeave, Person, Snapshot};
use boxseat_reclaim_checker::Intent;
use boxseat_schemas::RunNumber;
use boxseat_schemas::reclaim::plan::SnapshotId;
use boxseat_simulator::{TrueUser, Truth};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::gaps::Gaps;

/// The store of every world.
pub(super) const STORE: Uuid = Uuid::from_u128(0xb0c5);
/// Days of sign-ins that the first snapshot reads back.
pub(super) const WINDOW_DAYS: i64 = 183;
/// The newest part that a snapshot does not read: events settle first.
const SETTLE: TimeDelta = TimeDelta::minutes(15);

/// How far the snapshot of a truth reads events.
pub(super) fn read_to(night: &Truth) -> DateTime<Utc> {
    at(&night.now) - SETTLE
}

/// Everything that the snapshots of a world have shown so far.
#[derive(Default)]
pub(super) struct Nights {
    people: BTreeMap<String, Person>,
    first_at: Option<DateTime<Utc>>,
    count: u64,
    pub(super) gaps: Gaps,
}

impl Nights {
    /// Reads one more snapshot.
    pub(super) fn read(&mut self, night: &Truth, intent: &Intent, enterprise_id: &str) -> Snapshot {
        let now = at(&night.now);
        let first_snapshot_time = *self.first_at.get_or_insert(now);
        self.count += 1;
        let (first, until) = (first_snapshot_time - TimeDelta::days(WINDOW_DAYS), now - SETTLE);
        let coverage = self.gaps.logins.newest_span(first, until);
        let edit_coverage = self.gaps.edits.newest_span(first, until);
        for person in self.people.values_mut() {
            (person.listing, person.consumes_seat) = (None, false);
        }
        for user in &night.users {
            let person = self.people.entry(user.user_id.clone()).or_insert_with(|| Person {
                user_id: user.user_id.clone(),
                first_seen_at: Some(now),
                ..Person::default()
            });
            let was_away = matches!(person.account_status.as_str(), "suspended" | GONE);
            if was_away && user.status != "inactive" {
                person.returned_at = Some(now);
            }
            see(person, user, night);
        }
        let mut newest: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
        // Sorted by time.
        for login in &night.logins {
            let moment = at(&login.created_at);
            if (first..until).contains(&moment) && self.gaps.logins.knows(moment) {
                newest.insert(&login.user_id, moment);
            }
        }
        let today = now.date_naive().to_string();
        for person in self.people.values_mut() {
            if person.listing.is_none() {
                person.account_status = GONE.to_owned();
            }
            person.last_activity_at = newest.get(person.user_id.as_str()).copied();
            person.last_activity_source = person.last_activity_at.map(|_| "LOGIN".to_owned());
            let is_now = |from: &String, to: &String| *from <= today && *to >= today;
            let leave = intent.leaves.iter().find(|(id, from, to)| *id == person.user_id && is_now(from, to));
            person.leave = leave.map(|(_, _, to)| OnLeave { until: to.parse().ok() });
            let covered_from = coverage.map(|span| span.0);
            let since = [person.last_activity_at, covered_from, person.created_at, person.returned_at];
            let first_seen = person.first_seen_at.filter(|at| *at > first_snapshot_time);
            let since = since.into_iter().chain([first_seen]).flatten().max();
            person.proven_idle_days =
                since.filter(|_| coverage.is_some()).map(|since| (now - since).num_days());
            person.seat_state = Some(seat_state(person).to_owned());
            person.edits = edits(person, night, now);
            person.edits.retain(|edit| self.gaps.edits.knows(edit.at));
        }
        let groups = night.groups.iter();
        Snapshot {
            store_id: STORE,
            enterprise_id: enterprise_id.to_owned(),
            night: SnapshotId {
                run_number: RunNumber(self.count),
                snapshot_date: now.date_naive(),
                now_at: now,
            },
            first_snapshot_time: Some(first_snapshot_time),
            login_coverage: coverage,
            activity_coverage: edit_coverage.map(|span| ("EDIT_USER".to_owned(), span)).into_iter().collect(),
            evidence_sources: vec!["LOGIN".to_owned()],
            new_user_grace_days: intent.new_user_grace_days,
            returned_grace_days: intent.returned_grace_days,
            seats_assigned: self.people.values().filter(|person| person.consumes_seat).count() as u64,
            seats_purchased: None,
            renewal_date: None,
            events_by_day: Default::default(),
            groups: groups
                .map(|group| (group.group_id.clone(), group.name.clone().unwrap_or_default()))
                .collect(),
            unread_groups: [].into(),
            people: self.people.clone(),
        }
    }
}

const GONE: &str = "deprovisioned";

/// What one snapshot's listing says about a user.
fn see(person: &mut Person, user: &TrueUser, night: &Truth) {
    let own = |id: &str| id == user.user_id;
    let lower = |text: &str| text.to_lowercase();
    let before = person.login.take().map(|login| lower(&login)).into_iter().chain(person.aliases.drain(..));
    let mut former: BTreeSet<String> = before.collect();
    former.extend(person.former_addresses.drain(..));
    let mut aliases: Vec<String> = night
        .email_aliases
        .iter()
        .filter(|alias| own(&alias.user_id))
        .map(|alias| lower(&alias.email))
        .collect();
    aliases.sort();
    let mut group_ids: Vec<String> = night
        .memberships
        .iter()
        .filter(|member| own(&member.user_id))
        .map(|member| member.group_id.clone())
        .collect();
    group_ids.sort();
    let kind = if user.is_platform_access_only { "app_user" } else { "managed_user" };
    let first_seen_at = person.first_seen_at;
    let returned_at = person.returned_at;
    *person = Person {
        user_id: user.user_id.clone(),
        login: user.login.clone(),
        name: user.name.clone(),
        role: Some(user.role.clone()),
        box_status: Some(user.status.clone()),
        account_status: if user.status == "inactive" { "suspended" } else { "active" }.to_owned(),
        listing: Some("listed".to_owned()),
        seat_kind: kind.to_owned(),
        consumes_seat: kind == "managed_user",
        enterprise_id: Some(user.enterprise_id.clone()),
        is_platform_access_only: Some(user.is_platform_access_only),
        external_app_user_id: user.external_app_user_id.clone(),
        created_at: Some(at(&user.created_at)),
        first_seen_at,
        returned_at,
        group_ids,
        are_groups_known: true,
        aliases,
        are_aliases_known: true,
        former_addresses: former.into_iter().collect(),
        tracking_codes: user.tracking_codes.clone(),
        space_used_bytes: Some(user.space_used_bytes),
        space_amount_bytes: user.space_amount_bytes,
        has_unlimited_space: Some(user.has_unlimited_space),
        ..Person::default()
    };
}

fn seat_state(person: &Person) -> &'static str {
    match (person.account_status.as_str(), person.last_activity_at, person.proven_idle_days) {
        ("suspended", ..) => "suspended",
        (_, Some(_), Some(days)) if days < 90 => "used",
        (_, Some(_), _) => "idle",
        (_, None, Some(days)) if days >= 90 => "no_login_seen",
        _ => "too_new",
    }
}

/// Who edited a suspended account, and when last, within the snapshot's window.
fn edits(person: &Person, night: &Truth, now: DateTime<Utc>) -> Vec<Edit> {
    let mut newest: BTreeMap<Option<String>, DateTime<Utc>> = BTreeMap::new();
    for event in &night.other_events {
        let is_mine = event.event_type == "EDIT_USER" && event.user_id.as_ref() == Some(&person.user_id);
        if is_mine && person.account_status == "suspended" && at(&event.created_at) < now - SETTLE {
            let newest = newest.entry(event.actor_id.clone()).or_default();
            *newest = (*newest).max(at(&event.created_at));
        }
    }
    newest.into_iter().map(|(actor_id, at)| Edit { actor_id, at }).collect()
}

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|e| panic!("{text:?} is no time: {e}"))
}
