//! A second computation of the reports about users, and of `runs`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Datelike;
use serde_json::{Map, Value, json};

use super::chronicle::{Chronicle, NOT_USED, Night, Person};
use super::{Told, after, day, eur, run_later};
use crate::support::World;

#[track_caller]
pub(super) fn assert_equal(world: &World, chronicle: &Chronicle) {
    let night = chronicle.nights.last().unwrap();
    assert_idle(world, night);
    assert_suspended(world, chronicle);
    assert_access(world, night);
    assert_movers(world, chronicle);
    assert_runs(world, chronicle);
    let told = Told::of(world, &["reclaimable"]);
    assert!(told.notices().contains("No policy configured"), "{}", told.notices());
    assert_eq!(told.figures()["seats_reclaimable"], Value::Null);
    assert_refused(world);
}

/// Rows by user id, each with the requested columns.
#[track_caller]
fn by_user(told: &Told, section: &str, columns: &[&str]) -> BTreeMap<String, Vec<Value>> {
    let rows = told.rows(section);
    let count = rows.len();
    let row = |row: Map<String, Value>| {
        let id = row["user_id"].as_str().unwrap().to_owned();
        (id, columns.iter().map(|column| row[*column].clone()).collect())
    };
    let found: BTreeMap<_, _> = rows.into_iter().map(row).collect();
    assert_eq!(found.len(), count, "a user is twice in {section}");
    found
}

fn assert_idle(world: &World, night: &Night) {
    for (args, days) in
        [(vec!["idle"], 90), (vec!["inactive", "--days", "20"], 20), (vec!["idle", "--days", "0"], 0)]
    {
        let told = Told::of(world, &args);
        let is_idle =
            |person: &Person| person.state.is_some_and(|state| state != "suspended") && person.proven >= days;
        let wanted: BTreeMap<String, Vec<Value>> = night
            .people
            .iter()
            .filter(|(_, person)| is_idle(person))
            .map(|(id, person)| {
                let row = vec![
                    json!(person.user.login),
                    json!(person.proven),
                    json!(person.state),
                    eur(person.cost),
                ];
                (id.clone(), row)
            })
            .collect();
        assert_eq!(
            by_user(&told, "people", &["login", "proven_idle_days", "seat_state", "monthly_cost"]),
            wanted,
            "{args:?}"
        );
        assert!(wanted.len() > 5, "{args:?}: only {}", wanted.len());
        let figures = told.figures();
        assert_eq!(figures["idle_seats"], json!(wanted.len()));
        assert_eq!(figures["monthly_idle"], eur(night.cost(is_idle)));
        let sentence = |row: &Map<String, Value>| {
            let (id, told) = (row["user_id"].as_str().unwrap(), row["meaning"].as_str().unwrap());
            let person = &night.people[id];
            let since = night.date - chrono::Days::new(u64::try_from(person.proven).unwrap());
            let begins = person.last_login.map(|at| format!("Last seen in use on {}", at.date_naive()));
            told.contains(&since.to_string()) && begins.is_none_or(|begins| told.starts_with(&begins))
        };
        assert!(told.rows("people").iter().all(sentence), "{:?}", told.rows("people"));
    }
}

fn assert_suspended(world: &World, chronicle: &Chronicle) {
    let night = chronicle.nights.last().unwrap();
    let told = Told::of(world, &["suspended"]);
    // The actor who suspended the user may be gone since.
    let login = |id: &String| {
        let known = chronicle.nights.iter().rev().find_map(|night| night.people.get(id));
        known.map_or(json!(id), |person| json!(person.user.login))
    };
    let mut total = 0;
    let wanted: BTreeMap<String, Vec<Value>> = night
        .seats()
        .filter(|(_, person)| person.state == Some("suspended"))
        .map(|(id, person)| {
            let suspended = &night.suspended[id];
            let days = (night.now - suspended.since).num_days();
            // A twelfth of 365 days, in exact halves.
            let cost = i64::try_from((i128::from(person.cost) * i128::from(days) * 24 + 365).div_euclid(730))
                .unwrap();
            total += cost;
            let by = suspended.by.as_ref().map_or(Value::Null, login);
            (id.clone(), vec![json!(days), eur(cost), by, json!(suspended.is_at_least)])
        })
        .collect();
    let found = by_user(&told, "people", &["suspended_days", "cost_since", "suspended_by", "is_at_least"]);
    assert_eq!(found, wanted);
    assert_eq!(told.figures()["cost_since"], eur(total));
    assert_eq!(told.figures()["suspended_seats"], json!(wanted.len()));
    assert!(wanted.values().any(|row| !row[2].is_null()), "no suspension has an actor: {wanted:?}");
    assert!(wanted.values().any(|row| row[2].is_null() && row[3] == json!(false)), "no silent suspension");
    let long = Told::of(world, &["suspended", "--days", "20"]).rows("people").len();
    assert_eq!(long, wanted.values().filter(|row| row[0].as_i64() >= Some(20)).count());
}

fn assert_access(world: &World, night: &Night) {
    let told = Told::of(world, &["access"]);
    let groups: BTreeMap<&str, &boxseat_simulator::TrueGroup> =
        night.truth.groups.iter().map(|group| (group.group_id.as_str(), group)).collect();
    let joined = |texts: Vec<String>| if texts.is_empty() { Value::Null } else { json!(texts.join("; ")) };
    let wanted: BTreeMap<String, Vec<Value>> = night
        .people
        .iter()
        .map(|(id, person)| {
            let name = |id: &String| groups[id.as_str()].name.clone().unwrap_or_else(|| id.clone());
            let mut names: Vec<String> = person.groups.iter().map(name).collect();
            names.sort();
            let mut aliases: Vec<String> = night
                .truth
                .email_aliases
                .iter()
                .filter(|alias| alias.user_id == *id)
                .map(|alias| alias.email.clone())
                .collect();
            aliases.sort();
            let row = vec![
                json!(person.user.role),
                json!(person.last_login.map(|at| at.timestamp())),
                joined(names),
                joined(aliases),
            ];
            (id.clone(), row)
        })
        .collect();
    let mut found = by_user(&told, "people", &["role", "last_login_at", "group_names", "aliases"]);
    for row in found.values_mut() {
        if let Some(at) = row[1].as_str() {
            row[1] = json!(at.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp());
        }
    }
    assert_eq!(found, wanted);
    let is_admin = |person: &&Person| ["admin", "coadmin"].contains(&person.user.role.as_str());
    let is_dormant = |person: &&Person| person.state.is_some_and(super::chronicle::is_waste);
    let people = || night.people.values();
    let members = |group: &str| people().filter(|person| person.groups.contains(group)).collect::<Vec<_>>();
    let is_left = |person: &&Person| {
        person.user.status == "inactive" || person.state.is_some_and(|state| NOT_USED.contains(&state))
    };
    let without: BTreeSet<&str> = groups
        .values()
        .filter(|group| group.group_type != "all_users_group" && members(&group.group_id).iter().all(is_left))
        .map(|group| group.group_id.as_str())
        .collect();
    let told_without: BTreeSet<String> = told
        .rows("groups_without_active_member")
        .iter()
        .map(|row| row["group_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told_without.iter().map(String::as_str).collect::<BTreeSet<_>>(), without);
    let synced = groups
        .values()
        .filter(|group| group.provenance.is_some() || group.external_sync_identifier.is_some())
        .count();
    let figures = told.figures();
    for (id, count) in [
        ("accounts", wanted.len()),
        ("admins", people().filter(is_admin).count()),
        ("dormant_admins", people().filter(is_admin).filter(is_dormant).count()),
        ("groups_without_active_member", without.len()),
        ("synced_groups", synced),
    ] {
        assert_eq!(figures[id], json!(count), "{id}");
    }
    assert!(synced > 0 && told.notices().contains("Not covered:"), "{}", told.notices());
}

fn assert_movers(world: &World, chronicle: &Chronicle) {
    let last = chronicle.nights.last().unwrap().date;
    let (since, until) = (after(day("2027-01-25"), 5), after(day("2027-01-25"), 22));
    let of = |since: &chrono::NaiveDate, until: &chrono::NaiveDate| {
        ["--since".to_owned(), since.to_string(), "--until".to_owned(), until.to_string()]
    };
    let dates = of(&since, &until);
    let dates: Vec<&str> = dates.iter().map(String::as_str).collect();
    for (args, from, to) in [
        (vec!["movers"], last - chrono::Days::new(30), last),
        ([&["movers"][..], &dates].concat(), since, until),
    ] {
        let told = Told::of(world, &args);
        let nights = || chronicle.nights.iter().filter(|night| night.date > from && night.date <= to);
        let figures = told.figures();
        for (kind, id) in [
            ("joined", "joined"),
            ("returned", "returned"),
            ("left", "left_count"),
            ("suspended", "suspended"),
            ("reactivated", "reactivated"),
            ("role_changed", "role_changed"),
            ("group_added", "group_added"),
            ("group_removed", "group_removed"),
            ("role_in_group_changed", "role_in_group_changed"),
        ] {
            let happened: i64 = nights().map(|night| night.told(&[kind], false)).sum();
            assert_eq!(figures[id], json!(happened), "{kind} of {args:?}");
            assert!(happened > 0 || kind == "role_in_group_changed", "no {kind} in {args:?}");
        }
        let mut happened: Vec<String> = nights()
            .flat_map(|night| {
                night.changes.iter().map(|change| {
                    format!(
                        "{} {} {} {}",
                        night.date,
                        change.kind,
                        change.user_id,
                        change.group_id.clone().unwrap_or_default()
                    )
                })
            })
            .collect();
        let text =
            |row: &Map<String, Value>, column: &str| row[column].as_str().unwrap_or_default().to_owned();
        let mut rows: Vec<String> = told
            .rows("changes")
            .iter()
            .map(|row| {
                format!(
                    "{} {} {} {}",
                    text(row, "snapshot_date"),
                    text(row, "change"),
                    text(row, "user_id"),
                    text(row, "group_id")
                )
            })
            .collect();
        happened.sort();
        rows.sort();
        assert_eq!(rows, happened, "{args:?}");
    }
}

fn assert_runs(world: &World, chronicle: &Chronicle) {
    let told = Told::of(world, &["runs"]);
    let nights = &chronicle.nights;
    let figures = told.figures();
    let last = nights.last().unwrap();
    let calls: u64 = nights.iter().map(|night| night.calls).sum();
    let of_month: u64 =
        nights.iter().filter(|night| night.date.month() == last.date.month()).map(|night| night.calls).sum();
    let (days, day) = (u64::from(last.date.num_days_in_month()), u64::from(last.date.day()));
    for (id, value) in [
        ("runs_complete", nights.len() as u64),
        ("runs_not_complete", 0),
        ("nights_missed", 1),
        ("calls_count", calls),
        ("retries_count", 0),
        ("rejects_count", 0),
        ("month_calls", of_month),
        ("month_allowance", 50_000),
        ("month_forecast", (of_month * days).div_ceil(day)),
    ] {
        assert_eq!(figures[id], json!(value), "{id}");
    }
    let mut rows = told.columns("runs", &["snapshot_date", "calls_count", "covered_percent"]);
    rows.reverse();
    let wanted: Vec<Vec<Value>> = nights
        .iter()
        .map(|night| vec![json!(night.date.to_string()), json!(night.calls), json!(100.0)])
        .collect();
    assert_eq!(rows, wanted);
}

/// Why: a filter that is silently ignored gives a wrong result without notice.
fn assert_refused(world: &World) {
    for (args, says) in [
        (
            vec!["runs", "--group", "x"],
            "--group is for: licences, idle, suspended, reclaimable, access, movers",
        ),
        (vec!["idle", "--since", "2027-02-01"], "--since is for: licences, movers, runs"),
        (vec!["suspended", "--status", "active"], "report suspended has no --status"),
        (vec!["idle", "--group", "no such group"], "there is no group \"no such group\""),
        (vec!["idle", "--tracking-code", "Department=Saless"], "is it \"Sales\""),
        (vec!["idle", "--tracking-code", "Departmnt=Sales"], "is it \"Department\""),
        (vec!["idle", "--tracking-code", "Department"], "write it as NAME=VALUE"),
        (vec!["access", "--role", "boss"], "there is \"admin\", \"coadmin\", \"user\""),
        (vec!["access", "--status", "inactive"], "Box's status inactive is `suspended` here"),
        (vec!["licences", "--by", "Departement"], "is it \"Department\""),
        (vec!["movers", "--since", "2027-02-10", "--until", "2027-02-01"], "is after --until"),
        (vec!["all"], "boxseat report all -o DIR"),
        (vec!["idle", "--format", "parquet"], "-o FILE.parquet"),
        (vec!["idle", "-o", "/proc/nowhere/idle.csv"], "nothing was computed"),
    ] {
        let done = run_later(world, &[&["report"], &args[..]].concat());
        assert_eq!(done.code, 2, "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(says), "{args:?}: {}", done.stderr);
    }
    let query = run_later(world, &["query", "--format", "html", "SELECT 1"]);
    assert_eq!(
        (query.code, query.stderr.contains("only `boxseat report` supports")),
        (2, true),
        "{}",
        query.stderr
    );
}
