//! Reports: every figure against a second computation from the simulator's truth, and the same figure in every format.

mod chronicle;
mod drawn;
mod licences;
mod lists;

use boxseat_simulator::{Act, Config, TrueUser, Truth};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::support::{Done, World, finish};
use chronicle::Chronicle;

const FIRST_DAY: &str = "2027-01-25T06:00:00Z";
const NIGHTS: u64 = 30;
/// No run on that day.
const MISSED: u64 = 17;

/// Two plans of one contract, which began a week after the first snapshot.
const TERMS: &str = r#"
[rate]
monthly_calls = 50000

[[licence]]
plan_id = "suite"
seats_purchased = 40
cost_per_seat_monthly = "47.50"
currency = "EUR"
term_start = 2027-02-01
renewal_date = 2027-06-15
notice_by = 2027-03-31
match_rule = "tracking_code:Department=Sales"
console_seats_used = 41
console_seen_at = 2027-02-10

[[licence]]
plan_id = "enterprise"
seats_purchased = 265
cost_per_seat_monthly = "35.0001"
currency = "EUR"
term_start = 2027-02-01
renewal_date = 2027-07-31
notice_by = 2027-02-26
box_plan = "Business"
external_seats = 7
console_seats_used = 270
console_seen_at = 2027-02-10
"#;

/// Why: a customer who cancels a contract because of these numbers must be able to trust each of them. The second computation uses
/// only what happened, and nothing that boxseat wrote.
#[test]
fn every_figure_of_a_month_equals_the_truth() {
    let world = World::new(Config {
        users: 320,
        groups: 16,
        logins: Some(8_000),
        login_days: 183,
        seed: 41,
        now: FIRST_DAY.parse().unwrap(),
        late_events: 0.0,
        ..Config::default()
    });
    std::fs::write(world.directory().join("boxseat.toml"), TERMS).unwrap();
    let mut chronicle = Chronicle::default();
    for day in 0..NIGHTS {
        if day > 0 {
            world.simulator.step_days(1);
        }
        let truth = world.simulator.truth();
        // One second later each day, so that the start time of a run changes no whole day.
        let seconds = i64::try_from(day).unwrap();
        let now = truth.now.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds);
        if day != MISSED {
            let is_last = day == NIGHTS - 1;
            // Silent changes of aliases wait for their turn, except in the last snapshot.
            let sync: &[&str] = if is_last { &["sync", "--full"] } else { &["sync", "--no-publish"] };
            let before = world.simulator.counts().calls;
            let done = finish(world.command(sync).env("BOXSEAT_NOW", now.to_rfc3339()).output().unwrap());
            assert_eq!(done.code, 0, "{day}: {}", done.stderr);
            chronicle.keep(truth.clone(), now, world.simulator.counts().calls - before);
        }
        awkward(&world, day, &truth);
    }
    let last = chronicle.nights.len() - 1;
    licences::assert_equal(&world, &chronicle, last, &[]);
    licences::assert_split(&world, &chronicle);
    licences::assert_filtered(&world, &chronicle);
    lists::assert_equal(&world, &chronicle);
    drawn::assert_same_in_every_format(&world);
    // Snapshots that were not published, one of them before a trend can be computed.
    for index in [9, 20] {
        let date = chronicle.nights[index].date.to_string();
        licences::assert_equal(&world, &chronicle, index, &["--as-of", &date]);
    }
    let removed = world.run(&["report", "idle", "--as-of", "2027-02-11"]);
    assert_eq!(removed.code, 2, "{}", removed.stderr);
    assert!(
        removed.stderr.contains("there is no snapshot of 2027-02-11; the nearest one is 2027-02-1"),
        "{}",
        removed.stderr
    );
    assert!(
        world
            .directory()
            .read_dir()
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with("boxseat-") }),
        "the temporary build is removed"
    );
}

/// Events in addition to the daily ones.
fn awkward(world: &World, day: u64, truth: &Truth) {
    let act = |act: Act| world.simulator.act(&act);
    let people = |status: &'static str| {
        let ordinary = move |user: &&TrueUser| {
            user.status == status && user.role == "user" && !user.is_platform_access_only
        };
        truth.users.iter().filter(ordinary).map(|user| user.user_id.clone())
    };
    let listed: Vec<&String> = truth.users.iter().map(|user| &user.user_id).collect();
    match day {
        2 => {
            act(Act::DeleteUsers { count: 2, announced: true });
            act(Act::DeleteUsers { count: 1, announced: false });
            act(Act::RollOutUsers { count: 1 });
        }
        4 | 13 => {
            for (index, user_id) in people("active").skip(30).step_by(60).take(4).enumerate() {
                act(Act::SetStatus { user_id, status: "inactive".into(), announced: index % 2 == 0 });
            }
        }
        7 => {
            let gone =
                truth.last_login_at.keys().filter(|id| !listed.contains(id)).take(2).cloned().collect();
            act(Act::ReturnUsers { user_ids: gone, announced: true });
        }
        10 | 21 => {
            for (index, user_id) in people("inactive").take(3).enumerate() {
                act(Act::SetStatus { user_id, status: "active".into(), announced: index % 2 == 0 });
            }
        }
        15 => {
            for user_id in people("active").skip(5).step_by(100).take(2) {
                let body = serde_json::json!({ "role": "coadmin" });
                act(Act::EditUser { user_id, body, announced: true });
            }
        }
        24 => drop(act(Act::DeleteUsers { count: 3, announced: true })),
        _ => {}
    }
}

/// A report read back from JSON.
pub(super) struct Told {
    json: Value,
}

impl Told {
    #[track_caller]
    pub(super) fn of(world: &World, args: &[&str]) -> Self {
        let args = [&["report", "--format", "json"], args].concat();
        let done = run_later(world, &args);
        assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
        Self { json: serde_json::from_str(&done.stdout).unwrap() }
    }

    pub(super) fn figures(&self) -> Map<String, Value> {
        let sections = self.json["sections"].as_array().unwrap();
        let figures = sections.iter().filter_map(|section| section["figures"].as_array()).flatten();
        figures.map(|figure| (figure["id"].as_str().unwrap().to_owned(), figure["value"].clone())).collect()
    }

    #[track_caller]
    pub(super) fn meaning(&self, id: &str) -> &str {
        let sections = self.json["sections"].as_array().unwrap();
        let mut figures = sections.iter().filter_map(|section| section["figures"].as_array()).flatten();
        figures.find(|figure| figure["id"] == id).unwrap()["meaning"].as_str().unwrap()
    }

    #[track_caller]
    pub(super) fn rows(&self, section: &str) -> Vec<Map<String, Value>> {
        let sections = self.json["sections"].as_array().unwrap();
        let section = sections.iter().find(|known| known["id"] == section).unwrap();
        let rows = section["table"]["rows"].as_array().unwrap();
        rows.iter().map(|row| row.as_object().unwrap().clone()).collect()
    }

    /// Some columns of a table, row by row.
    #[track_caller]
    pub(super) fn columns(&self, section: &str, columns: &[&str]) -> Vec<Vec<Value>> {
        let row = |row: Map<String, Value>| columns.iter().map(|column| row[*column].clone()).collect();
        self.rows(section).into_iter().map(row).collect()
    }

    pub(super) fn notices(&self) -> String {
        self.json["notices"].to_string()
    }
}

/// A command one minute after the last snapshot, because reports read the clock.
pub(super) fn run_later(world: &World, args: &[&str]) -> Done {
    let now = world.simulator.now() + TimeDelta::minutes(1);
    finish(world.command(args).env("BOXSEAT_NOW", now.to_rfc3339()).output().unwrap())
}

/// Money in the JSON format, from ten-thousandths.
pub(super) fn eur(amount: i64) -> Value {
    serde_json::json!({ "amount": format!("{}.{:04}", amount / 10_000, amount % 10_000), "currency": "EUR" })
}

pub(super) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The date this many days after another.
pub(super) fn after(date: NaiveDate, days: u64) -> NaiveDate {
    date + Days::new(days)
}
