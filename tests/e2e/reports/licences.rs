//! A second computation of `licences`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Months, NaiveDate};
use serde_json::{Map, Value, json};

use super::chronicle::{Chronicle, NOT_USED, Night, Person, is_waste};
use super::{Told, after, day, eur};
use crate::support::World;

const BOUGHT: i64 = 305;
const TERM: &str = "2027-02-01";
const STATES: [&str; 8] =
    ["used", "too_new", "idle", "never_since_created", "no_login_seen", "suspended", "paused", "unknown"];

#[track_caller]
pub(super) fn assert_equal(world: &World, chronicle: &Chronicle, index: usize, more: &[&str]) {
    let told = Told::of(world, &[&["licences"], more].concat());
    let nights = &chronicle.nights[..=index];
    let night = &nights[index];
    let (figures, wanted) = (told.figures(), figures(nights));
    assert_eq!(figures.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (id, wanted) in wanted {
        assert_eq!(figures[&id], wanted, "{id} of {}: {}", night.date, told.meaning(&id));
    }
    let states: Vec<Vec<Value>> = STATES
        .map(|state| {
            vec![json!(state), json!(night.in_state(&[state])), eur(night.cost(|p| p.state == Some(state)))]
        })
        .to_vec();
    assert_eq!(told.columns("seat_states", &["seat_state", "seats_count", "monthly_cost"]), states);
    let bands = [
        "0-30",
        "31-60",
        "61-90",
        "91-180",
        "over_180",
        "too_new",
        "never_since_created",
        "no_login_seen",
        "unknown",
    ]
    .map(|band| vec![json!(band), json!(night.seats().filter(|(_, person)| person.band == band).count())]);
    assert_eq!(told.columns("inactivity_bands", &["inactivity_band", "seats_count"]), bands.to_vec());
    assert_eq!(told.columns("last_logins", &["days_since_login", "seats_count"]), last_logins(night));
    assert_eq!(told.columns("weeks", &["week_date", "joined_count", "left_count"]), weeks(nights));
    let usage = |night: &Night| {
        vec![
            json!(night.date.to_string()),
            json!(BOUGHT),
            json!(night.assigned()),
            json!(BOUGHT - night.assigned()),
            json!(night.in_state(&["used"])),
            json!(night.in_state(&NOT_USED)),
            json!(night.in_state(&["suspended"])),
            eur(night.cost(|person| is_waste(person.state.unwrap()))),
        ]
    };
    let columns = [
        "snapshot_date",
        "seats_purchased",
        "seats_assigned",
        "seats_free",
        "used_count",
        "not_used_count",
        "suspended_count",
        "monthly_waste",
    ];
    assert_eq!(told.columns("nights", &columns), nights.iter().map(usage).collect::<Vec<_>>());
    let plan = |plan: &str, bought: i64| {
        let of_plan = |person: &Person| person.plan == plan;
        let assigned = i64::try_from(night.seats().filter(|(_, person)| of_plan(person)).count()).unwrap();
        let waste = night.cost(|person| of_plan(person) && is_waste(person.state.unwrap()));
        vec![
            json!(plan),
            json!(bought),
            json!(assigned),
            json!(bought - assigned),
            eur(waste),
            eur(night.cost(of_plan)),
        ]
    };
    let columns =
        ["plan_id", "seats_purchased", "seats_assigned", "seats_free", "monthly_waste", "monthly_cost"];
    assert_eq!(told.columns("plans", &columns), vec![plan("enterprise", 265), plan("suite", 40)]);
    assert_eq!(
        told.columns("idle_groups", &["group_name", "idle_count", "seats_count", "monthly_idle"]),
        idle_groups(night)
    );
    assert!(
        told.notices().contains("The number of seats is a minimum: on Box's plan Business"),
        "{}",
        told.notices()
    );
    assert_eq!(told.notices().contains("Past snapshot of"), !more.is_empty(), "{}", told.notices());
}

fn figures(nights: &[Night]) -> Map<String, Value> {
    let night = nights.last().unwrap();
    let date = night.date;
    let assigned = night.assigned();
    let used = night.in_state(&["used"]);
    let bill = 40 * 475_000 + 265 * 350_001;
    let mut figures = Map::new();
    let mut say = |id: &str, value: Value| assert!(figures.insert(id.to_owned(), value).is_none(), "{id}");
    say("seats_purchased", json!(BOUGHT));
    say("seats_assigned", json!(assigned));
    say("seats_free", json!(BOUGHT - assigned));
    say("seats_used", json!(used));
    say("used_30d", json!(night.active(30)));
    say("used_60d", json!(night.active(60)));
    say("used_90d", json!(night.active(90)));
    say("monthly_waste", eur(night.cost(|person| is_waste(person.state.unwrap()))));
    say(
        "monthly_not_judged",
        eur(night.cost(|person| ["too_new", "paused", "unknown"].contains(&person.state.unwrap()))),
    );
    say("monthly_cost", eur(night.cost(|_| true)));
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "far below 2^52")]
    say("cost_per_used_seat", eur((bill as f64 / used as f64).round() as i64));
    say("seats_reclaimable", Value::Null);

    let next = |dates: [&str; 2]| dates.map(day).into_iter().filter(|other| *other >= date).min();
    let notice = next(["2027-03-31", "2027-02-26"]).unwrap();
    let renewal = next(["2027-06-15", "2027-07-31"]).unwrap();
    say("notice_by_date", json!(notice.to_string()));
    say("notice_days_left", json!((notice - date).num_days()));
    say("renewal_date", json!(renewal.to_string()));
    let term: Vec<&Night> = nights.iter().filter(|night| night.date >= day(TERM)).collect();
    let peak = term.iter().map(|night| night.assigned()).max().unwrap_or(assigned);
    let peak_date = term.iter().find(|night| night.assigned() == peak).unwrap().date;
    let months = (0..).find(|months| date + Months::new(*months) >= renewal).unwrap();
    say("peak_assigned", json!(peak));
    say("peak_date", json!(peak_date.to_string()));
    say("true_up_seats", json!((peak - BOUGHT).max(0)));
    say("months_left", json!(months));
    say("true_up_exposure", eur((peak - BOUGHT).max(0) * 475_000 * i64::from(months)));

    let slope = slope(nights);
    say("trend_nights", json!(nights.len()));
    #[expect(clippy::cast_possible_truncation, reason = "seats a month")]
    say("trend_monthly", slope.map_or(Value::Null, |slope| json!((slope * 30.0).round() as i64)));
    say(
        "runs_out_date",
        slope
            .and_then(|slope| runs_out(date, BOUGHT - assigned, slope))
            .map_or(Value::Null, |out| json!(out.to_string())),
    );
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "far below 2^52")]
    let growth = slope.map_or(0, |slope| (slope.max(0.0) * (renewal - date).num_days() as f64).ceil() as i64);
    let needed = night.in_state(&["used", "too_new", "paused", "unknown"]) + growth;
    say("seats_to_buy", json!(needed));
    say("seats_to_drop", json!(BOUGHT - needed));

    // User by user: a joiner takes a seat that a leaver freed, if there is one.
    let (mut freed, mut reused, mut open) = (0, 0, 0);
    for night in &term {
        for _ in 0..night.told(&["left"], true) {
            freed += 1;
            open += 1;
        }
        for _ in 0..night.told(&["joined", "returned"], true) {
            if open > 0 {
                open -= 1;
                reused += 1;
            }
        }
    }
    say("seats_freed", json!(freed));
    say("seats_reused", json!(reused));
    say("external_seats", json!(7));
    say("console_seats_used", json!(311));
    let then = nights.iter().rfind(|night| night.date <= day("2027-02-10")).unwrap();
    say("console_difference", json!(311 - then.assigned()));
    figures
}

/// The textbook formula, in whole numbers.
fn slope(nights: &[Night]) -> Option<f64> {
    if nights.len() < 14 {
        return None;
    }
    let first = nights[0].date;
    let points: Vec<(i128, i128)> = nights
        .iter()
        .map(|night| (i128::from((night.date - first).num_days()), i128::from(night.assigned())))
        .collect();
    let count = points.len() as i128;
    let sum = |of: &dyn Fn(&(i128, i128)) -> i128| points.iter().map(of).sum::<i128>();
    let (x, y) = (sum(&|p| p.0), sum(&|p| p.1));
    let (xy, xx) = (sum(&|p| p.0 * p.1), sum(&|p| p.0 * p.0));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Some((count * xy - x * y) as f64 / (count * xx - x * x) as f64)
}

/// Day after day, until no seat is free.
fn runs_out(date: NaiveDate, free: i64, slope: f64) -> Option<NaiveDate> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    (0..=3_650_u32)
        .find(|days| f64::from(*days) * slope >= free as f64)
        .map(|days| after(date, u64::from(days)))
}

fn last_logins(night: &Night) -> Vec<Vec<Value>> {
    let mut weeks: BTreeMap<i64, usize> = (0..28).map(|week| (week, 0)).collect();
    for (_, person) in night.seats() {
        *weeks.get_mut(&person.login_days.map_or(27, |days| (days / 7).min(26))).unwrap() += 1;
    }
    let named = |(week, seats): (i64, usize)| {
        let name = match week {
            26 => "182 and more".to_owned(),
            27 => "none on record".to_owned(),
            week => format!("{}-{}", week * 7, week * 7 + 6),
        };
        vec![json!(name), json!(seats)]
    };
    weeks.into_iter().map(named).collect()
}

fn weeks(nights: &[Night]) -> Vec<Vec<Value>> {
    let mut weeks: BTreeMap<NaiveDate, (i64, i64)> = BTreeMap::new();
    for night in nights {
        let week = weeks.entry(night.monday()).or_default();
        week.0 += night.told(&["joined", "returned"], true);
        week.1 += night.told(&["left"], true);
    }
    assert!(weeks.keys().all(|monday| monday.weekday() == chrono::Weekday::Mon));
    weeks
        .into_iter()
        .map(|(week, (joined, left))| vec![json!(week.to_string()), json!(joined), json!(left)])
        .collect()
}

fn group_names(night: &Night) -> BTreeMap<&str, String> {
    let name =
        |group: &boxseat_simulator::TrueGroup| group.name.clone().unwrap_or_else(|| group.group_id.clone());
    night.truth.groups.iter().map(|group| (group.group_id.as_str(), name(group))).collect()
}

fn idle_groups(night: &Night) -> Vec<Vec<Value>> {
    let names = group_names(night);
    let mut members: BTreeMap<&str, Vec<&Person>> = BTreeMap::new();
    for (_, person) in night.seats() {
        for group in &person.groups {
            members.entry(group).or_default().push(person);
        }
    }
    let line = |name: &str, people: &[&Person]| {
        let idle: Vec<&&Person> =
            people.iter().filter(|person| NOT_USED.contains(&person.state.unwrap())).collect();
        let cost = idle.iter().map(|person| person.cost).sum();
        (idle.len(), vec![json!(name), json!(idle.len()), json!(people.len()), eur(cost)])
    };
    let mut small: BTreeMap<&str, &Person> = BTreeMap::new();
    let mut lines = Vec::new();
    for (group, people) in members {
        if people.len() < 5 {
            small.extend(people.iter().map(|person| (person.user.user_id.as_str(), *person)));
        } else {
            let (idle, row) = line(&names[group], &people);
            lines.push((std::cmp::Reverse(idle), names[group].clone(), group, row));
        }
    }
    lines.sort_by(|a, b| (&a.0, &a.1, &a.2).cmp(&(&b.0, &b.1, &b.2)));
    let mut rows: Vec<Vec<Value>> =
        lines.into_iter().filter(|(idle, ..)| idle.0 > 0).take(20).map(|(.., row)| row).collect();
    let (idle, row) = line("(groups under 5 members)", &small.into_values().collect::<Vec<_>>());
    rows.extend((idle > 0).then_some(row));
    rows
}

/// The lines in which a user is counted.
type PartsOf<'a> = &'a dyn Fn(&Person) -> BTreeSet<String>;

/// `--by`, for every key: the users of each line counted by hand.
#[track_caller]
pub(super) fn assert_split(world: &World, chronicle: &Chronicle) {
    let night = chronicle.nights.last().unwrap();
    let names = group_names(night);
    let none = || BTreeSet::from(["(none)".to_owned()]);
    let codes = |person: &Person| -> BTreeSet<String> {
        let own = person
            .user
            .tracking_codes
            .iter()
            .filter(|(name, value)| name == "Department" && !value.is_empty());
        own.map(|(_, value)| value.clone()).collect()
    };
    let in_groups =
        |person: &Person| person.groups.iter().map(|id| format!("{} {id}", names[id.as_str()])).collect();
    let parts: [(&str, &str, PartsOf<'_>); 4] = [
        ("role", "add up to", &|person| BTreeSet::from([person.user.role.clone()])),
        ("Department", "", &codes),
        ("tracking_code:Department", "", &codes),
        ("group", "do not add up to", &in_groups),
    ];
    for (by, note, parts_of) in parts {
        let told = Told::of(world, &["licences", "--by", by]);
        let mut lines: BTreeMap<String, Vec<&Person>> = BTreeMap::new();
        for (_, person) in night.seats() {
            let parts = parts_of(person);
            for part in if parts.is_empty() { none() } else { parts } {
                lines.entry(part).or_default().push(person);
            }
        }
        let count = |people: &[&Person], states: &[&str]| {
            people.iter().filter(|person| states.contains(&person.state.unwrap())).count()
        };
        let wanted: BTreeMap<String, Value> = lines
            .into_iter()
            .map(|(part, people)| {
                let cost: i64 = people.iter().map(|person| person.cost).sum();
                let waste = people
                    .iter()
                    .filter(|person| is_waste(person.state.unwrap()))
                    .map(|person| person.cost)
                    .sum();
                let row = json!([
                    people.len(),
                    count(&people, &["used"]),
                    count(&people, &NOT_USED),
                    count(&people, &["suspended"]),
                    count(&people, &["too_new", "paused", "unknown"]),
                    eur(waste),
                    eur(cost)
                ]);
                (part, row)
            })
            .collect();
        let columns = [
            "seats_count",
            "used_count",
            "idle_count",
            "suspended_count",
            "not_judged_count",
            "monthly_waste",
            "monthly_cost",
        ];
        let found: BTreeMap<String, Value> = told
            .rows("by")
            .into_iter()
            .map(|row| {
                let id = row
                    .get("group_id")
                    .and_then(Value::as_str)
                    .map(|id| format!(" {id}"))
                    .unwrap_or_default();
                let part = format!("{}{id}", row["part"].as_str().unwrap());
                (part, Value::Array(columns.map(|column| row[column].clone()).to_vec()))
            })
            .collect();
        assert_eq!(found, wanted, "--by {by}");
        if by != "role" {
            assert!(found.contains_key("(none)"), "no user without a {by}");
        }
        assert!(told.json.to_string().contains(note), "--by {by}: {note}");
    }
}

/// Filters restrict users, and figures that cannot be filtered are omitted.
#[track_caller]
pub(super) fn assert_filtered(world: &World, chronicle: &Chronicle) {
    let night = chronicle.nights.last().unwrap();
    let is_sales = |person: &Person| person.plan == "suite";
    let told = Told::of(world, &["licences", "--tracking-code", "Department=Sales", "--status", "active"]);
    let is_counted = |person: &&Person| is_sales(person) && person.state != Some("suspended");
    let seats = night.seats().map(|(_, person)| person).filter(is_counted).count();
    let figures = told.figures();
    assert_eq!(figures["seats_assigned"], json!(seats));
    let waste = night.cost(|person| is_sales(person) && NOT_USED.contains(&person.state.unwrap()));
    assert_eq!(figures["monthly_waste"], eur(waste));
    assert!(
        !figures.contains_key("seats_purchased") && !figures.contains_key("peak_assigned"),
        "{figures:?}"
    );
    assert!(told.notices().contains("omitted with a filter"), "{}", told.notices());
}
