//! The runner of the fuzz targets. See `README.md` for the variables and the targets.
//!
//! ```text
//! (seed, target, index) ──▶ random numbers ──▶ one corpus file ──▶ 1 to 4 mutations ──▶ check(original, mutated)
//! ```

mod mutate;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One mutated input.
#[derive(Debug)]
pub struct Input<'a> {
    /// The corpus file before the mutations.
    pub original: &'a [u8],
    /// After the mutations.
    pub mutated: &'a [u8],
    /// Whether a mutation also computed the checksums again. Such an input is a forgery, and only "no panic" holds for it.
    pub is_forged: bool,
}

/// Inputs of an ordinary test run.
const INPUTS: u64 = 1_000;

/// Runs a target over its corpus in `tests/fuzz/corpus/<target>`.
///
/// # Panics
/// `check` panicked or returned an error. The message has the variables that repeat it.
pub fn run(target: &str, check: impl Fn(&Input<'_>) -> Result<(), String>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    paths.sort();
    let corpus = paths.iter().map(|path| std::fs::read(path).expect("the corpus can be read")).collect();
    run_over(target, corpus, check);
}

/// Runs a target over a corpus from memory.
///
/// # Panics
/// As [`run`].
pub fn run_over(target: &str, corpus: Vec<Vec<u8>>, check: impl Fn(&Input<'_>) -> Result<(), String>) {
    assert!(!corpus.is_empty(), "target {target} has no corpus");
    let (seed, first) =
        (setting("BOXSEAT_FUZZ_SEED").unwrap_or(1), setting("BOXSEAT_FUZZ_FIRST").unwrap_or(0));
    let stop = Stop::from_environment();
    let mut count = 0;
    while stop.goes_on(count) {
        let index = first + count;
        let mut random = ChaCha8Rng::seed_from_u64(hash(&(seed, target, index)));
        let original = &corpus[random.random_range(0..corpus.len())];
        let (mutated, is_forged) = mutate::mutate(&mut random, original, &corpus);
        let input = Input { original, mutated: &mutated, is_forged };
        let failure = match catch_unwind(AssertUnwindSafe(|| check(&input))) {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some("it panicked".to_owned()),
        };
        if let Some(reason) = failure {
            let path = std::env::temp_dir().join(format!("boxseat-fuzz-{target}-{seed}-{index}"));
            let written = std::fs::write(&path, &mutated);
            panic!(
                "target {target}: {reason}\nrepeat with BOXSEAT_FUZZ_SEED={seed} BOXSEAT_FUZZ_FIRST={index} BOXSEAT_FUZZ_INPUTS=1\ninput in {} ({written:?})",
                path.display()
            );
        }
        count += 1;
    }
    report(target, seed, count);
}

#[expect(clippy::print_stdout, reason = "`make fuzz` shows how many inputs each target had")]
fn report(target: &str, seed: u64, count: u64) {
    println!("fuzz {target}: {count} inputs from seed {seed}");
}

/// When a target ends.
enum Stop {
    Inputs(u64),
    At(Instant),
}

impl Stop {
    fn from_environment() -> Self {
        match (setting("BOXSEAT_FUZZ_INPUTS"), setting("BOXSEAT_FUZZ_SECONDS")) {
            (Some(inputs), _) => Self::Inputs(inputs),
            (None, Some(seconds)) => Self::At(Instant::now() + Duration::from_secs(seconds)),
            (None, None) => Self::Inputs(INPUTS),
        }
    }

    fn goes_on(&self, count: u64) -> bool {
        match self {
            Self::Inputs(inputs) => count < *inputs,
            // The clock is read once per 64 inputs.
            Self::At(end) => !count.is_multiple_of(64) || Instant::now() < *end,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the variables bound a test, as those of the other soaks do")]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name} is {text:?}: {e}")))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
