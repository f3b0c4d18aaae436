//! Random damage to a store, over its whole life.
//!
//! ```text
//! life (two stores, each stage kept) ─▶ one stage, one damage ─▶ one command ─▶ equal to the undamaged stage, or refused by name
//! ```
//!
//! No damage may change `proven_idle_days`, `last_activity_at` or the users of a plan: the command does what it does on the
//! undamaged store, or it is refused with a message that names the damaged object and a remedy.
//!
//! `BOXSEAT_DAMAGES` is the number of damages, `BOXSEAT_DAMAGE_SEED` the first seed; `make soak` sets both. A failure prints its
//! seed.

mod command;
mod found;
mod kinds;
mod life;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use command::{ACTIONS, Action, Baselines, Verdict};
use kinds::Damage;
use life::Life;

/// Damages in an ordinary test run: about a minute.
const DAMAGES: u64 = 120;
/// From this number on the stores run long enough for checkpoints, merged files and removed snapshots.
const LONG: u64 = 1_000;
/// Failures that are printed completely.
const SHOWN: usize = 40;
/// Failures after which the test ends.
const MOST_FAILURES: usize = 300;
/// Damages after which a long test reports its progress.
const PROGRESS: u64 = 1_000;

#[test]
fn no_damage_of_a_store_changes_a_claim_or_passes_unnamed() {
    let (first, damages) = (setting("BOXSEAT_DAMAGE_SEED", 1), setting("BOXSEAT_DAMAGES", DAMAGES));
    let life = Life::live(if damages >= LONG { 18 } else { 0 });
    let baselines = Baselines::of(&life);
    let next = AtomicU64::new(first);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + damages {
                        break;
                    }
                    let case = Case::of(seed, &life);
                    let verdict = case.run(&life, &baselines);
                    let mut tally = tally.lock().unwrap();
                    tally.add(&case, &verdict);
                    if tally.failures.len() >= MOST_FAILURES {
                        break;
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{}", tally.report());
    assert!(
        tally.failures.is_empty(),
        "{} of {damages} damages failed:\n{}\nrepeat one with BOXSEAT_DAMAGE_SEED=<seed> BOXSEAT_DAMAGES=1",
        tally.failures.len(),
        tally.failures[..tally.failures.len().min(SHOWN)].join("\n\n")
    );
    if damages >= DAMAGES {
        for kind in Damage::KINDS {
            let refused =
                tally.counts.iter().filter(|((k, _, outcome), _)| k == kind && *outcome == "refused");
            assert!(refused.map(|(_, n)| n).sum::<u64>() > 0, "no damage of kind {kind} was ever noticed");
        }
    }
}

/// One damage at one stage, and the command after it.
struct Case {
    seed: u64,
    stage: usize,
    action: Action,
    rng: ChaCha8Rng,
}

impl Case {
    fn of(seed: u64, life: &Life) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let stage = rng.random_range(0..life.stages.len());
        let action = *ACTIONS.choose(&mut rng).unwrap();
        Self { seed, stage, action, rng }
    }

    fn run(&self, life: &Life, baselines: &Baselines) -> Tested {
        let stage = &life.stages[self.stage];
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        life::copy(&stage.store, &store);
        let mut rng = self.rng.clone();
        let damage = Damage::do_one(&mut rng, life, self.stage, &store);
        let verdict = command::judge(life, baselines, self.stage, self.action, &store, &damage);
        Tested { damage, verdict }
    }
}

struct Tested {
    damage: Damage,
    verdict: Verdict,
}

#[derive(Default)]
struct Tally {
    counts: BTreeMap<(&'static str, &'static str, &'static str), u64>,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, case: &Case, tested: &Tested) {
        let outcome = match &tested.verdict {
            Verdict::Equal => "equal",
            Verdict::Refused => "refused",
            Verdict::RefusedAnyway => "refused undamaged, too",
            Verdict::Failed(reason) => {
                let Case { seed, action, .. } = case;
                let what = &tested.damage.what;
                let failure = format!("seed {seed}: {what}, then {action:?}: {reason}");
                crate::soak::say(&format!("{failure}\n\n"));
                self.failures.push(failure);
                "FAILED"
            }
        };
        *self.counts.entry((tested.damage.kind, case.action.name(), outcome)).or_default() += 1;
        let done: u64 = self.counts.values().sum();
        if done.is_multiple_of(PROGRESS) {
            crate::soak::say(&format!("{done} damages, {} failures\n{}", self.failures.len(), self.report()));
        }
    }

    fn report(&self) -> String {
        let mut text = String::new();
        for ((kind, action, outcome), count) in &self.counts {
            let _ = writeln!(text, "{kind:10} {action:8} {outcome:24} {count:7}");
        }
        text
    }
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
        }
        _ => default,
    }
}

/// A path below the store, for messages.
fn below(store: &Path, path: &Path) -> String {
    path.strip_prefix(store).unwrap().to_string_lossy().into_owned()
}
