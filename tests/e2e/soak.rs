//! A long series of runs with random trouble, which must end with the truth.
//!
//! `make soak NIGHTS=… SEED=…` makes a long series, `make test` a short one. The trouble of a run follows from the seed; only the
//! time of a kill also depends on the machine. A run that ends wrongly prints how to repeat it.

mod checks;
mod life;
mod report;
mod trouble;
mod year;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use boxseat_simulator::Config;
use chrono::{Days, NaiveDate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub(crate) use checks::assert_histories_chain;
use life::Life;
use report::Report;
use trouble::{Deck, Trouble};

/// Why: other tests cover each kind of trouble alone; only this one covers their combinations.
#[test]
fn a_short_life_with_every_kind_of_trouble_ends_with_the_truth() {
    let nights = [
        vec![Trouble::Quiet],
        vec![Trouble::Drift, Trouble::Faults],
        vec![Trouble::Kill],
        vec![Trouble::FullDisk],
        vec![Trouble::Unhealable, Trouble::TwoWriters],
        vec![Trouble::NoPublish],
        vec![Trouble::DiesAndIsLeft],
        vec![Trouble::Missed, Trouble::Replay],
    ];
    let config = Config { users: 60, groups: 12, logins: Some(1_500), seed: 44, ..Config::default() };
    live("soak-short", config, &nights);
}

/// Why: months of scheduled runs, no two of them alike.
#[test]
#[ignore = "sixty nights take many minutes: `make soak NIGHTS=… SEED=…`"]
fn a_long_life_with_every_kind_of_trouble_ends_with_the_truth() {
    let (nights, seed) = (argument("BOXSEAT_SOAK_NIGHTS", 60), argument("BOXSEAT_SOAK_SEED", 1));
    let mut deck = Deck::new(ChaCha8Rng::seed_from_u64(seed));
    let schedule: Vec<Vec<Trouble>> = (0..nights).map(|_| deck.deal()).collect();
    let mut config = Config { users: 150, groups: 30, logins: Some(6_000), seed, ..Config::default() };
    if nights > 20 {
        config.holidays = holidays(&config, nights / 2);
    }
    let report = live("soak", config, &schedule);
    say(&format!("{report}\n"));
}

/// A week without a single event, from a run on; it is named in `quiet_dates`.
fn holidays(config: &Config, from_night: u64) -> Vec<NaiveDate> {
    let first = config.now.date_naive();
    (0..7).map(|day| first + Days::new(from_night + day)).collect()
}

/// Makes the runs and returns the report, which is also stored in the target's directory for tests.
fn live(name: &str, config: Config, schedule: &[Vec<Trouble>]) -> Report {
    let (seed, nights) = (config.seed, schedule.len());
    let mut life = Life::new(config);
    for (night, troubles) in schedule.iter().enumerate() {
        let lived = catch_unwind(AssertUnwindSafe(|| life.night(troubles)));
        if let Err(panic) = lived {
            let again = format!("make soak SEED={seed} NIGHTS={nights}");
            let kept = life.keep_store(name);
            say(&format!(
                "night {night} ({troubles:?}) failed; repeat it with: {again}\nthe store is kept in {kept}\n{}\n",
                life.report()
            ));
            resume_unwind(panic);
        }
    }
    let report = life.end();
    let path = format!("{}/{name}-report.md", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, format!("{report}\n")).unwrap();
    report
}

/// A number that `make soak` was given.
fn argument(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
        }
        _ => otherwise,
    }
}

/// Directly to the terminal, which the test harness would suppress: the test takes long, and the report is its result.
pub(crate) fn say(text: &str) {
    let mut terminal = std::io::stdout();
    terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).unwrap();
}
