//! The kinds of trouble in a run, and their order.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The trouble of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing.
    Quiet,
    /// Calls fail in ways that a repeat repairs.
    Faults,
    /// Box fails permanently, until the next start.
    Unhealable,
    /// Users and groups disappear between the listing and their read.
    Passing,
    /// SIGKILL at any time, perhaps again during the start after it.
    Kill,
    /// The machine shuts down in an orderly way.
    Terminate,
    /// The process dies at a step of the commit protocol.
    Die,
    /// The same, without another start on that day.
    DiesAndIsLeft,
    /// Box accepts fewer calls than documented.
    Throttle,
    /// Cron was off for some days.
    Missed,
    /// Files cannot grow beyond some size.
    FullDisk,
    /// A second start while the first is running.
    TwoWriters,
    /// Box sends undocumented values, in this run and the next.
    Drift,
    /// The snapshot is stored and published later.
    NoPublish,
    /// The last snapshots are normalised again.
    Replay,
    /// Everything is read, and every row must equal the truth.
    Full,
}

const ALL: [Trouble; 16] = [
    Trouble::Quiet,
    Trouble::Faults,
    Trouble::Unhealable,
    Trouble::Passing,
    Trouble::Kill,
    Trouble::Terminate,
    Trouble::Die,
    Trouble::DiesAndIsLeft,
    Trouble::Throttle,
    Trouble::Missed,
    Trouble::FullDisk,
    Trouble::TwoWriters,
    Trouble::Drift,
    Trouble::NoPublish,
    Trouble::Replay,
    Trouble::Full,
];

/// Deals every trouble once before any repeats, so that a short soak has all of them.
pub(super) struct Deck {
    rng: ChaCha8Rng,
    cards: Vec<Trouble>,
}

impl Deck {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        // The first run is quiet: trouble needs an existing snapshot.
        Self { rng, cards: vec![Trouble::Quiet] }
    }

    /// The trouble of the next run: one kind, or two.
    pub(super) fn deal(&mut self) -> Vec<Trouble> {
        let is_first = self.cards == [Trouble::Quiet];
        let count = if !is_first && self.rng.random_bool(0.3) { 2 } else { 1 };
        (0..count).map(|_| self.card()).collect()
    }

    fn card(&mut self) -> Trouble {
        if self.cards.is_empty() {
            self.cards = ALL.to_vec();
            self.cards.shuffle(&mut self.rng);
        }
        self.cards.pop().expect("just filled")
    }
}

/// Why: a schedule that cannot be repeated does not help to find a bug.
#[test]
fn a_seed_gives_the_same_runs_and_every_trouble() {
    let deal = |seed| {
        let mut deck = Deck::new(ChaCha8Rng::seed_from_u64(seed));
        (0..20).map(|_| deck.deal()).collect::<Vec<_>>()
    };
    assert_eq!(deal(3), deal(3));
    assert_ne!(deal(3), deal(4));
    assert!(ALL.iter().all(|trouble| deal(3).concat().contains(trouble)));
}
