//! Random mutations of legal responses, fed to a whole crawl: two runs of a small enterprise, the second one over damaged pages.
//!
//! ```text
//! world (the truth) ─▶ legal response ─▶ mutation ─▶ judge ─▶ spool ─▶ plan ─▶ normalise ─▶ claims, compared with the truth
//! ```
//!
//! For every mutation, one of three results is allowed: the run is refused, it names the records that it could not read, or its tables
//! equal the truth. A run never reports an active user as idle, a false leaver or a false change.
//!
//! `BOXSEAT_MUTATIONS` is the number of cases, `BOXSEAT_MUTATION_SEED` the first seed; `make soak` sets both.

mod claims;
mod crawl;
mod mutate;
mod world;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use claims::Verdict;
use crawl::Store;
use mutate::{Mutation, Source};
use world::World;

/// Cases in an ordinary test run.
const CASES: u64 = 1_000;

#[expect(clippy::disallowed_methods, reason = "the duration of a test is set where it is started")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_mutation_of_a_response_makes_a_false_claim() {
    let (first, cases) = (setting("BOXSEAT_MUTATION_SEED", 1), setting("BOXSEAT_MUTATIONS", CASES));
    let healthy = Store::after_a_healthy_run(&World::first());
    let mut outcomes: BTreeMap<(&'static str, &'static str), u64> = BTreeMap::new();
    for seed in first..first + cases {
        let mutation = Mutation::of(seed);
        let world = World::second();
        let outcome = healthy.run(&world, Source::Mutated(mutation.clone()));
        let verdict =
            claims::check(&world, &healthy, &outcome, mutation.hides_records()).and_then(|verdict| {
                match (&verdict, &outcome) {
                    (Verdict::Equal, Ok(tables)) if !mutation.is_legal() => {
                        claims::check_whole(&world, tables).map(|()| verdict)
                    }
                    _ => Ok(verdict),
                }
            });
        let verdict = verdict.unwrap_or_else(|lie| {
            panic!("seed {seed} ({mutation:?}): {lie}\nrepeat with BOXSEAT_MUTATION_SEED={seed} BOXSEAT_MUTATIONS=1")
        });
        let name = match verdict {
            Verdict::Refused => "refused",
            Verdict::Named => "named",
            Verdict::Equal => "equal",
        };
        *outcomes.entry((mutation.kind(), name)).or_default() += 1;
    }
    for ((kind, outcome), count) in &outcomes {
        println!("{kind:12} {outcome:8} {count:7}");
    }
    // The mutations are effective: some of each kind are noticed.
    if cases >= CASES {
        for kind in Mutation::KINDS {
            let noticed: u64 =
                outcomes.iter().filter(|((k, o), _)| k == kind && *o != "equal").map(|(_, n)| n).sum();
            assert!(noticed > 0 || *kind == "repeat" || *kind == "retype", "{kind} was never noticed");
        }
    }
}

/// Why: a sign-in of an unknown user was stored without a user, and all users without another sign-in were proved idle.
#[test]
fn no_user_is_proved_idle_across_a_sign_in_without_a_user() {
    let healthy = Store::after_a_healthy_run(&World::first());
    let mut world = World::second();
    let at = world.now - TimeDelta::hours(20);
    world.events.push(world::Event { at, kind: "LOGIN", user: None, group: None });
    world.events.sort();
    let tables = healthy.run(&world, Source::Healthy).unwrap();
    let newest = claims::newest_span(&healthy, &tables).unwrap();
    assert_eq!(newest.0, at + TimeDelta::seconds(1));
    assert_eq!(tables.unattributed, 1);
    // The same at the boundary that both runs read: the earlier run had proved that time without the sign-in.
    let mut world = World::second();
    let at = healthy.read_again_from + TimeDelta::hours(2);
    world.events.push(world::Event { at, kind: "LOGIN", user: None, group: None });
    world.events.sort();
    let tables = healthy.run(&world, Source::Healthy).unwrap();
    assert_eq!(claims::newest_span(&healthy, &tables).unwrap().0, at + TimeDelta::seconds(1));
}

/// Box lists the membership of a deleted user without a user, in every run.
#[test]
fn a_membership_of_no_user_is_dropped_and_counted() {
    let healthy = Store::after_a_healthy_run(&World::first());
    let mut world = World::second();
    world.nameless_members = vec![501];
    let tables = healthy.run(&world, Source::Healthy).unwrap();
    assert_eq!((tables.named, tables.dropped_memberships), (0, 1));
    assert_eq!(claims::check_whole(&world, &tables), Ok(()));
}

#[test]
fn the_second_run_without_a_mutation_equals_the_truth() {
    let healthy = Store::after_a_healthy_run(&World::first());
    let world = World::second();
    let outcome = healthy.run(&world, Source::Healthy);
    assert_eq!(claims::check(&world, &healthy, &outcome, false), Ok(Verdict::Equal));
    assert_eq!(claims::check_whole(&world, outcome.as_ref().unwrap()), Ok(()));
}
