//! For any order of runs, replays and unsuccessful runs, the file shows the snapshots on the chain of the shown snapshot. The test compares
//! `users_history` and `user_changes` with a simple computation over these snapshots.

use std::collections::{BTreeMap, BTreeSet};

use boxseat_schemas::run::RunKind;
use boxseat_schemas::table::{EMAIL_ALIASES, GROUPS, MEMBERSHIPS, USERS};
use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::query::query_file;
use crate::testing::at;

/// The state of users, groups and aliases in one snapshot. A missing object has no entry.
#[derive(Debug, Clone, Default)]
struct Content {
    people: BTreeMap<u8, Person>,
    /// The value states whether the members were ever read.
    groups: BTreeMap<u8, bool>,
    members: BTreeMap<(u8, u8), bool>,
    aliases: BTreeSet<(u8, u8)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Person {
    status: u8,
    is_coadmin: bool,
    is_missing: bool,
    name: Option<u8>,
    code: Option<u8>,
    enterprise: Option<u8>,
    aliases_known: bool,
}

#[derive(Debug, Clone)]
enum Edit {
    Person(u8, Option<Person>),
    Group(u8, Option<bool>),
    Member(u8, u8, Option<bool>),
    Alias(u8, u8, bool),
}

#[derive(Debug, Clone)]
enum Step {
    /// A run a number of days after the first one, at some hour.
    Night { day: i64, hour: i64, edits: Vec<Edit> },
    /// A run whose rows are in the lake, but which is then abandoned or failed. Its history may be committed.
    Lost { day: i64, edits: Vec<Edit>, is_failed: bool, is_late: bool },
    /// A replay of every current run, starting with the run `from`, with different normalised rows. It may be killed before the end.
    Replay { from: prop::sample::Index, edits: Vec<Edit>, count: usize },
}

fn person() -> impl Strategy<Value = Option<Person>> {
    let small = || prop::option::of(0..2u8);
    let fields =
        (0..4u8, prop::bool::ANY, prop::bool::weighted(0.2), small(), small(), small(), prop::bool::ANY);
    prop::option::weighted(
        0.75,
        fields.prop_map(|(status, is_coadmin, is_missing, name, code, enterprise, aliases_known)| Person {
            status,
            is_coadmin,
            is_missing,
            name,
            code,
            enterprise,
            aliases_known,
        }),
    )
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        4 => (0..4u8, person()).prop_map(|(id, person)| Edit::Person(id, person)),
        1 => (0..3u8, prop::option::weighted(0.7, prop::bool::ANY)).prop_map(|(id, group)| Edit::Group(id, group)),
        4 => (0..4u8, 0..3u8, prop::option::weighted(0.7, prop::bool::ANY))
            .prop_map(|(user, group, role)| Edit::Member(user, group, role)),
        2 => (0..4u8, 0..2u8, prop::bool::ANY).prop_map(|(user, alias, is_there)| Edit::Alias(user, alias, is_there)),
    ];
    prop::collection::vec(edit, 0..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6i64, 0..24i64, edits()).prop_map(|(day, hour, edits)| Step::Night { day, hour, edits }),
        1 => (0..6i64, edits(), prop::bool::ANY, prop::bool::ANY)
            .prop_map(|(day, edits, is_failed, is_late)| Step::Lost { day, edits, is_failed, is_late }),
        3 => (any::<prop::sample::Index>(), edits(), 1..6usize)
            .prop_map(|(from, edits, count)| Step::Replay { from, edits, count }),
    ]
}

proptest! {
    // Every step is a commit of each table and a build. This number of cases takes half a minute and is enough to find the relevant errors.
    #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_file_tells_the_nights_of_its_chain(first in edits(), steps in prop::collection::vec(step(), 4..9)) {
        let mut histories = Histories::new();
        histories.snapshot(0, 2, &first);
        histories.check();
        for step in &steps {
            match step {
                Step::Night { day, hour, edits } => histories.snapshot(*day, *hour, edits),
                Step::Lost { day, edits, is_failed, is_late } => histories.lost(*day, edits, *is_failed, *is_late),
                Step::Replay { from, edits, count } => histories.replay(from, edits, *count),
            }
            histories.check();
        }
    }
}

struct Histories {
    store: Store,
    /// The normalised content of each run.
    contents: BTreeMap<RunNumber, Content>,
    /// The enterprise as it is now.
    now: Content,
    /// The last file that was built.
    checked: Option<Checked>,
}

impl Histories {
    fn new() -> Self {
        Self { store: Store::new(), contents: BTreeMap::new(), now: Content::default(), checked: None }
    }

    fn next(&self) -> RunNumber {
        self.store.runs.last().map_or(RunNumber(0), |run| run.run_number).next()
    }

    /// The reservation that a start of `sync` makes. The base is the latest snapshot at this moment, whatever the date of the clock is.
    fn reserved(&self, day: i64, hour: i64) -> SyncRun {
        let started_at = at("2026-03-01T00:00:00Z") + TimeDelta::days(day) + TimeDelta::hours(hour);
        let run = run(self.next().0, &started_at.date_naive().to_string(), RunStatus::Complete);
        let base_run_number = latest_snapshot(&self.store.runs).map(|base| base.run_number);
        SyncRun { started_at, base_run_number, ..run }
    }

    fn snapshot(&mut self, day: i64, hour: i64, edits: &[Edit]) {
        self.now.edit(edits);
        let run = self.reserved(day, hour);
        let pending = self.load(run, self.now.clone());
        self.finish(&pending);
    }

    fn lost(&mut self, day: i64, edits: &[Edit], is_failed: bool, is_late: bool) {
        let mut content = self.now.clone();
        content.edit(edits);
        let run = self.reserved(day, 3);
        let pending = self.load(run, content);
        if is_late {
            let checked = self.store.check(Some(&pending)).unwrap();
            checked.commit(&self.store.lake, &USERS_HISTORY).unwrap();
            checked.commit(&self.store.lake, &USER_CHANGES).unwrap();
        }
        let status = if is_failed { RunStatus::Failed } else { RunStatus::Abandoned };
        self.store.runs.last_mut().unwrap().status = status;
    }

    fn replay(&mut self, from: &prop::sample::Index, edits: &[Edit], count: usize) {
        let current: Vec<SyncRun> = current(&self.store.runs).into_iter().cloned().collect();
        let from = root(&self.store.runs, from.get(&current)).run_number;
        let mut replaced: Vec<(RunNumber, SyncRun)> = current
            .into_iter()
            .map(|run| (root(&self.store.runs, &run).run_number, run))
            .filter(|(root, _)| *root >= from)
            .collect();
        replaced.sort_by_key(|(root, _)| *root);
        let mut replays = BTreeMap::new();
        for (_, run) in replaced.into_iter().take(count) {
            let mut content = self.contents[&run.run_number].clone();
            content.edit(edits);
            let replay = SyncRun {
                run_number: self.next(),
                run_id: uuid::Uuid::from_u128(u128::from(self.next().0)),
                kind: RunKind::Replay,
                base_run_number: run.base_run_number.map(|base| replays.get(&base).copied().unwrap_or(base)),
                replaces_run_number: Some(run.run_number),
                drift_count: None,
                ..run.clone()
            };
            replays.insert(run.run_number, replay.run_number);
            let pending = self.load(replay, content);
            self.finish(&pending);
        }
    }

    fn load(&mut self, run: SyncRun, content: Content) -> Pending {
        let base = run.base_run_number.map(|base| self.contents[&base].clone()).unwrap_or_default();
        let departures =
            base.people.keys().filter(|id| !content.people.contains_key(id)).filter_map(departure);
        let departures = departures.collect();
        let run_number = run.run_number;
        let snapshot = content.rows();
        // The other tables do not matter here, and commits are most of the cost of a step.
        for table in [&USERS, &GROUPS, &MEMBERSHIPS, &EMAIL_ALIASES] {
            let batch = rows(table, &run, snapshot.of(table));
            self.store.lake.commit(table, run_number, &mut once(batch)).unwrap();
        }
        self.store.runs.push(run);
        self.contents.insert(run_number, content);
        Pending { run_number, tables: Vec::new(), departures }
    }

    fn finish(&mut self, pending: &Pending) {
        // The previous file is dropped first, because only one build at a time has new files.
        self.checked = None;
        let checked = self.store.check(Some(pending)).unwrap();
        for table in [&USERS_HISTORY, &USER_CHANGES] {
            checked.commit(&self.store.lake, table).unwrap();
        }
        self.store.runs.last_mut().unwrap().drift_count = checked.drift().map(Drift::count);
        self.checked = Some(checked);
    }

    /// The file that was built with the pending run, or one from the lake alone.
    fn check(&mut self) {
        let checked = self.checked.take().unwrap_or_else(|| self.store.check(None).unwrap());
        let ask = |sql: &str| -> Vec<String> {
            let answer = query_file(checked.path(), sql, &Resources::default()).unwrap();
            answer.batches.iter().flat_map(lines).collect()
        };
        let snapshot = latest_snapshot(&self.store.runs).unwrap();
        let told = Told::of(snapshot, &self.store.runs, &self.contents);
        assert_eq!(ask(Told::VERSIONS), told.versions);
        assert_eq!(ask(Told::CHANGES), told.changes);
        assert_eq!(ask(Told::ACCOUNTS), told.accounts);
        let drift = |run: &SyncRun| {
            // No event and no date contradicts it, so every change is drift.
            let base = run.base_run_number.filter(|_| run.status == RunStatus::Complete)?;
            Some(changes(&self.contents[&base], &self.contents[&run.run_number], |_| false).len())
        };
        let counts = self.store.runs.iter().map(|run| match drift(run) {
            Some(count) => format!("{}|{count}", run.run_number),
            None => format!("{}|-", run.run_number),
        });
        assert_eq!(
            ask("SELECT run_number, drift_count FROM sync_runs ORDER BY 1"),
            counts.collect::<Vec<_>>()
        );
    }
}

/// The run at the beginning of a chain of replays.
fn root<'a>(runs: &'a [SyncRun], run: &SyncRun) -> &'a SyncRun {
    let mut number = run.run_number;
    loop {
        let run = runs.iter().find(|run| run.run_number == number).unwrap();
        match run.replaces_run_number {
            Some(replaced) => number = replaced,
            None => return run,
        }
    }
}

fn departure(id: &u8) -> Option<Departure> {
    let reason = match id % 3 {
        0 => DepartureReason::Deleted,
        1 => DepartureReason::LeftEnterprise,
        _ => return None,
    };
    Some(Departure { user_id: format!("u{id}"), reason })
}

/// The expected content of the file, as text.
#[derive(Default)]
struct Told {
    versions: Vec<String>,
    changes: Vec<String>,
    accounts: Vec<String>,
}

impl Told {
    const VERSIONS: &'static str = "SELECT user_id, version_no, epoch_us(valid_from), epoch_us(valid_to), is_current, is_deleted, \
         deprovision_reason, run_number, listing, status, role, name, tracking_codes[1].value, enterprise_id \
         FROM users_history ORDER BY user_id, version_no";
    const CHANGES: &'static str = "SELECT run_number, epoch_us(observed_at), user_id, change, attribute, object_id, old_value, new_value \
         FROM user_changes ORDER BY run_number, user_id, change, attribute, object_id";
    const ACCOUNTS: &'static str = "SELECT user_id, account_status = 'deprovisioned', epoch_us(first_seen_at), epoch_us(last_seen_at) \
         FROM accounts ORDER BY user_id";

    fn of(snapshot: &SyncRun, runs: &[SyncRun], contents: &BTreeMap<RunNumber, Content>) -> Self {
        let find = |number: RunNumber| runs.iter().find(|run| run.run_number == number).unwrap();
        let mut snapshots = vec![snapshot];
        while let Some(base) = snapshots[snapshots.len() - 1].base_run_number {
            snapshots.push(find(base));
        }
        snapshots.reverse();

        let mut told = Self::default();
        // Versions by user: first moment, run, whether the user is missing, and the other columns as they are shown.
        let mut versions: BTreeMap<u8, Vec<(i64, bool, String)>> = BTreeMap::new();
        let empty = Content::default();
        let mut before: Option<&SyncRun> = None;
        let mut last_night_of: BTreeMap<u8, i64> = BTreeMap::new();
        for run in &snapshots {
            let (old, new) =
                (before.map_or(&empty, |run| &contents[&run.run_number]), &contents[&run.run_number]);
            let moment = run.started_at.timestamp_micros();
            let is_seen = |id: &u8| versions.contains_key(id);
            if before.is_some() {
                let lines = changes(old, new, is_seen);
                told.changes
                    .extend(lines.into_iter().map(|line| format!("{}|{moment}|{line}", run.run_number)));
            }
            for id in old.people.keys().chain(new.people.keys()).collect::<BTreeSet<_>>() {
                let of = versions.entry(*id).or_default();
                let moment = of.last().map_or(moment, |(at, ..)| moment.max(*at));
                match (old.people.get(id), new.people.get(id)) {
                    (Some(old), Some(new)) if old.tracked() == new.tracked() => {}
                    (_, Some(new)) => {
                        of.push((moment, false, format!("false|-|{}|{}", run.run_number, new.shown(true))));
                    }
                    (Some(old), None) => {
                        let reason = departure(id).map_or("-", |departure| departure.reason.as_str());
                        of.push((
                            moment,
                            true,
                            format!("true|{reason}|{}|{}", run.run_number, old.shown(false)),
                        ));
                        last_night_of.insert(*id, before.unwrap().started_at.timestamp_micros());
                    }
                    (None, None) => {}
                }
            }
            before = Some(run);
        }
        for (id, versions) in &versions {
            for (index, (from, _, rest)) in versions.iter().enumerate() {
                let to = versions.get(index + 1).map_or("-".to_owned(), |(at, ..)| at.to_string());
                let is_current = index + 1 == versions.len();
                told.versions.push(format!("u{id}|{}|{from}|{to}|{is_current}|{rest}", index + 1));
            }
            let is_gone = versions[versions.len() - 1].1;
            let last = if is_gone { last_night_of[id] } else { snapshot.started_at.timestamp_micros() };
            told.accounts.push(format!("u{id}|{is_gone}|{}|{last}", versions[0].0));
        }
        told
    }
}

/// Differences of two snapshots, as `Told::CHANGES` shows them.
fn changes(old: &Content, new: &Content, is_seen: impl Fn(&u8) -> bool) -> Vec<String> {
    let mut rows: Vec<[String; 6]> = Vec::new();
    let mut row = |id: &u8, change: &str, attribute: &str, object: &str, old: &str, new: &str| {
        rows.push([&format!("u{id}"), change, attribute, object, old, new].map(str::to_owned));
    };
    for (id, person) in &new.people {
        let Some(before) = old.people.get(id) else {
            row(id, if is_seen(id) { "returned" } else { "joined" }, "-", "-", "-", person.status());
            continue;
        };
        for (attribute, old, new) in
            before.attributes().into_iter().zip(person.attributes()).map(|(a, b)| (a.0, a.1, b.1))
        {
            let change = match (attribute, old.as_str(), new.as_str()) {
                (_, old, new) if old == new => continue,
                // Every user has these attributes. A missing value was not read, so it is not a change.
                ("status" | "enterprise_id", "-", _) | ("status" | "enterprise_id", _, "-") => continue,
                ("role", ..) => "role_changed",
                ("status", _, "inactive") => "suspended",
                ("status", "inactive", _) => "reactivated",
                _ => "attribute_changed",
            };
            row(id, change, attribute, "-", &old, &new);
        }
    }
    for (id, person) in &old.people {
        if !new.people.contains_key(id) {
            let reason = departure(id).map_or("-", |departure| departure.reason.as_str());
            row(id, "left", "-", "-", person.status(), reason);
        }
    }
    let is_new = |id: &u8| !old.people.contains_key(id);
    for (pair @ (id, group), role) in &new.members {
        let group_name = format!("g{group}");
        match old.members.get(pair) {
            Some(before) if before == role => {}
            Some(before) => {
                row(id, "role_in_group_changed", "-", &group_name, role_name(*before), role_name(*role))
            }
            None if is_new(id) || old.groups.get(group) != Some(&false) => {
                row(id, "group_added", "-", &group_name, "-", role_name(*role));
            }
            None => {}
        }
    }
    for (pair @ (id, group), role) in &old.members {
        if !new.members.contains_key(pair) && new.people.contains_key(id) {
            row(id, "group_removed", "-", &format!("g{group}"), role_name(*role), "-");
        }
    }
    for (id, alias) in new.aliases.difference(&old.aliases) {
        if is_new(id) || old.people[id].aliases_known {
            row(id, "alias_added", "-", &format!("a{id}{alias}"), "-", &format!("{alias}@example.com"));
        }
    }
    for (id, alias) in old.aliases.difference(&new.aliases) {
        if new.people.contains_key(id) {
            row(id, "alias_removed", "-", &format!("a{id}{alias}"), &format!("{alias}@example.com"), "-");
        }
    }
    rows.sort();
    rows.iter().map(|row| row.join("|")).collect()
}

fn role_name(is_admin: bool) -> &'static str {
    if is_admin { "admin" } else { "member" }
}

impl Person {
    fn status(&self) -> &'static str {
        ["active", "inactive", "cannot_delete_edit", "-"][usize::from(self.status)]
    }

    fn role(&self) -> &'static str {
        if self.is_coadmin { "coadmin" } else { "user" }
    }

    /// The content without the fields that the history does not track.
    fn tracked(&self) -> Self {
        Self { aliases_known: false, ..self.clone() }
    }

    /// Attributes whose change is a change of the user.
    fn attributes(&self) -> [(&'static str, String); 5] {
        let text = |value: Option<u8>| value.map_or("-".to_owned(), |value| value.to_string());
        let codes =
            self.code.map_or("-".to_owned(), |code| format!(r#"[{{"name":"cost","value":"{code}"}}]"#));
        [
            ("status", self.status().to_owned()),
            ("role", self.role().to_owned()),
            ("name", text(self.name)),
            ("tracking_codes", codes),
            ("enterprise_id", text(self.enterprise)),
        ]
    }

    fn shown(&self, has_status: bool) -> String {
        let text = |value: Option<u8>| value.map_or("-".to_owned(), |value| value.to_string());
        let status = if has_status { self.status() } else { "-" };
        let (name, code, enterprise) = (text(self.name), text(self.code), text(self.enterprise));
        format!("{}|{status}|{}|{name}|{code}|{enterprise}", self.listing(), self.role())
    }

    fn listing(&self) -> &'static str {
        if self.is_missing { "missing_unconfirmed" } else { "listed" }
    }
}

impl Content {
    fn edit(&mut self, edits: &[Edit]) {
        for edit in edits {
            match edit.clone() {
                Edit::Person(id, None) => {
                    self.people.remove(&id);
                }
                Edit::Person(id, Some(person)) => {
                    self.people.insert(id, person);
                }
                Edit::Group(id, None) => {
                    self.groups.remove(&id);
                }
                Edit::Group(id, Some(is_read)) => {
                    self.groups.insert(id, is_read);
                }
                Edit::Member(user, group, None) => {
                    self.members.remove(&(user, group));
                }
                Edit::Member(user, group, Some(is_admin)) => {
                    self.members.insert((user, group), is_admin);
                }
                Edit::Alias(user, alias, true) => {
                    self.aliases.insert((user, alias));
                }
                Edit::Alias(user, alias, false) => {
                    self.aliases.remove(&(user, alias));
                }
            }
        }
        // An enterprise has at least one user, and a snapshot has no references to missing objects.
        self.people.entry(9).or_default();
        let (people, groups) = (&self.people, &self.groups);
        self.members.retain(|(user, group), _| people.contains_key(user) && groups.contains_key(group));
        self.aliases.retain(|(user, _)| people.contains_key(user));
    }

    fn rows(&self) -> Rows {
        let read = "2026-02-20T00:00:00Z";
        let text = |value: &str| if value == "-" { Value::Null } else { json!(value) };
        let users = self.people.iter().map(|(id, person)| {
            json!({
                "user_id": format!("u{id}"), "listing": person.listing(), "status": text(person.status()),
                "role": person.role(), "name": person.name.map(|name| name.to_string()),
                "tracking_codes": person.code.map(|code| json!({ "cost": code.to_string() })),
                "user_enterprise_id": person.enterprise.map(|id| id.to_string()),
                "aliases_read_at": person.aliases_known.then_some(read),
            })
        });
        let groups = self.groups.iter().map(|(id, is_read)| {
            json!({ "group_id": format!("g{id}"), "memberships_read_at": is_read.then_some(read) })
        });
        let memberships = self.members.iter().map(|((user, group), is_admin)| {
            json!({
                "membership_id": format!("m{user}{group}"), "user_id": format!("u{user}"), "group_id": format!("g{group}"),
                "role": role_name(*is_admin),
            })
        });
        let aliases = self.aliases.iter().map(|(user, alias)| {
            json!({
                "alias_id": format!("a{user}{alias}"), "user_id": format!("u{user}"), "email": format!("{alias}@example.com"),
            })
        });
        Rows {
            users: users.collect(),
            groups: groups.collect(),
            memberships: memberships.collect(),
            aliases: aliases.collect(),
            ..Rows::default()
        }
    }
}
